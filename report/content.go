package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// Content is what an edition says, every number as it is printed: what is locked is what was read.
type Content struct {
	Lines  []Line `json:"lines"`
	Tables []Grid `json:"tables"`
	Words  Words  `json:"words"`
	Past   bool   `json:"past,omitempty"` // counted from the log as of the cut-off, not from the tables of the day it was drafted on
}

// Words are what people write in an edition.
type Words struct {
	Summary string `json:"summary"` // 要情概述
	Causes  string `json:"causes"`  // 成因分析
	Work    string `json:"work"`    // 工作要求
}

func (w Words) trimmed() Words {
	return Words{strings.TrimSpace(w.Summary), strings.TrimSpace(w.Causes), strings.TrimSpace(w.Work)}
}

// Line is one figure of the registry with its definition.
type Line struct {
	ID       string `json:"id"`
	Label    string `json:"label"`
	Group    string `json:"group"`
	Value    string `json:"value"`
	Of       string `json:"of,omitempty"`       // numerator and denominator
	Interval string `json:"interval,omitempty"` // Wilson 95 %
	Before   string `json:"before,omitempty"`   // the period before, and the difference
	Baseline string `json:"baseline,omitempty"`
	Formula  string `json:"formula"`
}

// Grid is a table. Bars names the column that is drawn as bars, from 1; 0 is none.
type Grid struct {
	Key   string     `json:"key"`
	Title string     `json:"title"`
	Head  []string   `json:"head"`
	Rows  [][]string `json:"rows"`
	Note  string     `json:"note,omitempty"`
	Bars  int        `json:"bars,omitempty"`
	Live  bool       `json:"live,omitempty"` // from records that are not in the log: as they stood when it was drafted
}

// linesOf are the figures that a kind of edition prints; the others print all of them.
var linesOf = map[EditionKind][]string{
	Daily: {"responded", "accepted", "valid", "proactive", "signed_on_time", "contacted_on_time", "settled_on_time", "rated", "satisfied_raw", "satisfied", "repeats", "escalations"},
}

// fill counts an edition up to now: figures, tables, the version of the settings. Words stay.
func (o *Office) fill(tx *storage.Tx, e *Edition) error {
	e.Content.Past = false
	return o.fillFrom(tx, tx, e)
}

// fillFrom is fill over tables that may be of the past; live are those of today.
func (o *Office) fillFrom(tx, live *storage.Tx, e *Edition) error {
	e.CutOff = o.clock()
	set := o.at(e.Period)
	e.Metrics = set.Version
	scope, err := e.Scope.narrow(tx)
	if err != nil {
		return err
	}
	lines, err := o.lines(tx, e.Kind, e.Period, scope)
	if err != nil {
		return err
	}
	w := &writer{o: o, tx: tx, live: live, e: *e, scope: scope, set: set, at: e.Period.To}
	if e.CutOff.Before(w.at) {
		w.at = e.CutOff
	}
	if w.units, err = unitsByID(tx); err != nil {
		return err
	}
	for _, table := range tablesOf[e.Kind] {
		g, err := table(w)
		if err != nil {
			return fmt.Errorf("write %s: %w", e.Title, err)
		}
		if g.Key != "" {
			w.tables = append(w.tables, g)
		}
	}
	if e.Scope.Poll != "" {
		grids, err := w.poll()
		if err != nil {
			return fmt.Errorf("write %s: %w", e.Title, err)
		}
		w.tables = append(w.tables, grids...)
	}
	e.Content.Lines, e.Content.Tables = lines, w.tables
	return nil
}

func (o *Office) lines(tx *storage.Tx, k EditionKind, p Period, s Scope) ([]Line, error) {
	set := o.at(p)
	all, err := o.Figures(tx, p, s)
	if err != nil {
		return nil, err
	}
	var out []Line
	for _, f := range all {
		if want := linesOf[k]; want != nil && !slices.Contains(want, f.Metric.ID) {
			continue
		}
		out = append(out, printed(f, set))
	}
	return out, nil
}

