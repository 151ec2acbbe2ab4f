package ticket

import (
	"crypto/rand"
	"sync"

	"github.com/oklog/ulid/v2"
)

var ids = struct {
	sync.Mutex
	*ulid.MonotonicEntropy
}{MonotonicEntropy: ulid.Monotonic(rand.Reader, 0)}

// newID is a key like storage.NewID's that is also greater than the one before: the parts of a ticket made in one
// millisecond keep their order.
func newID() string {
	ids.Lock()
	defer ids.Unlock()
	return ulid.MustNew(ulid.Now(), ids.MonotonicEntropy).String()
}
