package sip

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"golang.org/x/sys/unix"
)

// FuzzRequest gives whole datagrams to a server that is up: whatever they are, nothing in it fails, and nothing it would answer holds
// a line that the datagram has smuggled in.
func FuzzRequest(f *testing.F) {
	for _, b := range torture(f) {
		f.Add(b)
	}
	p := newPeer(f, "127.0.0.1:9")
	u := p.ua()
	for _, m := range []string{
		u.message("INVITE", 1, "a", plainSDP, "Supported: timer, 100rel", "Session-Expires: 1800;refresher=uas", "Require: 100rel"),
		u.message("INVITE", 1, "b", "", `Replaces: x;to-tag=a;from-tag=b`, `P-Asserted-Identity: "A" <sip:1@b>, <tel:+86241>`, "Diversion: <sip:2@b>", "Privacy: id"),
		u.message("CANCEL", 1, "a", ""), u.message("ACK", 1, "a", ""), u.message("REGISTER", 2, "c", "", "Expires: 60",
			`Authorization: Digest username="8001", realm="lianxin", nonce="x", uri="sip:a", response="0", qop=auth, nc=00000001, cnonce="y"`),
		u.message("INFO", 3, "d", "Signal=5\nDuration=100\n", "Content-Type: application/dtmf-relay"), u.message("REFER", 4, "e", "", "Refer-To: <sip:b@c?Replaces=x>"),
	} {
		f.Add([]byte(m))
	}
	f.Add([]byte("REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:a>\r\nFrom: <sip:a>;tag=0\nX-Injected: 1\r\nCall-ID: 0\r\nCSeq: 1 REGISTER\r\n\r\n"))
	x := start(f, nil, func(_ context.Context, c Call) { _ = c.Reject(486, "") })
	from := netip.MustParseAddrPort("127.0.0.1:9")
	var buf [70_000]byte
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 65535-10 || inspect(b) != pass || bytes.HasPrefix(b, []byte("SIP/")) {
			return
		}
		x.listeners[0].udp.request(buf[:], copy(buf[:], b), from, 0)
		if n := x.count.panics.Load(); n > 0 {
			t.Fatalf("%d panics:\n%s", n, x.log)
		}
		m, err := gosip.ParseMessage(b)
		req, ok := m.(*gosip.Request)
		if err != nil || !ok || req.Via() == nil {
			return
		}
		tidy(req)
		req.SetSource(from.String())
		req.SetTransport("UDP")
		if code, _ := x.malformed(req); code != 0 {
			return
		}
		info := x.identify(req, flow{transport: "UDP", remote: from.String()})
		for _, v := range []string{info.From, info.Display, info.To, info.Diverted, summary(req).text} {
			if strings.ContainsAny(v, "\r\n\x00") {
				t.Fatalf("%q", v)
			}
		}
		sessionExpires(req)
		_, _ = sdpOf(req)
		res := rendered(response(req, 200, "", nil, header("X-Test", info.Display)))
		head, _, ok := bytes.Cut(res, []byte("\r\n\r\n"))
		if !ok {
			t.Fatalf("an answer without an end:\n%q", res)
		}
		for line := range bytes.SplitSeq(head, []byte("\r\n")) {
			if bytes.ContainsAny(line, "\n\x00") && !bytes.ContainsAny(b, "\x00") && !bytes.Contains(b, bytes.TrimSpace(line)) {
				t.Fatalf("%q", line)
			}
		}
	})
}

