package sip

import (
	"fmt"
	"net/netip"
	"strings"
)

// local is our side of a session: it writes offers and answers and counts their version.
type local struct {
	id, version uint64
	last        string // what was sent last, without its o= line
}

// stream is what we say of our audio.
type stream struct {
	addr   netip.Addr
	port   int
	codecs []offered // one in an answer
	events uint8
	dir    direction
	mux    bool
	crypto sdes   // our key, if the stream is encrypted
	proto  string // of an offer, "RTP/AVP" if empty; an answer takes the far end's
}

// offer describes our audio. The version rises when it differs from what was sent before (RFC 3264 8).
func (l *local) offer(s stream) []byte {
	if s.proto == "" {
		s.proto = "RTP/AVP"
	}
	return l.write(s, []mline{{kind: "audio", proto: s.proto}}, 0)
}

// answer describes our audio in its place among the far end's media lines and refuses the others with port 0.
func (l *local) answer(r *remote, s stream) []byte { return l.write(s, r.lines, r.audio) }

func (l *local) write(s stream, lines []mline, audio int) []byte {
	family := "IP4"
	if s.addr.Is6() {
		family = "IP6"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "s=-\r\nc=IN %s %s\r\nt=0 0\r\n", family, s.addr)
	for i, m := range lines {
		if i != audio {
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\n", m.kind, m.proto, m.format)
			continue
		}
		fmt.Fprintf(&b, "m=audio %d %s", s.port, m.proto)
		for _, c := range s.codecs {
			fmt.Fprintf(&b, " %d", c.pt)
		}
		if s.events != 0 {
			fmt.Fprintf(&b, " %d", s.events)
		}
		b.WriteString("\r\n")
		for _, c := range s.codecs {
			fmt.Fprintf(&b, "a=rtpmap:%d %s/8000\r\n", c.pt, c.codec)
		}
		if s.events != 0 {
			fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", s.events, s.events)
		}
		fmt.Fprintf(&b, "a=ptime:20\r\n")
		if s.crypto.on() {
			b.WriteString(s.crypto.line())
		}
		if s.mux {
			b.WriteString("a=rtcp-mux\r\n")
		}
		fmt.Fprintf(&b, "a=%s\r\n", s.dir)
	}
	content := b.String()
	if l.last != "" && l.last != content {
		l.version++
	}
	l.last = content
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN %s %s\r\n%s", l.id, l.version, family, s.addr, content)
}
