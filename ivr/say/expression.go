package say

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/ivr/prompts"
	"lianxin/speech/hanzi"
)

// An Expression is a value that is spoken among prompts: FORM:VALUE, such as number:42, digits:ticket or money:fee. The
// value is a literal, or the name of a value that is known when it is spoken.
type Expression struct {
	Form    string
	Literal string
	Var     string // instead of Literal
}

// forms are the ways to speak a value: an example for those who write flows, and the words.
var forms = map[string]struct {
	example string
	speak   func(value string, now time.Time) ([]string, error)
}{
	"digits":   {"13800138000", func(v string, _ time.Time) ([]string, error) { return digitsOf(v) }},
	"number":   {"42 or -3.5", func(v string, _ time.Time) ([]string, error) { return decimalOf(v) }},
	"ordinal":  {"2", whole(Ordinal, 0)},
	"people":   {"3", whole(func(n int64) []string { return People(int(n)) }, 0)},
	"things":   {"3", whole(func(n int64) []string { return Things(int(n)) }, 0)},
	"workdays": {"5", whole(func(n int64) []string { return Workdays(int(n)) }, 0)},
	"money":    {"12.50, in yuan", func(v string, _ time.Time) ([]string, error) { return moneyOf(v) }},
	"date":     {"2026-11-23", func(v string, now time.Time) ([]string, error) { return dateOf(v, now) }},
	"time":     {"14:05", func(v string, _ time.Time) ([]string, error) { return timeOf(v) }},
	"when":     {"2026-11-23T14:05", func(v string, now time.Time) ([]string, error) { return whenOf(v, now) }},
	"span":     {"90m", func(v string, _ time.Time) ([]string, error) { return spanOf(v) }},
}

var (
	expression = regexp.MustCompile(`^([a-z]+):(.*)$`)
	valueName  = regexp.MustCompile(`^[a-z][a-z0-9.-]*$`)
)

// IsExpression says whether a word of a flow is an expression rather than the key of a prompt.
func IsExpression(word string) bool { return expression.MatchString(word) }

// ParseExpression reads an expression. A literal that cannot be spoken is an error.
func ParseExpression(word string) (Expression, error) {
	m := expression.FindStringSubmatch(word)
	if m == nil {
		return Expression{}, fmt.Errorf("%q is no FORM:VALUE", word)
	}
	form, ok := forms[m[1]]
	if !ok {
		return Expression{}, fmt.Errorf("unknown form %q; expected one of %s", m[1], strings.Join(slices.Sorted(maps.Keys(forms)), ", "))
	}
	if valueName.MatchString(m[2]) {
		return Expression{Form: m[1], Var: m[2]}, nil
	}
	if _, err := form.speak(m[2], time.Now()); err != nil {
		return Expression{}, fmt.Errorf("%q cannot be spoken as %s, which is for example %s", m[2], m[1], form.example)
	}
	return Expression{Form: m[1], Literal: m[2]}, nil
}

// Speak is the prompts that speak the expression. value gives the known values; the error names none of them.
func (x Expression) Speak(value func(name string) string, now time.Time) ([]string, error) {
	v := x.Literal
	if x.Var != "" {
		if v = strings.TrimSpace(value(x.Var)); v == "" {
			return nil, fmt.Errorf("the value %s is not known", x.Var)
		}
	}
	keys, err := forms[x.Form].speak(v, now)
	if err != nil {
		return nil, fmt.Errorf("the value %s cannot be spoken as %s", x.Var, x.Form)
	}
	return keys, nil
}

// Pieces are recordings without which the form can say little, to be looked for before a flow is used.
func (x Expression) Pieces() []string {
	switch x.Form {
	case "digits":
		return []string{"d.0", "d.1", "d.9"}
	case "money":
		return []string{"u.yuan", "u.jiao", "u.fen"}
	case "date", "when":
		return []string{"month.1", "day.31"}
	case "":
		return nil
	}
	return []string{"n.0", "n.wan"}
}

var errSpeak = errors.New("say: cannot be spoken")

func whole(words func(int64) []string, least int64) func(string, time.Time) ([]string, error) {
	return func(v string, _ time.Time) ([]string, error) {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < least || n > 1e15 {
			return nil, errSpeak
		}
		return words(n), nil
	}
}

func digitsOf(v string) ([]string, error) {
	keys := Digits(v)
	if len(keys) == 0 || utf8.RuneCountInString(v) > 64 {
		return nil, errSpeak
	}
	return keys, nil
}

var decimal = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,9})?$`)

// Decimal speaks a decimal literal such as -3.50: 负三点五零.
func Decimal(v string) ([]string, error) { return decimalOf(v) }

func decimalOf(v string) ([]string, error) {
	if !decimal.MatchString(v) {
		return nil, errSpeak
	}
	text, negative := strings.CutPrefix(v, "-")
	words, err := hanzi.Decimal(text)
	if err != nil {
		return nil, errSpeak
	}
	if negative && strings.Trim(text, "0.") != "" {
		words = "负" + words
	}
	return cut(words), nil
}

var yuan = regexp.MustCompile(`^([0-9]{1,12})(\.([0-9]{1,2}))?$`)

func moneyOf(v string) ([]string, error) {
	m := yuan.FindStringSubmatch(v)
	if m == nil {
		return nil, errSpeak
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	fen, _ := strconv.ParseInt((m[3] + "00")[:2], 10, 64)
	return Money(n*100 + fen), nil
}

func dateOf(v string, now time.Time) ([]string, error) {
	t, err := time.ParseInLocation(time.DateOnly, v, now.Location())
	if err != nil {
		return nil, errSpeak
	}
	return Date(t, now), nil
}

func timeOf(v string) ([]string, error) {
	t, err := time.Parse("15:04", v)
	if err != nil {
		return nil, errSpeak
	}
	return Clock(t), nil
}

func whenOf(v string, now time.Time) ([]string, error) {
	for _, form := range []string{"2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(form, v, now.Location()); err == nil {
			return When(t.In(now.Location()), now), nil
		}
	}
	return nil, errSpeak
}

func spanOf(v string) ([]string, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > 1000*24*time.Hour {
		return nil, errSpeak
	}
	return Span(d), nil
}

// Expand puts the words of expressions where they stand among prompts. What cannot be spoken is left out and told.
func Expand(words []string, value func(name string) string, now time.Time) (keys []string, faults []error) {
	for _, w := range words {
		if !IsExpression(w) {
			keys = append(keys, w)
			continue
		}
		x, err := ParseExpression(w)
		var spoken []string
		if err == nil {
			spoken, err = x.Speak(value, now)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if x.Form == "digits" && len(keys) > 0 {
			keys = append(keys, prompts.Pause)
		}
		keys = append(keys, spoken...)
	}
	return keys, faults
}
