package ivr_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/storage"
	"lianxin/ticket"
)

// A finished recording is encrypted, its hash is in the audit log, and it goes when its time is over, but not the record.
func TestARecordingIsSealedHashedAndGoesInItsTime(t *testing.T) {
	t.Parallel()
	s := ivrtest.New(t, ivrtest.Options{})
	for _, number := range []string{"13841400001", "13841400002", "13841400003"} {
		call := dial(t, s, number)
		hears(t, s, call, "menu.main")
		must(t, call.Hangup(patient(t)))
		s.Quiet(t)
	}
	dir := filepath.Join(s.Dir, "recordings")
	records, calls := s.Records(t), s.Hotline.Calls()
	plain, complaint, held := records[0], records[1], records[2]
	path, err := ivr.RecordingPath(dir, plain)
	must(t, err)
	b, err := os.ReadFile(path)
	must(t, err)
	if strings.HasPrefix(string(b), "RIFF") || int64(len(b)) != plain.RecordingBytes {
		t.Errorf("the file on the disk begins with %q", b[:4])
	}
	s.View(t, func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "call/"+plain.ID)
		if len(events) != 1 || events[0].Type != "call.recorded" || !strings.Contains(string(events[0].Payload), plain.RecordingSHA256) {
			t.Errorf("audit log: %+v", events)
		}
		return errors.Join(err, calls.VerifyRecording(tx, dir, plain))
	})
	// The recording of one call does not pass for another's.
	other := plain
	other.ID = complaint.ID
	if _, err := calls.OpenRecording(dir, other); err == nil {
		t.Error("a recording opened under another call's id")
	}

	must(t, s.DB.Update(context.Background(), func(tx *storage.Tx) error {
		phone, err := contact.ParseMobile("13841400002")
		if err != nil {
			return err
		}
		p, err := s.Book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		tk, err := s.Office.Open(tx, ticket.Intake{Channel: "web", Kind: ticket.Complaint, Title: "投诉", Body: "办事态度不好。", ContactID: p.ID, CallID: complaint.ID, By: ticket.System})
		if err != nil {
			return err
		}
		if _, err := s.Office.Withdraw(tx, tk.ID, ticket.Withdrawal{Reason: "来电人撤回", Evidence: "通话录音"}, ticket.System); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE call SET ticket_id = $2 WHERE id = $1`, complaint.ID, tk.ID); err != nil {
			return err
		}
		return calls.Hold(tx, held.ID, "信访复查需要", "staff/x")
	}))
	now := time.Now()
	r := ivr.Retention{DB: s.DB, Calls: calls, Office: s.Office, Dir: dir, Keep: 730 * 24 * time.Hour, Linked: 1825 * 24 * time.Hour, Now: func() time.Time { return now }}
	names := func(list []ivr.Expired, err error) string {
		must(t, err)
		var out []string
		for _, e := range list {
			out = append(out, e.CallID)
		}
		return strings.Join(out, " ")
	}
	for _, step := range []struct {
		after time.Duration
		gone  string
	}{
		{0, ""},
		{729 * 24 * time.Hour, ""},
		{731 * 24 * time.Hour, plain.ID},
		{1826 * 24 * time.Hour, complaint.ID}, // and the held one never
	} {
		now = time.Now().Add(step.after)
		if got := names(r.Preview(context.Background())); got != step.gone {
			t.Errorf("after %v the preview names %q, want %q", step.after, got, step.gone)
		}
		if got := names(r.Run(context.Background(), "system")); got != step.gone {
			t.Errorf("after %v gone are %q, want %q", step.after, got, step.gone)
		}
	}
	after := s.Records(t)[0]
	if after.RecordingGone.IsZero() || after.RecordingGoneWhy != "保存期730天届满" || after.RecordingSHA256 != plain.RecordingSHA256 {
		t.Errorf("the record says %+v", after)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the sound is still there: %v", err)
	}
	if _, err := calls.OpenRecording(dir, after); !errors.Is(err, ivr.ErrRecordingGone) {
		t.Errorf("opened: %v", err)
	}
	if p, err := calls.OpenRecording(dir, held); err != nil {
		t.Errorf("the held recording: %v", err)
	} else {
		p.Close()
	}
}
