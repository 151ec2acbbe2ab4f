package survey

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

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

	Via         string      // how the question was put, "sms" or Telephone; "" when none was
	Carrier     string      // that the text was given to, "" while it was given to none
	Day         workday.Day // of the run that decided; of the service while none has
	Probability float64     // of having been drawn; 1 where everybody is asked
	times       int         // so many records are alike in all this (Figures); 0 is one
}

// NoUnitKey is the Key of the row of records whose unit is not known.
const NoUnitKey = "none"

func (i Item) unitKey() string {
	if i.Unit == "" {
		return NoUnitKey
	}
	return i.Unit
}

// through is the item as one channel sees it: the carrier that had the text, or Telephone. Of a person who was rung after a text that did
// not arrive, the carrier has the text and the telephone the answer. ok is false for a channel that the question did not go through.
func (i Item) through(channel string) (x Item, ok bool) {
	switch {
	case channel == Telephone && Telephoned.Holds(i):
		i.SMS, i.Carrier = "", ""
		return i, true
	case channel == i.Carrier && Sent.Holds(i):
		if Telephoned.Holds(i) {
			i.Via, i.Replied, i.Rating, i.OptedOut, i.Review, i.LateReplies, i.TicketID = "", false, 0, false, false, 0, ""
		}
		return i, true
	}
	return i, false
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
	Telephoned Figure = "telephoned" // asked by telephone, and reached, as no text would reach them; among the suppressed or the failed
)

// FunnelFigures lists all figures in the order of the funnel.
var FunnelFigures = []Figure{Planned, Suppressed, Waiting, Sent, Delivered, Failed, NoWord, Pending, Replied, Rated, Satisfied, Unhappy, OptOuts, Reviewing, LateOnes, Tickets, Telephoned}

var figureLabels = map[Figure]string{Planned: "应询", Suppressed: "未询问", Sent: "已发送", Waiting: "待发送", Delivered: "已送达", Failed: "发送失败",
	NoWord: "结果未知", Pending: "待回执", Replied: "已回复", Rated: "有效评价", Satisfied: "满意及以上", Unhappy: "不满意", OptOuts: "退订", Reviewing: "待人工",
	LateOnes: "逾期回复", Tickets: "转诉求", Telephoned: "电话访评接通"}

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
	case Telephoned:
		return i.Via == Telephone
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
	Coverage float64    // rated / asked (delivered, or reached by telephone), beside every rate: silence is not consent
	AtLeast  float64    // the rate if everybody delivered and silent were dissatisfied
	AtMost   float64    // the rate if they all were satisfied
	Replies  float64    // replied / sent, of those who were texted
	Weighted float64    // Raw, each rating standing for the delivered texts of its class and unit, and for those not drawn
	Uneven   bool       // Weighted is worth a look: it differs from Raw by more than the least step shown
	Early    Share      // who rated within Metric.Early
	Later    Share      // who took longer: a difference says that those who never answered may differ too

	texted int // replied to a text
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

// Figures of a day, or of several.
type Figures struct {
	Day       workday.Day // the first
	Last      workday.Day // the last
	Whole     Row
	ByClass   []Row
	ByUnit    []Row
	ByChannel []Row // of what was sent, by the carrier that had it last
	ByDay     []Row
	ByWindow  []Row // of records whose source tells the window
	Strangers int   // replies received that day from numbers that were never asked, or too long ago
	Undecided int   // records of the day about which no run has decided yet
	Metric    Metric
	Versions  []string // of the configurations that decided
	Reminded  ReminderRow
	Reminders []ReminderRow // by class; none where nobody was reminded
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
	replied := 0
	for _, i := range items {
		n := max(1, i.times)
		for _, f := range FunnelFigures {
			if f.Holds(i) {
				r.Count[f] += n
			}
		}
		if Suppressed.Holds(i) {
			r.Not[i.WhyNot()] += n
		}
		if Replied.Holds(i) && !Telephoned.Holds(i) {
			replied += n
		}
		if i.Rating == 0 {
			continue
		}
		at := i.Rating - 1
		r.Ratings[at] += n
		r.N += n
		if i.Excluded {
			r.Excluded += n
		} else {
			kept[at] += n
		}
		if i.RatedAfter <= m.Early {
			early[at] += n
		} else {
			later[at] += n
		}
	}
	r.texted = replied
	asked := r.Count[Delivered] + r.Count[Telephoned] // a text that arrived is not followed by a call
	if sent := r.Count[Sent]; sent > 0 {
		r.Replies = float64(replied) / float64(sent)
	}
	if asked > 0 {
		r.Coverage = float64(r.N) / float64(asked)
	}
	r.Early, r.Later = m.share(early), m.share(later)
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
	base := max(asked, r.N)
	sum := r.Raw * float64(r.N)
	r.AtLeast, r.AtMost = sum/float64(base), (sum+float64(base-r.N))/float64(base)
	r.Weighted = m.weighted(items)
	r.Uneven = math.Abs(r.Weighted-r.Raw) >= 0.0005
	return r
}

// weighted is the rate when each cell of class and unit counts by what was delivered there, and each record by how many it
// stands for of those that were not drawn (post-stratification with inverse probabilities). Who answers more often than
// others, and who is asked by sample, then does not count more or less for it. Cells without a rating say nothing.
func (m Metric) weighted(items []Item) float64 {
	type sum struct{ delivered, rated, good float64 }
	cells := map[[2]string]sum{}
	for _, i := range items {
		n := float64(max(1, i.times))
		if i.Probability > 0 {
			n /= i.Probability
		}
		c := cells[[2]string{i.Class, i.Unit}]
		if Delivered.Holds(i) || Telephoned.Holds(i) || i.Rating > 0 {
			c.delivered += n
		}
		if i.Rating > 0 {
			c.rated += n
			c.good += n * m.Weights[i.Rating-1]
		}
		cells[[2]string{i.Class, i.Unit}] = c
	}
	var good, all float64
	for _, c := range cells {
		if c.rated > 0 {
			good += c.good / c.rated * c.delivered
			all += c.delivered
		}
	}
	if all == 0 {
		return 0
	}
	return good / all
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
