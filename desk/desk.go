// Package desk knows the operators and the callers who wait for them: who is there, who waits, whom to ring next.
//
// The promise of a Board, whatever keeps its state: every decision is taken by one owner, so no two decisions can
// overlap; an operator is never offered two callers at once; an offer has exactly one outcome; a caller who waits
// while a suitable operator is ready is offered to that operator at once; and whatever a crashed caller of this
// package leaves behind is put right by a deadline or by Sweep, and counted.
package desk

import (
	"context"
	"errors"
	"time"
)

// Errors of a Board. They are compared with errors.Is.
var (
	// ErrClosed is returned by every call on a board that was closed.
	ErrClosed = errors.New("desk: board is closed")
	// ErrOfferOver is returned when an offer already has its outcome, for instance because a colleague was
	// quicker, the caller hung up, or the deadline passed. The reporter must hang up the operator's phone.
	ErrOfferOver = errors.New("desk: offer is over")
	// ErrLeft is returned by Waiter.Next when the caller is no longer in the queue.
	ErrLeft = errors.New("desk: caller is not waiting any more")
	// ErrWaiting is returned by Wait when a caller with this call id is already known.
	ErrWaiting = errors.New("desk: caller is already waiting")
	// ErrFull is returned by Wait when the queue holds as many callers as it may.
	ErrFull = errors.New("desk: queue is full")
	// ErrUnknown is returned for an extension that was never Put.
	ErrUnknown = errors.New("desk: no such operator")
	// ErrNoPhone is returned by Set(Ready) while no phone is registered for the extension.
	ErrNoPhone = errors.New("desk: operator has no registered phone")
	// ErrDown is returned by a board that several nodes share while its store cannot be reached. What was asked for
	// has not happened, or will be undone when the store is back.
	ErrDown = errors.New("desk: the shared board cannot be reached")
	// ErrState is returned by Set for a state that a person cannot choose (Ringing, Talking, WrapUp).
	ErrState = errors.New("desk: state cannot be chosen")
)

// State is what an operator is doing.
type State string

// The states of an operator. Ready, Break, Away and Offline are chosen by people (or follow the phone's
// registration); Ringing, Talking and WrapUp follow from calls.
const (
	Offline State = "offline" // no phone registered, or signed off
	Ready   State = "ready"   // 就绪: may be offered the next caller
	Break   State = "break"   // 小休: short pause, still counted as on duty
	Away    State = "away"    // 离席: not on duty; also set after repeated no-answers
	Ringing State = "ringing" // an offer is open, the phone rings
	Talking State = "talking" // connected with a caller
	WrapUp  State = "wrapup"  // 话后: finishing notes after a call
)

// Label is the state's name on pages.
func (s State) Label() string {
	switch s {
	case Offline:
		return "离线"
	case Ready:
		return "就绪"
	case Break:
		return "小休"
	case Away:
		return "离席"
	case Ringing:
		return "振铃"
	case Talking:
		return "通话"
	case WrapUp:
		return "话后"
	}
	return string(s)
}

// Outcome says how an offer ended. Every offer gets exactly one.
type Outcome string

// The outcomes of an offer.
const (
	Answered    Outcome = "answered"    // the operator took the caller
	NoAnswer    Outcome = "noanswer"    // rang until the deadline
	Declined    Outcome = "declined"    // the operator refused (603 or the reject key)
	Busy        Outcome = "busy"        // the phone was busy with something else (486)
	Unreachable Outcome = "unreachable" // the phone could not be reached (404, 408, 480, 5xx, transport)
	Cancelled   Outcome = "cancelled"   // the caller left first
	Lost        Outcome = "lost"        // a colleague answered first (ring-all)
	Expired     Outcome = "expired"     // nobody reported an outcome; the board gave up after deadline and grace
	Repaired    Outcome = "repaired"    // Sweep found the call gone
)

// Strategy chooses among ready operators.
type Strategy string

// The strategies. The zero value means LongestIdle.
const (
	LongestIdle Strategy = "longest-idle" // ready for the longest time first
	FewestCalls Strategy = "fewest-calls" // fewest calls taken since they were put on the board first
	RoundRobin  Strategy = "round-robin"  // in turn
	Linear      Strategy = "linear"       // always the lowest Rank that is ready
	RingAll     Strategy = "ring-all"     // every ready operator rings for the first caller, the quickest wins
)

