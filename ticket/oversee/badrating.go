package oversee

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// BadRating is what follows from a 差评 (domain model §2, §4): the person is contacted within 24 hours, what they say is
// verified, the rated unit puts it right within five working days and at most fifteen after the rating, and one level up
// somebody looks whether it did. The unit may appeal. It never learns who rated: no ticket, number or words of the person
// stand here, only what the verification found.
type BadRating struct {
	Head                    // Unit is who has to act: the rated unit while it puts right
	Rated       string      `json:"rated"` // unit that was rated
	Stars       int         `json:"stars"` // 1 or 2
	Source      string      `json:"source"`
	Callback    string      `json:"callback,omitzero"`
	Ticket      string      `json:"ticket,omitzero"` // for the centre alone
	Window      string      `json:"window,omitzero"`
	Clerk       string      `json:"clerk,omitzero"`
	RaisedAt    time.Time   `json:"raised_at"`
	ContactDue  time.Time   `json:"contact_due"`
	Ceiling     time.Time   `json:"ceiling"`
	ContactedAt time.Time   `json:"contacted_at,omitzero"`
	ContactedBy string      `json:"contacted_by,omitzero"`
	Finding     string      `json:"finding,omitzero"` // true, partly, untrue, mistaken
	Found       ticket.Text `json:"found,omitzero"`   // what the verification found, without the person
	FoundBy     string      `json:"found_by,omitzero"`
	Measure     ticket.Text `json:"measure,omitzero"` // what has to be put right
	RectifyDue  time.Time   `json:"rectify_due,omitzero"`
	Done        ticket.Text `json:"done,omitzero"`
	DoneBy      string      `json:"done_by,omitzero"`
	DoneAt      time.Time   `json:"done_at,omitzero"`
	Backs       int         `json:"backs,omitzero"`
	Checked     ticket.Text `json:"checked,omitzero"`
	CheckedBy   string      `json:"checked_by,omitzero"`
	Appeal      ticket.Text `json:"appeal,omitzero"`
	AppealBy    string      `json:"appeal_by,omitzero"`
	Verdict     ticket.Text `json:"verdict,omitzero"`
	JudgedBy    string      `json:"judged_by,omitzero"`
	Excluded    bool        `json:"excluded,omitzero"` // leaves the 核定 rate; the rating itself stays
	Warned      bool        `json:"warned,omitzero"`   // the ceiling was announced
}

// KindBad is 差评整改.
const KindBad Kind = "badrating"

// States of a BadRating besides those of others.
const (
	Raised     State = "RAISED"
	Contacted  State = "CONTACTED"
	Judging    State = "JUDGING"
	Rechecking State = "RECHECKED"
	Appealed   State = "APPEALED"
)

func badKind() kind {
	return kind{label: "差评整改", series: "评", blank: func() Matter { return new(BadRating) },
		labels: map[State]string{Raised: "待联系", Contacted: "待核实", Judging: "待核定", Rectifying: "整改中", Rechecking: "待复查", Appealed: "申诉复核中", ClosedUp: "已办结"},
		moves: map[State][]State{"": {Raised}, Raised: {Contacted}, Contacted: {Rectifying, Judging}, Judging: {ClosedUp, Rectifying}, Rectifying: {Rechecking, Appealed},
			Rechecking: {ClosedUp, Rectifying}, Appealed: {ClosedUp, Rectifying}},
		final: []State{ClosedUp}}
}

// BadFindings are the findings in their order, with labels.
var BadFindings = [][2]string{{"true", "属实"}, {"partly", "部分属实"}, {"untrue", "不属实"}, {"mistaken", "误评"}}

// FindingLabel is what was found (zh-CN).
func (b *BadRating) FindingLabel() string {
	for _, f := range BadFindings {
		if f[0] == b.Finding {
			return f[1]
		}
	}
	return ""
}

