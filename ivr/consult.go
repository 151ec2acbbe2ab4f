package ivr

import (
	"context"
	"strconv"
	"time"

	"lianxin/ivr/flow"
	"lianxin/ivr/kb"
)

// consult finds the answer of the knowledge base that is nearest to what the caller says, or lets them choose one by key: a category, then
// a question of it. What was understood is confirmed before anything is answered, and where nothing is near the caller comes to a person.
// Without a recogniser nobody is asked to speak: it is the menu of the categories. The outcome is "solved", "person", "back", or a key that
// works anywhere.
func (v *visit) consult(ctx context.Context, n *flow.Node) (string, error) {
	said, ask := v.trail.said, []string{"kb.menu"}
	if said == nil {
		v.did("没有语音识别，按键选择")
	} else {
		ask = append(append([]string(nil), n.Prompts...), ask...)
	}
	repeats := 0
	for try := 0; try < n.Tries(3); try++ {
		text, key, err := v.hearOrKey(ctx, said, ask, n.Wait(6*time.Second))
		if err != nil {
			return "", err
		}
		again := "menu.noinput"
		switch to := v.flow.Anywhere[flow.Outcome(key)]; {
		case key >= '1' && key <= '8' && len(v.sayable(v.h.cfg.KB.ByCategory(int(key-'0')))) > 0:
			item, out, err := v.choose(ctx, n, v.sayable(v.h.cfg.KB.ByCategory(int(key-'0'))), "kb.choose")
			switch {
			case err != nil || out != "" && out != "back":
				return out, err
			case out == "back": // to the categories
				try--
				if repeats++; repeats > 5 {
					return "person", nil
				}
				continue
			}
			return v.explain(ctx, n, item)
		case key == '*' && n.Exits["back"] != "":
			return "back", nil
		case key == '9' && repeats < 5:
			repeats++
			try--
			continue
		case key != flow.NoKey && to != "":
			return flow.Outcome(key), nil
		case key != flow.NoKey:
			v.did("按错")
			again = "menu.wrong"
		case text != "":
			item, out, err := v.found(ctx, n, text)
			if err != nil || out != "" {
				return out, err
			}
			if item.ID != "" {
				return v.explain(ctx, n, item)
			}
			again = "kb.again"
		default:
			v.did("没有听到回答")
		}
		if try < n.Tries(3)-1 {
			if _, err := v.Say(ctx, []string{again}); err != nil {
				return "", err
			}
		}
	}
	_, err := v.Say(ctx, []string{"kb.none"})
	return "person", err
}

// found looks up what the caller has said and has them confirm it. Neither an item nor an outcome means that it was not that.
func (v *visit) found(ctx context.Context, n *flow.Node, text string) (item kb.Item, outcome string, err error) {
	if v.fields["body"] == "" { // a person to whom this comes reads what was asked
		v.fields["body"] = "来电人咨询（语音识别）：" + short(text, 200)
	}
	plan, items := kb.Decide(v.h.cfg.KB.Search(text, 5))
	items = v.sayable(items)
	switch {
	case plan == kb.Person || len(items) == 0:
		v.did("知识库没有相近的问题")
		return item, "", nil
	case plan == kb.Confirm || len(items) == 1:
		item = items[0]
		v.did("理解为“" + item.Title + "”")
		key, err := v.ask(ctx, n.Wait(6*time.Second), "kb.confirm", item.TitleKey(), "kb.confirm.ask")
		switch {
		case err != nil:
			return kb.Item{}, "", err
		case key == '1':
			return item, "", nil
		case key == flow.NoKey || key == '2':
			v.did("来电人否认")
			return kb.Item{}, "", nil
		case v.flow.Anywhere[flow.Outcome(key)] != "":
			return kb.Item{}, flow.Outcome(key), nil
		}
		return kb.Item{}, "", nil
	}
	v.did("可能的问题有" + strconv.Itoa(len(items)) + "个")
	return v.choose(ctx, n, items, "kb.offer")
}
