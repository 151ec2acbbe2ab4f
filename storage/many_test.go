package storage_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func TestManyRowsAreInsertedByFewStatements(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := table(t, db)
		err := db.Update(ctx, func(tx *storage.Tx) error {
			for _, n := range []int{0, 1, 5, 255, 256, 341, 700} {
				var rows [][]any
				var keys []string
				for i := range n {
					keys = append(keys, fmt.Sprintf("%d-%04d", n, i))
					rows = append(rows, []any{keys[i], "x", i})
				}
				added, err := tx.Insert(`INSERT INTO thing (id, name, n)`, rows, ``)
				if err != nil || int(added) != n {
					return fmt.Errorf("%d rows: added %d, %w", n, added, err)
				}
				if n == 0 {
					continue
				}
				fresh := []any{fmt.Sprintf("%d-new", n), "x", 1}
				got, err := storage.Inserted(tx, storage.Value[string], `INSERT INTO thing (id, name, n)`, append(rows, fresh), `ON CONFLICT (id) DO NOTHING RETURNING id`)
				if err != nil || !slices.Equal(got, []string{fresh[0].(string)}) {
					return fmt.Errorf("%d rows again: added %q, %w", n, got, err)
				}
				for _, part := range slices.Collect(slices.Chunk(keys, 300)) {
					list, args := storage.In([]any{-1}, part)
					k, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM thing WHERE n > $1 AND id IN (`+list+`)`, args...)
					if err != nil || k != len(part) {
						return fmt.Errorf("found %d of %d, %w", k, len(part), err)
					}
				}
			}
			var to [][]any
			for i := range 341 {
				to = append(to, []any{fmt.Sprintf("341-%04d", i), int64(1000 + i)})
			}
			to[3][1] = nil
			n, err := tx.Change(to, []string{"TEXT", "BIGINT"}, `UPDATE thing SET at = v.c2 FROM v WHERE thing.id = v.c1`)
			if err != nil || n != 341 {
				return fmt.Errorf("changed %d of 341, %w", n, err)
			}
			sum, err := storage.One(tx, storage.Value[int], `SELECT COALESCE(SUM(at), 0) FROM thing`)
			if want := 341*1000 + 341*340/2 - 1003; err != nil || sum != want {
				return fmt.Errorf("the sum is %d, want %d, %w", sum, want, err)
			}
			found, err := storage.Look(tx, storage.Value[int], to[:7], []string{"TEXT", "BIGINT"}, `SELECT (SELECT COALESCE(at, 0) FROM thing t WHERE t.id = v.c1) FROM v`)
			if err != nil || !slices.Equal(found[:7], []int{1000, 1001, 1002, 0, 1004, 1005, 1006}) {
				return fmt.Errorf("looked up %v, %w", found, err)
			}
			return errors.Join(tx.ByIndex(), tx.InOrder())
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