// BadIn is what a bad rating is raised with.
type BadIn struct {
	Key      string // of the rating: raising it again finds what is there
	Rated    string // unit
	Stars    int
	Source   string // "sms", "call", "window" …
	Callback string // the call-back by which the person is contacted
	Ticket   string
	Window   string
	Clerk    string
	At       time.Time // of the rating
}

// RaiseBad begins the clocks of a bad rating; it is for the program.
func (d *Desk) RaiseBad(tx *storage.Tx, in BadIn) (BadRating, error) {
	b, err := open(d, tx, KindBad, ticket.System, "bad/"+in.Key, func(f *file, b *BadRating) (map[string]any, error) {
		if !ticket.Stars(in.Stars).Bad() {
			return nil, refuse("stars", "只有不满意和非常不满意是差评")
		}
		if err := d.mayAct(tx, in.Rated, nil); err != nil {
			return nil, err
		}
		at := ms(in.At)
		if at.IsZero() || at.After(f.now) {
			at = f.now
		}
		b.State, b.Rated, b.Stars, b.Source, b.Callback, b.Ticket, b.Window, b.Clerk, b.RaisedAt = Raised, in.Rated, in.Stars, in.Source, in.Callback, in.Ticket, in.Window, in.Clerk, at
		b.ContactDue, b.Ceiling = at.Add(time.Duration(f.bad.ContactHours)*time.Hour), d.days(at, f.bad.CeilingDays)
		b.Due, b.Next = b.ContactDue, b.ContactDue
		b.Members = []string{"unit/" + in.Rated} // it knows at once that somebody was not satisfied, and never who
		return map[string]any{"unit": in.Rated, "stars": in.Stars, "source": in.Source},
			d.Office.Tell(tx, ticket.Notice{Subject: b.ID, Point: "raised", Kind: string(KindBad), Colour: ticket.Orange, Unit: in.Rated, Text: "收到差评，待中心核实后整改", PlannedAt: f.now})
	})
	if errors.Is(err, errThere) {
		return b, nil
	}
	return b, err
}

// badRatings raises what the centre's call-backs after bad ratings stand for, and notes of those that were made that the
// person was contacted.
func (d *Desk) badRatings(ctx context.Context, db *storage.DB, now time.Time) error {
	type row struct {
		id, ticket, units, call, record string
		at                              storage.Time
	}
	err := each(ctx, db, func(r storage.Row) (x row, err error) {
		return x, r.Scan(&x.id, &x.ticket, &x.units, &x.call, &x.at, &x.record)
	},
		`SELECT c.id, c.ticket_id, c.exclude_units, c.call_id, c.opened_at, c.record_id FROM ticket_callback c WHERE c.kind = 'rating' AND c.opened_at >= $1`+notYet("bad/", "c.id")+` ORDER BY c.id LIMIT 500`,
		[]any{storage.At(now.AddDate(0, 0, -15))}, func(tx *storage.Tx, x row) error {
			units := strings.Fields(x.units)
			if len(units) == 0 {
				return nil // nobody knows whose service it was
			}
			source := "sms"
			if x.call != "" {
				source = "call"
			}
			in := BadIn{Key: x.id, Rated: units[0], Stars: 2, Source: source, Callback: x.id, Ticket: x.ticket, At: x.at.Time}
			if d.ServedAt != nil && x.record != "" {
				var err error
				if in.Window, in.Clerk, err = d.ServedAt(tx, x.record); err != nil {
					return err
				}
			}
			_, err := d.RaiseBad(tx, in)
			return err
		})
	return errors.Join(err, each(ctx, db, storage.Value[string], `SELECT m.id FROM oversee_matter m WHERE m.kind = 'badrating' AND m.state = 'RAISED' AND m.closed_at IS NULL ORDER BY m.id LIMIT 1000`,
		nil, func(tx *storage.Tx, id string) error {
			_, err := change(d, tx, id, KindBad, ticket.System, func(f *file, b *BadRating) (string, map[string]any, error) {
				if b.State != Raised || b.Callback == "" {
					return "", nil, nil
				}
				c, err := d.Office.Callback(tx, b.Callback)
				if err != nil || c.Outcome != ticket.Reached && c.State != ticket.CallbackDone {
					return "", nil, err
				}
				by := c.FinishedBy
				if by == "" {
					by = c.Assignee
				}
				b.contacted(d, f, by)
				return "contacted", map[string]any{"callback": b.Callback}, nil
			})
			return err
		}))
}

