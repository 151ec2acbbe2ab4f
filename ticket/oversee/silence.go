package oversee

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

// Silent is how many contacts an area brought in the time against how many it would bring if its people spoke as often as
// the city's do (SIL-1). Area and channel together tell by which door an area does not come.
type Silent struct {
	Area, Name string
	Channel    string // code; empty: all
	Residents  int
	N          int     // contacts: tickets that are valid
	Expected   float64 // by the rate of all areas whose residents are known
	P          float64 // chance of so few or fewer
	Outreach   string  // number of an outreach that is open
}

// Per10k is contacts per ten thousand residents.
func (s Silent) Per10k() float64 {
	if s.Residents == 0 {
		return 0
	}
	return 1e4 * float64(s.N) / float64(s.Residents)
}

// Ratio is the share of what would be expected; 1 where nothing is.
func (s Silent) Ratio() float64 {
	if s.Expected == 0 {
		return 1
	}
	return float64(s.N) / s.Expected
}

// silentP is the chance below which few contacts are called silence; the alert asks for a rarer chance.
const (
	silentP      = 0.01
	silentAlertP = 0.001
	silentDays   = 90
	// silentLeast is what has to be expected before silence says anything.
	silentLeast = 3.0
)

// poissonBelow is P(X ≤ k) of a Poisson count with mean λ.
func poissonBelow(k int, lambda float64) float64 {
	if lambda <= 0 {
		return 1
	}
	sum := 0.0
	for i := 0; i <= k; i++ {
		l, _ := math.Lgamma(float64(i + 1))
		sum += math.Exp(float64(i)*math.Log(lambda) - lambda - l)
	}
	return min(1, sum)
}

// Silences compares the areas whose residents are known, of the finest level that has numbers, over the last days (90 when
// zero): the most silent first. With byChannel each area stands once for each channel that the city uses.
func (d *Desk) Silences(tx *storage.Tx, days int, byChannel bool, viewer ticket.Actor) ([]Silent, error) {
	if err := may(viewer, org.ViewAlerts); err != nil {
		return nil, err
	}
	if days <= 0 {
		days = silentDays
	}
	names, err := d.Office.AreaNames(tx)
	if err != nil {
		return nil, err
	}
	people, err := d.Office.Populations(tx)
	if err != nil {
		return nil, err
	}
	residents := map[string]int{}
	for _, p := range people {
		if p.Band == "" {
			residents[p.Area] += p.Residents
		}
	}
	for _, p := range people { // where only bands are known they are added up
		if _, whole := residents[p.Area]; !whole && p.Band != "" {
			sum := 0
			for _, q := range people {
				if q.Area == p.Area {
					sum += q.Residents
				}
			}
			residents[p.Area] = sum
		}
	}
	for code := range residents { // of an area with parts that have numbers the parts count
		if slices.ContainsFunc(people, func(p ticket.Population) bool { return p.Area != code && strings.HasPrefix(p.Area, code) }) {
			delete(residents, code)
		}
	}
	type count struct {
		community, channel string
		n                  int
	}
	counts, err := storage.All(tx, func(r storage.Row) (c count, err error) { return c, r.Scan(&c.community, &c.channel, &c.n) },
		`SELECT community, channel, COUNT(*) FROM ticket WHERE community <> '' AND opened_at >= $1 AND restricted = FALSE AND validity IN ('', 'effective') GROUP BY community, channel`,
		storage.At(d.now().AddDate(0, 0, -days)))
	if err != nil {
		return nil, fmt.Errorf("contacts by area: %w", err)
	}
	sums, total, all := map[[2]string]int{}, map[string]int{}, 0
	for area, n := range residents {
		all += n
		for _, c := range counts {
			if strings.HasPrefix(c.community, area) {
				for _, channel := range []string{"", c.channel} {
					sums[[2]string{area, channel}] += c.n
					total[channel] += c.n
				}
			}
		}
	}
	open, err := find[Outreach](d, tx, KindOutreach, ` AND closed_at IS NULL`)
	if err != nil {
		return nil, err
	}
	var out []Silent
	for area, n := range residents {
		for channel, sum := range total {
			if byChannel == (channel == "") || n == 0 {
				continue
			}
			s := Silent{Area: area, Name: names[area], Channel: channel, Residents: n, N: sums[[2]string{area, channel}], Expected: float64(sum) * float64(n) / float64(all)}
			s.P = poissonBelow(s.N, s.Expected)
			if i := slices.IndexFunc(open, func(o *Outreach) bool { return o.Area == area }); i >= 0 {
				s.Outreach = open[i].Number
			}
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Silent) int {
		switch {
		case a.P < b.P:
			return -1
		case a.P > b.P:
			return 1
		}
		return strings.Compare(a.Area+a.Channel, b.Area+b.Channel)
	})
	return out, nil
}

