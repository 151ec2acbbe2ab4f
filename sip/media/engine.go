package media

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how an Engine is set up; the zero value of every field but IP has a sensible meaning.
type Config struct {
	IP          netip.Addr    // local address to bind; unspecified binds all, 0.0.0.0 when left out
	PortLow     int           // first RTP port, 20000 when 0; keep the range out of ip_local_port_range
	PortHigh    int           // last port, 29999 when 0; two ports per leg
	Pacers      int           // pacing threads, cores − 1 but at least 1 when 0
	Slot        time.Duration // part of a frame the pacer works at a time; 1, 2, 4, 5, 10 or 20 ms; 5 ms when 0
	Nice        int           // niceness of the pacing threads, −10 when 0, where the system does not permit real-time scheduling but this
	Quarantine  time.Duration // how long a port rests after a call, 15 s when 0
	FirstPacket time.Duration // time-out for the first RTP packet, 30 s when 0
	Silence     time.Duration // time-out for any later one, 60 s when 0
	Learning    time.Duration // window after (re)negotiation in which a source may be learnt, 10 s when 0
	Log         *slog.Logger  // for what must not happen; slog.Default() when nil
}

// ErrClosed is returned for anything asked of a closed leg or engine.
var ErrClosed = errors.New("media closed")

// An Engine owns the RTP ports and the pacing threads of a process.
type Engine struct {
	cfg    Config
	ports  *portPool
	pacers []*pacer
	nextID atomic.Uint64

	mu     sync.Mutex
	closed bool
}

// NewEngine checks the configuration and starts the pacing threads. It binds no port yet.
func NewEngine(cfg Config) (*Engine, error) {
	if !cfg.IP.IsValid() {
		cfg.IP = netip.IPv4Unspecified()
	}
	cfg.IP = cfg.IP.Unmap()
	setDefault(&cfg.PortLow, 20000)
	setDefault(&cfg.PortHigh, max(29999, cfg.PortLow+1))
	setDefault(&cfg.Pacers, max(1, runtime.NumCPU()-1))
	setDefault(&cfg.Slot, 5*time.Millisecond)
	setDefault(&cfg.Nice, -10)
	setDefault(&cfg.Quarantine, 15*time.Second)
	setDefault(&cfg.FirstPacket, 30*time.Second)
	setDefault(&cfg.Silence, 60*time.Second)
	setDefault(&cfg.Learning, 10*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Slot < time.Millisecond || FrameTime%cfg.Slot != 0 {
		return nil, fmt.Errorf("pacer slot %v does not divide %v", cfg.Slot, FrameTime)
	}
	if cfg.Pacers < 0 || cfg.Pacers > 256 {
		return nil, fmt.Errorf("%d pacers", cfg.Pacers)
	}
	ports, err := newPortPool(cfg.PortLow, cfg.PortHigh)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, ports: ports}
	for range cfg.Pacers {
		e.pacers = append(e.pacers, newPacer(cfg, ports))
	}
	return e, nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Open reserves a random even RTP port with the next one for RTCP, binds both and returns the leg, which
// neither sends nor listens before Start. It fails with ErrNoPort when the range is used up.
func (e *Engine) Open() (*Leg, error) { return e.OpenOn(e.cfg.IP) }

// OpenOn is Open on another local address, for hosts with an IPv4 and an IPv6 side.
func (e *Engine) OpenOn(ip netip.Addr) (*Leg, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	ip = ip.Unmap()
	var passed []freePort
	defer func() {
		for _, f := range passed {
			e.ports.put(f)
		}
	}()
	var last error
	for range 32 { // another process may hold some of our ports
		f, ok := e.ports.take()
		if !ok {
			break
		}
		if f.link != nil && f.ip == ip {
			f.link.renew()
			return e.attach(f.link, f.port, ip), nil
		}
		if f.link != nil {
			f.link.close()
			f.link = nil
		}
		link, err := openUDP(ip, f.port)
		if err != nil {
			passed, last = append(passed, f), err
			continue
		}
		return e.attach(link, f.port, ip), nil
	}
	if last != nil {
		return nil, fmt.Errorf("open media leg: %w (%w)", ErrNoPort, last)
	}
	return nil, fmt.Errorf("open media leg: %w", ErrNoPort)
}

// attach makes a leg of a link and gives it to the pacer with the least to do.
func (e *Engine) attach(link link, port int, ip netip.Addr) *Leg {
	n := e.nextID.Add(1)
	l := makeLeg(e, link, port, strconv.FormatUint(n, 10))
	l.ip, l.phase = ip, int64(n%phases)
	best := e.pacers[0]
	for _, p := range e.pacers[1:] {
		if p.legs() < best.legs() {
			best = p
		}
	}
	best.add(l)
	return l
}

// Legs is the number of open legs.
func (e *Engine) Legs() (n int) {
	for _, p := range e.pacers {
		n += p.legs()
	}
	return n
}

// FreePorts is the number of port pairs that Open can choose from now.
func (e *Engine) FreePorts() int { return e.ports.left() }

// Lateness reports on the pacers' punctuality in the last ten seconds.
func (e *Engine) Lateness() Lateness {
	var total [histBuckets]uint64
	for _, p := range e.pacers {
		p.hist.sum(&total, int64(time.Since(p.epoch)/time.Second)-histSeconds)
	}
	l := summarise(&total)
	for _, p := range e.pacers {
		l.Busy = max(l.Busy, float64(p.busy.Load())/1e6)
		l.CPU += time.Duration(p.cpu.Load())
		l.Resyncs += p.resyncs.Load()
	}
	return l
}

// Overloaded says that new calls should be refused (503 with Retry-After) so that the present ones stay well.
func (e *Engine) Overloaded() bool {
	l := e.Lateness()
	return l.Slots > 50 && l.P99 > overloadLateness
}

// Close closes all legs and ports and stops the threads. It is idempotent.
func (e *Engine) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return nil
	}
	for _, p := range e.pacers {
		p.stop.Store(true)
		p.nudge()
	}
	for _, p := range e.pacers {
		<-p.done
	}
	e.ports.close()
	return nil
}
