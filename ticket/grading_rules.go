package ticket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/grade"
	"lianxin/workday"
)

// GradingState is what became of a proposed version of the grading rules.
type GradingState string

// States of a version.
const (
	GradingProposed  GradingState = "PROPOSED"
	GradingConsented GradingState = "CONSENTED"
	GradingRefused   GradingState = "REFUSED"
)

// Label is the state for staff (zh-CN).
func (s GradingState) Label() string {
	return map[GradingState]string{GradingProposed: "待同意", GradingConsented: "已发布", GradingRefused: "未同意"}[s]
}

// GradingRules is a version of the grading rules (domain model §7): points, limits, plans and the words that are looked for. It is proposed by
// the administrator, tried on past tickets, and in force from its effective day when a second person consented.
type GradingRules struct {
	ID         string
	Version    string
	Effective  workday.Day
	Body       string // YAML
	Words      string // YAML; empty: the words of the program
	Trial      GradingTrial
	Note       string
	State      GradingState
	ProposedBy string
	ProposedAt time.Time
	DecidedBy  string
	DecidedAt  time.Time
	Reason     string
	InForce    bool
}

const selectGrading = `SELECT id, version, effective, body, note, state, proposed_by, proposed_at, decided_by, decided_at, reason, words, trial FROM grade_rules`

func scanGrading(r storage.Row) (g GradingRules, err error) {
	var proposed, decided storage.Time
	err = r.Scan(&g.ID, &g.Version, &g.Effective, &g.Body, &g.Note, &g.State, &g.ProposedBy, &proposed, &g.DecidedBy, &decided, &g.Reason, &g.Words, packed{&g.Trial})
	g.ProposedAt, g.DecidedAt = proposed.Time, decided.Time
	return g, err
}

// parsedGrading keeps parsed versions by their content; there are only ever a few.
var parsedGrading sync.Map

func parseGrading(body, words string) (*grade.Rules, error) {
	key := [2]string{body, words}
	if r, ok := parsedGrading.Load(key); ok {
		return r.(*grade.Rules), nil
	}
	r, err := grade.ParseVersion([]byte(body), words)
	if err != nil {
		return nil, err
	}
	parsedGrading.Store(key, r)
	return r, nil
}

// Rules are the version's rules and words, ready to grade by.
func (g GradingRules) Rules() (*grade.Rules, error) { return parseGrading(g.Body, g.Words) }

// ownGrading are the rules that hold until others are published.
func (o *Office) ownGrading() *grade.Rules {
	if o.Grader != nil && o.Grader.Rules != nil {
		return o.Grader.Rules
	}
	return grade.DefaultRules()
}

// GradingInForce is the version by which tickets are graded now; its id is empty for the rules of the program.
func (o *Office) GradingInForce(tx *storage.Tx) (*grade.Rules, string, error) {
	g, err := storage.One(tx, scanGrading, selectGrading+` WHERE state = $1 AND effective <= $2 ORDER BY effective DESC, decided_at DESC LIMIT 1`,
		GradingConsented, workday.DayOf(o.now()).String())
	if errors.Is(err, storage.ErrNotFound) {
		return o.ownGrading(), "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("grading rules in force: %w", err)
	}
	r, err := g.Rules()
	if err != nil {
		return nil, "", fmt.Errorf("grading rules %s: %w", g.ID, err)
	}
	return r, g.ID, nil
}

