package poll

import (
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The suite that ballots are sealed with (RFC 9180): anybody who knows the public key can, only the holder of the file opens.
var (
	kem  = hpke.DHKEM(ecdh.X25519())
	kdf  = hpke.HKDFSHA256()
	aead = hpke.AES256GCM()
)

// ballotSize is what every ballot is filled up to before it is sealed, so that its length says nothing of the words in it.
const ballotSize = 32 << 10

// ballot is what is sealed.
type ballot struct {
	Part   string `json:"part"`
	Answer Answer `json:"answer"`
}

// errNoKey is returned where the key of a poll is not in this node's folder.
var errNoKey = errors.New("the key of the poll is not in this folder")

func (o *Office) keyPath(id string) string { return filepath.Join(o.Keys, id+".key") }

// newKey makes the key of a poll. Its secret half is a file outside of the database, so that no copy of the database, however
// old, opens a ballot once the file is gone.
func (o *Office) newKey(id string) (public []byte, err error) {
	if err := os.MkdirAll(o.Keys, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of poll keys: %w", err)
	}
	k, err := kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	secret, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	// One that is there is of a start that failed: the poll was a draft a moment ago, and its row is locked.
	f, err := os.OpenFile(o.keyPath(id), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the key of a poll: %w", err)
	}
	if _, err = f.Write(secret); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("write the key of a poll: %w", err)
	}
	return k.PublicKey().Bytes(), nil
}

func (o *Office) secret(id string) (hpke.PrivateKey, error) {
	b, err := os.ReadFile(o.keyPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of a poll: %w", err)
	}
	return kem.NewPrivateKey(b)
}

// destroyKey writes over a key and removes it. What an old block of the disk may still hold is the storage's own.
func (o *Office) destroyKey(id string) error {
	path := o.keyPath(id)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = f.Write(make([]byte, 32))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	return errors.Join(err, os.Remove(path))
}

// keysThere are the polls whose keys are in this node's folder.
func (o *Office) keysThere() ([]string, error) {
	all, err := os.ReadDir(o.Keys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range all {
		if id, ok := strings.CutSuffix(e.Name(), ".key"); ok {
			out = append(out, id)
		}
	}
	return out, err
}

func seal(public []byte, pollID string, b ballot) ([]byte, error) {
	k, err := kem.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	if len(plain) > ballotSize {
		return nil, refuse("answer", "答卷过长")
	}
	padded := make([]byte, ballotSize)
	for i := copy(padded, plain); i < ballotSize; i++ {
		padded[i] = ' ' // JSON ends before it
	}
	return hpke.Seal(k, kdf, aead, []byte("lianxin poll "+pollID), padded)
}

func open(k hpke.PrivateKey, pollID string, sealed []byte) (b ballot, err error) {
	plain, err := hpke.Open(k, kdf, aead, []byte("lianxin poll "+pollID), sealed)
	if err != nil {
		return b, err
	}
	return b, json.Unmarshal(plain, &b)
}
