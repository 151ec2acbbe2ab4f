// Package sip answers and makes calls: listeners, registrar, dialogs and their offer/answer.
package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/oklog/ulid/v2"

	"lianxin/sip/media"
)

// Server is the telephone exchange: its sockets, its registrar and all of its calls. It takes from sipgo the parser, the transports
// and the transaction timers of RFC 3261; everything from the dialog up is here.
type Server struct {
	cfg    Config
	engine *media.Engine
	log    *slog.Logger
	lib    *slog.Logger // sampled: for what strangers' messages bring about
	guard  *guard
	routes routes
	secret [32]byte // of To tags

	parser    *gosip.Parser
	replies   *replies
	crew      *crew
	tpl       *gosip.TransportLayer
	txl       *gosip.TransactionLayer
	listeners []*listener
	tls       *credentials
	openers   map[string]*opener // of connections of ours, by transport
	registrar *registrar
	lines     *lines
	auth      *authority

	t1    time.Duration // T1 of RFC 3261
	began time.Time

	strain strain

	early struct { // INVITEs without final response, for CANCEL
		mu      sync.Mutex
		coming  map[branch]time.Time // seen by front, not entered yet
		calls   map[branch]*leg
		cancels map[branch]*lateCancel
	}

	mu       sync.Mutex
	dialogs  map[dialogID]*leg
	graves   map[graveKey]grave  // dialogs that are over
	dialling map[dialogID]*leg   // calls of ours, by a dialogID without remote tag
	requests map[requestID]heard // initial INVITEs of late, to tell merged from new (RFC 3261 8.2.2.2)
	draining bool
	closed   bool

	ladders   ladders
	burying   *lapse[*leg]      // calls that have just ended
	buried    *lapse[graveKey]  // and their graves, until late requests need no answer any more
	lingering *lapse[*leg]      // ended calls that stay whole until then
	told      *lapse[string]    // their ladders
	past      *lapse[requestID] // initial INVITEs of late
	captures  captures
	shrinkers shrinkers // the sweep's own

	handler func(context.Context, Call)
	alive   struct {
		mu sync.Mutex
		m  map[*leg]struct{}
	}
	calls sync.WaitGroup // serving functions and clean-up
	live  atomic.Int64   // calls that have not ended

	count struct {
		received, readErrors, acceptErrors, panics atomic.Int64
	}
}

// once sets what sipgo has as global variables.
var once sync.Once

