package ivr_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
)

// A clock that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func TestACallMayNotStayInTheMenusForEver(t *testing.T) {
	t.Parallel()
	var c clock
	s := ivrtest.New(t, ivrtest.Options{Flow: `flow: f
version: 1
start: main
nodes:
  main: {menu: menu.main, keys: {"1": main}, wait: 24h, otherwise: bye}
  bye: {hangup: goodbye}
`, Change: func(cfg *ivr.Config) { cfg.Now, cfg.Heartbeat = c.now, 20*time.Millisecond }})
	call := dial(t, s, "13841400001")
	hears(t, s, call, "menu.main")
	c.ahead.Store(int64(19 * time.Minute))
	time.Sleep(100 * time.Millisecond) // some heartbeats
	must(t, call.Press(patient(t), "1"))
	hears(t, s, call, "menu.main") // still led after nineteen minutes
	c.ahead.Store(int64(21 * time.Minute))
	hears(t, s, call, "overlong")
	<-call.Done()
	s.Quiet(t)
	if r := s.Records(t)[0]; r.EndedBy != "us" {
		t.Errorf("ended by %s", r.EndedBy)
	}
}

func TestChangedFlowFilesComeIntoForceUnderCallsThatGoOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(text string) { must(t, os.WriteFile(filepath.Join(dir, "hotline.yaml"), []byte(text), 0o600)) }
	flow := func(version, prompt string) string {
		return "flow: hotline\nversion: " + version + "\nstart: main\nnodes:\n  main: {menu: " + prompt + ", keys: {\"1\": main, \"2\": bye}, wait: 24h, otherwise: bye}\n  bye: {hangup: goodbye}\n"
	}
	write(flow("1", "menu.main"))
	f, q, err := ivr.LoadFlows(dir)
	must(t, err)
	s := ivrtest.New(t, ivrtest.Options{Change: func(cfg *ivr.Config) { cfg.Flow, cfg.Queues = f, q }})
	files := &ivr.FlowFiles{Hotline: s.Hotline, DB: s.DB, Dir: dir, Log: s.Config.Log}
	must(t, files.Begin(patient(t), "start"))
	ctx, stop := context.WithCancel(context.Background())
	hup, done := make(chan os.Signal, 1), make(chan error, 1)
	go func() { done <- files.Watch(ctx, 20*time.Millisecond, hup) }()
	t.Cleanup(func() { stop(); <-done })

	first := dial(t, s, "13841400001")
	hears(t, s, first, "menu.main")
	write(flow("2", "kb.menu")) // a file that changes
	s.Until(t, "the changed file is in force", func() bool { return s.Hotline.Flow().Version != f.Version })
	second := dial(t, s, "13841400002")
	hears(t, s, second, "kb.menu")
	must(t, first.Press(patient(t), "1"))
	hears(t, s, first, "menu.main") // under the version that it began with

	write("flow: hotline\nversion: 3\nstart: nowhere\nnodes:\n  main: {hangup: goodbye}\n") // a broken one
	s.Until(t, "the broken file is refused", func() bool { return len(files.State().Problems) > 0 })
	third := dial(t, s, "13841400003")
	hears(t, s, third, "kb.menu")

	two := s.Hotline.Flow().Version
	stop() // nobody looks at the files any more: only the signal counts
	<-done
	done <- nil
	write(flow("4", "query.ask"))
	ctx4, stop4 := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- files.Watch(ctx4, time.Hour, hup) }()
	hup <- syscall.SIGHUP
	s.Until(t, "the signal puts the file in force", func() bool { return s.Hotline.Flow().Version != two })
	stop4()
	must(t, <-ended)
	fourth := dial(t, s, "13841400004")
	hears(t, s, fourth, "query.ask")
	for _, c := range []interface {
		Press(context.Context, string) error
		Done() <-chan struct{}
	}{first, second, third, fourth} {
		must(t, c.Press(patient(t), "2"))
		<-c.Done()
	}
	s.Quiet(t)
	for _, r := range s.Records(t) {
		if r.EndedBy != "us" || r.FlowVersion == "" {
			t.Errorf("%s by %s under %q: a reload has dropped it", r.Disposition, r.EndedBy, r.FlowVersion)
		}
	}
}
