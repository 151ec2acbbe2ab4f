package sip

import (
	"context"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// The races of a call, each with a real peer at the other end.

func TestSippCancelRaces(t *testing.T) { // trap 1, pitfall 2
	x := start(t, nil, func(ctx context.Context, c Call) {
		select { // nothing is said before the CANCEL
		case <-time.After(5 * time.Second):
			_ = c.Answer(ctx) // a ghost call: it would be answered
		case <-ctx.Done():
		}
		<-c.Done()
	})
	sipp(t, x.udp, "cancel_race", "-m", "200", "-r", "200")
	for len(x.calls) > 0 {
		if e := ended(t, x.call()); e.Code != 487 {
			t.Errorf("end %+v", e)
		}
	}
	eventually(t, "no ghost is left", func() bool { return x.Health().Calls == 0 })
}

func TestSippByesCross(t *testing.T) { // pitfall 4
	x := start(t, nil, func(ctx context.Context, c Call) {
		if c.Answer(ctx) == nil {
			_ = c.Hangup(ctx)
		}
	})
	sipp(t, x.udp, "byes_cross", "-m", "50", "-r", "50")
	for range 50 {
		ended(t, x.call())
	}
}

func TestSippGlare(t *testing.T) { // pitfall 7
	x := start(t, nil, func(ctx context.Context, c Call) {
		if c.Answer(ctx) == nil {
			if err := c.(Holder).Hold(ctx); err != nil {
				t.Errorf("the hold did not come through the glare: %v", err)
			}
		}
		<-c.Done()
	})
	sipp(t, x.udp, "glare", "-m", "10", "-r", "20")
	for range 10 {
		if e := ended(t, x.call()); e.By != ByFar {
			t.Errorf("end %+v", e)
		}
	}
}

func TestSippRequiresReliableProvisionalAnswers(t *testing.T) {
	x := start(t, nil, func(ctx context.Context, c Call) {
		_ = c.Ring(ctx)
		time.Sleep(100 * time.Millisecond) // the PRACK comes first
		_ = c.Answer(ctx)
		<-c.Done()
	})
	sipp(t, x.udp, "prack", "-m", "20", "-r", "20")
	for range 20 {
		if e := ended(t, x.call()); e.By != ByFar {
			t.Errorf("end %+v", e)
		}
	}
}

func TestNoWebSocketIsOpened(t *testing.T) { // traps 8 and 9
	x := start(t, nil, nil)
	for _, spec := range []string{"ws://127.0.0.1:0", "wss://127.0.0.1:0"} {
		if _, err := New(Config{Listen: []string{spec}}, x.engine); err == nil {
			t.Errorf("%s was opened", spec)
		}
	}
	if _, err := x.Dial(context.Background(), Target{URI: "sip:a@127.0.0.1;transport=ws"}, DialOpt{}); err == nil {
		t.Error("called over a WebSocket")
	}
}

func TestFinishedTransactionsAreNotKept(t *testing.T) { // trap 21: the library keeps each for seconds, on every request of ours
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	to := binding{uri: gosip.Uri{Scheme: "sip", User: "bob", Host: "127.0.0.1", Port: mustUDP(t, p.addr).(*net.UDPAddr).Port},
		flow: flow{transport: "UDP", remote: p.addr, local: x.udp}}
	kept := func() int {
		store := reflect.ValueOf(x.txl).Elem().FieldByName("clientTransactions").Elem()
		mu := (*sync.RWMutex)(store.FieldByName("mu").Addr().UnsafePointer())
		mu.RLock()
		defer mu.RUnlock()
		return store.FieldByName("items").Len()
	}
	for range 20 {
		go func() { x.answers(context.Background(), to) }()
		p.reply(p.request(gosip.OPTIONS), 200, "far", "")
	}
	eventually(t, "none is kept", func() bool { return kept() == 0 })
}
