package media_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

func parse(t testing.TB, b []byte) media.WAV {
	t.Helper()
	w, err := media.ParseWAV(b)
	check(t, err)
	if w.Rate != 8000 || w.Channels != 2 {
		t.Fatalf("recording has %d channels at %d Hz", w.Channels, w.Rate)
	}
	return w
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}

// holding is the part of the frames that are this tone. A busy machine makes gaps, but it does not make tones.
func holding(pcm []int16, freq float64) float64 {
	n := 0
	for i := 0; i+160 <= len(pcm); i += 160 {
		if mediatest.Share(pcm[i:i+160], freq) > 0.9 && mediatest.RMS(pcm[i:i+160]) > 500 {
			n++
		}
	}
	return float64(n) / float64(max(len(pcm)/160, 1))
}

func TestRecordingHasTheFarEndLeftAndUsRight(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{Codec: media.PCMU})
	peer.Tone(440)
	waitTap(t, leg.Tap(), 440)
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := leg.Record(path, media.RecordOptions{Sync: 100 * time.Millisecond})
	check(t, err)
	if _, err := leg.Record(path+"2", media.RecordOptions{}); err == nil {
		t.Error("a second recording was begun")
	}
	if _, err := os.Stat(path + "2"); err == nil {
		t.Error("a refused recording left a file")
	}
	check(t, leg.Play(context.Background(), media.Tone([]float64{880}, 1500*time.Millisecond)))
	res, err := rec.Stop()
	check(t, err)
	b := read(t, path)
	w := parse(t, b)
	sum := sha256.Sum256(b)
	if res.SHA256 != hex.EncodeToString(sum[:]) || res.Bytes != int64(len(b)) || res.Path != path || res.Dropped != 0 {
		t.Errorf("result %+v of %d bytes", res, len(b))
	}
	if d := time.Duration(len(w.Samples)/2) * time.Second / 8000; d != res.Duration || d < 1500*time.Millisecond {
		t.Errorf("%v recorded, result says %v", d, res.Duration)
	}
	left, right := w.Channel(0), w.Channel(1)
	if h := holding(left, 440); h < 0.3 || holding(left, 880) > 0 {
		t.Errorf("left holds the far end in %.0f %% of its frames", 100*h)
	}
	if h := holding(right, 880); h < 0.3 || holding(right, 440) > 0 {
		t.Errorf("right holds us in %.0f %% of its frames", 100*h)
	}
	again, err := rec.Stop()
	if err != nil || again != res {
		t.Errorf("second Stop returned %+v, %v", again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file mode is %v", info.Mode())
	}
	other, err := leg.Record(filepath.Join(t.TempDir(), "next.wav"), media.RecordOptions{})
	check(t, err)
	_, err = other.Stop()
	check(t, err)
}

// The far end echoes each of our beeps at once: both channels show them at the same place, give or take the round trip.
func TestRecordingIsAlignedInTime(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, _ := dial(t, e, mediatest.Phone{})
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := a.Record(path, media.RecordOptions{})
	check(t, err)
	beep := media.Join(media.Tone([]float64{1000}, 100*time.Millisecond), media.Silence(300*time.Millisecond))
	check(t, a.Play(context.Background(), media.Join(beep, beep, beep, beep, beep)))
	_, err = rec.Stop()
	check(t, err)
	right := parse(t, read(t, path)).Channel(1)
	var starts []int
	for i, loudFrame := 0, false; i+80 <= len(right); i += 80 {
		now := mediatest.RMS(right[i:i+80]) > 500
		if now && !loudFrame {
			starts = append(starts, i)
		}
		loudFrame = now
	}
	if len(starts) != 5 {
		t.Fatalf("%d beeps recorded", len(starts))
	}
	for i := 1; i < 5; i++ {
		// Exactly, unless this machine stopped the pacer for so long that it skipped frames.
		if d := starts[i] - starts[i-1]; d != 3200 && e.Lateness().Resyncs == 0 {
			t.Errorf("beep %d is %d samples after the one before, not 3,200", i, d)
		}
	}
}