// Operator is one seat: an extension and the person who sits there.
type Operator struct {
	Extension string   // SIP user of the phone; the key on the board
	StaffID   string   // org staff id, may be empty for an unassigned seat
	Name      string   // display name
	Skills    []string // what the operator can take; a caller's skills must all be among them
	Queues    []Serves // the queues that the operator serves, besides the one without a name; none: every queue, at level 0
	Rank      int      // order for Linear, low first
	AutoReady bool     // a registration of the phone makes a signed-off operator Ready
	// WrapUp overrides Options.WrapUp when positive; negative means none.
	WrapUp time.Duration
}

// Caller is one who wants an operator.
type Caller struct {
	CallID   string
	Queue    string    // which queue; the one without a name is served by every operator
	Label    string    // what pages show for the caller: a masked number
	Priority int       // higher is served first; the queue's Weight is added
	Skills   []string  // required of the operator
	Widen    []Wider   // what is required after longer waits, the shortest wait first
	Since    time.Time // place in the queue; zero is now, an earlier time keeps an earlier place
	Prefer   string    // extension that is chosen first when it is ready (sticky operator)
	Exclude  []string  // extensions that never get this caller
	Held     bool      // nobody is on the line: the caller is rung when an operator is reserved

	// Replaces is the call id of a waiting caller whose place this one takes over, in one decision: they leave, and this
	// one stands where they stood. Wait returns ErrLeft when they are no longer waiting.
	Replaces string
}

// Wider is a requirement that takes the place of Caller.Skills after a wait.
type Wider struct {
	After  time.Duration // since Caller.Since
	Skills []string
}

// Place is a caller's standing in the queue.
type Place struct {
	Position int           // 1 is next of the caller's queue; 0 when not waiting
	Waiting  int           // callers in that queue
	OnDuty   int           // operators who can take this caller, now or after a longer wait, and are ready, ringing, talking, in wrap-up or on a break
	Expected time.Duration // estimate until an operator answers; 0 when it cannot be told (OnDuty is 0)
}

// Board holds the operators and the queue. All methods may be called from any goroutine.
type Board interface {
	// Put adds an operator or changes their particulars. State and counters of a known extension are kept.
	// A new operator starts Offline, whether or not the phone is already registered: call Registered afterwards.
	Put(ctx context.Context, op Operator) error

	// Remove takes an operator off the board, at once when idle, otherwise when the present call is over.
	// It returns ErrUnknown for an extension that is not there.
	Remove(ctx context.Context, extension string) error

	// Registered says that the operator's phone came or went. Coming: an operator with AutoReady who was
	// signed off becomes Ready, others return to what they had chosen. Going: Offline, once no call is in hand.
	// Repeating the same value changes nothing, so a refresh of a registration never disturbs an offer.
	Registered(ctx context.Context, extension string, up bool) error

	// Set is the operator's own choice of Ready, Break, Away or Offline, with a reason for reports. During an
	// offer or a talk it takes effect afterwards; it ends a wrap-up. Errors: ErrUnknown, ErrState,
	// ErrNoPhone.
	Set(ctx context.Context, extension string, s State, reason string) error

	// Wait puts a caller into the queue. ctx is the life of the caller's leg: when it ends, the caller has left,
	// open offers are cancelled and a talk is over. Errors: ErrWaiting, ErrFull, ErrClosed; ErrLeft for Caller.Replaces.
	Wait(ctx context.Context, c Caller) (*Waiter, error)

	// Configure replaces the settings of the queues (Options.Queues). Callers who wait stay where they stand; what is
	// decided from now on is decided by the new settings.
	Configure(ctx context.Context, queues []Queue) error

	// Duty says what place a caller with these needs would get now, without queueing.
	Duty(ctx context.Context, c Caller) (Place, error)

	// Snapshot is a consistent picture of everything.
	Snapshot(ctx context.Context) (Snapshot, error)

	// Subscribe delivers every change from now on until ctx ends. A reader who falls behind loses events and sees
	// that in Event.Missed; it should take a fresh Snapshot then.
	Subscribe(ctx context.Context) <-chan Event

	// Sweep compares the board with reality, repairs what differs for longer than Options.Grace, and returns what
	// it repaired. A non-empty result is a bug or a crash elsewhere: the caller raises an alarm.
	Sweep(ctx context.Context, r Reality) ([]Repair, error)

	// Close ends the board: every Next returns ErrLeft, every other call ErrClosed.
	Close() error
}

