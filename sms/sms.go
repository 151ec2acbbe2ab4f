// Package sms sends texts so that none goes out twice and none is lost, and keeps every reply before anybody reads it.
//
// The row is the job. A caller queues a text in the transaction of the thing that caused it (Outbox.Queue); the outbox
// claims it with a lease, commits, and only then calls the carrier. There are three outcomes: accepted, rejected and
// unknown. What may be with the carrier is never sent again blindly: the carrier is asked (Carrier.Find), or a receipt
// settles it, or a person does.
package sms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lianxin/contact"
)

// State is where a text stands.
type State string

// States of a text. Delivered outranks Failed, which outranks Accepted: the order in which receipts come in does not
// change where a text ends.
const (
	Queued    State = "queued"    // surely not with a carrier; sent when due
	Sending   State = "sending"   // claimed by a sender, until its lease runs out
	Unknown   State = "unknown"   // the carrier may have it; asked about, never sent again blindly
	Accepted  State = "accepted"  // with the carrier, waiting for its receipt
	Delivered State = "delivered" // on the handset
	Failed    State = "failed"    // refused by the carrier, or undeliverable
	Expired   State = "expired"   // not sent before NotAfter
	Cancelled State = "cancelled" // its campaign was killed before it was sent
)

// Sent reports whether the text counts as sent in a funnel: given to a carrier, whatever became of it, or refused by it.
func (s State) Sent() bool {
	return s == Unknown || s == Accepted || s == Delivered || s == Failed
}

// Label is the state in the words of the pages.
func (s State) Label() string {
	return map[State]string{Queued: "待发送", Sending: "发送中", Unknown: "结果未知", Accepted: "已提交", Delivered: "已送达",
		Failed: "失败", Expired: "已过期", Cancelled: "已取消"}[s]
}

// Priorities. A higher one is sent first.
const (
	Bulk      = 0
	Answer    = 10
	Immediate = 20
)

// Message is one text. Key, Phone and Body are needed to queue one; Campaign, Priority, Due, NotAfter, Anytime and
// Carrier may be given; the outbox keeps the rest.
type Message struct {
	ID       string
	Key      string        // unique for ever: "survey:2026-11-23:<hash>" makes a repeated run harmless
	Campaign string        // what can be paused or killed together: "survey:2026-11-23"
	Phone    contact.Phone // a mobile number
	Body     string        // with the signature, which Queue puts in front when it is missing
	Priority int           // Bulk, Answer or Immediate
	Due      time.Time     // not before; zero is now; moved into the sending window unless Anytime
	NotAfter time.Time     // never sent after this; zero is 24 hours after Due
	Anytime  bool          // may go out at night: an answer to somebody who has just written
	Carrier  string        // name of the carrier; empty is the outbox's first

	// Extension is up to six digits that are put behind our number, by carriers whose contract gives sub-numbers
	// (Extender): the reply comes back to them.
	Extension string

	Segments   int       // what it is billed for
	State      State     //
	Attempt    int       // number of the last claim
	CarrierID  string    // the carrier's name for it, once known
	ErrorClass Kind      // of the last error
	ErrorCode  string    // the carrier's own code
	Reason     string    // the last error for people; holds no clear number
	CreatedAt  time.Time //
	TriedAt    time.Time // first attempt
	AcceptedAt time.Time //
	DoneAt     time.Time // when it was settled
	RefusedBy  string    // names of the carriers that have refused it before it went to another

	pinned bool // queued for a carrier by name
}

// Carrier sends texts. Implementations live in sms/<name>, one folder each, and pass sms/smstest.
type Carrier interface {
	// Name is stable and goes into the database: "twilio".
	Name() string

	// Send gives the text to the carrier, once, without retrying. A nil error means that the carrier has taken it. Any
	// other end is an *Error: Refused, Stopped, Throttled, Unreachable and Misconfigured say that the carrier surely has
	// not taken it; every other error, a time-out above all, counts as NoAnswer.
	Send(ctx context.Context, m Message) (Sent, error)

	// Find asks whether the carrier has the text from an earlier attempt. It returns ErrCannotAsk where there is no
	// such question. Found{Known: false} must mean that the carrier surely does not have it, given that Limits.Settle
	// has passed since the attempt: the text will be sent again.
	Find(ctx context.Context, m Message) (Found, error)
}

// Extender is a Carrier with sub-numbers: it sends a text from our number with the text's Extension behind it.
type Extender interface {
	// Extension returns the digits behind our number in an address that somebody has replied to; "" when there are none,
	// or when the contract gives no sub-numbers.
	Extension(to string) string
}

// Pool is a Carrier with several numbers of ours, from which it sends by the text's Extension: two texts with different ones
// mostly come from different numbers, so that a reply tells by the number that it came to which of them it answers.
type Pool interface {
	// Sender returns the number that texts with this extension go out from; "" when there is only one number.
	Sender(extension string) string
}

// Sent is the carrier's answer to a submission.
type Sent struct {
	CarrierID string // empty when the carrier gives none
}

// Found is the carrier's answer to a question.
type Found struct {
	Known     bool
	CarrierID string
	State     State // Accepted, Delivered or Failed
	Code      string
}

// ErrCannotAsk is returned by carriers that cannot be asked about a text.
var ErrCannotAsk = errors.New("the carrier cannot be asked about a text")

// Kind is what an error of a carrier means for the text.
type Kind string

// Kinds of errors; after nyaruka/courier's taxonomy, with the unknown outcome set apart.
const (
	Refused       Kind = "refused"       // this text will never be taken: bad number, content
	Stopped       Kind = "stopped"       // the resident has opted out at the carrier
	Throttled     Kind = "throttled"     // not taken, too fast
	Unreachable   Kind = "unreachable"   // not taken, the request never left
	Misconfigured Kind = "misconfigured" // not taken, nor will any other be: credentials, balance, sender
	NoAnswer      Kind = "no_answer"     // unknown outcome
	NoReceipt     Kind = "no_receipt"    // taken, but no receipt came and the carrier cannot say more
)

// Error is how a carrier refuses a text.
type Error struct {
	Kind       Kind
	Code       string        // the carrier's code, kept as it is
	RetryAfter time.Duration // what the carrier asked for, for Throttled
	Err        error         // must not hold a clear number
}

func (e *Error) Error() string {
	s := string(e.Kind)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error.
func Errorf(k Kind, code, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Err: fmt.Errorf(format, args...)}
}
