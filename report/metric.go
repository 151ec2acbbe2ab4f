package report

import (
	"fmt"
	"strings"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

// Kind is how the rows of a metric become its value.
type Kind int

// Kinds of metrics.
const (
	Count        Kind = iota // how many rows
	Share                    // how many of them have grade 1
	Satisfaction             // grades are stars: (n5 + n4 + w·n3) / n; 0 is not rated
	Duration                 // from x.a to x.b
)

// Metric is a figure's definition. Texts are for staff (zh-CN).
type Metric struct {
	ID      string
	Label   string
	Formula string // numerator / denominator in words
	Group   string
	Kind    Kind
	Less    bool // less is better
	Persons bool // rows are persons, not tickets

	set string // SELECT of id, at, contact, unit, channel, proactive, colour, kind, grade (and a, b): see row and query
}

// Dimensions are what figures can be split by.
var Dimensions = []string{"unit", "channel", "colour", "kind", "proactive"}

// host is the unit that was 主办 of a ticket last.
const host = `COALESCE((SELECT l.unit FROM ticket_leg l WHERE l.ticket_id = t.id AND l.role = 'host' AND l.state NOT IN ('RETURNED', 'CANCELLED') ORDER BY l.round DESC, l.assigned_at DESC LIMIT 1), '')`

// row is what every set selects of a ticket besides its time and grade.
const row = `t.id AS id, t.contact_id AS contact, t.channel AS channel, t.colour AS colour, t.original_kind AS kind, CASE WHEN t.proactive THEN 'yes' ELSE 'no' END AS proactive`

// valid is V of the domain model §9: accepted and neither nuisance nor empty, a test, misdialled or elsewhere's.
const valid = `t.validity NOT IN ('nuisance', 'empty', 'test', 'misdial', 'elsewhere')`

const closed = `t.state IN ('CLOSED', 'ARCHIVED')`

// Metrics is the registry, in the order of the closed loop (domain model §9). Tokens: {from}, {to}, {due} (the
// end of the period or now, so that what is not due yet is not late), {repeat} (window of a
// repeat, ms) and {settled} (days without a repeat that make a first solution, ms).
var Metrics = []Metric{
	{ID: "responded", Group: "volume", Label: "响应诉求数", Formula: "本期首次作出实质处理（答复、派单、不予受理告知、转110）的诉求数",
		set: ticketsAt(`t.responded_at`, `1`, ``)},
	{ID: "accepted", Group: "volume", Label: "受理诉求数", Formula: "本期受理（含直接答复）的诉求数",
		set: ticketsAt(`t.accepted_at`, `1`, ``)},
	{ID: "valid", Group: "volume", Label: "有效诉求数", Formula: "受理诉求中剔除骚扰、无实质内容、测试、误拨、非管辖已转",
		set: ticketsAt(`t.accepted_at`, `1`, valid)},
	{ID: "proactive", Group: "volume", Label: "主动访评收集诉求占比", Formula: "受理诉求中由中心主动访评、走访、调查收集的诉求数 / 受理诉求数",
		Kind: Share, set: ticketsAt(`t.accepted_at`, `CASE WHEN t.proactive THEN 1 ELSE 0 END`, ``)},

	{ID: "signed_on_time", Group: "time", Label: "按时签收率", Formula: "按时签收的承办工单数 / 签收时限在本期内的承办工单数", Kind: Share, set: clocks("sign")},
	{ID: "contacted_on_time", Group: "time", Label: "按时首联率", Formula: "按时首次联系群众的工单数 / 首联时限在本期内的工单数", Kind: Share, set: clocks("contact")},
	{ID: "settled_on_time", Group: "time", Label: "按时办结率", Formula: "按时办理并答复的诉求数 / 办结时限在本期内的诉求数（含逾期未结）", Kind: Share, set: clocks("handle")},
	{ID: "overdue", Group: "time", Label: "超期率", Formula: "超过办结时限的诉求数 / 办结时限在本期内的诉求数", Kind: Share, Less: true,
		set: `SELECT y.id, y.contact, y.channel, y.colour, y.kind, y.proactive, y.unit, y.at, 1 - y.grade AS grade FROM (` + clocks("handle") + `) y`},
	{ID: "took", Group: "time", Label: "办理时长", Formula: "本期办结的诉求自受理至最后一次答复的自然时长和工作时长", Kind: Duration, Less: true,
		set: `SELECT ` + row + `, ` + host + ` AS unit, t.closed_at AS at, 1 AS grade, t.accepted_at AS a, t.replied_at AS b FROM ticket t
			WHERE ` + closed + ` AND t.closed_at >= {from} AND t.closed_at < {to} AND t.accepted_at IS NOT NULL AND t.replied_at IS NOT NULL`},

	{ID: "closed_of_due", Group: "settle", Label: "办结率（按到期）", Formula: "已办结的诉求数 / 办结时限在本期内的诉求数", Kind: Share,
		set: `SELECT ` + row + `, ` + host + ` AS unit, c.due_at AS at, CASE WHEN ` + closed + ` THEN 1 ELSE 0 END AS grade FROM ticket_clock c JOIN ticket t ON t.id = c.ticket_id
			WHERE c.kind = 'handle' AND c.state <> 'cancelled' AND c.round = t.round AND c.due_at >= {from} AND c.due_at < {due} AND t.state <> 'WITHDRAWN'`},
	{ID: "closed_of_accepted", Group: "settle", Label: "办结率（按受理）", Formula: "截至目前已办结的诉求数 / 本期受理的诉求数（撤回、并入除外）", Kind: Share,
		set: ticketsAt(`t.accepted_at`, `CASE WHEN `+closed+` THEN 1 ELSE 0 END`, `t.state NOT IN ('WITHDRAWN', 'MERGED')`)},
	{ID: "proactive_closed", Group: "settle", Label: "主动访评诉求办结率", Formula: "主动访评收集的诉求中已办结数 / 其中已到期（办结时限在本期内）或已办结数", Kind: Share,
		set: `SELECT ` + row + `, ` + host + ` AS unit, COALESCE(t.closed_at, t.accepted_at) AS at, CASE WHEN ` + closed + ` THEN 1 ELSE 0 END AS grade FROM ticket t
			WHERE t.proactive = TRUE AND t.state <> 'WITHDRAWN' AND (` + closed + ` AND t.closed_at >= {from} AND t.closed_at < {to}
				OR NOT (` + closed + `) AND EXISTS (SELECT 1 FROM ticket_clock c WHERE c.ticket_id = t.id AND c.kind = 'handle' AND c.state <> 'cancelled' AND c.round = t.round AND c.due_at >= {from} AND c.due_at < {due}))`},
	{ID: "solved_first", Group: "settle", Label: "一次解决率", Formula: "首轮办结、结果为已解决或已解释接受且其后未再重复反映的诉求数 / 本期办结的诉求数", Kind: Share,
		set: `SELECT ` + row + `, ` + host + ` AS unit, t.closed_at AS at, CASE WHEN t.round = 0 AND t.outcome = 'rated'
				AND (t.answered_by <> '' OR EXISTS (SELECT 1 FROM ticket_leg l WHERE l.ticket_id = t.id AND l.role = 'host' AND l.state = 'ACCEPTED' AND l.resolution IN ('solved', 'explained')))
				AND NOT EXISTS (SELECT 1 FROM ticket r WHERE r.repeat_of = t.id AND r.repeat_of <> '' AND r.opened_at < t.closed_at + {settled}) THEN 1 ELSE 0 END AS grade FROM ticket t
			WHERE ` + closed + ` AND t.closed_at >= {from} AND t.closed_at < {to}`},
	{ID: "called_back", Group: "settle", Label: "回访率", Formula: "已作回访尝试的诉求数 / 本期应回访的诉求数", Kind: Share, set: callbacks(`EXISTS (SELECT 1 FROM ticket_try y WHERE y.callback_id = c.id) OR c.state = 'done'`)},
	{ID: "reached", Group: "settle", Label: "有效回访率", Formula: "回访成功（接通或群众已自行评价）的诉求数 / 本期已回访的诉求数", Kind: Share,
		set: `SELECT y.id, y.contact, y.channel, y.colour, y.kind, y.proactive, y.unit, y.at, y.done AS grade FROM (` + callbacks(`EXISTS (SELECT 1 FROM ticket_try y WHERE y.callback_id = c.id) OR c.state = 'done'`) + `) y WHERE y.grade = 1`},

	{ID: "rated", Group: "satisfaction", Label: "参评率", Formula: "群众作出评价的诉求数 / 本期已答复并邀请评价的诉求数", Kind: Share,
		set: ticketsAt(`t.replied_at`, `CASE WHEN EXISTS (SELECT 1 FROM ticket_rating r WHERE r.ticket_id = t.id AND r.round = t.round) THEN 1 ELSE 0 END`, `t.state NOT IN ('REFUSED', 'MERGED', 'WITHDRAWN')`)},
	{ID: "satisfied_raw", Group: "satisfaction", Label: "群众满意率（原始）", Formula: "(非常满意+满意+w×基本满意) / 本期全部有效评价；未评价不计入，表扬另计", Kind: Satisfaction, set: ratings(``)},
	{ID: "satisfied", Group: "satisfaction", Label: "群众满意率（核定）", Formula: "同原始满意率，剔除经两人认定不合理的评价", Kind: Satisfaction, set: ratings(`NOT (t.outcome = 'determined' AND r.stars <= 2)`)},
	{ID: "satisfied_of_invited", Group: "satisfaction", Label: "综合满意率（含未评价）", Formula: "(非常满意+满意+w×基本满意) / 本期邀请评价的诉求数；未评价按不满意计，表扬另计", Kind: Satisfaction,
		set: ticketsAt(`t.replied_at`, `COALESCE((SELECT r.stars FROM ticket_rating r WHERE r.ticket_id = t.id AND r.round = t.round ORDER BY r.rated_at DESC, r.id DESC LIMIT 1), 0)`, `t.state NOT IN ('REFUSED', 'MERGED', 'WITHDRAWN') AND `+noPraise)},

	{ID: "repeats", Group: "again", Label: "有效诉求重复投诉率", Formula: "答复后{repeat}内同一人就同一事项再次反映的有效诉求数 / 有效诉求数", Kind: Share, Less: true,
		set: ticketsAt(`t.accepted_at`, repeated, valid)},
	{ID: "repeat_persons", Group: "again", Label: "重复投诉人数占比", Formula: "有重复投诉的诉求人数 / 有效诉求的诉求人数", Kind: Share, Less: true, Persons: true,
		set: `SELECT MAX(y.id) AS id, y.contact, MAX(y.channel) AS channel, MAX(y.colour) AS colour, MAX(y.kind) AS kind, MAX(y.proactive) AS proactive, MAX(y.unit) AS unit, MAX(y.at) AS at, MAX(y.grade) AS grade, COUNT(*) AS times
			FROM (` + ticketsAt(`t.accepted_at`, repeated, valid+` AND t.contact_id <> ''`) + `) y{inner} GROUP BY y.contact`},
	{ID: "escalations", Group: "again", Label: "升级投诉数", Formula: "督察12389、信访等上级渠道来件中与未解决诉求相符的件数（按认定时间）", Less: true,
		set: `SELECT ` + row + `, ` + host + ` AS unit, m.opened_at AS at, 1 AS grade FROM oversee_matter m JOIN oversee_ticket x ON x.matter_id = m.id JOIN ticket t ON t.id = x.ticket_id
			WHERE m.kind = 'escalation' AND m.state <> 'REJECTED' AND m.opened_at >= {from} AND m.opened_at < {to}`},
	{ID: "returned", Group: "again", Label: "退单率", Formula: "被退回的承办工单数 / 本期派出的承办工单数", Kind: Share, Less: true,
		set: `SELECT ` + row + `, l.unit AS unit, l.assigned_at AS at, CASE WHEN l.state = 'RETURNED' THEN 1 ELSE 0 END AS grade FROM ticket_leg l JOIN ticket t ON t.id = l.ticket_id
			WHERE l.assigned_at >= {from} AND l.assigned_at < {to}`},
	{ID: "extended", Group: "again", Label: "延期率", Formula: "经批准延期的诉求数 / 本期受理的诉求数", Kind: Share, Less: true, set: ticketsAt(`t.accepted_at`, granted("extension"), ``)},
	{ID: "reworked", Group: "again", Label: "重办率", Formula: "重办过的诉求数 / 本期办结的诉求数", Kind: Share, Less: true,
		set: ticketsAt(`t.closed_at`, `CASE WHEN t.round > 0 THEN 1 ELSE 0 END`, closed)},
	{ID: "retyped", Group: "again", Label: "改类率", Formula: "经批准改变诉求类型的诉求数 / 本期受理的诉求数（仍按原类型统计）", Kind: Share, Less: true, set: ticketsAt(`t.accepted_at`, granted("retype"), ``)},
}

// repeated is grade 1 for a ticket that repeats one which was answered within the window before it came.
const repeated = `CASE WHEN t.repeat_of <> '' AND EXISTS (SELECT 1 FROM ticket e WHERE e.id = t.repeat_of AND e.replied_at IS NOT NULL AND e.replied_at <= t.opened_at AND t.opened_at < e.replied_at + {repeat}) THEN 1 ELSE 0 END`

// ticketsAt is the tickets with a moment in the period.
func ticketsAt(at, grade, cond string) string {
	if cond != "" {
		cond = ` AND ` + cond
	}
	return `SELECT ` + row + `, ` + host + ` AS unit, ` + at + ` AS at, ` + grade + ` AS grade FROM ticket t WHERE ` + at + ` >= {from} AND ` + at + ` < {to}` + cond
}

// clocks is the time limits of one kind that fell due in the period and up to now; grade 1 was kept. Of the whole handling
// a ticket's last round counts, of what units owe each one.
func clocks(kind string) string {
	last := ""
	if kind == "handle" {
		last = ` AND c.round = t.round`
	}
	return `SELECT ` + row + `, CASE WHEN c.leg_id = '' THEN ` + host + ` ELSE COALESCE((SELECT g.unit FROM ticket_leg g WHERE g.id = c.leg_id), '') END AS unit, c.due_at AS at,
			CASE WHEN c.stopped_at IS NOT NULL AND c.stopped_at <= c.due_at THEN 1 ELSE 0 END AS grade
		FROM ticket_clock c JOIN ticket t ON t.id = c.ticket_id
		WHERE c.kind = '` + kind + `' AND c.state <> 'cancelled' AND c.due_at >= {from} AND c.due_at < {due}` + last
}

// callbacks is the call-backs for a rating that were opened in the period.
func callbacks(made string) string {
	return `SELECT ` + row + `, ` + host + ` AS unit, c.opened_at AS at, CASE WHEN ` + made + ` THEN 1 ELSE 0 END AS grade,
			CASE WHEN c.state = 'done' OR EXISTS (SELECT 1 FROM ticket_try z WHERE z.callback_id = c.id AND z.outcome = 'reached') THEN 1 ELSE 0 END AS done
		FROM ticket_callback c JOIN ticket t ON t.id = c.ticket_id WHERE c.kind = 'review' AND c.opened_at >= {from} AND c.opened_at < {to}`
}

// noPraise leaves praise (表扬) out of satisfaction: it is listed and counted apart (RES-12). The first kind decides, so that
// changing a kind changes no rate (I13).
const noPraise = `t.original_kind <> 'praise'`

// ratings is the ratings of the period, the last one of a ticket's round; all versions are kept (I17).
func ratings(cond string) string {
	if cond != "" {
		cond = ` AND ` + cond
	}
	cond += ` AND ` + noPraise
	return `SELECT ` + row + `, ` + host + ` AS unit, r.rated_at AS at, r.stars AS grade FROM ticket_rating r JOIN ticket t ON t.id = r.ticket_id
		WHERE r.rated_at >= {from} AND r.rated_at < {to}
			AND NOT EXISTS (SELECT 1 FROM ticket_rating n WHERE n.ticket_id = r.ticket_id AND n.round = r.round AND (n.rated_at > r.rated_at OR n.rated_at = r.rated_at AND n.id > r.id))` + cond
}

func granted(kind string) string {
	return `CASE WHEN EXISTS (SELECT 1 FROM ticket_request q WHERE q.ticket_id = t.id AND q.kind = '` + kind + `' AND q.state = 'granted') THEN 1 ELSE 0 END`
}

// Find looks a metric up.
func Find(id string) (Metric, bool) {
	for _, m := range Metrics {
		if m.ID == id {
			return m, true
		}
	}
	return Metric{}, false
}

// Explain is the formula under some settings.
func (m Metric) Explain(s Settings) string {
	text := strings.ReplaceAll(m.Formula, "{repeat}", fmt.Sprintf("%d天", s.RepeatDays))
	if m.Kind == Satisfaction {
		text += fmt.Sprintf(";w=%g", s.Weight)
	}
	return text
}

// GradeLabel says what a grade of a metric means, for staff (zh-CN).
func (m Metric) GradeLabel(grade int) string {
	switch {
	case m.Kind == Satisfaction:
		return ticket.Stars(grade).Label()
	case m.Kind != Share:
		return ""
	case grade == 1:
		return "计入"
	}
	return "未计入"
}

// query is a metric's set with what narrows it.
type query struct {
	set   string
	args  []any
	conds []string
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args))
}

