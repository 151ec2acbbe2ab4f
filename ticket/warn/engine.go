package warn

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"lianxin/ticket/classify"
	"lianxin/ticket/grade"
	"lianxin/ticket/match"
	"lianxin/workday"
)

// Fact is something that happened, in the order of time.
type Fact interface{ at() time.Time }

// Opened is a new request, or one whose words changed (the same ID again).
type Opened struct {
	ID, Number, Party, Channel string // Channel is a code
	ChannelName                string // what people read; empty is the code
	At                         time.Time
	Title, Text, Place         string
	District                   string // code; empty is unknown
	Community, CommunityName   string // code and name; empty is unknown
	Class, ClassName           string // second level, code and name; empty is unknown
	Colour                     string
	Restricted                 bool // of a seat of its own: takes part in W14 only
}

// Moved is an event of a request. Fields that are empty did not change.
type Moved struct {
	ID       string
	At       time.Time
	Human    bool // somebody did something; clocks do not count
	Colour   string
	Returned bool   // 主办 gave it back
	Unit     string // 主办 from now on
	Closed   bool
	Solved   bool // closed with a rating that is not bad
	Reopened bool // open again after an appeal or a merge that was undone
}

// Rated is a rating of a service or of a ticket's result.
type Rated struct {
	At                        time.Time
	Unit, Class, Clerk, Place string // Clerk is a person or desk, Place a window; either may be empty
	Stars                     int    // 5 best … 1 worst

	ClerkName, PlaceName string // as staff know them; the evidence names them
}

// Tagged says that a person found a cause: 信息错录 and the like.
type Tagged struct {
	ID  string
	At  time.Time
	Tag string
}

func (f Opened) at() time.Time { return f.At }
func (f Moved) at() time.Time  { return f.At }
func (f Rated) at() time.Time  { return f.At }
func (f Tagged) at() time.Time { return f.At }

// TagDataError is the cause tag of W11.
const TagDataError = "信息错录"

// Firing is a rule that fired.
type Firing struct {
	Rule     string
	At       time.Time
	Subject  string // what it is about; within Again days a rule fires once about one subject
	Level    grade.Colour
	Ticket   string   // the ticket that made it fire, if one did
	Tickets  []string // all that belong to it
	Title    string   // zh-CN, without words of people
	Evidence string   // zh-CN
	Place    string
	Class    string
	Grows    bool // no alarm: a group that is known got one more
	Entities []Entity
	Pattern  string
	Score    float64   // of the match, where there is one
	Cause    string    // W7: "pending" or "age"
	Since    time.Time // W15: the last thing that happened
}

// Period is a watch period: [From, To) and the districts in which it holds, all when empty.
type Period struct {
	From, To  time.Time
	Districts []string
	Factor    float64
}

// Engine holds what the rules have to remember. It is for one goroutine.
type Engine struct {
	Rules   Rules
	Match   match.Rules
	Periods []Period
	// Quiet leaves the reading of words out: for facts that are only there to be remembered.
	Quiet bool
	// Workdays reckons W15's working days.
	Workdays workday.Reckoner

	group    *match.Grouper
	pairs    func(id string, pairs []match.Pair)
	open     map[string]*state
	byParty  map[string][]visit
	byPlace  map[string][]visit
	counts   map[string]map[workday.Day]int
	chans    map[string]string // channel of a request
	names    map[string]string // name of a channel
	ratings  map[string][]Rated
	errors   []visit
	entities map[Entity][]string
	last     map[string]time.Time // rule and subject → last firing
	first    workday.Day          // day of the first request
	swept    workday.Day
	out      []Firing
}

type state struct {
	id, number, colour  string
	opened, event       time.Time
	returns             int
	units               []string
	closed, solved      bool
	restricted          bool
	saidPending, saidBy bool
}

type visit struct {
	party, ticket string
	at            time.Time
}

// NewEngine is an engine that remembers nothing. pairs, when not nil, hears of the links of each new request.
func NewEngine(r Rules, m match.Rules, w workday.Reckoner, pairs func(id string, pairs []match.Pair)) *Engine {
	return &Engine{Rules: r, Match: m, Workdays: w, group: match.NewGrouper(m), pairs: pairs, open: map[string]*state{}, byParty: map[string][]visit{}, byPlace: map[string][]visit{},
		counts: map[string]map[workday.Day]int{}, chans: map[string]string{}, names: map[string]string{}, ratings: map[string][]Rated{}, entities: map[Entity][]string{}, last: map[string]time.Time{}}
}

