// Package web is the telephone in a browser: calls over WebRTC (ICE, DTLS-SRTP, G.711, Opus where there is nothing else) as a second kind of sip.Call.
//
// There is no SIP in the browser. A page attends for a user (the console's stream of events does that), which makes the user
// reachable; it is told of a call, and answers it by an offer (RFC 8829), to which the exchange gives an answer. All browsers send to
// one UDP port. A page that is loaded anew takes its call back with another offer.
package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sort"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"lianxin/sip"
	"lianxin/sip/media"
)

// Config says how an Exchange is set up. Engine is needed; everything else has a sensible zero.
type Config struct {
	Engine *media.Engine

	// Port is the UDP port that all browsers send to, on every address of the host; one that the system chooses for each address when 0.
	Port int

	// PublicIP is announced besides the host's own addresses, for a host behind a 1:1 NAT.
	PublicIP netip.Addr

	// Loopback announces 127.0.0.1 and ::1 too, for browsers on the same machine.
	Loopback bool

	// Relays are told to the pages.
	Relays Relays

	// OnRegistration is told when a user becomes reachable or stops being so, in that order. It must not block for long.
	OnRegistration func(user string, registered bool)

	// Reload is how long a page may be away (loaded anew, its network changed) before its user counts as gone: 5 s when 0.
	Reload time.Duration

	// Rejoin is how long a call waits for a page that has lost it to take it back: 15 s when 0.
	Rejoin time.Duration

	// Connect is how long ICE and DTLS may take after an answer: 10 s when 0.
	Connect time.Duration

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // slog.Default() when nil
}

// Errors of what pages ask for.
var (
	ErrNoCall = errors.New("no such call")
	ErrTaken  = errors.New("the call is answered elsewhere")
	ErrOffer  = errors.New("an offer that cannot be answered")
	ErrClosed = errors.New("closed")
)

// An Exchange knows the pages that attend and leads their calls.
type Exchange struct {
	cfg      Config
	mux      *ice.MultiUDPMuxDefault
	settings webrtc.SettingEngine
	cert     webrtc.Certificate

	mu       sync.Mutex
	closed   bool
	pages    map[string]*attendance
	calls    map[string]*Call
	telling  sync.Mutex // orders OnRegistration
	running  sync.WaitGroup
	watchers map[chan struct{}]string // by the user they watch
}

// attendance is a user with pages, or one who has just lost the last.
type attendance struct {
	pages int
	told  bool
	away  *time.Timer
}

// New binds the port.
func New(cfg Config) (*Exchange, error) {
	if cfg.Engine == nil {
		return nil, errors.New("web telephone: an engine is needed")
	}
	if err := cfg.Relays.Check(); err != nil {
		return nil, fmt.Errorf("web telephone: %w", err)
	}
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&cfg.Reload, 5*time.Second)
	set(&cfg.Rejoin, 15*time.Second)
	set(&cfg.Connect, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	x := &Exchange{cfg: cfg, pages: map[string]*attendance{}, calls: map[string]*Call{}, watchers: map[chan struct{}]string{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("web telephone: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("web telephone: certificate: %w", err)
	}
	x.cert = *cert
	opts := []ice.UDPMuxFromPortOption{
		ice.UDPMuxFromPortWithNetworks(ice.NetworkTypeUDP4, ice.NetworkTypeUDP6),
		ice.UDPMuxFromPortWithIPFilter(announced),
		ice.UDPMuxFromPortWithLogger(logger{cfg.Log}),
	}
	if cfg.Loopback || !hasAddress() {
		opts = append(opts, ice.UDPMuxFromPortWithLoopback())
		x.settings.SetIncludeLoopbackCandidate(true)
	}
	if x.mux, err = ice.NewMultiUDPMuxFromPort(cfg.Port, opts...); err != nil {
		return nil, fmt.Errorf("web telephone: UDP port %d: %w", cfg.Port, err)
	}
	// The browser does the work of ICE: we have one port that does not move (RFC 8445 §2.5).
	x.settings.SetLite(true)
	x.settings.SetICEUDPMux(x.mux)
	x.settings.SetIPFilter(announced)
	x.settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	x.settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	x.settings.SetICETimeouts(5*time.Second, 12*time.Second, 2*time.Second)
	x.settings.LoggerFactory = logger{cfg.Log}
	if cfg.PublicIP.IsValid() {
		if err := x.settings.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
			External: []string{cfg.PublicIP.String()}, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteAppend,
		}); err != nil {
			x.mux.Close()
			return nil, fmt.Errorf("web telephone: public address: %w", err)
		}
	}
	return x, nil
}

// announced leaves out addresses that no browser elsewhere can send to.
func announced(ip net.IP) bool { return !ip.IsLinkLocalUnicast() && !ip.IsMulticast() }

// hasAddress says whether the host has an address besides the loopback.
func hasAddress() bool {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && announced(n.IP) {
			return true
		}
	}
	return false
}

// Addrs are the UDP addresses that browsers send to.
func (x *Exchange) Addrs() []string {
	var out []string
	for _, a := range x.mux.GetListenAddresses() {
		out = append(out, a.String())
	}
	sort.Strings(out)
	return out
}

// Close ends all calls and frees the port.
func (x *Exchange) Close() error {
	x.mu.Lock()
	closed := x.closed
	x.closed = true
	var calls []*Call
	for _, c := range x.calls {
		calls = append(calls, c)
	}
	for _, a := range x.pages {
		if a.away != nil {
			a.away.Stop()
		}
	}
	x.mu.Unlock()
	if closed {
		return nil
	}
	for _, c := range calls {
		c.end(sip.ByUs, "closed", 0)
	}
	x.running.Wait()
	return x.mux.Close()
}

