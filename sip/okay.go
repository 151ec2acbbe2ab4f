package sip

import (
	"context"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// okay is a 2xx that is repeated until its ACK comes (RFC 3261 13.3.1.4; trap 4).
type okay struct {
	cseq    uint32
	res     *gosip.Response
	tx      serverTx
	began   time.Time
	wait    time.Duration
	timer   *time.Timer
	offered bool // it holds our offer: the ACK must bring the answer
	initial bool
}

// repeat sends a 2xx again until its ACK comes. It has been sent once. mu is held.
func (l *leg) repeat(o *okay) {
	o.began, o.wait = time.Now(), l.s.t1
	l.okay = o
	o.timer = l.s.after(o.wait, "2xx", func() { l.repeatNow(o) })
}

func (l *leg) repeatNow(o *okay) {
	l.mu.Lock()
	if l.okay != o {
		l.mu.Unlock()
		return
	}
	if time.Since(o.began) >= 64*l.s.t1 {
		l.okay = nil
		l.mu.Unlock()
		l.finishUnacknowledged()
		return
	}
	_ = l.send(o.tx, o.res)
	o.wait = min(2*o.wait, 8*l.s.t1)
	o.timer = l.s.after(min(o.wait, max(64*l.s.t1-time.Since(o.began), 0)), "2xx", func() { l.repeatNow(o) })
	l.mu.Unlock()
}

// finishUnacknowledged hangs up a call whose 2xx was never acknowledged (RFC 3261 13.3.1.4).
func (l *leg) finishUnacknowledged() {
	l.mu.Lock()
	late := l.byeOnACK
	l.byeOnACK = false
	if !late {
		l.endLocked(ByTimeout, causeNoACK, 0)
	}
	l.mu.Unlock()
	l.bye(context.Background())
}

// acknowledged takes the ACK of a 2xx. It is called by front and does not wait for the network.
func (l *leg) acknowledged(ack *gosip.Request) {
	l.note(false, ack.Source(), summary(ack))
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.okay
	if o == nil || ack.CSeq() == nil || ack.CSeq().SeqNo != o.cseq {
		return
	}
	var err error
	if o.offered && l.state != over {
		err = l.answeredOffer(ack.Body())
	}
	l.confirmed(o)
	if err != nil && l.state != over {
		l.s.log.Info("sip: unusable answer in ACK", "call", l.id, "err", err)
		l.endLocked(ByNetwork, "bad answer", 0)
		l.byeOnACK = true
	}
	if l.byeOnACK {
		l.byeOnACK = false
		l.s.spawn(func() { l.s.safely("bye", func() { l.bye(context.Background()) }) })
	}
}

// confirmed ends the repetition of a 2xx. mu is held.
func (l *leg) confirmed(o *okay) {
	o.timer.Stop()
	l.okay = nil
	if !o.initial {
		return
	}
	if l.state == answered {
		l.state = up
	}
	select {
	case <-l.acked:
	default:
		close(l.acked)
	}
}
