package ticket

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// RuleSet is a version of the limits as it was decided on.
type RuleSet struct {
	Rules
	ID          string
	Note        string // what was changed, and why
	PublishedBy string
	PublishedAt time.Time // zero: the rules of the program, which hold until others are published
	InForce     bool
	Tickets     int // opened under them
}

// inForce is the rule set that new tickets come under at a moment: of the published ones that are effective the latest, or
// the program's own.
func (o *Office) inForce(tx *storage.Tx, now time.Time) (Rules, string, error) {
	id, err := storage.One(tx, storage.Value[string], `SELECT version FROM ticket_rules WHERE published_at IS NOT NULL AND effective <= $1
		ORDER BY effective DESC, published_at DESC LIMIT 1`, workday.DayOf(now).String())
	if errors.Is(err, storage.ErrNotFound) {
		return o.Rules, "", nil
	}
	if err != nil {
		return Rules{}, "", fmt.Errorf("rules in force: %w", err)
	}
	r, err := o.rules(tx, id)
	return r, id, err
}

// RulesOf is the rule set under which a ticket was opened, and which it keeps (LOOP-11).
func (o *Office) RulesOf(tx *storage.Tx, t Ticket) (Rules, error) { return o.rules(tx, t.RuleVersion) }

// RulesInForce is the rule set that new tickets come under now.
func (o *Office) RulesInForce(tx *storage.Tx) (Rules, error) {
	r, _, err := o.inForce(tx, o.now())
	return r, err
}

// PublishRules decides on a rule set: from its effective day on, new tickets come under it; those that are there keep theirs.
// The version must be new and the day not past. Who publishes is its author; note says what changes and why.
func (o *Office) PublishRules(tx *storage.Tx, r Rules, note string, by Actor) (string, error) {
	if !by.officer() || !by.may(org.ManageRules) {
		return "", noRole()
	}
	now := o.now()
	r.Version, note = strings.TrimSpace(r.Version), strings.TrimSpace(note)
	if by.Kind == StaffActor {
		r.Author = o.nameOf(tx, by.String())
	}
	switch err := r.Check(); {
	case strings.ContainsAny(r.Version, "/ \t\n") || r.Version == "":
		return "", refuse("version", "请填写版本号，不含空格和斜杠")
	case err != nil:
		return "", refuse("rules", "规则不完整或有误：%v", err)
	case r.Effective < workday.DayOf(now):
		return "", refuse("effective", "生效日期不能早于今天")
	case note == "":
		return "", refuse("note", "请说明修改内容和理由")
	}
	known, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_rules WHERE version LIKE $1`, r.Version+"/%")
	if err != nil {
		return "", fmt.Errorf("publish rules: %w", err)
	}
	if known > 0 {
		return "", refuse("version", "版本“%s”已存在，已有诉求按该版本办理，请另取版本号", r.Version)
	}
	before, _, err := o.inForce(tx, now)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("publish rules: %w", err)
	}
	id := r.ID()
	_, err = tx.Exec(`INSERT INTO ticket_rules (version, effective, author, body, saved_at, published_at, published_by, note) VALUES ($1, $2, $3, $4, $5, $5, $6, $7)`,
		id, r.Effective, r.Author, string(body), storage.At(now), by.String(), note)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "rules/" + r.Version, Type: "rules.published", Actor: by.String(), At: now, Rule: id,
			Payload: map[string]any{"effective": r.Effective, "changes": before.Changes(r)}})
	}
	if err != nil {
		return "", fmt.Errorf("publish rules %s: %w", id, err)
	}
	return id, nil
}

// RuleSets lists the rule sets, the latest effective first, the program's own last.
func (o *Office) RuleSets(tx *storage.Tx) ([]RuleSet, error) {
	type row struct {
		id, body, note, by string
		at                 storage.Time
		n                  int
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.body, &x.note, &x.by, &x.at, &x.n) },
		`SELECT version, body, note, published_by, published_at, (SELECT COUNT(*) FROM ticket WHERE ticket.rule_version = ticket_rules.version) FROM ticket_rules
		WHERE published_at IS NOT NULL OR version = $1 ORDER BY CASE WHEN published_at IS NULL THEN 1 ELSE 0 END, effective DESC, published_at DESC`, o.Rules.ID())
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	_, now, err := o.inForce(tx, o.now())
	if err != nil {
		return nil, err
	}
	var out []RuleSet
	own := false
	for _, r := range rows {
		s := RuleSet{ID: r.id, Note: r.note, PublishedBy: r.by, PublishedAt: r.at.Time, InForce: r.id == now || now == "" && r.id == o.Rules.ID(), Tickets: r.n}
		if err := json.Unmarshal([]byte(r.body), &s.Rules); err != nil {
			return nil, fmt.Errorf("rules %s: %w", r.id, err)
		}
		own = own || r.id == o.Rules.ID()
		out = append(out, s)
	}
	if !own {
		out = append(out, RuleSet{Rules: o.Rules, ID: o.Rules.ID(), InForce: now == ""})
	}
	return out, nil
}

// Copy is r with maps of its own.
func (r Rules) Copy() (out Rules, err error) {
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}

// Change is a limit that differs between two rule sets.
type Change struct {
	What string `json:"what"` // path of the member, such as "clocks.sign.红"
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Changes lists how another rule set differs from r.
func (r Rules) Changes(other Rules) []Change {
	a, b := r.flat(), other.flat()
	var out []Change
	for what := range b {
		if _, ok := a[what]; !ok {
			a[what] = ""
		}
	}
	for what, from := range a {
		if top, _, _ := strings.Cut(what, "."); from != b[what] && top != "version" && top != "effective" && top != "author" {
			out = append(out, Change{what, from, b[what]})
		}
	}
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.What, y.What) })
	return out
}

func (r Rules) flat() map[string]string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain data
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		panic(err)
	}
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(strings.TrimPrefix(path+"."+k, "."), x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s.%d", path, i), x)
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", v)
	return out
}
