package sip

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// authority is the server's side of digest authentication (RFC 7616, RFC 8760). A nonce carries its time and is bound to the realm
// and to the address it was given to, so nothing need be kept for those who never come back.
type authority struct {
	realm    string
	digests  []string
	accounts func(context.Context, string) (Account, bool)
	key      [32]byte
	skew     atomic.Int64  // ns to add to the clock, for tests
	delay    time.Duration // how long any refusal takes, whatever it was for

	mu    sync.Mutex
	used  map[string]use     // nonces that have been used well
	fails map[offender]fault // wrong answers, by source and user
}

// use is the highest count with which a nonce was used.
type use struct {
	nc    int
	until time.Time
}

type offender struct {
	ip   netip.Addr
	user string
}

type fault struct {
	n     int
	until time.Time // forgotten, or unlocked
}

// The life of a nonce, and what locks an address out of a user's account.
const (
	nonceLife   = 5 * time.Minute
	maxUsed     = 50_000
	maxFaults   = 5
	faultMemory = 5 * time.Minute
	lockout     = 15 * time.Minute
	maxOffend   = 50_000
)

func newAuthority(cfg Config) *authority {
	a := &authority{realm: clean(strings.NewReplacer(`"`, "", `\`, "").Replace(cfg.Realm), 64), accounts: cfg.Accounts, digests: cfg.Digests,
		delay: 100 * time.Millisecond, used: map[string]use{}, fails: map[offender]fault{}}
	if _, err := rand.Read(a.key[:]); err != nil {
		panic("no random numbers: " + err.Error())
	}
	return a
}

func (a *authority) now() time.Time { return time.Now().Add(time.Duration(a.skew.Load())) }

// nonce is time ‖ random ‖ HMAC(time ‖ random ‖ realm ‖ address).
func (a *authority) nonce(ip netip.Addr) string {
	b := make([]byte, 16, 32)
	binary.BigEndian.PutUint64(b, uint64(a.now().UnixMilli()))
	_, _ = rand.Read(b[8:16])
	return base64.RawURLEncoding.EncodeToString(append(b, a.seal(b, ip)...))
}

func (a *authority) seal(b []byte, ip netip.Addr) []byte {
	m := hmac.New(sha256.New, a.key[:])
	m.Write(b)
	m.Write([]byte(a.realm))
	m.Write([]byte(ip.String()))
	return m.Sum(nil)[:16]
}

// A standing is what a nonce is worth.
type standing uint8

const (
	foreign standing = iota // not ours, or not given to this address
	expired
	valid
)

func (a *authority) check(nonce string, ip netip.Addr) standing {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(b[16:], a.seal(b[:16], ip)) {
		return foreign
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	if d := a.now().Sub(at); d > nonceLife || d < -time.Minute {
		return expired
	}
	return valid
}

// A verdict of authentication.
type proof uint8

const (
	absent proof = iota // no credentials for our realm: challenge
	stale               // right, but with a nonce that is used up: challenge again, the phone need not ask its user
	wrong
	proven
)

// challenge proves the sender of a request by its Authorization (code 401) or Proxy-Authorization (407). Unless it is proven, the
// request has been answered. An unknown user gets the same answers in the same time as a wrong password.
func (a *authority) challenge(s *Server, req *gosip.Request, tx serverTx, way flow, code int) (user string, ok bool) {
	began := time.Now()
	name, ask := "Authorization", "WWW-Authenticate"
	if code == 407 {
		name, ask = "Proxy-Authorization", "Proxy-Authenticate"
	}
	ip := way.remoteAddr().Addr()
	user, p := a.prove(req, name, ip)
	switch p {
	case proven:
		s.guard.bans.absolves(ip)
		return user, true
	case wrong:
		s.guard.offends(ip, offenceAuth, "auth")
		time.Sleep(a.delay - time.Since(began))
		s.respond(req, tx, 403, "")
		return "", false
	}
	if p == absent {
		s.guard.offends(ip, offenceProbe, "probe")
	}
	nonce := a.nonce(ip)
	tail := ""
	if p == stale {
		tail = ", stale=true"
	}
	var headers []gosip.Header
	for _, alg := range algorithms(s.cfg.Digests, req) {
		headers = append(headers, header(ask, `Digest realm="`+a.realm+`", nonce="`+nonce+`", algorithm=`+alg+`, qop="auth"`+tail))
	}
	s.respond(req, tx, code, "", headers...)
	return "", false
}

// md5Only are the beginnings of the User-Agents of phones that give up at a challenge whose algorithm they do not know, instead of
// taking the next one (RFC 8760 2.4): baresip as Debian 12 has it. They know MD5.
var md5Only = []string{"baresip v0.", "baresip v1."}

// algorithms are those of the challenges to a request.
func algorithms(digests []string, req *gosip.Request) []string {
	h := req.GetHeader("User-Agent")
	if h == nil || !slices.Contains(digests, "MD5") {
		return digests
	}
	for _, begin := range md5Only {
		if strings.HasPrefix(h.Value(), begin) {
			return []string{"MD5"}
		}
	}
	return digests
}

// prove checks the credentials that a request brings.
func (a *authority) prove(req *gosip.Request, name string, ip netip.Addr) (string, proof) {
	var c *digest.Credentials
	for _, h := range req.GetHeaders(name) {
		if v := h.Value(); len(v) < 2048 {
			if p, err := digest.ParseCredentials(v); err == nil && p.Realm == a.realm {
				c = p
				break
			}
		}
	}
	if c == nil {
		return "", absent
	}
	st := a.check(c.Nonce, ip)
	if st == foreign {
		return "", absent
	}
	if c.QOP != "auth" || c.Cnonce == "" || c.Nc <= 0 || c.Userhash || len(c.Username) > 64 || c.URI == "" { // no downgrade
		return "", wrong
	}
	var account Account
	known := false
	if a.accounts != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		account, known = a.accounts(ctx, c.Username)
		cancel()
	}
	alg := strings.ToUpper(c.Algorithm)
	if alg == "" {
		alg = "MD5" // RFC 7616 3.4
	}
	if !slices.Contains(a.digests, alg) {
		return "", wrong
	}
	var ha1 string
	var hash func(...string) string
	switch alg {
	case "SHA-256":
		ha1, hash = account.SHA256, sha256Hex
	case "MD5":
		ha1, hash = account.MD5, md5Hex
	default:
		return "", wrong
	}
	if !known || ha1 == "" {
		known = false
		ha1 = hex.EncodeToString(a.seal([]byte(c.Username), ip)) // as much work for nobody
	}
	want := hash(strings.ToLower(ha1), c.Nonce, hex8(c.Nc), c.Cnonce, c.QOP, hash(string(req.Method), c.URI))
	right := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.Response))) == 1
	now := a.now()
	who := offender{near(ip), c.Username}

	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.fails[who]
	locked := f.n >= maxFaults && now.Before(f.until)
	if locked || !known || !right {
		if !locked && (len(a.fails) < maxOffend || f.n > 0) {
			if now.After(f.until) {
				f.n = 0
			}
			f.n++
			f.until = now.Add(faultMemory)
			if f.n >= maxFaults {
				f.until = now.Add(lockout)
			}
			a.fails[who] = f
		}
		return "", wrong
	}
	if st == expired {
		return "", stale
	}
	u, seen := a.used[c.Nonce]
	if seen && c.Nc <= u.nc || !seen && len(a.used) >= maxUsed { // a replay; or no room to tell
		return "", stale
	}
	a.used[c.Nonce] = use{c.Nc, now.Add(2 * nonceLife)}
	delete(a.fails, who)
	return c.Username, proven
}

func (a *authority) expire(time.Time) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, u := range a.used {
		if now.After(u.until) {
			delete(a.used, k)
		}
	}
	for k, f := range a.fails {
		if now.After(f.until) {
			delete(a.fails, k)
		}
	}
}

func md5Hex(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

func sha256Hex(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

func hex8(n int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return hex.EncodeToString(b[:])
}

// HA1 is what an account keeps instead of a password, for both algorithms.
func HA1(user, realm, password string) Account {
	return Account{MD5: md5Hex(user, realm, password), SHA256: sha256Hex(user, realm, password)}
}

// answerChallenge repeats a request of ours with the trunk's credentials. It reports false when there are none or none that fit.
func (s *Server) answerChallenge(req *gosip.Request, res *gosip.Response, trunk string, d *dialog) (*gosip.Request, bool) {
	t := s.trunkNamed(trunk)
	if t == nil || t.User == "" {
		return nil, false
	}
	ask, name := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		ask, name = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(ask) {
		c, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(c) {
			continue
		}
		for i := range c.QOP {
			c.QOP[i] = strings.TrimSpace(c.QOP[i])
		}
		if len(c.QOP) > 0 && !c.SupportsQOP("auth") {
			continue
		}
		cred, err := digest.Digest(c, digest.Options{Method: string(req.Method), URI: req.Recipient.String(), Username: t.User,
			Password: t.Password, Count: 1})
		if err != nil {
			continue
		}
		again := req.Clone()
		d.seq++
		again.ReplaceHeader(&gosip.CSeqHeader{SeqNo: d.seq, MethodName: req.Method})
		again.ReplaceHeader(s.via(d.flow.transport, d.self))
		again.AppendHeader(header(name, cred.String()))
		return again, true
	}
	return nil, false
}
