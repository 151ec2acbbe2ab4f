// Command bench measures what a call costs: a real exchange on one core, a load generator of its own on another, CPU from process
// accounting.
//
//	go run ./sip/bench                     every kind of work, at the sizes of docs/bench-calls.md
//	go run ./sip/bench prompt -calls 1000  one kind, with another size
//	go run ./sip/bench soak -for 1h        mixed calls; fails when anything is left behind
//
// It needs taskset (util-linux), and sipp for the menu.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options of a run.
type options struct {
	calls    int           // at once
	rate     int           // calls a second
	duration time.Duration // of the load
	talk     time.Duration // of a call with sound
	procs    int           // GOMAXPROCS of the server
	pacers   int
	profile  string
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(args[1:])
	}
	work := "all"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		work, args = args[0], args[1:]
	}
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.calls, "calls", 0, "calls at once (prompt, bridge), or in all (menu)")
	f.IntVar(&o.rate, "rate", 0, "calls a second (signalling, menu, soak)")
	f.DurationVar(&o.duration, "for", 0, "how long new calls come")
	f.DurationVar(&o.talk, "talk", 10*time.Second, "length of a call with sound")
	f.IntVar(&o.procs, "procs", 2, "GOMAXPROCS of the server, which has one core in any case")
	f.IntVar(&o.pacers, "pacers", 1, "pacing threads of the server")
	f.StringVar(&o.profile, "profile", "", "folder for cpu.pprof and heap.pprof of the server")
	if err := f.Parse(args); err != nil {
		return err
	}
	if done, err := pinned(work, f); done {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("%s · %s · server on core 0 (GOMAXPROCS %d), load on core %d · load average %s\n\n", time.Now().Format("2006-01-02 15:04"), cpuName(), o.procs, runtime.NumCPU(), loadAverage())
	works := map[string]func(context.Context, options) error{
		"signalling": signalling, "prompt": prompt, "bridge": bridge, "menu": menu, "soak": soak,
	}
	if work != "all" {
		w := works[work]
		if w == nil {
			return fmt.Errorf("no work %q: signalling, prompt, bridge, menu, soak or nothing for all but soak", work)
		}
		return w(ctx, o)
	}
	var failed error
	for _, name := range []string{"signalling", "prompt", "bridge", "menu"} {
		if err := works[name](ctx, o); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return failed
}

// pinned runs this command again on the last core, unless it is there already.
func pinned(work string, f *flag.FlagSet) (done bool, err error) {
	if os.Getenv("BENCH_PINNED") != "" || runtime.NumCPU() < 2 {
		return false, nil
	}
	self, err := os.Executable()
	if err != nil {
		return true, err
	}
	args := []string{"-c", strconv.Itoa(runtime.NumCPU() - 1), self, work}
	f.Visit(func(x *flag.Flag) { args = append(args, "-"+x.Name+"="+x.Value.String()) })
	cmd := exec.Command("taskset", args...)
	cmd.Env = append(os.Environ(), "BENCH_PINNED=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return true, cmd.Run()
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
