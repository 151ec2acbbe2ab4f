package oversee

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Intervention is what is done about a person whom an alert warns of (RES-3): a unit is sent, every contact stands with how the
// person was, the next one has its time, and the centre, not the unit, says that it is over and how.
type Intervention struct {
	Head                  // Unit is who is sent
	Alert     string      `json:"alert"`
	RaisedAt  time.Time   `json:"raised_at"` // when the alert was
	Risk      ticket.Text `json:"risk"`      // what is feared, and what is known
	Steps     []Step      `json:"steps,omitempty"`
	Outcome   string      `json:"outcome,omitzero"`
	Ended     ticket.Text `json:"ended,omitzero"`
	EndedBy   string      `json:"ended_by,omitzero"`
	Condition string      `json:"condition,omitzero"` // by the last step
}

// Step is one contact with the person, or with those around them.
type Step struct {
	At        time.Time   `json:"at"`
	By        string      `json:"by"`
	Way       string      `json:"way"`
	Condition string      `json:"condition"`
	Text      ticket.Text `json:"text"`
}

// KindIntervention is 人员干预.
const KindIntervention Kind = "intervention"

func interventionKind() kind {
	return kind{label: "人员干预", series: "干", blank: func() Matter { return new(Intervention) },
		labels: map[State]string{Opened: "待接触", Acting: "干预中", ClosedUp: "已解除"},
		moves:  map[State][]State{"": {Opened}, Opened: {Acting}, Acting: {ClosedUp}}, final: []State{ClosedUp}}
}

// Codes of an intervention in their order, with labels.
var (
	InterventionWays       = [][2]string{{"meet", "见面谈话"}, {"phone", "电话联系"}, {"family", "联系家属或社区"}, {"medical", "心理援助或送医"}, {"search", "查找去向"}, {"other", "其他"}}
	InterventionConditions = [][2]string{{"calm", "情绪平稳"}, {"watch", "需持续关注"}, {"worse", "风险加重"}, {"unseen", "未见到本人"}}
	InterventionOutcomes   = [][2]string{{"eased", "风险解除"}, {"treated", "送医或转心理援助"}, {"handed", "移交社区或有关部门跟踪"}, {"controlled", "依法处置"}}
)

// OutcomeLabel is how it ended, for staff (zh-CN).
func (m *Intervention) OutcomeLabel() string { return labelOf(InterventionOutcomes, m.Outcome) }

// ConditionLabel is how the person was at the last contact, for staff (zh-CN).
func (m *Intervention) ConditionLabel() string { return labelOf(InterventionConditions, m.Condition) }

// Labels are those of a step, for staff (zh-CN).
func (s Step) Labels() (way, condition string) {
	return labelOf(InterventionWays, s.Way), labelOf(InterventionConditions, s.Condition)
}

// firstContact is within what the first contact has to be made.
const firstContact = 2 * time.Hour

func interventionKey(alert string) string { return "intervention/" + alert }

// OpenIntervention sends a unit because of an alert that somebody has acknowledged; the alert is then disposed of as 已干预. An
// alert has one intervention.
func (d *Desk) OpenIntervention(tx *storage.Tx, alert, unit, risk string, by ticket.Actor) (Intervention, error) {
	m, err := open(d, tx, KindIntervention, by, interventionKey(alert), func(f *file, m *Intervention) (map[string]any, error) {
		if err := may(by, org.Supervise, org.ApproveWatch); err != nil {
			return nil, err
		}
		a, err := d.Office.Alert(tx, alert, by)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, refuse("alert", "没有找到该预警")
		} else if err != nil {
			return nil, err
		}
		switch {
		case unit == "":
			return nil, refuse("unit", "请选择责任单位")
		case a.State == ticket.AlertRaised:
			return nil, refuse("state", "该预警待确认，请先确认再指派干预")
		case a.State == ticket.AlertDisposed && a.Disposition == ticket.Noise:
			return nil, refuse("state", "该预警已判为误报，不能指派干预")
		}
		m.State, m.Unit, m.Alert, m.RaisedAt, m.Subject = Opened, unit, a.ID, a.RaisedAt, "alert/"+a.ID
		if a.TicketID != "" {
			m.Tickets = []string{a.TicketID}
			if err := d.clear(tx, m, by); err != nil {
				return nil, err
			}
		}
		if err := d.mayAct(tx, unit, m.Tickets); err != nil {
			return nil, err
		}
		if m.Risk, err = f.must("risk", "风险情况", risk); err != nil {
			return nil, err
		}
		m.Due = f.now.Add(firstContact)
		m.Next = m.Due
		if a.State == ticket.AlertAcked {
			if _, err := d.Office.DisposeAlert(tx, a.ID, ticket.Intervention, "", "已指派开展人员干预", by); err != nil {
				return nil, err
			}
		}
		return map[string]any{"alert": a.ID, "risk": m.Risk}, d.tell(tx, m, "opened", "收到人员干预任务，请于两小时内接触")
	})
	if errors.Is(err, errThere) {
		return m, refuse("there", "该预警已指派人员干预（%s）", m.Number)
	}
	return m, err
}

