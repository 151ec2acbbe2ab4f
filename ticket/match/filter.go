package match

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"lianxin/table"
	"lianxin/workday"
)

// maxLine is the longest line of input.
const maxLine = 4 << 20

// Filter reads requests as JSON lines {"id","party","at","title","text","place"} in the order of their times and writes for
// each its links and the group it is in: {"id","pairs":[…],"group":n,"parties":n,"rule":"7d","new":true}. id and at are
// required ("user" and "time" are read as party and at); at is RFC 3339 or local time such as 2026-11-27T08:00:00. A line
// that cannot be read gives {"error","line"} and the rest goes on.
func Filter(r io.Reader, w io.Writer) error {
	g := NewGrouper(DefaultRules())
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	var last time.Time
	for n := 1; in.Scan(); n++ {
		line := in.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		d, err := parse(line)
		if err == nil && d.At.Before(last) {
			err = errors.New("at: earlier than the line before; sort the requests by their times")
		}
		if err != nil {
			if err := out.Encode(map[string]any{"error": err.Error(), "line": n}); err != nil {
				return err
			}
			continue
		}
		last = d.At
		pairs, group, fresh := g.Take(d)
		a := struct {
			ID      string `json:"id"`
			Pairs   []Pair `json:"pairs"`
			Group   int    `json:"group,omitempty"`
			Parties int    `json:"parties,omitempty"`
			Rule    string `json:"rule,omitempty"`
			New     bool   `json:"new,omitempty"`
		}{ID: d.ID, Pairs: pairs}
		if pairs == nil {
			a.Pairs = []Pair{}
		}
		if group != nil {
			a.Group, a.Parties, a.Rule, a.New = group.N, group.Parties, group.Rule, fresh
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	return nil
}

// name is an id, which other systems also write as a number.
type name string

func (n *name) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9') {
		*n = name(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(n))
}

// parse reads one line.
func parse(line []byte) (Doc, error) {
	var v struct {
		ID, Party, User                           name
		At, Time, Title, Text, Place, Area, Class string
	}
	line, err := table.UTF8(line)
	if err != nil {
		return Doc{}, err
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return Doc{}, err
	}
	d := Doc{ID: string(v.ID), Party: string(v.Party), Title: v.Title, Text: v.Text, Place: v.Place, Area: v.Area, Class: v.Class}
	if d.Party == "" {
		d.Party = string(v.User)
	}
	if v.At == "" {
		v.At = v.Time
	}
	if d.ID == "" {
		return d, errors.New("id: missing")
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, v.At, workday.Zone); err == nil {
			d.At = t
			return d, nil
		}
	}
	return d, fmt.Errorf("at: %q is no time such as 2026-11-27T08:00:00", v.At)
}
