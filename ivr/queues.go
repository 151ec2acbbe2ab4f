package ivr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"lianxin/desk"
	"lianxin/ivr/flow"
	"lianxin/workday"
)

// DefaultQueue is the queue of callers for whom the flow names no other.
const DefaultQueue = "hotline"

// Queue is one queue of callers: how the board serves it, and what its callers may expect.
type Queue struct {
	desk.Queue
	Title     string        // for staff (zh-CN)
	KeepPlace time.Duration // a caller who gave up and rings again within it keeps the place; 0: none
	Hold      time.Duration // how long a caller who asked for a call-back keeps the place; 0: the place is not kept
	Unmanned  time.Duration // how long nobody may be on duty in open hours before that is an alert; 0: never
	Open      []Span        // when somebody answers; none: always
}

// Span is hours on some days.
type Span struct {
	Day      string // "workday", "rest", or empty for all
	From, To string // HH:MM, half-open; may span midnight
}

// Queues is the file of queues, checked. It does not change.
type Queues struct {
	list []Queue // by name
}

// All lists the queues by name.
func (q *Queues) All() []Queue { return slices.Clone(q.list) }

// Desk is what the board needs to know.
func (q *Queues) Desk() []desk.Queue {
	var out []desk.Queue
	for _, x := range q.list {
		out = append(out, x.Queue)
	}
	return out
}

// Title is what staff call a queue; its name when it is not in the file.
func (q *Queues) Title(name string) string {
	if x := q.get(name); x != nil {
		return x.Title
	}
	return name
}

// Get finds a queue.
func (q *Queues) Get(name string) (Queue, bool) {
	if x := q.get(name); x != nil {
		return *x, true
	}
	return Queue{}, false
}

func (q *Queues) get(name string) *Queue {
	if q == nil {
		return nil
	}
	for i := range q.list {
		if q.list[i].Name == name {
			return &q.list[i]
		}
	}
	return nil
}

// OpenAt says whether the queue is answered at a moment of the bureau's zone.
func (q Queue) OpenAt(now time.Time, c *workday.Calendar) bool {
	if len(q.Open) == 0 {
		return true
	}
	now = now.In(workday.Zone)
	at := now.Format("15:04")
	for _, s := range q.Open {
		day := workday.DayOf(now)
		if s.From > s.To && at < s.To { // the small hours belong to the evening before
			day--
		} else if s.From > s.To && at < s.From || s.From <= s.To && (at < s.From || at >= s.To) {
			continue
		}
		if s.Day == "" || (s.Day == "workday") == c.IsWorkday(day) {
			return true
		}
	}
	return false
}

// LoadQueues reads the queues: from dir/queues.yaml when that is there, else those that ship with the program. dir may be empty. The
// error is a flow.Problems with the line and column of each mistake.
func LoadQueues(dir string) (*Queues, error) {
	if dir != "" {
		file := filepath.Join(dir, queuesFile)
		b, err := os.ReadFile(file)
		if err == nil {
			return ParseQueues(file, b)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("load queues: %w", err)
		}
	}
	b, err := flows.ReadFile("flows/" + queuesFile)
	if err != nil {
		return nil, fmt.Errorf("load queues: %w", err)
	}
	return ParseQueues(queuesFile, b)
}

const queuesFile = "queues.yaml"

var (
	queueName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	openSpan  = regexp.MustCompile(`^(?:(workday|rest) )?([01]\d|2[0-3]):([0-5]\d)-(([01]\d|2[0-3]):[0-5]\d|24:00)$`)
)

// ParseQueues reads a file of queues.
func ParseQueues(file string, b []byte) (*Queues, error) {
	p := &queueParser{file: file}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, flow.Problems{{File: file, Line: 1, Col: 1, Text: err.Error()}}
	}
	if len(doc.Content) > 0 && doc.Content[0].Kind == yaml.MappingNode {
		p.pairs(doc.Content[0], func(k, v *yaml.Node) {
			if k.Value != "queues" || v.Kind != yaml.MappingNode {
				p.fail(k, "expected queues and their settings, got %q", k.Value)
				return
			}
			p.pairs(v, p.queue)
		})
	}
	if len(p.q.list) == 0 && len(p.bad) == 0 {
		p.bad = append(p.bad, flow.Problem{File: file, Line: 1, Col: 1, Text: "no queue is there; expected queues: {hotline: …}"})
	}
	if p.q.get(DefaultQueue) == nil && len(p.bad) == 0 {
		p.bad = append(p.bad, flow.Problem{File: file, Line: 1, Col: 1, Text: "the queue " + DefaultQueue + " is missing: callers wait in it for whom the flow names no other"})
	}
	if len(p.bad) > 0 {
		return nil, p.bad
	}
	slices.SortFunc(p.q.list, func(a, b Queue) int { return strings.Compare(a.Name, b.Name) })
	return &p.q, nil
}

type queueParser struct {
	file string
	q    Queues
	bad  flow.Problems
}