// New binds the sockets of cfg. The calls' sound goes through engine, which stays the caller's to close.
func New(cfg Config, engine *media.Engine) (*Server, error) {
	cfg = cfg.withDefaults()
	once.Do(func() {
		gosip.UDPMTUSize = 65535 // trap 7: bigger messages than 1300 bytes would never be sent
		gosip.SetDefaultLogger(slog.New(newSampled(cfg.Log.Handler())))
	})
	s := &Server{cfg: cfg, engine: engine, log: cfg.Log, t1: cfg.t1, began: time.Now()}
	s.strain.off = cfg.patient
	if _, err := rand.Read(s.secret[:]); err != nil {
		return nil, fmt.Errorf("read random: %w", err)
	}
	s.guard = newGuard(cfg.Limits, nil)
	s.guard.known.Store(newKnown(cfg.Trusted, cfg.Denied, cfg.Trunks))
	s.guard.bans.spare = s.spares
	s.guard.bans.restore(cfg.Bans, time.Now())
	s.guard.bans.tell = func(b Ban) {
		s.log.Warn("sip: a source is not listened to for a while", "source", b.Source, "why", b.Why, "until", b.Until, "times", b.Times)
	}
	s.early.coming, s.early.calls, s.early.cancels = map[branch]time.Time{}, map[branch]*leg{}, map[branch]*lateCancel{}
	s.alive.m = map[*leg]struct{}{}
	s.dialogs, s.dialling, s.requests = map[dialogID]*leg{}, map[dialogID]*leg{}, map[requestID]heard{}
	s.graves = map[graveKey]grave{}
	var err error
	s.tls, err = newCredentials(cfg.TLS, func(err error) { s.log.Error("sip: the old certificate stays in use", "err", err) })
	if err != nil {
		return nil, err
	}
	if s.lines, err = newLines(s); err != nil {
		return nil, err
	}
	s.openers = map[string]*opener{"TCP": newOpener(), "TLS": newOpener()}
	s.auth = newAuthority(cfg)
	s.registrar = newRegistrar(s)

	lib := slog.New(newSampled(cfg.Log.Handler()))
	s.lib, s.parser, s.replies, s.crew = lib, gosip.NewParser(), newReplies(s), &crew{handle: s.begin}
	s.lingering = newLapse(64*s.t1+gapSeen, s.safely, s.forget)
	s.burying = newLapse(buriedAfter, s.safely, s.bury)
	s.buried = newLapse(64*s.t1, s.safely, s.forgetGrave)
	s.told = newLapse(ladderRemains, s.safely, s.ladders.forget)
	s.past = newLapse(stragglers, s.safely, s.outlive)
	s.tpl = gosip.NewTransportLayer(net.DefaultResolver, gosip.NewParser(), nil, gosip.WithTransportLayerLogger(lib))
	s.tpl.OnMessage(s.front) // before the transaction layer: front sees every message first, in the order of its socket
	s.txl = gosip.NewTransactionLayer(s.tpl,
		gosip.WithTransactionLayerLogger(lib),
		gosip.WithTransactionLayerUnhandledResponseHandler(s.strayResponse),
		gosip.WithTransactionLayerTerminateOnConnClose())
	s.txl.OnRequest(func(req *gosip.Request, tx *gosip.ServerTx) { s.receive(req, tx) })

	for _, spec := range cfg.Listen {
		l, err := s.bind(spec)
		if err != nil {
			for _, l := range s.listeners {
				l.close()
			}
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	if len(s.listeners) == 0 {
		return nil, errors.New("sip: nothing to listen on")
	}
	return s, nil
}

// Serve answers until ctx ends, calling handle in a goroutine of its own for every call that comes in. The context it passes ends
// with the call; a call that is still up when handle returns is hung up. When ctx ends, remaining calls are hung up and Serve
// returns; use Drain first to end politely. Serve may be called once.
func (s *Server) Serve(ctx context.Context, handle func(context.Context, Call)) error {
	s.mu.Lock()
	if s.handler != nil || s.closed {
		s.mu.Unlock()
		return errors.New("sip: Serve called twice")
	}
	s.handler = handle
	s.mu.Unlock()

	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, l := range s.listeners {
		running.Go(func() { l.run(inner) })
	}
	s.serveOpeners(inner, running.Go)
	running.Go(func() { s.sweep(inner) })
	running.Go(func() { s.keepBans(inner) })
	watching, unwatch := context.WithCancel(inner)
	var watched sync.WaitGroup
	s.lines.serve(watching, &watched)
	running.Go(func() { s.registrar.keepAlive(inner) })
	running.Go(func() { s.registrar.qualify(watching) })
	running.Go(func() { s.vigil(watching) })

	<-ctx.Done()
	unwatch()
	s.lines.close()
	s.hangupAll("shutdown", 2*time.Second)
	watched.Wait() // registrations with trunks are taken back while there is still a socket
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	stop()
	running.Wait()
	s.replies.close()
	s.burying.stop()
	s.buried.stop()
	s.lingering.stop()
	s.told.stop()
	s.past.stop()
	s.txl.Close()
	_ = s.tpl.Close()
	s.calls.Wait()
	s.crew.close()
	return nil
}

// Drain refuses new calls (503 with Retry-After, to OPTIONS too, so that trunks go elsewhere) and waits for those that are up. When
// ctx ends before them, they are hung up. It returns the number it had to hang up.
func (s *Server) Drain(ctx context.Context) int {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.live.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s.hangupAll("drain", 5*time.Second)
		}
	}
	return 0
}

// hangupAll ends all calls and waits a while for the far ends to confirm.
func (s *Server) hangupAll(cause string, wait time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	var all sync.WaitGroup
	n := 0
	for _, l := range s.legs() {
		if l.over() {
			continue
		}
		n++
		all.Go(func() { _ = l.hangup(ctx, cause) })
	}
	all.Wait()
	return n
}

// legs are the calls that have not ended and that somebody is to be told the end of: all but those of ours that have not been
// answered, which are cancelled by whoever dials.
func (s *Server) legs() []*leg {
	s.alive.mu.Lock()
	all := make([]*leg, 0, len(s.alive.m))
	for l := range s.alive.m {
		all = append(all, l)
	}
	s.alive.mu.Unlock()
	return slices.DeleteFunc(all, func(l *leg) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.state == over || l.inv == nil && l.state < answered
	})
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining || s.closed
}

