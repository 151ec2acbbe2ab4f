package oversee

import (
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Trigger is what 督办 began by (domain model §6).
type Trigger string

// Triggers.
const (
	ByDue         Trigger = "due"         // 80 % of the time, or due: 催办
	ByQuiet       Trigger = "quiet"       // W15: nothing happened
	ByOverdue     Trigger = "overdue"     // 1 WD overdue
	ByUnsatisfied Trigger = "unsatisfied" // not satisfied after rework
	ByReturns     Trigger = "returns"     // return war
	ByRepeat      Trigger = "repeat"      // the same person again and again
	ByPending     Trigger = "pending"     // open for long
	ByAge         Trigger = "age"         // an old matter
	ByGroup       Trigger = "group"       // many persons
	ByRed         Trigger = "red"         //
	ByInstruction Trigger = "instruction" // a leader's 批示
	ByMedia       Trigger = "media"       //
	ByEscalation  Trigger = "escalation"  // the level below was not enough
	ByHand        Trigger = "hand"        // somebody proposed it
)

// Triggers lists all triggers.
var TriggerList = []Trigger{ByDue, ByQuiet, ByOverdue, ByUnsatisfied, ByReturns, ByRepeat, ByPending, ByAge, ByGroup, ByRed, ByInstruction, ByMedia, ByEscalation, ByHand}

var triggerLabels = map[Trigger]string{ByDue: "临近或到达时限", ByQuiet: "长时间无进展", ByOverdue: "超期满1个工作日", ByUnsatisfied: "重办后仍不满意", ByReturns: "反复退回", ByRepeat: "同一人反复反映同一事项",
	ByPending: "久拖不决", ByAge: "矛盾长期未化解", ByGroup: "群体性诉求", ByRed: "红色诉求", ByInstruction: "领导批示", ByMedia: "媒体关注", ByEscalation: "下级督办未落实", ByHand: "人工提请"}

// Label is the trigger for staff (zh-CN).
func (t Trigger) Label() string { return triggerLabels[t] }

// LevelLabel names a level of the ladder (zh-CN).
func LevelLabel(level int) string {
	return [...]string{"催办", "督办单", "挂牌督办", "提级督办"}[min(max(level, 0), 3)]
}

// Supervision is 督办 of a ticket or a topic.
type Supervision struct {
	Head
	Level       int           `json:"level"` // 0 催办, 1 督办单, 2 挂牌, 3 提级
	Trigger     Trigger       `json:"trigger"`
	Grounds     ticket.Text   `json:"grounds,omitzero"`
	Requirement ticket.Text   `json:"requirement,omitzero"`
	ReportEvery int           `json:"report_every,omitzero"` // WD
	NextReport  time.Time     `json:"next_report,omitzero"`
	From        string        `json:"from,omitzero"` // the one that rose to this
	ApprovedBy  string        `json:"approved_by,omitzero"`
	IssuedAt    time.Time     `json:"issued_at,omitzero"`
	SignedBy    string        `json:"signed_by,omitzero"`
	SignedAt    time.Time     `json:"signed_at,omitzero"`
	Feedbacks   []ticket.Text `json:"feedbacks,omitempty"`
	FedBackBy   string        `json:"fed_back_by,omitzero"`
	Returns     int           `json:"returns,omitzero"`
	Verdict     ticket.Text   `json:"verdict,omitzero"`
	Wish        ticket.Text   `json:"wish,omitzero"` // 摘牌 was asked for, with the reason
	WishedBy    string        `json:"wished_by,omitzero"`
	ReleasedBy  string        `json:"released_by,omitzero"`
	Responsible ticket.Text   `json:"responsible,omitzero"` // 责任认定
	Warned      time.Time     `json:"warned,omitzero"`      // when the unit was last told that it is late
}

// Proposal is what 督办 is proposed with.
type Proposal struct {
	Level       int
	Trigger     Trigger
	TicketID    string
	Topic       string
	Unit        string // empty: 主办 of the ticket, or the lead of the topic
	Grounds     string
	Requirement string
	Key         string
	From        string
}

// Propose enters a candidate for 督办: somebody of the centre by hand, or the program by a trigger. Raising the same Key
// again returns what is there.
func (d *Desk) Propose(tx *storage.Tx, p Proposal, by ticket.Actor) (Supervision, error) {
	s, err := open(d, tx, KindSupervision, by, p.Key, func(f *file, s *Supervision) (map[string]any, error) {
		if err := may(by, org.Supervise, org.ApproveList); err != nil {
			return nil, err
		}
		if p.Level < 0 || p.Level > 3 || triggerLabels[p.Trigger] == "" {
			return nil, refuse("level", "请选择督办级别和事由")
		}
		s.Level, s.Trigger, s.State, s.From = p.Level, p.Trigger, Candidate, p.From
		switch {
		case p.TicketID != "":
			t, err := d.Office.Get(tx, p.TicketID)
			if errors.Is(err, storage.ErrNotFound) {
				return nil, refuse("ticket", "没有找到该诉求")
			} else if err != nil {
				return nil, err
			}
			s.Tickets = []string{t.ID}
			s.Topic = p.Topic
			s.Unit = p.Unit
			if s.Unit == "" {
				s.Unit = t.Host
			}
			if err := d.clear(tx, s, by); err != nil {
				return nil, err
			}
		case p.Topic != "":
			t, err := get[Topic](tx, p.Topic)
			if err != nil {
				return nil, refuse("topic", "没有找到该专题")
			}
			s.Topic, s.Unit = t.ID, p.Unit
			if s.Unit == "" {
				s.Unit = t.Unit
			}
		default:
			return nil, refuse("about", "督办须关联诉求或专题")
		}
		if err := d.mayAct(tx, s.Unit, s.Tickets); err != nil {
			return nil, err
		}
		var err error
		if s.Grounds, err = f.must("grounds", "督办事由", p.Grounds); err != nil {
			return nil, err
		}
		if s.Requirement, err = f.write("requirement", p.Requirement); err != nil {
			return nil, err
		}
		return map[string]any{"level": p.Level, "trigger": p.Trigger, "grounds": s.Grounds}, nil
	})
	if errors.Is(err, errThere) {
		return s, nil
	}
	return s, err
}

// mayAct refuses a unit that does not exist, is closed, or is accused in one of the tickets; no unit is fine.
func (d *Desk) mayAct(tx *storage.Tx, unit string, tickets []string) error {
	if unit == "" {
		return nil
	}
	u, err := org.GetUnit(tx, unit)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !u.Active {
		return refuse("no_unit", "没有单位“%s”，或单位已停用", unit)
	} else if err != nil {
		return err
	}
	for _, id := range tickets {
		t, err := d.Office.Get(tx, id)
		if err != nil {
			return err
		}
		concerned, err := d.Office.Concerned(tx, t, unit, "")
		if err != nil {
			return err
		}
		if concerned {
			return refuse("accused_unit", "诉求涉及%s，依规回避", u.Short)
		}
	}
	return nil
}

// Issuing is what a candidate is issued with.
type Issuing struct {
	Unit        string // empty: as proposed
	Requirement string
	Due         time.Time // zero: by the rules
}

// Issue signs a candidate: 催办 and 督办单 by a supervisor, 挂牌 and 提级 by a leader who did not propose it.
func (d *Desk) Issue(tx *storage.Tx, id string, p Issuing, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("签发", Candidate); err != nil {
			return "", nil, err
		}
		if s.Level >= 2 {
			if by.Kind == ticket.SystemActor {
				return "", nil, noRole()
			}
			if err := may(by, org.ApproveList); err != nil {
				return "", nil, err
			}
			if s.OpenedBy == by.String() {
				return "", nil, refuse("same_person", "提请人不能批准自己提请的挂牌督办")
			}
		} else if err := may(by, org.Supervise, org.ApproveList); err != nil {
			return "", nil, err
		}
		if p.Unit != "" {
			s.Unit = p.Unit
		}
		if s.Unit == "" {
			return "", nil, refuse("unit", "请选择责任单位")
		}
		if err := d.mayAct(tx, s.Unit, s.Tickets); err != nil {
			return "", nil, err
		}
		if strings.TrimSpace(p.Requirement) != "" {
			var err error
			if s.Requirement, err = f.write("requirement", p.Requirement); err != nil {
				return "", nil, err
			}
		}
		if s.Level > 0 && s.Requirement.IsZero() {
			return "", nil, refuse("empty", "请填写督办要求")
		}
		if !p.Due.IsZero() && p.Due.Before(f.now) {
			return "", nil, refuse("due", "督办期限不能早于现在")
		}
		return "issued", map[string]any{"unit": s.Unit, "level": s.Level, "requirement": s.Requirement}, d.issue(f, s, p.Due)
	})
}

