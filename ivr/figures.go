package ivr

import (
	"fmt"
	"time"

	"lianxin/storage"
)

// ShortWait is the wait up to which an abandoned call is counted apart: the caller hardly waited at all.
const ShortWait = 5 * time.Second

// LevelWait is the wait within which a caller should reach an operator (GB/T 33358-2016: 15 s).
const LevelWait = 15 * time.Second

// Figures are the service figures of a span of time (domain model §9: 接通率, 15秒接通率, 放弃率).
type Figures struct {
	Calls      int // came in
	Up         int // of them still up
	Bot        int // served by the bot alone
	Menu       int // hung up in the menus
	Cancelled  int // hung up before we answered
	TurnedAway int
	Broken     int // interrupted, failed

	Offered   int // asked for an operator
	Answered  int // reached one
	InLevel   int // … within LevelWait
	Abandoned int // gave up waiting, ShortWait and less left out
	Short     int // gave up within ShortWait
	Messages  int // left a message instead
	Promised  int // asked for a call-back instead
	Waiting   int // still in the queue or ringing
	Passed    int // of one queue: led on to another, a message or a call-back, because nobody was there, it took too long, or by a key

	WaitAnswered time.Duration // sum over Answered
	WaitLonger   time.Duration // longest wait of an answered call
	Talk         time.Duration // sum
	Rated        int
	RatedBad     int // 4 or 5
}

// base is what rates are of: those who asked for an operator, without those who gave up at once.
func (f Figures) base() int { return f.Offered - f.Short - f.Waiting }

func share(n, of int) (float64, bool) {
	if of <= 0 {
		return 0, false
	}
	return float64(n) / float64(of), true
}

// ConnectRate is 接通率, answered of offered; false when nobody asked.
func (f Figures) ConnectRate() (float64, bool) { return share(f.Answered, f.base()) }

// Level is 15秒接通率.
func (f Figures) Level() (float64, bool) { return share(f.InLevel, f.base()) }

// AbandonRate is 放弃率.
func (f Figures) AbandonRate() (float64, bool) { return share(f.Abandoned, f.base()) }

// AverageWait is the average wait of answered calls.
func (f Figures) AverageWait() time.Duration {
	if f.Answered == 0 {
		return 0
	}
	return f.WaitAnswered / time.Duration(f.Answered)
}

// AverageTalk is the average talk.
func (f Figures) AverageTalk() time.Duration {
	if f.Answered == 0 {
		return 0
	}
	return f.Talk / time.Duration(f.Answered)
}

// Figures counts the calls that started in [from, to). Every count equals the length of the list that Filter gives for
// it (invariant I22).
func (c Calls) Figures(tx *storage.Tx, from, to time.Time) (Figures, error) {
	f, err := storage.One(tx, func(r storage.Row) (Figures, error) { return scanFigures(r) },
		`SELECT `+figureColumns+` FROM call WHERE started >= $1 AND started < $2 AND direction = 'in'`,
		storage.At(from), storage.At(to), LevelWait.Milliseconds(), ShortWait.Milliseconds())
	if err != nil {
		return f, fmt.Errorf("figures of calls: %w", err)
	}
	return f, nil
}

// figureColumns are the sums that scanFigures reads; $3 is LevelWait and $4 ShortWait, in milliseconds.
const figureColumns = `COUNT(*),
		COALESCE(SUM(CASE WHEN ended IS NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'bot' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'menu' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'cancelled' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'turned_away' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition IN ('interrupted', 'failed') THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN queued IS NOT NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN connected IS NOT NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN connected IS NOT NULL AND connected - queued <= $3 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'abandoned' AND queued IS NOT NULL AND ended - queued > $4 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'abandoned' AND queued IS NOT NULL AND ended - queued <= $4 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'message' AND queued IS NOT NULL AND connected IS NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN disposition = 'callback' THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN queued IS NOT NULL AND connected IS NULL AND ended IS NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN connected IS NOT NULL THEN connected - queued ELSE 0 END), 0),
		COALESCE(MAX(CASE WHEN connected IS NOT NULL THEN connected - queued ELSE 0 END), 0),
		COALESCE(SUM(talk_ms), 0),
		COALESCE(SUM(CASE WHEN rating > 0 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN rating >= 4 THEN 1 ELSE 0 END), 0)`

// scanFigures reads figureColumns, after columns that stand before them.
func scanFigures(r storage.Row, before ...any) (f Figures, err error) {
	var wait, longest, talk int64
	err = r.Scan(append(before, &f.Calls, &f.Up, &f.Bot, &f.Menu, &f.Cancelled, &f.TurnedAway, &f.Broken,
		&f.Offered, &f.Answered, &f.InLevel, &f.Abandoned, &f.Short, &f.Messages, &f.Promised, &f.Waiting,
		&wait, &longest, &talk, &f.Rated, &f.RatedBad)...)
	f.WaitAnswered, f.WaitLonger, f.Talk = time.Duration(wait)*time.Millisecond, time.Duration(longest)*time.Millisecond, time.Duration(talk)*time.Millisecond
	return f, err
}
