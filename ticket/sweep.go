package ticket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lianxin/storage"
)

// Sweep does what is due by now on all tickets: announces each point of each clock once, ends suspensions at their
// approved end, opens ratings that nobody opened, archives, announces overdue call-backs and steps of responses, raises
// alerts again that nobody acknowledged, and grades anew whose citizen came again. What was missed while the program was down is made up for at the next sweep, and several programs
// may sweep the same database: every step is taken in a transaction that checks it anew. It returns the notices it raised
// and the errors it met; one ticket's error does not stop the others.
func (o *Office) Sweep(ctx context.Context, db *storage.DB, now time.Time) ([]Notice, error) {
	s := sweep{o: o, ctx: ctx, db: db, now: ms(now)}
	at := storage.At(s.now)
	if err := db.View(ctx, o.ReadCalendar); err != nil {
		s.errs = append(s.errs, err)
	}
	s.each("clocks", dueClocks, []any{at}, s.clocks)
	s.each("suspensions", dueSuspensions, []any{at}, s.wake)
	s.each("ratings", unopenedRatings, nil, s.rating)
	s.each("archive", settledLong, []any{storage.At(s.archivable())}, s.archive)
	s.each("call-backs", `SELECT id FROM ticket_callback WHERE state = 'open' AND warned = FALSE AND due_at < $1 ORDER BY due_at, id LIMIT 500`, []any{at}, s.callback)
	s.each("alerts", `SELECT id FROM ticket_alert WHERE state = 'RAISED' AND ack_due_at < $1 ORDER BY ack_due_at, id LIMIT 500`, []any{at}, s.alert)
	s.each("steps", `SELECT ticket_id FROM ticket_step WHERE state = 'open' AND warned = FALSE AND due_at < $1 ORDER BY due_at, id LIMIT 500`, []any{at}, s.step)
	s.each("gradings", `SELECT ticket_id FROM ticket_regrade ORDER BY ticket_id LIMIT 500`, nil, s.regrade)
	return s.notices, errors.Join(s.errs...)
}

// The queries of every sweep. Each has an index of its own (migration 96).
const (
	dueClocks       = `SELECT ticket_id FROM ticket_clock WHERE next_at <= $1 ORDER BY next_at, ticket_id LIMIT 500`
	dueSuspensions  = `SELECT ticket_id FROM ticket_clock WHERE kind = 'suspend' AND state = 'running' AND due_at <= $1 ORDER BY due_at, ticket_id LIMIT 500`
	unopenedRatings = `SELECT id FROM ticket WHERE state IN ('REPLIED', 'ANSWERED') ORDER BY id LIMIT 500`
	settledLong     = `SELECT id FROM ticket WHERE state = 'CLOSED' AND closed_at <= $1 ORDER BY closed_at, id LIMIT 500`
)

type sweep struct {
	o       *Office
	ctx     context.Context
	db      *storage.DB
	now     time.Time
	notices []Notice
	errs    []error
}

// each runs do for every id that the query gives. What is done leaves the query, so that it is asked again until it gives
// nothing new; what could not be done stays in it for the next sweep.
func (s *sweep) each(what, query string, args []any, do func(tx *storage.Tx, id string) ([]Notice, error)) {
	seen := map[string]bool{}
	for s.ctx.Err() == nil {
		var ids []string
		err := s.db.View(s.ctx, func(tx *storage.Tx) (err error) {
			ids, err = storage.All(tx, storage.Value[string], query, args...)
			return err
		})
		if err != nil {
			s.errs = append(s.errs, fmt.Errorf("sweep %s: %w", what, err))
			return
		}
		full, before := len(ids) == 500, len(seen)
		for _, id := range ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			var raised []Notice
			err := s.db.Update(s.ctx, func(tx *storage.Tx) (err error) {
				raised, err = do(tx, id)
				return err
			})
			if errors.Is(err, storage.ErrConflict) {
				continue // somebody is at it; the next sweep sees what is left
			}
			if r, ok := RefusedWith(err); ok && (r.Code == "state" || r.Code == "stale" || r.Code == "early") {
				continue // somebody was faster
			}
			if err != nil {
				s.errs = append(s.errs, fmt.Errorf("sweep %s: %w", what, err))
				continue
			}
			s.notices = append(s.notices, raised...)
		}
		if !full || len(seen) == before {
			return
		}
	}
}

