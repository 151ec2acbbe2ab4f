package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoPort is returned by Open when every port pair of the range is in use or in quarantine.
var ErrNoPort = errors.New("no free RTP port")

// portPool hands out even RTP ports at random: a port that cannot be guessed is hard to inject into
// (RFC 6056), and one that was used a moment ago still gets its last caller's packets. A port comes back with its sockets, which
// wait a while for the next leg that draws it: making and binding them is half of what a leg costs.
type portPool struct {
	mu      sync.Mutex
	free    []freePort // order means nothing
	spares  int        // of them with sockets
	most    int        // spares that may be kept open
	checked int        // where to look next for spares nobody has wanted
	closed  bool
}

// A freePort is an even port that belongs to nobody.
type freePort struct {
	port  int
	link  *udpLink // bound to it and to the next one; nil: not yet
	ip    netip.Addr
	since time.Time
}

const (
	spareFor    = 20 * time.Second // sockets are kept open without a leg
	spareCloses = 64               // at a time, because the pacer does it
)

func newPortPool(low, high int) (*portPool, error) {
	if low%2 != 0 {
		low++
	}
	if low < 1024 || high > 65535 || high-low < 1 {
		return nil, fmt.Errorf("RTP port range %d–%d is unusable", low, high)
	}
	p := &portPool{}
	for port := low; port+1 <= high; port += 2 {
		p.free = append(p.free, freePort{port: port})
	}
	p.most = len(p.free)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < 1<<31 { // a quarter of the files we may have
		p.most = min(p.most, int(limit.Cur/8))
	}
	return p, nil
}

// take removes a random port from the pool.
func (p *portPool) take() (freePort, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == 0 {
		return freePort{}, false
	}
	return p.remove(rand.IntN(len(p.free))), true
}

// remove takes out the i-th. mu is held.
func (p *portPool) remove(i int) freePort {
	f, last := p.free[i], len(p.free)-1
	p.free[i] = p.free[last]
	p.free[last] = freePort{}
	p.free = p.free[:last]
	if f.link != nil {
		p.spares--
	}
	return f
}

// put gives a port back, with its sockets if it has any.
func (p *portPool) put(f freePort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.link != nil {
		if p.closed || p.spares >= p.most {
			f.link.close()
			f.link = nil
		} else {
			p.spares++
			f.since = time.Now()
		}
	}
	p.free = append(p.free, f)
}

// expire closes some of the sockets that have waited in vain.
func (p *portPool) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	closed := 0
	for range len(p.free) {
		if p.spares == 0 || closed == spareCloses {
			return
		}
		p.checked = (p.checked + 1) % len(p.free)
		if f := &p.free[p.checked]; f.link != nil && now.Sub(f.since) > spareFor {
			f.link.close()
			f.link = nil
			p.spares--
			closed++
		}
	}
}

// close closes all sockets that nobody uses.
func (p *portPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i := range p.free {
		if f := &p.free[i]; f.link != nil {
			f.link.close()
			f.link = nil
		}
	}
	p.spares = 0
}

func (p *portPool) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free)
}

func (p *portPool) hasSpares() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spares > 0
}

// zoneID is the interface index of a link-local address's zone, 0 without one. On a pacer the zone is
// always a number already (see numericZone), so that this does not ask the kernel.
func zoneID(ip netip.Addr) uint32 {
	zone := ip.Zone()
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	return 0
}

// numericZone writes an address the way received addresses are written: IPv4 not mapped, the zone a number.
func numericZone(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr().Unmap()
	if ip.Zone() != "" {
		ip = ip.WithZone(strconv.FormatUint(uint64(zoneID(ip)), 10))
	}
	return netip.AddrPortFrom(ip, a.Port())
}
