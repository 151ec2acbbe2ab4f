package ivr

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/sip"
)

// PacketStore keeps the packets of calls that were captured, sealed, one file a call.
type PacketStore struct {
	Dir   string // made when missing
	Vault *contact.Vault
}

func (s PacketStore) path(id string) (string, error) {
	if id == "" || strings.ContainsAny(id, `/\.`) {
		return "", fmt.Errorf("%q is no id of a call", id)
	}
	return filepath.Join(s.Dir, id+".packets"), nil
}

func (s PacketStore) box(id string) contact.Box { return s.Vault.For("call.packets " + id) }

// Save keeps the packets of a call, in the place of earlier ones.
func (s PacketStore) Save(p *sip.Packets) error {
	path, err := s.path(p.Call)
	if err != nil {
		return fmt.Errorf("keep packets: %w", err)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(p); err != nil {
		return fmt.Errorf("keep packets: %w", err)
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("keep packets: %w", err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, s.box(p.Call).Seal(b.String()), 0o600); err != nil {
		return fmt.Errorf("keep packets: %w", err)
	}
	return os.Rename(next, path)
}

// Has says whether there are packets of a call.
func (s PacketStore) Has(id string) bool {
	path, err := s.path(id)
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

// Open reads the packets of a call; the error is fs.ErrNotExist when there are none.
func (s PacketStore) Open(id string) (*sip.Packets, error) {
	path, err := s.path(id)
	if err != nil {
		return nil, err
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	plain, err := s.box(id).Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("packets of call %s: %w", id, err)
	}
	var p sip.Packets
	if err := gob.NewDecoder(strings.NewReader(plain)).Decode(&p); err != nil {
		return nil, fmt.Errorf("packets of call %s: %w", id, err)
	}
	return &p, nil
}

// Expire removes what was kept before a time, and returns how many.
func (s PacketStore) Expire(before time.Time) (n int, err error) {
	list, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("remove old packets: %w", err)
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || e.IsDir() || !info.ModTime().Before(before) {
			continue
		}
		if err := os.Remove(filepath.Join(s.Dir, e.Name())); err != nil {
			return n, fmt.Errorf("remove old packets: %w", err)
		}
		n++
	}
	return n, nil
}