// issue sets what begins with the signature, and tells the unit.
func (d *Desk) issue(f *file, s *Supervision, due time.Time) error {
	rules, err := d.rules(f.tx)
	if err != nil {
		return err
	}
	t := rules.Supervise
	s.State, s.IssuedAt, s.ApprovedBy = Issued, f.now, f.by.String()
	if s.Due = ms(due); s.Due.IsZero() {
		s.Due = d.days(f.now, t.FeedbackDays[s.Level])
	}
	s.ReportEvery = t.ReportDays[s.Level]
	s.Next = earliest(d.days(f.now, t.SignDays), s.Due)
	return d.tell(f.tx, s, "issued", "收到"+LevelLabel(s.Level)+"，请签收")
}

func earliest(times ...time.Time) time.Time {
	var out time.Time
	for _, t := range times {
		if !t.IsZero() && (out.IsZero() || t.Before(out)) {
			out = t
		}
	}
	return out
}

// tell leaves a notice for the unit of a matter, once for each point and moment.
func (d *Desk) tell(tx *storage.Tx, m Matter, point, text string) error {
	h := m.head()
	n := ticket.Notice{Subject: h.ID, Point: ticket.Point(point), Kind: string(h.Kind), Colour: ticket.Orange, Unit: h.Unit, Text: text + "：" + h.Number, PlannedAt: d.now()}
	if len(h.Tickets) > 0 {
		n.TicketID = h.Tickets[0]
	}
	return d.Office.Tell(tx, n)
}

