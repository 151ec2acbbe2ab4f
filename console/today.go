package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

func (s *Server) todayRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /today", s.signedIn(s.today))
	mux.HandleFunc("GET /today/live", s.signedIn(s.todayLive))
}

// todo is one kind of work that waits for somebody of the reader's role, with what comes first of it.
type todo struct {
	Label string // in words
	Note  string
	N     int
	More  bool // there are more than N
	Look  string
	Path  string // the list that N is the length of
	Rows  []todoRow
}

// todoRow is one piece of work.
type todoRow struct {
	Title, Sub, Path string
	Colour           ticket.Colour
	Due              dueView
}

// todayView is where everybody begins: what waits for them now, and how the house stands.
type todayView struct {
	At      time.Time
	Day     workday.Day
	Figures []todayFigure
	Colours []colourCount
	Todo    []todo // that there is something to do about
	Clear   []todo // nothing waits there; the list may still be opened
}

type todayFigure struct {
	Label, Note, Look, Path string
	N                       int
}

const (
	todoShown = 4    // pieces of work shown of each kind
	todoMost  = 1000 // how far they are counted
)

func (s *Server) today(w http.ResponseWriter, r *http.Request, u *user) { s.showToday(w, r, u, "") }
func (s *Server) todayLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.showToday(w, r, u, "now")
}

func (s *Server) showToday(w http.ResponseWriter, r *http.Request, u *user, block string) {
	var v todayView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readToday(r.Context(), tx, s.lang(r), u); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "today", block, "today", v)
}

func (s *Server) readToday(ctx context.Context, tx *storage.Tx, lang string, u *user) (v todayView, err error) {
	v.At = s.Now()
	v.Day = workday.DayOf(v.At)
	t := &tasks{s: s, ctx: ctx, tx: tx, lang: lang, u: u, by: ticket.Staff(u.Staff), now: v.At}
	if t.names, err = readNames(tx, lang); err != nil {
		return v, err
	}
	for _, read := range []func() error{t.alerts, t.tickets, t.asked, t.callbacks, t.replies, t.exclusions, t.approvals, t.oversight, t.blocks, t.personal, t.notices, t.results, t.connectors, t.health} {
		if err := read(); err != nil {
			return v, err
		}
	}
	for _, x := range t.list {
		if x.N > 0 {
			v.Todo = append(v.Todo, x)
		} else {
			v.Clear = append(v.Clear, x)
		}
	}
	// What is on fire stands first; the rest stays in the order of the day's work.
	slices.SortStableFunc(v.Todo, func(a, b todo) int { return urgency(b.Look) - urgency(a.Look) })
	v.Figures, v.Colours, err = t.figures(v.Day)
	return v, err
}

func urgency(look string) int {
	if look == "bad" {
		return 1
	}
	return 0
}

// tasks gathers what waits for one person.
type tasks struct {
	s     *Server
	ctx   context.Context
	tx    *storage.Tx
	lang  string
	u     *user
	by    ticket.Actor
	now   time.Time
	names names
	list  []todo
}

func (t *tasks) t(key string, args ...any) string { return translate(t.lang, key, args...) }

func (t *tasks) add(x todo) { t.list = append(t.list, x) }

// figures are how the house, or the reader's unit, stands.
func (t *tasks) figures(day workday.Day) (out []todayFigure, colours []colourCount, err error) {
	if !t.u.Can(org.ViewTicket) || t.u.Role.Reach() == org.ReachInvited {
		return nil, nil, nil
	}
	c, err := t.s.Office.Count(t.tx, t.by, t.now)
	if err != nil {
		return nil, nil, err
	}
	look := func(n int, what string) string {
		if n > 0 {
			return what
		}
		return ""
	}
	out = []todayFigure{
		{t.t("open-tickets"), "", "", "/tickets?open=1", c.Open},
		{t.t("today-overdue"), "", look(c.Overdue, "bad"), "/tickets?overdue=1", c.Overdue},
		{t.t("today-due"), "", look(c.DueToday, "warn"), "/tickets?due=today", c.DueToday + c.Overdue},
		{t.t("today-opened"), "", "", "", c.OpenedToday},
		{t.t("today-closed"), "", "", "", c.ClosedToday},
	}
	if t.u.Role.Reach() == org.ReachAll && t.s.Gateway != nil {
		out[3].Path = "/inbox?day=" + day.String()
	}
	for _, x := range ticket.Colours {
		colours = append(colours, colourCount{x, c.OpenColours[x]})
	}
	return out, colours, nil
}

