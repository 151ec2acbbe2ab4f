package sip

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// registrar knows where registered users can be reached (RFC 3261 10.3). A binding keeps the way its REGISTER came, which is the only
// way back to a phone behind a NAT (pitfall 13).
type registrar struct {
	s   *Server
	now func() time.Time

	mu    sync.Mutex
	users map[string][]*binding // oldest first
	tell  chan struct{}         // token: notices are given one at a time, in order
	queue []notice
}

type binding struct {
	uri      gosip.Uri
	key      string // what makes two contacts one: the URI without parameters, or the phone's instance id (RFC 5626)
	flow     flow
	callID   string
	cseq     uint32
	until    time.Time
	agent    string
	instance string
	silent   int // OPTIONS in a row without an answer

	path    []gosip.Uri // the proxies on the way, the one next to us first (RFC 3327)
	proxied bool        // it came through a proxy: others come the same way
}

type notice struct {
	user string
	on   bool
}

// maxUsers bounds the table.
const maxUsers = 100_000

func newRegistrar(s *Server) *registrar {
	return &registrar{s: s, now: time.Now, users: map[string][]*binding{}, tell: make(chan struct{}, 1)}
}

// Registration is a phone that can be reached.
type Registration struct {
	User      string
	Contact   string
	Transport string
	Remote    netip.AddrPort
	Agent     string
	Expires   time.Time
	Path      []string // the proxies on the way to it, the one next to us first (RFC 3327)
}

// Registered reports whether any phone is registered as user.
func (s *Server) Registered(user string) bool { return len(s.registrar.find(user)) > 0 }

// Registrations lists the phones that can be reached, by user.
func (s *Server) Registrations() []Registration {
	r := s.registrar
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Registration
	for user, bs := range r.users {
		for _, b := range bs {
			out = append(out, Registration{User: user, Contact: b.uri.String(), Transport: b.flow.transport, Remote: b.flow.remoteAddr(),
				Agent: b.agent, Expires: b.until, Path: pathNames(b.path)})
		}
	}
	slices.SortStableFunc(out, func(a, b Registration) int { return strings.Compare(a.User+a.Contact, b.User+b.Contact) })
	return out
}

// find lists the live bindings of a user.
func (r *registrar) find(user string) []binding {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []binding
	for _, b := range r.users[user] {
		if now.Before(b.until) && b.silent < deafAfter {
			out = append(out, *b)
		}
	}
	return out
}

// knows reports whether user has registered over this very way, and nobody else can come by it: behind a proxy there may be anybody.
func (r *registrar) knows(user string, way flow) bool {
	for _, b := range r.find(user) {
		if !b.proxied && b.flow.transport == way.transport && b.flow.remote == way.remote {
			return true
		}
	}
	return false
}

func (r *registrar) size() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bs := range r.users {
		n += len(bs)
	}
	return n
}

// onRegister serves REGISTER.
func (r *registrar) onRegister(req *gosip.Request, tx serverTx) {
	s := r.s
	if s.cfg.Accounts == nil {
		s.respond(req, tx, 405, "", header("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"))
		return
	}
	way := flowOf(req, tx)
	user, ok := s.auth.challenge(s, req, tx, way, 401)
	if !ok {
		return
	}
	if userOf(req.To().Address) != user {
		s.respond(req, tx, 403, "")
		return
	}
	contacts, code := r.contacts(req)
	if code == 423 {
		s.respond(req, tx, 423, "", header("Min-Expires", seconds(s.cfg.MinExpires)))
		return
	} else if code != 0 {
		s.respond(req, tx, code, "")
		return
	}
	path, named, ok := pathOf(req)
	if !ok {
		s.respond(req, tx, 400, "Bad Path")
		return
	}
	now := r.now()
	r.mu.Lock()
	before := reachable(r.users[user])
	if len(r.users[user]) == 0 && len(r.users) >= maxUsers {
		r.mu.Unlock()
		s.respond(req, tx, 503, "", header("Retry-After", "60"))
		return
	}
	bs, code := r.update(slices.Clone(r.users[user]), contacts, req, way, path, now)
	var list []gosip.Header
	if code == 0 {
		if len(bs) == 0 {
			delete(r.users, user)
		} else {
			r.users[user] = bs
		}
		for _, b := range bs {
			left := max(int(b.until.Sub(now)/time.Second), 1)
			list = append(list, &gosip.ContactHeader{Address: *b.uri.Clone(), Params: gosip.HeaderParams{{K: "expires", V: strconv.Itoa(left)}}})
		}
		r.note(user, before, reachable(bs))
	}
	r.mu.Unlock()
	r.flush()
	if code != 0 {
		s.respond(req, tx, code, "")
		return
	}
	if named != "" && slices.ContainsFunc(listHeader(req, "Supported", "k"), isPath) { // who does not know of it is not told (RFC 3327 5.3)
		list = append(list, header("Path", named))
	}
	s.respond(req, tx, 200, "", list...)
}

