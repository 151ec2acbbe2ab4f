package ivr

import (
	"context"
	"time"
)

// returns is since when the place of a caller counts for whom one is held, and who rings by themselves: the held one ends.
func (v *visit) returns(ctx context.Context, q Queue) (since time.Time) { return since }
