package sip

import (
	"fmt"
	"strconv"
	"strings"
)

// tidySDP makes the descriptions that real peers send fit for a strict parser: any line ending, a missing last one, missing or
// misplaced s= and t= lines, lines that do not concern us, media and profiles the parser has never heard of. It returns the tidy
// text, the original media lines and what identifies the version.
func tidySDP(body string) (text string, lines []mline, origin string, err error) {
	if strings.IndexByte(body, 0) >= 0 {
		return "", nil, "", fmt.Errorf("%w: NUL", errSDPSyntax)
	}
	var conn string
	var attrs, sections strings.Builder
	seenV := false
	skip := false
	for line := range strings.SplitSeq(strings.ReplaceAll(body, "\r", "\n"), "\n") {
		line = strings.TrimRight(line, " \t")
		if len(line) < 2 || line[1] != '=' {
			if line == "" {
				continue
			}
			return "", nil, "", fmt.Errorf("%w: line without type", errSDPSyntax)
		}
		value := strings.TrimSpace(line[2:])
		switch line[0] {
		case 'v':
			if value != "0" {
				return "", nil, "", fmt.Errorf("%w: version", errSDPSyntax)
			}
			seenV = true
		case 'o':
			f := strings.Fields(value)
			if len(f) < 3 {
				return "", nil, "", fmt.Errorf("%w: origin", errSDPSyntax)
			}
			origin = f[1] + " " + f[2]
		case 'c':
			if f := strings.Fields(value); len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" {
				return "", nil, "", fmt.Errorf("%w: connection", errSDPSyntax)
			}
			if len(lines) == 0 {
				conn = value
			} else if !skip {
				sections.WriteString("c=" + value + "\r\n")
			}
		case 'm':
			f := strings.Fields(value)
			if len(f) < 4 || len(lines) == 16 {
				return "", nil, "", fmt.Errorf("%w: media line", errSDPSyntax)
			}
			m := mline{kind: f[0], proto: f[2], format: f[3]}
			lines = append(lines, m)
			port, _, _ := strings.Cut(f[1], "/")
			if n, err := strconv.ParseUint(port, 10, 16); err != nil {
				return "", nil, "", fmt.Errorf("%w: port", errSDPSyntax)
			} else if skip = m.kind != "audio" || !strings.HasPrefix(m.proto, "RTP/"); skip {
				sections.WriteString("m=application 0 TCP x\r\n")
			} else {
				sections.WriteString("m=audio " + strconv.FormatUint(n, 10) + " RTP/AVP " + strings.Join(f[3:], " ") + "\r\n")
			}
		case 'a':
			if len(lines) == 0 {
				attrs.WriteString("a=" + value + "\r\n")
			} else if !skip {
				sections.WriteString("a=" + value + "\r\n")
			}
		}
	}
	if !seenV || origin == "" {
		return "", nil, "", fmt.Errorf("%w: no version or origin", errSDPSyntax)
	}
	var b strings.Builder
	b.WriteString("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n")
	if conn != "" {
		b.WriteString("c=" + conn + "\r\n")
	}
	b.WriteString("t=0 0\r\n" + attrs.String() + sections.String())
	return b.String(), lines, origin, nil
}
