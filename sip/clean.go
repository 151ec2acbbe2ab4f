package sip

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text fit to stand in a header, a URI or a session description: control characters, CR, LF and NUL among them, are
// dropped, so that no value can begin a line of its own; broken UTF-8 is dropped too, and the rest is cut to max characters.
func clean(s string, max int) string {
	if plain(s, max) {
		return s
	}
	var b strings.Builder
	n := 0
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size <= 1 {
				continue
			}
		}
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			continue
		}
		if n == max {
			break
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// plain says that clean would change nothing: almost always.
func plain(s string, max int) bool {
	if len(s) > max || s != "" && (s[0] == ' ' || s[len(s)-1] == ' ') {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// unquoted leaves out what would end a quoted string. Made once: building it costs 10 KB, a third of what a call allocates.
var unquoted = strings.NewReplacer(`"`, "", `\`, "")

// cleanDisplay is clean for what stands between the quotes of a display name.
func cleanDisplay(s string) string {
	return unquoted.Replace(clean(s, 64))
}

// cleanUser is clean for the user part of a URI: what RFC 3261 25.1 does not allow there is dropped.
func cleanUser(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		case strings.ContainsRune("-_.!~*'()&=+$,?/#", r):
			return r
		}
		return -1
	}, clean(s, 64))
}

// mask hides all but the first three and the last four of a number's digits, or all but the first three characters of a short one.
func mask(s string) string {
	switch {
	case len(s) >= 9:
		return s[:3] + "****" + s[len(s)-4:]
	case len(s) > 5:
		return s[:3] + "****"
	}
	return s
}

// maskDigits masks every run of seven and more digits in a line for the log or the trace. Short ones are extensions and codes.
func maskDigits(s string) string {
	if !longDigits(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && '0' <= s[j] && s[j] <= '9' {
			j++
		}
		switch {
		case j-i >= 7:
			b.WriteString(mask(s[i:j]))
			i = j
		case j > i:
			b.WriteString(s[i:j])
			i = j
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}

func longDigits(s string) bool {
	run := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			run = 0
		} else if run++; run >= 7 {
			return true
		}
	}
	return false
}