// tickets are the requests that wait for the reader's role, by what they wait for.
func (t *tasks) tickets() error {
	if !t.u.Can(org.ViewTicket) {
		return nil
	}
	unit := ""
	if t.u.Role.Reach() == org.ReachUnit {
		unit = t.u.Unit
	}
	for _, m := range []struct {
		act   org.Action
		key   string
		state ticket.State
	}{
		{org.AcceptTicket, "todo-accept", ticket.New},
		{org.DispatchTicket, "todo-dispatch", ticket.Accepted},
		{org.SignTicket, "todo-sign", ticket.Dispatched},
		{org.SignTicket, "todo-handle", ticket.Handling},
		{org.ReviewResult, "todo-review", ticket.Reviewing},
		{org.MakeReview, "todo-rate", ticket.AwaitRating},
		{org.Supervise, "todo-rework", ticket.Rework},
	} {
		if !t.u.Can(m.act) {
			continue
		}
		q := url.Values{"state": {string(m.state)}}
		if unit != "" {
			q.Set("unit", unit)
		}
		list, n, err := t.s.Office.List(t.tx, ticket.Filter{Viewer: t.by, State: m.state, Unit: unit, Order: ticket.ByDue, Limit: todoShown, Most: todoMost})
		if err != nil {
			return err
		}
		x := todo{Label: t.t(m.key), N: n, More: n == todoMost, Path: "/tickets?" + q.Encode()}
		for _, k := range list {
			x.Rows = append(x.Rows, t.ticketRow(k))
			if !k.Due.IsZero() && t.now.After(k.Due) {
				x.Look = "bad"
			}
		}
		t.add(x)
	}
	// Whoever watches over the whole looks at what is late, whatever it waits for.
	if t.u.Can(org.Supervise) || t.u.Can(org.InstructTicket) || t.u.Role == org.Reviewer {
		list, n, err := t.s.Office.List(t.tx, ticket.Filter{Viewer: t.by, Open: true, DueBefore: t.now, Order: ticket.ByDue, Limit: todoShown, Most: todoMost})
		if err != nil {
			return err
		}
		x := todo{Label: t.t("today-overdue"), N: n, More: n == todoMost, Path: "/tickets?overdue=1", Look: "bad"}
		for _, k := range list {
			x.Rows = append(x.Rows, t.ticketRow(k))
		}
		t.add(x)
	}
	if t.u.Can(org.InstructTicket) {
		for _, c := range []ticket.Colour{ticket.Red, ticket.Orange} {
			list, n, err := t.s.Office.List(t.tx, ticket.Filter{Viewer: t.by, Open: true, Colour: c, Order: ticket.ByDue, Limit: todoShown, Most: todoMost})
			if err != nil {
				return err
			}
			x := todo{Label: t.t("todo-colour-" + map[ticket.Colour]string{ticket.Red: "red", ticket.Orange: "orange"}[c]), N: n, Path: "/tickets?open=1&colour=" + url.QueryEscape(string(c)),
				Look: map[ticket.Colour]string{ticket.Red: "bad", ticket.Orange: "warn"}[c]}
			for _, k := range list {
				x.Rows = append(x.Rows, t.ticketRow(k))
			}
			t.add(x)
		}
	}
	return nil
}

