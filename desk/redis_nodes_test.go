package desk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"lianxin/desk"
	"lianxin/desk/desktest"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

const soon = 20 * time.Second

// quick are options under which nothing happens by time alone.
var quick = desk.Options{Ring: time.Minute, WrapUp: -1, Retry: -1}

type nodeT struct {
	testing.TB
	*desk.Redis
	ctx context.Context
}

func join(t testing.TB, c redis.UniversalClient, n desk.Node) *nodeT {
	t.Helper()
	b, err := desk.NewRedis(context.Background(), c, quick, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return &nodeT{t, b, context.Background()}
}

func (n *nodeT) ok(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

// seat has an operator sit down whose phone registers at this node.
func (n *nodeT) seat(ext string) {
	n.Helper()
	n.ok(n.Put(n.ctx, desk.Operator{Extension: ext, AutoReady: true}))
	n.ok(n.Registered(n.ctx, ext, true))
}

func (n *nodeT) call(id string) *desk.Waiter {
	n.Helper()
	w, err := n.Wait(n.ctx, desk.Caller{CallID: id})
	n.ok(err)
	return w
}

func (n *nodeT) next(w *desk.Waiter) *desk.Offer {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.ctx, soon)
	defer cancel()
	o, err := w.Next(ctx)
	if err != nil {
		n.Fatalf("no offer for %s: %v", w.Caller.CallID, err)
	}
	return o
}

func (n *nodeT) until(what string, cond func(desk.Snapshot) bool) {
	n.Helper()
	end := time.Now().Add(soon)
	for {
		sn, err := n.Snapshot(n.ctx)
		if err == nil && cond(sn) {
			return
		}
		if time.Now().After(end) {
			n.Fatalf("did not happen: %s (%v)\n%+v", what, err, sn)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (n *nodeT) becomes(ext string, want desk.State) {
	n.Helper()
	n.until(ext+" becomes "+string(want), func(sn desk.Snapshot) bool { return stateOf(sn, ext) == want })
}

func stateOf(sn desk.Snapshot, ext string) desk.State {
	for _, o := range sn.Operators {
		if o.Extension == ext {
			return o.State
		}
	}
	return ""
}

func gone(t testing.TB, o *desk.Offer, want desk.Outcome) {
	t.Helper()
	select {
	case <-o.Gone():
	case <-time.After(soon):
		t.Fatalf("the offer is still open, want %s", want)
	}
	if o.Over() != want {
		t.Fatalf("the offer ended %s, want %s", o.Over(), want)
	}
}

func TestACallerOfOneNodeIsServedByAnOperatorOfAnother(t *testing.T) {
	s := desktest.StartRedis(t)
	a, b := join(t, s.Client(), desk.Node{Name: "a"}), join(t, s.Client(), desk.Node{Name: "b"})
	ev, stop := context.WithCancel(context.Background())
	defer stop()
	events := b.Subscribe(ev)
	w := a.call("c1")
	b.until("b sees the caller of a", func(sn desk.Snapshot) bool { return len(sn.Waiting) == 1 })
	b.seat("8001")
	o := a.next(w)
	if o.Operator.Extension != "8001" || o.Node != "b" {
		t.Fatalf("offered to %s at %q", o.Operator.Extension, o.Node)
	}
	b.becomes("8001", desk.Ringing)
	a.ok(o.Answered())
	b.becomes("8001", desk.Talking)

	// What b does not see of a's calls and phones is no reason to end them.
	a.seat("8002")
	b.until("b knows 8002", func(sn desk.Snapshot) bool { return stateOf(sn, "8002") == desk.Ready })
	waiting, err := a.Wait(a.ctx, desk.Caller{CallID: "c2", Skills: []string{"ko"}})
	a.ok(err)
	time.Sleep(20 * time.Millisecond)
	repaired, err := b.Sweep(b.ctx, desk.Reality{Live: func(string) bool { return false }, Registered: func(e string) bool { return e == "8001" }})
	b.ok(err)
	if len(repaired) != 0 || waiting.Position() != 1 {
		t.Fatalf("b put right what a answers for: %+v", repaired)
	}
	// A phone that is at both nodes is there until both have lost it.
	a.ok(a.Registered(a.ctx, "8001", true))
	b.ok(b.Registered(b.ctx, "8001", false))
	o.Done()
	a.becomes("8001", desk.Ready)
	a.ok(a.Registered(a.ctx, "8001", false))
	b.becomes("8001", desk.Offline)
	// The same call cannot wait twice, wherever.
	if _, err := b.Wait(b.ctx, desk.Caller{CallID: "c2"}); !errors.Is(err, desk.ErrWaiting) {
		t.Fatalf("waiting at two nodes: %v", err)
	}
	for answered := false; !answered; {
		select {
		case e := <-events:
			answered = e.Kind == desk.OfferSettled && e.Outcome == desk.Answered && e.CallID == "c1"
		case <-time.After(soon):
			t.Fatal("b's subscribers were not told of a's call")
		}
	}
	// Both have the same picture.
	a.ok(a.Put(a.ctx, desk.Operator{Extension: "last"}))
	b.until("the pictures meet", func(sn desk.Snapshot) bool { return stateOf(sn, "last") != "" })
	sa, err := a.Snapshot(a.ctx)
	a.ok(err)
	sb, err := b.Snapshot(b.ctx)
	b.ok(err)
	sa.At, sb.At = time.Time{}, time.Time{}
	if d := cmp.Diff(sa, sb); d != "" {
		t.Fatal(d)
	}
}

func TestNoOperatorIsOfferedTwiceByAnyNode(t *testing.T) {
	s := desktest.StartRedis(t)
	nodes := []*nodeT{join(t, s.Client(), desk.Node{}), join(t, s.Client(), desk.Node{}), join(t, s.Client(), desk.Node{})}
	for i := range 6 {
		nodes[i%3].seat(fmt.Sprint(8001 + i))
	}
	var mu sync.Mutex
	busy := map[string]string{}
	served := map[string]int{}
	var wg sync.WaitGroup
	const each = 120
	for i, n := range nodes {
		for c := range each {
			wg.Go(func() {
				id := fmt.Sprintf("c%d-%d", i, c)
				w, err := n.Wait(n.ctx, desk.Caller{CallID: id, Priority: c % 3})
				if err != nil {
					t.Error(err)
					return
				}
				for try := 0; ; try++ {
					ctx, cancel := context.WithTimeout(n.ctx, soon)
					o, err := w.Next(ctx)
					cancel()
					if err != nil {
						t.Error(id, err)
						return
					}
					mu.Lock()
					if other := busy[o.Operator.Extension]; other != "" {
						t.Errorf("%s was offered to %s and %s", o.Operator.Extension, other, id)
					}
					busy[o.Operator.Extension] = id
					mu.Unlock()
					time.Sleep(time.Duration(c%3) * time.Millisecond)
					refused := try == 0 && c%5 == 0
					mu.Lock()
					if refused {
						delete(busy, o.Operator.Extension)
						err = nil
					}
					mu.Unlock()
					if refused {
						if err := o.Failed(desk.Declined); err != nil {
							t.Error(err)
						}
						continue
					}
					if err := o.Answered(); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					served[id]++
					delete(busy, o.Operator.Extension)
					mu.Unlock()
					o.Done()
					return
				}
			})
		}
	}
	wg.Wait()
	for id, n := range served {
		if n != 1 {
			t.Errorf("%s was served %d times", id, n)
		}
	}
	if len(served) != 3*each {
		t.Fatalf("%d of %d callers were served", len(served), 3*each)
	}
	nodes[0].until("all is quiet", func(sn desk.Snapshot) bool {
		return len(sn.Waiting) == 0 && sn.Counters.Answered == 3*each && sn.Counters.Joined == 3*each
	})
}

// TestMain also is a node of its own that a test can kill.
func TestMain(m *testing.M) {
	url := os.Getenv("DESK_TEST_NODE")
	if url == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	b, err := desk.OpenRedis(ctx, url, quick, desk.Node{Name: "victim", Lease: 2 * time.Second})
	check := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	check(err)
	check(b.Put(ctx, desk.Operator{Extension: "9001", AutoReady: true}))
	check(b.Registered(ctx, "9001", true))
	for _, id := range []string{"talks", "rings", "waits"} {
		w, err := b.Wait(ctx, desk.Caller{CallID: id, Exclude: []string{"9001"}})
		check(err)
		if id == "waits" {
			break
		}
		o, err := w.Next(ctx)
		check(err)
		if id == "talks" {
			check(o.Answered())
		}
	}
	fmt.Println("ready")
	select {}
}

func TestAKilledNodesCallersGo(t *testing.T) {
	s := desktest.StartRedis(t)
	a := join(t, s.Client(), desk.Node{Name: "a", Lease: 2 * time.Second})
	a.seat("8001")
	a.seat("8002")
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), "DESK_TEST_NODE="+s.URL())
	out, err := victim.StdoutPipe()
	a.ok(err)
	a.ok(victim.Start())
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the other node says %q", line)
	}
	a.until("a sees the other node's callers", func(sn desk.Snapshot) bool {
		return len(sn.Waiting) == 2 && stateOf(sn, "8001") == desk.Talking && stateOf(sn, "8002") == desk.Ringing && stateOf(sn, "9001") == desk.Ready
	})
	mine, err := a.Wait(a.ctx, desk.Caller{CallID: "mine", Exclude: []string{"9001"}})
	a.ok(err)
	a.ok(victim.Process.Kill())
	o := a.next(mine)
	a.ok(o.Answered())
	a.until("nothing of the dead node is left", func(sn desk.Snapshot) bool {
		return len(sn.Waiting) == 0 && sn.Counters.Repaired == 3 && stateOf(sn, "9001") == desk.Offline
	})
}

func TestANodeThatStartsAnewEndsWhatItLeft(t *testing.T) {
	s := desktest.StartRedis(t)
	a := join(t, s.Client(), desk.Node{Name: "a", Lease: time.Hour})
	a.seat("8001")
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), "DESK_TEST_NODE="+s.URL())
	a.seat("8002")
	out, err := victim.StdoutPipe()
	a.ok(err)
	a.ok(victim.Start())
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the other node says %q", line)
	}
	a.ok(victim.Process.Kill())
	_ = victim.Wait()
	join(t, s.Client(), desk.Node{Name: "victim", Lease: time.Hour})
	a.until("the callers of the first run are gone", func(sn desk.Snapshot) bool {
		return len(sn.Waiting) == 0 && stateOf(sn, "8001") == desk.Ready && stateOf(sn, "8002") == desk.Ready
	})
}

