package sip

import (
	"errors"
	"fmt"
)

// Errors of calls. A *DialError wraps one of those from ErrBusy to ErrUnreachable.
var (
	ErrEnded    = errors.New("call has ended")
	ErrNotNow   = errors.New("not possible in this state of the call")
	ErrNoACK    = errors.New("answer was never acknowledged")
	ErrDraining = errors.New("shutting down")

	ErrBusy          = errors.New("busy")                         // 486, 600
	ErrDeclined      = errors.New("declined")                     // 603
	ErrNoAnswer      = errors.New("no answer")                    // 408, 480, 487, or DialOpt.Timeout
	ErrNotFound      = errors.New("no such number")               // 404, 410, 484, 604
	ErrForbidden     = errors.New("not allowed")                  // 401, 403, 407
	ErrNotAcceptable = errors.New("no common codec or address")   // 415, 488, 606, or an answer we cannot use
	ErrRedirected    = errors.New("moved elsewhere")              // 3xx
	ErrUnreachable   = errors.New("unreachable")                  // no transport, no response, 5xx and what else there is
	ErrNotAllowed    = errors.New("number not allowed outbound")  // Outbound.Allow has no pattern for it
	ErrLimit         = errors.New("outbound limit reached")       // calls at once or per hour, of a trunk or of all
	ErrNoTrunk       = errors.New("no trunk to call out by")      // comes with ErrUnreachable
	ErrNotRegistered = errors.New("no phone registered for user") // Target.User has no live registration
)

// DialError is a refusal by the far end. errors.Is finds its kind.
type DialError struct {
	Code     int    // SIP status
	Reason   string // reason phrase, cleaned
	Kind     error
	Contacts []string // where a 3xx points
}

func (e *DialError) Error() string { return fmt.Sprintf("dial: %d %s: %v", e.Code, e.Reason, e.Kind) }
func (e *DialError) Unwrap() error { return e.Kind }

// kindOf maps a final status to the error that the queue decides by (RFC 3261 21).
func kindOf(code int) error {
	switch code {
	case 486, 600:
		return ErrBusy
	case 603, 607, 608:
		return ErrDeclined
	case 408, 480, 487:
		return ErrNoAnswer
	case 404, 410, 484, 604:
		return ErrNotFound
	case 401, 403, 407:
		return ErrForbidden
	case 415, 488, 606:
		return ErrNotAcceptable
	}
	if code >= 300 && code < 400 {
		return ErrRedirected
	}
	return ErrUnreachable
}
