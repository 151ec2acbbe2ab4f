package oversee

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/classify"
	"lianxin/ticket/match"
)

// Expert is somebody of the 专家顾问团.
type Expert struct {
	Head                    // Subject is the staff id
	Topics      []string    `json:"topics"`
	Note        ticket.Text `json:"note,omitzero"`
	Unavailable bool        `json:"unavailable,omitzero"`
}

// PutExpert enters a person in the directory, or changes what is there of them.
func (d *Desk) PutExpert(tx *storage.Tx, staffID string, topics []string, available bool, note string, by ticket.Actor) (Expert, error) {
	if err := may(by, org.Supervise); err != nil {
		return Expert{}, err
	}
	s, err := org.GetStaff(tx, staffID)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !org.Can(s.Role, org.GiveOpinion) {
		return Expert{}, refuse("expert", "专家须是有会商权限的在职人员")
	} else if err != nil {
		return Expert{}, err
	}
	var clean []string
	for _, t := range topics {
		if t = strings.TrimSpace(t); t != "" && !slices.Contains(clean, t) {
			clean = append(clean, t)
		}
	}
	if len(clean) == 0 {
		return Expert{}, refuse("topics", "请填写擅长领域")
	}
	fill := func(f *file, e *Expert) (err error) {
		e.State, e.Subject, e.Topics, e.Unavailable = Active, staffID, clean, !available
		e.Note, err = f.write("note", note)
		return err
	}
	e, err := open(d, tx, KindExpert, by, "expert/"+staffID, func(f *file, e *Expert) (map[string]any, error) {
		return map[string]any{"staff": staffID, "topics": clean}, fill(f, e)
	})
	if errors.Is(err, errThere) {
		return change(d, tx, e.ID, KindExpert, by, func(f *file, e *Expert) (string, map[string]any, error) {
			return "changed", map[string]any{"topics": clean, "available": available}, fill(f, e)
		})
	}
	return e, err
}

// RetireExpert takes a person out of the directory.
func (d *Desk) RetireExpert(tx *storage.Tx, id string, by ticket.Actor) (Expert, error) {
	return change(d, tx, id, KindExpert, by, func(f *file, e *Expert) (string, map[string]any, error) {
		if err := may(by, org.Supervise); err != nil {
			return "", nil, err
		}
		if err := f.in("出库", Active); err != nil {
			return "", nil, err
		}
		e.State = Retired
		return "retired", nil, nil
	})
}

// Candidate for a consultation: an expert, or why that person cannot be one.
type Choice struct {
	Expert  Expert
	Staff   org.Staff
	Exclude string // zh-CN; empty: may be invited
}