// IsSilent reports whether chance would hardly leave an area so quiet.
func (s Silent) IsSilent() bool { return s.Expected >= silentLeast && s.P < silentP }

// silences raises an alert for an area that is silent, at most once in a quarter of a year, and only while nobody goes there.
func (d *Desk) silences(ctx context.Context, db *storage.DB, now time.Time) error {
	day := workday.DayOf(now)
	if d.watch.silent == day {
		return nil // once a day is enough
	}
	rules := Rules{}
	var list []Silent
	err := db.View(ctx, func(tx *storage.Tx) (err error) {
		if rules, err = d.rules(tx); err != nil {
			return err
		}
		list, err = d.Silences(tx, silentDays, false, ticket.System)
		return err
	})
	if err != nil {
		return err
	}
	y, m, _ := day.Date()
	var errs []error
	for _, s := range list {
		if s.Expected < silentLeast || s.P >= silentAlertP || s.Outreach != "" || slices.Contains(rules.Warn.Off, "SIL1") {
			continue
		}
		errs = append(errs, db.Update(ctx, func(tx *storage.Tx) error {
			_, err := d.Office.RaiseAlert(tx, ticket.Alert{Key: fmt.Sprintf("SIL1/%s/%d-%d", s.Area, y, (int(m)-1)/3), Rule: "SIL1", Level: ticket.Blue, Subject: "area/" + s.Area, Title: "沉默区域：" + s.Name,
				Evidence: fmt.Sprintf("近%d天%d件，按全市水平应有%.1f件，偶然如此安静的概率%.5f；建议走访问需", silentDays, s.N, s.Expected, s.P), By: ticket.System})
			return err
		}))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	d.watch.silent = day
	return nil
}

// Outreach goes to those who do not speak (主动问需): an area, how it is done, by whom, what came of it, and whether more
// people came afterwards.
type Outreach struct {
	Head              // Unit is who goes
	Area  string      `json:"area"`
	Way   string      `json:"way"` // visit, campaign, sms, poll
	Plan  ticket.Text `json:"plan"`
	Began time.Time   `json:"began,omitzero"`
	Made  int         `json:"made,omitzero"` // people spoken with
	Heard int         `json:"heard,omitzero"`
	Told  ticket.Text `json:"told,omitzero"`
	By    string      `json:"by,omitzero"`
	// Points are the places where a code of the campaign hangs or is handed out.
	Points []Point `json:"points,omitempty"`
}

// KindOutreach is 主动问需.
const KindOutreach Kind = "outreach"

func outreachKind() kind {
	return kind{label: "主动问需", series: "访", blank: func() Matter { return new(Outreach) },
		labels: map[State]string{Planned: "待开展", Acting: "开展中", Done: "已完成", Dropped: "已取消"},
		moves:  map[State][]State{"": {Planned}, Planned: {Acting, Dropped}, Acting: {Done, Dropped}}, final: []State{Done, Dropped}}
}

// OutreachWays are the ways in their order, with labels.
var OutreachWays = [][2]string{{"visit", "入户走访"}, {"campaign", "街巷宣传"}, {"sms", "短信告知"}, {"poll", "专项调查"}}

// WayLabel is the way for staff (zh-CN).
func (o *Outreach) WayLabel() string { return labelOf(OutreachWays, o.Way) }

// OpenOutreach plans one.
func (d *Desk) OpenOutreach(tx *storage.Tx, area, way, plan, unit string, due time.Time, by ticket.Actor) (Outreach, error) {
	return open(d, tx, KindOutreach, by, "", func(f *file, o *Outreach) (map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return nil, err
		}
		names, err := d.Office.AreaNames(tx)
		if err != nil {
			return nil, err
		}
		o.State, o.Area, o.Way, o.Unit, o.Due = Planned, strings.TrimSpace(area), way, unit, ms(due)
		switch {
		case names[o.Area] == "":
			return nil, refuse("area", "没有区划“%s”", area)
		case o.WayLabel() == "":
			return nil, refuse("way", "请选择方式")
		case unit == "":
			return nil, refuse("unit", "请选择开展单位")
		case o.Due.IsZero() || o.Due.Before(f.now):
			return nil, refuse("due", "请填写完成期限，且不早于现在")
		}
		if err := d.mayAct(tx, unit, nil); err != nil {
			return nil, err
		}
		o.Subject, o.Next = "area/"+o.Area, o.Due
		if o.Plan, err = f.must("plan", "开展内容", plan); err != nil {
			return nil, err
		}
		return map[string]any{"area": o.Area, "way": way, "plan": o.Plan}, d.tell(tx, o, "opened", "收到主动问需任务")
	})
}

