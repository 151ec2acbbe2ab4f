package grade

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goccy/go-yaml"

	"lianxin/workday"
)

//go:embed rules.yaml lexicon.yaml
var embedded embed.FS

// Rules are one version of all that grading knows: points, thresholds, plans, words. They never change after loading.
type Rules struct {
	Version   string                `yaml:"version"`
	Effective string                `yaml:"effective"` // date, YYYY-MM-DD
	Author    string                `yaml:"author"`
	Cap       int                   `yaml:"cap"`     // the event score is at most this
	Colours   map[Colour][]Limit    `yaml:"colours"` // a colour is reached when one of its limits is
	Factors   []FactorRule          `yaml:"factors"`
	Plans     map[Colour]ColourPlan `yaml:"plans"`
	CareSteps []string              `yaml:"care"`         // steps for a person who needs care
	Discreet  []string              `yaml:"confidential"` // steps when retaliation is feared

	id     string
	lex    *lexicon
	words  string // YAML, as lexicon.yaml
	own    bool   // the words are those of the program
	byCode map[string]*FactorRule
}

// Limit is reached when both scores are at least these.
type Limit struct {
	Event  int `yaml:"event,omitempty"`
	Person int `yaml:"person,omitempty"`
}

// FactorRule says what a factor is worth.
type FactorRule struct {
	Code   string   `yaml:"code"`
	Name   string   `yaml:"name"`
	Axis   Axis     `yaml:"axis"`
	Points int      `yaml:"points,omitempty"`
	Steps  []Step   `yaml:"steps,omitempty"`  // instead of Points: by a count, the last step that is reached
	Hard   bool     `yaml:"hard,omitempty"`   // 红 whatever the sum
	Family string   `yaml:"family,omitempty"` // of one family only the factor with the most points counts
	Unless []string `yaml:"unless,omitempty"` // does not count beside one of these
	Route  []string `yaml:"route,omitempty"`  // steps of the plan that this factor asks for
	order  int
}

// Step is a threshold of a count.
type Step struct {
	At     int64    `yaml:"at"`
	Points int      `yaml:"points"`
	Route  []string `yaml:"route,omitempty"`
}

// ColourPlan is the response of a colour.
type ColourPlan struct {
	Name  string     `yaml:"name"`
	Steps []PlanStep `yaml:"steps"`
}

// PlanStep is one step of a colour's response. One with a code is followed until it is done; the others are advice.
type PlanStep struct {
	Do     string       `yaml:"do"`               // for staff (zh-CN)
	Code   string       `yaml:"code,omitempty"`   // the program's name for it, such as "tell"
	Within workday.Span `yaml:"within,omitempty"` // from the moment the colour was given; none: as long as the ticket is open
	Again  workday.Span `yaml:"again,omitempty"`  // once done it is due again after this, while the ticket is open
}

// Codes of factors that the program gives points for by name; a rule set without one of them is refused.
const (
	codeDanger       = "danger"
	codeThreat       = "threat"
	codeInjury       = "injury"
	codeGroup        = "group"
	codeGathering    = "gathering"
	codeAge          = "age"
	codeRepeat       = "repeat"
	codeUnsatisfied  = "unsatisfied"
	codeRework       = "rework"
	codeOverdue      = "overdue"
	codeLoss         = "loss"
	codeVictims      = "victims"
	codeClue         = "clue"
	codePolice       = "police"
	codeEnterprise   = "enterprise"
	codeWatchPeriod  = "watch_period"
	codeData         = "data_error"
	codeInquiry      = "inquiry"
	codeContacts7    = "contacts_7d"
	codeContacts90   = "contacts_90d"
	codeChannels     = "channels"
	codeEmotion      = "emotion"
	codeVerified     = "verified_threat"
	codeWatchFlag    = "watch_flag"
	codeCare         = "care"
	codeConfidential = "confidential"
)

var required = map[string]Axis{codeDanger: Event, codeThreat: Event, codeInjury: Event, codeGroup: Event, codeGathering: Event, codeAge: Event,
	codeRepeat: Event, codeUnsatisfied: Event, codeRework: Event, codeOverdue: Event, codeLoss: Event, codeVictims: Event, codeClue: Event,
	codePolice: Event, codeEnterprise: Event, codeWatchPeriod: Event, codeData: Event, codeInquiry: Event, codeContacts7: Person,
	codeContacts90: Person, codeChannels: Person, codeEmotion: Person, codeVerified: Person, codeWatchFlag: Person, codeCare: Person,
	codeConfidential: Person}

// stepped are the factors that count something.
var stepped = map[string]bool{codeGroup: true, codeAge: true, codeRepeat: true, codeLoss: true, codeContacts7: true, codeContacts90: true, codeChannels: true}