func (b *BadRating) contacted(d *Desk, f *file, by string) {
	b.State, b.ContactedAt, b.ContactedBy = Contacted, f.now, by
	b.Due = d.days(f.now, 1)
	b.Next = b.Due
}

// ContactBad notes that the person was reached, where no call-back of ours tells it.
func (d *Desk) ContactBad(tx *storage.Tx, id, note string, by ticket.Actor) (BadRating, error) {
	return change(d, tx, id, KindBad, by, func(f *file, b *BadRating) (string, map[string]any, error) {
		if err := f.in("登记联系", Raised); err != nil {
			return "", nil, err
		}
		if err := b.centre(f, org.MakeReview, org.Supervise); err != nil {
			return "", nil, err
		}
		ref, err := f.must("contact", "联系情况", note)
		if err != nil {
			return "", nil, err
		}
		b.contacted(d, f, by.String())
		return "contacted", map[string]any{"text": ref}, nil
	})
}

// centre refuses everybody but those of the centre whose role allows one of the actions, and the rated unit in any case.
func (b *BadRating) centre(f *file, acts ...org.Action) error {
	if f.by.Kind != ticket.SystemActor {
		below, err := org.Below(f.tx, b.Rated)
		if err != nil {
			return err
		}
		if f.by.Unit == b.Rated || slices.Contains(below, f.by.Unit) {
			return refuse("own_unit", "被评价单位人员不能核实、复查或复核")
		}
	}
	return may(f.by, acts...)
}

// VerifyBad notes what of the rating is true. True or partly true leads to 整改; not true or given by mistake is for a second
// person to confirm.
func (d *Desk) VerifyBad(tx *storage.Tx, id, finding, found, measure string, by ticket.Actor) (BadRating, error) {
	return change(d, tx, id, KindBad, by, func(f *file, b *BadRating) (string, map[string]any, error) {
		if err := f.in("核实", Contacted); err != nil {
			return "", nil, err
		}
		if err := b.centre(f, org.MakeReview, org.Supervise); err != nil {
			return "", nil, err
		}
		b.Finding = finding
		if b.FindingLabel() == "" {
			return "", nil, refuse("finding", "请选择核实结论")
		}
		var err error
		if b.Found, err = f.must("found", "核实情况（不写评价人信息）", found); err != nil {
			return "", nil, err
		}
		b.FoundBy = by.String()
		if finding == "true" || finding == "partly" {
			if b.Measure, err = f.must("measure", "整改要求", measure); err != nil {
				return "", nil, err
			}
			return "verified", map[string]any{"finding": finding, "found": b.Found}, b.rectify(d, f)
		}
		b.State, b.Due = Judging, d.days(f.now, 1)
		b.Next = b.Due
		return "verified", map[string]any{"finding": finding, "found": b.Found}, nil
	})
}

// rectify gives the matter to the rated unit.
func (b *BadRating) rectify(d *Desk, f *file) error {
	b.State, b.Unit = Rectifying, b.Rated
	b.RectifyDue = earliest(d.days(f.now, f.bad.RectifyDays), b.Ceiling)
	if b.RectifyDue.Before(f.now) { // the ceiling has passed already: at once
		b.RectifyDue = d.days(f.now, 1)
	}
	b.Due, b.Next = b.RectifyDue, b.RectifyDue
	return d.tell(f.tx, b, "rectify/"+workday.DayOf(f.now).String(), "收到差评整改任务")
}