// BeginOutreach notes that it is under way.
func (d *Desk) BeginOutreach(tx *storage.Tx, id string, by ticket.Actor) (Outreach, error) {
	return change(d, tx, id, KindOutreach, by, func(f *file, o *Outreach) (string, map[string]any, error) {
		if err := f.in("开展", Planned); err != nil {
			return "", nil, err
		}
		if err := o.goes(f); err != nil {
			return "", nil, err
		}
		o.State, o.Began = Acting, f.now
		return "begun", nil, nil
	})
}

func (o *Outreach) goes(f *file) error {
	if f.by.Unit == o.Unit && may(f.by, org.SubmitResult) == nil {
		return nil
	}
	return may(f.by, org.Supervise)
}

// FinishOutreach is the report: how many people were spoken with, how many of them brought something, and what.
func (d *Desk) FinishOutreach(tx *storage.Tx, id string, made, heard int, text string, by ticket.Actor) (Outreach, error) {
	return change(d, tx, id, KindOutreach, by, func(f *file, o *Outreach) (string, map[string]any, error) {
		if err := f.in("完成", Acting); err != nil {
			return "", nil, err
		}
		if err := o.goes(f); err != nil {
			return "", nil, err
		}
		if made < 0 || heard < 0 || heard > made {
			return "", nil, refuse("made", "走访人数不合理：反映问题的人数不能多于走访人数")
		}
		var err error
		if o.Told, err = f.must("told", "开展情况", text); err != nil {
			return "", nil, err
		}
		o.State, o.Made, o.Heard, o.By = Done, made, heard, by.String()
		return "finished", map[string]any{"made": made, "heard": heard, "text": o.Told}, nil
	})
}

// DropOutreach takes a plan back.
func (d *Desk) DropOutreach(tx *storage.Tx, id, reason string, by ticket.Actor) (Outreach, error) {
	return change(d, tx, id, KindOutreach, by, func(f *file, o *Outreach) (string, map[string]any, error) {
		if err := f.in("取消", Planned, Acting); err != nil {
			return "", nil, err
		}
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		ref, err := f.must("reason", "取消理由", reason)
		if err != nil {
			return "", nil, err
		}
		o.State = Dropped
		return "dropped", map[string]any{"reason": ref}, nil
	})
}

// OutreachEffect compares the contacts from the area in EffectDays before it began with those after.
func (d *Desk) OutreachEffect(tx *storage.Tx, o *Outreach) (Effect, error) {
	if o.Began.IsZero() {
		return Effect{}, nil
	}
	rules, err := d.rules(tx)
	if err != nil {
		return Effect{}, err
	}
	span := time.Duration(rules.EffectDays) * 24 * time.Hour
	until := o.Began.Add(span)
	if now := d.now(); now.Before(until) {
		until = now
	}
	e := Effect{Days: until.Sub(o.Began).Hours() / 24}
	for _, x := range []struct {
		to       *int
		from, by time.Time
	}{{&e.Before, o.Began.Add(-span), o.Began}, {&e.After, o.Began, until}} {
		if *x.to, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE community <> '' AND community LIKE $1 AND opened_at >= $2 AND opened_at < $3`,
			o.Area+"%", storage.At(x.from), storage.At(x.by)); err != nil {
			return Effect{}, err
		}
	}
	e.Ratio, e.Low, e.High = rateRatio(e.Before, float64(rules.EffectDays), e.After, e.Days)
	return e, nil
}

// ImportPopulation reads a file of residents: 区划代码, 年龄段 (empty: all), 人口, 来源. All lines or none.
func (d *Desk) ImportPopulation(ctx context.Context, db *storage.DB, r io.Reader, by ticket.Actor) (n int, err error) {
	rows, _, err := table.Open(r)
	if err != nil {
		return 0, fmt.Errorf("import residents: %w", err)
	}
	defer rows.Close()
	var list []ticket.Population
	for first := true; ; first = false {
		cells, line, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, refuse("line", "第%d行无法读取", line)
		}
		if len(cells) < 4 {
			return 0, refuse("line", "第%d行应有四列：区划代码、年龄段、人口、来源", line)
		}
		count, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(cells[2]), ",", ""))
		if err != nil {
			if first {
				continue // the heading
			}
			return 0, refuse("line", "第%d行的人口“%s”不是整数", line, cells[2])
		}
		list = append(list, ticket.Population{Area: strings.Trim(strings.TrimSpace(cells[0]), "\ufeff"), Band: strings.TrimSpace(cells[1]), Residents: count, Source: cells[3]})
	}
	if len(list) == 0 {
		return 0, refuse("file", "文件中没有人口数据")
	}
	return len(list), db.Update(ctx, func(tx *storage.Tx) error { return d.Office.PutPopulation(tx, list, by) })
}
