package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/iotest"
	"time"
)

// wrapping hides a key the way a vault does: nothing of it can be seen outside.
func wrapping() (wrap func([]byte) []byte, unwrap Unwrap) {
	kept := map[string][]byte{}
	return func(key []byte) []byte {
			sum := sha256.Sum256(key)
			kept[string(sum[:])] = bytes.Clone(key)
			return sum[:]
		}, func(w []byte) ([]byte, error) {
			if key := kept[string(w)]; key != nil {
				return key, nil
			}
			return nil, errors.New("another vault")
		}
}

func sealed(t *testing.T, push func(*Recording)) (path string, res Result, unwrap Unwrap) {
	t.Helper()
	d, path := newDisk(t)
	wrap, unwrap := wrapping()
	r, err := deskLeg().record(d, path, RecordOptions{Wrap: wrap})
	if err != nil {
		t.Fatal(err)
	}
	push(r)
	r.end()
	if res, err = r.Stop(); err != nil {
		t.Fatal(err)
	}
	return path, res, unwrap
}

func wavOf(t *testing.T, path string, unwrap Unwrap) WAV {
	t.Helper()
	p, err := OpenRecording(path, unwrap)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	b, err := io.ReadAll(p)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != p.Size() {
		t.Fatalf("%d bytes of a WAV of %d", len(b), p.Size())
	}
	w, err := ParseWAV(b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestSealedRecordingPlaysAndItsFileTellsNothing(t *testing.T) {
	path, res, unwrap := sealed(t, func(r *Recording) {
		pushFrames(r, 0, 33, 1000) // ends inside a chunk
		pushFrames(r, 58, 27, 2000)
	})
	w := wavOf(t, path, unwrap)
	left := w.Channel(0)
	if len(left) != 85*FrameSamples || res.Duration != 85*FrameTime {
		t.Fatalf("%d samples, %v", len(left), res.Duration)
	}
	for frame, want := range map[int]int16{0: 1000, 32: 1000, 33: 0, 45: 0, 57: 0, 58: 2000, 84: 2000} {
		if left[frame*FrameSamples] != want || w.Channel(1)[frame*FrameSamples] != -want {
			t.Errorf("frame %d holds %d, want %d", frame, left[frame*FrameSamples], want)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte{0xE8, 0x03, 0x18, 0xFC}) || bytes.Contains(b, []byte("RIFF")) {
		t.Error("sound can be read in the file")
	}
	sum := sha256.Sum256(b)
	if res.SHA256 != hex.EncodeToString(sum[:]) || res.Bytes != int64(len(b)) {
		t.Errorf("%+v is not the file as it lies on the disk", res)
	}
	_, other := wrapping()
	for _, u := range []Unwrap{nil, other} {
		if _, err := OpenRecording(path, u); !errors.Is(err, ErrSealedRecording) {
			t.Errorf("opened with another key: %v", err)
		}
	}
}

func TestSealedRecordingCanBeReadInAnyPieces(t *testing.T) {
	path, _, unwrap := sealed(t, func(r *Recording) {
		for i := range int64(57) {
			pushFrames(r, i, 1, int16(100+i))
		}
	})
	p, err := OpenRecording(path, unwrap)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	whole, err := io.ReadAll(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(p, whole); err != nil {
		t.Error(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		from := rng.IntN(len(whole))
		b := make([]byte, rng.IntN(20_000)+1)
		p.Seek(int64(from), io.SeekStart)
		n, err := io.ReadFull(p, b)
		if err != nil && from+len(b) <= len(whole) || !bytes.Equal(b[:n], whole[from:from+n]) {
			t.Fatalf("%d bytes from %d: %v", len(b), from, err)
		}
	}
}

// Whatever length a crash leaves, all that was sealed before can be played, and repairing finds the same.
func TestSealedRecordingSurvivesBeingCutAnywhere(t *testing.T) {
	path, _, unwrap := sealed(t, func(r *Recording) { pushFrames(r, 0, 35, 1000) })
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenRecording(path, unwrap)
	if err != nil {
		t.Fatal(err)
	}
	base, chunk := p.base, p.chunk+sealedTag
	p.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := base + rng.Int64N(int64(len(b))-base+1)
		if err := os.WriteFile(path, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := time.Duration((n-base)/chunk) * recFrames * FrameTime
		if n == int64(len(b)) {
			want = 35 * FrameTime
		}
		if d := soundTime(int64(2 * len(wavOf(t, path, unwrap).Samples))); d != want {
			t.Fatalf("cut at %d: %v can be played, want %v", n, d, want)
		}
		res, err := Repair(context.Background(), path, unwrap)
		if err != nil || res.Duration != want {
			t.Fatalf("cut at %d: repaired to %v, want %v, %v", n, res.Duration, want, err)
		}
		if again, err := Repair(context.Background(), path, unwrap); err != nil || again != res {
			t.Fatalf("repaired twice: %+v, %v", again, err)
		}
	}
}

func TestAlteredSealedRecordingIsNotPlayed(t *testing.T) {
	path, _, unwrap := sealed(t, func(r *Recording) { pushFrames(r, 0, 40, 1000) })
	b, _ := os.ReadFile(path)
	p, err := OpenRecording(path, unwrap)
	if err != nil {
		t.Fatal(err)
	}
	base, chunk := p.base, p.chunk+sealedTag
	p.Close()
	swapped := bytes.Clone(b)
	copy(swapped[base:], b[base+chunk:base+2*chunk])
	flipped := bytes.Clone(b)
	flipped[base+chunk+100] ^= 1
	for name, altered := range map[string][]byte{"chunks swapped": swapped, "a bit flipped": flipped} {
		os.WriteFile(path, altered, 0o600)
		p, err := OpenRecording(path, unwrap)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(p); !errors.Is(err, ErrSealedRecording) {
			t.Errorf("%s: %v", name, err)
		}
		p.Close()
	}
}

// What could not be written while the disk was full is silence; the rest plays, and no nonce is used twice.
func TestSealedRecordingGoesOnAfterAFullDisk(t *testing.T) {
	d, path := newDisk(t)
	wrap, unwrap := wrapping()
	r, err := deskLeg().record(d, path, RecordOptions{Wrap: wrap})
	if err != nil {
		t.Fatal(err)
	}
	pushFrames(r, 0, 50, 1000)
	waitDrained(t, r)
	d.full.Store(true)
	pushFrames(r, 50, 50, 2000)
	waitDrained(t, r)
	d.full.Store(false)
	pushFrames(r, 100, 50, 3000)
	r.end()
	if _, err := r.Stop(); !errors.Is(err, errFull) {
		t.Errorf("Stop returned %v", err)
	}
	left := wavOf(t, path, unwrap).Channel(0)
	for sec, want := range []int16{1000, 0, 3000} {
		if got := left[sec*8000+4000]; got != want {
			t.Errorf("second %d holds %d, want %d", sec, got, want)
		}
	}
}

func TestRecordingLeavesTheReserveOfTheDiskAlone(t *testing.T) {
	d, path := newDisk(t)
	if _, err := deskLeg().record(d, path, RecordOptions{Reserve: 1 << 62}); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a recording began although the disk is nearly full: %v", err)
	}
}

func TestPauseIsSilenceAndIsToldInTheResult(t *testing.T) {
	path, res, unwrap := sealed(t, func(r *Recording) {
		pushFrames(r, 0, 20, 1000)
		r.Pause()
		pushFrames(r, 20, 15, 2000)
		r.Resume()
		pushFrames(r, 35, 5, 3000)
	})
	left := wavOf(t, path, unwrap).Channel(0)
	if res.Paused != 15*FrameTime || left[34*FrameSamples] != 0 || left[35*FrameSamples] != 3000 {
		t.Errorf("%+v", res)
	}
}

func FuzzPlayerNeverPanics(f *testing.F) {
	wrap := func(key []byte) []byte { return key }
	dir := f.TempDir()
	r, err := deskLeg().Record(dir+"/seed", RecordOptions{Wrap: wrap})
	if err != nil {
		f.Fatal(err)
	}
	pushFrames(r, 0, 25, 700)
	r.end()
	if _, err := r.Stop(); err != nil {
		f.Fatal(err)
	}
	seed, _ := os.ReadFile(dir + "/seed")
	f.Add(seed)
	f.Add(seed[:100])
	f.Add(AppendWAV(nil, Rate, 2, make([]int16, 100)))
	f.Add([]byte(sealedMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := t.TempDir() + "/r"
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		unwrap := func(w []byte) ([]byte, error) { return w, nil }
		p, err := OpenRecording(path, unwrap)
		if err != nil {
			return
		}
		defer p.Close()
		n, err := io.Copy(io.Discard, p)
		if err == nil && n != p.Size() {
			t.Errorf("%d bytes of %d", n, p.Size())
		}
		_, _ = Repair(context.Background(), path, unwrap)
	})
}
