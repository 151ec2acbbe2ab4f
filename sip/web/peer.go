package web

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"lianxin/sip/media"
)

// peer is one connection to a browser.
type peer struct {
	call      *Call
	pc        *webrtc.PeerConnection
	track     *track
	params    media.Params // as negotiated, without who holds whom
	connected chan struct{}
	gone      chan struct{}
	out       chan *outgoing
	free      chan *outgoing
	once      sync.Once
	up        sync.Once
	away      sync.Once
	done      chan struct{}
}

type outgoing struct {
	control bool
	n       int
	buf     [1500]byte
}

const (
	maxOffer = 64 << 10
	queued   = 16 // packets that may wait for the writer: more are old
)

// connect answers a page's offer. The connection itself comes later.
func (x *Exchange) connect(ctx context.Context, c *Call, offer string) (_ *peer, answer string, err error) {
	if len(offer) > maxOffer {
		return nil, "", fmt.Errorf("%w: %d bytes", ErrOffer, len(offer))
	}
	codec := webrtc.MimeTypePCMA
	if strings.EqualFold(c.opt.Codec, "PCMU") {
		codec = webrtc.MimeTypePCMU
	}
	if opusAlone(offer) {
		codec = webrtc.MimeTypeOpus
	}
	var engine webrtc.MediaEngine
	if err := register(&engine, codec); err != nil {
		return nil, "", err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithSettingEngine(x.settings), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{Certificates: []webrtc.Certificate{x.cert}})
	if err != nil {
		return nil, "", fmt.Errorf("web telephone: %w", err)
	}
	p := &peer{call: c, pc: pc, track: &track{codec: codec}, connected: make(chan struct{}), gone: make(chan struct{}), done: make(chan struct{}),
		out: make(chan *outgoing, queued), free: make(chan *outgoing, queued)}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			p.up.Do(func() { close(p.connected) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			p.away.Do(func() { close(p.gone) })
		}
	})
	pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		go p.read(func(b []byte) (int, error) { n, _, err := t.Read(b); return n, err }, false)
		p.read(func(b []byte) (int, error) { n, _, err := r.Read(b); return n, err }, true)
	})
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	sender, err := pc.AddTrack(p.track)
	if err != nil {
		return nil, "", fmt.Errorf("web telephone: %w", err)
	}
	description, err := pc.CreateAnswer(nil)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(description); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	select {
	case <-gathered:
	case <-time.After(5 * time.Second):
		return nil, "", errors.New("web telephone: no address to announce")
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
	if p.params, err = p.track.negotiated(); err != nil {
		return nil, "", err
	}
	go p.read(func(b []byte) (int, error) { n, _, err := sender.Read(b); return n, err }, true)
	go p.write()
	return p, pc.LocalDescription().SDP, nil
}

// opusAlone says that an offer has no G.711, which every browser has (RFC 7874 §3) unless somebody has taken it out.
func opusAlone(offer string) bool {
	var d sdp.SessionDescription
	if d.UnmarshalString(offer) != nil {
		return false
	}
	opus := false
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media != "audio" {
			continue
		}
		for _, f := range m.MediaName.Formats {
			if f == "0" || f == "8" {
				return false
			}
		}
		for _, a := range m.Attributes {
			_, name, _ := strings.Cut(strings.ToLower(a.Value), " ")
			switch {
			case a.Key != "rtpmap":
			case strings.HasPrefix(name, "pcma/8000"), strings.HasPrefix(name, "pcmu/8000"):
				return false
			case strings.HasPrefix(name, "opus/48000"):
				opus = true
			}
		}
	}
	return opus
}

// register names what we speak: both laws, the preferred first, and telephone events; or Opus, where it comes first, with events in its
// clock. Everything else of the offer is refused.
func register(e *webrtc.MediaEngine, first string) error {
	if first == webrtc.MimeTypeOpus {
		for _, c := range []webrtc.RTPCodecParameters{
			{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
				SDPFmtpLine: "minptime=10;useinbandfec=1;maxplaybackrate=8000;sprop-maxcapturerate=8000"}, PayloadType: 111},
			{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: events, ClockRate: 48000, SDPFmtpLine: "0-15"}, PayloadType: 110},
		} {
			if err := e.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
				return fmt.Errorf("web telephone: %w", err)
			}
		}
		return nil
	}
	laws := []webrtc.RTPCodecParameters{
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000}, PayloadType: 8},
		{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000}, PayloadType: 0},
	}
	if first == webrtc.MimeTypePCMU {
		laws[0], laws[1] = laws[1], laws[0]
	}
	for _, c := range append(laws, webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: events, ClockRate: 8000, SDPFmtpLine: "0-15"}, PayloadType: 101}) {
		if err := e.RegisterCodec(c, webrtc.RTPCodecTypeAudio); err != nil {
			return fmt.Errorf("web telephone: %w", err)
		}
	}
	return nil
}

