package match

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/longbridgeapp/opencc"
	"golang.org/x/text/unicode/norm"
)

// maxRunes of a text are read: what a matter is about stands at its beginning.
const maxRunes = 1500

// gram is a pair of characters.
type gram uint64

func gramOf(a, b rune) gram { return gram(a)<<32 | gram(b) }

// read is a request that was taken apart.
type read struct {
	doc    Doc
	runes  []rune // title and text, normalised, a gap between clauses
	all    []gram // of all of the text, each once; nil once they have numbers
	head   []gram // of the title
	grams  []int32
	title  []int32
	places []string
}

const gap = ' '

// fillers say nothing of the matter; they are cut out before anything is compared.
var fillers = []string{
	"尊敬的", "各位领导", "领导您好", "领导你好", "书记您好", "局长您好", "局长", "书记", "领导", "您好", "你好", "希望", "恳请", "恳求", "请求", "请问", "请您", "请",
	"谢谢", "感谢", "非常", "相关部门", "有关部门", "政府部门", "职能部门", "投诉", "举报", "反映", "咨询", "建议", "关于", "问题", "解决", "处理", "此致", "敬礼", "严重", "我们", "我是", "本人",
}

var fillerTree = sync.OnceValue(func() map[rune][][]rune {
	m := map[rune][][]rune{}
	for _, f := range fillers {
		r := []rune(f)
		m[r[0]] = append(m[r[0]], r)
	}
	for _, v := range m {
		slices.SortFunc(v, func(a, b []rune) int { return len(b) - len(a) })
	}
	return m
})

// normalise brings a text to one alphabet: NFKC, simplified, lower case; punctuation, spaces and fillers become one gap.
func normalise(s string) []rune {
	s = strings.ToValidUTF8(s, " ")
	if len(s) > 8*maxRunes {
		cut := 8 * maxRunes
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	if !norm.NFKC.IsNormalString(s) {
		s = norm.NFKC.String(s)
	}
	table := simplified()
	out := make([]rune, 0, min(len(s)/3+8, maxRunes))
	spaced := false
	for _, r := range s {
		if len(out) >= maxRunes {
			break
		}
		switch {
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r):
			continue
		case r >= 0x3400 && r < 0xa000:
			r = table[r-0x3400]
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			r = unicode.ToLower(r)
		case unicode.IsSpace(r):
			spaced = true // blanks inside Chinese part nothing
			continue
		default:
			if n := len(out); n > 0 && out[n-1] != gap {
				out = append(out, gap)
			}
			continue
		}
		if spaced && len(out) > 0 && out[len(out)-1] < 0x3400 && r < 0x3400 && out[len(out)-1] != gap {
			out = append(out, gap)
		}
		spaced = false
		out = append(out, r)
	}
	return cutFillers(houses(out))
}

// houses writes the numbers of houses one way: 三号楼, 3栋 and 3幢 are 3号楼.
func houses(in []rune) []rune {
	out := in[:0:0]
	for i := 0; i < len(in); {
		n, j := houseNumber(in, i)
		if j == i || j >= len(in) {
			out = append(out, in[i])
			i++
			continue
		}
		switch {
		case in[j] == '栋' || in[j] == '幢':
			j++
		case in[j] == '号' && j+1 < len(in) && in[j+1] == '楼':
			j += 2
		default:
			out = append(out, in[i])
			i++
			continue
		}
		out = append(append(out, []rune(strconv.Itoa(n))...), '号', '楼')
		i = j
	}
	return out
}

// houseNumber reads 12 or 十二 at i, up to 99, where no other number stands before it; to is i when there is none.
func houseNumber(in []rune, i int) (n, to int) {
	const digits = "零一二三四五六七八九"
	value := func(r rune) int {
		if r >= '0' && r <= '9' {
			return int(r - '0')
		}
		if k := strings.IndexRune(digits, r); k >= 0 {
			return k / len("零")
		}
		return -1
	}
	if i > 0 && (value(in[i-1]) >= 0 || in[i-1] == '十') {
		return 0, i
	}
	to = i
	for ; to < len(in) && to-i < 3; to++ {
		v := value(in[to])
		switch {
		case in[to] == '十':
			n = max(n, 1) * 10
		case v < 0:
			return n, to
		case to > i && in[to-1] == '十':
			n += v
		default:
			n = n*10 + v
		}
	}
	return n, to
}