// Grouper is the engine's index of requests; ask it for Similar only.
func (e *Engine) Grouper() *match.Grouper { return e.group }

// Feed takes one fact in and returns what fires.
func (e *Engine) Feed(f Fact) []Firing {
	e.out = nil
	switch f := f.(type) {
	case Opened:
		e.opened(f)
	case Moved:
		e.moved(f)
	case Rated:
		e.rated(f)
	case Tagged:
		if f.Tag == TagDataError {
			e.dataError(f.ID, f.At)
		} else { // a person found another cause than the words spoke of
			e.errors = slices.DeleteFunc(e.errors, func(v visit) bool { return v.ticket == f.ID })
		}
	}
	return e.out
}

// fire notes a firing, unless the rule is off or fired about the same subject not long ago.
func (e *Engine) fire(f Firing) {
	if slices.Contains(e.Rules.Off, f.Rule) {
		return
	}
	key := f.Rule + "|" + f.Subject
	if was, ok := e.last[key]; ok && !f.Grows && f.At.Sub(was) < time.Duration(e.Rules.Again)*24*time.Hour {
		return
	}
	if !f.Grows {
		e.last[key] = f.At
	}
	e.out = append(e.out, f)
}

// factor is the smallest factor of the watch periods at a moment and district; 1 outside of them.
func (e *Engine) factor(at time.Time, district string) float64 {
	out := 1.0
	for _, p := range e.Periods {
		if !at.Before(p.From) && at.Before(p.To) && (len(p.Districts) == 0 || slices.Contains(p.Districts, district)) {
			out = min(out, p.Factor)
		}
	}
	if slices.Contains(e.Rules.Off, "W12") {
		return 1
	}
	return out
}

func within(list []visit, at time.Time, days int) []visit {
	var out []visit
	for _, v := range list {
		if !v.at.After(at) && at.Sub(v.at) <= time.Duration(days)*24*time.Hour {
			out = append(out, v)
		}
	}
	return out
}

func parties(list []visit) int {
	seen := map[string]bool{}
	for _, v := range list {
		seen[cmp.Or(v.party, v.ticket)] = true
	}
	return len(seen)
}

func tickets(list []visit) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(out, v.ticket) {
			out = append(out, v.ticket)
		}
	}
	return out
}

func (e *Engine) opened(f Opened) {
	s, again := e.open[f.ID]
	if !again {
		s = &state{id: f.ID, number: f.Number, opened: f.At, event: f.At, restricted: f.Restricted}
		e.open[f.ID] = s
	}
	s.colour = f.Colour
	e.chans[f.ID] = f.Channel
	e.names[f.Channel] = cmp.Or(f.ChannelName, f.Channel)
	text := f.Title + "\n" + f.Text
	doc := match.Doc{ID: f.ID, Party: f.Party, At: f.At, Title: f.Title, Text: f.Text, Place: f.Place}
	if slices.Contains(e.Rules.UpChannels, f.Channel) && !e.Quiet {
		e.escalation(f, doc)
	}
	if f.Restricted {
		return
	}
	k := e.factor(f.At, f.District)
	if !e.Quiet {
		e.words(f, text)
	}
	if f.Party != "" && !again {
		e.byParty[f.Party] = append(e.byParty[f.Party], visit{f.Party, f.ID, f.At})
	}
	e.caller(f, k)
	if strings.TrimSpace(text) == "" {
		return
	}
	e.group.Index.Rules = matchRules(e.Match, k)
	pairs, group, fresh := e.group.Take(doc)
	if e.pairs != nil && len(pairs) > 0 {
		e.pairs(f.ID, pairs)
	}
	if group != nil {
		e.fire(Firing{Rule: "W3", At: f.At, Subject: "group/" + group.IDs[0], Level: grade.Orange, Ticket: f.ID, Tickets: slices.Clone(group.IDs), Grows: !fresh, Place: group.Place,
			Title:    "多人反映同一事项" + at(group.Place),
			Evidence: fmt.Sprintf("%d名诉求人、%d件诉求（规则%s，自%s起）", group.Parties, len(group.IDs), group.Rule, day(group.From))})
	}
	e.echo(f, pairs)
	class := string(classify.Classify(f.Title, f.Text).Domain)
	e.cluster(f, class, k, again)
	if !again {
		e.surge(f, class, k)
	}
}

