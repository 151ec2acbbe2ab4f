package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// RecordOptions says how to record.
type RecordOptions struct {
	Sync time.Duration // how often the file is forced to disk; only at Stop when 0, never when negative

	// Wrap, when set, makes the recording a sealed one (sealed.go): it encrypts the file's own key, so that Unwrap gives it
	// back. Otherwise the file is a plain WAV.
	Wrap func(key []byte) []byte

	// Reserve is how many bytes of the file system are left to others (the database above all): below it nothing more is
	// written, as if the disk were full.
	Reserve uint64

	// Paused begins the recording paused: nothing is stored until Resume.
	Paused bool
}

// ErrNoRoom is wrapped by the error of a recording that stopped because of RecordOptions.Reserve.
var ErrNoRoom = errors.New("the disk is nearly full")

// A Recording writes a leg's two directions to a stereo WAV file, 16-bit PCM at 8 kHz: left what is heard from the
// far end, right what we send it. Both come from the same frame of the pacer, so they are aligned to the sample.
//
// The pacer never waits for the disk: it fills blocks of 200 ms that a goroutine writes, and when 12 s of them are
// waiting the oldest is dropped, counted, and replaced by silence in the file. A file left behind by a crash (or kill -9) is
// good up to its last second: the header of a plain one is renewed every second, and a sealed one has none. Repair mends the
// rest.
type Recording struct {
	path   string
	leg    *Leg
	opt    RecordOptions
	paused atomic.Bool
	silent atomic.Int64 // frames while paused
	ending atomic.Bool

	blocks chan *recBlock
	free   chan *recBlock
	failed chan struct{} // closed at the first error
	done   chan struct{} // closed when the writer is gone

	// The pacer's.
	block *recBlock
	begun bool
	first int64

	dropped atomic.Uint64 // frames

	mu     sync.Mutex
	err    error
	result Result
	stop   sync.Once
}

// Result is a finished recording.
type Result struct {
	Path     string
	Duration time.Duration
	Bytes    int64  // of the file
	SHA256   string // of the file, hexadecimal
	Dropped  uint64 // frames of 20 ms that were replaced by silence because the disk was too slow or full
	Paused   time.Duration
}

const (
	recFrames  = 10 // frames per block
	recBlocks  = 64 // blocks that may wait
	recChannel = 2
	recFrame   = FrameSamples * recChannel * 2 // bytes
)

// recBlock is up to 200 ms of both directions, starting at frame at of the recording.
type recBlock struct {
	at   int64
	n    int
	data [recFrames * recFrame]byte
}

// recordFile is what the writer needs of a file; tests have one whose disk is full.
type recordFile interface {
	io.WriterAt
	Sync() error
	Close() error
}

// Record begins to record into a new file at path, which must not exist; the folder must. A leg has one recording at
// a time. The recording ends with Stop, which also has to be called after the leg was closed.
func (l *Leg) Record(path string, opt RecordOptions) (*Recording, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record call: %w", err)
	}
	r, err := l.record(f, path, opt)
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return r, nil
}

func (l *Leg) record(f recordFile, path string, opt RecordOptions) (*Recording, error) {
	r := &Recording{
		path: path, leg: l, opt: opt,
		blocks: make(chan *recBlock, recBlocks),
		free:   make(chan *recBlock, recBlocks),
		failed: make(chan struct{}),
		done:   make(chan struct{}),
	}
	r.paused.Store(opt.Paused)
	w := &recWriter{r: r, f: f, store: &plainStore{f: f}}
	err := w.room()
	if err == nil && opt.Wrap != nil {
		w.store, err = newSealedStore(f, opt.Wrap)
	} else if err == nil {
		err = w.store.settle()
	}
	if err != nil {
		return nil, fmt.Errorf("record call: %w", err)
	}
	err = ErrClosed
	l.change(func() {
		err = nil
		if !l.rec.CompareAndSwap(nil, r) {
			err = errors.New("already recording")
		}
	})
	if err != nil {
		return nil, fmt.Errorf("record call: %w", err)
	}
	go w.run()
	return r, nil
}

// Pause replaces both directions by silence until Resume, for the time in which a caller keys or speaks something
// that must not be stored. Time goes on.
func (r *Recording) Pause() { r.paused.Store(true) }

// Resume ends a Pause.
func (r *Recording) Resume() { r.paused.Store(false) }

