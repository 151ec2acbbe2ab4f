package ticket

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/grade"
)

// Causes of a grading.
const (
	GradedOpened   = "opened"   // the request came in
	GradedAmended  = "amended"  // its text changed
	GradedAccepted = "accepted" // 受理
	GradedRepeat   = "repeat"   // it was found to repeat an earlier one
	GradedMerged   = "merged"   // another one was merged into it
	GradedRating   = "rating"   // the citizen is not satisfied
	GradedOverdue  = "overdue"  // handling is past its due
	GradedContacts = "contacts" // the citizen came again
	GradedEmotion  = "emotion"  // an operator confirmed that the caller was beside themselves
	GradedAsked    = "asked"    // somebody, or another part of the program with new facts, asked for it
)

var causeLabels = map[string]string{GradedOpened: "登记", GradedAmended: "内容补充", GradedAccepted: "受理", GradedRepeat: "重复反映", GradedMerged: "并入同类诉求",
	GradedRating: "群众不满意", GradedOverdue: "办理超期", GradedContacts: "群众再次联系", GradedEmotion: "情绪激动经确认", GradedAsked: "复核"}

// Factor is one reason for a colour. The words themselves are not part of it: Field, From and To say where they stand in
// the text that was read, so that the log holds no free text.
type Factor struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	Axis   string `json:"axis"` // "event" (事) or "person" (人)
	Points int    `json:"points"`
	Rule   string `json:"rule"`            // which words or which fact gave it
	Fact   string `json:"fact,omitempty"`  // of a fact of the records, in words
	Field  string `json:"field,omitempty"` // "title", "text" or, for the words of a rating, "words:N"
	From   int    `json:"from,omitempty"`  // bytes
	To     int    `json:"to,omitempty"`

	Evidence string `json:"-"` // the words, when read with Grades
}

