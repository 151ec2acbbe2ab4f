package sip

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lianxin/sip/media"
)

// SRTP says whether sound is encrypted (RFC 3711) with keys that stand in the session description (SDES, RFC 4568). It counts on
// legs over TLS only: anywhere else everybody on the way could read the keys, so nothing is offered or taken there.
type SRTP string

// The policies. With SRTPOffered our offers are RTP/AVP with a=crypto, which phones that cannot encrypt take as an ordinary call, and
// an encrypted offer (RTP/SAVP, or RTP/AVP with a=crypto) is preferred to a plain one. With SRTPRequired we offer RTP/SAVP and refuse
// what is not encrypted with 488.
const (
	SRTPOffered  SRTP = "offered" // also the empty string
	SRTPRequired SRTP = "required"
	SRTPOff      SRTP = "off"
)

// ParseSRTP reads a policy.
func ParseSRTP(s string) (SRTP, error) {
	switch p := SRTP(s); p {
	case "":
		return SRTPOffered, nil
	case SRTPOffered, SRTPRequired, SRTPOff:
		return p, nil
	}
	return "", fmt.Errorf("SRTP policy %q: want offered, required or off", s)
}

// srtp is the policy for what goes this way.
func (s *Server) srtp(way flow) SRTP {
	if way.transport != "TLS" {
		return SRTPOff
	}
	if s.cfg.SRTP == "" {
		return SRTPOffered
	}
	return s.cfg.SRTP
}

var (
	errSDPCrypto = errors.New("no key that we can use for an encrypted stream")
	errSDPPlain  = errors.New("only encrypted sound is taken here")
)

// sdes is one a=crypto line; the zero value is none.
type sdes struct {
	tag   int
	short bool // AES_CM_128_HMAC_SHA1_32, otherwise _80
	key   media.SRTPKey
}

const (
	suite80 = "AES_CM_128_HMAC_SHA1_80"
	suite32 = "AES_CM_128_HMAC_SHA1_32"

	longestCall = 1 << 20 // packets that a key must be good for: 5.8 h at 50 a second
)

// on says that there is a key.
func (c sdes) on() bool { return c.tag > 0 }

// line writes the attribute. What it returns must not get into any log.
func (c sdes) line() string {
	suite := suite80
	if c.short {
		suite = suite32
	}
	return fmt.Sprintf("a=crypto:%d %s inline:%s\r\n", c.tag, suite, base64.StdEncoding.EncodeToString(c.key.Bytes()))
}

// readCrypto reads the value of an a=crypto line; false for what we do not do: other suites, master key identifiers, several keys,
// session parameters that change the packets.
func readCrypto(value string) (c sdes, ok bool) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return c, false
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	if err != nil || tag == 0 {
		return c, false
	}
	switch strings.ToUpper(f[1]) {
	case suite80:
	case suite32:
		c.short = true
	default:
		return c, false
	}
	for _, p := range f[3:] {
		if !strings.HasPrefix(p, "-") && !strings.HasPrefix(strings.ToUpper(p), "WSH=") { // a window hint, or marked as negligible
			return c, false
		}
	}
	method, info, _ := strings.Cut(f[2], ":")
	part := strings.Split(info, "|")
	if !strings.EqualFold(method, "inline") || strings.Contains(info, ";") || len(part) > 2 || len(part) == 2 && !lasts(part[1]) {
		return c, false
	}
	raw, err := base64.StdEncoding.DecodeString(part[0])
	if err != nil {
		return c, false
	}
	if c.key, err = media.ParseSRTPKey(raw); err != nil {
		return c, false
	}
	c.tag = int(tag)
	return c, true
}

// lasts says whether a key's lifetime, in packets, is enough for the longest call.
func lasts(s string) bool {
	if e, ok := strings.CutPrefix(s, "2^"); ok {
		n, err := strconv.Atoi(e)
		return err == nil && n >= 20 && n <= 48
	}
	n, err := strconv.ParseUint(s, 10, 48) // a master key identifier has a colon and fails here
	return err == nil && n >= longestCall
}

// readSDP reads what came for this leg, under its policy.
func (l *leg) readSDP(body []byte) (*remote, error) { return readSDPFor(body, l.s.srtp(l.flow)) }

// cryptoFor is our line in answer to the far end's. mu is held.
func (l *leg) cryptoFor(r *remote) sdes {
	if !r.crypto.on() {
		return sdes{}
	}
	return sdes{tag: r.crypto.tag, short: r.crypto.short, key: l.ourKey()}
}

// cryptoOffer is our line in an offer, and the profile to go with it. A session that is encrypted stays so, and one that is not, too.
// mu is held.
func (l *leg) cryptoOffer() (sdes, string) {
	policy := l.s.srtp(l.flow)
	if r := l.remote; r != nil {
		proto := r.lines[r.audio].proto
		return l.cryptoFor(r), proto
	}
	switch policy {
	case SRTPRequired:
		return sdes{tag: 1, key: l.ourKey()}, "RTP/SAVP"
	case SRTPOffered:
		return sdes{tag: 1, key: l.ourKey()}, "RTP/AVP"
	}
	return sdes{}, "RTP/AVP"
}

// ourKey is what we encrypt with, the same for the whole call: our SSRC and sequence go on through every renegotiation.
func (l *leg) ourKey() media.SRTPKey {
	if l.key == (media.SRTPKey{}) {
		l.key = media.NewSRTPKey()
	}
	return l.key
}