func at(place string) string {
	if place == "" {
		return ""
	}
	return "：" + place
}

func day(t time.Time) string { return t.In(workday.Zone).Format("2006-01-02") }

// words is what the text itself tells: W1, W11, W13.
func (e *Engine) words(f Opened, text string) {
	v := grade.Grader{}.Grade(grade.Case{Title: f.Title, Text: f.Text, At: f.At})
	var said []string
	clue, old := "", false
	for _, x := range v.Factors {
		switch x.Code {
		case "danger", "threat":
			said = append(said, x.Name+"“"+x.Evidence+"”")
		case "clue", "victims":
			clue = x.Evidence
		case "age":
			old = old || x.Points >= 15
		case "data_error":
			e.dataError(f.ID, f.At)
		}
	}
	if v.Confirm {
		e.fire(Firing{Rule: "W1", At: f.At, Subject: "ticket/" + f.ID, Level: grade.Red, Ticket: f.ID, Title: "疑似威胁或人身危险，请5分钟内核实", Evidence: strings.Join(said, "；")})
	}
	if old {
		e.pending(e.open[f.ID], f.At, "age", "文字显示矛盾已持续一年以上")
	}
	pattern, found := Pattern(text), Entities(text)
	if (clue != "" || pattern != "") && (len(found) > 0 || len(match.Places(f.Place)) > 0 && pattern != "") {
		if pattern == "" {
			pattern = "fraud"
		}
		for _, p := range match.Places(f.Place) {
			found = append(found, Entity{"place", p})
		}
		e.fire(Firing{Rule: "W13", At: f.At, Subject: "ticket/" + f.ID, Level: grade.Yellow, Ticket: f.ID, Title: "发现违法犯罪线索", Evidence: "文字涉及" + patternName(pattern) + cmp.Or(quoted(clue), ""), Entities: found, Pattern: pattern})
		for _, x := range found {
			if !slices.Contains(e.entities[x], f.ID) {
				e.entities[x] = append(e.entities[x], f.ID)
			}
			if n := len(e.entities[x]); n >= scaled(e.Rules.EntityCount, e.factor(f.At, f.District)) && n >= 2 {
				e.fire(Firing{Rule: "W13", At: f.At, Subject: "entity/" + x.Kind + "/" + e.entities[x][0], Level: grade.Orange, Ticket: f.ID, Tickets: slices.Clone(e.entities[x]),
					Title: "同一线索要素再次出现，建议移交专业警种", Evidence: fmt.Sprintf("同一%s在%d件诉求中出现", entityName(x.Kind), n), Pattern: pattern})
			}
		}
	}
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return "“" + s + "”"
}

func patternName(p string) string {
	return map[string]string{"fraud": "诈骗", "gambling": "赌博", "vice": "涉黄", "drugs": "涉毒"}[p]
}

func entityName(k string) string {
	return map[string]string{"account": "账号", "url": "网址", "phone": "电话", "place": "地点", "scheme": "手法", "plate": "车牌"}[k]
}

// caller is W2.
func (e *Engine) caller(f Opened, k float64) {
	if f.Party == "" {
		return
	}
	list := e.byParty[f.Party]
	week, month := within(list, f.At, 7), within(list, f.At, 30)
	if len(week) >= scaled(e.Rules.CallerWeek, k) || len(month) >= scaled(e.Rules.CallerMonth, k) {
		e.fire(Firing{Rule: "W2", At: f.At, Subject: "party/" + f.Party, Level: grade.Orange, Ticket: f.ID, Tickets: tickets(month), Title: "同一诉求人反复反映，建议由资深人员回访",
			Evidence: fmt.Sprintf("7天内%d次、30天内%d次", len(week), len(month))})
	}
}

