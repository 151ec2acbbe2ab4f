package sip

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// issuer is an authority that issues certificates for the tests.
type issuer struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	pem  string // file
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, pool: x509.NewCertPool(), pem: filepath.Join(t.TempDir(), "roots.pem")}
	if i.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	i.pool.AddCert(i.cert)
	writePEM(t, i.pem, "CERTIFICATE", der)
	return i
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes a certificate for a name and for 127.0.0.1 into dir, whatever is there.
func (i *issuer) issue(dir, name string, serial int64) TLS {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(serial) * time.Hour)}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.DNSNames, tmpl.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, i.cert, &key.PublicKey, i.key)
	if err != nil {
		i.t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	files := TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Roots: i.pem}
	writePEM(i.t, files.Certificate, "CERTIFICATE", der)
	writePEM(i.t, files.Key, "EC PRIVATE KEY", raw)
	return files
}

func (i *issuer) dial(server string) *peer {
	i.t.Helper()
	c, err := tls.Dial("tcp", server, &tls.Config{RootCAs: i.pool})
	if err != nil {
		i.t.Fatal(err)
	}
	return newStream(i.t, c, "TLS")
}

func withTLS(files TLS) func(*Config) {
	return func(c *Config) { c.Listen, c.TLS = append(c.Listen, "tls://127.0.0.1:0"), files }
}

func TestCallAndRegistrationOverTLS(t *testing.T) {
	ca := newIssuer(t)
	x := start(t, func(c *Config) {
		withTLS(ca.issue(t.TempDir(), "127.0.0.1", 2))(c)
		users("alice")(c)
	}, nil)
	p := ca.dial(x.tls)

	u := p.ua()
	res := u.invite(plainSDP)
	c := x.call()
	if i := c.Info(); i.Transport != "TLS" {
		t.Errorf("transport %q", i.Transport)
	}
	if a := res.Contact().Address; a.Scheme != "sip" || a.UriParams.GetOr("transport", "") != "tls" || !strings.HasSuffix(x.tls, a.HostPort()) {
		t.Errorf("Contact %s", &a)
	}
	p.response(u.do("BYE", ""), 200)
	ended(t, c)

	u = p.ua()
	u.uri = "sips:46110110@" + x.tls
	if a := u.invite(plainSDP, "Contact: <sips:alice@"+p.addr+">").Contact().Address; a.Scheme != "sips" {
		t.Errorf("Contact of a sips call: %s", &a)
	}
	p.response(u.do("BYE", ""), 200)

	// a phone that registered over TLS is called over its connection
	ph := p.phone("alice")
	if res := ph.enter(p.contact(), "300"); res.StatusCode != 200 {
		t.Fatalf("%d", res.StatusCode)
	}
	if rs := x.Registrations(); len(rs) != 1 || rs[0].Transport != "TLS" {
		t.Fatalf("%+v", rs)
	}
	got := x.dial(context.Background(), Target{User: "alice"}, DialOpt{})
	inv := p.request(gosip.INVITE)
	if v := inv.Via(); v.Transport != "TLS" {
		t.Errorf("Via %s", v)
	}
	p.reply(inv, 200, "far", plainSDP)
	p.request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	go func() { _ = d.call.Hangup(context.Background()) }()
	p.reply(p.request(gosip.BYE), 200, "", "")

	p.tcp.Close()
	eventually(t, "registration gone with its connection", func() bool { return !x.Registered("alice") })
}

func TestCertificateIsReloadedWithoutDroppingCalls(t *testing.T) {
	ca := newIssuer(t)
	dir := t.TempDir()
	x := start(t, withTLS(ca.issue(dir, "127.0.0.1", 2)), nil)
	p := ca.dial(x.tls)
	u := p.ua()
	u.invite(plainSDP)
	serial := func() int64 {
		q := ca.dial(x.tls)
		defer q.tcp.Close()
		return q.tcp.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 2 {
		t.Errorf("serial %d", n)
	}
	ca.issue(dir, "127.0.0.1", 3)
	if n := serial(); n != 3 {
		t.Errorf("serial %d after renewal", n)
	}
	if left := time.Until(x.Health().CertificateExpires); left < 2*time.Hour || left > 3*time.Hour {
		t.Errorf("expires in %v", left)
	}
	// half a renewal does not stop us
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 3 {
		t.Errorf("serial %d with a bad key on disk", n)
	}
	if h := x.Health(); h.CertificateError == "" {
		t.Error("nobody is told of the bad key")
	}
	ca.issue(dir, "127.0.0.1", 4)
	if n, h := serial(), x.Health(); n != 4 || h.CertificateError != "" {
		t.Errorf("serial %d, error %q", n, h.CertificateError)
	}
	p.response(u.do("INFO", "5", "Content-Type: application/dtmf"), 200) // on the first connection
	p.response(u.do("BYE", ""), 200)
}

func TestTLSSocketNeedsACertificate(t *testing.T) {
	x := start(t, nil, nil)
	if s, err := New(Config{Listen: []string{"tls://127.0.0.1:0"}}, x.engine); !errors.Is(err, errNoCertificate) {
		t.Errorf("%v %v", s, err)
	}
	if _, err := New(Config{Listen: []string{"tls://127.0.0.1:0"}, TLS: TLS{Certificate: "nowhere.pem", Key: "nowhere.key"}}, x.engine); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// tlsPhone accepts one connection after the other and hands them out as peers.
func tlsPhone(t *testing.T, files TLS) (addr string, conns <-chan *peer) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan *peer, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if c.(*tls.Conn).Handshake() == nil {
				got <- newStream(t, c, "TLS")
			}
		}
	}()
	return l.Addr().String(), got
}

