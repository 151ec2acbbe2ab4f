package sip

import (
	"fmt"
	"strings"
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