// echo is W6.
func (e *Engine) echo(f Opened, pairs []match.Pair) {
	for _, p := range pairs {
		if c := e.chans[p.Earlier]; c != "" && c != f.Channel && p.Parts.DaysOff*24 <= float64(e.Rules.EchoHours) {
			e.fire(Firing{Rule: "W6", At: f.At, Subject: "echo/" + p.Earlier, Level: grade.Yellow, Ticket: f.ID, Tickets: []string{p.Earlier, f.ID}, Title: "同一事项在多个渠道出现",
				Evidence: fmt.Sprintf("%.0f小时内先后由%s和%s两个渠道反映，相似度%.0f%%", max(1, math.Ceil(p.Parts.DaysOff*24)), e.names[c], e.names[f.Channel], 100*p.Parts.Score), Score: p.Parts.Score})
			return
		}
	}
}

// cluster is W4: by community and class of the second level where both are known, else by the names of places and the
// domain.
func (e *Engine) cluster(f Opened, class string, k float64, again bool) {
	type spot struct{ key, place, class string }
	var spots []spot
	if f.Community != "" && f.Class != "" {
		spots = []spot{{f.Community + "|" + f.Class, cmp.Or(f.CommunityName, f.Community), cmp.Or(f.ClassName, f.Class)}}
	} else {
		places := match.Places(f.Place, f.Title, f.Text)
		for _, p := range places[:min(3, len(places))] {
			spots = append(spots, spot{p + "|" + class, p, class})
		}
	}
	for _, s := range spots {
		if again && slices.ContainsFunc(e.byPlace[s.key], func(v visit) bool { return v.ticket == f.ID }) {
			continue
		}
		e.byPlace[s.key] = append(within(e.byPlace[s.key], f.At, 400), visit{f.Party, f.ID, f.At})
		list := within(e.byPlace[s.key], f.At, e.Rules.ClusterDays)
		if n := parties(list); n >= scaled(e.Rules.ClusterParties, k) {
			e.fire(Firing{Rule: "W4", At: f.At, Subject: "place/" + s.key, Level: grade.Yellow, Ticket: f.ID, Tickets: tickets(list), Place: s.place, Class: s.class, Title: "地点聚集：" + s.place + "（" + s.class + "）",
				Evidence: fmt.Sprintf("%d天内%d名诉求人、%d件诉求", e.Rules.ClusterDays, n, len(tickets(list)))})
		}
	}
}

// surge is W5.
func (e *Engine) surge(f Opened, class string, k float64) {
	today := workday.DayOf(f.At)
	if e.first.IsZero() || today < e.first {
		e.first = today
	}
	weeks := min(e.Rules.SurgeWeeks, int(today-e.first)/7) // that were seen at all
	for _, district := range []string{"", f.District} {
		key := class + "|" + district
		if e.counts[key] == nil {
			e.counts[key] = map[workday.Day]int{}
		}
		e.counts[key][today]++
		n, sum := e.counts[key][today], 0
		for w := 1; w <= weeks; w++ {
			sum += e.counts[key][today.Add(-7*w)]
		}
		// None in the weeks seen is not a mean of nought.
		lambda := (float64(sum) + 0.5) / float64(max(weeks, 1))
		if p := poissonTail(n, lambda); weeks > 0 && n >= scaled(e.Rules.SurgeLeast, k) && p < e.Rules.SurgeP {
			e.fire(Firing{Rule: "W5", At: f.At, Subject: "surge/" + key + "/" + today.String(), Level: grade.Yellow, Ticket: f.ID, Class: class, Title: "数量突增：" + class + name(district),
				Evidence: fmt.Sprintf("%s已有%d件，前%d周同日平均%.1f件，偶然出现的概率%.4f", today, n, weeks, lambda, p)})
		}
		if f.District == "" {
			break
		}
	}
}

func name(district string) string {
	if district == "" {
		return "（全市）"
	}
	return "（" + district + "）"
}

// dataError is W11.
func (e *Engine) dataError(id string, when time.Time) {
	if slices.ContainsFunc(e.errors, func(v visit) bool { return v.ticket == id }) {
		return
	}
	e.errors = append(e.errors, visit{"", id, when})
	list := within(e.errors, when, e.Rules.ErrorDays)
	if len(list) >= e.Rules.ErrorCount {
		e.fire(Firing{Rule: "W11", At: when, Subject: "data-error", Level: grade.Orange, Ticket: id, Tickets: tickets(list), Title: "系统性风险：信息错录", Class: TagDataError,
			Evidence: fmt.Sprintf("%d天内%d件诉求反映登记信息差错影响权益", e.Rules.ErrorDays, len(list))})
	}
}