// printed is a figure as editions print it.
func printed(f Figure, set Settings) Line {
	l := Line{ID: f.Metric.ID, Label: f.Metric.Label, Group: f.Metric.Group, Value: shown(f.Metric, f.Value, f.N), Formula: f.Metric.Explain(set)}
	switch f.Metric.Kind {
	case Duration:
		if l.Value = "—"; f.N > 0 {
			l.Value = hours(f.Spans.Median)
			l.Of = fmt.Sprintf("中位数，n=%d；p90 %s；工作时长中位数 %s", f.N, hours(f.Spans.P90), hours(f.Spans.MedianWork))
		}
	case Share:
		l.Of = fmt.Sprintf("%d / %d", f.Hits(), f.N)
	case Satisfaction:
		l.Of = fmt.Sprintf("n = %d", f.N)
	}
	if (f.Metric.Kind == Share || f.Metric.Kind == Satisfaction) && f.N > 0 {
		l.Interval = fmt.Sprintf("%.2f%%–%.2f%%", 100*f.Interval[0], 100*f.Interval[1])
		if f.Small {
			l.Interval += "（样本过少，不作比较）"
		}
	}
	if f.Before != nil && !f.Small {
		l.Before = shown(f.Metric, f.Before.Value, f.Before.N)
		if f.Metric.Kind == Count {
			l.Before += fmt.Sprintf("（%+.0f）", f.Before.Points)
		} else {
			l.Before += fmt.Sprintf("（%+.2f个百分点", 100*f.Before.Points)
			if f.Before.P < 0.05 {
				l.Before += "，差异显著"
			}
			l.Before += "）"
		}
	}
	if f.Baseline != nil {
		l.Baseline = fmt.Sprintf("%s %.2f%%（%+.2f个百分点）", f.Baseline.Label, 100*f.Baseline.Value, 100*f.Baseline.Points)
	}
	return l
}

func shown(m Metric, value float64, n int) string {
	switch {
	case m.Kind == Count:
		return strconv.Itoa(int(value))
	case n == 0:
		return "—"
	}
	return fmt.Sprintf("%.2f%%", 100*value)
}

func hours(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%.1f小时", d.Hours())
	}
	return fmt.Sprintf("%.1f天", d.Hours()/24)
}

func (s SpecialScope) narrow(tx *storage.Tx) (out Scope, err error) {
	out = Scope{Channel: s.Channel, Kind: s.Kind, Colour: s.Colour}
	if s.Unit != "" {
		if out.Units, err = org.Below(tx, s.Unit); err != nil {
			return out, err
		}
		if len(out.Units) == 0 {
			return out, refuse("unit", "没有这个单位")
		}
	}
	return out, nil
}

func unitsByID(tx *storage.Tx) (map[string]org.Unit, error) {
	all, err := org.Units(tx)
	out := map[string]org.Unit{}
	for _, u := range all {
		out[u.ID] = u
	}
	return out, err
}

// writer makes the tables of one edition.
type writer struct {
	o      *Office
	tx     *storage.Tx
	live   *storage.Tx // of today, where tx is of the past
	e      Edition
	scope  Scope
	set    Settings
	at     time.Time // the end of the period, or now while it lasts: what is open is open then
	units  map[string]org.Unit
	tables []Grid
}

var tablesOf = map[EditionKind][]func(*writer) (Grid, error){
	Daily:   {split("accepted", "channel"), split("accepted", "colour"), split("accepted", "kind"), district, split("accepted", "unit"), open, dueNext, unhappy, begun, texts},
	Weekly:  {perDay, split("accepted", "channel"), classes, repeaters, causes, district, unitTable, open, unhappy, begun, texts},
	Monthly: {perDay, ranking, redBlack, district, split("accepted", "channel"), classes, causes, repeaters, reviews, unhappy, begun, texts},
	Special: {perDay, split("accepted", "channel"), split("accepted", "colour"), split("accepted", "kind"), classes, causes, district, unitTable},
}

