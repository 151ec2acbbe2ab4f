package oversee

import (
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Mediation is the work on a conflict until it is settled (矛盾化解, RES-6): since when it lasts, each session with who was
// there, the agreement that was reached and whether it is kept. It ends with an agreement that was carried out, or with an
// explanation that a second person accepts.
type Mediation struct {
	Head                     // Unit is who mediates
	Title      ticket.Text   `json:"title"`
	Sort       string        `json:"sort"`  // neighbours, damages, noise …
	Since      workday.Day   `json:"since"` // when the conflict began
	Parties    int           `json:"parties"`
	Sessions   []Session     `json:"sessions,omitempty"`
	Agreement  ticket.Text   `json:"agreement,omitzero"`
	AgreedAt   time.Time     `json:"agreed_at,omitzero"`
	Paper      string        `json:"paper,omitzero"` // number of the written agreement, where it is kept
	Papers     []Paper       `json:"papers,omitempty"`
	Kept       []ticket.Text `json:"kept,omitempty"` // notes on how the agreement is carried out
	Explained  ticket.Text   `json:"explained,omitzero"`
	ExplainBy  string        `json:"explain_by,omitzero"`
	Verdict    ticket.Text   `json:"verdict,omitzero"`
	FinishedBy string        `json:"finished_by,omitzero"`
	Ended      string        `json:"ended,omitzero"` // agreement or explained
}

// Session is one meeting with the parties.
type Session struct {
	At      time.Time   `json:"at"`
	By      string      `json:"by"`
	Place   string      `json:"place,omitzero"`
	Present int         `json:"present"` // of the parties
	Text    ticket.Text `json:"text"`
}

// KindMediation is 矛盾化解.
const KindMediation Kind = "mediation"

// States of a Mediation besides those of others.
const (
	Agreed    State = "AGREED"
	Explained State = "EXPLAINED"
)

func mediationKind() kind {
	return kind{label: "矛盾化解", series: "调", blank: func() Matter { return new(Mediation) },
		labels: map[State]string{Opened: "待调解", Acting: "调解中", Agreed: "协议履行中", Explained: "解释待确认", ClosedUp: "已化解", Dropped: "转其他途径"},
		moves: map[State][]State{"": {Opened}, Opened: {Acting, Explained, Dropped}, Acting: {Agreed, Explained, Dropped}, Agreed: {ClosedUp, Acting},
			Explained: {ClosedUp, Acting}},
		final: []State{ClosedUp, Dropped}}
}

// MediationSorts are the kinds of conflicts in their order, with labels.
var MediationSorts = [][2]string{{"neighbours", "邻里纠纷"}, {"damages", "损害赔偿"}, {"noise", "噪音扰民"}, {"family", "婚姻家庭"}, {"property", "物业设施"}, {"labour", "劳资欠薪"}, {"land", "征地拆迁"}, {"trade", "消费合同"}, {"other", "其他矛盾"}}

// SortLabel is the kind of the conflict for staff (zh-CN).
func (m *Mediation) SortLabel() string { return labelOf(MediationSorts, m.Sort) }

// Years is how long the conflict has lasted by a day, or until it was settled.
func (m *Mediation) Years(today workday.Day) float64 {
	if !m.ClosedAt.IsZero() {
		today = workday.DayOf(m.ClosedAt)
	}
	return float64(today-m.Since) / 365.25
}

// MediationIn is what a mediation is opened with.
type MediationIn struct {
	Ticket, Topic, Title, Sort, Unit string
	Since                            workday.Day // zero: the first report of the matter
	Parties                          int
	Due                              time.Time // of the first session; zero: 3 WD
}

// OpenMediation takes a conflict up, about a ticket or a topic, by a unit that nobody of it accuses.
func (d *Desk) OpenMediation(tx *storage.Tx, in MediationIn, by ticket.Actor) (Mediation, error) {
	return open(d, tx, KindMediation, by, "", func(f *file, m *Mediation) (map[string]any, error) {
		if err := may(by, org.Supervise, org.DispatchTicket, org.OpenConsult); err != nil {
			return nil, err
		}
		m.State, m.Sort, m.Unit, m.Topic, m.Since, m.Parties = Opened, in.Sort, in.Unit, in.Topic, in.Since, in.Parties
		if m.SortLabel() == "" {
			return nil, refuse("sort", "请选择矛盾类别")
		}
		switch {
		case in.Ticket != "":
			t, err := d.Office.See(tx, in.Ticket, by)
			if errors.Is(err, storage.ErrNotFound) {
				return nil, refuse("ticket", "没有找到该诉求")
			} else if err != nil {
				return nil, err
			}
			m.Tickets = []string{t.ID}
			if err := d.clear(tx, m, by); err != nil {
				return nil, err
			}
			if m.Unit == "" {
				m.Unit = t.Host
			}
			first, err := d.firstReport(tx, t)
			if err != nil {
				return nil, err
			}
			if m.Since.IsZero() || first < m.Since {
				m.Since = first
			}
		case in.Topic != "":
			x, err := get[Topic](tx, in.Topic)
			if err != nil {
				return nil, refuse("topic", "没有找到该专题")
			}
			if m.Unit == "" {
				m.Unit = x.Unit
			}
			if m.Since.IsZero() {
				m.Since = workday.DayOf(x.OpenedAt)
			}
		default:
			return nil, refuse("about", "矛盾化解须关联诉求或专题")
		}
		if m.Unit == "" {
			return nil, refuse("unit", "请选择调解单位")
		}
		if err := d.mayAct(tx, m.Unit, m.Tickets); err != nil {
			return nil, err
		}
		switch today := workday.DayOf(f.now); {
		case m.Since > today || m.Since < today.Add(-36525):
			return nil, refuse("since", "矛盾起始日期不能晚于今天")
		case in.Parties < 0 || in.Parties > 100000:
			return nil, refuse("parties", "当事人数不合理")
		}
		var err error
		if m.Title, err = f.must("title", "矛盾事项", in.Title); err != nil {
			return nil, err
		}
		if m.Due = ms(in.Due); m.Due.IsZero() {
			m.Due = d.days(f.now, 3)
		} else if m.Due.Before(f.now) {
			return nil, refuse("due", "期限不能早于现在")
		}
		m.Next = m.Due
		return map[string]any{"sort": m.Sort, "since": m.Since, "title": m.Title}, d.tell(tx, m, "opened", "收到矛盾化解任务")
	})
}

// firstReport is the day of the first ticket that a ticket goes back to.
func (d *Desk) firstReport(tx *storage.Tx, t ticket.Ticket) (workday.Day, error) {
	for n := 0; t.RepeatOf != "" && n < 50; n++ {
		earlier, err := d.Office.Get(tx, t.RepeatOf)
		if err != nil {
			return 0, err
		}
		t = earlier
	}
	return workday.DayOf(t.ReceivedAt), nil
}

// mediates refuses everybody but officers of the mediating unit, and those of the centre who watch over it.
func (m *Mediation) mediates(f *file) error {
	if f.by.Unit == m.Unit && may(f.by, org.SubmitResult) == nil {
		return nil
	}
	return may(f.by, org.Supervise)
}

// AddSession notes a meeting with the parties, whether or not it led to anything.
func (d *Desk) AddSession(tx *storage.Tx, id string, at time.Time, place string, present int, text string, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("记录调解", Opened, Acting); err != nil {
			return "", nil, err
		}
		if err := m.mediates(f); err != nil {
			return "", nil, err
		}
		if at = ms(at); at.IsZero() {
			at = f.now
		}
		if at.After(f.now) || present < 0 {
			return "", nil, refuse("session", "调解时间不能晚于现在，到场人数不能为负")
		}
		ref, err := f.must("session", "调解情况", text)
		if err != nil {
			return "", nil, err
		}
		m.Sessions = append(slices.Clone(m.Sessions), Session{at, by.String(), strings.TrimSpace(place), present, ref})
		m.State, m.Due = Acting, d.days(f.now, 10)
		m.Next = m.Due
		return "session", map[string]any{"text": ref, "present": present}, nil
	})
}

