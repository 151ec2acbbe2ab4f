package sip

import (
	"runtime"
	"testing"
	"time"
	"weak"

	gosip "github.com/emiago/sipgo/sip"
)

// Of a call that is over a grave remains: its repetitions and whatever else still comes get the answers that the leg gave, its ladder
// can be read, and the leg itself is gone. After half a minute nothing is left.
func TestEndedCallIsAGraveThatAnswersAsTheCallDid(t *testing.T) {
	t.Parallel()
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP)
	c := x.call()
	id, w := c.ID(), weak.Make(c.(*leg))
	branch := unique()
	u.seq++
	bye := []byte(u.message("BYE", u.seq, branch, ""))
	u.write(bye)
	first := p.response("2 BYE", 200).String()
	ended(t, c)
	c = nil
	dialog := dialogID{callID: u.callID, local: u.remoteTag, remote: u.tag}
	eventually(t, "buried", func() bool { return x.isOver(dialog) })
	x.mu.Lock()
	whole := len(x.dialogs)
	x.mu.Unlock()
	if whole != 0 {
		t.Errorf("%d dialogs besides the grave", whole)
	}

	u.write(bye)
	if again := p.response("2 BYE", 200).String(); again != first {
		t.Errorf("the repeated BYE got\n%s\nafter\n%s", again, first)
	}
	u.write([]byte(u.message("ACK", 1, unique(), ""))) // never answered, whenever it comes
	for _, ask := range []struct {
		method string
		code   int
		extra  []string
	}{
		{"INVITE", 481, nil}, {"UPDATE", 481, nil}, {"INFO", 481, nil}, {"OPTIONS", 200, nil}, {"REFER", 481, []string{"Refer-To: <sip:8002@x>"}},
		{"OPTIONS", 420, []string{"Require: magic"}}, {"BYE", 200, nil}, // another BYE, as from two who hang up at once
	} {
		body := ""
		if ask.method == "INVITE" {
			body = plainSDP
		}
		p.response(u.do(ask.method, body, ask.extra...), ask.code)
		if ask.method == "INVITE" {
			u.ack("")
		}
	}
	u.seq = 1
	p.response(u.do("BYE", ""), 500)                                                                  // an old CSeq on a new transaction
	take := gosip.NewRequest(gosip.INVITE, gosip.Uri{Scheme: "sip", User: "8001", Host: "127.0.0.1"}) // somebody who would take its place
	take.AppendHeader(gosip.NewHeader("Replaces", u.callID+";to-tag="+u.remoteTag+";from-tag="+u.tag))
	if _, code := x.replacing(take); code != 603 {
		t.Errorf("a call that would replace it: %d", code)
	}
	stranger := p.ua()
	stranger.callID, stranger.remoteTag = u.callID, "other"
	p.response(stranger.do("BYE", ""), 481)

	ladder := x.Ladder(id)
	if len(ladder) != 1 || ladder[0].ID != id || len(ladder[0].Lines) < 4 || ladder[0].End.By != ByFar || !ladder[0].HasMedia || ladder[0].Codec != "PCMA" {
		t.Errorf("ladder %+v", ladder)
	}
	eventually(t, "the leg is gone", func() bool {
		runtime.GC()
		return w.Value() == nil
	})
	p.silent(0, func(m gosip.Message) bool {
		r, ok := m.(*gosip.Response)
		return ok && r.CSeq().MethodName == gosip.ACK
	})
}

// The memory of graves is bounded in time.
func TestGravesAreForgotten(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.t1 = 2 * time.Millisecond }, nil) // 64 T1 are 128 ms
	p := newPeer(t, x.udp)
	for range 20 {
		u := p.ua()
		u.invite(plainSDP)
		p.response(u.do("BYE", ""), 200)
		ended(t, x.call())
	}
	eventually(t, "all are buried and forgotten", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return len(x.dialogs) == 0 && len(x.graves) == 0
	})
}
