package oversee

// States. Those of one kind have the meaning that its table below gives.
const (
	Candidate State = "CANDIDATE"
	Issued    State = "ISSUED"
	Signed    State = "SIGNED"
	Feedback  State = "FEEDBACK"
	SentBack  State = "RETURN"
	Released  State = "RELEASED"
	Escalated State = "ESCALATED"
	Dropped   State = "DROPPED"

	Opened    State = "OPEN"
	Governing State = "GOVERNING"
	Observing State = "MONITOR"
	Done      State = "DONE"

	Invited   State = "INVITED"
	Opinions  State = "OPINIONS"
	Concluded State = "CONCLUDED"
	Adjourned State = "ADJOURNED"

	Active  State = "ACTIVE"
	Retired State = "RETIRED"

	Draft    State = "DRAFT"
	Acting   State = "ACTING"
	Reported State = "REPORTED"
	Verified State = "VERIFIED"
	ClosedUp State = "CLOSED"

	Looking    State = "REVIEWING"
	Rectifying State = "RECTIFYING"

	Handed   State = "HANDED"
	Received State = "ACCEPTED"
	Resulted State = "RESULT"

	Planned   State = "PLANNED"
	Submitted State = "SUBMITTED"
	Adopted   State = "ADOPTED"
	Declined  State = "DECLINED"

	Asked   State = "ASKED"
	Expired State = "EXPIRED"
	Revoked State = "REVOKED"

	Suggested State = "SUGGESTED"
	Confirmed State = "CONFIRMED"
	Rejected  State = "REJECTED"
)

// kinds is what the domain model §2 says of each kind of matter; where it says nothing, our own.
var kinds map[Kind]kind

func init() {
	kinds = map[Kind]kind{
		KindSupervision: {label: "督办", series: "督", blank: func() Matter { return new(Supervision) },
			labels: map[State]string{Candidate: "待签发", Issued: "待签收", Signed: "已签收", Feedback: "已反馈", SentBack: "退回重办", Released: "已销号", Escalated: "已提级", Dropped: "不予督办"},
			moves: map[State][]State{"": {Candidate, Issued}, Candidate: {Issued, Dropped}, Issued: {Signed, Released, Escalated}, Signed: {Feedback, Released, Escalated},
				Feedback: {SentBack, Released, Escalated}, SentBack: {Feedback, Released, Escalated}},
			final: []State{Released, Escalated, Dropped}},
		KindTopic: {label: "专题", series: "题", blank: func() Matter { return new(Topic) },
			labels: map[State]string{Opened: "新发现", Governing: "治理中", Observing: "监测中", Done: "已销号", Dropped: "非同一事项"},
			moves:  map[State][]State{"": {Opened}, Opened: {Governing, Dropped, Done}, Governing: {Observing, Done}, Observing: {Governing, Done}, Done: {Governing}},
			final:  []State{Done, Dropped}},
		KindConsult: {label: "会商", series: "会", blank: func() Matter { return new(Consult) },
			labels: map[State]string{Opened: "待邀请", Invited: "征求意见", Opinions: "意见汇总", Concluded: "已形成结论", Adjourned: "休会"},
			moves: map[State][]State{"": {Opened}, Opened: {Invited, Adjourned}, Invited: {Opinions, Adjourned}, Opinions: {Concluded, Adjourned, Invited},
				Adjourned: {Invited}},
			final: []State{Concluded}},
		KindDuty: {label: "职责清单", series: "责", blank: func() Matter { return new(Duty) },
			labels: map[State]string{Active: "有效", Retired: "已废止"},
			moves:  map[State][]State{"": {Active}, Active: {Retired}}, final: []State{Retired}},
		KindExpert: {label: "专家顾问", blank: func() Matter { return new(Expert) },
			labels: map[State]string{Active: "在库", Retired: "已出库"},
			moves:  map[State][]State{"": {Active}, Active: {Retired}, Retired: {Active}}, final: []State{Retired}},
		KindOrder: {label: "调度指令", series: "指", blank: func() Matter { return new(Order) },
			labels: map[State]string{Draft: "草稿", Issued: "待签收", Signed: "已签收", Acting: "执行中", Reported: "已报结果", Verified: "已核验", ClosedUp: "已办结", Dropped: "已作废"},
			moves: map[State][]State{"": {Draft}, Draft: {Issued, Dropped}, Issued: {Signed}, Signed: {Acting, Reported}, Acting: {Reported}, Reported: {Verified, Acting},
				Verified: {ClosedUp}},
			final: []State{ClosedUp, Dropped}},
		KindBackcheck: {label: "倒查", series: "查", blank: func() Matter { return new(Backcheck) },
			labels: map[State]string{Opened: "待接收", Looking: "评查中", Rectifying: "整改中", ClosedUp: "已办结"},
			moves:  map[State][]State{"": {Opened}, Opened: {Looking}, Looking: {Rectifying, ClosedUp}, Rectifying: {ClosedUp, Looking}},
			final:  []State{ClosedUp}},
		KindClue: {label: "线索", series: "线", blank: func() Matter { return new(Clue) },
			labels: map[State]string{Opened: "待研判", Handed: "待接收", Received: "核查中", Resulted: "已反馈", ClosedUp: "已办结", Dropped: "无价值"},
			moves:  map[State][]State{"": {Opened}, Opened: {Handed, Dropped}, Handed: {Received, Opened}, Received: {Resulted}, Resulted: {ClosedUp, Received}},
			final:  []State{ClosedUp, Dropped}},
		KindMeasure: {label: "措施与建议", series: "措", blank: func() Matter { return new(Measure) },
			labels: map[State]string{Planned: "拟实施", Submitted: "已上报", Adopted: "已采纳", Declined: "未采纳", Done: "已落实"},
			moves:  map[State][]State{"": {Planned}, Planned: {Submitted, Done, Declined}, Submitted: {Adopted, Declined, Submitted}, Adopted: {Submitted, Done}},
			final:  []State{Done, Declined}},
		KindWatch: {label: "重点关注", series: "注", blank: func() Matter { return new(WatchFlag) },
			labels: map[State]string{Asked: "待批准", Active: "有效", Rejected: "未批准", Expired: "已到期", Revoked: "已撤销"},
			moves:  map[State][]State{"": {Asked}, Asked: {Active, Rejected}, Active: {Expired, Revoked}},
			final:  []State{Rejected, Expired, Revoked}},
		KindPeriod: {label: "敏感时段", blank: func() Matter { return new(Period) },
			labels: map[State]string{Active: "已登记", Revoked: "已撤销"},
			moves:  map[State][]State{"": {Active}, Active: {Revoked}}, final: []State{Revoked}},
		KindLink: {label: "关联", blank: func() Matter { return new(Link) },
			labels: map[State]string{Suggested: "待确认", Confirmed: "已关联", Rejected: "不是同一事项"},
			moves:  map[State][]State{"": {Suggested, Confirmed}, Suggested: {Confirmed, Rejected}, Confirmed: {Rejected}, Rejected: {Confirmed}},
			final:  []State{Confirmed, Rejected}},
		KindEscalation: {label: "升级投诉", series: "升", blank: func() Matter { return new(Escalation) },
			labels: map[State]string{Opened: "已计入", Confirmed: "已确认", Rejected: "不是升级"},
			moves:  map[State][]State{"": {Opened}, Opened: {Confirmed, Rejected}}, final: []State{Confirmed, Rejected}},
	}
	kinds[KindBad] = badKind()
	kinds[KindMediation] = mediationKind()
	kinds[KindOutreach] = outreachKind()
	kinds[KindIntervention] = interventionKind()
}
