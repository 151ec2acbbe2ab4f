package classify

import (
	"math"
	"slices"
)

// linear is a multinomial logistic regression over the same features as model. It is trained while loading, by a fixed number of
// gradient steps in a fixed order, so that two programs with the same data say the same. Beside the naive Bayes, which takes every
// character by itself, it learns which of several decides where they stand together.
type linear struct {
	index map[gram]int32
	rows  [][domainsLen]float32
	bias  [domainsLen]float32
}

// Of the training: rounds over the examples, first step, and how much each step forgets.
const (
	linearRounds = 8
	linearStep   = 0.9
	linearForget = 2e-5
)

func trainLinear(examples []example, grams func([]rune) []gram) *linear {
	m := &linear{index: map[gram]int32{}}
	docs := make([][]int32, len(examples))
	var share [domainsLen]float64
	for i, e := range examples {
		share[e.domain]++
		for _, g := range uniq(grams(normalise(e.text, maxText))) {
			k, ok := m.index[g]
			if !ok {
				k = int32(len(m.index))
				m.index[g] = k
			}
			docs[i] = append(docs[i], k)
		}
	}
	m.rows = make([][domainsLen]float32, len(m.index))
	mean := float64(len(examples)) / domainsLen
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	seed := uint64(88172645463325252)
	steps := 0
	for round := range linearRounds {
		for i := len(order) - 1; i > 0; i-- { // xorshift (Marsaglia 2003): the same order in every program
			seed ^= seed << 13
			seed ^= seed >> 7
			seed ^= seed << 17
			j := int(seed % uint64(i+1))
			order[i], order[j] = order[j], order[i]
		}
		rate := float32(linearStep / (1 + 0.35*float64(round)))
		for _, i := range order {
			if len(docs[i]) == 0 {
				continue
			}
			steps++
			weight := float32(math.Sqrt(mean / share[examples[i].domain])) // a domain with few examples is not drowned
			v := unit(len(docs[i]))
			p := m.logits(docs[i], v)
			soften(&p)
			for d := range p {
				delta := -p[d]
				if d == examples[i].domain {
					delta++
				}
				delta *= rate * weight
				m.bias[d] += 0.05 * delta
				for _, k := range docs[i] {
					w := &m.rows[k][d]
					*w += delta*v - linearForget**w
				}
			}
		}
	}
	return m
}

// unit is the value of each of n features of a text: the texts' vectors have length one.
func unit(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }

func (m *linear) logits(doc []int32, v float32) (out [domainsLen]float32) {
	for _, k := range doc {
		for d, w := range m.rows[k] {
			out[d] += w
		}
	}
	for d := range out {
		out[d] = out[d]*v + m.bias[d]
	}
	return out
}

func soften(x *[domainsLen]float32) {
	top := slices.Max(x[:])
	sum := float32(0)
	for d := range x {
		x[d] = float32(math.Exp(float64(x[d] - top)))
		sum += x[d]
	}
	for d := range x {
		x[d] /= sum
	}
}

// score gives each domain's advantage over the average domain.
func (m *linear) score(grams []gram) (out [domainsLen]float64) {
	var doc []int32
	for _, g := range uniq(grams) {
		if k, ok := m.index[g]; ok {
			doc = append(doc, k)
		}
	}
	if len(doc) == 0 {
		return out
	}
	x := m.logits(doc, unit(len(doc)))
	mean := float32(0)
	for _, v := range x {
		mean += v / domainsLen
	}
	for d, v := range x {
		out[d] = float64(v - mean)
	}
	return out
}