// and adds a condition; each {} is the next value.
func (q *query) and(cond string, vals ...any) {
	for _, v := range vals {
		cond = strings.Replace(cond, "{}", q.arg(v), 1)
	}
	q.conds = append(q.conds, cond)
}

func (q *query) where() string {
	if len(q.conds) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(q.conds, ` AND `)
}

func (q *query) page(limit, offset int) string {
	return ` LIMIT ` + q.arg(limit) + ` OFFSET ` + q.arg(offset)
}

func (m Metric) query(set Settings, p Period, s Scope, now time.Time) *query {
	q := &query{}
	q.set = m.set
	due := p.To
	if !now.IsZero() && now.Before(due) {
		due = now
	}
	for token, v := range map[string]any{"{from}": storage.At(p.From), "{to}": storage.At(p.To), "{due}": storage.At(due), "{repeat}": int64(set.RepeatDays) * day, "{settled}": int64(set.SettledDays) * day} {
		if strings.Contains(q.set, token) {
			q.set = strings.ReplaceAll(q.set, token, q.arg(v))
		}
	}
	q.narrow(s)
	if m.Persons { // a person counts when one of their tickets is within the scope
		inner := strings.ReplaceAll(q.where(), "x.", "y.")
		q.set, q.conds = strings.Replace(q.set, "{inner}", inner, 1), nil
	}
	return q
}

func (q *query) narrow(s Scope) {
	if s.Units != nil {
		marks := make([]string, len(s.Units))
		vals := make([]any, len(s.Units))
		for i, u := range s.Units {
			marks[i], vals[i] = "{}", u
		}
		if len(vals) == 0 {
			q.and(`1 = 0`)
		} else {
			q.and(`x.unit IN (`+strings.Join(marks, ", ")+`)`, vals...)
		}
	}
	for _, f := range [][2]string{{"channel", s.Channel}, {"kind", s.Kind}, {"colour", s.Colour}} {
		if f[1] != "" {
			q.and(`x.`+f[0]+` = {}`, f[1])
		}
	}
	if s.Proactive != nil {
		q.and(`x.proactive = {}`, map[bool]string{true: "yes", false: "no"}[*s.Proactive])
	}
}

const day = int64(24 * time.Hour / time.Millisecond)