// Experts searches the directory by topic (all when empty); with a ticket, whoever has an interest in it is excluded: the
// accused and their unit, who handled or reviewed it, and officers of the units that have it (ORG-4, I6).
func (d *Desk) Experts(tx *storage.Tx, topic, ticketID string) ([]Choice, error) {
	list, err := find[Expert](d, tx, KindExpert, ` AND state = 'ACTIVE' ORDER BY id`)
	if err != nil {
		return nil, err
	}
	var t ticket.Ticket
	var legs []ticket.Leg
	if ticketID != "" {
		if t, err = d.Office.Get(tx, ticketID); err != nil {
			return nil, err
		}
		if legs, err = d.Office.Legs(tx, t.ID); err != nil {
			return nil, err
		}
	}
	var out []Choice
	for _, e := range list {
		if topic != "" && !slices.ContainsFunc(e.Topics, func(x string) bool { return strings.Contains(x, topic) || strings.Contains(topic, x) }) {
			continue
		}
		s, err := org.GetStaff(tx, e.Subject)
		if err != nil {
			return nil, err
		}
		c := Choice{Expert: *e, Staff: s}
		switch {
		case !s.Active:
			c.Exclude = "已离岗"
		case e.Unavailable:
			c.Exclude = "暂不可用"
		case ticketID != "":
			if c.Exclude, err = d.interest(tx, t, legs, s); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// interest says why a person is not impartial about a ticket; "" when nothing is known against it.
func (d *Desk) interest(tx *storage.Tx, t ticket.Ticket, legs []ticket.Leg, s org.Staff) (string, error) {
	concerned, err := d.Office.Concerned(tx, t, s.Unit, s.ID)
	if err != nil {
		return "", err
	}
	me := s.Actor()
	switch {
	case concerned:
		return "涉及本人或所在单位", nil
	case t.OpenedBy == me || t.AnsweredBy == me || t.DecidedBy == me:
		return "经办过该诉求", nil
	}
	for _, l := range legs {
		if slices.Contains([]string{l.Handler, l.SignedBy, l.SubmittedBy, l.ReviewedBy}, me) {
			return "经办过该诉求", nil
		}
		if l.Unit == s.Unit {
			return "承办或曾承办单位人员", nil
		}
	}
	return "", nil
}

// Opinion is what an expert said.
type Opinion struct {
	By   string      `json:"by"`
	At   time.Time   `json:"at"`
	Text ticket.Text `json:"text"`
}

// Consult is 会商 about a ticket or a topic.
type Consult struct {
	Head
	Reason     string      `json:"reason"` // duty 职责不清, law 法律适用, complex 复杂纠纷, red 红色
	Question   ticket.Text `json:"question,omitzero"`
	Experts    []string    `json:"experts,omitempty"` // actors that were invited
	Opinions   []Opinion   `json:"opinions,omitempty"`
	Conclusion ticket.Text `json:"conclusion,omitzero"`
	Basis      ticket.Text `json:"basis,omitzero"` // 法律依据
	Host       string      `json:"host,omitzero"`
	Co         []string    `json:"co,omitempty"`
	Deadline   time.Time   `json:"deadline,omitzero"`
	Minutes    ticket.Text `json:"minutes,omitzero"`
	Duty       string      `json:"duty,omitzero"` // the entry of the 职责清单 that it left
	By         string      `json:"by,omitzero"`   // who concluded
}

var consultReasons = map[string]string{"duty": "职责边界模糊", "law": "法律适用争议", "complex": "复杂纠纷", "red": "红色诉求会商"}

// ConsultReasons are the codes of reasons in their order, with labels.
func ConsultReasons() [][2]string {
	return [][2]string{{"duty", consultReasons["duty"]}, {"law", consultReasons["law"]}, {"complex", consultReasons["complex"]}, {"red", consultReasons["red"]}}
}

// ReasonLabel is why it was called (zh-CN).
func (c *Consult) ReasonLabel() string { return consultReasons[c.Reason] }

// OpenConsult calls a consultation.
func (d *Desk) OpenConsult(tx *storage.Tx, ticketID, topic, reason, question string, due time.Time, by ticket.Actor) (Consult, error) {
	return open(d, tx, KindConsult, by, "", func(f *file, c *Consult) (map[string]any, error) {
		if err := may(by, org.OpenConsult); err != nil {
			return nil, err
		}
		c.State, c.Reason, c.Topic = Opened, reason, topic
		if consultReasons[reason] == "" {
			return nil, refuse("reason", "请选择会商事由")
		}
		switch {
		case ticketID != "":
			t, err := d.Office.See(tx, ticketID, by)
			if errors.Is(err, storage.ErrNotFound) {
				return nil, refuse("ticket", "没有找到该诉求")
			} else if err != nil {
				return nil, err
			}
			if !t.State.Open() {
				return nil, refuse("ticket", "诉求%s已结束，不能会商", t.Number)
			}
			c.Tickets = []string{t.ID}
			if err := d.clear(tx, c, by); err != nil {
				return nil, err
			}
			others, err := find[Consult](d, tx, KindConsult, ` AND closed_at IS NULL AND id IN (SELECT matter_id FROM oversee_ticket WHERE ticket_id = $2)`, t.ID)
			if err != nil {
				return nil, err
			}
			if len(others) > 0 {
				return nil, refuse("open", "该诉求已有进行中的会商%s", others[0].Number)
			}
		case topic != "":
			if _, err := get[Topic](tx, topic); err != nil {
				return nil, refuse("topic", "没有找到该专题")
			}
		default:
			return nil, refuse("about", "会商须关联诉求或专题")
		}
		var err error
		if c.Question, err = f.must("question", "会商问题", question); err != nil {
			return nil, err
		}
		if c.Due = ms(due); c.Due.IsZero() {
			c.Due = d.days(f.now, 1)
		}
		c.Next = c.Due
		return map[string]any{"reason": reason, "question": c.Question}, nil
	})
}

// Invite asks experts of the directory for their opinions. One with an interest in the ticket is refused.
func (d *Desk) Invite(tx *storage.Tx, id string, experts []string, by ticket.Actor) (Consult, error) {
	return change(d, tx, id, KindConsult, by, func(f *file, c *Consult) (string, map[string]any, error) {
		if err := may(by, org.OpenConsult); err != nil {
			return "", nil, err
		}
		if err := f.in("邀请专家", Opened, Invited, Opinions, Adjourned); err != nil {
			return "", nil, err
		}
		of := ""
		if len(c.Tickets) > 0 {
			of = c.Tickets[0]
		}
		choices, err := d.Experts(tx, "", of)
		if err != nil {
			return "", nil, err
		}
		c.Experts, c.Members = slices.Clone(c.Experts), slices.Clone(c.Members)
		for _, staff := range experts {
			i := slices.IndexFunc(choices, func(x Choice) bool { return x.Staff.ID == staff })
			if i < 0 {
				return "", nil, refuse("expert", "所选人员不在专家库中")
			}
			x := choices[i]
			if x.Exclude != "" {
				return "", nil, refuse("interest", "%s不能参加会商：%s", x.Staff.Name, x.Exclude)
			}
			if a := x.Staff.Actor(); !slices.Contains(c.Experts, a) {
				c.Experts = append(c.Experts, a)
				c.Members = append(c.Members, a)
			}
		}
		if len(c.Experts) == 0 {
			return "", nil, refuse("expert", "请选择专家")
		}
		if c.State != Opinions {
			c.State = Invited
		}
		return "invited", map[string]any{"experts": experts}, nil
	})
}

// Opine gives an invited expert's opinion; giving it again replaces it, and the first stays in the log.
func (d *Desk) Opine(tx *storage.Tx, id, text string, by ticket.Actor) (Consult, error) {
	return change(d, tx, id, KindConsult, by, func(f *file, c *Consult) (string, map[string]any, error) {
		if err := may(by, org.GiveOpinion); err != nil {
			return "", nil, err
		}
		if err := f.in("提出意见", Invited, Opinions); err != nil {
			return "", nil, err
		}
		if !slices.Contains(c.Experts, by.String()) {
			return "", nil, refuse("invited", "您未被邀请参加该会商")
		}
		ref, err := f.must("opinion", "会商意见", text)
		if err != nil {
			return "", nil, err
		}
		c.Opinions = slices.DeleteFunc(slices.Clone(c.Opinions), func(o Opinion) bool { return o.By == by.String() })
		c.Opinions = append(c.Opinions, Opinion{By: by.String(), At: f.now, Text: ref})
		c.State = Opinions
		return "opined", map[string]any{"opinion": ref}, nil
	})
}

// Adjourn pauses a consultation with a reason; inviting goes on with it.
func (d *Desk) Adjourn(tx *storage.Tx, id, reason string, by ticket.Actor) (Consult, error) {
	return change(d, tx, id, KindConsult, by, func(f *file, c *Consult) (string, map[string]any, error) {
		if err := may(by, org.OpenConsult); err != nil {
			return "", nil, err
		}
		if err := f.in("休会", Opened, Invited, Opinions); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "休会原因", reason)
		if err != nil {
			return "", nil, err
		}
		c.State = Adjourned
		return "adjourned", map[string]any{"reason": ref}, nil
	})
}

// Ruling is the binding conclusion of a consultation.
type Ruling struct {
	Text     string
	Basis    string // 法律依据
	Host     string
	Co       []string
	Deadline time.Time // the host reports by then, 督办 sees to it; zero: by the rules of 督办
	Minutes  string
	Keep     bool // leave an entry in the 职责清单
}

// Conclude ends a consultation: it binds the next dispatch. The ticket goes to the host that was found, 督办 follows the
// deadline, and with Keep the conclusion becomes an entry of the 职责清单 that later suggestions draw on (§5, EXP-1, EXP-2).
func (d *Desk) Conclude(tx *storage.Tx, id string, r Ruling, by ticket.Actor) (Consult, error) {
	c, err := change(d, tx, id, KindConsult, by, func(f *file, c *Consult) (string, map[string]any, error) {
		if err := may(by, org.OpenConsult); err != nil {
			return "", nil, err
		}
		if err := f.in("形成结论", Opinions); err != nil {
			return "", nil, err
		}
		var err error
		if c.Conclusion, err = f.must("conclusion", "会商结论", r.Text); err != nil {
			return "", nil, err
		}
		if c.Basis, err = f.must("basis", "法律依据", r.Basis); err != nil {
			return "", nil, err
		}
		if c.Minutes, err = f.write("minutes", r.Minutes); err != nil {
			return "", nil, err
		}
		if r.Host == "" {
			return "", nil, refuse("host", "请指定主办单位")
		}
		for _, u := range append([]string{r.Host}, r.Co...) {
			if err := d.mayAct(tx, u, c.Tickets); err != nil {
				return "", nil, err
			}
		}
		if !r.Deadline.IsZero() && r.Deadline.Before(f.now) {
			return "", nil, refuse("due", "期限不能早于现在")
		}
		c.State, c.Host, c.Co, c.Deadline, c.Unit, c.By = Concluded, r.Host, r.Co, ms(r.Deadline), r.Host, by.String()
		if r.Keep {
			duty, err := d.keepDuty(tx, DutyIn{Ticket: first(c.Tickets), Consult: c.ID, Host: r.Host, Co: r.Co, Text: r.Text, Basis: r.Basis}, by)
			if err != nil {
				return "", nil, err
			}
			c.Duty = duty.ID
		}
		return "concluded", map[string]any{"host": r.Host, "co": r.Co, "conclusion": c.Conclusion, "basis": c.Basis}, nil
	})
	if err != nil || len(c.Tickets) == 0 {
		return c, err
	}
	t, err := d.Office.Redirect(tx, c.Tickets[0], ticket.Dispatching{Host: r.Host, Co: r.Co, Note: "会商" + c.Number + "结论：" + r.Text}, by)
	if err != nil {
		return c, err
	}
	if !r.Deadline.IsZero() {
		s, err := d.Propose(tx, Proposal{Level: 1, Trigger: ByHand, TicketID: t.ID, Unit: r.Host, Grounds: "会商" + c.Number + "确定的主办单位和期限", Requirement: r.Text, Key: "consult/" + c.ID}, ticket.System)
		if err != nil {
			return c, err
		}
		if _, err := d.Issue(tx, s.ID, Issuing{Due: r.Deadline}, ticket.System); err != nil {
			return c, err
		}
	}
	return c, nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// Duty is an entry of the 职责清单: which unit such a matter belongs to, and by which rule.
type Duty struct {
	Head                 // Unit is the host
	Domain   string      `json:"domain,omitzero"` // of ticket/classify
	Co       []string    `json:"co,omitempty"`
	Consult  string      `json:"consult,omitzero"`
	Text     ticket.Text `json:"text"`
	Basis    ticket.Text `json:"basis,omitzero"`
	Keywords ticket.Text `json:"keywords,omitzero"` // by which it is found besides the words of its ticket
	Used     int         `json:"used,omitzero"`
}

// DutyIn is what an entry is made of.
type DutyIn struct {
	Ticket, Consult, Host string
	Co                    []string
	Text, Basis, Keywords string
}

func (d *Desk) keepDuty(tx *storage.Tx, in DutyIn, by ticket.Actor) (Duty, error) {
	key := ""
	if in.Consult != "" {
		key = "duty/" + in.Consult
	}
	return open(d, tx, KindDuty, by, key, func(f *file, u *Duty) (map[string]any, error) {
		u.State, u.Unit, u.Co, u.Consult = Active, in.Host, in.Co, in.Consult
		if err := d.mayAct(tx, in.Host, nil); err != nil {
			return nil, err
		}
		if in.Host == "" {
			return nil, refuse("host", "请指定主办单位")
		}
		title, text := "", in.Keywords
		if in.Ticket != "" {
			t, err := d.Office.Get(tx, in.Ticket)
			if err != nil {
				return nil, err
			}
			if !t.Restricted && !t.Confidential {
				u.Tickets = []string{t.ID}
			}
			title, text = t.Title, t.Body
		}
		if strings.TrimSpace(title+text) != "" {
			u.Domain = string(classify.Classify(title, text).Domain)
		}
		var err error
		if u.Text, err = f.must("text", "职责结论", in.Text); err != nil {
			return nil, err
		}
		if u.Basis, err = f.write("basis", in.Basis); err != nil {
			return nil, err
		}
		if u.Keywords, err = f.write("keywords", in.Keywords); err != nil {
			return nil, err
		}
		return map[string]any{"unit": u.Unit, "text": u.Text}, nil
	})
}

// AddDuty enters a rule of the 职责清单 by hand, with words by which it is found.
func (d *Desk) AddDuty(tx *storage.Tx, in DutyIn, by ticket.Actor) (Duty, error) {
	if err := may(by, org.Supervise, org.DispatchTicket); err != nil {
		return Duty{}, err
	}
	if in.Ticket == "" && strings.TrimSpace(in.Keywords) == "" {
		return Duty{}, refuse("keywords", "请填写适用事项的关键词")
	}
	return d.keepDuty(tx, in, by)
}

// RetireDuty takes an entry out of force.
func (d *Desk) RetireDuty(tx *storage.Tx, id, reason string, by ticket.Actor) (Duty, error) {
	return change(d, tx, id, KindDuty, by, func(f *file, u *Duty) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DispatchTicket); err != nil {
			return "", nil, err
		}
		if err := f.in("废止", Active); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "废止理由", reason)
		if err != nil {
			return "", nil, err
		}
		u.State = Retired
		return "retired", map[string]any{"reason": ref}, nil
	})
}

