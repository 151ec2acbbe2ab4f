package desk

import "time"

// KeepLog sets how much of the log before a snapshot is kept, until the returned function is called.
func KeepLog(d time.Duration) (restore func()) {
	old := keepLog
	keepLog = d
	return func() { keepLog = old }
}
