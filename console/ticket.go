package console

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// readTicket reads a ticket's page for a reader; one that the reader may not see is storage.ErrNotFound.
func (s *Server) readTicket(tx *storage.Tx, lang string, u *user, id string) (v *ticketView, err error) {
	v = &ticketView{Now: s.Now(), me: u, office: s.Office, lang: lang}
	if v.T, err = s.Office.See(tx, id, ticket.Staff(u.Staff)); err != nil {
		return nil, err
	}
	id = v.T.ID
	if v.names, err = readNames(tx, lang); err != nil {
		return nil, err
	}
	if v.rules, err = s.Office.RulesOf(tx, v.T); err != nil {
		return nil, err
	}
	if v.Channel, err = s.Office.Channel(tx, v.T.Channel); err != nil {
		return nil, err
	}
	if v.Legs, err = s.Office.Legs(tx, id); err != nil {
		return nil, err
	}
	clocks, err := s.Office.Clocks(tx, id)
	if err != nil {
		return nil, err
	}
	for _, c := range clocks {
		cv := s.clockView(c, lang, v.Now)
		cv.Unit = v.leg(c.LegID).Unit
		v.Clocks = append(v.Clocks, cv)
	}
	requests, err := s.Office.Requests(tx, id)
	if err != nil {
		return nil, err
	}
	for _, q := range requests {
		rv := requestView{Request: q, For: q.Value}
		if k := ticket.Kind(q.Value); q.Kind == ticket.AskRetype && k.Valid() {
			rv.For = k.Label()
		}
		v.Requests = append(v.Requests, rv)
	}
	if v.Ratings, err = s.Office.Ratings(tx, id); err != nil {
		return nil, err
	}
	if v.Oversight, err = s.readOversight(tx, u, lang, v.T, v.names); err != nil {
		return nil, err
	}
	if v.Callbacks, _, err = s.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, TicketID: id}); err != nil {
		return nil, err
	}
	for _, c := range v.Callbacks {
		tries, err := s.Office.Tries(tx, c.ID)
		if err != nil {
			return nil, err
		}
		v.Tries = append(v.Tries, tries...)
	}
	for _, g := range v.rules.RefusalGrounds {
		if g.Code == v.T.Ground {
			v.Ground = g.Label
		}
	}
	moments, err := s.Office.Timeline(tx, id)
	if err != nil {
		return nil, err
	}
	for _, m := range slices.Backward(moments) {
		v.Events = append(v.Events, v.event(m))
	}
	if v.Links, err = s.links(tx, u, v.T); err != nil {
		return nil, err
	}
	if v.Person, err = s.readPerson(tx, u, v.T.ContactID, v.T.Confidential); err != nil {
		return nil, err
	}
	v.MayDial = s.mayDial(u.Staff, v.T)
	v.MayReveal = s.Office.KnowsCitizen(v.T, ticket.Staff(u.Staff)) && (v.Person != nil || strings.Contains(v.T.Title+v.T.Body+v.T.Place, "****"))
	v.ReplyVia = way(lang, v.T.ReplyVia)
	if v.Call, err = s.callPart(tx, u, v.T); err != nil {
		return nil, err
	}
	if v.Service, err = s.servicePart(tx, v.T); err != nil {
		return nil, err
	}
	if v.Why, err = s.readWhy(tx, u, lang, v.T); err != nil {
		return nil, err
	}
	if v.classes, err = s.readClasses(tx); err != nil {
		return nil, err
	}
	if v.Suggested, err = s.suggestionOf(tx, v.names, v.classes, v.T); err != nil {
		return nil, err
	}
	if v.T.Class != "" {
		v.ClassName = v.classes.Path(v.T.Class)
	}
	if v.causes, err = s.Office.Causes(tx); err != nil {
		return nil, err
	}
	v.CauseName = v.causeName()
	if v.T.Community != "" {
		areas, err := s.Office.AreaNames(tx)
		if err != nil {
			return nil, err
		}
		v.Community = areas[v.T.Community]
	}
	v.Panel = v.panel()
	return v, nil
}

// way is a way to reach a citizen in words; one that nobody has named is shown as it is.
func way(lang, code string) string {
	if text, ok := languages[lang]["via-"+code]; ok {
		return text
	}
	return code
}

// eventView is a line of the timeline.
type eventView struct {
	At           time.Time
	Label, Actor string
	Facts        string
	Bad          bool
	Texts        []string
}

