package oversee

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/match"
	"lianxin/ticket/warn"
)

// Rules are the thresholds of oversight. They are configuration (LOOP-11): each version is kept whole, and every event
// carries the one under which it was decided.
type Rules struct {
	Version   string    `json:"version"`
	Effective time.Time `json:"effective"`
	Author    string    `json:"author"`

	Supervise Triggers    `json:"supervise"`
	Match     match.Rules `json:"match"`
	Warn      warn.Rules  `json:"warn"`

	Bad BadTerms `json:"bad_rating"`

	WatchApprover string `json:"watch_approver"` // login of the leader who approves watch flags; empty: there are none
	WatchDays     int    `json:"watch_days"`     // a flag expires after so many days at most
	BoardQuiet    int    `json:"board_quiet"`    // days without a new request before a topic may leave the 热点榜
	EffectDays    int    `json:"effect_days"`    // before and after a measure
}

// BadTerms are the limits of 差评 (domain model §4).
type BadTerms struct {
	ContactHours int `json:"contact_hours"` // the person is contacted within so many hours, working or not
	RectifyDays  int `json:"rectify_days"`  // WD for putting it right
	CeilingDays  int `json:"ceiling_days"`  // WD after the rating beyond which nothing moves the end
	RecheckDays  int `json:"recheck_days"`  // WD for looking at it again
}

// Triggers are when 督办 begins by itself (domain model §6).
type Triggers struct {
	AutoIssue     []int    `json:"auto_issue"`     // levels that are issued without a person
	RepeatTimes   int      `json:"repeat_times"`   // L2: the same person and matter so often …
	RepeatDays    int      `json:"repeat_days"`    // … in so many days
	PendingDays   int      `json:"pending_days"`   // L2: open for more than so many days
	AgeDays       int      `json:"age_days"`       // L2: the matter is so old
	GroupParties  int      `json:"group_parties"`  // L2: so many persons
	GroupTickets  int      `json:"group_tickets"`  // L2: or so many tickets …
	GroupDays     int      `json:"group_days"`     // … in so many days
	Returns       int      `json:"returns"`        // L1: returned so often
	MediaChannels []string `json:"media_channels"` // L2: came by one of them, 黄 or graver
	SignDays      int      `json:"sign_days"`      // a unit signs within so many WD
	FeedbackDays  [4]int   `json:"feedback_days"`  // and answers within so many WD, by level
	ReportDays    [4]int   `json:"report_days"`    // and reports every so many WD; 0 never
	EscalateAfter int      `json:"escalate_after"` // WD after which an unanswered 督办 rises
}

// DefaultRules are those of the domain model §6 to §8.
func DefaultRules() Rules {
	return Rules{Version: "2026-1", Author: "默认", Match: match.DefaultRules(), Warn: warn.DefaultRules(), Bad: BadTerms{ContactHours: 24, RectifyDays: 5, CeilingDays: 15, RecheckDays: 1}, WatchDays: 90, BoardQuiet: 28, EffectDays: 28,
		Supervise: Triggers{AutoIssue: []int{0, 1}, RepeatTimes: 3, RepeatDays: 90, PendingDays: 30, AgeDays: 365, GroupParties: 10, GroupTickets: 5, GroupDays: 7,
			Returns: 2, MediaChannels: []string{"people", "baixing"}, SignDays: 1, FeedbackDays: [4]int{1, 3, 5, 5}, ReportDays: [4]int{0, 0, 5, 3}, EscalateAfter: 3}}
}

// ID names the rules by version and content.
func (r Rules) ID() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain data
	}
	s := sha256.Sum256(b)
	return r.Version + "/" + hex.EncodeToString(s[:])[:8]
}

