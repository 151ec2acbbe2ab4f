package console

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"lianxin/storage"
)

// sessions keeps sign-ins in the database, so that a restart signs nobody out. It implements scs.CtxStore.
type sessions struct{ db *storage.DB }

// key is what stands in the table for a token: its hash, so that reading the table opens no session.
func (sessions) key(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

func (s sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.db.View(ctx, func(tx *storage.Tx) error {
		text, err := storage.One(tx, storage.Value[string], `SELECT data FROM session WHERE token = $1 AND expiry > $2`, s.key(token), time.Now().UnixMilli())
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err = base64.StdEncoding.DecodeString(text)
		found = err == nil
		return err
	})
	return data, found, err
}

func (s sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.db.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO session (token, data, expiry) VALUES ($1, $2, $3)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expiry = excluded.expiry`,
			s.key(token), base64.StdEncoding.EncodeToString(data), expiry.UnixMilli())
		return err
	})
}

func (s sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.db.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`DELETE FROM session WHERE token = $1 OR expiry < $2`, s.key(token), time.Now().UnixMilli())
		return err
	})
}

// The methods without a context are part of scs.Store and are not called when the others are there.
func (s sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}
func (s sessions) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}
func (s sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
