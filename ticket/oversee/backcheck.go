package oversee

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Domain is whose review it is (SUP-2).
type Domain string

// Domains of 倒查.
const (
	CaseReview    Domain = "case"    // 法制部门评查案件警情
	TrafficReview Domain = "traffic" // 交管部门复核事故认定
	WindowReview  Domain = "window"  // 审批部门倒查窗口服务
	ConductReview Domain = "conduct" // 督察倒查执法行为
)

// Domains lists the domains in order.
var Domains = []Domain{CaseReview, TrafficReview, WindowReview, ConductReview}

var domainLabels = map[Domain]string{CaseReview: "法制·案件警情评查", TrafficReview: "交管·事故认定复核", WindowReview: "审批·窗口服务倒查", ConductReview: "督察·执法行为倒查"}

// Label is the domain for staff (zh-CN).
func (d Domain) Label() string { return domainLabels[d] }

// Problem says which figure a finding counts in: 执法问题 or 窗口问题 (RES-2).
func (d Domain) Problem() string {
	if d == WindowReview {
		return "window"
	}
	return "enforcement"
}

// Backcheck is a review order (倒查): a department looks at cases or services of a unit.
type Backcheck struct {
	Head                    // Unit is the reviewing department
	Domain      Domain      `json:"domain"`
	Cause       ticket.Text `json:"cause"`
	Alert       string      `json:"alert,omitzero"`
	Items       []Item      `json:"items,omitempty"`
	Findings    []Finding   `json:"findings,omitempty"`
	ReceivedBy  string      `json:"received_by,omitzero"`
	Conclusion  ticket.Text `json:"conclusion,omitzero"`
	ConcludedBy string      `json:"concluded_by,omitzero"`
	Accounts    []Account   `json:"accounts,omitempty"`
	Warned      time.Time   `json:"warned,omitzero"`
}

// Item is one case, accident or service that is looked at.
type Item struct {
	Ref      string    `json:"ref"` // its number where it is kept
	Unit     string    `json:"unit"`
	Reviewed time.Time `json:"reviewed,omitzero"`
	By       string    `json:"by,omitzero"`
	Problem  bool      `json:"problem,omitzero"`
}

// FindingState is where a finding stands: found, handed in for verification, verified.
type FindingState string

// States of a finding.
const (
	FindingOpen FindingState = "open"
	FindingDone FindingState = "done"
	FindingOver FindingState = "verified"
)

// Label is the state for staff (zh-CN).
func (s FindingState) Label() string {
	return map[FindingState]string{FindingOpen: "整改中", FindingDone: "待验收", FindingOver: "已整改"}[s]
}

// Finding is a problem and its 整改.
type Finding struct {
	ID       string       `json:"id"`
	Item     string       `json:"item"` // ref
	Unit     string       `json:"unit"` // who has to put it right
	Text     ticket.Text  `json:"text"`
	Measure  ticket.Text  `json:"measure,omitzero"` // what was required
	Due      time.Time    `json:"due"`
	State    FindingState `json:"state"`
	Done     ticket.Text  `json:"done,omitzero"`
	DoneBy   string       `json:"done_by,omitzero"`
	Verdict  ticket.Text  `json:"verdict,omitzero"`
	VerifyBy string       `json:"verify_by,omitzero"`
	Backs    int          `json:"backs,omitzero"`
}

// Account is who was held responsible; only those who review and the leaders read it.
type Account struct {
	Finding string      `json:"finding"`
	Staff   string      `json:"staff,omitzero"`
	Kind    string      `json:"kind"`
	Text    ticket.Text `json:"text"`
	By      string      `json:"by"`
	At      time.Time   `json:"at"`
}

// AccountKinds are the ways in which somebody is held responsible, with labels.
var AccountKinds = [][2]string{{"remind", "提醒谈话"}, {"criticise", "通报批评"}, {"order", "责令检查"}, {"transfer", "移送纪检监察"}, {"none", "不予追责"}}

// BackcheckIn is what a review is ordered with.
type BackcheckIn struct {
	Domain   Domain
	Unit     string // the reviewing department
	Of       string // the unit that is reviewed
	Refs     []string
	Cause    string
	TicketID string
	Alert    string
	Due      time.Time
	Key      string
}

