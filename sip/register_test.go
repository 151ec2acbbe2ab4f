package sip

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

const realm = "test.lianxin"

// users are the accounts of the tests; the password is "pw-" and the name.
func users(names ...string) func(*Config) {
	return func(c *Config) {
		c.Realm = realm
		c.Accounts = func(_ context.Context, user string) (Account, bool) {
			if slices.Contains(names, user) {
				return HA1(user, realm, "pw-"+user), true
			}
			return Account{}, false
		}
	}
}

// phone is a peer that can register.
type phone struct {
	*ua
	name     string
	password string
	alg      string // which of the challenges to answer
	last     string // Authorization that was sent last
	nc       int
	chal     *digest.Challenge
	added    []string // headers of a proxy on the way
}

func (p *peer) phone(name string) *phone {
	u := p.ua()
	return &phone{ua: u, name: name, password: "pw-" + name, alg: "SHA-256"}
}

func (ph *phone) register(contact, expires, authorization string) *gosip.Response {
	ph.t.Helper()
	ph.seq++
	from := fmt.Sprintf("From: <sip:%s@%s>;tag=%s", ph.name, realm, ph.tag)
	msg := ph.message("REGISTER", ph.seq, unique(), "", from, "Contact: "+contact)
	msg = strings.Replace(msg, "To: <"+ph.uri+">", fmt.Sprintf("To: <sip:%s@%s>", ph.name, realm), 1)
	if contact == "" {
		msg = strings.Replace(msg, "Contact: \r\n", "", 1)
	}
	extra := ""
	for _, h := range ph.added {
		extra += h + "\r\n"
	}
	if expires != "" {
		extra += "Expires: " + expires + "\r\n"
	}
	if authorization != "" {
		extra += "Authorization: " + authorization + "\r\n"
	}
	ph.write([]byte(strings.Replace(msg, "Call-ID:", extra+"Call-ID:", 1)))
	cseq := fmt.Sprintf("%d REGISTER", ph.seq)
	for {
		select {
		case m := <-ph.in:
			if r, ok := m.(*gosip.Response); ok && r.CSeq().Value() == cseq && r.CallID().Value() == ph.callID {
				return r
			}
		case <-time.After(patience):
			ph.t.Fatalf("%s: no response", cseq)
		}
	}
}

// challenge takes the challenge of the wanted algorithm out of a 401.
func (ph *phone) challenge(res *gosip.Response) *digest.Challenge {
	ph.t.Helper()
	for _, h := range res.GetHeaders("WWW-Authenticate") {
		c, err := digest.ParseChallenge(h.Value())
		if err != nil {
			ph.t.Fatal(err)
		}
		if c.Algorithm == ph.alg {
			ph.chal, ph.nc = c, 0
			return c
		}
	}
	ph.t.Fatalf("no challenge for %s in\n%s", ph.alg, res)
	return nil
}

func (ph *phone) credentials(method string) string {
	ph.t.Helper()
	ph.nc++
	cred, err := digest.Digest(ph.chal, digest.Options{Method: method, URI: ph.uri, Username: ph.name, Password: ph.password, Count: ph.nc})
	if err != nil {
		ph.t.Fatal(err)
	}
	ph.last = cred.String()
	return ph.last
}

// enter registers with the challenge in between.
func (ph *phone) enter(contact, expires string) *gosip.Response {
	ph.t.Helper()
	if ph.chal == nil {
		res := ph.register(contact, expires, "")
		if res.StatusCode != 401 {
			ph.t.Fatalf("unproven REGISTER got %d", res.StatusCode)
		}
		ph.challenge(res)
	}
	return ph.register(contact, expires, ph.credentials("REGISTER"))
}

func contactsOf(res *gosip.Response) map[string]int {
	out := map[string]int{}
	for _, h := range res.GetHeaders("Contact") {
		c := h.(*gosip.ContactHeader)
		n, _ := strconv.Atoi(c.Params.GetOr("expires", "-1"))
		out[c.Address.String()] = n
	}
	return out
}