// wish is one Contact of a REGISTER.
type wish struct {
	uri      gosip.Uri
	all      bool // "*"
	lasts    time.Duration
	instance string
}

// contacts reads and checks the Contacts and their lifetimes.
func (r *registrar) contacts(req *gosip.Request) (out []wish, code int) {
	cfg := &r.s.cfg
	general := time.Duration(-1)
	if h := req.GetHeader("Expires"); h != nil {
		general = lifetime(h.Value(), cfg.MaxExpires)
	}
	hs := append(req.GetHeaders("contact"), req.GetHeaders("m")...)
	if len(hs) > 10 {
		return nil, 400
	}
	for _, h := range hs {
		c, ok := h.(*gosip.ContactHeader)
		if !ok {
			return nil, 400
		}
		if c.Address.Wildcard {
			if len(hs) != 1 || general != 0 { // RFC 3261 10.3 step 6
				return nil, 400
			}
			return []wish{{all: true}}, 0
		}
		if c.Address.Host == "" || c.Address.Scheme != "sip" && c.Address.Scheme != "sips" || len(c.Address.String()) > 512 {
			return nil, 400
		}
		w := wish{uri: *c.Address.Clone(), lasts: general}
		for _, kv := range c.Params {
			switch strings.ToLower(kv.K) {
			case "expires":
				w.lasts = lifetime(kv.V, cfg.MaxExpires)
			case "+sip.instance":
				w.instance = clean(strings.Trim(kv.V, `"`), 128)
			}
		}
		if w.lasts < 0 {
			w.lasts = cfg.MaxExpires
		}
		if w.lasts > 0 && w.lasts < cfg.MinExpires {
			return nil, 423
		}
		w.lasts = min(w.lasts, cfg.MaxExpires)
		out = append(out, w)
	}
	return out, 0
}

// lifetime reads seconds; what cannot be read counts as the longest (RFC 3261 20.19 leaves it to us).
func lifetime(v string, longest time.Duration) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(strings.Trim(v, `"`)), 10, 32)
	if err != nil {
		return longest
	}
	return time.Duration(n) * time.Second
}

func contactKey(u gosip.Uri) string {
	return strings.ToLower(u.Scheme) + ":" + u.User + "@" + strings.ToLower(u.Host) + ":" + strconv.Itoa(u.Port) + ";" +
		strings.ToLower(u.UriParams.GetOr("transport", ""))
}