// Grade is one grading of a ticket: what the rules say, why, and what came of it.
type Grade struct {
	ID       string    `json:"id"`
	TicketID string    `json:"ticket"`
	Cause    string    `json:"cause"`
	Colour   Colour    `json:"colour"` // by the rules
	From     Colour    `json:"from"`   // colour of the ticket before
	To       Colour    `json:"to"`     // and after: never lower (I8)
	Event    int       `json:"event"`
	Person   int       `json:"person"`
	Factors  []Factor  `json:"factors"`
	Plan     []string  `json:"plan"` // steps of the response, in words
	Rule     string    `json:"rule"`
	Confirm  bool      `json:"confirm,omitzero"` // words of danger or threat were read; a person confirms them
	Care     bool      `json:"care,omitzero"`
	Texts    []Text    `json:"texts,omitempty"` // title, text, words of ratings, as they were read
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

// CauseLabel is the cause for staff (zh-CN).
func (g Grade) CauseLabel() string { return causeLabels[g.Cause] }

func (g *Grade) kind() string  { return "grade" }
func (g *Grade) table() string { return "ticket_grade" }
func (g *Grade) key() string   { return g.ID }
func (g *Grade) columns() []column {
	return []column{
		{"id", &g.ID}, {"ticket_id", &g.TicketID}, {"cause", &g.Cause}, {"colour", &g.Colour}, {"from_colour", &g.From}, {"to_colour", &g.To},
		{"event", &g.Event}, {"person", &g.Person}, {"factors", packed{&g.Factors}}, {"plan", packed{&g.Plan}}, {"rule", &g.Rule}, {"confirm", &g.Confirm},
		{"care", &g.Care}, {"texts", packed{&g.Texts}}, {"graded_by", &g.By}, {"graded_at", stamp{&g.At}},
	}
}

// marks are the factors in short, to see whether something changed.
func marks(v grade.Verdict) string {
	var out []string
	for _, f := range v.Factors {
		out = append(out, fmt.Sprintf("%s:%d", f.Code, f.Points))
	}
	return strings.Join(out, " ")
}

// readsOf are the texts of the ticket that grading reads: title, text, and what the citizen said with bad ratings.
func (d *dossier) readsOf() (c grade.Case, texts []Text, spans []int, err error) {
	t := d.ticket
	c.Title, c.Text, c.At = t.Title, t.Body, t.ReceivedAt
	texts = append(texts, t.TitleRef, t.BodyRef)
	spans = []int{len(c.Text)}
	for _, r := range d.ratings {
		if r.WordsRef.IsZero() || !r.Stars.Bad() {
			continue
		}
		words := r.Words
		if words == "" {
			if words, err = shownText(d.tx, r.WordsRef); err != nil {
				return c, nil, nil, err
			}
		}
		if words != "" {
			c.Text += "\n" + words
			texts, spans = append(texts, r.WordsRef), append(spans, len(c.Text))
		}
	}
	return c, texts, spans, nil
}

// grade grades the ticket as it stands, raises its colour where the rules say so, and remembers the reasons; a grading that
// tells nothing new is not written down. It is called between two emits, and emits what it did itself.
func (d *dossier) grade(cause string) error {
	if d.o.Grader == nil || d.ticket == nil || !d.ticket.State.Open() {
		return nil
	}
	g, err := d.grader()
	if err != nil {
		return fmt.Errorf("grade %s: %w", d.ticket.ID, err)
	}
	v, texts, spans, err := d.verdict(g)
	if err != nil {
		return fmt.Errorf("grade %s: %w", d.ticket.ID, err)
	}
	return d.graded(cause, v, texts, spans)
}

func (d *dossier) verdict(g *grade.Grader) (grade.Verdict, []Text, []int, error) {
	c, texts, spans, err := d.readsOf()
	if err != nil {
		return grade.Verdict{}, nil, nil, err
	}
	if c.History, err = d.history(); err != nil {
		return grade.Verdict{}, nil, nil, err
	}
	return g.Grade(c), texts, spans, nil
}

// graded takes a verdict on. The colour rises with it, unless a second person lowered it since and nothing weighs more than
// it did then; it never falls (I8).
func (d *dossier) graded(cause string, v grade.Verdict, texts []Text, spans []int) error {
	t := d.ticket
	m := marks(v)
	higher := t.GradeID == "" || v.Event > t.GradeEvent || v.Person > t.GradePerson || Colour(v.Colour).Rank() > t.GradeColour.Rank()
	if t.GradeID != "" && m == t.GradeFactors && Colour(v.Colour) == t.GradeColour && cause != GradedAsked {
		return nil
	}
	x := &Grade{ID: newID(), TicketID: t.ID, Cause: cause, Colour: Colour(v.Colour), From: t.Colour, To: t.Colour, Event: v.Event, Person: v.Person,
		Factors: factors(v, spans), Plan: v.Plan.Steps, Rule: v.Rule, Confirm: v.Confirm, Care: v.Care, Texts: texts, By: d.by.String(), At: d.now}
	t.GradeID, t.GradeColour, t.GradeEvent, t.GradePerson, t.GradeFactors = x.ID, x.Colour, v.Event, v.Person, m
	if v.Confidential != "" && !t.Confidential {
		t.Confidential = true // whoever fears retaliation is protected without having to ask twice
	}
	if higher && x.Colour.Rank() > t.Colour.Rank() {
		x.To = x.Colour
		d.rise(x.To)
	}
	if x.From != x.To || cause == GradedOpened {
		if err := d.respond(); err != nil {
			return err
		}
	}
	d.grades = append(d.grades, x)
	return d.emit("ticket.graded", map[string]any{"grade": x.ID, "cause": cause, "colour": x.Colour, "from": x.From, "to": x.To, "event": v.Event, "person": v.Person, "factors": m, "rules": v.Rule})
}

func factors(v grade.Verdict, spans []int) []Factor {
	out := make([]Factor, 0, len(v.Factors))
	for _, f := range v.Factors {
		x := Factor{Code: f.Code, Name: f.Name, Axis: string(f.Axis), Points: f.Points, Rule: f.Rule}
		switch f.Field {
		case "history":
			x.Fact = f.Evidence
		case "title":
			x.Field, x.From, x.To = f.Field, f.From, f.To
		default:
			x.Field, x.From, x.To = "text", f.From, f.To
			for i := 1; i < len(spans); i++ { // the words of a rating stand behind the text, each after a line break
				if begin := spans[i-1] + 1; f.From >= begin {
					x.Field, x.From, x.To = fmt.Sprintf("words:%d", i), f.From-begin, f.To-begin
				}
			}
		}
		out = append(out, x)
	}
	return out
}

// rise gives the ticket a graver colour. Clocks that run get the limits of the new colour where those are earlier: the
// event is the explicit recomputation that I9 asks for.
func (d *dossier) rise(to Colour) {
	t := d.ticket
	t.Colour = to
	for _, c := range d.clocks {
		span := d.rules.span(c.Kind, to, t.Kind)
		if c.State != Running || c.BaseSpan == "" || span.IsZero() || c.Extra > 0 || !c.BaseAt.Equal(c.StartedAt) {
			continue
		}
		if due := ms(d.reckoner().Deadline(c.StartedAt, span)); due.Before(c.DueAt) {
			c.Span, c.BaseSpan, c.DueAt, c.CalendarVersion = span.String(), span.String(), due, d.reckoner().Version()
			c.Total = d.length(c, c.StartedAt, due)
			d.plan(c)
		}
	}
	if h := d.host(); h != nil && t.State == Handling && h.ReportedAt.IsZero() && len(d.live(ClockReport, nil)) == 0 {
		d.start(ClockReport, h)
	}
}

// Regrade grades a ticket anew, because new facts are there: cause is one of the Graded… above. A ticket that is settled is
// left alone.
func (o *Office) Regrade(tx *storage.Tx, id, cause string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if by.Kind != SystemActor && by.Kind != BotActor {
			if err := d.in("重新评定颜色", OpenStates...); err != nil {
				return err
			}
			if err := d.centre(org.GradeTicket); err != nil {
				return err
			}
		} else {
			d.quiet = true
		}
		return d.grade(cause)
	})
}

