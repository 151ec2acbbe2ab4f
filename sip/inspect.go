package sip

import (
	"bytes"
	"strconv"
	"strings"
)

// scanners are the tools that probe every SIP port of the internet, as they name themselves. They get no answer at all.
var scanners = []string{"friendly-scanner", "friendly-request", "sipvicious", "sipcli", "pplsip", "sip-scan", "sundayddr", "iwar",
	"vaxsipuseragent", "sipptk"}

// isScanner looks for a scanner's name in a User-Agent value.
func isScanner(agent string) bool {
	agent = strings.ToLower(agent)
	for _, s := range scanners {
		if strings.Contains(agent, s) {
			return true
		}
	}
	return false
}

// A verdict on a datagram.
type verdict uint8

// inspect decides on a datagram without parsing it: it must begin like SIP, end its first line within reason, and not be from a
// scanner.
func inspect(b []byte) verdict {
	if len(b) < 12 { // keep-alives and the like
		return noise
	}
	if !tokenChar(b[0]) {
		return noise
	}
	i := bytes.IndexByte(b, '\r')
	if i < 0 || i > 4096 {
		return noise
	}
	line := b[:i]
	if !bytes.HasPrefix(line, []byte("SIP/")) && !bytes.Contains(line, []byte(" SIP/")) {
		return noise
	}
	for _, c := range line {
		if c < ' ' {
			return noise
		}
	}
	if loneLF(head(b)) {
		return noise
	}
	if v, ok := rawHeader(b, "user-agent", ""); ok && isScanner(string(b[v.from:v.to])) {
		return scan
	}
	return pass
}

// head is a message without its body.
func head(b []byte) []byte {
	if end := bytes.Index(b, []byte("\r\n\r\n")); end >= 0 {
		return b[:end]
	}
	return b
}

// loneLF says whether a line feed stands without its carriage return. The parser takes it for a part of the value, and we would send it
// back: to whoever ends lines at it, it begins a header of the sender's choice.
func loneLF(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		if i == 0 || b[i-1] != '\r' {
			return true
		}
		b = b[i+1:]
	}
}

// tokenChar says whether a method may begin with c (RFC 3261 25.1).
func tokenChar(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0
}

// truncated says whether a datagram is shorter than its Content-Length says (RFC 3261 18.3). The parser drops such a request, but its
// sender deserves to know.
func truncated(b []byte) bool {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	v, ok := rawHeader(b, "content-length", "l")
	if end < 0 || !ok {
		return false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b[v.from:v.to])), 10, 31)
	return err == nil && int(n) > len(b)-end-4
}

// span is a part of a message.
type span struct{ from, to int }

// rawHeader finds the value of the first header of that name (lower case; or of the compact form), continuation lines included,
// without the line's end. It sees header lines only, never the body.
func rawHeader(b []byte, name, compact string) (span, bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		end = len(b)
	}
	for at := 0; at < end; {
		next := bytes.Index(b[at:end], []byte("\r\n"))
		if next < 0 {
			return span{}, false
		}
		at += next + 2
		if at >= end || b[at] == ' ' || b[at] == '\t' {
			continue
		}
		colon := bytes.IndexByte(b[at:end], ':')
		if colon < 0 {
			return span{}, false
		}
		key := bytes.TrimRight(b[at:at+min(colon, 64)], " \t")
		if !folds(key, name) && (compact == "" || !folds(key, compact)) {
			continue
		}
		v := span{at + colon + 1, at + colon + 1}
		for {
			eol := bytes.Index(b[v.to:end], []byte("\r\n"))
			if eol < 0 {
				v.to = end
				return v, true
			}
			v.to += eol
			if v.to+2 >= end || b[v.to+2] != ' ' && b[v.to+2] != '\t' {
				return v, true
			}
			v.to += 2
		}
	}
	return span{}, false
}

// folds says whether b is name (lower case, ASCII), whatever its case.
func folds(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// addRport puts ;rport into the top Via of a request that lacks it, so that the answer goes where the request came from even
// through a NAT (RFC 3581; trap 15). buf[:n] is the datagram; the new length is returned. Where there is no room, or no Via, nothing
// is changed.
func addRport(buf []byte, n int) int {
	b := buf[:n]
	if bytes.HasPrefix(b, []byte("SIP/")) {
		return n
	}
	v, ok := rawHeader(b, "via", "v")
	if !ok {
		return n
	}
	// the top hop ends at a comma outside quotes
	quoted := false
	for i := v.from; i < v.to; i++ {
		if b[i] == '"' {
			quoted = !quoted
		} else if b[i] == ',' && !quoted {
			v.to = i
			break
		}
	}
	if _, params, ok := bytes.Cut(b[v.from:v.to], []byte(";")); ok {
		for p := range bytes.SplitSeq(params, []byte(";")) {
			key, _, _ := bytes.Cut(p, []byte("="))
			if folds(bytes.TrimSpace(key), "rport") {
				return n
			}
		}
	}
	at := v.to
	for at > v.from && strings.IndexByte(" \t\r\n;", b[at-1]) >= 0 {
		at--
	}
	const ins = ";rport"
	if at == v.from || n+len(ins) > len(buf) {
		return n
	}
	copy(buf[at+len(ins):], buf[at:n])
	copy(buf[at:], ins)
	return n + len(ins)
}
