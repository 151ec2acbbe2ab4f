package ticket

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/classify"
	"lianxin/ticket/grade"
	"lianxin/workday"
)

// Office handles tickets: every command and query is a method of it. Set its fields before use and leave them; it is
// then safe for concurrent use.
type Office struct {
	Book     *contact.Book
	Calendar *workday.Calendar
	Hours    workday.Hours
	Rules    Rules
	Now      func() time.Time // nil is time.Now

	// SendText queues a text with a reply to the citizen of a ticket, in the transaction of the command. It returns a
	// *Refusal when there is no number that can be texted. nil: replies by text are sent by hand.
	SendText func(tx *storage.Tx, t Ticket, reply string) error

	// SendNotice queues a text to the citizen that is no reply: handling goes on, or takes longer. key names it, so that it
	// goes out once. It returns a *Refusal when there is no number that can be texted. nil: people tell the citizen.
	SendNotice func(tx *storage.Tx, t Ticket, key, text string) error

	// Grader gives tickets their colour when they come in, are accepted, and when new facts are there; nil leaves colours to
	// people. Known adds what other rooms know of a matter or its citizen (watch flags, watch periods, verified threats);
	// Contacts counts contacts of a citizen in [from, to) that no ticket stands for, such as calls. Both may be nil.
	Grader   *grade.Grader
	Known    func(tx *storage.Tx, t Ticket, h *grade.History) error
	Contacts func(tx *storage.Tx, contactID string, from, to time.Time) (int, error)

	// Classifier suggests class and unit when a ticket comes in; nil suggests nothing.
	Classifier *classify.Classifier
	// Precedent finds a binding conclusion about who handles such a matter, of the domain that the classifier found; nil knows of none.
	Precedent func(tx *storage.Tx, t Ticket, domain classify.Domain) (Precedent, error)

	// Notify is called, after the commit, with each notice that a clock raised.
	Notify func(Notice)
	// Changed is called, after the commit, with each ticket that changed.
	Changed func(Ticket)

	cache rulesCache
	areas areaBook
	added atomic.Pointer[workday.Calendar] // Calendar with the years that are kept in the database
}

// NewOffice is an office with the embedded calendar, default hours and default rules.
func NewOffice(book *contact.Book) (*Office, error) {
	c, err := workday.Load()
	if err != nil {
		return nil, fmt.Errorf("ticket office: %w", err)
	}
	sorter, err := classify.Standard()
	if err != nil {
		return nil, fmt.Errorf("ticket office: %w", err)
	}
	o := &Office{Book: book, Calendar: c, Hours: workday.DefaultHours(), Rules: DefaultRules(), Grader: &grade.Grader{}, Classifier: sorter}
	return o, o.Check()
}

// Check reports what is wrong with the settings of the office.
func (o *Office) Check() error {
	if o.Book == nil || o.Book.Vault == nil || o.Calendar == nil {
		return errors.New("ticket office: book with a vault and calendar are required")
	}
	if err := o.Hours.Check(); err != nil {
		return fmt.Errorf("ticket office: %w", err)
	}
	if err := o.Rules.Check(); err != nil {
		return fmt.Errorf("ticket office: %w", err)
	}
	return nil
}

// zero is no time.
var zero time.Time

func (o *Office) now() time.Time {
	t := time.Now()
	if o.Now != nil {
		t = o.Now()
	}
	return ms(t)
}

