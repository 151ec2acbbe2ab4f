package grade

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxWords is the longest word list that is taken, in bytes; the program's own has some 90,000.
const maxWords = 1 << 20

func parseWords(text string) (*lexiconSpec, error) {
	if len(text) > maxWords {
		return nil, fmt.Errorf("grading words: longer than %d bytes", maxWords)
	}
	var spec lexiconSpec
	if err := yaml.UnmarshalWithOptions([]byte(text), &spec, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("grading words: %w", err)
	}
	if len(spec.Groups) == 0 {
		return nil, errors.New("grading words: no groups")
	}
	return &spec, nil
}

// Words is the word list of the rules as ParseVersion reads it (YAML).
func (r *Rules) Words() string { return r.words }

// OwnWords reports that the words are those of this program and not of a published version.
func (r *Rules) OwnWords() bool { return r.own }

// WordPart is a part of the word list that can be changed by itself: the words of a set or a guard (separated by blanks), or the patterns of a
// group (one a line, see pattern.go).
type WordPart struct {
	Key   string // such as "set.crime", "guard.negation.words", "group.诈骗线索.find", "masks"
	Kind  string // "set", "masks", "guard" or "group"
	Name  string // for staff (zh-CN)
	Text  string
	Lines bool // patterns, one a line
	field *string
}

var setNames = map[string]string{"self": "自称", "kin": "亲属", "other": "他人", "someone": "某人", "target": "受害对象", "foe": "对方", "suicide": "自伤自杀", "height": "高处、水边",
	"blade": "凶器", "fuel": "易燃易爆", "hold": "持有", "now": "当前", "place": "处所", "dated": "日期", "cop": "公安机关与民警", "member": "群体成员", "frail": "老人与未成年人", "money_lost": "钱款受损",
	"lose": "损失", "fraud": "诈骗", "crime": "违法犯罪", "school": "学校", "near": "附近", "vice": "校园周边乱象", "banner": "横幅", "gather": "聚集上访", "upper": "上级机关", "media": "媒体", "intent": "意图"}

var guardNames = map[string]string{"negation": "否定", "past": "过去", "long_past": "久远的过去", "told": "转述他人的话", "wish": "但愿不要", "resolved": "已经解决", "dead": "已发生的死亡", "ask": "询问法律",
	"hypothetical": "假设", "fiction": "影视、新闻与传言", "risk": "风险", "risk_after": "风险（后文）", "prevent": "防范", "stale": "长文叙事", "conditional": "条件或日期", "plain_ask": "咨询", "complains": "询问实为投诉",
	"promo": "宣传与表扬"}

func named(names map[string]string, code string) string {
	if n := names[code]; n != "" {
		return n + "（" + code + "）"
	}
	return code
}

// parts lists the groups' patterns in their order, with fields that point into the spec.
func (spec *lexiconSpec) parts() []WordPart {
	var out []WordPart
	for _, g := range spec.order() {
		out = append(out, WordPart{Key: "group." + g.Name + ".find", Kind: "group", Name: g.Name + " · 命中", Lines: true, field: &g.Find})
		if g.Not != "" {
			out = append(out, WordPart{Key: "group." + g.Name + ".not", Kind: "group", Name: g.Name + " · 排除", Lines: true, field: &g.Not})
		}
	}
	return out
}

func (spec *lexiconSpec) order() []*groupSpec {
	var out []*groupSpec
	for i := range spec.Groups {
		out = append(out, &spec.Groups[i])
	}
	return out
}

// WordParts lists what of the words can be changed part by part.
func (r *Rules) WordParts() ([]WordPart, error) {
	spec, err := parseWords(r.words)
	if err != nil {
		return nil, err
	}
	return spec.all(), nil
}

// all lists every part with its text.
func (spec *lexiconSpec) all() []WordPart {
	var out []WordPart
	for _, name := range slices.Sorted(maps.Keys(spec.Sets)) {
		out = append(out, WordPart{Key: "set." + name, Kind: "set", Name: named(setNames, name), Text: strings.Join(strings.Fields(spec.Sets[name]), " ")})
	}
	out = append(out, WordPart{Key: "masks", Kind: "masks", Name: "不看的词句", Text: strings.TrimSpace(spec.Masks), Lines: true})
	for _, p := range spec.parts() {
		p.Text = strings.TrimSpace(*p.field)
		out = append(out, p)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Guards)) {
		g := spec.Guards[name]
		for _, f := range []struct{ code, what, text string }{{"words", "词", g.Words}, {"adjacent", "紧邻的词", g.Adjacent}, {"except", "不算的词", g.Except}, {"between", "隔开即失效的词", g.Between}, {"unless", "除非附近有", g.Unless}, {"unless_in", "除非命中含有", g.UnlessIn}} {
			if f.text != "" {
				out = append(out, WordPart{Key: "guard." + name + "." + f.code, Kind: "guard", Name: named(guardNames, name) + " · " + f.what, Text: strings.Join(strings.Fields(f.text), " ")})
			}
		}
	}
	return out
}

