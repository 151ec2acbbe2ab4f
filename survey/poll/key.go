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
	"slices"
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
	k, err := kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	secret, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	// One that is there is of a start that failed: the poll was a draft a moment ago, and its row is locked.
	if err := o.keep(o.keyPath(id), secret); err != nil {
		return nil, err
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

// destroyKey destroys the key of a poll on this node, and what it kept while it asked for one.
func (o *Office) destroyKey(id string) error {
	return errors.Join(destroy(o.keyPath(id)), destroy(o.wishPath(id)))
}

// keysThere are the polls whose keys, or wishes for one, are in this node's folder.
func (o *Office) keysThere() ([]string, error) {
	all, err := os.ReadDir(o.Keys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range all {
		id, key := strings.CutSuffix(e.Name(), ".key")
		if !key {
			var waits bool
			if id, waits = strings.CutSuffix(e.Name(), ".wish"); !waits {
				continue
			}
		}
		if !slices.Contains(out, id) {
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
