package ticket

import (
	"slices"
	"strings"

	"lianxin/org"
	"lianxin/storage"
)

// OpenRating asks the citizen of an answered ticket for a rating (开启评价): 已答复 or 直接答复 → 待评价, with a call-back to
// make it (办结回访) unless the citizen is unknown. On a ticket that waits for its rating already it changes nothing.
func (o *Office) OpenRating(tx *storage.Tx, id string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if d.ticket.State == AwaitRating {
			return nil
		}
		if err := d.in("开启评价", Replied, Answered); err != nil {
			return err
		}
		if by.Kind != BotActor && by.Kind != CitizenActor {
			if err := d.centre(org.OpenRating); err != nil {
				return err
			}
		}
		return d.openRating()
	})
}

func (d *dossier) openRating() error {
	d.move(AwaitRating)
	if err := d.emit("ticket.rating_opened", nil); err != nil {
		return err
	}
	return d.openReview()
}

// openReview opens the call-back that asks for the rating, once for a round, when there is a citizen to call. It may not
// be made by the units that handled the round.
func (d *dossier) openReview() error {
	t := d.ticket
	if t.ContactID == "" || d.openCallback(CallbackReview) != nil {
		return nil
	}
	c := &Callback{ID: newID(), TicketID: t.ID, Kind: CallbackReview, Round: t.Round, State: CallbackOpen, ContactID: t.ContactID,
		CallID: t.CallID, RecordID: t.RecordID, OpenedBy: d.by.String(), OpenedAt: d.now, version: 1}
	for _, l := range d.legs {
		if l.Round == t.Round && !slices.Contains(c.ExcludeUnits, l.Unit) {
			c.ExcludeUnits = append(c.ExcludeUnits, l.Unit)
		}
	}
	span := d.rules.span(ClockCallback, t.Colour, t.Kind)
	if span.IsZero() {
		span = d.rules.Callbacks[CallbackReview]
	}
	c.Due = ms(d.reckoner().Deadline(d.now, span))
	d.callbacks = append(d.callbacks, c)
	return d.emit("callback.opened", map[string]any{"callback": c.ID, "kind": c.Kind})
}

// openCallback returns the open call-back of a kind in this round, or nil.
func (d *dossier) openCallback(k CallbackKind) *Callback {
	for _, c := range d.callbacks {
		if c.Kind == k && c.State == CallbackOpen && c.Round == d.ticket.Round {
			return c
		}
	}
	return nil
}

// Attempt records an attempt to reach the citizen for the rating of a ticket (回访). See AttemptCallback.
func (o *Office) Attempt(tx *storage.Tx, id string, outcome TryOutcome, note string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.toRating("回访"); err != nil {
			return err
		}
		c := d.openCallback(CallbackReview)
		if c == nil {
			return refuse("no_callback", "该诉求没有待回访任务（无联系方式或已回访）")
		}
		return d.try(c, outcome, note)
	})
}

// toRating brings an answered ticket to 待评价 when a rating or an attempt comes before OpenRating; a merged one that has
// its reply is rated where it is (I14).
func (d *dossier) toRating(what string) error {
	t := d.ticket
	if t.State == Merged {
		if t.RepliedAt.IsZero() || t.Outcome != "" {
			return refuse("state", "诉求%s尚未答复或已评价，不能%s", t.Number, what)
		}
		return nil
	}
	if err := d.in(what, AwaitRating, Replied, Answered); err != nil {
		return err
	}
	if t.State != AwaitRating {
		return d.openRating()
	}
	return nil
}

// RatingIn is a rating as it comes in.
type RatingIn struct {
	Stars Stars  // may be left out where Scale and Given tell it
	Via   string // "key", "sms", "callback", "mini", "web"
	Scale Scale  // that the citizen was asked on; "" is the five levels, given as Stars
	Given string // the value on it; "" with ScaleWords
	Words string // what the citizen said with it
	// Contest keeps a bad rating from leading to rework at once: two persons of different units determine first whether
	// the matter was handled by law, or the demand is unreasonable. Only the callback officer says so, with Ground.
	Contest bool
	Ground  string
}

