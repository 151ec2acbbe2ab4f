package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
)

// piece gets a part of what is at path.
func (b *browser) piece(path, span string) answer {
	b.h.t.Helper()
	r, err := http.NewRequest("GET", b.h.http.URL+path, nil)
	if err != nil {
		b.h.t.Fatal(err)
	}
	r.Header.Set("Range", span)
	return b.send(r)
}

// A player asks for any pieces in any order: that is one hearing, and no way round the log.
func TestNoPieceOfARecordingIsHeardUnlogged(t *testing.T) {
	s := newHouse(t).fill()
	count := func() int {
		n := 0
		s.view(func(tx *storage.Tx) (err error) {
			n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM audit_event WHERE type = 'call.recording_played'`)
			return err
		})
		return n
	}
	b := s.as("operator1")
	for range 3 {
		if p := b.piece("/calls/call-1/recording", "bytes=1000-1999"); p.status != http.StatusPartialContent || len(p.body) != 1000 {
			t.Fatalf("a piece: %d, %d bytes", p.status, len(p.body))
		}
	}
	if n := count(); n != 1 {
		t.Errorf("%d hearings in the log after three pieces, want 1", n)
	}
	s.pass(time.Hour)
	b.piece("/calls/call-1/recording", "bytes=0-")
	if n := count(); n != 2 {
		t.Errorf("%d hearings in the log an hour later, want 2", n)
	}
}

func TestARecordingIsKeptBeyondItsTimeByWhoMay(t *testing.T) {
	s := newHouse(t).fill()
	if p := s.as("operator1").post("/calls/call-1/hold", form("reason", "信访复查")); p.status != http.StatusForbidden {
		t.Errorf("an operator holds a recording: %d", p.status)
	}
	b := s.as("supervisor1")
	if p := b.post("/calls/call-1/hold", form("reason", " ")); p.status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", p.status)
	}
	if p := b.post("/calls/call-1/hold", form("reason", "信访复查")); !strings.Contains(p.body, "已留存，到期不删除：信访复查") {
		t.Errorf("after holding: %s", p.plain())
	}
	if p := b.get("/calls/call-1"); !strings.Contains(p.body, "supervisor1 20") {
		t.Errorf("the player has no watermark: %s", p.plain())
	}
	if p := b.post("/calls/call-1/hold", form("release", "yes")); strings.Contains(p.body, "信访复查") {
		t.Errorf("after letting go: %s", p.plain())
	}
}