// Failed is closed when the file cannot be written (disk full, …). The call goes on, and so do the attempts to write;
// what could not be written becomes silence if the disk recovers. Err has the reason.
func (r *Recording) Failed() <-chan struct{} { return r.failed }

// Err is the first error of writing, nil if there was none.
func (r *Recording) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// fail notes an error.
func (r *Recording) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = fmt.Errorf("record call: %w", err)
		close(r.failed)
	}
}

// push is called by the pacer once per frame. It returns true when the recording is over.
func (r *Recording) push(tick int64, heard, said *[FrameSamples]int16) bool {
	if r.ending.Load() {
		r.end()
		return true
	}
	if !r.begun {
		r.begun, r.first = true, tick
	}
	at := tick - r.first
	if r.block != nil && at != r.block.at+int64(r.block.n) {
		r.flush() // the pacer skipped frames
	}
	if r.block == nil {
		select {
		case r.block = <-r.free:
			r.block.n = 0
		default:
			r.block = new(recBlock)
		}
		r.block.at = at
	}
	b := r.block.data[r.block.n*recFrame:][:recFrame]
	if r.paused.Load() {
		clear(b)
		r.silent.Add(1)
	} else {
		for i := range FrameSamples {
			binary.LittleEndian.PutUint16(b[4*i:], uint16(heard[i]))
			binary.LittleEndian.PutUint16(b[4*i+2:], uint16(said[i]))
		}
	}
	if r.block.n++; r.block.n == recFrames {
		r.flush()
	}
	return false
}

// flush hands the block to the writer.
func (r *Recording) flush() {
	b := r.block
	r.block = nil
	if b == nil || b.n == 0 {
		return
	}
	for {
		select {
		case r.blocks <- b:
			return
		default:
		}
		select {
		case old := <-r.blocks:
			r.dropped.Add(uint64(old.n))
		default:
		}
	}
}

// end is the pacer's last act on a recording.
func (r *Recording) end() {
	r.flush()
	close(r.blocks)
}

// Stop ends the recording and returns what was stored: it waits until the file is complete and on disk. The error is
// the first that writing met; the result then tells what there is. Further calls return the same.
func (r *Recording) Stop() (Result, error) {
	r.stop.Do(func() {
		r.ending.Store(true) // the pacer ends it in the next frame, or has done so when the leg closed
		<-r.done
	})
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result, r.err
}

// recordStore is the form in which frames lie in a file.
type recordStore interface {
	// put takes frames that begin at frame at, in order; frames that are left out are silence.
	put(at int64, frames []byte) error
	// settle makes what has been put readable if the program ends here.
	settle() error
	// flush completes the file.
	flush() error
}

// plainStore is a WAV file. What lies between frames, the file system fills with zeros, which are silence.
type plainStore struct {
	f      recordFile
	frames int64
}

func (s *plainStore) put(at int64, frames []byte) error {
	if _, err := s.f.WriteAt(frames, wavHeader+at*recFrame); err != nil {
		return err
	}
	s.frames = at + int64(len(frames)/recFrame)
	return nil
}

// settle writes the header for what has been written.
func (s *plainStore) settle() error {
	h := appendWAVHeader(make([]byte, 0, wavHeader), Rate, recChannel, int(s.frames*recFrame))
	_, err := s.f.WriteAt(h, 0)
	return err
}

func (s *plainStore) flush() error { return s.settle() }

// recWriter is the goroutine that owns the file.
type recWriter struct {
	r       *Recording
	f       recordFile
	store   recordStore
	frames  int64 // written
	synced  time.Time
	settled time.Time
	looked  time.Time // at the free room
	full    error
}

// room says, looking once a second, whether there is room for more.
func (w *recWriter) room() error {
	if w.r.opt.Reserve == 0 || time.Since(w.looked) < time.Second {
		return w.full
	}
	w.looked, w.full = time.Now(), nil
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(w.r.path), &fs); err != nil {
		return nil // writing will tell
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < w.r.opt.Reserve {
		w.full = fmt.Errorf("%w: %d MiB left", ErrNoRoom, free>>20)
	}
	return w.full
}

func (w *recWriter) run() {
	defer close(w.r.done)
	for b := range w.r.blocks {
		if err := w.write(b); err != nil {
			w.r.fail(err)
			w.r.dropped.Add(uint64(b.n))
		}
		select {
		case w.r.free <- b:
		default:
		}
	}
	w.finish()
}

