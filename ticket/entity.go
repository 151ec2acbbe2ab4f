package ticket

import "time"

// LegRole tells 主办 from 协办.
type LegRole string

// Roles of legs.
const (
	Host LegRole = "host" // 主办
	Co   LegRole = "co"   // 协办
)

// Label is the role for staff (zh-CN).
func (r LegRole) Label() string {
	if r == Host {
		return "主办"
	}
	return "协办"
}

// LegState is where a unit's part of a ticket stands.
type LegState string

// States of a leg (domain model §2). After a request is decided against the unit, or an extension for it, the leg is
// again where it was before; the Request keeps the decision.
const (
	LegPending   LegState = "PENDING_SIGN" // 待签收
	LegSigned    LegState = "SIGNED"       // 已签收
	LegWorking   LegState = "WORKING"      // 办理中
	LegReturnReq LegState = "RETURN_REQ"   // 申请退回
	LegReturned  LegState = "RETURNED"     // 已退回
	LegExtReq    LegState = "EXT_REQ"      // 申请延期
	LegSubmitted LegState = "SUBMITTED"    // 已提交
	LegAccepted  LegState = "ACCEPTED"     // 审核通过
	LegSentBack  LegState = "SENT_BACK"    // 审核退回
	LegCancelled LegState = "CANCELLED"    // 已取消
)

var legLabels = map[LegState]string{LegPending: "待签收", LegSigned: "已签收", LegWorking: "办理中", LegReturnReq: "申请退回中", LegReturned: "已退回",
	LegExtReq: "申请延期中", LegSubmitted: "已提交", LegAccepted: "审核通过", LegSentBack: "审核退回", LegCancelled: "已取消"}

// Label is the state for staff (zh-CN).
func (s LegState) Label() string { return legLabels[s] }

// Live reports whether the unit still has something to do, or to wait for, with the leg.
func (s LegState) Live() bool { return s != LegReturned && s != LegAccepted && s != LegCancelled }

