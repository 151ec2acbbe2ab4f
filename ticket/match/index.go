package match

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Index finds requests of the same matter among many without comparing with each: a character pair that is rare leads to
// the few requests that have it. It learns the weights of pairs from what it holds. It is safe for concurrent use.
type Index struct {
	Rules Rules

	mu      sync.RWMutex
	docs    []*read // by number; nil once removed
	ids     map[string]int
	grams   map[gram]int32 // pairs of characters have numbers, in the order in which they were met
	usual   []bool         // by number of a pair
	posts   [][]int32      // by number of a pair: the requests that have it, ascending
	weights []float64      // by number of a pair; see weight
	weighed int            // n when weights were computed
	party   map[string][]int32
	names   map[string]int // how many requests name a place
	n       int
}

// NewIndex is an empty index.
func NewIndex(r Rules) *Index {
	return &Index{Rules: r, ids: map[string]int{}, grams: map[gram]int32{}, party: map[string][]int32{}, names: map[string]int{}}
}

// Len is how many requests it holds.
func (x *Index) Len() int { x.mu.RLock(); defer x.mu.RUnlock(); return x.n }

// Add takes a request in. One with the ID of an earlier one replaces it.
func (x *Index) Add(d Doc) {
	r := take(d)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.number(r)
	x.remove(d.ID)
	x.add(r)
}

// number gives the pairs of a text their numbers. The caller holds the lock.
func (x *Index) number(r *read) {
	r.grams, r.title = x.numbers(r.all), x.numbers(r.head)
	r.all, r.head = nil, nil
}

func (x *Index) numbers(grams []gram) []int32 {
	out := make([]int32, len(grams))
	for i, g := range grams {
		n, ok := x.grams[g]
		if !ok {
			n = int32(len(x.posts))
			x.grams[g] = n
			x.posts, x.usual, x.weights = append(x.posts, nil), append(x.usual, usual[g]), append(x.weights, 0)
		}
		out[i] = n
	}
	slices.Sort(out)
	return out
}

func (x *Index) add(r *read) {
	n := int32(len(x.docs))
	x.docs = append(x.docs, r)
	x.ids[r.doc.ID] = int(n)
	for _, g := range r.grams {
		x.posts[g] = append(x.posts[g], n)
	}
	if r.doc.Party != "" {
		x.party[r.doc.Party] = append(x.party[r.doc.Party], n)
	}
	for _, p := range r.places {
		x.names[stem(p)]++
	}
	x.n++
}

// Remove forgets a request.
func (x *Index) Remove(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(id)
}

func (x *Index) remove(id string) {
	n, ok := x.ids[id]
	if !ok {
		return
	}
	r := x.docs[n]
	cut := func(list []int32) []int32 {
		if i, ok := slices.BinarySearch(list, int32(n)); ok {
			return slices.Delete(list, i, i+1)
		}
		return list
	}
	for _, g := range r.grams {
		x.posts[g] = cut(x.posts[g])
	}
	if r.doc.Party != "" {
		if x.party[r.doc.Party] = cut(x.party[r.doc.Party]); len(x.party[r.doc.Party]) == 0 {
			delete(x.party, r.doc.Party)
		}
	}
	for _, p := range r.places {
		x.names[stem(p)]--
	}
	delete(x.ids, id)
	x.docs[n] = nil
	x.n--
}

// A new house has few requests to learn from: a pair counts as if it had been seen in 2 of 3,000 requests before, and a
// common one of complaints in many more.
const (
	priorDocs = 3000
	priorSeen = 2
	priorOft  = 250
)

// usual are character pairs that complaints are full of.
var usual = func() map[gram]bool {
	m := map[gram]bool{}
	for _, s := range strings.Fields(`小区 居民 业主 部门 影响 扰民 噪音 晚上 施工 生活 没有 现在 一直 不能 可以 就是 什么 怎么 时间 多次 电话 物业 开发商 街道 社区 政府 公安 派出所 民警 报警
		车辆 停车 路口 安全 孩子 学校 学生 老人 附近 凌晨 每天 家里 房屋 房子 购房 合同 公司 管理 工作 人员 办理 情况 事情 至今 已经 结果 答复 回复 违规 违法 经营 存在 导致 造成 进行 要求 户口 身份证`) {
		r := []rune(s)
		for i := 1; i < len(r); i++ {
			m[gramOf(r[i-1], r[i])] = true
		}
	}
	return m
}()

