// Package workday counts working days and working time by the calendar of the State Council, make-up days (调休) included.
package workday

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// The yearly files of holiday-cn, which cite the State Council's notices (MIT licence, data/LICENSE).
//
//go:embed data/*.json data/LICENSE
var files embed.FS

// Calendar knows which days are working days. It never changes once read, so it may be shared.
//
// For a year whose notice is not there (it comes out in November of the year before) every Monday to Friday counts as a
// working day and the rest do not; Known and Unknown tell whether a result rests on that.
type Calendar struct {
	exceptions map[Day]bool // day → is a working day, where the weekday says otherwise or the notice names it
	known      map[int]bool // years with a notice
	version    string
}

var embedded = sync.OnceValues(func() (*Calendar, error) {
	sub, err := fs.Sub(files, "data")
	if err != nil {
		return nil, err
	}
	return Read(sub)
})

// Load is the calendar that is linked into the program.
func Load() (*Calendar, error) { return embedded() }

// Read reads a calendar from the *.json files of a folder in the format of holiday-cn: {"year", "days": [{"name",
// "date", "isOffDay"}]}. A file without days leaves its year unknown.
func Read(fsys fs.FS) (*Calendar, error) {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	c := &Calendar{exceptions: map[Day]bool{}, known: map[int]bool{}}
	sum := sha256.New()
	for _, name := range names {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read calendar: %w", err)
		}
		if err := c.add(b); err != nil {
			return nil, fmt.Errorf("read calendar %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%s %d\n", path.Base(name), len(b))
		sum.Write(b)
	}
	last := 0
	for y := range c.known {
		last = max(last, y)
	}
	if last == 0 {
		return nil, fmt.Errorf("read calendar: no year with days in %d files", len(names))
	}
	c.version = fmt.Sprintf("cn-%d-%s", last, hex.EncodeToString(sum.Sum(nil))[:10])
	return c, nil
}

// YearOf reads the year of a file in the format of holiday-cn, and fails when it is no such file or names no days.
func YearOf(file []byte) (int, error) {
	c := &Calendar{exceptions: map[Day]bool{}, known: map[int]bool{}}
	if err := c.add(file); err != nil {
		return 0, err
	}
	for y := range c.known {
		return y, nil
	}
	return 0, errors.New("the file names no days")
}

// With is the calendar with the files of more years; a file of a year that is known already takes its place. c itself
// does not change.
func (c *Calendar) With(files ...[]byte) (*Calendar, error) {
	out := &Calendar{exceptions: maps.Clone(c.exceptions), known: maps.Clone(c.known)}
	sum := sha256.New()
	fmt.Fprintln(sum, c.version)
	for _, b := range files {
		year, err := YearOf(b)
		if err != nil {
			return nil, err
		}
		if out.known[year] {
			delete(out.known, year)
			maps.DeleteFunc(out.exceptions, func(d Day, _ bool) bool { return d.Year() == year })
		}
		if err := out.add(b); err != nil {
			return nil, err
		}
		sum.Write(b)
	}
	last := 0
	for y := range out.known {
		last = max(last, y)
	}
	out.version = fmt.Sprintf("cn-%d-%s", last, hex.EncodeToString(sum.Sum(nil))[:10])
	return out, nil
}

func (c *Calendar) add(b []byte) error {
	var f struct {
		Year int `json:"year"`
		Days []struct {
			Name string `json:"name"`
			Date Day    `json:"date"`
			Off  *bool  `json:"isOffDay"`
		} `json:"days"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	if f.Year < 1 || f.Year > 9999 {
		return fmt.Errorf("year %d", f.Year)
	}
	if c.known[f.Year] && len(f.Days) > 0 {
		return fmt.Errorf("a second file for %d", f.Year)
	}
	for _, d := range f.Days {
		// A notice may name the last days of December before its year: 2022-12-31 stands in that of 2023.
		if d.Off == nil || d.Date.Year() < f.Year-1 || d.Date.Year() > f.Year+1 {
			return fmt.Errorf("day %q of %s does not belong to %d or does not say whether it is off", d.Name, d.Date, f.Year)
		}
		if work, ok := c.exceptions[d.Date]; ok && work == *d.Off {
			return fmt.Errorf("%s is named twice with different meanings", d.Date)
		}
		c.exceptions[d.Date] = !*d.Off
	}
	if len(f.Days) > 0 {
		c.known[f.Year] = true
	}
	return nil
}

// Version names the data, such as "cn-2026-5f0c…": the last known year and a hash of all files. It is kept beside every
// date that was computed (invariant I9).
func (c *Calendar) Version() string { return c.version }

// Known reports whether the State Council's notice for the year is there.
func (c *Calendar) Known(year int) bool { return c.known[year] }

// Unknown lists the years from a's to b's (in either order) without a notice: a result that depends on those days rests
// on the Monday-to-Friday fall-back and must be computed again when the notice arrives. It is nil when all are known.
func (c *Calendar) Unknown(a, b Day) []int {
	var out []int
	for y := min(a, b).Year(); y <= max(a, b).Year(); y++ {
		if !c.known[y] {
			out = append(out, y)
		}
	}
	return out
}

// IsWorkday reports whether d is a working day: a day named by a notice is what the notice says, any other is one from
// Monday to Friday.
func (c *Calendar) IsWorkday(d Day) bool {
	if work, ok := c.exceptions[d]; ok {
		return work
	}
	w := d.Weekday()
	return w != time.Saturday && w != time.Sunday
}

// Add is the nth working day after d when n is positive (d itself is day 0 and never counts), the nth working day before
// d when n is negative, and d itself, working day or not, when n is 0. The result stays within FirstDay and LastDay.
//
// Add is monotone in d and in n, and Add(Add(d, m), n) == Add(d, m+n) for m and n of the same sign.
func (c *Calendar) Add(d Day, n int) Day {
	step := Day(1)
	if n < 0 {
		step, n = -1, -n
	}
	for n > 0 {
		if d+step < FirstDay || d+step > LastDay {
			return d
		}
		d += step
		if c.IsWorkday(d) {
			n--
		}
	}
	return d
}

// Between counts the working days that are stepped on when going from a, which is left out, to b, which is counted:
// those in (a, b] when b is later, minus those in [b, a) when it is earlier, and 0 when they are equal. So
// Between(d, Add(d, n)) == n for every d and n.
func (c *Calendar) Between(a, b Day) int {
	n := 0
	for d := a + 1; d <= b; d++ {
		if c.IsWorkday(d) {
			n++
		}
	}
	for d := b; d < a; d++ {
		if c.IsWorkday(d) {
			n--
		}
	}
	return n
}

// Missing lists the years that should be known at now and are not: this year, and from 1 October the next, whose notice
// usually comes in November.
func (c *Calendar) Missing(now time.Time) []int {
	var out []int
	y, m, _ := now.In(Zone).Date()
	if !c.known[y] {
		out = append(out, y)
	}
	if m >= time.October && !c.known[y+1] {
		out = append(out, y+1)
	}
	return out
}

// Warn is the warning for staff (zh-CN) when Missing is not empty, and "" otherwise.
func (c *Calendar) Warn(now time.Time) string {
	years := c.Missing(now)
	if len(years) == 0 {
		return ""
	}
	var names []string
	for _, y := range years {
		names = append(names, fmt.Sprintf("%d年", y))
	}
	return "缺少" + strings.Join(names, "、") + "放假调休安排：暂按周一至周五为工作日计算期限，国务院通知发布后请更新日历并重新计算。"
}
