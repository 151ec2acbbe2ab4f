package survey_test

import (
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

// BenchmarkPage is the figures of a day of 20,000 records, and one page of the list behind one of them.
func BenchmarkPage(b *testing.B) {
	h := newHouse(b, storagetest.SQLite(b))
	h.importText(records(0, 20000))
	h.run("2026-11-22")
	day := h.day("2026-11-22")
	b.Run("figures", func(b *testing.B) {
		for b.Loop() {
			h.view(func(tx *storage.Tx) error { _, err := h.survey.Day(tx, day); return err })
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			h.view(func(tx *storage.Tx) error {
				page, n, err := h.survey.Select(tx, survey.Selection{First: day, Last: day, Figure: survey.Planned, Limit: 50, Offset: 10000})
				if n != 20000 || len(page) != 50 {
					b.Errorf("%d of %d", len(page), n)
				}
				return err
			})
		}
	})
}
