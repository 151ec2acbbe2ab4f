package ivr

import (
	"context"
	"fmt"
	"time"

	"lianxin/ivr/flow"
	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/ivr/say"
	"lianxin/storage"
	"lianxin/ticket"
)

// policy offers the questions of one category of the knowledge base by key, plays the answer and asks whether it helped.
// The outcome is "solved" (and the ticket is 直接答复), "person", "back", "empty", or a key that works anywhere.
func (v *visit) policy(ctx context.Context, n *flow.Node) (string, error) {
	items := v.offered(n.Value)
	if len(items) == 0 {
		if _, err := v.Say(ctx, []string{"kb.empty"}); err != nil {
			return "", err
		}
		return exitOr(n, "empty", "person"), nil
	}
	item, out, err := v.choose(ctx, n, items, "kb.choose")
	if err != nil || out != "" {
		return out, err
	}
	return v.explain(ctx, n, item)
}

// explain plays an answer and asks whether it helped.
func (v *visit) explain(ctx context.Context, n *flow.Node, item kb.Item) (string, error) {
	for {
		v.did("播报“" + item.Title + "”")
		v.note(func(r *Record) { r.Answers = append(r.Answers, item.ID) })
		key, err := v.ask(ctx, n.Wait(6*time.Second), item.AnswerKey(), "kb.reference", "kb.solved")
		if err == nil && key == flow.NoKey {
			v.solved = Served // the answer was heard to its end
			key, err = v.ask(ctx, n.Wait(6*time.Second), "kb.solved")
		}
		if err != nil {
			return "", err
		}
		switch key {
		case '1':
			return "solved", v.settled(ctx, item)
		case '9':
			continue
		case '*':
			return exitOr(n, "back", "person"), nil
		case flow.Urgent:
			return flow.Outcome(key), nil
		default: // 2, 0, or nothing: an answer that nobody confirmed is no answer
			v.solved = ""
			return "person", nil
		}
	}
}

// offered are the items of a category that may be spoken now.
func (v *visit) offered(category string) []kb.Item {
	for _, c := range v.h.cfg.KB.Categories() {
		if c.ID == category {
			return v.sayable(c.Items)
		}
	}
	return nil
}

// sayable are the items whose title and answer are recorded.
func (v *visit) sayable(items []kb.Item) (out []kb.Item) {
	for _, it := range items {
		if v.h.cfg.Prompts.Has(it.AnswerKey()) && v.h.cfg.Prompts.Has(it.TitleKey()) {
			out = append(out, it)
		}
	}
	return out
}

// choose is the menu of the items, after an introduction.
func (v *visit) choose(ctx context.Context, n *flow.Node, items []kb.Item, intro string) (item kb.Item, outcome string, err error) {
	keys := []string{intro}
	for i, it := range items {
		keys = append(keys, it.TitleKey(), fmt.Sprintf("press.%d", i+1))
	}
	if n.Exits["back"] != "" {
		keys = append(keys, "menu.return")
	}
	keys = append(keys, "menu.person")
	repeats := 0
	for try := 0; try < n.Tries(3); try++ {
		key, err := v.ask(ctx, n.Wait(6*time.Second), keys...)
		if err != nil {
			return item, "", err
		}
		switch i := int(key - '1'); {
		case i >= 0 && i < len(items):
			return items[i], "", nil
		case key == '*' && n.Exits["back"] != "":
			return item, "back", nil
		case key == '9' && repeats < 5:
			repeats++
			try--
			continue
		case key != flow.NoKey && v.flow.Anywhere[flow.Outcome(key)] != "":
			return item, flow.Outcome(key), nil
		case try == n.Tries(3)-1:
		case key == flow.NoKey:
			v.did("未按键")
			_, err = v.Say(ctx, []string{"menu.noinput"})
		default:
			v.did("按错")
			_, err = v.Say(ctx, []string{"menu.wrong"})
		}
		if err != nil {
			return item, "", err
		}
	}
	return item, "person", nil
}