func TestDialOverTLSChecksTheName(t *testing.T) {
	ca := newIssuer(t)
	x := start(t, withTLS(ca.issue(t.TempDir(), "127.0.0.1", 2)), nil)
	addr, conns := tlsPhone(t, ca.issue(t.TempDir(), "127.0.0.1", 5))
	got := x.dial(context.Background(), Target{URI: "sips:bob@" + addr}, DialOpt{})
	var p *peer
	select {
	case p = <-conns:
	case d := <-got:
		t.Fatal(d.err)
	}
	inv := p.request(gosip.INVITE)
	if inv.Via().Transport != "TLS" || inv.Contact().Address.Scheme != "sips" || inv.Recipient.Scheme != "sips" {
		t.Errorf("%s", inv)
	}
	p.reply(inv, 200, "far", plainSDP)
	p.request(gosip.ACK)
	d := wait(t, got)
	if d.err != nil {
		t.Fatal(d.err)
	}
	go func() { _ = d.call.Hangup(context.Background()) }()
	p.reply(p.request(gosip.BYE), 200, "", "") // on the same connection
	ended(t, d.call)

	// a certificate for somebody else, and one of somebody else's authority
	wrong, _ := tlsPhone(t, ca.issue(t.TempDir(), "trunk.example", 6))
	strange, _ := tlsPhone(t, newIssuer(t).issue(t.TempDir(), "127.0.0.1", 7))
	for _, a := range []string{wrong, strange} {
		d := wait(t, x.dial(context.Background(), Target{URI: "sip:bob@" + a + ";transport=tls"}, DialOpt{}))
		if !errors.Is(d.err, ErrUnreachable) {
			t.Errorf("%v", d.err)
		}
	}
	eventually(t, "all calls over", func() bool { return x.Health().Calls == 0 })
}

// closes waits until the server hangs up on c.
func closes(t *testing.T, c net.Conn, what string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		_, err := c.Read(make([]byte, 4096))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s: still open", what)
		}
		if err != nil {
			return
		}
	}
}

func TestSlowPeersAreCutOff(t *testing.T) { // pitfall 14
	ca := newIssuer(t)
	x := start(t, func(c *Config) {
		withTLS(ca.issue(t.TempDir(), "127.0.0.1", 2))(c)
		users("alice")(c)
		c.Trusted = nil
		c.firstByte, c.wholeMessage, c.idle = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	}, nil)
	open := func(addr string) net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	drip := func(c io.Writer, text string) { // a byte now and then, for ever
		go func() {
			for i := 0; ; i = (i + 1) % len(text) {
				if _, err := c.Write([]byte(text[i : i+1])); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	for _, addr := range []string{x.tcp, x.tls} {
		closes(t, open(addr), "silent "+addr)
	}
	c := open(x.tls)
	drip(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("a", 500))
	closes(t, c, "handshake by drops")
	c = open(x.tcp)
	drip(c, "OPTIONS sip:x SIP/2.0\r\nX: "+strings.Repeat("y", 1000))
	closes(t, c, "header by drops")
	c = open(x.tcp)
	if _, err := c.Write([]byte("OPTIONS sip:x SIP/2.0\r\nContent-Length: 5000\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	drip(c, "body")
	closes(t, c, "body by drops")
	if n := x.Health().Dropped["slow"]; n < 4 {
		t.Errorf("%d counted", n)
	}

	// who has spoken and needs us no more goes, too; a call and a registration may be silent
	p := dialTCP(t, x.tcp)
	u := p.ua()
	p.response(u.do("REGISTER", ""), 401)
	eventually(t, "idle peer gone", func() bool {
		_, err := p.tcp.Write([]byte("\r\n"))
		time.Sleep(350 * time.Millisecond)
		return err != nil
	})
	a, b := dialTCP(t, x.tcp), ca.dial(x.tls)
	call := a.ua()
	call.invite(plainSDP)
	ph := b.phone("alice")
	if res := ph.enter(b.contact(), "300"); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	time.Sleep(time.Second)
	a.response(call.do("BYE", ""), 200)
	b.response(b.ua().do("OPTIONS", ""), 200)
	if !x.Registered("alice") {
		t.Error("registration lost")
	}
}

func TestFramingFollowsMessagesHoweverTheyAreCut(t *testing.T) {
	msg := "INFO sip:x SIP/2.0\r\nl: 7\r\n\r\n1234567"
	all := []byte("\r\n\r\n" + msg + "\r\n" + msg + "OPTIONS sip:x SIP/2.0\r\nX: 1\r\n\r\n" + msg[:len(msg)-1])
	for step := 1; step <= len(all); step++ {
		var f framing
		for at := 0; at < len(all); at += step {
			if !f.take(all[at:min(at+step, len(all))], time.Now()) {
				t.Fatal("refused")
			}
		}
		if f.body != 1 || !f.midway() {
			t.Fatalf("step %d: %d to come", step, f.body)
		}
		if f.take([]byte("7"), time.Now()); f.midway() {
			t.Fatalf("step %d: no end", step)
		}
	}
	var f framing
	if f.take([]byte("INFO sip:x SIP/2.0\r\nContent-Length: 2000000\r\n\r\n"), time.Now()) {
		t.Error("2 MB taken")
	}
	f = framing{}
	if f.take([]byte(strings.Repeat("x", maxFrame+1)), time.Now()) {
		t.Error("endless header taken")
	}
}
