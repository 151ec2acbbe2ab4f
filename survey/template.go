package survey

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Template is one version of a text. One person proposes it, another approves it; a run takes the texts in force when it
// begins, and every question keeps which they were.
type Template struct {
	Name       string // key of Config.Templates
	Version    int    // from 1; 0 is the text of the configuration file
	Body       string // with placeholders
	State      string // "proposed", "approved" or "rejected"
	Author     string // actor
	ProposedAt time.Time
	DecidedBy  string
	Note       string
	DecidedAt  time.Time
}

// ErrTemplate is returned for a text that may not go out; the error says why.
var ErrTemplate = errors.New("template")

// Limits of what the variables of a text may hold, in characters, and how long it may become with them.
type TextLimits struct {
	Unit     int     `yaml:"unit"`     // a longer name is cut
	Segments int     `yaml:"segments"` // of the longest text a template can make, with the signature
	Price    float64 `yaml:"price"`    // yuan a segment, for the preview
}

// caseWords tell something of a case: none may stand in a text, which anybody who holds the telephone reads.
var caseWords = []string{"案由", "案号", "嫌疑", "被害", "受害", "犯罪", "吸毒", "卖淫", "嫖", "强奸", "猥亵", "家暴", "家庭暴力", "自杀", "死亡", "拘留", "逮捕", "身份证号", "涉案", "未成年"}

// urge would make of an honest question a request for praise, which carriers refuse and figures suffer from.
var urge = []string{"给个好评", "请给好评", "五星好评", "请选1", "请回复1，", "满意请回"}