func (t *tasks) ticketRow(k ticket.Ticket) todoRow {
	sub := k.Number
	if k.Host != "" && t.u.Scope.All() {
		sub += " · " + t.names.Unit(k.Host)
	}
	title := k.Title
	if title == "" {
		title = t.t("untitled")
	}
	return todoRow{Title: title, Sub: sub, Path: "/tickets/" + k.ID, Colour: k.Colour, Due: dueOf(t.lang, k.Due, t.now)}
}

// decides says which role's permission decides a request of a unit.
var decides = map[ticket.RequestKind]org.Action{
	ticket.AskReturn: org.DecideReturn, ticket.AskExtension: org.DecideExtension, ticket.AskSuspend: org.SuspendTicket, ticket.AskRetype: org.GradeTicket, ticket.AskLower: org.GradeTicket,
}

// asked are the requests of units that the reader decides: returns, extensions, suspensions, lower colours.
func (t *tasks) asked() error {
	any := false
	for _, act := range decides {
		any = any || t.u.Can(act)
	}
	if !any || t.u.Role.Reach() == org.ReachUnit {
		return nil
	}
	list, err := t.s.Office.Asked(t.tx, "", t.by)
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-asked"), Look: "warn"}
	for _, q := range list {
		act, known := decides[q.Kind]
		if !known || !t.u.Can(act) || q.AskedBy == t.by.String() {
			continue
		}
		if x.N++; len(x.Rows) < todoShown {
			k, err := t.s.Office.See(t.tx, q.TicketID, t.by)
			if err != nil {
				return err
			}
			row := t.ticketRow(k)
			row.Sub = page{Lang: t.lang}.Of(q.Kind.Label()) + " · " + t.names.Unit(q.AskedUnit) + " · " + k.Number
			x.Rows = append(x.Rows, row)
		}
	}
	if len(x.Rows) > 0 {
		x.Path = x.Rows[0].Path
	}
	t.add(x)
	return nil
}

func (t *tasks) alerts() error {
	if !t.u.Can(org.AckAlert) {
		return nil
	}
	list, n, err := t.s.Office.Alerts(t.tx, ticket.AlertFilter{Viewer: t.by, State: ticket.AlertRaised, Limit: todoShown})
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-alerts"), N: n, Path: "/alerts?state=" + string(ticket.AlertRaised), Look: "bad"}
	for _, a := range list {
		x.Rows = append(x.Rows, todoRow{Title: a.Title, Sub: when(a.RaisedAt, "01-02 15:04"), Path: "/alerts/" + a.ID, Colour: a.Level, Due: dueOf(t.lang, a.AckDue, t.now)})
	}
	t.add(x)
	return nil
}

func (t *tasks) callbacks() error {
	if !t.u.Can(org.MakeCallback) && !t.u.Can(org.MakeReview) && !t.u.Can(org.ViewRestricted) {
		return nil
	}
	list, n, err := t.s.Office.Callbacks(t.tx, ticket.CallbackFilter{Viewer: t.by, State: ticket.CallbackOpen, Limit: todoShown})
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-callbacks"), N: n, Path: "/callbacks"}
	for _, c := range list {
		row := todoRow{Title: page{Lang: t.lang}.Of(c.Kind.Label()), Sub: c.Reason, Path: "/callbacks/" + c.ID, Due: dueOf(t.lang, c.Due, t.now)}
		if row.Due.Over {
			x.Look = "bad"
		}
		if c.Assignee != "" {
			row.Sub = t.names.Who(c.Assignee) + " · " + row.Sub
		}
		x.Rows = append(x.Rows, row)
	}
	t.add(x)
	return nil
}

func (t *tasks) replies() error {
	if !t.u.Can(org.SortReplies) || t.s.Survey == nil {
		return nil
	}
	list, err := t.s.Survey.Reviews(t.tx, ownUnit(t.u), 100)
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-replies"), N: len(list), More: len(list) == 100, Path: "/replies"}
	for _, a := range list[:min(len(list), todoShown)] {
		x.Rows = append(x.Rows, todoRow{Title: a.Words, Sub: a.Class, Path: "/replies"})
	}
	t.add(x)
	return nil
}

