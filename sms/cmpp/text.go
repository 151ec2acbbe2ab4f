package cmpp

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"lianxin/sms"
)

// Msg_Fmt: how the content is written.
const (
	FmtASCII  = 0
	FmtBinary = 4
	FmtUCS2   = 8
	FmtGB     = 15
)

// Segment is the content of one SUBMIT.
type Segment struct {
	Format  uint8
	UDHI    bool // the content begins with a user data header
	Content []byte
}

// Segments cuts a text into what fits into a SUBMIT each: one segment of ASCII (fewer than 160 characters) or of UCS-2
// (70 units), or several of UCS-2 (67 units), with a header that has ref as the reference. Long Latin texts go as UCS-2
// too: how a gateway packs eight-bit ASCII behind a header is nowhere laid down.
func Segments(body string, ref byte) []Segment {
	if ascii(body) && len(body) < 160 {
		return []Segment{{Format: FmtASCII, Content: []byte(body)}}
	}
	parts := split(body)
	out := make([]Segment, len(parts))
	for i, text := range parts {
		s := Segment{Format: FmtUCS2}
		if len(parts) > 1 {
			s.UDHI = true
			s.Content = []byte{5, 0, 3, ref, byte(len(parts)), byte(i + 1)} // 3GPP TS 23.040 §9.2.3.24.1
		}
		for _, u := range utf16.Encode([]rune(text)) {
			s.Content = binary.BigEndian.AppendUint16(s.Content, u)
		}
		out[i] = s
	}
	return out
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' || (r < ' ' && r != '\n' && r != '\r') }) < 0
}

// split is sms.Split, but measures texts in UCS-2 that would fit the GSM alphabet as well.
func split(body string) (out []string) {
	if units(body) <= 70 {
		return []string{body}
	}
	for _, part := range sms.Split(body) {
		r := []rune(part)
		for units(string(r)) > 67 && sms.Measure(body).Encoding != "UCS-2" { // the GSM alphabet has no pairs and no clusters
			out = append(out, string(r[:67]))
			r = r[67:]
		}
		out = append(out, string(r))
	}
	return out
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// Concat is what a user data header says of a segment.
type Concat struct {
	Ref         uint16
	Total, Part uint8 // part from 1
}

// SplitUDH takes the user data header off the content. ok is false when there is none that says which segment this is;
// a header that cannot be read is left in place.
func SplitUDH(content []byte) (c Concat, rest []byte, ok bool) {
	if len(content) == 0 || int(content[0]) > len(content)-1 {
		return c, content, false
	}
	n := int(content[0])
	header, rest := content[1:1+n], content[1+n:]
	for len(header) >= 2 && len(header) >= 2+int(header[1]) {
		e := header[2 : 2+int(header[1])]
		switch {
		case header[0] == 0x00 && len(e) == 3:
			c, ok = Concat{uint16(e[0]), e[1], e[2]}, true
		case header[0] == 0x08 && len(e) == 4:
			c, ok = Concat{binary.BigEndian.Uint16(e), e[2], e[3]}, true
		}
		header = header[2+int(header[1]):]
	}
	if ok && (c.Total < 2 || c.Part < 1 || c.Part > c.Total) {
		ok = false
	}
	return c, rest, ok
}

// Decode turns content into text. What names no alphabet, or is not written in the one that it names, is read as UTF-8
// if it is that, else as GB 18030. Nothing is lost: bytes that are no text become U+FFFD.
func Decode(format uint8, b []byte) string {
	switch format {
	case FmtUCS2:
		u := make([]uint16, 0, len(b)/2+1)
		for ; len(b) >= 2; b = b[2:] {
			u = append(u, binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			u = append(u, utf8.RuneError)
		}
		return string(utf16.Decode(u))
	case FmtGB:
		return gb(b)
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return gb(b)
}

func gb(b []byte) string {
	s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(s)
}