// escalation is W14: an item of a body above about an earlier request that is not settled.
func (e *Engine) escalation(f Opened, doc match.Doc) {
	for _, p := range e.group.Similar(doc, f.At.AddDate(-2, 0, 0), 20) {
		s := e.open[p.Earlier]
		sure := p.Kind == match.Repeat || p.Parts.Score >= max(e.Match.Matter, 0.5)
		if s == nil || s.solved || s.restricted || !sure || slices.Contains(e.Rules.UpChannels, e.chans[p.Earlier]) {
			continue
		}
		e.fire(Firing{Rule: "W14", At: f.At, Subject: "up/" + f.ID, Level: grade.Orange, Ticket: p.Earlier, Tickets: []string{p.Earlier, f.ID}, Title: "升级投诉",
			Evidence: fmt.Sprintf("%s来件与未解决诉求%s相符，相似度%.0f%%", e.names[f.Channel], s.number, 100*p.Parts.Score), Score: p.Parts.Score})
		return
	}
}

func (e *Engine) moved(f Moved) {
	s := e.open[f.ID]
	if s == nil {
		return
	}
	if f.Human {
		s.event = f.At
		s.saidBy = false
	}
	s.colour = cmp.Or(f.Colour, s.colour)
	if f.Reopened {
		s.closed, s.solved = false, false
	}
	if f.Closed {
		s.closed, s.solved = true, f.Solved
	}
	if f.Unit != "" && !slices.Contains(s.units, f.Unit) {
		s.units = append(s.units, f.Unit)
	}
	if f.Returned {
		s.returns++
	}
	if !s.restricted && !s.closed && (f.Returned && s.returns >= e.Rules.PingReturns || f.Unit != "" && len(s.units) >= e.Rules.PingUnits) {
		e.fire(Firing{Rule: "W8", At: f.At, Subject: "ticket/" + f.ID, Level: grade.Yellow, Ticket: f.ID, Title: "反复退转，建议指定主办或会商 " + s.number,
			Evidence: fmt.Sprintf("已退回%d次，先后%d个单位承办", s.returns, len(s.units))})
	}
}

// rated is W9; W10 is looked at by Tick, once a day.
func (e *Engine) rated(f Rated) {
	if f.Stars < 1 || f.Stars > 5 {
		return
	}
	keep := func(key string) []Rated {
		e.ratings[key] = append(e.ratings[key], f)
		return e.ratings[key]
	}
	all := keep("unit/" + f.Unit)
	if f.Class != "" {
		keep("unit/" + f.Unit + "/" + f.Class)
	}
	bad := func(list []Rated, days int) (n, of int) {
		for _, r := range list {
			if f.At.Sub(r.At) <= time.Duration(days)*24*time.Hour && !r.At.After(f.At) {
				of++
				if r.Stars <= 2 {
					n++
				}
			}
		}
		return n, of
	}
	for _, w := range []struct{ kind, id, name string }{{"clerk", f.Clerk, f.ClerkName}, {"window", f.Place, f.PlaceName}} {
		if w.id == "" {
			continue
		}
		own := keep(w.kind + "/" + w.id)
		if f.Stars > 2 {
			continue
		}
		n, of := bad(own, e.Rules.BadDays)
		m, total := bad(all, 365)
		mean := float64(m) / float64(max(total, 1))
		if n >= e.Rules.BadCount || n > 1 && of >= e.Rules.BadLeast && wilsonLow(n, of) > mean {
			e.fire(Firing{Rule: "W9", At: f.At, Subject: w.kind + "/" + w.id, Level: grade.Yellow, Title: "差评聚集，建议倒查",
				Evidence: fmt.Sprintf("%s%d天内%d次评价中%d次差评，单位差评率%.1f%%", named(w.name), e.Rules.BadDays, of, n, 100*mean)})
		}
	}
}

func named(who string) string {
	if who == "" {
		return ""
	}
	return who + "："
}

// pending is W7, once for a request.
func (e *Engine) pending(s *state, at time.Time, cause, why string) {
	if s == nil || s.saidPending || s.closed || s.restricted {
		return
	}
	s.saidPending = true
	e.fire(Firing{Rule: "W7", At: at, Subject: "ticket/" + s.id, Level: grade.Yellow, Ticket: s.id, Title: "久拖不决，列为挂牌候选 " + s.number, Evidence: why, Cause: cause})
}