// LoadRules reads rules.yaml and lexicon.yaml from a file system and checks them: every factor there, on its axis, steps and limits in
// order, every word as the reader would see it, every pattern and guard sound. All that is wrong is said in one error.
func LoadRules(fsys fs.FS) (*Rules, error) {
	var r Rules
	var spec lexiconSpec
	sum := sha256.New()
	read := func(name string, into any) error {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("load grading rules: %w", err)
		}
		sum.Write(b)
		r.words = string(b) // the last one read
		if err := yaml.UnmarshalWithOptions(b, into, yaml.Strict()); err != nil {
			return fmt.Errorf("load grading rules: %s: %w", name, err)
		}
		return nil
	}
	if err := read("rules.yaml", &r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("load grading rules: rules.yaml: %w", err)
	}
	if err := read("lexicon.yaml", &spec); err != nil {
		return nil, err
	}
	lex, err := spec.compile(r.byCode)
	if err != nil {
		return nil, fmt.Errorf("load grading rules: lexicon.yaml: %w", err)
	}
	r.lex, r.own = lex, true
	r.id = r.Version + "/" + hex.EncodeToString(sum.Sum(nil))[:8]
	return &r, nil
}

// ID names the rules by version and content.
func (r *Rules) ID() string { return r.id }

func (r *Rules) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Version == "" || strings.ContainsAny(r.Version, "/ ") {
		fail("version %q", r.Version)
	}
	if r.Effective == "" || r.Author == "" {
		fail("effective date or author is missing")
	}
	if r.Cap <= 0 {
		fail("cap %d", r.Cap)
	}
	r.byCode = map[string]*FactorRule{}
	for i := range r.Factors {
		f := &r.Factors[i]
		f.order = i
		if r.byCode[f.Code] != nil {
			fail("factor %s is given twice", f.Code)
		}
		r.byCode[f.Code] = f
		axis, known := required[f.Code]
		switch {
		case !known:
			fail("factor %q is not known to the program", f.Code)
		case f.Axis != axis:
			fail("factor %s is on axis %q, not %q", f.Code, f.Axis, axis)
		case f.Name == "":
			fail("factor %s has no name", f.Code)
		case stepped[f.Code] != (len(f.Steps) > 0) || len(f.Steps) > 0 && f.Points != 0:
			fail("factor %s: points or steps", f.Code)
		case f.Code == codeInquiry && f.Points > 0, f.Code != codeInquiry && f.Points < 0:
			fail("factor %s: sign of the points", f.Code)
		}
		for k, s := range f.Steps {
			if s.At <= 0 || s.Points <= 0 || k > 0 && (s.At <= f.Steps[k-1].At || s.Points < f.Steps[k-1].Points) {
				fail("factor %s: step %d does not rise", f.Code, k+1)
			}
		}
	}
	for code := range required {
		if r.byCode[code] == nil {
			fail("factor %s is missing", code)
		}
	}
	for _, f := range r.Factors {
		for _, u := range f.Unless {
			if r.byCode[u] == nil {
				fail("factor %s: unless %q", f.Code, u)
			}
		}
	}
	for _, c := range Colours {
		if c != Blue && len(r.Colours[c]) == 0 {
			fail("colour %s has no limit", c)
		}
		if p := r.Plans[c]; p.Name == "" || len(p.Steps) == 0 {
			fail("colour %s has no plan", c)
		}
		codes := map[string]bool{}
		for i, st := range r.Plans[c].Steps {
			if st.Do == "" || st.Code != "" && codes[st.Code] || st.Code == "" && !(st.Within.IsZero() && st.Again.IsZero()) {
				fail("colour %s: step %d of the plan", c, i+1)
			}
			codes[st.Code] = true
		}
		for _, l := range r.Colours[c] {
			if l.Event <= 0 && l.Person <= 0 {
				fail("colour %s: a limit that everybody reaches", c)
			}
		}
	}
	if len(r.Colours) != 3 || len(r.Plans) != 4 {
		fail("colours or plans other than 红橙黄蓝")
	}
	return errors.Join(errs...)
}

// Colour is f(E, P) of the domain model §7; hard is a trigger that is 红 whatever the scores.
func (r *Rules) Colour(event, person int, hard bool) Colour {
	if hard {
		return Red
	}
	for _, c := range Colours {
		for _, l := range r.Colours[c] {
			if event >= l.Event && person >= l.Person {
				return c
			}
		}
	}
	return Blue
}

// points is what a count is worth, and the steps of the plan it asks for.
func (f *FactorRule) points(n float64) (points int, route []string) {
	if len(f.Steps) == 0 {
		return f.Points, f.Route
	}
	for _, s := range f.Steps {
		if n >= float64(s.At) {
			points, route = s.Points, s.Route
		}
	}
	return points, append(route[:len(route):len(route)], f.Route...)
}