// Lint reports why a text may not be a template: placeholders, links and signs that carriers refuse, words that tell of a
// case or ask for praise, and a text that could become too long.
func (c *Config) Lint(signature, body string) error {
	if err := lint(body); err != nil {
		return fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	for _, w := range slices.Concat(caseWords, urge) {
		if strings.Contains(body, w) {
			return fmt.Errorf("%w: must not hold %s", ErrTemplate, w)
		}
	}
	if size := sms.Measure(c.longestText(signature, body)); c.Texts.Segments > 0 && size.Segments > c.Texts.Segments {
		return fmt.Errorf("%w: can become %d characters, %d segments; at most %d are allowed", ErrTemplate, size.Units, size.Segments, c.Texts.Segments)
	}
	return nil
}

// longestText is the text with every variable as long as it may be.
func (c *Config) longestText(signature, body string) string {
	class, scale := "", ""
	for _, cl := range c.Classes {
		if len([]rune(cl.Name)) > len([]rune(class)) {
			class = cl.Name
		}
	}
	for _, s := range c.Scales {
		if len([]rune(s)) > len([]rune(scale)) {
			scale = s
		}
	}
	unit := strings.Repeat("所", max(c.Texts.Unit, 1))
	return sms.Sign(signature, strings.NewReplacer("{unit}", unit, "{date}", "12月30日", "{class}", class, "{scale}", scale).Replace(body))
}

// cut shortens a name to so many characters.
func cut(name string, limit int) string {
	if r := []rune(name); limit > 0 && len(r) > limit {
		return string(r[:limit])
	}
	return name
}

const templateColumns = `name, version, body, state, author, proposed_at, decided_by, note, decided_at`

func scanTemplate(r storage.Row) (t Template, err error) {
	var proposed, decided storage.Time
	err = r.Scan(&t.Name, &t.Version, &t.Body, &t.State, &t.Author, &proposed, &t.DecidedBy, &t.Note, &decided)
	t.ProposedAt, t.DecidedAt = proposed.Time, decided.Time
	return t, err
}

// Templates lists every version of every text, the names in order, the newest version first; version 0 is the
// configuration file's own.
func (s *Survey) Templates(tx *storage.Tx) ([]Template, error) {
	kept, err := storage.All(tx, scanTemplate, `SELECT `+templateColumns+` FROM survey_template ORDER BY name, version DESC`)
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	var out []Template
	for _, name := range slices.Sorted(maps.Keys(s.config().Templates)) {
		for _, t := range kept {
			if t.Name == name {
				out = append(out, t)
			}
		}
		out = append(out, Template{Name: name, Body: s.config().Templates[name], State: "approved", Author: "config/" + s.config().Version})
	}
	return out, nil
}

// inForce is the configuration with the approved texts in it; its version names them.
func (s *Survey) inForce(tx *storage.Tx) (*Config, error) {
	kept, err := storage.All(tx, scanTemplate, `SELECT `+templateColumns+` FROM survey_template t WHERE state = 'approved'
		AND version = (SELECT MAX(o.version) FROM survey_template o WHERE o.name = t.name AND o.state = 'approved') ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("texts in force: %w", err)
	}
	if len(kept) == 0 {
		return s.config(), nil
	}
	c := *s.config()
	c.Templates = maps.Clone(c.Templates)
	for _, t := range kept {
		if c.Templates[t.Name] == "" {
			continue // the configuration asks with it no more
		}
		c.Templates[t.Name] = t.Body
		c.Version += fmt.Sprintf("+%s%d", t.Name, t.Version)
	}
	return &c, nil
}

// ProposeTemplate is the first of the two persons. It returns ErrTemplate with what is wrong, and ErrNotAllowed for whose
// role neither sets nor runs the survey.
func (s *Survey) ProposeTemplate(tx *storage.Tx, name, body string, by ticket.Actor) (Template, error) {
	body = strings.TrimSpace(body)
	fail := func(err error) (Template, error) {
		return Template{}, fmt.Errorf("propose a text for %q: %w", name, err)
	}
	if !org.Can(by.Role, org.SetSurvey) && !org.Can(by.Role, org.RunSurvey) {
		return fail(ErrNotAllowed)
	}
	if s.config().Templates[name] == "" {
		return fail(fmt.Errorf("%w: no such text", ErrTemplate))
	}
	if err := s.config().Lint(s.Outbox.Signature, body); err != nil {
		return fail(err)
	}
	last, err := storage.One(tx, storage.Value[int], `SELECT COALESCE(MAX(version), 0) FROM survey_template WHERE name = $1`, name)
	if err != nil {
		return fail(err)
	}
	t := Template{Name: name, Version: last + 1, Body: body, State: "proposed", Author: by.String(), ProposedAt: s.now()}
	if _, err := tx.Exec(`INSERT INTO survey_template (name, version, body, state, author, proposed_at) VALUES ($1, $2, $3, 'proposed', $4, $5)`,
		t.Name, t.Version, t.Body, t.Author, storage.At(t.ProposedAt)); err != nil {
		return fail(err)
	}
	return t, s.logTemplate(tx, t, by)
}

// DecideTemplate is the second person, who may not be the first. The text is in force from the next run on. It returns
// storage.ErrConflict for one that is decided already, and ErrNotAllowed as ProposeTemplate.
func (s *Survey) DecideTemplate(tx *storage.Tx, name string, version int, approve bool, note string, by ticket.Actor) (Template, error) {
	fail := func(err error) (Template, error) {
		return Template{}, fmt.Errorf("decide on text %s %d: %w", name, version, err)
	}
	t, err := storage.One(tx, scanTemplate, `SELECT `+templateColumns+` FROM survey_template WHERE name = $1 AND version = $2 `+tx.ForUpdate(), name, version)
	if err != nil {
		return fail(err)
	}
	switch {
	case !org.Can(by.Role, org.RunSurvey):
		return fail(ErrNotAllowed)
	case t.Author == by.String():
		return fail(fmt.Errorf("whoever has written it does not approve it: %w", ErrNotAllowed))
	case t.State != "proposed":
		return fail(fmt.Errorf("it is %s: %w", t.State, storage.ErrConflict))
	}
	if t.State = "rejected"; approve {
		t.State = "approved"
		if err := s.config().Lint(s.Outbox.Signature, t.Body); err != nil { // the limits may be others by now
			return fail(err)
		}
	}
	t.DecidedBy, t.Note, t.DecidedAt = by.String(), note, s.now()
	if _, err := tx.Exec(`UPDATE survey_template SET state = $3, decided_by = $4, note = $5, decided_at = $6 WHERE name = $1 AND version = $2`,
		name, version, t.State, t.DecidedBy, t.Note, storage.At(t.DecidedAt)); err != nil {
		return fail(err)
	}
	return t, s.logTemplate(tx, t, by)
}

func (s *Survey) logTemplate(tx *storage.Tx, t Template, by ticket.Actor) error {
	_, err := audit.Append(tx, audit.Entry{Stream: "survey/template/" + t.Name, Type: "survey.template." + t.State, Actor: by.String(), Rule: s.config().Version, At: s.now(),
		Payload: map[string]any{"version": t.Version, "body": t.Body, "note": t.Note}})
	return err
}

// PreviewOf is a text as it would go out for a class and a unit, with what it costs.
func (s *Survey) PreviewOf(body string, cl Class, unit string, day workday.Day) Preview {
	c := *s.config()
	c.Templates = map[string]string{cl.Template: body}
	text := sms.Sign(s.Outbox.Signature, c.Text(cl, unit, day))
	size := sms.Measure(text)
	return Preview{Class: cl.Code, Text: text, Size: size, Cost: float64(size.Segments) * c.Texts.Price}
}

// Previews shows every class whose text or reminder the template is, for a unit; of one that no class uses, the first class.
func (s *Survey) Previews(name, body, unit string, day workday.Day) (out []Preview) {
	for _, cl := range s.config().Classes {
		if cl.Template == name || cl.Reminder.Template == name {
			cl.Template = name
			p := s.PreviewOf(body, cl, unit, day)
			p.Class = cl.Name
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		cl := s.config().Classes[0]
		cl.Template = name
		out = append(out, s.PreviewOf(body, cl, unit, day))
		out[0].Class = cl.Name
	}
	return out
}

// UsedBy names the classes whose text the template is, and those whose reminder it is.
func (s *Survey) UsedBy(name string) (texts, reminders []string) {
	for _, cl := range s.config().Classes {
		if cl.Template == name {
			texts = append(texts, cl.Name)
		}
		if cl.Reminder.Template == name {
			reminders = append(reminders, fmt.Sprintf("%s %gh", cl.Name, cl.Reminder.After.Hours()))
		}
	}
	return texts, reminders
}