// DropCandidate turns a candidate down, with the reason; the same trigger does not raise it again.
func (d *Desk) DropCandidate(tx *storage.Tx, id, reason string, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("不予督办", Candidate); err != nil {
			return "", nil, err
		}
		act := org.Supervise
		if s.Level >= 2 {
			act = org.ApproveList
		}
		if err := may(by, act); err != nil {
			return "", nil, err
		}
		var err error
		if s.Verdict, err = f.must("verdict", "不予督办的理由", reason); err != nil {
			return "", nil, err
		}
		s.State = Dropped
		return "dropped", map[string]any{"reason": s.Verdict}, nil
	})
}

// SignSupervision is the unit's signature for it.
func (d *Desk) SignSupervision(tx *storage.Tx, id string, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("签收", Issued); err != nil {
			return "", nil, err
		}
		if err := f.ours(s.Unit, org.SignTicket); err != nil {
			return "", nil, err
		}
		s.State, s.SignedBy, s.SignedAt = Signed, by.String(), f.now
		if s.ReportEvery > 0 {
			s.NextReport = d.days(f.now, s.ReportEvery)
		}
		s.Next = earliest(s.NextReport, s.Due)
		return "signed", nil, nil
	})
}

// Feed is the unit's answer to 督办; while reports are due it may come again and again.
func (d *Desk) Feed(tx *storage.Tx, id, text string, final bool, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("反馈", Signed, SentBack); err != nil {
			return "", nil, err
		}
		if err := f.ours(s.Unit, org.SubmitResult); err != nil {
			return "", nil, err
		}
		ref, err := f.must("feedback", "反馈内容", text)
		if err != nil {
			return "", nil, err
		}
		s.Feedbacks = append(slices.Clone(s.Feedbacks), ref)
		s.FedBackBy = by.String()
		if s.ReportEvery > 0 {
			s.NextReport = d.days(f.now, s.ReportEvery)
		}
		if !final {
			s.Next = earliest(s.NextReport, s.Due)
			return "reported", map[string]any{"text": ref}, nil
		}
		s.State, s.NextReport, s.Next = Feedback, time.Time{}, time.Time{}
		return "fed_back", map[string]any{"text": ref}, nil
	})
}

