package oversee

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Topic is one matter of many: a group event, an address cluster, a systemic risk, or a kind of matter (一类事) that
// somebody put together. It may stand on the 民声热点榜.
type Topic struct {
	Head
	Rule      string      `json:"rule"` // W3, W4, W11 or "hand"
	Title     ticket.Text `json:"title,omitzero"`
	Place     string      `json:"place,omitzero"`
	Class     string      `json:"class,omitzero"`
	Cause     ticket.Text `json:"cause,omitzero"` // root cause
	CauseTag  string      `json:"cause_tag,omitzero"`
	Parties   int         `json:"parties"` // distinct persons
	Left      []string    `json:"left,omitempty"`
	Board     string      `json:"board,omitzero"` // 热点榜: "", asked, listed, monitored, off
	BoardBy   string      `json:"board_by,omitzero"`
	ListedAt  time.Time   `json:"listed_at,omitzero"`
	OffAsked  string      `json:"off_asked,omitzero"`
	Verdict   ticket.Text `json:"verdict,omitzero"`
	GovernBy  string      `json:"govern_by,omitzero"`
	WatchFrom time.Time   `json:"watch_from,omitzero"`
}

var boardLabels = map[string]string{"asked": "拟上榜", "listed": "上榜督办", "monitored": "在榜监测", "off": "已撤榜"}

// BoardLabel is where the topic stands on the 民声热点榜 (zh-CN).
func (t *Topic) BoardLabel() string { return boardLabels[t.Board] }

// TopicIn is what a topic is opened with.
type TopicIn struct {
	Rule, Title, Place, Class, CauseTag, Unit, Key string
	Tickets                                        []string
}

// OpenTopic puts tickets together as one topic. Restricted tickets belong to none.
func (d *Desk) OpenTopic(tx *storage.Tx, in TopicIn, by ticket.Actor) (Topic, error) {
	t, err := open(d, tx, KindTopic, by, in.Key, func(f *file, t *Topic) (map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport, org.MergeTicket); err != nil {
			return nil, err
		}
		t.State, t.Rule, t.Place, t.Class, t.CauseTag, t.Unit = Opened, in.Rule, in.Place, in.Class, in.CauseTag, in.Unit
		if t.Rule == "" {
			t.Rule = "hand"
		}
		if err := d.mayAct(tx, in.Unit, nil); err != nil {
			return nil, err
		}
		var err error
		if t.Title, err = f.must("title", "专题名称", in.Title); err != nil {
			return nil, err
		}
		if len(in.Tickets) == 0 {
			return nil, refuse("tickets", "请至少关联一件诉求")
		}
		return map[string]any{"rule": t.Rule, "title": t.Title}, d.gather(f, t, in.Tickets)
	})
	if errors.Is(err, errThere) {
		return t, nil
	}
	return t, err
}

// gather takes tickets in and counts the parties.
func (d *Desk) gather(f *file, t *Topic, ids []string) error {
	have := setOf(t.Tickets)
	t.Tickets = slices.Clone(t.Tickets)
	for _, id := range ids {
		if have[id] {
			continue
		}
		k, err := d.Office.Get(f.tx, id)
		if err == nil && f.by.Kind != ticket.SystemActor { // nobody puts together what they may not see, such as a ticket that accuses them (I6)
			k, err = d.Office.See(f.tx, id, f.by)
		}
		if errors.Is(err, storage.ErrNotFound) {
			return refuse("ticket", "没有找到要关联的诉求")
		} else if err != nil {
			return err
		}
		if k.Restricted {
			return refuse("seat", "督察12389诉求不进入专题")
		}
		if !have[k.ID] {
			have[k.ID], t.Tickets = true, append(t.Tickets, k.ID)
		}
	}
	parties, err := partiesOf(f.tx, t.Tickets)
	if err != nil {
		return err
	}
	before := t.Parties
	t.Parties = parties
	return d.regrade(f.tx, t, before)
}

// some is how many ids one statement asks about.
const some = 500

// among writes ids for IN (…).
func among(ids []string) (marks string, args []any) {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i], args = fmt.Sprintf("$%d", i+1), append(args, id)
	}
	return strings.Join(list, ", "), args
}

