package ticket

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// Point is a moment at which a clock tells somebody something.
type Point string

// Points of a clock. 24×7 clocks have no yellow card, and their red card comes at the due itself; clocks of working time
// get the yellow card when the working day before the due day begins (one working day left), the due notice at the due,
// and the red card when the first working day after the due day begins.
const (
	PointHalf   Point = "half"
	PointMost   Point = "most"
	PointYellow Point = "yellow"
	PointDue    Point = "due"
	PointRed    Point = "red"
)

var pointLabels = map[Point]string{PointHalf: "时限过半", PointMost: "即将到期", PointYellow: "黄牌预警", PointDue: "已到期", PointRed: "红牌警告"}

// Label is the point for staff (zh-CN).
func (p Point) Label() string { return pointLabels[p] }

type planned struct {
	point Point
	at    time.Time
}

// points lists the points of a clock that exist.
func (c *Clock) points() []planned {
	all := []planned{{PointHalf, c.HalfAt}, {PointMost, c.MostAt}, {PointYellow, c.YellowAt}, {PointDue, c.DueAt}, {PointRed, c.RedAt}}
	if c.wall() {
		all = slices.Delete(all, 3, 4)
	}
	return slices.DeleteFunc(all, func(p planned) bool { return p.at.IsZero() })
}

func (c *Clock) wall() bool {
	s, _ := workday.ParseSpan(c.Span)
	return s.Unit == workday.WallTime
}

func (c *Clock) fired(p Point) bool { return slices.Contains(strings.Fields(c.Fired), string(p)) }

func (c *Clock) fire(p Point) {
	if !c.fired(p) {
		c.Fired = strings.TrimSpace(c.Fired + " " + string(p))
	}
}

// schedule sets NextAt to the first point that was not announced.
func (c *Clock) schedule() {
	c.NextAt = time.Time{}
	if c.State != Running {
		return
	}
	for _, p := range c.points() {
		if !c.fired(p.point) && (c.NextAt.IsZero() || p.at.Before(c.NextAt)) {
			c.NextAt = p.at
		}
	}
}

// start starts a clock by the rules, if they have one for the ticket's colour.
func (d *dossier) start(k ClockKind, l *Leg) *Clock {
	span := d.rules.span(k, d.ticket.Colour, d.ticket.Kind)
	if span.IsZero() {
		return nil
	}
	return d.startSpan(k, l, span)
}

func (d *dossier) newClock(k ClockKind, l *Leg) *Clock {
	c := &Clock{ID: newID(), TicketID: d.ticket.ID, Round: d.ticket.Round, Kind: k, State: Running,
		RuleVersion: d.ticket.RuleVersion, CalendarVersion: d.reckoner().Version(), StartedAt: d.now, BaseAt: d.now}
	if l != nil {
		c.LegID = l.ID
	}
	d.clocks = append(d.clocks, c)
	return c
}

func (d *dossier) startSpan(k ClockKind, l *Leg, span workday.Span) *Clock {
	c := d.newClock(k, l)
	c.Span, c.BaseSpan = span.String(), span.String()
	c.DueAt = ms(d.reckoner().Deadline(c.BaseAt, span))
	c.Total = d.length(c, c.StartedAt, c.DueAt)
	d.plan(c)
	return c
}

// startUntil starts a clock whose due was set by somebody: another body, or an approved suspension.
func (d *dossier) startUntil(k ClockKind, due time.Time) *Clock {
	c := d.newClock(k, nil)
	c.DueAt = ms(due)
	c.Total = d.reckoner().Elapsed(c.StartedAt, c.DueAt)
	d.plan(c)
	return c
}

// length is the time from a to b as the clock counts it.
func (d *dossier) length(c *Clock, a, b time.Time) time.Duration {
	if c.wall() {
		return b.Sub(a).Truncate(time.Millisecond)
	}
	return d.reckoner().Elapsed(a, b).Truncate(time.Millisecond)
}

// plan sets the points of a clock from its due. Points that have passed already are not announced once more.
func (d *dossier) plan(c *Clock) {
	r := d.reckoner()
	unit := workday.WorkingTime
	if c.wall() {
		unit = workday.WallTime
	}
	start := c.StartedAt
	if c.BaseAt.After(c.StartedAt) { // it stood still: count its whole length back from the due
		if unit == workday.WallTime {
			start = c.DueAt.Add(-c.Total)
		} else {
			start = r.Back(c.DueAt, c.Total)
		}
	}
	c.HalfAt = ms(r.Point(start, c.DueAt, unit, d.rules.Half))
	c.MostAt = ms(r.Point(start, c.DueAt, unit, d.rules.Most))
	c.YellowAt, c.RedAt = time.Time{}, c.DueAt
	c.Guessed = false
	if unit != workday.WallTime {
		day := workday.DayOf(c.DueAt)
		if y := r.Open(r.Calendar.Add(day, -1)); y.After(c.StartedAt) {
			c.YellowAt = ms(y)
		}
		c.RedAt = ms(r.Open(r.Calendar.Add(day, 1)))
		c.Guessed = len(r.Guessed(c.StartedAt, c.DueAt)) > 0
	}
	before := c.Fired
	c.Fired = ""
	for _, p := range c.points() {
		if d.now.After(p.at) && (strings.Contains(before, string(p.point)) || c.BaseAt.After(c.StartedAt) || c.Extra > 0) {
			c.fire(p.point)
		}
	}
	c.schedule()
}

