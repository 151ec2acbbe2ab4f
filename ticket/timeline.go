package ticket

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

var eventLabels = map[string]string{
	"ticket.opened": "登记", "ticket.redelivered": "来源再次推送", "ticket.amended": "补充登记", "ticket.accepted": "受理", "ticket.answered": "直接答复",
	"ticket.transferred": "转110", "ticket.refused": "不予受理", "ticket.appealed": "申诉", "ticket.merged": "并入", "ticket.unmerged": "撤销并入",
	"ticket.reply_followed": "随并入诉求答复", "ticket.dispatched": "派单", "ticket.rejected": "审核退回", "ticket.approved": "审核通过并答复",
	"ticket.rating_opened": "开启评价", "ticket.rated": "评价", "ticket.contested": "不满意评价提请认定", "ticket.determining": "认定（第一人）",
	"ticket.determined": "认定（第二人）、办结", "ticket.not_determined": "认定不成立", "ticket.reworked": "重办", "ticket.held": "重办待会商/督办",
	"ticket.released": "会商/督办后恢复重办", "ticket.unrated": "未评价办结", "ticket.withdrawn": "撤回", "ticket.archived": "归档", "ticket.resumed": "恢复办理",
	"ticket.raised": "提升颜色等级", "ticket.recomputed": "重新计算时限", "ticket.repeat_linked": "关联重复诉求", "ticket.redirected": "按会商或督办结论转派", "ticket.repeat_unlinked": "撤销重复关联",
	"ticket.graded": "颜色评定", "ticket.emotion_confirmed": "确认情绪激动", "ticket.sorted": "类别和单位建议", "ticket.classed": "确定类别", "ticket.cause_set": "认定成因",
	"ticket.still_handling": "告知仍在办理", "step.done": "落实处置措施", "step.overdue": "处置措施逾期",
	"ticket.instructed": "批示", "ticket.source_urge": "来源方催办", "ticket.source_supplement": "来源方补充", "ticket.incident_linked": "关联警情",
	"ticket.anonymised": "按期匿名化", "alert.anonymised": "按期匿名化", "ticket.resealed": "原件更换密钥",
	"leg.signed": "签收", "leg.contacted": "联系群众", "leg.reported": "处置情况报告", "leg.submitted": "提交办理结果",
	"request.return_asked": "申请退回", "request.return_granted": "同意退回", "request.return_denied": "不同意退回",
	"request.extension_asked": "申请延期", "request.extension_granted": "同意延期", "request.extension_denied": "不同意延期",
	"request.suspend_asked": "申请挂起", "request.suspend_granted": "同意挂起", "request.suspend_denied": "不同意挂起",
	"request.stable_asked": "申请稳控", "request.stable_granted": "同意稳控", "request.stable_denied": "不同意稳控", "ticket.stable_reviewed": "稳控复核", "ticket.stable_ended": "结束稳控",
	"request.retype_asked": "申请改类", "request.retype_granted": "同意改类", "request.retype_denied": "不同意改类",
	"request.lower_asked": "申请降低颜色等级", "request.lower_granted": "同意降低颜色等级", "request.lower_denied": "不同意降低颜色等级",
	"callback.opened": "登记回访任务", "callback.assigned": "分派回访", "callback.tried": "回访", "callback.finished": "回访结束", "callback.overdue": "回访超时",
	"clock.half": "时限过半", "clock.most": "时限即将到期", "clock.yellow": "黄牌预警", "clock.due": "时限到期", "clock.red": "红牌警告",
	"alert.raised": "预警", "alert.acked": "确认预警", "alert.disposed": "处置预警", "alert.escalated": "预警升级", "alert.again": "预警情况再次发生",
}

// EventLabel is a type of event for people (zh-CN), or the type itself when it has no label.
func EventLabel(typ string) string {
	if l, ok := eventLabels[typ]; ok {
		return l
	}
	return typ
}

// Moment is one event of a ticket for people to read.
type Moment struct {
	Seq    int64
	At     time.Time
	Type   string
	Label  string // zh-CN
	Actor  string // staff/…, citizen/…, system, bot
	Rule   string
	State  State             // state of the ticket after it
	Facts  map[string]string // what the event says: unit, stars, via, outcome … as codes
	Texts  map[string]string // free texts by name, as shown: reason, note, reply …
	Labels []string          // facts for people (zh-CN): "主办 benxi-…", "非常满意"
}

// Timeline returns what happened to a ticket, first to last.
func (o *Office) Timeline(tx *storage.Tx, id string) ([]Moment, error) {
	events, err := audit.Stream(tx, Stream(id))
	if err != nil {
		return nil, fmt.Errorf("timeline of %s: %w", id, err)
	}
	shown, err := readTexts(tx, Stream(id))
	if err != nil {
		return nil, err
	}
	var out []Moment
	var state State
	for _, e := range events {
		var load struct {
			Info map[string]json.RawMessage `json:"info"`
			Set  fields                     `json:"set"`
		}
		if err := json.Unmarshal(e.Payload, &load); err != nil {
			return nil, fmt.Errorf("timeline of %s: event %d: %w", id, e.StreamSeq, err)
		}
		if s, ok := load.Set["ticket"][id]["state"]; ok {
			if err := json.Unmarshal(s, &state); err != nil {
				return nil, fmt.Errorf("timeline of %s: event %d: %w", id, e.StreamSeq, err)
			}
		}
		m := Moment{Seq: e.StreamSeq, At: e.At, Type: e.Type, Label: EventLabel(e.Type), Actor: e.Actor, Rule: e.Rule, State: state,
			Facts: map[string]string{}, Texts: map[string]string{}}
		for _, name := range slices.Sorted(maps.Keys(load.Info)) {
			v := load.Info[name]
			var ref Text
			if json.Unmarshal(v, &ref) == nil {
				if ref.ID != "" {
					m.Texts[name] = shown[ref.ID]
				}
				continue
			}
			s := strings.Trim(string(v), `"`)
			var list []string
			if json.Unmarshal(v, &list) == nil {
				s = strings.Join(list, " ")
			}
			if s == "" || s == "null" {
				continue
			}
			m.Facts[name] = s
			if l := factLabel(name, s); l != "" && !slices.Contains(m.Labels, l) {
				m.Labels = append(m.Labels, l)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// factLabel puts a fact into words, "" when it needs none.
func factLabel(name, v string) string {
	switch name {
	case "kind":
		return cmpOr(cmpOr(kindLabels[Kind(v)], clockLabels[ClockKind(v)]), callbackLabels[CallbackKind(v)])
	case "stars":
		for s := Stars(1); s <= 5; s++ {
			if v == fmt.Sprint(int(s)) {
				return s.Label()
			}
		}
	case "outcome":
		return cmpOr(tryLabels[TryOutcome(v)], outcomeLabels[Outcome(v)])
	case "finding":
		return findingLabels[Finding(v)]
	case "resolution":
		return resolutionLabels[Resolution(v)]
	case "colour", "to", "level":
		if Colour(v).Rank() > 0 {
			return v + "色"
		}
	case "days":
		return v + "个工作日"
	case "round":
		return "第" + v + "轮"
	case "number":
		return v
	case "incident":
		return "警情号" + v
	}
	return ""
}

var outcomeLabels = map[Outcome]string{Rated: "群众评价满意", Unrated: "未评价", Determined: "不满意·认定"}
