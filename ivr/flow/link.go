package flow

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Link finds the flows that f calls, and those that they call, and checks what lies between the files: that they are there, that
// none comes back to itself, that every outcome leads somewhere. It returns f with its sub-flows; its version tells of all of
// them. find returns fs.ErrNotExist for a flow that is not there. The error is a Problems.
//
// Keys that work anywhere in f work in its sub-flows too, unless those use them themselves.
func (f *Flow) Link(find func(name string) (*Flow, error)) (*Flow, error) {
	l := &linker{find: find, root: f, subs: map[string]*Flow{}}
	l.follow(f, []string{f.Name})
	for _, name := range f.Order {
		if n := f.Nodes[name]; n.Verb == "return" {
			l.fail(f, n.at, "node %s: return, but nothing calls this flow", name)
		}
	}
	if err := l.bad.err(); err != nil {
		return nil, err
	}
	root := *f
	root.Subs = map[string]*Flow{}
	text := slices.Clone(f.text)
	for _, name := range sortedKeys(l.subs) {
		root.Subs[name] = l.subs[name].within(f)
		text = append(append(append(text, 0), name...), l.subs[name].text...)
	}
	if len(root.Subs) > 0 {
		stated, _, _ := strings.Cut(f.Version, "+")
		root.Version = version(stated, text)
	}
	return &root, nil
}

type linker struct {
	find func(string) (*Flow, error)
	root *Flow
	subs map[string]*Flow
	bad  Problems
}

func (l *linker) fail(f *Flow, at pos, format string, args ...any) {
	l.bad = append(l.bad, Problem{File: f.file, Line: at.line, Col: at.col, Text: fmt.Sprintf(format, args...)})
}

func (l *linker) follow(f *Flow, path []string) {
	for _, name := range f.Order {
		n := f.Nodes[name]
		if n.Verb != "call" {
			continue
		}
		if slices.Contains(path, n.Value) {
			l.fail(f, n.at, "node %s: calls %s, which is being gone through (%s)", name, n.Value, strings.Join(append(slices.Clone(path), n.Value), " → "))
			continue
		}
		sub := l.subs[n.Value]
		if sub == nil {
			var err error
			sub, err = l.find(n.Value)
			var ps Problems
			switch {
			case errors.Is(err, fs.ErrNotExist):
				l.fail(f, n.at, "node %s: there is no flow %s", name, n.Value)
			case errors.As(err, &ps):
				l.bad = append(l.bad, ps...)
			case err != nil:
				l.fail(f, n.at, "node %s: flow %s: %v", name, n.Value, err)
			case sub.Name != n.Value:
				l.fail(f, n.at, "node %s: the file %s says that it is the flow %s", name, n.Value, sub.Name)
				sub = nil
			}
			if err != nil || sub == nil {
				continue
			}
			l.subs[n.Value] = sub
			l.follow(sub, append(slices.Clone(path), n.Value))
		}
		outcomes := map[string]bool{}
		for _, x := range sub.Order {
			if r := sub.Nodes[x]; r.Verb == "return" {
				outcomes[r.Value] = true
				if n.Exits[r.Value] == "" {
					l.fail(f, n.at, "node %s: flow %s may return %q, which leads nowhere", name, n.Value, r.Value)
				}
			}
		}
		for _, exit := range sortedKeys(n.Exits) {
			if !outcomes[exit] {
				l.fail(f, n.at, "node %s: flow %s never returns %q", name, n.Value, exit)
			}
		}
	}
}

// within is a sub-flow with ways out for the keys that work anywhere in the flow around it.
func (f *Flow) within(root *Flow) *Flow {
	in := *f
	in.Anywhere, in.Nodes = maps.Clone(f.Anywhere), maps.Clone(f.Nodes)
	for key := range root.Anywhere {
		if in.Anywhere[key] == "" {
			name := "^" + key
			in.Anywhere[key] = name
			in.Nodes[name] = &Node{Name: name, Verb: escape, Value: key}
		}
	}
	return &in
}

// Escapes says whether a key that works anywhere leads out of this flow into the one around it.
func (f *Flow) Escapes(key string) bool { return strings.HasPrefix(f.Anywhere[key], "^") }

// Files are the texts of the flow and its sub-flows, by name.
func (f *Flow) Files() map[string]string {
	files := map[string]string{f.Name: string(f.text)}
	for name, sub := range f.Subs {
		files[name] = string(sub.text)
	}
	return files
}

// SubNames are the names of the flows that this one calls, in order.
func (f *Flow) SubNames() []string { return sortedKeys(f.Subs) }
