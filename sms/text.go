package sms

import (
	"fmt"
	"strings"
	"unicode"
)

// Size is what a text costs.
type Size struct {
	Encoding string // "GSM-7" or "UCS-2"
	Units    int    // septets (GSM-7) or UTF-16 units (UCS-2); 【】 and the signature count
	Segments int    // what the carrier bills
}

// Measure counts a text as the network does: GSM-7 (3GPP TS 23.038) when every character is in its alphabet, 160 septets
// or 153 in each of several parts; else UCS-2, 70 UTF-16 units or 67.
func Measure(text string) Size {
	if n, ok := septets(text); ok {
		return Size{"GSM-7", n, len(Split(text))}
	}
	return Size{"UCS-2", units(text), len(Split(text))}
}

// Split cuts a text into the parts that are sent one by one. It never cuts inside a surrogate pair, an escaped GSM
// character, or what a reader sees as one character (an emoji with its skin tone, a letter with its accents).
func Split(text string) []string {
	if text == "" {
		return []string{""}
	}
	single, multi, unit := 70, 67, utf16Len
	if n, ok := septets(text); ok {
		single, multi, unit = 160, 153, gsmLen
		if n <= single {
			return []string{text}
		}
	} else if units(text) <= single {
		return []string{text}
	}
	var parts []string
	var part strings.Builder
	used := 0
	flush := func() {
		parts = append(parts, part.String())
		part.Reset()
		used = 0
	}
	for _, c := range clusters(text) {
		n := 0
		for _, r := range c {
			n += unit(r)
		}
		if used+n > multi && used > 0 {
			flush()
		}
		if n <= multi {
			part.WriteString(c)
			used += n
			continue
		}
		for _, r := range c { // one character longer than a part: cut between its code points
			if used+unit(r) > multi {
				flush()
			}
			part.WriteRune(r)
			used += unit(r)
		}
	}
	if used > 0 {
		flush()
	}
	return parts
}

// units counts a text in UTF-16.
func units(text string) (n int) {
	for _, r := range text {
		n += utf16Len(r)
	}
	return n
}

func utf16Len(r rune) int {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

// clusters cuts a text between what readers see as characters: a close approximation of Unicode's grapheme clusters
// (UAX 29) for the scripts and emoji that occur in texts.
func clusters(text string) []string {
	var out []string
	start, flags := 0, 0
	var prev rune = -1
	for i, r := range text {
		if i > 0 && !joins(prev, r, flags) {
			out = append(out, text[start:i])
			start, flags = i, 0
		}
		if flag(r) {
			flags++
		}
		prev = r
	}
	return append(out, text[start:])
}

func joins(prev, r rune, flags int) bool {
	const zwj = 0x200d
	switch {
	case prev == '\r' && r == '\n', prev == zwj, r == zwj:
		return true
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc):
		return true
	case r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0020 && r <= 0xe007f: // skin tones, tags
		return true
	case flag(prev) && flag(r):
		return flags%2 == 1
	}
	return false
}

func flag(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

// The default alphabet of 3GPP TS 23.038 and its extension, whose characters cost two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExt   = "\f^{}\\[~]|€"
)

var gsm = func() map[rune]int {
	m := map[rune]int{}
	for _, r := range gsmBasic {
		m[r] = 1
	}
	for _, r := range gsmExt {
		m[r] = 2
	}
	return m
}()

func gsmLen(r rune) int { return gsm[r] }

func septets(text string) (n int, ok bool) {
	for _, r := range text {
		c := gsm[r]
		if c == 0 {
			return 0, false
		}
		n += c
	}
	return n, true
}

// Sign puts 【signature】 in front of the body exactly once, wherever the body had it before.
func Sign(signature, body string) string {
	if signature == "" {
		return body
	}
	mark := "【" + signature + "】"
	return mark + strings.TrimSpace(strings.ReplaceAll(body, mark, ""))
}

// CheckSignature reports why the carriers would refuse a signature: it has 2 to 16 characters, Chinese, letters or
// digits, and not digits alone.
func CheckSignature(s string) error {
	n, digits := 0, 0
	for _, r := range s {
		n++
		switch {
		case r >= '0' && r <= '9':
			digits++
		case unicode.Is(unicode.Han, r), r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		default:
			return fmt.Errorf("signature %q: %q is not allowed", s, r)
		}
	}
	if n < 2 || n > 16 || n == digits {
		return fmt.Errorf("signature %q: needs 2 to 16 characters, not digits alone", s)
	}
	return nil
}