// OpenBackcheck orders a review of cases, accidents or services.
func (d *Desk) OpenBackcheck(tx *storage.Tx, in BackcheckIn, by ticket.Actor) (Backcheck, error) {
	return open(d, tx, KindBackcheck, by, in.Key, func(f *file, b *Backcheck) (map[string]any, error) {
		if err := may(by, org.Backcheck); err != nil {
			return nil, err
		}
		if domainLabels[in.Domain] == "" {
			return nil, refuse("domain", "请选择倒查类别")
		}
		b.State, b.Domain, b.Unit, b.Alert = Opened, in.Domain, in.Unit, in.Alert
		if in.Unit == "" || in.Of == "" {
			return nil, refuse("unit", "请选择评查部门和被查单位")
		}
		if in.TicketID != "" {
			t, err := d.Office.See(tx, in.TicketID, by)
			if errors.Is(err, storage.ErrNotFound) {
				return nil, refuse("ticket", "没有找到关联的诉求")
			} else if err != nil {
				return nil, err
			}
			b.Tickets = []string{t.ID}
			if err := d.clear(tx, b, by); err != nil {
				return nil, err
			}
		}
		if err := d.mayAct(tx, in.Unit, b.Tickets); err != nil {
			return nil, err
		}
		if err := d.mayAct(tx, in.Of, nil); err != nil {
			return nil, err
		}
		if in.Unit == in.Of {
			return nil, refuse("self", "被查单位不能评查自己")
		}
		b.Members = []string{"unit/" + in.Unit}
		for _, ref := range in.Refs {
			if ref = strings.TrimSpace(ref); ref == "" {
				continue
			}
			if slices.ContainsFunc(b.Items, func(i Item) bool { return i.Ref == ref }) {
				return nil, refuse("twice", "编号“%s”重复", ref)
			}
			b.Items = append(b.Items, Item{Ref: ref, Unit: in.Of})
		}
		if len(b.Items) == 0 || len(b.Items) > 500 {
			return nil, refuse("items", "请填写1至500个评查对象编号")
		}
		if b.Due = ms(in.Due); b.Due.IsZero() {
			b.Due = d.days(f.now, 10)
		}
		b.Next = b.Due
		var err error
		if b.Cause, err = f.must("cause", "倒查事由", in.Cause); err != nil {
			return nil, err
		}
		return map[string]any{"domain": in.Domain, "unit": in.Unit, "of": in.Of, "items": len(b.Items), "cause": b.Cause}, d.tell(tx, b, "opened", "收到倒查评查任务")
	})
}

// reviewers lets those act who order reviews, and officers of the reviewing department who review.
func (b *Backcheck) reviewers(f *file) error {
	if f.by.Unit == b.Unit && may(f.by, org.ReviewResult, org.SubmitResult) == nil {
		return nil
	}
	return may(f.by, org.Backcheck)
}

// ReceiveBackcheck begins the review.
func (d *Desk) ReceiveBackcheck(tx *storage.Tx, id string, by ticket.Actor) (Backcheck, error) {
	return change(d, tx, id, KindBackcheck, by, func(f *file, b *Backcheck) (string, map[string]any, error) {
		if err := f.in("接收", Opened); err != nil {
			return "", nil, err
		}
		if err := b.reviewers(f); err != nil {
			return "", nil, err
		}
		b.State, b.ReceivedBy = Looking, by.String()
		return "received", nil, nil
	})
}

// FindingIn is a problem with what has to be done about it.
type FindingIn struct {
	Text, Measure string
	Due           time.Time
}