func (s *sweep) clocks(tx *storage.Tx, id string) (raised []Notice, err error) {
	_, err = s.o.doAt(tx, id, System, s.now, func(d *dossier) error {
		d.quiet = true
		for _, c := range d.clocks {
			if c.State != Running {
				continue
			}
			for _, p := range c.points() {
				if c.fired(p.point) || s.now.Before(p.at) {
					continue
				}
				c.fire(p.point)
				d.note(c, p)
				c.schedule()
				if err := d.emit("clock."+string(p.point), map[string]any{"clock": c.ID, "kind": c.Kind, "planned": p.at, "due": c.DueAt}); err != nil {
					return err
				}
				if c.Kind == ClockHandle && p.point == PointHalf && d.ticket.State.Open() {
					if err := d.stillHandling(); err != nil {
						return err
					}
				}
				if late := c.Kind == ClockHandle && (p.point == PointDue || p.point == PointRed); late {
					if err := d.grade(GradedOverdue); err != nil {
						return err
					}
				}
			}
		}
		raised = slices.Clone(d.notices)
		return nil
	})
	return raised, err
}

func (s *sweep) wake(tx *storage.Tx, id string) ([]Notice, error) {
	_, err := s.o.doAt(tx, id, System, s.now, func(d *dossier) error {
		if err := d.in("恢复办理", Suspended); err != nil {
			return err
		}
		return d.wake("批准的挂起期限已到，自动恢复")
	})
	return nil, err
}

func (s *sweep) rating(tx *storage.Tx, id string) ([]Notice, error) {
	_, err := s.o.doAt(tx, id, System, s.now, func(d *dossier) error {
		if err := d.in("开启评价", Replied, Answered); err != nil {
			return err
		}
		return d.openRating()
	})
	return nil, err
}

// archivable is the moment before which a ticket has to have been closed so that some rule set lets it be archived now.
// Without it every closed ticket of a month would be taken up at every sweep, only to be left as it is.
func (s *sweep) archivable() time.Time {
	days := s.o.Rules.ArchiveDays
	err := s.db.View(s.ctx, func(tx *storage.Tx) error {
		ids, err := storage.All(tx, storage.Value[string], `SELECT version FROM ticket_rules`)
		if err != nil {
			return err
		}
		for _, id := range ids {
			r, err := s.o.rules(tx, id)
			if err != nil {
				return err
			}
			days = min(days, r.ArchiveDays)
		}
		return nil
	})
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("sweep archive: %w", err))
	}
	return s.now.AddDate(0, 0, -days)
}

func (s *sweep) archive(tx *storage.Tx, id string) ([]Notice, error) {
	_, err := s.o.doAt(tx, id, System, s.now, func(d *dossier) error { return d.archive() })
	return nil, err
}

func (s *sweep) callback(tx *storage.Tx, id string) (raised []Notice, err error) {
	_, err = s.o.doCallback(tx, id, System, s.now, func(d *dossier, c *Callback) error {
		if c.State != CallbackOpen || c.Warned {
			return nil
		}
		d.quiet = true
		c.Warned = true
		colour := Blue
		if d.ticket != nil {
			colour = d.ticket.Colour
		}
		n := Notice{TicketID: c.TicketID, Subject: c.ID, Point: PointDue, Kind: NoticeCallback, Colour: colour, Handler: c.Assignee,
			Text: fmt.Sprintf("%s已超过时限", c.Kind.Label()), PlannedAt: c.Due, RaisedAt: s.now, ShowAt: s.now}
		d.notices = append(d.notices, n)
		raised = append(raised, n)
		return d.emit("callback.overdue", map[string]any{"callback": c.ID, "kind": c.Kind, "due": c.Due})
	})
	return raised, err
}

func (s *sweep) alert(tx *storage.Tx, id string) (raised []Notice, err error) {
	_, err = s.o.doAlert(tx, id, System, s.now, func(d *dossier, a *Alert) error {
		if a.State != AlertRaised || !a.AckDue.Before(s.now) {
			return nil
		}
		texts, err := openTexts(tx, s.o.Book.Vault, AlertStream(a.ID))
		if err != nil {
			return err
		}
		n := Notice{TicketID: a.TicketID, Subject: a.ID, Point: PointAgain, Kind: NoticeAlert, Colour: a.Level,
			Text: "预警无人确认：" + cmpOr(texts[a.TitleRef.ID], a.Rule), PlannedAt: a.AckDue, RaisedAt: s.now, ShowAt: s.now}
		a.Escalations++
		a.AckDue = ms(s.o.reckoner().Deadline(s.now, d.rules.AlertAck[a.Level]))
		d.notices = append(d.notices, n)
		raised = append(raised, n)
		return d.emit("alert.escalated", map[string]any{"times": a.Escalations})
	})
	return raised, err
}
