package console

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

var zeroTime time.Time

func itoa(n int) string { return strconv.Itoa(n) }

// matterView is a matter's page as one reader may see it.
type matterView struct {
	Kind     oversee.Kind
	M        oversee.Matter
	H        oversee.Head
	Title    string
	Facts    []overFact
	Sections []overSection
	Tickets  []ticket.Ticket
	Hidden   int // tickets that the reader may not see
	Related  []matterRow
	Curve    []curveDay
	Moments  []overMoment
	Panel    []panelForm
	Look     string

	// Of a mediation: versions of its agreement, who may take and hand in one.
	Papers                     []paperView
	MayTake, MayAdd, HasSigned bool
	PaperError                 string
	// Of a campaign: its codes by place.
	Points []pointView
	forAPI bool // nothing is shown on a page

	me    *user
	names names
	lang  string
	words map[string]string
	s     *Server
	tx    *storage.Tx
}

type overFact struct {
	Key, Value, Link string
	Chip             string
}

type overSection struct {
	Key   string
	Items []overItem
}

type overItem struct {
	Head, Text, Note, Chip, Look string
}

type curveDay struct {
	Day    string
	N      int
	Height int // of 100
}

type overMoment struct {
	oversee.Moment
	Label string
	State string
	Note  string
}

func (v *matterView) Names() names { return v.names }

func (v *matterView) text(t ticket.Text) string { return v.words[t.ID] }

func (v *matterView) fact(key, value string) {
	if value != "" {
		v.Facts = append(v.Facts, overFact{Key: "o-" + key, Value: value})
	}
}

func (v *matterView) when(key string, t time.Time) {
	if !t.IsZero() {
		v.fact(key, t.In(workday.Zone).Format("2006-01-02 15:04"))
	}
}

func (v *matterView) unit(key, id string) {
	if id != "" {
		v.fact(key, v.names.Unit(id))
	}
}

func (v *matterView) who(key, actor string) {
	if actor != "" {
		v.fact(key, v.names.Who(actor))
	}
}

func (v *matterView) section(key string, items ...overItem) {
	items = slices.DeleteFunc(items, func(i overItem) bool { return i.Text == "" && i.Head == "" })
	if len(items) > 0 {
		v.Sections = append(v.Sections, overSection{"o-" + key, items})
	}
}

func (v *matterView) stamp(t time.Time) string { return t.In(workday.Zone).Format("01-02 15:04") }

// describe is what a list says of a matter: its title, and a line below it.
func describe(m oversee.Matter, words map[string]string, n names) (title, note string) {
	t := func(x ticket.Text) string { return words[x.ID] }
	switch m := m.(type) {
	case *oversee.Supervision:
		return oversee.LevelLabel(m.Level) + " · " + m.Trigger.Label(), t(m.Grounds)
	case *oversee.Topic:
		note := fmt.Sprintf("%d人 %d件", m.Parties, len(m.Tickets))
		if m.Board != "" {
			note += " · " + m.BoardLabel()
		}
		return t(m.Title), note
	case *oversee.Consult:
		return m.ReasonLabel(), t(m.Question)
	case *oversee.Duty:
		return t(m.Text), t(m.Basis)
	case *oversee.Expert:
		return n.Who("staff/" + m.Subject), strings.Join(m.Topics, "、")
	case *oversee.Order:
		var out []string
		for _, r := range m.Results {
			out = append(out, r.Label())
		}
		return t(m.Title), strings.Join(out, "，")
	case *oversee.Backcheck:
		done := 0
		for _, i := range m.Items {
			if !i.Reviewed.IsZero() {
				done++
			}
		}
		return m.Domain.Label(), fmt.Sprintf("已评查%d/%d，问题%d", done, len(m.Items), len(m.Findings))
	case *oversee.Clue:
		return m.PatternLabel(), t(m.Summary)
	case *oversee.Measure:
		note := m.TypeLabel()
		if m.Level != "" {
			note += " · " + m.LevelLabel()
		}
		if m.Beneficiaries > 0 {
			note += fmt.Sprintf(" · 受益%d人", m.Beneficiaries)
		}
		return t(m.Title), note
	case *oversee.Outreach:
		return m.WayLabel() + " · " + m.Area, t(m.Plan)
	case *oversee.Intervention:
		return t(m.Risk), m.ConditionLabel()
	case *oversee.Mediation:
		return t(m.Title), m.SortLabel() + " · " + m.Since.String()
	case *oversee.BadRating:
		return n.Unit(m.Rated) + " · " + ticket.Stars(m.Stars).Label(), t(m.Found)
	case *oversee.WatchFlag:
		return t(m.Purpose), t(m.Authority)
	case *oversee.Period:
		return m.Name, m.From.String() + " — " + m.To.String()
	case *oversee.Link:
		return m.Evidence(words), t(m.Common)
	case *oversee.Escalation:
		return fmt.Sprintf("%s · 相似度%.0f%%", m.Channel, 100*m.Score), t(m.Why)
	}
	return "", ""
}

