package sip

import (
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

func TestStrainIsLongWaitingThatLasts(t *testing.T) {
	var s strain
	at := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	s.note(at(1000), at(900)) // a stall of the machine
	if s.over(at(1001)) {
		t.Error("one stall refuses calls")
	}
	s.note(at(1005), at(20))
	for ms := 1010; ms <= 1600; ms += 100 {
		s.note(at(ms), at(300))
	}
	if s.over(at(1601)) {
		t.Error("a few calls are too many")
	}
	for ms := 1010; ms <= 1600; ms += 5 {
		s.note(at(ms), at(300))
	}
	if !s.over(at(1601)) {
		t.Error("half a second of waiting refuses nobody")
	}
	if s.over(at(1800)) {
		t.Error("a measurement of long ago refuses calls")
	}
	s.note(at(1810), at(20))
	if s.over(at(1811)) {
		t.Error("the waiting is over, and calls are still refused")
	}
}

// More than can be done: new calls get 503 at once and cost nothing to keep, and those that are up are served to their end.
func TestNewCallsAreRefusedWhenTheExchangeIsBehind(t *testing.T) { // pitfall 39
	t.Parallel()
	x := start(t, func(c *Config) { c.patient = false }, nil)
	p := newPeer(t, x.udp)
	up := p.ua()
	up.invite(plainSDP)
	c := x.call()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // what the handlers of too many requests would measure
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				now := time.Since(x.began)
				x.strain.long.Store(manyWait)
				x.strain.since.Store(int64(now - time.Second))
				x.strain.heard.Store(int64(now))
			}
		}
	}()
	eventually(t, "refused", func() bool {
		u := p.ua()
		m := u.do("INVITE", plainSDP)
		for {
			select {
			case r := <-p.in:
				res, ok := r.(*gosip.Response)
				if !ok || res.CSeq().Value() != m || res.CallID().Value() != u.callID || res.IsProvisional() {
					continue
				}
				u.remoteTag, _ = res.To().Params.Get("tag")
				u.ack("")
				if res.StatusCode != 503 {
					u.response(u.do("BYE", ""), 200)
					return false
				}
				return res.GetHeader("Retry-After") != nil && u.remoteTag != ""
			case <-time.After(patience):
				t.Fatal("no answer")
			}
		}
	})
	if n := x.Health().Dropped["overload"]; n == 0 {
		t.Error("not counted")
	}
	up.response(up.do("INFO", "Signal=5", "Content-Type: application/dtmf-relay"), 200)
	up.response(up.do("BYE", ""), 200)
	if e := ended(t, c); !strings.HasPrefix(e.Cause, "bye") {
		t.Errorf("%+v", e)
	}
	close(stop)
	<-stopped
	eventually(t, "not behind", func() bool { return !x.strain.over(time.Since(x.began)) })
	p.ua().invite(plainSDP) // … and it is over as soon as the waiting is
}
