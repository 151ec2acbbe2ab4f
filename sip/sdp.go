package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"lianxin/sip/media"
)

// What is wrong with a session description. All but errSDPSyntax are answered 488 with a Warning (RFC 3261 20.43).
var (
	errSDPSyntax  = errors.New("malformed session description")
	errSDPNoAudio = errors.New("no audio stream that we can take") // only other media, or RTP profiles we do not speak
	errSDPNoCodec = errors.New("no codec in common")
	errSDPAddress = errors.New("no IP address that we can send to") // a DNS name, a multicast group, the other IP family
)

// maxSDP bounds what is parsed. Twenty codecs with ICE candidates need about 4 KB.
const maxSDP = 32 << 10

// A direction is what one side does with a stream (RFC 3264 5.1); the zero value is inactive.
type direction uint8

const (
	sends    direction = 1 << iota // that side sends
	receives                       // that side receives
	both     = sends | receives
	inactive = direction(0)
)

func (d direction) String() string {
	return [...]string{"inactive", "sendonly", "recvonly", "sendrecv"}[d&both]
}

// reversed is the same stream seen from the other side.
func (d direction) reversed() direction { return d&sends<<1 | d&receives>>1 }

// offered is one payload type of the far end that we can use.
type offered struct {
	pt    uint8
	codec media.Codec
}

// mline is one media line of the far end, kept so that an answer can refuse it in its place (RFC 3264 6).
type mline struct {
	kind, proto, format string
}

// remote is a session description of the far end, reduced to what matters here.
type remote struct {
	origin   string  // sess-id and sess-version: unchanged means nothing changed (RFC 3264 8)
	lines    []mline // every m= line, in order
	audio    int     // index of the line we take
	addr     netip.AddrPort
	dir      direction // what the far end does, a c= of 0.0.0.0 counted as not receiving (RFC 2543 hold)
	codecs   []offered // in the far end's order, never empty
	events   uint8     // payload type of telephone-event, 0 if there is none
	clock    int       // of the events, in Hz
	opus     media.OpusLimit
	ptime    int // ms per packet that the far end wants, 0 if it does not say
	maxptime int
	rtcp     netip.AddrPort // a=rtcp (RFC 3605), zero if there is none
	mux      bool           // a=rtcp-mux (RFC 5761)
	crypto   sdes           // the first key that we can use (RFC 4568), zero if there is none or the policy is not to
}

// readSDP parses what the far end sent, for a leg that is not encrypted.
func readSDP(body []byte) (*remote, error) { return readSDPFor(body, SRTPOff) }