// partiesOf counts the distinct persons of tickets; who is not known counts for one each.
func partiesOf(tx *storage.Tx, ids []string) (int, error) {
	parties := map[string]bool{}
	for part := range slices.Chunk(ids, some) {
		marks, args := among(part)
		found, err := storage.All(tx, storage.Value[string], `SELECT DISTINCT CASE WHEN contact_id <> '' THEN contact_id ELSE id END FROM ticket WHERE id IN (`+marks+`)`, args...)
		if err != nil {
			return 0, fmt.Errorf("parties of a topic: %w", err)
		}
		for _, p := range found {
			parties[p] = true
		}
	}
	return len(parties), nil
}

// AddToTopic takes more tickets in.
func (d *Desk) AddToTopic(tx *storage.Tx, id string, tickets []string, by ticket.Actor) (Topic, error) {
	return change(d, tx, id, KindTopic, by, func(f *file, t *Topic) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport, org.MergeTicket); err != nil {
			return "", nil, err
		}
		if err := f.in("增加诉求", Opened, Governing, Observing); err != nil {
			return "", nil, err
		}
		before := len(t.Tickets)
		if by.Kind == ticket.SystemActor { // what a person took out stays out
			tickets = slices.DeleteFunc(slices.Clone(tickets), func(x string) bool { return slices.Contains(t.Left, x) })
		}
		if err := d.gather(f, t, tickets); err != nil {
			return "", nil, err
		}
		if len(t.Tickets) == before {
			return "", nil, nil
		}
		return "grown", map[string]any{"added": len(t.Tickets) - before}, nil
	})
}

// TakeFromTopic takes a ticket out that is not of the matter; the program does not put it back.
func (d *Desk) TakeFromTopic(tx *storage.Tx, id, ticketID, reason string, by ticket.Actor) (Topic, error) {
	return change(d, tx, id, KindTopic, by, func(f *file, t *Topic) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport, org.MergeTicket); err != nil {
			return "", nil, err
		}
		if !slices.Contains(t.Tickets, ticketID) {
			return "", nil, refuse("ticket", "该诉求不在此专题中")
		}
		ref, err := f.must("reason", "移出理由", reason)
		if err != nil {
			return "", nil, err
		}
		t.Tickets = slices.DeleteFunc(slices.Clone(t.Tickets), func(x string) bool { return x == ticketID })
		t.Left = append(slices.Clone(t.Left), ticketID)
		return "shrunk", map[string]any{"reason": ref, "ticket": ticketID}, d.gather(f, t, nil)
	})
}

// Govern begins the work on the root cause under a lead unit.
func (d *Desk) Govern(tx *storage.Tx, id, unit, cause string, due time.Time, by ticket.Actor) (Topic, error) {
	return change(d, tx, id, KindTopic, by, func(f *file, t *Topic) (string, map[string]any, error) {
		if err := may(by, org.Supervise); err != nil {
			return "", nil, err
		}
		if err := f.in("开展治理", Opened, Observing, Done); err != nil {
			return "", nil, err
		}
		if unit == "" {
			return "", nil, refuse("unit", "请选择牵头单位")
		}
		if err := d.mayAct(tx, unit, nil); err != nil {
			return "", nil, err
		}
		var err error
		if t.Cause, err = f.must("cause", "根源分析", cause); err != nil {
			return "", nil, err
		}
		if !due.IsZero() && due.Before(f.now) {
			return "", nil, refuse("due", "期限不能早于现在")
		}
		t.State, t.Unit, t.Due, t.GovernBy = Governing, unit, ms(due), by.String()
		return "governed", map[string]any{"unit": unit, "cause": t.Cause}, d.tell(tx, t, "governed", "牵头治理专题")
	})
}

// Observe ends the work and begins to watch whether the matter comes again.
func (d *Desk) Observe(tx *storage.Tx, id, what string, by ticket.Actor) (Topic, error) {
	return change(d, tx, id, KindTopic, by, func(f *file, t *Topic) (string, map[string]any, error) {
		if err := may(by, org.Supervise); err != nil {
			return "", nil, err
		}
		if err := f.in("转入监测", Governing); err != nil {
			return "", nil, err
		}
		ref, err := f.must("measures", "治理情况", what)
		if err != nil {
			return "", nil, err
		}
		t.State, t.WatchFrom = Observing, f.now
		if t.Board == "listed" {
			t.Board = "monitored"
		}
		return "observed", map[string]any{"text": ref}, nil
	})
}

