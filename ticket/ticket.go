// Package ticket carries a citizen's request (诉求) from first contact until it is settled: states, legs, clocks, call-backs, ratings, rework and alerts.
//
// Each ticket is a stream of events in the audit log. A command of Office loads the ticket, checks the rules, changes it
// and appends the event, all in the caller's transaction; the tables are projections that Replay can make again from the
// events. Free text never enters the log: events refer to it by id and sum.
//
// A command that is refused returns a *Refusal with a reason for staff in Chinese and has changed nothing. Any other
// error means that the transaction must be rolled back. Callers of PostgreSQL should run an Update again when it returns
// storage.ErrConflict.
package ticket

import (
	"time"
)

// State is where a ticket stands (domain model §2).
type State string

// States of a ticket.
const (
	New         State = "NEW"         // 待受理
	Answered    State = "ANSWERED"    // 直接答复
	Transferred State = "TRANSFERRED" // 转110
	Refused     State = "REFUSED"     // 不予受理
	Merged      State = "MERGED"      // 并入
	Accepted    State = "ACCEPTED"    // 已受理
	Dispatched  State = "DISPATCHED"  // 待签收
	Handling    State = "HANDLING"    // 办理中
	Suspended   State = "SUSPENDED"   // 挂起
	Reviewing   State = "REVIEWING"   // 待审核
	Replied     State = "REPLIED"     // 已答复
	AwaitRating State = "RATING"      // 待评价
	Rework      State = "REWORK"      // 重办: held until 会商 or 督办 decides; within the automatic rounds a ticket only passes through
	Closed      State = "CLOSED"      // 办结
	Withdrawn   State = "WITHDRAWN"   // 撤回
	Archived    State = "ARCHIVED"    // 归档
)

// States lists all states in the order of the main path.
var States = []State{New, Accepted, Dispatched, Handling, Suspended, Reviewing, Replied, Answered, AwaitRating, Rework, Closed, Refused, Transferred, Merged, Withdrawn, Archived}

var stateLabels = map[State]string{
	New: "待受理", Answered: "直接答复", Transferred: "转110", Refused: "不予受理", Merged: "已并入", Accepted: "已受理", Dispatched: "待签收",
	Handling: "办理中", Suspended: "挂起", Reviewing: "待审核", Replied: "已答复", AwaitRating: "待评价", Rework: "重办待会商", Closed: "办结",
	Withdrawn: "已撤回", Archived: "已归档",
}

// Label is the state for staff and citizens (zh-CN).
func (s State) Label() string { return stateLabels[s] }

// Open reports whether somebody still owes the citizen something in this state: such a ticket has a running clock and
// belongs to a unit or to a queue of the centre (ORG-6, I1).
func (s State) Open() bool {
	switch s {
	case New, Answered, Accepted, Dispatched, Handling, Suspended, Reviewing, Replied, AwaitRating, Rework:
		return true
	}
	return false
}

// OpenStates are the states for which State.Open holds.
var OpenStates = []State{New, Answered, Accepted, Dispatched, Handling, Suspended, Reviewing, Replied, AwaitRating, Rework}

// Kind is the type of a request; empty until somebody has said it.
type Kind string

// Kinds of requests (work-order field 诉求类型).
const (
	Inquiry    Kind = "inquiry"    // 咨询
	Help       Kind = "help"       // 求助
	Complaint  Kind = "complaint"  // 投诉
	Report     Kind = "report"     // 举报
	Suggestion Kind = "suggestion" // 意见建议
	Praise     Kind = "praise"     // 表扬
	Decision   Kind = "decision"   // 求决
)

// Kinds lists all kinds.
var Kinds = []Kind{Inquiry, Help, Complaint, Report, Suggestion, Praise, Decision}

var kindLabels = map[Kind]string{Inquiry: "咨询", Help: "求助", Complaint: "投诉", Report: "举报", Suggestion: "意见建议", Praise: "表扬", Decision: "求决"}

// Label is the kind for staff (zh-CN); 未定 while there is none.
func (k Kind) Label() string {
	if k == "" {
		return "未定"
	}
	return kindLabels[k]
}

// Valid reports whether k is one of Kinds.
func (k Kind) Valid() bool { return kindLabels[k] != "" }

// Colour is the grade of a ticket (domain model §7). Its text is the Chinese character itself.
type Colour string

// Colours, from the gravest.
const (
	Red    Colour = "红"
	Orange Colour = "橙"
	Yellow Colour = "黄"
	Blue   Colour = "蓝"
)

