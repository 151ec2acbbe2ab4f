package survey_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

// BenchmarkMorning is a whole morning of b.N records, each of another person: import, run, send and receipts, figures.
// Run it with -benchtime 50000x; each step prints its own figure.
func BenchmarkMorning(b *testing.B) {
	engines := map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres}
	for name, open := range engines {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b, open(b))
			text := records(0, b.N)
			b.ResetTimer()
			start := time.Now()
			lap := func(step string) {
				b.ReportMetric(time.Since(start).Seconds(), step+"-s")
				start = time.Now()
			}
			if _, err := h.survey.Import(h.ctx, strings.NewReader(text), "records.csv", survey.ImportOptions{}); err != nil {
				b.Fatal(err)
			}
			lap("import")
			if res := h.run("2026-11-22"); res.Asked != b.N {
				b.Fatalf("asked %d of %d", res.Asked, b.N)
			}
			lap("run")
			h.settle()
			lap("send")
			h.view(func(tx *storage.Tx) error {
				f, err := h.survey.Day(tx, h.day("2026-11-22"))
				if n := f.Whole.Count[survey.Delivered]; err == nil && n != b.N {
					err = fmt.Errorf("delivered %d of %d", n, b.N)
				}
				return err
			})
			lap("figures")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys)/(1<<20), "MB")
		})
	}
}
