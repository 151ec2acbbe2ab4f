package ivr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"lianxin/audit"
	"lianxin/schedule"
	"lianxin/storage"
	"lianxin/ticket"
)

// Retention removes the sound of calls whose time is over. Their records stay and say when and why the sound went.
type Retention struct {
	DB     *storage.DB
	Calls  Calls
	Office *ticket.Office
	Dir    string // folder of recordings

	Keep   time.Duration // how long sound is kept; 0: for ever
	Linked time.Duration // how long when the call belongs to a complaint or a report of misconduct; never shorter than Keep

	Traces time.Duration // how long the ladders of calls are kept; 0: for ever

	Packets     PacketStore   // of calls that were captured; none when its Dir is empty
	KeepPackets time.Duration // how long they are kept; 0: for ever

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // slog.Default() when nil
}

// Expired is a recording that Retention would remove, or has removed.
type Expired struct {
	CallID  string
	Started time.Time
	Bytes   int64
	Why     string // zh-CN
}

// Preview lists what Run would remove now, the oldest first.
func (r Retention) Preview(ctx context.Context) ([]Expired, error) {
	if r.Keep <= 0 {
		return nil, nil
	}
	var out []Expired
	err := r.DB.View(ctx, func(tx *storage.Tx) error {
		list, err := storage.All(tx, r.Calls.scan, `SELECT `+recordColumns+` FROM call
			WHERE recording <> '' AND recording_gone IS NULL AND recording_hold = '' AND ended IS NOT NULL AND started < $1
			ORDER BY started LIMIT 5000`, storage.At(r.now().Add(-r.Keep)))
		if err != nil {
			return err
		}
		for _, c := range list {
			keep, err := r.keep(tx, c)
			if err != nil {
				return err
			}
			if keep > 0 && c.Started.Before(r.now().Add(-keep)) {
				out = append(out, Expired{CallID: c.ID, Started: c.Started, Bytes: c.RecordingBytes, Why: fmt.Sprintf("保存期%d天届满", int(keep/(24*time.Hour)))})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find recordings whose time is over: %w", err)
	}
	return out, nil
}

// keep is how long the sound of a call is kept; 0: as long as its ticket is open, or for ever.
func (r Retention) keep(tx *storage.Tx, c Record) (time.Duration, error) {
	if c.TicketID == "" {
		return r.Keep, nil
	}
	t, err := r.Office.Get(tx, c.TicketID)
	if errors.Is(err, storage.ErrNotFound) {
		return r.Keep, nil
	}
	switch {
	case err != nil:
		return 0, err
	case t.State.Open():
		return 0, nil
	case t.Kind == ticket.Complaint || t.OriginalKind == ticket.Complaint || t.Kind == ticket.Report || t.OriginalKind == ticket.Report:
		return max(r.Keep, r.Linked), nil
	}
	return r.Keep, nil
}

// Run removes what Preview lists. Each removal is one event of its call in the audit log; a crash in the middle is made good by
// the next run. by is who asked for it: "system" for the scheduled one.
func (r Retention) Run(ctx context.Context, by string) ([]Expired, error) {
	list, err := r.Preview(ctx)
	if err != nil {
		return nil, err
	}
	var done []Expired
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if err := r.remove(ctx, e, by); err != nil {
			return done, fmt.Errorf("remove the recording of call %s: %w", e.CallID, err)
		}
		done = append(done, e)
	}
	return done, r.tidy(ctx)
}

// forget removes ladders and packets whose time is over.
func (r Retention) forget(ctx context.Context) error {
	if r.Packets.Dir != "" && r.KeepPackets > 0 {
		if _, err := r.Packets.Expire(r.now().Add(-r.KeepPackets)); err != nil {
			return err
		}
	}
	if r.Traces <= 0 {
		return nil
	}
	return r.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`DELETE FROM call_trace WHERE at < $1`, storage.At(r.now().Add(-r.Traces)))
		return err
	})
}

// remove writes down that the sound is gone, and then makes it so: never the other way round.
func (r Retention) remove(ctx context.Context, e Expired, by string) error {
	var file string
	err := r.DB.Update(ctx, func(tx *storage.Tx) error {
		c, err := r.Calls.Get(tx, e.CallID)
		if err != nil || !c.RecordingGone.IsZero() || c.RecordingHold != "" {
			return err // meanwhile another node did it, or somebody put it on hold
		}
		if file, err = RecordingPath(r.Dir, c); err != nil {
			return err
		}
		now := r.now()
		if _, err := tx.Exec(`UPDATE call SET recording_gone = $2, recording_gone_why = $3 WHERE id = $1`, c.ID, storage.At(now), e.Why); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM call_transcript WHERE call_id = $1`, c.ID); err != nil { // what a machine heard goes with what it heard it from
			return err
		}
		_, err = audit.Append(tx, audit.Entry{Stream: callStream(c.ID), Type: "call.recording_removed", Actor: by, At: now,
			Payload: map[string]any{"why": e.Why, "sha256": c.RecordingSHA256, "bytes": c.RecordingBytes}})
		return err
	})
	if err != nil || file == "" {
		return err
	}
	return removeFile(file)
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// tidy removes files that a crash left behind after their removal had been written down.
func (r Retention) tidy(ctx context.Context) error {
	var gone []Record
	err := r.DB.View(ctx, func(tx *storage.Tx) (err error) {
		gone, err = storage.All(tx, r.Calls.scan, `SELECT `+recordColumns+` FROM call WHERE recording_gone > $1`, storage.At(r.now().Add(-8*24*time.Hour)))
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range gone {
		c.RecordingGone = time.Time{}
		if path, err := RecordingPath(r.Dir, c); err == nil {
			if err := removeFile(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Job runs the retention every night.
func (r Retention) Job(spec string) schedule.Job {
	return schedule.Job{Name: "recording.retention", Spec: spec, Window: 20 * time.Hour, Run: func(ctx context.Context, _ time.Time) error {
		done, err := r.Run(ctx, "system")
		if len(done) > 0 {
			var bytes int64
			for _, e := range done {
				bytes += e.Bytes
			}
			r.log().Info("ivr: recordings removed whose time is over", "recordings", len(done), "bytes", bytes)
		}
		return errors.Join(err, r.forget(ctx))
	}}
}

// Hold keeps the sound of a call beyond its time, for the reason given, or lets it go again when why is empty.
func (c Calls) Hold(tx *storage.Tx, id, why, by string) error {
	r, err := c.Get(tx, id)
	if err != nil {
		return err
	}
	if _, err := RecordingPath("", r); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE call SET recording_hold = $2 WHERE id = $1`, id, why); err != nil {
		return err
	}
	typ := "call.recording_held"
	if why == "" {
		typ = "call.recording_released"
	}
	_, err = audit.Append(tx, audit.Entry{Stream: callStream(id), Type: typ, Actor: by, Payload: map[string]any{"why": why}})
	return err
}

// VerifyRecording compares a call's recording with the hash in its record and in the audit log. The error says what differs.
func (c Calls) VerifyRecording(tx *storage.Tx, dir string, r Record) error {
	path, err := RecordingPath(dir, r)
	if err != nil {
		return err
	}
	return c.verify(tx, path, r, false)
}

func (r Retention) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r Retention) log() *slog.Logger {
	if r.Log != nil {
		return r.Log
	}
	return slog.Default()
}
