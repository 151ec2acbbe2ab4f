package sip

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lianxin/sip/media"
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
	clock  int // of the events, in Hz; when 0, those of the codecs
	dir    direction
	mux    bool
	crypto sdes   // our key, if the stream is encrypted
	proto  string // of an offer, "RTP/AVP" if empty; an answer takes the far end's
}

// eventType is one payload type of telephone events.
type eventType struct {
	pt    uint8
	clock int
}

// eventTypes are the telephone events of a stream: one payload type for each clock of its codecs (RFC 4733 §2.1).
func (s stream) eventTypes() (types []eventType) {
	if s.events == 0 {
		return nil
	}
	if s.clock != 0 {
		return []eventType{{s.events, s.clock}}
	}
	pt := s.events
	for _, clock := range []int{media.PCMA.Clock(), media.Opus.Clock()} {
		if slices.ContainsFunc(s.codecs, func(c offered) bool { return c.codec.Clock() == clock }) {
			types = append(types, eventType{pt, clock})
			pt++
		}
	}
	return types
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
		for _, e := range s.eventTypes() {
			fmt.Fprintf(&b, " %d", e.pt)
		}
		b.WriteString("\r\n")
		for _, c := range s.codecs {
			fmt.Fprintf(&b, "a=rtpmap:%d %s/%d", c.pt, c.codec, c.codec.Clock())
			if c.codec == media.Opus { // RFC 7587 §7; what we play is narrowband, so wider sound would be for nothing
				fmt.Fprintf(&b, "/2\r\na=fmtp:%d minptime=10;useinbandfec=1;maxplaybackrate=8000;sprop-maxcapturerate=8000", c.pt)
			}
			b.WriteString("\r\n")
		}
		for _, e := range s.eventTypes() {
			fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/%d\r\na=fmtp:%d 0-15\r\n", e.pt, e.clock, e.pt)
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
