package ticket

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"lianxin/storage"
)

// Above is what other rooms do with the tickets of the random runs while they run: 督办, 会商, orders, 倒查, reveals, links
// for a rating, texts. This package cannot import them; the tests of package ticket_test in this folder can.
type Above interface {
	// Command draws one command about a ticket. Its name is for messages.
	Command(r *rand.Rand, ticketID string) (name string, run func(tx *storage.Tx) error)
	// Sweep does what the program does by itself every now and then.
	Sweep(ctx context.Context) error
	// Check holds the invariants when all is over.
	Check(t testing.TB, tickets []string)
}

// StandAbove is set by package ticket_test.
var StandAbove func(t testing.TB, b Bureau) Above

// Bureau is the house of a test as others see it.
type Bureau struct {
	Office *Office
	DB     *storage.DB
	Now    func() time.Time
	Staff  map[string]Actor // by name
	Person func(phone string) string
}

func (h *house) bureau() Bureau {
	return Bureau{Office: h.Office, DB: h.db, Now: h.Now, Person: h.person, Staff: map[string]Actor{
		"operator": h.operator, "dispatcher": h.dispatcher, "caller": h.caller, "supervisor": h.supervisor, "leader": h.leader, "inspector": h.inspector, "admin": h.admin,
		"handler-a": h.handlerA, "reviewer-a": h.reviewerA, "handler-b": h.handlerB, "reviewer-b": h.reviewerB, "legal": h.legal,
		"analyst": h.staff("analyst", "centre", "analyst"), "leader2": h.staff("leader2", "bureau", "leader"), "expert": h.staff("expert", "legal", "expert"),
		"expert-b": h.staff("expert-b", unitB, "expert"), "auditor": h.staff("auditor", "centre", "auditor"),
	}}
}