// Agree notes the agreement, with the number under which the signed paper is kept, and until when it is to be carried out.
func (d *Desk) Agree(tx *storage.Tx, id, text, paper string, until time.Time, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("登记协议", Acting); err != nil {
			return "", nil, err
		}
		if err := m.mediates(f); err != nil {
			return "", nil, err
		}
		if paper = strings.TrimSpace(paper); paper == "" || len(paper) > 64 {
			return "", nil, refuse("paper", "请填写调解协议书编号（不超过64个字符）")
		}
		if until.IsZero() || until.Before(f.now) {
			return "", nil, refuse("due", "请填写履行期限，且不早于现在")
		}
		var err error
		if m.Agreement, err = f.must("agreement", "协议内容", text); err != nil {
			return "", nil, err
		}
		m.State, m.AgreedAt, m.Paper, m.Due = Agreed, f.now, paper, ms(until)
		m.Next = m.Due
		return "agreed", map[string]any{"agreement": m.Agreement, "paper": paper}, nil
	})
}

// Keep notes how the agreement is carried out: done, the conflict is settled; broken, the mediation goes on.
func (d *Desk) Keep(tx *storage.Tx, id string, done bool, text string, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("登记履行", Agreed); err != nil {
			return "", nil, err
		}
		if err := m.mediates(f); err != nil {
			return "", nil, err
		}
		ref, err := f.must("kept", "履行情况", text)
		if err != nil {
			return "", nil, err
		}
		m.Kept = append(slices.Clone(m.Kept), ref)
		if done {
			m.State, m.FinishedBy, m.Ended = ClosedUp, by.String(), "agreement"
			return "kept", map[string]any{"done": true, "text": ref}, nil
		}
		m.State, m.Due = Acting, d.days(f.now, 5)
		m.Next = m.Due
		return "kept", map[string]any{"done": false, "text": ref}, nil
	})
}

