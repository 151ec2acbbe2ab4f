package ivr

import (
	"context"
	"time"

	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/ticket"
)

// gaveUp is since when the place of a caller counts who gave up waiting in this queue not long ago, was not served since, and rings
// again; zero for any other. A place that was kept in that call is kept again: it counts from the first.
func (v *visit) gaveUp(ctx context.Context, q Queue) (since time.Time) {
	if v.person.ID == "" || q.KeepPlace <= 0 {
		return since
	}
	ctx, cancel := after(ctx) // a caller who hangs up now is no error
	defer cancel()
	err := v.h.cfg.DB.View(ctx, func(tx *storage.Tx) error {
		rows, err := storage.All(tx, func(r storage.Row) (p struct {
			placed, ended storage.Time
			disposition   Disposition
			queue         string
		}, err error) {
			err = r.Scan(&p.placed, &p.ended, &p.disposition, &p.queue)
			return p, err
		}, `SELECT placed, ended, disposition, queue FROM call WHERE contact_id = $1 AND id <> $2 AND queued IS NOT NULL AND ended IS NOT NULL
			ORDER BY ended DESC LIMIT 1`, v.person.ID, v.rec.ID)
		if err != nil || len(rows) == 0 {
			return err
		}
		p := rows[0]
		if (p.disposition == Abandoned || p.disposition == Interrupted) && p.queue == q.Name && !p.placed.IsZero() &&
			v.h.now().Sub(p.ended.Time) <= q.KeepPlace {
			since = p.placed.Time
		}
		return nil
	})
	if err != nil {
		v.log.Error("ivr: look for a place that a caller had", "err", err)
	}
	return since
}

// place gives a caller the place that they have kept, and says so in the record. It returns since when the place counts, by the clock of
// the board; zero for a place at the end.
func (v *visit) place(ctx context.Context, q Queue) time.Time {
	now := v.h.now()
	since := v.trail.placed // waits again in the same call, perhaps in another queue
	if since.IsZero() {
		since = v.returns(ctx, q)
	}
	if since.IsZero() {
		since = v.gaveUp(ctx, q)
	}
	kept := !since.IsZero() && since.Before(now)
	if !kept {
		since = now
	} else if v.trail.placed.IsZero() {
		v.did("保留原排队位置，自" + v.local(since).Format("15:04:05"))
	}
	v.trail.placed = since
	v.noteQueue(ctx, q.Name, since)
	if !kept {
		return time.Time{}
	}
	return time.Now().Add(since.Sub(now))
}

// closed leads a caller on whose queue is not answered at this hour.
func (v *visit) closed(ctx context.Context, n *flow.Node, q Queue) (string, error) {
	v.did("“" + q.Title + "”非服务时间")
	v.noteQueue(ctx, q.Name, v.h.now())
	return exitOr(n, "closed", "nobody"), nil
}

// unmannedRule is the rule of the alert that nobody is on duty.
const unmannedRule = "queue_unmanned"

// unmanned raises the alert that a caller found nobody on duty, or counts with the one that is open. Who is to be there stands in the roster; that
// nobody is there is known here first.
func (h *Hotline) unmanned(ctx context.Context, q Queue, callID string) {
	if q.Unmanned <= 0 {
		return
	}
	ctx, cancel := after(ctx)
	defer cancel()
	if err := h.RaiseUnmanned(ctx, q, callID, "来电人请求人工服务，无坐席在岗，已转留言回拨。"); err != nil {
		h.log.Error("ivr: raise the alert of an unmanned queue", "queue", q.Name, "err", err)
	}
}

// RaiseUnmanned raises the alert that nobody is on duty for a queue that is open. While one is open for the queue it counts
// there: nobody is helped by the same alert anew each hour.
func (h *Hotline) RaiseUnmanned(ctx context.Context, q Queue, callID, evidence string) error {
	now := h.now()
	return h.update(ctx, func(tx *storage.Tx) error {
		_, err := h.cfg.Office.RaiseStanding(tx, ticket.Alert{
			// The key keeps two nodes that see it at one moment from raising two, and one that was just disposed of from coming back at once.
			Key: unmannedRule + ":" + q.Name + ":" + now.UTC().Format("2006-01-02T15"), Rule: unmannedRule, Level: ticket.Orange, CallID: callID, Subject: "queue/" + q.Name,
			Title: "“" + q.Title + "”无人值守", Evidence: evidence, By: ticket.System,
		})
		return err
	})
}