// Colours lists the colours from the gravest.
var Colours = []Colour{Red, Orange, Yellow, Blue}

// Rank orders the colours: 蓝 1 … 红 4, and 0 for no colour.
func (c Colour) Rank() int {
	switch c {
	case Red:
		return 4
	case Orange:
		return 3
	case Yellow:
		return 2
	case Blue:
		return 1
	}
	return 0
}

// Outcome says in what way a CLOSED ticket was closed.
type Outcome string

// Outcomes.
const (
	Rated      Outcome = "rated"      // the citizen rated it 基本满意 or better
	Unrated    Outcome = "unrated"    // 未评价: not reached in spite of all attempts; never counted as satisfied (I15)
	Determined Outcome = "determined" // 不满意·认定: two persons of different units found it handled by law, or the demand unreasonable
)

// Validity is the 有效性 of a request (norms §9, 14).
type Validity string

// Validities; empty is not judged yet.
const (
	Effective Validity = "effective" // 有效
	Nuisance  Validity = "nuisance"  // 骚扰
	Empty     Validity = "empty"     // 无实质内容
	Test      Validity = "test"      // 测试
	Misdial   Validity = "misdial"   // 误拨
	Elsewhere Validity = "elsewhere" // 非管辖已转
)

var validityLabels = map[Validity]string{"": "未判定", Effective: "有效", Nuisance: "骚扰", Empty: "无实质内容", Test: "测试", Misdial: "误拨", Elsewhere: "非管辖已转"}

// Label is the validity for staff (zh-CN).
func (v Validity) Label() string { return validityLabels[v] }

// Queues of the centre.
const (
	CentreQueue = "centre" // 中心
	SeatQueue   = "12389"  // the seat of 督察, for restricted channels
)

// HoldRework is the Hold of a ticket whose next rework needs 会商 or 督办 first (LOOP-5, the third round).
const HoldRework = "rework"

