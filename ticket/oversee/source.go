package oversee

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Point is a place of a campaign with a code of its own (RES-13): who scans it there comes to the public form, and what is
// handed in keeps the code, so that tickets are counted by campaign and place.
type Point struct {
	Code  string    `json:"code"`
	Place string    `json:"place"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
}

const (
	// pointLetters are letters and digits that nobody takes for one another, 32 of them.
	pointLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	pointLength  = 8
	maxPoints    = 200
	maxPlace     = 40
)

func newPointCode() string {
	b := make([]byte, pointLength)
	rand.Read(b)
	for i := range b {
		b[i] = pointLetters[int(b[i])%len(pointLetters)]
	}
	return string(b)
}

// AddPoint gives a place of a campaign its code.
func (d *Desk) AddPoint(tx *storage.Tx, id, place string, by ticket.Actor) (Outreach, error) {
	return change(d, tx, id, KindOutreach, by, func(f *file, o *Outreach) (string, map[string]any, error) {
		if err := f.in("生成二维码", Planned, Acting); err != nil {
			return "", nil, err
		}
		if err := o.goes(f); err != nil {
			if may(by, org.DraftReport) != nil {
				return "", nil, err
			}
		}
		place = strings.Join(strings.Fields(place), " ")
		switch {
		case place == "":
			return "", nil, refuse("empty", "请填写投放点位")
		case utf8.RuneCountInString(place) > maxPlace:
			return "", nil, refuse("long", "投放点位不超过%d字", maxPlace)
		case slices.ContainsFunc(o.Points, func(p Point) bool { return p.Place == place }):
			return "", nil, refuse("same", "点位“%s”已有二维码", place)
		case len(o.Points) >= maxPoints:
			return "", nil, refuse("many", "一次活动最多%d个点位", maxPoints)
		}
		p := Point{Code: newPointCode(), Place: place, By: by.String(), At: f.now}
		if _, err := tx.Exec(`INSERT INTO oversee_point (code, matter_id) VALUES ($1, $2)`, p.Code, o.ID); err != nil {
			return "", nil, fmt.Errorf("keep a code: %w", err)
		}
		o.Points = append(slices.Clone(o.Points), p)
		return "code-made", map[string]any{"code": p.Code, "place": place}, nil
	})
}

// Point is the place with a code; false where the campaign has none.
func (o *Outreach) Point(code string) (Point, bool) {
	i := slices.IndexFunc(o.Points, func(p Point) bool { return p.Code == code })
	if i < 0 {
		return Point{}, false
	}
	return o.Points[i], true
}

// arrivals is the stream that tells which tickets came by the codes of a campaign. It is beside the campaign's own: a ticket
// that accuses a unit must not keep the unit from its campaign.
func arrivals(outreach string) string { return "outreach-arrival/" + outreach }

// Arrived notes by which code a ticket came. A code that nobody gave out is passed over: what somebody hands in is never
// refused for a torn poster. The first code of a ticket counts.
func (d *Desk) Arrived(tx *storage.Tx, code, ticketID string) error {
	code = strings.ToUpper(strings.TrimSpace(code))
	if len(code) != pointLength {
		return nil
	}
	of, err := storage.One(tx, storage.Value[string], `SELECT matter_id FROM oversee_point WHERE code = $1`, code)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("campaign of a code: %w", err)
	}
	now := d.now()
	n, err := tx.Exec(`INSERT INTO oversee_arrival (ticket_id, code, at) VALUES ($1, $2, $3) ON CONFLICT (ticket_id) DO NOTHING`, ticketID, code, storage.At(now))
	if err != nil {
		return fmt.Errorf("keep the code of ticket %s: %w", ticketID, err)
	}
	if n == 0 {
		return nil
	}
	_, err = audit.Append(tx, audit.Entry{Stream: arrivals(of), Type: "outreach.arrival", Actor: ticket.System.String(), At: now, Payload: map[string]any{"ticket": ticketID, "code": code}})
	return err
}

// CameBy is the campaign and the place by whose code a ticket came; nil where it came by none, or the viewer may not see it.
func (d *Desk) CameBy(tx *storage.Tx, ticketID string, viewer ticket.Actor) (*Outreach, Point, error) {
	code, err := storage.One(tx, storage.Value[string], `SELECT code FROM oversee_arrival WHERE ticket_id = $1`, ticketID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, Point{}, nil
	} else if err != nil {
		return nil, Point{}, fmt.Errorf("code of ticket %s: %w", ticketID, err)
	}
	of, err := storage.One(tx, storage.Value[string], `SELECT matter_id FROM oversee_point WHERE code = $1`, code)
	if err != nil {
		return nil, Point{}, fmt.Errorf("campaign of a code: %w", err)
	}
	m, err := d.Get(tx, KindOutreach, of, viewer)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, Point{}, nil
	} else if err != nil {
		return nil, Point{}, err
	}
	o := m.(*Outreach)
	p, _ := o.Point(code)
	return o, p, nil
}

// Arrivals are the tickets that came by the codes of a campaign, the last first.
func (d *Desk) Arrivals(tx *storage.Tx, outreach string) ([]string, error) {
	return storage.All(tx, storage.Value[string], `SELECT a.ticket_id FROM oversee_arrival a JOIN oversee_point p ON p.code = a.code WHERE p.matter_id = $1 ORDER BY a.at DESC, a.ticket_id DESC LIMIT 500`, outreach)
}

// Source is what came by one code.
type Source struct {
	Outreach *Outreach
	Point
	Came    int // tickets
	Valid   int // of them 有效
	Settled int // of them closed
	Last    time.Time
}

// Sources are what came in the time by each code of each campaign that the viewer may see: the code that brought most first.
// A zero time does not limit. Codes by which nobody came stand there, too, with nothing. plain is how many tickets the public
// handed in by itself in the time without any code.
func (d *Desk) Sources(tx *storage.Tx, from, to time.Time, only string, viewer ticket.Actor) (list []Source, plain int, err error) {
	if from.IsZero() {
		from = time.UnixMilli(0)
	}
	if to.IsZero() {
		to = d.now().Add(time.Minute)
	}
	rows, err := storage.All(tx, func(r storage.Row) (s Source, err error) {
		var last storage.Time
		err = r.Scan(&s.Code, &s.Came, &s.Valid, &s.Settled, &last)
		s.Last = last.Time
		return s, err
	}, `SELECT a.code, COUNT(*), SUM(CASE WHEN t.validity = 'effective' THEN 1 ELSE 0 END), SUM(CASE WHEN t.closed_at IS NOT NULL THEN 1 ELSE 0 END), MAX(a.at)
		FROM oversee_arrival a JOIN ticket t ON t.id = a.ticket_id WHERE a.at >= $1 AND a.at < $2 GROUP BY a.code`, storage.At(from), storage.At(to))
	if err != nil {
		return nil, 0, fmt.Errorf("tickets by code: %w", err)
	}
	filter := Filter{Viewer: viewer, Kind: KindOutreach, Limit: 1000}
	matters, _, err := d.List(tx, filter)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range matters {
		o := m.(*Outreach)
		if only != "" && o.ID != only {
			continue
		}
		for _, p := range o.Points {
			s := Source{}
			if i := slices.IndexFunc(rows, func(r Source) bool { return r.Code == p.Code }); i >= 0 {
				s = rows[i]
			}
			s.Outreach, s.Point = o, p
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Source) int { return b.Came - a.Came })
	plain, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE channel IN ('web', 'mini', 'mailbox') AND opened_at >= $1 AND opened_at < $2
		AND NOT EXISTS (SELECT 1 FROM oversee_arrival a WHERE a.ticket_id = ticket.id)`, storage.At(from), storage.At(to))
	if err != nil {
		return nil, 0, fmt.Errorf("tickets without a code: %w", err)
	}
	return list, plain, nil
}