// ConfirmEmotion notes that the officer who spoke with the citizen found them beside themselves: a fact of the contact, which
// counts for the person (§7).
func (o *Office) ConfirmEmotion(tx *storage.Tx, id, note string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("确认情绪激动", OpenStates...); err != nil {
			return err
		}
		if err := d.centre(org.AmendTicket); err != nil {
			return err
		}
		if strings.TrimSpace(note) == "" {
			return refuse("note", "请说明情况（如通话中的表现）")
		}
		if d.ticket.Emotion {
			return refuse("emotion", "已确认过情绪激动")
		}
		d.ticket.Emotion = true
		ref, _ := d.write("emotion", note)
		if err := d.emit("ticket.emotion_confirmed", map[string]any{"note": ref}); err != nil {
			return err
		}
		return d.grade(GradedEmotion)
	})
}

// Grades returns the gradings of a ticket, last first, with the words that gave their points.
func (o *Office) Grades(tx *storage.Tx, id string) ([]Grade, error) {
	var out []*Grade
	if err := list(tx, &out, ` WHERE ticket_id = $1 ORDER BY id DESC`, id); err != nil {
		return nil, err
	}
	shown, err := readTexts(tx, Stream(id))
	if err != nil {
		return nil, err
	}
	for _, g := range out {
		for i := range g.Factors {
			g.Factors[i].Evidence = g.Factors[i].Fact
			if s := shown[g.textOf(g.Factors[i]).ID]; g.Factors[i].To <= len(s) && g.Factors[i].From < g.Factors[i].To {
				g.Factors[i].Evidence = s[g.Factors[i].From:g.Factors[i].To]
			}
		}
	}
	return values(out), nil
}

// textOf is the text in which a factor's words stand.
func (g *Grade) textOf(f Factor) Text {
	n := -1
	switch {
	case f.Field == "title":
		n = 0
	case f.Field == "text":
		n = 1
	case strings.HasPrefix(f.Field, "words:"):
		if _, err := fmt.Sscanf(f.Field, "words:%d", &n); err != nil {
			return Text{}
		}
		n++
	}
	if n < 0 || n >= len(g.Texts) {
		return Text{}
	}
	return g.Texts[n]
}

// Marked is a piece of a text: words that gave points carry the names of the factors.
type Marked struct {
	Words   string
	Factors []string
}

// Mark cuts a text into pieces so that the words that gave points can be shown; ref is the text as the ticket has it, and
// nothing is marked in one that was changed since the grading.
func (g Grade) Mark(ref Text, text string) []Marked {
	type span struct {
		from, to int
		name     string
	}
	var spans []span
	var cuts []int
	for _, f := range g.Factors {
		if f.From < f.To && f.To <= len(text) && !ref.IsZero() && g.textOf(f).ID == ref.ID {
			spans = append(spans, span{f.From, f.To, fmt.Sprintf("%s %+d", f.Name, f.Points)})
			cuts = append(cuts, f.From, f.To)
		}
	}
	cuts = append(cuts, 0, len(text))
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []Marked
	for i := 0; i+1 < len(cuts); i++ {
		m := Marked{Words: text[cuts[i]:cuts[i+1]]}
		for _, s := range spans {
			if s.from <= cuts[i] && cuts[i+1] <= s.to {
				m.Factors = append(m.Factors, s.name)
			}
		}
		out = append(out, m)
	}
	return out
}

// packed is a JSON column.
type packed struct{ v any }

func (p packed) Value() (driver.Value, error) {
	b, err := json.Marshal(p.v)
	return string(b), err
}

func (p packed) Scan(src any) error {
	var s string
	if err := (blank{&s}).Scan(src); err != nil {
		return err
	}
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), p.v)
}
