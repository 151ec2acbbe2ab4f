package contact

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// errNoKeys is returned by readKeys when there is no key file yet.
var errNoKeys = errors.New("no key file")

// ErrKeysReadable is returned by OpenVault when others than the owner may
// read or write the key file.
var ErrKeysReadable = errors.New("key file can be read by others")

// keyFile is the content of the key file.
type keyFile struct {
	Version int    `json:"version"`
	Current string `json:"current"` // id of the key that seals
	Seal    []key  `json:"seal"`
	Lookup  key    `json:"lookup"`
}

type key struct {
	ID   string    `json:"id"`
	Key  []byte    `json:"key"` // 32 random bytes
	Made time.Time `json:"made"`
}

func newKey() key {
	k := key{Key: make([]byte, 32), Made: time.Now().UTC().Truncate(time.Second)}
	id := make([]byte, 4)
	_, _ = rand.Read(k.Key) // never fails (crypto/rand)
	_, _ = rand.Read(id)
	k.ID = hex.EncodeToString(id)
	return k
}

func newKeys() keyFile {
	seal := newKey()
	return keyFile{Version: 1, Current: seal.ID, Seal: []key{seal}, Lookup: newKey()}
}

// rotated is the file with one more sealing key, which becomes the current one.
func (f keyFile) rotated() keyFile {
	k := newKey()
	f.Seal = append(slices.Clone(f.Seal), k)
	f.Current = k.ID
	return f
}

// valid names the first thing that is wrong with a key file.
func (f keyFile) valid() error {
	if f.Version != 1 {
		return fmt.Errorf("key file has version %d, want 1", f.Version)
	}
	if len(f.Lookup.Key) != 32 {
		return errors.New("key file has no lookup key of 32 bytes")
	}
	seen := map[string]bool{}
	for _, k := range f.Seal {
		if k.ID == "" || len(k.ID) > 32 || seen[k.ID] || len(k.Key) != 32 {
			return errors.New("key file has a sealing key without its own id or without 32 bytes")
		}
		seen[k.ID] = true
	}
	if !seen[f.Current] {
		return errors.New("key file names a current key that it does not hold")
	}
	return nil
}

// readKeys reads the key file, or returns errNoKeys or ErrKeysReadable.
func readKeys(path string) (keyFile, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return keyFile{}, errNoKeys
	}
	if err != nil {
		return keyFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return keyFile{}, err
	}
	if !info.Mode().IsRegular() {
		return keyFile{}, fmt.Errorf("key file %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return keyFile{}, fmt.Errorf("%w: %s has mode %04o, want 0600 (chmod 600 mends it; treat the keys as known if others use this machine)",
			ErrKeysReadable, path, info.Mode().Perm())
	}
	var keys keyFile
	if err := json.NewDecoder(f).Decode(&keys); err != nil {
		return keyFile{}, fmt.Errorf("read key file %s: %w", path, err)
	}
	if err := keys.valid(); err != nil {
		return keyFile{}, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// createKeys makes the key file. When another program makes it at the same
// moment, the first one wins and its keys are returned to both.
func createKeys(path string) (keyFile, error) {
	keys := newKeys()
	temp, err := writeTemp(path, keys)
	if err != nil {
		return keyFile{}, err
	}
	defer os.Remove(temp)
	// link, unlike rename, does not replace what is there.
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return readKeys(path)
	} else if err != nil {
		return keyFile{}, fmt.Errorf("create key file: %w", err)
	}
	return keys, syncDir(filepath.Dir(path))
}

// replaceKeys puts a new file in the place of the old one in one step.
func replaceKeys(path string, keys keyFile) error {
	temp, err := writeTemp(path, keys)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		os.Remove(temp)
		return fmt.Errorf("replace key file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes the keys beside path, on the disk when it returns.
func writeTemp(path string, keys keyFile) (name string, err error) {
	if err := keys.valid(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("create folder of key file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("write key file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	enc := json.NewEncoder(f)
	enc.SetIndent("", "  ")
	if err = errors.Join(enc.Encode(keys), f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("write key file: %w", err)
	}
	return f.Name(), nil
}

// syncDir makes a new name in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
