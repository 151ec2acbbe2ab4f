package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// ErrNoPort is returned by Open when every port pair of the range is in use or in quarantine.
var ErrNoPort = errors.New("no free RTP port")

// portPool hands out even RTP ports at random: a port that cannot be guessed is hard to inject into
// (RFC 6056), and one that was used a moment ago still gets its last caller's packets.
type portPool struct {
	mu   sync.Mutex
	free []int // even ports; order means nothing
}

func newPortPool(low, high int) (*portPool, error) {
	if low%2 != 0 {
		low++
	}
	if low < 1024 || high > 65535 || high-low < 1 {
		return nil, fmt.Errorf("RTP port range %d–%d is unusable", low, high)
	}
	p := &portPool{}
	for port := low; port+1 <= high; port += 2 {
		p.free = append(p.free, port)
	}
	return p, nil
}

// take removes a random port from the pool.
func (p *portPool) take() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return 0, false
	}
	i := rand.IntN(n)
	port := p.free[i]
	p.free[i] = p.free[n-1]
	p.free = p.free[:n-1]
	return port, true
}

func (p *portPool) put(port int) {
	p.mu.Lock()
	p.free = append(p.free, port)
	p.mu.Unlock()
}

func (p *portPool) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.free)
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
