package oversee

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// SilentBand is how many contacts an age band of the city brought against how many it would bring if it spoke as often as all
// do whose age is known.
type SilentBand struct {
	Band      string
	Residents int // of the city, by the areas whose bands were entered
	N         int
	Expected  float64
	P         float64 // chance of so few or fewer
}

// IsSilent reports whether chance would hardly leave the band so quiet.
func (s SilentBand) IsSilent() bool { return s.Expected >= silentLeast && s.P < silentP }

// SilentAges are contacts by age. The age of a person is known where an identity number is, which most callers never say: how
// many contacts have none stands apart, and is part of no share.
type SilentAges struct {
	Bands          []SilentBand // none without residents by age
	Known, Unknown int          // contacts
}

// SilencesByAge counts the valid contacts of the last days (90 when zero) by the age of whoever made them.
func (d *Desk) SilencesByAge(tx *storage.Tx, days int, viewer ticket.Actor) (out SilentAges, err error) {
	if err := may(viewer, org.ViewAlerts); err != nil {
		return out, err
	}
	if days <= 0 {
		days = silentDays
	}
	people, err := d.Office.Populations(tx)
	if err != nil {
		return out, err
	}
	finest := 0 // bands of one level of areas only: a district's would count its communities twice
	for _, p := range people {
		if p.Band != "" {
			finest = max(finest, len(p.Area))
		}
	}
	residents, all := map[string]int{}, 0
	for _, p := range people {
		if p.Band != "" && len(p.Area) == finest {
			residents[p.Band] += p.Residents
			all += p.Residents
		}
	}
	type row struct {
		id string
		n  int
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.n) },
		`SELECT contact_id, COUNT(*) FROM ticket WHERE opened_at >= $1 AND restricted = FALSE AND validity IN ('', 'effective') GROUP BY contact_id`, storage.At(d.now().AddDate(0, 0, -days)))
	if err != nil {
		return out, fmt.Errorf("contacts by age: %w", err)
	}
	var ids []string
	for _, x := range rows {
		if x.id != "" {
			ids = append(ids, x.id)
		}
	}
	births, err := d.Office.Book.Births(tx, ids)
	if err != nil {
		return out, err
	}
	today, n := workday.DayOf(d.now()), map[string]int{}
	for _, x := range rows {
		band := ""
		if born, ok := births[x.id]; ok {
			band = bandOf(ageOn(today, born))
		}
		if band == "" {
			out.Unknown += x.n
			continue
		}
		out.Known += x.n
		n[band] += x.n
	}
	for _, band := range ticket.Bands {
		if all == 0 || residents[band] == 0 {
			continue
		}
		s := SilentBand{Band: band, Residents: residents[band], N: n[band], Expected: float64(out.Known) * float64(residents[band]) / float64(all)}
		s.P = poissonBelow(s.N, s.Expected)
		out.Bands = append(out.Bands, s)
	}
	return out, nil
}

// ageOn is somebody's age in whole years; -1 for who is not born yet.
func ageOn(day workday.Day, born time.Time) int {
	y, m, dd := day.Date()
	age := y - born.Year()
	if m < born.Month() || m == born.Month() && dd < born.Day() {
		age--
	}
	return age
}

// bandOf is the band of ticket.Bands that an age is in; "" for none that a person has.
func bandOf(age int) string {
	if age < 0 || age > 120 {
		return ""
	}
	for _, b := range ticket.Bands {
		low, high, ranged := strings.Cut(b, "-")
		from, err := strconv.Atoi(strings.TrimSuffix(low, "+"))
		to := 120
		if ranged {
			to, _ = strconv.Atoi(high)
		}
		if err == nil && age >= from && age <= to {
			return b
		}
	}
	return ""
}