// readMatter reads a matter's page; one that the reader may not see is storage.ErrNotFound.
func (s *Server) readMatter(tx *storage.Tx, lang string, u *user, k oversee.Kind, id string) (*matterView, error) {
	by := ticket.Staff(u.Staff)
	if !slices.Contains(overseeKinds, k) {
		return nil, storage.ErrNotFound
	}
	m, err := s.Oversight.Get(tx, k, id, by)
	if err != nil {
		return nil, err
	}
	v := &matterView{Kind: k, M: m, H: *oversee.Of(m), me: u, lang: lang, s: s, tx: tx}
	v.Look = lookOf(v.H.State)
	if v.names, err = readNames(tx, lang); err != nil {
		return nil, err
	}
	if v.words, err = s.Oversight.Words(tx, m); err != nil {
		return nil, err
	}
	v.Title, _ = describe(m, v.words, v.names)
	if v.Title == "" {
		v.Title = k.Label()
	}
	for _, id := range v.H.Tickets {
		t, err := s.Office.See(tx, id, by)
		if err != nil {
			v.Hidden++
			continue
		}
		v.Tickets = append(v.Tickets, t)
	}
	slices.SortFunc(v.Tickets, func(a, b ticket.Ticket) int { return b.ReceivedAt.Compare(a.ReceivedAt) })
	v.unit("unit", v.H.Unit)
	v.when("due", v.H.Due)
	v.who("opened-by", v.H.OpenedBy)
	v.when("opened-at", v.H.OpenedAt)
	v.when("closed-at", v.H.ClosedAt)
	if v.H.Topic != "" {
		v.Facts = append(v.Facts, overFact{Key: "o-topic", Value: oversee.KindTopic.Label(), Link: "/oversee/topic/" + v.H.Topic})
	}
	if err := v.fill(); err != nil {
		return nil, err
	}
	if k == oversee.KindTopic {
		for _, rk := range []oversee.Kind{oversee.KindSupervision, oversee.KindOrder, oversee.KindMeasure, oversee.KindConsult} {
			list, _, err := s.Oversight.List(tx, oversee.Filter{Viewer: by, Kind: rk, Topic: v.H.ID, Limit: 20})
			if err != nil {
				return nil, err
			}
			if err := v.relate(list); err != nil {
				return nil, err
			}
		}
	}
	moments, err := s.Oversight.Timeline(tx, m)
	if err != nil {
		return nil, err
	}
	var last oversee.State
	for _, x := range moments {
		_, suffix, _ := strings.Cut(x.Type, ".")
		o := overMoment{Moment: x, Label: translate(lang, "ov-"+suffix)}
		if x.State != last {
			o.State, last = k.StateLabel(x.State), x.State
		}
		if _, secret := m.(*oversee.Backcheck); secret && suffix == "accounted" && !oversee.SeesAccounts(by) {
			continue
		}
		v.Moments = append(v.Moments, o)
	}
	v.Panel = v.panel()
	v.tx = nil
	return v, nil
}

func (v *matterView) relate(list []oversee.Matter) error {
	for _, m := range list {
		words, err := v.s.Oversight.Words(v.tx, m)
		if err != nil {
			return err
		}
		h := *oversee.Of(m)
		row := matterRow{Head: h, Look: lookOf(h.State)}
		row.Title, row.Note = describe(m, words, v.names)
		v.Related = append(v.Related, row)
	}
	return nil
}