func (w *writer) unit(id string) string {
	if id == "" {
		return "未派单（中心答复或在办）"
	}
	u := w.units[id]
	return cmp.Or(u.Short, u.Name, id)
}

// split is a table of a metric by one of its dimensions.
func split(metric, dimension string) func(*writer) (Grid, error) {
	return func(w *writer) (Grid, error) {
		groups, err := w.o.By(w.tx, metric, dimension, w.e.Period, w.scope)
		if err != nil || len(groups) == 0 {
			return Grid{}, err
		}
		names := map[string]string{"unit": "主办单位", "channel": "来源渠道", "colour": "颜色等级", "kind": "诉求类型"}
		m, _ := Find(metric)
		g := Grid{Key: metric + "-" + dimension, Title: m.Label + "：按" + names[dimension], Head: []string{names[dimension], "件数", "占比"}, Bars: 2}
		total := 0
		for _, x := range groups {
			total += x.N
		}
		var channels map[string]string
		if dimension == "channel" {
			if channels, err = codeNames(w.tx, `SELECT code, name FROM ticket_channel`); err != nil {
				return g, err
			}
		}
		for _, x := range groups {
			label := x.Key
			switch dimension {
			case "unit":
				label = w.unit(x.Key)
			case "channel":
				label = cmp.Or(channels[x.Key], x.Key)
			case "kind":
				label = cmp.Or(ticket.Kind(x.Key).Label(), x.Key)
			}
			g.Rows = append(g.Rows, []string{label, strconv.Itoa(x.N), fmt.Sprintf("%.1f%%", 100*float64(x.N)/float64(total))})
		}
		return g, nil
	}
}

func codeNames(tx *storage.Tx, query string, args ...any) (map[string]string, error) {
	rows, err := storage.All(tx, func(r storage.Row) (p [2]string, err error) { return p, r.Scan(&p[0], &p[1]) }, query, args...)
	out := map[string]string{}
	for _, p := range rows {
		out[p[0]] = p[1]
	}
	return out, err
}

// district is what was accepted by the branch that the unit in charge belongs to.
func district(w *writer) (Grid, error) {
	groups, err := w.o.By(w.tx, "accepted", "unit", w.e.Period, w.scope)
	if err != nil || len(groups) == 0 {
		return Grid{}, err
	}
	n := map[string]int{}
	for _, x := range groups {
		n[w.branch(x.Key)] += x.N
	}
	g := Grid{Key: "district", Title: "受理诉求数：按分县局", Head: []string{"分县局", "件数"}, Bars: 2}
	for _, name := range sortedByCount(n) {
		g.Rows = append(g.Rows, []string{name, strconv.Itoa(n[name])})
	}
	return g, nil
}

// branch is the name of the branch a unit stands under, or of what stands directly below the bureau.
func (w *writer) branch(id string) string {
	for u, ok := w.units[id]; ok; u, ok = w.units[u.Parent] {
		if p, known := w.units[u.Parent]; u.Kind == org.Branch || !known || p.Parent == "" {
			return cmp.Or(u.Short, u.Name)
		}
	}
	return "未派单（中心答复或在办）"
}

func sortedByCount(n map[string]int) []string {
	out := make([]string, 0, len(n))
	for k := range n {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(n[b]-n[a], cmp.Compare(a, b)) })
	return out
}

