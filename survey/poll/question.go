package poll

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"lianxin/ticket"
)

// QuestionKind is how a question is answered.
type QuestionKind string

// Kinds of questions.
const (
	Scale QuestionKind = "scale" // five levels, the best first
	One   QuestionKind = "one"   // one of the options
	Some  QuestionKind = "some"  // any of them
	Text  QuestionKind = "text"  // own words
)

var kindWords = map[string]QuestionKind{"五级": Scale, "单选": One, "多选": Some, "文字": Text}

// Label is the kind for staff (zh-CN).
func (k QuestionKind) Label() string {
	for word, x := range kindWords {
		if x == k {
			return word
		}
	}
	return string(k)
}

// Levels are the options of a Scale.
var Levels = []string{"非常满意", "满意", "基本满意", "不满意", "非常不满意"}

// Question is one of a poll.
type Question struct {
	Kind    QuestionKind `json:"kind"`
	Text    string       `json:"text"`
	Options []string     `json:"options,omitempty"`
}

// Limits of a poll.
const (
	maxQuestions = 30
	maxOptions   = 20
	maxText      = 300 // characters of one answer in own words
)

func refuse(code, format string, args ...any) error {
	return &ticket.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ParseQuestions reads questions as staff write them: one in a line that begins with its kind (五级, 单选, 多选 or 文字 in
// 【】), each option in a line of its own below. It refuses with the line that cannot be read.
func ParseQuestions(text string) ([]Question, error) {
	var out []Question
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "【"); ok {
			word, ask, found := strings.Cut(rest, "】")
			kind, known := kindWords[strings.TrimSpace(word)]
			if ask = strings.TrimSpace(ask); !found || !known || ask == "" || utf8.RuneCountInString(ask) > 200 {
				return nil, refuse("questions", "第%d行：题目应写作【五级】、【单选】、【多选】或【文字】加不超过200字的题目", n+1)
			}
			q := Question{Kind: kind, Text: ask}
			if kind == Scale {
				q.Options = Levels
			}
			out = append(out, q)
			continue
		}
		if len(out) == 0 || out[len(out)-1].Kind == Scale || out[len(out)-1].Kind == Text {
			return nil, refuse("questions", "第%d行：选项前应有【单选】或【多选】题目", n+1)
		}
		q := &out[len(out)-1]
		option := strings.TrimSpace(strings.TrimPrefix(line, "-"))
		if option == "" || utf8.RuneCountInString(option) > 60 || slices.Contains(q.Options, option) {
			return nil, refuse("questions", "第%d行：选项不能为空、重复或超过60字", n+1)
		}
		q.Options = append(q.Options, option)
	}
	if len(out) == 0 || len(out) > maxQuestions {
		return nil, refuse("questions", "应有1至%d道题", maxQuestions)
	}
	for i, q := range out {
		if (q.Kind == One || q.Kind == Some) && (len(q.Options) < 2 || len(q.Options) > maxOptions) {
			return nil, refuse("questions", "第%d题：应有2至%d个选项", i+1, maxOptions)
		}
	}
	return out, nil
}

// WriteQuestions is ParseQuestions backwards.
func WriteQuestions(all []Question) string {
	var b strings.Builder
	for _, q := range all {
		fmt.Fprintf(&b, "【%s】%s\n", q.Kind.Label(), q.Text)
		if q.Kind == One || q.Kind == Some {
			for _, o := range q.Options {
				fmt.Fprintf(&b, "- %s\n", o)
			}
		}
	}
	return b.String()
}

// Answer is what one person said, by question: the places of the options chosen, from 0, or words.
type Answer struct {
	Choices [][]int  `json:"choices"`
	Words   []string `json:"words"`
}

// check refuses an answer that does not fit the questions. Own words may be left out, everything else is answered.
func (a Answer) check(all []Question) error {
	if len(a.Choices) != len(all) || len(a.Words) != len(all) {
		return refuse("answer", "答卷与题目不符")
	}
	for i, q := range all {
		c := a.Choices[i]
		switch {
		case q.Kind == Text:
			if len(c) > 0 || utf8.RuneCountInString(a.Words[i]) > maxText {
				return refuse("answer", "第%d题：不超过%d字", i+1, maxText)
			}
			continue
		case a.Words[i] != "":
			return refuse("answer", "答卷与题目不符")
		case len(c) == 0:
			return refuse("answer", "第%d题还没有作答", i+1)
		case q.Kind != Some && len(c) != 1:
			return refuse("answer", "第%d题只能选一项", i+1)
		}
		for j, x := range c {
			if x < 0 || x >= len(q.Options) || slices.Contains(c[:j], x) {
				return refuse("answer", "第%d题：没有这个选项", i+1)
			}
		}
	}
	return nil
}
