package sms

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/workday"
)

// books is a carrier with a memory, and whatever a test wants to happen inside its calls.
type books struct {
	sent   map[string]int
	order  []string
	inside func(Message)
	err    error
}

func (b *books) Name() string { return "books" }

func (b *books) Send(_ context.Context, m Message) (Sent, error) {
	if b.inside != nil {
		b.inside(m)
	}
	if b.err != nil {
		return Sent{}, b.err
	}
	b.sent[m.ID]++
	b.order = append(b.order, m.Key)
	return Sent{CarrierID: "c-" + m.ID}, nil
}

func (b *books) Find(_ context.Context, m Message) (Found, error) {
	return Found{Known: b.sent[m.ID] > 0, CarrierID: "c-" + m.ID, State: Accepted}, nil
}

func leaseHouse(t *testing.T, db *storage.DB) (o *Outbox, b *books, clock *time.Time, id string) {
	t.Helper()
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, workday.Zone)
	clock = &now
	b = &books{sent: map[string]int{}}
	o = &Outbox{DB: db, Carriers: []Carrier{b}, Vault: v, Now: func() time.Time { return *clock }, Limits: Limits{Workers: 1}}
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(context.Background(), func(tx *storage.Tx) (err error) {
		id, _, err = o.Queue(tx, Message{Key: "k", Phone: p, Body: "x"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return o, b, clock, id
}

func claimNow(o *Outbox) (msgs []claimed, err error) {
	err = o.DB.Update(context.Background(), func(tx *storage.Tx) (err error) {
		msgs, err = o.claim(tx, claimQueued, "books", true, 10)
		return err
	})
	return msgs, err
}

func stateOf(t *testing.T, o *Outbox, id string) (m Message) {
	t.Helper()
	err := o.DB.View(context.Background(), func(tx *storage.Tx) (err error) {
		m, err = o.Get(tx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A sender that dies after the claim leaves a text of which nobody knows whether it was sent.
func TestTextOfADeadSenderIsAskedAboutBeforeItIsSent(t *testing.T) {
	t.Parallel()
	for _, reached := range []bool{false, true} {
		storagetest.Each(t, func(t *testing.T, db *storage.DB) {
			ctx := context.Background()
			o, b, clock, id := leaseHouse(t, db)
			msgs, err := claimNow(o)
			if err != nil || len(msgs) != 1 {
				t.Fatalf("claimed %d, %v", len(msgs), err)
			}
			if reached {
				b.Send(ctx, msgs[0].Message)
			}
			if _, err := o.Flush(ctx); err != nil { // under the lease nobody else touches it
				t.Fatal(err)
			}
			if m := stateOf(t, o, id); m.State != Sending {
				t.Fatalf("under the lease the text is %s", m.State)
			}
			*clock = clock.Add(o.Limits.Lease)
			if _, err := o.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if m := stateOf(t, o, id); m.State != Accepted || b.sent[id] != 1 {
				t.Errorf("reached before: %v: the text is %s and was sent %d times", reached, m.State, b.sent[id])
			}
		})
	}
}

func TestLateResultDoesNotOverwriteANewerAttempt(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		o, b, clock, id := leaseHouse(t, db)
		old, err := claimNow(o)
		if err != nil || len(old) != 1 {
			t.Fatalf("claimed %d, %v", len(old), err)
		}
		*clock = clock.Add(o.Limits.Lease)
		if _, err := o.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for _, out := range []outcome{{state: Queued, due: *clock, kind: Throttled}, {state: Failed, kind: Refused}, {state: Unknown, kind: NoAnswer}} {
			if err := o.DB.Update(ctx, func(tx *storage.Tx) error { return o.record(tx, old[0], out) }); err != nil {
				t.Fatal(err)
			}
			if m := stateOf(t, o, id); m.State != Accepted {
				t.Fatalf("a late %s made the text %s", out.state, m.State)
			}
		}
		if _, err := o.Flush(ctx); err != nil || b.sent[id] != 1 {
			t.Errorf("sent %d times, %v", b.sent[id], err)
		}
	})
}

// A carrier that names an id for a text that it does not have must not make it pass for accepted later.
func TestAnIDWithoutATextIsNoAcceptance(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		o, b, clock, id := leaseHouse(t, db) // its Find always names an id
		b.err = context.DeadlineExceeded
		for range 6 {
			if _, err := o.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if m := stateOf(t, o, id); m.State == Accepted || b.sent[id] != 0 {
				t.Fatalf("the text is %s, though it was never taken", m.State)
			}
			*clock = clock.Add(o.Limits.Lease)
		}
		b.err = nil
		for range 3 {
			if _, err := o.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			*clock = clock.Add(o.Limits.Lease)
		}
		if m := stateOf(t, o, id); m.State != Accepted || b.sent[id] != 1 {
			t.Errorf("the text is %s and was sent %d times", m.State, b.sent[id])
		}
	})
}

func TestSenderThatSleptDoesNotSendOnAnOldClaim(t *testing.T) {
	ctx := context.Background()
	o, b, clock, id := leaseHouse(t, storagetest.SQLite(t))
	msgs, err := claimNow(o)
	if err != nil || len(msgs) != 1 {
		t.Fatalf("claimed %d, %v", len(msgs), err)
	}
	*clock = clock.Add(o.Limits.Lease - time.Second) // less than a call may take
	out, err := o.sendOne(ctx, o.lines["books"], msgs[0])
	if err != nil || out.state != Queued || b.sent[id] != 0 {
		t.Errorf("outcome %+v, %v; sent %d times", out, err, b.sent[id])
	}
}

func TestReceiptDuringTheCallIsNotUndoneByItsResult(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		for _, c := range []struct {
			receipt State
			err     error
			want    State
		}{
			{Delivered, nil, Delivered}, {Failed, nil, Failed}, {Accepted, nil, Accepted},
			{Delivered, context.DeadlineExceeded, Delivered}, {Accepted, context.DeadlineExceeded, Accepted}, {Failed, context.DeadlineExceeded, Failed},
		} {
			ctx := context.Background()
			if err := db.Update(ctx, func(tx *storage.Tx) error { _, err := tx.Exec(`DELETE FROM sms`); return err }); err != nil {
				t.Fatal(err)
			}
			o, b, _, id := leaseHouse(t, db)
			b.err = c.err
			b.inside = func(m Message) {
				if err := o.Receipt(ctx, Receipt{Carrier: "books", MessageID: m.ID, State: c.receipt}); err != nil {
					t.Error(err)
				}
			}
			if _, err := o.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if m := stateOf(t, o, id); m.State != c.want {
				t.Errorf("receipt %s, answer %v: the text is %s, want %s", c.receipt, c.err, m.State, c.want)
			}
		}
	})
}

func TestPartsMakeAWholeTextOnlyTogether(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		o, _, _, id := leaseHouse(t, db)
		if err := db.Update(ctx, func(tx *storage.Tx) error { _, err := tx.Exec(`UPDATE sms SET segments = 2`); return err }); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for i, want := range []State{Accepted, Accepted, Delivered} {
			part := []int{1, 1, 2}[i] // the first twice
			if err := o.Receipt(ctx, Receipt{Carrier: "books", MessageID: id, State: Delivered, Part: part}); err != nil {
				t.Fatal(err)
			}
			if m := stateOf(t, o, id); m.State != want {
				t.Errorf("after receipt %d the text is %s, want %s", i+1, m.State, want)
			}
		}
	})
}

func TestHigherPriorityGoesFirstThenWhoWasDueFirst(t *testing.T) {
	t.Parallel()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		o, b, clock, _ := leaseHouse(t, db) // queues "k"
		for _, m := range []Message{{Key: "bulk 2", Due: clock.Add(2 * time.Second)}, {Key: "bulk 1", Due: clock.Add(time.Second)}, {Key: "answer", Priority: Answer}} {
			m.Phone, _ = contact.ParseMobile("13804140002")
			m.Body = "x"
			if err := db.Update(ctx, func(tx *storage.Tx) error { _, _, err := o.Queue(tx, m); return err }); err != nil {
				t.Fatal(err)
			}
		}
		*clock = clock.Add(time.Minute)
		if _, err := o.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{"answer", "k", "bulk 1", "bulk 2"}; !slices.Equal(b.order, want) {
			t.Errorf("sent in the order %q, want %q", b.order, want)
		}
	})
}
