package survey

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// Day returns the figures of the services of one day.
func (s *Survey) Day(tx *storage.Tx, day workday.Day) (Figures, error) {
	return s.Between(tx, day, day)
}

// Between returns the figures of the runs of some days, first and last included. The database counts; nothing of any
// person is read.
func (s *Survey) Between(tx *storage.Tx, first, last workday.Day) (Figures, error) {
	fail := func(err error) (Figures, error) {
		return Figures{}, fmt.Errorf("figures of %s to %s: %w", first, last, err)
	}
	items, err := s.counted(tx, first, last)
	if err != nil {
		return fail(err)
	}
	m := s.config().Metric
	f := Figures{Day: first, Last: last, Metric: m, Whole: m.row("", "合计", items)}
	f.ByClass = m.group(items, func(i Item) (string, string) { return i.Class, i.ClassName })
	f.ByUnit = m.group(items, func(i Item) (string, string) { return i.unitKey(), i.UnitName })
	f.ByDay = m.group(items, func(i Item) (string, string) { return i.Day.String(), i.Day.String() })
	channels := map[string][]Item{}
	for _, i := range items {
		for _, c := range []string{i.Carrier, Telephone} {
			if x, ok := i.through(c); ok {
				channels[c] = append(channels[c], x)
			}
		}
		if !i.Decided {
			f.Undecided += max(1, i.times)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(channels)) {
		f.ByChannel = append(f.ByChannel, m.row(c, channelName(c), channels[c]))
	}
	windows := slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return i.Window == "" })
	f.ByWindow = m.group(windows, func(i Item) (string, string) {
		return i.unitKey() + "/" + i.Window, i.UnitName + " " + windowName(i.Window)
	})
	for _, rows := range [][]Row{f.ByClass, f.ByUnit, f.ByChannel, f.ByWindow} {
		m.rank(rows)
	}
	if f.Strangers, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_answer WHERE place = 'stranger' AND received_at >= $1 AND received_at < $2`,
		storage.At(first.Start()), storage.At(last.End())); err != nil {
		return fail(err)
	}
	if f.Reminded, f.Reminders, err = s.reminders(tx, first, last, f.ByClass); err != nil {
		return fail(err)
	}
	f.Versions, err = storage.All(tx, storage.Value[string], `SELECT DISTINCT config FROM survey_decision WHERE day >= $1 AND day <= $2 ORDER BY config`, first, last)
	return f, err
}

// What an item is counted by, of a record that was decided ($1 to $2 are the days, $3 the milliseconds of Metric.Early),
// and of one that was not.
const (
	itemFlags = `r.class, r.unit, d.day, d.reason, COALESCE(m.state, ''), COALESCE(m.carrier, ''), COALESCE(k.rating, 0), k.replied_at IS NOT NULL,
		COALESCE(k.opted_out, FALSE), x.id IS NOT NULL, COALESCE(k.rated_at - k.asked_at <= $3, FALSE), COALESCE(a.pending, 0) > 0, COALESCE(a.late, 0) > 0,
		COALESCE(a.tickets, 0) > 0, d.probability, COALESCE(k.via, ''), r.window_no`
	itemTables = `FROM survey_decision d JOIN survey_record r ON r.id = d.record_id LEFT JOIN survey_ask k ON k.record_id = d.record_id LEFT JOIN sms m ON m.id = k.sms_id
		LEFT JOIN survey_exclusion x ON x.answer_id = k.answer_id AND x.state = 'excluded' AND k.answer_id <> ''
		LEFT JOIN (SELECT ask_id, SUM(CASE WHEN place = 'late' THEN 1 ELSE 0 END) AS late, SUM(CASE WHEN review = 'pending' THEN 1 ELSE 0 END) AS pending,
				SUM(CASE WHEN ticket_id <> '' THEN 1 ELSE 0 END) AS tickets
			FROM survey_answer WHERE ask_id IN (SELECT id FROM survey_ask WHERE day >= $1 AND day <= $2) GROUP BY ask_id) a ON a.ask_id = k.id
		WHERE d.day >= $1 AND d.day <= $2`
	openTable = `FROM survey_record r WHERE r.service_day >= $1 AND r.service_day <= $2 AND r.decided = FALSE`
	groups    = `1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17`
)

// windowName is a window for staff: sources write 3, 03号 or 出生登记窗口.
func windowName(w string) string {
	if strings.Trim(w, "0123456789") == "" {
		return w + "号窗口"
	}
	return w
}

// channelName is a channel for staff.
func channelName(c string) string {
	if c == Telephone {
		return "电话访评"
	}
	return c
}

// counted returns the records of some days as items that say how many of them are alike.
func (s *Survey) counted(tx *storage.Tx, first, last workday.Day) ([]Item, error) {
	decided, err := s.flagged(tx, `SELECT `+itemFlags+`, COUNT(*), '' `+itemTables+` GROUP BY `+groups, first, last, s.config().Metric.Early.Milliseconds())
	if err != nil {
		return nil, err
	}
	open, err := s.flagged(tx, `SELECT r.class, r.unit, r.service_day, COUNT(*) `+openTable+` GROUP BY 1, 2, 3`, first, last)
	return append(decided, open...), err
}

// flagged reads items without anything of the persons. A query with a third argument is one of decided records.
func (s *Survey) flagged(tx *storage.Tx, query string, args ...any) ([]Item, error) {
	name, err := s.namer(tx)
	if err != nil {
		return nil, err
	}
	return storage.All(tx, func(row storage.Row) (i Item, err error) {
		var early, pending, late, ticket bool
		if len(args) < 3 {
			err = row.Scan(&i.Class, &i.Unit, &i.Day, &i.times)
			i.Probability = 1
		} else {
			err = row.Scan(&i.Class, &i.Unit, &i.Day, &i.Reason, &i.SMS, &i.Carrier, &i.Rating, &i.Replied, &i.OptedOut, &i.Excluded, &early, &pending, &late, &ticket,
				&i.Probability, &i.Via, &i.Window, &i.times, &i.ID)
		}
		if err != nil {
			return i, err
		}
		i.Decided, i.Review = i.Reason != "", pending
		if late {
			i.LateReplies = 1
		}
		if ticket {
			i.TicketID = "-"
		}
		if !early {
			i.RatedAfter = s.config().Metric.Early + time.Millisecond
		}
		name(&i)
		return i, nil
	}, query, args...)
}

// namer fills in the names of units and classes.
func (s *Survey) namer(tx *storage.Tx) (func(*Item), error) {
	units := map[string]string{NoUnitKey: "单位不明"}
	all, err := org.Units(tx)
	if err != nil {
		return nil, err
	}
	for _, u := range all {
		units[u.ID] = u.Short
		if u.Short == "" {
			units[u.ID] = u.Name
		}
	}
	cfg := s.config()
	classes := map[string]string{}
	for _, c := range cfg.Classes {
		classes[c.Code] = c.Name
	}
	return func(i *Item) {
		i.UnitName, i.ClassName = units[i.unitKey()], i.Class
		if n := classes[i.Class]; n != "" {
			i.ClassName = n
		}
	}, nil
}

// Selection picks the records behind a figure.
type Selection struct {
	First, Last workday.Day
	Figure      Figure
	Class       string // code; "" is all
	Unit        string // id or NoUnitKey; "" is all
	Channel     string // carrier; "" is all
	Reason      string // of Item.WhyNot; "" is all
	Limit       int    // 0 is all
	Offset      int
}

func (q Selection) holds(i Item) bool {
	if q.Channel != "" {
		var ok bool
		if i, ok = i.through(q.Channel); !ok {
			return false
		}
	}
	return q.Figure.Holds(i) && (q.Class == "" || i.Class == q.Class) && (q.Unit == "" || i.unitKey() == q.Unit) && (q.Reason == "" || Suppressed.Holds(i) && i.WhyNot() == q.Reason)
}

// Select returns one page of the records behind a figure, and how many there are: as many as the figure says (I22). Only
// the records of the page are opened.
func (s *Survey) Select(tx *storage.Tx, q Selection) (page []Item, total int, err error) {
	fail := func(err error) ([]Item, int, error) {
		return nil, 0, fmt.Errorf("records of %s to %s: %w", q.First, q.Last, err)
	}
	items, err := s.flagged(tx, `SELECT `+itemFlags+`, 1, d.record_id `+itemTables+` ORDER BY r.service_at, r.id`, q.First, q.Last, s.config().Metric.Early.Milliseconds())
	if err != nil {
		return fail(err)
	}
	var ids []string
	for _, i := range items {
		if !q.holds(i) {
			continue
		}
		if total++; total > q.Offset && (q.Limit == 0 || len(ids) < q.Limit) {
			ids = append(ids, i.ID)
		}
	}
	for chunk := range slices.Chunk(ids, 500) {
		marks, args := make([]string, len(chunk)), make([]any, len(chunk))
		for n, id := range chunk {
			marks[n], args[n] = fmt.Sprintf("$%d", n+1), id
		}
		more, err := s.items(tx, `r.id IN (`+strings.Join(marks, ", ")+`)`, args...)
		if err != nil {
			return fail(err)
		}
		page = append(page, more...)
	}
	return page, total, nil
}

// Items returns every record that was decided about in the run of a day, or belongs to the day and was not yet, with what
// became of it, in the order of the services.
func (s *Survey) Items(tx *storage.Tx, day workday.Day) ([]Item, error) {
	items, err := s.items(tx, `r.id IN (SELECT record_id FROM survey_decision WHERE day = $1 UNION SELECT id FROM survey_record WHERE service_day = $1 AND decided = FALSE)`, day)
	if err != nil {
		return nil, fmt.Errorf("records of %s: %w", day, err)
	}
	return items, nil
}

// items reads records with their persons and all that became of them.
func (s *Survey) items(tx *storage.Tx, where string, args ...any) ([]Item, error) {
	name, err := s.namer(tx)
	if err != nil {
		return nil, err
	}
	return storage.All(tx, func(row storage.Row) (i Item, err error) {
		dest, finish := s.recordFields(&i.Record)
		var asked, rated storage.Time
		var pending int
		dest = append(dest, &i.Reason, &i.Detail, &i.Day, &i.Probability, &i.Via, &i.AskID, &i.SMSID, &i.SMS, &i.Carrier, &i.Rating, &i.Replied, &i.OptedOut, &i.Excluded,
			&asked, &rated, &i.LateReplies, &pending, &i.TicketID)
		if err := row.Scan(dest...); err != nil {
			return i, err
		}
		i.Decided, i.Review = i.Reason != "", pending > 0
		name(&i)
		if !rated.IsZero() {
			i.RatedAfter = rated.Sub(asked.Time)
		}
		return i, finish()
	}, `SELECT `+recordColumns+`, COALESCE(d.reason, ''), COALESCE(d.detail, ''), COALESCE(d.day, r.service_day), COALESCE(d.probability, 1), COALESCE(k.via, ''), COALESCE(k.id, ''),
			COALESCE(k.sms_id, ''), COALESCE(m.state, ''), COALESCE(m.carrier, ''), COALESCE(k.rating, 0), k.replied_at IS NOT NULL, COALESCE(k.opted_out, FALSE),
			x.id IS NOT NULL, k.asked_at, k.rated_at,
			(SELECT COUNT(*) FROM survey_answer a WHERE a.ask_id = k.id AND a.place = 'late'),
			(SELECT COUNT(*) FROM survey_answer a WHERE a.ask_id = k.id AND a.review = 'pending'),
			COALESCE((SELECT MAX(a.ticket_id) FROM survey_answer a WHERE a.ask_id = k.id), '')
		FROM survey_record r LEFT JOIN survey_decision d ON d.record_id = r.id LEFT JOIN survey_ask k ON k.record_id = r.id LEFT JOIN sms m ON m.id = k.sms_id
		LEFT JOIN survey_exclusion x ON x.answer_id = k.answer_id AND x.state = 'excluded' AND k.answer_id <> ''
		WHERE `+where+` ORDER BY r.service_at, r.id`, args...)
}
