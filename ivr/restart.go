package ivr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// Recovered tells what Recover found.
type Recovered struct {
	Calls      int // records without an end that were closed
	Recordings int // of them with a recording that could be read
	Callbacks  int // call-backs opened for their callers
}

// foreign is how long another program's record may be without a sign of life before it is taken for dead.
const foreign = 2 * time.Minute

// Recover closes the records of calls that a crash left open: the recording's header is repaired, the record ends at
// its last sign of life, its disposition says what had been reached, and a caller who had not been served is called
// back. It is run once at start, before calls are served; records of other programs are touched only when those are
// dead.
func (h *Hotline) Recover(ctx context.Context) (Recovered, error) {
	var sum Recovered
	var open []Record
	err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		open, err = storage.All(tx, h.calls.scan, `SELECT `+recordColumns+` FROM call
			WHERE ended IS NULL AND (node = $1 OR seen < $2) ORDER BY started`, h.cfg.Node, storage.At(h.now().Add(-foreign)))
		return err
	})
	if err != nil {
		return sum, fmt.Errorf("find calls left open: %w", err)
	}
	for _, r := range open {
		if h.IsLive(r.ID) {
			continue
		}
		if err := h.closeOut(ctx, r, &sum); err != nil {
			return sum, fmt.Errorf("close call %s: %w", r.ID, err)
		}
	}
	if sum.Calls > 0 {
		h.log.Warn("ivr: calls left open by a crash were closed", "calls", sum.Calls, "recordings", sum.Recordings, "callbacks", sum.Callbacks)
	}
	return sum, nil
}

// closeOut ends one record truthfully.
func (h *Hotline) closeOut(ctx context.Context, r Record, sum *Recovered) error {
	r.Ended, r.EndedBy, r.Cause = r.Seen, "crash", "the program ended under the call"
	served := !r.Connected.IsZero() || r.MessageTime > 0 || r.CallbackID != ""
	r.Disposition = Interrupted
	if r.Recording != "" {
		res, err := media.Repair(ctx, filepath.Join(h.cfg.Recordings, filepath.FromSlash(r.Recording)), h.calls.recordingKey(r.ID))
		switch {
		case err == nil:
			r.RecordingTime, r.RecordingBytes, r.RecordingSHA256 = res.Duration, res.Bytes, res.SHA256
			// The recording may know of a later moment than the last heartbeat did.
			if end := r.RecordedFrom.Add(res.Duration); end.After(r.Ended) && end.Before(h.now()) {
				r.Ended = end
			}
			sum.Recordings++
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, media.ErrWAV), errors.Is(err, media.ErrSealedRecording):
			r.RecordingFault = "录音文件无法读取"
			h.log.Warn("ivr: recording of an interrupted call", "call", r.ID, "err", err)
		default:
			return err
		}
	}
	if !r.Connected.IsZero() && r.Parted.IsZero() {
		r.Parted = r.Ended
		r.Talk += r.Ended.Sub(r.Connected)
	}
	if !r.Queued.IsZero() && r.Connected.IsZero() {
		r.Wait = r.Ended.Sub(r.Queued)
	}
	r.Steps = append(r.Steps, Step{At: r.Ended.Sub(r.Started).Milliseconds(), Did: "系统中断"})
	owe := r.Direction != Outbound && !r.Answered.IsZero() && r.ContactID != "" && r.CallbackID == "" && (!served || r.Parted.Equal(r.Ended))
	opened := false
	err := h.update(ctx, func(tx *storage.Tx) error {
		done := r // a transaction that is repeated begins anew
		if _, err := tx.Exec(`UPDATE call_stay SET left_at = $2, outcome = $3 WHERE call_id = $1 AND left_at IS NULL`, r.ID, storage.At(r.Ended), stayInterrupted); err != nil {
			return err
		}
		if r.Direction == Outbound { // its call-back is still open, and says so
			return h.calls.save(tx, &done)
		}
		if err := h.settle(tx, &done, due{owe: owe, reason: interruptedReason, by: ticket.System}); err != nil {
			return err
		}
		if err := logRecording(tx, done); err != nil {
			return err
		}
		opened = done.CallbackID != r.CallbackID
		return h.calls.save(tx, &done)
	})
	if err != nil {
		return err
	}
	sum.Calls++
	if opened {
		sum.Callbacks++
	}
	return nil
}
