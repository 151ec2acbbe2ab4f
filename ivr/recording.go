package ivr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lianxin/audit"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// recordingPurpose is what the keys of recordings are sealed for in the vault. The call's id is part of it: the recording of one
// call does not play in the place of another's.
const recordingPurpose = "call.recording "

// recordingKey opens the key of a call's recording.
func (c Calls) recordingKey(id string) media.Unwrap {
	return func(wrapped []byte) ([]byte, error) {
		key, err := c.Vault.For(recordingPurpose + id).Open(wrapped)
		return []byte(key), err
	}
}

// Why there is no sound although the record names a recording.
var (
	ErrNoRecording   = errors.New("the call has no recording")
	ErrRecordingGone = errors.New("the sound of the call has been removed")
)

// OpenRecording opens the recording of a call for a player; dir is the folder of recordings. The error is ErrNoRecording,
// ErrRecordingGone, fs.ErrNotExist, or says what is wrong with the file.
func (c Calls) OpenRecording(dir string, r Record) (*media.Player, error) {
	path, err := RecordingPath(dir, r)
	if err != nil {
		return nil, err
	}
	return media.OpenRecording(path, c.recordingKey(r.ID))
}

// RecordingPath is where the file of a call's recording lies.
func RecordingPath(dir string, r Record) (string, error) {
	switch name := filepath.FromSlash(r.Recording); {
	case r.Recording == "":
		return "", ErrNoRecording
	case !r.RecordingGone.IsZero():
		return "", ErrRecordingGone
	case !filepath.IsLocal(name):
		return "", fmt.Errorf("recording of call %s: its name leads out of the folder", r.ID)
	default:
		return filepath.Join(dir, name), nil
	}
}

// retryRecording is how often a call that is not recorded looks whether it could be by now.
const retryRecording = 2 * time.Second

// startRecording records both directions from here to the end, encrypted. A disk that fails does not end a call: it goes on
// unrecorded, its record says so, and an alert is raised. As soon as the disk has room again the recording begins.
func (v *visit) startRecording() {
	err := v.beginRecording(false)
	switch {
	case err == nil:
	case errors.Is(err, media.ErrClosed):
		v.log.Debug("ivr: the caller was gone before the recording began")
	default:
		v.unrecorded(err)
		v.h.stopped.Go(v.recordLater)
	}
}

// recordLater begins the recording of a call when the trouble that kept it from being recorded is over.
func (v *visit) recordLater() {
	again := time.NewTicker(retryRecording)
	defer again.Stop()
	for {
		select {
		case <-v.call.Done():
			return
		case <-again.C:
		}
		if v.h.tryRecording() != nil {
			continue
		}
		switch err := v.beginRecording(true); {
		case err == nil:
			v.log.Info("ivr: a call that could not be recorded is from here on")
			v.did("恢复录音")
			ctx, cancel := after(context.Background())
			v.noteLateRecording(ctx)
			cancel()
			return
		case errors.Is(err, media.ErrClosed):
			return
		default:
			v.log.Debug("ivr: a call is still not recorded", "err", err)
		}
	}
}