// GradingVersions lists the versions there are, the latest proposed first. The program's own is not among them.
func (o *Office) GradingVersions(tx *storage.Tx) ([]GradingRules, error) {
	out, err := storage.All(tx, scanGrading, selectGrading+` ORDER BY proposed_at DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("list grading rules: %w", err)
	}
	_, now, err := o.GradingInForce(tx)
	for i := range out {
		out[i].InForce = out[i].ID == now
	}
	return out, err
}

// GradingProposal is what ProposeGrading puts up for consent.
type GradingProposal struct {
	Body  []byte // YAML like ticket/grade/rules.yaml, with a new version name and a day that is not past
	Words string // YAML like ticket/grade/lexicon.yaml; empty: the words of the program
	Note  string // what changes and why
	Trial GradingTrial
}

// Check reads a proposal and says what is wrong with it, before any tries it on tickets: the rules as they would grade.
func (p GradingProposal) Check() (*grade.Rules, error) {
	r, err := grade.ParseVersion(p.Body, p.Words)
	if err != nil {
		return nil, refuse("rules", "规则或词表不完整或有误：%v", err)
	}
	if day, err := workday.ParseDay(r.Effective); err != nil || day == 0 {
		return nil, refuse("effective", "生效日期“%s”不是 2026-12-01 这样的日期", r.Effective)
	}
	for _, x := range r.Broken() {
		if x.Vital {
			return nil, refuse("danger", "例句“%s”不再识别为%s，不能提出", x.Text, x.Name)
		}
	}
	return r, nil
}

// ProposeGrading puts a new version up for consent. Nothing is graded by it before ConsentGrading.
func (o *Office) ProposeGrading(tx *storage.Tx, p GradingProposal, by Actor) (GradingRules, error) {
	if !by.officer() || !by.may(org.ManageRules) {
		return GradingRules{}, noRole()
	}
	now, note := o.now(), strings.TrimSpace(p.Note)
	r, err := p.Check()
	if err != nil {
		return GradingRules{}, err
	}
	day, err := workday.ParseDay(r.Effective)
	switch {
	case err != nil || day == 0:
		return GradingRules{}, refuse("effective", "请填写生效日期")
	case day < workday.DayOf(now):
		return GradingRules{}, refuse("effective", "生效日期不能早于今天")
	case note == "":
		return GradingRules{}, refuse("note", "请说明修改内容和理由")
	}
	known, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM grade_rules WHERE version = $1`, r.Version)
	if err != nil {
		return GradingRules{}, fmt.Errorf("propose grading rules: %w", err)
	}
	if known > 0 || r.Version == o.ownGrading().Version {
		return GradingRules{}, refuse("version", "版本“%s”已存在，请另取版本号", r.Version)
	}
	before, _, err := o.GradingInForce(tx)
	if err != nil {
		return GradingRules{}, err
	}
	changes := append(before.Changes(r), before.WordChanges(r)...)
	if len(changes) == 0 {
		return GradingRules{}, refuse("same", "与现行规则没有差别")
	}
	g := GradingRules{ID: r.ID(), Version: r.Version, Effective: day, Body: string(p.Body), Note: note, Trial: p.Trial, State: GradingProposed, ProposedBy: by.String(), ProposedAt: now}
	if !r.OwnWords() {
		g.Words = p.Words
	}
	_, err = tx.Exec(`INSERT INTO grade_rules (id, version, effective, body, note, state, proposed_by, proposed_at, words, trial) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		g.ID, g.Version, g.Effective, g.Body, g.Note, g.State, g.ProposedBy, storage.At(now), g.Words, packed{g.Trial})
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "grading/" + g.Version, Type: "grading.proposed", Actor: by.String(), At: now, Rule: g.ID,
			Payload: map[string]any{"effective": g.Effective, "changes": changes}})
	}
	if err != nil {
		return GradingRules{}, fmt.Errorf("propose grading rules %s: %w", g.ID, err)
	}
	return g, nil
}

// ConsentGrading decides on a proposed version: with consent tickets are graded by it from its effective day on (the day of the consent
// when that is later). Whoever proposed it cannot decide. Colours that were given stay; a later grading names the new version.
func (o *Office) ConsentGrading(tx *storage.Tx, id string, consent bool, reason string, by Actor) (GradingRules, error) {
	if !by.officer() || !by.may(org.ConsentGrading) {
		return GradingRules{}, noRole()
	}
	g, err := storage.One(tx, scanGrading, selectGrading+` WHERE id = $1`, id)
	if err != nil {
		return GradingRules{}, fmt.Errorf("grading rules %s: %w", id, err)
	}
	reason = strings.TrimSpace(reason)
	switch {
	case g.State != GradingProposed:
		return GradingRules{}, refuse("decided", "版本“%s”%s", g.Version, g.State.Label())
	case g.ProposedBy == by.String():
		return GradingRules{}, refuse("self", "提出人不能同意自己提出的版本")
	case !consent && reason == "":
		return GradingRules{}, refuse("reason", "请说明不同意的理由")
	}
	if _, err := g.Rules(); err != nil && consent {
		return GradingRules{}, refuse("rules", "规则或词表不完整或有误：%v", err) // the program changed since it was proposed
	}
	if consent {
		before, _, err := o.GradingInForce(tx)
		if err != nil {
			return GradingRules{}, err
		}
		if g.Trial.At.IsZero() || g.Trial.Beside != before.ID() { // what changes is not what was tried
			return GradingRules{}, refuse("trial", "请先用历史诉求与现行版本对照回测，再决定是否同意")
		}
	}
	now := o.now()
	g.State, g.DecidedBy, g.DecidedAt, g.Reason = GradingRefused, by.String(), now, reason
	kind := "grading.refused"
	if consent {
		g.State, kind = GradingConsented, "grading.published"
		g.Effective = max(g.Effective, workday.DayOf(now))
	}
	n, err := tx.Exec(`UPDATE grade_rules SET state = $1, decided_by = $2, decided_at = $3, reason = $4, effective = $5 WHERE id = $6 AND state = $7`,
		g.State, g.DecidedBy, storage.At(now), g.Reason, g.Effective, g.ID, GradingProposed)
	if err != nil {
		return GradingRules{}, fmt.Errorf("decide on grading rules %s: %w", id, err)
	}
	if n != 1 {
		return GradingRules{}, refuse("decided", "版本“%s”已由他人处理", g.Version)
	}
	if _, err := audit.Append(tx, audit.Entry{Stream: "grading/" + g.Version, Type: kind, Actor: by.String(), At: now, Rule: g.ID,
		Payload: map[string]any{"effective": g.Effective, "reason": g.Reason}}); err != nil {
		return GradingRules{}, fmt.Errorf("decide on grading rules %s: %w", id, err)
	}
	return g, nil
}

// grader is the grader by the rules in force.
func (d *dossier) grader() (*grade.Grader, error) {
	r, _, err := d.o.GradingInForce(d.tx)
	if err != nil {
		return nil, err
	}
	return &grade.Grader{Rules: r, Now: d.o.Grader.Now}, nil
}

// planOf are the steps of a colour's response that are followed until they are done.
func (d *dossier) planOf(c Colour) ([]grade.PlanStep, error) {
	if d.o.Grader == nil {
		return nil, nil
	}
	r, _, err := d.o.GradingInForce(d.tx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(r.Plans[grade.Colour(c)].Steps), func(s grade.PlanStep) bool { return s.Code == "" }), nil
}
