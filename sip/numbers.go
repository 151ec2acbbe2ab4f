package sip

import (
	"fmt"
	"strings"
	"time"
)

// Outbound says what may be called through trunks. The zero value allows nothing: whoever finds a way to make us dial must not find
// a way to make us pay (toll fraud; pitfall 38).
type Outbound struct {
	// Allow lists patterns of numbers. A digit or a leading + stands for itself, x for any digit, [3-9] or [358] for one of these; a
	// dot at the end for any further digits, one at least. "1[3-9]xxxxxxxxx" is every mobile number of the mainland.
	Allow []string

	// Number is what trunks show as the caller (From and P-Asserted-Identity), whatever DialOpt.From says: the hotline's number. A
	// Trunk.Number goes before it.
	Number string

	// MaxPerHour is how many calls may be tried in any 60 minutes through all trunks: no limit if 0.
	MaxPerHour int

	// MaxPerNight is how many may be tried in one night: no limit if 0. Thieves call by night, when nobody looks.
	MaxPerNight int

	// NightFrom and NightTo are when the night begins and ends, since midnight in Zone: 22 h and 6 h if both are zero.
	NightFrom, NightTo time.Duration
	Zone               *time.Location // time.Local if nil

	// MaxCall is how long a call through a trunk may last: Config.MaxCall if 0.
	MaxCall time.Duration
}

// nightOf names the night of a moment by its first day; "" by day.
func (o *Outbound) nightOf(t time.Time) string {
	if o.Zone != nil {
		t = t.In(o.Zone)
	}
	from, to := o.NightFrom, o.NightTo
	if from == 0 && to == 0 {
		from, to = 22*time.Hour, 6*time.Hour
	}
	at := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	switch {
	case from <= to && (at < from || at >= to), from > to && at < from && at >= to:
		return ""
	case from > to && at < to:
		t = t.AddDate(0, 0, -1)
	}
	return t.Format(time.DateOnly)
}

// pattern is a number pattern that has been read: one set of characters for each place.
type pattern struct {
	places []string
	more   bool
}

func readPattern(v string) (pattern, error) {
	bad := func() (pattern, error) { return pattern{}, fmt.Errorf("number pattern %q", clean(v, 64)) }
	var p pattern
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c >= '0' && c <= '9' || c == '+' && i == 0:
			p.places = append(p.places, v[i:i+1])
		case c == 'x' || c == 'X':
			p.places = append(p.places, "0123456789")
		case c == '.' && i == len(v)-1 && i > 0:
			p.more = true
		case c == '[':
			end := strings.IndexByte(v[i:], ']')
			if end < 2 {
				return bad()
			}
			set, in := "", v[i+1:i+end]
			for k := 0; k < len(in); k++ {
				from, to := in[k], in[k]
				if k+2 < len(in) && in[k+1] == '-' {
					to = in[k+2]
					k += 2
				}
				if from < '0' || to > '9' || from > to {
					return bad()
				}
				for d := from; d <= to; d++ {
					set += string(d)
				}
			}
			p.places = append(p.places, set)
			i += end
		default:
			return bad()
		}
	}
	if len(p.places) == 0 {
		return bad()
	}
	return p, nil
}

// matches takes digits only, with a + where the pattern has one: star codes of carriers switch call forwarding on.
func (p pattern) matches(number string) bool {
	if len(number) < len(p.places) || !p.more && len(number) > len(p.places) || p.more && len(number) == len(p.places) || len(number) > 32 {
		return false
	}
	for i := range len(number) {
		set := "0123456789"
		if i < len(p.places) {
			set = p.places[i]
		}
		if strings.IndexByte(set, number[i]) < 0 {
			return false
		}
	}
	return true
}

// CheckOutbound says what in an Outbound and its trunks would keep New from starting, without binding anything.
func CheckOutbound(o Outbound, trunks []Trunk) error {
	_, _, err := readLines(trunks, o)
	return err
}

// Allows reports whether an Outbound lets a number be called.
func Allows(o Outbound, number string) bool {
	for _, a := range o.Allow {
		if p, err := readPattern(a); err == nil && p.matches(number) {
			return true
		}
	}
	return false
}
