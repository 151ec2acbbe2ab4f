package mediatest

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// A Network says how bad a Proxy is. Chances are 0–1 per datagram and direction.
type Network struct {
	Loss      float64
	Burst     int // datagrams lost in a row at each loss, 1 when 0
	Duplicate float64
	Reorder   float64       // chance to be held back by 1.5 packets
	Delay     time.Duration // of every datagram
	Jitter    time.Duration // up to so much more, evenly distributed
	Seed      uint64
}

// A Proxy passes datagrams between whoever writes to its front and a fixed address behind it, both ways, and does to
// them what a bad network does.
type Proxy struct {
	front, back *net.UDPConn
	behind      netip.AddrPort

	mu     sync.Mutex
	net    Network
	rng    *rand.Rand
	client netip.AddrPort
	queue  delayQueue
	losing [2]int
	counts Counts
	wake   chan struct{}
	done   chan struct{}
	wg     sync.WaitGroup
}

// Counts is what a Proxy has done.
type Counts struct{ Passed, Lost, Duplicated, Reordered int }

// NewProxy starts a proxy in front of an address. It ends with the test.
func NewProxy(t testing.TB, behind netip.AddrPort, n Network) *Proxy {
	t.Helper()
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatalf("start proxy: %v", err)
		}
		return c
	}
	p := &Proxy{
		front: listen(), back: listen(), behind: behind, net: n,
		rng:  rand.New(rand.NewPCG(n.Seed, 1)),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	p.wg.Add(3)
	go p.read(p.front, 0)
	go p.read(p.back, 1)
	go p.deliver()
	t.Cleanup(func() {
		close(p.done)
		p.front.Close()
		p.back.Close()
		p.wg.Wait()
	})
	return p
}

// Front is the address to send to.
func (p *Proxy) Front() netip.AddrPort { return p.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// Back is the address from which the side behind the proxy hears the client.
func (p *Proxy) Back() netip.AddrPort { return p.back.LocalAddr().(*net.UDPAddr).AddrPort() }

// Change makes the network better or worse.
func (p *Proxy) Change(n Network) {
	p.mu.Lock()
	p.net = n
	p.mu.Unlock()
}

// Counts tells what was done so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Expect makes the client known before it sends, for a peer that only listens.
func (p *Proxy) Expect(client netip.AddrPort) {
	p.mu.Lock()
	p.client = client
	p.mu.Unlock()
}

func (p *Proxy) read(c *net.UDPConn, way int) {
	defer p.wg.Done()
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			select {
			case <-p.done:
				return
			default:
				continue
			}
		}
		p.pass(append([]byte(nil), buf[:n]...), from, way)
	}
}

// pass decides what happens to a datagram.
func (p *Proxy) pass(b []byte, from netip.AddrPort, way int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if way == 0 {
		p.client = from
	}
	if p.losing[way] > 0 {
		p.losing[way]--
		p.counts.Lost++
		return
	}
	if p.rng.Float64() < p.net.Loss {
		p.losing[way] = max(p.net.Burst, 1) - 1
		p.counts.Lost++
		return
	}
	copies := 1
	if p.rng.Float64() < p.net.Duplicate {
		copies = 2
		p.counts.Duplicated++
	}
	at := time.Now().Add(p.net.Delay)
	if p.net.Jitter > 0 {
		at = at.Add(time.Duration(p.rng.Int64N(int64(p.net.Jitter))))
	}
	if p.rng.Float64() < p.net.Reorder {
		at = at.Add(30 * time.Millisecond)
		p.counts.Reordered++
	}
	for range copies {
		p.counts.Passed++
		heap.Push(&p.queue, delayed{at, b, way})
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// deliver sends what is due.
func (p *Proxy) deliver() {
	defer p.wg.Done()
	for {
		p.mu.Lock()
		wait := time.Hour
		for len(p.queue) > 0 {
			if wait = time.Until(p.queue[0].at); wait > 0 {
				break
			}
			d := heap.Pop(&p.queue).(delayed)
			if d.way == 0 {
				_, _ = p.back.WriteToUDPAddrPort(d.b, p.behind)
			} else if p.client.IsValid() {
				_, _ = p.front.WriteToUDPAddrPort(d.b, p.client)
			}
			wait = time.Hour
		}
		p.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-p.done:
			timer.Stop()
			return
		case <-p.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

type delayed struct {
	at  time.Time
	b   []byte
	way int
}

type delayQueue []delayed

func (q delayQueue) Len() int           { return len(q) }
func (q delayQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q delayQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *delayQueue) Push(x any)        { *q = append(*q, x.(delayed)) }
func (q *delayQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
