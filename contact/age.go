package contact

import (
	"fmt"
	"slices"
	"time"

	"lianxin/storage"
)

// Births are the days of birth of those of some people whose identity number is known (GB 11643: its seventh to fourteenth
// digit). It is for counts by age: nothing else of the number leaves the vault.
func (b *Book) Births(tx *storage.Tx, ids []string) (map[string]time.Time, error) {
	type row struct {
		id     string
		sealed []byte
	}
	box, out := b.Vault.For(identityPurpose), map[string]time.Time{}
	for part := range slices.Chunk(ids, 200) {
		in, args := storage.In(nil, part)
		rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.sealed) },
			`SELECT id, identity_sealed FROM contact WHERE identity_sealed IS NOT NULL AND id IN (`+in+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("ages of people: %w", err)
		}
		for _, r := range rows {
			number, err := box.Open(r.sealed)
			if err != nil {
				return nil, fmt.Errorf("ages of people: %w", err)
			}
			if len(number) != 18 {
				continue
			}
			if born, err := time.Parse("20060102", number[6:14]); err == nil { // 30 February is on no card, and in some files
				out[r.id] = born
			}
		}
	}
	return out, nil
}