// Addrs lists the addresses that are bound, as "udp://127.0.0.1:5060", in the order of Config.Listen.
func (s *Server) Addrs() []string {
	var out []string
	for _, l := range s.listeners {
		l.mu.Lock()
		out = append(out, strings.ToLower(l.network)+"://"+l.addr.String())
		l.mu.Unlock()
	}
	return out
}

// Health is the state of the exchange for the watcher.
type Health struct {
	Listeners     []ListenerHealth
	Calls         int // that have not ended
	Registrations int // contacts
	Draining      bool
	Received      int64            // messages let through
	Dropped       map[string]int64 // messages and connections kept out, by reason
	Panics        int64            // handlers that failed and were isolated

	Trunks []TrunkHealth

	CertificateExpires time.Time // of "tls://" sockets; zero without one
	CertificateError   string    // why the files on disk are not in use
}

// OK reports whether every listener is up.
func (h Health) OK() bool {
	for _, l := range h.Listeners {
		if !l.Up {
			return false
		}
	}
	return true
}

// ListenerHealth is the state of one socket.
type ListenerHealth struct {
	Network, Addr string
	Up            bool
	Restarts      int
	LastError     string
}

// Health reports the state of the exchange.
func (s *Server) Health() Health {
	h := Health{
		Calls: int(s.live.Load()), Registrations: s.registrar.size(), Draining: s.isDraining(),
		Received: s.count.received.Load(), Panics: s.count.panics.Load(),
		Dropped: map[string]int64{
			"noise": s.guard.dropped.noise.Load(), "scanner": s.guard.dropped.scanner.Load(), "rate": s.guard.dropped.rate.Load(),
			"network": s.guard.dropped.network.Load(), "banned": s.guard.dropped.banned.Load(),
			"overload": s.strain.shed.Load(), "newSource": s.guard.dropped.newSource.Load(), "connections": s.guard.dropped.conns.Load(),
			"slow":       s.guard.dropped.slow.Load(),
			"readErrors": s.count.readErrors.Load(), "acceptErrors": s.count.acceptErrors.Load(),
		},
	}
	h.Trunks = s.lines.health()
	h.CertificateExpires, h.CertificateError = s.tls.expires()
	for _, l := range s.listeners {
		l.mu.Lock()
		x := ListenerHealth{Network: l.network, Addr: l.addr.String(), Up: l.up, Restarts: l.restarts}
		if l.lastErr != nil {
			x.LastError = l.lastErr.Error()
		}
		l.mu.Unlock()
		h.Listeners = append(h.Listeners, x)
	}
	return h
}

// sweep forgets what is old: registrations, INVITEs that were answered long ago, CANCELs that never met theirs.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.safely("sweep", func() {
			now := time.Now()
			s.registrar.expire(now)
			s.auth.expire(now)
			s.guard.bans.expire(now)
			s.captures.expire(now)
			s.crew.expire(now)
			s.shrink()
			s.early.mu.Lock()
			for b, at := range s.early.coming {
				if now.Sub(at) > 5*time.Second {
					delete(s.early.coming, b)
				}
			}
			for b, c := range s.early.cancels {
				if now.Sub(c.at) > 5*time.Second {
					delete(s.early.cancels, b)
				}
			}
			s.early.mu.Unlock()
		})
	}
}

// safely runs f and survives its panic.
func (s *Server) safely(what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(what, p)
		}
	}()
	f()
}

func (s *Server) panicked(what string, p any) {
	s.count.panics.Add(1)
	s.log.Error("sip: panic isolated", "in", what, "panic", logged(fmt.Sprint(p)), "stack", string(debug.Stack()))
}

// after runs f later, safely. A stopped timer does not run it.
func (s *Server) after(d time.Duration, what string, f func()) *time.Timer {
	return time.AfterFunc(d, func() { s.safely(what, f) })
}

// spawn runs f in a goroutine that Serve waits for.
func (s *Server) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go f()
		return
	}
	s.calls.Go(f)
}

// here runs f, which Serve waits for, in the goroutine of the caller.
func (s *Server) here(f func()) {
	s.mu.Lock()
	counted := !s.closed
	if counted {
		s.calls.Add(1)
	}
	s.mu.Unlock()
	if counted {
		defer s.calls.Done()
	}
	f()
}

func newID() string { return ulid.Make().String() }
