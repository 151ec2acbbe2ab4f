package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

func (s *Server) rulesRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /rules", s.may(org.ViewRules, s.rulesPage))
	mux.HandleFunc("POST /rules", s.may(org.ManageRules, s.publishRules))
	mux.HandleFunc("POST /rules/calendar", s.may(org.ManageRules, s.addCalendar))
	mux.HandleFunc("POST /rules/recompute", s.may(org.ManageRules, s.recompute))
	s.gradingRoutes(mux)
}

// rulesView is the limits in force, the versions there are, and the calendar.
type rulesView struct {
	Sets      []ticket.RuleSet
	Rows      []limitRow
	Counts    []field
	Version   field
	Effective field
	Note      field
	May       bool
	Error     string
	Names     names

	Calendar string // version
	Warning  string
	Years    []yearView
	Waiting  int // open tickets that count by another calendar
	Reason   string
	CalError string
}

type yearView struct {
	Year  int
	Known bool
}

// limitRow is one clock with its limit for each colour.
type limitRow struct {
	Kind   ticket.ClockKind
	Label  string
	Inputs []limitInput
}

type limitInput struct {
	Name, Value, Shown string
}

// limitKinds are the clocks of the table of the domain model, §4, in the order of a ticket's way, then those that are our own.
var limitKinds = []ticket.ClockKind{ticket.ClockAccept, ticket.ClockDispatch, ticket.ClockSign, ticket.ClockContact, ticket.ClockReport, ticket.ClockHandle, ticket.ClockReview,
	ticket.ClockCallback, ticket.ClockRating, ticket.ClockDecide, ticket.ClockHold}

// handleInquiry is the name under which the limits of 咨询 stand in the form.
const handleInquiry = "handle_inquiry"

// numbers are the limits that are numbers: each with where it stands.
func ruleNumbers(r *ticket.Rules) []struct {
	name string
	at   *int
} {
	return []struct {
		name string
		at   *int
	}{
		{"max_returns", &r.MaxReturns}, {"max_extensions", &r.MaxExtensions}, {"leader_days", &r.LeaderDays}, {"max_suspensions", &r.MaxSuspensions},
		{"suspension_days", &r.SuspensionDays}, {"stable_days", &r.StableDays}, {"max_reworks", &r.MaxReworks}, {"min_tries", &r.MinTries}, {"min_try_days", &r.MinTryDays},
		{"min_try_parts", &r.MinTryParts}, {"archive_days", &r.ArchiveDays}, {"appeal_days", &r.AppealDays},
	}
}

func (v *rulesView) show(r ticket.Rules) {
	add := func(kind ticket.ClockKind, label, prefix string, spans ticket.Spans) {
		row := limitRow{Kind: kind, Label: label}
		for _, c := range ticket.Colours {
			row.Inputs = append(row.Inputs, limitInput{Name: prefix + "." + string(c), Value: spans[c].String(), Shown: spans[c].Label()})
		}
		v.Rows = append(v.Rows, row)
	}
	for _, k := range limitKinds {
		add(k, k.Label(), string(k), r.Clocks[k])
		if k == ticket.ClockHandle {
			add(k, k.Label()+"(咨询)", handleInquiry, r.HandleInquiry)
		}
	}
	for _, n := range ruleNumbers(&r) {
		v.Counts = append(v.Counts, field{Name: n.name, Kind: "text", Label: "rule-" + n.name, Values: []string{strconv.Itoa(*n.at)}, Required: true})
	}
}

func (s *Server) readRules(tx *storage.Tx, lang string, u *user) (v *rulesView, err error) {
	v = &rulesView{May: u.Can(org.ManageRules)}
	if v.Names, err = readNames(tx, lang); err != nil {
		return nil, err
	}
	if v.Sets, err = s.Office.RuleSets(tx); err != nil {
		return nil, err
	}
	r, err := s.Office.RulesInForce(tx)
	if err != nil {
		return nil, err
	}
	v.show(r)
	today := workday.DayOf(s.Now())
	v.Version = field{Name: "version", Label: "rule-version", Required: true, Max: 32}
	v.Effective = field{Name: "effective", Label: "rule-effective", Kind: "date", Required: true, Values: []string{today.Add(1).String()}}
	v.Note = field{Name: "note", Label: "rule-note", Kind: "area", Required: true, Max: 1000}
	cal := s.Office.Reckoner().Calendar
	v.Calendar, v.Warning = cal.Version(), s.Office.CalendarWarning()
	for y := today.Year() - 1; y <= today.Year()+1; y++ {
		v.Years = append(v.Years, yearView{y, cal.Known(y)})
	}
	ids, err := s.Office.Uncounted(tx, "", 100_000)
	v.Waiting = len(ids)
	return v, err
}

