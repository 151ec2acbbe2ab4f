package oversee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// each runs do for every row of a query in a transaction of its own, so that one that fails leaves the others alone. What
// is refused, or meets somebody else's change, is left for the next sweep.
func each[T any](ctx context.Context, db *storage.DB, scan func(storage.Row) (T, error), query string, args []any, do func(tx *storage.Tx, v T) error) error {
	var list []T
	if err := db.View(ctx, func(tx *storage.Tx) (err error) { list, err = storage.All(tx, scan, query, args...); return err }); err != nil {
		return err
	}
	var errs []error
	for _, v := range list {
		if ctx.Err() != nil {
			break
		}
		err := db.Update(ctx, func(tx *storage.Tx) error { return do(tx, v) })
		if _, refused := ticket.RefusedWith(err); err != nil && !refused && !errors.Is(err, storage.ErrConflict) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// open_ says so by the due that every open ticket has (I1) besides: an index over open tickets alone is walked then.
const open_ = `due_at IS NOT NULL AND state IN ('NEW', 'ANSWERED', 'ACCEPTED', 'DISPATCHED', 'HANDLING', 'SUSPENDED', 'REVIEWING', 'REPLIED', 'RATING', 'REWORK')`

// notYet leaves out what was raised under a key already: prefix || column.
func notYet(prefix, column string) string {
	return ` AND NOT EXISTS (SELECT 1 FROM oversee_matter m WHERE m.dedup = '` + prefix + `' || ` + column + `)`
}

// triggers begins 督办 (domain model §6). Each key is raised once, whatever is done about it.
func (d *Desk) triggers(ctx context.Context, db *storage.DB, now time.Time) error {
	var rules Rules
	if err := db.View(ctx, func(tx *storage.Tx) (err error) { rules, err = d.rules(tx); return err }); err != nil {
		return err
	}
	t := rules.Supervise
	type clock struct{ id, ticket, leg, kind string }
	scanClock := func(r storage.Row) (c clock, err error) { return c, r.Scan(&c.id, &c.ticket, &c.leg, &c.kind) }
	id := storage.Value[string]
	days := func(n int) any { return storage.At(now.AddDate(0, 0, -n)) }
	var errs []error
	run := func(err error) { errs = append(errs, err) }

	// L0: 80 % of a unit's time is over.
	run(each(ctx, db, scanClock, `SELECT c.id, c.ticket_id, c.leg_id, c.kind FROM ticket_clock c WHERE c.state = 'running' AND c.kind IN ('sign', 'handle', 'report') AND c.most_at <= $1`+
		notYet("L0/due/", "c.id")+` ORDER BY c.id LIMIT 500`, []any{storage.At(now)}, func(tx *storage.Tx, c clock) error {
		unit, err := d.unitOf(tx, c.ticket, c.leg)
		if err != nil || unit == "" {
			return err
		}
		return d.urge(tx, ByDue, c.ticket, unit, ticket.ClockKind(c.kind).Label()+"时限已用八成", "L0/due/"+c.id)
	}))
	// L1: overdue for a working day: the red card of the clock of handling.
	run(each(ctx, db, scanClock, `SELECT c.id, c.ticket_id, c.leg_id, c.kind FROM ticket_clock c WHERE c.state = 'running' AND c.kind IN ('handle', 'stable') AND c.red_at <= $1`+
		notYet("L1/overdue/", "c.id")+` ORDER BY c.id LIMIT 500`, []any{storage.At(now)}, func(tx *storage.Tx, c clock) error {
		return d.begin(tx, Proposal{Level: 1, Trigger: ByOverdue, TicketID: c.ticket, Grounds: ticket.ClockKind(c.kind).Label() + "时限已超过1个工作日", Requirement: "立即办理并说明超期原因", Key: "L1/overdue/" + c.id})
	}))
	// L1: not satisfied again after rework.
	run(each(ctx, db, id, `SELECT id || '/' || round FROM ticket WHERE round >= 2 AND `+open_+notYet("L1/unsatisfied/", "id || '/' || round")+` ORDER BY id LIMIT 500`, nil, func(tx *storage.Tx, key string) error {
		of, _, _ := strings.Cut(key, "/")
		return d.begin(tx, Proposal{Level: 1, Trigger: ByUnsatisfied, TicketID: of, Grounds: "重办后群众仍不满意", Requirement: "查明原因，重新办理并当面沟通", Key: "L1/unsatisfied/" + key})
	}))
	// L1: return war.
	run(each(ctx, db, id, `SELECT id FROM ticket WHERE returns > 0 AND returns >= $1 AND `+open_+notYet("L1/returns/", "id")+` ORDER BY id LIMIT 500`, []any{t.Returns}, func(tx *storage.Tx, of string) error {
		return d.begin(tx, Proposal{Level: 1, Trigger: ByReturns, TicketID: of, Grounds: fmt.Sprintf("已退回%d次仍未落实主办单位", t.Returns), Requirement: "由中心指定主办或提请会商", Key: "L1/returns/" + of})
	}))
	// L2: open for long.
	run(each(ctx, db, id, `SELECT id FROM ticket WHERE opened_at < $1 AND `+open_+notYet("L2/pending/", "id")+` ORDER BY id LIMIT 500`, []any{days(t.PendingDays)}, func(tx *storage.Tx, of string) error {
		return d.begin(tx, Proposal{Level: 2, Trigger: ByPending, TicketID: of, Grounds: fmt.Sprintf("办理超过%d天", t.PendingDays), Key: "L2/pending/" + of})
	}))
	// L2: 红.
	run(each(ctx, db, id, `SELECT id FROM ticket WHERE colour = '红' AND `+open_+notYet("L2/red/", "id")+` ORDER BY id LIMIT 500`, nil, func(tx *storage.Tx, of string) error {
		return d.begin(tx, Proposal{Level: 2, Trigger: ByRed, TicketID: of, Grounds: "红色诉求，须一事一策", Key: "L2/red/" + of})
	}))
	// L2: media.
	if len(t.MediaChannels) > 0 {
		args := []any{}
		marks := ""
		for i, c := range t.MediaChannels {
			args = append(args, c)
			marks += fmt.Sprintf(", $%d", i+1)
		}
		run(each(ctx, db, id, `SELECT id FROM ticket WHERE channel IN (`+marks[2:]+`) AND colour IN ('红', '橙', '黄') AND `+open_+notYet("L2/media/", "id")+` ORDER BY id LIMIT 500`, args, func(tx *storage.Tx, of string) error {
			return d.begin(tx, Proposal{Level: 2, Trigger: ByMedia, TicketID: of, Grounds: "媒体渠道反映的重点诉求", Key: "L2/media/" + of})
		}))
	}
	// L2: the same person and matter again and again, and matters that are old.
	run(each(ctx, db, id, `SELECT id FROM ticket WHERE repeat_of <> '' AND opened_at >= $1 AND `+open_+` ORDER BY id LIMIT 2000`, []any{days(t.RepeatDays)}, func(tx *storage.Tx, of string) error {
		return d.chain(tx, of, now, t)
	}))
	// L2: many persons.
	type topic struct{ id string }
	run(each(ctx, db, func(r storage.Row) (x topic, err error) { return x, r.Scan(&x.id) }, `SELECT id FROM oversee_matter t WHERE kind = 'topic' AND closed_at IS NULL`+
		notYet("L2/group/", "t.id")+` ORDER BY id LIMIT 500`, nil, func(tx *storage.Tx, x topic) error {
		return d.crowd(tx, x.id, now, t)
	}))
	// 催办 whose ground is gone.
	run(each(ctx, db, id, `SELECT id FROM oversee_matter WHERE kind = 'supervision' AND closed_at IS NULL AND dedup LIKE 'L0/%' ORDER BY id LIMIT 1000`, nil, d.settled))
	return errors.Join(errs...)
}

// unitOf is the unit that a clock's time is of: of its leg, or 主办.
func (d *Desk) unitOf(tx *storage.Tx, ticketID, leg string) (string, error) {
	if leg != "" {
		l, err := d.Office.Leg(tx, leg)
		return l.Unit, err
	}
	t, err := d.Office.Get(tx, ticketID)
	return t.Host, err
}

// begin proposes 督办, and issues it when the rules say that its level needs no person.
func (d *Desk) begin(tx *storage.Tx, p Proposal) error {
	s, err := d.Propose(tx, p, ticket.System)
	if err != nil {
		return err
	}
	rules, err := d.rules(tx)
	if err != nil {
		return err
	}
	if s.State != Candidate || s.Unit == "" || !slices.Contains(rules.Supervise.AutoIssue, s.Level) {
		return nil
	}
	_, err = d.Issue(tx, s.ID, Issuing{}, ticket.System)
	return err
}

// urge is 催办: L0.
func (d *Desk) urge(tx *storage.Tx, by Trigger, ticketID, unit, grounds, key string) error {
	t, err := d.Office.Get(tx, ticketID)
	if err != nil {
		return err
	}
	if unit = cmp.Or(unit, t.Host); unit == "" {
		return nil // it lies with the centre, whose own clocks tell it
	}
	return d.begin(tx, Proposal{Level: 0, Trigger: by, TicketID: ticketID, Unit: unit, Grounds: grounds, Requirement: "请抓紧办理", Key: key})
}

// byInstruction makes a leader's 批示 a candidate: 挂牌, or 提级 of a 挂牌 that was issued and did not help. While a candidate of
// either waits for its signature, another 批示 adds none. at is when it was written: of one 批示 there is one candidate.
func (d *Desk) byInstruction(tx *storage.Tx, ticketID string, at time.Time) error {
	t, err := d.Office.Get(tx, ticketID)
	if err != nil || !t.State.Open() {
		return err
	}
	p := Proposal{Level: 2, Trigger: ByInstruction, TicketID: ticketID, Grounds: "局领导作出批示", Key: fmt.Sprintf("instruction/%s/%d", ticketID, at.UnixMilli())}
	open, err := find[Supervision](d, tx, KindSupervision, ` AND closed_at IS NULL AND id IN (SELECT matter_id FROM oversee_ticket WHERE ticket_id = $2) ORDER BY id`, ticketID)
	if err != nil {
		return err
	}
	for _, s := range open {
		switch {
		case s.Level < 2:
		case s.Level == 3 || s.State == Candidate:
			return nil
		default:
			p.Level, p.From, p.Grounds = 3, s.ID, "挂牌督办后局领导再次作出批示"
		}
	}
	return d.begin(tx, p)
}

// chain looks at the requests that a repeat goes back to.
func (d *Desk) chain(tx *storage.Tx, of string, now time.Time, t Triggers) error {
	root, err := d.Office.Get(tx, of)
	if err != nil {
		return err
	}
	for seen := 0; root.RepeatOf != "" && seen < 50; seen++ {
		if root, err = d.Office.Get(tx, root.RepeatOf); err != nil {
			return err
		}
	}
	// All that go back to the root, breadth first.
	ids, recent, party := []string{root.ID}, 0, root.ContactID
	last := root
	for i := 0; i < len(ids) && len(ids) < 200; i++ {
		k, err := d.Office.Get(tx, ids[i])
		if err != nil {
			return err
		}
		if k.ContactID == party && now.Sub(k.OpenedAt) <= time.Duration(t.RepeatDays)*24*time.Hour {
			recent++
		}
		if k.State.Open() && k.OpenedAt.After(last.OpenedAt) {
			last = k
		}
		more, err := storage.All(tx, storage.Value[string], `SELECT id FROM ticket WHERE repeat_of = $1 ORDER BY id`, ids[i])
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	if !last.State.Open() {
		return nil
	}
	if recent >= t.RepeatTimes && party != "" {
		if err := d.begin(tx, Proposal{Level: 2, Trigger: ByRepeat, TicketID: last.ID, Grounds: fmt.Sprintf("同一诉求人%d天内%d次反映同一事项", t.RepeatDays, recent), Key: "L2/repeat/" + root.ID}); err != nil {
			return err
		}
	}
	if age := int(now.Sub(root.ReceivedAt).Hours() / 24); age >= t.AgeDays {
		return d.begin(tx, Proposal{Level: 2, Trigger: ByAge, TicketID: last.ID, Grounds: fmt.Sprintf("自首次反映已%d天", age), Key: "L2/age/" + root.ID})
	}
	return nil
}

// crowd looks at a topic.
func (d *Desk) crowd(tx *storage.Tx, id string, now time.Time, t Triggers) error {
	x, err := get[Topic](tx, id)
	if err != nil {
		return err
	}
	recent := 0
	for _, of := range x.Tickets {
		k, err := d.Office.Get(tx, of)
		if err != nil {
			return err
		}
		if now.Sub(k.ReceivedAt) <= time.Duration(t.GroupDays)*24*time.Hour {
			recent++
		}
	}
	if x.Parties < t.GroupParties && recent < t.GroupTickets {
		return nil
	}
	return d.begin(tx, Proposal{Level: 2, Trigger: ByGroup, Topic: x.ID, Grounds: fmt.Sprintf("群体性诉求：%d名诉求人，%d天内%d件", x.Parties, t.GroupDays, recent), Key: "L2/group/" + x.ID})
}

// settled ends a 催办 when what it urged was done: its clock has stopped, or somebody acted.
func (d *Desk) settled(tx *storage.Tx, id string) error {
	s, err := get[Supervision](tx, id)
	if err != nil || len(s.Tickets) == 0 {
		return err
	}
	done := false
	if clock, ok := strings.CutPrefix(s.Key, "L0/due/"); ok {
		state, err := storage.One(tx, storage.Value[string], `SELECT state FROM ticket_clock WHERE id = $1`, clock)
		if err != nil {
			return err
		}
		done = state != "running" && state != "paused"
	} else {
		events, err := audit.Stream(tx, ticket.Stream(s.Tickets[0]))
		if err != nil {
			return err
		}
		done = slices.ContainsFunc(events, func(e audit.Event) bool { return e.At.After(s.OpenedAt) && e.Actor != ticket.System.String() })
	}
	if !done {
		return nil
	}
	if s.State == Candidate {
		_, err = d.DropCandidate(tx, id, "已办理，不再催办", ticket.System)
	} else {
		_, err = d.Release(tx, id, "已办理，自动销号", "", ticket.System)
	}
	return err
}

// terms looks at matters whose moment has come: it tells the unit, or the centre, that something is late, lifts 督办 that
// nobody answered, and ends flags.
func (d *Desk) terms(ctx context.Context, db *storage.DB, now time.Time) error {
	type row struct {
		id   string
		kind Kind
	}
	return each(ctx, db, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.kind) },
		`SELECT id, kind FROM oversee_matter WHERE next_at <= $1 AND closed_at IS NULL ORDER BY id LIMIT 1000`, []any{storage.At(now)}, func(tx *storage.Tx, x row) error {
			switch x.kind {
			case KindWatch:
				return d.expireWatch(tx, x.id)
			case KindSupervision:
				return d.late(tx, x.id)
			case KindOrder:
				return remind[Order](d, tx, x.id, x.kind, "民意感知调度指令超过期限")
			case KindBackcheck:
				return remind[Backcheck](d, tx, x.id, x.kind, "倒查任务超过期限")
			case KindOutreach:
				return remind[Outreach](d, tx, x.id, x.kind, "主动问需任务超过期限")
			case KindIntervention:
				return remind[Intervention](d, tx, x.id, x.kind, "人员干预超过接触期限")
			case KindMediation:
				return remind[Mediation](d, tx, x.id, x.kind, "矛盾化解超过期限")
			case KindBad:
				return d.lateBad(tx, x.id)
			case KindConsult:
				return remind[Consult](d, tx, x.id, x.kind, "会商超过期限未形成结论")
			case KindClue:
				return remind[Clue](d, tx, x.id, x.kind, "线索超过期限未处理")
			}
			return nil
		})
}

// remind tells whoever has a matter that it is late, and again on the next working day.
func remind[T any, P pointer[T]](d *Desk, tx *storage.Tx, id string, k Kind, text string) error {
	_, err := change[T, P](d, tx, id, k, ticket.System, func(f *file, m P) (string, map[string]any, error) {
		h := m.head()
		if h.Next.IsZero() || h.Next.After(f.now) {
			return "", nil, nil
		}
		h.Next = d.days(f.now, 1)
		return "reminded", nil, d.tell(tx, m, "late/"+workday.DayOf(f.now).String(), text)
	})
	return err
}

// late is a term of 督办: not signed, not reported, not answered. EscalateAfter WD beyond its due it is lifted.
func (d *Desk) late(tx *storage.Tx, id string) error {
	rules, err := d.rules(tx)
	if err != nil {
		return err
	}
	s, err := get[Supervision](tx, id)
	if err != nil {
		return err
	}
	now := d.now()
	waits := s.State == Issued || s.State == Signed || s.State == SentBack
	if waits && s.Level < 3 && !s.Due.IsZero() && now.After(d.days(s.Due, rules.Supervise.EscalateAfter)) {
		_, err := d.Raise(tx, id, fmt.Sprintf("%s超过期限%d个工作日未反馈", LevelLabel(s.Level), rules.Supervise.EscalateAfter), ticket.System)
		return err
	}
	_, err = change(d, tx, id, KindSupervision, ticket.System, func(f *file, s *Supervision) (string, map[string]any, error) {
		if s.Next.IsZero() || s.Next.After(f.now) || !s.Open() {
			return "", nil, nil
		}
		text := LevelLabel(s.Level) + "超过期限未反馈"
		switch {
		case s.State == Issued:
			text = LevelLabel(s.Level) + "尚未签收"
		case s.Due.After(f.now):
			text = LevelLabel(s.Level) + "应报送进展"
		}
		s.Warned, s.Next = f.now, d.days(f.now, 1)
		if s.Due.After(f.now) && s.Due.Before(s.Next) {
			s.Next = s.Due
		}
		return "warned", nil, d.tell(tx, s, "late/"+workday.DayOf(f.now).String(), text)
	})
	return err
}
