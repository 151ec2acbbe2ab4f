package sip

import (
	"net/netip"
	"time"

	"lianxin/sip/media"
)

// talk is the state of offer and answer.
type talk struct {
	sdp    local
	order  []media.Codec // preference
	rare   bool          // the far end has refused them all: G.722 and Opus are offered
	offer  *remote       // of the INVITE, until it is answered
	remote *remote       // the far end's last description that was agreed
	codec  offered       // what we send
	stream stream        // our last description
	key    media.SRTPKey // what we encrypt with, zero before the first use

	holding bool // we hold the far end
}

// describe writes our answer to offer and applies it, or, without one, our own offer. mu is held.
func (l *leg) describe(offer *remote) (body []byte, late bool, err error) {
	if offer == nil {
		l.stream = l.fullOffer()
		return l.sdp.offer(l.stream), true, nil
	}
	pick := offer.pick(l.order)
	l.stream = stream{addr: l.mediaAddr(offer), port: l.media.Port(), codecs: []offered{pick}, events: offer.events, clock: offer.clock,
		dir: l.held(offer.dir.reversed()), mux: offer.mux, crypto: l.cryptoFor(offer)}
	if err := l.agree(offer, pick); err != nil {
		return nil, false, err
	}
	return l.sdp.answer(offer, l.stream), false, nil
}

func (l *leg) fullOffer() stream {
	st := stream{addr: l.mediaAddr(nil), port: l.media.Port(), events: 101, dir: l.held(both)}
	st.crypto, st.proto = l.cryptoOffer()
	switch c := l.codec.codec; {
	case c == media.G722 || c == media.Opus: // in use, so the far end has nothing else
		st.codecs = append(st.codecs, l.codec)
	case l.rare:
		return st.rare()
	}
	for _, c := range l.order {
		st.codecs = append(st.codecs, offered{c.PT(), c})
	}
	return st
}

// rare is the same offer to a far end that has refused G.711: with what is dearer to us.
func (s stream) rare() stream {
	s.codecs = nil
	for _, c := range []media.Codec{media.G722, media.Opus} {
		s.codecs = append(s.codecs, offered{c.PT(), c})
	}
	return s
}

// mediaAddr is where we tell the far end to send its sound.
func (l *leg) mediaAddr(r *remote) netip.Addr {
	peer := l.flow.remoteAddr().Addr()
	if r != nil && !r.addr.Addr().IsUnspecified() {
		if peer.Is4() != r.addr.Addr().Is4() {
			return l.s.advertised(r.addr.Addr(), netip.Addr{})
		}
	}
	return l.self.Addr()
}

// agree makes the media follow a description of the far end. mu is held.
func (l *leg) agree(r *remote, c offered) error {
	p := media.Params{
		Remote: r.addr, RTCP: r.rtcp, Mux: r.mux && l.stream.mux, Codec: c.codec, PT: c.pt, DTMF: r.events, Clock: r.clock, Opus: r.opus,
		Ptime: time.Duration(r.frameTime()) * time.Millisecond,
		Send:  r.dir&receives != 0 && l.stream.dir&sends != 0, Receive: r.dir&sends != 0 && l.stream.dir&receives != 0,
		Near: l.flow.remoteAddr().Addr(),
	}
	if r.addr.Addr().IsUnspecified() {
		p.Remote = netip.AddrPort{}
	}
	switch ours := l.stream.crypto; {
	case !r.crypto.on():
		l.stream.crypto = sdes{} // the answer is plain: so is the rest of the session
	case ours.tag != r.crypto.tag || ours.short != r.crypto.short: // an answer with a key that was not asked for (RFC 4568 5.1.3)
		return errSDPCrypto
	default:
		p.SRTP = &media.SRTP{Ours: ours.key, Theirs: r.crypto.key, ShortTag: ours.short}
	}
	if err := l.media.Update(p); err != nil {
		return err
	}
	l.heldBy(r)
	l.remote, l.codec = r, c
	l.info.Codec = c.codec.String()
	l.info.Encrypted = p.SRTP != nil
	return nil
}

// answeredOffer applies the far end's answer to our offer. mu is held.
func (l *leg) answeredOffer(body []byte) error {
	r, err := l.readSDP(body)
	if err != nil {
		return err
	}
	for _, c := range r.codecs { // only what we offered
		for _, own := range l.stream.codecs {
			if own.codec == c.codec {
				return l.agree(r, c)
			}
		}
	}
	return errSDPNoCodec
}
