package main

import (
	"context"

	"lianxin/storage"
)

// events counts the events of a type in the audit log.
func (u *up) events(typ string) int {
	u.t.Helper()
	n := 0
	err := u.c.db.View(context.Background(), func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM audit_event WHERE type = $1`, typ)
		return err
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return n
}