func TestTheBoardOutlivesARestartOfRedis(t *testing.T) {
	s := desktest.StartRedis(t)
	n := desk.Node{Lease: time.Hour, Patience: 300 * time.Millisecond}
	n.Name = "a"
	a := join(t, s.Client(), n)
	n.Name = "b"
	b := join(t, s.Client(), n)
	a.seat("8001")
	b.seat("8002")
	b.seat("8003")
	b.ok(b.Set(b.ctx, "8003", desk.Break, "用餐"))
	talk := a.next(a.call("talks"))
	a.ok(talk.Answered())
	ring := b.next(b.call("rings"))
	first, second := a.call("first"), b.call("second")

	s.Kill()
	if _, err := a.Wait(a.ctx, desk.Caller{CallID: "late"}); !errors.Is(err, desk.ErrDown) {
		t.Fatalf("Wait while Redis is down: %v", err)
	}
	if _, err := a.Duty(a.ctx, desk.Caller{}); !errors.Is(err, desk.ErrDown) {
		t.Fatalf("Duty while Redis is down: %v", err)
	}
	if err := b.Set(b.ctx, "8003", desk.Ready, ""); !errors.Is(err, desk.ErrDown) {
		t.Fatalf("Set while Redis is down: %v", err)
	}
	if first.Position() == 0 || ring.Over() != "" {
		t.Fatal("a short outage cost a caller the place")
	}
	b.ok(b.ctx.Err())
	_ = b.Registered(b.ctx, "8004", true) // an unknown phone, told while nobody listens

	s.Start() // and Redis has forgotten everything
	for _, x := range []*nodeT{a, b} {
		x.until("the board is as it was", func(sn desk.Snapshot) bool {
			return len(sn.Waiting) == 3 && sn.Waiting[0].CallID == "rings" && sn.Waiting[1].CallID == "first" && sn.Waiting[2].CallID == "second" &&
				stateOf(sn, ring.Operator.Extension) == desk.Ringing && stateOf(sn, talk.Operator.Extension) == desk.Talking && stateOf(sn, "8003") == desk.Break
		})
	}
	b.ok(ring.Answered())
	b.ok(b.Set(b.ctx, "8003", desk.Ready, ""))
	if o := a.next(first); o.Operator.Extension != "8003" {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
	talk.Done()
	if o := b.next(second); o.Operator.Extension != talk.Operator.Extension {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
	a.call("late")
}

func TestALongOutageLetsTheCallersGo(t *testing.T) {
	s := desktest.StartRedis(t)
	a := join(t, s.Client(), desk.Node{Name: "a", Lease: 3 * time.Second, Patience: 300 * time.Millisecond})
	a.seat("8001")
	ring := a.call("rings")
	o := a.next(ring)
	w := a.call("waits")
	s.Kill()
	if err := o.Answered(); !errors.Is(err, desk.ErrDown) {
		t.Fatalf("an answer that nobody could take note of: %v", err)
	}
	gone(t, o, desk.Cancelled)
	for _, w := range []*desk.Waiter{ring, w} {
		ctx, cancel := context.WithTimeout(a.ctx, soon)
		_, err := w.Next(ctx)
		cancel()
		if !errors.Is(err, desk.ErrLeft) || !errors.Is(err, desk.ErrDown) {
			t.Fatalf("Next in a long outage: %v", err)
		}
	}
	s.Start()
	a.until("the board is there again, without the callers who were let go", func(sn desk.Snapshot) bool {
		return len(sn.Waiting) == 0 && stateOf(sn, "8001") == desk.Ready
	})
	a.ok(a.next(a.call("new")).Answered())
}

// link is a network that can be cut: what is sent vanishes, and nothing comes back.
type link struct {
	mu  sync.Mutex
	cut chan struct{} // closed while it is whole
}

type linkConn struct {
	net.Conn
	l *link
}

func newLink() *link { l := &link{cut: make(chan struct{})}; close(l.cut); return l }

func (l *link) wait() {
	l.mu.Lock()
	c := l.cut
	l.mu.Unlock()
	<-c
}

func (l *link) sever() (heal func()) {
	c := make(chan struct{})
	l.mu.Lock()
	l.cut = c
	l.mu.Unlock()
	return func() { close(c) }
}

func (c linkConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.l.wait() // the answer is held up on the way
	return n, err
}

func (l *link) client(t testing.TB, s *desktest.RedisServer) *redis.Client {
	socket := strings.TrimPrefix(s.URL(), "unix://")
	c := redis.NewClient(&redis.Options{Addr: "link", ContextTimeoutEnabled: true, MaxRetries: -1, Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		return linkConn{conn, l}, err
	}})
	t.Cleanup(func() { c.Close() })
	return c
}

// A node whose answers are held up has been heard by Redis and does not know it.
func TestAnOrderIsTakenOnceThoughItsAnswerIsLate(t *testing.T) {
	s := desktest.StartRedis(t)
	l := newLink()
	a := join(t, l.client(t, s), desk.Node{Name: "a", Lease: time.Hour, Patience: 20 * time.Second})
	b := join(t, s.Client(), desk.Node{Name: "b"})
	for i := range 20 {
		heal := l.sever()
		done := make(chan *desk.Waiter, 1)
		go func() { done <- a.call(fmt.Sprint("c", i)) }()
		time.Sleep(20 * time.Millisecond)
		heal()
		w := <-done
		w.Leave("enough")
	}
	b.until("every caller was counted once", func(sn desk.Snapshot) bool {
		return sn.Counters.Joined == 20 && sn.Counters.Left == 20 && len(sn.Waiting) == 0
	})
}

func TestANodeThatWasCutOffComesBack(t *testing.T) {
	s := desktest.StartRedis(t)
	l := newLink()
	lease := 3 * time.Second
	a := join(t, l.client(t, s), desk.Node{Name: "a", Lease: lease, Patience: 500 * time.Millisecond})
	b := join(t, s.Client(), desk.Node{Name: "b", Lease: lease})
	b.seat("8001")
	b.seat("8002")
	talk := a.next(a.call("talks"))
	a.ok(talk.Answered())
	w := a.call("rings")
	o := a.next(w)
	mine := b.call("mine")
	heal := l.sever()
	// Before b may take the operators for itself, a lets go of them.
	offered := b.next(mine)
	if offered.Operator.Extension == o.Operator.Extension && o.Over() == "" {
		t.Fatalf("%s rings for two callers", o.Operator.Extension)
	}
	if _, err := w.Next(a.ctx); !errors.Is(err, desk.ErrDown) {
		t.Fatalf("a caller of the cut-off node: %v", err)
	}
	b.ok(offered.Answered())
	heal()
	a.until("a is back and sees what happened", func(sn desk.Snapshot) bool {
		return len(sn.Waiting) == 0 && stateOf(sn, offered.Operator.Extension) == desk.Talking
	})
	if talk.Operator.Extension != offered.Operator.Extension {
		b.becomes(talk.Operator.Extension, desk.Talking) // that went on all the while
	}
	a.call("again")
	b.until("b sees a's new caller", func(sn desk.Snapshot) bool { return len(sn.Waiting) == 1 })
}

func TestALateNodeReadsTheBoardAndTheLogStaysShort(t *testing.T) {
	restore := desk.KeepLog(0)
	t.Cleanup(restore) // after the boards are closed
	s := desktest.StartRedis(t)
	c := s.Client()
	l := newLink()
	slow := join(t, l.client(t, s), desk.Node{Name: "slow", Lease: time.Hour, Patience: time.Minute})
	mine, err := slow.Wait(slow.ctx, desk.Caller{CallID: "mine", Priority: 9, Skills: []string{"mine"}})
	slow.ok(err)
	heal := l.sever()
	a := join(t, c, desk.Node{Name: "a"})
	for i := range 5 {
		a.seat(fmt.Sprint(8001 + i))
	}
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 100 {
				w, err := a.Wait(a.ctx, desk.Caller{CallID: fmt.Sprint(g, "-", i), Skills: []string{"ko"}})
				if err != nil {
					t.Error(err)
					return
				}
				if i%10 != 0 {
					w.Leave("enough")
				}
			}
		})
	}
	wg.Wait()
	key := func(k string) string { return "lianxin:{desk:hotline}:" + k }
	end := time.Now().Add(soon)
	for at := "0"; at == "0"; time.Sleep(5 * time.Millisecond) {
		at = c.HGet(a.ctx, key("meta"), "snapshot").Val()
		if time.Now().After(end) {
			t.Fatal("the board is never written down")
		}
	}
	if n := c.XLen(a.ctx, key("log")).Val(); n >= 3800 {
		t.Fatalf("%d orders are kept", n)
	}
	b := join(t, c, desk.Node{Name: "b"})
	sa, err := a.Snapshot(a.ctx)
	a.ok(err)
	sb, err := b.Snapshot(b.ctx)
	b.ok(err)
	for i := range sa.Waiting {
		sa.Waiting[i].Joined = sb.Waiting[i].Joined.In(sa.Waiting[i].Joined.Location())
	}
	sa.At, sb.At = time.Time{}, time.Time{}
	if d := cmp.Diff(sa, sb); d != "" || len(sb.Waiting) != 201 {
		t.Fatalf("%d wait; %s", len(sb.Waiting), d)
	}

	// A node for which the log has been cut short reads the board anew, and its caller is still there.
	heal()
	slow.until("the slow node has caught up", func(sn desk.Snapshot) bool { return len(sn.Waiting) == 201 && sn.Waiting[0].CallID == "mine" })
	b.ok(b.Put(b.ctx, desk.Operator{Extension: "9001", AutoReady: true, Skills: []string{"mine"}}))
	b.ok(b.Registered(b.ctx, "9001", true))
	for err = desk.ErrOfferOver; errors.Is(err, desk.ErrOfferOver); { // one made between its reading and its joining is taken back and made again
		err = slow.next(mine).Answered()
	}
	slow.ok(err)
}