func (p *queueParser) fail(n *yaml.Node, format string, args ...any) {
	p.bad = append(p.bad, flow.Problem{File: p.file, Line: n.Line, Col: n.Column, Text: fmt.Sprintf(format, args...)})
}

func (p *queueParser) pairs(n *yaml.Node, fn func(k, v *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || seen[k.Value] {
			p.fail(k, "%q is there twice or is no word", k.Value)
			continue
		}
		seen[k.Value] = true
		fn(k, v)
	}
}

func (p *queueParser) queue(k, v *yaml.Node) {
	q := Queue{Queue: desk.Queue{Name: k.Value}, Title: k.Value}
	if !queueName.MatchString(k.Value) {
		p.fail(k, "queue name %q: expected lower-case letters, digits and hyphens", k.Value)
	}
	if v.Kind != yaml.MappingNode {
		p.fail(v, "queue %s: expected settings", k.Value)
		return
	}
	p.pairs(v, func(k, v *yaml.Node) { p.setting(&q, k, v) })
	p.q.list = append(p.q.list, q)
}

func (p *queueParser) setting(q *Queue, k, v *yaml.Node) {
	length := func(most time.Duration) time.Duration {
		d, err := time.ParseDuration(v.Value)
		if err != nil || d < 0 || d > most {
			p.fail(v, "queue %s: %s: expected a time such as 30s or 10m up to %v, got %q", q.Name, k.Value, most, v.Value)
		}
		return d
	}
	number := func(least, most int) int {
		var n int
		if _, err := fmt.Sscanf(v.Value, "%d", &n); err != nil || n < least || n > most || fmt.Sprint(n) != v.Value {
			p.fail(v, "queue %s: %s: expected a whole number from %d to %d, got %q", q.Name, k.Value, least, most, v.Value)
		}
		return n
	}
	switch k.Value {
	case "title":
		if q.Title = strings.TrimSpace(v.Value); q.Title == "" {
			p.fail(v, "queue %s: title: expected a text", q.Name)
		}
	case "weight":
		q.Weight = number(-1000, 1000)
	case "strategy":
		q.Strategy = desk.Strategy(v.Value)
		if all := []desk.Strategy{desk.LongestIdle, desk.FewestCalls, desk.RoundRobin, desk.Linear, desk.RingAll}; !slices.Contains(all, q.Strategy) {
			p.fail(v, "queue %s: strategy: expected one of longest-idle, fewest-calls, round-robin, linear, ring-all, got %q", q.Name, v.Value)
		}
	case "ring":
		if q.Ring = length(5 * time.Minute); q.Ring < time.Second {
			p.fail(v, "queue %s: ring: expected at least 1s, got %q", q.Name, v.Value)
		}
	case "wrap-up":
		if q.WrapUp = length(time.Hour); q.WrapUp == 0 {
			q.WrapUp = -1
		}
	case "most":
		q.MaxWaiting = number(1, 1_000_000)
	case "widen":
		q.Widen = length(time.Hour)
	case "keep-place":
		q.KeepPlace = length(24 * time.Hour)
	case "hold":
		q.Hold = length(24 * time.Hour)
	case "unmanned":
		q.Unmanned = length(24 * time.Hour)
	case "open":
		list := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			list = v.Content
		}
		for _, e := range list {
			m := openSpan.FindStringSubmatch(e.Value)
			if m == nil {
				p.fail(e, "queue %s: open: expected hours such as 08:00-18:00, workday 08:00-18:00 or rest 09:00-17:00, got %q", q.Name, e.Value)
				continue
			}
			q.Open = append(q.Open, Span{Day: m[1], From: m[2] + ":" + m[3], To: m[4]})
		}
	default:
		p.fail(k, "queue %s: unknown setting %q; expected title, weight, strategy, ring, wrap-up, most, widen, keep-place, hold, unmanned or open", q.Name, k.Value)
	}
}

// Put puts a flow and settings of queues in force together, for calls from now on; callers who wait stay where they stand. What does
// not fit together, or needs what is not there, is refused as a whole with a flow.Problems, and the old goes on.
func (h *Hotline) Put(ctx context.Context, f *flow.Flow, q *Queues) error {
	k := h.known()
	k.Queue = func(name string) bool { return q.get(name) != nil }
	if err := f.Check(k); err != nil {
		return fmt.Errorf("flow %s: %w", f.Name, err)
	}
	if err := h.cfg.Board.Configure(ctx, q.Desk()); err != nil && !errors.Is(err, desk.ErrDown) { // a board that comes back is told by its next change
		return fmt.Errorf("settings of queues: %w", err)
	}
	h.queues.Store(q)
	h.flow.Store(f)
	return nil
}

// Queues are the settings in force.
func (h *Hotline) Queues() *Queues { return h.queues.Load() }

// queue is the settings of the queue of a node.
func (h *Hotline) queue(n *flow.Node) Queue {
	name := n.Text["name"]
	if name == "" {
		name = DefaultQueue
	}
	if q := h.queues.Load().get(name); q != nil {
		return *q
	}
	return Queue{Queue: desk.Queue{Name: name}, Title: name}
}