func TestPausedRecordingIsSilentAndTimeGoesOn(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Tone(440)
	waitTap(t, leg.Tap(), 440)
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := leg.Record(path, media.RecordOptions{})
	check(t, err)
	frames := func(n uint64) {
		from := leg.Stats().PacketsOut
		eventually(t, "time passes", func() bool { return leg.Stats().PacketsOut >= from+n })
	}
	frames(50)
	rec.Pause()
	frames(50)
	rec.Resume()
	frames(50)
	res, err := rec.Stop()
	check(t, err)
	if res.Duration < 3*time.Second {
		t.Errorf("%v were recorded of 3 s", res.Duration)
	}
	left := parse(t, read(t, path)).Channel(0)
	silent := 0
	for i := 0; i+160 <= len(left); i += 160 {
		if mediatest.RMS(left[i:i+160]) == 0 {
			silent++
		}
	}
	if silent < 45 {
		t.Errorf("%d of %d frames are silent", silent, len(left)/160)
	}
	for _, part := range [][]int16{left[:len(left)/3], left[2*len(left)/3:]} {
		if holding(part, 440) < 0.2 {
			t.Error("the far end is missing outside the pause")
		}
	}
}

func TestRecordingOutlivesTheLeg(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Tone(440)
	waitTap(t, leg.Tap(), 440)
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := leg.Record(path, media.RecordOptions{})
	check(t, err)
	waitTap(t, leg.Tap(), 440)
	check(t, leg.Close())
	res, err := rec.Stop()
	check(t, err)
	if w := parse(t, read(t, path)); res.Duration < 100*time.Millisecond || holding(w.Channel(0), 440) < 0.2 {
		t.Errorf("%v were recorded", res.Duration)
	}
	if _, err := leg.Record(path+"2", media.RecordOptions{}); !errors.Is(err, media.ErrClosed) {
		t.Errorf("recording a closed leg: %v", err)
	}
	if _, err := leg.Record(path, media.RecordOptions{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("recording over a file: %v", err)
	}
}

// What kill -9 leaves behind is what the file holds at that moment.
func TestFileOfACrashIsValidToTheLastSecond(t *testing.T) {
	t.Parallel()
	leg, peer := dial(t, newEngine(t), mediatest.Phone{})
	peer.Tone(440)
	waitTap(t, leg.Tap(), 440)
	dir := t.TempDir()
	path := filepath.Join(dir, "call.wav")
	rec, err := leg.Record(path, media.RecordOptions{})
	check(t, err)
	ctx := context.Background()
	check(t, leg.Play(ctx, media.Tone([]float64{880}, 3*time.Second)))
	crashed := read(t, path)
	_, err = rec.Stop()
	check(t, err)

	w := parse(t, crashed) // as any player would read it
	if n := len(w.Samples) / 2; n < 8000*3/2 {
		t.Errorf("the header promises %d samples of 3 s", n)
	}
	torn := append(bytes.Clone(crashed), 1, 2, 3) // a write cut in two
	left := filepath.Join(dir, "left.wav")
	check(t, os.WriteFile(left, torn, 0o600))
	res, err := media.Repair(ctx, left, nil)
	check(t, err)
	b := read(t, left)
	fixed := parse(t, b)
	if n := len(crashed) - 44; len(fixed.Samples)*2 != n || len(b) != len(crashed) {
		t.Errorf("repaired: %d bytes of sound, file had %d", len(fixed.Samples)*2, n)
	}
	if h := holding(fixed.Channel(1), 880); h < 0.3 {
		t.Errorf("repaired: the tone is in %.0f %% of the frames", 100*h)
	}
	sum := sha256.Sum256(b)
	if res.SHA256 != hex.EncodeToString(sum[:]) || res.Bytes != int64(len(b)) {
		t.Errorf("result %+v", res)
	}
	again, err := media.Repair(ctx, left, nil)
	if err != nil || again != res {
		t.Errorf("a second repair: %+v, %v", again, err)
	}
}

func TestRepairRefusesWhatIsNoRecording(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"empty": {}, "short": []byte("RIFF"), "text": bytes.Repeat([]byte("hello "), 50),
		"other": media.AppendWAV(nil, 16000, 1, make([]int16, 1000)),
	} {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, b, 0o600))
		if _, err := media.Repair(context.Background(), path, nil); !errors.Is(err, media.ErrWAV) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(read(t, path), b) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}
