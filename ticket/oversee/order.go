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

// Order is a 民意感知调度指令: numbered, signed for by each unit, acted on, verified, closed, with results that are counted.
type Order struct {
	Head                 // Unit is the leading unit; Members are all units
	Title    ticket.Text `json:"title"`
	Content  ticket.Text `json:"content"`
	Place    string      `json:"place,omitzero"`
	Incident []string    `json:"incidents,omitempty"` // 警情号
	Alert    string      `json:"alert,omitzero"`
	Signs    []Sign      `json:"signs,omitempty"`
	Acts     []Act       `json:"acts,omitempty"`
	Results  []Result    `json:"results,omitempty"`
	IssuedBy string      `json:"issued_by,omitzero"`
	IssuedAt time.Time   `json:"issued_at,omitzero"`
	ReportBy string      `json:"report_by,omitzero"`
	Verdict  ticket.Text `json:"verdict,omitzero"`
	VerifyBy string      `json:"verify_by,omitzero"`
	Warned   time.Time   `json:"warned,omitzero"`
}

// Sign is a unit's signature.
type Sign struct {
	Unit string    `json:"unit"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Act is what a unit did.
type Act struct {
	Unit string      `json:"unit"`
	By   string      `json:"by"`
	At   time.Time   `json:"at"`
	Text ticket.Text `json:"text"`
}

// Result is a counted result: 窝点 7 处.
type Result struct {
	Kind string `json:"kind"`
	N    int    `json:"n"`
	Unit string `json:"unit"`
}

// ResultKinds are the kinds of results with their measure words, in the order of pages.
var ResultKinds = []struct{ Code, Label, Measure string }{
	{"den", "打掉窝点", "处"}, {"case", "侦破案件", "起"}, {"detained", "查处人员", "人"}, {"hazard", "整改隐患", "处"}, {"parking", "新增停车场", "处"},
	{"dispute", "化解矛盾", "起"}, {"patrol", "增设巡逻点位", "处"}, {"household", "办理落户", "人"}, {"other", "其他成果", "项"},
}

// ResultLabel is a result for people: 打掉窝点7处.
func (r Result) Label() string {
	for _, k := range ResultKinds {
		if k.Code == r.Kind {
			return fmt.Sprintf("%s%d%s", k.Label, r.N, k.Measure)
		}
	}
	return fmt.Sprintf("%s %d", r.Kind, r.N)
}

// OrderIn is what an order is drafted with.
type OrderIn struct {
	Title, Content, Place, Topic, Alert string
	Units                               []string // the first leads
	Tickets                             []string
	Incidents                           []string
	Due                                 time.Time
}

// DraftOrder drafts an order.
func (d *Desk) DraftOrder(tx *storage.Tx, in OrderIn, by ticket.Actor) (Order, error) {
	return open(d, tx, KindOrder, by, "", func(f *file, o *Order) (map[string]any, error) {
		if err := may(by, org.IssueOrder); err != nil {
			return nil, err
		}
		o.State, o.Place, o.Topic, o.Alert, o.Due = Draft, strings.TrimSpace(in.Place), in.Topic, in.Alert, ms(in.Due)
		if len(in.Units) == 0 {
			return nil, refuse("unit", "请选择执行单位")
		}
		for i, u := range in.Units {
			if u == "" || slices.Contains(in.Units[:i], u) {
				return nil, refuse("twice", "执行单位不能为空或重复")
			}
			if err := d.mayAct(tx, u, in.Tickets); err != nil {
				return nil, err
			}
			o.Members = append(o.Members, "unit/"+u)
		}
		o.Unit = in.Units[0]
		for _, id := range in.Tickets {
			t, err := d.Office.See(tx, id, by)
			if errors.Is(err, storage.ErrNotFound) {
				return nil, refuse("ticket", "没有找到关联的诉求")
			} else if err != nil {
				return nil, err
			}
			if !slices.Contains(o.Tickets, t.ID) {
				o.Tickets = append(o.Tickets, t.ID)
			}
		}
		if in.Topic != "" {
			if _, err := get[Topic](tx, in.Topic); err != nil {
				return nil, refuse("topic", "没有找到该专题")
			}
		}
		for _, n := range in.Incidents {
			if n = strings.TrimSpace(n); n != "" {
				o.Incident = append(o.Incident, n)
			}
		}
		if o.Due.IsZero() || o.Due.Before(f.now) {
			return nil, refuse("due", "请填写完成期限，且不早于现在")
		}
		var err error
		if o.Title, err = f.must("title", "指令标题", in.Title); err != nil {
			return nil, err
		}
		if o.Content, err = f.must("content", "指令内容", in.Content); err != nil {
			return nil, err
		}
		return map[string]any{"title": o.Title, "units": in.Units}, nil
	})
}

// IssueOrder signs the order and tells the units.
func (d *Desk) IssueOrder(tx *storage.Tx, id string, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder); err != nil {
			return "", nil, err
		}
		if err := f.in("签发", Draft); err != nil {
			return "", nil, err
		}
		if o.Due.Before(f.now) {
			return "", nil, refuse("due", "完成期限已过，请作废后重新起草")
		}
		rules, err := d.rules(tx)
		if err != nil {
			return "", nil, err
		}
		o.State, o.IssuedBy, o.IssuedAt = Issued, by.String(), f.now
		o.Next = earliest(d.days(f.now, rules.Supervise.SignDays), o.Due)
		for _, u := range o.Units() {
			n := ticket.Notice{Subject: o.ID, Point: ticket.Point("issued/" + u), Kind: string(KindOrder), Colour: ticket.Orange, Unit: u, TicketID: first(o.Tickets),
				Text: "收到民意感知调度指令，请签收：" + o.Number, PlannedAt: f.now}
			if err := d.Office.Tell(tx, n); err != nil {
				return "", nil, err
			}
		}
		return "issued", nil, nil
	})
}

// Units are the units of an order, the leading one first.
func (o *Order) Units() []string {
	var out []string
	for _, m := range o.Members {
		if u, ok := strings.CutPrefix(m, "unit/"); ok {
			out = append(out, u)
		}
	}
	return out
}

func (o *Order) signed(unit string) bool {
	return slices.ContainsFunc(o.Signs, func(s Sign) bool { return s.Unit == unit })
}

// DropOrder withdraws a draft.
func (d *Desk) DropOrder(tx *storage.Tx, id, reason string, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder); err != nil {
			return "", nil, err
		}
		if err := f.in("作废", Draft); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "作废原因", reason)
		if err != nil {
			return "", nil, err
		}
		o.State = Dropped
		return "dropped", map[string]any{"reason": ref}, nil
	})
}

// of refuses everybody but officers of a unit of the order.
func (o *Order) of(f *file, act org.Action) error {
	if !slices.Contains(o.Units(), f.by.Unit) {
		return refuse("unit", "您的单位不是该指令的执行单位")
	}
	return may(f.by, act)
}

// SignOrder is a unit's signature; with the last one the order is signed.
func (d *Desk) SignOrder(tx *storage.Tx, id string, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := f.in("签收", Issued); err != nil {
			return "", nil, err
		}
		if err := o.of(f, org.SignTicket); err != nil {
			return "", nil, err
		}
		if o.signed(by.Unit) {
			return "", nil, refuse("twice", "您的单位已签收")
		}
		o.Signs = append(slices.Clone(o.Signs), Sign{by.Unit, by.String(), f.now})
		if len(o.Signs) == len(o.Units()) {
			o.State, o.Next = Signed, o.Due
		}
		return "signed", map[string]any{"unit": by.Unit}, nil
	})
}

// Act records what a unit did.
func (d *Desk) Act(tx *storage.Tx, id, text string, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := f.in("记录行动", Issued, Signed, Acting); err != nil {
			return "", nil, err
		}
		if err := o.of(f, org.SubmitResult); err != nil {
			return "", nil, err
		}
		if !o.signed(by.Unit) {
			return "", nil, refuse("sign", "请先签收指令")
		}
		ref, err := f.must("act", "行动情况", text)
		if err != nil {
			return "", nil, err
		}
		o.Acts = append(slices.Clone(o.Acts), Act{by.Unit, by.String(), f.now, ref})
		if o.State == Signed {
			o.State = Acting
		}
		return "acted", map[string]any{"unit": by.Unit, "text": ref}, nil
	})
}

// ReportOrder is the leading unit's report, with counted results: they stand in the place of an earlier report's.
func (d *Desk) ReportOrder(tx *storage.Tx, id, text string, results []Result, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := f.in("上报结果", Signed, Acting); err != nil {
			return "", nil, err
		}
		if err := f.ours(o.Unit, org.SubmitResult); err != nil {
			return "", nil, err
		}
		ref, err := f.must("report", "执行结果", text)
		if err != nil {
			return "", nil, err
		}
		o.Results = nil
		for _, r := range results {
			if r.N <= 0 || r.N > 1_000_000 || !slices.ContainsFunc(ResultKinds, func(k struct{ Code, Label, Measure string }) bool { return k.Code == r.Kind }) {
				return "", nil, refuse("result", "成果数量须是正整数，种类须在目录内")
			}
			o.Results = append(o.Results, Result{r.Kind, r.N, by.Unit})
		}
		o.Acts = append(slices.Clone(o.Acts), Act{by.Unit, by.String(), f.now, ref})
		o.State, o.ReportBy, o.Next = Reported, by.String(), time.Time{}
		return "reported", map[string]any{"text": ref}, nil
	})
}

// VerifyOrder confirms the results, or sends the order back.
func (d *Desk) VerifyOrder(tx *storage.Tx, id string, ok bool, note string, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder); err != nil {
			return "", nil, err
		}
		if err := f.in("核验", Reported); err != nil {
			return "", nil, err
		}
		if o.ReportBy == by.String() {
			return "", nil, refuse("same_person", "上报人不能核验自己的结果")
		}
		ref, err := f.must("verdict", "核验意见", note)
		if err != nil {
			return "", nil, err
		}
		if !ok {
			o.State, o.Next = Acting, d.days(f.now, 1)
			return "sent_back", map[string]any{"reason": ref}, d.tell(tx, o, "sent_back", "指令结果未通过核验，请继续执行")
		}
		o.State, o.Verdict, o.VerifyBy = Verified, ref, by.String()
		return "verified", map[string]any{"verdict": ref}, nil
	})
}

// CloseOrder puts a verified order away.
func (d *Desk) CloseOrder(tx *storage.Tx, id string, by ticket.Actor) (Order, error) {
	return change(d, tx, id, KindOrder, by, func(f *file, o *Order) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder); err != nil {
			return "", nil, err
		}
		if err := f.in("办结", Verified); err != nil {
			return "", nil, err
		}
		o.State = ClosedUp
		return "closed", nil, nil
	})
}

// OrderTotals are the results of verified orders issued in [from, to), by kind; zero times are no limits.
func (d *Desk) OrderTotals(tx *storage.Tx, from, to time.Time) (map[string]int, error) {
	list, err := find[Order](d, tx, KindOrder, ` AND state IN ('VERIFIED', 'CLOSED')`)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, o := range list {
		if !from.IsZero() && o.IssuedAt.Before(from) || !to.IsZero() && !o.IssuedAt.Before(to) {
			continue
		}
		for _, r := range o.Results {
			out[r.Kind] += r.N
		}
	}
	return out, nil
}
