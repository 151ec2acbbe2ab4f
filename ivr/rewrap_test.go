package ivr

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// sealedRecording writes a sealed recording as the media room lays it down: its header with the wrapped key, then the sound.
func sealedRecording(t *testing.T, path string, box contact.Box) []byte {
	t.Helper()
	wrapped := box.Seal(string(bytes.Repeat([]byte{7}, 32)))
	sound := bytes.Repeat([]byte("sealed sound, chunk by chunk "), 400)
	var b bytes.Buffer
	b.WriteString("LXREC\x01")
	b.Write([]byte{0, 0, 0x19, 0}) // 6,400 bytes of sound per chunk
	b.Write([]byte{byte(len(wrapped) >> 8), byte(len(wrapped))})
	b.Write(wrapped)
	b.Write(sound)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return sound
}

func TestRecordingsGetTheNewKeyAndStayWhatWasRecorded(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx, dir := context.Background(), t.TempDir()
		vault, err := contact.OpenVault(filepath.Join(dir, "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := vault.Bind(ctx, db); err != nil {
			t.Fatal(err)
		}
		calls, rec := Calls{Vault: vault}, filepath.Join(dir, "recordings")
		var sound []byte
		for _, id := range []string{"one", "two"} {
			path := filepath.Join(rec, id+".lxrec")
			sound = sealedRecording(t, path, vault.For(recordingPurpose+id))
			_, sum, err := media.HashRecording(path)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			r := Record{ID: id, Node: "n", Started: at, Seen: at, Ended: at.Add(time.Minute), Disposition: Answered, Recording: id + ".lxrec", RecordingSHA256: sum, RecordingBytes: 1}
			if err := db.Update(ctx, func(tx *storage.Tx) error {
				if err := calls.save(tx, &r); err != nil {
					return err
				}
				return logRecording(tx, r)
			}); err != nil {
				t.Fatal(err)
			}
		}
		packets := PacketStore{Dir: filepath.Join(dir, "captures"), Vault: vault}
		if err := packets.Save(&sip.Packets{Call: "one"}); err != nil {
			t.Fatal(err)
		}
		old := vault.KeyID()
		if err := vault.Rotate(); err != nil {
			t.Fatal(err)
		}
		if err := vault.Bind(ctx, db); err != nil {
			t.Fatal(err)
		}
		count := func() (w Rewrapping, captured int) {
			w, err := calls.RewrapRecordings(ctx, db, rec, true)
			_, by, err2 := packets.Reseal(true)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			return w, by[old]
		}
		if w, captured := count(); w.Old[old] != 2 || captured != 1 {
			t.Fatalf("before: %+v, %d captures", w, captured)
		}
		// The machine dies between the log and the file: the event is there, the file is the old one.
		path := filepath.Join(rec, "one.lxrec")
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := calls.RewrapRecordings(ctx, db, rec, false); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := calls.RewrapRecordings(ctx, db, rec, false)
		if err != nil || w.Done != 1 || w.Already != 1 {
			t.Fatalf("after the crash: %+v %v", w, err)
		}
		if n, _, err := packets.Reseal(false); n != 1 || err != nil {
			t.Fatalf("%d captures sealed again: %v", n, err)
		}
		if _, err := packets.Open("one"); err != nil {
			t.Error(err)
		}
		if w, captured := count(); len(w.Old) != 0 || captured != 0 {
			t.Errorf("after: %+v, %d captures", w, captured)
		}
		verify := func(id string) error {
			return db.View(ctx, func(tx *storage.Tx) error {
				r, err := calls.Get(tx, id)
				if err != nil {
					return err
				}
				return calls.VerifyRecording(tx, rec, r)
			})
		}
		for _, id := range []string{"one", "two"} {
			if err := verify(id); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			p := filepath.Join(rec, id+".lxrec")
			wrapped, err := media.WrappedKey(p)
			if err != nil || contact.KeyOf(wrapped) != vault.KeyID() {
				t.Errorf("%s is wrapped by %s: %v", id, contact.KeyOf(wrapped), err)
			}
			if key, err := calls.recordingKey(id)(wrapped); err != nil || !bytes.Equal(key, bytes.Repeat([]byte{7}, 32)) {
				t.Errorf("%s: the key is another: %v", id, err)
			}
			f, err := os.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(f)
			f.Close()
			if err != nil || !bytes.HasSuffix(all, sound) {
				t.Errorf("%s: the sound was touched: %v", id, err)
			}
		}
		// Nothing is sealed with the old key any more: it goes, and the program starts without it.
		if err := vault.Retire(ctx, db, vault.KeyID()); err == nil {
			t.Error("the key in use was retired")
		}
		if err := vault.Retire(ctx, db, old); err != nil {
			t.Fatal(err)
		}
		again, err := contact.OpenVault(filepath.Join(dir, "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Bind(ctx, db); err != nil || len(again.OldKeys()) != 0 {
			t.Errorf("without the old key: %v %v", again.OldKeys(), err)
		}
		// A file that somebody has changed is not laid hands on, and is still found.
		if err := os.WriteFile(path, append(before, 'x'), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := calls.RewrapRecordings(ctx, db, rec, false); err == nil {
			t.Error("a forged recording was wrapped anew")
		}
		if verify("one") == nil {
			t.Error("a forged recording passes")
		}
		if rep, err := audit.Verify(ctx, db, nil); err != nil || rep.Broken != nil {
			t.Errorf("the chain: %v %v", err, rep.Broken)
		}
	})
}