// write stores a block at its place.
func (w *recWriter) write(b *recBlock) error {
	if err := w.room(); err != nil {
		return err
	}
	if err := w.store.put(b.at, b.data[:b.n*recFrame]); err != nil {
		return err
	}
	w.frames = b.at + int64(b.n)
	if time.Since(w.settled) >= time.Second {
		w.settled = time.Now()
		if err := w.store.settle(); err != nil {
			return err
		}
	}
	if w.r.opt.Sync > 0 && time.Since(w.synced) >= w.r.opt.Sync {
		w.synced = time.Now()
		return w.f.Sync()
	}
	return nil
}

// finish completes the file and the result.
func (w *recWriter) finish() {
	r := w.r
	sync := r.opt.Sync >= 0
	for _, step := range []struct {
		wanted bool
		do     func() error
	}{
		{true, w.store.flush},
		{sync, w.f.Sync},
		{true, w.f.Close},
		{sync && r.path != "", func() error { return syncDir(filepath.Dir(r.path)) }},
	} {
		if !step.wanted {
			continue
		}
		if err := step.do(); err != nil {
			r.fail(err)
		}
	}
	res := Result{
		Path:     r.path,
		Duration: time.Duration(w.frames) * FrameTime,
		Dropped:  r.dropped.Load(),
		Paused:   time.Duration(r.silent.Load()) * FrameTime,
	}
	if r.path != "" {
		var err error
		if res.Bytes, res.SHA256, err = HashRecording(r.path); err != nil {
			r.fail(err)
		}
	}
	r.mu.Lock()
	r.result = res
	r.mu.Unlock()
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// HashRecording is the length and the SHA-256 (hexadecimal) of a file as it lies on the disk.
func HashRecording(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// Repair completes a recording that a crash left behind: of a plain one the sizes in the header, up to the last whole sample
// pair that is in the file; of a sealed one a last chunk that was not written whole is cut off. It returns the result as Stop
// would have; a file that is complete is left as it is. A file shorter than a header, or one we did not write, is an error.
// unwrap is asked for the key of a sealed recording.
func Repair(ctx context.Context, path string, unwrap Unwrap) (Result, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return Result{}, fmt.Errorf("repair recording: %w", err)
	}
	defer f.Close()
	res, err := repair(f, unwrap)
	if err != nil {
		return Result{}, fmt.Errorf("repair recording %s: %w", filepath.Base(path), err)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	res.Path = path
	if res.Bytes, res.SHA256, err = HashRecording(path); err != nil {
		return Result{}, fmt.Errorf("repair recording: %w", err)
	}
	return res, nil
}

func repair(f *os.File, unwrap Unwrap) (res Result, err error) {
	var have [wavHeader]byte
	if n, _ := f.ReadAt(have[:], 0); bytes.HasPrefix(have[:n], []byte(sealedMagic)) {
		return repairSealed(f, unwrap)
	}
	if _, err := f.ReadAt(have[:], 0); err != nil {
		return res, fmt.Errorf("%w: no header", ErrWAV)
	}
	info, err := f.Stat()
	if err != nil {
		return res, err
	}
	data := (info.Size() - wavHeader) / (recChannel * 2) * (recChannel * 2)
	want := appendWAVHeader(make([]byte, 0, wavHeader), Rate, recChannel, int(data))
	for i, b := range want {
		if size := i >= 4 && i < 8 || i >= 40; !size && have[i] != b {
			return res, fmt.Errorf("%w: not a recording of ours", ErrWAV)
		}
	}
	res.Duration = soundTime(data)
	if [wavHeader]byte(want) == have && info.Size() == wavHeader+data {
		return res, nil
	}
	if err := f.Truncate(wavHeader + data); err != nil {
		return res, err
	}
	if _, err := f.WriteAt(want, 0); err != nil {
		return res, err
	}
	return res, f.Sync()
}

// soundTime is how long that many bytes of sound last.
func soundTime(bytes int64) time.Duration {
	return time.Duration(bytes/(recChannel*2)) * time.Second / Rate
}

func repairSealed(f *os.File, unwrap Unwrap) (res Result, err error) {
	p, err := newPlayer(f, unwrap)
	if err != nil {
		return res, err
	}
	res.Duration = soundTime(p.sound)
	whole := p.base + p.sound/p.chunk*(p.chunk+sealedTag)
	if rest := p.sound % p.chunk; rest > 0 {
		whole += rest + sealedTag
	}
	if whole == p.file {
		return res, nil
	}
	if err := f.Truncate(whole); err != nil {
		return res, err
	}
	return res, f.Sync()
}