// JudgeBad confirms by a second person that a rating was not true or given by mistake, or sends it into 整改; of an appeal
// it is the decision.
func (d *Desk) JudgeBad(tx *storage.Tx, id string, exclude bool, text string, by ticket.Actor) (BadRating, error) {
	return change(d, tx, id, KindBad, by, func(f *file, b *BadRating) (string, map[string]any, error) {
		if err := f.in("核定", Judging, Appealed); err != nil {
			return "", nil, err
		}
		if err := b.centre(f, org.JudgeAppeal); err != nil || by.Kind == ticket.SystemActor {
			return "", nil, cmpErr(err, noRole())
		}
		if b.FoundBy == by.String() {
			return "", nil, refuse("same_person", "须由核实人以外的人核定")
		}
		var err error
		if b.Verdict, err = f.must("verdict", "核定意见", text); err != nil {
			return "", nil, err
		}
		b.JudgedBy = by.String()
		if exclude {
			b.State, b.Unit, b.Excluded = ClosedUp, "", true
			return "judged", map[string]any{"exclude": true, "verdict": b.Verdict}, nil
		}
		if b.Measure.IsZero() {
			b.Measure = b.Verdict
		}
		return "judged", map[string]any{"exclude": false, "verdict": b.Verdict}, b.rectify(d, f)
	})
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// ours refuses everybody but officers of the rated unit who answer for it.
func (b *BadRating) ours(f *file) error {
	if f.by.Kind != ticket.SystemActor && f.by.Unit != b.Rated {
		return refuse("unit", "须由被评价单位办理")
	}
	return may(f.by, org.SubmitResult, org.AppealRating)
}

// RectifyBad is the unit's report that it was put right.
func (d *Desk) RectifyBad(tx *storage.Tx, id, text string, by ticket.Actor) (BadRating, error) {
	return change(d, tx, id, KindBad, by, func(f *file, b *BadRating) (string, map[string]any, error) {
		if err := f.in("报整改", Rectifying); err != nil {
			return "", nil, err
		}
		if err := b.ours(f); err != nil {
			return "", nil, err
		}
		var err error
		if b.Done, err = f.must("rectified", "整改情况", text); err != nil {
			return "", nil, err
		}
		b.State, b.DoneBy, b.DoneAt, b.Unit = Rechecking, by.String(), f.now, ""
		b.Due = d.days(f.now, f.bad.RecheckDays)
		b.Next = b.Due
		return "rectified", map[string]any{"text": b.Done}, nil
	})
}

// RecheckBad looks whether it was put right: one level up, or at the centre, never by the unit itself.
func (d *Desk) RecheckBad(tx *storage.Tx, id string, ok bool, text string, by ticket.Actor) (BadRating, error) {
	return change(d, tx, id, KindBad, by, func(f *file, b *BadRating) (string, map[string]any, error) {
		if err := f.in("复查", Rechecking); err != nil {
			return "", nil, err
		}
		acts := []org.Action{org.Supervise, org.MakeReview}
		if above, err := org.Above(tx, b.Rated); err != nil {
			return "", nil, err
		} else if by.Unit != b.Rated && slices.ContainsFunc(above, func(u org.Unit) bool { return u.ID == by.Unit }) {
			acts = append(acts, org.ReviewResult)
		}
		if err := b.centre(f, acts...); err != nil {
			return "", nil, err
		}
		if b.DoneBy == by.String() {
			return "", nil, refuse("same_person", "整改人不能复查")
		}
		var err error
		if b.Checked, err = f.must("checked", "复查情况", text); err != nil {
			return "", nil, err
		}
		b.CheckedBy = by.String()
		if ok {
			b.State = ClosedUp
			return "rechecked", map[string]any{"ok": true, "text": b.Checked}, nil
		}
		b.Backs++
		return "rechecked", map[string]any{"ok": false, "text": b.Checked}, b.rectify(d, f)
	})
}

// AppealBad asks for another look at a rating, with the reason (WIN-3). The rating is kept whatever is decided.
func (d *Desk) AppealBad(tx *storage.Tx, id, text string, by ticket.Actor) (BadRating, error) {
	return change(d, tx, id, KindBad, by, func(f *file, b *BadRating) (string, map[string]any, error) {
		if err := f.in("申诉", Rectifying); err != nil {
			return "", nil, err
		}
		if err := b.ours(f); err != nil {
			return "", nil, err
		}
		if !b.Appeal.IsZero() {
			return "", nil, refuse("twice", "已申诉过一次，复核结论为终局")
		}
		var err error
		if b.Appeal, err = f.must("appeal", "申诉理由", text); err != nil {
			return "", nil, err
		}
		b.State, b.AppealBy, b.Unit = Appealed, by.String(), ""
		b.Due = d.days(f.now, 3)
		b.Next = b.Due
		return "appealed", map[string]any{"text": b.Appeal}, nil
	})
}

// lateBad is a term of a BadRating: it reminds whoever it waits for, and at the ceiling raises an alert, once.
func (d *Desk) lateBad(tx *storage.Tx, id string) error {
	var raise *BadRating
	b, err := change(d, tx, id, KindBad, ticket.System, func(f *file, b *BadRating) (string, map[string]any, error) {
		if b.Next.IsZero() || b.Next.After(f.now) || !b.Open() {
			return "", nil, nil
		}
		text := map[State]string{Raised: "差评24小时内未联系群众", Contacted: "差评尚未核实", Judging: "差评待第二人核定", Rectifying: "差评整改超过期限", Rechecking: "差评整改待复查", Appealed: "差评申诉待复核"}[b.State]
		b.Next = d.days(f.now, 1)
		if !b.Warned && f.now.After(b.Ceiling) {
			b.Warned = true
			raise = b
		} else if !b.Warned {
			b.Next = earliest(b.Next, b.Ceiling.Add(time.Minute))
		}
		return "reminded", nil, d.tell(tx, b, "late/"+string(b.State)+"/"+workday.DayOf(f.now).String(), text)
	})
	if err != nil || raise == nil {
		return err
	}
	_, err = d.Office.RaiseAlert(tx, ticket.Alert{Key: "bad-ceiling/" + id, Rule: "bad_ceiling", Level: ticket.Orange, Subject: "unit/" + b.Rated, Title: "差评整改超过15个工作日上限 " + b.Number,
		Evidence: "自" + b.RaisedAt.In(workday.Zone).Format("2006-01-02 15:04") + "评价起仍为“" + b.StateLabel() + "”", By: ticket.System})
	return err
}

// BadFigures count what became of bad ratings (差评率's companions, domain model §9).
type BadFigures struct {
	N, ContactedInTime, ContactDue, Rectified, RectifyDue, Excluded, Open int
}

// BadCounts counts the bad ratings raised in [from, to); zero times are no limits.
func (d *Desk) BadCounts(tx *storage.Tx, from, to time.Time) (n BadFigures, err error) {
	list, err := find[BadRating](d, tx, KindBad, ``)
	now := d.now()
	for _, b := range list {
		if !from.IsZero() && b.RaisedAt.Before(from) || !to.IsZero() && !b.RaisedAt.Before(to) {
			continue
		}
		n.N++
		if b.Excluded {
			n.Excluded++
		}
		if b.Open() {
			n.Open++
		}
		if !b.ContactedAt.IsZero() || now.After(b.ContactDue) {
			n.ContactDue++
			if !b.ContactedAt.IsZero() && !b.ContactedAt.After(b.ContactDue) {
				n.ContactedInTime++
			}
		}
		if !b.RectifyDue.IsZero() && !b.Excluded {
			n.RectifyDue++
			if b.State == ClosedUp {
				n.Rectified++
			}
		}
	}
	return n, err
}
