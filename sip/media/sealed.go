package media

import (
	"bytes"
	"crypto/aes"
	stdcipher "crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A sealed recording is a stereo WAV of ours cut into chunks of 200 ms, each encrypted and authenticated by itself
// (AES-256-GCM, NIST SP 800-38D) at a place that follows from its number. So a recording is safe from the first chunk on, a
// crash loses the chunk that was being collected and nothing else, and a player may begin anywhere.
//
//	"LXREC" 1 | bytes of sound per chunk, 4 | length of the wrapped key, 2 | wrapped key | chunk 0 | chunk 1 | …
//
// Numbers are big endian. The key is of this file alone and wrapped by the caller (contact.Vault does it); the nonce is
// the chunk's number, which is sealed once and never again. A chunk of zero bytes was never written and is silence. Only the
// last chunk may be short. That chunks are missing at the end cannot be seen from the file: the audit log holds its hash.
const (
	sealedMagic = "LXREC\x01"
	sealedChunk = recFrames * recFrame // bytes of sound
	sealedTag   = 16
	sealedKey   = 32
	maxWrapped  = 4096
)

// ErrSealedRecording is wrapped by what OpenRecording and a Player return when a sealed recording cannot be opened or has been
// altered.
var ErrSealedRecording = errors.New("sealed recording cannot be opened")

// An Unwrap gives back the key of a sealed recording.
type Unwrap func(wrapped []byte) (key []byte, err error)

func sealedCipher(key []byte) (stdcipher.AEAD, error) {
	if len(key) != sealedKey {
		return nil, fmt.Errorf("%w: key of %d bytes", ErrSealedRecording, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return stdcipher.NewGCM(block)
}

// chunkNonce and chunkBound are what chunk i is sealed with.
func chunkNonce(i int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(i))
}

func chunkBound(i int64) []byte { return fmt.Appendf(nil, "lianxin recording 1 chunk %d", i) }

// sealedStore writes a sealed recording.
type sealedStore struct {
	f    recordFile
	aead stdcipher.AEAD
	base int64

	chunk  int64 // that is being collected, −1 when none is
	filled int   // bytes of it
	plain  [sealedChunk]byte
	out    []byte
	sealed int64 // chunks below this number have been sealed: never again
}

func newSealedStore(f recordFile, wrap func(key []byte) []byte) (*sealedStore, error) {
	key := make([]byte, sealedKey)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	wrapped := wrap(key)
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("wrapped key of %d bytes", len(wrapped))
	}
	aead, err := sealedCipher(key)
	if err != nil {
		return nil, err
	}
	h := []byte(sealedMagic)
	h = binary.BigEndian.AppendUint32(h, sealedChunk)
	h = binary.BigEndian.AppendUint16(h, uint16(len(wrapped)))
	h = append(h, wrapped...)
	if _, err := f.WriteAt(h, 0); err != nil {
		return nil, err
	}
	return &sealedStore{f: f, aead: aead, base: int64(len(h)), chunk: -1}, nil
}

// put takes frames that begin at frame at. A chunk is sealed when it is full or when frames of a later one come.
func (s *sealedStore) put(at int64, frames []byte) error {
	var failed error
	for ; len(frames) > 0; at, frames = at+1, frames[recFrame:] {
		if i := at / recFrames; i != s.chunk {
			failed = errors.Join(failed, s.seal(sealedChunk))
			if i < s.sealed { // the rest of a chunk that could not be written
				continue
			}
			s.chunk = i
		}
		end := int(at%recFrames+1) * recFrame
		copy(s.plain[end-recFrame:end], frames[:recFrame])
		if s.filled = end; end == sealedChunk {
			failed = errors.Join(failed, s.seal(sealedChunk))
		}
	}
	return failed
}

// seal writes the first n bytes of the chunk that is being collected, if there is one, and forgets it whether that works or not.
func (s *sealedStore) seal(n int) error {
	i := s.chunk
	if i < 0 {
		return nil
	}
	s.sealed = i + 1
	s.out = s.aead.Seal(s.out[:0], chunkNonce(i), s.plain[:n], chunkBound(i))
	clear(s.plain[:])
	s.chunk, s.filled = -1, 0
	_, err := s.f.WriteAt(s.out, s.base+i*(sealedChunk+sealedTag))
	return err
}

func (s *sealedStore) settle() error { return nil }
func (s *sealedStore) flush() error  { return s.seal(s.filled) } // only the last one may be short

// A Player reads a recording, sealed or not, as the WAV file it is: http.ServeContent may serve parts of it. It is not safe for
// concurrent use.
type Player struct {
	f    *os.File
	size int64 // of the WAV
	at   int64

	// Of a sealed one.
	aead   stdcipher.AEAD
	base   int64
	chunk  int64
	header []byte
	sound  int64 // bytes
	file   int64 // bytes of the file
	loaded int64 // chunk in plain, −1 for none
	plain  []byte
	in     []byte
}

// OpenRecording opens the recording at path. unwrap is asked for the key of a sealed one; it may be nil for a plain WAV.
func OpenRecording(path string, unwrap Unwrap) (*Player, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	p, err := newPlayer(f, unwrap)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open recording: %w", err)
	}
	return p, nil
}

