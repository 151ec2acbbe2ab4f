package flow

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Key is a key of the telephone: '0' to '9', '*', '#', or one of the two below.
type Key = rune

const (
	NoKey  Key = 0
	Urgent Key = '!' // 110 was keyed, or spoken where a recogniser listens
)

// ErrLost is returned by Walk when a caller has gone through more nodes than any sensible conversation has.
var ErrLost = errors.New("flow: too many steps in one call")

const mostSteps = 300

// Host is the world in which a flow is walked: a telephone line, or a terminal.
type Host interface {
	// Say plays prompts one after the other until the end or until a key is pressed, which it returns.
	Say(ctx context.Context, prompts []string) (Key, error)
	// Press waits for a key; NoKey when none came in time.
	Press(ctx context.Context, wait time.Duration) (Key, error)
	// Private is told before and after numbers are keyed in that must not be recorded.
	Private(on bool)
	// Set notes a field of the matter, or a collected number under its name.
	Set(field, value string)
	// Facts is what rules ask for.
	Facts(ctx context.Context) (Facts, error)
	// Digits is the prompts that speak a number digit by digit.
	Digits(number string) []string
	// Step is told of each step for the record: the node, and what happened there. Keys that a caller pressed are
	// never in it.
	Step(node, what string)
}

// Facts is the world at a moment.
type Facts struct {
	Now     time.Time // in the zone of the flow's hours
	Workday bool
	Holiday bool   // a statutory day off, weekends beside it included
	Staffed bool   // for any caller, where Duty is nil
	Caller  string // "anonymous", "known", "new"
	Number  string // of the caller as one would dial it from the city; empty when withheld
	Flags   []string

	Duty func(queue, skill string) (staffed bool, waiting int) // nil: nothing is known of queues
	Var  func(name string) string                              // a value that was noted; nil: none
}

// Walk goes from node at through everything that needs no more than prompts and keys, and returns the first node that
// needs more (queue, message, answer …). Its caller performs that node and walks on from Exit.
//
// A key pressed into a say that has no use for it is for the menu that follows: callers who know their way press it
// during the greeting.
func (f *Flow) Walk(ctx context.Context, h Host, at string) (*Node, error) {
	ahead := NoKey
	for range mostSteps {
		n := f.Nodes[at]
		h.Step(n.Name, n.Verb)
		if !walked[n.Verb] {
			return n, nil
		}
		next, err := f.step(ctx, h, n, &ahead)
		if err != nil {
			return nil, err
		}
		at = next
	}
	return nil, ErrLost
}

func (f *Flow) step(ctx context.Context, h Host, n *Node, ahead *Key) (string, error) {
	switch n.Verb {
	case "say":
		key, err := h.Say(ctx, n.Prompts)
		if err != nil {
			return "", err
		}
		if to := f.Exit(n, keyName(key)); key != NoKey && to != "" {
			return to, nil
		}
		if *ahead == NoKey {
			*ahead = key
		}
	case "menu":
		first := *ahead
		*ahead = NoKey
		return f.menu(ctx, h, n, first)
	case "collect":
		*ahead = NoKey
		return f.collect(ctx, h, n)
	case "set":
		facts, err := h.Facts(ctx)
		if err != nil {
			return "", err
		}
		for _, k := range sortedKeys(n.Fields) {
			h.Set(strings.TrimPrefix(k, "var."), facts.fill(n.Fields[k]))
		}
	case "when":
		facts, err := h.Facts(ctx)
		if err != nil {
			return "", err
		}
		for _, r := range n.Rules {
			if r.holds(facts) {
				h.Step(n.Name, r.String())
				return r.Go, nil
			}
		}
		return n.Exits["otherwise"], nil
	}
	return n.Exits["next"], nil
}

var mention = regexp.MustCompile(`\{([a-z][a-z0-9.-]*)\}`)