// SendBack returns the feedback to the unit with a new term.
func (d *Desk) SendBack(tx *storage.Tx, id, reason string, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("退回", Feedback); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise, org.ApproveList); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "退回原因", reason)
		if err != nil {
			return "", nil, err
		}
		rules, err := d.rules(tx)
		if err != nil {
			return "", nil, err
		}
		s.State, s.Returns = SentBack, s.Returns+1
		s.Due = d.days(f.now, rules.Supervise.FeedbackDays[s.Level])
		s.Next, s.Wish, s.WishedBy = s.Due, ticket.Text{}, ""
		return "returned", map[string]any{"reason": ref}, d.tell(tx, s, "returned", "督办反馈被退回，请重新办理")
	})
}

// WishRelease asks for 摘牌: the supervisor says why; a leader decides by Release.
func (d *Desk) WishRelease(tx *storage.Tx, id, reason string, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("申请摘牌", Feedback); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise); err != nil {
			return "", nil, err
		}
		if s.Level < 2 {
			return "", nil, refuse("level", "%s可以直接销号", LevelLabel(s.Level))
		}
		var err error
		if s.Wish, err = f.must("wish", "摘牌理由", reason); err != nil {
			return "", nil, err
		}
		s.WishedBy = by.String()
		return "release_asked", map[string]any{"reason": s.Wish}, nil
	})
}

// Release ends 督办 with a verdict (销号, 摘牌): of 挂牌 and 提级 a leader approves what another person asked for.
func (d *Desk) Release(tx *storage.Tx, id, verdict, responsible string, by ticket.Actor) (Supervision, error) {
	return change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		states := []State{Feedback}
		if s.Level == 0 {
			states = []State{Issued, Signed, Feedback, SentBack}
		}
		if err := f.in("销号", states...); err != nil {
			return "", nil, err
		}
		if s.Level >= 2 {
			if err := may(by, org.ApproveList); err != nil || by.Kind == ticket.SystemActor {
				return "", nil, noRole()
			}
			if s.Wish.IsZero() {
				return "", nil, refuse("wish", "请先由督办员申请摘牌")
			}
			if s.WishedBy == by.String() {
				return "", nil, refuse("same_person", "申请人不能批准自己的摘牌申请")
			}
		} else if err := may(by, org.Supervise, org.ApproveList); err != nil {
			return "", nil, err
		}
		var err error
		if s.Verdict, err = f.must("verdict", "督办结论", verdict); err != nil {
			return "", nil, err
		}
		if s.Responsible, err = f.write("responsible", responsible); err != nil {
			return "", nil, err
		}
		s.State, s.ReleasedBy = Released, by.String()
		return "released", map[string]any{"verdict": s.Verdict}, nil
	})
}

// Raise lifts 督办 to the next level: this one ends as 已提级, and the next is a candidate that refers to it.
func (d *Desk) Raise(tx *storage.Tx, id, reason string, by ticket.Actor) (Supervision, error) {
	s, err := change(d, tx, id, KindSupervision, by, func(f *file, s *Supervision) (string, map[string]any, error) {
		if err := f.in("提级", Issued, Signed, Feedback, SentBack); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise, org.ApproveList); err != nil {
			return "", nil, err
		}
		if s.Level >= 3 {
			return "", nil, refuse("level", "已是最高级别")
		}
		ref, err := f.must("reason", "提级理由", reason)
		if err != nil {
			return "", nil, err
		}
		s.State, s.Verdict = Escalated, ref
		return "escalated", map[string]any{"reason": ref, "level": s.Level + 1}, nil
	})
	if err != nil {
		return s, err
	}
	p := Proposal{Level: s.Level + 1, Trigger: ByEscalation, Topic: s.Topic, Unit: s.Unit, Grounds: reason, Requirement: "落实下级督办未完成的要求并说明原因", Key: "rise/" + s.ID, From: s.ID}
	if len(s.Tickets) > 0 {
		p.TicketID = s.Tickets[0]
	}
	if _, err := d.Propose(tx, p, ticket.System); err != nil {
		return s, err
	}
	return s, nil
}