// Explain says why there will be no agreement and what was explained to the parties; a second person decides whether the
// conflict may end so.
func (d *Desk) Explain(tx *storage.Tx, id, text string, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("提出解释", Opened, Acting); err != nil {
			return "", nil, err
		}
		if err := m.mediates(f); err != nil {
			return "", nil, err
		}
		var err error
		if m.Explained, err = f.must("explained", "解释说明情况", text); err != nil {
			return "", nil, err
		}
		m.State, m.ExplainBy, m.Due = Explained, by.String(), d.days(f.now, 2)
		m.Next = m.Due
		return "explained", map[string]any{"text": m.Explained}, nil
	})
}

// JudgeExplained accepts an explanation, or has the mediation go on.
func (d *Desk) JudgeExplained(tx *storage.Tx, id string, ok bool, text string, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("确认解释", Explained); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise, org.ApproveList); err != nil {
			return "", nil, err
		}
		if m.ExplainBy == by.String() || by.Unit == m.Unit {
			return "", nil, refuse("same_person", "须由调解单位以外的人确认")
		}
		var err error
		if m.Verdict, err = f.must("verdict", "确认意见", text); err != nil {
			return "", nil, err
		}
		if m.State, m.FinishedBy, m.Ended = ClosedUp, by.String(), "explained"; !ok {
			m.State, m.FinishedBy, m.Ended, m.Due = Acting, "", "", d.days(f.now, 5)
			m.Next = m.Due
		}
		return "judged", map[string]any{"ok": ok, "verdict": m.Verdict}, nil
	})
}

// HandOn ends a mediation that belongs elsewhere: a court, arbitration, another department.
func (d *Desk) HandOn(tx *storage.Tx, id, text string, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("转其他途径", Opened, Acting); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise); err != nil {
			return "", nil, err
		}
		var err error
		if m.Verdict, err = f.must("verdict", "转往何处和理由", text); err != nil {
			return "", nil, err
		}
		m.State, m.FinishedBy = Dropped, by.String()
		return "handed_on", map[string]any{"verdict": m.Verdict}, nil
	})
}

// MediationFigures count conflicts: open ones, those that lasted a year or more, the years of the oldest, and the settled.
type MediationFigures struct {
	Open, Old, Agreed, Explained int
	Oldest                       float64
	YearsSettled                 float64 // of all that were settled, together
}

// MediationCounts counts the conflicts.
func (d *Desk) MediationCounts(tx *storage.Tx) (n MediationFigures, err error) {
	list, err := find[Mediation](d, tx, KindMediation, ``)
	today := workday.DayOf(d.now())
	for _, m := range list {
		years := m.Years(today)
		switch {
		case m.Open():
			n.Open++
			n.Oldest = max(n.Oldest, years)
			if years >= 1 {
				n.Old++
			}
		case m.Ended == "agreement":
			n.Agreed++
			n.YearsSettled += years
		case m.Ended == "explained":
			n.Explained++
			n.YearsSettled += years
		}
	}
	return n, err
}