func TestRegisterByEitherAlgorithm(t *testing.T) {
	for _, alg := range []string{"SHA-256", "MD5"} {
		for _, transport := range []string{"UDP", "TCP"} {
			var mu sync.Mutex
			var told []string
			x := start(t, func(c *Config) {
				users("8001")(c)
				c.OnRegistration = func(user string, on bool) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, fmt.Sprint(user, on))
				}
			}, nil)
			p := newPeer(t, x.udp)
			if transport == "TCP" {
				p = dialTCP(t, x.tcp)
			}
			ph := p.phone("8001")
			ph.alg = alg
			res := ph.register(p.contact(), "", "")
			var algs []string
			for _, h := range res.GetHeaders("WWW-Authenticate") {
				c, _ := digest.ParseChallenge(h.Value())
				algs = append(algs, c.Algorithm)
			}
			if res.StatusCode != 401 || !slices.Equal(algs, []string{"SHA-256", "MD5"}) {
				t.Fatalf("challenge %d %v", res.StatusCode, algs)
			}
			ph.challenge(res)
			if x.Registered("8001") {
				t.Fatal("registered without proof")
			}
			if res := ph.enter(p.contact(), ""); res.StatusCode != 200 || len(contactsOf(res)) != 1 {
				t.Fatalf("%s", res)
			}
			if !x.Registered("8001") {
				t.Error("not registered")
			}
			if rs := x.Registrations(); len(rs) != 1 || rs[0].User != "8001" || rs[0].Transport != transport || rs[0].Remote.String() != p.addr {
				t.Errorf("%+v", rs)
			}
			if res := ph.enter("*", "0"); res.StatusCode != 200 || len(contactsOf(res)) != 0 {
				t.Fatalf("%s", res)
			}
			if x.Registered("8001") {
				t.Error("still registered")
			}
			mu.Lock()
			if fmt.Sprint(told) != "[8001true 8001false]" {
				t.Errorf("told %v", told)
			}
			mu.Unlock()
		}
	}
}

func TestContactsAndLifetimes(t *testing.T) { // pitfall 15
	x := start(t, func(c *Config) { users("8001")(c); c.MaxContacts = 3 }, nil)
	p := newPeer(t, x.udp)
	ph := p.phone("8001")
	want := func(res *gosip.Response, code int, contacts map[string]int) {
		t.Helper()
		if res.StatusCode != code {
			t.Fatalf("got %d, want %d", res.StatusCode, code)
		}
		if contacts == nil {
			return
		}
		got := contactsOf(res)
		for uri, n := range contacts {
			if g, ok := got[uri]; !ok || g > n || g < n-10 {
				t.Errorf("%s lasts %d, want %d", uri, g, n)
			}
		}
		if len(got) != len(contacts) {
			t.Errorf("contacts %v, want %v", got, contacts)
		}
	}
	const a, b, c, d = "sip:a@10.0.0.1:5060", "sip:a@10.0.0.2", "sip:a@10.0.0.3;transport=tcp", "sip:a@10.0.0.4"
	want(ph.enter("<"+a+">", ""), 200, map[string]int{a: 300})
	want(ph.enter("<"+b+">;expires=120", "3600"), 200, map[string]int{a: 300, b: 120})
	want(ph.enter("<"+a+">", "3600"), 200, map[string]int{a: 300, b: 120}) // clamped, and no third one
	want(ph.enter("", ""), 200, map[string]int{a: 300, b: 120})            // a query
	if res := ph.enter("<"+c+">", "10"); res.StatusCode != 423 || headerOf(res, "Min-Expires").Value() != "60" {
		t.Errorf("%s", res)
	}
	want(ph.enter("<"+c+">, <"+d+">", "100"), 200, map[string]int{a: 300, c: 100, d: 100}) // b was the oldest
	want(ph.enter("<"+c+">;expires=0", ""), 200, map[string]int{a: 300, d: 100})
	want(ph.enter("*", "60"), 400, nil)
	want(ph.enter("*", ""), 400, nil)
	want(ph.enter("*, <"+a+">", "0"), 400, nil)
	want(ph.enter("<tel:123>", ""), 400, nil)

	// one Call-ID's CSeq must rise
	ph.seq -= 3
	ph.enter("<"+a+">", "100")
	other := p.phone("8001")
	want(other.enter("<"+a+">", "200"), 200, map[string]int{a: 200, d: 100})
	want(other.enter("<"+a+">", "300"), 200, map[string]int{a: 300, d: 100})
	other.seq -= 2
	want(other.enter("<"+a+">;expires=0", ""), 500, nil)
	other.seq = 50
	want(other.enter("*", "0"), 200, map[string]int{})
}

func TestRegistrationsExpire(t *testing.T) {
	gone := make(chan string, 10)
	x := start(t, func(c *Config) {
		users("8001")(c)
		c.MinExpires, c.MaxExpires = time.Second, time.Second
		c.OnRegistration = func(user string, on bool) {
			if !on {
				gone <- user
			}
		}
	}, nil)
	p := newPeer(t, x.udp)
	if res := p.phone("8001").enter(p.contact(), "3600"); res.StatusCode != 200 {
		t.Fatal(res)
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("never expired")
	}
	if x.Registered("8001") || len(x.Registrations()) != 0 {
		t.Error("still there")
	}
}

