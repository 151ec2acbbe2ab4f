package ivr

import (
	"fmt"
	"time"

	"lianxin/storage"
)

// QueueFigures are the service figures of one queue.
type QueueFigures struct {
	Queue string
	Figures
}

// FiguresByQueue counts, for each queue, the calls that started in [from, to) and wanted an operator of it, by name of the queue. Like
// Figures they come from the records of calls: a restart forgets nothing.
func (c Calls) FiguresByQueue(tx *storage.Tx, from, to time.Time) ([]QueueFigures, error) {
	list, err := storage.All(tx, func(r storage.Row) (f QueueFigures, err error) {
		f.Figures, err = scanFigures(r, &f.Queue)
		return f, err
	}, `SELECT queue, `+figureColumns+` FROM call WHERE started >= $1 AND started < $2 AND direction = 'in' AND queued IS NOT NULL GROUP BY queue ORDER BY queue`,
		storage.At(from), storage.At(to), LevelWait.Milliseconds(), ShortWait.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("figures of queues: %w", err)
	}
	return list, nil
}

// ConnectGoal is the 接通率 that GB/T 33358-2016 asks for.
const ConnectGoal = 0.95