// Two nodes write one journal: when the one that writes is killed, the other goes on, and nothing is counted twice.
func TestASharedBoardHasOneJournal(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		s := desktest.StartRedis(t)
		a, b := join(t, s.Client(), desk.Node{Name: "a"}), join(t, s.Client(), desk.Node{Name: "b"})
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		var mu sync.Mutex
		var writing []string
		done := make(chan error, 2)
		keep := func(name string, n *nodeT) {
			done <- n.Lead(ctx, func(ctx context.Context) error {
				mu.Lock()
				writing = append(writing, name)
				mu.Unlock()
				return (&desk.Journal{DB: db, Node: "desk"}).Run(ctx, n)
			})
		}
		go keep("a", a)
		go keep("b", b)
		writers := func(want ...string) {
			t.Helper()
			for end := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
				mu.Lock()
				got := slices.Clone(writing)
				mu.Unlock()
				if slices.Equal(got, want) {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("the journal was kept by %v, want %v", got, want)
				}
			}
		}
		begin := time.Now()
		writers("a")
		b.ok(b.Put(b.ctx, desk.Operator{Extension: "8001", StaffID: "s1", AutoReady: true}))
		b.ok(b.Registered(b.ctx, "8001", true))
		works := func() (w []desk.Work) {
			t.Helper()
			b.ok(db.View(b.ctx, func(tx *storage.Tx) (err error) {
				w, err = desk.Works(tx, begin.Add(-time.Hour), begin.Add(time.Hour), time.Now())
				return err
			}))
			return w
		}
		for end := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
			if w := works(); len(w) == 1 && w[0].Times[desk.Ready] > 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("nothing was written: %+v", works())
			}
		}
		b.ok(a.Close())
		writers("a", "b")
		b.ok(b.next(b.call("c1")).Answered())
		for end := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
			w := works()
			if len(w) == 1 && w[0].Taken == 1 && w[0].Offers == 1 && w[0].Times[desk.Talking] > 0 {
				var sum time.Duration
				for _, d := range w[0].Times {
					sum += d
				}
				if most := time.Since(begin) + 100*time.Millisecond; sum > most {
					t.Fatalf("%v of work in %v", sum, most)
				}
				break
			}
			if time.Now().After(end) {
				t.Fatalf("b does not write: %+v", w)
			}
		}
		stop()
		b.ok(<-done)
		b.ok(<-done)
	})
}

