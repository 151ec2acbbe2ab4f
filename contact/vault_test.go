package contact_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func openVault(t testing.TB, path string) *contact.Vault {
	t.Helper()
	v, err := contact.OpenVault(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSealedTextsOpenOnlyForTheirPurpose(t *testing.T) {
	v := openVault(t, filepath.Join(t.TempDir(), "keys.json"))
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.String().Draw(t, "plain")
		a, b := v.For("a"), v.For("b")
		sealed := a.Seal(plain)
		if got, err := a.Open(sealed); err != nil || got != plain {
			t.Fatalf("got %q, %v", got, err)
		}
		if _, err := b.Open(sealed); !errors.Is(err, contact.ErrSealed) {
			t.Fatalf("opened for another purpose: %v", err)
		}
		if bytes.Equal(sealed, a.Seal(plain)) {
			t.Fatal("the same text sealed twice is the same")
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")
		sealed[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := a.Open(sealed); !errors.Is(err, contact.ErrSealed) {
			t.Fatalf("an altered text opened: %v", err)
		}
		if _, err := a.Open(rapid.SliceOfN(rapid.Byte(), 1, 60).Draw(t, "junk")); !errors.Is(err, contact.ErrSealed) {
			t.Fatalf("junk opened: %v", err)
		}
		if a.Hash(plain) == b.Hash(plain) || a.Hash(plain) != v.For("a").Hash(plain) || len(a.Hash(plain)) != 64 {
			t.Fatal("hashes are per purpose and stable")
		}
	})
	if s, err := v.Open(nil); s != "" || err != nil {
		t.Errorf("NULL opens as %q, %v", s, err)
	}
}

func TestKeyFileIsMadeOnceAndOnlyForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "keys.json")
	vaults := make([]*contact.Vault, 16)
	var wg sync.WaitGroup
	for i := range vaults {
		wg.Go(func() {
			v, err := contact.OpenVault(path)
			if err != nil {
				t.Error(err)
			}
			vaults[i] = v
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed := vaults[0].Seal("x")
	for i, v := range vaults {
		if v.Hash("x") != vaults[0].Hash("x") {
			t.Errorf("vault %d has another lookup key", i)
		}
		if s, err := v.Open(sealed); err != nil || s != "x" {
			t.Errorf("vault %d: %q, %v", i, s, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAKeyFileThatOthersCanReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	openVault(t, path)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := contact.OpenVault(path); !errors.Is(err, contact.ErrKeysReadable) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestADamagedKeyFileIsRefusedAndNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	for _, content := range []string{"", "{", "{}", `{"version":2}`, `{"version":1,"current":"a","seal":[],"lookup":{"id":"b","key":"AA=="}}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := contact.OpenVault(path); err == nil {
			t.Errorf("%q was taken for a key file", content)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("%q was replaced by %q", content, got)
		}
	}
}

func TestOldTextsOpenAfterRotationInEveryProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	a, b := openVault(t, path), openVault(t, path)
	old, hash := a.Seal("old"), a.Hash("x")
	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh := a.Seal("new")
	if contact.KeyOf(old) == contact.KeyOf(fresh) || contact.KeyOf(fresh) != a.KeyID() {
		t.Errorf("keys: old %s, new %s, current %s", contact.KeyOf(old), contact.KeyOf(fresh), a.KeyID())
	}
	for name, v := range map[string]*contact.Vault{"the one that rotated": a, "one that was running": b, "one started later": openVault(t, path)} {
		for sealed, want := range map[string]string{string(old): "old", string(fresh): "new"} {
			if got, err := v.Open([]byte(sealed)); err != nil || got != want {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
			}
		}
		if v.Hash("x") != hash {
			t.Errorf("%s: the lookup hash changed", name)
		}
	}
}

func TestADatabaseIsBoundToItsKeys(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx, dir := context.Background(), t.TempDir()
		v := openVault(t, filepath.Join(dir, "keys.json"))
		for range 2 {
			if err := v.Bind(ctx, db); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Rotate(); err != nil {
			t.Fatal(err)
		}
		if err := v.Bind(ctx, db); err != nil {
			t.Errorf("after a rotation: %v", err)
		}
		if err := openVault(t, filepath.Join(dir, "other.json")).Bind(ctx, db); !errors.Is(err, contact.ErrWrongKeys) {
			t.Errorf("with the keys of another database: %v", err)
		}
	})
}
