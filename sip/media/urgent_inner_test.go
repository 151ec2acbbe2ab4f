package media

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pacer has its core before all others while that leaves something for them: the signalling must be able to end calls.
func TestPacerStepsBackWhenItNeedsTheWholeCore(t *testing.T) {
	policy := func() uint32 {
		a, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a.Policy
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		before := policy()
		u := urgent{nice: -10}
		u.begin()
		urgently := uint32(unix.SCHED_FIFO)
		if u.refused { // no CAP_SYS_NICE, or a control group without a real-time share: the thread stays what it was
			urgently = before
		}
		cpu := time.Duration(0)
		for i, step := range []struct {
			share float64
			want  uint32
		}{{0.1, urgently}, {0.84, urgently}, {0.9, before}, {0.8, before}, {0.7, urgently}, {1, before}, {0, urgently}} {
			cpu += time.Duration(step.share * float64(time.Second))
			if u.look(cpu, time.Second); policy() != step.want {
				t.Errorf("step %d, %.2f of a core: scheduling class %d, want %d", i, step.share, policy(), step.want)
			}
		}
	}()
	<-ended
}
