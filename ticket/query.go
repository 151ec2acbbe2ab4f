package ticket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// Get returns a ticket by id or number, or storage.ErrNotFound. It checks no permission: See does.
func (o *Office) Get(tx *storage.Tx, idOrNumber string) (Ticket, error) {
	t, err := one[Ticket](tx, ` WHERE id = $1 OR number = $1`, strings.TrimSpace(idOrNumber))
	if err != nil {
		return Ticket{}, fmt.Errorf("ticket %s: %w", idOrNumber, err)
	}
	return *t, nil
}

// See is Get for a viewer: a ticket that the viewer may not see is storage.ErrNotFound, as if it were not there (ORG-1).
func (o *Office) See(tx *storage.Tx, idOrNumber string, viewer Actor) (Ticket, error) {
	q := &query{}
	if err := o.visible(tx, q, viewer); err != nil {
		return Ticket{}, err
	}
	q.and(`(id = ? OR number = ?)`, strings.TrimSpace(idOrNumber), strings.TrimSpace(idOrNumber))
	t, err := one[Ticket](tx, q.where(), q.args...)
	if err != nil {
		return Ticket{}, fmt.Errorf("ticket %s: %w", idOrNumber, err)
	}
	return *t, nil
}

// KnowsCitizen reports whether a viewer may learn who the citizen of a ticket is, given that the viewer may see the
// ticket: never the accused (See hides the ticket), and with confidentiality asked for only the roles for it (I6, I7).
// Each reveal is then made, with its reason, through contact.Book.Reveal.
func (o *Office) KnowsCitizen(t Ticket, viewer Actor) bool {
	if viewer.Kind == CitizenActor {
		return viewer.ID == t.ContactID
	}
	if viewer.officer() && t.AccusedStaff != "" && viewer.ID == t.AccusedStaff {
		return false
	}
	if t.Confidential {
		return viewer.may(org.RevealSecret)
	}
	return viewer.may(org.Reveal)
}

// query collects conditions; each ? becomes the next placeholder.
type query struct {
	conds []string
	args  []any
}

func (q *query) and(cond string, args ...any) {
	for _, a := range args {
		q.args = append(q.args, a)
		cond = strings.Replace(cond, "?", fmt.Sprintf("$%d", len(q.args)), 1)
	}
	q.conds = append(q.conds, cond)
}

func (q *query) in(column string, vals []string) {
	if len(vals) == 0 {
		q.and(`1 = 0`)
		return
	}
	args := make([]any, len(vals))
	for i, v := range vals {
		args[i] = v
	}
	q.and(column+` IN (?`+strings.Repeat(`, ?`, len(vals)-1)+`)`, args...)
}

// open leaves the open tickets: those that have a due (I1), but for merged ones that wait for a rating. Said so, and not by
// their states, the index on dues can be walked.
func (q *query) open() {
	q.and(`due_at IS NOT NULL`)
	q.and(`state <> ?`, string(Merged))
}

func (q *query) where() string {
	if len(q.conds) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(q.conds, ` AND `)
}

// visible limits a query to what the viewer may see: the centre everything but restricted tickets, their seat those too,
// a unit the tickets of which it or a unit below it has a leg, a citizen the own ones; and nobody those that accuse them.
func (o *Office) visible(tx *storage.Tx, q *query, viewer Actor) error {
	switch {
	case viewer.Kind == SystemActor:
		return nil
	case viewer.Kind == CitizenActor:
		q.and(`contact_id = ? AND contact_id <> ''`, viewer.ID)
		return nil
	case !viewer.officer() || !viewer.may(org.ViewTicket):
		q.and(`1 = 0`)
		return nil
	}
	switch viewer.Role.Reach() {
	case org.ReachAll:
		if !viewer.sits() {
			q.and(`restricted = FALSE`)
		}
	case org.ReachUnit:
		units, err := org.Below(tx, viewer.Unit)
		if err != nil {
			return err
		}
		if len(units) == 0 {
			units = []string{viewer.Unit}
		}
		sub := &query{args: q.args}
		sub.in(`l.unit`, units)
		q.args = sub.args
		q.conds = append(q.conds, `ticket.id IN (SELECT l.ticket_id FROM ticket_leg l WHERE `+sub.conds[0]+`)`)
	default:
		// Whoever is invited to a consultation sees the ticket that it is about.
		q.and(`(opened_by = ? OR ticket.id IN (SELECT t.ticket_id FROM oversee_ticket t JOIN oversee_member m ON m.matter_id = t.matter_id
			JOIN oversee_matter o ON o.id = t.matter_id WHERE o.kind = 'consult' AND m.member = ?))`, viewer.String(), viewer.String())
	}
	q.and(`accused_staff <> ?`, viewer.ID)
	c, err := o.ConflictOf(tx, viewer)
	if err != nil {
		return err
	}
	for _, u := range c.Units {
		q.and(`accused_unit <> ?`, u)
	}
	for _, f := range c.Former {
		q.and(`(accused_unit <> ? OR received_at >= ?)`, f.Unit, storage.At(f.Left))
	}
	return nil
}

