package ticket

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var (
	soakTickets = flag.Int("invariants.tickets", 40, "tickets that random commands work on (make invariants: 10000)")
	soakSteps   = flag.Int("invariants.steps", 12, "commands for each ticket")
)

// babble is a text of n characters that no other text is like.
func (w *world) babble(n int) string {
	out := make([]rune, n)
	for i := range out {
		out[i] = rune(0x4e00 + w.n(6000))
	}
	return string(out)
}

// soakWriters work at once, so that commands meet on the same tickets.
const soakWriters = 4

// TestInvariantsHoldUnderConcurrentWriters lets several writers and a sweeper give random commands, legal and not, on the
// same tickets at once, and holds the invariants against every ticket, the whole log and every count afterwards.
func TestInvariantsHoldUnderConcurrentWriters(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		above := StandAbove(t, h.bureau())
		var mu sync.Mutex
		var tickets []string
		owner := map[string]string{}
		var done, refused, conflicts, given atomic.Int64
		citizens := make([]string, max(10, *soakTickets/8))
		for i := range citizens {
			citizens[i] = h.person(fmt.Sprintf("138%08d", i))
		}
		// try runs a command until nobody stands in its way.
		try := func(name string, fn func(tx *storage.Tx) error) {
			for n := 0; ; n++ {
				err := db.Update(context.Background(), fn)
				switch _, no := RefusedWith(err); {
				case err == nil:
					done.Add(1)
				case no || errors.Is(err, storage.ErrNotFound):
					refused.Add(1)
				case errors.Is(err, storage.ErrConflict) && n < 50:
					conflicts.Add(1)
					time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
					continue
				default:
					t.Errorf("%s: %v", name, err)
				}
				return
			}
		}
		began := time.Now()
		var wg sync.WaitGroup
		for n := range soakWriters {
			wg.Go(func() {
				w := &world{house: h, t: t, r: rand.New(rand.NewPCG(uint64(n), 7))}
				for given.Add(1) <= int64(*soakTickets**soakSteps) && !t.Failed() {
					h.pass(time.Duration(w.n(200)) * time.Second)
					if w.n(1500) == 0 {
						h.pass(31 * 24 * time.Hour)
					}
					mu.Lock()
					all := tickets
					mu.Unlock()
					if len(all) == 0 || len(all) < *soakTickets && w.n(*soakSteps) == 0 {
						w.citizen = citizens[w.n(len(citizens))]
						in := Intake{Channel: pick(w, "hotline", "web", "12345", "12389"), Kind: Complaint, Colour: pick(w, "", w.colour()), Title: "诉求13800000009", ContactID: w.citizen,
							Body: pick(w, "路灯坏了,请修理。", "赔偿拖了三年没人管。", "有人赌博,请保密,怕报复。", "我们三十户业主要去市政府拉横幅。", "他拿着刀在楼道里,快来!"), Raw: []byte("raw"), By: w.operator}
						if in.Channel == "12345" {
							in.ExternalID, in.ExternalDue = newID(), w.Now().Add(72*time.Hour)
						}
						if w.n(10) > 0 { // words of its own; the rest is taken for repeats and groups
							in.Body += w.babble(40)
						}
						switch w.n(12) {
						case 0, 1:
							in.AccusedUnit = unitB
						case 2:
							in.AccusedStaff = pick(w, w.handlerA, w.reviewerB, w.supervisor, w.caller).ID
						}
						try("open", func(tx *storage.Tx) error {
							k, err := h.Open(tx, in)
							tx.After(func() {
								mu.Lock()
								tickets, owner[k.ID] = append(slices.Clone(tickets), k.ID), k.ContactID
								mu.Unlock()
							})
							return err
						})
						continue
					}
					// The latest are worked on by all writers; older ones are met now and then.
					recent := all[max(0, len(all)-4*soakWriters):]
					w.tickets = []string{pick(w, recent...), pick(w, recent...), pick(w, all...)}
					id := w.ticket()
					mu.Lock()
					w.citizen = owner[id]
					mu.Unlock()
					if w.n(4) == 0 {
						name, run := above.Command(w.r, id)
						try(name, run)
					} else if name, run := w.command(id); run != nil {
						try(name, run)
					}
				}
			})
		}
		stop := make(chan struct{})
		var sweeps int
		var sweeper sync.WaitGroup
		sweeper.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(500 * time.Millisecond):
				}
				if _, err := h.Sweep(context.Background(), db, h.Now()); err != nil {
					t.Errorf("sweep: %v", err)
					return
				}
				if sweeps++; sweeps%4 == 1 {
					if err := above.Sweep(context.Background()); err != nil {
						t.Errorf("sweep above: %v", err)
						return
					}
				}
			}
		})
		wg.Wait()
		close(stop)
		sweeper.Wait()
		took := time.Since(began)
		if _, err := h.Sweep(context.Background(), db, h.Now()); err != nil {
			t.Errorf("sweep: %v", err)
		}
		visited := map[State]int{}
		for _, id := range tickets {
			(&world{house: h, t: t, visited: visited, citizen: owner[id]}).check("all", id)
		}
		above.Check(t, tickets)
		rep, err := audit.Verify(context.Background(), db, nil)
		if err != nil || rep.Broken != nil {
			t.Errorf("%+v, %v", rep, err)
		}
		h.view(func(tx *storage.Tx) error { // I22
			c, err := h.Count(tx, System, h.Now())
			if err != nil {
				return err
			}
			for s, n := range c.States {
				if _, total, err := h.List(tx, Filter{Viewer: System, State: s, Limit: 1}); err != nil || total != n {
					t.Errorf("%d tickets are counted as %s, the list has %d (%v)", n, s, total, err)
				}
			}
			_, open, err := h.List(tx, Filter{Viewer: System, Open: true, Limit: 1})
			if open != c.Open {
				t.Errorf("%d open, the list has %d", c.Open, open)
			}
			return err
		})
		t.Logf("%d tickets, %d commands carried out, %d refused, %d conflicts, %d sweeps, %d events in %v: %.0f commands/s; states %v",
			len(tickets), done.Load(), refused.Load(), conflicts.Load(), sweeps, rep.Events, took.Round(time.Millisecond), float64(done.Load()+refused.Load())/took.Seconds(), visited)
	})
}