// event puts a moment of a ticket into words.
func (v *ticketView) event(m ticket.Moment) eventView {
	e := eventView{At: m.At, Label: m.Label, Actor: m.Actor}
	var facts []string
	for _, f := range []struct{ name, key string }{{"host", "fact-host"}, {"co", "fact-co"}, {"unit", ""}, {"suggest", "fact-suggest"}} {
		ids := strings.Fields(m.Facts[f.name])
		if len(ids) == 0 || m.Type == "ticket.determining" || m.Type == "ticket.determined" && f.name != "unit" {
			continue
		}
		for i := range ids {
			ids[i] = v.names.Unit(ids[i])
		}
		text := strings.Join(ids, "、")
		if f.key != "" {
			text = translate(v.lang, f.key, text)
		}
		facts = append(facts, text)
	}
	if via := m.Facts["via"]; via != "" {
		facts = append(facts, way(v.lang, via))
	}
	labels := m.Labels
	switch group, _, _ := strings.Cut(m.Type, "."); group {
	case "callback": // its kinds have the codes of clocks
		labels = []string{ticket.CallbackKind(m.Facts["kind"]).Label(), ticket.TryOutcome(m.Facts["outcome"]).Label()}
		if to := m.Facts["to"]; to != "" {
			labels = append(labels, v.names.Who(to))
		}
	case "clock":
		labels = []string{ticket.ClockKind(m.Facts["kind"]).Label()}
	}
	facts = append(facts, labels...)
	e.Facts = strings.Join(slices.DeleteFunc(facts, func(f string) bool { return f == "" }), " · ")
	for _, name := range []string{"reason", "clause", "ground", "evidence", "decision", "informed", "text", "reply", "notice", "words", "note", "without_co", "result", "basis"} {
		if text := m.Texts[name]; text != "" {
			e.Texts = append(e.Texts, text)
		}
	}
	switch m.Type {
	case "clock.yellow", "clock.due", "clock.red", "callback.overdue", "ticket.refused", "ticket.rejected", "ticket.reworked", "ticket.held", "ticket.contested", "leg.returned",
		"request.return_granted", "ticket.withdrawn":
		e.Bad = true
	case "ticket.rated":
		n, _ := strconv.Atoi(m.Facts["stars"])
		e.Bad = ticket.Stars(n).Bad()
	}
	return e
}

// links are the tickets that one belongs with, as far as the reader may see them.
func (s *Server) links(tx *storage.Tx, u *user, t ticket.Ticket) ([]link, error) {
	by := ticket.Staff(u.Staff)
	var out []link
	add := func(key string, x ticket.Ticket) {
		out = append(out, link{Key: key, ID: x.ID, Number: x.Number, Label: x.StateLabel(), Title: x.Title})
	}
	for _, up := range []struct{ key, id string }{{"merged-into", t.MergedInto}, {"repeat-of", t.RepeatOf}} {
		if up.id == "" {
			continue
		}
		x, err := s.Office.See(tx, up.id, by)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		add(up.key, x)
	}
	for _, q := range []struct {
		key string
		f   ticket.Filter
	}{{"merged-here", ticket.Filter{MergedInto: t.ID}}, {"repeated-by", ticket.Filter{RepeatOf: t.ID}}} {
		q.f.Viewer, q.f.Limit = by, 20
		list, _, err := s.Office.List(tx, q.f)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			add(q.key, x)
		}
	}
	return out, nil
}

// callPart is the call that a ticket came from.
type callPart struct {
	Call    ivr.Record
	Label   string // what the reader may know of the caller
	May     bool   // the reader may open the call's own page
	Play    bool
	HasFile bool
	Heard   ivr.Transcript // what a machine wrote down of the message
}

