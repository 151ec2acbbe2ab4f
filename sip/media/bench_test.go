package media_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lianxin/sip/media"
)

// A crowd is many far ends behind one socket: it sends 50 packets a second to every port and notes the gaps in what
// comes back. It is a load, not a telephone: cheap enough to leave the core to the legs.
type crowd struct {
	fd    int
	addr  netip.AddrPort
	ports []int
	stop  atomic.Bool
	wg    sync.WaitGroup
	last  map[int]time.Time
	gaps  []time.Duration
	sent  int
	got   int
}

func newCrowd(b *testing.B) *crowd {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(b, err)
	check(b, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	sa, err := unix.Getsockname(fd)
	check(b, err)
	b.Cleanup(func() { unix.Close(fd) })
	return &crowd{fd: fd, addr: netip.AddrPortFrom(loopback, uint16(sa.(*unix.SockaddrInet4).Port)), last: map[int]time.Time{}}
}

// run sends in 20 slots per frame, so that packets do not come all at once.
func (c *crowd) run() {
	defer c.wg.Done()
	runtime.LockOSThread()
	pkt := make([]byte, 172)
	pkt[0], pkt[1] = 0x80, 8
	for i := range pkt[12:] {
		pkt[12+i] = byte(i) | 0x20
	}
	buf := make([]byte, 2048)
	start := time.Now()
	const slots = 20
	for k := 0; !c.stop.Load(); k++ {
		if d := time.Until(start.Add(time.Duration(k) * time.Millisecond)); d > 0 {
			time.Sleep(d)
		}
		frame := k / slots
		binary.BigEndian.PutUint16(pkt[2:], uint16(frame))
		binary.BigEndian.PutUint32(pkt[4:], uint32(frame*160))
		for i := k % slots; i < len(c.ports); i += slots {
			binary.BigEndian.PutUint32(pkt[8:], uint32(i+1))
			if unix.Sendto(c.fd, pkt, 0, &unix.SockaddrInet4{Port: c.ports[i], Addr: [4]byte{127, 0, 0, 1}}) == nil {
				c.sent++
			}
		}
		now := time.Now()
		for {
			n, from, err := unix.Recvfrom(c.fd, buf, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			if n < 12 || buf[1]&0x7F >= 64 {
				continue
			}
			c.got++
			port := from.(*unix.SockaddrInet4).Port
			if at, ok := c.last[port]; ok {
				c.gaps = append(c.gaps, now.Sub(at))
			}
			c.last[port] = now
		}
	}
}

// BenchmarkLegs runs legs with voice both ways for five seconds and reports the CPU time of the pacing threads: per leg for ten
// seconds, and as a share of a core. -benchtime=1x is enough. The crowd runs in the same process, on the same
// machine, so on a busy one the gaps say more about the machine than about the pacer.
func BenchmarkLegs(b *testing.B) {
	const seconds = 5
	for _, mode := range []string{"prompt", "bridge", "transcode", "record"} {
		for _, legs := range []int{200, 1000, 2000} {
			if mode != "prompt" && legs == 2000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/legs=%d", mode, legs), func(b *testing.B) {
				for range b.N {
					runLegs(b, mode, legs, seconds)
				}
			})
		}
	}
}

func runLegs(b *testing.B, mode string, n, seconds int) {
	e, err := media.NewEngine(media.Config{IP: loopback, Pacers: 1, PortLow: 10000, PortHigh: 19999})
	check(b, err)
	defer e.Close()
	c := newCrowd(b)
	music := media.Tone([]float64{440, 660}, 10*time.Second)
	dir := b.TempDir()
	var legs []*media.Leg
	for i := range n {
		l, err := e.Open()
		check(b, err)
		p := media.Params{Remote: c.addr, Codec: media.PCMA, DTMF: 101, Send: true, Receive: true}
		if mode == "transcode" && i%2 == 1 {
			p.Codec, p.Also = media.PCMU, []media.Format{{Codec: media.PCMA, PT: 8}}
		}
		check(b, l.Start(p))
		c.ports = append(c.ports, l.Port())
		legs = append(legs, l)
	}
	for i, l := range legs {
		switch mode {
		case "prompt", "record":
			l.Loop(music)
		default:
			if i%2 == 1 {
				_, err := media.Connect(legs[i-1], l)
				check(b, err)
			}
		}
		if mode == "record" {
			r, err := l.Record(filepath.Join(dir, fmt.Sprint(i)), media.RecordOptions{Sync: -1})
			check(b, err)
			defer func() {
				l.Close()
				_, err := r.Stop()
				check(b, err)
				os.Remove(filepath.Join(dir, fmt.Sprint(i)))
			}()
		}
	}
	c.wg.Add(1)
	go c.run()
	time.Sleep(2 * time.Second) // start-up, and the pacer's own figures are a second old
	cpu0, all0 := e.Lateness().CPU, processCPU()
	in0 := received(legs)
	start := time.Now()
	time.Sleep(time.Duration(seconds) * time.Second)
	l := e.Lateness()
	cpu, all, wall := l.CPU-cpu0, processCPU()-all0, time.Since(start)
	in := received(legs) - in0
	c.stop.Store(true)
	c.wg.Wait()
	slices.Sort(c.gaps)
	over := len(c.gaps) - sort(c.gaps, 30*time.Millisecond)
	legSeconds := float64(n) * wall.Seconds()
	b.ReportMetric(cpu.Seconds()*1e4/legSeconds, "ms-CPU/10s-leg")
	b.ReportMetric(100*cpu.Seconds()/wall.Seconds(), "%core")
	b.ReportMetric(100*all.Seconds()/wall.Seconds(), "%core-with-load")
	b.ReportMetric(float64(l.P99)/1e6, "ms-late-p99")
	b.ReportMetric(100*float64(over)/float64(max(len(c.gaps), 1)), "%gaps>30ms")
	b.ReportMetric(100*float64(in)/(50*legSeconds), "%heard")
	b.ReportMetric(100*float64(c.got)/float64(max(c.sent, 1)), "%got/sent")
	b.ReportMetric(0, "ns/op")
}

func sort(sorted []time.Duration, d time.Duration) int {
	i, _ := slices.BinarySearch(sorted, d)
	return i
}

func received(legs []*media.Leg) (n uint64) {
	for _, l := range legs {
		n += l.Stats().PacketsIn
	}
	return n
}

func processCPU() time.Duration {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