// Rate takes the citizen's rating. 基本满意 or better closes the ticket. 不满意 or worse sends it into another round (重办),
// MaxReworks times by itself; after that it is held until Release. A rating is the citizen's, through a machine or in
// person, or is taken down by a callback officer who did not handle or review the round (I5).
func (o *Office) Rate(tx *storage.Tx, id string, in RatingIn, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if t.State == Closed || t.State == Archived {
			return refuse("closed", "诉求%s已办结，不再评价；如有新的意见请另行登记并关联", t.Number)
		}
		if err := in.fold(); err != nil {
			return err
		}
		if !in.Stars.Valid() || in.Via == "" {
			return refuse("stars", "评价为1至5级，并须注明评价方式")
		}
		if err := d.mayRate(in); err != nil {
			return err
		}
		if err := d.toRating("评价"); err != nil {
			return err
		}
		if d.contested() != nil {
			return refuse("contested", "该评价正在认定中")
		}
		r := &Rating{ID: newID(), TicketID: t.ID, Round: t.Round, Stars: in.Stars, Via: in.Via, Scale: in.Scale, Given: in.Given, By: by.String(), At: d.now}
		r.WordsRef, r.Words = d.write("rating", in.Words)
		r.Contested = in.Contest
		d.ratings = append(d.ratings, r)
		t.Stars = in.Stars
		d.stop(ClockCallback, nil)
		if !in.Contest {
			d.stop(ClockRating, nil)
			d.reviewDone()
		}
		info := map[string]any{"stars": in.Stars, "via": in.Via, "scale": in.Scale, "given": in.Given, "words": r.WordsRef}
		switch {
		case in.Contest:
			d.ask(AskDetermine, nil, in.Ground)
			last := d.requests[len(d.requests)-1]
			last.AskedBy, last.AskedUnit = "", "" // nobody has determined anything yet
			info["ground"] = last.ReasonRef
			return d.emit("ticket.contested", info)
		case !in.Stars.Bad():
			t.Outcome = Rated
			if t.State == Merged {
				d.cancel(nil, ClockExternal)
				return d.emit("ticket.rated", info)
			}
			return d.close(info, "ticket.rated")
		case t.State == Merged:
			if err := d.emit("ticket.rated", info); err != nil {
				return err
			}
			return d.partToRework()
		}
		if err := d.emit("ticket.rated", info); err != nil {
			return err
		}
		return d.rework()
	})
}

func (d *dossier) mayRate(in RatingIn) error {
	by, t := d.by, d.ticket
	switch {
	case by.Kind == CitizenActor && by.ID != t.ContactID:
		return refuse("citizen", "只能评价本人的诉求")
	case in.Contest && (!by.officer() || !in.Stars.Bad() || strings.TrimSpace(in.Ground) == ""):
		return refuse("contest", "只有访评员对不满意评价可提请认定，并须说明理由")
	case !by.officer():
		return nil
	}
	if err := d.mayCall(CallbackReview); err != nil {
		return err
	}
	return d.notHost()
}

// mayCall refuses everybody whose role does not call people back for this reason, and on a restricted ticket everybody
// but its seat.
func (d *dossier) mayCall(k CallbackKind) error {
	act := org.MakeReview
	if k == CallbackAbandoned || k == CallbackMessage {
		act = org.MakeCallback
	}
	return d.centre(act)
}

// notHost keeps those who handled or reviewed the round, and their units, from calling back about it (I5).
func (d *dossier) notHost() error {
	if !d.by.officer() || d.ticket == nil {
		return nil
	}
	if d.ofLegs(d.by.Unit) {
		return refuse("host_calls", "回访由中心办理，承办单位不能回访")
	}
	return d.separate(called)
}

// close closes a ticket whose citizen was answered (I4).
func (d *dossier) close(info map[string]any, typ string) error {
	t := d.ticket
	if t.RepliedAt.IsZero() {
		return refuse("no_reply", "尚未答复群众，不能办结")
	}
	d.cancel(nil)
	d.lapse()
	t.ClosedAt = d.now
	d.move(Closed)
	info["outcome"] = t.Outcome
	return d.emit(typ, info)
}

// reviewDone ends the call-back for the rating: the citizen has answered.
func (d *dossier) reviewDone() {
	if c := d.openCallback(CallbackReview); c != nil {
		c.State, c.FinishedAt, c.FinishedBy = CallbackDone, d.now, d.by.String()
	}
}

// rework begins the next round.
func (d *dossier) rework() error {
	t := d.ticket
	d.cancel(nil)
	d.lapse()
	t.StableUntil = zero
	t.Round++
	if t.Round > d.rules.MaxReworks {
		t.Hold = HoldRework
		d.move(Rework)
		d.start(ClockHold, nil)
		if err := d.emit("ticket.held", map[string]any{"round": t.Round}); err != nil {
			return err
		}
		return d.grade(GradedRating)
	}
	return d.again("ticket.reworked", map[string]any{"round": t.Round})
}

func (d *dossier) again(typ string, info map[string]any) error {
	d.ticket.Hold = ""
	d.cancel(nil, ClockHold)
	d.move(Accepted)
	d.start(ClockDispatch, nil)
	d.start(ClockHandle, nil)
	if err := d.emit(typ, info); err != nil {
		return err
	}
	return d.grade(GradedRating)
}

// partToRework separates a merged ticket whose citizen is not satisfied and begins its own first round: an unsolved
// matter always reaches a unit again (norms §7, 8).
func (d *dossier) partToRework() error {
	t := d.ticket
	from := t.MergedInto
	t.MergedInto = ""
	if t.AcceptedAt.IsZero() {
		t.AcceptedAt = d.now
	}
	if t.Kind == "" {
		t.Kind, t.OriginalKind = Help, Help
	}
	t.Round++
	d.cancel(nil)
	return d.again("ticket.unmerged", map[string]any{"from": from, "because": "rating", "round": t.Round})
}

