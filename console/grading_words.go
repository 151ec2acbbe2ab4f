package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
	"lianxin/workday"
)

// The word list of the grading rules: read, changed part by part, tried, and proposed like the points.
func (s *Server) gradingWordRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /grading/words", s.may(org.ViewRules, s.gradingWords))
	mux.HandleFunc("POST /grading/words", s.may(org.ManageRules, s.changeWords))
	mux.HandleFunc("POST /grading/trial", s.mayTry(s.tryVersion))
}

// mayTry admits whoever proposes or decides about versions.
func (s *Server) mayTry(h func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return s.may(org.ViewRules, func(w http.ResponseWriter, r *http.Request, u *user) {
		if !u.Can(org.ManageRules) && !u.Can(org.ConsentGrading) {
			s.problem(w, r, http.StatusForbidden, "forbidden")
			return
		}
		h(w, r, u)
	})
}

// Of tickets a version is tried on by a page; `lianxin ticket grading` takes more.
const (
	trialDays    = 90
	trialTickets = 500
)

// maxWordsForm bounds the form with all words in it, in bytes: each Chinese character is nine of them.
const maxWordsForm = 8 << 20

type wordsView struct {
	ID        string
	Own       bool // the words are those of the program
	Query     string
	Found     int
	Sections  []wordSection
	Sample    string // a text to try
	Tried     []wordSample
	Version   field
	Effective field
	Note      field
	May       bool
	Error     string
	Changes   []grade.Change
	Trial     *ticket.GradingTrial
	Edited    bool
}

type wordSection struct {
	Title string // key of a text
	Parts []wordPart
}

type wordPart struct {
	grade.WordPart
	Count int
	Open  bool
	Rows  int
}

// wordSample is a text as the words in force and the changed ones read it.
type wordSample struct {
	Text    string
	Was, Is grade.Verdict
}

func (v *wordsView) show(r *grade.Rules, edits map[string]string) error {
	parts, err := r.WordParts()
	if err != nil {
		return err
	}
	v.ID, v.Own = r.ID(), r.OwnWords()
	at := map[string]int{"set": 0, "group": 1, "guard": 2, "masks": 2}
	v.Sections = []wordSection{{Title: "words-sets"}, {Title: "words-groups"}, {Title: "words-guards"}}
	for _, p := range parts {
		x := wordPart{WordPart: p, Count: len(strings.Fields(p.Text))}
		if p.Lines {
			x.Count = strings.Count(p.Text, "\n") + 1
		}
		if text, typed := edits[p.Key]; typed && text != p.Text {
			x.Text, x.Open = text, strings.Join(strings.Fields(text), " ") != strings.Join(strings.Fields(p.Text), " ")
		}
		if v.Query != "" && (strings.Contains(x.Text, v.Query) || strings.Contains(x.Name, v.Query)) {
			x.Open = true
			v.Found++
		}
		x.Rows = min(14, max(3, len([]rune(x.Text))/55+2))
		sec := &v.Sections[at[p.Kind]]
		sec.Parts = append(sec.Parts, x)
	}
	return nil
}

func (s *Server) gradingWords(w http.ResponseWriter, r *http.Request, u *user) {
	s.showWords(w, r, u, http.StatusOK, nil, func(v *wordsView, _ *grade.Rules) { v.Query = strings.TrimSpace(r.FormValue("q")) })
}

func (s *Server) showWords(w http.ResponseWriter, r *http.Request, u *user, status int, edits map[string]string, change func(v *wordsView, now *grade.Rules)) {
	v := &wordsView{May: u.Can(org.ManageRules)}
	var now *grade.Rules
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { now, _, err = s.Office.GradingInForce(tx); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.Version = field{Name: "version", Label: "rule-version", Required: true, Max: 32}
	v.Effective = field{Name: "effective", Label: "rule-effective", Kind: "date", Required: true, Values: []string{workday.DayOf(s.Now()).Add(1).String()}}
	v.Note = field{Name: "note", Label: "rule-note", Kind: "area", Required: true, Max: 1000}
	change(v, now)
	if err := v.show(now, edits); err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "grading_words", "", "words-title", v)
}

// edits are the parts of the word list in the form.
func (in input) edits() map[string]string {
	out := map[string]string{}
	for name, values := range in.r.PostForm {
		if key, ok := strings.CutPrefix(name, "part."); ok {
			out[key] = strings.ReplaceAll(values[0], "\r\n", "\n")
		}
	}
	return out
}

