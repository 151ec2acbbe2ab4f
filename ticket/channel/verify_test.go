package channel

import (
	"testing"

	"lianxin/storage"
)

func TestAChangedFileIsFound(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	h.take(Delivery{Channel: "web", Title: "照片", Body: "内容", Files: []File{{Name: "a.jpg", Media: "image/jpeg", Data: []byte("picture")}}})
	if n, err := VerifyFiles(h.ctx, h.DB, h.vault()); n != 1 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	h.update(func(tx *storage.Tx) error {
		_, err := tx.Exec(`UPDATE channel_attachment SET sealed = $1`, h.vault().For(filePurpose).Seal("another"))
		return err
	})
	if _, err := VerifyFiles(h.ctx, h.DB, h.vault()); err == nil {
		t.Error("a changed file is not found")
	}
}