func (t *tasks) exclusions() error {
	if !t.u.Can(org.DetermineTicket) || t.s.Survey == nil {
		return nil
	}
	all, err := survey.Exclusions(t.tx, 200)
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-exclusions"), Path: "/exclusions"}
	for _, e := range all {
		if e.ProposedBy == t.by.String() || t.u.Unit != "" && (e.Unit == t.u.Unit || t.names.below(t.u.Unit, e.Unit)) {
			continue
		}
		if x.N++; len(x.Rows) < todoShown {
			x.Rows = append(x.Rows, todoRow{Title: e.Reason, Sub: t.names.Who(e.ProposedBy), Path: "/exclusions"})
		}
	}
	t.add(x)
	return nil
}

// approvals are the answers that are published or mailed only after a second person has read them.
func (t *tasks) approvals() error {
	if t.s.Gateway == nil || t.u.Role != org.Leader && t.u.Role != org.Supervisor {
		return nil
	}
	ids, err := storage.All(t.tx, storage.Value[string], `SELECT ticket_id FROM channel_reply WHERE state = $1 AND drafted_by <> $2 ORDER BY drafted_at LIMIT 100`, channel.ReplyDraft, t.by.String())
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-approvals"), Look: "warn"}
	for _, id := range ids {
		k, err := t.s.Office.See(t.tx, id, t.by)
		if err != nil {
			continue // hidden from the reader
		}
		if x.N++; len(x.Rows) < todoShown {
			row := t.ticketRow(k)
			row.Path += "/source"
			x.Rows = append(x.Rows, row)
		}
	}
	if len(x.Rows) > 0 {
		x.Path = x.Rows[0].Path
	}
	t.add(x)
	return nil
}

// oversight are the open matters of the kinds that the reader works at.
func (t *tasks) oversight() error {
	if t.s.Oversight == nil {
		return nil
	}
	for _, m := range []struct {
		kind oversee.Kind
		acts []org.Action
	}{
		{oversee.KindSupervision, []org.Action{org.Supervise, org.ApproveList, org.SignTicket}},
		{oversee.KindConsult, []org.Action{org.OpenConsult, org.GiveOpinion}},
		{oversee.KindOrder, []org.Action{org.IssueOrder, org.SignTicket}},
		{oversee.KindBackcheck, []org.Action{org.Backcheck, org.SignTicket}},
		{oversee.KindTopic, []org.Action{org.DraftReport}},
		{oversee.KindLink, []org.Action{org.MergeTicket}},
		{oversee.KindWatch, []org.Action{org.ApproveWatch}},
	} {
		if !slices.ContainsFunc(m.acts, func(a org.Action) bool { return t.u.Can(a) }) || !oversee.MaySee(m.kind, t.by) {
			continue
		}
		list, n, err := t.s.Oversight.List(t.tx, oversee.Filter{Viewer: t.by, Kind: m.kind, Open: true, Limit: todoShown})
		if err != nil {
			return err
		}
		x := todo{Label: m.kind.Label(), N: n, Path: "/oversee/" + string(m.kind) + "?open=1"}
		for _, o := range list {
			words, err := t.s.Oversight.Words(t.tx, o)
			if err != nil {
				return err
			}
			h := oversee.Of(o)
			title, _ := describe(o, words, t.names)
			if title == "" {
				title = page{Lang: t.lang}.Of(h.Kind.Label())
			}
			sub := h.StateLabel()
			if l, is := o.(*oversee.Link); is {
				title, sub = t.pair(l, title)
			}
			row := todoRow{Title: title, Sub: sub, Path: "/oversee/" + string(h.Kind) + "/" + h.ID, Due: dueOf(t.lang, h.Due, t.now)}
			if row.Due.Over {
				x.Look = "bad"
			}
			x.Rows = append(x.Rows, row)
		}
		t.add(x)
	}
	return nil
}

