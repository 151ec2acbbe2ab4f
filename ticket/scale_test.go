package ticket

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var (
	scaleTickets = flag.Int("scale.tickets", 1500, "tickets in the store (make bench-tickets: 1000000)")
	scaleClocks  = flag.Int("scale.clocks", 500, "clocks that run when the sweeper comes by (make bench-tickets: 100000)")
	scaleEvents  = flag.Int("scale.events", 500, "events of the log to verify (make bench-tickets: 100000)")
)

// stock fills the store with n tickets of the last years, one in twenty of them open, each with a leg; the open ones have a
// clock of handling. They are rows only: what is measured reads them, and writes to tickets that were opened properly.
func stock(t testing.TB, db *storage.DB, n, clocks int, now time.Time, rules string) {
	t.Helper()
	numbers := `WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS BIGINT)) `
	at := now.Add(-time.Duration(n) * time.Minute).UnixMilli()
	update := func(query string, args ...any) {
		t.Helper()
		if err := db.Update(context.Background(), func(tx *storage.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	due := now.Add(48 * time.Hour).UnixMilli()
	update(`INSERT INTO ticket (id, number, version, revision, state, channel, kind, original_kind, colour, title, body, place, contact_id, call_id, record_id, incident_no,
		accused_unit, accused_staff, unit_hint, confidential, anonymous, proactive, restricted, validity, round, hold, queue, host, outcome, rating, ground, reply_via, answered_by,
		decided_by, merged_into, repeat_of, returns, extensions, suspensions, rule_version, opened_by, received_at, opened_at, accepted_at, replied_at, closed_at, changed_at, due_at)
		`+numbers+`SELECT 'S' || CAST(10000000 + i AS TEXT), '民S-' || CAST(i AS TEXT), 1, 1, CASE WHEN i % 20 = 0 THEN 'HANDLING' WHEN i < CAST($1 AS BIGINT) - 30000 THEN 'ARCHIVED' ELSE 'CLOSED' END, CASE i % 4 WHEN 0 THEN '12345' ELSE 'hotline' END,
		'complaint', 'complaint', CASE i % 40 WHEN 0 THEN '橙' WHEN 20 THEN '黄' ELSE '蓝' END, '楼下烧烤店夜间噪音扰民' || CAST(i AS TEXT), '每晚十一点以后油烟和噪音影响休息,请有关部门处理。', '平山区站前街道',
		'C' || CAST(i % 300000 AS TEXT), '', '', '', '', '', '', i % 50 = 1, FALSE, FALSE, i % 100 = 3, 'effective', 0, '', '', CASE WHEN i % 20 = 0 THEN '`+unitA+`' ELSE '' END,
		CASE WHEN i % 20 = 0 THEN '' ELSE 'rated' END, 5, '', 'phone', '', '', '', '', 0, 0, 0, '`+rules+`', 'system',
		CAST($2 AS BIGINT) + i * 60000, CAST($2 AS BIGINT) + i * 60000, CAST($2 AS BIGINT) + i * 60000, CASE WHEN i % 20 = 0 THEN NULL ELSE CAST($2 AS BIGINT) + i * 60000 + 1 END, CASE WHEN i % 20 = 0 THEN NULL ELSE CAST($2 AS BIGINT) + i * 60000 + 1 END, CAST($2 AS BIGINT) + i * 60000,
		CASE WHEN i % 20 = 0 THEN CAST($3 AS BIGINT) + i ELSE NULL END FROM n`, n, at, due)
	update(`INSERT INTO ticket_leg (id, ticket_id, round, role, unit, state, state_before, designated, handler, assigned_by, signed_by, submitted_by, reviewed_by, finding, resolution, contacts, assigned_at)
		`+numbers+`SELECT 'L' || CAST(10000000 + i AS TEXT), 'S' || CAST(10000000 + i AS TEXT), 0, 'host', CASE WHEN i % 60 = 0 THEN '`+unitA+`' WHEN i % 60 = 1 THEN '`+unitB+`' ELSE 'unit-' || CAST(i % 60 AS TEXT) END,
		CASE WHEN i % 20 = 0 THEN 'WORKING' ELSE 'ACCEPTED' END, '', FALSE, '', 'system', '', '', '', '', '', 0, CAST($2 AS BIGINT) FROM n`, n, at)
	update(`INSERT INTO ticket_clock (id, ticket_id, leg_id, round, kind, state, span, base_span, extra, total_ms, left_ms, paused_ms, fired, guessed, rule_version, calendar_version, started_at, base_at, due_at, next_at)
		`+numbers+`SELECT 'K' || CAST(10000000 + i AS TEXT), 'S' || CAST(10000000 + 20 * (1 + (i - 1) % CAST($3 AS BIGINT)) AS TEXT), '', 0, 'handle', 'running', '5wd', '5wd', 0, 1000, 0, 0, '', FALSE, '`+rules+`', 'x', CAST($2 AS BIGINT), CAST($2 AS BIGINT), CAST($4 AS BIGINT), CAST($4 AS BIGINT) + i FROM n`,
		clocks, at, max(1, n/20), due)
	if db.Postgres() {
		for _, table := range []string{"ticket", "ticket_leg", "ticket_clock"} {
			update(`ANALYZE ` + table)
		}
	} else {
		update(`ANALYZE`)
	}
}

// TestScale measures what people wait for with a full store. It fails only when an answer is wrong: how long it takes is
// printed, for docs/tickets.md.
func TestScale(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		h.rowsOnly = true
		first := h.open(nil)
		stock(t, db, *scaleTickets, *scaleClocks, h.Now(), first.RuleVersion)
		say := func(what string, n int, fn func(i int)) {
			t.Helper()
			took := make([]time.Duration, n)
			for i := range n {
				began := time.Now()
				fn(i)
				took[i] = time.Since(began)
			}
			slices.Sort(took)
			t.Logf("%-52s median %10s  p95 %10s  (%d times)", what, took[n/2].Round(10*time.Microsecond), took[n*95/100].Round(10*time.Microsecond), n)
		}
		list := func(f Filter) (out []Ticket) {
			f.Limit = 25
			h.view(func(tx *storage.Tx) (err error) { out, _, err = h.List(tx, f); return err })
			return out
		}
		var page []Ticket
		for what, f := range map[string]Filter{
			"list: open, most urgent first (centre)": {Viewer: h.dispatcher, Open: true, Order: ByDue, Most: MostListed},
			"list: all, newest first (centre)":       {Viewer: h.dispatcher, Order: ByNewest, Most: MostListed},
			"list: open and orange (centre)":         {Viewer: h.dispatcher, Open: true, Colour: Orange, Order: ByDue, Most: MostListed},
			"list: of a channel (centre)":            {Viewer: h.dispatcher, Channel: "12345", Most: MostListed},
			"list: overdue (centre)":                 {Viewer: h.dispatcher, Open: true, DueBefore: h.Now(), Order: ByDue, Most: MostListed},
			"list: open, most urgent first (unit)":   {Viewer: h.handlerA, Open: true, Order: ByDue, Most: MostListed},
			"list: all, newest first (unit)":         {Viewer: h.handlerA, Order: ByNewest, Most: MostListed},
			"list: a citizen's":                      {Viewer: h.dispatcher, Contact: "C17", Most: MostListed},
			"list: a word in the text, newest first": {Viewer: h.dispatcher, Text: "扰民", Most: 1000},
		} {
			say(what, 9, func(int) { page = list(f) })
			if len(page) == 0 && what != "list: overdue (centre)" && *scaleTickets > 2000 {
				t.Errorf("%s is empty", what)
			}
		}
		last := ""
		say("list: newest first, 40 pages one after another", 40, func(int) {
			p := list(Filter{Viewer: h.dispatcher, After: last, Most: MostListed})
			if len(p) == 25 && p[0].ID == last {
				t.Error("a page begins with the last of the one before")
			}
			last = p[len(p)-1].ID
		})
		say("figures of the board", 5, func(int) {
			h.view(func(tx *storage.Tx) error { _, err := h.Count(tx, h.dispatcher, h.Now()); return err })
		})
		var ids []string
		say("open a ticket (graded and sorted)", 40, func(i int) {
			k := h.open(func(in *Intake) {
				in.ContactID = h.person(fmt.Sprintf("137%08d", i))
				in.Body = "赔偿拖了三年没人管,再不解决就去市政府拉横幅。"
			})
			ids = append(ids, k.ID)
		})
		say("grade a ticket", 40, func(i int) {
			h.must(func(tx *storage.Tx) (Ticket, error) { return h.Regrade(tx, ids[i], GradedAsked, h.supervisor) })
		})
		say("the page of a ticket: row, legs, clocks, timeline", 40, func(i int) {
			h.view(func(tx *storage.Tx) error {
				_, err := h.See(tx, ids[i], h.dispatcher)
				if err == nil {
					_, err = h.Legs(tx, ids[i])
				}
				if err == nil {
					_, err = h.Clocks(tx, ids[i])
				}
				if err == nil {
					_, err = h.Timeline(tx, ids[i])
				}
				return err
			})
		})
		say("accept, dispatch, sign, contact, submit, approve", 30, func(i int) {
			k := h.toReviewing(func() Ticket {
				k, _ := h.toHandling(h.must(func(tx *storage.Tx) (Ticket, error) { return h.Accept(tx, ids[i], Acceptance{}, h.dispatcher) }))
				return k
			}())
			h.must(func(tx *storage.Tx) (Ticket, error) {
				return h.Approve(tx, k.ID, Reply{"已处理", "phone"}, h.supervisor)
			})
		})
		h.sweep()
		say(fmt.Sprintf("sweep: %d clocks run, none is due", *scaleClocks), 5, func(int) { h.sweep() })
		began, events := time.Now(), h.events()
		// A thousand at a time: PostgreSQL keeps each version of the chain's head until the transaction ends, and walks them all.
		for from, all := int64(0), int64(*scaleEvents)-events; from < all; from += 1000 {
			h.update(func(tx *storage.Tx) error {
				for i := from; i < min(all, from+1000); i++ {
					if _, err := audit.Append(tx, audit.Entry{Stream: fmt.Sprintf("scale/%d", i/8), Type: "scale.event", Actor: "system", Payload: map[string]any{"n": i}}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		t.Logf("append to the log, a thousand in each transaction: %.0f events/s", float64(max(0, int64(*scaleEvents)-events))/time.Since(began).Seconds())
		began = time.Now()
		rep, err := audit.Verify(context.Background(), db, nil)
		if err != nil || rep.Broken != nil {
			t.Errorf("%+v, %v", rep, err)
		}
		t.Logf("audit verify: %d events in %v, %.0f events/s", rep.Events, time.Since(began).Round(time.Millisecond), float64(rep.Events)/time.Since(began).Seconds())
	})
}