// Visible is what visible asks, as one condition on table ticket for queries of other rooms: args are what the query has so
// far, and come back with those of the condition.
func (o *Office) Visible(tx *storage.Tx, viewer Actor, args []any) (string, []any, error) {
	q := &query{args: args}
	if err := o.visible(tx, q, viewer); err != nil {
		return "", nil, fmt.Errorf("what a viewer sees: %w", err)
	}
	if len(q.conds) == 0 {
		return `1 = 1`, q.args, nil
	}
	return strings.Join(q.conds, ` AND `), q.args, nil
}

// Order is how a list is sorted.
type Order string

// Orders.
const (
	ByNewest  Order = "newest"  // opened last first; the default
	ByOldest  Order = "oldest"  //
	ByDue     Order = "due"     // due first first, without a due last
	ByChanged Order = "changed" // changed last first
	ByColour  Order = "colour"  // 红 first, then by due
)

// Filter selects tickets; zero fields select all.
type Filter struct {
	Viewer     Actor // required: System sees all
	State      State
	States     []State
	Open       bool // only open ones
	Channel    string
	Kind       Kind
	Cause      string
	Window     string // number of the window
	Clerk      string // number of the clerk
	Community  string // code of an Area, or of one above it
	Colour     Colour
	Unit       string // has a leg of this unit in its present round
	Queue      string // CentreQueue, SeatQueue
	Contact    string
	CallID     string
	RecordID   string
	MergedInto string
	RepeatOf   string
	Proactive  *bool
	Text       string    // in title, body, place, or the number
	DueBefore  time.Time // a running clock is due before
	From, To   time.Time // opened in [From, To)
	Order      Order
	Limit      int // 50 when zero, at most 1000
	Offset     int
	After      string // id of the last ticket of the page before: the page goes on behind it, however deep (ByNewest, ByOldest, and ByDue of open ones)
	Most       int    // count to here at most: a total of Most says that there are as many or more; 0 counts all
}

// MostListed is how far lists on pages count.
const MostListed = 2000

// openOnly reports whether the filter selects open tickets alone: they all have a due (I1).
func (f Filter) openOnly() bool {
	closed := func(s State) bool { return !s.Open() }
	return f.Open || f.State.Open() || len(f.States) > 0 && !slices.ContainsFunc(f.States, closed)
}

