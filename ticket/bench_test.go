package ticket

import (
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// BenchmarkLife measures the nine commands of a ticket's main path, from intake to rating, each in its own
// transaction.
func BenchmarkLife(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b, open(b))
			b.ResetTimer()
			n := h.events()
			for b.Loop() {
				h.rate(h.rating(nil).ID, 5)
			}
			b.StopTimer()
			b.ReportMetric(float64(h.events()-n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