// AddStep writes a contact down: how, how the person was, and when the next one is (zero: within a day).
func (d *Desk) AddStep(tx *storage.Tx, id, way, condition, text string, next time.Time, by ticket.Actor) (Intervention, error) {
	return change(d, tx, id, KindIntervention, by, func(f *file, m *Intervention) (string, map[string]any, error) {
		if err := f.in("记录干预", Opened, Acting); err != nil {
			return "", nil, err
		}
		if f.by.Unit != m.Unit || may(by, org.SubmitResult) != nil {
			if err := may(by, org.Supervise); err != nil {
				return "", nil, err
			}
		}
		s := Step{At: f.now, By: by.String(), Way: way, Condition: condition}
		if a, b := s.Labels(); a == "" || b == "" {
			return "", nil, refuse("way", "请选择干预方式和人员状态")
		}
		if next = ms(next); next.IsZero() {
			next = f.now.Add(24 * time.Hour)
		}
		if next.Before(f.now) || next.After(f.now.AddDate(0, 0, 31)) {
			return "", nil, refuse("next", "下次接触须在今天以后一个月内")
		}
		var err error
		if s.Text, err = f.must("step", "接触情况", text); err != nil {
			return "", nil, err
		}
		m.State, m.Condition, m.Due, m.Next = Acting, condition, next, next
		m.Steps = append(slices.Clone(m.Steps), s)
		if condition == "worse" {
			if _, err := d.Office.RaiseAlert(tx, ticket.Alert{Key: fmt.Sprintf("worse/%s/%d", m.ID, len(m.Steps)), Rule: "RES3", Level: ticket.Red, TicketID: first(m.Tickets), Subject: m.Stream(), Title: "干预对象风险加重：" + m.Number,
				Evidence: text, By: ticket.System}); err != nil {
				return "", nil, err
			}
		}
		return "step", map[string]any{"way": way, "condition": condition, "text": s.Text}, nil
	})
}

// EndIntervention says that it is over, and how: the centre or a leader does, after at least one contact, and never the unit
// that was sent.
func (d *Desk) EndIntervention(tx *storage.Tx, id, outcome, text string, by ticket.Actor) (Intervention, error) {
	return change(d, tx, id, KindIntervention, by, func(f *file, m *Intervention) (string, map[string]any, error) {
		if err := f.in("解除", Acting); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise, org.ApproveWatch); err != nil {
			return "", nil, err
		}
		if by.Unit == m.Unit {
			return "", nil, refuse("unit", "须由责任单位以外的人员解除")
		}
		if m.Outcome = outcome; m.OutcomeLabel() == "" {
			return "", nil, refuse("outcome", "请选择干预结果")
		}
		if outcome == "eased" && m.Condition != "calm" {
			return "", nil, refuse("condition", "最近一次接触为“%s”，不能认定风险解除", m.ConditionLabel())
		}
		var err error
		if m.Ended, err = f.must("ended", "解除理由", text); err != nil {
			return "", nil, err
		}
		m.State, m.EndedBy = ClosedUp, by.String()
		return "ended", map[string]any{"outcome": outcome, "text": m.Ended}, nil
	})
}

// InterventionOf is the intervention of an alert that a viewer may see; nil where there is none.
func (d *Desk) InterventionOf(tx *storage.Tx, alert string, viewer ticket.Actor) (*Intervention, error) {
	id, err := storage.One(tx, storage.Value[string], `SELECT id FROM oversee_matter WHERE dedup = $1`, interventionKey(alert))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	m, err := d.Get(tx, KindIntervention, id, viewer)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return m.(*Intervention), nil
}