// Release lets a held ticket into its next round, after 会商 or 督办 decided how: 重办待会商 → 已受理.
func (o *Office) Release(tx *storage.Tx, id, decision string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("恢复重办", Rework); err != nil {
			return err
		}
		if !by.may(org.InstructTicket) {
			if err := d.centre(org.Supervise); err != nil {
				return err
			}
		} else if err := d.centre(org.InstructTicket); err != nil {
			return err
		}
		if strings.TrimSpace(decision) == "" {
			return refuse("decision", "请填写会商结论或督办要求")
		}
		d.stop(ClockHold, nil)
		ref, _ := d.write("decision", decision)
		return d.again("ticket.released", map[string]any{"decision": ref, "round": d.ticket.Round})
	})
}

// contested returns the open question whether a bad rating leads to rework, or nil.
func (d *dossier) contested() *Request {
	for _, r := range d.requests {
		if r.Kind == AskDetermine && r.State == Asked {
			return r
		}
	}
	return nil
}

// Determine gives one person's finding on a contested rating: that the matter was handled by law or the demand is
// unreasonable (uphold), or not. One person against it sends the ticket into rework; two persons of different units for
// it, none of them of the units that handled it, close it as 不满意·认定 (I4).
func (o *Office) Determine(tx *storage.Tx, id string, uphold bool, ground string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("认定", AwaitRating); err != nil {
			return err
		}
		q := d.contested()
		if q == nil {
			return refuse("contested", "没有待认定的不满意评价")
		}
		if !by.officer() || !by.may(org.DetermineTicket) || t.Restricted && !by.sits() {
			return noRole()
		}
		if strings.TrimSpace(ground) == "" {
			return refuse("ground", "请填写认定依据")
		}
		if d.ofLegs(by.Unit) || d.took(handled) || d.took(reviewed) || d.took(called) {
			return refuse("own_unit", "承办、审核、回访人员及承办单位不能参与认定")
		}
		ref, text := d.write("determination", ground)
		info := map[string]any{"uphold": uphold, "ground": ref, "unit": by.Unit}
		switch {
		case !uphold:
			q.State, q.DecidedBy, q.DecidedUnit, q.DecidedAt, q.DecisionRef, q.Decision = Denied, by.String(), by.Unit, d.now, ref, text
			d.reviewDone()
			if err := d.emit("ticket.not_determined", info); err != nil {
				return err
			}
			return d.rework()
		case q.AskedBy == "":
			q.AskedBy, q.AskedUnit, q.AskedAt, q.ClauseRef, q.Clause = by.String(), by.Unit, d.now, ref, text
			return d.emit("ticket.determining", info)
		case q.AskedBy == by.String() || q.AskedUnit == by.Unit:
			return refuse("second_unit", "须由另一单位的人员作第二认定")
		}
		q.State, q.DecidedBy, q.DecidedUnit, q.DecidedAt, q.DecisionRef, q.Decision = Granted, by.String(), by.Unit, d.now, ref, text
		d.reviewDone()
		t.Outcome = Determined
		return d.close(info, "ticket.determined")
	})
}

// CloseUnrated closes a ticket whose citizen could not be reached (未评价): MinTries attempts on MinTryDays days in
// MinTryParts parts of the day, or nobody to call. It never counts as satisfied (I15).
func (o *Office) CloseUnrated(tx *storage.Tx, id string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("按未评价办结", AwaitRating); err != nil {
			return err
		}
		if err := d.mayCall(CallbackReview); err != nil {
			return err
		}
		if err := d.notHost(); err != nil {
			return err
		}
		if d.contested() != nil {
			return refuse("contested", "该评价正在认定中")
		}
		info := map[string]any{"reason": "no_contact"}
		if t.ContactID != "" {
			var n, days, parts int
			for _, c := range d.callbacks {
				if c.Kind == CallbackReview && c.Round == t.Round { // there is one for a round
					n, days, parts = countTries(d.tries, c.ID)
				}
			}
			r := d.rules
			if n < r.MinTries || days < r.MinTryDays || parts < r.MinTryParts {
				return refuse("tries", "未评价办结须在至少%d天、%d个时段内回访满%d次；现为%d天、%d个时段、%d次",
					r.MinTryDays, r.MinTryParts, r.MinTries, days, parts, n)
			}
			info = map[string]any{"tries": n, "days": days, "parts": parts}
		}
		if c := d.openCallback(CallbackReview); c != nil {
			c.State, c.FinishedAt, c.FinishedBy = CallbackDropped, d.now, by.String()
		}
		t.Outcome = Unrated
		return d.close(info, "ticket.unrated")
	})
}

func (d *dossier) callback(id string) *Callback {
	for _, c := range d.callbacks {
		if c.ID == id {
			return c
		}
	}
	return nil
}
