package console

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/ivr"
	"lianxin/sip"
	"lianxin/storage"
)

func TestTheLadderOfACallIsDrawnAndItsPacketsOrderedByWhoMay(t *testing.T) {
	s := newHouse(t).fill()
	s.do(func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call SET ended = NULL, disposition = '', steps = '[{"t":200,"node":"open","verb":"say","said":["greeting"]},{"t":3100,"did":"振铃 8001"}]' WHERE id = 'call-1'`)
		return err
	})
	var ordered CaptureOrder
	s.s.Capture = func(o CaptureOrder) error {
		if ordered = o; o.CallID == "" {
			return sip.ErrManyCaptures
		}
		return nil
	}
	s.s.Packets = ivr.PacketStore{Dir: filepath.Join(t.TempDir(), "captures"), Vault: s.book.Vault}
	s.s.Trace = func(id string) (r ivr.Record, tr ivr.Trace, ok bool) {
		s.view(func(tx *storage.Tx) (err error) { r, err = s.s.Calls.Get(tx, id); return err })
		at := func(ms int) time.Time { return r.Started.Add(time.Duration(ms) * time.Millisecond) }
		leg := func(role string, from int) ivr.TraceLeg {
			return ivr.TraceLeg{Role: role, Direction: "in", Transport: "UDP", Remote: "10.0.0.7:5060", Codec: "PCMA", Started: at(from),
				Messages: []ivr.TraceMessage{{At: at(from), Out: role != "caller", Text: "INVITE (1 INVITE, application/sdp 232 bytes)"}, {At: at(from + 40), Out: role == "caller", Text: "180 Ringing (1 INVITE)"},
					{At: at(from + 900), Out: role == "caller", Text: "486 Busy Here (1 INVITE)"}},
				Media: &ivr.TraceMedia{PacketsIn: 1200, PacketsOut: 1300, Lost: 12, LossPercent: 1, JitterMS: 3.2, DepthMS: 60, MOSIn: 4.2}}
		}
		return r, ivr.Trace{CallID: id, Legs: []ivr.TraceLeg{leg("caller", 0), leg("8001", 3200)}}, true
	}
	if p := s.as("operator1").get("/calls/call-1/trace"); p.status != http.StatusForbidden {
		t.Errorf("an operator sees the ladder: %d", p.status)
	}
	b := s.as("supervisor1")
	p := b.get("/calls/call-1/trace")
	for _, want := range []string{"<svg", "INVITE (1 INVITE", "486 Busy Here", "振铃 8001", "10.0.0.7:5060", "抓取本次通话", "4.2"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if p := b.post("/calls/call-1/capture", form("reason", " ")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", p.status)
	}
	if p := b.post("/calls/call-1/capture", form("reason", "单通排查")); p.status != http.StatusOK || ordered.CallID != "call-1" {
		t.Errorf("ordered: %d %+v", p.status, ordered)
	}
	if p := b.post("/calls/capture", form("reason", "单通排查", "from", "12x")); p.status != http.StatusBadRequest && p.status != http.StatusUnprocessableEntity {
		t.Errorf("digits that are none: %d", p.status)
	}
	if p := b.post("/calls/capture", form("reason", "单通排查")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("too many: %d", p.status)
	}
	if p := b.post("/calls/call-1/packets", form("reason", "单通排查")); p.status != http.StatusNotFound {
		t.Errorf("packets that are not there: %d", p.status)
	}
	if err := s.s.Packets.Save(&sip.Packets{Call: "call-1", List: []sip.Packet{{At: time.Now(), Data: []byte("x")}}}); err != nil {
		t.Fatal(err)
	}
	if p := b.post("/calls/call-1/packets", form("reason", "单通排查")); p.status != http.StatusOK || p.header.Get("Content-Type") != "application/vnd.tcpdump.pcap" {
		t.Errorf("packets: %d", p.status)
	}
	if _, err := s.s.Packets.Open("../call-1"); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a name that leads elsewhere: %v", err)
	}
}
