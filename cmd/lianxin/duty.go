package main

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// dutyLook is how often the roster is held against the board.
const dutyLook = 15 * time.Second

// duty keeps the board in line with seats and rosters, and raises an alert when a queue that is open has had nobody on duty for too long,
// or a trunk has been away.
func (c *centre) duty(ctx context.Context) error {
	tick := time.NewTicker(dutyLook)
	defer tick.Stop()
	empty := map[string]time.Time{} // queue → since when nobody is there
	away := map[string]time.Time{}  // trunk → since when it does not work
	for {
		if err := c.seatOperators(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("desk: seats and rosters", "err", err)
		}
		if err := c.watchQueues(ctx, empty, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Error("desk: watch over queues", "err", err)
		}
		if err := c.watchTrunks(ctx, away, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Error("sip: watch over trunks", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.reseat:
		case <-tick.C:
		}
	}
}

// seatsChanged has the board told at once.
func (c *centre) seatsChanged() {
	select {
	case c.reseat <- struct{}{}:
	default:
	}
}

// seats is everybody who has an extension, with what they serve now: their shift's queues, or else their seat's.
func (c *centre) seats(tx *storage.Tx, now time.Time) ([]desk.Operator, error) {
	staff, err := org.AllStaff(tx)
	if err != nil {
		return nil, err
	}
	seats, err := org.Seats(tx)
	if err != nil {
		return nil, err
	}
	shifts, err := org.Shifts(tx, now, now.Add(time.Millisecond))
	if err != nil {
		return nil, err
	}
	var list []desk.Operator
	for _, s := range staff {
		if s.Extension == "" || !s.Can(org.TakeCalls) {
			continue
		}
		op := desk.Operator{Extension: s.Extension, StaffID: s.ID, Name: s.Name, AutoReady: c.cfg.AutoReady, Rank: len(list), Skills: seats[s.ID].Skills}
		queues := seats[s.ID].Queues
		for _, x := range shifts {
			if x.StaffID == s.ID && len(x.Queues) > 0 {
				queues = x.Queues
			}
		}
		for _, q := range queues {
			op.Queues = append(op.Queues, desk.Serves{Queue: q.Queue, Level: q.Level})
		}
		list = append(list, op)
	}
	return list, nil
}

// seatOperators puts everybody who has an extension on the board, and what has changed about them; who has lost the extension leaves it.
func (c *centre) seatOperators(ctx context.Context) error {
	var list []desk.Operator
	err := c.db.View(ctx, func(tx *storage.Tx) (err error) { list, err = c.seats(tx, time.Now()); return err })
	if err != nil {
		return fmt.Errorf("seat the operators: %w", err)
	}
	there := map[string]bool{}
	for _, op := range list {
		there[op.Extension] = true
		if known, ok := c.seated[op.Extension]; ok && reflect.DeepEqual(known, op) {
			continue
		}
		if err := c.board.Put(ctx, op); err != nil {
			return fmt.Errorf("seat the operators: %w", err)
		}
		if _, ok := c.seated[op.Extension]; !ok && c.phones.Registered(op.Extension) { // the phone was there before the seat
			c.registered(op.Extension, true)
		}
		c.seated[op.Extension] = op
	}
	for ext := range c.seated {
		if !there[ext] {
			delete(c.seated, ext)
			if err := c.board.Remove(ctx, ext); err != nil {
				return fmt.Errorf("take a seat off the board: %w", err)
			}
		}
	}
	return nil
}

// watchQueues raises the alert of a queue that is open and has had nobody on duty for as long as its settings allow.
func (c *centre) watchQueues(ctx context.Context, empty map[string]time.Time, now time.Time) error {
	for _, q := range c.hotline.Queues().All() {
		p, err := c.board.Duty(ctx, desk.Caller{Queue: q.Name})
		if err != nil {
			return err
		}
		if q.Unmanned <= 0 || p.OnDuty > 0 || !q.OpenAt(now, c.office.Calendar) {
			delete(empty, q.Name)
			continue
		}
		since, known := empty[q.Name]
		if !known {
			empty[q.Name] = now
			continue
		}
		if now.Sub(since) < q.Unmanned {
			continue
		}
		evidence, err := c.rostered(ctx, q.Name, now)
		if err != nil {
			return err
		}
		if err := c.hotline.RaiseUnmanned(ctx, q, "", fmt.Sprintf("已%d分钟无坐席在岗。%s", int(now.Sub(since).Minutes()), evidence)); err != nil {
			return err
		}
	}
	return nil
}

// rostered says who ought to be there.
func (c *centre) rostered(ctx context.Context, queue string, now time.Time) (text string, err error) {
	n := 0
	err = c.db.View(ctx, func(tx *storage.Tx) error {
		shifts, err := org.Shifts(tx, now, now.Add(time.Millisecond))
		if err != nil {
			return err
		}
		seats, err := org.Seats(tx)
		if err != nil {
			return err
		}
		for _, s := range shifts {
			queues := s.Queues
			if len(queues) == 0 {
				queues = seats[s.StaffID].Queues
			}
			for _, q := range queues {
				if q.Queue == queue {
					n++
				}
			}
			if len(queues) == 0 {
				n++
			}
		}
		return nil
	})
	if n == 0 {
		return "排班表中此时无人值守该队列。", err
	}
	return fmt.Sprintf("排班表中此时应有%d人值守。", n), err
}

var (
	queueWaiting = desc("queue_waiting", "Callers waiting, by queue; those included whom we ring back.", "queue")
	queueLongest = desc("queue_longest_wait_seconds", "How long the first caller of a queue has waited.", "queue")
	queueOnDuty  = desc("queue_on_duty", "Operators on duty who serve a queue.", "queue")
	queueCalls   = desc("queue_calls_today", "Calls of today that wanted an operator of a queue, by what became of them (short: gave up within 5 s).", "queue", "outcome")
	queueLevel   = desc("queue_level_15s_ratio", "Share of today's callers of a queue who were answered within 15 s.", "queue")
	queueConnect = desc("queue_connect_ratio", "Share of today's callers of a queue who were answered.", "queue")
	queueAnswer  = desc("queue_average_answer_seconds", "Average wait of today's answered callers of a queue.", "queue")
	flowLoaded   = desc("flow_info", "The flow in force; 1.", "flow", "version")
	flowBroken   = desc("flow_refused", "1 while the flow files on disk are broken and an older version is in force.")
)

// queueFigures collects the figures of queues: now from the board, of today from the records of calls.
type queueFigures struct{ c *centre }

// Describe implements prometheus.Collector.
func (f queueFigures) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, ch) }

