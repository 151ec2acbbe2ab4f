package grade

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// ParseRules reads a version of the rules (the content of a rules.yaml) that goes with the words of this program, and checks it like
// LoadRules does.
func ParseRules(body []byte) (*Rules, error) { return ParseVersion(body, "") }

// ParseVersion reads a version of the rules and of the words (the content of a lexicon.yaml; empty for those of the program), and checks
// them like LoadRules does.
func ParseVersion(body []byte, words string) (*Rules, error) {
	if !utf8.Valid(body) || !utf8.ValidString(words) {
		return nil, errors.New("grading rules: not UTF-8")
	}
	var r Rules
	if err := yaml.UnmarshalWithOptions(body, &r, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("grading rules: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("grading rules: %w", err)
	}
	own := defaults()
	r.words, r.lex, r.own = own.words, own.lex, true // every rule set has all factors, so the words fit each
	if words != "" && words != own.words {
		spec, err := parseWords(words)
		if err != nil {
			return nil, err
		}
		if r.lex, err = spec.compile(r.byCode); err != nil {
			return nil, fmt.Errorf("grading words: %w", err)
		}
		r.words, r.own = words, false
	}
	sum := sha256.New()
	sum.Write(body)
	sum.Write([]byte(r.words))
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

// Renamed is the rules under another name, day and author, as ParseRules reads them.
func (r *Rules) Renamed(version, effective, author string) ([]byte, error) {
	x := *r
	x.Version, x.Effective, x.Author = version, effective, author
	return x.YAML()
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
