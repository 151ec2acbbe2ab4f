package ticket

import (
	"fmt"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// NoticeAlert and NoticeCallback are the Kind of notices that no clock of a ticket raised.
const (
	NoticeAlert    = "alert"
	NoticeCallback = "callback"
)

// PointRaised and PointAgain are the points of an alert: raised, and raised again because nobody acknowledged it.
const (
	PointRaised Point = "raised"
	PointAgain  Point = "again"
)

// Notice is what a clock, an overdue call-back or an alert tells a unit, or the centre when Unit is empty.
type Notice struct {
	ID        string
	TicketID  string
	Subject   string // id of the clock, call-back or alert
	Point     Point
	Kind      string // ClockKind, NoticeAlert or NoticeCallback
	Colour    Colour
	Unit      string
	Handler   string   // actor who works on it, when known
	For       org.Role // of the centre, when it is for one role only
	Text      string   // zh-CN, without personal data
	PlannedAt time.Time
	RaisedAt  time.Time
	ShowAt    time.Time // 红 and 橙 at once, the others in working hours (norms §7, 2)
	ReadBy    string
	ReadAt    time.Time
}

func (n *Notice) kind() string  { return "notice" }
func (n *Notice) table() string { return "ticket_notice" }
func (n *Notice) key() string   { return n.ID }
func (n *Notice) columns() []column {
	return []column{
		{"id", &n.ID}, {"ticket_id", &n.TicketID}, {"subject", &n.Subject}, {"point", &n.Point}, {"kind", &n.Kind}, {"colour", &n.Colour},
		{"unit", &n.Unit}, {"handler", &n.Handler}, {"text", &n.Text}, {"planned_at", stamp{&n.PlannedAt}}, {"raised_at", stamp{&n.RaisedAt}},
		{"show_at", stamp{&n.ShowAt}}, {"read_by", &n.ReadBy}, {"read_at", stamp{&n.ReadAt}}, {"role", &n.For},
	}
}

func (n *Notice) insert(tx *storage.Tx) error {
	if n.ID == "" {
		n.ID = newID()
	}
	if err := upsert(tx, n); err != nil {
		return fmt.Errorf("save notice: %w", err)
	}
	return nil
}

// NoticeFilter selects notices.
type NoticeFilter struct {
	Viewer Actor // the centre's officers see the centre's notices, others those of their unit; System sees all
	Unread bool
	At     time.Time // only what may be shown by then; now when zero
	Limit  int       // 100 when zero
}

// Notices lists notices, the latest first.
func (o *Office) Notices(tx *storage.Tx, f NoticeFilter) ([]Notice, error) {
	if f.At.IsZero() {
		f.At = o.now()
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q := &query{}
	switch {
	case f.Viewer.Kind == SystemActor:
	case !f.Viewer.officer() || !f.Viewer.may(org.ViewTicket):
		return nil, nil
	default:
		if err := o.visible(tx, q, f.Viewer); err != nil {
			return nil, fmt.Errorf("list notices: %w", err)
		}
		q.conds = []string{`(ticket_id = '' OR EXISTS (SELECT 1 FROM ticket` + q.where() + ` AND ticket.id = ticket_notice.ticket_id))`}
		if f.Viewer.ofCentre() {
			q.and(`unit = ''`)
			q.and(`(role = '' OR role = ?)`, string(f.Viewer.Role))
		} else {
			q.and(`unit = ? AND unit <> ''`, f.Viewer.Unit)
		}
	}
	q.and(`show_at <= ?`, storage.At(f.At))
	if f.Unread {
		q.and(`read_at IS NULL`)
	}
	args := q.args
	where := q.where()
	args = append(args, f.Limit)
	var out []*Notice
	if err := list(tx, &out, where+fmt.Sprintf(` ORDER BY show_at DESC, id DESC LIMIT $%d`, len(args)), args...); err != nil {
		return nil, err
	}
	return values(out), nil
}

// ReadNotice marks a notice as read by somebody it is for.
func (o *Office) ReadNotice(tx *storage.Tx, id string, by Actor) error {
	n, err := one[Notice](tx, ` WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("notice %s: %w", id, err)
	}
	if !by.officer() || n.Unit != "" && n.Unit != by.Unit || n.Unit == "" && !by.ofCentre() {
		return refuse("unit", "该提醒不属于您所在单位")
	}
	_, err = tx.Exec(`UPDATE ticket_notice SET read_by = $2, read_at = $3 WHERE id = $1 AND read_at IS NULL`, id, by.String(), storage.At(o.now()))
	return err
}

// note makes the notice of a clock's point.
func (d *dossier) note(c *Clock, p planned) {
	t := d.ticket
	n := Notice{TicketID: t.ID, Subject: c.ID, Point: p.point, Kind: string(c.Kind), Colour: t.Colour, PlannedAt: p.at, RaisedAt: d.now, ShowAt: d.now}
	switch {
	case c.LegID != "" && c.Kind != ClockDecide:
		l := d.leg(c.LegID)
		n.Unit, n.Handler = l.Unit, l.Handler
	case c.Kind == ClockHandle || c.Kind == ClockExternal || c.Kind == ClockSuspend || c.Kind == ClockStable:
		if h := d.host(); h != nil && t.Host != "" {
			n.Unit, n.Handler = h.Unit, h.Handler
		}
	}
	if t.Colour.Rank() < Orange.Rank() {
		n.ShowAt = d.reckoner().Next(d.now)
	}
	n.Text = fmt.Sprintf("%s：诉求%s（%s色）%s时限%s", p.point.Label(), t.Number, t.Colour, c.Kind.Label(), c.DueAt.In(workday.Zone).Format("2006-01-02 15:04"))
	d.notices = append(d.notices, n)
}

// values copies what pointers point at.
func values[T any](in []*T) []T {
	out := make([]T, len(in))
	for i, p := range in {
		out[i] = *p
	}
	return out
}