// Options of a board. The zero value is usable.
type Options struct {
	Strategy   Strategy         // default LongestIdle
	Ring       time.Duration    // how long an offer may ring; default 20 s
	Grace      time.Duration    // how long after a deadline the board waits for a report, and how old a difference must be for Sweep; default 3 s
	WrapUp     time.Duration    // 话后 time; default 15 s, negative none
	Misses     int              // no-answers in a row after which an operator is set aside; default 3, negative never
	AsideFor   time.Duration    // how long set aside; default 10 min, negative until the operator chooses Ready
	Retry      time.Duration    // pause of an operator after a failed offer; default 5 s, negative none
	MaxWaiting int              // length limit of a queue; 0 is no limit
	Queues     []Queue          // queues with settings of their own
	Handle     time.Duration    // first guess of talk plus wrap-up, for the expected wait; default 3 min
	Now        func() time.Time `json:"-"` // memory only: a shared board goes by the clock of its store
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
		if *d < 0 {
			*d = 0
		}
	}
	if o.Strategy == "" {
		o.Strategy = LongestIdle
	}
	def(&o.Ring, 20*time.Second)
	def(&o.Grace, 3*time.Second)
	def(&o.WrapUp, 15*time.Second)
	def(&o.AsideFor, 10*time.Minute)
	def(&o.Retry, 5*time.Second)
	def(&o.Handle, 3*time.Minute)
	if o.Misses == 0 {
		o.Misses = 3
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Reality is what Sweep compares the board with.
type Reality struct {
	// Registered says whether a phone is registered for the extension.
	Registered func(extension string) bool
	// Live says whether the call (Caller.CallID) still exists.
	Live func(callID string) bool
}

// Repair is one thing that Sweep put right.
type Repair struct {
	Kind      string // "registration", "ringing", "talking", "waiting"
	Extension string
	CallID    string
	What      string // one sentence in English for the log
}

// Snapshot is a consistent picture of the board.
type Snapshot struct {
	At        time.Time
	Strategy  Strategy
	Operators []OperatorView // by extension
	Waiting   []WaitingView  // in order of service
	Queues    []QueueView    // those that have settings, a caller or an operator who serves them by name; by name
	Counters  Counters
}

// QueueView is one queue in a Snapshot.
type QueueView struct {
	Name    string
	Waiting int       // callers
	Held    int       // of them, whom we ring back
	Since   time.Time // of the caller who has waited longest; zero when nobody waits
	OnDuty  int       // operators who serve it and are ready, ringing, talking, in wrap-up or on a break
	Ready   int       // of them, who may be rung now
}

// OperatorView is one operator in a Snapshot.
type OperatorView struct {
	Operator
	State      State
	Reason     string
	Since      time.Time // of State
	Registered bool
	Next       State  // what follows the call in hand, empty when idle
	CallID     string // caller being offered or talked to
	OfferID    string
	Deadline   time.Time // of the open offer or of the wrap-up
	Taken      int       // calls answered
	Misses     int       // no-answers in a row
}

// WaitingView is one waiting caller in a Snapshot.
type WaitingView struct {
	Caller
	Position int // in the caller's queue
	Joined   time.Time
	Ringing  []string // extensions being rung for this caller
	Expected time.Duration
}

// Counters count since the board was opened.
type Counters struct {
	Joined, Offered, Answered, Left, Missed, Expired, SetAside, Repaired uint64
}

// EventKind is the kind of a change.
type EventKind string

// The kinds of events.
const (
	OperatorChanged EventKind = "operator" // State and Reason of Extension
	CallerJoined    EventKind = "joined"
	CallerLeft      EventKind = "left"    // Reason
	OfferMade       EventKind = "offered" // Extension rings for CallID
	OfferSettled    EventKind = "settled" // Outcome
	TalkDone        EventKind = "done"    // Extension and CallID have parted
	BoardRepaired   EventKind = "repaired"
)

// Event is one change of the board, for live pages and journals.
type Event struct {
	Seq       uint64
	At        time.Time
	Kind      EventKind
	Extension string
	StaffID   string
	CallID    string
	OfferID   string
	State     State
	Reason    string
	Outcome   Outcome
	Missed    int // events that this subscriber lost just before this one
}