// update applies the wishes to a user's bindings: all of them or none (RFC 3261 10.3 step 7).
func (r *registrar) update(bs []*binding, wishes []wish, req *gosip.Request, way flow, path []gosip.Uri, now time.Time) ([]*binding, int) {
	callID, cseq := req.CallID().Value(), req.CSeq().SeqNo
	tooOld := func(b *binding) bool { return b.callID == callID && cseq <= b.cseq }
	for _, w := range wishes {
		key := contactKey(w.uri)
		if w.all {
			if slices.ContainsFunc(bs, tooOld) {
				return nil, 500
			}
			return nil, 0
		}
		i := slices.IndexFunc(bs, func(b *binding) bool {
			return b.key == key || w.instance != "" && b.instance == w.instance
		})
		if i >= 0 {
			if tooOld(bs[i]) {
				return nil, 500
			}
			bs = slices.Delete(slices.Clone(bs), i, i+1)
		}
		if w.lasts == 0 {
			continue
		}
		b := &binding{uri: w.uri, key: key, flow: way, callID: callID, cseq: cseq, until: now.Add(w.lasts), instance: w.instance, path: path,
			proxied: len(path) > 0 || len(req.GetHeaders("via"))+len(req.GetHeaders("v")) > 1}
		if h := req.GetHeader("User-Agent"); h != nil {
			b.agent = clean(h.Value(), 64)
		}
		bs = append(bs, b)
		if len(bs) > r.s.cfg.MaxContacts {
			bs = bs[1:]
		}
	}
	return bs, 0
}

// note queues what OnRegistration is to be told. mu is held.
func (r *registrar) note(user string, before, after bool) {
	if before != after && r.s.cfg.OnRegistration != nil {
		r.queue = append(r.queue, notice{user, after})
	}
}

// flush tells OnRegistration, in order and outside of the lock.
func (r *registrar) flush() {
	if r.s.cfg.OnRegistration == nil {
		return
	}
	r.tell <- struct{}{}
	defer func() { <-r.tell }()
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.mu.Unlock()
			return
		}
		n := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		r.s.safely("OnRegistration", func() { r.s.cfg.OnRegistration(n.user, n.on) })
	}
}

// drop removes the bindings for which gone holds.
func (r *registrar) drop(gone func(*binding) bool) {
	r.mu.Lock()
	for user, bs := range r.users {
		if !slices.ContainsFunc(bs, gone) {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(bs), gone)
		if len(left) == 0 {
			delete(r.users, user)
		} else {
			r.users[user] = left
		}
		r.note(user, reachable(bs), reachable(left))
	}
	r.mu.Unlock()
	r.flush()
}

func (r *registrar) expire(time.Time) {
	now := r.now()
	r.drop(func(b *binding) bool { return !now.Before(b.until) })
}

// keepAlive sends every phone that registered over UDP an empty line now and then, which holds the NAT binding in front of it open
// (RFC 5626 4.4.1 has the phone do so, but few do). Phones on TCP send theirs themselves.
func (r *registrar) keepAlive(ctx context.Context) {
	tick := time.NewTicker(r.s.cfg.keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.s.safely("keep-alive", func() {
			r.mu.Lock()
			var flows []flow
			for _, bs := range r.users {
				for _, b := range bs {
					if b.flow.transport == "UDP" && !b.proxied { // a proxy keeps its own way open
						flows = append(flows, b.flow)
					}
				}
			}
			r.mu.Unlock()
			for _, f := range flows {
				r.s.ping(f)
			}
		})
	}
}

// ping sends an empty line down a UDP flow.
func (s *Server) ping(f flow) {
	for _, l := range s.listeners {
		l.mu.Lock()
		c := l.udp
		if l.addr.String() != f.local {
			c = nil
		}
		l.mu.Unlock()
		if c != nil {
			_, _ = c.WriteTo([]byte("\r\n\r\n"), net.UDPAddrFromAddrPort(f.remoteAddr()))
		}
	}
}

// uses reports whether a phone is registered over a connection.
func (r *registrar) uses(f flow) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bs := range r.users {
		for _, b := range bs {
			if b.flow.transport == f.transport && b.flow.remote == f.remote {
				return true
			}
		}
	}
	return false
}

// at says whether a phone is registered from ip (or its /64).
func (r *registrar) at(ip netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bs := range r.users {
		for _, b := range bs {
			if near(b.flow.remoteAddr().Addr()) == ip {
				return true
			}
		}
	}
	return false
}

// lost drops what was registered over a connection that has closed.
func (r *registrar) lost(f flow) {
	r.drop(func(b *binding) bool {
		_, again := b.reopened()
		return b.flow.transport == f.transport && b.flow.remote == f.remote && !again
	})
}