// List returns a page of the tickets that match and how many match in all, or Filter.Most when that is less.
func (o *Office) List(tx *storage.Tx, f Filter) ([]Ticket, int, error) {
	if !f.Viewer.valid() {
		return nil, 0, errors.New("list tickets: no viewer")
	}
	q := &query{}
	if err := o.visible(tx, q, f.Viewer); err != nil {
		return nil, 0, fmt.Errorf("list tickets: %w", err)
	}
	f.conditions(q)
	if f.openOnly() {
		q.and(`due_at IS NOT NULL`) // open ones all have a due (I1), and now the index on it can be walked from there
	}
	counted := `SELECT COUNT(*) FROM ticket` + q.where()
	if f.Most > 0 {
		along := `opened_at`
		if f.openOnly() {
			along = `due_at`
		}
		counted = fmt.Sprintf(`SELECT COUNT(*) FROM (SELECT 1 FROM ticket%s ORDER BY %s LIMIT %d) AS part`, q.where(), along, f.Most)
	}
	total, err := storage.One(tx, storage.Value[int], counted, q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list tickets: %w", err)
	}
	if f.Order == "" {
		f.Order = ByNewest
	}
	if f.After != "" {
		switch {
		case f.Order == ByNewest:
			q.and(`(opened_at, id) < (SELECT opened_at, id FROM ticket WHERE id = ?)`, f.After)
		case f.Order == ByOldest:
			q.and(`(opened_at, id) > (SELECT opened_at, id FROM ticket WHERE id = ?)`, f.After)
		case f.Order == ByDue && f.openOnly():
			q.and(`(due_at, id) > (SELECT due_at, id FROM ticket WHERE id = ?)`, f.After)
		default:
			return nil, 0, fmt.Errorf("list tickets: no page after a ticket in the order %q", f.Order)
		}
	}
	due := `due_at, id`
	if !f.openOnly() {
		due = `CASE WHEN due_at IS NULL THEN 1 ELSE 0 END, due_at, id`
	}
	order := map[Order]string{
		ByNewest: `opened_at DESC, id DESC`, ByOldest: `opened_at, id`, ByChanged: `changed_at DESC, id DESC`,
		ByDue:    due,
		ByColour: `CASE colour WHEN '红' THEN 0 WHEN '橙' THEN 1 WHEN '黄' THEN 2 ELSE 3 END, CASE WHEN due_at IS NULL THEN 1 ELSE 0 END, due_at, id`,
	}[f.Order]
	if order == "" {
		order = `opened_at DESC, id DESC`
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	args := append(q.args, min(f.Limit, 1000), max(f.Offset, 0))
	var out []*Ticket
	if err := list(tx, &out, q.where()+fmt.Sprintf(` ORDER BY %s LIMIT $%d OFFSET $%d`, order, len(args)-1, len(args)), args...); err != nil {
		return nil, 0, fmt.Errorf("list tickets: %w", err)
	}
	return values(out), total, nil
}

func (f Filter) conditions(q *query) {
	eq := func(column, v string) {
		if v != "" {
			q.and(column+` = ?`, v)
		}
	}
	eq(`state`, string(f.State))
	if len(f.States) > 0 {
		q.in(`state`, texts(f.States))
	}
	if f.Open {
		q.open()
	}
	eq(`channel`, f.Channel)
	eq(`kind`, string(f.Kind))
	if f.Community != "" { // codes of areas begin with those of the areas above them
		q.and(`community <> '' AND community LIKE ?`, f.Community+"%")
	}
	if f.Window != "" {
		q.and(`window_no = ? AND window_no <> ''`, f.Window)
	}
	if f.Clerk != "" {
		q.and(`clerk_no = ? AND clerk_no <> ''`, f.Clerk)
	}
	if f.Cause != "" {
		q.and(`cause = ? AND cause <> ''`, f.Cause)
	}
	eq(`colour`, string(f.Colour))
	eq(`queue`, f.Queue)
	eq(`contact_id`, f.Contact)
	eq(`call_id`, f.CallID)
	eq(`record_id`, f.RecordID)
	for column, v := range map[string]string{`merged_into`: f.MergedInto, `repeat_of`: f.RepeatOf} {
		if v != "" {
			q.and(column+` = ? AND `+column+` <> ''`, v)
		}
	}
	if f.Unit != "" {
		q.and(`EXISTS (SELECT 1 FROM ticket_leg l WHERE l.ticket_id = ticket.id AND l.round = ticket.round AND l.unit = ?)`, f.Unit)
	}
	if f.Proactive != nil {
		q.and(`proactive = ?`, *f.Proactive)
	}
	if text := strings.TrimSpace(f.Text); text != "" {
		like := `%` + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + `%`
		q.and(`(title LIKE ? ESCAPE '\' OR body LIKE ? ESCAPE '\' OR place LIKE ? ESCAPE '\' OR number LIKE ? ESCAPE '\')`, like, like, like, like)
	}
	if !f.DueBefore.IsZero() {
		q.and(`due_at < ?`, storage.At(f.DueBefore))
	}
	if !f.From.IsZero() {
		q.and(`opened_at >= ?`, storage.At(f.From))
	}
	if !f.To.IsZero() {
		q.and(`opened_at < ?`, storage.At(f.To))
	}
}

func texts[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// Legs returns the legs of a ticket, first to last, with their texts.
func (o *Office) Legs(tx *storage.Tx, id string) ([]Leg, error) {
	var out []*Leg
	err := list(tx, &out, ` WHERE ticket_id = $1 ORDER BY id`, id)
	shown, err2 := readTexts(tx, Stream(id))
	for _, l := range out {
		l.Result, l.Basis = shown[l.ResultRef.ID], shown[l.BasisRef.ID]
	}
	return values(out), errors.Join(err, err2)
}

// Leg returns one leg, without texts, or storage.ErrNotFound.
func (o *Office) Leg(tx *storage.Tx, legID string) (Leg, error) {
	l, err := one[Leg](tx, ` WHERE id = $1`, legID)
	if err != nil {
		return Leg{}, fmt.Errorf("leg %s: %w", legID, err)
	}
	return *l, nil
}

// HandledBy is the unit that has the ticket as 主办 or, once that has handed in its result, had it; empty when nobody has.
// Ticket.Host names it only while the unit still works.
func (o *Office) HandledBy(tx *storage.Tx, t Ticket) (string, error) {
	if t.Host != "" {
		return t.Host, nil
	}
	unit, err := storage.One(tx, storage.Value[string], `SELECT unit FROM ticket_leg WHERE ticket_id = $1 AND role = $2 AND state IN ($3, $4) ORDER BY id DESC LIMIT 1`,
		t.ID, string(Host), string(LegSubmitted), string(LegAccepted))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return "", fmt.Errorf("host of ticket %s: %w", t.ID, err)
	}
	return unit, nil
}

// Clocks returns the clocks of a ticket: running ones first, by due.
func (o *Office) Clocks(tx *storage.Tx, id string) ([]Clock, error) {
	var out []*Clock
	err := list(tx, &out, ` WHERE ticket_id = $1 ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'paused' THEN 1 ELSE 2 END, due_at, id`, id)
	return values(out), err
}

// Requests returns the requests of a ticket, first to last, with their texts.
func (o *Office) Requests(tx *storage.Tx, id string) ([]Request, error) {
	var out []*Request
	err := list(tx, &out, ` WHERE ticket_id = $1 ORDER BY id`, id)
	shown, err2 := readTexts(tx, Stream(id))
	for _, r := range out {
		r.Reason, r.Clause, r.Decision, r.Informed = shown[r.ReasonRef.ID], shown[r.ClauseRef.ID], shown[r.DecisionRef.ID], shown[r.InformedRef.ID]
	}
	return values(out), errors.Join(err, err2)
}

// Asked returns the open requests of a kind (all kinds when empty), oldest first, that the viewer may see.
func (o *Office) Asked(tx *storage.Tx, kind RequestKind, viewer Actor) ([]Request, error) {
	q := &query{}
	if err := o.visible(tx, q, viewer); err != nil {
		return nil, err
	}
	if len(q.conds) == 0 {
		q.and(`1 = 1`)
	}
	sub := `EXISTS (SELECT 1 FROM ticket` + q.where() + ` AND ticket.id = ticket_request.ticket_id)`
	q.conds = []string{sub, `state = 'asked'`}
	if kind != "" {
		q.and(`kind = ?`, string(kind))
	}
	var out []*Request
	err := list(tx, &out, q.where()+` ORDER BY asked_at, id`, q.args...)
	return values(out), err
}

// Ratings returns all ratings of a ticket, first to last, with their words.
func (o *Office) Ratings(tx *storage.Tx, id string) ([]Rating, error) {
	var out []*Rating
	err := list(tx, &out, ` WHERE ticket_id = $1 ORDER BY id`, id)
	shown, err2 := readTexts(tx, Stream(id))
	for _, r := range out {
		r.Words = shown[r.WordsRef.ID]
	}
	return values(out), errors.Join(err, err2)
}

// CallbackFilter selects call-backs.
type CallbackFilter struct {
	Viewer    Actor // required: System sees all
	Kind      CallbackKind
	State     CallbackState
	TicketID  string
	ContactID string
	CallID    string
	RecordID  string
	Assignee  string    // actor
	DueBefore time.Time //
	Limit     int       // 100 when zero
	Offset    int
}

// Callbacks lists call-backs, the first due first, with their reasons. Only those who may make or watch call-backs see
// any, and nobody those about their own unit's rating or those of tickets that are hidden from them.
func (o *Office) Callbacks(tx *storage.Tx, f CallbackFilter) ([]Callback, int, error) {
	q := &query{}
	if !f.Viewer.valid() {
		return nil, 0, errors.New("list call-backs: no viewer")
	}
	if f.Viewer.Kind != SystemActor {
		if !f.Viewer.officer() || !f.Viewer.may(org.ViewCallbacks) && !f.Viewer.sits() {
			return nil, 0, nil
		}
		if err := o.visible(tx, q, f.Viewer); err != nil {
			return nil, 0, err
		}
		q.conds = []string{`(ticket_id = '' OR EXISTS (SELECT 1 FROM ticket` + q.where() + ` AND ticket.id = ticket_callback.ticket_id))`}
		if f.Viewer.Unit != "" {
			q.and(`' ' || exclude_units || ' ' NOT LIKE ?`, "% "+f.Viewer.Unit+" %")
		}
	}
	for column, v := range map[string]string{`kind`: string(f.Kind), `state`: string(f.State), `ticket_id`: f.TicketID, `contact_id`: f.ContactID,
		`call_id`: f.CallID, `record_id`: f.RecordID, `assignee`: f.Assignee} {
		if v != "" {
			q.and(column+` = ?`, v)
		}
	}
	if !f.DueBefore.IsZero() {
		q.and(`due_at < ?`, storage.At(f.DueBefore))
	}
	total, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_callback`+q.where(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list call-backs: %w", err)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args := append(q.args, f.Limit, max(f.Offset, 0))
	var out []*Callback
	if err := list(tx, &out, q.where()+fmt.Sprintf(` ORDER BY due_at, id LIMIT $%d OFFSET $%d`, len(args)-1, len(args)), args...); err != nil {
		return nil, 0, err
	}
	for _, c := range out {
		if c.Reason, err = shownText(tx, c.ReasonRef); err != nil {
			return nil, 0, err
		}
		if c.Note, err = shownText(tx, c.NoteRef); err != nil {
			return nil, 0, err
		}
	}
	return values(out), total, nil
}

// Callback returns one call-back with its texts, or storage.ErrNotFound.
func (o *Office) Callback(tx *storage.Tx, id string) (Callback, error) {
	c, err := one[Callback](tx, ` WHERE id = $1`, id)
	if err != nil {
		return Callback{}, fmt.Errorf("call-back %s: %w", id, err)
	}
	c.Reason, err = shownText(tx, c.ReasonRef)
	note, err2 := shownText(tx, c.NoteRef)
	c.Note = note
	return *c, errors.Join(err, err2)
}

// Tries returns the attempts of a call-back, first to last, with their notes.
func (o *Office) Tries(tx *storage.Tx, callbackID string) ([]Try, error) {
	var out []*Try
	if err := list(tx, &out, ` WHERE callback_id = $1 ORDER BY id`, callbackID); err != nil {
		return nil, err
	}
	for _, t := range out {
		var err error
		if t.Note, err = shownText(tx, t.NoteRef); err != nil {
			return nil, err
		}
	}
	return values(out), nil
}

func shownText(tx *storage.Tx, t Text) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	s, err := storage.One(tx, storage.Value[string], `SELECT shown FROM ticket_text WHERE id = $1`, t.ID)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", t.ID, err)
	}
	return s, nil
}

// AlertFilter selects alerts.
type AlertFilter struct {
	Viewer   Actor // required: System sees all
	ID       string
	State    AlertState
	Rule     string
	Level    Colour
	TicketID string
	CallID   string
	From, To time.Time // raised in [From, To)
	Limit    int       // 100 when zero
	Offset   int
}

// Alerts lists alerts, the latest first, with their texts. Those about a ticket hidden from the viewer are left out.
func (o *Office) Alerts(tx *storage.Tx, f AlertFilter) ([]Alert, int, error) {
	q := &query{}
	if !f.Viewer.valid() {
		return nil, 0, errors.New("list alerts: no viewer")
	}
	if f.Viewer.Kind != SystemActor {
		if !f.Viewer.officer() || !f.Viewer.may(org.ViewAlerts) {
			return nil, 0, nil
		}
		if err := o.visible(tx, q, f.Viewer); err != nil {
			return nil, 0, err
		}
		q.conds = []string{`(ticket_id = '' OR EXISTS (SELECT 1 FROM ticket` + q.where() + ` AND ticket.id = ticket_alert.ticket_id))`}
	}
	for column, v := range map[string]string{`id`: f.ID, `state`: string(f.State), `rule`: f.Rule, `level`: string(f.Level), `ticket_id`: f.TicketID, `call_id`: f.CallID} {
		if v != "" {
			q.and(column+` = ?`, v)
		}
	}
	if !f.From.IsZero() {
		q.and(`raised_at >= ?`, storage.At(f.From))
	}
	if !f.To.IsZero() {
		q.and(`raised_at < ?`, storage.At(f.To))
	}
	total, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_alert`+q.where(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list alerts: %w", err)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args := append(q.args, f.Limit, max(f.Offset, 0))
	var out []*Alert
	if err := list(tx, &out, q.where()+fmt.Sprintf(` ORDER BY raised_at DESC, id DESC LIMIT $%d OFFSET $%d`, len(args)-1, len(args)), args...); err != nil {
		return nil, 0, err
	}
	for _, a := range out {
		texts, err := openTexts(tx, o.Book.Vault, AlertStream(a.ID))
		if err != nil {
			return nil, 0, err
		}
		a.Title, a.Evidence, a.Note = texts[a.TitleRef.ID], texts[a.EvidenceRef.ID], texts[a.NoteRef.ID]
	}
	return values(out), total, nil
}

// Counts are the figures of the board. Each is the total of the List, Callbacks or Alerts with the same conditions (I22).
type Counts struct {
	States           map[State]int // open ones only
	OpenColours      map[Colour]int
	Open             int
	Overdue          int // open with a clock past its due
	DueToday         int // open, due from now until the end of the day
	OpenedToday      int
	ClosedToday      int
	Held             int // 重办待会商
	CallbacksOpen    int
	CallbacksOverdue int
	AlertsRaised     int
}

// Count counts what a viewer may see at the moment now.
func (o *Office) Count(tx *storage.Tx, viewer Actor, now time.Time) (Counts, error) {
	c := Counts{States: map[State]int{}, OpenColours: map[Colour]int{}}
	q := &query{}
	if err := o.visible(tx, q, viewer); err != nil {
		return c, fmt.Errorf("count tickets: %w", err)
	}
	open := &query{conds: append([]string(nil), q.conds...), args: append([]any(nil), q.args...)}
	open.open() // the settled ones are many, and nobody waits for them
	type row struct {
		state  State
		colour Colour
		n      int
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.state, &x.colour, &x.n) },
		`SELECT state || '', colour || '', COUNT(*) FROM ticket`+open.where()+` GROUP BY state || '', colour || ''`, open.args...)
	if err != nil {
		return c, fmt.Errorf("count tickets: %w", err)
	}
	for _, r := range rows {
		c.States[r.state] += r.n
		if r.state.Open() {
			c.Open += r.n
			c.OpenColours[r.colour] += r.n
		}
	}
	c.Held = c.States[Rework]
	day := workday.DayOf(now)
	count := func(cond func(q *query)) int {
		if err != nil {
			return 0
		}
		var n int
		sub := &query{conds: append([]string(nil), q.conds...), args: append([]any(nil), q.args...)}
		cond(sub)
		n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket`+sub.where(), sub.args...)
		return n
	}
	c.Overdue = count(func(q *query) { q.open(); q.and(`due_at < ?`, storage.At(now)) })
	c.DueToday = count(func(q *query) {
		q.open()
		q.and(`due_at >= ? AND due_at < ?`, storage.At(now), storage.At(day.End()))
	})
	c.OpenedToday = count(func(q *query) {
		q.and(`opened_at >= ? AND opened_at < ?`, storage.At(day.Start()), storage.At(day.End()))
	})
	c.ClosedToday = count(func(q *query) {
		q.in(`state`, texts(slices.DeleteFunc(slices.Clone(States), State.Open)))
		q.and(`closed_at >= ? AND closed_at < ?`, storage.At(day.Start()), storage.At(day.End()))
	})
	if err != nil {
		return c, fmt.Errorf("count tickets: %w", err)
	}
	var err1, err2, err3 error
	_, c.CallbacksOpen, err1 = o.Callbacks(tx, CallbackFilter{Viewer: viewer, State: CallbackOpen, Limit: 1})
	_, c.CallbacksOverdue, err2 = o.Callbacks(tx, CallbackFilter{Viewer: viewer, State: CallbackOpen, DueBefore: now, Limit: 1})
	_, c.AlertsRaised, err3 = o.Alerts(tx, AlertFilter{Viewer: viewer, State: AlertRaised, Limit: 1})
	return c, errors.Join(err1, err2, err3)
}