// pair says which two requests a proposed link is about; evidence is what there is to say where the reader sees only one of them.
func (t *tasks) pair(l *oversee.Link, evidence string) (title, sub string) {
	later, err := t.s.Office.See(t.tx, l.Later(), t.by)
	if err != nil {
		return evidence, l.StateLabel()
	}
	earlier, err := t.s.Office.See(t.tx, l.Earlier(), t.by)
	if err != nil {
		return evidence, l.StateLabel()
	}
	return cmp.Or(later.Title, t.t("untitled")), later.Number + " → " + earlier.Number + " · " + evidence
}

func (t *tasks) blocks() error {
	if !t.u.Can(org.JudgeBlocks) {
		return nil
	}
	list, err := t.s.blocks().List(t.tx, 100)
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-blocks"), Path: "/guard"}
	for _, b := range list {
		if b.State(t.now) != ivr.BlockProposed || b.ProposedBy == t.by.String() {
			continue
		}
		if x.N++; len(x.Rows) < todoShown {
			x.Rows = append(x.Rows, todoRow{Title: b.Reason, Sub: t.names.Who(b.ProposedBy), Path: "/guard"})
		}
	}
	t.add(x)
	return nil
}

func (t *tasks) notices() error {
	if !t.u.Can(org.ViewTicket) {
		return nil
	}
	list, err := t.s.Office.Notices(t.tx, ticket.NoticeFilter{Viewer: t.by, Unread: true, Limit: 100})
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-notices"), N: len(list), More: len(list) == 100, Path: "/notices"}
	for _, n := range list[:min(len(list), todoShown)] {
		row := todoRow{Title: noticeText(t.lang, n.Text), Sub: when(n.RaisedAt, "01-02 15:04"), Path: "/notices"}
		if n.TicketID != "" {
			row.Path = "/tickets/" + n.TicketID
		}
		x.Rows = append(x.Rows, row)
	}
	t.add(x)
	return nil
}

// results are settled requests of other bodies that no file has taken back yet.
func (t *tasks) results() error {
	if !t.u.Can(org.ExportData) || t.s.Gateway == nil {
		return nil
	}
	all, err := t.s.Office.Channels(t.tx)
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-results"), Path: "/results"}
	for _, c := range all {
		if !c.External || c.Restricted && !t.u.Can(org.ViewRestricted) {
			continue
		}
		ready, _, err := t.s.Gateway.Waiting(t.tx, c.Code)
		if err != nil {
			return err
		}
		if ready > 0 {
			x.N += ready
			x.Rows = append(x.Rows, todoRow{Title: c.Name, Sub: t.t("todo-results-n", ready), Path: "/results"})
		}
	}
	t.add(x)
	return nil
}

// connectors are those that do not work.
func (t *tasks) connectors() error {
	if !t.u.Can(org.ManageRules) || t.s.Gateway == nil {
		return nil
	}
	all, err := t.s.Gateway.Connectors(t.tx)
	if err != nil {
		return err
	}
	x := todo{Label: t.t("todo-connectors"), Path: "/connectors", Look: "bad"}
	for _, c := range all {
		if c.Enabled && !c.Alive(t.now) {
			x.N++
			x.Rows = append(x.Rows, todoRow{Title: c.Name, Sub: c.Error, Path: "/connectors/" + c.ID})
		}
	}
	t.add(x)
	return nil
}

// health are the parts of the program that do not work, for those who keep it running.
func (t *tasks) health() error {
	if !t.u.Can(org.ManageRules) || t.s.Health == nil {
		return nil
	}
	x := todo{Label: t.t("todo-health"), Look: "bad", Path: "/connectors"}
	for _, p := range t.s.Health(t.ctx) {
		if !p.OK {
			x.N++
			x.Rows = append(x.Rows, todoRow{Title: p.Name, Sub: p.Detail, Path: "/connectors"})
		}
	}
	t.add(x)
	return nil
}
