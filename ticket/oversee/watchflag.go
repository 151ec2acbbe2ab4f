package oversee

import (
	"errors"
	"slices"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// WatchFlag is 重点关注 of a person: with an authority, a purpose and an end, for those who need to know (I19). In force it
// is one factor of the person's score when a ticket is graded, and nothing else follows from it by itself.
type WatchFlag struct {
	Head                  // Subject is the contact id
	Authority ticket.Text `json:"authority"` // on whose order and by which rule
	Purpose   ticket.Text `json:"purpose"`
	Days      int         `json:"days"`
	From      time.Time   `json:"from,omitzero"`
	Until     time.Time   `json:"until,omitzero"`
	DecidedBy string      `json:"decided_by,omitzero"`
	Decision  ticket.Text `json:"decision,omitzero"`
	Renews    string      `json:"renews,omitzero"` // an earlier flag
}

// WatchIn is what a flag is asked for with.
type WatchIn struct {
	ContactID, Authority, Purpose string
	Days                          int      // 0: as many as the rules allow
	Know                          []string // staff ids of those who need to know
}

// AskWatch asks for a flag. It is refused while no leader is set as the approver (norms §9, 16).
func (d *Desk) AskWatch(tx *storage.Tx, in WatchIn, by ticket.Actor) (WatchFlag, error) {
	return open(d, tx, KindWatch, by, "", func(f *file, w *WatchFlag) (map[string]any, error) {
		if by.Kind == ticket.SystemActor || may(by, org.ViewWatch) != nil || org.Can(by.Role, org.ViewAudit) {
			return nil, noRole() // never by a machine; the auditor only looks
		}
		rules, err := d.rules(tx)
		if err != nil {
			return nil, err
		}
		if rules.WatchApprover == "" {
			return nil, refuse("off", "重点关注未启用：尚未指定负责审批的局领导")
		}
		if in.Days == 0 {
			in.Days = rules.WatchDays
		}
		if in.Days < 1 || in.Days > rules.WatchDays {
			return nil, refuse("days", "期限须为1至%d天", rules.WatchDays)
		}
		if _, err := d.Office.Book.Get(tx, in.ContactID); errors.Is(err, storage.ErrNotFound) || in.ContactID == "" {
			return nil, refuse("contact", "没有找到该群众档案")
		} else if err != nil {
			return nil, err
		}
		now, err := find[WatchFlag](d, tx, KindWatch, ` AND subject = $2 AND state IN ('ASKED', 'ACTIVE')`, in.ContactID)
		if err != nil {
			return nil, err
		}
		for _, x := range now {
			if x.State == Asked || x.Until.After(f.now.AddDate(0, 0, 14)) {
				return nil, refuse("there", "该人员已有待批或有效的重点关注；到期前14天内可以申请续期")
			}
			w.Renews = x.ID
		}
		w.State, w.Subject, w.Days = Asked, in.ContactID, in.Days
		for _, id := range in.Know {
			s, err := org.GetStaff(tx, id)
			if err != nil || !s.Active || !org.Can(s.Role, org.ViewWatch) {
				return nil, refuse("know", "知悉范围内的人员须有查看重点关注的权限")
			}
			w.Members = append(w.Members, s.Actor())
		}
		if w.Authority, err = f.must("authority", "批准依据", in.Authority); err != nil {
			return nil, err
		}
		if w.Purpose, err = f.must("purpose", "关注目的", in.Purpose); err != nil {
			return nil, err
		}
		return map[string]any{"days": in.Days}, nil
	})
}

// DecideWatch is the leader's decision; only the one set in the rules decides, and never on an own request.
func (d *Desk) DecideWatch(tx *storage.Tx, id string, grant bool, note string, by ticket.Actor) (WatchFlag, error) {
	return change(d, tx, id, KindWatch, by, func(f *file, w *WatchFlag) (string, map[string]any, error) {
		if err := f.in("审批", Asked); err != nil {
			return "", nil, err
		}
		if by.Kind != ticket.StaffActor || may(by, org.ApproveWatch) != nil {
			return "", nil, noRole()
		}
		rules, err := d.rules(tx)
		if err != nil {
			return "", nil, err
		}
		s, err := org.GetStaff(tx, by.ID)
		if err != nil {
			return "", nil, err
		}
		switch {
		case s.Login != rules.WatchApprover:
			return "", nil, refuse("approver", "重点关注由指定的局领导审批")
		case w.OpenedBy == by.String():
			return "", nil, refuse("same_person", "申请人不能审批自己的申请")
		}
		if w.Decision, err = f.must("decision", "审批意见", note); err != nil {
			return "", nil, err
		}
		w.DecidedBy = by.String()
		if w.State = Rejected; grant {
			w.State, w.From, w.Until = Active, f.now, ms(f.now.AddDate(0, 0, w.Days))
			w.Due, w.Next = w.Until, w.Until
		}
		return "decided", map[string]any{"grant": grant, "decision": w.Decision}, nil
	})
}

// RevokeWatch ends a flag before its time.
func (d *Desk) RevokeWatch(tx *storage.Tx, id, reason string, by ticket.Actor) (WatchFlag, error) {
	return change(d, tx, id, KindWatch, by, func(f *file, w *WatchFlag) (string, map[string]any, error) {
		if err := f.in("撤销", Active); err != nil {
			return "", nil, err
		}
		if by.Kind == ticket.SystemActor || may(by, org.ApproveWatch) != nil && by.String() != w.OpenedBy {
			return "", nil, noRole()
		}
		ref, err := f.must("reason", "撤销理由", reason)
		if err != nil {
			return "", nil, err
		}
		w.State = Revoked
		return "revoked", map[string]any{"reason": ref}, nil
	})
}

// expireWatch ends a flag whose time is over.
func (d *Desk) expireWatch(tx *storage.Tx, id string) error {
	_, err := change(d, tx, id, KindWatch, ticket.System, func(f *file, w *WatchFlag) (string, map[string]any, error) {
		if w.State != Active || f.now.Before(w.Until) {
			return "", nil, nil
		}
		w.State = Expired
		return "expired", nil, nil
	})
	return err
}

// SeenWatch notes in the log that somebody looked at a flag, and at which page.
func (d *Desk) SeenWatch(tx *storage.Tx, w *WatchFlag, by ticket.Actor) error {
	_, err := audit.Append(tx, audit.Entry{Stream: "watch-access/" + w.ID, Type: "watch.seen", Actor: by.String(), At: d.now()})
	return err
}

// Watched reports whether a flag on a person is in force at a time: granted, begun, not over and not revoked by then.
func (d *Desk) Watched(tx *storage.Tx, contactID string, at time.Time) (bool, error) {
	if contactID == "" {
		return false, nil
	}
	list, err := find[WatchFlag](d, tx, KindWatch, ` AND subject = $2 AND state IN ('ACTIVE', 'EXPIRED', 'REVOKED')`, contactID)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(w *WatchFlag) bool {
		return !at.Before(w.From) && at.Before(w.Until) && (w.ClosedAt.IsZero() || at.Before(w.ClosedAt))
	}), nil
}