// Check reports what is wrong with the rules.
func (r Rules) Check() error {
	t := r.Supervise
	if r.Version == "" || strings.ContainsAny(r.Version, " /") {
		return errors.New("rules need a version without blanks and slashes")
	}
	for name, v := range map[string]int{"repeat_times": t.RepeatTimes, "repeat_days": t.RepeatDays, "pending_days": t.PendingDays, "age_days": t.AgeDays, "group_parties": t.GroupParties,
		"group_tickets": t.GroupTickets, "group_days": t.GroupDays, "returns": t.Returns, "sign_days": t.SignDays, "escalate_after": t.EscalateAfter, "watch_days": r.WatchDays, "effect_days": r.EffectDays,
		"contact_hours": r.Bad.ContactHours, "rectify_days": r.Bad.RectifyDays, "ceiling_days": r.Bad.CeilingDays, "recheck_days": r.Bad.RecheckDays} {
		if v < 1 {
			return fmt.Errorf("rules %s: %s is %d, want at least 1", r.Version, name, v)
		}
	}
	if r.Bad.CeilingDays < r.Bad.RectifyDays {
		return fmt.Errorf("rules %s: ceiling_days is %d, less than rectify_days", r.Version, r.Bad.CeilingDays)
	}
	for i, n := range t.FeedbackDays {
		if n < 1 {
			return fmt.Errorf("rules %s: feedback_days of L%d is %d, want at least 1", r.Version, i, n)
		}
	}
	for _, l := range t.AutoIssue {
		if l < 0 || l > 1 {
			return fmt.Errorf("rules %s: auto_issue names L%d; 挂牌 and 提级 need a leader's approval", r.Version, l)
		}
	}
	return errors.Join(r.Match.Check(), r.Warn.Check())
}

// Rules are those in effect now.
func (d *Desk) rules(tx *storage.Tx) (Rules, error) {
	body, err := storage.One(tx, storage.Value[string], `SELECT body FROM oversee_rules WHERE effective <= $1 ORDER BY effective DESC, saved_at DESC LIMIT 1`, storage.At(d.now()))
	if errors.Is(err, storage.ErrNotFound) {
		return DefaultRules(), nil
	} else if err != nil {
		return Rules{}, fmt.Errorf("read the rules of oversight: %w", err)
	}
	return parseRules([]byte(body))
}

// RulesInForce are the rules in effect now, for pages.
func (d *Desk) RulesInForce(tx *storage.Tx) (Rules, error) { return d.rules(tx) }

// parseRules reads rules over the default ones: a member that is missing keeps its default, an unknown one is refused.
func parseRules(b []byte) (Rules, error) {
	r := DefaultRules()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Rules{}, fmt.Errorf("rules of oversight: %w", err)
	}
	return r, nil
}

// RulesVersion is a saved version.
type RulesVersion struct {
	ID, Author         string
	Effective, SavedAt time.Time
	Body               string
}

// RulesVersions lists the saved versions, the newest first.
func (d *Desk) RulesVersions(tx *storage.Tx) ([]RulesVersion, error) {
	return storage.All(tx, func(r storage.Row) (v RulesVersion, err error) {
		var e, s storage.Time
		err = r.Scan(&v.ID, &v.Author, &e, &s, &v.Body)
		v.Effective, v.SavedAt = e.Time, s.Time
		return v, err
	}, `SELECT version, author, effective, saved_at, body FROM oversee_rules ORDER BY effective DESC, saved_at DESC`)
}

// SetRules saves a new version of the rules, in effect from a day on. What was decided keeps the version it was decided by.
func (d *Desk) SetRules(tx *storage.Tx, body string, effective time.Time, by ticket.Actor) (Rules, error) {
	if err := may(by, org.ManageRules); err != nil {
		return Rules{}, err
	}
	r, err := parseRules([]byte(body))
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return Rules{}, refuse("rules", "规则有误：%v", err)
	}
	now := d.now()
	if effective = ms(effective); effective.Before(now) {
		effective = now
	}
	r.Effective, r.Author = effective, by.String()
	b, err := json.Marshal(r)
	if err != nil {
		return Rules{}, err
	}
	n, err := tx.Exec(`INSERT INTO oversee_rules (version, effective, author, body, saved_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (version) DO NOTHING`,
		r.ID(), storage.At(effective), r.Author, string(b), storage.At(now))
	if err != nil {
		return Rules{}, fmt.Errorf("save the rules of oversight: %w", err)
	}
	if n == 0 {
		return Rules{}, refuse("same", "该版本已存在")
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "oversee-rules/" + r.ID(), Type: "rules.set", Actor: by.String(), At: now, Rule: r.ID(), Payload: r})
	return r, err
}