// noteLateRecording writes down that there is a recording, so that a crash finds it. The end of the call writes it, too.
func (v *visit) noteLateRecording(ctx context.Context) {
	r := v.record()
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE call SET recording = $2, recorded_from = $3, recording_fault = $4 WHERE id = $1 AND ended IS NULL`,
			r.ID, r.Recording, storage.At(r.RecordedFrom), r.RecordingFault)
		return err
	})
	if err != nil {
		v.log.Error("ivr: note the recording of a call", "err", err)
	}
}

// beginRecording begins the recording, late if it could not begin with the call. The error is media.ErrClosed when the call is over.
func (v *visit) beginRecording(late bool) error {
	name := path.Join(v.rec.Started.In(workday.Zone).Format("2006/01/02"), v.rec.ID+".lxrec")
	file := filepath.Join(v.h.cfg.Recordings, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("folder for a recording: %w", err)
	}
	box := v.h.calls.Vault.For(recordingPurpose + v.rec.ID)
	began := v.h.now() // before the first frame: what a crash leaves is dated by this and its length
	rec, err := v.call.Media().Record(file, media.RecordOptions{
		Sync: 5 * time.Second, Reserve: v.h.cfg.RecordingReserve, Wrap: func(key []byte) []byte { return box.Seal(string(key)) },
		Paused: late, // the caller may be keying what must not be stored
	})
	if err != nil {
		return err
	}
	v.recLock.Lock()
	over := v.recOver
	if !over {
		v.recording = rec
		if late && !v.call.Media().IsPrivate() {
			rec.Resume()
		}
	}
	v.recLock.Unlock()
	if over { // the call ended meanwhile
		_, err := rec.Stop()
		return errors.Join(media.ErrClosed, err, os.Remove(file))
	}
	v.h.recordingWorks()
	v.note(func(r *Record) {
		r.Recording, r.RecordedFrom = name, began
		if late {
			r.RecordingFault = strings.TrimSuffix(r.RecordingFault, "）") + "，" + began.In(workday.Zone).Format("15:04:05") + "恢复录音）"
		}
	})
	go func() {
		select {
		case <-rec.Failed():
			v.unrecorded(rec.Err()) // what is written after this is kept: the recording goes on when there is room again
		case <-v.call.Done():
		}
	}()
	return nil
}

func (v *visit) stopRecording() {
	v.recLock.Lock()
	rec := v.recording
	v.recOver = true
	v.recLock.Unlock()
	if rec == nil {
		return
	}
	res, err := rec.Stop()
	if err != nil {
		v.unrecorded(err)
	}
	lacks := time.Duration(res.Dropped) * 20 * time.Millisecond
	if lacks > 0 {
		v.log.Warn("ivr: recording has gaps", "frames", res.Dropped)
	}
	v.note(func(r *Record) {
		if r.RecordingFault != "" && lacks > 0 {
			r.RecordingFault += fmt.Sprintf("，共缺%d秒", int((lacks+time.Second-1)/time.Second))
		}
		r.RecordingTime, r.RecordingBytes, r.RecordingSHA256, r.RecordingPaused = res.Duration, res.Bytes, res.SHA256, res.Paused
	})
}

// faultOf is why a call is not recorded, for people.
func faultOf(err error) string {
	switch {
	case errors.Is(err, media.ErrNoRoom), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "磁盘空间不足"
	case errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		return "录音目录不可写"
	}
	return "磁盘写入失败"
}

// unrecorded notes, once, that a call or its end is not recorded, and calls for somebody to mend it.
func (v *visit) unrecorded(err error) {
	v.silent.Do(func() {
		why := faultOf(err)
		v.log.Error("ivr: a call is not recorded", "err", err)
		since := v.h.now().In(workday.Zone).Format("15:04:05")
		v.note(func(r *Record) { r.RecordingFault = why + "（" + since + "起）" })
		v.did("未能录音：" + why)
		v.h.recordingFails(why)
		v.h.stopped.Go(func() { v.alertUnrecorded(why) }) // the call does not wait for it
	})
}

func (v *visit) alertUnrecorded(why string) {
	ctx, cancel := after(context.Background())
	defer cancel()
	now := v.h.now().In(workday.Zone)
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		_, err := v.h.cfg.Office.RaiseAlert(tx, ticket.Alert{
			Key:  "recording_fault:" + v.h.cfg.Node + ":" + now.Format("2006-01-02T15"), // one an hour
			Rule: "recording_fault", Level: ticket.Orange, CallID: v.rec.ID, Subject: "node/" + v.h.cfg.Node,
			Title: "通话未能录音：" + why, Evidence: "热线照常接听，但录音写不进磁盘（" + why + "）。请腾出磁盘空间或修复录音目录；受影响的通话在通话记录里注明。", By: ticket.System,
		})
		return err
	})
	if err != nil {
		v.log.Error("ivr: raise the alert that calls are not recorded", "err", err)
	}
}

// recordingTrouble is whether recordings can be written.
type recordingTrouble struct {
	mu     sync.Mutex
	why    string // "" while all is well
	since  time.Time
	failed uint64 // calls that are not, or not wholly, recorded
}

// RecordingHealth is the state of recording.
type RecordingHealth struct {
	OK     bool
	Why    string // what is wrong (zh-CN)
	Since  time.Time
	Failed uint64 // calls since the start that are not, or not wholly, recorded
}

func (h *Hotline) recordingFails(why string) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.disk.why == "" {
		h.disk.since = h.now()
	}
	h.disk.why = why
	h.disk.failed++
}

func (h *Hotline) recordingWorks() {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	h.disk.why = ""
}

// RecordingHealth says whether calls are recorded. It looks at the disk itself, so that the answer is there before a call is lost
// and goes away when the trouble does.
func (h *Hotline) RecordingHealth() RecordingHealth {
	why := ""
	if err := h.tryRecording(); err != nil {
		why = faultOf(err)
	}
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.disk.why == "" && why != "" {
		h.disk.since = h.now()
	}
	h.disk.why = why
	out := RecordingHealth{OK: why == "", Why: why, Failed: h.disk.failed}
	if why != "" {
		out.Since = h.disk.since
	}
	return out
}

// tryRecording does what the beginning of a recording does.
func (h *Hotline) tryRecording() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(h.cfg.Recordings, &fs); err != nil {
		return err
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < h.cfg.RecordingReserve {
		return media.ErrNoRoom
	}
	dir := filepath.Join(h.cfg.Recordings, h.now().In(workday.Zone).Format("2006/01/02"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// logRecording puts the hash of a finished recording into the audit log, in the transaction that ends the call: who alters the
// file or the record later is found out.
func logRecording(tx *storage.Tx, r Record) error {
	if r.Recording == "" || r.RecordingSHA256 == "" {
		return nil
	}
	_, err := audit.Append(tx, audit.Entry{
		Stream: callStream(r.ID), Type: "call.recorded", Actor: "system", At: r.Ended,
		Payload: map[string]any{"sha256": r.RecordingSHA256, "bytes": r.RecordingBytes, "ms": r.RecordingTime.Milliseconds(), "file": r.Recording,
			"paused_ms": r.RecordingPaused.Milliseconds(), "fault": r.RecordingFault},
	})
	if err != nil {
		return fmt.Errorf("log the recording of a call: %w", err)
	}
	return nil
}

// callStream is a call's stream in the audit log.
func callStream(id string) string { return "call/" + id }
