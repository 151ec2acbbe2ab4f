package ivr

import (
	"fmt"
	"time"

	"lianxin/storage"
)

// QueueFigures are the service figures of one queue. Offered are the calls that came to it, however often; a call that went through several
// queues is counted in each of them, answered or given up where that happened.
type QueueFigures struct {
	Queue string
	Figures
}

// FiguresByQueue counts, for each queue, the calls that started in [from, to) and came to it, by name of the queue. Like Figures they come
// from the records of calls: a restart forgets nothing.
func (c Calls) FiguresByQueue(tx *storage.Tx, from, to time.Time) ([]QueueFigures, error) {
	list, err := storage.All(tx, func(r storage.Row) (f QueueFigures, err error) {
		var wait, longest, talk int64
		err = r.Scan(&f.Queue, &f.Offered, &f.Answered, &f.InLevel, &f.Abandoned, &f.Short, &f.Waiting, &f.Messages, &f.Promised, &wait, &longest, &talk, &f.Rated, &f.RatedBad)
		f.Calls, f.Up = f.Offered, f.Waiting
		f.Passed = f.Offered - f.Answered - f.Abandoned - f.Short - f.Waiting
		f.WaitAnswered, f.WaitLonger, f.Talk = time.Duration(wait)*time.Millisecond, time.Duration(longest)*time.Millisecond, time.Duration(talk)*time.Millisecond
		return f, err
	}, `SELECT queue, COUNT(*), SUM(answered),
			SUM(CASE WHEN answered = 1 AND answered_at - joined <= $3 THEN 1 ELSE 0 END),
			SUM(CASE WHEN answered = 0 AND waiting = 0 AND hungup = 1 AND left_at - joined > $4 THEN 1 ELSE 0 END),
			SUM(CASE WHEN answered = 0 AND waiting = 0 AND hungup = 1 AND left_at - joined <= $4 THEN 1 ELSE 0 END),
			SUM(CASE WHEN answered = 0 THEN waiting ELSE 0 END),
			SUM(CASE WHEN answered = 0 AND last = queue AND disposition = 'message' THEN 1 ELSE 0 END),
			SUM(CASE WHEN answered = 0 AND last = queue AND disposition = 'callback' THEN 1 ELSE 0 END),
			SUM(CASE WHEN answered = 1 THEN answered_at - joined ELSE 0 END), MAX(CASE WHEN answered = 1 THEN answered_at - joined ELSE 0 END),
			SUM(CASE WHEN last = queue THEN talk_ms ELSE 0 END),
			SUM(CASE WHEN last = queue AND rating > 0 THEN 1 ELSE 0 END), SUM(CASE WHEN last = queue AND rating >= 4 THEN 1 ELSE 0 END)
		FROM (SELECT q.queue, q.call_id, MIN(q.joined) AS joined, MAX(q.left_at) AS left_at,
				MAX(CASE WHEN q.outcome = 'connected' THEN 1 ELSE 0 END) AS answered, MIN(CASE WHEN q.outcome = 'connected' THEN q.left_at END) AS answered_at,
				MAX(CASE WHEN q.outcome = 'hungup' THEN 1 ELSE 0 END) AS hungup,
				MAX(CASE WHEN q.left_at IS NULL AND c.ended IS NULL THEN 1 ELSE 0 END) AS waiting,
				MAX(CASE WHEN c.queue = '' THEN q.queue ELSE c.queue END) AS last, MAX(c.disposition) AS disposition, MAX(c.talk_ms) AS talk_ms, MAX(c.rating) AS rating
			FROM call_stay q JOIN call c ON c.id = q.call_id WHERE c.started >= $1 AND c.started < $2 AND c.direction = 'in' GROUP BY q.queue, q.call_id) s
		GROUP BY queue ORDER BY queue`,
		storage.At(from), storage.At(to), LevelWait.Milliseconds(), ShortWait.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("figures of queues: %w", err)
	}
	return list, nil
}

// ConnectGoal is the 接通率 that GB/T 33358-2016 asks for.
const ConnectGoal = 0.95