// Period is a node of the calendar of watch periods (W12): while it lasts thresholds are halved and somebody is on duty.
type Period struct {
	Head
	Name      string      `json:"name"`
	From      workday.Day `json:"from"`
	To        workday.Day `json:"to"`                  // the last day
	Districts []string    `json:"districts,omitempty"` // empty: the whole city
	Factor    float64     `json:"factor"`
	Duty      []string    `json:"duty,omitempty"` // staff ids on duty
}

// OpenPeriod enters a node of the calendar.
func (d *Desk) OpenPeriod(tx *storage.Tx, name string, from, to workday.Day, districts, duty []string, by ticket.Actor) (Period, error) {
	return open(d, tx, KindPeriod, by, "", func(f *file, p *Period) (map[string]any, error) {
		if err := may(by, org.ApproveList, org.DraftReport); err != nil {
			return nil, err
		}
		if name == "" || from.IsZero() || to < from || to > from.Add(92) {
			return nil, refuse("period", "请填写名称和起止日期，最长92天")
		}
		if workday.DayOf(f.now) > to {
			return nil, refuse("period", "时段已经过去")
		}
		for _, id := range duty {
			s, err := org.GetStaff(tx, id)
			if err != nil || !s.Active {
				return nil, refuse("duty", "值班人员须是在职人员")
			}
			p.Members = append(p.Members, s.Actor())
		}
		rules, err := d.rules(tx)
		if err != nil {
			return nil, err
		}
		p.State, p.Name, p.From, p.To, p.Districts, p.Duty, p.Factor = Active, name, from, to, districts, duty, rules.Warn.WatchFactor
		return map[string]any{"name": name, "from": from, "to": to}, nil
	})
}

// RevokePeriod takes a node out.
func (d *Desk) RevokePeriod(tx *storage.Tx, id, reason string, by ticket.Actor) (Period, error) {
	return change(d, tx, id, KindPeriod, by, func(f *file, p *Period) (string, map[string]any, error) {
		if err := may(by, org.ApproveList, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("撤销", Active); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "撤销理由", reason)
		if err != nil {
			return "", nil, err
		}
		p.State = Revoked
		return "revoked", map[string]any{"reason": ref}, nil
	})
}

// InPeriod returns the watch periods that a moment falls into.
func (d *Desk) InPeriod(tx *storage.Tx, at time.Time) ([]Period, error) {
	list, err := find[Period](d, tx, KindPeriod, ` AND state = 'ACTIVE'`)
	if err != nil {
		return nil, err
	}
	var out []Period
	day := workday.DayOf(at)
	for _, p := range list {
		if p.From <= day && day <= p.To {
			out = append(out, *p)
		}
	}
	return out, nil
}
