// Package softphone is a telephone for tests and for the demonstration: it registers, calls, answers, presses keys, speaks in tones and knows what it heard.
//
// It is a peer of the exchange, not a part of it: its signalling is sipgo's own dialogs, so that a mistake of package sip
// does not cancel itself out. Its sound goes through sip/media.
package softphone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"lianxin/sip/media"
)

// Config of a telephone.
type Config struct {
	User     string // number or extension it calls as
	Display  string
	Password string        // for Register; empty: none
	Server   string        // host:port of the exchange, UDP
	Engine   *media.Engine // its sound; shared with other phones, not closed by Close
	IP       string        // local address, 127.0.0.1 when empty
	Log      *slog.Logger  // nothing is logged when nil
}

// Phone is a telephone that is switched on. All methods may be called from any goroutine.
type Phone struct {
	cfg      Config
	ua       *sipgo.UserAgent
	client   *sipgo.Client
	server   *sipgo.Server
	conn     net.PacketConn
	contact  gosip.ContactHeader
	asClient *sipgo.DialogClientCache
	asServer *sipgo.DialogServerCache
	incoming chan *Ringing
	cseq     atomic.Uint32
	regID    gosip.CallIDHeader

	mu     sync.Mutex
	calls  map[*Call]struct{}
	closed bool
}

// New switches a telephone on. Close switches it off.
func New(cfg Config) (*Phone, error) {
	if cfg.IP == "" {
		cfg.IP = "127.0.0.1"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := net.ListenPacket("udp", net.JoinHostPort(cfg.IP, "0"))
	if err != nil {
		return nil, fmt.Errorf("switch a telephone on: %w", err)
	}
	p := &Phone{cfg: cfg, conn: conn, incoming: make(chan *Ringing, 16), calls: map[*Call]struct{}{}}
	local := conn.LocalAddr().(*net.UDPAddr)
	fail := func(err error) (*Phone, error) {
		conn.Close()
		return nil, fmt.Errorf("switch a telephone on: %w", err)
	}
	if p.ua, err = sipgo.NewUA(sipgo.WithUserAgent("lianxin-softphone"), sipgo.WithUserAgentHostname(cfg.IP),
		sipgo.WithUserAgentTransportLayerOptions(gosip.WithTransportLayerLogger(cfg.Log)),
		sipgo.WithUserAgentTransactionLayerOptions(gosip.WithTransactionLayerLogger(cfg.Log))); err != nil {
		return fail(err)
	}
	if p.client, err = sipgo.NewClient(p.ua, sipgo.WithClientLogger(cfg.Log), sipgo.WithClientHostname(cfg.IP), sipgo.WithClientPort(local.Port),
		sipgo.WithClientConnectionAddr(local.String())); err != nil {
		return fail(err)
	}
	if p.server, err = sipgo.NewServer(p.ua, sipgo.WithServerLogger(cfg.Log)); err != nil {
		return fail(err)
	}
	p.contact = gosip.ContactHeader{Address: gosip.Uri{Scheme: "sip", User: cfg.User, Host: cfg.IP, Port: local.Port}}
	p.asClient = sipgo.NewDialogClientCache(p.client, p.contact)
	p.asServer = sipgo.NewDialogServerCache(p.client, p.contact)
	p.regID = gosip.CallIDHeader(fmt.Sprintf("reg-%d-%d", local.Port, time.Now().UnixNano()))
	p.server.OnInvite(p.onInvite)
	p.server.OnAck(func(req *gosip.Request, tx gosip.ServerTransaction) { _ = p.asServer.ReadAck(req, tx) })
	p.server.OnBye(func(req *gosip.Request, tx gosip.ServerTransaction) {
		if p.asServer.ReadBye(req, tx) != nil && p.asClient.ReadBye(req, tx) != nil {
			_ = tx.Respond(gosip.NewResponseFromRequest(req, 481, "Call/Transaction Does Not Exist", nil))
		}
	})
	p.server.OnNotify(p.onNotify)
	p.server.OnOptions(func(req *gosip.Request, tx gosip.ServerTransaction) {
		_ = tx.Respond(gosip.NewResponseFromRequest(req, 200, "OK", nil))
	})
	go func() { _ = p.server.ServeUDP(conn) }()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // requests go out through the listening socket
		if c, err := p.ua.TransportLayer().GetConnection("udp", local.String()); err == nil && c != nil {
			return p, nil
		}
		if time.Now().After(end) {
			return fail(errors.New("the socket was not taken up"))
		}
	}
}

// Close hangs up every call and switches the telephone off. Its registration stays until it expires, as when a plug is
// pulled: Unregister first to leave politely.
func (p *Phone) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	var calls []*Call
	for c := range p.calls {
		calls = append(calls, c)
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, c := range calls {
		_ = c.Hangup(ctx)
	}
	return errors.Join(p.ua.Close(), ignoreClosed(p.conn.Close()))
}

