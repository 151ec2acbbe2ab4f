package grade

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// UnmarshalJSON reads {"title","text","history":{…},"at"}; every field may be missing or null. Counts may come as true or false, as
// text or as a list (its length), flags as numbers; an unknown field is left alone. It fails on a history that is no object, and on a title,
// text or fact of a kind that says nothing, naming the field.
func (c *Case) UnmarshalJSON(b []byte) error {
	fields, err := object(b)
	if err != nil {
		return err
	}
	var out Case
	for name, to := range map[string]*string{"title": &out.Title, "text": &out.Text} {
		if *to, err = text(fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	at, err := text(fields["at"])
	if err != nil {
		return fmt.Errorf("at: %w", err)
	}
	if at != "" {
		if out.At, err = moment(at); err != nil {
			return fmt.Errorf("at: %w", err)
		}
	}
	if h := fields["history"]; !null(h) {
		if err := json.Unmarshal(h, &out.History); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	*c = out
	return nil
}

// UnmarshalJSON reads the names of issue 5: parties, repeats, contacts_7d, contacts_90d, channels, age_days, loss_yuan, unsatisfied, rework,
// overdue, emotion_confirmed, verified_threat, watch_flag, watch_period. See Case.UnmarshalJSON for what is tolerated.
func (h *History) UnmarshalJSON(b []byte) error {
	fields, err := object(b)
	if err != nil {
		return err
	}
	var out History
	for name, to := range map[string]any{
		"parties": &out.Parties, "repeats": &out.Repeats, "contacts_7d": &out.Contacts7d, "contacts_90d": &out.Contacts90d, "channels": &out.Channels,
		"age_days": &out.AgeDays, "loss_yuan": &out.LossYuan, "unsatisfied": &out.Unsatisfied, "rework": &out.Rework, "overdue": &out.Overdue,
		"emotion_confirmed": &out.EmotionConfirmed, "verified_threat": &out.VerifiedThreat, "watch_flag": &out.WatchFlag, "watch_period": &out.WatchPeriod,
	} {
		n, err := count(fields[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		switch to := to.(type) {
		case *int:
			*to = int(n)
		case *int64:
			*to = n
		case *bool:
			*to = n > 0
		}
	}
	*h = out
	return nil
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func object(b []byte) (map[string]json.RawMessage, error) {
	if t := bytes.TrimSpace(b); len(t) == 0 || t[0] != '{' {
		return nil, fmt.Errorf("not a JSON object")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	return fields, nil
}

func text(raw json.RawMessage) (string, error) {
	switch {
	case null(raw):
		return "", nil
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case raw[0] == '{' || raw[0] == '[':
		return "", fmt.Errorf("not a text")
	}
	return string(raw), nil // a number or truth value says what it says
}

// maxCount bounds what a count can be; more says nothing more.
const maxCount = 1 << 40

func count(raw json.RawMessage) (int64, error) {
	if null(raw) {
		return 0, nil
	}
	s := string(raw)
	switch raw[0] {
	case 't':
		return 1, nil
	case 'f':
		return 0, nil
	case '[':
		var list []json.RawMessage
		err := json.Unmarshal(raw, &list)
		return int64(len(list)), err
	case '"':
		if err := json.Unmarshal(raw, &s); err != nil {
			return 0, err
		}
		s = strings.TrimSpace(s)
		switch strings.ToLower(s) {
		case "", "false", "no", "否", "无":
			return 0, nil
		case "true", "yes", "是", "有":
			return 1, nil
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("neither a number nor true or false")
	}
	return int64(min(max(v, 0), maxCount)), nil
}

func moment(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("neither a date nor a time")
}
