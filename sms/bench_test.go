package sms_test

import (
	"context"
	"fmt"
	"testing"

	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// BenchmarkOutbox sends texts through the simulated carrier, which keeps its books in the same database: what is
// measured is ours and the carrier's commits together. Queueing is not counted. Run with -benchtime 20000x.
func BenchmarkOutbox(b *testing.B) {
	engines := map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres}
	for name, open := range engines {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b, open(b))
			fill(h, b.N)
			b.ResetTimer()
			tally := h.flush()
			b.StopTimer()
			if tally.Sent != b.N {
				b.Fatalf("sent %d of %d", tally.Sent, b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
		})
	}
}

func fill(h *house, n int) {
	for i := 0; i < n; {
		h.update(func(tx *storage.Tx) error {
			for end := min(n, i+500); i < end; i++ {
				m := sms.Message{Key: fmt.Sprintf("bench:%d", i), Campaign: "bench", Phone: h.phone(i), Body: "请评价站前派出所11月22日110接处警服务：1满意2基本满意3不满意"}
				if _, _, err := h.outbox.Queue(tx, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// ready is a carrier that takes everything at once and keeps nothing.
type ready struct{}

func (ready) Name() string { return "ready" }
func (ready) Send(context.Context, sms.Message) (sms.Sent, error) {
	return sms.Sent{CarrierID: storage.NewID()}, nil
}
func (ready) Find(context.Context, sms.Message) (sms.Found, error) {
	return sms.Found{}, sms.ErrCannotAsk
}

// BenchmarkOutboxAlone is BenchmarkOutbox with a carrier that costs nothing: the claims and outcomes of the outbox, each
// on the disk before the next step.
func BenchmarkOutboxAlone(b *testing.B) {
	engines := map[string]func(testing.TB) *storage.DB{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres}
	for name, open := range engines {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b, open(b))
			h.outbox.Carriers = []sms.Carrier{ready{}}
			fill(h, b.N)
			b.ResetTimer()
			tally := h.flush()
			b.StopTimer()
			if tally.Sent != b.N {
				b.Fatalf("sent %d of %d", tally.Sent, b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "texts/s")
		})
	}
}
