package kb

import (
	"math"
	"sort"
	"strings"
	"unicode"

	"github.com/mozillazg/go-pinyin"
)

// Parameters of BM25.
const (
	k1           = 1.2
	lengthWeight = 0.75
)

// A Match is an item found, with the score it was found by and the share of the best score that this question
// could have had, 0–1: how much of what was asked the item accounts for.
type Match struct {
	Item  Item
	Score float64
	Share float64
}

// index holds two BM25 indexes over the same items: characters, and toneless pinyin, which forgives what
// a recogniser mishears. Title, answer and other phrasings each count as one field of an item.
type index struct {
	chars, sounds bm25
}

type bm25 struct {
	freq    []map[string]int // term → occurrences, by item
	length  []float64
	average float64
	docs    map[string]int // term → items that have it
}

func newIndex(items []Item) index {
	var x index
	for _, it := range items {
		fields := append([]string{it.Title, it.Title, it.Answer}, it.Ask...)
		x.chars.add(fields, characters)
		x.sounds.add(fields, syllables)
	}
	return x
}

func (x *bm25) add(fields []string, split func(string) []string) {
	freq := map[string]int{}
	n := 0
	for _, f := range fields {
		for _, t := range grams(split(f)) {
			freq[t]++
			n++
		}
	}
	if x.docs == nil {
		x.docs = map[string]int{}
	}
	for t := range freq {
		x.docs[t]++
	}
	x.average = (x.average*float64(len(x.freq)) + float64(n)) / float64(len(x.freq)+1)
	x.freq = append(x.freq, freq)
	x.length = append(x.length, float64(n))
}

// scores gives the score of every item and the best that any item could reach. Each term of the
// question counts once.
func (x *bm25) scores(terms []string) (score []float64, best float64) {
	score = make([]float64, len(x.freq))
	seen := map[string]bool{}
	n := float64(len(x.freq))
	for _, t := range terms {
		if seen[t] {
			continue
		}
		seen[t] = true
		df := float64(x.docs[t])
		idf := math.Log(1 + (n-df+0.5)/(df+0.5))
		best += idf * (k1 + 1)
		if df == 0 {
			continue
		}
		for i, freq := range x.freq {
			if f := float64(freq[t]); f > 0 {
				score[i] += idf * f * (k1 + 1) / (f + k1*(1-lengthWeight+lengthWeight*x.length[i]/x.average))
			}
		}
	}
	return score, best
}

// Search finds the k items that fit a question best among those that may be offered now, best first;
// none for a question without Hanzi, letters or digits, or when nothing of it is known.
func (b *Base) Search(question string, k int) []Match {
	question = strip(question)
	chars, bestChars := b.index.chars.scores(grams(characters(question)))
	sounds, bestSounds := b.index.sounds.scores(grams(syllables(question)))
	now := b.Now()
	var found []Match
	for i, it := range b.items {
		if s := chars[i] + sounds[i]; s > 0 && it.Valid(now) {
			found = append(found, Match{it, s, s / (bestChars + bestSounds)})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Score > found[j].Score })
	return found[:min(k, len(found))]
}

// padding are the phrases of politeness and asking that say nothing about the matter.
var padding = strings.NewReplacer(
	"您好", "", "你好", "", "请问一下", "", "请问", "", "我想问一下", "", "我想问", "", "我想咨询一下", "", "我想咨询", "",
	"我想了解一下", "", "我想了解", "", "麻烦问一下", "", "麻烦您", "", "麻烦", "", "咨询一下", "", "帮我查一下", "", "那个", "", "就是说", "",
)

func strip(s string) string {
	if t := padding.Replace(s); len(characters(t)) > 0 {
		return t
	}
	return s
}

// characters splits text into Hanzi and runs of Latin letters or digits; all else separates nothing.
func characters(s string) []string {
	var out []string
	run := ""
	for _, r := range strings.ToLower(s) {
		if r < unicode.MaxLatin1 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			run += string(r)
			continue
		}
		if run != "" {
			out, run = append(out, run), ""
		}
		if unicode.Is(unicode.Han, r) {
			out = append(out, string(r))
		}
	}
	if run != "" {
		out = append(out, run)
	}
	return out
}

var plain = pinyin.NewArgs()

// syllables is characters by sound, without tones; near-homophones of the northern dialects and of recognisers
// (zh/z, ch/c, sh/s, n/l at the start is kept apart, ng/n at the end) fall together.
func syllables(s string) []string {
	out := characters(s)
	for i, c := range out {
		r := []rune(c)
		if len(r) == 1 {
			if p := pinyin.SinglePinyin(r[0], plain); len(p) > 0 {
				out[i] = fold(p[0])
			}
		}
	}
	return out
}

func fold(p string) string {
	if len(p) > 1 && p[1] == 'h' {
		p = p[:1] + p[2:]
	}
	if strings.HasSuffix(p, "ing") || strings.HasSuffix(p, "eng") {
		p = p[:len(p)-1]
	}
	return p
}

// grams are the units and the pairs of neighbours.
func grams(units []string) []string {
	out := append([]string(nil), units...)
	for i := 1; i < len(units); i++ {
		out = append(out, units[i-1]+" "+units[i])
	}
	return out
}

// A Plan is what the bot does with what it found; it never acts on a match without asking.
type Plan int

const (
	Person  Plan = iota // nothing fits: a person, with what was heard so far
	Confirm             // one item stands out: 您想了解的是……吗
	Offer               // several may be meant: offer up to three
)

func (p Plan) String() string { return [...]string{"person", "confirm", "offer"}[p] }

// Thresholds of Decide. They were set on the questions of search_test.go, where every item is asked
// in words that are not in its file; BM25 scores are no confidences.
const (
	leastShare = 0.12 // of the question that the best item must account for, to be offered at all
	clearLead  = 1.25 // by which the best must lead the second, to be confirmed alone
	clearShare = 0.22
	near       = 0.45 // of the best score, below which an item is not offered beside it
)

// Decide says what to do with what Search found and which items to name, best first: one for Confirm, up to
// three for Offer, none for Person.
func Decide(found []Match) (Plan, []Item) {
	if len(found) == 0 || found[0].Share < leastShare {
		return Person, nil
	}
	best := found[0]
	if best.Share >= clearShare && (len(found) == 1 || best.Score >= clearLead*found[1].Score) {
		return Confirm, []Item{best.Item}
	}
	var items []Item
	for _, m := range found[:min(3, len(found))] {
		if m.Score >= near*best.Score {
			items = append(items, m.Item)
		}
	}
	if len(items) == 1 {
		return Confirm, items
	}
	return Offer, items
}
