package ticket

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Scale is what a citizen was asked to rate on. Figures count Stars; what was really said stands beside them, so that nobody has to
// trust the folding (LOOP-8: the raw figure beside the official one).
type Scale string

// Scales.
const (
	ScaleFive  Scale = "five"  // the five levels in words: 5 非常满意 … 1 非常不满意
	ScaleKey   Scale = "key"   // a key on the telephone: 1 the best … 5
	ScaleThree Scale = "three" // 满意 3, 基本满意 2, 不满意 1
	ScaleTen   Scale = "ten"   // points from 0 to 10
	ScaleWords Scale = "words" // in the citizen's own words; who took them down folded them
)

// Scales lists the scales that a person may have asked on.
var Scales = []Scale{ScaleFive, ScaleThree, ScaleTen, ScaleKey, ScaleWords}

var scaleLabels = map[Scale]string{ScaleFive: "五级", ScaleKey: "按键（1最满意）", ScaleThree: "三级", ScaleTen: "十分制", ScaleWords: "口头表述"}

// Label is the scale for people (zh-CN).
func (s Scale) Label() string { return scaleLabels[s] }

// Fold turns a value on a scale into Stars; 0 when the scale has no such value or, as with words, a person folds.
//
// Three levels have no extremes: 满意 is 4 and 不满意 is 2. Of ten points 9 and 10 are 5, then two points each, and 0 to 2 are 1.
func (s Scale) Fold(value int) Stars {
	switch {
	case s == ScaleFive && Stars(value).Valid():
		return Stars(value)
	case s == ScaleKey:
		return FromReplyDigit(value)
	case s == ScaleThree && value >= 1 && value <= 3:
		return Stars(value + 1)
	case s == ScaleTen && value >= 0 && value <= 10:
		return Stars(max(1, (value+1)/2))
	}
	return 0
}

// value is a value on the scale in words.
func (s Scale) value(given string) string {
	n, err := strconv.Atoi(given)
	if err != nil {
		return ""
	}
	switch s {
	case ScaleFive:
		return Stars(n).Label()
	case ScaleKey:
		return "按" + given
	case ScaleThree:
		if n >= 1 && n <= 3 {
			return [...]string{"不满意", "基本满意", "满意"}[n-1]
		}
	case ScaleTen:
		return given + "分"
	}
	return ""
}

// GivenLabel is what the citizen said, on the scale that they were asked on, in words; "" for ratings from before it was kept.
func (r Rating) GivenLabel() string {
	if r.Scale == "" {
		return ""
	}
	return strings.TrimSpace(r.Scale.Label() + " " + r.Scale.value(r.Given))
}

// fold brings what was given and Stars together.
func (in *RatingIn) fold() error {
	if in.Scale == "" {
		if !in.Stars.Valid() {
			return refuse("stars", "评价为1至5级，并须注明评价方式")
		}
		in.Scale, in.Given = ScaleFive, strconv.Itoa(int(in.Stars))
	}
	if in.Scale.Label() == "" {
		return refuse("scale", "没有评价量表“%s”", string(in.Scale))
	}
	if in.Scale == ScaleWords {
		if strings.TrimSpace(in.Words) == "" {
			return refuse("words", "口头表述的评价须记录群众原话")
		}
		in.Given = ""
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(in.Given))
	stars := in.Scale.Fold(n)
	switch {
	case err != nil || !stars.Valid():
		return refuse("given", "评价“%s”不在%s量表内", in.Given, in.Scale.Label())
	case in.Stars != 0 && in.Stars != stars:
		return refuse("given", "%s量表的%s应折合为“%s”，与所选等级不符", in.Scale.Label(), in.Given, stars.Label())
	}
	in.Given, in.Stars = strconv.Itoa(n), stars
	return nil
}

// maxPlace is how long the number of a window or clerk may be, in characters.
const maxPlace = 30

// checkServed refuses numbers of windows and clerks that are none: both stand in the open on lists and in warnings, so no name may.
func checkServed(window, clerk string) error {
	for _, x := range []struct{ code, what, v string }{{"window", "窗口号", window}, {"clerk", "工号", clerk}} {
		switch {
		case utf8.RuneCountInString(x.v) > maxPlace || strings.ContainsFunc(x.v, unicode.IsControl):
			return refuse(x.code, "%s不超过%d字且不换行", x.what, maxPlace)
		case x.code == "clerk" && x.v != "" && strings.ContainsFunc(x.v, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.'
		}) || x.code == "clerk" && x.v != "" && !strings.ContainsFunc(x.v, unicode.IsDigit):
			return refuse(x.code, "工号由字母、数字和连字符组成，至少一位数字；请勿填写姓名")
		}
	}
	return nil
}