// An older copy comes back, as after a fail-over to a replica that was behind.
func TestRedisThatForgotTheLastOrdersLearnsThemAnew(t *testing.T) {
	s := desktest.StartRedis(t)
	c := s.Client()
	a := join(t, c, desk.Node{Name: "a", Lease: time.Hour})
	a.seat("8001")
	key := func(k string) string { return "lianxin:{desk:hotline}:" + k }
	for _, k := range []string{"meta", "log", "snapshot"} {
		a.ok(c.Copy(a.ctx, key(k), key("old-"+k), 0, true).Err())
	}
	w := a.call("first")
	o := a.next(w)
	second := a.call("second")
	_, err := c.TxPipelined(a.ctx, func(p redis.Pipeliner) error {
		for _, k := range []string{"meta", "log", "snapshot"} {
			p.Rename(a.ctx, key("old-"+k), key(k))
		}
		return nil
	})
	a.ok(err)
	a.ok(o.Answered())
	b := join(t, c, desk.Node{Name: "b"})
	b.becomes("8001", desk.Talking)
	o.Done()
	if next := a.next(second); next.ID == o.ID {
		t.Fatal("an offer's id was used twice")
	}
}

func TestTheAddressOfRedisStaysOutOfErrors(t *testing.T) {
	for _, url := range []string{"redis://:geheim@host:port:6379", "http://:geheim@127.0.0.1", "redis://:geheim@127.0.0.1:1/0"} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := desk.OpenRedis(ctx, url, quick, desk.Node{Patience: 300 * time.Millisecond})
		cancel()
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Fatalf("%v", err)
		}
	}
}