const events = "audio/telephone-event"

// read hands what comes to the leg until the connection ends.
func (p *peer) read(from func([]byte) (int, error), control bool) {
	buf := make([]byte, 1500)
	for {
		n, err := from(buf)
		if err != nil {
			return
		}
		if p.call.peer.Load() == p { // not before it is the call's own
			p.call.inlet.Take(buf[:n], control)
		}
	}
}

// push takes a packet from the pacer. It does not wait: when the writer does not keep up, the packet is lost.
func (p *peer) push(b []byte, control bool) {
	var o *outgoing
	select {
	case o = <-p.free:
	default:
		o = new(outgoing)
	}
	o.control, o.n = control, copy(o.buf[:], b)
	select {
	case p.out <- o:
	default:
	}
}

// write sends what the pacer has left: its own thread must not wait for pion's locks and sockets.
func (p *peer) write() {
	var packet rtp.Packet
	for {
		select {
		case <-p.done:
			return
		case o := <-p.out:
			b := o.buf[:o.n]
			if o.control {
				if packets, err := rtcp.Unmarshal(b); err == nil {
					_ = p.pc.WriteRTCP(packets)
				}
			} else if err := packet.Unmarshal(b); err == nil {
				_ = p.track.write(&packet)
			}
			select {
			case p.free <- o:
			default:
			}
		}
	}
}

// remote is where the browser sends from.
func (p *peer) remote() netip.AddrPort {
	for _, s := range p.pc.GetSenders() {
		if t := s.Transport(); t != nil && t.ICETransport() != nil {
			if pair, err := t.ICETransport().GetSelectedCandidatePair(); err == nil && pair != nil {
				if ip, err := netip.ParseAddr(pair.Remote.Address); err == nil {
					return netip.AddrPortFrom(ip.Unmap(), pair.Remote.Port)
				}
			}
		}
	}
	return netip.AddrPort{}
}

func (p *peer) close() {
	p.once.Do(func() {
		close(p.done)
		_ = p.pc.Close()
		p.away.Do(func() { close(p.gone) })
	})
}

// track is what we send: packets that the leg has made, with their own payload types.
type track struct {
	codec string

	mu     sync.Mutex
	writer webrtc.TrackLocalWriter
	params media.Params
	err    error
}

var _ webrtc.TrackLocal = (*track)(nil)

// Bind learns what was negotiated.
func (t *track) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var chosen webrtc.RTPCodecParameters
	params := media.Params{Remote: media.Elsewhere, Strict: true, SSRC: uint32(c.SSRC())}
	for _, k := range c.CodecParameters() {
		law := media.NoCodec
		switch {
		case strings.EqualFold(k.MimeType, webrtc.MimeTypePCMA):
			law = media.PCMA
		case strings.EqualFold(k.MimeType, webrtc.MimeTypePCMU):
			law = media.PCMU
		case strings.EqualFold(k.MimeType, webrtc.MimeTypeOpus):
			law = media.Opus
			params.Opus.FEC = strings.Contains(k.SDPFmtpLine, "useinbandfec=1")
		case strings.EqualFold(k.MimeType, events) && params.DTMF == 0:
			params.DTMF, params.Clock = uint8(k.PayloadType), int(k.ClockRate)
			continue
		default:
			continue
		}
		if params.Codec == media.NoCodec || strings.EqualFold(k.MimeType, t.codec) {
			params.Codec, params.PT, chosen = law, uint8(k.PayloadType), k
		}
		params.Also = append(params.Also, media.Format{Codec: law, PT: uint8(k.PayloadType)})
	}
	if params.Codec == media.NoCodec {
		t.err = fmt.Errorf("%w: neither G.711 nor Opus", ErrOffer)
		return chosen, t.err
	}
	t.writer, t.params = c.WriteStream(), params
	return chosen, nil
}

// Unbind stops sending.
func (t *track) Unbind(webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writer = nil
	return nil
}

func (t *track) negotiated() (media.Params, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil && t.params.Codec == media.NoCodec {
		return t.params, fmt.Errorf("%w: no sound in it", ErrOffer)
	}
	return t.params, t.err
}

func (t *track) write(p *rtp.Packet) error {
	t.mu.Lock()
	w := t.writer
	t.mu.Unlock()
	if w == nil {
		return nil
	}
	_, err := w.WriteRTP(&p.Header, p.Payload)
	return err
}

func (t *track) ID() string                { return "voice" }
func (t *track) RID() string               { return "" }
func (t *track) StreamID() string          { return "lianxin" }
func (t *track) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }
