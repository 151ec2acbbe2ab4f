package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
	"lianxin/workday"
)

func (s *Server) gradingRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /grading", s.may(org.ViewRules, s.gradingPage))
	mux.HandleFunc("POST /grading", s.may(org.ManageRules, s.proposeGrading))
	mux.HandleFunc("POST /grading/decide", s.may(org.ConsentGrading, s.decideGrading))
	s.gradingWordRoutes(mux)
}

// gradingView is the grading rules in force (domain model §7), and the versions that were proposed.
type gradingView struct {
	ID         string
	Author     string
	Colours    []gradingRow
	Event      []gradingRow
	Person     []gradingRow
	Version    field
	Effective  field
	Note       field
	Versions   []gradingVersion
	May        bool // propose
	MayConsent bool
	Error      string
	Names      names
}

// gradingRow is one line that can be changed.
type gradingRow struct {
	Input, Name, Value, Note string
	Shown                    string // in words, for those who only read
	Colour                   string
}

type gradingVersion struct {
	ticket.GradingRules
	Changes []grade.Change
	Decide  bool // the reader may consent or refuse
	Try     bool // the reader may try it on past tickets
	Look    string
}

func (v *gradingView) show(r *grade.Rules) {
	v.ID, v.Author = r.ID(), r.Author
	for _, c := range grade.Colours[:3] {
		v.Colours = append(v.Colours, gradingRow{Input: "colour." + string(c), Colour: string(c), Value: limitsText(r.Colours[c]), Shown: limitsText(r.Colours[c])})
	}
	for _, f := range r.Factors {
		row := gradingRow{Input: "factor." + f.Code, Name: f.Name, Value: strconv.Itoa(f.Points), Shown: f.Worth()}
		if len(f.Steps) > 0 {
			row.Value = stepsText(f.Steps)
		}
		switch {
		case f.Code == "confidential": // no points: it protects
			continue
		case f.Hard:
			row.Note = "grading-hard"
		case f.Code == "inquiry":
			row.Note = "grading-inquiry"
		case f.Family != "":
			row.Note = "grading-family"
		}
		if f.Axis == grade.Person {
			v.Person = append(v.Person, row)
		} else {
			v.Event = append(v.Event, row)
		}
	}
}

// limitsText writes limits as the form takes them: "E70 E50+P40".
func limitsText(list []grade.Limit) string {
	var out []string
	for _, l := range list {
		var parts []string
		if l.Event > 0 {
			parts = append(parts, fmt.Sprintf("E%d", l.Event))
		}
		if l.Person > 0 {
			parts = append(parts, fmt.Sprintf("P%d", l.Person))
		}
		out = append(out, strings.Join(parts, "+"))
	}
	return strings.Join(out, " ")
}

func parseLimits(text string) ([]grade.Limit, error) {
	var out []grade.Limit
	for _, w := range strings.Fields(strings.ToUpper(strings.ReplaceAll(text, "或", " "))) {
		var l grade.Limit
		for _, p := range strings.Split(w, "+") {
			n, err := strconv.Atoi(strings.TrimLeft(p, "EP"))
			if err != nil || n <= 0 || len(p) < 2 {
				return nil, fmt.Errorf("%q", w)
			}
			switch p[0] {
			case 'E':
				l.Event = n
			case 'P':
				l.Person = n
			default:
				return nil, fmt.Errorf("%q", w)
			}
		}
		out = append(out, l)
	}
	if out == nil {
		return nil, fmt.Errorf("%q", text)
	}
	return out, nil
}

// stepsText writes the steps of a count as the form takes them: "3:15 5:25 10:40".
func stepsText(steps []grade.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, fmt.Sprintf("%d:%d", s.At, s.Points))
	}
	return strings.Join(out, " ")
}

// parseSteps reads what stepsText writes; what a step asks for besides points stays with the step of the same place, from the end.
func parseSteps(text string, was []grade.Step) ([]grade.Step, error) {
	var out []grade.Step
	words := strings.Fields(strings.ReplaceAll(text, "：", ":"))
	for i, w := range words {
		var s grade.Step
		if _, err := fmt.Sscanf(w, "%d:%d", &s.At, &s.Points); err != nil || fmt.Sprintf("%d:%d", s.At, s.Points) != w {
			return nil, fmt.Errorf("%q", w)
		}
		if k := len(was) - len(words) + i; k >= 0 && k < len(was) {
			s.Route = was[k].Route
		}
		out = append(out, s)
	}
	if out == nil {
		return nil, fmt.Errorf("%q", text)
	}
	return out, nil
}

