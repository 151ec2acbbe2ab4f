package survey

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/workday"
)

// Item is one record of a day with all that became of it. Every figure is the number of items for which its test holds, so
// that the list behind a figure always has as many lines as the figure says (I22).
type Item struct {
	Record
	ClassName   string
	UnitName    string
	Decided     bool
	Reason      Reason
	Detail      string
	AskID       string
	SMSID       string
	SMS         sms.State // of an asked record
	Replied     bool      // something came back within the window
	Rating      int       // the one that counts; 0 none
	OptedOut    bool
	Review      bool // a reply waits for a person
	LateReplies int  // kept apart
	TicketID    string
	Excluded    bool          // two persons have left the rating out of the official rate
	RatedAfter  time.Duration // from the question to the first rating that counts
}

// NoUnitKey is the Key of the row of records whose unit is not known.
const NoUnitKey = "none"

func (i Item) unitKey() string {
	if i.Unit == "" {
		return NoUnitKey
	}
	return i.Unit
}

// Figure names a figure of a day.
type Figure string

// Figures of the funnel. Planned = Suppressed + Sent + Waiting; Sent = Delivered + Failed + Unknown + Pending.
const (
	Planned    Figure = "planned"    // records decided for the day
	Suppressed Figure = "suppressed" // not asked, or the text was never sent (expired, cancelled)
	Sent       Figure = "sent"       // given to a carrier
	Waiting    Figure = "waiting"    // still in the outbox
	Delivered  Figure = "delivered"  //
	Failed     Figure = "failed"     //
	NoWord     Figure = "unknown"    // the carrier cannot say what became of it
	Pending    Figure = "pending"    // sent, no receipt yet
	Replied    Figure = "replied"    //
	Rated      Figure = "rated"      //
	Satisfied  Figure = "satisfied"  // 1 to 3
	Unhappy    Figure = "unhappy"    // 4 or 5
	OptOuts    Figure = "optouts"    //
	Reviewing  Figure = "reviewing"  // a reply waits for a person
	LateOnes   Figure = "late"       // replied after the window only, or again
	Tickets    Figure = "tickets"    // led to a ticket
)

// FunnelFigures lists all figures in the order of the funnel.
var FunnelFigures = []Figure{Planned, Suppressed, Waiting, Sent, Delivered, Failed, NoWord, Pending, Replied, Rated, Satisfied, Unhappy, OptOuts, Reviewing, LateOnes, Tickets}

var figureLabels = map[Figure]string{Planned: "应询", Suppressed: "未询问", Sent: "已发送", Waiting: "待发送", Delivered: "已送达", Failed: "发送失败",
	NoWord: "结果未知", Pending: "待回执", Replied: "已回复", Rated: "有效评价", Satisfied: "满意及以上", Unhappy: "不满意", OptOuts: "退订", Reviewing: "待人工",
	LateOnes: "逾期回复", Tickets: "转诉求"}

// Label is the figure for staff (zh-CN).
func (f Figure) Label() string {
	if f == Satisfied {
		return "基本满意及以上"
	}
	return figureLabels[f]
}

// Holds reports whether an item belongs to a figure.
func (f Figure) Holds(i Item) bool {
	neverSent := i.SMS == sms.Expired || i.SMS == sms.Cancelled
	sent := i.Reason == Asked && i.SMS.Sent()
	switch f {
	case Planned:
		return i.Decided
	case Suppressed:
		return i.Decided && (i.Reason != Asked || neverSent)
	case Waiting:
		return i.Reason == Asked && (i.SMS == sms.Queued || i.SMS == sms.Sending)
	case Sent:
		return sent
	case Delivered:
		return sent && i.SMS == sms.Delivered
	case Failed:
		return sent && i.SMS == sms.Failed
	case NoWord:
		return sent && i.SMS == sms.Unknown
	case Pending:
		return sent && i.SMS == sms.Accepted
	case Replied:
		return i.Replied
	case Rated:
		return i.Rating > 0
	case Satisfied:
		return i.Rating >= 1 && i.Rating <= 3
	case Unhappy:
		return i.Rating >= 4
	case OptOuts:
		return i.OptedOut
	case Reviewing:
		return i.Review
	case LateOnes:
		return i.LateReplies > 0
	case Tickets:
		return i.TicketID != ""
	}
	return false
}