func TestRegistrationEndsWithItsConnection(t *testing.T) { // pitfall 13
	x := start(t, users("8001"), nil)
	p := dialTCP(t, x.tcp)
	p.phone("8001").enter(p.contact(), "")
	if !x.Registered("8001") {
		t.Fatal("not registered")
	}
	p.tcp.Close()
	eventually(t, "registration gone", func() bool { return !x.Registered("8001") })
}

func TestWrongPasswordAndUnknownUserLookTheSame(t *testing.T) { // pitfall 16
	x := start(t, users("8001"), nil)
	p := newPeer(t, x.udp)
	shape := func(user, password string) string {
		ph := p.phone(user)
		ph.password = password
		first := ph.register(p.contact(), "", "")
		ph.challenge(first)
		second := ph.register(p.contact(), "", ph.credentials("REGISTER"))
		var b strings.Builder
		for _, r := range []*gosip.Response{first, second} {
			fmt.Fprintf(&b, "%d %s:", r.StatusCode, r.Reason)
			for _, h := range r.Headers() {
				b.WriteString(" " + h.Name())
			}
			b.WriteString("\n")
		}
		return b.String()
	}
	wrong, unknown := shape("8001", "wrong"), shape("9999", "wrong")
	if wrong != unknown || !strings.Contains(wrong, "403") {
		t.Errorf("wrong password:\n%sunknown user:\n%s", wrong, unknown)
	}
	// and right after it, the right one is right
	if res := p.phone("8001").enter(p.contact(), ""); res.StatusCode != 200 {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestOneUserCannotRegisterForAnother(t *testing.T) {
	x := start(t, users("8001", "8002"), nil)
	p := newPeer(t, x.udp)
	ph := p.phone("8002")
	ph.challenge(ph.register(p.contact(), "", ""))
	cred, err := digest.Digest(ph.chal, digest.Options{Method: "REGISTER", URI: ph.uri, Username: "8001", Password: "pw-8001", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	if res := ph.register(p.contact(), "", cred.String()); res.StatusCode != 403 {
		t.Errorf("got %d", res.StatusCode)
	}
	if x.Registered("8002") {
		t.Error("8002 is registered by 8001's password")
	}
}

func TestReplayedStaleAndForeignNoncesAreChallengedAnew(t *testing.T) { // pitfall 16
	x := start(t, users("8001"), nil)
	p := newPeer(t, x.udp)
	ph := p.phone("8001")
	if res := ph.enter(p.contact(), ""); res.StatusCode != 200 {
		t.Fatal(res)
	}
	isStale := func(res *gosip.Response) bool {
		t.Helper()
		if res.StatusCode != 401 {
			t.Fatalf("got %d", res.StatusCode)
		}
		return ph.challenge(res).Stale
	}
	used := ph.last
	if !isStale(ph.register(p.contact(), "", used)) {
		t.Error("a replay was not called stale")
	}
	// counts must rise, but may leap
	ph.nc = 7
	if res := ph.enter(p.contact(), ""); res.StatusCode != 200 {
		t.Errorf("nc 8: %d", res.StatusCode)
	}
	ph.nc = 5
	if !isStale(ph.register(p.contact(), "", ph.credentials("REGISTER"))) {
		t.Error("a lower count was taken")
	}
	// an old one
	x.auth.skew.Store(int64(nonceLife + time.Second))
	if !isStale(ph.register(p.contact(), "", ph.credentials("REGISTER"))) {
		t.Error("an expired nonce was not called stale")
	}
	if res := ph.enter(p.contact(), ""); res.StatusCode != 200 {
		t.Errorf("after the new challenge: %d", res.StatusCode)
	}
	// one that was given to somebody else, and one that is made up
	other := x.auth.nonce(netip.MustParseAddr("192.0.2.1"))
	for _, nonce := range []string{other, base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "x"} {
		ph.chal.Nonce, ph.nc = nonce, 0
		if isStale(ph.register(p.contact(), "", ph.credentials("REGISTER"))) {
			t.Error("a foreign nonce was called stale")
		}
	}
	// a weaker protocol than was offered
	weak := *ph.chal
	weak.QOP = nil
	ph.chal = &weak
	if res := ph.register(p.contact(), "", ph.credentials("REGISTER")); res.StatusCode != 403 {
		t.Errorf("without qop: %d", res.StatusCode)
	}
}

func TestGuessingLocksTheGuesserOut(t *testing.T) {
	x := start(t, users("8001", "8002"), nil)
	p := newPeer(t, x.udp)
	for range maxFaults {
		ph := p.phone("8001")
		ph.password = "guess"
		if res := ph.enter(p.contact(), ""); res.StatusCode != 403 {
			t.Fatalf("got %d", res.StatusCode)
		}
	}
	if res := p.phone("8001").enter(p.contact(), ""); res.StatusCode != 403 {
		t.Errorf("the right password after %d guesses: %d", maxFaults, res.StatusCode)
	}
	if res := p.phone("8002").enter(p.contact(), ""); res.StatusCode != 200 {
		t.Errorf("another user from there: %d", res.StatusCode)
	}
	x.auth.skew.Store(int64(lockout + time.Second))
	if res := p.phone("8001").enter(p.contact(), ""); res.StatusCode != 200 {
		t.Errorf("after the lock-out: %d", res.StatusCode)
	}
}

func TestOnlyTrunksUsersAndProvenCallersGetIn(t *testing.T) {
	x := start(t, func(c *Config) {
		users("8001")(c)
		c.Open = false
	}, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	res := p.response(u.do("INVITE", plainSDP), 407)
	u.ack("")
	chal, err := digest.ParseChallenge(res.GetHeader("Proxy-Authenticate").Value())
	if err != nil {
		t.Fatal(err)
	}
	cred, _ := digest.Digest(chal, digest.Options{Method: "INVITE", URI: u.uri, Username: "8001", Password: "pw-8001", Count: 1})
	u.invite(plainSDP, "Proxy-Authorization: "+cred.String())
	c := x.call()
	if c.Info().User != "8001" {
		t.Errorf("user %q", c.Info().User)
	}
	p.response(u.do("BYE", ""), 200)

	// a registered phone needs no further proof on its way, and only there
	q := newPeer(t, x.udp)
	if res := q.phone("8001").enter(q.contact(), ""); res.StatusCode != 200 {
		t.Fatal(res)
	}
	u = q.ua()
	from := "From: <sip:8001@" + realm + ">;tag=" + u.tag
	u.invite(plainSDP, from)
	if c := x.call(); c.Info().User != "8001" {
		t.Errorf("user %q", c.Info().User)
	}
	q.response(u.do("BYE", "", from), 200)
	u = p.ua()
	p.response(u.do("INVITE", plainSDP, "From: <sip:8001@"+realm+">;tag="+u.tag), 407)

	trunk := start(t, func(c *Config) {
		c.Open = false
		c.Trunks = []Trunk{{Name: "telecom", Addrs: []netip.Prefix{loopback}}}
	}, nil)
	p = newPeer(t, trunk.udp)
	u = p.ua()
	u.invite(plainSDP, "P-Asserted-Identity: \"Bureau\" <sip:+8624-4611-0110@carrier;user=phone>, <tel:+862446110110>",
		"Privacy: id", "Diversion: <sip:4008@carrier>;reason=unconditional, <sip:110@carrier>")
	if i := trunk.call().Info(); i.Trunk != "telecom" || i.From != "+862446110110" || !i.Anonymous || i.Diverted != "110" || i.Display != "Bureau" {
		t.Errorf("%#v %q %q %q", i, i.From, i.Diverted, i.Display)
	}
}

func TestAssertedIdentityOfAStrangerIsIgnored(t *testing.T) { // pitfall 19
	x := start(t, nil, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	u.invite(plainSDP, "P-Asserted-Identity: <sip:110@police>", "Diversion: <sip:119@fire>")
	if i := x.call().Info(); i.From != "13912345678" || i.Diverted != "" {
		t.Errorf("%q %q", i.From, i.Diverted)
	}
	u = p.ua()
	u.invite(plainSDP, `From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=`+u.tag)
	if i := x.call().Info(); i.From != "" || !i.Anonymous {
		t.Errorf("%q %v", i.From, i.Anonymous)
	}
}

func TestRegisteredPhonesAreKeptReachable(t *testing.T) { // pitfall 13
	x := start(t, func(c *Config) { users("8001")(c); c.keepAlive = 50 * time.Millisecond }, nil)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x.registrar.mu.Lock()
	x.registrar.users["8001"] = []*binding{{flow: flow{transport: "UDP", remote: c.LocalAddr().String(), local: x.udp}, until: time.Now().Add(time.Hour)}}
	x.registrar.mu.Unlock()
	buf := make([]byte, 100)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	n, from, err := c.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "\r\n\r\n" || from.String() != x.udp {
		t.Errorf("%q from %v, %v", buf[:n], from, err)
	}
}
