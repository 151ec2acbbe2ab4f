package desk

import (
	"cmp"
	"container/heap"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Queue is the settings of one queue of the board. Zero values mean what Options says.
type Queue struct {
	Name       string
	Weight     int           // added to the priority of its callers: where operators serve several queues, the heavier goes first
	Strategy   Strategy      // among the operators of the same level
	Ring       time.Duration // how long an offer may ring
	WrapUp     time.Duration // 话后 time; an operator's own goes before it; negative none
	MaxWaiting int           // length limit

	// Widen is how long a caller waits for operators of each level before those of the next are rung too: level 1
	// after Widen, level 2 after twice that. Zero rings all levels from the start, the lowest that is ready first.
	Widen time.Duration
}

// Serves says that an operator serves a queue.
type Serves struct {
	Queue string
	Level int // 0 to MaxLevel: 0 is asked first
}

// MaxLevel is the highest level at which an operator may serve a queue; higher ones count as this.
const MaxLevel = 9

// queue is the settings in force for a queue.
func (f *floor) queueOf(name string) Queue {
	q := Queue{Name: name, Strategy: f.opt.Strategy, Ring: f.opt.Ring, MaxWaiting: f.opt.MaxWaiting, WrapUp: f.opt.WrapUp}
	for _, own := range f.opt.Queues {
		if own.Name != name {
			continue
		}
		q.Weight, q.Widen = own.Weight, own.Widen
		q.Strategy = cmp.Or(own.Strategy, q.Strategy)
		q.Ring = cmp.Or(own.Ring, q.Ring)
		q.MaxWaiting = cmp.Or(own.MaxWaiting, q.MaxWaiting)
		if own.WrapUp != 0 {
			q.WrapUp = max(own.WrapUp, 0)
		}
	}
	return q
}

// row is a queue with those who wait in it.
type row struct {
	Queue
	callers []*caller // all who wait, in order
}

// line is the callers of a row whom the same operators suit. Those who ring somebody already stand in it only where all
// operators ring.
type line struct {
	key   string
	row   *row
	need  []string // skills
	reach int      // highest level that may be rung
	idle  []*caller
}

// rowOf finds or makes the row of a queue.
func (f *floor) rowOf(name string) *row {
	r := f.rows[name]
	if r == nil {
		r = &row{Queue: f.queueOf(name)}
		f.rows[name] = r
	}
	return r
}

// level is at which level an operator serves a queue; ok is false when not at all. The queue without a name is
// everybody's: calls that are meant for one operator, whichever queues that one serves, go through it.
func (s *seat) level(queue string) (n int, ok bool) {
	for _, q := range s.Queues {
		if q.Queue == queue {
			return min(max(q.Level, 0), MaxLevel), true
		}
	}
	return 0, len(s.Queues) == 0 || queue == ""
}

// hasAll is true when an operator has all the skills.
func (s *seat) hasAll(skills []string) bool {
	for _, k := range skills {
		if !slices.Contains(s.Skills, k) {
			return false
		}
	}
	return true
}

// serves is true when the operator may take the callers of a line, those apart who exclude them.
func (s *seat) serves(l *line) bool {
	n, ok := s.level(l.row.Name)
	return ok && n <= l.reach && s.hasAll(l.need)
}

// need is the skills that a caller requires now.
func (w *caller) need() []string {
	if w.wider > 0 {
		return w.Widen[w.wider-1].Skills
	}
	return w.Skills
}

// last is the skills that a caller requires after the longest wait.
func (w *caller) last() []string {
	if n := len(w.Widen); n > 0 {
		return w.Widen[n-1].Skills
	}
	return w.Skills
}

// widens is when waiting changes who may take a caller; zero for never again.
func (w *caller) widens(q Queue) time.Time {
	var at time.Time
	if w.wider < len(w.Widen) {
		at = w.Since.Add(w.Widen[w.wider].After)
	}
	if q.Widen > 0 && w.reach < MaxLevel {
		if t := w.Since.Add(time.Duration(w.reach+1) * q.Widen); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// widen takes a caller to where waiting until now brings them.
func (w *caller) widen(q Queue, now time.Time) {
	for w.wider < len(w.Widen) && !now.Before(w.Since.Add(w.Widen[w.wider].After)) {
		w.wider++
	}
	if q.Widen <= 0 {
		w.reach = MaxLevel
		return
	}
	for w.reach < MaxLevel && !now.Before(w.Since.Add(time.Duration(w.reach+1)*q.Widen)) {
		w.reach++
	}
}

func lineKey(queue string, need []string, reach int) string {
	return queue + "\x00" + strconv.Itoa(reach) + "\x00" + strings.Join(need, "\x00")
}

// stand puts a waiting caller into the line of those whom the same operators suit, to be looked at by the next match.
func (f *floor) stand(w *caller) {
	r := w.row
	if !w.waiting || w.line != nil || len(w.offers) > 0 && r.Strategy != RingAll {
		return
	}
	key := lineKey(w.Queue, w.need(), w.reach)
	l := f.lines[key]
	if l == nil {
		need := slices.Clone(w.need())
		l = &line{key: key, row: r, need: need, reach: w.reach}
		f.lines[key] = l
	}
	i, _ := slices.BinarySearchFunc(l.idle, w, before)
	l.idle = slices.Insert(l.idle, i, w)
	w.line = l
	f.fresh = append(f.fresh, w)
}

// step takes a caller out of the line.
func (f *floor) step(w *caller) {
	l := w.line
	if l == nil {
		return
	}
	w.line = nil
	if i, ok := slices.BinarySearchFunc(l.idle, w, before); ok {
		l.idle = slices.Delete(l.idle, i, i+1)
	}
	if len(l.idle) == 0 {
		delete(f.lines, l.key)
	}
}

// touch notes that something about an operator changed: the next match looks whether they are free.
func (f *floor) touch(s *seat) {
	clear(f.duties)
	if !s.touched {
		s.touched = true
		f.touched = append(f.touched, s)
	}
}

// turns is a heap of the moments at which waiting changes who may take a caller. A caller who has left stays in it until
// the moment comes.
type turns []turn

type turn struct {
	at time.Time
	w  *caller
}

func (h turns) Len() int           { return len(h) }
func (h turns) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h turns) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *turns) Push(x any)        { *h = append(*h, x.(turn)) }
func (h *turns) Pop() any {
	old := *h
	n := len(old) - 1
	x := old[n]
	old[n] = turn{}
	*h = old[:n]
	return x
}

// await notes when waiting will change something for a caller.
func (f *floor) await(w *caller) {
	if at := w.widens(w.row.Queue); !at.IsZero() {
		heap.Push(&f.turns, turn{at, w})
	}
}

// nextTurn is the first moment of turns that is of somebody who waits.
func (f *floor) nextTurn() time.Time {
	for len(f.turns) > 0 && !f.turns[0].w.waiting {
		heap.Pop(&f.turns)
	}
	if len(f.turns) == 0 {
		return time.Time{}
	}
	return f.turns[0].at
}

// advance does what waiting has brought by now: more operators for callers, an end of pauses for operators.
func (f *floor) advance(now time.Time) {
	for at := f.nextTurn(); !at.IsZero() && !now.Before(at); at = f.nextTurn() {
		w := heap.Pop(&f.turns).(turn).w
		f.step(w)
		w.widen(w.row.Queue, now)
		f.stand(w)
		f.await(w)
	}
	paused := f.paused[:0]
	for _, s := range f.paused {
		switch {
		case s.state != Ready || s.notBefore.IsZero():
			s.isPaused = false
		case now.Before(s.notBefore):
			paused = append(paused, s)
		default:
			s.isPaused, s.notBefore = false, time.Time{}
			f.touch(s)
		}
	}
	clear(f.paused[len(paused):])
	f.paused = paused
	for _, s := range f.touched {
		s.touched = false
		if s.state == Ready && !s.notBefore.IsZero() {
			if now.Before(s.notBefore) {
				if !s.isPaused {
					s.isPaused = true
					f.paused = append(f.paused, s)
				}
			} else {
				s.notBefore = time.Time{}
			}
		}
		was := s.free
		s.free = s.state == Ready && s.registered && !s.removed && s.notBefore.IsZero() && f.seats[s.Extension] == s
		if s.free {
			f.freed = append(f.freed, s)
		}
		switch {
		case s.free && !was:
			f.nfree++
		case !s.free && was:
			f.nfree--
		}
	}
	clear(f.touched)
	f.touched = f.touched[:0]
}

// reindex builds all that is found by looking up from what is true: after the board was read, and when settings change.
func (f *floor) reindex() {
	f.rows, f.lines, f.turns, f.fresh = map[string]*row{}, map[string]*line{}, nil, nil
	for _, w := range f.queue {
		r := f.rowOf(w.Queue)
		w.row, w.line = r, nil
		r.callers = append(r.callers, w) // f.queue is in order
		if r.Widen <= 0 {
			w.reach = MaxLevel
		}
		f.stand(w)
		f.await(w)
	}
	f.paused, f.touched, f.freed, f.nfree = nil, nil, nil, 0
	for _, s := range f.order {
		s.free, s.touched, s.isPaused = false, false, false
		f.touch(s)
	}
}
