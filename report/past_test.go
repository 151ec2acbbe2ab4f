package report

import (
	"context"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

func cell(t *testing.T, e Edition, key string, row, column int) string {
	t.Helper()
	for _, g := range e.Content.Tables {
		if g.Key == key && row < len(g.Rows) {
			return g.Rows[row][column]
		}
	}
	return ""
}

func value(e Edition, id string) string {
	for _, l := range e.Content.Lines {
		if l.ID == id {
			return l.Value
		}
	}
	return ""
}

// An edition of a past day says what was known at its end, whenever it is drafted: what was rated, settled, moved to another
// colour or corrected afterwards is not in it, and is told beside it as what came later.
func TestAnEditionOfAPastDayIsTheSameWheneverItIsDrafted(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		p := newPress(t, db)
		ctx := context.Background()
		day := workday.DayOf(p.now)
		var open, other ticket.Ticket
		p.update(func(tx *storage.Tx) error {
			p.answered(tx, 0, 5, nil)
			other = p.answered(tx, 1, 2, nil)
			open = p.open(tx, 2, nil)
			p.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
				return p.o.Accept(tx, open.ID, ticket.Acceptance{Kind: open.Kind}, p.dispatcher)
			})
			_, err := p.r.Oversight.OpenTopic(tx, oversee.TopicIn{Title: "夜间噪声", Tickets: []string{open.ID, other.ID}}, p.supervisor)
			return err
		})
		p.now = day.End().Add(30 * time.Minute)
		atOnce, err := p.r.DraftPast(ctx, db, Drafting{Kind: Daily, Day: day}, p.analyst)
		if err != nil {
			t.Fatal(err)
		}
		if !atOnce.CutOff.Equal(day.End()) || !atOnce.Content.Past || value(atOnce, "accepted") != "3" || cell(t, atOnce, "begun", 1, 1) != "1" {
			t.Errorf("%v, %+v", atOnce.CutOff, atOnce.Content)
		}
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Discard(tx, atOnce.ID, p.analyst) })
		// A month goes by in which everything changes.
		p.now = p.now.AddDate(0, 1, 0)
		p.update(func(tx *storage.Tx) error {
			p.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
				return p.o.Raise(tx, open.ID, ticket.Red, "聚集苗头", p.supervisor)
			})
			p.do(tx, func(tx *storage.Tx) (ticket.Ticket, error) {
				return p.o.Withdraw(tx, open.ID, ticket.Withdrawal{Reason: "群众撤回", Evidence: "来电录音"}, p.operator)
			})
			p.answered(tx, 3, 4, nil)
			return nil
		})
		late, err := p.r.DraftPast(ctx, db, Drafting{Kind: Daily, Day: day}, p.analyst)
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff(atOnce.Content, late.Content); len(d) > 0 || atOnce.Sum != late.Sum {
			t.Errorf("a month later the same day gives %+v", d)
		}
		// Counted up to now it is another one, and says so.
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Discard(tx, late.ID, p.analyst) })
		now := p.run(func(tx *storage.Tx) (Edition, error) {
			return p.r.DraftEdition(tx, Drafting{Kind: Daily, Day: day}, p.analyst)
		})
		if now.Content.Past || len(Diff(late.Content, now.Content)) == 0 {
			t.Error("what happened in a month does not show in what is counted up to now")
		}
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Discard(tx, now.ID, p.analyst) })
		// Published, it can be had from the log again, and what was corrected since stands beside it.
		e, err := p.r.DraftPast(ctx, db, Drafting{Kind: Daily, Day: day}, p.analyst)
		if err != nil {
			t.Fatal(err)
		}
		p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Review(tx, e.ID, p.analyst2) })
		e = p.run(func(tx *storage.Tx) (Edition, error) { return p.r.Publish(tx, e.ID, p.leader) })
		p.update(func(tx *storage.Tx) error { // as an import of corrections would: the tables say otherwise, the edition's log does not
			_, err := tx.Exec(`UPDATE ticket SET validity = 'test' WHERE id = $1`, other.ID)
			return err
		})
		if d, err := p.r.Reproduce(ctx, db, e); err != nil || len(d) > 0 {
			t.Errorf("%+v, %v", d, err)
		}
		p.view(func(tx *storage.Tx) error {
			printed, later, err := p.r.Printed(tx, Days(day, day), Scope{})
			if err != nil || printed.ID != e.ID || !later["valid"].Correction || later["valid"].Now == later["valid"].Printed {
				t.Errorf("%s, %+v, %v", printed.ID, later, err)
			}
			if _, later, _ := p.r.Printed(tx, Days(day, day), Scope{Channel: "12345"}); later != nil {
				t.Error("a part of the city is compared with the whole")
			}
			return nil
		})
		// What the tables say otherwise than the log shows when it is recounted.
		e.Content.Lines[0].Value = "9999"
		if d, err := p.r.Reproduce(ctx, db, e); err != nil || len(d) != 1 {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestOnlyWhatIsOverIsCountedAsOfItsEnd(t *testing.T) {
	p := newPress(t, storagetest.SQLite(t))
	day := workday.DayOf(p.now)
	e, err := p.r.DraftPast(context.Background(), p.db, Drafting{Kind: Daily, Day: day}, p.analyst)
	if err != nil || e.Content.Past || !e.CutOff.Equal(p.now) {
		t.Errorf("today: %+v, %v", e, err)
	}
	if _, err := p.r.DraftPast(context.Background(), p.db, Drafting{Kind: Daily, Day: day.Add(-1)}, p.operator); err == nil {
		t.Error("an operator drafts a report")
	}
	if _, err := p.r.DraftPast(context.Background(), p.db, Drafting{Kind: Special, Title: "专报"}, p.analyst); err == nil {
		t.Error("a special report of no days")
	}
}
