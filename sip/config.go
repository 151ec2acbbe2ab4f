package sip

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"lianxin/sip/media"
)

// Config says how a Server behaves. Listen is needed; everything else has a sensible zero.
type Config struct {
	// Listen names the sockets: "udp://0.0.0.0:5060", "tcp://[::]:5060", "tls://0.0.0.0:5061". A wildcard address covers its own
	// family only.
	Listen []string

	// TLS is needed for "tls://" sockets.
	TLS TLS

	// PublicIP is the address we give in SDP and Contact, for a host behind a 1:1 NAT. Unset, it is the local address of the route
	// to the peer. Peers in LocalNets are told the local address in any case.
	PublicIP  netip.Addr
	LocalNets []netip.Prefix

	// Trunks are the carriers. Their addresses may call without authentication, are exempt from Limits and are believed when they
	// assert an identity.
	Trunks []Trunk

	// Outbound says what may be called through the trunks: nothing, if it is not set.
	Outbound Outbound

	// Trusted addresses are exempt from Limits. They are not believed in anything else.
	Trusted []netip.Prefix

	// Denied addresses are never listened to.
	Denied []netip.Prefix

	// Open lets anybody call in, as on a hotline that is reachable by its SIP address. Otherwise only trunks and registered users
	// are let in, and all others are challenged, whether there is such a user or not.
	Open bool

	// Private says of a called number or user that only users may call it: others are challenged there even where Open lets them in
	// everywhere else. Extensions and feature codes are private. Nil: nothing is.
	Private func(to string) bool

	// Accounts finds the account of a user; without it nobody can register. It is asked about users that do not exist, too.
	Accounts func(ctx context.Context, user string) (Account, bool)

	// Realm is the protection space of digest authentication (RFC 8760), "lianxin" if empty. HA1s are bound to it.
	Realm string

	// Digests are the algorithms that are offered, in order: SHA-256, MD5 if empty, as RFC 8760 wants it. Phones that read the
	// first challenge only, and know MD5 only, need MD5 alone or first.
	Digests []string

	// OnRegistration is told when a user becomes reachable or stops being so. It must not block for long.
	OnRegistration func(user string, registered bool)

	// MinExpires and MaxExpires bound registrations: 60 s and 300 s if zero. MaxContacts is how many phones one user may register
	// (4 if zero); one more displaces the oldest.
	MinExpires, MaxExpires time.Duration
	MaxContacts            int

	// Admit is asked before anything is spent on a new call. If it says no, the call is refused with 503 and Retry-After.
	Admit func() (retryAfter time.Duration, ok bool)

	// AdmitCall is asked after Admit, when it is known who calls, and still before anything is spent on the call: no media port is
	// taken yet. If it says no, the call is refused with 503 and Retry-After.
	AdmitCall func(Info) (retryAfter time.Duration, ok bool)

	// SessionExpires is the session timer that we ask for (RFC 4028), 1800 s if zero; MinSE the shortest that we take, 90 s if zero.
	SessionExpires, MinSE time.Duration

	// MaxCall is how long any call may last: 4 h if zero.
	MaxCall time.Duration

	// OnCapture gets the packets of a call that was captured (CaptureCall, CaptureNext), once, after its end. Without it nothing
	// can be captured.
	OnCapture func(*Packets)

	// Codecs in order of preference: PCMA, PCMU if empty.
	Codecs []media.Codec

	// SRTP says whether the sound of legs over TLS is encrypted; SRTPOffered if empty.
	SRTP SRTP

	// Bans are those of the guard before a restart. OnBans is told, in one goroutine, of all that is worth keeping until the next one,
	// whenever it has changed.
	Bans   []Ban
	OnBans func([]Ban)

	Limits Limits
	Now    func() time.Time // wall clock of Info, End and traces; time.Now if nil
	Log    *slog.Logger     // slog.Default if nil

	patient   bool          // no call is refused because requests have waited long; for tests
	t1        time.Duration // T1 of RFC 3261, 500 ms if zero; for tests
	keepAlive time.Duration // between keep-alives to registered phones, 25 s if zero; for tests
	qualify   time.Duration // between OPTIONS to registered phones, 60 s if zero; for tests
	quiet     time.Duration // without a sign of a call's far end until it is asked whether it is there, 60 s if zero; for tests

	lookupSRV func(ctx context.Context, service, proto, name string) ([]*net.SRV, error) // net.DefaultResolver.LookupSRV if nil; for tests
	clock     func() time.Time                                                           // of the night; time.Now if nil; for tests

	// Between OPTIONS to a trunk (30 s), until it must have said something (5 s), and after the first failed registration (2 s); for
	// tests.
	probe, silence, backoff time.Duration

	// How long a TCP or TLS peer may take: until its first byte, handshake included (10 s); from the first byte of a message to its
	// last (30 s); between messages, if it has neither a call nor a registration (3 min). For tests.
	firstByte, wholeMessage, idle time.Duration
}

