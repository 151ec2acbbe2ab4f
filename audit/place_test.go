package audit

import (
	"context"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/storage/storagetest"
)

func TestThePlaceOfATimeInTheLogIsFoundAndOtherStreamsArePassedOver(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		err := db.Update(context.Background(), func(tx *storage.Tx) error {
			if n, err := Place(tx, start); n != 0 || err != nil {
				t.Errorf("an empty log: %d, %v", n, err)
			}
			for i := range 50 {
				stream := []string{"ticket/a", "call/b"}[i%2]
				if _, err := Append(tx, Entry{Stream: stream, Type: "test.happened", Actor: "system", At: start.Add(time.Duration(i) * time.Hour)}); err != nil {
					return err
				}
			}
			for _, hours := range []int{-5, 0, 1, 17, 49, 80} {
				at := start.Add(time.Duration(hours)*time.Hour - time.Minute)
				seq, err := Place(tx, at)
				if err != nil {
					return err
				}
				rest, err := After(tx, seq, 100)
				if err != nil {
					return err
				}
				if want := 50 - min(max(hours, 0), 50); len(rest) != want {
					t.Errorf("%d hours: %d events behind the place, want %d", hours, len(rest), want)
				}
			}
			of, err := AfterIn(tx, "ticket/", 0, 100)
			if len(of) != 25 {
				t.Errorf("%d events of tickets", len(of))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
