package media

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// disk is a file on a disk that can be full, or stuck.
type disk struct {
	*os.File
	full  atomic.Bool
	stuck chan struct{} // writes wait for it when not nil
}

var errFull = errors.New("no space left")

func (d *disk) WriteAt(b []byte, off int64) (int, error) {
	if d.stuck != nil && off > 0 {
		<-d.stuck
	}
	if d.full.Load() {
		return 0, errFull
	}
	return d.File.WriteAt(b, off)
}

func newDisk(t *testing.T) (*disk, string) {
	path := filepath.Join(t.TempDir(), "r.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return &disk{File: f}, path
}

// tone fills both directions with constants.
func pushFrames(r *Recording, from, n int64, v int16) {
	var a, b [FrameSamples]int16
	for i := range a {
		a[i], b[i] = v, -v
	}
	for i := range n {
		r.push(from+i, &a, &b)
	}
}

func TestFullDiskIsReportedAndLeavesTheRestAlone(t *testing.T) {
	d, path := newDisk(t)
	l := deskLeg()
	r, err := l.record(d, path, RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The pacer's side, by hand: 1 s, a full disk for 1 s, and 1 s after it.
	pushFrames(r, 0, 50, 1000)
	waitDrained(t, r)
	d.full.Store(true)
	pushFrames(r, 50, 50, 2000)
	select {
	case <-r.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("the full disk was not reported")
	}
	if !errors.Is(r.Err(), errFull) {
		t.Errorf("Err is %v", r.Err())
	}
	waitDrained(t, r)
	d.full.Store(false)
	pushFrames(r, 100, 50, 3000)
	l.rec.Store(nil)
	r.end()
	res, err := r.Stop()
	if !errors.Is(err, errFull) {
		t.Errorf("Stop returned %v", err)
	}
	b, _ := os.ReadFile(path)
	w, err := ParseWAV(b)
	if err != nil || res.Duration != 3*time.Second || len(w.Samples) != 3*16000 || res.Dropped != 50 {
		t.Fatalf("%+v with %d samples, %v", res, len(w.Samples), err)
	}
	for sec, want := range []int16{1000, 0, 3000} {
		if got := w.Channel(0)[sec*8000+4000]; got != want {
			t.Errorf("second %d holds %d, want %d", sec, got, want)
		}
	}
}

// waitDrained waits until the writer has taken all blocks and finished with them.
func waitDrained(t *testing.T, r *Recording) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if len(r.blocks) == 0 && len(r.free) > 0 {
			time.Sleep(20 * time.Millisecond)
			if len(r.blocks) == 0 {
				return
			}
		}
	}
	t.Fatal("the writer hangs")
}

func TestStuckDiskDropsTheOldestAndNeverBlocks(t *testing.T) {
	d, path := newDisk(t)
	d.stuck = make(chan struct{})
	l := deskLeg()
	r, err := l.record(d, path, RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const frames = 50 * 60 // a minute; if push blocked, this would never end
	pushFrames(r, 0, frames, 1000)
	close(d.stuck)
	l.rec.Store(nil)
	r.end()
	res, err := r.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if res.Duration != time.Minute || res.Dropped == 0 || res.Dropped > frames-recBlocks*recFrames {
		t.Errorf("%+v", res)
	}
	b, _ := os.ReadFile(path)
	w, _ := ParseWAV(b)
	silent := uint64(0)
	for i := 0; i < len(w.Samples); i += 2 * FrameSamples {
		if w.Samples[i] == 0 {
			silent++
		}
	}
	if silent != res.Dropped || w.Samples[len(w.Samples)-2] != 1000 {
		t.Errorf("%d silent frames in the file, %d dropped", silent, res.Dropped)
	}
}

// A pacer that skips frames leaves silence, so that the rest stays at its time.
func TestSkippedFramesAreSilenceInTheFile(t *testing.T) {
	d, path := newDisk(t)
	l := deskLeg()
	r, err := l.record(d, path, RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pushFrames(r, 1000, 25, 1000)
	pushFrames(r, 1040, 10, 2000)
	r.end()
	if _, err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	w, _ := ParseWAV(b)
	left := w.Channel(0)
	if len(left) != 50*160 || left[24*160] != 1000 || left[30*160] != 0 || left[40*160] != 2000 {
		t.Errorf("%d samples", len(left))
	}
}

// A pacer that was stopped skips frames: they are silence in the recording, and what comes after them is where it belongs.
func TestFramesThatThePacerSkippedAreSilenceInTheRecording(t *testing.T) {
	t.Parallel()
	d, path := newDisk(t)
	l := deskLeg()
	r, err := l.record(d, path, RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pushFrames(r, 7, 13, 1000)
	pushFrames(r, 7+40, 10, 3000)
	l.rec.Store(nil)
	r.end()
	if _, err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ParseWAV(b)
	if err != nil {
		t.Fatal(err)
	}
	left, right := w.Channel(0), w.Channel(1)
	for at, want := range map[int]int16{5: 1000, 12: 1000, 13: 0, 39: 0, 40: 3000, 49: 3000} {
		if i := at*FrameSamples + 80; i >= len(left) || left[i] != want || right[i] != -want {
			t.Errorf("frame %d of %d is not %d on the left", at, len(left)/FrameSamples, want)
		}
	}
	if len(left) != 50*FrameSamples {
		t.Errorf("%d frames", len(left)/FrameSamples)
	}
}
