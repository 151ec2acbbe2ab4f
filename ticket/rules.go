package ticket

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"lianxin/storage"
	"lianxin/workday"
)

// ClockKind is what a clock measures.
type ClockKind string

// Kinds of clocks (domain model §4 and, where marked, our own so that every open ticket has one).
const (
	ClockAccept   ClockKind = "accept"   // 受理: from opening until accepted or otherwise decided (our own)
	ClockDispatch ClockKind = "dispatch" // 派单: from acceptance (or return, or rework) until dispatched
	ClockSign     ClockKind = "sign"     // 签收: per leg, from dispatch until signed for
	ClockContact  ClockKind = "contact"  // 首次联系群众: from the host's signature until the citizen was contacted
	ClockReport   ClockKind = "report"   // 初步处置报告: from the host's signature until reported; daily again for 红
	ClockHandle   ClockKind = "handle"   // 办结: from acceptance until the reply is sent; pauses while suspended
	ClockReview   ClockKind = "review"   // 审核: from submission until approved or rejected
	ClockCallback ClockKind = "callback" // 回访: from the reply until the first attempt or a rating
	ClockRating   ClockKind = "rating"   // 评价: from the reply until closed (our own)
	ClockDecide   ClockKind = "decide"   // a request of the unit waits for a decision (§5: ≤ 1 WD)
	ClockSuspend  ClockKind = "suspend"  // 挂起: until the approved end
	ClockHold     ClockKind = "hold"     // 会商/督办待决 (our own)
	ClockStable   ClockKind = "stable"   // 稳控复核: in place of 办结, until the next look
	ClockExternal ClockKind = "external" // the deadline another body set, such as 12345
)

var clockLabels = map[ClockKind]string{
	ClockAccept: "受理", ClockDispatch: "派单", ClockSign: "签收", ClockContact: "首次联系群众", ClockReport: "初步处置报告", ClockHandle: "办结",
	ClockReview: "审核", ClockCallback: "回访", ClockRating: "评价", ClockDecide: "申请审批", ClockSuspend: "挂起", ClockHold: "会商/督办待决", ClockStable: "稳控复核", ClockExternal: "外部时限",
}

// Label is the clock for staff (zh-CN).
func (k ClockKind) Label() string { return clockLabels[k] }

// Spans are a span for each colour; a colour that is missing has no such clock.
type Spans map[Colour]workday.Span

// Rules are the limits of the closed loop. They are configuration (LOOP-11): a ticket keeps the rules under which it was
// opened, saved whole under Rules.ID.
type Rules struct {
	Version   string      `json:"version"` // a name for people, such as "2026-1"
	Effective workday.Day `json:"effective"`
	Author    string      `json:"author"`

	Clocks        map[ClockKind]Spans `json:"clocks"`
	HandleInquiry Spans               `json:"handle_inquiry"` // instead of Clocks[ClockHandle] for 咨询
	ReportAgain   Spans               `json:"report_again"`   // the next report is due after the last
	Half          float64             `json:"half"`           // first notice, share of the (working) time
	Most          float64             `json:"most"`           // second notice

	MaxReworks     int            `json:"max_reworks"`     // automatic 重办
	MaxReturns     int            `json:"max_returns"`     // granted returns, then the centre designates
	MaxExtensions  int            `json:"max_extensions"`  //
	ExtensionDays  map[Colour]int `json:"extension_days"`  // at most, WD; 0: by a leader only, up to LeaderExtension
	LeaderDays     int            `json:"leader_days"`     // what a leader may grant where ExtensionDays is 0
	MaxSuspensions int            `json:"max_suspensions"` //
	SuspensionDays int            `json:"suspension_days"` // at most, WD each
	StableDays     int            `json:"stable_days"`     // 稳控: at most, WD between two looks
	MinTries       int            `json:"min_tries"`       // before 未评价
	MinTryDays     int            `json:"min_try_days"`    // on as many days
	MinTryParts    int            `json:"min_try_parts"`   // in as many parts of the day
	DayParts       []DayPart      `json:"day_parts"`       //
	ArchiveDays    int            `json:"archive_days"`    // calendar days after closing
	AppealDays     int            `json:"appeal_days"`     // calendar days after a refusal; 0: no limit
	RefusalGrounds []Ground       `json:"refusal_grounds"` //
	Callbacks      CallbackSpans  `json:"callbacks"`       //
	AlertAck       Spans          `json:"alert_ack"`       // an alert of this level is to be acknowledged in
}