// EditWords returns the word list with the parts that edits names (by key) replaced, under another version name. Parts that are not
// named, or named with the text they have, stay as they are. It fails on an unknown key and on an empty part.
func (r *Rules) EditWords(version string, edits map[string]string) (string, error) {
	spec, err := parseWords(r.words)
	if err != nil {
		return "", err
	}
	changed := false
	now := map[string]WordPart{}
	for _, p := range spec.all() {
		now[p.Key] = p
	}
	groups := map[string]*string{}
	for _, p := range spec.parts() {
		groups[p.Key] = p.field
	}
	for _, key := range slices.Sorted(maps.Keys(edits)) {
		p, known := now[key]
		if !known {
			return "", fmt.Errorf("no part %q", key)
		}
		text := normalBlock(edits[key], p.Lines)
		if text == "" {
			return "", fmt.Errorf("“%s”不能为空", p.Name)
		}
		if text == normalBlock(p.Text, p.Lines) {
			continue
		}
		changed = true
		kind, rest, _ := strings.Cut(key, ".")
		switch kind {
		case "set":
			spec.Sets[rest] = text
		case "masks":
			spec.Masks = text + "\n"
		case "group":
			*groups[key] = text + "\n"
		case "guard":
			name, f, _ := strings.Cut(rest, ".")
			g := spec.Guards[name]
			*map[string]*string{"words": &g.Words, "adjacent": &g.Adjacent, "except": &g.Except, "between": &g.Between, "unless": &g.Unless, "unless_in": &g.UnlessIn}[f] = text
			spec.Guards[name] = g
		}
	}
	if !changed {
		return r.words, nil
	}
	spec.Version = version
	b, err := yaml.MarshalWithOptions(spec, yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return "", fmt.Errorf("write grading words: %w", err)
	}
	return string(b), nil
}

// normalBlock makes two ways to type the same words equal.
func normalBlock(text string, perLine bool) string {
	if !perLine {
		return strings.Join(strings.Fields(text), " ")
	}
	var out []string
	for l := range strings.Lines(text) {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// manyWords is how many words of one change are listed.
const manyWords = 40

// WordChanges lists, part by part, which words or patterns another version takes away and adds.
func (r *Rules) WordChanges(other *Rules) []Change {
	if r.words == other.words {
		return nil
	}
	a, err := parseWords(r.words)
	b, err2 := parseWords(other.words)
	if err := cmp.Or(err, err2); err != nil {
		return []Change{{What: "词表", From: "", To: err.Error()}} // both were compiled, so they can be read
	}
	var out []Change
	before, after := map[string]WordPart{}, map[string]WordPart{}
	var keys []string
	for _, p := range a.all() {
		before[p.Key] = p
		keys = append(keys, p.Key)
	}
	for _, p := range b.all() {
		after[p.Key] = p
		if _, known := before[p.Key]; !known {
			keys = append(keys, p.Key)
		}
	}
	for _, key := range keys {
		p, q := before[key], after[key]
		gone, come := minus(p.items(), q.items()), minus(q.items(), p.items())
		if len(gone)+len(come) > 0 {
			out = append(out, Change{What: "词表 · " + cmp.Or(p.Name, q.Name), From: listed("删去", gone), To: listed("增加", come)})
		}
	}
	for name, g := range b.Guards {
		if h := a.Guards[name]; g.Scope != h.Scope || g.Before != h.Before || g.After != h.After || g.Reach != h.Reach || g.Gaps != h.Gaps || g.Inside != h.Inside || g.PastDates != h.PastDates || g.Longer != h.Longer {
			out = append(out, Change{What: "词表 · " + named(guardNames, name) + " · 范围", From: h.reachText(), To: g.reachText()})
		}
	}
	for _, g := range b.order() {
		var h groupSpec
		for _, x := range a.order() {
			if x.Name == g.Name {
				h = *x
			}
		}
		if x, y := h.useText(), g.useText(); x != y {
			out = append(out, Change{What: "词表 · " + g.Name + " · 用法", From: x, To: y})
		}
	}
	return out
}

func (g guardSpec) reachText() string {
	return fmt.Sprintf("%s 前%d后%d 除非%d 空隙%t 内部%t 日期%t 长于%d", g.Scope, g.Before, g.After, g.Reach, g.Gaps, g.Inside, g.PastDates, g.Longer)
}

func (g groupSpec) useText() string {
	return strings.TrimSpace(fmt.Sprint(g.Factor, " ", strings.Join(g.Guards, "、"), " ", strings.Join(g.Soften, "、"), " ", g.Softer, " ", g.Also, " ", g.Yields, " ", g.Value, " ", g.Min, " ", strings.Join(g.Route, "、")))
}

func (p WordPart) items() []string {
	if p.Lines {
		return lines(normalBlock(p.Text, true))
	}
	return strings.Fields(p.Text)
}

func minus(a, b []string) []string {
	have := map[string]bool{}
	for _, x := range b {
		have[x] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return have[x] })
}

func listed(what string, items []string) string {
	if len(items) == 0 {
		return "未" + what
	}
	more := ""
	if len(items) > manyWords {
		more = fmt.Sprintf(" 等%d项", len(items))
		items = items[:manyWords]
	}
	return what + "：" + strings.Join(items, "、") + more
}