// Attend makes a user reachable until leave is called: a page is open. changed gets a word whenever something about the user's calls
// has changed; Calls tells what.
func (x *Exchange) Attend(user string) (changed <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	x.mu.Lock()
	a := x.pages[user]
	if a == nil {
		a = &attendance{}
		x.pages[user] = a
	}
	a.pages++
	if a.away != nil {
		a.away.Stop()
		a.away = nil
	}
	x.watchers[c] = user
	x.mu.Unlock()
	x.tell(user)
	var once sync.Once
	return c, func() {
		once.Do(func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			delete(x.watchers, c)
			if a.pages--; a.pages == 0 && !x.closed {
				a.away = time.AfterFunc(x.cfg.Reload, func() { x.tell(user) })
			}
		})
	}
}

// tell reports a change of a user's reachability, if there is one.
func (x *Exchange) tell(user string) {
	x.telling.Lock()
	defer x.telling.Unlock()
	x.mu.Lock()
	a := x.pages[user]
	if a == nil || x.closed {
		x.mu.Unlock()
		return
	}
	here := a.pages > 0
	changed := here != a.told
	a.told = here
	if !here {
		delete(x.pages, user)
	}
	var ringing []*Call
	for _, c := range x.calls {
		if !here && c.user == user && c.ringing() {
			ringing = append(ringing, c)
		}
	}
	x.mu.Unlock()
	for _, c := range ringing {
		c.end(sip.ByNetwork, "page closed", 480)
	}
	if changed && x.cfg.OnRegistration != nil {
		x.cfg.OnRegistration(user, here)
	}
}

// Registered says whether a page attends for the user.
func (x *Exchange) Registered(user string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.pages[user]
	return a != nil && a.told
}

// changed tells the user's pages.
func (x *Exchange) changed(user string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c, u := range x.watchers {
		if u == user {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

// Dial rings the pages of Target.User and returns when the call is answered and its media are connected. The errors are those of
// (*sip.Server).Dial.
func (x *Exchange) Dial(ctx context.Context, t sip.Target, o sip.DialOpt) (sip.Call, error) {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	c, err := x.newCall(t.User, o)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if o.Ringing != nil {
		o.Ringing(180)
	}
	timeout := time.NewTimer(o.Timeout)
	defer timeout.Stop()
	for {
		select {
		case <-c.up:
			return c, nil
		case <-c.done:
			return nil, c.refusal()
		case <-timeout.C:
			if c.ringing() { // one that is just being answered has its own deadline
				c.end(sip.ByTimeout, "no answer", 487)
				return nil, fmt.Errorf("dial: %w", sip.ErrNoAnswer)
			}
		case <-ctx.Done():
			c.end(sip.ByUs, "cancel", 487)
			return nil, fmt.Errorf("dial: %w", context.Cause(ctx))
		}
	}
}

func (x *Exchange) newCall(user string, o sip.DialOpt) (*Call, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, sip.ErrDraining
	}
	if a := x.pages[user]; user == "" || a == nil || !a.told {
		return nil, sip.ErrNotRegistered
	}
	c := &Call{x: x, id: ulid.Make().String(), user: user, opt: o, done: make(chan struct{}), up: make(chan struct{})}
	c.info = sip.Info{Direction: sip.Outgoing, From: o.From, Display: o.Display, To: user, User: user, Transport: "WEB", Started: x.cfg.Now(), Encrypted: true}
	var err error
	c.leg, c.inlet, err = x.cfg.Engine.OpenVia(c.send, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", sip.ErrUnreachable, err)
	}
	c.leg.OnTimeout(func() { c.end(sip.ByTimeout, "no media", 0) })
	x.calls[c.id] = c
	c.note(true, "ring")
	go x.changed(user)
	return c, nil
}

// find looks a user's call up.
func (x *Exchange) find(user, id string) (*Call, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.calls[id]
	if c == nil || c.user != user {
		return nil, ErrNoCall
	}
	return c, nil
}

// Accept takes a page's offer: it answers a call that rings, or takes back one whose page was loaded anew. It returns the answer.
func (x *Exchange) Accept(ctx context.Context, user, id, offer string) (answer string, err error) {
	c, err := x.find(user, id)
	if err != nil {
		return "", err
	}
	return c.accept(ctx, offer)
}

// Decline refuses a call that rings.
func (x *Exchange) Decline(user, id string) error {
	c, err := x.find(user, id)
	if err != nil {
		return err
	}
	c.end(sip.ByFar, "declined", 603)
	return nil
}

// HangUp ends a call at the user's wish.
func (x *Exchange) HangUp(user, id string) error {
	c, err := x.find(user, id)
	if err != nil {
		return err
	}
	if c.ringing() {
		c.end(sip.ByFar, "declined", 603)
	} else {
		c.end(sip.ByFar, "bye", 0)
	}
	return nil
}

// Hold puts the other party on hold at the user's wish, or takes it back.
func (x *Exchange) Hold(user, id string, on bool) error {
	c, err := x.find(user, id)
	if err != nil {
		return err
	}
	return c.farHold(on)
}

// Calls lists a user's calls, the oldest first.
func (x *Exchange) Calls(user string) []View {
	x.mu.Lock()
	var calls []*Call
	for _, c := range x.calls {
		if c.user == user {
			calls = append(calls, c)
		}
	}
	x.mu.Unlock()
	sort.Slice(calls, func(i, j int) bool { return calls[i].id < calls[j].id })
	views := []View{}
	for _, c := range calls {
		if v := c.view(); v.State != Over {
			views = append(views, v)
		}
	}
	return views
}

// Health is how many pages attend and how many calls there are.
func (x *Exchange) Health() (users, calls int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.pages), len(x.calls)
}