func (s *Server) callPart(tx *storage.Tx, u *user, t ticket.Ticket) (*callPart, error) {
	if t.CallID == "" {
		return nil, nil
	}
	c, err := s.Calls.Get(tx, t.CallID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &callPart{Call: c, Label: c.Label(), May: u.Can(org.ViewCalls)}
	if path, ok := s.recordingPath(c); ok {
		_, err := os.Stat(path)
		p.HasFile = err == nil
	}
	// A voice is an identity: of a confidential ticket only those may hear it who may know the citizen (I7).
	p.Play = p.HasFile && u.Can(org.PlayCalls)
	if t.Confidential && !u.Can(org.RevealSecret) {
		p.Label, p.Play = "", false
	}
	if p.Play {
		p.Heard, err = s.writtenDown(tx, c.ID)
	}
	return p, err
}

// servicePart is the service that a ticket is about, with the text that asked and the replies.
type servicePart struct {
	survey.Record
	ClassName string
	Texts     []textLine
}

type textLine struct {
	At    time.Time
	Body  string
	Label string
	In    bool // from the citizen
}

func (s *Server) servicePart(tx *storage.Tx, t ticket.Ticket) (*servicePart, error) {
	if t.RecordID == "" || s.Survey == nil {
		return nil, nil
	}
	r, err := s.Survey.Record(tx, t.RecordID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &servicePart{Record: r, ClassName: r.Class}
	cfg := s.Survey.Config
	if cfg == nil {
		cfg = survey.Standard()
	}
	for _, c := range cfg.Classes {
		if c.Code == r.Class {
			p.ClassName = c.Name
		}
	}
	// A ticket that the survey opened carries the id of its question where it came from, or of the reply.
	ask, err := survey.AskOf(tx, t.ExternalID)
	if errors.Is(err, storage.ErrNotFound) {
		var answer survey.Answer
		if answer, err = survey.AnswerOf(tx, t.ExternalID); err == nil {
			ask, err = survey.AskOf(tx, answer.AskID)
		}
	}
	if errors.Is(err, storage.ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if ask.SMSID != "" && s.Outbox != nil {
		m, err := s.Outbox.Get(tx, ask.SMSID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			p.Texts = append(p.Texts, textLine{At: ask.AskedAt, Body: m.Body, Label: m.State.Label()})
		}
	}
	replies, err := s.Survey.RepliesTo(tx, ask.ID)
	for _, a := range replies {
		line := textLine{At: a.ReceivedAt, Body: maskDigits(a.Words), In: true}
		if a.Rating > 0 {
			line.Label = ticket.FromReplyDigit(a.Rating).Label()
		}
		p.Texts = append(p.Texts, line)
	}
	return p, err
}

// personalDigits are the numbers in a citizen's words that may belong to a person.
var personalDigits = regexp.MustCompile(`\d(?:[- ]?\d){6,18}[Xx]?`)

// maskDigits hides long numbers but for their ends.
func maskDigits(text string) string {
	return personalDigits.ReplaceAllStringFunc(text, func(n string) string {
		if len(n) < 11 {
			return n[:2] + "****" + n[len(n)-2:]
		}
		return n[:3] + "****" + n[len(n)-4:]
	})
}

// step is a stage of a ticket's way.
type step struct {
	Key, Label string // key of the text, or the text itself
	Look       string // "done", "now" or ""
}

// mainPath are the stages of the main way, and the states in which a ticket waits for each.
var mainPath = []struct {
	key    string
	states []ticket.State
}{
	{"step-open", nil}, {"step-accept", []ticket.State{ticket.New}}, {"step-dispatch", []ticket.State{ticket.Accepted, ticket.Rework}},
	{"step-sign", []ticket.State{ticket.Dispatched}}, {"step-handle", []ticket.State{ticket.Handling, ticket.Suspended}},
	{"step-review", []ticket.State{ticket.Reviewing}}, {"step-reply", nil},
	{"step-rate", []ticket.State{ticket.Replied, ticket.Answered, ticket.AwaitRating}}, {"step-close", nil},
}

// Steps are the stages of the ticket's way with where it stands.
func (v *ticketView) Steps() []step {
	t := v.T
	if v.in(ticket.Refused, ticket.Transferred, ticket.Merged, ticket.Withdrawn) {
		return []step{{Key: "step-open", Look: "done"}, {Label: t.StateLabel(), Look: "now"}}
	}
	now := slices.IndexFunc(mainPath, func(p struct {
		key    string
		states []ticket.State
	}) bool {
		return slices.Contains(p.states, t.State)
	})
	if v.in(ticket.Closed, ticket.Archived) {
		now = len(mainPath)
	}
	var out []step
	for i, p := range mainPath {
		if t.AnsweredBy != "" && t.Round == 0 && i >= 2 && i <= 5 {
			continue // answered on the spot: no unit had it
		}
		st := step{Key: p.key}
		switch {
		case i < now:
			st.Look = "done"
		case i == now:
			st.Look = "now"
			if v.in(ticket.Suspended, ticket.Rework) {
				st.Label = t.State.Label()
			}
		}
		out = append(out, st)
	}
	return out
}

// LiveClocks are the clocks that run or stand still; DoneClocks the others.
func (v *ticketView) LiveClocks() []clockView { return v.clocks(true) }
func (v *ticketView) DoneClocks() []clockView { return v.clocks(false) }

func (v *ticketView) clocks(live bool) []clockView {
	return slices.DeleteFunc(slices.Clone(v.Clocks), func(c clockView) bool { return c.Live() != live })
}

// untilDue says how long is left until a due, or how long it is past.
func untilDue(lang string, due, now time.Time) string {
	if due.IsZero() {
		return "—"
	}
	if now.After(due) {
		return translate(lang, "over", span(lang, now.Sub(due)))
	}
	return translate(lang, "left", span(lang, due.Sub(now)))
}

// span is a length of time for people: two units at most.
func span(lang string, d time.Duration) string {
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0 && hours > 0:
		return translate(lang, "span-dh", days, hours)
	case days > 0:
		return translate(lang, "span-d", days)
	case hours > 0 && minutes > 0:
		return translate(lang, "span-hm", hours, minutes)
	case hours > 0:
		return translate(lang, "span-h", hours)
	}
	return translate(lang, "span-m", max(1, minutes))
}

// ticketPage shows a ticket.
func (s *Server) ticketPage(w http.ResponseWriter, r *http.Request, u *user) {
	if v, ok := s.viewTicket(w, r, u); ok {
		s.render(w, r, http.StatusOK, "ticket", "", "ticket-title", v)
	}
}

// ticketLive is the parts of the page that change, for a page whose forms were made at revision seen.
func (s *Server) ticketLive(w http.ResponseWriter, r *http.Request, u *user) {
	v, ok := s.viewTicket(w, r, u)
	if !ok {
		return
	}
	seen, err := strconv.ParseInt(r.URL.Query().Get("seen"), 10, 64)
	v.Changed = err == nil && seen != v.T.Revision
	s.render(w, r, http.StatusOK, "ticket", "live", "ticket-title", v)
}

// viewTicket reads the ticket of the request, or answers what went wrong and returns false.
func (s *Server) viewTicket(w http.ResponseWriter, r *http.Request, u *user) (v *ticketView, ok bool) {
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readTicket(tx, s.lang(r), u, r.PathValue("id"))
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return nil, false
	}
	if err != nil {
		s.fail(w, r, err)
		return nil, false
	}
	return v, true
}

// ticketAct runs a command of the panel. What the room refuses is shown beside the form, with all that was typed.
func (s *Server) ticketAct(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	a, known := findAction(r.PathValue("action"))
	if !known {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	v, ok := s.viewTicket(w, r, u)
	if !ok {
		return
	}
	by := ticket.Staff(u.Staff)
	by.Seen, _ = strconv.ParseInt(in.text("seen"), 10, 64)
	on := in.text("on")
	if !v.owns(on) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		return a.do(s.Office, tx, command{ticket: v.T.ID, on: on, in: in, by: by, view: v})
	})
	refusal, refused := ticket.RefusedWith(err)
	if errors.Is(err, storage.ErrConflict) {
		refusal, refused = &ticket.Refusal{Code: "stale", Message: translate(s.lang(r), "act-conflict")}, true
	}
	switch {
	case refused:
		s.showRefused(w, r, u, a, on, in, refusal)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventTickets)
		s.done(w, r, "/tickets/"+v.T.ID, translate(s.lang(r), "did-"+a.code))
	}
}

