package org

import "slices"

// An Action is something that a permission is needed for.
type Action string

// Actions. Those on one ticket, call or person hold within the reach of the
// role only (see Scope), and never against invariant I6: the accused unit or
// officer is refused whatever this table says.
const (
	ViewTicket       Action = "ticket.view"
	ViewRestricted   Action = "ticket.view-restricted" // 12389 and other restricted intake
	OpenTicket       Action = "ticket.open"
	AmendTicket      Action = "ticket.amend"
	AcceptTicket     Action = "ticket.accept"
	AnswerTicket     Action = "ticket.answer" // 直接答复
	Transfer110      Action = "ticket.transfer110"
	RefuseTicket     Action = "ticket.refuse"
	MergeTicket      Action = "ticket.merge"
	DispatchTicket   Action = "ticket.dispatch"
	SignTicket       Action = "ticket.sign"
	LogContact       Action = "ticket.log-contact" // 首次联系, 联系记录
	RequestReturn    Action = "ticket.request-return"
	DecideReturn     Action = "ticket.decide-return"
	RequestExtension Action = "ticket.request-extension"
	DecideExtension  Action = "ticket.decide-extension"
	SuspendTicket    Action = "ticket.suspend" // and resume
	SubmitResult     Action = "ticket.submit"
	ReviewResult     Action = "ticket.review" // reject, or approve and so reply
	OpenRating       Action = "ticket.open-rating"
	RateTicket       Action = "ticket.rate"
	DetermineTicket  Action = "ticket.determine" // 已依法办理/不合理, by two persons
	WithdrawTicket   Action = "ticket.withdraw"
	ArchiveTicket    Action = "ticket.archive"
	GradeTicket      Action = "ticket.grade"
	CommentTicket    Action = "ticket.comment"
	InstructTicket   Action = "ticket.instruct" // 批示

	ViewCallbacks Action = "callback.view"
	MakeCallback  Action = "callback.make" // 回拨: messages and abandoned calls
	MakeReview    Action = "callback.rate" // 回访: after a rating or a reply
	ViewAlerts    Action = "alert.view"
	AckAlert      Action = "alert.ack"

	Supervise      Action = "supervise"                   // 督办: issue, follow, 催办
	ApproveList    Action = "supervise.approve"           // 挂牌, 摘牌
	OpenConsult    Action = "consult.open"                // 会商
	GiveOpinion    Action = "consult.opinion"             //
	IssueOrder     Action = "order.issue"                 // 调度指令
	Backcheck      Action = "backcheck"                   // 倒查
	ViewWatch      Action = "watch.view"                  // 重点关注
	ApproveWatch   Action = "watch.approve"               //
	ViewRatings    Action = "window.view"                 // 好差评
	AppealRating   Action = "window.appeal"               //
	JudgeAppeal    Action = "window.judge"                //
	RateService    Action = "window.rate"                 //
	ViewReports    Action = "report.view"                 //
	DraftReport    Action = "report.draft"                //
	ReviewReport   Action = "report.review"               // another than who wrote it
	IssueReport    Action = "report.publish"              //
	ExportData     Action = "data.export"                 //
	ViewSurvey     Action = "survey.view"                 //
	RunSurvey      Action = "survey.run"                  //
	SetSurvey      Action = "survey.configure"            // classes, templates, caps
	ImportData     Action = "records.import"              //
	ViewPolls      Action = "poll.view"                   // polls, their results
	RunPolls       Action = "poll.run"                    // define, open (by another), invite, close
	ViewTexts      Action = "sms.view"                    // numbers masked
	UseHandset     Action = "sms.handset"                 // the simulated handset
	SortReplies    Action = "sms.sort-replies"            // replies that a person must read
	ViewBoard      Action = "board.view"                  // live calls and waiting callers
	TakeCalls      Action = "call.take"                   //
	ViewCalls      Action = "call.view"                   //
	PlayCalls      Action = "call.play"                   // recordings
	HoldCalls      Action = "call.hold"                   // keep a recording beyond its time
	ExportCalls    Action = "call.export"                 // recordings and call records as files
	TraceCalls     Action = "call.trace"                  // signalling and media of a call, without its sound
	CaptureCalls   Action = "call.capture"                // packets of a call
	BlockCallers   Action = "call.block"                  // propose a nuisance caller
	JudgeBlocks    Action = "call.block-approve"          // and approve it: never the same person
	FlagCallers    Action = "call.flag"                   // propose a mark of a caller (vip, protected …)
	JudgeFlags     Action = "call.flag-approve"           // and approve it: never the same person
	ListenIn       Action = "call.listen"                 // live: listen, whisper, barge
	DialOut        Action = "call.dial"                   // numbers outside, and transfers there
	ViewPeople     Action = "contact.view"                // masked
	Reveal         Action = "contact.reveal"              // in the open, with a reason
	RevealSecret   Action = "contact.reveal-confidential" // of a person who asked for confidentiality
	EditPeople     Action = "contact.edit"                //
	OptOutPeople   Action = "contact.opt-out"             //
	ShieldPeople   Action = "contact.shield"              // 免打扰
	ViewPersonal   Action = "person.view"                 // what people ask about their own data
	HandlePersonal Action = "person.handle"               // register and carry out: copy, correction, erasure
	JudgePersonal  Action = "person.approve"              // and approve it: never the same person
	ReadKB         Action = "knowledge.view"              //
	EditKB         Action = "knowledge.edit"              //
	ViewStaff      Action = "org.view"                    //
	ManageStaff    Action = "org.manage"                  // units, staff, extensions
	ManageTokens   Action = "token.manage"                //
	ManageRoster   Action = "roster.manage"               // shifts, and what seats serve
	ManageRules    Action = "rules.manage"                // limits, calendar, channels, flows
	SetMailTexts   Action = "mail.configure"              // texts of mails to citizens: proposed by one, approved by another
	ConsentGrading Action = "rules.consent"               // grading rules that another proposed
	ViewRules      Action = "rules.view"                  // limits and calendar as they stand
	ViewAudit      Action = "audit.view"                  //
	ViewHealth     Action = "system.view"                 // health and metrics on pages
)

