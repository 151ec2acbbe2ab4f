package grade

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// ParseRules reads a version of the rules (the content of a rules.yaml) that goes with the words of this program, and checks it like
// LoadRules does.
func ParseRules(body []byte) (*Rules, error) {
	var r Rules
	if err := yaml.UnmarshalWithOptions(body, &r, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("grading rules: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("grading rules: %w", err)
	}
	words, err := embedded.ReadFile("lexicon.yaml")
	if err != nil {
		return nil, fmt.Errorf("grading rules: %w", err)
	}
	sum := sha256.New()
	sum.Write(body)
	sum.Write(words)
	r.lex = defaults().lex // every rule set has all factors, so the words fit each
	r.id = r.Version + "/" + hex.EncodeToString(sum.Sum(nil))[:8]
	return &r, nil
}

// YAML is the rules as ParseRules reads them.
func (r *Rules) YAML() ([]byte, error) {
	b, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write grading rules: %w", err)
	}
	return b, nil
}

// Change is something that differs between two rule sets, in words for staff.
type Change struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Changes lists how another rule set differs from r, beside its name, day and author.
func (r *Rules) Changes(other *Rules) []Change {
	var out []Change
	say := func(what, from, to string) {
		if from != to {
			out = append(out, Change{what, from, to})
		}
	}
	say("分值上限", fmt.Sprint(r.Cap), fmt.Sprint(other.Cap))
	for _, c := range Colours[:3] {
		say(string(c), limits(r.Colours[c]), limits(other.Colours[c]))
	}
	for _, f := range r.Factors {
		g := other.byCode[f.Code]
		say(f.Name, f.Worth(), g.Worth())
		say(f.Name+"(名称)", f.Name, g.Name)
		say(f.Name+"(直接定红)", fmt.Sprint(f.Hard), fmt.Sprint(g.Hard))
		say(f.Name+"(择高计分)", f.Family, g.Family)
		say(f.Name+"(不与并计)", strings.Join(f.Unless, "、"), strings.Join(g.Unless, "、"))
		say(f.Name+"(措施)", f.routes(), g.routes())
	}
	for _, c := range Colours {
		say(string(c)+"(处置)", r.Plans[c].words(), other.Plans[c].words())
	}
	say("关怀措施", strings.Join(r.CareSteps, ";"), strings.Join(other.CareSteps, ";"))
	say("保密措施", strings.Join(r.Discreet, ";"), strings.Join(other.Discreet, ";"))
	return out
}

func limits(list []Limit) string {
	var out []string
	for _, l := range list {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("E≥%d且P≥%d", l.Event, l.Person), "E≥0且"))
	}
	return strings.ReplaceAll(strings.Join(out, "或"), "且P≥0", "")
}

// Worth is what the factor counts, in words for staff.
func (f *FactorRule) Worth() string {
	if len(f.Steps) == 0 {
		return fmt.Sprintf("%d分", f.Points)
	}
	var out []string
	for _, s := range f.Steps {
		out = append(out, fmt.Sprintf("≥%d:%d分", s.At, s.Points))
	}
	return strings.Join(out, " ")
}

func (f *FactorRule) routes() string {
	all := slices.Clone(f.Route)
	for _, s := range f.Steps {
		all = append(all, s.Route...)
	}
	return strings.Join(all, "、")
}

func (p ColourPlan) words() string {
	out := []string{p.Name}
	for _, s := range p.Steps {
		out = append(out, strings.TrimSpace(fmt.Sprint(s.Do, " ", s.Within, " ", s.Again)))
	}
	return strings.Join(out, ";")
}
