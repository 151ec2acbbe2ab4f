package match

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

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
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		d, err := parse(in.Bytes())
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

// parse reads one line.
func parse(line []byte) (Doc, error) {
	var v struct {
		ID, Party, User, At, Time, Title, Text, Place, Area, Class string
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return Doc{}, err
	}
	d := Doc{ID: v.ID, Party: v.Party, Title: v.Title, Text: v.Text, Place: v.Place, Area: v.Area, Class: v.Class}
	if d.Party == "" {
		d.Party = v.User
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
