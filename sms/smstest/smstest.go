// Package smstest is the promise of sms.Carrier as a test that every carrier passes.
package smstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
)

// Behaviour is how the far end treats the next texts.
type Behaviour string

// Behaviours that a far end must be able to show.
const (
	Accept       Behaviour = "accept"
	Silent       Behaviour = "silent"       // takes the text, but its answer never comes
	Drop         Behaviour = "drop"         // neither takes it nor answers
	Refuse       Behaviour = "refuse"       // a number that does not exist
	Stop         Behaviour = "stop"         // the resident has opted out
	Throttle     Behaviour = "throttle"     // too fast
	Misconfigure Behaviour = "misconfigure" // our credentials are wrong
	Unreachable  Behaviour = "unreachable"  // nobody listens
)

// Text is a text as the far end has it.
type Text struct{ To, Body string }

// Peer is a carrier with its far end in the test's hand.
type Peer struct {
	Carrier sms.Carrier
	Set     func(Behaviour)
	Got     func() []Text // every text the far end has taken, To as 11 digits
	CanAsk  bool          // Find works
	Timeout time.Duration // after which Send is cut off; long enough for the far end to take a text
}

// Run checks a carrier against the promise of sms.Carrier. start is called once for each part.
func Run(t *testing.T, start func(t *testing.T) Peer) {
	bodies := map[string]string{
		"one segment":  "【本溪公安】您好，请对昨日110接处警服务评价：1满意 2基本满意 3不满意，直接回复数字。",
		"two segments": "【本溪公安】" + strings.Repeat("满意不满意", 20),
		"emoji":        "【本溪公安】谢谢👍🏻",
		"form signs":   "【本溪公安】a+b=c&d%20e f;g\"h'<i>",
		"latin":        "Benxi police: reply 1-5. Thanks!",
	}
	for name, body := range bodies {
		t.Run("the body arrives as it is: "+name, func(t *testing.T) {
			p := start(t)
			m := message(t, body)
			sent, err := send(t, p, m)
			if err != nil {
				t.Fatalf("Send: %v", err)
			}
			got := p.Got()
			if len(got) != 1 || got[0] != (Text{m.Phone.Clear(), body}) {
				t.Fatalf("the far end has %q, want one text %q to %s", got, body, m.Phone)
			}
			m.CarrierID = sent.CarrierID
			found(t, p, m, true)
		})
	}
	for _, c := range []struct {
		far  Behaviour
		want sms.Kind
	}{{Refuse, sms.Refused}, {Stop, sms.Stopped}, {Throttle, sms.Throttled}, {Misconfigure, sms.Misconfigured}, {Unreachable, sms.Unreachable}} {
		t.Run(fmt.Sprintf("%s is surely not taken", c.far), func(t *testing.T) {
			p := start(t)
			p.Set(c.far)
			m := message(t, "【本溪公安】试")
			_, err := send(t, p, m)
			if got := kind(err); got != c.want {
				t.Fatalf("Send: kind %q (%v), want %q", got, err, c.want)
			}
			if strings.Contains(err.Error(), m.Phone.Clear()) {
				t.Errorf("the error tells the number: %v", err)
			}
			if got := p.Got(); len(got) != 0 {
				t.Errorf("the far end has taken %d texts", len(got))
			}
			p.Set(Accept)
			found(t, p, m, false)
		})
	}
	t.Run("an answer that never comes is an unknown outcome, and the text is found", func(t *testing.T) {
		p := start(t)
		p.Set(Silent)
		m := message(t, "【本溪公安】试")
		_, err := send(t, p, m)
		if got := kind(err); err == nil || got != sms.NoAnswer {
			t.Fatalf("Send: kind %q (%v), want %q", got, err, sms.NoAnswer)
		}
		if got := p.Got(); len(got) != 1 {
			t.Fatalf("the far end has taken %d texts, want 1", len(got))
		}
		p.Set(Accept)
		found(t, p, m, true)
	})
	t.Run("a lost submission is an unknown outcome, and the text is not found", func(t *testing.T) {
		p := start(t)
		p.Set(Drop)
		m := message(t, "【本溪公安】试")
		_, err := send(t, p, m)
		if got := kind(err); err == nil || got != sms.NoAnswer {
			t.Fatalf("Send: kind %q (%v), want %q", got, err, sms.NoAnswer)
		}
		p.Set(Accept)
		found(t, p, m, false)
	})
	t.Run("another text to the same number is not taken for this one", func(t *testing.T) {
		p := start(t)
		m := message(t, "【本溪公安】昨天")
		if _, err := send(t, p, m); err != nil {
			t.Fatalf("Send: %v", err)
		}
		other := message(t, "【本溪公安】今天")
		found(t, p, other, false)
	})
}

func message(t *testing.T, body string) sms.Message {
	t.Helper()
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		t.Fatal(err)
	}
	return sms.Message{ID: storage.NewID(), Key: "k", Phone: p, Body: body, Attempt: 1, TriedAt: time.Now(), CreatedAt: time.Now()}
}

func send(t *testing.T, p Peer, m sms.Message) (sms.Sent, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	defer cancel()
	return p.Carrier.Send(ctx, m)
}

func found(t *testing.T, p Peer, m sms.Message, want bool) {
	t.Helper()
	f, err := p.Carrier.Find(context.Background(), m)
	if !p.CanAsk {
		if !errors.Is(err, sms.ErrCannotAsk) {
			t.Errorf("Find: %v, want ErrCannotAsk", err)
		}
		return
	}
	if err != nil || f.Known != want {
		t.Errorf("Find: %+v, %v; want known %v", f, err, want)
	}
	if want && (f.CarrierID == "" || (f.State != sms.Accepted && f.State != sms.Delivered)) {
		t.Errorf("Find: %+v lacks an id or a state", f)
	}
}

// kind is what the outbox makes of an error.
func kind(err error) sms.Kind {
	var e *sms.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return sms.NoAnswer
}