// Crash pulls the plug: nothing is said to anybody, and what comes for the telephone goes nowhere.
func (p *Phone) Crash() {
	p.mu.Lock()
	p.closed = true
	calls := p.calls
	p.calls = map[*Call]struct{}{}
	p.mu.Unlock()
	for c := range calls {
		_ = c.leg.Close()
	}
	_ = p.conn.Close()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Addr is where the telephone listens.
func (p *Phone) Addr() string { return p.conn.LocalAddr().String() }

// User is the number the telephone calls as.
func (p *Phone) User() string { return p.cfg.User }

// Register tells the exchange where the telephone is, for ten minutes.
func (p *Phone) Register(ctx context.Context) error { return p.register(ctx, 600) }

// Unregister takes it back.
func (p *Phone) Unregister(ctx context.Context) error { return p.register(ctx, 0) }

func (p *Phone) register(ctx context.Context, seconds int) error {
	host, port := p.exchange()
	build := func() *gosip.Request {
		req := gosip.NewRequest(gosip.REGISTER, gosip.Uri{Scheme: "sip", Host: host, Port: port})
		aor := gosip.Uri{Scheme: "sip", User: p.cfg.User, Host: host, Port: port}
		req.AppendHeader(&gosip.FromHeader{Address: aor, Params: gosip.HeaderParams{{K: "tag", V: gosip.GenerateTagN(12)}}})
		req.AppendHeader(&gosip.ToHeader{Address: aor})
		req.AppendHeader(&p.regID)
		req.AppendHeader(&gosip.CSeqHeader{SeqNo: p.cseq.Add(1), MethodName: gosip.REGISTER})
		contact := p.contact
		req.AppendHeader(&contact)
		req.AppendHeader(gosip.NewHeader("Expires", fmt.Sprint(seconds)))
		return req
	}
	req := build()
	res, err := p.client.Do(ctx, req)
	if err != nil {
		return fmt.Errorf("register %s: %w", p.cfg.User, err)
	}
	if res.StatusCode == 401 && p.cfg.Password != "" {
		req.CSeq().SeqNo = p.cseq.Add(1) // the digest client counts one on by itself
		if res, err = p.client.DoDigestAuth(ctx, req, res, sipgo.DigestAuth{Username: p.cfg.User, Password: p.cfg.Password}); err != nil {
			return fmt.Errorf("register %s: %w", p.cfg.User, err)
		}
		p.cseq.Add(1)
	}
	if res.StatusCode != 200 {
		return fmt.Errorf("register %s: %d %s", p.cfg.User, res.StatusCode, res.Reason)
	}
	return nil
}

func (p *Phone) exchange() (string, int) {
	ap := netip.MustParseAddrPort(p.cfg.Server)
	return ap.Addr().String(), int(ap.Port())
}

// Refused is the answer of a far end that did not take a call.
type Refused struct {
	Code   int
	Reason string
}

func (r *Refused) Error() string { return fmt.Sprintf("call refused: %d %s", r.Code, r.Reason) }

// Dial calls a number and returns when it is answered. When ctx ends first the call is cancelled. A refusal is a *Refused.
func (p *Phone) Dial(ctx context.Context, number string) (*Call, error) {
	leg, err := p.cfg.Engine.Open()
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	host, port := p.exchange()
	from := &gosip.FromHeader{DisplayName: p.cfg.Display, Address: gosip.Uri{Scheme: "sip", User: p.cfg.User, Host: p.cfg.IP},
		Params: gosip.HeaderParams{{K: "tag", V: gosip.GenerateTagN(12)}}}
	d, err := p.asClient.Invite(ctx, gosip.Uri{Scheme: "sip", User: number, Host: host, Port: port}, p.sdp(leg),
		from, gosip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		leg.Close()
		return nil, fmt.Errorf("dial: %w", err)
	}
	fail := func(err error) (*Call, error) {
		d.Close()
		leg.Close()
		var no *sipgo.ErrDialogResponse
		if errors.As(err, &no) {
			return nil, &Refused{Code: no.Res.StatusCode, Reason: no.Res.Reason}
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	if err := d.WaitAnswer(ctx, sipgo.AnswerOptions{Username: p.cfg.User, Password: p.cfg.Password}); err != nil {
		return fail(err)
	}
	c, err := p.begin(leg, d.InviteResponse.Body(), d)
	if err != nil {
		_ = d.Ack(ctx)
		_ = d.Bye(ctx)
		return fail(err)
	}
	if err := d.Ack(ctx); err != nil {
		c.end()
		return fail(err)
	}
	d.OnState(func(s gosip.DialogState) {
		if s == gosip.DialogStateEnded {
			c.ended()
		}
	})
	return c, nil
}

// Ringing is a call that comes in.
type Ringing struct {
	From    string // user part
	Display string
	Header  func(name string) string
	To      string

	p    *Phone
	d    *sipgo.DialogServerSession
	req  *gosip.Request
	gone chan struct{}
	did  chan struct{} // closed when the call has been answered or refused
	once sync.Once
}

// Incoming delivers the calls that come in. Each rings until Answer, Reject or Gone.
func (p *Phone) Incoming() <-chan *Ringing { return p.incoming }

func (p *Phone) onInvite(req *gosip.Request, tx gosip.ServerTransaction) {
	if to := req.To(); to != nil {
		if _, in := to.Params.Get("tag"); in { // re-INVITE: the same answer again
			if d, err := p.asServer.MatchDialogRequest(req); err == nil {
				_ = d
			}
			_ = tx.Respond(gosip.NewResponseFromRequest(req, 488, "Not Acceptable Here", nil))
			return
		}
	}
	d, err := p.asServer.ReadInvite(req, tx)
	if err != nil {
		_ = tx.Respond(gosip.NewResponseFromRequest(req, 400, "Bad Request", nil))
		return
	}
	r := &Ringing{From: req.From().Address.User, Display: req.From().DisplayName, To: req.To().Address.User, p: p, d: d, req: req,
		gone: make(chan struct{}), did: make(chan struct{}),
		Header: func(name string) string {
			if h := req.GetHeader(name); h != nil {
				return h.Value()
			}
			return ""
		}}
	tx.OnCancel(func(*gosip.Request) { r.once.Do(func() { close(r.gone) }) })
	if d.Respond(180, "Ringing", nil) != nil {
		return
	}
	select {
	case p.incoming <- r:
	default:
		_ = d.Respond(486, "Busy Here", nil)
		return
	}
	select { // the transaction lives as long as this handler
	case <-r.did:
	case <-r.gone:
	case <-tx.Done():
		r.once.Do(func() { close(r.gone) })
	}
}

// Gone is closed when the caller gave up before an answer.
func (r *Ringing) Gone() <-chan struct{} { return r.gone }

// Reject refuses the call.
func (r *Ringing) Reject(code int, reason string) error {
	defer close(r.did)
	return r.d.Respond(code, reason, nil)
}

// Answer takes the call. It returns when the caller has acknowledged.
func (r *Ringing) Answer(ctx context.Context) (*Call, error) {
	defer close(r.did)
	leg, err := r.p.cfg.Engine.Open()
	if err != nil {
		_ = r.d.Respond(500, "No Media", nil)
		return nil, fmt.Errorf("answer: %w", err)
	}
	c, err := r.p.begin(leg, r.req.Body(), r.d)
	if err != nil {
		leg.Close()
		_ = r.d.Respond(488, "Not Acceptable Here", nil)
		return nil, fmt.Errorf("answer: %w", err)
	}
	r.d.OnState(func(s gosip.DialogState) {
		if s == gosip.DialogStateEnded {
			c.ended()
		}
	})
	if err := r.d.RespondSDP(r.p.sdp(leg)); err != nil {
		c.end()
		return nil, fmt.Errorf("answer: %w", err)
	}
	return c, nil
}

// sdp offers, or answers with, both laws and telephone events.
func (p *Phone) sdp(leg *media.Leg) []byte {
	return fmt.Appendf(nil, "v=0\r\no=- %d 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 8 0 101\r\n"+
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n",
		time.Now().UnixNano(), p.cfg.IP, p.cfg.IP, leg.Port())
}

// params reads the far end's half of the agreement.
func params(sdp []byte) (media.Params, error) {
	out := media.Params{Send: true, Receive: true, Codec: media.NoCodec}
	ip, port := "", 0
	for line := range strings.Lines(string(sdp)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "c=IN IP4 "):
			ip = strings.TrimPrefix(line, "c=IN IP4 ")
		case strings.HasPrefix(line, "m=audio "):
			f := strings.Fields(line)
			if _, err := fmt.Sscanf(line, "m=audio %d", &port); err != nil || len(f) < 4 {
				return out, fmt.Errorf("media line %q", line)
			}
			for _, pt := range f[3:] {
				switch {
				case pt == "8" && out.Codec == media.NoCodec:
					out.Codec = media.PCMA
				case pt == "0" && out.Codec == media.NoCodec:
					out.Codec = media.PCMU
				}
			}
		case strings.Contains(line, "telephone-event/8000"):
			if _, err := fmt.Sscanf(line, "a=rtpmap:%d", &out.DTMF); err != nil {
				return out, fmt.Errorf("event line %q", line)
			}
		}
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil || port == 0 || out.Codec == media.NoCodec {
		return out, errors.New("no usable media in the far end's SDP")
	}
	out.Remote = netip.AddrPortFrom(addr, uint16(port))
	return out, nil
}