// ms is a time as it comes back from the database.
func ms(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func (o *Office) reckoner() workday.Reckoner {
	return workday.Reckoner{Calendar: o.calendar(), Hours: o.Hours}
}

func noRole() error { return refuse("role", "您的岗位没有此项权限") }

// centre refuses everybody but those of the centre whose role allows the action, and the program itself. On a restricted
// ticket the seat does all of the centre's work, and nobody else any of it (CH-6).
func (d *dossier) centre(act org.Action) error {
	by := d.by
	switch {
	case by.Kind == SystemActor:
		return nil
	case d.ticket != nil && d.ticket.Restricted && by.officer():
		if !by.sits() {
			return refuse("seat", "督察12389诉求仅限督察专席办理")
		}
		return nil
	case by.Kind == CitizenActor:
		return refuse("centre", "该操作由民意感知中心办理")
	case !by.may(act):
		return noRole()
	case by.Kind != BotActor && !by.ofCentre():
		return refuse("centre", "该操作由民意感知中心办理")
	}
	return nil
}

// ofUnit refuses everybody but officers of the leg's unit whose role allows the action.
func (d *dossier) ofUnit(l *Leg, act org.Action) error {
	if !d.by.officer() || d.by.Unit != l.Unit {
		return refuse("unit", "该工单由承办单位办理，您不是承办单位人员")
	}
	if !d.by.may(act) {
		return noRole()
	}
	return nil
}

// within reports whether a unit is the accused one or stands below it. Where the bureau as a whole is accused only its
// own desk is meant: nobody could act otherwise.
func (o *Office) within(tx *storage.Tx, unit, accused string) (bool, error) {
	if unit == "" || accused == "" {
		return false, nil
	}
	if unit == accused {
		return true, nil
	}
	units, err := concerning(tx, unit)
	return slices.Contains(units, accused), err
}

// notAccused keeps the accused unit and officer away from the ticket in every part (I6).
func (d *dossier) notAccused(by Actor) error {
	t := d.ticket
	if !by.officer() {
		return nil
	}
	if t.AccusedStaff != "" && by.ID == t.AccusedStaff {
		return refuse("accused", "该诉求涉及您本人，依规回避")
	}
	if t.AccusedUnit == "" {
		return nil
	}
	c, err := d.o.ConflictOf(d.tx, by)
	if err != nil {
		return fmt.Errorf("accused unit of %s: %w", t.ID, err)
	}
	if c.Accused(*t) {
		return refuse("accused", "该诉求涉及您所在单位，依规回避")
	}
	return nil
}

// duty is a part that a person may have taken in a round.
type duty int

const (
	handled duty = iota
	reviewed
	called
)

// took reports whether the actor had the duty in the present round.
func (d *dossier) took(who duty) bool {
	me, round := d.by.String(), d.ticket.Round
	if !d.by.officer() {
		return false
	}
	switch who {
	case handled:
		return round == 0 && d.ticket.AnsweredBy == me || slices.ContainsFunc(d.legs, func(l *Leg) bool {
			return l.Round == round && (l.SignedBy == me || l.SubmittedBy == me || l.Handler == me)
		})
	case reviewed:
		return slices.ContainsFunc(d.legs, func(l *Leg) bool { return l.Round == round && l.ReviewedBy == me })
	case called:
		return slices.ContainsFunc(d.tries, func(t *Try) bool { return t.Round == round && t.By == me }) ||
			slices.ContainsFunc(d.ratings, func(r *Rating) bool { return r.Round == round && r.By == me })
	}
	return false
}

var duties = []struct{ code, label string }{handled: {"handler", "承办人"}, reviewed: {"reviewer", "审核人"}, called: {"caller", "访评员"}}

// separate refuses an actor who had another of the three duties in this round (I5).
func (d *dossier) separate(want duty) error {
	for other := range duties {
		if duty(other) != want && d.took(duty(other)) {
			return refuse("same_"+duties[other].code, "您是本轮%s，不能再担任%s", duties[other].label, duties[want].label)
		}
	}
	return nil
}

// ofLegs reports whether the unit has a leg in the present round that was not returned or cancelled.
func (d *dossier) ofLegs(unit string) bool {
	return slices.ContainsFunc(d.legs, func(l *Leg) bool {
		return l.Round == d.ticket.Round && l.Unit == unit && l.State != LegReturned && l.State != LegCancelled
	})
}