// arrivalsAsTold compares the codes and arrivals of a campaign with what the log tells of them.
func arrivalsAsTold(tx *storage.Tx, o *Outreach) (out []string, err error) {
	codes, err := storage.All(tx, storage.Value[string], `SELECT code FROM oversee_point WHERE matter_id = $1 ORDER BY code`, o.ID)
	if err != nil {
		return nil, err
	}
	var told []string
	for _, p := range o.Points {
		told = append(told, p.Code)
	}
	slices.Sort(told)
	if !slices.Equal(codes, told) {
		out = append(out, "codes differ from the events")
	}
	rows, err := storage.All(tx, func(r storage.Row) (x [2]string, err error) { return x, r.Scan(&x[0], &x[1]) },
		`SELECT a.ticket_id, a.code FROM oversee_arrival a JOIN oversee_point p ON p.code = a.code WHERE p.matter_id = $1`, o.ID)
	if err != nil {
		return nil, err
	}
	events, err := audit.Stream(tx, arrivals(o.ID))
	if err != nil {
		return nil, err
	}
	var have, want []string
	for _, r := range rows {
		have = append(have, r[0]+" "+r[1])
	}
	for _, e := range events {
		var p struct{ Ticket, Code string }
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return nil, fmt.Errorf("event %d of %s: %w", e.StreamSeq, e.Stream, err)
		}
		want = append(want, p.Ticket+" "+p.Code)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		out = append(out, "arrivals differ from the events")
	}
	return out, nil
}
