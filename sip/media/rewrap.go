package media

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// WrappedKey is the wrapped key of the sealed recording at path, nil of a recording that is not sealed.
func WrappedKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a recording's key: %w", err)
	}
	defer f.Close()
	return readWrapped(f)
}

func readWrapped(f io.Reader) ([]byte, error) {
	head := make([]byte, len(sealedMagic)+6)
	if _, err := io.ReadFull(f, head); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read a recording's key: %w", err)
	}
	if !bytes.HasPrefix(head, []byte(sealedMagic)) {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint16(head[len(sealedMagic)+4:]))
	if n == 0 || n > maxWrapped {
		return nil, fmt.Errorf("%w: bad header", ErrSealedRecording)
	}
	wrapped := make([]byte, n)
	if _, err := io.ReadFull(f, wrapped); err != nil {
		return nil, fmt.Errorf("%w: cut off in its header", ErrSealedRecording)
	}
	return wrapped, nil
}

// Rewrap writes a copy of the sealed recording at path to next, mode 0600 and safe on the disk, with its key wrapped anew;
// the sound stays sealed as it is and is never opened. It returns the SHA-256 of the copy. next must not exist.
func Rewrap(path, next string, again func(wrapped []byte) ([]byte, error)) (sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("wrap a recording's key anew: %w", err)
	}
	defer f.Close()
	wrapped, err := readWrapped(f)
	if err != nil {
		return "", err
	}
	if wrapped == nil {
		return "", fmt.Errorf("wrap a recording's key anew: %w: it is not sealed", ErrSealedRecording)
	}
	chunk := make([]byte, 4)
	if _, err := f.ReadAt(chunk, int64(len(sealedMagic))); err != nil {
		return "", fmt.Errorf("wrap a recording's key anew: %w", err)
	}
	fresh, err := again(wrapped)
	if err != nil {
		return "", fmt.Errorf("wrap a recording's key anew: %w", err)
	}
	if len(fresh) == 0 || len(fresh) > maxWrapped {
		return "", fmt.Errorf("wrap a recording's key anew: wrapped key of %d bytes", len(fresh))
	}
	out, err := os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("wrap a recording's key anew: %w", err)
	}
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(out, h), 1<<16)
	head := append([]byte(sealedMagic), chunk...)
	head = binary.BigEndian.AppendUint16(head, uint16(len(fresh)))
	w.Write(append(head, fresh...)) // an error stays with the writer
	_, err = io.Copy(w, f)
	if err = errors.Join(err, w.Flush(), out.Sync(), out.Close()); err != nil {
		os.Remove(next)
		return "", fmt.Errorf("wrap a recording's key anew: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