// CallbackSpans is when call-backs that are no ticket's 回访 are due.
type CallbackSpans map[CallbackKind]workday.Span

// DayPart is a named part of the day, [From, To) since midnight.
type DayPart struct {
	Name string        `json:"name"`
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
}

// Ground is a ground on which a request is not accepted.
type Ground struct {
	Code  string `json:"code"`
	Label string `json:"label"`
}

func wall(d time.Duration) workday.Span    { return workday.Wall(d) }
func working(d time.Duration) workday.Span { return workday.Working(d) }
func wd(n int) workday.Span                { return workday.Days(n) }

func all(s workday.Span) Spans { return Spans{Red: s, Orange: s, Yellow: s, Blue: s} }

// DefaultRules are the limits of the domain model §4–§5 and, where it names none, defaults of our own: accepting takes as
// long as dispatching; a citizen has 7 WD to rate; a call-back after a bad rating is due in 24 h, one after a call that
// was abandoned or left a message in 2 working hours; a suspension lasts at most 10 WD, twice.
func DefaultRules() Rules {
	h := time.Hour
	dispatch := Spans{Red: wall(5 * time.Minute), Orange: wall(15 * time.Minute), Yellow: wall(2 * h), Blue: working(4 * h)}
	return Rules{
		Version: "2026-1", Effective: workday.DateOf(2026, 1, 1), Author: "默认",
		Clocks: map[ClockKind]Spans{
			ClockAccept:   dispatch,
			ClockDispatch: dispatch,
			ClockSign:     {Red: wall(15 * time.Minute), Orange: wall(30 * time.Minute), Yellow: working(2 * h), Blue: wd(1)},
			ClockContact:  {Red: wall(30 * time.Minute), Orange: wall(2 * h), Yellow: wall(24 * h), Blue: wd(1)},
			ClockReport:   {Red: wall(2 * h), Orange: wall(24 * h)},
			ClockHandle:   {Red: wd(3), Orange: wd(5), Yellow: wd(5), Blue: wd(5)},
			ClockReview:   {Red: wall(4 * h), Orange: wd(1), Yellow: wd(1), Blue: wd(1)},
			ClockCallback: {Red: wall(24 * h), Orange: wd(1), Yellow: wd(1), Blue: wd(2)},
			ClockRating:   all(wd(7)),
			ClockDecide:   all(wd(1)),
			ClockHold:     all(wd(1)),
		},
		HandleInquiry: Spans{Red: wd(3), Orange: wd(5), Yellow: wd(5), Blue: wd(1)},
		ReportAgain:   Spans{Red: wall(24 * h)},
		Half:          0.5, Most: 0.8,
		MaxReworks: 2, MaxReturns: 2, MaxExtensions: 1,
		ExtensionDays: map[Colour]int{Red: 0, Orange: 5, Yellow: 10, Blue: 10}, LeaderDays: 5,
		MaxSuspensions: 2, SuspensionDays: 10, StableDays: 5,
		MinTries: 3, MinTryDays: 2, MinTryParts: 2,
		DayParts:    []DayPart{{"上午", 0, 12 * h}, {"下午", 12 * h, 18 * h}, {"晚间", 18 * h, 24 * h}},
		ArchiveDays: 30, AppealDays: 60,
		RefusalGrounds: []Ground{
			{"litigation", "已经或者应当通过诉讼、仲裁、行政复议等法定途径解决"},
			{"petition", "信访事项正在办理或者已经终结"},
			{"secret", "涉及国家秘密、商业秘密或者个人隐私"},
			{"elsewhere", "不属于公安机关职责范围,已告知向有权机关反映"},
			{"settled", "同一事项已经答复且无新的事实和理由"},
			{"empty", "无实质内容,经联系无法补充"},
		},
		Callbacks: CallbackSpans{CallbackRating: wall(24 * h), CallbackAbandoned: working(2 * h), CallbackMessage: working(2 * h), CallbackReview: wd(2)},
		AlertAck:  Spans{Red: wall(5 * time.Minute), Orange: wall(30 * time.Minute), Yellow: working(2 * h), Blue: wd(1)},
	}
}