// ReviewItem notes that an item was looked at; each finding is a problem with its 整改.
func (d *Desk) ReviewItem(tx *storage.Tx, id, ref string, problems []FindingIn, by ticket.Actor) (Backcheck, error) {
	return change(d, tx, id, KindBackcheck, by, func(f *file, b *Backcheck) (string, map[string]any, error) {
		if err := f.in("评查", Looking); err != nil {
			return "", nil, err
		}
		if err := b.reviewers(f); err != nil {
			return "", nil, err
		}
		i := slices.IndexFunc(b.Items, func(x Item) bool { return x.Ref == ref })
		if i < 0 {
			return "", nil, refuse("item", "没有评查对象“%s”", ref)
		}
		if !b.Items[i].Reviewed.IsZero() {
			return "", nil, refuse("twice", "“%s”已评查", ref)
		}
		if by.Unit == b.Items[i].Unit {
			return "", nil, refuse("self", "被查单位人员不能评查")
		}
		b.Items = slices.Clone(b.Items)
		b.Items[i].Reviewed, b.Items[i].By, b.Items[i].Problem = f.now, by.String(), len(problems) > 0
		b.Findings = slices.Clone(b.Findings)
		for _, p := range problems {
			x := Finding{ID: newID(), Item: ref, Unit: b.Items[i].Unit, State: FindingOpen, Due: ms(p.Due)}
			if x.Due.IsZero() {
				x.Due = d.days(f.now, 5)
			}
			var err error
			if x.Text, err = f.must("finding", "问题描述", p.Text); err != nil {
				return "", nil, err
			}
			if x.Measure, err = f.must("measure", "整改要求", p.Measure); err != nil {
				return "", nil, err
			}
			b.Findings = append(b.Findings, x)
			if m := "unit/" + x.Unit; !slices.Contains(b.Members, m) {
				b.Members = append(slices.Clone(b.Members), m) // from now on the unit sees what it has to put right
			}
			if err := d.Office.Tell(tx, ticket.Notice{Subject: x.ID, Point: "finding", Kind: string(KindBackcheck), Colour: ticket.Orange, Unit: x.Unit, Text: "倒查发现问题，请整改：" + b.Number, PlannedAt: f.now}); err != nil {
				return "", nil, err
			}
		}
		return "reviewed", map[string]any{"item": ref, "problems": len(problems)}, nil
	})
}

// Conclude the review: with findings the 整改 goes on, without it is closed.
func (d *Desk) ConcludeBackcheck(tx *storage.Tx, id, text string, by ticket.Actor) (Backcheck, error) {
	return change(d, tx, id, KindBackcheck, by, func(f *file, b *Backcheck) (string, map[string]any, error) {
		if err := f.in("评查结束", Looking); err != nil {
			return "", nil, err
		}
		if err := b.reviewers(f); err != nil {
			return "", nil, err
		}
		if n := b.left(); n > 0 {
			return "", nil, refuse("items", "还有%d个评查对象未评查", n)
		}
		var err error
		if b.Conclusion, err = f.must("conclusion", "评查结论", text); err != nil {
			return "", nil, err
		}
		b.ConcludedBy = by.String()
		if b.State = Rectifying; b.unsettled() == 0 {
			b.State = ClosedUp
		}
		return "concluded", map[string]any{"conclusion": b.Conclusion}, nil
	})
}

func (b *Backcheck) left() (n int) {
	for _, i := range b.Items {
		if i.Reviewed.IsZero() {
			n++
		}
	}
	return n
}

func (b *Backcheck) unsettled() (n int) {
	for _, x := range b.Findings {
		if x.State != FindingOver {
			n++
		}
	}
	return n
}

func (b *Backcheck) finding(id string) (*Finding, error) {
	b.Findings = slices.Clone(b.Findings)
	for i := range b.Findings {
		if b.Findings[i].ID == id {
			return &b.Findings[i], nil
		}
	}
	return nil, refuse("finding", "没有该问题")
}

// Rectify is the unit's report that a problem was put right.
func (d *Desk) Rectify(tx *storage.Tx, id, finding, text string, by ticket.Actor) (Backcheck, error) {
	return change(d, tx, id, KindBackcheck, by, func(f *file, b *Backcheck) (string, map[string]any, error) {
		if err := f.in("报整改", Looking, Rectifying); err != nil {
			return "", nil, err
		}
		x, err := b.finding(finding)
		if err != nil {
			return "", nil, err
		}
		if err := f.ours(x.Unit, org.SubmitResult); err != nil {
			return "", nil, err
		}
		if x.State != FindingOpen {
			return "", nil, refuse("state", "该问题“%s”", x.State.Label())
		}
		if x.Done, err = f.must("rectified", "整改情况", text); err != nil {
			return "", nil, err
		}
		x.State, x.DoneBy = FindingDone, by.String()
		return "rectified", map[string]any{"finding": finding, "text": x.Done}, nil
	})
}