// namedIn reports a name of one text that the other gives without its general word: 彩北3号楼 beside 彩北小区.
func namedIn(names []string, runes []rune) (string, bool) {
	for _, name := range names {
		s := []rune(stem(name))
		if len(s) < 2 || len(s) == utf8.RuneCountInString(name) {
			continue
		}
		for i := 0; i+len(s) <= len(runes); i++ {
			if !slices.Equal(runes[i:i+len(s)], s) {
				continue
			}
			if end := i + len(s); len(s) > 2 || end < len(runes) && runes[end] >= '0' && runes[end] <= '9' {
				return name, true
			}
		}
	}
	return "", false
}

func cutFillers(in []rune) []rune {
	tree := fillerTree()
	out := in[:0:0]
next:
	for i := 0; i < len(in); {
		for _, f := range tree[in[i]] {
			if len(in)-i >= len(f) && slices.Equal(in[i:i+len(f)], f) {
				if n := len(out); n > 0 && out[n-1] != gap {
					out = append(out, gap)
				}
				i += len(f)
				continue next
			}
		}
		out = append(out, in[i])
		i++
	}
	return out
}

// grams are the pairs of characters of a text, sorted, each once; none spans a gap.
func grams(runes []rune) []gram {
	out := make([]gram, 0, len(runes))
	for i := 1; i < len(runes); i++ {
		if runes[i-1] != gap && runes[i] != gap {
			out = append(out, gramOf(runes[i-1], runes[i]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func take(d Doc) *read {
	title := normalise(d.Title)
	body := normalise(d.Text)
	r := &read{doc: d, head: grams(title)}
	r.runes = append(append(append(make([]rune, 0, len(title)+len(body)+1), title...), gap), body...)
	r.all = grams(r.runes)
	place := normalise(d.Place)
	r.places = places(append(append(append([]rune{}, place...), gap), r.runes...))
	r.doc.Text, r.doc.Title = "", "" // kept in runes only
	return r
}

// simplified is OpenCC's conversion one character at a time; index 0 is U+3400.
var simplified = sync.OnceValue(func() []rune {
	m := make([]rune, 0xa000-0x3400)
	for i := range m {
		m[i] = rune(0x3400 + i)
	}
	cc, err := opencc.New("t2s")
	if err != nil {
		return m
	}
	for r := rune(0x3400); r < 0xa000; r++ {
		if s, err := cc.Convert(string(r)); err == nil && s != string(r) {
			if to, n := utf8.DecodeRuneInString(s); n == len(s) {
				m[r-0x3400] = to
			}
		}
	}
	return m
})

// ends are the words with which names of places and firms end, the longer ones first.
var ends = []string{"有限公司", "物流园", "工业园", "幼儿园", "派出所", "农贸市场", "小区", "花园", "新城", "公馆", "大厦", "广场", "社区", "小学", "中学", "学校", "学院", "大学", "医院", "酒店", "宾馆", "市场", "公司",
	"公园", "车站", "大桥", "工地", "集团", "商城", "大道", "苑", "城", "府", "湾", "园", "郡", "路", "街", "村", "镇", "组", "巷", "厂"}

// breaks end a name to the left: words that stand before names, and signs of the clause.
const breaks = "的在是和及与等对了到有被从向由于把给为让使就都也还又很地得着过把这那个一二三四五六七八九十0123456789"

// soft are breaks that a short name may begin with.
const soft = "和一二三四五六七八九十"

// vague names say nothing alone.
var vague = map[string]bool{"本小区": true, "我小区": true, "小区": true, "老小区": true, "整个小区": true, "全小区": true, "所在小区": true, "本社区": true, "我村": true, "本村": true, "农村": true,
	"全村": true, "开发公司": true, "物业公司": true, "有限公司": true, "建筑工地": true, "施工工地": true, "高速公路": true, "公路": true, "道路": true, "马路": true, "公园": true, "商业街": true,
	"同小区": true, "进小区": true, "出小区": true, "住小区": true, "新城": true, "大道": true, "子公司": true, "分公司": true, "居民小区": true, "住宅小区": true, "周边小区": true, "商品房小区": true}

// places finds names of places and firms: up to seven characters before an ending, stopped by what cannot be in a name.
func places(runes []rune) []string {
	var out []string
	for _, end := range ends {
		e := []rune(end)
		for i := 0; i+len(e) <= len(runes); i++ {
			if runes[i] != e[0] || !slices.Equal(runes[i:i+len(e)], e) {
				continue
			}
			from := i
			for from > 0 && i-from < 7 && nameRune(runes[from-1]) {
				from--
			}
			// Names such as 和平里 and 三道街 begin with a sign that ends other names.
			if i-from <= 2 && i > from && from > 0 && strings.ContainsRune(soft, runes[from-1]) {
				from--
			}
			// What stands before a district or city sign is not the name of the place itself.
			for j := i - 1; j >= from; j-- {
				if r := runes[j]; (r == '区' || r == '市' || r == '县') && i-j > 2 {
					from = j + 1
					break
				}
			}
			if i-from < 2 {
				continue
			}
			name := string(runes[from : i+len(e)])
			if !vague[name] && !strings.HasSuffix(name, "政府") && !slices.Contains(out, name) {
				out = append(out, name)
			}
			if len(out) >= 24 {
				return out
			}
		}
	}
	return out
}

func nameRune(r rune) bool {
	return r != gap && r >= 0x3400 && r < 0xa000 && !strings.ContainsRune(breaks, r)
}

// samePlaces are the names that both texts give: one is the other, or its end (丽发新城 in 暮云街道丽发新城). apart tells
// that both give names and share none.
func samePlaces(a, b []string) (same []string, apart bool) {
	for _, x := range a {
		for _, y := range b {
			short, long := x, y
			if len(short) > len(long) {
				short, long = long, short
			}
			if utf8.RuneCountInString(short) >= 3 && strings.HasSuffix(long, short) || stem(x) == stem(y) {
				if s := stem(short); utf8.RuneCountInString(s) >= 2 && !slices.Contains(same, short) {
					same = append(same, short)
				}
			}
		}
	}
	if len(same) > 4 {
		same = same[:4]
	}
	return same, len(same) == 0 && len(a) > 0 && len(b) > 0
}

// stem is a name without the general word at its end: 丽发新城小区 and 丽发新城社区 are one place.
func stem(s string) string {
	for _, e := range []string{"小区", "社区", "有限公司", "公司"} {
		if t, ok := strings.CutSuffix(s, e); ok && utf8.RuneCountInString(t) >= 2 {
			return t
		}
	}
	return s
}

// commonPieces are the longest pieces of at least four characters that both texts have, at most three.
func commonPieces(a, b []rune) []string {
	const least = 4
	at := map[[least]rune][]int{}
	for j := 0; j+least <= len(b); j++ {
		k := [least]rune(b[j : j+least])
		if !slices.Contains(k[:], gap) {
			at[k] = append(at[k], j)
		}
	}
	var found []string
	for i := 0; i+least <= len(a); {
		best := 0
		for _, j := range at[[least]rune(a[i:i+least])] {
			n := 0
			for i+n < len(a) && j+n < len(b) && a[i+n] == b[j+n] && a[i+n] != gap {
				n++
			}
			best = max(best, n)
		}
		if best < least {
			i++
			continue
		}
		found = append(found, string(a[i:i+min(best, 30)]))
		i += best
	}
	slices.SortStableFunc(found, func(x, y string) int { return len(y) - len(x) })
	found = slices.Compact(found)
	return found[:min(3, len(found))]
}
