package flow

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Known is what a flow may refer to outside its file.
type Known struct {
	Prompt   func(key string) bool      // a recording is there
	Category func(category string) bool // a category of the knowledge base is there
	Kind     func(kind string) bool     // a kind of request that set may note
	Queue    func(name string) bool     // a queue is configured; nil: any name will do
	Host     func(host string) bool     // hooks may ask there (host or host:port); nil: nowhere
}

// Also are prompts that a verb plays by itself, beyond those the file names.
var Also = map[string][]string{
	"collect": {"menu.noinput"},
	"answer":  {"kb.choose", "kb.solved", "kb.reference", "kb.empty", "menu.wrong", "menu.noinput", "menu.return", "menu.person", "press.1", "press.2", "press.3", "press.4", "press.5", "press.6", "press.7", "press.8"},
	"kb": {"kb.menu", "kb.again", "kb.confirm", "kb.confirm.ask", "kb.offer", "kb.none", "kb.choose", "kb.solved", "kb.reference", "menu.wrong", "menu.noinput", "menu.return", "menu.person",
		"press.1", "press.2", "press.3", "press.4", "press.5", "press.6", "press.7", "press.8"},
	"progress": {"query.short", "query.notfound", "query.notyours", "query.giveup", "query.result", "query.due", "query.more", "menu.noinput", "d.0", "d.9"},
	"queue":    {"music.wait", "queue.ringing", "queue.ahead", "queue.ahead.tail", "queue.next", "queue.about", "queue.about.long", "queue.keep", "queue.keep.busy", "queue.retry", "operator.lost", "people.1", "minutes.1"},
	"message":  {"beep", "message.short", "message.limit", "message.confirm", "message.saved", "message.by", "message.by.tail", "ticket.number", "ticket.keep", "report.anonymous"},
	"record":   {"beep", "message.limit"},
	"question": {"menu.wrong", "menu.noinput"},
	"rate":     {"rating.wrong", "rating.thanks", "rating.sorry", "rating.none"},
}

// Check looks at everything outside the file that the flow and its sub-flows need. The error is a Problems.
func (f *Flow) Check(k Known) error {
	var bad Problems
	for _, name := range sortedKeys(f.Subs) {
		var more Problems
		if errors.As(f.Subs[name].Check(k), &more) {
			bad = append(bad, more...)
		}
	}
	fail := func(at pos, text string) {
		bad = append(bad, Problem{File: f.file, Line: at.line, Col: at.col, Text: text})
	}
	for _, key := range sortedKeys(f.promptAt) {
		if !k.Prompt(key) {
			fail(f.promptAt[key], "there is no prompt "+key)
		}
	}
	for _, name := range f.Order {
		n := f.Nodes[name]
		if kind := n.Fields["kind"]; kind != "" && !k.Kind(kind) {
			fail(n.at, "node "+name+": there is no kind of request "+kind)
		}
		for _, key := range Also[n.Verb] {
			if !k.Prompt(key) {
				fail(n.at, "node "+name+": "+n.Verb+" plays the prompt "+key+", which is not there")
			}
		}
		if n.Verb == "queue" && n.Text["name"] != "" && k.Queue != nil && !k.Queue(n.Text["name"]) {
			fail(n.at, "node "+name+": there is no queue "+n.Text["name"])
		}
		for _, r := range n.Rules {
			if r.Queue != "" && k.Queue != nil && !k.Queue(r.Queue) {
				fail(r.at, "node "+name+": there is no queue "+r.Queue)
			}
		}
		if n.Verb == "hook" {
			if u, err := url.Parse(n.Value); err != nil || k.Host == nil || !k.Host(u.Host) {
				fail(n.at, "node "+name+": hooks may not ask "+u.Host+"; the configuration names the hosts that they may")
			}
		}
		if n.Verb == "call" && f.Subs[n.Value] == nil {
			fail(n.at, "node "+name+": there is no flow "+n.Value)
		}
		if n.Verb == "answer" && !k.Category(n.Value) {
			fail(n.at, "node "+name+": the knowledge base has no category "+n.Value)
		}
	}
	return bad.err()
}

// fromOutside are values that are there without being noted by the flow: what called it may have given them.
var fromOutside = map[string]bool{"caller": true, "number": true, "ticket": true, "now": true, "said": true}

// values checks that what is spoken, asked and sent is noted somewhere. A flow with a hook, one that is called and one
// that calls others may get values from there.
func (p *parser) values() {
	for _, n := range p.f.Nodes {
		if n.Verb == "hook" || n.Verb == "call" || n.Verb == "return" {
			return
		}
	}
	for _, name := range sortedKeys(p.read) {
		if !p.written[name] && !fromOutside[name] && !strings.HasPrefix(name, "given.") {
			p.fail(p.read[name], "nothing notes the value %q", name)
		}
	}
}

// graph checks targets, reachability, endless circles and dead ends.
func (p *parser) graph() {
	f := p.f
	for _, name := range f.Order {
		n := f.Nodes[name]
		n.each(func(label, to string) {
			if to == Repeat && (n.Verb == "menu" || n.Verb == "queue" || n.Verb == "hear") && n.isKey(to) {
				return
			}
			if f.Nodes[to] == nil {
				p.fail(n.at, "node %s: %s leads to %q, which is not there%s", name, label, to, p.like(to))
			}
		})
	}
	for _, k := range sortedKeys(f.Anywhere) {
		if f.Nodes[f.Anywhere[k]] == nil {
			p.fail(pos{1, 1}, "anywhere: %s leads to %q, which is not there%s", k, f.Anywhere[k], p.like(f.Anywhere[k]))
		}
	}
	if len(p.bad) > 0 {
		return
	}

	reached := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if name == Repeat || reached[name] {
			return
		}
		reached[name] = true
		f.Nodes[name].each(func(_, to string) { visit(to) })
	}
	visit(f.Start)
	for _, to := range f.Anywhere {
		visit(to)
	}
	for _, name := range f.Order {
		if !reached[name] {
			p.fail(f.Nodes[name].at, "node %s: nothing leads here", name)
		}
	}

	// A way out: every node must be able to come to a hangup, and no circle may run without waiting for somebody.
	way := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for _, name := range f.Order {
			n := f.Nodes[name]
			if way[name] {
				continue
			}
			ok := ends[n.Verb]
			n.each(func(_, to string) { ok = ok || way[to] })
			if ok {
				way[name], changed = true, true
			}
		}
	}
	for _, name := range f.Order {
		if !way[name] {
			p.fail(f.Nodes[name].at, "node %s: no way leads from here to a hangup", name)
		}
	}
	state := map[string]int{} // 1 on the path, 2 done
	var path []string
	var circle func(string) bool
	circle = func(name string) bool {
		if name == Repeat || blocking[f.Nodes[name].Verb] {
			return false
		}
		switch state[name] {
		case 1:
			i := slices.Index(path, name)
			p.fail(f.Nodes[name].at, "node %s: goes round for ever without waiting for the caller (%v)", name, path[i:])
			return true
		case 2:
			return false
		}
		state[name] = 1
		path = append(path, name)
		found := false
		f.Nodes[name].each(func(_, to string) { found = found || circle(to) })
		path = path[:len(path)-1]
		state[name] = 2
		return found
	}
	for _, name := range f.Order {
		if circle(name) {
			return
		}
	}
}

func (n *Node) isKey(to string) bool {
	for _, t := range n.Keys {
		if t == to {
			return true
		}
	}
	return false
}