// WhyNot is the reason of a suppressed item, with texts that were never sent as reasons of their own.
func (i Item) WhyNot() string {
	switch i.SMS {
	case sms.Expired:
		return "text_expired"
	case sms.Cancelled:
		return "text_cancelled"
	}
	return string(i.Reason)
}

// WhyNotLabel is the label of what WhyNot returns (zh-CN).
func WhyNotLabel(code string) string {
	switch code {
	case "text_expired":
		return "短信过期未发出"
	case "text_cancelled":
		return "批次已终止"
	}
	return Reason(code).Label()
}

// Row are the figures of a day, or of one class or unit of it.
type Row struct {
	Key     string // class code or unit id; "" for the whole
	Name    string
	Count   map[Figure]int
	Not     map[string]int // suppressed by reason (Item.WhyNot)
	Ratings [5]int         // how many of each rating, 1 first
	N       int            // ratings that count = sum of Ratings

	Excluded int        // ratings that two persons have left out of the official rate, of N
	Raw      float64    // rate of all ratings, 0 … 1
	Official float64    // rate without the excluded ones
	Beside   []Rate     // the same by the other weights of 基本满意 (Metric.Beside)
	Interval [2]float64 // Wilson 95 % around Raw
	Small    bool       // fewer ratings than Metric.Small: the rates are zero and must not be shown
	Rank     int        // among the classes or units, by the lower end of Interval; 0 with fewer ratings than Metric.Rank
	Coverage float64    // rated / delivered, beside every rate: silence is not consent
	AtLeast  float64    // the rate if everybody delivered and silent were dissatisfied
	AtMost   float64    // the rate if they all were satisfied
	Early    Share      // who rated within Metric.Early
	Later    Share      // who took longer: a difference says that those who never answered may differ too
}

// Rate is a rate by one weight of 基本满意.
type Rate struct {
	Weight   float64
	Raw      float64
	Official float64
}

// Share is the rate of a part; it is 0, and must not be shown, with fewer ratings than Metric.Small.
type Share struct {
	N   int
	Raw float64
}

// Figures of a day.
type Figures struct {
	Day       workday.Day
	Whole     Row
	ByClass   []Row
	ByUnit    []Row
	Strangers int // replies received that day from numbers that were never asked, or too long ago
	Undecided int // records of the day about which no run has decided yet
	Metric    Metric
	Versions  []string // of the configurations that decided
}

