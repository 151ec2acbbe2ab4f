package reply

import "sort"

// trie maps rune sequences to values and finds them in a text from a given position. The root is a direct table over the Basic
// Multilingual Plane, because almost every step of a scan fails there; deeper nodes hold short sorted edge lists.
type trie struct {
	root  []int32 // rune → node, 0 = none
	high  map[rune]int32
	nodes []trieNode
}

type trieNode struct {
	edges  []trieEdge
	values []int32
}

type trieEdge struct {
	r    rune
	next int32
}

func newTrie() *trie {
	return &trie{root: make([]int32, 1<<16), high: map[rune]int32{}, nodes: make([]trieNode, 1)}
}

// add appends a value to the ones held for key. An empty key is ignored.
func (t *trie) add(key []rune, value int32) {
	if len(key) == 0 {
		return
	}
	n := t.first(key[0])
	if n == 0 {
		n = t.node()
		if key[0] < 1<<16 {
			t.root[key[0]] = n
		} else {
			t.high[key[0]] = n
		}
	}
	for _, r := range key[1:] {
		next := t.step(n, r)
		if next == 0 {
			next = t.node()
			edges := append(t.nodes[n].edges, trieEdge{r, next})
			sort.Slice(edges, func(i, j int) bool { return edges[i].r < edges[j].r })
			t.nodes[n].edges = edges
		}
		n = next
	}
	t.nodes[n].values = append(t.nodes[n].values, value)
}

func (t *trie) node() int32 {
	t.nodes = append(t.nodes, trieNode{})
	return int32(len(t.nodes) - 1)
}

func (t *trie) first(r rune) int32 {
	if r >= 0 && r < 1<<16 {
		return t.root[r]
	}
	return t.high[r]
}

func (t *trie) step(n int32, r rune) int32 {
	edges := t.nodes[n].edges
	if len(edges) <= 8 {
		for i := range edges {
			if edges[i].r == r {
				return edges[i].next
			}
		}
		return 0
	}
	i := sort.Search(len(edges), func(i int) bool { return edges[i].r >= r })
	if i < len(edges) && edges[i].r == r {
		return edges[i].next
	}
	return 0
}

// longest returns the values of the longest key that starts at text[i], and its length; length 0 when there is none.
func (t *trie) longest(text []rune, i int) (values []int32, length int) {
	n := t.first(text[i])
	for j := i; n != 0; {
		if v := t.nodes[n].values; v != nil {
			values, length = v, j-i+1
		}
		j++
		if j >= len(text) {
			break
		}
		n = t.step(n, text[j])
	}
	return values, length
}

// each calls yield for every key that starts at text[i], shortest first.
func (t *trie) each(text []rune, i int, yield func(value int32, length int)) {
	n := t.first(text[i])
	for j := i; n != 0; {
		for _, v := range t.nodes[n].values {
			yield(v, j-i+1)
		}
		j++
		if j >= len(text) {
			return
		}
		n = t.step(n, text[j])
	}
}

// get returns the values of exactly key.
func (t *trie) get(key []rune) []int32 {
	if len(key) == 0 {
		return nil
	}
	v, n := t.longest(key, 0)
	if n != len(key) {
		return nil
	}
	return v
}