// ID names the rules by version and content, such as "2026-1/8f03a1c2": changed content under an old version is another
// rule set.
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
	if r.Version == "" {
		return fmt.Errorf("rules without a version")
	}
	for _, k := range []ClockKind{ClockAccept, ClockDispatch, ClockSign, ClockHandle, ClockReview, ClockRating, ClockDecide, ClockHold} {
		for _, c := range Colours {
			if r.Clocks[k][c].IsZero() {
				return fmt.Errorf("rules %s: clock %s has no span for %s; a ticket would be without a running clock (ORG-6)", r.Version, k, c)
			}
		}
	}
	for _, c := range Colours {
		if r.AlertAck[c].IsZero() {
			return fmt.Errorf("rules %s: alerts of level %s are never due", r.Version, c)
		}
	}
	for _, k := range CallbackKinds {
		if r.Callbacks[k].IsZero() {
			return fmt.Errorf("rules %s: call-backs of kind %s are never due", r.Version, k)
		}
	}
	if r.Half <= 0 || r.Most <= r.Half || r.Most >= 1 {
		return fmt.Errorf("rules %s: notices at %v and %v of the time", r.Version, r.Half, r.Most)
	}
	if r.MinTries < 1 || len(r.DayParts) < r.MinTryParts {
		return fmt.Errorf("rules %s: %d tries in %d of %d parts of the day", r.Version, r.MinTries, r.MinTryParts, len(r.DayParts))
	}
	return nil
}

func (r Rules) span(k ClockKind, c Colour, kind Kind) workday.Span {
	if k == ClockHandle && kind == Inquiry {
		return r.HandleInquiry[c]
	}
	return r.Clocks[k][c]
}

func (r Rules) ground(code string) (Ground, bool) {
	for _, g := range r.RefusalGrounds {
		if g.Code == code {
			return g, true
		}
	}
	return Ground{}, false
}

// part names the part of the day in which t falls.
func (r Rules) part(t time.Time) string {
	since := t.Sub(workday.DayOf(t).Start())
	for _, p := range r.DayParts {
		if p.From <= since && since < p.To {
			return p.Name
		}
	}
	return ""
}

// rulesCache keeps rule sets read from the table; they never change there.
type rulesCache struct {
	mu   sync.Mutex
	sets map[string]Rules
}

// current is the ID of the rules in force; the program's own are saved when a ticket first comes under them.
func (o *Office) current(tx *storage.Tx, now time.Time) (Rules, string, error) {
	r, id, err := o.inForce(tx, now)
	if err != nil || id != "" {
		return r, id, err
	}
	id = r.ID()
	body, err := json.Marshal(r)
	if err != nil {
		return Rules{}, "", err
	}
	_, err = tx.Exec(`INSERT INTO ticket_rules (version, effective, author, body, saved_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (version) DO NOTHING`,
		id, r.Effective, r.Author, string(body), storage.At(now))
	if err != nil {
		return Rules{}, "", fmt.Errorf("save rules %s: %w", id, err)
	}
	return r, id, nil
}

// rules reads the rule set under which a ticket was opened.
func (o *Office) rules(tx *storage.Tx, id string) (Rules, error) {
	o.cache.mu.Lock()
	r, ok := o.cache.sets[id]
	o.cache.mu.Unlock()
	if ok {
		return r, nil
	}
	body, err := storage.One(tx, storage.Value[string], `SELECT body FROM ticket_rules WHERE version = $1`, id)
	if err != nil {
		return Rules{}, fmt.Errorf("rules %s: %w", id, err)
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		return Rules{}, fmt.Errorf("rules %s: %w", id, err)
	}
	o.cache.mu.Lock()
	if o.cache.sets == nil {
		o.cache.sets = map[string]Rules{}
	}
	o.cache.sets[id] = r
	o.cache.mu.Unlock()
	return r, nil
}
