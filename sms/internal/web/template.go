package web

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"lianxin/sms"
)

// Template is a text that a cloud carrier has approved: it sends nothing else. The signature is not part of it.
type Template struct {
	Code string // the carrier's name for it
	Text string // as it was approved, with its variables: "您好,请评价:${text}", "您好,请评价:{1}"

	pattern *regexp.Regexp
	names   []string
}

// Templates finds out which approved template a text follows.
type Templates struct {
	mark string
	list []Template
}

// NewTemplates checks templates. variable matches a variable and has its name as the first group.
func NewTemplates(signature string, list []Template, variable *regexp.Regexp) (*Templates, error) {
	if err := sms.CheckSignature(signature); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("templates: none given")
	}
	t := &Templates{mark: "【" + signature + "】"}
	for _, tm := range list {
		if tm.Code == "" || tm.Text == "" {
			return nil, errors.New("templates: each needs a code and a text")
		}
		var b strings.Builder
		b.WriteString(`(?s)\A`)
		at := 0
		seen := map[string]bool{}
		for _, loc := range variable.FindAllStringSubmatchIndex(tm.Text, -1) {
			if loc[0] == at && at > 0 {
				return nil, fmt.Errorf("template %s: two variables side by side cannot be told apart", tm.Code)
			}
			name := tm.Text[loc[2]:loc[3]]
			if seen[name] {
				return nil, fmt.Errorf("template %s: variable %s stands there twice", tm.Code, name)
			}
			seen[name] = true
			tm.names = append(tm.names, name)
			b.WriteString(regexp.QuoteMeta(tm.Text[at:loc[0]]) + `(.+?)`)
			at = loc[1]
		}
		b.WriteString(regexp.QuoteMeta(tm.Text[at:]) + `\z`)
		tm.pattern = regexp.MustCompile(b.String())
		t.list = append(t.list, tm)
	}
	return t, nil
}

// Value is a variable of a template and what stands in its place.
type Value struct{ Name, Text string }

// Fit returns the first template that makes the body, with its values in the order in which they stand. The body must
// begin with the signature, which the carrier puts there itself.
func (t *Templates) Fit(body string) (code string, values []Value, err error) {
	text, signed := strings.CutPrefix(body, t.mark)
	if !signed {
		return "", nil, errors.New("the text does not begin with the approved signature")
	}
	for _, tm := range t.list {
		m := tm.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		for i, name := range tm.names {
			values = append(values, Value{name, m[i+1]})
		}
		return tm.Code, values, nil
	}
	return "", nil, errors.New("the text follows none of the approved templates")
}
