package media

import (
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A pacer is one operating-system thread that does everything that has to happen in time: each of its legs
// belongs to a slot of the 20 ms frame, and once in every frame the pacer reads the leg's packets, runs its
// graph and sends one packet. The schedule is absolute, so no error adds up; a pacer more than 200 ms behind
// skips whole frames. Nothing on this thread may block: control comes in through atomics, everything that
// writes files or talks to others reads from bounded channels that drop their oldest entry when full.
type pacer struct {
	slotTime time.Duration
	nice     int
	slots    [][]*Leg
	retired  []retiree // closed legs whose ports are in quarantine
	log      *slog.Logger
	ports    *portPool

	quarantine time.Duration

	pending atomic.Pointer[newLeg] // legs to take in, newest first
	wake    chan struct{}
	stop    atomic.Bool
	done    chan struct{}
	load    []atomic.Int32 // legs per slot, for the choice of a slot
	epoch   time.Time      // when slot 0 was due

	hist    histogram
	busy    atomic.Uint64 // share of the last second spent working, in millionths
	cpu     atomic.Int64  // thread CPU time, ns
	resyncs atomic.Uint64

	// Used by the thread alone.
	pool    packetPool
	scratch scratch
	rng     *rand.Rand
	tick    int64         // number of the current frame since the pacer started
	now     time.Duration // since the epoch, a few legs ago; 0: not known
}

type newLeg struct {
	leg  *Leg
	next *newLeg
}

type retiree struct {
	port freePort // without its link
	link link
	at   int64 // tick at which the ports are free again
	more int   // times that somebody was still sending then
}

// unheardRest is how long a port rests on which nothing was ever heard: its far end may only just begin to send, and is noticed then.
const unheardRest = 2 * time.Second

// mostRests is how often a port rests again because of packets that still arrive: nobody shall keep one for ever.
const mostRests = 3

// legsPerReading is how many legs share one reading of the clock: some 0.1 ms.
const legsPerReading = 16

// resyncAfter is the delay beyond which catching up would only send a burst of stale voice.
const resyncAfter = 200 * time.Millisecond

func newPacer(cfg Config, ports *portPool) *pacer {
	n := int(FrameTime / cfg.Slot)
	p := &pacer{
		slotTime: cfg.Slot,
		nice:     cfg.Nice,
		slots:    make([][]*Leg, n),
		load:     make([]atomic.Int32, n),
		log:      cfg.Log,
		ports:    ports,

		quarantine: cfg.Quarantine,

		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
		epoch: time.Now(),
		rng:   rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	go p.run()
	return p
}

// legs is how many legs the pacer has, with those on their way in.
func (p *pacer) legs() (n int) {
	for i := range p.load {
		n += int(p.load[i].Load())
	}
	return n
}

// add gives the pacer a leg, in its emptiest slot.
func (p *pacer) add(l *Leg) {
	best := 0
	for i := range p.load {
		if p.load[i].Load() < p.load[best].Load() {
			best = i
		}
	}
	l.pacer, l.slot = p, best
	p.load[best].Add(1)
	n := &newLeg{leg: l}
	for {
		n.next = p.pending.Load()
		if p.pending.CompareAndSwap(n.next, n) {
			break
		}
	}
	p.nudge()
}

func (p *pacer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run is the thread.
func (p *pacer) run() {
	defer close(p.done)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	first := urgent{nice: p.nice}
	first.begin()

	// The epoch on the clock that clock_nanosleep(2) reads; Go's monotonic readings have no public origin.
	var clock unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock)
	base := clock.Nano() - int64(time.Since(p.epoch))
	perFrame := int64(len(p.slots))
	var worked time.Duration
	second := int64(0)

	for k := int64(0); ; k++ {
		if p.stop.Load() {
			p.shutdown()
			return
		}
		if k%perFrame == 0 && p.idle() {
			<-p.wake
			k = (int64(time.Since(p.epoch)/p.slotTime)/perFrame + 1) * perFrame
		}
		due := time.Duration(k) * p.slotTime
		now := time.Since(p.epoch)
		for now < due && !p.stop.Load() {
			at := unix.NsecToTimespec(base + int64(due))
			_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil)
			now = time.Since(p.epoch)
		}
		late := now - due
		p.hist.add(int64(now/time.Second), late)
		if late > resyncAfter {
			p.resyncs.Add(1)
			k += int64(late/FrameTime) * perFrame // the same slot of a later frame
		}
		p.tick = k / perFrame
		p.takeIn()
		p.serve(int(k % perFrame))

		worked += time.Since(p.epoch) - now
		if s := int64(now / time.Second); s != second {
			p.busy.Store(uint64(worked) * 1e6 / uint64(time.Duration(s-second)*time.Second))
			var ru unix.Rusage
			if unix.Getrusage(unix.RUSAGE_THREAD, &ru) == nil {
				cpu := ru.Utime.Nano() + ru.Stime.Nano()
				p.cpu.Store(cpu)
				first.look(time.Duration(cpu), time.Duration(s-second)*time.Second)
			}
			worked, second = 0, s
			p.release(false)
			p.ports.expire(time.Now())
		}
	}
}

// time is the time since the epoch, a moment ago at most.
func (p *pacer) time() time.Duration {
	if p.now == 0 {
		return time.Since(p.epoch)
	}
	return p.now
}

// idle says that there is nothing to wake up for.
func (p *pacer) idle() bool {
	if p.pending.Load() != nil || len(p.retired) > 0 || p.ports.hasSpares() {
		return false
	}
	for _, s := range p.slots {
		if len(s) > 0 {
			return false
		}
	}
	return true
}

// takeIn moves pending legs to their slots.
func (p *pacer) takeIn() {
	for n := p.pending.Swap(nil); n != nil; n = n.next {
		p.slots[n.leg.slot] = append(p.slots[n.leg.slot], n.leg)
	}
}

// serve runs every leg of a slot and lets go of the closed ones.
func (p *pacer) serve(slot int) {
	legs := p.slots[slot]
	defer func() { p.now = 0 }()
	for i, done := 0, 0; i < len(legs); done++ {
		if done%legsPerReading == 0 {
			p.now = time.Since(p.epoch)
		}
		l := legs[i]
		if !l.closing.Load() {
			p.runLeg(l)
			i++
			continue
		}
		last := len(legs) - 1
		legs[i] = legs[last]
		legs[last] = nil
		legs = legs[:last]
		p.retire(l)
	}
	p.slots[slot] = legs
}

// runLeg is one leg's frame; a bug in it ends this leg and no other.
func (p *pacer) runLeg(l *Leg) {
	defer func() {
		if r := recover(); r != nil {
			stack := debug.Stack()
			go func() {
				p.log.Error("media leg ended by a bug", "leg", l.id, "panic", r, "stack", string(stack))
				l.Close()
			}()
		}
	}()
	l.frame(p.tick)
}

// retire ends a leg's work. Its sockets stay open and unread until the quarantine is over: what the last caller still sends must not
// reach the next one.
func (p *pacer) retire(l *Leg) {
	p.load[l.slot].Add(-1)
	heard := l.in.heardAny
	l.finish(p.tick)
	l.link.drain()
	rest := p.quarantine
	if !heard {
		rest = min(rest, unheardRest)
	}
	p.retired = append(p.retired, retiree{port: freePort{port: l.port, ip: l.ip}, link: l.link, at: p.tick + int64(rest/FrameTime)})
	close(l.finished)
}

// release gives back the ports whose quarantine is over and which have fallen silent, or all.
func (p *pacer) release(all bool) {
	keep := p.retired[:0]
	for _, r := range p.retired {
		if !all && r.at > p.tick {
			keep = append(keep, r)
			continue
		}
		if r.port.port == 0 {
			r.link.close()
			continue
		}
		if !all && r.more < mostRests && r.link.empty() > 0 {
			r.at, r.more = p.tick+int64(p.quarantine/FrameTime), r.more+1
			keep = append(keep, r)
			continue
		}
		if spare, ok := r.link.(*udpLink); ok {
			r.port.link = spare
		} else {
			r.link.close()
		}
		p.ports.put(r.port)
	}
	clear(p.retired[len(keep):])
	p.retired = keep
}

// shutdown retires and releases everything.
func (p *pacer) shutdown() {
	p.takeIn()
	for i, legs := range p.slots {
		for _, l := range legs {
			l.mark()
			p.retire(l)
		}
		p.slots[i] = nil
	}
	p.release(true)
}
