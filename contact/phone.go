package contact

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unique"
)

// A Kind says what a number can be used for.
type Kind string

// Kinds of numbers.
const (
	Mobile    Kind = "mobile"    // 11 digits, 1[3-9]…: can be texted
	Fixed     Kind = "fixed"     // 0 + area code + number: 02442830110, 04142830110
	Local     Kind = "local"     // a fixed line without its area code: 46110110
	Short     Kind = "short"     // 110, 12345, 10086
	Service   Kind = "service"   // 400…, 800…, 95…, 96…, 106…
	Extension Kind = "extension" // a phone of the house: 8001
	Foreign   Kind = "foreign"   // + and country code
)

// A Phone is one number, normalised, so that two spellings of one number are
// equal (also by ==). However it is printed, logged or encoded it shows its
// masked form, 138****5678; the digits come out through Clear alone, so that
// every place that handles them can be found by that word.
//
// The digits sit behind a unique.Handle: fmt cannot call methods on the
// unexported fields of other structs, and would print them there.
type Phone struct {
	handle unique.Handle[string]
}

func phone(digits string) Phone { return Phone{unique.Make(digits)} }

// Clear is the number in the open: digits, with a leading "+" for a foreign one.
// It is for dialling, texting and sealing only.
func (p Phone) Clear() string {
	if p.IsZero() {
		return ""
	}
	return p.handle.Value()
}

// IsZero reports whether there is no number.
func (p Phone) IsZero() bool { return p == Phone{} }

// Equal reports whether both are the same number.
func (p Phone) Equal(q Phone) bool { return p == q }

// Kind tells mobile numbers from fixed lines and the rest; "" when there is no number.
func (p Phone) Kind() Kind { return kindOf(p.Clear()) }

// E164 is the number in the international form (ITU-T E.164), +8613800000000,
// or "" for numbers that cannot be called from abroad.
func (p Phone) E164() string {
	d := p.Clear()
	switch p.Kind() {
	case Mobile:
		return "+86" + d
	case Fixed:
		return "+86" + d[1:]
	case Foreign:
		return d
	}
	return ""
}

// Masked is the form for pages, logs and exports. Short numbers and
// extensions belong to nobody in particular and are shown whole.
func (p Phone) Masked() string {
	d := p.Clear()
	switch {
	case len(d) == 0:
		return ""
	case len(d) <= 6 && p.Kind() != Foreign:
		return d
	case len(d) >= 11:
		return d[:3] + "****" + d[len(d)-4:]
	}
	return d[:2] + "****" + d[len(d)-2:]
}

// String is Masked.
func (p Phone) String() string { return p.Masked() }

// GoString is Masked, so that %#v is masked too.
func (p Phone) GoString() string { return "contact.Phone(" + p.Masked() + ")" }

// Format prints the masked form whatever the verb.
func (p Phone) Format(f fmt.State, verb rune) {
	switch verb {
	case 'q':
		fmt.Fprintf(f, "%q", p.Masked())
	default:
		_, _ = io.WriteString(f, p.Masked())
	}
}

// LogValue is the masked form.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.Masked()) }

// MarshalJSON encodes the masked form.
func (p Phone) MarshalJSON() ([]byte, error) { return json.Marshal(p.Masked()) }

// MarshalText encodes the masked form.
func (p Phone) MarshalText() ([]byte, error) { return []byte(p.Masked()), nil }

// ParsePhone reads any number that can be dialled: mobile, fixed (with or
// without area code), short, service, extension or foreign. It takes +86,
// 0086 and 86 off, and blanks, dashes, brackets and full-width forms; a fixed
// line after +86 gets its 0 back. The error is a *NumberError.
func ParsePhone(s string) (Phone, error) {
	d, err := digits(s)
	if err != nil {
		return Phone{}, err
	}
	d, err = national(d)
	if err != nil {
		return Phone{}, err
	}
	if kindOf(d) == "" {
		return Phone{}, ErrWrongLength
	}
	return phone(d), nil
}

// ParseMobile reads a mobile number of the mainland by our own rule,
// 1[3-9] and nine more digits: number libraries lag behind the ranges that
// the ministry gives out. Other numbers are refused each with its own error,
// a *NumberError.
func ParseMobile(s string) (Phone, error) {
	d, err := digits(s)
	if err != nil {
		return Phone{}, err
	}
	if d, err = national(d); err != nil {
		return Phone{}, err
	}
	switch kindOf(d) {
	case Mobile:
		return phone(d), nil
	case Fixed, Local:
		return Phone{}, ErrFixedLine
	case Short, Extension:
		return Phone{}, ErrShortNumber
	case Service:
		return Phone{}, ErrServiceNumber
	case Foreign:
		return Phone{}, ErrForeign
	}
	if len(d) == 11 {
		return Phone{}, ErrNotMobile
	}
	return Phone{}, ErrWrongLength
}

// national takes the country code off a number of the mainland and leaves
// others in the form +CC….
func national(d string) (string, error) {
	if rest, ok := strings.CutPrefix(d, "00"); ok {
		d = "+" + rest
	}
	if rest, ok := strings.CutPrefix(d, "+"); ok {
		if len(rest) < 3 || rest[0] == '0' {
			return "", ErrWrongLength
		}
		home, ok := strings.CutPrefix(rest, "86")
		if !ok {
			return d, nil
		}
		d = home
		if k := kindOf("0" + d); k == Fixed { // +86 24 … is dialled 024 … at home
			d = "0" + d
		}
	}
	if rest, ok := strings.CutPrefix(d, "86"); ok && kindOf(rest) == Mobile {
		d = rest
	}
	// Long distance to a mobile used to be dialled with a 0 in front.
	if rest, ok := strings.CutPrefix(d, "0"); ok && kindOf(rest) == Mobile {
		d = rest
	}
	return d, nil
}

// kindOf names the kind of a normalised number, "" when it is none.
func kindOf(d string) Kind {
	n := len(d)
	switch {
	case n < 3:
		return ""
	case d[0] == '+':
		// E.164: at most 15 digits; fewer than 7 reach no subscriber.
		if n >= 8 && n <= 16 && !strings.HasPrefix(d, "+86") {
			return Foreign
		}
		return ""
	case d[0] == '0':
		return fixed(d)
	case n == 11 && d[0] == '1' && d[1] >= '3':
		return Mobile
	case n >= 8 && n <= 21 && strings.HasPrefix(d, "106"):
		return Service
	case n == 10 && (strings.HasPrefix(d, "400") || strings.HasPrefix(d, "800")):
		return Service
	case (n == 5 || n == 6) && (strings.HasPrefix(d, "95") || strings.HasPrefix(d, "96")):
		return Service
	case d[0] == '1' && n <= 6:
		return Short
	case d[0] != '1' && n <= 6:
		return Extension
	case d[0] != '1' && (n == 7 || n == 8):
		return Local
	}
	return ""
}

// fixed knows the area codes: 010 and 02x have eight digits behind them,
// 03xx–09xx seven or eight.
func fixed(d string) Kind {
	n := len(d)
	switch {
	case strings.HasPrefix(d, "010"), strings.HasPrefix(d, "02"):
		if n == 11 && d[3] >= '2' {
			return Fixed
		}
	case d[1] >= '3':
		if (n == 11 || n == 12) && d[4] >= '2' {
			return Fixed
		}
	}
	return ""
}
