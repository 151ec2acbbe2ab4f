package ticket

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// CallbackStream is the stream of a call-back that belongs to no ticket; others are in their ticket's stream.
func CallbackStream(id string) string { return "callback/" + id }

// OpenCallback notes that somebody is owed a call. Kind, By and one of ContactID, CallID and TicketID are required; Due is
// by the rules when it is zero; ExcludeUnit keeps the unit that is rated from making it (I5). Opening it again under the
// same Key (or, without one, for the same call or record and kind) returns the call-back that is there, with Existing set.
func (o *Office) OpenCallback(tx *storage.Tx, c Callback) (Callback, error) {
	if !c.By.valid() {
		return Callback{}, refuse("actor", "操作人不明，不能办理")
	}
	now := o.now()
	rules, _, err := o.inForce(tx, now)
	if err != nil {
		return Callback{}, err
	}
	span, ok := rules.Callbacks[c.Kind]
	switch {
	case !ok || c.Kind == CallbackReview:
		return Callback{}, refuse("kind", "不能登记“%s”类回访任务", c.Kind)
	case c.ContactID == "" && c.CallID == "" && c.TicketID == "":
		return Callback{}, refuse("nobody", "回访任务须有联系人、来电或诉求")
	}
	if c.Key == "" {
		if of := cmpOr(c.CallID, c.RecordID); of != "" {
			c.Key = string(c.Kind) + ":" + of
		}
	}
	if c.Key != "" {
		old, err := one[Callback](tx, ` WHERE dedup = $1`, c.Key)
		if err == nil {
			old.Existing = true
			return *old, nil
		} else if !errors.Is(err, storage.ErrNotFound) {
			return Callback{}, fmt.Errorf("open a call-back: %w", err)
		}
	}
	n := &Callback{ID: newID(), Key: c.Key, TicketID: c.TicketID, Kind: c.Kind, State: CallbackOpen, ContactID: c.ContactID, CallID: c.CallID,
		RecordID: c.RecordID, Assignee: c.Assignee, OpenedBy: c.By.String(), OpenedAt: now, Due: ms(c.Due), version: 1}
	if c.ExcludeUnit != "" {
		n.ExcludeUnits = []string{c.ExcludeUnit}
	}
	if n.Due.IsZero() {
		n.Due = ms(o.reckoner().Deadline(now, span))
	}
	add := func(d *dossier) error {
		n.ReasonRef, n.Reason = d.write("reason", c.Reason)
		d.callbacks = append(d.callbacks, n)
		return d.emit("callback.opened", map[string]any{"callback": n.ID, "kind": n.Kind, "reason": n.ReasonRef})
	}
	if c.TicketID != "" {
		_, err := o.do(tx, c.TicketID, c.By, func(d *dossier) error {
			if !d.ticket.State.Open() {
				return refuse("state", "诉求%s当前为“%s”，不能登记回访任务", d.ticket.Number, d.ticket.StateLabel())
			}
			n.Round = d.ticket.Round
			if n.ContactID == "" {
				n.ContactID = d.ticket.ContactID
			}
			return add(d)
		})
		return *n, err
	}
	d := &dossier{o: o, tx: tx, rules: rules, stream: CallbackStream(n.ID), by: c.By, now: now, fresh: true, loaded: fields{}, seen: fields{}}
	if err := add(d); err != nil {
		return Callback{}, err
	}
	if err := d.save(tx); err != nil {
		return Callback{}, fmt.Errorf("open a call-back: %w", err)
	}
	return *n, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// doCallback runs a command on a call-back, with its ticket when it has one.
func (o *Office) doCallback(tx *storage.Tx, id string, by Actor, now time.Time, command func(d *dossier, c *Callback) error) (Callback, error) {
	if !by.valid() {
		return Callback{}, refuse("actor", "操作人不明，不能办理")
	}
	c, err := one[Callback](tx, ` WHERE id = $1`, id)
	if err != nil {
		return Callback{}, fmt.Errorf("call-back %s: %w", id, err)
	}
	if c.TicketID != "" {
		_, err := o.doAt(tx, c.TicketID, by, now, func(d *dossier) error {
			c = d.callback(id)
			return command(d, c)
		})
		return *c, err
	}
	d, err := o.loadCallback(tx, id, by, now, tx.ForUpdate())
	if err != nil {
		return Callback{}, err
	}
	if err := command(d, d.callbacks[0]); err != nil {
		return Callback{}, err
	}
	if err := d.save(tx); err != nil {
		return Callback{}, fmt.Errorf("call-back %s: %w", id, err)
	}
	return *d.callbacks[0], nil
}

func (o *Office) loadCallback(tx *storage.Tx, id string, by Actor, now time.Time, lock string) (*dossier, error) {
	d := &dossier{o: o, tx: tx, stream: CallbackStream(id), by: by, now: now}
	var err error
	if d.rules, _, err = o.inForce(tx, now); err != nil {
		return nil, err
	}
	c, err := one[Callback](tx, ` WHERE id = $1 `+lock, id)
	if err != nil {
		return nil, fmt.Errorf("call-back %s: %w", id, err)
	}
	d.callbacks = []*Callback{c}
	if err := list(tx, &d.tries, ` WHERE callback_id = $1 ORDER BY id`, id); err != nil {
		return nil, err
	}
	return d, d.ready()
}

// AssignCallback gives a call-back to an officer who may make it.
func (o *Office) AssignCallback(tx *storage.Tx, id string, to, by Actor) (Callback, error) {
	return o.doCallback(tx, id, by, o.now(), func(d *dossier, c *Callback) error {
		if c.State != CallbackOpen {
			return refuse("state", "该回访任务%s", c.State.Label())
		}
		if err := d.centre(org.ViewCallbacks); err != nil {
			return err
		}
		asTo := *d
		asTo.by = to
		if err := asTo.caller(c); err != nil {
			return err
		}
		c.Assignee = to.String()
		return d.emit("callback.assigned", map[string]any{"callback": c.ID, "to": c.Assignee})
	})
}

// caller checks who makes a call-back: the centre, never a unit that is rated or handled the matter.
func (d *dossier) caller(c *Callback) error {
	if err := d.mayCall(c.Kind); err != nil {
		return err
	}
	if d.by.officer() {
		for _, u := range c.ExcludeUnits {
			in, err := d.o.within(d.tx, d.by.Unit, u)
			if err != nil {
				return fmt.Errorf("call-back %s: %w", c.ID, err)
			}
			if in {
				return refuse("host_calls", "回访由中心办理，被评价单位和承办单位不能回访")
			}
		}
	}
	if c.Kind == CallbackReview {
		return d.notHost()
	}
	return nil
}

// try records one attempt.
func (d *dossier) try(c *Callback, outcome TryOutcome, note string) error {
	if c.State != CallbackOpen {
		return refuse("state", "该回访任务%s", c.State.Label())
	}
	if outcome.Label() == "" {
		return refuse("outcome", "请选择回访结果")
	}
	if err := d.caller(c); err != nil {
		return err
	}
	t := &Try{ID: newID(), CallbackID: c.ID, TicketID: c.TicketID, Round: c.Round, Outcome: outcome, Part: d.rules.part(d.now), By: d.by.String(), At: d.now}
	t.NoteRef, t.Note = d.write("try", note)
	d.tries = append(d.tries, t)
	c.Tries++
	c.Outcome = outcome
	if c.Kind == CallbackReview {
		d.stop(ClockCallback, nil)
	}
	return d.emit("callback.tried", map[string]any{"callback": c.ID, "kind": c.Kind, "outcome": outcome, "part": t.Part, "note": t.NoteRef})
}

// AttemptCallback records an attempt to reach somebody (回访, 回拨) and how it ended. It leaves the call-back open:
// FinishCallback ends it, Rate and CloseUnrated end a 办结回访.
func (o *Office) AttemptCallback(tx *storage.Tx, id string, outcome TryOutcome, note string, by Actor) (Callback, error) {
	return o.doCallback(tx, id, by, o.now(), func(d *dossier, c *Callback) error { return d.try(c, outcome, note) })
}

// FinishCallback ends a call-back that is no 办结回访: done when somebody was reached or it was settled another way, which
// note says; not done only after as many attempts as CloseUnrated asks for, or when the number is wrong.
func (o *Office) FinishCallback(tx *storage.Tx, id string, done bool, note string, by Actor) (Callback, error) {
	return o.doCallback(tx, id, by, o.now(), func(d *dossier, c *Callback) error {
		switch {
		case c.State != CallbackOpen:
			return refuse("state", "该回访任务%s", c.State.Label())
		case c.Kind == CallbackReview:
			return refuse("kind", "办结回访随评价结束，请登记评价或按未评价办结")
		}
		if err := d.caller(c); err != nil {
			return err
		}
		c.NoteRef, c.Note = d.write("note", note)
		if done && c.Outcome != Reached && c.NoteRef.IsZero() {
			return refuse("note", "未记录接通的回访，完成时请说明情况")
		}
		if !done && c.Outcome != WrongNumber {
			n, days, parts := countTries(d.tries, c.ID)
			r := d.rules
			if n < r.MinTries || days < r.MinTryDays || parts < r.MinTryParts {
				return refuse("tries", "须在至少%d天、%d个时段内联系满%d次；现为%d天、%d个时段、%d次", r.MinTryDays, r.MinTryParts, r.MinTries, days, parts, n)
			}
		}
		c.State = CallbackDropped
		if done {
			c.State = CallbackDone
		}
		c.FinishedAt, c.FinishedBy = d.now, by.String()
		return d.emit("callback.finished", map[string]any{"callback": c.ID, "kind": c.Kind, "done": done, "note": c.NoteRef})
	})
}

// AlertStream is the stream of an alert.
func AlertStream(id string) string { return "alert/" + id }

// RaiseAlert raises an alert; Rule, Level and By are required. Its acknowledgement is due by the rules unless AckDue says
// otherwise. Raising it again under the same Key returns the alert that is there, with Existing set.
func (o *Office) RaiseAlert(tx *storage.Tx, a Alert) (Alert, error) {
	if !a.By.valid() {
		return Alert{}, refuse("actor", "操作人不明，不能办理")
	}
	if strings.TrimSpace(a.Rule) == "" || a.Level.Rank() == 0 {
		return Alert{}, refuse("alert", "预警须有规则和等级")
	}
	if a.Key != "" {
		old, err := one[Alert](tx, ` WHERE dedup = $1`, a.Key)
		if err == nil {
			old.Existing = true
			return *old, nil
		} else if !errors.Is(err, storage.ErrNotFound) {
			return Alert{}, fmt.Errorf("raise an alert: %w", err)
		}
	}
	now := o.now()
	rules, _, err := o.inForce(tx, now)
	if err != nil {
		return Alert{}, err
	}
	n := &Alert{ID: newID(), Key: a.Key, Rule: a.Rule, Level: a.Level, State: AlertRaised, TicketID: a.TicketID, CallID: a.CallID,
		ContactID: a.ContactID, RecordID: a.RecordID, Subject: a.Subject, RaisedBy: a.By.String(), RaisedAt: now, AckDue: ms(a.AckDue), version: 1}
	if n.AckDue.IsZero() {
		n.AckDue = ms(o.reckoner().Deadline(now, rules.AlertAck[a.Level]))
	}
	d := &dossier{o: o, tx: tx, rules: rules, stream: AlertStream(n.ID), by: a.By, now: now, fresh: true, alert: n, loaded: fields{}, seen: fields{}}
	n.TitleRef, n.Title = d.write("title", a.Title)
	n.EvidenceRef, n.Evidence = d.write("evidence", a.Evidence)
	d.notices = append(d.notices, Notice{TicketID: n.TicketID, Subject: n.ID, Point: PointRaised, Kind: NoticeAlert, Colour: n.Level,
		Text: "预警：" + cmpOr(n.Title, n.Rule), PlannedAt: now, RaisedAt: now, ShowAt: now})
	if err := d.emit("alert.raised", map[string]any{"rule": n.Rule, "level": n.Level, "title": n.TitleRef, "evidence": n.EvidenceRef}); err != nil {
		return Alert{}, err
	}
	if err := d.save(tx); err != nil {
		return Alert{}, fmt.Errorf("raise an alert: %w", err)
	}
	return *n, nil
}

func (o *Office) loadAlert(tx *storage.Tx, id string, by Actor, now time.Time, lock string) (*dossier, error) {
	a, err := one[Alert](tx, ` WHERE id = $1 `+lock, id)
	if err != nil {
		return nil, fmt.Errorf("alert %s: %w", id, err)
	}
	d := &dossier{o: o, tx: tx, stream: AlertStream(id), by: by, now: now, alert: a}
	if d.rules, _, err = o.inForce(tx, now); err != nil {
		return nil, err
	}
	return d, d.ready()
}

func (o *Office) doAlert(tx *storage.Tx, id string, by Actor, now time.Time, command func(d *dossier, a *Alert) error) (Alert, error) {
	if !by.valid() {
		return Alert{}, refuse("actor", "操作人不明，不能办理")
	}
	d, err := o.loadAlert(tx, id, by, now, tx.ForUpdate())
	if err != nil {
		return Alert{}, err
	}
	if err := command(d, d.alert); err != nil {
		return Alert{}, err
	}
	if err := d.save(tx); err != nil {
		return Alert{}, fmt.Errorf("alert %s: %w", id, err)
	}
	return *d.alert, nil
}

// AckAlert notes that somebody has seen an alert and deals with it; the first one wins.
func (o *Office) AckAlert(tx *storage.Tx, id string, by Actor) (Alert, error) {
	a, err := o.doAlert(tx, id, by, o.now(), func(d *dossier, a *Alert) error {
		if !by.officer() || !by.may(org.AckAlert) {
			return noRole()
		}
		if a.State != AlertRaised {
			return refuse("state", "该预警%s", a.State.Label())
		}
		a.State, a.AckedBy, a.AckedAt = AlertAcked, by.String(), d.now
		return d.emit("alert.acked", nil)
	})
	if err == nil && a.Rule == AlertRed && a.TicketID != "" && (by.Role == org.Leader || by.Role == org.DutyChief) {
		err = o.StepTaken(tx, a.TicketID, StepTell, by)
	}
	return a, err
}

// DisposeAlert notes what was done about an acknowledged alert; a false alarm (误报) is remembered as such.
func (o *Office) DisposeAlert(tx *storage.Tx, id string, how Disposition, ticketID, note string, by Actor) (Alert, error) {
	return o.doAlert(tx, id, by, o.now(), func(d *dossier, a *Alert) error {
		if !by.officer() || !by.may(org.AckAlert) {
			return noRole()
		}
		switch {
		case a.State != AlertAcked:
			return refuse("state", "该预警%s，请先确认再处置", a.State.Label())
		case how.Label() == "" || strings.TrimSpace(note) == "":
			return refuse("disposition", "请选择处置方式并说明情况")
		case how == ToTicket && ticketID == "" && a.TicketID == "":
			return refuse("ticket", "转为诉求请关联诉求编号")
		}
		if ticketID != "" {
			a.TicketID = ticketID
		}
		a.State, a.Disposition, a.DisposedBy, a.DisposedAt = AlertDisposed, how, by.String(), d.now
		a.NoteRef, a.Note = d.write("note", note)
		return d.emit("alert.disposed", map[string]any{"how": how, "note": a.NoteRef})
	})
}

func countTries(tries []*Try, callbackID string) (n, days, parts int) {
	onDays, inParts := map[workday.Day]bool{}, map[string]bool{}
	for _, t := range tries {
		if t.CallbackID == callbackID {
			n++
			onDays[workday.DayOf(t.At)] = true
			inParts[t.Part] = true
		}
	}
	return n, len(onDays), len(inParts)
}