// settled enters a question that the bot answered as 直接答复 (HL-2).
func (v *visit) settled(ctx context.Context, item kb.Item) error {
	ctx, cancel := after(ctx)
	defer cancel()
	var t ticket.Ticket
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		if t, err = v.open(tx, "政策咨询："+item.Title, "来电人咨询“"+item.Title+"”，智能应答已播报，来电人确认已解决。", ticket.Inquiry); err != nil {
			return err
		}
		if t.State != ticket.New { // asked twice in one call: the first answer stands
			return nil
		}
		t, err = v.h.cfg.Office.Answer(tx, t.ID, ticket.Reply{Text: item.Answer + "（依据：" + item.Source + "）", Via: "phone"}, ticket.Bot)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle a question: %w", err)
	}
	v.opened(t)
	v.solved, v.wants, v.settledBot = Served, false, true
	return nil
}

// progress takes the number of a ticket by keys and says how far it is, to the number that it came from and to no other.
// The outcome is "next", "person", "back", or a key that works anywhere.
func (v *visit) progress(ctx context.Context, n *flow.Node) (string, error) {
	misses := 0
	for misses < n.Tries(3) {
		keyed, urgent, err := flow.Collect(ctx, v, n.Prompts, 14, n.Wait(8*time.Second))
		switch {
		case err != nil:
			return "", err
		case urgent:
			return flow.Outcome(flow.Urgent), nil
		case keyed == "0":
			return "person", nil
		case keyed == "":
			v.did("未按键")
			_, err = v.Say(ctx, []string{"menu.noinput"})
		case len(keyed) < 12:
			v.did("编号不完整")
			_, err = v.Say(ctx, []string{"query.short"})
		default:
			var told bool
			if told, err = v.tell(ctx, keyed); err != nil {
				return "", err
			}
			if !told {
				break
			}
			key, err := v.ask(ctx, n.Wait(6*time.Second), "query.more")
			if err != nil {
				return "", err
			}
			switch {
			case key == '1':
				misses = 0
				continue
			case key == '*':
				return exitOr(n, "back", "next"), nil
			case key == '0':
				return "person", nil
			case key == flow.Urgent:
				return flow.Outcome(key), nil
			}
			return "next", nil
		}
		if err != nil {
			return "", err
		}
		misses++
	}
	if _, err := v.Say(ctx, []string{"query.giveup"}); err != nil {
		return "", err
	}
	return "person", nil
}

// tell says the state of a ticket, or why it cannot be said; told is false where another number should be tried.
func (v *visit) tell(ctx context.Context, keyed string) (told bool, err error) {
	t, err := v.find(ctx, keyed)
	switch {
	case isNotFound(err):
		v.did("没有这个编号")
		_, err = v.Say(ctx, []string{"query.notfound"})
		return false, err
	case err != nil:
		return false, fmt.Errorf("look up a ticket by its number: %w", err)
	case !v.mine(t):
		v.did("不是登记时的电话，未播报")
		_, err = v.Say(ctx, []string{"query.notyours"})
		return true, err
	}
	key, ok := prompts.Progress(string(t.State))
	if !ok {
		return true, fmt.Errorf("ticket state %s has no words for callers", t.State)
	}
	keys := []string{"query.result", key}
	if !t.Due.IsZero() && t.Due.After(v.h.now()) && underway(t.State) {
		keys = append(append(keys, "query.due"), say.Date(v.local(t.Due), v.local(v.h.now()))...)
	}
	v.did("播报办理状态“" + t.StateLabel() + "”，诉求 " + t.ID)
	v.solved = Served
	_, err = v.Say(ctx, keys)
	return true, err
}

// underway are the states in which a unit works towards a reply.
func underway(s ticket.State) bool {
	switch s {
	case ticket.Accepted, ticket.Dispatched, ticket.Handling, ticket.Reviewing:
		return true
	}
	return false
}

// exitOr is the exit, if the node has it, or else the other.
func exitOr(n *flow.Node, exit, other string) string {
	if n.Exits[exit] != "" {
		return exit
	}
	return other
}