// live returns the running or paused clocks of a kind; of one leg when l is not nil.
func (d *dossier) live(k ClockKind, l *Leg) []*Clock {
	var out []*Clock
	for _, c := range d.clocks {
		if c.Kind == k && (c.State == Running || c.State == Paused) && (l == nil || c.LegID == l.ID) {
			out = append(out, c)
		}
	}
	return out
}

// stop ends the clocks of a kind: what was asked for was done.
func (d *dossier) stop(k ClockKind, l *Leg) {
	for _, c := range d.live(k, l) {
		c.State = Met
		if d.now.After(c.DueAt) {
			c.State = Late
		}
		d.end(c)
	}
}

// cancel ends the clocks of the kinds (all of them when none is named): nobody asks for it any more.
func (d *dossier) cancel(l *Leg, kinds ...ClockKind) {
	for _, c := range d.clocks {
		if (c.State == Running || c.State == Paused) && (len(kinds) == 0 || slices.Contains(kinds, c.Kind)) && (l == nil || c.LegID == l.ID) {
			c.State = ClockCancelled
			d.end(c)
		}
	}
}

func (d *dossier) end(c *Clock) {
	if !c.PausedAt.IsZero() {
		c.PausedMS += d.now.Sub(c.PausedAt).Milliseconds()
	}
	c.StoppedAt, c.PausedAt, c.Left = d.now, time.Time{}, 0
	c.schedule()
}

// pause stops the time of a clock. One that is overdue already keeps running: a suspension mends nothing.
func (d *dossier) pause(k ClockKind) {
	for _, c := range d.live(k, nil) {
		if c.State == Running && d.now.Before(c.DueAt) {
			c.Left = d.length(c, d.now, c.DueAt)
			c.State, c.PausedAt = Paused, d.now
			c.schedule()
		}
	}
}

// resume lets a clock run on with what was left.
func (d *dossier) resume(k ClockKind) {
	for _, c := range d.live(k, nil) {
		if c.State != Paused {
			continue
		}
		span := workday.Working(c.Left)
		if c.wall() {
			span = workday.Wall(c.Left.Round(time.Second))
		}
		c.PausedMS += d.now.Sub(c.PausedAt).Milliseconds()
		c.State, c.PausedAt, c.Left = Running, time.Time{}, 0
		c.BaseAt, c.BaseSpan, c.Extra = d.now, span.String(), 0
		c.DueAt = ms(d.due(c))
		d.plan(c)
	}
}

// due computes the due of a clock from its base.
func (d *dossier) due(c *Clock) time.Time {
	span, err := workday.ParseSpan(c.BaseSpan)
	if err != nil {
		return c.DueAt // cannot happen: we wrote it
	}
	due := d.reckoner().Deadline(c.BaseAt, span)
	if c.Extra > 0 {
		due = d.reckoner().Deadline(due, workday.Days(c.Extra))
	}
	return due
}

// extend adds working days to a clock.
func (d *dossier) extend(c *Clock, days int) {
	c.Extra += days
	old := c.DueAt
	c.DueAt = ms(d.due(c))
	c.Total += d.length(c, old, c.DueAt)
	d.plan(c)
}

// Recompute computes the dues of a ticket's running clocks again with the calendar and hours in force, such as when the
// State Council's notice for a year has come. It is the only way in which a calendar changes a clock that has started
// (I9). Clocks whose versions are current are left alone, and so are those whose due another body set.
func (o *Office) Recompute(tx *storage.Tx, id, reason string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if !by.may(org.ManageRules) { // no look into the ticket: the seat's are recomputed too
			return noRole()
		}
		if strings.TrimSpace(reason) == "" {
			return refuse("reason", "请填写重新计算时限的原因")
		}
		version := d.reckoner().Version()
		n := 0
		for _, c := range d.clocks {
			if c.State == Running && c.BaseSpan != "" && c.CalendarVersion != version {
				c.CalendarVersion = version
				c.DueAt = ms(d.due(c))
				c.Total = d.length(c, c.StartedAt, c.DueAt)
				d.plan(c)
				n++
			}
		}
		if n == 0 {
			return refuse("nothing", "没有需要重新计算的时限")
		}
		why, _ := d.write("reason", reason)
		return d.emit("ticket.recomputed", map[string]any{"clocks": n, "calendar": version, "reason": why})
	})
}

// running reports whether any clock of the ticket runs.
func (d *dossier) running() bool {
	return slices.ContainsFunc(d.clocks, func(c *Clock) bool { return c.State == Running })
}

// accounted checks ORG-6 and I1 before anything is saved: an open ticket has a unit or a queue, and a running clock.
func (d *dossier) accounted() error {
	t := d.ticket
	if t == nil || !t.State.Open() {
		return nil
	}
	if t.Host == "" && t.Queue == "" {
		return fmt.Errorf("ticket %s would be open in %s without a unit or queue", t.ID, t.State)
	}
	if t.Host != "" && t.Queue != "" {
		return fmt.Errorf("ticket %s would be in a unit and in a queue", t.ID)
	}
	if !d.running() {
		return fmt.Errorf("ticket %s would be open in %s without a running clock", t.ID, t.State)
	}
	return nil
}