// Tick looks at what time alone brings: W7 and W15 each time, W10 once a day. Call it at least every hour.
func (e *Engine) Tick(now time.Time) []Firing {
	e.out = nil
	for _, id := range slices.Sorted(maps.Keys(e.open)) {
		s := e.open[id]
		if s.closed || s.restricted {
			continue
		}
		if d := now.Sub(s.opened); d > time.Duration(e.Rules.PendingDays)*24*time.Hour {
			e.pending(s, now, "pending", fmt.Sprintf("已办理%d天", int(d.Hours()/24)))
		}
		if s.saidBy {
			continue
		}
		var late bool
		urgent := s.colour == string(grade.Red) || s.colour == string(grade.Orange)
		if urgent {
			late = now.Sub(s.event) > time.Duration(e.Rules.QuietHours)*time.Hour
		} else if now.Sub(s.event) > time.Duration(e.Rules.QuietDays)*24*time.Hour {
			late = e.Workdays.Calendar == nil || now.After(e.Workdays.Deadline(s.event, workday.Days(e.Rules.QuietDays)))
		}
		if late {
			s.saidBy = true
			e.fire(Firing{Rule: "W15", At: now, Subject: "ticket/" + id, Level: grade.Yellow, Ticket: id, Title: "办理停滞 " + s.number,
				Evidence: fmt.Sprintf("自%s起没有办理动作", s.event.In(workday.Zone).Format("2006-01-02 15:04")), Since: s.event})
		}
	}
	if today := workday.DayOf(now); today != e.swept {
		e.swept = today
		e.streaks(now)
		e.forget(now)
	}
	return e.out
}

// streaks is W10.
func (e *Engine) streaks(now time.Time) {
	for _, key := range slices.Sorted(maps.Keys(e.ratings)) {
		if !strings.HasPrefix(key, "unit/") || key == "unit/" {
			continue
		}
		var a, n, b, m int
		for _, r := range e.ratings[key] {
			age := now.Sub(r.At).Hours() / 24
			good := 0
			if r.Stars >= 3 {
				good = 1
			}
			switch {
			case age < 0:
			case age <= float64(e.Rules.StreakDays):
				a, n = a+good, n+1
			case age <= float64(e.Rules.StreakDays+e.Rules.StreakBase):
				b, m = b+good, m+1
			}
		}
		if n < e.Rules.StreakLeast || m < e.Rules.StreakLeast {
			continue
		}
		if p := lowerP(a, n, b, m); p < e.Rules.StreakP {
			e.fire(Firing{Rule: "W10", At: now, Subject: key, Level: grade.Yellow, Title: "满意度下滑，建议评查",
				Evidence: fmt.Sprintf("近%d天满意率%.1f%%（%d件），此前%d天%.1f%%（%d件），p=%.3f", e.Rules.StreakDays, 100*float64(a)/float64(n), n, e.Rules.StreakBase, 100*float64(b)/float64(m), m, p)})
		}
	}
}

// forget drops what no rule looks at any more.
func (e *Engine) forget(now time.Time) {
	old := func(t time.Time, days int) bool { return now.Sub(t) > time.Duration(days)*24*time.Hour }
	for k, list := range e.byParty {
		if list = slices.DeleteFunc(list, func(v visit) bool { return old(v.at, 100) }); len(list) == 0 {
			delete(e.byParty, k)
		} else {
			e.byParty[k] = list
		}
	}
	for k, list := range e.byPlace {
		if list = slices.DeleteFunc(list, func(v visit) bool { return old(v.at, e.Rules.ClusterDays+1) }); len(list) == 0 {
			delete(e.byPlace, k)
		} else {
			e.byPlace[k] = list
		}
	}
	for k, list := range e.ratings {
		if list = slices.DeleteFunc(list, func(r Rated) bool { return old(r.At, max(366, e.Rules.StreakDays+e.Rules.StreakBase)) }); len(list) == 0 {
			delete(e.ratings, k)
		} else {
			e.ratings[k] = list
		}
	}
	for _, days := range e.counts {
		for d := range days {
			if d < workday.DayOf(now).Add(-7*e.Rules.SurgeWeeks-7) {
				delete(days, d)
			}
		}
	}
	for k, t := range e.last {
		if old(t, int(math.Max(float64(e.Rules.Again), 2))) {
			delete(e.last, k)
		}
	}
}
