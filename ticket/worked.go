package ticket

import "time"

// Working is the working time between two moments, by the calendar and the hours in force.
func (o *Office) Working(a, b time.Time) time.Duration { return o.reckoner().Elapsed(a, b) }