// FuzzDigest: nobody proves himself without a nonce of ours and the right answer to it.
func FuzzDigest(f *testing.F) {
	a := newAuthority(Config{Realm: "lianxin", Digests: []string{"SHA-256", "MD5"}, Accounts: func(context.Context, string) (Account, bool) {
		return Account{MD5: strings.Repeat("ab", 16), SHA256: strings.Repeat("cd", 32)}, true
	}})
	ip := netip.MustParseAddr("192.0.2.1")
	nonce := a.nonce(ip)
	f.Add(`Digest username="8001", realm="lianxin", nonce="NONCE", uri="sip:a", response="00", algorithm=MD5, qop=auth, nc=00000001, cnonce="y"`)
	f.Add(`Digest username="8001", realm="lianxin", nonce="NONCE", uri="sip:a", response="", algorithm=SHA-256, qop=auth-int, nc=ffffffff, cnonce="y"`)
	f.Add(`Basic abc`)
	f.Fuzz(func(t *testing.T, v string) {
		req := gosip.NewRequest(gosip.REGISTER, gosip.Uri{Scheme: "sip", Host: "a"})
		req.AppendHeader(gosip.NewHeader("Authorization", strings.ReplaceAll(v, "NONCE", nonce)))
		if user, p := a.prove(req, "Authorization", ip); p == proven || p == stale {
			t.Fatalf("%q is proven as %q", v, user)
		}
	})
}

// FuzzHeaders are the values that we read ourselves.
func FuzzHeaders(f *testing.F) {
	for _, v := range []string{"x;to-tag=a;from-tag=b;early-only", "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
		"1[3-9]xxxxxxxxx", "sip:8001@10.0.0.7:5060;transport=tcp?a=b", `"A, B" <sip:1@b>, <tel:+86>`, "sip:000@ ;", "7 1 INVITE", "sips:%61@[2001:db8::1]"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if id, _, ok := readReplaces(v); ok && (id.local == "" || id.remote == "" || id.callID == "") {
			t.Fatalf("%q: %+v", v, id)
		}
		readCrypto(v)
		if p, err := readPattern(v); err == nil && (p.matches("*21*5") || p.matches("") || p.matches("1 2")) {
			t.Fatalf("pattern %q matches what is no number", v)
		}
		if strings.Join(splitOutsideQuotes(v), ",") == "" && strings.TrimSpace(strings.ReplaceAll(v, ",", "")) != "" {
			t.Fatalf("%q is lost", v)
		}
		if u, err := parseURI(v); err == nil {
			if strings.ContainsAny(userOf(u), "\r\n\x00") || u.Host == "" {
				t.Fatalf("%q: %+v", v, u)
			}
			if _, err := parseURI(u.String()); err != nil {
				t.Fatalf("%q becomes %q, which cannot be read: %v", v, u.String(), err)
			}
		}
	})
}

// FuzzFraming: where the messages of a stream end does not depend on how it is cut.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabc\r\n\r\nBYE sip:a SIP/2.0\r\nl: 0\r\n\r\n"), 5)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 1 || len(b) > 10_000 {
			return
		}
		var whole, pieces framing
		now := time.Now()
		good := whole.take(b, now)
		for at := 0; at < len(b); at += cut {
			if !pieces.take(b[at:min(at+cut, len(b))], now) {
				if good {
					t.Fatalf("%q is taken whole and not in pieces of %d", b, cut)
				}
				return
			}
		}
		if good && (whole.midway() != pieces.midway() || whole.body != pieces.body) {
			t.Fatalf("%q: %+v whole, %+v in pieces of %d", b, whole, pieces, cut)
		}
	})
}

// FuzzStamp: the kernel's control messages, and what is none.
func FuzzStamp(f *testing.F) {
	at := time.Now().Add(-time.Second)
	b := make([]byte, unix.CmsgSpace(16))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(16)))
	binary.NativeEndian.PutUint32(b[8:], unix.SOL_SOCKET)
	binary.NativeEndian.PutUint32(b[12:], unix.SO_TIMESTAMPNS)
	binary.NativeEndian.PutUint64(b[unix.CmsgLen(0):], uint64(at.Unix()))
	if d := waited(b); d < 500*time.Millisecond {
		f.Fatalf("waited %v", d)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if d := waited(bytes.Clone(b)); d < 0 {
			t.Fatalf("%v", d)
		}
	})
}