// FinishTopic ends a topic, or says that it is none.
func (d *Desk) FinishTopic(tx *storage.Tx, id string, none bool, verdict string, by ticket.Actor) (Topic, error) {
	return change(d, tx, id, KindTopic, by, func(f *file, t *Topic) (string, map[string]any, error) {
		if err := may(by, org.Supervise); err != nil {
			return "", nil, err
		}
		if none {
			if err := f.in("认定为非同一事项", Opened); err != nil {
				return "", nil, err
			}
		} else if err := f.in("销号", Opened, Governing, Observing); err != nil {
			return "", nil, err
		}
		if t.Board == "listed" || t.Board == "monitored" {
			return "", nil, refuse("board", "专题在民声热点榜上，请先撤榜")
		}
		var err error
		if t.Verdict, err = f.must("verdict", "结论", verdict); err != nil {
			return "", nil, err
		}
		if t.State = Done; none {
			t.State = Dropped
		}
		return "finished", map[string]any{"verdict": t.Verdict, "none": none}, nil
	})
}

// Board moves a topic on the 民声热点榜: "ask" by a supervisor, "list" (上榜) by a leader, "ask-off" by a supervisor, "off"
// (撤榜) by another leader's approval, not before BoardQuiet days without a new request.
func (d *Desk) Board(tx *storage.Tx, id, step, reason string, by ticket.Actor) (Topic, error) {
	return change(d, tx, id, KindTopic, by, func(f *file, t *Topic) (string, map[string]any, error) {
		act := org.Supervise
		if step == "list" || step == "off" {
			act = org.ApproveList
		}
		if err := may(by, act); err != nil || by.Kind == ticket.SystemActor {
			return "", nil, noRole()
		}
		from := map[string][]string{"ask": {"", "off"}, "list": {"asked"}, "ask-off": {"listed", "monitored"}, "off": {"listed", "monitored"}}[step]
		if from == nil || !slices.Contains(from, t.Board) || !t.Open() {
			return "", nil, refuse("state", "专题当前“%s”，不能进行此操作", cmp.Or(t.BoardLabel(), "不在榜"))
		}
		ref, err := f.must("reason", "理由", reason)
		if err != nil {
			return "", nil, err
		}
		switch step {
		case "ask":
			t.Board, t.BoardBy = "asked", by.String()
		case "list":
			if t.BoardBy == by.String() {
				return "", nil, refuse("same_person", "提请人不能批准自己提请的上榜")
			}
			t.Board, t.ListedAt, t.OffAsked = "listed", f.now, ""
		case "ask-off":
			t.OffAsked = by.String()
		case "off":
			if t.OffAsked == "" || t.OffAsked == by.String() {
				return "", nil, refuse("same_person", "撤榜须由督办员申请、另一人批准")
			}
			rules, err := d.rules(tx)
			if err != nil {
				return "", nil, err
			}
			last, err := d.lastOf(tx, t)
			if err != nil {
				return "", nil, err
			}
			if quiet := int(f.now.Sub(last).Hours() / 24); quiet < rules.BoardQuiet {
				return "", nil, refuse("early", "须连续%d天没有新诉求方可撤榜，现为%d天", rules.BoardQuiet, quiet)
			}
			t.Board = "off"
		}
		return "board_" + strings.ReplaceAll(step, "-", "_"), map[string]any{"reason": ref}, nil
	})
}

// lastOf is when the last ticket of a topic came.
func (d *Desk) lastOf(tx *storage.Tx, t *Topic) (time.Time, error) {
	last := t.OpenedAt
	if len(t.Tickets) > 0 {
		last = time.Time{}
	}
	for _, id := range t.Tickets {
		k, err := d.Office.Get(tx, id)
		if err != nil {
			return last, err
		}
		if k.ReceivedAt.After(last) {
			last = k.ReceivedAt
		}
	}
	return last, nil
}

// Day is how many tickets of a topic came on a day.
type Day struct {
	Day workday.Day
	N   int
}

// Curve is how many tickets of a topic came on each day from the first to now, at most the last 120 days.
func (d *Desk) Curve(tx *storage.Tx, t *Topic) ([]Day, error) {
	n := map[workday.Day]int{}
	first := workday.DayOf(d.now())
	for _, id := range t.Tickets {
		k, err := d.Office.Get(tx, id)
		if err != nil {
			return nil, err
		}
		day := workday.DayOf(k.ReceivedAt)
		n[day]++
		first = min(first, day)
	}
	today := workday.DayOf(d.now())
	first = max(first, today.Add(-119))
	var out []Day
	for day := first; day <= today; day = day.Add(1) {
		out = append(out, Day{day, n[day]})
	}
	return out, nil
}