// mentions are the values that a text names in braces.
func mentions(text string) (names []string) {
	for _, m := range mention.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// fill puts values where a text names them in braces.
func (f Facts) fill(text string) string {
	return mention.ReplaceAllStringFunc(text, func(m string) string {
		if f.Var == nil {
			return ""
		}
		return f.Var(m[1 : len(m)-1])
	})
}

func keyName(k Key) string {
	if k == Urgent {
		return "110"
	}
	return string(k)
}

// Outcome is the name under which a key is looked up by Exit.
func Outcome(k Key) string { return keyName(k) }

func (f *Flow) menu(ctx context.Context, h Host, n *Node, first Key) (string, error) {
	wait, tries := n.Wait(6*time.Second), n.Tries(3)
	repeats := 0
	for try := 0; try < tries; try++ {
		key, err := first, error(nil)
		if first == NoKey {
			key, err = h.Say(ctx, n.Prompts)
		}
		first = NoKey
		if err == nil && key == NoKey {
			key, err = h.Press(ctx, wait)
		}
		if err != nil {
			return "", err
		}
		to := f.Exit(n, keyName(key))
		switch {
		case to == Repeat && repeats < 5:
			h.Step(n.Name, "重听")
			repeats++
			try--
			continue
		case key != NoKey && to != "" && to != Repeat:
			return to, nil
		}
		again := n.Lists["silent"]
		if key != NoKey {
			h.Step(n.Name, "按错")
			again = n.Lists["wrong"]
		} else {
			h.Step(n.Name, "未按键")
		}
		if try == tries-1 || len(again) == 0 {
			continue
		}
		// A key pressed into the apology is the next try's key.
		if key, err = h.Say(ctx, again); err != nil {
			return "", err
		}
		if to := f.Exit(n, keyName(key)); key != NoKey && to != "" && to != Repeat {
			return to, nil
		}
	}
	return n.Exits["otherwise"], nil
}

func (f *Flow) collect(ctx context.Context, h Host, n *Node) (string, error) {
	shortest, longest := max(n.Numbers["min"], 1), n.Numbers["max"]
	if longest == 0 {
		longest = 20
	}
	for try := 0; try < n.Tries(3); try++ {
		got, urgent, err := Collect(ctx, h, n.Prompts, longest, n.Wait(8*time.Second))
		switch {
		case err != nil:
			return "", err
		case urgent && f.Anywhere["110"] != "":
			return f.Anywhere["110"], nil
		case len(got) < shortest:
			h.Step(n.Name, "号码不完整")
			again := n.Lists["wrong"]
			if got == "" {
				again = n.Lists["silent"]
			}
			if _, err := h.Say(ctx, again); err != nil {
				return "", err
			}
			continue
		}
		if ask := n.Lists["confirm"]; len(ask) > 0 {
			say := append(slices.Clone(n.Lists["read"]), h.Digits(got)...)
			key, err := h.Say(ctx, append(say, ask...))
			if err == nil && key == NoKey {
				key, err = h.Press(ctx, n.Wait(8*time.Second))
			}
			if err != nil {
				return "", err
			}
			if key != '1' {
				if to := f.Anywhere[keyName(key)]; key != NoKey && to != "" {
					return to, nil
				}
				continue
			}
		}
		h.Set(n.Text["into"], got)
		h.Step(n.Name, "已输入")
		return n.Exits["next"], nil
	}
	return n.Exits["otherwise"], nil
}

// Collect takes a number by keys, ended by #, by the longest length or by silence; * starts anew. It tells the host
// that what comes is private. urgent is true when 110 was spoken: keys alone never count as that here.
func Collect(ctx context.Context, h Host, prompts []string, longest int, wait time.Duration) (number string, urgent bool, err error) {
	h.Private(true)
	defer h.Private(false)
	key, err := h.Say(ctx, prompts)
	var got []rune
	for {
		if err != nil {
			return "", false, err
		}
		switch {
		case key == Urgent:
			return "", true, nil
		case key == '#':
			return string(got), false, nil
		case key == '*':
			got = got[:0]
		case key != NoKey:
			got = append(got, key)
			if len(got) >= longest {
				return string(got), false, nil
			}
		}
		if key, err = h.Press(ctx, wait); err == nil && key == NoKey {
			return string(got), false, nil
		}
	}
}

// Wait is the node's wait:, or a default.
func (n *Node) Wait(def time.Duration) time.Duration { return n.Time("wait", def) }

// Time is an attribute that is a time, or a default.
func (n *Node) Time(name string, def time.Duration) time.Duration {
	if d, ok := n.Times[name]; ok {
		return d
	}
	return def
}

// Tries is the node's tries:, or a default; at least 1.
func (n *Node) Tries(def int) int {
	if t, ok := n.Numbers["tries"]; ok {
		return max(t, 1)
	}
	return def
}

// inArea says whether a number begins as an area does; "mobile" is every mobile number of the mainland.
func inArea(number, area string) bool {
	if area == "mobile" {
		return len(number) == 11 && number[0] == '1' && number[1] >= '3'
	}
	return number != "" && strings.HasPrefix(number, area)
}

func (r Rule) holds(f Facts) bool {
	switch r.Day {
	case "workday", "rest":
		if (r.Day == "workday") != f.Workday {
			return false
		}
	case "holiday":
		if !f.Holiday {
			return false
		}
	}
	if day := f.Now.Format(time.DateOnly); r.Date[0] != "" && (day < r.Date[0] || day > r.Date[1]) {
		return false
	}
	if r.Staffed != "" || r.Waiting > 0 {
		staffed, waiting := f.Staffed, 0
		if f.Duty != nil {
			staffed, waiting = f.Duty(r.Queue, r.Skill)
		}
		if r.Staffed != "" && (r.Staffed == "yes") != staffed || waiting < r.Waiting {
			return false
		}
	}
	if r.Flag != "" && !slices.Contains(f.Flags, r.Flag) {
		return false
	}
	if len(r.Area) > 0 && !slices.ContainsFunc(r.Area, func(a string) bool { return inArea(f.Number, a) }) {
		return false
	}
	if r.Var != "" && (f.Var == nil || f.Var(r.Var) != r.Is) {
		return false
	}
	if r.Caller != "" && r.Caller != f.Caller {
		return false
	}
	if r.From != "" {
		now := f.Now.Format("15:04")
		in := now >= r.From && now < r.To
		if r.From > r.To {
			in = now >= r.From || now < r.To
		}
		if !in {
			return false
		}
	}
	return true
}