func newPlayer(f *os.File, unwrap Unwrap) (*Player, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := &Player{f: f, size: info.Size(), file: info.Size(), loaded: -1}
	head := make([]byte, len(sealedMagic)+6)
	switch _, err := f.ReadAt(head, 0); {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case !bytes.HasPrefix(head, []byte(sealedMagic)):
		return p, nil
	}
	p.chunk = int64(binary.BigEndian.Uint32(head[len(sealedMagic):]))
	n := int(binary.BigEndian.Uint16(head[len(sealedMagic)+4:]))
	if p.chunk < recFrame || p.chunk > 1<<22 || p.chunk%4 != 0 || n == 0 || n > maxWrapped {
		return nil, fmt.Errorf("%w: bad header", ErrSealedRecording)
	}
	wrapped := make([]byte, n)
	if _, err := f.ReadAt(wrapped, int64(len(head))); err != nil {
		return nil, fmt.Errorf("%w: cut off in its header", ErrSealedRecording)
	}
	if unwrap == nil {
		return nil, fmt.Errorf("%w: no key", ErrSealedRecording)
	}
	key, err := unwrap(wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealedRecording, err)
	}
	if p.aead, err = sealedCipher(key); err != nil {
		return nil, err
	}
	p.base = int64(len(head) + n)
	return p, p.measure()
}

// measure finds out how much sound there is. A last chunk that a crash cut off does not count.
func (p *Player) measure() error {
	body := p.file - p.base
	full := body / (p.chunk + sealedTag)
	p.sound = full * p.chunk
	if rest := body % (p.chunk + sealedTag); rest > sealedTag {
		p.sound += rest - sealedTag
		if err := p.load(full); err != nil {
			p.sound = full * p.chunk
		}
	}
	p.sound -= p.sound % (2 * recChannel)
	p.header = appendWAVHeader(nil, Rate, recChannel, int(p.sound))
	p.size = int64(len(p.header)) + p.sound
	return nil
}

// load opens chunk i.
func (p *Player) load(i int64) error {
	if p.loaded == i {
		return nil
	}
	p.loaded = -1
	from := p.base + i*(p.chunk+sealedTag)
	n := min(p.chunk+sealedTag, p.file-from)
	if int64(cap(p.in)) < n {
		p.in = make([]byte, p.chunk+sealedTag)
		p.plain = make([]byte, 0, p.chunk)
	}
	b := p.in[:n]
	if _, err := p.f.ReadAt(b, from); err != nil {
		return err
	}
	if len(bytes.Trim(b, "\x00")) == 0 { // never written: the disk was full
		p.plain = p.plain[:max(0, n-sealedTag)]
		clear(p.plain)
		p.loaded = i
		return nil
	}
	plain, err := p.aead.Open(p.plain[:0], chunkNonce(i), b, chunkBound(i))
	if err != nil {
		return fmt.Errorf("%w: altered at %v", ErrSealedRecording, soundTime(i*p.chunk))
	}
	p.plain, p.loaded = plain, i
	return nil
}

// Read implements io.Reader.
func (p *Player) Read(b []byte) (int, error) {
	if p.at >= p.size {
		return 0, io.EOF
	}
	if p.aead == nil {
		n, err := p.f.ReadAt(b, p.at)
		p.at += int64(n)
		if n > 0 && errors.Is(err, io.EOF) {
			err = nil
		}
		return n, err
	}
	if h := int64(len(p.header)); p.at < h {
		n := copy(b, p.header[p.at:])
		p.at += int64(n)
		return n, nil
	}
	sound := p.at - int64(len(p.header))
	if err := p.load(sound / p.chunk); err != nil {
		return 0, err
	}
	from := sound % p.chunk
	n := copy(b, p.plain[from:min(int64(len(p.plain)), from+p.sound-sound)])
	p.at += int64(n)
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// Seek implements io.Seeker.
func (p *Player) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.at
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning of a recording")
	}
	p.at = offset
	return offset, nil
}

// Size is the length of the WAV file in bytes.
func (p *Player) Size() int64 { return p.size }

// Sealed says whether the file is encrypted.
func (p *Player) Sealed() bool { return p.aead != nil }

// Close closes the file.
func (p *Player) Close() error { return p.f.Close() }