// Leg is a unit's part of a ticket (承办工单).
type Leg struct {
	ID         string   `json:"id"`
	TicketID   string   `json:"ticket"`
	Round      int      `json:"round"`
	Role       LegRole  `json:"role"`
	Unit       string   `json:"unit"`
	State      LegState `json:"state"`
	Before     LegState `json:"before,omitzero"`     // the state while a request is open
	Designated bool     `json:"designated,omitzero"` // by the centre after too many returns: cannot be returned again

	Handler     string `json:"handler,omitzero"` // actor who works on it: staff/01J…
	AssignedBy  string `json:"assigned_by"`
	SignedBy    string `json:"signed_by,omitzero"`
	SubmittedBy string `json:"submitted_by,omitzero"`
	ReviewedBy  string `json:"reviewed_by,omitzero"`

	Result     string     `json:"-"`
	ResultRef  Text       `json:"result,omitzero"`
	Basis      string     `json:"-"`
	BasisRef   Text       `json:"basis,omitzero"`
	Finding    Finding    `json:"finding,omitzero"`
	Resolution Resolution `json:"resolution,omitzero"`

	Contacts    int       `json:"contacts,omitzero"` // contacts and attempts recorded
	AssignedAt  time.Time `json:"assigned_at"`
	SignedAt    time.Time `json:"signed_at,omitzero"`
	ContactedAt time.Time `json:"contacted_at,omitzero"` // first contact with the citizen
	ReportedAt  time.Time `json:"reported_at,omitzero"`
	SubmittedAt time.Time `json:"submitted_at,omitzero"`
	ReviewedAt  time.Time `json:"reviewed_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// Finding is 属实认定.
type Finding string

// Findings.
const (
	Substantiated   Finding = "true"    // 属实
	PartlyTrue      Finding = "partly"  // 部分属实
	Unsubstantiated Finding = "untrue"  // 不属实
	NoFinding       Finding = "neutral" // 不涉及
)

var findingLabels = map[Finding]string{Substantiated: "属实", PartlyTrue: "部分属实", Unsubstantiated: "不属实", NoFinding: "不涉及"}

// Label is the finding for staff (zh-CN).
func (f Finding) Label() string { return findingLabels[f] }

// Resolution is 解决状态.
type Resolution string

// Resolutions.
const (
	Solved    Resolution = "solved"    // 已解决
	Explained Resolution = "explained" // 已解释接受
	Partly    Resolution = "partly"    // 部分解决
	Planned   Resolution = "planned"   // 列入计划
	Unsolved  Resolution = "unsolved"  // 未解决
)

var resolutionLabels = map[Resolution]string{Solved: "已解决", Explained: "已解释接受", Partly: "部分解决", Planned: "列入计划", Unsolved: "未解决"}

// Label is the resolution for staff (zh-CN).
func (r Resolution) Label() string { return resolutionLabels[r] }

// RequestKind is what is asked for.
type RequestKind string

// Kinds of requests that another person decides.
const (
	AskReturn    RequestKind = "return"    // 退回
	AskExtension RequestKind = "extension" // 延期
	AskSuspend   RequestKind = "suspend"   // 挂起
	AskRetype    RequestKind = "retype"    // 改类
	AskLower     RequestKind = "lower"     // 降色
	AskDetermine RequestKind = "determine" // 认定
	AskStable    RequestKind = "stable"    // 稳控
)

var requestLabels = map[RequestKind]string{AskReturn: "退回", AskExtension: "延期", AskSuspend: "挂起", AskRetype: "改类", AskLower: "降色", AskDetermine: "认定", AskStable: "稳控"}

// Label is the kind for staff (zh-CN).
func (k RequestKind) Label() string { return requestLabels[k] }

// RequestState is where a request stands.
type RequestState string

// States of a request.
const (
	Asked   RequestState = "asked"
	Granted RequestState = "granted"
	Denied  RequestState = "denied"
	Lapsed  RequestState = "lapsed" // the ticket moved on before it was decided
)

var requestStateLabels = map[RequestState]string{Asked: "待审批", Granted: "同意", Denied: "不同意", Lapsed: "失效"}

// Label is the state for staff (zh-CN).
func (s RequestState) Label() string { return requestStateLabels[s] }

// Request is something one person asks for and another decides.
type Request struct {
	ID          string       `json:"id"`
	TicketID    string       `json:"ticket"`
	LegID       string       `json:"leg,omitzero"`
	Kind        RequestKind  `json:"kind"`
	State       RequestState `json:"state"`
	Reason      string       `json:"-"`
	ReasonRef   Text         `json:"reason,omitzero"`
	Clause      string       `json:"-"` // return: the duty clause
	ClauseRef   Text         `json:"clause,omitzero"`
	Suggest     string       `json:"suggest,omitzero"` // return: the unit whose duty it is
	Days        int          `json:"days,omitzero"`    // extension
	Value       string       `json:"value,omitzero"`   // retype: kind; lower: colour
	Until       time.Time    `json:"until,omitzero"`   // suspension
	AskedBy     string       `json:"asked_by"`
	AskedUnit   string       `json:"asked_unit,omitzero"`
	AskedAt     time.Time    `json:"asked_at"`
	DecidedBy   string       `json:"decided_by,omitzero"`
	DecidedUnit string       `json:"decided_unit,omitzero"`
	DecidedAt   time.Time    `json:"decided_at,omitzero"`
	Decision    string       `json:"-"`
	DecisionRef Text         `json:"decision,omitzero"`
	Informed    string       `json:"-"` // extension: how the citizen was told (I11)
	InformedRef Text         `json:"informed,omitzero"`
}

// Rating is one rating by the citizen; all are kept (I17).
type Rating struct {
	ID        string    `json:"id"`
	TicketID  string    `json:"ticket"`
	Round     int       `json:"round"`
	Stars     Stars     `json:"stars"`
	Via       string    `json:"via"`            // "key", "sms", "callback", "mini", "web"
	Scale     Scale     `json:"scale,omitzero"` // that the citizen was asked on; "" before it was kept
	Given     string    `json:"given,omitzero"` // the value on it as it was given; Stars is what it was folded to
	Words     string    `json:"-"`
	WordsRef  Text      `json:"words,omitzero"`
	Contested bool      `json:"contested,omitzero"` // bad, and two persons are to determine whether it leads to rework
	By        string    `json:"by"`
	At        time.Time `json:"at"`
}

// ClockState is where a clock stands.
type ClockState string

// States of a clock.
const (
	Running        ClockState = "running"
	Paused         ClockState = "paused"
	Met            ClockState = "met"       // stopped in time
	Late           ClockState = "late"      // stopped after its due
	ClockCancelled ClockState = "cancelled" // no longer asked for: withdrawn, merged, returned …
)

var clockStateLabels = map[ClockState]string{Running: "计时中", Paused: "暂停", Met: "按时", Late: "超时", ClockCancelled: "取消"}

// Label is the state for staff (zh-CN).
func (s ClockState) Label() string { return clockStateLabels[s] }

// Clock is one time limit of a ticket. Its rule and calendar versions are fixed when it starts (I9); only the explicit
// commands that extend, resume or recompute it change its due.
type Clock struct {
	ID       string     `json:"id"`
	TicketID string     `json:"ticket"`
	LegID    string     `json:"leg,omitzero"`
	Round    int        `json:"round,omitzero"`
	Kind     ClockKind  `json:"kind"`
	State    ClockState `json:"state"`

	Span     string        `json:"span"` // as the rules gave it: "5wd"
	BaseSpan string        `json:"base_span"`
	Extra    int           `json:"extra,omitzero"`  // WD added to base_span by an extension
	Total    time.Duration `json:"total"`           // its whole length, working time or wall time
	Left     time.Duration `json:"left,omitzero"`   // while paused: what is left of it
	PausedMS int64         `json:"paused,omitzero"` // wall milliseconds it has stood still in all (I10)
	Guessed  bool          `json:"guessed,omitzero"`
	Fired    string        `json:"fired,omitzero"` // points already announced, such as "half most"

	RuleVersion     string `json:"rules"`
	CalendarVersion string `json:"calendar"`

	StartedAt time.Time `json:"started_at"`
	BaseAt    time.Time `json:"base_at"` // due = BaseAt + BaseSpan + Extra
	DueAt     time.Time `json:"due_at"`
	HalfAt    time.Time `json:"half_at,omitzero"`
	MostAt    time.Time `json:"most_at,omitzero"`
	YellowAt  time.Time `json:"yellow_at,omitzero"`
	RedAt     time.Time `json:"red_at,omitzero"`
	PausedAt  time.Time `json:"paused_at,omitzero"`
	StoppedAt time.Time `json:"stopped_at,omitzero"`
	NextAt    time.Time `json:"-"` // the next point to announce
}

// Overdue reports whether a clock that has not stopped is past its due.
func (c Clock) Overdue(now time.Time) bool { return c.State == Running && now.After(c.DueAt) }

// CallbackKind is why somebody is to be called back.
type CallbackKind string

// Kinds of call-backs.
const (
	CallbackAbandoned CallbackKind = "abandoned" // 未接回拨: hung up while waiting
	CallbackMessage   CallbackKind = "message"   // 留言回拨: left a recorded message
	CallbackRating    CallbackKind = "rating"    // 差评回访: rated a service badly by text
	CallbackReview    CallbackKind = "review"    // 办结回访: asks for the rating of a ticket
)

// CallbackKinds lists all kinds.
var CallbackKinds = []CallbackKind{CallbackAbandoned, CallbackMessage, CallbackRating, CallbackReview}

var callbackLabels = map[CallbackKind]string{CallbackAbandoned: "未接回拨", CallbackMessage: "留言回拨", CallbackRating: "差评回访", CallbackReview: "办结回访"}

// Label is the kind for staff (zh-CN).
func (k CallbackKind) Label() string { return callbackLabels[k] }

// CallbackState is where a call-back stands.
type CallbackState string

// States of a call-back.
const (
	CallbackOpen    CallbackState = "open"
	CallbackDone    CallbackState = "done"    // the person was spoken with, or answered another way
	CallbackDropped CallbackState = "dropped" // not reached in spite of all attempts, or no longer needed
)

var callbackStateLabels = map[CallbackState]string{CallbackOpen: "待回访", CallbackDone: "已完成", CallbackDropped: "已结束（未接通或不再需要）"}

// Label is the state for staff (zh-CN).
func (s CallbackState) Label() string { return callbackStateLabels[s] }

// Callback is a call that the centre owes somebody.
type Callback struct {
	ID           string        `json:"id"`
	Key          string        `json:"key,omitzero"` // opening it again under the same key returns this one; "" is derived from Kind and CallID or RecordID
	TicketID     string        `json:"ticket,omitzero"`
	Kind         CallbackKind  `json:"kind"`
	Round        int           `json:"round,omitzero"`
	State        CallbackState `json:"state"`
	ContactID    string        `json:"contact,omitzero"`
	CallID       string        `json:"call,omitzero"`
	RecordID     string        `json:"record,omitzero"`
	Reason       string        `json:"-"`
	ReasonRef    Text          `json:"reason,omitzero"`
	ExcludeUnit  string        `json:"-"` // when opening: the unit that is rated
	ExcludeUnits []string      `json:"exclude,omitempty"`
	Assignee     string        `json:"assignee,omitzero"` // actor: staff/01J…
	Outcome      TryOutcome    `json:"outcome,omitzero"`  // the last
	Note         string        `json:"-"`
	NoteRef      Text          `json:"note,omitzero"`
	Tries        int           `json:"tries,omitzero"`
	Warned       bool          `json:"warned,omitzero"` // overdue was announced
	OpenedBy     string        `json:"opened_by"`
	OpenedAt     time.Time     `json:"opened_at"`
	Due          time.Time     `json:"due"`
	FinishedBy   string        `json:"finished_by,omitzero"`
	FinishedAt   time.Time     `json:"finished_at,omitzero"`

	By       Actor `json:"-"` // when opening
	Existing bool  `json:"-"` // set by OpenCallback when it was there already
	version  int64
}

// TryOutcome is how an attempt to reach somebody ended.
type TryOutcome string

// Outcomes of an attempt.
const (
	Reached     TryOutcome = "reached"      // 接通并沟通
	NoAnswer    TryOutcome = "no_answer"    // 无人接听
	Busy        TryOutcome = "busy"         // 占线
	SwitchedOff TryOutcome = "switched_off" // 关机或不在服务区
	WrongNumber TryOutcome = "wrong_number" // 空号或非本人
	HungUp      TryOutcome = "hung_up"      // 接通后挂断或拒绝
	CallLater   TryOutcome = "call_later"   // 约定再联系
)

// TryOutcomes lists all outcomes.
var TryOutcomes = []TryOutcome{Reached, NoAnswer, Busy, SwitchedOff, WrongNumber, HungUp, CallLater}

var tryLabels = map[TryOutcome]string{Reached: "已接通", NoAnswer: "无人接听", Busy: "占线", SwitchedOff: "关机或不在服务区", WrongNumber: "空号或非本人", HungUp: "挂断或拒绝", CallLater: "约定再联系"}

// Label is the outcome for staff (zh-CN).
func (o TryOutcome) Label() string { return tryLabels[o] }

// Try is one attempt to reach somebody.
type Try struct {
	ID         string     `json:"id"`
	CallbackID string     `json:"callback"`
	TicketID   string     `json:"ticket,omitzero"`
	Round      int        `json:"round,omitzero"`
	Outcome    TryOutcome `json:"outcome"`
	Part       string     `json:"part"` // part of the day
	Note       string     `json:"-"`
	NoteRef    Text       `json:"note,omitzero"`
	By         string     `json:"by"`
	At         time.Time  `json:"at"`
}

// AlertState is where an alert stands.
type AlertState string

// States of an alert.
const (
	AlertRaised   AlertState = "RAISED"
	AlertAcked    AlertState = "ACKED"
	AlertDisposed AlertState = "DISPOSED"
)

var alertLabels = map[AlertState]string{AlertRaised: "待确认", AlertAcked: "已确认", AlertDisposed: "已处置"}

// Label is the state for staff (zh-CN).
func (s AlertState) Label() string { return alertLabels[s] }

// Disposition is what was done about an alert.
type Disposition string

// Dispositions.
const (
	ToTicket     Disposition = "ticket"       // 转为诉求
	ToOrder      Disposition = "order"        // 下达调度指令
	Intervention Disposition = "intervention" // 已干预
	Noise        Disposition = "noise"        // 误报
)

var dispositionLabels = map[Disposition]string{ToTicket: "转为诉求", ToOrder: "下达调度指令", Intervention: "已干预处置", Noise: "误报"}

// Label is the disposition for staff (zh-CN).
func (d Disposition) Label() string { return dispositionLabels[d] }

// Alert is something that must be looked at now. Rule names what raised it ("W1", "danger_reply", "unattended").
type Alert struct {
	ID          string      `json:"id"`
	Key         string      `json:"key,omitzero"` // raising it again under the same key returns this one
	Rule        string      `json:"rule"`
	Level       Colour      `json:"level"`
	State       AlertState  `json:"state"`
	TicketID    string      `json:"ticket,omitzero"`
	CallID      string      `json:"call,omitzero"`
	ContactID   string      `json:"contact,omitzero"`
	RecordID    string      `json:"record,omitzero"`
	Subject     string      `json:"subject,omitzero"` // anything else it is about: "unit/…", "carrier/sim"
	Title       string      `json:"-"`
	TitleRef    Text        `json:"title,omitzero"`
	Evidence    string      `json:"-"` // the words or facts that raised it
	EvidenceRef Text        `json:"evidence,omitzero"`
	Escalations int         `json:"escalations,omitzero"` // times it was raised again because nobody acknowledged it
	Disposition Disposition `json:"disposition,omitzero"`
	Note        string      `json:"-"`
	NoteRef     Text        `json:"note,omitzero"`
	RaisedBy    string      `json:"raised_by"`
	RaisedAt    time.Time   `json:"raised_at"`
	AckDue      time.Time   `json:"ack_due,omitzero"`
	AckedBy     string      `json:"acked_by,omitzero"`
	AckedAt     time.Time   `json:"acked_at,omitzero"`
	DisposedBy  string      `json:"disposed_by,omitzero"`
	DisposedAt  time.Time   `json:"disposed_at,omitzero"`
	Times       int         `json:"times,omitzero"`    // that what it is about happened again while it was open (RaiseStanding)
	AgainAt     time.Time   `json:"again_at,omitzero"` // the last time

	By       Actor `json:"-"` // when raising
	Existing bool  `json:"-"` // set by RaiseAlert when it was there already
	version  int64
}