// perDay is how many were accepted on each day.
func perDay(w *writer) (Grid, error) {
	m, _ := Find("accepted")
	q := m.query(w.set, w.e.Period, w.scope, w.o.now())
	rows, err := storage.All(w.tx, func(r storage.Row) (at storage.Time, err error) { return at, r.Scan(&at) }, `SELECT x.at FROM (`+q.set+`) x`+q.where(), q.args...)
	if err != nil {
		return Grid{}, err
	}
	n := map[workday.Day]int{}
	for _, at := range rows {
		n[workday.DayOf(at.Time)]++
	}
	g := Grid{Key: "per-day", Title: "每日受理诉求数", Head: []string{"日期", "件数"}, Bars: 2}
	if w.e.Period.Last()-w.e.Period.First() > 62 {
		months := map[string]int{}
		for d, k := range n {
			months[d.String()[:7]] += k
		}
		g.Title, g.Head[0] = "每月受理诉求数", "月份"
		for d := w.e.Period.First(); d <= w.e.Period.Last(); d++ {
			if m := d.String()[:7]; len(g.Rows) == 0 || g.Rows[len(g.Rows)-1][0] != m {
				g.Rows = append(g.Rows, []string{m, strconv.Itoa(months[m])})
			}
		}
		return g, nil
	}
	for d := w.e.Period.First(); d <= w.e.Period.Last(); d++ {
		g.Rows = append(g.Rows, []string{d.String()[5:], strconv.Itoa(n[d])})
	}
	return g, nil
}

// classes are the matters of the second level, beside the period before.
func classes(w *writer) (Grid, error) {
	names, err := codeNames(w.tx, `SELECT code, name FROM ticket_class`)
	if err != nil {
		return Grid{}, err
	}
	count := func(p Period) (map[string]int, error) {
		m, _ := Find("accepted")
		q := m.query(w.set, p, w.scope, w.o.now())
		rows, err := storage.All(w.tx, func(r storage.Row) (c string, err error) { return c, r.Scan(&c) },
			`SELECT CASE WHEN k.class <> '' THEN k.class ELSE k.suggested_class END FROM (`+q.set+`) x JOIN ticket k ON k.id = x.id`+q.where(), q.args...)
		n := map[string]int{}
		for _, c := range rows {
			if len(c) >= 5 {
				c = c[:5]
			}
			n[cmp.Or(names[c], "未分类")]++
		}
		return n, err
	}
	now, err := count(w.e.Period)
	if err != nil || len(now) == 0 {
		return Grid{}, err
	}
	before, err := count(w.e.Period.Before())
	if err != nil {
		return Grid{}, err
	}
	g := Grid{Key: "classes", Title: "诉求热点（二级分类）", Head: []string{"分类", "本期", "上期", "变化"}, Bars: 2, Note: "未经人工确认的按系统建议分类统计；列前15类"}
	for i, name := range sortedByCount(now) {
		if i == 15 {
			break
		}
		g.Rows = append(g.Rows, []string{name, strconv.Itoa(now[name]), strconv.Itoa(before[name]), fmt.Sprintf("%+d", now[name]-before[name])})
	}
	return g, nil
}

// causes are what persons found to be the cause of what was settled or is being handled.
func causes(w *writer) (Grid, error) {
	m, _ := Find("accepted")
	q := m.query(w.set, w.e.Period, w.scope, w.o.now())
	q.and(`k.cause <> ''`)
	names, err := storage.All(w.tx, storage.Value[string], `SELECT COALESCE(c.name, k.cause) FROM (`+q.set+`) x JOIN ticket k ON k.id = x.id LEFT JOIN ticket_cause c ON c.code = k.cause`+q.where(), q.args...)
	if err != nil || len(names) == 0 {
		return Grid{}, err
	}
	n := map[string]int{}
	for _, x := range names {
		n[x]++
	}
	g := Grid{Key: "causes", Title: "成因分布（已认定成因的诉求）", Head: []string{"成因", "件数"}, Bars: 2}
	for _, x := range sortedByCount(n) {
		g.Rows = append(g.Rows, []string{x, strconv.Itoa(n[x])})
	}
	return g, nil
}