// fill puts in what each kind has of its own.
func (v *matterView) fill() error {
	switch m := v.M.(type) {
	case *oversee.Supervision:
		v.fact("level", "L"+itoa(m.Level)+" "+oversee.LevelLabel(m.Level))
		v.fact("trigger", m.Trigger.Label())
		v.who("approved-by", m.ApprovedBy)
		v.when("issued-at", m.IssuedAt)
		v.when("signed-at", m.SignedAt)
		v.when("next-report", m.NextReport)
		if m.Returns > 0 {
			v.fact("returns", itoa(m.Returns))
		}
		if m.From != "" {
			v.Facts = append(v.Facts, overFact{Key: "o-from", Value: oversee.KindSupervision.Label(), Link: "/oversee/supervision/" + m.From})
		}
		v.section("grounds", overItem{Text: v.text(m.Grounds)})
		v.section("requirement", overItem{Text: v.text(m.Requirement)})
		var fed []overItem
		for _, f := range m.Feedbacks {
			fed = append(fed, overItem{Text: v.text(f)})
		}
		v.section("feedback", fed...)
		v.section("wish", overItem{Text: v.text(m.Wish), Note: v.names.Who(m.WishedBy)})
		v.section("verdict", overItem{Text: v.text(m.Verdict)})
		v.section("responsible", overItem{Text: v.text(m.Responsible)})
	case *oversee.Topic:
		v.fact("rule", m.Rule)
		v.fact("place", m.Place)
		v.fact("class", m.Class)
		v.fact("cause-tag", m.CauseTag)
		v.fact("parties", itoa(m.Parties))
		v.fact("tickets-n", itoa(len(m.Tickets)))
		v.fact("board", m.BoardLabel())
		v.when("listed-at", m.ListedAt)
		v.section("cause", overItem{Text: v.text(m.Cause)})
		v.section("verdict", overItem{Text: v.text(m.Verdict)})
		curve, err := v.s.Oversight.Curve(v.tx, m)
		if err != nil {
			return err
		}
		most := 1
		for _, d := range curve {
			most = max(most, d.N)
		}
		for _, d := range curve {
			v.Curve = append(v.Curve, curveDay{d.Day.String(), d.N, int(math.Round(100 * float64(d.N) / float64(most)))})
		}
	case *oversee.Consult:
		v.fact("reason", m.ReasonLabel())
		v.unit("host", m.Host)
		var co []string
		for _, u := range m.Co {
			co = append(co, v.names.Unit(u))
		}
		v.fact("co", strings.Join(co, "、"))
		v.when("deadline", m.Deadline)
		if m.Duty != "" {
			v.Facts = append(v.Facts, overFact{Key: "o-duty", Value: oversee.KindDuty.Label(), Link: "/oversee/duty/" + m.Duty})
		}
		v.section("question", overItem{Text: v.text(m.Question)})
		var ops []overItem
		for _, e := range m.Experts {
			i := slices.IndexFunc(m.Opinions, func(o oversee.Opinion) bool { return o.By == e })
			item := overItem{Head: v.names.Who(e), Note: v.names.Post(e), Chip: translate(v.lang, "o-waiting"), Look: "orange"}
			if i >= 0 {
				item.Text, item.Chip, item.Look = v.text(m.Opinions[i].Text), v.stamp(m.Opinions[i].At), "green"
			}
			ops = append(ops, item)
		}
		v.section("opinions", ops...)
		v.section("conclusion", overItem{Text: v.text(m.Conclusion), Note: v.names.Who(m.By)})
		v.section("basis", overItem{Text: v.text(m.Basis)})
		v.section("minutes", overItem{Text: v.text(m.Minutes)})
	case *oversee.Outreach:
		if err := v.fillOutreach(m); err != nil {
			return err
		}
	case *oversee.Intervention:
		v.fillIntervention(m)
	case *oversee.Mediation:
		v.fillMediation(m)
	case *oversee.BadRating:
		v.fillBad(m)
	case *oversee.Duty:
		v.fact("domain", m.Domain)
		v.section("conclusion", overItem{Text: v.text(m.Text)})
		v.section("basis", overItem{Text: v.text(m.Basis)})
		v.section("keywords", overItem{Text: v.text(m.Keywords)})
		if m.Consult != "" {
			v.Facts = append(v.Facts, overFact{Key: "o-consult", Value: oversee.KindConsult.Label(), Link: "/oversee/consult/" + m.Consult})
		}
	case *oversee.Expert:
		v.fact("expert", v.names.Who("staff/"+m.Subject)+" "+v.names.Post("staff/"+m.Subject))
		v.fact("topics", strings.Join(m.Topics, "、"))
		if m.Unavailable {
			v.fact("available", translate(v.lang, "o-no"))
		}
		v.section("note", overItem{Text: v.text(m.Note)})
	case *oversee.Order:
		v.fact("place", m.Place)
		v.fact("incidents", strings.Join(m.Incident, "、"))
		v.who("issued-by", m.IssuedBy)
		v.when("issued-at", m.IssuedAt)
		v.section("content", overItem{Text: v.text(m.Content)})
		var signs []overItem
		for _, u := range m.Units() {
			item := overItem{Head: v.names.Unit(u), Chip: translate(v.lang, "o-unsigned"), Look: "orange"}
			for _, x := range m.Signs {
				if x.Unit == u {
					item.Chip, item.Look, item.Note = v.stamp(x.At), "green", v.names.Who(x.By)
				}
			}
			signs = append(signs, item)
		}
		v.section("signs", signs...)
		var acts []overItem
		for _, a := range m.Acts {
			acts = append(acts, overItem{Head: v.names.Unit(a.Unit), Text: v.text(a.Text), Note: v.stamp(a.At) + " " + v.names.Who(a.By)})
		}
		v.section("acts", acts...)
		var results []overItem
		for _, r := range m.Results {
			results = append(results, overItem{Head: r.Label(), Note: v.names.Unit(r.Unit)})
		}
		v.section("results", results...)
		v.section("verdict", overItem{Text: v.text(m.Verdict), Note: v.names.Who(m.VerifyBy)})
	case *oversee.Backcheck:
		v.fillBackcheck(m)
	case *oversee.Clue:
		v.fact("pattern", m.PatternLabel())
		v.fact("outcome", m.OutcomeLabel())
		v.section("summary", overItem{Text: v.text(m.Summary)})
		var es []overItem
		for _, e := range m.Entities {
			es = append(es, overItem{Head: e.Label(), Text: v.text(e.Value)})
		}
		v.section("entities", es...)
		v.section("feedback", overItem{Text: v.text(m.Feedback), Note: v.names.Who(m.FedBy)})
		v.section("verdict", overItem{Text: v.text(m.Verdict)})
		same, err := v.s.Oversight.SameEntity(v.tx, m)
		if err != nil {
			return err
		}
		for _, id := range same {
			x, err := v.s.Oversight.Get(v.tx, oversee.KindClue, id, ticket.Staff(v.me.Staff))
			if err == nil {
				if err := v.relate([]oversee.Matter{x}); err != nil {
					return err
				}
			}
		}
	case *oversee.Measure:
		v.fact("type", m.TypeLabel())
		v.fact("adopted", m.LevelLabel())
		v.when("done-at", m.DoneAt)
		if m.Beneficiaries > 0 {
			v.fact("beneficiaries", itoa(m.Beneficiaries))
		}
		v.section("content", overItem{Text: v.text(m.Text)})
		var rs []overItem
		for _, r := range m.Replies {
			rs = append(rs, overItem{Text: v.text(r)})
		}
		v.section("replies", rs...)
		v.section("evidence", overItem{Text: v.text(m.Evidence)})
		v.fillEvidence(m)
		e, err := v.s.Oversight.EffectOf(v.tx, m)
		if err != nil {
			return err
		}
		if e.Shown() {
			head := translate(v.lang, "o-effect-line", e.Before, e.After, e.Days)
			text := translate(v.lang, "o-effect-none")
			if !math.IsNaN(e.Ratio) {
				high := "∞"
				if !math.IsInf(e.High, 1) {
					high = fmt.Sprintf("%.2f", e.High)
				}
				text = translate(v.lang, "o-effect-ratio", e.Ratio, e.Low, high)
			}
			chip, look := translate(v.lang, "o-effect-unclear"), ""
			if e.Significant() {
				chip, look = translate(v.lang, "o-effect-clear"), "green"
				if e.Low > 1 {
					chip, look = translate(v.lang, "o-effect-worse"), "red"
				}
			}
			v.section("effect", overItem{Head: head, Text: text, Chip: chip, Look: look})
		}
	case *oversee.WatchFlag:
		if p, err := v.s.Book.Get(v.tx, m.Subject); err == nil {
			v.fact("person", p.Phone.Masked()+" "+p.Name.Masked())
		}
		v.when("from-day", m.From)
		v.when("until", m.Until)
		v.fact("days", itoa(m.Days))
		v.who("decided-by", m.DecidedBy)
		v.section("authority", overItem{Text: v.text(m.Authority)})
		v.section("purpose", overItem{Text: v.text(m.Purpose)})
		v.section("decision", overItem{Text: v.text(m.Decision)})
	case *oversee.Period:
		v.fact("from-day", m.From.String())
		v.fact("until", m.To.String())
		v.fact("districts", strings.Join(m.Districts, "、"))
		v.fact("factor", fmt.Sprintf("×%.2g", m.Factor))
		var duty []overItem
		for _, id := range m.Duty {
			duty = append(duty, overItem{Head: v.names.Who("staff/" + id), Note: v.names.Post("staff/" + id)})
		}
		v.section("duty-list", duty...)
	case *oversee.Link:
		v.section("evidence", overItem{Head: m.Evidence(v.words), Text: v.text(m.Common)})
		v.section("why", overItem{Text: v.text(m.Why), Note: v.names.Who(m.By)})
	case *oversee.Escalation:
		v.fact("channel", m.Channel)
		v.unit("owner", m.Owner)
		v.fact("score", fmt.Sprintf("%.0f%%", 100*m.Score))
		if t, err := v.s.Office.See(v.tx, m.Inbound, ticket.Staff(v.me.Staff)); err == nil {
			v.Facts = append(v.Facts, overFact{Key: "o-inbound", Value: t.Number, Link: "/tickets/" + t.ID})
		}
		v.section("why", overItem{Text: v.text(m.Why)})
	}
	return nil
}