// Groups of roles that the table below is written with.
var (
	public  = []Role{Citizen, Enterprise}
	floor   = []Role{Operator, Dispatcher}                                                 // who takes matters in
	unit    = []Role{Handler, Reviewer}                                                    // who handles them
	windows = []Role{Clerk, WindowManager}                                                 //
	centre  = []Role{Operator, Dispatcher, Caller, Supervisor, Analyst, Leader, DutyChief} // who sees all of them
	house   = []Role{Operator, Dispatcher, Handler, Reviewer, Caller, Supervisor, Expert, Analyst, Leader, DutyChief, Clerk, WindowManager, Inspector, Admin, Auditor}
)

// table is who may do what: the only place where it is said.
var table = []struct {
	action Action
	label  string
	roles  []Role
}{
	{ViewTicket, "查看工单", join(public, centre, unit, windows, is(Expert, Inspector, Auditor))},
	{ViewRestricted, "查看涉警投诉等限制工单", is(Inspector, Leader)},
	{OpenTicket, "登记诉求", join(public, floor, windows, is(Bot, Caller, Supervisor, Inspector))},
	{AmendTicket, "补充诉求内容", join(floor, is(Bot, Caller, Supervisor, Inspector))},
	{AcceptTicket, "受理", is(Operator, Dispatcher, Inspector)},
	{AnswerTicket, "直接答复", is(Operator, Bot, Dispatcher, Inspector)},
	{Transfer110, "转110", is(Operator, Bot, Dispatcher, DutyChief)},
	{RefuseTicket, "不予受理", is(Dispatcher, Inspector)},
	{MergeTicket, "并案", is(Dispatcher)},
	{DispatchTicket, "派单", is(Dispatcher, DutyChief, Inspector)},
	{SignTicket, "签收", unit},
	{LogContact, "记录联系群众情况", join(unit, is(Operator, Dispatcher, Caller, Inspector))},
	{RequestReturn, "申请退回", unit},
	{DecideReturn, "审批退回", is(Dispatcher, Supervisor, DutyChief)},
	{RequestExtension, "申请延期", unit},
	{DecideExtension, "审批延期", is(Dispatcher, Supervisor, Leader, DutyChief)},
	{SuspendTicket, "挂起与恢复", is(Dispatcher, Supervisor)},
	{SubmitResult, "提交办理结果", unit},
	{ReviewResult, "审核办理结果", is(Reviewer, Dispatcher, Supervisor, Inspector)},
	{OpenRating, "发起评价", is(Dispatcher, Caller)},
	{RateTicket, "评价办理结果", join(public, is(Bot, Caller))},
	{DetermineTicket, "认定不满意件", is(Reviewer, Supervisor, Inspector)},
	{WithdrawTicket, "撤回诉求", join(public, floor, is(Caller))},
	{ArchiveTicket, "归档", is(Dispatcher)},
	{GradeTicket, "调整颜色等级", is(Dispatcher, Supervisor, Leader, DutyChief)},
	{CommentTicket, "备注", join(centre, unit, is(Expert, Inspector))},
	{InstructTicket, "批示", is(Leader, DutyChief)},

	{ViewCallbacks, "查看回访回拨任务", is(Operator, Dispatcher, Caller, Supervisor, Leader, DutyChief, Auditor)},
	{MakeCallback, "回拨", is(Operator, Caller)},
	{MakeReview, "回访", is(Caller)},
	{ViewAlerts, "查看预警", join(centre, is(Inspector, Auditor))},
	{AckAlert, "处置预警", is(Operator, Dispatcher, Caller, Supervisor, Analyst, Leader, DutyChief)},

	{Supervise, "督办", is(Supervisor)},
	{ApproveList, "批准挂牌与摘牌", is(Leader)},
	{OpenConsult, "发起会商", is(Dispatcher, Supervisor, Leader, DutyChief)},
	{GiveOpinion, "提出会商意见", is(Expert, Supervisor, Leader, DutyChief)},
	{IssueOrder, "签发调度指令", is(Supervisor, Leader, DutyChief)},
	{Backcheck, "倒查", is(Supervisor, Inspector)},
	{ViewWatch, "查看重点关注", is(Analyst, Leader, Auditor)},
	{ApproveWatch, "批准重点关注", is(Leader)},
	{ViewRatings, "查看好差评", join(windows, is(Reviewer, Caller, Supervisor, Analyst, Leader, DutyChief, Inspector, Auditor))},
	{AppealRating, "差评申诉", windows},
	{JudgeAppeal, "申诉复核", is(Supervisor, Inspector)},
	{RateService, "评价窗口服务", public},
	{ViewReports, "查看报表", join(centre, is(Reviewer, WindowManager, Inspector, Auditor))},
	{DraftReport, "起草报告", is(Supervisor, Analyst)},
	{ReviewReport, "审核报告", is(Supervisor, Analyst, Leader)},
	{IssueReport, "签发通报", is(Leader)},
	{ExportData, "导出数据", is(Supervisor, Analyst)},

	{ViewSurvey, "查看短信访评", join(centre, is(Admin, Auditor))},
	{RunSurvey, "执行短信访评", is(Supervisor, Admin)},
	{SetSurvey, "设置短信访评", is(Admin)},
	{ImportData, "导入业务记录", is(Dispatcher, Supervisor, Admin)},
	{ViewPolls, "查看民意测评", is(Supervisor, Analyst, Leader, Auditor)},
	{RunPolls, "组织民意测评", is(Supervisor, Analyst)},
	{ViewTexts, "查看短信", is(Operator, Dispatcher, Caller, Supervisor, Analyst, Admin, Auditor)},
	{UseHandset, "使用模拟手机", is(Supervisor, Admin)},
	{SortReplies, "人工判读回复", is(Caller, Supervisor)},

	{ViewBoard, "查看热线看板", join(centre, is(Admin, Auditor))},
	{TakeCalls, "接听热线", is(Operator, Caller, Supervisor)},
	{ViewCalls, "查看通话记录", is(Operator, Dispatcher, Caller, Supervisor, Analyst, Leader, DutyChief, Inspector, Auditor)},
	{PlayCalls, "播放录音", is(Operator, Dispatcher, Caller, Supervisor, Inspector, Auditor)},
	{ListenIn, "监听通话", is(Supervisor)},
	{HoldCalls, "留存录音", is(Supervisor, Inspector)},
	{ExportCalls, "导出录音和话单", is(Supervisor, Inspector)},
	{TraceCalls, "查看信令与媒体", is(Supervisor, Admin, Auditor)},
	{CaptureCalls, "抓取通话报文", is(Supervisor, Admin)},
	{BlockCallers, "提请限制骚扰来电", is(Operator, Dispatcher, Supervisor, Leader, DutyChief)},
	{JudgeBlocks, "批准限制骚扰来电", is(Supervisor, Leader, DutyChief)},
	{FlagCallers, "提请来电标记", is(Operator, Dispatcher, Caller, Supervisor, Leader, DutyChief)},
	{JudgeFlags, "批准来电标记", is(Supervisor, Leader, DutyChief)},
	{DialOut, "外呼与外线转接", is(Operator, Dispatcher, Caller, Supervisor, DutyChief)},

	{ViewPeople, "查看群众档案（脱敏）", join(centre, unit, is(Inspector, Auditor))},
	{Reveal, "查看完整号码和姓名", join(floor, unit, is(Caller, Supervisor, Inspector))},
	{RevealSecret, "查看要求保密的身份", is(Caller, Inspector)},
	{EditPeople, "修改群众档案", is(Operator, Dispatcher, Caller)},
	{OptOutPeople, "登记退订", is(Operator, Bot, Dispatcher, Caller, Supervisor)},
	{ShieldPeople, "登记免打扰", is(Caller, Supervisor)},

	{ViewPersonal, "查看个人信息请求", is(Leader, Inspector, Auditor)},
	{HandlePersonal, "办理个人信息请求", is(Inspector)},
	{JudgePersonal, "批准个人信息请求", is(Leader, Inspector)},
	{ReadKB, "查阅知识库", join(house, is(Bot))},
	{EditKB, "维护知识库", is(Supervisor, Analyst)},
	{ViewStaff, "查看机构人员", join(centre, is(Reviewer, WindowManager, Inspector, Admin, Auditor))},
	{ManageStaff, "管理机构人员", is(Admin)},
	{ManageTokens, "管理接口令牌", is(Admin)},
	{ManageRoster, "管理排班和坐席", is(Supervisor, DutyChief, Admin)},
	{ManageRules, "管理规则", is(Admin)},
	{SetMailTexts, "拟定和批准邮件模板", is(Supervisor, Leader, Admin)},
	{ConsentGrading, "同意颜色评定规则新版本", is(Leader)},
	{ViewRules, "查看规则", join(centre, is(Reviewer, Inspector, Admin, Auditor))},
	{ViewAudit, "查看审计日志", is(Auditor)},
	{ViewHealth, "查看系统运行状态", is(Supervisor, Leader, DutyChief, Admin, Auditor)},
}

func is(r ...Role) []Role { return r }

func join(groups ...[]Role) []Role { return slices.Concat(groups...) }

var allowed = func() map[Action]map[Role]bool {
	m := make(map[Action]map[Role]bool, len(table))
	for _, p := range table {
		m[p.action] = make(map[Role]bool, len(p.roles))
		for _, r := range p.roles {
			m[p.action][r] = true
		}
	}
	return m
}()

// Can reports whether a role may do an action at all; within what reach is
// ScopeOf's answer. Roles and actions that do not exist may nothing.
func Can(role Role, action Action) bool { return allowed[action][role] }

// Actions returns all actions in the order of the table.
func Actions() []Action {
	out := make([]Action, len(table))
	for i, p := range table {
		out[i] = p.action
	}
	return out
}

// Label is the name of the action on pages.
func (a Action) Label() string {
	for _, p := range table {
		if p.action == a {
			return p.label
		}
	}
	return string(a)
}