// Collect implements prometheus.Collector.
func (f queueFigures) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if sn, err := f.c.board.Snapshot(ctx); err == nil {
		for _, q := range sn.Queues {
			if q.Name == "" {
				continue
			}
			gauge(queueWaiting, float64(q.Waiting), q.Name)
			gauge(queueOnDuty, float64(q.OnDuty), q.Name)
			longest := 0.0
			if !q.Since.IsZero() {
				longest = max(time.Since(q.Since).Seconds(), 0)
			}
			gauge(queueLongest, longest, q.Name)
		}
	}
	day := workday.DayOf(time.Now())
	var list []ivr.QueueFigures
	err := f.c.db.View(ctx, func(tx *storage.Tx) (err error) {
		list, err = f.c.hotline.Calls().FiguresByQueue(tx, day.Start(), day.End())
		return err
	})
	if err != nil {
		f.c.log.Warn("metrics of queues", "err", err)
	}
	for _, q := range list {
		if q.Queue == "" {
			continue
		}
		for outcome, n := range map[string]int{"offered": q.Offered, "answered": q.Answered, "answered_15s": q.InLevel, "abandoned": q.Abandoned, "short": q.Short, "passed_on": q.Passed, "message": q.Messages, "callback": q.Promised} {
			gauge(queueCalls, float64(n), q.Queue, outcome)
		}
		if share, ok := q.Level(); ok {
			gauge(queueLevel, share, q.Queue)
		}
		if share, ok := q.ConnectRate(); ok {
			gauge(queueConnect, share, q.Queue)
		}
		gauge(queueAnswer, q.AverageWait().Seconds(), q.Queue)
	}
	if f.c.flows != nil {
		st := f.c.flows.State()
		gauge(flowLoaded, 1, st.Flow.Name, st.Flow.Version)
		broken := 0.0
		if len(st.Problems) > 0 || st.Refused != "" {
			broken = 1
		}
		gauge(flowBroken, broken)
	}
}
