package media

import (
	"time"

	"golang.org/x/sys/unix"
)

// urgent keeps the calling thread before everything else on the machine: voice that comes 10 ms late is a gap at the far end, and
// anything else can wait so long. Real-time scheduling (SCHED_FIFO) where the system permits it, because niceness decides only about shares:
// a nice thread still waits for the slice of whoever runs. Otherwise niceness, otherwise nothing; both need CAP_SYS_NICE, and a control
// group of its own may have no real-time share.
//
// A real-time thread that has more to do than fits would leave no time for the signalling that ends calls. So it steps back to
// niceness when it needs most of a core, and returns when there is less to do.
type urgent struct {
	nice     int
	realtime bool
	refused  bool // the system does not permit it
	cpu      time.Duration
}

const (
	urgentMost  = 0.85 // of a core: beyond that other threads need a share
	urgentAgain = 0.75
)

func (u *urgent) begin() {
	// The kernel may otherwise add 50 µs of slack to every sleep.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	// On Linux this is the thread's own niceness, and the system call gives it as 20 − nice. It stays beside the real-time class.
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && 20-now > u.nice {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, u.nice)
	}
	u.set(true)
}

// set enters or leaves the real-time class, at its lowest priority: the kernel's own threads come first.
func (u *urgent) set(realtime bool) {
	attr, err := unix.SchedGetAttr(0, 0)
	if err == nil {
		attr.Policy, attr.Priority = unix.SCHED_NORMAL, 0
		if realtime {
			attr.Policy, attr.Priority = unix.SCHED_FIFO, 1
		}
		attr.Flags = unix.SCHED_FLAG_RESET_ON_FORK // for this thread alone
		err = unix.SchedSetAttr(0, attr, 0)
	}
	if err != nil {
		u.refused = true
		return
	}
	u.realtime = realtime
}

// look decides once a second. It takes the thread's CPU time so far, and the time that has passed since it was asked last.
func (u *urgent) look(cpu, passed time.Duration) {
	share := float64(cpu-u.cpu) / float64(passed)
	u.cpu = cpu
	switch {
	case u.refused:
	case u.realtime && share > urgentMost:
		u.set(false)
	case !u.realtime && share < urgentAgain:
		u.set(true)
	}
}