// Day returns the figures of the services of one day.
func (s *Survey) Day(tx *storage.Tx, day workday.Day) (Figures, error) {
	items, err := s.Items(tx, day)
	if err != nil {
		return Figures{}, err
	}
	m := s.config().Metric
	f := Figures{Day: day, Metric: m, Whole: m.row("", "合计", items)}
	f.ByClass = m.group(items, func(i Item) (string, string) { return i.Class, i.ClassName })
	f.ByUnit = m.group(items, func(i Item) (string, string) { return i.unitKey(), i.UnitName })
	m.rank(f.ByClass)
	m.rank(f.ByUnit)
	if f.Strangers, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_answer WHERE place = 'stranger' AND received_at >= $1 AND received_at < $2`,
		storage.At(day.Start()), storage.At(day.End())); err != nil {
		return f, fmt.Errorf("figures of %s: %w", day, err)
	}
	for _, i := range items {
		if !i.Decided {
			f.Undecided++
		}
	}
	f.Versions, err = storage.All(tx, storage.Value[string], `SELECT DISTINCT config FROM survey_decision WHERE day = $1 ORDER BY config`, day)
	return f, err
}

// Items returns every record that was decided about in the run of a day, or belongs to the day and was not yet, with what
// became of it, in the order of the services.
func (s *Survey) Items(tx *storage.Tx, day workday.Day) ([]Item, error) {
	fail := func(err error) ([]Item, error) { return nil, fmt.Errorf("records of %s: %w", day, err) }
	states, err := sms.States(tx, Campaign(day))
	if err != nil {
		return fail(err)
	}
	units := map[string]string{NoUnitKey: "单位不明"}
	all, err := org.Units(tx)
	if err != nil {
		return fail(err)
	}
	for _, u := range all {
		units[u.ID] = u.Short
		if u.Short == "" {
			units[u.ID] = u.Name
		}
	}
	items, err := storage.All(tx, func(row storage.Row) (i Item, err error) {
		dest, finish := s.recordFields(&i.Record)
		var asked, rated storage.Time
		dest = append(dest, &i.Reason, &i.Detail, &i.AskID, &i.SMSID, &i.Rating, &i.Replied, &i.OptedOut, &i.Excluded, &asked, &rated)
		if err := row.Scan(dest...); err != nil {
			return i, err
		}
		i.Decided = i.Reason != ""
		i.UnitName, i.ClassName = units[i.unitKey()], i.Class
		if c, ok := s.config().Class(i.Class); ok {
			i.ClassName = c.Name
		}
		i.SMS = states[i.SMSID]
		if !rated.IsZero() {
			i.RatedAfter = rated.Sub(asked.Time)
		}
		return i, finish()
	}, `SELECT `+recordColumns+`, COALESCE(d.reason, ''), COALESCE(d.detail, ''), COALESCE(k.id, ''), COALESCE(k.sms_id, ''), COALESCE(k.rating, 0),
			k.replied_at IS NOT NULL, COALESCE(k.opted_out, FALSE), x.id IS NOT NULL, k.asked_at, k.rated_at
		FROM survey_record r LEFT JOIN survey_decision d ON d.record_id = r.id LEFT JOIN survey_ask k ON k.record_id = r.id
		LEFT JOIN survey_exclusion x ON x.answer_id = k.answer_id AND x.state = 'excluded'
		WHERE r.id IN (SELECT record_id FROM survey_decision WHERE day = $1 UNION SELECT id FROM survey_record WHERE service_day = $1 AND decided = FALSE)
		ORDER BY r.service_at, r.id`, day)
	if err != nil {
		return fail(err)
	}
	return items, s.addAnswers(tx, day, items)
}

// addAnswers adds what is counted from the replies of a day.
func (s *Survey) addAnswers(tx *storage.Tx, day workday.Day, items []Item) error {
	type sum struct {
		ask, ticket   string
		late, pending int
	}
	sums, err := storage.All(tx, func(r storage.Row) (v sum, err error) { return v, r.Scan(&v.ask, &v.late, &v.pending, &v.ticket) },
		`SELECT a.ask_id, SUM(CASE WHEN a.place = 'late' THEN 1 ELSE 0 END), SUM(CASE WHEN a.review = 'pending' THEN 1 ELSE 0 END), MAX(a.ticket_id)
		FROM survey_answer a JOIN survey_ask k ON k.id = a.ask_id WHERE k.day = $1 GROUP BY a.ask_id`, day)
	if err != nil {
		return fmt.Errorf("replies of %s: %w", day, err)
	}
	byAsk := map[string]sum{}
	for _, v := range sums {
		byAsk[v.ask] = v
	}
	for i := range items {
		if v, ok := byAsk[items[i].AskID]; ok && items[i].AskID != "" {
			items[i].LateReplies, items[i].Review, items[i].TicketID = v.late, v.pending > 0, v.ticket
		}
	}
	return nil
}

func (m Metric) group(items []Item, by func(Item) (key, name string)) []Row {
	groups := map[string][]Item{}
	names := map[string]string{}
	for _, i := range items {
		key, name := by(i)
		groups[key] = append(groups[key], i)
		names[key] = name
	}
	var rows []Row
	for key, g := range groups {
		rows = append(rows, m.row(key, names[key], g))
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Key, b.Key) })
	return rows
}

func (m Metric) row(key, name string, items []Item) Row {
	r := Row{Key: key, Name: name, Count: map[Figure]int{}, Not: map[string]int{}}
	var kept, early, later [5]int
	for _, i := range items {
		for _, f := range FunnelFigures {
			if f.Holds(i) {
				r.Count[f]++
			}
		}
		if Suppressed.Holds(i) {
			r.Not[i.WhyNot()]++
		}
		if i.Rating == 0 {
			continue
		}
		at := i.Rating - 1
		r.Ratings[at]++
		r.N++
		if i.Excluded {
			r.Excluded++
		} else {
			kept[at]++
		}
		if i.RatedAfter <= m.Early {
			early[at]++
		} else {
			later[at]++
		}
	}
	delivered := r.Count[Delivered]
	if delivered > 0 {
		r.Coverage = float64(r.N) / float64(delivered)
	}
	if r.Small = r.N < m.Small; r.Small {
		return r
	}
	r.Raw, r.Official = rate(m.Weights, r.Ratings), rate(m.Weights, kept)
	for _, w := range m.Beside {
		other := slices.Clone(m.Weights)
		other[2] = w
		r.Beside = append(r.Beside, Rate{w, rate(other, r.Ratings), rate(other, kept)})
	}
	r.Interval = Wilson(r.Raw, r.N)
	// Who has rated was texted, whatever the receipts say.
	base := max(delivered, r.N)
	sum := r.Raw * float64(r.N)
	r.AtLeast, r.AtMost = sum/float64(base), (sum+float64(base-r.N))/float64(base)
	r.Early, r.Later = m.share(early), m.share(later)
	return r
}

// rate is the weighted share of ratings, 0 of none.
func rate(weights []float64, ratings [5]int) float64 {
	var sum float64
	n := 0
	for i, k := range ratings {
		sum += weights[i] * float64(k)
		n += k
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

func (m Metric) share(ratings [5]int) Share {
	s := Share{}
	for _, k := range ratings {
		s.N += k
	}
	if s.N >= m.Small {
		s.Raw = rate(m.Weights, ratings)
	}
	return s
}

// rank orders rows by the lower end of their intervals, so that a few lucky ratings do not lead; rows of equal ends share
// a rank, and those with too few ratings have none.
func (m Metric) rank(rows []Row) {
	for i := range rows {
		if rows[i].Small || rows[i].N < m.Rank {
			continue
		}
		rows[i].Rank = 1
		for _, o := range rows {
			if o.N >= m.Rank && o.Interval[0] > rows[i].Interval[0] {
				rows[i].Rank++
			}
		}
	}
}

// Wilson is the 95 % interval (Wilson's score) around a share p of n.
func Wilson(p float64, n int) [2]float64 {
	if n == 0 {
		return [2]float64{0, 1}
	}
	const z = 1.959963984540054
	nf := float64(n)
	centre := (p + z*z/(2*nf)) / (1 + z*z/nf)
	half := z / (1 + z*z/nf) * math.Sqrt(p*(1-p)/nf+z*z/(4*nf*nf))
	return [2]float64{max(0, centre-half), min(1, centre+half)}
}

// List returns the items of a day for which a figure holds, of one class and one unit when those are not empty.
func List(items []Item, f Figure, class, unit string) []Item {
	var out []Item
	for _, i := range items {
		if f.Holds(i) && (class == "" || i.Class == class) && (unit == "" || i.unitKey() == unit) {
			out = append(out, i)
		}
	}
	return out
}

// Strangers lists the replies of [from day, to day] that belong to no question, newest first.
func (s *Survey) Strangers(tx *storage.Tx, from, to workday.Day, limit int) ([]ReviewItem, error) {
	return s.replies(tx, `place = 'stranger' AND received_at >= $1 AND received_at < $2 ORDER BY received_at DESC, id DESC LIMIT $3`,
		storage.At(from.Start()), storage.At(to.End()), limit)
}

// Replies lists the replies received in [from day, to day], newest first.
func (s *Survey) Replies(tx *storage.Tx, from, to workday.Day, limit int) ([]ReviewItem, error) {
	return s.replies(tx, `received_at >= $1 AND received_at < $2 ORDER BY received_at DESC, id DESC LIMIT $3`, storage.At(from.Start()), storage.At(to.End()), limit)
}

// RepliesTo lists the replies to one question, in the order in which they came.
func (s *Survey) RepliesTo(tx *storage.Tx, askID string) ([]ReviewItem, error) {
	return s.replies(tx, `ask_id = $1 ORDER BY received_at, id`, askID)
}

func (s *Survey) replies(tx *storage.Tx, where string, args ...any) ([]ReviewItem, error) {
	answers, err := storage.All(tx, scanAnswer, `SELECT `+answerColumns+` FROM survey_answer WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list replies: %w", err)
	}
	out := make([]ReviewItem, 0, len(answers))
	for _, a := range answers {
		item, err := s.item(tx, a)
		if err != nil {
			return nil, fmt.Errorf("list replies: %w", err)
		}
		out = append(out, item)
	}
	return out, nil
}

// Days lists the days that have had a run, the last one first.
func Days(tx *storage.Tx, limit int) ([]workday.Day, error) {
	return storage.All(tx, storage.Value[workday.Day], `SELECT DISTINCT day FROM survey_decision ORDER BY day DESC LIMIT $1`, limit)
}
