package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// whyView is why a ticket has its colour, and what the colour started.
type whyView struct {
	ticket.Grade
	Past  []ticket.Grade // earlier gradings, last first
	Title []ticket.Marked
	Body  []ticket.Marked
	Steps []ticket.Step
}

// watched are factors that only those learn of who may know of watch flags (I19); others see that there is such a fact.
var watched = []string{"watch_flag", "verified_threat"}

// readWhy reads the gradings and steps of a ticket; nil when it was never graded.
func (s *Server) readWhy(tx *storage.Tx, u *user, lang string, t ticket.Ticket) (*whyView, error) {
	grades, err := s.Office.Grades(tx, t.ID)
	if err != nil || len(grades) == 0 {
		return nil, err
	}
	if !u.Can(org.ViewWatch) {
		for _, g := range grades {
			for i, f := range g.Factors {
				if slices.Contains(watched, f.Code) {
					g.Factors[i].Name, g.Factors[i].Evidence = translate(lang, "factor-hidden"), ""
				}
			}
		}
	}
	v := &whyView{Grade: grades[0], Past: grades[1:], Title: grades[0].Mark(t.TitleRef, t.Title), Body: grades[0].Mark(t.BodyRef, t.Body)}
	v.Steps, err = s.Office.Steps(tx, t.ID)
	return v, err
}

// On are the factors of one axis.
func (v *whyView) On(axis string) []ticket.Factor {
	return slices.DeleteFunc(slices.Clone(v.Factors), func(f ticket.Factor) bool { return f.Axis != axis })
}

// OpenSteps are the steps that wait, DoneSteps those that were done.
func (v *whyView) OpenSteps() []ticket.Step { return v.steps(ticket.StepOpen) }
func (v *whyView) DoneSteps() []ticket.Step { return v.steps(ticket.StepDone) }

func (v *whyView) steps(state ticket.StepState) []ticket.Step {
	return slices.DeleteFunc(slices.Clone(v.Steps), func(s ticket.Step) bool { return s.State != state })
}

// Advice are the steps of the plan that are not followed one by one.
func (v *whyView) Advice() []string {
	return slices.DeleteFunc(slices.Clone(v.Plan), func(words string) bool {
		return slices.ContainsFunc(v.Steps, func(s ticket.Step) bool { return s.Words == words })
	})
}

// classNames puts words to the codes of classes: 交通管理 / 秩序 / 违法停车.
type classNames struct {
	list []ticket.Class
	name map[string]string
}

func (s *Server) readClasses(tx *storage.Tx) (classNames, error) {
	list, err := s.Office.Classes(tx)
	c := classNames{list: list, name: map[string]string{}}
	for _, x := range list { // a parent stands before what is below it
		if c.name[x.Code] = x.Name; x.Level > 1 {
			c.name[x.Code] = c.name[x.Parent] + " / " + x.Name
		}
	}
	return c, err
}

// Path is a class in words, with those above it.
func (c classNames) Path(code string) string {
	if n := c.name[code]; n != "" {
		return n
	}
	return code
}

func (c classNames) options() []option {
	var out []option
	for _, x := range c.list {
		if x.Active && x.Level == 3 {
			top, _, _ := strings.Cut(c.name[x.Code], " / ")
			out = append(out, option{Value: x.Code, Label: strings.TrimPrefix(c.name[x.Code], top+" / "), Group: top})
		} else if x.Active && x.Level == 1 {
			out = append(out, option{Value: x.Code, Label: x.Name, Group: x.Name})
		}
	}
	return out
}

// suggestView is what the classifier says of a text, for people to take or not.
type suggestView struct {
	Domains  []suggestedDomain
	Class    string // code
	ClassFor string // in words
	Unit     string // id
	UnitName string
	Duty     string // the binding conclusion that the unit follows
}

type suggestedDomain struct {
	Name  string // the class's three levels as far as the text tells them
	Share string
	Why   string
}

// show fills the view with what the classifier said.
func (v *suggestView) show(x ticket.Sorting, n names, c classNames) {
	v.Class, v.ClassFor, v.Unit, v.Duty = x.Class, c.Path(x.Class), x.Unit, x.Duty
	if x.Unit != "" {
		v.UnitName = n.Unit(x.Unit)
	}
	for i, d := range x.Domains {
		if i > 0 && d.Confidence < 0.01 { // three are kept; what is as good as excluded helps nobody
			continue
		}
		name := string(d.Domain)
		if d.Class != "" {
			name = c.Path(d.Class)
		}
		v.Domains = append(v.Domains, suggestedDomain{name, rate(d.Confidence, true), d.Why})
	}
}

func (s *Server) suggestionOf(tx *storage.Tx, n names, c classNames, t ticket.Ticket) (*suggestView, error) {
	if t.SuggestionID == "" {
		return nil, nil
	}
	x, err := s.Office.LastSorting(tx, t)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v := &suggestView{}
	v.show(x, n, c)
	return v, nil
}

// suggest answers the form of a new request while it is being written: class and unit, to be taken or not.
func (s *Server) suggest(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	v := &suggestView{}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		c, err := s.readClasses(tx)
		if err != nil {
			return err
		}
		x, err := s.Office.Suggest(tx, in.text("title"), in.text("body"), in.text("place"), in.text("accused-unit"))
		if err != nil {
			return err
		}
		v.show(x, n, c)
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "ticket-new", "suggested", "ticket-new", v)
}
