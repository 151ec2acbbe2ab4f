package survey

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"lianxin/survey/reply"
)

// standardScale is the scale of five as it is written where a configuration has none of its own. A digit of it is its rating.
const standardScale = "1非常满意2满意3基本满意4不满意5非常不满意"

// levels are the words of scales, with their ratings.
var levels = map[string]int{
	"非常满意": 1, "很满意": 1, "十分满意": 1,
	"满意": 2, "比较满意": 2, "较满意": 2,
	"基本满意": 3, "一般": 3, "尚可": 3,
	"不满意": 4, "不太满意": 4, "较不满意": 4,
	"非常不满意": 5, "很不满意": 5, "十分不满意": 5,
}

var levelPattern = regexp.MustCompile(`([0-9])[.、:：]?([^0-9,，;；、。/\s]+)[,，;；、。/\s]*`)

// parseScale reads a scale as it stands in texts: 1满意2基本满意3不满意. Its digits go from 1 up without a gap, its words from good to
// bad; any other would be read wrongly sooner or later.
func parseScale(text string) (s reply.Scale, n int, err error) {
	rest, last := text, 0
	for rest != "" {
		m := levelPattern.FindStringSubmatchIndex(rest)
		if m == nil || m[0] != 0 {
			return s, 0, fmt.Errorf("%q: want digits with words, such as 1满意2基本满意3不满意", text)
		}
		digit, word := int(rest[m[2]]-'0'), rest[m[4]:m[5]]
		rating := levels[word]
		switch {
		case rating == 0:
			return s, 0, fmt.Errorf("%q: %s is no word of a scale that is known", text, word)
		case digit != n+1 || digit > 5:
			return s, 0, fmt.Errorf("%q: the digits must go from 1 to 5 at most, without a gap", text)
		case rating <= last:
			return s, 0, fmt.Errorf("%q: the words must go from good to bad", text)
		}
		s[digit], last, n, rest = rating, rating, digit, rest[m[1]:]
	}
	return s, n, nil
}

// checkScales reads every scale of the configuration.
func (c *Config) checkScales() error {
	for n, text := range c.Scales {
		_, levels, err := parseScale(text)
		if err != nil {
			return fmt.Errorf("scale of %d: %w", n, err)
		}
		if levels != n || n < 3 {
			return fmt.Errorf("scale of %d: %q has %d levels; 3, 4 and 5 are possible", n, text, levels)
		}
	}
	return nil
}

// scaleOf is what is kept of the scale that a class is texted with: "" for the standard one.
func (c *Config) scaleOf(class string) string {
	cl, _ := c.Class(class)
	if text := c.Scales[cl.Scale]; text != standardScale {
		return text
	}
	return ""
}

// ownScales reports that some class is texted with another scale than the standard one.
func (c *Config) ownScales() bool {
	return slices.ContainsFunc(c.Classes, func(cl Class) bool { return c.scaleOf(cl.Code) != "" })
}

// Scale is the scale as the person was texted it.
func (a Ask) Scale() string { return cmp.Or(a.scale, standardScale) }

// digits are what the digits of a reply to the question mean. Who was asked by telephone was told the scale of five.
func (a *Ask) digits() reply.Scale {
	if a == nil || a.scale == "" {
		return reply.Scale{}
	}
	s, _, err := parseScale(a.scale)
	if err != nil {
		return reply.Scale{} // it was read before it was texted
	}
	return s
}
