// Package warn runs the early-warning rules W1 to W15 of the domain model §8 over a stream of facts: live as they come, or
// over years of stored ones to see when a rule would have fired. It is pure: facts in order of time go in, firings come out;
// no database and no clock of its own.
package warn

import (
	"fmt"
	"math"

	"lianxin/ticket/match"
)

// Rules are the thresholds. They are configuration with a version.
type Rules struct {
	Off []string `json:"off"` // rules that are switched off

	CallerWeek  int `json:"caller_week"`  // W2: tickets of one party in 7 days
	CallerMonth int `json:"caller_month"` // W2: in 30 days

	ClusterParties int `json:"cluster_parties"` // W4: parties of one place and class
	ClusterDays    int `json:"cluster_days"`

	SurgeP     float64 `json:"surge_p"` // W5: P(X ≥ k | λ) below it
	SurgeLeast int     `json:"surge_least"`
	SurgeWeeks int     `json:"surge_weeks"` // λ is the mean of the same weekday in so many weeks

	EchoHours int `json:"echo_hours"` // W6

	PendingDays int `json:"pending_days"` // W7: open for more than
	AgeDays     int `json:"age_days"`     // W7: the matter is as old as

	PingReturns int `json:"ping_returns"` // W8
	PingUnits   int `json:"ping_units"`   // W8

	BadCount int `json:"bad_count"` // W9: bad ratings of one clerk or window …
	BadDays  int `json:"bad_days"`  // … in so many days
	BadLeast int `json:"bad_least"` // ratings from which the interval is looked at

	StreakDays  int     `json:"streak_days"` // W10: the last days …
	StreakBase  int     `json:"streak_base"` // … against so many before them
	StreakP     float64 `json:"streak_p"`
	StreakLeast int     `json:"streak_least"` // ratings in each

	ErrorCount int `json:"error_count"` // W11
	ErrorDays  int `json:"error_days"`

	WatchFactor float64 `json:"watch_factor"` // W12: counts are multiplied by it in a watch period

	EntityCount int `json:"entity_count"` // W13: tickets with the same entity

	UpChannels []string `json:"up_channels"` // W14: bodies above

	QuietHours int `json:"quiet_hours"` // W15: 红 and 橙, hours
	QuietDays  int `json:"quiet_days"`  // W15: others, WD

	Silence int `json:"silence"` // W16: hours of the day time without a sign of life

	Again int `json:"again"` // days before a rule fires again about the same thing
}

// DefaultRules are those of the domain model §8.
func DefaultRules() Rules {
	return Rules{CallerWeek: 3, CallerMonth: 5, ClusterParties: 3, ClusterDays: 7, SurgeP: 0.01, SurgeLeast: 5, SurgeWeeks: 4, EchoHours: 72, PendingDays: 30, AgeDays: 365,
		PingReturns: 2, PingUnits: 3, BadCount: 2, BadDays: 30, BadLeast: 5, StreakDays: 28, StreakBase: 90, StreakP: 0.05, StreakLeast: 10, ErrorCount: 2, ErrorDays: 90,
		WatchFactor: 0.5, EntityCount: 2, UpChannels: []string{"12389", "xinfang", "petition"}, QuietHours: 24, QuietDays: 3, Silence: 4, Again: 7}
}

// Check reports what is wrong with the rules.
func (r Rules) Check() error {
	for name, v := range map[string]int{"caller_week": r.CallerWeek, "caller_month": r.CallerMonth, "cluster_parties": r.ClusterParties, "cluster_days": r.ClusterDays,
		"surge_least": r.SurgeLeast, "surge_weeks": r.SurgeWeeks, "echo_hours": r.EchoHours, "pending_days": r.PendingDays, "age_days": r.AgeDays, "ping_returns": r.PingReturns,
		"ping_units": r.PingUnits, "bad_count": r.BadCount, "bad_days": r.BadDays, "bad_least": r.BadLeast, "streak_days": r.StreakDays, "streak_base": r.StreakBase,
		"streak_least": r.StreakLeast, "error_count": r.ErrorCount, "error_days": r.ErrorDays, "entity_count": r.EntityCount, "quiet_hours": r.QuietHours,
		"quiet_days": r.QuietDays, "silence": r.Silence, "again": r.Again} {
		if v < 1 {
			return fmt.Errorf("warn rules: %s is %d, want at least 1", name, v)
		}
	}
	for name, v := range map[string]float64{"surge_p": r.SurgeP, "streak_p": r.StreakP, "watch_factor": r.WatchFactor} {
		if math.IsNaN(v) || v <= 0 || v > 1 {
			return fmt.Errorf("warn rules: %s is %v, want more than 0 and at most 1", name, v)
		}
	}
	for _, code := range r.Off {
		if Label(code) == "" {
			return fmt.Errorf("warn rules: there is no rule %q to switch off", code)
		}
	}
	return nil
}

// List names the rules in order, with what they look for (zh-CN).
var List = []struct{ Code, Label, Condition string }{
	{"W1", "威胁或自伤言语", "文字中出现现实的威胁、自伤或人身危险表述（已排除否定、引用、往事），5分钟内人工核实"},
	{"W2", "高频来电人", "同一诉求人7天内、30天内多次反映"},
	{"W3", "多人同一事项", "不同诉求人在7天或30天内反映同一事项，或一年内文字相同"},
	{"W4", "地点聚集", "同一地点、同一类别，多名诉求人在数天内反映"},
	{"W5", "数量突增", "当日某类别某区县数量显著高于前四周同一星期日均值（泊松检验）"},
	{"W6", "多渠道回响", "同一事项72小时内在两个以上渠道出现"},
	{"W7", "久拖不决", "办理超过30天，或矛盾已持续一年以上"},
	{"W8", "反复退转", "退回达到次数，或先后承办单位过多"},
	{"W9", "差评聚集", "同一人员或窗口30天内多次差评，或差评率区间下限高于单位均值"},
	{"W10", "满意度下滑", "单位近28天满意度显著低于此前90天（单侧检验）"},
	{"W11", "系统性数据差错", "90天内出现两件以上信息错录类诉求"},
	{"W12", "敏感时段", "时段内各项数量阈值减半，启用值守名单"},
	{"W13", "违法犯罪线索", "诈骗、黄赌毒表述并含账号、网址、地点等要素；同一要素再次出现移交专业警种"},
	{"W14", "升级投诉", "督察12389、信访渠道来件与未解决诉求相符"},
	{"W15", "办理停滞", "红橙诉求24小时、其他诉求3个工作日没有任何办理动作"},
	{"W16", "静默失灵", "短信无人回复、渠道无来件、日间热线无来电等静默信号"},
}

// Label is the name of a rule (zh-CN), "" for one that does not exist.
func Label(code string) string {
	for _, r := range List {
		if r.Code == code {
			return r.Label
		}
	}
	return ""
}

// scaled is a count in a watch period: at least 2.
func scaled(n int, factor float64) int {
	if factor >= 1 || factor <= 0 {
		return n
	}
	return max(min(n, 2), int(math.Ceil(float64(n)*factor)))
}

// matchRules are the thresholds of matching with a watch period's factor.
func matchRules(m match.Rules, factor float64) match.Rules {
	m.Parties = scaled(m.Parties, factor)
	return m
}
