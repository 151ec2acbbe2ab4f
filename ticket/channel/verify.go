package channel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
)

// VerifyFiles compares every file that came with a request with the sum that stands in the log, and names the first that
// was changed or put in. A file that was erased after its period has only its facts left. The chain itself is
// audit.Verify's business.
func VerifyFiles(ctx context.Context, db *storage.DB, v *contact.Vault) (checked int, err error) {
	type row struct {
		id, ticket, sum string
		sealed          []byte
	}
	for last := ""; ; {
		n := 0
		err := db.View(ctx, func(tx *storage.Tx) error {
			rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.ticket, &x.sum, &x.sealed) },
				`SELECT id, ticket_id, sum, sealed FROM channel_attachment WHERE id > $1 ORDER BY id LIMIT 20`, last)
			if err != nil {
				return err
			}
			n = len(rows)
			for _, r := range rows {
				last = r.id
				events, err := audit.Stream(tx, "attachment/"+r.ticket)
				if err != nil {
					return err
				}
				noted := ""
				for _, e := range events {
					var p struct{ ID, Sum string }
					if json.Unmarshal(e.Payload, &p) == nil && p.ID == r.id {
						noted = p.Sum
					}
				}
				if noted == "" || noted != r.sum {
					return fmt.Errorf("file %s was put in, or its sum was changed", r.id)
				}
				if r.sealed == nil {
					continue
				}
				plain, err := v.For(filePurpose).Open(r.sealed)
				if h := sha256.Sum256([]byte(plain)); err != nil || hex.EncodeToString(h[:]) != r.sum {
					return fmt.Errorf("file %s was changed", r.id)
				}
				checked++
			}
			return nil
		})
		if err != nil {
			return checked, fmt.Errorf("verify files: %w", err)
		}
		if n == 0 {
			return checked, nil
		}
	}
}