// Ticket is a request. Texts are shown with numbers masked; Office.Reveal gives the originals.
type Ticket struct {
	ID       string `json:"id"`
	Number   string `json:"number"` // 民2026-1123-0001
	Revision int64  `json:"-"`      // counts the changes people made; put it into Actor.Seen to act on what was seen
	State    State  `json:"state"`

	Channel      string   `json:"channel"`
	ExternalID   string   `json:"external_id,omitzero"` // the number it has where it came from
	Kind         Kind     `json:"kind,omitzero"`
	OriginalKind Kind     `json:"original_kind,omitzero"` // the first kind it had; statistics keep it (I13)
	Colour       Colour   `json:"colour"`
	Validity     Validity `json:"validity,omitzero"`

	Title    string `json:"-"`
	Body     string `json:"-"`
	Place    string `json:"-"`
	TitleRef Text   `json:"title,omitzero"`
	BodyRef  Text   `json:"body,omitzero"`
	PlaceRef Text   `json:"place,omitzero"`

	ContactID    string `json:"contact,omitzero"` // contact.Person
	CallID       string `json:"call,omitzero"`    // ivr call
	RecordID     string `json:"record,omitzero"`  // survey business record
	IncidentNo   string `json:"incident,omitzero"`
	WindowNo     string `json:"window,omitzero"` // number of the window that it is about, as its unit numbers them
	ClerkNo      string `json:"clerk,omitzero"`  // number of the clerk, never a name
	AccusedUnit  string `json:"accused_unit,omitzero"`
	AccusedStaff string `json:"accused_staff,omitzero"`
	UnitHint     string `json:"unit_hint,omitzero"` // where it probably belongs
	Community    string `json:"community,omitzero"` // code of an Area, as the words tell
	Confidential bool   `json:"confidential,omitzero"`
	Anonymous    bool   `json:"anonymous,omitzero"`
	Proactive    bool   `json:"proactive,omitzero"`  // 主动问需: we asked first
	Restricted   bool   `json:"restricted,omitzero"` // came by a restricted channel

	Round    int     `json:"round,omitzero"` // 0, then one more for each 重办
	Hold     string  `json:"hold,omitzero"`
	Queue    string  `json:"queue,omitzero"` // the queue it is in while no unit has it
	Host     string  `json:"host,omitzero"`  // 主办 of the present round
	Outcome  Outcome `json:"outcome,omitzero"`
	Stars    Stars   `json:"stars,omitzero"`  // the last rating
	Ground   string  `json:"ground,omitzero"` // code of the ground of a refusal
	Reply    string  `json:"-"`
	ReplyRef Text    `json:"reply,omitzero"`
	ReplyVia string  `json:"reply_via,omitzero"`

	AnsweredBy string `json:"answered_by,omitzero"` // who answered directly
	DecidedBy  string `json:"decided_by,omitzero"`  // who refused last; an appeal is for another person
	MergedInto string `json:"merged_into,omitzero"`
	RepeatOf   string `json:"repeat_of,omitzero"`

	Emotion      bool   `json:"emotion,omitzero"` // an operator confirmed that the caller was beside themselves
	GradeID      string `json:"grade,omitzero"`   // the last Grade, with its colour, its scores and its factors in short
	GradeColour  Colour `json:"grade_colour,omitzero"`
	GradeEvent   int    `json:"grade_event,omitzero"`
	GradePerson  int    `json:"grade_person,omitzero"`
	GradeFactors string `json:"grade_factors,omitzero"`
	StepsOpen    int    `json:"steps_open,omitzero"` // of the response plan

	Domain         string `json:"domain,omitzero"` // code of the first level of Class
	Class          string `json:"class,omitzero"`  // code of a Class, as a person decided it
	Cause          string `json:"cause,omitzero"`  // code of a Cause, as a person found it
	SuggestionID   string `json:"suggestion,omitzero"`
	SuggestedClass string `json:"suggested_class,omitzero"`
	SuggestedUnit  string `json:"suggested_unit,omitzero"`

	Returns     int    `json:"returns,omitzero"` // granted, of 主办 legs
	Extensions  int    `json:"extensions,omitzero"`
	Suspensions int    `json:"suspensions,omitzero"`
	RuleVersion string `json:"rules"`
	OpenedBy    string `json:"opened_by"`

	ReceivedAt  time.Time `json:"received_at"` // when it reached us
	OpenedAt    time.Time `json:"opened_at"`
	AcceptedAt  time.Time `json:"accepted_at,omitzero"`
	RespondedAt time.Time `json:"responded_at,omitzero"` // first substantive act: answer, dispatch, refusal notice, transfer
	RepliedAt   time.Time `json:"replied_at,omitzero"`   // last reply sent
	ClosedAt    time.Time `json:"closed_at,omitzero"`    // end of life other than archiving
	ArchivedAt  time.Time `json:"archived_at,omitzero"`
	ChangedAt   time.Time `json:"changed_at"`
	Due         time.Time `json:"due,omitzero"`          // the earliest due of its running clocks
	StableUntil time.Time `json:"stable_until,omitzero"` // held stable by a plan (稳控) until the next look
	ToldHalfAt  time.Time `json:"told_half_at,omitzero"` // when the citizen was told that it is still being handled (LOOP-13)

	Existing bool  `json:"-"` // set by Open when the ticket was there already
	version  int64 // counts every change
}

// Stream is the name of a ticket's stream in the audit log.
func Stream(id string) string { return "ticket/" + id }

// StateLabel is the state with what tells its variants apart: 办结(未评价), 重办待会商, 办理中(第1轮重办).
func (t Ticket) StateLabel() string {
	l := t.State.Label()
	switch {
	case (t.State == Closed || t.State == Archived) && t.Outcome == Unrated:
		return l + "(未评价)"
	case (t.State == Closed || t.State == Archived) && t.Outcome == Determined:
		return l + "(不满意·认定)"
	case t.Round > 0 && t.State.Open() && t.State != Rework:
		return l + "(第" + chinese(t.Round) + "轮重办)"
	}
	return l
}

func chinese(n int) string {
	digits := []rune("零一二三四五六七八九十")
	if n < len(digits) {
		return string(digits[n])
	}
	return "多"
}

// Stars is a rating as norms §4 count: 5 非常满意 … 1 非常不满意; 0 is none. (The digits of the survey's text run the other
// way: there 1 is the best. FromReplyDigit turns them.)
type Stars int

// FromReplyDigit turns the digit a resident replies or presses (1 best … 5 worst) into Stars; 0 for other digits.
func FromReplyDigit(d int) Stars {
	if d < 1 || d > 5 {
		return 0
	}
	return Stars(6 - d)
}

// Valid reports whether s is 1 to 5.
func (s Stars) Valid() bool { return s >= 1 && s <= 5 }

// Bad reports whether s is one of the two lowest levels, 差评.
func (s Stars) Bad() bool { return s == 1 || s == 2 }

// Label is the rating for people (zh-CN).
func (s Stars) Label() string {
	if !s.Valid() {
		return "未评价"
	}
	return [...]string{"非常不满意", "不满意", "基本满意", "满意", "非常满意"}[s-1]
}