// owns reports whether a subject is the ticket itself or one of its parts: a command reaches no other ticket's leg.
func (v *ticketView) owns(on string) bool {
	return on == "" || v.leg(on).ID != "" || v.request(on).ID != "" || v.step(on).ID != ""
}

// showRefused shows the ticket as it is now, with the refused form open and filled as it was.
func (s *Server) showRefused(w http.ResponseWriter, r *http.Request, u *user, a action, on string, in input, why *ticket.Refusal) {
	v, ok := s.viewTicket(w, r, u)
	if !ok {
		return
	}
	found := false
	for i := range v.Panel {
		p := &v.Panel[i]
		p.Open = false
		if p.Code == a.code && p.On == on {
			p.Fields, p.Refusal, p.Open, found = in.fill(p.Fields), why.Message, true, true
		}
	}
	if !found {
		p := v.panelForm(a, subject{ID: on})
		p.Fields, p.Refusal = in.fill(p.Fields), why.Message
		v.Refused = &p
	}
	s.render(w, r, statusOf(why), "ticket", "", "ticket-title", v)
}

// revealTicket shows the citizen of a ticket and its text in the open, to those who may know, for a reason, once.
func (s *Server) revealTicket(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var v *ticketView
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readTicket(tx, s.lang(r), u, r.PathValue("id")); err != nil {
			return err
		}
		if !v.MayReveal {
			return errForbidden
		}
		v.RevealTyped = in.text("reason")
		if v.Person != nil {
			if err := s.reveal(tx, u, v.Person, v.RevealTyped); err != nil {
				return err
			}
		} else if len([]rune(v.RevealTyped)) < 2 {
			return contact.ErrNoReason
		}
		if v.Original, err = s.Office.Original(tx, v.T.BodyRef); err != nil {
			return err
		}
		v.Revealed = true
		_, err = audit.Append(tx, audit.Entry{Stream: "reveal/" + v.T.ID, Type: "ticket.revealed", Actor: u.Actor(), At: s.Now(), Payload: map[string]string{"ticket": v.T.ID, "reason": strings.TrimSpace(v.RevealTyped)}})
		return err
	})
	if errors.Is(err, contact.ErrNoReason) {
		v.RevealError = translate(s.lang(r), "reveal-reason")
	}
	s.showRevealed(w, r, "ticket", v, err)
}