func (v *matterView) fillBackcheck(m *oversee.Backcheck) {
	v.fact("domain", m.Domain.Label())
	v.section("cause", overItem{Text: v.text(m.Cause)})
	var items, finds []overItem
	for _, i := range m.Items {
		if v.me.Unit != m.Unit && v.me.Role.Reach() != "all" && !i.Problem {
			continue // the reviewed unit sees what it has to put right
		}
		item := overItem{Head: i.Ref, Note: v.names.Unit(i.Unit), Chip: translate(v.lang, "o-unreviewed"), Look: "orange"}
		if !i.Reviewed.IsZero() {
			item.Chip, item.Look = translate(v.lang, "o-clean"), "green"
			if i.Problem {
				item.Chip, item.Look = translate(v.lang, "o-problem"), "red"
			}
		}
		items = append(items, item)
	}
	v.section("items", items...)
	for _, x := range m.Findings {
		look := map[oversee.FindingState]string{oversee.FindingOpen: "red", oversee.FindingDone: "orange", oversee.FindingOver: "green"}[x.State]
		text := v.text(x.Text) + "\n→ " + v.text(x.Measure)
		if t := v.text(x.Done); t != "" {
			text += "\n✓ " + t
		}
		if t := v.text(x.Verdict); t != "" {
			text += "\n" + t
		}
		finds = append(finds, overItem{Head: x.Item, Text: text, Note: v.names.Unit(x.Unit) + " · " + v.stamp(x.Due), Chip: x.State.Label(), Look: look})
	}
	v.section("findings", finds...)
	v.section("conclusion", overItem{Text: v.text(m.Conclusion), Note: v.names.Who(m.ConcludedBy)})
	if oversee.SeesAccounts(ticket.Staff(v.me.Staff)) {
		var acc []overItem
		for _, a := range m.Accounts {
			label := ""
			for _, k := range oversee.AccountKinds {
				if k[0] == a.Kind {
					label = k[1]
				}
			}
			head := label
			if a.Staff != "" {
				head += " · " + v.names.Who("staff/"+a.Staff)
			}
			acc = append(acc, overItem{Head: head, Text: v.text(a.Text), Note: v.names.Who(a.By)})
		}
		v.section("accounts", acc...)
	}
}