func (s *Server) rulesPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showRules(w, r, u, http.StatusOK, nil)
}

func (s *Server) showRules(w http.ResponseWriter, r *http.Request, u *user, status int, change func(v *rulesView)) {
	var v *rulesView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readRules(tx, s.lang(r), u); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if change != nil {
		change(v)
	}
	s.render(w, r, status, "rules", "", "rules-title", v)
}

// publishRules decides on a new version: the limits in force with what was changed in the form.
func (s *Server) publishRules(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var id string
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		rules, err := s.Office.RulesInForce(tx)
		if err != nil {
			return err
		}
		if rules, err = rules.Copy(); err != nil {
			return err
		}
		if err := in.limits(&rules); err != nil {
			return err
		}
		id, err = s.Office.PublishRules(tx, rules, in.text("note"), ticket.Staff(u.Staff))
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.showRules(w, r, u, statusOf(refusal), func(v *rulesView) { v.typed(in, refusal.Message) })
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/rules", translate(s.lang(r), "did-rules", id))
}

// limits reads the form into a rule set.
func (in input) limits(r *ticket.Rules) error {
	r.Version = in.text("version")
	day, err := workday.ParseDay(in.text("effective"))
	if err != nil {
		return &ticket.Refusal{Code: "effective", Message: "请填写生效日期"}
	}
	r.Effective = day
	read := func(prefix, label string, to ticket.Spans) error {
		for _, c := range ticket.Colours {
			text := in.text(prefix + "." + string(c))
			span, err := workday.ParseSpan(text)
			if err != nil {
				return &ticket.Refusal{Code: "span", Message: fmt.Sprintf("%s（%s）的时限“%s”无法识别：30m为30分钟，24h为24小时，4wh为4个工作小时，5wd为5个工作日", label, c, text)}
			}
			if to[c] = span; span.IsZero() {
				delete(to, c)
			}
		}
		return nil
	}
	for _, k := range limitKinds {
		if r.Clocks[k] == nil {
			r.Clocks[k] = ticket.Spans{}
		}
		if err := read(string(k), k.Label(), r.Clocks[k]); err != nil {
			return err
		}
	}
	if err := read(handleInquiry, "办结（咨询）", r.HandleInquiry); err != nil {
		return err
	}
	for _, n := range ruleNumbers(r) {
		if *n.at = in.number(n.name); *n.at < 0 || *n.at > 3650 {
			return &ticket.Refusal{Code: "number", Message: "“" + translate("zh-CN", "f-rule-"+n.name) + "”须为0以上的整数"}
		}
	}
	return nil
}

// typed puts back what was typed, with the reason why it was refused.
func (v *rulesView) typed(in input, why string) {
	v.Error = why
	for i := range v.Rows {
		for k := range v.Rows[i].Inputs {
			v.Rows[i].Inputs[k].Value = in.text(v.Rows[i].Inputs[k].Name)
		}
	}
	v.Counts = in.fill(v.Counts)
	rest := in.fill([]field{v.Version, v.Effective, v.Note})
	v.Version, v.Effective, v.Note = rest[0], rest[1], rest[2]
}

// addCalendar takes a year's file.
func (s *Server) addCalendar(w http.ResponseWriter, r *http.Request, u *user) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	file, _, err := r.FormFile("file")
	if err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	defer file.Close()
	body, err := io.ReadAll(file)
	if err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	var year int
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		year, err = s.Office.AddCalendarYear(tx, body, ticket.Staff(u.Staff))
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.showRules(w, r, u, statusOf(refusal), func(v *rulesView) { v.CalError = refusal.Message })
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/rules", translate(s.lang(r), "did-calendar", year))
}

// recompute computes the clocks of open tickets again by the calendar in force.
func (s *Server) recompute(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	reason := in.text("reason")
	if len([]rune(reason)) < 2 {
		s.showRules(w, r, u, http.StatusUnprocessableEntity, func(v *rulesView) { v.CalError = translate(s.lang(r), "recompute-reason") })
		return
	}
	ctx := context.WithoutCancel(r.Context()) // a reader who leaves does not stop it half way
	n, err := s.Office.RecomputeAll(func(fn func(tx *storage.Tx) error) error { return s.DB.Update(ctx, fn) }, reason, ticket.Staff(u.Staff))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Hub.Publish(EventTickets)
	s.done(w, r, "/rules", translate(s.lang(r), "did-recompute", n))
}

// InForce is the rule set that is in force.
func (v *rulesView) InForce() ticket.RuleSet {
	i := slices.IndexFunc(v.Sets, func(s ticket.RuleSet) bool { return s.InForce })
	return v.Sets[max(0, i)]
}
