package oversee

import (
	"errors"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/warn"
)

// Clue is a lead out of a ticket, handed to 刑侦, 经侦, 治安 or another unit. The citizen sees nothing of it.
type Clue struct {
	Head                 // Unit is who has it
	Pattern  string      `json:"pattern"` // fraud, gambling, vice, drugs, hand
	Entities []Entity    `json:"entities,omitempty"`
	Summary  ticket.Text `json:"summary"`
	HandBy   string      `json:"hand_by,omitzero"`
	TakeBy   string      `json:"take_by,omitzero"`
	Outcome  string      `json:"outcome,omitzero"` // solved, filed, checked, none
	Feedback ticket.Text `json:"feedback,omitzero"`
	FedBy    string      `json:"fed_by,omitzero"`
	Verdict  ticket.Text `json:"verdict,omitzero"`
}

// Entity is an account, an address of the web, a telephone, a place or a name that a lead hangs on. The value is kept as
// the texts of tickets are; Mark is its keyed hash, by which the same one is known again.
type Entity struct {
	Kind  string      `json:"kind"`
	Mark  string      `json:"mark"`
	Value ticket.Text `json:"value"`
}

var entityLabels = map[string]string{"account": "账号", "url": "网址", "phone": "电话", "place": "地点", "scheme": "手法", "plate": "车牌"}

// Label is the kind of the entity for staff (zh-CN).
func (e Entity) Label() string { return entityLabels[e.Kind] }

var patternLabels = map[string]string{"fraud": "诈骗", "gambling": "赌博", "vice": "涉黄", "drugs": "涉毒", "hand": "人工提取"}

// PatternLabel is the kind of crime (zh-CN).
func (c *Clue) PatternLabel() string { return patternLabels[c.Pattern] }

var clueOutcomes = map[string]string{"solved": "已破案", "filed": "已立案", "checked": "查证属实，未立案", "none": "查否"}

// ClueOutcomes are the outcomes in their order, with labels.
func ClueOutcomes() [][2]string {
	return [][2]string{{"solved", clueOutcomes["solved"]}, {"filed", clueOutcomes["filed"]}, {"checked", clueOutcomes["checked"]}, {"none", clueOutcomes["none"]}}
}

// OutcomeLabel is what came of it (zh-CN).
func (c *Clue) OutcomeLabel() string { return clueOutcomes[c.Outcome] }

const cluePurpose = "oversee.entity"

// OpenClue enters a lead; the program raises one for each ticket at most.
func (d *Desk) OpenClue(tx *storage.Tx, ticketID, pattern, summary string, entities []warn.Entity, by ticket.Actor) (Clue, error) {
	key := ""
	if by.Kind == ticket.SystemActor {
		key = "clue/" + ticketID
	}
	c, err := open(d, tx, KindClue, by, key, func(f *file, c *Clue) (map[string]any, error) {
		if err := may(by, org.IssueOrder, org.Supervise, org.DraftReport); err != nil {
			return nil, err
		}
		if patternLabels[pattern] == "" {
			return nil, refuse("pattern", "请选择线索类别")
		}
		t, err := d.Office.See(tx, ticketID, by)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, refuse("ticket", "没有找到该诉求")
		} else if err != nil {
			return nil, err
		}
		c.State, c.Pattern, c.Tickets = Opened, pattern, []string{t.ID}
		box := d.Office.Book.Vault.For(cluePurpose)
		for _, e := range entities {
			if e.Value = strings.TrimSpace(e.Value); e.Value == "" || entityLabels[e.Kind] == "" {
				continue
			}
			mark := box.Hash(e.Kind + ":" + e.Value)
			if slices.ContainsFunc(c.Entities, func(x Entity) bool { return x.Mark == mark }) {
				continue
			}
			ref, err := f.write("entity", e.Value)
			if err != nil {
				return nil, err
			}
			c.Entities = append(c.Entities, Entity{e.Kind, mark, ref})
			c.Members = append(c.Members, "mark/"+mark)
		}
		if c.Summary, err = f.must("summary", "线索摘要", summary); err != nil {
			return nil, err
		}
		c.Next = d.days(f.now, 1)
		return map[string]any{"pattern": pattern, "entities": len(c.Entities), "summary": c.Summary}, nil
	})
	if errors.Is(err, errThere) {
		return c, nil
	}
	return c, err
}