func (s *Server) readGrading(tx *storage.Tx, lang string, u *user) (v *gradingView, err error) {
	v = &gradingView{May: u.Can(org.ManageRules), MayConsent: u.Can(org.ConsentGrading)}
	if v.Names, err = readNames(tx, lang); err != nil {
		return nil, err
	}
	r, _, err := s.Office.GradingInForce(tx)
	if err != nil {
		return nil, err
	}
	v.show(r)
	list, err := s.Office.GradingVersions(tx)
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		x := gradingVersion{GradingRules: g, Look: map[ticket.GradingState]string{ticket.GradingProposed: "orange", ticket.GradingRefused: "red"}[g.State]}
		if g.State == ticket.GradingProposed {
			tried := !g.Trial.At.IsZero() && g.Trial.Beside == r.ID()
			x.Decide = v.MayConsent && g.ProposedBy != ticket.Staff(u.Staff).String()
			x.Try = (v.May || v.MayConsent) && !tried
			if p, err := g.Rules(); err == nil {
				x.Changes = append(r.Changes(p), r.WordChanges(p)...)
			}
		}
		v.Versions = append(v.Versions, x)
	}
	v.Version = field{Name: "version", Label: "rule-version", Required: true, Max: 32}
	v.Effective = field{Name: "effective", Label: "rule-effective", Kind: "date", Required: true, Values: []string{workday.DayOf(s.Now()).Add(1).String()}}
	v.Note = field{Name: "note", Label: "rule-note", Kind: "area", Required: true, Max: 1000}
	return v, nil
}

func (s *Server) gradingPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showGrading(w, r, u, http.StatusOK, nil)
}

func (s *Server) showGrading(w http.ResponseWriter, r *http.Request, u *user, status int, change func(v *gradingView)) {
	var v *gradingView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readGrading(tx, s.lang(r), u); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if change != nil {
		change(v)
	}
	s.render(w, r, status, "grading", "", "grading-title", v)
}

// proposeGrading puts up a new version: the rules in force with what was changed in the form.
func (s *Server) proposeGrading(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	g, err := s.proposeVersion(r.Context(), u, in.text("note"), func(now *grade.Rules) (p ticket.GradingProposal, err error) {
		if !now.OwnWords() {
			p.Words = now.Words() // new points keep the words that were published
		}
		p.Body, err = in.grading(now, u.Name)
		return p, err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.showGrading(w, r, u, statusOf(refusal), func(v *gradingView) { v.typed(in, refusal.Message) })
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/grading", translate(s.lang(r), "did-grading", g.Version))
}

// decideGrading consents to a proposed version or refuses it.
func (s *Server) decideGrading(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var g ticket.GradingRules
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		g, err = s.Office.ConsentGrading(tx, in.text("id"), in.text("consent") == "yes", in.text("reason"), ticket.Staff(u.Staff))
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.showGrading(w, r, u, statusOf(refusal), func(v *gradingView) { v.Error = refusal.Message })
		return
	}
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	said := "did-grading-refused"
	if g.State == ticket.GradingConsented {
		said = "did-grading-consented"
	}
	s.done(w, r, "/grading", translate(s.lang(r), said, g.Version))
}

// grading reads the form into a version of the rules, as YAML.
func (in input) grading(now *grade.Rules, author string) ([]byte, error) {
	b, err := now.YAML()
	if err != nil {
		return nil, err
	}
	r, err := grade.ParseRules(b) // a copy
	if err != nil {
		return nil, err
	}
	r.Version, r.Effective, r.Author = in.text("version"), in.text("effective"), author
	for _, c := range grade.Colours[:3] {
		if r.Colours[c], err = parseLimits(in.text("colour." + string(c))); err != nil {
			return nil, &ticket.Refusal{Code: "colour", Message: fmt.Sprintf("%s色的分数线无法识别（%v），请写作 E70 E50+P40", c, err)}
		}
	}
	for i := range r.Factors {
		f := &r.Factors[i]
		text := in.text("factor." + f.Code)
		switch {
		case f.Code == "confidential":
		case len(f.Steps) > 0:
			if f.Steps, err = parseSteps(text, f.Steps); err != nil {
				return nil, &ticket.Refusal{Code: "points", Message: fmt.Sprintf("“%s”的分档无法识别（%v），请写作 3:15 5:25（达到数量：分值）", f.Name, err)}
			}
		default:
			if f.Points, err = strconv.Atoi(text); err != nil {
				return nil, &ticket.Refusal{Code: "points", Message: fmt.Sprintf("“%s”的分值须为整数", f.Name)}
			}
		}
	}
	return r.YAML()
}

// typed puts back what was typed, with the reason why it was refused.
func (v *gradingView) typed(in input, why string) {
	v.Error = why
	for _, rows := range [][]gradingRow{v.Colours, v.Event, v.Person} {
		for i := range rows {
			rows[i].Value = in.text(rows[i].Input)
		}
	}
	rest := in.fill([]field{v.Version, v.Effective, v.Note})
	v.Version, v.Effective, v.Note = rest[0], rest[1], rest[2]
}
