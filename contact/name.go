package contact

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unique"
)

// A Name is what somebody is called. Like a Phone it shows only its masked
// form, 王**, wherever it is printed or encoded; Clear gives it in the open.
type Name struct {
	handle unique.Handle[string]
}

// NameOf trims s; a blank s gives the zero Name.
func NameOf(s string) Name {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return Name{}
	}
	return Name{unique.Make(s)}
}

// Clear is the name in the open.
func (n Name) Clear() string {
	if n.IsZero() {
		return ""
	}
	return n.handle.Value()
}

// IsZero reports whether the name is not known.
func (n Name) IsZero() bool { return n == Name{} }

// Equal reports whether both are the same name.
func (n Name) Equal(m Name) bool { return n == m }

// twoRune are the family names of two characters that are in use.
var twoRune = map[string]bool{
	"欧阳": true, "司马": true, "上官": true, "诸葛": true, "司徒": true, "东方": true, "夏侯": true, "皇甫": true,
	"尉迟": true, "公孙": true, "慕容": true, "长孙": true, "宇文": true, "司空": true, "端木": true, "独孤": true,
	"南宫": true, "令狐": true, "轩辕": true, "闻人": true, "申屠": true, "濮阳": true, "澹台": true, "公冶": true,
}

// Surname is the family name of a Chinese name, "" for other names and for
// the name of a firm (more than four characters): enough for 王女士 in a
// text, and no more than a text may hold.
func (n Name) Surname() string {
	rs := []rune(n.Clear())
	if len(rs) < 2 || len(rs) > 4 {
		return ""
	}
	for _, r := range rs {
		if !unicode.Is(unicode.Han, r) {
			return ""
		}
	}
	if len(rs) > 2 && twoRune[string(rs[:2])] {
		return string(rs[:2])
	}
	return string(rs[:1])
}

// Masked is the first character and stars for the others, two at most, so
// that the length of a long name tells nothing.
func (n Name) Masked() string {
	rs := []rune(n.Clear())
	if len(rs) == 0 {
		return ""
	}
	return string(rs[:1]) + strings.Repeat("*", min(max(len(rs)-1, 1), 2))
}

// String is Masked.
func (n Name) String() string { return n.Masked() }

// Format prints the masked form whatever the verb.
func (n Name) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(f, "%q", n.Masked())
		return
	}
	_, _ = io.WriteString(f, n.Masked())
}

// LogValue is the masked form.
func (n Name) LogValue() slog.Value { return slog.StringValue(n.Masked()) }

// MarshalJSON encodes the masked form.
func (n Name) MarshalJSON() ([]byte, error) { return json.Marshal(n.Masked()) }

// MarshalText encodes the masked form.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.Masked()), nil }
