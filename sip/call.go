package sip

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"lianxin/sip/media"
)

// Call is one voice leg: a conversation between us and one far end, whoever rang. Today every Call is a SIP dialog; a browser leg
// is to be the second kind.
//
// All methods may be called from any goroutine and at any time; a call that has ended answers ErrEnded where it cannot do what is
// asked.
type Call interface {
	// ID names the call in logs, records and pages. It is unique, sortable by time, and never shown to the far end.
	ID() string

	// Info tells who and where. The answer is a snapshot: Answered and Codec are filled in as the call proceeds.
	Info() Info

	// Ring tells an incoming caller that it rings here (180). It may be repeated.
	Ring(ctx context.Context) error

	// Answer accepts an incoming call (200) and returns when the caller has acknowledged it, the call has ended, or ctx has. Media
	// flows from the moment the 200 is sent, where the caller's address is known by then. An unacknowledged call is hung up 32 s
	// after its 200 (RFC 3261 13.3.1.4). Answering twice is no error.
	Answer(ctx context.Context) error

	// Reject refuses an incoming call that has not been answered, with a final code from 300 to 699. The reason is a phrase for the
	// status line; empty means the usual one.
	Reject(code int, reason string) error

	// Hangup ends the call as its state needs: a final response, a BYE, or a BYE as soon as the caller has acknowledged. It returns
	// when the far end has confirmed or ctx ends; the call itself is over at once. Hanging up twice is no error.
	Hangup(ctx context.Context) error

	// Done is closed when the call has ended, whoever ended it.
	Done() <-chan struct{}

	// End says how the call ended. It is the zero End until Done is closed.
	End() End

	// Media is the call's end of the sound. It is never nil; it is closed with the call.
	Media() *media.Leg

	// Trace lists the call's last messages, oldest first, with personal numbers masked.
	Trace() []TraceLine
}

// Direction says who rang.
type Direction string

const (
	Incoming Direction = "in"  // the far end called us
	Outgoing Direction = "out" // we called the far end
)

// Info is what is known of a call. From and To are personal data: they are for the domain, not for logs (String, Format and LogValue
// leave them out).
type Info struct {
	Direction Direction
	From      string // the calling number, digits with an optional +; the user part as it came where that is no number; "" if none
	Display   string // the caller's display name, cleaned, at most 64 characters
	To        string // the number or user that was called
	Diverted  string // the number that first forwarded the call here (Diversion, RFC 5806), "" if none
	Anonymous bool   // the caller asked for privacy (RFC 3323); From may still be known, from a trunk's P-Asserted-Identity
	Trunk     string // the trunk by which the call came or went, "" if none
	User      string // the registered user at the far end, proven by digest or by the flow of a proven registration; "" if none
	CallID    string // SIP Call-ID
	Transport string // "UDP", "TCP", "TLS"
	Remote    netip.AddrPort
	Started   time.Time // first INVITE
	Answered  time.Time // 200 sent or received; zero until then
	Ended     time.Time // zero until Done
	Codec     string    // "PCMA" or "PCMU", "G722" or "opus" where the far end has no other; "" until negotiated
	Encrypted bool      // the sound is (SRTP)
}

// String names the call's ends without personal data.
func (i Info) String() string {
	s := string(i.Direction) + " " + i.Transport + " " + i.Remote.String()
	if i.Trunk != "" {
		s += " trunk " + i.Trunk
	}
	return s
}

// GoString keeps %#v from printing numbers.
func (i Info) GoString() string { return "sip.Info{" + i.String() + "}" }

// LogValue gives the log what String gives.
func (i Info) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("direction", string(i.Direction)), slog.String("transport", i.Transport),
		slog.String("remote", i.Remote.String()), slog.String("trunk", i.Trunk), slog.String("from", mask(i.From)))
}

// By says which side ended a call.
type By string

const (
	ByFar     By = "caller"  // the far end hung up, cancelled or refused, whoever rang
	ByUs      By = "us"      // Hangup, Reject, or the end of the serving function
	ByNetwork By = "network" // a transport error, a dialog the far end no longer knows, a malformed message
	ByTimeout By = "timeout" // no ACK, session expired, no answer, no media, longest duration reached
)

// End is how a call ended.
type End struct {
	By    By
	Cause string // "bye", "cancel", "rejected", "no ack", "session expired", "no media", "drain" … or the far end's Reason (RFC 3326)
	Code  int    // the final SIP status of the INVITE, 0 if the call was answered
	At    time.Time
}

// Target is whom to dial. Exactly one of User, URI and Number is to be set; Trunk goes with Number.
type Target struct {
	User   string // every phone registered as this user rings; the first to answer has the call
	URI    string // a SIP URI, such as "sip:8001@10.0.0.7:5060;transport=tcp"
	Number string // a number that Config.Outbound allows, through the trunks in their order until one gets it through
	Trunk  string // only this trunk, for Number
}

// DialOpt is how to dial. The zero value calls without number or name for 60 s.
type DialOpt struct {
	From    string            // the number or user we present
	Display string            // the name we present
	Timeout time.Duration     // how long it may ring: ErrNoAnswer afterwards; 0 means 60 s
	Headers map[string]string // further headers; values are cleaned, those that belong to the protocol are refused
	Codec   string            // "PCMA" or "PCMU" to offer first, so that a bridge need not transcode
	Ringing func(code int)    // told of each provisional answer from 180 on
	Early   func(Call)        // told once that the far end can be heard before it has answered: "the number you have dialled …"
	Follow  bool              // a far end that has moved (3xx) is called where it says, within what Outbound allows
}

// TraceLine is one message of a call's trace.
type TraceLine struct {
	At   time.Time
	Out  bool   // sent by us
	Peer string // address of the other side
	Text string // "INVITE … (1 INVITE, sdp)", "200 OK (1 INVITE)"; digits of numbers masked
}

// Bridge lets a and b talk to each other until either ends or ctx does, and then parts their media without ending the other. It
// returns nil when a call ended and the context's cause when ctx did.
func Bridge(ctx context.Context, a, b Call) error {
	part, err := media.Connect(a.Media(), b.Media())
	if err != nil {
		return err
	}
	defer part()
	select {
	case <-a.Done():
		return nil
	case <-b.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
