package ivr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/sip/media"
	"lianxin/storage"
)

// Rewrapping is what Rewrap found: recordings by whether the present key wraps theirs.
type Rewrapping struct {
	Done    int            // wrapped anew
	Already int            // had the present key
	Missing int            // the file is not there
	Old     map[string]int // key → recordings that an older key still wraps
}

// RewrapRecordings wraps the key of every finished recording anew that an older key of the vault wraps; the sound itself stays
// as it is. The hash of the file changes with its header: an event names the one before and after, so that VerifyRecording
// holds. It may be stopped at any moment and run again. With dry it only counts.
func (c Calls) RewrapRecordings(ctx context.Context, db *storage.DB, dir string, dry bool) (w Rewrapping, err error) {
	w.Old = map[string]int{}
	for after := ""; ; {
		var list []string
		err := db.View(ctx, func(tx *storage.Tx) (err error) {
			list, err = storage.All(tx, storage.Value[string], `SELECT id FROM call WHERE id > $1 AND recording <> '' AND recording_gone IS NULL AND ended IS NOT NULL ORDER BY id LIMIT 200`, after)
			return err
		})
		if err != nil || len(list) == 0 {
			return w, err
		}
		for _, id := range list {
			after = id
			if err := c.rewrap(ctx, db, dir, id, dry, &w); err != nil {
				return w, fmt.Errorf("recording of call %s: %w", id, err)
			}
		}
	}
}

func (c Calls) rewrap(ctx context.Context, db *storage.DB, dir, id string, dry bool, w *Rewrapping) error {
	var r Record
	if err := db.View(ctx, func(tx *storage.Tx) (err error) { r, err = c.Get(tx, id); return err }); err != nil {
		return err
	}
	path, err := RecordingPath(dir, r)
	if err != nil {
		return nil // removed meanwhile
	}
	wrapped, err := media.WrappedKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.Missing++
		return nil
	case err != nil:
		return err
	case wrapped == nil || contact.KeyOf(wrapped) == c.Vault.KeyID():
		w.Already++
		return nil
	case dry:
		w.Old[contact.KeyOf(wrapped)]++
		return nil
	}
	// Never lay our hand on a file that is not what was recorded: that would hide who changed it.
	if err := db.View(ctx, func(tx *storage.Tx) error { return c.verify(tx, path, r, true) }); err != nil {
		return err
	}
	_, was, err := media.HashRecording(path)
	if err != nil {
		return err
	}
	next := path + ".rewrap"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sum, err := media.Rewrap(path, next, c.Vault.For(recordingPurpose+id).Again)
	if err != nil {
		return err
	}
	// First into the log, then the file: after a crash between the two the old file is known by the event's "was".
	err = db.Update(ctx, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`UPDATE call SET recording_sha256 = $2 WHERE id = $1 AND recording_gone IS NULL`, id, sum); err != nil {
			return err
		}
		_, err := audit.Append(tx, audit.Entry{Stream: callStream(id), Type: "call.rewrapped", Actor: "system", Payload: map[string]any{"sha256": sum, "was": was}})
		return err
	})
	if err != nil {
		os.Remove(next)
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	w.Done++
	return nil
}

// verify compares a file with the hashes that the log holds for it: the one it was recorded with, and those of its key having
// been wrapped anew. With halfway the hash before the last wrapping is good too: a crash may have come in between.
func (c Calls) verify(tx *storage.Tx, path string, r Record, halfway bool) error {
	_, sum, err := media.HashRecording(path)
	if err != nil {
		return err
	}
	events, err := audit.Stream(tx, callStream(r.ID))
	if err != nil {
		return err
	}
	now, before := "", ""
	for _, e := range events {
		var p struct{ SHA256, Was string }
		if e.Type != "call.recorded" && e.Type != "call.rewrapped" {
			continue
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		if e.Type == "call.rewrapped" && p.Was != now && p.Was != before {
			return errors.New("the audit log wraps the key of a file anew that was never recorded")
		}
		before, now = now, p.SHA256
		if e.Type == "call.rewrapped" {
			before = p.Was
		}
	}
	switch {
	case sum == r.RecordingSHA256 && (now == "" || now == sum):
		return nil
	case halfway && before != "" && sum == before && now == r.RecordingSHA256:
		return nil
	case sum != r.RecordingSHA256:
		return errors.New("the file is not what was recorded: its SHA-256 differs from the record's")
	}
	return errors.New("the file and the record are not what was recorded: the audit log has another SHA-256")
}

// Reseal seals kept packets again that an older key has sealed, and returns how many; with dry it only counts, by key.
func (s PacketStore) Reseal(dry bool) (done int, old map[string]int, err error) {
	old = map[string]int{}
	list, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, old, nil
	}
	if err != nil {
		return 0, old, fmt.Errorf("seal packets again: %w", err)
	}
	for _, e := range list {
		id, ok := strings.CutSuffix(e.Name(), ".packets")
		if !ok {
			continue
		}
		path := filepath.Join(s.Dir, e.Name())
		sealed, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return done, old, fmt.Errorf("seal packets again: %w", err)
		}
		if contact.KeyOf(sealed) == s.Vault.KeyID() {
			continue
		}
		if dry {
			old[contact.KeyOf(sealed)]++
			continue
		}
		again, err := s.box(id).Again(sealed)
		if err != nil {
			return done, old, fmt.Errorf("seal packets of call %s again: %w", id, err)
		}
		info, err := e.Info()
		if err != nil {
			return done, old, fmt.Errorf("seal packets of call %s again: %w", id, err)
		}
		if err := os.WriteFile(path+".next", again, 0o600); err != nil {
			return done, old, fmt.Errorf("seal packets of call %s again: %w", id, err)
		}
		// Their time counts from when they were kept.
		if err := errors.Join(os.Chtimes(path+".next", info.ModTime(), info.ModTime()), os.Rename(path+".next", path)); err != nil {
			return done, old, fmt.Errorf("seal packets of call %s again: %w", id, err)
		}
		done++
	}
	return done, old, nil
}