// DutyHint is an entry of the 职责清单 that fits a ticket.
type DutyHint struct {
	Duty  Duty
	Text  string // the conclusion, as shown
	Basis string
	Parts match.Parts
}

// Duties suggests who handles a ticket by the 职责清单: the entries in force whose matter is alike, the best first. A unit
// that the ticket accuses is left out.
func (d *Desk) Duties(tx *storage.Tx, t ticket.Ticket, limit int) ([]DutyHint, error) {
	list, err := find[Duty](d, tx, KindDuty, ` AND state = 'ACTIVE' ORDER BY id`)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	rules, err := d.rules(tx)
	if err != nil {
		return nil, err
	}
	x := match.NewIndex(rules.Match)
	words := map[string]map[string]string{}
	for _, u := range list {
		w, err := d.Words(tx, u)
		if err != nil {
			return nil, err
		}
		words[u.ID] = w
		doc := match.Doc{ID: u.ID, At: u.OpenedAt, Text: w[u.Keywords.ID] + "\n" + w[u.Text.ID]}
		if len(u.Tickets) > 0 {
			k, err := d.Office.Get(tx, u.Tickets[0])
			if err != nil {
				return nil, err
			}
			doc.Title, doc.Text = k.Title, k.Body+"\n"+doc.Text
		}
		x.Add(doc)
	}
	me := match.Doc{ID: t.ID, At: d.now().Add(time.Hour), Title: t.Title, Text: t.Body, Place: t.Place}
	domain := string(classify.Classify(t.Title, t.Body).Domain)
	var out []DutyHint
	for _, u := range list {
		doc := match.Doc{ID: u.ID, At: u.OpenedAt, Text: words[u.ID][u.Keywords.ID] + "\n" + words[u.ID][u.Text.ID]}
		if len(u.Tickets) > 0 {
			k, err := d.Office.Get(tx, u.Tickets[0])
			if err != nil {
				return nil, err
			}
			doc.Title, doc.Text = k.Title, k.Body
		}
		p := x.Compare(me, doc).Parts
		if u.Domain == domain && p.Score > 0.05 {
			p.Score += 0.1
		}
		hit := 0
		for _, w := range strings.FieldsFunc(words[u.ID][u.Keywords.ID], func(r rune) bool { return strings.ContainsRune(" ,，、;；\n", r) }) {
			if strings.Contains(t.Title+t.Body, w) {
				hit++
			}
		}
		p.Score = min(1, p.Score+0.15*float64(hit))
		if p.Score < 0.2 {
			continue
		}
		if concerned, err := d.Office.Concerned(tx, t, u.Unit, ""); err != nil {
			return nil, err
		} else if concerned {
			continue
		}
		out = append(out, DutyHint{Duty: *u, Text: words[u.ID][u.Text.ID], Basis: words[u.ID][u.Basis.ID], Parts: p})
	}
	slices.SortStableFunc(out, func(a, b DutyHint) int { return cmp.Compare(b.Parts.Score, a.Parts.Score) })
	return out[:min(limit, len(out))], nil
}
