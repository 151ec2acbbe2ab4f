package grade

import (
	"cmp"
	"fmt"
	"slices"
)

// scoring gathers the factors of one case: of each the strongest, whether read or recorded.
type scoring struct {
	rules   *Rules
	source  *reading
	best    map[string]Factor
	routes  map[string][]string
	extra   []string // steps that groups of words ask for
	confirm bool
}

// offer takes a factor when it is worth more than what there is.
func (f *scoring) offer(code string, value float64, rule string, evidence func() (text, field string, from, to int)) bool {
	r := f.rules.byCode[code]
	points, route := r.points(value)
	if points == 0 && code != codeConfidential {
		return false
	}
	if have, ok := f.best[code]; ok && have.Points >= points {
		return false
	}
	x := Factor{Code: code, Name: r.Name, Axis: r.Axis, Points: points, Rule: rule}
	x.Evidence, x.Field, x.From, x.To = evidence()
	f.best[code] = x
	if f.routes == nil {
		f.routes = map[string][]string{}
	}
	f.routes[code] = route
	return true
}

func (f *scoring) fromText() {
	s := f.source
	yields := map[string]string{}
	for i := range s.found {
		m := &s.found[i]
		g := &f.rules.lex.groups[m.group]
		value := m.value
		if value == 0 {
			value = g.Value
		}
		code := g.Factor
		f.extra = append(f.extra, g.Route...)
		if slices.ContainsFunc(g.soften, func(x *guard) bool { return x.holds(s.source, m) }) {
			code = g.Softer
			if g.Also != "" {
				f.offer(g.Also, value, g.Name, func() (string, string, int, int) { return s.evidence(m.from, m.to) })
			}
		}
		if f.offer(code, value, g.Name, func() (string, string, int, int) { return s.evidence(m.from, m.to) }) {
			if g.Yields != "" {
				yields[code] = g.Yields
			} else {
				delete(yields, code)
			}
		}
	}
	for code, other := range yields {
		a, ok := f.best[code]
		b, also := f.best[other]
		if !ok || !also {
			continue
		}
		if a.Points > b.Points {
			code = other
		}
		delete(f.best, code)
	}
	f.confirm = f.has(codeDanger) || f.has(codeThreat)
}

func (f *scoring) has(code string) bool { _, ok := f.best[code]; return ok }

func (f *scoring) fromHistory(h History) {
	for _, x := range []struct {
		code, field, fact string
		n                 int64
		flag              bool
	}{
		{code: codeGroup, field: "parties", fact: "同一事项反映人数%d人", n: int64(h.Parties)},
		{code: codeRepeat, field: "repeats", fact: "同一事项此前反映%d次", n: int64(h.Repeats)},
		{code: codeAge, field: "age_days", fact: "矛盾已持续%d天", n: int64(h.AgeDays)},
		{code: codeLoss, field: "loss_yuan", fact: "财产损失%d元", n: h.LossYuan},
		{code: codeUnsatisfied, field: "unsatisfied", fact: "上次办理结果被评不满意", flag: h.Unsatisfied},
		{code: codeRework, field: "rework", fact: "重办", flag: h.Rework},
		{code: codeOverdue, field: "overdue", fact: "超期", flag: h.Overdue},
		{code: codeWatchPeriod, field: "watch_period", fact: "敏感时段或敏感地点", flag: h.WatchPeriod},
		{code: codeContacts7, field: "contacts_7d", fact: "7天内联系%d次", n: int64(h.Contacts7d)},
		{code: codeContacts90, field: "contacts_90d", fact: "90天内联系%d次", n: int64(h.Contacts90d)},
		{code: codeChannels, field: "channels", fact: "同一事项使用%d个渠道", n: int64(h.Channels)},
		{code: codeEmotion, field: "emotion_confirmed", fact: "接线员确认情绪激动", flag: h.EmotionConfirmed},
		{code: codeVerified, field: "verified_threat", fact: "曾有经核实的威胁或暴力行为", flag: h.VerifiedThreat},
		{code: codeWatchFlag, field: "watch_flag", fact: "在有效期内的重点关注", flag: h.WatchFlag},
	} {
		if x.n <= 0 && !x.flag {
			continue
		}
		f.offer(x.code, float64(x.n), "history."+x.field, func() (string, string, int, int) {
			if x.flag {
				return x.fact + "(" + x.field + ")", "history", 0, 0
			}
			return fmt.Sprintf(x.fact+"(%s=%d)", x.n, x.field, x.n), "history", 0, 0
		})
	}
}

func (f *scoring) verdict() Verdict {
	v := Verdict{Rule: f.rules.id, Confirm: f.confirm}
	if c, ok := f.best[codeConfidential]; ok {
		v.Confidential = c.Evidence
		delete(f.best, codeConfidential)
	}
	_, v.Care = f.best[codeCare]
	family := map[string]Factor{}
	for _, r := range f.rules.Factors {
		x, ok := f.best[r.Code]
		if !ok || slices.ContainsFunc(r.Unless, f.has) {
			continue
		}
		if r.Family != "" {
			if have, ok := family[r.Family]; ok && have.Points >= x.Points {
				continue
			} else if ok {
				v.Factors = slices.DeleteFunc(v.Factors, func(y Factor) bool { return y.Code == have.Code })
			}
			family[r.Family] = x
		}
		v.Factors = append(v.Factors, x)
	}
	hard := false
	for _, x := range v.Factors {
		if x.Axis == Event {
			v.Event += x.Points
		} else {
			v.Person += x.Points
		}
		hard = hard || f.rules.byCode[x.Code].Hard
	}
	v.Event = min(max(v.Event, 0), f.rules.Cap)
	v.Colour = f.rules.Colour(v.Event, v.Person, hard)
	slices.SortStableFunc(v.Factors, func(a, b Factor) int {
		return cmp.Or(cmp.Compare(a.Axis, b.Axis), -cmp.Compare(a.Points, b.Points), cmp.Compare(f.rules.byCode[a.Code].order, f.rules.byCode[b.Code].order))
	})
	v.Plan = f.plan(&v)
	return v
}

func (f *scoring) plan(v *Verdict) Plan {
	p := f.rules.Plans[v.Colour]
	plan := Plan{Name: p.Name}
	for _, st := range p.Steps {
		plan.Steps = append(plan.Steps, st.Do)
		if st.Code != "" {
			plan.Follow = append(plan.Follow, st)
		}
	}
	add := func(steps []string) {
		for _, s := range steps {
			if !slices.Contains(plan.Steps, s) {
				plan.Steps = append(plan.Steps, s)
			}
		}
	}
	for _, x := range v.Factors {
		add(f.routes[x.Code])
	}
	add(f.extra)
	if v.Care {
		add(f.rules.CareSteps)
	}
	if v.Confidential != "" {
		add(f.rules.Discreet)
	}
	return plan
}
