package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lianxin/workday"
)

// Text is a value that a carrier writes as a string in one place of its documentation and as a number or a truth value
// in another.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case bytes.Equal(b, []byte("null")):
	case len(b) > 0 && b[0] == '"':
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	case len(b) > 0 && (b[0] == '{' || b[0] == '['):
		return fmt.Errorf("a value where text was expected")
	default:
		s = string(b)
	}
	*t = Text(s)
	return nil
}

// Beijing reads "2006-01-02 15:04:05" or "20060102150405", Beijing time; zero when it is neither.
func Beijing(s string) time.Time {
	for _, layout := range []string{time.DateTime, "20060102150405"} {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), workday.Zone); err == nil {
			return t
		}
	}
	return time.Time{}
}

// Items reads a JSON array of T, or one T alone.
func Items[T any](body []byte) (out []T, err error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		var one T
		err = json.Unmarshal(body, &one)
		return []T{one}, err
	}
	if err = json.Unmarshal(body, &out); err == nil && out == nil {
		err = fmt.Errorf("no list")
	}
	return out, err
}
