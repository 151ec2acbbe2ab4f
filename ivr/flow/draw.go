package flow

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"lianxin/ivr/say"
)

// Draw is the flow as text: each node with what it does and where it leads, in the order in which a caller may come
// to it.
func (f *Flow) Draw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s  %s\n", f.Name, f.Version, f.Title)
	for _, k := range sortedKeys(f.Anywhere) {
		fmt.Fprintf(&b, "随时按 %s → %s\n", k, f.Anywhere[k])
	}
	for _, name := range f.order() {
		n := f.Nodes[name]
		fmt.Fprintf(&b, "\n[%s] %s", name, n.Verb)
		if n.Value != "" {
			fmt.Fprintf(&b, " %s", n.Value)
		}
		if len(n.Prompts) > 0 {
			fmt.Fprintf(&b, " %s", strings.Join(n.Prompts, " "))
		}
		for _, k := range sortedKeys(n.Fields) {
			fmt.Fprintf(&b, " %s=%s", k, n.Fields[k])
		}
		b.WriteString("\n")
		type way struct{ label, to string }
		var ways []way
		n.each(func(label, to string) { ways = append(ways, way{label, to}) })
		for i, w := range ways {
			edge := "├─"
			if i == len(ways)-1 {
				edge = "└─"
			}
			fmt.Fprintf(&b, "  %s %s → %s\n", edge, w.label, w.to)
		}
	}
	return b.String()
}

// order are the names of the nodes in the order in which a caller may come to them.
func (f *Flow) order() (names []string) {
	queue := []string{f.Start}
	for _, k := range sortedKeys(f.Anywhere) {
		queue = append(queue, f.Anywhere[k])
	}
	for seen := map[string]bool{Repeat: true}; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] || f.Nodes[queue[0]] == nil {
			continue
		}
		seen[queue[0]] = true
		names = append(names, queue[0])
		f.Nodes[queue[0]].each(func(_, to string) { queue = append(queue, to) })
	}
	return names
}

// Spoken are the prompts of the nodes that speak, in the order in which a caller may hear them.
func (f *Flow) Spoken() (list [][]string) {
	for _, name := range f.order() {
		if p := f.Nodes[name].Prompts; len(p) > 0 {
			list = append(list, p)
		}
	}
	return list
}

// Try plays a call as text: out shows what the caller would hear, in gives one line per chance to press keys (an empty
// line is silence). Where people, records or other programs would be needed it asks for the outcome, after which values may be noted:
// "next fee=12.50". text gives the words of a prompt.
func (f *Flow) Try(ctx context.Context, in io.Reader, out io.Writer, text func(prompt string) string, facts Facts) error {
	t := &terminal{in: bufio.NewScanner(in), out: out, text: text, facts: facts, vars: map[string]string{}}
	t.facts.Var = func(name string) string { return t.vars[name] }
	type frame struct {
		flow *Flow
		node *Node
	}
	var stack []frame
	root, at := f, f.Start
	for {
		n, err := f.Walk(ctx, t, at)
		if err != nil {
			return err
		}
		if _, err := t.Say(ctx, n.Prompts); err != nil {
			return err
		}
		switch n.Verb {
		case "hangup":
			fmt.Fprintln(out, "（挂机）")
			return nil
		case "call":
			stack = append(stack, frame{f, n})
			if f = root.Subs[n.Value]; f == nil {
				return fmt.Errorf("there is no flow %s", n.Value)
			}
			at = f.Start
			continue
		case "return":
			if len(stack) == 0 {
				return fmt.Errorf("node %s: nothing called this flow", n.Name)
			}
			back := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			f, at = back.flow, back.flow.Exit(back.node, n.Value)
			continue
		case escape:
			for f.Escapes(n.Value) && len(stack) > 0 {
				f = stack[len(stack)-1].flow
				stack = stack[:len(stack)-1]
			}
			at = f.Anywhere[n.Value]
			continue
		}
		var ways []string
		n.each(func(label, _ string) { ways = append(ways, strings.TrimPrefix(label, "按 ")) })
		for {
			fmt.Fprintf(out, "〔%s〕结果？%s\n> ", n.Verb, strings.Join(ways, " / "))
			line, err := t.line()
			if err != nil {
				return err
			}
			line, values, _ := strings.Cut(line, " ")
			if to := f.Exit(n, line); to != "" && (slices.Contains(ways, line) || f.Anywhere[line] != "") {
				for pair := range strings.FieldsSeq(values) { // what a hook or a question would have noted
					if name, value, ok := strings.Cut(pair, "="); ok {
						t.Set(name, value)
					}
				}
				at = to
				break
			}
			if n.Verb == "hear" { // anything that is said
				said := strings.TrimSpace(line + " " + values)
				if i := slices.IndexFunc(n.Words, func(x Spoken) bool {
					return slices.ContainsFunc(x.Words, func(w string) bool { return said != "" && strings.Contains(said, w) })
				}); i >= 0 {
					at = n.Words[i].Go
					break
				}
			}
		}
	}
}

type terminal struct {
	in    *bufio.Scanner
	out   io.Writer
	text  func(string) string
	facts Facts
	vars  map[string]string
	keys  []rune
}

func (t *terminal) line() (string, error) {
	if !t.in.Scan() {
		if err := t.in.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	return strings.TrimSpace(t.in.Text()), nil
}

func (t *terminal) Say(_ context.Context, prompts []string) (Key, error) {
	for _, p := range prompts {
		if say.IsExpression(p) {
			keys, faults := say.Expand([]string{p}, t.facts.Var, t.facts.Now)
			for _, err := range faults {
				fmt.Fprintf(t.out, "  （%v）\n", err)
			}
			p = say.Text(keys)
			fmt.Fprintf(t.out, "  %s\n", p)
			continue
		}
		fmt.Fprintf(t.out, "  %s\n", t.text(p))
	}
	return t.pop(), nil
}

func (t *terminal) pop() Key {
	if len(t.keys) == 0 {
		return NoKey
	}
	k := t.keys[0]
	t.keys = t.keys[1:]
	return k
}

func (t *terminal) Press(_ context.Context, _ time.Duration) (Key, error) {
	if k := t.pop(); k != NoKey {
		return k, nil
	}
	fmt.Fprint(t.out, "> ")
	line, err := t.line()
	if err != nil {
		return NoKey, err
	}
	if line == "110" {
		return Urgent, nil
	}
	for _, r := range line {
		if strings.ContainsRune("0123456789*#", r) {
			t.keys = append(t.keys, r)
		}
	}
	return t.pop(), nil
}

func (t *terminal) Private(bool) {}
func (t *terminal) Set(field, value string) {
	t.vars[field] = value
	fmt.Fprintf(t.out, "  （%s = %s）\n", field, value)
}
func (t *terminal) Facts(context.Context) (Facts, error) { return t.facts, nil }
func (t *terminal) Step(node, what string)               { fmt.Fprintf(t.out, "[%s %s]\n", node, what) }
func (t *terminal) Digits(number string) []string        { return []string{number} }