// repeaters are how many people came how often; nobody is named.
func repeaters(w *writer) (Grid, error) {
	rows, err := storage.All(w.tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE opened_at >= $1 AND opened_at < $2 AND contact_id <> '' GROUP BY contact_id`, storage.At(w.e.Period.From), storage.At(w.e.Period.To))
	if err != nil {
		return Grid{}, err
	}
	var persons, tickets [4]int
	for _, n := range rows {
		i := map[bool]int{true: 3, false: n - 1}[n >= 4]
		persons[i]++
		tickets[i] += n
	}
	g := Grid{Key: "repeaters", Title: "重复来诉人员", Head: []string{"本期来诉次数", "人数", "诉求数"}, Note: "只计能识别身份的诉求人，不列姓名号码"}
	for i, label := range []string{"1次", "2次", "3次", "4次及以上"} {
		g.Rows = append(g.Rows, []string{label, strconv.Itoa(persons[i]), strconv.Itoa(tickets[i])})
	}
	return g, nil
}

func (w *writer) count(query string, args ...any) (int, error) {
	return storage.One(w.tx, storage.Value[int], query, args...)
}

// open is what was still owed at the end of the period, by colour, and how much of it was late.
func open(w *writer) (Grid, error) {
	g := Grid{Key: "open", Title: "期末在办（" + w.at.In(workday.Zone).Add(-time.Millisecond).Format("01月02日 15:04") + "）", Head: []string{"颜色等级", "在办", "其中逾期"}}
	at := storage.At(w.at)
	for _, c := range []string{"红", "橙", "黄", "蓝"} {
		n, err := w.count(`SELECT COUNT(*) FROM ticket t WHERE t.colour = $1 AND t.opened_at < $2 AND (t.closed_at IS NULL OR t.closed_at >= $2)`, c, at)
		if err != nil {
			return g, err
		}
		late, err := w.count(`SELECT COUNT(*) FROM ticket t WHERE t.colour = $1 AND t.opened_at < $2 AND (t.closed_at IS NULL OR t.closed_at >= $2)
			AND EXISTS (SELECT 1 FROM ticket_clock c WHERE c.ticket_id = t.id AND c.kind = 'handle' AND c.state <> 'cancelled' AND c.due_at < $2 AND (c.stopped_at IS NULL OR c.stopped_at >= $2))`, c, at)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, []string{c, strconv.Itoa(n), strconv.Itoa(late)})
	}
	return g, nil
}

// dueNext is what falls due on the day after.
func dueNext(w *writer) (Grid, error) {
	next := w.e.Period.Last().Add(1)
	g := Grid{Key: "due-next", Title: "次日（" + next.String()[5:] + "）到期", Head: []string{"时限", "件数"}}
	for _, k := range []ticket.ClockKind{ticket.ClockSign, ticket.ClockContact, ticket.ClockHandle, ticket.ClockReview, ticket.ClockCallback} {
		n, err := w.count(`SELECT COUNT(*) FROM ticket_clock c WHERE c.kind = $1 AND c.state <> 'cancelled' AND c.due_at >= $2 AND c.due_at < $3 AND c.started_at < $4 AND (c.stopped_at IS NULL OR c.stopped_at >= $4)`,
			string(k), storage.At(next.Start()), storage.At(next.End()), storage.At(w.at))
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, []string{k.Label(), strconv.Itoa(n)})
	}
	return g, nil
}

// unhappy are the bad ratings of the period, of tickets and of services, and what became of them.
func unhappy(w *writer) (Grid, error) {
	from, to := storage.At(w.e.Period.From), storage.At(w.e.Period.To)
	g := Grid{Key: "unhappy", Title: "差评与整改", Head: []string{"项目", "数量"}}
	n, err := w.count(`SELECT COUNT(*) FROM ticket_rating WHERE stars <= 2 AND rated_at >= $1 AND rated_at < $2`, from, to)
	if err != nil {
		return g, err
	}
	service, err := storage.One(w.live, storage.Value[int], `SELECT COUNT(*) FROM survey_ask WHERE rating >= 4 AND rated_at >= $1 AND rated_at < $2`, from, to)
	if err != nil {
		return g, err
	}
	g.Rows = [][]string{{"诉求办理差评", strconv.Itoa(n)}, {"业务办理差评（访评）", strconv.Itoa(service)}}
	if w.o.Oversight != nil {
		b, err := w.o.Oversight.BadCounts(w.tx, w.e.Period.From, w.e.Period.To)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, []string{"差评工作单", strconv.Itoa(b.N)}, []string{"按时联系 / 应联系", fmt.Sprintf("%d / %d", b.ContactedInTime, b.ContactDue)},
			[]string{"已整改 / 应整改", fmt.Sprintf("%d / %d", b.Rectified, b.RectifyDue)}, []string{"两人认定不计入", strconv.Itoa(b.Excluded)})
	}
	return g, nil
}

// begun are what was begun over tickets in the period: alerts, topics, 督办, 会商, orders, leads. Watch flags are not told.
func begun(w *writer) (Grid, error) {
	from, to := storage.At(w.e.Period.From), storage.At(w.e.Period.To)
	g := Grid{Key: "begun", Title: "预警与督导", Head: []string{"项目", "本期新增"}}
	n, err := w.count(`SELECT COUNT(*) FROM ticket_alert WHERE raised_at >= $1 AND raised_at < $2`, from, to)
	if err != nil {
		return g, err
	}
	g.Rows = append(g.Rows, []string{"预警", strconv.Itoa(n)})
	for _, k := range []struct {
		kind  oversee.Kind
		label string
	}{{oversee.KindTopic, "一类事、群体事项"}, {oversee.KindSupervision, "督办"}, {oversee.KindConsult, "会商"}, {oversee.KindOrder, "调度指令"}, {oversee.KindClue, "线索"}, {oversee.KindMeasure, "措施与建议上报"}} {
		if n, err = w.count(`SELECT COUNT(*) FROM oversee_matter WHERE kind = $1 AND opened_at >= $2 AND opened_at < $3`, string(k.kind), from, to); err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, []string{k.label, strconv.Itoa(n)})
	}
	return g, nil
}

// texts are the morning texts that were about services of the period.
func texts(w *writer) (Grid, error) {
	if w.o.Survey == nil {
		return Grid{}, nil
	}
	f, err := w.o.Survey.Between(w.live, w.e.Period.First(), w.e.Period.Last())
	if err != nil {
		return Grid{}, err
	}
	g := Grid{Key: "texts", Live: true, Title: "短信访评（业务日为本期）", Head: []string{"项目", "数量"}, Note: f.Metric.Formula() + "；未回复不计为满意"}
	for _, x := range []survey.Figure{survey.Planned, survey.Suppressed, survey.Sent, survey.Delivered, survey.Replied, survey.Rated, survey.Unhappy, survey.Tickets} {
		g.Rows = append(g.Rows, []string{x.Label(), strconv.Itoa(f.Whole.Count[x])})
	}
	if !f.Whole.Small {
		g.Rows = append(g.Rows, []string{"满意率（原始）", fmt.Sprintf("%.2f%%（n=%d，95%%区间 %.2f%%–%.2f%%）", 100*f.Whole.Raw, f.Whole.N, 100*f.Whole.Interval[0], 100*f.Whole.Interval[1])},
			[]string{"满意率（正式）", fmt.Sprintf("%.2f%%（剔除%d）", 100*f.Whole.Official, f.Whole.Excluded)})
	}
	return g, nil
}

// reviews are 倒查 by domain.
func reviews(w *writer) (Grid, error) {
	if w.o.Oversight == nil {
		return Grid{}, nil
	}
	all, err := w.o.Oversight.ReviewCounts(w.tx, w.e.Period.From, w.e.Period.To)
	g := Grid{Key: "reviews", Title: "倒查评查", Head: []string{"领域", "评查", "问题", "已整改"}}
	for _, r := range all {
		g.Rows = append(g.Rows, []string{r.Domain.Label(), strconv.Itoa(r.Reviewed), strconv.Itoa(r.Problems), strconv.Itoa(r.Rectified)})
	}
	return g, err
}