// VerifyFinding accepts the 整改 or sends it back; with the last one verified after the conclusion the review is closed.
func (d *Desk) VerifyFinding(tx *storage.Tx, id, finding string, ok bool, note string, by ticket.Actor) (Backcheck, error) {
	return change(d, tx, id, KindBackcheck, by, func(f *file, b *Backcheck) (string, map[string]any, error) {
		if err := f.in("验收", Looking, Rectifying); err != nil {
			return "", nil, err
		}
		if err := b.reviewers(f); err != nil {
			return "", nil, err
		}
		x, err := b.finding(finding)
		if err != nil {
			return "", nil, err
		}
		switch {
		case x.State != FindingDone:
			return "", nil, refuse("state", "该问题“%s”", x.State.Label())
		case x.DoneBy == by.String() || x.Unit == by.Unit:
			return "", nil, refuse("same_person", "整改单位人员不能验收")
		}
		if x.Verdict, err = f.must("verdict", "验收意见", note); err != nil {
			return "", nil, err
		}
		x.VerifyBy = by.String()
		if x.State = FindingOver; !ok {
			x.State, x.Backs, x.Due = FindingOpen, x.Backs+1, d.days(f.now, 3)
		}
		if b.State == Rectifying && b.unsettled() == 0 {
			b.State = ClosedUp
		}
		return "verified", map[string]any{"finding": finding, "ok": ok, "verdict": x.Verdict}, nil
	})
}

// HoldAccountable notes who was held responsible for a finding, and how. Only reviewers of the centre and leaders read it.
func (d *Desk) HoldAccountable(tx *storage.Tx, id, finding, staff, kind, text string, by ticket.Actor) (Backcheck, error) {
	return change(d, tx, id, KindBackcheck, by, func(f *file, b *Backcheck) (string, map[string]any, error) {
		if err := may(by, org.Backcheck); err != nil {
			return "", nil, err
		}
		if err := f.in("认定责任", Looking, Rectifying, ClosedUp); err != nil {
			return "", nil, err
		}
		x, err := b.finding(finding)
		if err != nil {
			return "", nil, err
		}
		if !slices.ContainsFunc(AccountKinds, func(k [2]string) bool { return k[0] == kind }) {
			return "", nil, refuse("account", "请选择追责方式")
		}
		if staff != "" {
			s, err := org.GetStaff(tx, staff)
			if err != nil || s.Unit != x.Unit {
				return "", nil, refuse("staff", "责任人须是被查单位人员")
			}
		}
		ref, err := f.must("account", "责任认定说明", text)
		if err != nil {
			return "", nil, err
		}
		b.Accounts = append(slices.Clone(b.Accounts), Account{finding, staff, kind, ref, by.String(), f.now})
		return "accounted", map[string]any{"finding": finding, "kind": kind, "text": ref}, nil
	})
}

// SeesAccounts reports whether a viewer may read who was held responsible.
func SeesAccounts(by ticket.Actor) bool {
	return may(by, org.Backcheck, org.ApproveList) == nil
}

// ReviewFigures are the counters of 评查 (RES-2): reviewed, problems and rectified.
type ReviewFigures struct {
	Domain    Domain `json:"domain"`
	Reviewed  int    `json:"reviewed"`
	Problems  int    `json:"problems"`
	Rectified int    `json:"rectified"`
}

// ReviewCounts counts by domain what was reviewed in [from, to), and the problems found then; Rectified are those of them
// that are verified by now. Zero times are no limits.
func (d *Desk) ReviewCounts(tx *storage.Tx, from, to time.Time) ([]ReviewFigures, error) {
	list, err := find[Backcheck](d, tx, KindBackcheck, ``)
	if err != nil {
		return nil, fmt.Errorf("count reviews: %w", err)
	}
	out := make([]ReviewFigures, len(Domains))
	for i, x := range Domains {
		out[i].Domain = x
	}
	for _, b := range list {
		n := &out[slices.Index(Domains, b.Domain)]
		within := map[string]bool{}
		for _, i := range b.Items {
			if !i.Reviewed.IsZero() && (from.IsZero() || !i.Reviewed.Before(from)) && (to.IsZero() || i.Reviewed.Before(to)) {
				n.Reviewed++
				within[i.Ref] = true
			}
		}
		for _, x := range b.Findings {
			if within[x.Item] {
				n.Problems++
				if x.State == FindingOver {
					n.Rectified++
				}
			}
		}
	}
	return out, nil
}