// weight is the square of how rare a pair is: ln(N / seen). Weights are computed anew when the index has grown by a
// twentieth: within a few requests they hardly change.
func (x *Index) weight(g int32) float64 {
	if w := x.weights[g]; w > 0 {
		return w
	}
	seen := float64(len(x.posts[g])) + priorSeen
	if x.usual[g] {
		seen += priorOft
	}
	w := max(math.Log(float64(x.n+priorDocs)/seen), 0.01)
	x.weights[g] = w * w
	return w * w
}

// settle drops old weights. The caller holds the lock.
func (x *Index) settle() {
	if x.n > x.weighed+x.weighed/20+20 || x.n < x.weighed/2 {
		clear(x.weights)
		x.weighed = x.n
	}
}

// cosine of two sorted sets of pairs, and how many they share and have together.
func (x *Index) cosine(a, b []int32) (cos float64, common, total int) {
	if len(a) == 0 || len(b) == 0 {
		return 0, 0, len(a) + len(b)
	}
	var both, sa, sb float64
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i] < b[j]:
			sa += x.weight(a[i])
			i++
		case i == len(a) || b[j] < a[i]:
			sb += x.weight(b[j])
			j++
		default:
			w := x.weight(a[i])
			both, sa, sb = both+w, sa+w, sb+w
			common++
			i++
			j++
		}
	}
	return both / math.Sqrt(sa*sb), common, len(a) + len(b) - common
}

// rarity is near 1 for a place few requests name, and falls with the number of those that do.
func (x *Index) rarity(places []string) (best float64) {
	for _, p := range places {
		seen := float64(x.names[stem(p)])
		best = max(best, 1-seen/(seen+60))
	}
	return best
}

// Candidates looked at: by the rarest pairs first, until so many postings were read.
const (
	queryGrams   = 48
	maxPostings  = 6000
	maxCompared  = 60
	postingsBack = 400 // of one pair, the latest
)

// Similar returns what requests since a time are of the same matter as d, the best first, at most limit. d need not be in
// the index; if it is, it is not its own match. Requests later than d are left out.
func (x *Index) Similar(d Doc, since time.Time, limit int) []Pair {
	r := take(d)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.number(r)
	return x.similar(r, since, limit)
}

func (x *Index) similar(r *read, since time.Time, limit int) []Pair {
	x.settle()
	order := slices.Clone(r.grams)
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(len(x.posts[a])-len(x.posts[b]), cmp.Compare(a, b)) })
	hits := map[int32]float64{}
	read, used := 0, 0
	for _, g := range order {
		list := x.posts[g]
		if len(list) == 0 {
			continue
		}
		if used == queryGrams || read > maxPostings {
			break
		}
		used++
		if len(list) > postingsBack {
			list = list[len(list)-postingsBack:]
		}
		read += len(list)
		w := x.weight(g)
		for _, n := range list {
			hits[n] += w
		}
	}
	if r.doc.Party != "" {
		for _, n := range x.party[r.doc.Party] {
			hits[n] += 1e6 // the same person's are all compared
		}
	}
	type hit struct {
		n int32
		w float64
	}
	ranked := make([]hit, 0, len(hits))
	for n, w := range hits {
		o := x.docs[n].doc
		if o.ID == r.doc.ID || o.At.Before(since) || o.At.After(r.doc.At) {
			continue
		}
		ranked = append(ranked, hit{n, w})
	}
	slices.SortFunc(ranked, func(a, b hit) int { return cmp.Or(cmp.Compare(b.w, a.w), cmp.Compare(b.n, a.n)) })
	var out []Pair
	for _, h := range ranked[:min(len(ranked), maxCompared)] {
		if p, ok := x.pair(r, x.docs[h.n]); ok {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Pair) int { return cmp.Compare(b.Parts.Score, a.Parts.Score) })
	out = out[:min(limit, len(out))]
	for i := range out {
		out[i].Parts.Common = commonPieces(r.runes, x.docs[x.ids[out[i].Earlier]].runes)
	}
	return out
}

// Compare scores two requests by the weights of the index.
func (x *Index) Compare(later, earlier Doc) Pair {
	a, b := take(later), take(earlier)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.number(a)
	x.number(b)
	p, _ := x.pair(a, b)
	p.Parts.Common = commonPieces(a.runes, b.runes)
	return p
}
