// Command measure tells how well package match finds repeats and groups in a folder of labelled requests: messages.jsonl
// ({"id","user","title","time","text"}), clusters_dev.jsonl ({"cluster","kind","id"}) and same_user_pairs_dev.jsonl
// ({"a","b","jaccard"}). A second argument names a file of pairs that a reader judged to be different matters ("a b" a line).
// It prints figures only, never a text.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lianxin/ticket/match"
	"lianxin/workday"
)

type message struct {
	ID, User, Title, Time, Text string
}

func lines[T any](path string) []T {
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer f.Close()
	var out []T
	in := bufio.NewScanner(f)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		var v T
		if err := json.Unmarshal(in.Bytes(), &v); err != nil {
			fmt.Fprintln(os.Stderr, path, err)
			os.Exit(1)
		}
		out = append(out, v)
	}
	return out
}

type cluster struct{ Cluster, Kind, ID string }
type labelled struct {
	A, B    string
	Jaccard float64
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: measure FOLDER [FILE-OF-DIFFERENT-PAIRS]")
		os.Exit(2)
	}
	dir := os.Args[1]
	messages := lines[message](filepath.Join(dir, "messages.jsonl"))
	var docs []match.Doc
	for _, m := range messages {
		at, err := time.ParseInLocation("2006-01-02T15:04:05", m.Time, workday.Zone)
		if err != nil {
			fmt.Fprintln(os.Stderr, m.ID, err)
			os.Exit(1)
		}
		docs = append(docs, match.Doc{ID: m.ID, Party: m.User, At: at, Title: m.Title, Text: m.Text})
	}
	slices.SortStableFunc(docs, func(a, b match.Doc) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	rules := match.DefaultRules()
	began := time.Now()
	g := match.NewGrouper(rules)
	found := map[[2]string]match.Pair{}
	repeats, matters := 0, 0
	type event struct {
		id    string
		fresh bool
		group *match.Group
	}
	var events []event
	for _, d := range docs {
		pairs, group, fresh := g.Take(d)
		for _, p := range pairs {
			found[key(p.ID, p.Earlier)] = p
			if p.Kind == match.Repeat {
				repeats++
			} else {
				matters++
			}
		}
		events = append(events, event{d.ID, fresh, group})
	}
	fmt.Printf("%d messages in %v: %d repeat links, %d same-matter suggestions, %d groups\n", len(docs), time.Since(began).Round(time.Millisecond), repeats, matters, len(g.Groups()))

	// Repeats: the given pairs, all read as the same matter but those that the second file names.
	different := map[[2]string]bool{}
	if len(os.Args) > 2 {
		b, err := os.ReadFile(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		for _, l := range strings.Split(string(b), "\n") {
			if f := strings.Fields(l); len(f) >= 2 {
				different[key(f[0], f[1])] = true
			}
		}
	}
	given := lines[labelled](filepath.Join(dir, "same_user_pairs_dev.jsonl"))
	var same, auto, autoOK, suggest, suggestOK, baseAuto, baseAutoOK, baseSuggest, baseSuggestOK int
	for _, p := range given {
		ok := !different[key(p.A, p.B)]
		if ok {
			same++
		}
		count := func(hit bool, n, good *int) {
			if hit {
				*n++
				if ok {
					*good++
				}
			}
		}
		f, there := found[key(p.A, p.B)]
		count(there && f.Auto, &auto, &autoOK)
		count(there && f.Kind == match.Repeat, &suggest, &suggestOK)
		count(p.Jaccard >= 0.6, &baseAuto, &baseAutoOK)
		count(p.Jaccard >= 0.25, &baseSuggest, &baseSuggestOK)
	}
	rate := func(name string, n, good int) {
		fmt.Printf("  %-34s %4d found, precision %.3f, recall %.3f\n", name, n, div(good, n), div(good, same))
	}
	fmt.Printf("same-user pairs: %d, of them %d of the same matter\n", len(given), same)
	rate("linked by itself", auto, autoOK)
	rate("linked or suggested", suggest, suggestOK)
	rate("baseline: bigram Jaccard >= 0.6", baseAuto, baseAutoOK)
	rate("baseline: bigram Jaccard >= 0.25", baseSuggest, baseSuggestOK)

	// Groups against the silver clusters.
	members := map[string][]string{}
	kind := map[string]string{}
	for _, c := range lines[cluster](filepath.Join(dir, "clusters_dev.jsonl")) {
		members[c.Cluster] = append(members[c.Cluster], c.ID)
		kind[c.Cluster] = c.Kind
	}
	at := map[string]int{}
	for i, e := range events {
		at[e.id] = i
	}
	for _, name := range sortedKeys(members) {
		ids := members[name]
		slices.SortFunc(ids, func(a, b string) int { return at[a] - at[b] })
		in := map[*match.Group]int{}
		for _, id := range ids {
			if x := g.GroupOf(id); x != nil {
				in[x]++
			}
		}
		var best *match.Group
		grouped := 0
		for x, n := range in {
			grouped += n
			if best == nil || n > in[best] || n == in[best] && x.N < best.N {
				best = x
			}
		}
		if best == nil {
			fmt.Printf("  %-20s %-5s %3d messages: no group\n", name, kind[name], len(ids))
			continue
		}
		first := -1
		for i, id := range ids {
			if e := events[at[id]]; e.fresh && e.group != nil && in[e.group] > 0 {
				first = i + 1
				break
			}
		}
		alert := fmt.Sprintf("first alert at message %d, %d still to come", first, len(ids)-first)
		if first < 0 {
			alert = "its first alert came with a message outside the silver list"
		}
		fmt.Printf("  %-20s %-5s %3d messages in %d groups, main group: precision %.3f (%d), recall %.3f; all groups: recall %.3f; rule %s; %s\n", name, kind[name], len(ids), len(in),
			div(in[best], len(best.IDs)), len(best.IDs), div(in[best], len(ids)), div(grouped, len(ids)), best.Rule, alert)
	}
	// Pairs of different users inside the event clusters.
	of := map[string]string{}
	user := map[string]string{}
	for _, d := range docs {
		user[d.ID] = d.Party
	}
	for c, ids := range members {
		if kind[c] == "event" {
			for _, id := range ids {
				of[id] = c
			}
		}
	}
	good, bad := 0, 0
	for k, p := range found {
		if p.Kind == match.Matter && (of[k[0]] != "" || of[k[1]] != "") {
			if of[k[0]] == of[k[1]] {
				good++
			} else {
				bad++
			}
		}
	}
	fmt.Printf("same-matter suggestions that touch an event cluster: %d, of them %d inside it (%.3f)\n", good+bad, good, div(good, good+bad))
	sizes := map[int]int{}
	for _, x := range g.Groups() {
		sizes[min(x.Parties, 10)]++
	}
	fmt.Println("groups by parties (10 = 10 and more):", sizes)
	if len(os.Args) > 3 { // for the reader who judges them
		byID := map[string]message{}
		for _, m := range messages {
			byID[m.ID] = m
		}
		for _, x := range g.Groups() {
			fmt.Println("#", x.N, x.Rule, x.Parties, x.Place)
			for _, id := range x.IDs {
				fmt.Println("   ", byID[id].Time[:10], byID[id].User, byID[id].Title)
			}
		}
	}
}

func key(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

func div(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func sortedKeys(m map[string][]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