// Account is a user who may register. HA1 is the hash of user:realm:password in hexadecimal, by either algorithm; an empty one is
// not offered to that user. Passwords themselves are nowhere.
type Account struct {
	MD5    string
	SHA256 string
}

// Trunk is a carrier.
type Trunk struct {
	Name string

	// Addrs is where its calls come from.
	Addrs []netip.Prefix

	// Proxy is where our calls go, such as "sip:10.1.2.3:5060;transport=tcp". Empty: the trunk only brings calls.
	Proxy string

	// User and Password answer its challenges (401, 407) to our calls and registrations.
	User, Password string

	// Register keeps us registered with it as User, so that its calls find us without a fixed address. Its calls still have to come
	// from Addrs to be believed.
	Register bool

	// Number is what it shows as the caller of our calls; Outbound.Number if empty.
	Number string

	// Priority and Weight choose among trunks for Target.Number: the lowest priority that works, and within it at random by weight.
	Priority, Weight int

	// MaxCalls is how many calls of ours it may carry at once, MaxPerHour how many may be tried in any 60 minutes, MaxPerNight how
	// many in one night (Outbound.Night): no limit if 0.
	MaxCalls, MaxPerHour, MaxPerNight int

	// MaxCall is how long a call of ours over it may last: Outbound.MaxCall if 0.
	MaxCall time.Duration

	// Numbers are the patterns (as in Outbound.Allow) of the numbers that it carries: all that are allowed, if empty.
	Numbers []string

	// Strip is how many digits are taken off the front of a number before it is sent, and Prefix what is put there then: carriers
	// differ in how they want numbers written.
	Strip  int
	Prefix string
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.MinExpires, time.Minute)
	set(&c.MaxExpires, 5*time.Minute)
	c.MaxExpires = max(c.MaxExpires, c.MinExpires)
	set(&c.SessionExpires, 30*time.Minute)
	set(&c.MinSE, 90*time.Second)
	c.SessionExpires = max(c.SessionExpires, c.MinSE)
	set(&c.MaxCall, 4*time.Hour)
	set(&c.t1, 500*time.Millisecond)
	set(&c.keepAlive, 25*time.Second)
	set(&c.qualify, time.Minute)
	set(&c.quiet, time.Minute)
	set(&c.probe, 30*time.Second)
	set(&c.silence, 5*time.Second)
	set(&c.backoff, 2*time.Second)
	set(&c.firstByte, 10*time.Second)
	set(&c.wholeMessage, 30*time.Second)
	set(&c.idle, 3*time.Minute)
	if c.MaxContacts <= 0 {
		c.MaxContacts = 4
	}
	if c.Realm == "" {
		c.Realm = "lianxin"
	}
	if len(c.Digests) == 0 {
		c.Digests = []string{"SHA-256", "MD5"}
	}
	if len(c.Codecs) == 0 {
		c.Codecs = []media.Codec{media.PCMA, media.PCMU}
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}
