package classify

import (
	"math"
	"slices"
)

// gram is one character, or two side by side in its upper and lower half.
type gram uint64

// example is one line of our own writing.
type example struct {
	domain int
	text   string
}

// model is complement naive Bayes (Rennie, Shih, Teevan and Karger, ICML 2003) over characters and pairs of characters: a domain is
// described by what the other domains say, so that domains with few examples are not drowned. Features are damped (log), weighted by
// rarity and brought to unit length; the weights of a domain are brought to one scale.
type model struct {
	weights map[gram][domainsLen]float64
	idf     map[gram]float64
}

const smoothing = 0.3

// train builds the model from examples; grams cuts a normalised text into features.
func train(examples []example, grams func([]rune) []gram) *model {
	docs := make([][]gram, len(examples))
	df := map[gram]int{}
	for i, e := range examples {
		docs[i] = grams(normalise(e.text, maxText))
		for _, g := range uniq(docs[i]) {
			df[g]++
		}
	}
	m := &model{weights: make(map[gram][domainsLen]float64, len(df)), idf: make(map[gram]float64, len(df))}
	for g, n := range df {
		m.idf[g] = math.Log(float64(len(examples)+1) / float64(n))
	}
	counts := make(map[gram][domainsLen]float64, len(df))
	var total [domainsLen]float64
	for i, e := range examples {
		for _, f := range m.vector(docs[i]) {
			c := counts[f.gram]
			c[e.domain] += f.value
			counts[f.gram] = c
			total[e.domain] += f.value
		}
	}
	all := 0.0
	for _, n := range total {
		all += n
	}
	vocabulary := smoothing * float64(len(df))
	for _, g := range sortedKeys(counts) { // a fixed order keeps sums, and so results, the same from run to run
		c := counts[g]
		sum := 0.0
		for _, n := range c {
			sum += n
		}
		var w [domainsLen]float64
		mean := 0.0
		for d := range w {
			w[d] = -math.Log((sum - c[d] + smoothing) / (all - total[d] + vocabulary))
			mean += w[d] / domainsLen
		}
		for d := range w {
			w[d] -= mean
		}
		m.weights[g] = w
	}
	return m
}

type feature struct {
	gram  gram
	value float64
}

// vector weighs the features of a text and brings them to unit length. Features the model has never met are left out.
func (m *model) vector(grams []gram) []feature {
	slices.Sort(grams)
	var out []feature
	norm := 0.0
	for i := 0; i < len(grams); {
		n := i + 1
		for n < len(grams) && grams[n] == grams[i] {
			n++
		}
		if idf, ok := m.idf[grams[i]]; ok {
			v := (1 + math.Log(float64(n-i))) * idf
			out = append(out, feature{grams[i], v})
			norm += v * v
		}
		i = n
	}
	if norm > 0 {
		norm = math.Sqrt(norm)
		for i := range out {
			out[i].value /= norm
		}
	}
	return out
}

// score gives each domain's advantage over the average domain.
func (m *model) score(grams []gram) (out [domainsLen]float64) {
	for _, f := range m.vector(grams) {
		w := m.weights[f.gram]
		for d := range out {
			out[d] += f.value * w[d]
		}
	}
	return out
}

func uniq(grams []gram) []gram {
	s := slices.Clone(grams)
	slices.Sort(s)
	return slices.Compact(s)
}

func sortedKeys[V any](m map[gram]V) []gram {
	keys := make([]gram, 0, len(m))
	for g := range m {
		keys = append(keys, g)
	}
	slices.Sort(keys)
	return keys
}