// SameEntity lists the other clues that share an entity with one.
func (d *Desk) SameEntity(tx *storage.Tx, c *Clue) ([]string, error) {
	return storage.All(tx, storage.Value[string], `SELECT DISTINCT o.matter_id FROM oversee_member m JOIN oversee_member o ON o.member = m.member
		WHERE m.matter_id = $1 AND o.matter_id <> $1 AND m.member LIKE 'mark/%' ORDER BY 1`, c.ID)
}

// HandClue hands a lead to a unit.
func (d *Desk) HandClue(tx *storage.Tx, id, unit, note string, by ticket.Actor) (Clue, error) {
	return change(d, tx, id, KindClue, by, func(f *file, c *Clue) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("移交", Opened); err != nil {
			return "", nil, err
		}
		if unit == "" {
			return "", nil, refuse("unit", "请选择接收单位")
		}
		if err := d.mayAct(tx, unit, c.Tickets); err != nil {
			return "", nil, err
		}
		ref, err := f.write("note", note)
		if err != nil {
			return "", nil, err
		}
		c.State, c.Unit, c.HandBy, c.Due = Handed, unit, by.String(), d.days(f.now, 5)
		c.Next = c.Due
		return "handed", map[string]any{"unit": unit, "note": ref}, d.tell(tx, c, "handed", "收到线索移交")
	})
}

// DropClue notes that there is nothing in it.
func (d *Desk) DropClue(tx *storage.Tx, id, reason string, by ticket.Actor) (Clue, error) {
	return change(d, tx, id, KindClue, by, func(f *file, c *Clue) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("排除", Opened); err != nil {
			return "", nil, err
		}
		var err error
		if c.Verdict, err = f.must("reason", "排除理由", reason); err != nil {
			return "", nil, err
		}
		c.State = Dropped
		return "dropped", map[string]any{"reason": c.Verdict}, nil
	})
}

// TakeClue is the unit's acceptance of a lead; refusing it, with the reason, leads back to the centre.
func (d *Desk) TakeClue(tx *storage.Tx, id string, accept bool, reason string, by ticket.Actor) (Clue, error) {
	return change(d, tx, id, KindClue, by, func(f *file, c *Clue) (string, map[string]any, error) {
		if err := f.in("接收", Handed); err != nil {
			return "", nil, err
		}
		if err := f.ours(c.Unit, org.SignTicket); err != nil {
			return "", nil, err
		}
		if accept {
			c.State, c.TakeBy = Received, by.String()
			return "taken", nil, nil
		}
		ref, err := f.must("reason", "不接收的理由", reason)
		if err != nil {
			return "", nil, err
		}
		c.State, c.Unit = Opened, ""
		c.Due = time.Time{}
		return "refused", map[string]any{"reason": ref}, nil
	})
}

// FeedClue is what came of a lead.
func (d *Desk) FeedClue(tx *storage.Tx, id, outcome, text string, by ticket.Actor) (Clue, error) {
	return change(d, tx, id, KindClue, by, func(f *file, c *Clue) (string, map[string]any, error) {
		if err := f.in("反馈", Received); err != nil {
			return "", nil, err
		}
		if err := f.ours(c.Unit, org.SubmitResult); err != nil {
			return "", nil, err
		}
		if clueOutcomes[outcome] == "" {
			return "", nil, refuse("outcome", "请选择核查结果")
		}
		var err error
		if c.Feedback, err = f.must("feedback", "核查情况", text); err != nil {
			return "", nil, err
		}
		c.State, c.Outcome, c.FedBy, c.Next = Resulted, outcome, by.String(), d.days(f.now, 2)
		return "fed_back", map[string]any{"outcome": outcome, "text": c.Feedback}, nil
	})
}

// CloseClue accepts the feedback, or asks the unit to look again.
func (d *Desk) CloseClue(tx *storage.Tx, id string, ok bool, note string, by ticket.Actor) (Clue, error) {
	return change(d, tx, id, KindClue, by, func(f *file, c *Clue) (string, map[string]any, error) {
		if err := may(by, org.IssueOrder, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("办结", Resulted); err != nil {
			return "", nil, err
		}
		var err error
		if c.Verdict, err = f.must("verdict", "办结意见", note); err != nil {
			return "", nil, err
		}
		if c.State = ClosedUp; !ok {
			c.State, c.Next = Received, d.days(f.now, 3)
		}
		return "closed", map[string]any{"ok": ok, "verdict": c.Verdict}, nil
	})
}