// changeWords shows what changed words do (the changes, examples, past tickets, a text to try) or proposes them.
func (s *Server) changeWords(w http.ResponseWriter, r *http.Request, u *user) {
	r.Body = http.MaxBytesReader(w, r.Body, maxWordsForm)
	if err := r.ParseForm(); err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	in := input{r}
	edits := in.edits()
	words := func(now *grade.Rules) (p ticket.GradingProposal, err error) {
		version := in.text("version")
		if in.text("do") == "try" && version == "" {
			version = "试算"
		}
		effective := in.text("effective")
		if effective == "" {
			effective = workday.DayOf(s.Now()).String()
		}
		if p.Body, err = now.Renamed(version, effective, u.Name); err != nil {
			return p, err
		}
		if in.text("do") == "program" {
			return p, nil // the words of the program
		}
		if p.Words, err = now.EditWords(version, edits); err != nil {
			return p, &ticket.Refusal{Code: "words", Message: err.Error()}
		}
		return p, nil
	}
	refused := func(why string, status int) {
		s.showWords(w, r, u, status, edits, func(v *wordsView, _ *grade.Rules) { v.typed(in, why) })
	}
	if in.text("do") == "try" {
		s.tryWords(w, r, u, in, edits, words, refused)
		return
	}
	g, err := s.proposeVersion(r.Context(), u, in.text("note"), words)
	if refusal, is := ticket.RefusedWith(err); is {
		refused(refusal.Message, statusOf(refusal))
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/grading", translate(s.lang(r), "did-grading", g.Version))
}

func (s *Server) tryWords(w http.ResponseWriter, r *http.Request, u *user, in input, edits map[string]string, words func(*grade.Rules) (ticket.GradingProposal, error), refused func(string, int)) {
	var now *grade.Rules
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { now, _, err = s.Office.GradingInForce(tx); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p, err := words(now)
	var rules *grade.Rules
	if err == nil {
		if rules, err = grade.ParseVersion(p.Body, p.Words); err != nil {
			err = &ticket.Refusal{Code: "words", Message: err.Error()}
		}
	}
	if refusal, is := ticket.RefusedWith(err); is {
		refused(refusal.Message, http.StatusUnprocessableEntity)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	trial, err := s.Office.TryGrading(r.Context(), s.DB, rules, trialDays, trialTickets)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showWords(w, r, u, http.StatusOK, edits, func(v *wordsView, now *grade.Rules) {
		v.typed(in, "")
		v.Edited, v.Changes, v.Trial = true, now.WordChanges(rules), &trial
		for l := range strings.Lines(v.Sample) {
			if l = strings.TrimSpace(l); l != "" && len(v.Tried) < 20 {
				c := grade.Case{Text: l, At: s.Now()}
				v.Tried = append(v.Tried, wordSample{l, grade.Grader{Rules: now}.Grade(c), grade.Grader{Rules: rules}.Grade(c)})
			}
		}
	})
}

// typed puts back what was typed, with the reason why it was refused.
func (v *wordsView) typed(in input, why string) {
	v.Error, v.Sample = why, in.text("sample")
	rest := in.fill([]field{v.Version, v.Effective, v.Note})
	v.Version, v.Effective, v.Note = rest[0], rest[1], rest[2]
}

// proposeVersion makes a version of what is in force, tries it on past tickets and puts it up for consent.
func (s *Server) proposeVersion(ctx context.Context, u *user, note string, version func(now *grade.Rules) (ticket.GradingProposal, error)) (g ticket.GradingRules, err error) {
	var now *grade.Rules
	err = s.DB.View(ctx, func(tx *storage.Tx) (err error) { now, _, err = s.Office.GradingInForce(tx); return err })
	if err != nil {
		return g, err
	}
	p, err := version(now)
	if err != nil {
		return g, err
	}
	p.Note = note
	rules, err := p.Check()
	if err != nil {
		return g, err
	}
	if p.Trial, err = s.Office.TryGrading(ctx, s.DB, rules, trialDays, trialTickets); err != nil {
		return g, err
	}
	err = s.DB.Update(ctx, func(tx *storage.Tx) (err error) {
		g, err = s.Office.ProposeGrading(tx, p, ticket.Staff(u.Staff))
		return err
	})
	return g, err
}

// tryVersion tries a version that waits on past tickets, for whoever decides about it.
func (s *Server) tryVersion(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	err := s.retry(r.Context(), u, in.text("id"))
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
	s.done(w, r, "/grading", translate(s.lang(r), "did-grading-trial"))
}

func (s *Server) retry(ctx context.Context, u *user, id string) error {
	var g ticket.GradingRules
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		list, err := s.Office.GradingVersions(tx)
		if err != nil {
			return err
		}
		for _, x := range list {
			if x.ID == id {
				g = x
				return nil
			}
		}
		return fmt.Errorf("grading rules %q: %w", id, storage.ErrNotFound)
	})
	if err != nil {
		return err
	}
	rules, err := g.Rules()
	if err != nil {
		return &ticket.Refusal{Code: "rules", Message: err.Error()}
	}
	t, err := s.Office.TryGrading(ctx, s.DB, rules, trialDays, trialTickets)
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := s.Office.RecordTrial(tx, id, t, ticket.Staff(u.Staff))
		return err
	})
}
