package ticket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"lianxin/audit"
	"lianxin/storage"
)

// together runs fns at the same time, each in a transaction that is tried again after a conflict, and returns their errors.
func (h *house) together(fns ...func(tx *storage.Tx) error) []error {
	errs := make([]error, len(fns))
	if h.tries == 0 {
		h.tries = 20
	}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			<-start
			for range max(h.tries, 1) {
				errs[i] = h.db.Update(context.Background(), fn)
				if !errors.Is(errs[i], storage.ErrConflict) {
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
	return errs
}

func TestOfTwoOfficersOnOneLegOneWins(t *testing.T) {
	each(t, func(h *house) {
		for range 5 {
			k := h.accepted(nil)
			h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, h.dispatcher)
			})
			leg := h.hostLeg(k.ID).ID
			errs := h.together(
				func(tx *storage.Tx) error { _, err := h.Sign(tx, leg, h.handlerA); return err },
				func(tx *storage.Tx) error { _, err := h.Sign(tx, leg, h.reviewerA); return err },
			)
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
					continue
				}
				r, ok := RefusedWith(err)
				if !ok || r.Code != "leg_state" || !strings.Contains(r.Message, "-a于10:00签收") {
					h.t.Errorf("the loser is told %v", err)
				}
			}
			if won != 1 {
				h.t.Errorf("%d of two signed", won)
			}
		}
	})
}

func TestActingOnAnOldPageIsRefused(t *testing.T) {
	each(t, func(h *house) {
		k := h.accepted(nil)
		old := h.dispatcher
		old.Seen = k.Revision
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Raise(tx, k.ID, Yellow, "x", System) })
		h.refused("stale", func(tx *storage.Tx) error { _, err := h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, old); return err })
		old.Seen = h.get(k.ID).Revision
		// What clocks do on their own does not make a page old.
		h.pass(1000 * 1000 * 1000 * 3600)
		h.sweep()
		h.must(func(tx *storage.Tx) (Ticket, error) { return h.Dispatch(tx, k.ID, Dispatching{Host: unitA}, old) })
	})
}

func TestNumbersAndExternalItemsAreUniqueUnderConcurrentWriters(t *testing.T) {
	each(t, func(h *house) {
		var mu sync.Mutex
		numbers, items := map[string]bool{}, map[string]bool{}
		var fns []func(tx *storage.Tx) error
		for i := range 24 {
			fns = append(fns, func(tx *storage.Tx) error {
				in := Intake{Channel: "12345", ExternalID: fmt.Sprintf("E%d", i%6), Kind: Help, Title: "x", Raw: []byte("same"), By: System}
				k, err := h.Open(tx, in)
				if err == nil {
					tx.After(func() {
						mu.Lock()
						defer mu.Unlock()
						numbers[k.Number], items[k.ID] = true, true
					})
				}
				return err
			})
		}
		// Not even a conflict to try again after: the second one waits and then finds the first one's ticket.
		h.tries = 1
		for _, err := range h.together(fns...) {
			if err != nil {
				h.t.Error(err)
			}
		}
		for i := 1; i <= 6; i++ {
			if !numbers[fmt.Sprintf("民2026-1123-%04d", i)] {
				h.t.Errorf("number %d is missing: %v", i, numbers)
			}
		}
		if len(numbers) != 6 || len(items) != 6 {
			h.t.Errorf("%d numbers, %d tickets for 6 items", len(numbers), len(items))
		}
		rep, err := audit.Verify(context.Background(), h.db, nil)
		if err != nil || rep.Broken != nil {
			h.t.Errorf("%+v, %v", rep, err)
		}
	})
}