// readSDPFor parses what the far end sent. It takes the first audio line it can use, encrypted ones first; errSDP… says why there is
// none.
func readSDPFor(body []byte, policy SRTP) (*remote, error) {
	if len(body) > maxSDP {
		return nil, fmt.Errorf("%w: %d bytes", errSDPSyntax, len(body))
	}
	text, lines, origin, err := tidySDP(string(body))
	if err != nil {
		return nil, err
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(text); err != nil {
		return nil, fmt.Errorf("%w: %v", errSDPSyntax, err)
	}
	if len(d.MediaDescriptions) != len(lines) {
		return nil, fmt.Errorf("%w: media lines", errSDPSyntax)
	}
	var plain *remote
	why := errSDPNoAudio
	for i, m := range d.MediaDescriptions {
		if lines[i].kind != "audio" || m.MediaName.Port.Value == 0 {
			continue
		}
		r := &remote{origin: origin, lines: lines, audio: i}
		err := r.allowed(policy)
		if err == nil {
			err = r.take(&d, m)
		}
		if err == nil {
			err = r.encrypted(policy)
		}
		switch {
		case err != nil:
			if why == errSDPNoAudio {
				why = err
			}
		case r.crypto.on():
			return r, nil
		case plain == nil:
			plain = r
		}
	}
	if plain == nil {
		return nil, why
	}
	return plain, nil
}

// allowed looks at the profile of the audio line.
func (r *remote) allowed(policy SRTP) error {
	switch r.lines[r.audio].proto {
	case "RTP/AVP", "RTP/AVPF":
		return nil
	case "RTP/SAVP", "RTP/SAVPF":
		if policy != SRTPOff {
			return nil
		}
	}
	return errSDPNoAudio
}

// encrypted looks at the key, once the line has been read.
func (r *remote) encrypted(policy SRTP) error {
	switch {
	case policy == SRTPOff:
		r.crypto = sdes{}
	case r.crypto.on():
	case strings.HasPrefix(r.lines[r.audio].proto, "RTP/S"):
		return errSDPCrypto
	case policy == SRTPRequired:
		return errSDPPlain
	}
	return nil
}

// same reports whether two descriptions agree in all that matters here.
func (r *remote) same(o *remote) bool {
	return o != nil && r.addr == o.addr && r.dir == o.dir && slices.Equal(r.codecs, o.codecs) && r.events == o.events && r.clock == o.clock && r.opus == o.opus &&
		r.ptime == o.ptime && r.maxptime == o.maxptime && r.rtcp == o.rtcp && r.mux == o.mux && r.crypto == o.crypto && slices.Equal(r.lines, o.lines)
}

// take fills r from one audio line.
func (r *remote) take(d *sdp.SessionDescription, m *sdp.MediaDescription) error {
	names := map[uint8]string{}   // payload type → name/clock[/channels] from a=rtpmap
	formats := map[uint8]string{} // payload type → parameters from a=fmtp
	rtcp := ""
	r.dir, r.ptime, r.maxptime, r.events, r.codecs, r.mux = both, 0, 0, 0, nil, false
	r.clock, r.opus = 0, media.OpusLimit{}
	for _, a := range d.Attributes {
		if dir, ok := directionOf(a.Key); ok {
			r.dir = dir
		}
	}
	for _, a := range m.Attributes {
		if dir, ok := directionOf(a.Key); ok {
			r.dir = dir
			continue
		}
		switch strings.ToLower(a.Key) {
		case "rtpmap":
			pt, name, _ := strings.Cut(strings.TrimSpace(a.Value), " ")
			if n, err := strconv.ParseUint(pt, 10, 7); err == nil {
				names[uint8(n)] = strings.ToLower(strings.TrimSpace(name))
			}
		case "fmtp":
			pt, list, _ := strings.Cut(strings.TrimSpace(a.Value), " ")
			if n, err := strconv.ParseUint(pt, 10, 7); err == nil {
				formats[uint8(n)] = list
			}
		case "ptime":
			r.ptime = milliseconds(a.Value)
		case "maxptime":
			r.maxptime = milliseconds(a.Value)
		case "rtcp":
			rtcp = a.Value
		case "rtcp-mux":
			r.mux = true
		case "crypto":
			if c, ok := readCrypto(a.Value); ok && !r.crypto.on() {
				r.crypto = c
			}
		}
	}
	var wide, opus []offered     // what only matters where there is no G.711, and where there is no G.722 either
	events := map[string]uint8{} // of several clocks, the first of each
	add := func(pt uint8, c media.Codec) {
		switch c {
		case media.Opus:
			opus = append(opus, offered{pt, c})
		case media.G722:
			wide = append(wide, offered{pt, c})
		default:
			r.codecs = append(r.codecs, offered{pt, c})
		}
	}
	for _, f := range m.MediaName.Formats {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			continue
		}
		pt := uint8(n)
		name, named := names[pt]
		if !named {
			if c, ok := media.CodecByPT(pt); ok {
				add(pt, c)
			}
			continue
		}
		part := strings.Split(name, "/")
		if len(part) < 2 {
			continue
		}
		if part[0] == "telephone-event" {
			if events[part[1]] == 0 {
				events[part[1]] = pt
			}
			continue
		}
		c, ok := media.CodecByName(part[0])
		if !ok || part[1] != strconv.Itoa(c.Clock()) {
			continue
		}
		if len(part) == 2 || part[2] == "1" || c == media.Opus && part[2] == "2" { // RFC 7587 §4.1: always 2, whatever is sent
			add(pt, c)
		}
	}
	if len(r.codecs) == 0 {
		r.codecs = wide
	}
	if len(r.codecs) == 0 {
		r.codecs = opus
	}
	if len(r.codecs) == 0 {
		return errSDPNoCodec
	}
	r.keys(events)
	if r.codecs[0].codec == media.Opus {
		r.opus = opusLimit(formats[r.codecs[0].pt])
	}

	c := m.ConnectionInformation
	if c == nil {
		c = d.ConnectionInformation
	}
	if c == nil || c.Address == nil {
		return errSDPAddress
	}
	host, _, _ := strings.Cut(c.Address.Address, "/") // TTL of multicast
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsMulticast() || ip.Zone() != "" {
		return errSDPAddress
	}
	r.addr = netip.AddrPortFrom(ip.Unmap(), uint16(m.MediaName.Port.Value))
	if ip.IsUnspecified() {
		r.dir &^= receives
	}
	if f := strings.Fields(rtcp); len(f) > 0 && !ip.IsUnspecified() {
		at := r.addr.Addr()
		if len(f) == 4 {
			if at, err = netip.ParseAddr(f[3]); err != nil {
				return nil
			}
		}
		if n, err := strconv.ParseUint(f[0], 10, 16); err == nil && n > 0 {
			r.rtcp = netip.AddrPortFrom(at.Unmap(), uint16(n))
		}
	}
	return nil
}

// keys chooses the telephone events in the clock of the codec (RFC 4733 §2.1). Telephones that write 8000 beside Opus mean it, too.
func (r *remote) keys(events map[string]uint8) {
	for _, clock := range []int{r.codecs[0].codec.Clock(), media.Rate} {
		if pt := events[strconv.Itoa(clock)]; pt != 0 {
			r.events, r.clock = pt, clock
			return
		}
	}
}

// opusLimit reads the parameters of Opus that concern who sends it (RFC 7587 §6.1).
func opusLimit(parameters string) (l media.OpusLimit) {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n <= 0 {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "maxaveragebitrate":
			l.Bitrate = n
		case "useinbandfec":
			l.FEC = n == 1
		}
	}
	return l
}

func directionOf(key string) (direction, bool) {
	switch strings.ToLower(key) {
	case "sendrecv":
		return both, true
	case "sendonly":
		return sends, true
	case "recvonly":
		return receives, true
	case "inactive":
		return inactive, true
	}
	return 0, false
}

func milliseconds(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 || n > 200 {
		return 0
	}
	return n
}

// frameTime is how much speech we put in a packet for this far end: what it asks for, as long as whole 10 ms fit.
func (r *remote) frameTime() int {
	t := r.ptime
	if t == 0 {
		t = 20
	}
	if r.maxptime >= 10 && t > r.maxptime {
		t = r.maxptime
	}
	if t < 10 || t > 60 || t%10 != 0 {
		t = 20
	}
	return t
}

// pick chooses the codec to use, by our order of preference.
func (r *remote) pick(order []media.Codec) offered {
	for _, c := range order {
		for _, o := range r.codecs {
			if o.codec == c {
				return o
			}
		}
	}
	return r.codecs[0]
}
