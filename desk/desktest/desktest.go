// Package desktest is the conformance suite of desk.Board: what every board promises, wherever it keeps its state.
package desktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lianxin/desk"
)

// Factory opens an empty board for one test. The suite closes it.
type Factory func(t testing.TB, opt desk.Options) desk.Board

// Run runs the whole suite against the boards that the factory opens.
func Run(t *testing.T, open Factory) {
	t.Helper()
	for _, c := range append(slices.Clone(cases), queueCases...) {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
	t.Run("AnyInterleavingKeepsThePromises", func(t *testing.T) { interleave(t, open) })
}

type testCase struct {
	name string
	run  func(*testing.T, Factory)
}

var cases = []testCase{
	{"RegistrationMakesReadyOnlyWithAutoReady", registration},
	{"ReregistrationKeepsTheBreak", reregistration},
	{"OperatorChoosesReadyBreakAway", choices},
	{"ReadyNeedsAPhone", readyNeedsPhone},
	{"CallersAreServedInOrder", fifo},
	{"PriorityGoesFirst", priority},
	{"AnEarlierPlaceIsKept", keptPlace},
	{"SkillsAreRespected", skills},
	{"ExcludedOperatorIsNeverOffered", exclude},
	{"PreferredOperatorFirst", prefer},
	{"LongestIdleFirst", longestIdle},
	{"FewestCallsCountsEachCallOnce", fewest}, // asterisk #1736
	{"RoundRobinTakesTurns", roundRobin},
	{"LinearSkipsTheUnavailable", linear}, // freeswitch #1221
	{"RingAllQuickestWins", ringAll},
	{"TwoOperatorsAnswerAtOnceOneWins", twoAnswer},                         // asterisk #176
	{"RingAllFirstHangsUpOthersKeepRinging", ringAllFirstFails},            // asterisk #1557
	{"OperatorStuckInReservedIsFreedByTheDeadline", stuckReserved},         // freeswitch #2540
	{"CallerWhoHangsUpCancelsTheOffer", zombie},                            // freeswitch #2529
	{"CallerWhoHangsUpWhileTalkingFreesTheOperator", inCallForEver},        // opensips #3123
	{"StaleTalkIsRepairedBySweep", staleAnswered},                          // freeswitch #1973
	{"ReRegisterWhileOfferedChangesNothing", reRegisterWhileOffered},       // OpenACD #6
	{"UnregisteredOperatorIsNotAvailable", unregisteredButAvailable},       // fusionpbx #2831
	{"RegistrationLostDuringTalkCountsAfterwards", unregisterWhileTalking}, // fusionpbx #2831
	{"ADecisionThatFailsDoesNotStopTheBoard", dispatchGoesOn},              // freeswitch #1641, #1062
	{"AnOfferHasExactlyOneOutcome", oneOutcome},                            //
	{"OperatorIsSetAsideAfterNoAnswers", setAside},                         //
	{"SetAsideWearsOff", setAsideWearsOff},                                 //
	{"WrapUpThenReady", wrapUp},                                            //
	{"BreakDuringTalkComesAfterwards", pendingBreak},                       //
	{"NextCallerAfterAFailedOfferIsOfferedToAnother", declinedThenAnother}, //
	{"PlaceTellsTheTruth", place},                                          //
	{"ChangedFiresWhenThePlaceMoves", changed},                             //
	{"QueueHasALimit", full},                                               //
	{"EventsTellEveryChange", events},                                      //
	{"RemovedOperatorFinishesTheCall", removed},                            //
	{"SweepFindsNothingWhenAllIsWell", sweepClean},                         //
	{"SweepRepairsAMissedRegistration", sweepRegistration},                 //
	{"CloseReleasesEverybody", closed},                                     //
}

// A desk under test with short ways to say things.
type stage struct {
	testing.TB
	ctx context.Context
	desk.Board
}

const long = 20 * time.Second // how long a test waits for what must happen

func set(t testing.TB, open Factory, opt desk.Options) *stage {
	t.Helper()
	if opt.Retry == 0 {
		opt.Retry = -1
	}
	if opt.WrapUp == 0 {
		opt.WrapUp = -1
	}
	if opt.Ring == 0 {
		opt.Ring = time.Minute
	}
	b := open(t, opt)
	t.Cleanup(func() { b.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return &stage{TB: t, ctx: ctx, Board: b}
}

// seat puts operators on the board with their phones registered, ready in the given order.
func (s *stage) seat(exts ...string) {
	s.Helper()
	for i, e := range exts {
		s.put(desk.Operator{Extension: e, StaffID: "s" + e, Name: e, AutoReady: true, Rank: i})
	}
}

func (s *stage) put(op desk.Operator) {
	s.Helper()
	s.ok(s.Put(s.ctx, op))
	s.ok(s.Board.Registered(s.ctx, op.Extension, true))
	time.Sleep(2 * time.Millisecond) // boards keep milliseconds: who was ready first must show
}

func (s *stage) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) wait(c desk.Caller) *desk.Waiter { return s.waitCtx(s.ctx, c) }

func (s *stage) waitCtx(ctx context.Context, c desk.Caller) *desk.Waiter {
	s.Helper()
	w, err := s.Wait(ctx, c)
	s.ok(err)
	return w
}

func (s *stage) call(id string) *desk.Waiter { s.Helper(); return s.wait(desk.Caller{CallID: id}) }

// next is the next offer for a caller, which must come.
func (s *stage) next(w *desk.Waiter) *desk.Offer {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, long)
	defer cancel()
	o, err := w.Next(ctx)
	if err != nil {
		s.Fatalf("no offer for %s: %v\n%s", w.Caller.CallID, err, s.picture())
	}
	return o
}

// none asserts that no offer is open for a caller now. Offers are made within the decision that allows them, so the
// answer is final the moment another decision has been taken.
func (s *stage) none(w *desk.Waiter) {
	s.Helper()
	s.snap()
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Millisecond)
	defer cancel()
	if o, err := w.Next(ctx); err == nil {
		s.Fatalf("%s was offered to %s", w.Caller.CallID, o.Operator.Extension)
	}
}

func (s *stage) snap() desk.Snapshot {
	s.Helper()
	sn, err := s.Snapshot(s.ctx)
	s.ok(err)
	return sn
}

func (s *stage) op(ext string) desk.OperatorView {
	s.Helper()
	for _, o := range s.snap().Operators {
		if o.Extension == ext {
			return o
		}
	}
	s.Fatalf("operator %s is not on the board", ext)
	panic("unreachable")
}

func (s *stage) state(ext string, want desk.State) {
	s.Helper()
	if got := s.op(ext).State; got != want {
		s.Fatalf("operator %s is %s, want %s\n%s", ext, got, want, s.picture())
	}
}

// becomes waits for a state that time or another goroutine brings.
func (s *stage) becomes(ext string, want desk.State) {
	s.Helper()
	s.until(func() bool { return s.op(ext).State == want }, fmt.Sprintf("%s becomes %s", ext, want))
}

func (s *stage) until(cond func() bool, what string) {
	s.Helper()
	end := time.Now().Add(long)
	for !cond() {
		if time.Now().After(end) {
			s.Fatalf("did not happen: %s\n%s", what, s.picture())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *stage) over(o *desk.Offer, want desk.Outcome) {
	s.Helper()
	select {
	case <-o.Gone():
	case <-time.After(long):
		s.Fatalf("offer %s is not over, want %s", o.ID, want)
	}
	if o.Over() != want {
		s.Fatalf("offer ended %s, want %s", o.Over(), want)
	}
}

func (s *stage) picture() string {
	sn, err := s.Snapshot(context.Background())
	if err != nil {
		return err.Error()
	}
	out := "board:\n"
	for _, o := range sn.Operators {
		out += fmt.Sprintf("  %s %s %q call=%q next=%s\n", o.Extension, o.State, o.Reason, o.CallID, o.Next)
	}
	for _, w := range sn.Waiting {
		out += fmt.Sprintf("  waiting %d %s ringing %v\n", w.Position, w.CallID, w.Ringing)
	}
	return out
}

func registration(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.ok(s.Put(s.ctx, desk.Operator{Extension: "8001", AutoReady: true}))
	s.ok(s.Put(s.ctx, desk.Operator{Extension: "8002"}))
	s.state("8001", desk.Offline)
	s.ok(s.Board.Registered(s.ctx, "8001", true))
	s.ok(s.Board.Registered(s.ctx, "8002", true))
	s.state("8001", desk.Ready)
	s.state("8002", desk.Offline)
	s.ok(s.Set(s.ctx, "8002", desk.Ready, ""))
	s.state("8002", desk.Ready)
	if err := s.Board.Registered(s.ctx, "9999", true); !errors.Is(err, desk.ErrUnknown) {
		t.Fatalf("unknown extension: %v", err)
	}
}

func reregistration(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	s.ok(s.Set(s.ctx, "8001", desk.Break, "用餐"))
	s.ok(s.Board.Registered(s.ctx, "8001", false))
	s.state("8001", desk.Offline)
	s.ok(s.Board.Registered(s.ctx, "8001", true))
	s.state("8001", desk.Break)
	if r := s.op("8001").Reason; r != "用餐" {
		t.Fatalf("reason is %q", r)
	}
}

func choices(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	for _, st := range []desk.State{desk.Break, desk.Away, desk.Offline, desk.Ready} {
		s.ok(s.Set(s.ctx, "8001", st, ""))
		s.state("8001", st)
	}
	for _, st := range []desk.State{desk.Ringing, desk.Talking, desk.WrapUp, "asleep"} {
		if err := s.Set(s.ctx, "8001", st, ""); !errors.Is(err, desk.ErrState) {
			t.Fatalf("Set(%s): %v", st, err)
		}
	}
	s.ok(s.Set(s.ctx, "8001", desk.Break, ""))
	w := s.call("a")
	s.none(w)
	s.ok(s.Set(s.ctx, "8001", desk.Ready, ""))
	s.next(w)
}

func readyNeedsPhone(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.ok(s.Put(s.ctx, desk.Operator{Extension: "8001", AutoReady: true}))
	if err := s.Set(s.ctx, "8001", desk.Ready, ""); !errors.Is(err, desk.ErrNoPhone) {
		t.Fatalf("Set(Ready) without a phone: %v", err)
	}
	if err := s.Set(s.ctx, "9999", desk.Away, ""); !errors.Is(err, desk.ErrUnknown) {
		t.Fatalf("unknown: %v", err)
	}
}

func fifo(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	a, b := s.call("a"), s.call("b")
	s.seat("8001")
	o := s.next(a)
	s.none(b)
	s.ok(o.Answered())
	o.Done()
	s.next(b)
}

func priority(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	a := s.call("a")
	urgent := s.wait(desk.Caller{CallID: "110", Priority: 9})
	if p := a.Position(); p != 2 {
		t.Fatalf("a is at %d, want 2", p)
	}
	s.seat("8001")
	s.next(urgent)
	s.none(a)
}

func keptPlace(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	a := s.call("a")
	back := s.wait(desk.Caller{CallID: "back", Since: time.Now().Add(-time.Minute)})
	if p := back.Position(); p != 1 {
		t.Fatalf("position %d, want 1", p)
	}
	if p := a.Position(); p != 2 {
		t.Fatalf("position %d, want 2", p)
	}
	s.seat("8001")
	s.next(back)
}

func skills(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	korean := s.wait(desk.Caller{CallID: "k", Skills: []string{"ko"}})
	s.none(korean)
	plain := s.call("p")
	s.next(plain)
	s.put(desk.Operator{Extension: "8002", AutoReady: true, Skills: []string{"ko", "en"}})
	if o := s.next(korean); o.Operator.Extension != "8002" {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
}

func exclude(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	w := s.wait(desk.Caller{CallID: "a", Exclude: []string{"8001"}})
	s.none(w)
	if p := w.Place(); p.OnDuty != 0 {
		t.Fatalf("an excluded operator counts as on duty: %+v", p)
	}
	s.seat("8002")
	if o := s.next(w); o.Operator.Extension != "8002" {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
}

func prefer(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001", "8002", "8003")
	w := s.wait(desk.Caller{CallID: "a", Prefer: "8003"})
	if o := s.next(w); o.Operator.Extension != "8003" {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
}

func (s *stage) serve(id string) string {
	s.Helper()
	o := s.next(s.call(id))
	s.ok(o.Answered())
	o.Done()
	time.Sleep(2 * time.Millisecond)
	return o.Operator.Extension
}

func longestIdle(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.LongestIdle})
	s.seat("8003", "8001", "8002")
	got := []string{s.serve("a"), s.serve("b"), s.serve("c"), s.serve("d")}
	if want := []string{"8003", "8001", "8002", "8003"}; !slices.Equal(got, want) {
		t.Fatalf("served by %v, want %v", got, want)
	}
	// A caller who gives up does not cost the operator the turn.
	w := s.call("gives up")
	first := s.next(w).Operator.Extension
	w.Leave("gave up")
	if again := s.serve("e"); again != first {
		t.Fatalf("after a cancelled offer %s was chosen, want %s", again, first)
	}
}

func fewest(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.FewestCalls})
	s.seat("8001")
	s.serve("a")
	s.serve("b")
	if n := s.op("8001").Taken; n != 2 {
		t.Fatalf("two calls counted as %d", n)
	}
	s.seat("8002")
	got := []string{s.serve("c"), s.serve("d")}
	if want := []string{"8002", "8002"}; !slices.Equal(got, want) {
		t.Fatalf("served by %v, want %v", got, want)
	}
	if a, b := s.op("8001").Taken, s.op("8002").Taken; a != 2 || b != 2 {
		t.Fatalf("counted %d and %d", a, b)
	}
}

func roundRobin(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.RoundRobin})
	s.seat("8001", "8002", "8003")
	got := []string{s.serve("a"), s.serve("b"), s.serve("c"), s.serve("d")}
	if want := []string{"8001", "8002", "8003", "8001"}; !slices.Equal(got, want) {
		t.Fatalf("served by %v, want %v", got, want)
	}
}

func linear(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.Linear})
	s.seat("8003", "8001", "8002")
	got := []string{s.serve("a"), s.serve("b")}
	if want := []string{"8003", "8003"}; !slices.Equal(got, want) {
		t.Fatalf("served by %v, want %v", got, want)
	}
	s.ok(s.Board.Registered(s.ctx, "8003", false))
	if e := s.serve("c"); e != "8001" {
		t.Fatalf("an unavailable first operator blocks the row: served by %s", e)
	}
}

func ringAll(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.RingAll})
	s.seat("8001", "8002", "8003")
	w := s.call("a")
	o1, o2, o3 := s.next(w), s.next(w), s.next(w)
	s.ok(o2.Answered())
	s.over(o1, desk.Lost)
	s.over(o3, desk.Lost)
	s.state(o1.Operator.Extension, desk.Ready)
	s.state(o2.Operator.Extension, desk.Talking)
	s.state(o3.Operator.Extension, desk.Ready)
	if n := s.op(o1.Operator.Extension).Misses; n != 0 {
		t.Fatalf("losing the race counted as %d misses", n)
	}
}

func twoAnswer(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.RingAll})
	s.seat("8001", "8002", "8003", "8004")
	for round := range 25 {
		w := s.call(fmt.Sprint("c", round))
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []*desk.Offer
		offers := []*desk.Offer{s.next(w), s.next(w), s.next(w), s.next(w)}
		for _, o := range offers {
			wg.Go(func() {
				if err := o.Answered(); err == nil {
					mu.Lock()
					won = append(won, o)
					mu.Unlock()
				} else if !errors.Is(err, desk.ErrOfferOver) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d operators won the same caller", len(won))
		}
		talking := 0
		for _, o := range s.snap().Operators {
			if o.State == desk.Talking {
				talking++
			}
		}
		if talking != 1 {
			t.Fatalf("%d operators talk to one caller", talking)
		}
		won[0].Done()
	}
}

func ringAllFirstFails(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.RingAll, Retry: time.Minute})
	s.seat("8001", "8002")
	w := s.call("a")
	o1, o2 := s.next(w), s.next(w)
	s.ok(o1.Failed(desk.Declined))
	if o2.Over() != "" {
		t.Fatalf("the other operator's offer ended %s", o2.Over())
	}
	s.ok(o2.Answered())
}

func stuckReserved(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Ring: 40 * time.Millisecond, Grace: 20 * time.Millisecond, Misses: -1})
	s.seat("8001")
	w := s.call("a")
	o := s.next(w)
	s.state("8001", desk.Ringing)
	s.over(o, desk.Expired) // nobody reported anything
	if err := o.Answered(); !errors.Is(err, desk.ErrOfferOver) {
		t.Fatalf("a late answer was taken: %v", err)
	}
	again := s.next(w)
	if again.ID == o.ID {
		t.Fatal("the same offer was made twice")
	}
	if n := s.snap().Counters.Expired; n == 0 {
		t.Fatal("an expired offer was not counted")
	}
}

func zombie(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	ctx, hangup := context.WithCancel(s.ctx)
	w := s.waitCtx(ctx, desk.Caller{CallID: "a"})
	o := s.next(w)
	hangup()
	s.over(o, desk.Cancelled)
	s.becomes("8001", desk.Ready)
	if err := o.Answered(); !errors.Is(err, desk.ErrOfferOver) {
		t.Fatalf("the operator got a caller who is gone: %v", err)
	}
	if n := len(s.snap().Waiting); n != 0 {
		t.Fatalf("%d callers wait", n)
	}
	if m := s.op("8001").Misses; m != 0 {
		t.Fatalf("the caller's hang-up counted as %d misses of the operator", m)
	}
	if _, err := w.Next(s.ctx); !errors.Is(err, desk.ErrLeft) {
		t.Fatalf("Next after leaving: %v", err)
	}
}

func inCallForEver(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	ctx, hangup := context.WithCancel(s.ctx)
	o := s.next(s.waitCtx(ctx, desk.Caller{CallID: "a"}))
	s.ok(o.Answered())
	s.state("8001", desk.Talking)
	hangup() // and nobody calls Done
	s.becomes("8001", desk.Ready)
	o.Done()
	s.state("8001", desk.Ready)
}

func staleAnswered(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Grace: time.Millisecond})
	s.seat("8001", "8002")
	s.ok(s.next(s.call("dead")).Answered())
	s.ok(s.next(s.call("alive")).Answered())
	waiting := s.call("dead too")
	time.Sleep(5 * time.Millisecond)
	done, err := s.Sweep(s.ctx, desk.Reality{Live: func(id string) bool { return id == "alive" }})
	s.ok(err)
	if len(done) != 2 {
		t.Fatalf("repaired %v", done)
	}
	s.state("8001", desk.Ready)
	s.state("8002", desk.Talking)
	<-waiting.Left()
	if n := s.snap().Counters.Repaired; n != 2 {
		t.Fatalf("%d repairs counted", n)
	}
}

func reRegisterWhileOffered(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	w := s.call("a")
	o := s.next(w)
	s.ok(s.Board.Registered(s.ctx, "8001", true))
	s.state("8001", desk.Ringing)
	// Even a phone that goes and comes back (a new contact after a network change) keeps its offer.
	s.ok(s.Board.Registered(s.ctx, "8001", false))
	s.ok(s.Board.Registered(s.ctx, "8001", true))
	s.state("8001", desk.Ringing)
	s.none(w)
	s.ok(o.Answered())
	s.state("8001", desk.Talking)
	o.Done()
	s.state("8001", desk.Ready)
}

func unregisteredButAvailable(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	s.ok(s.Board.Registered(s.ctx, "8001", false))
	w := s.call("a")
	s.none(w)
	if p := w.Place(); p.OnDuty != 0 || p.Expected != 0 {
		t.Fatalf("an operator without a phone counts as on duty: %+v", p)
	}
	s.ok(s.Board.Registered(s.ctx, "8001", true))
	s.next(w)
}

func unregisterWhileTalking(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{WrapUp: time.Minute})
	s.seat("8001")
	o := s.next(s.call("a"))
	s.ok(o.Answered())
	s.ok(s.Board.Registered(s.ctx, "8001", false))
	s.state("8001", desk.Talking)
	o.Done()
	s.state("8001", desk.Offline)
	s.none(s.call("b"))
}

func dispatchGoesOn(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	func() {
		defer func() { _ = recover() }()
		_, _ = s.Sweep(s.ctx, desk.Reality{Live: func(string) bool { panic("registrar is broken") }, Registered: func(string) bool { panic("registrar is broken") }})
	}()
	s.seat("8001")
	func() {
		defer func() { _ = recover() }()
		_, _ = s.Sweep(s.ctx, desk.Reality{Registered: func(string) bool { panic("registrar is broken") }})
	}()
	s.next(s.call("a"))
}

func oneOutcome(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	for round := range 50 {
		ctx, hangup := context.WithCancel(s.ctx)
		w := s.waitCtx(ctx, desk.Caller{CallID: fmt.Sprint("c", round)})
		o := s.next(w)
		var wg sync.WaitGroup
		errs := make([]error, 3)
		wg.Go(func() { errs[0] = o.Answered() })
		wg.Go(func() { errs[1] = o.Failed(desk.NoAnswer) })
		wg.Go(func() { errs[2] = o.Failed(desk.Declined) })
		wg.Go(func() { w.Leave("gave up") })
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, desk.ErrOfferOver) {
				t.Fatal(err)
			}
		}
		out := o.Over()
		if out == desk.Cancelled && won != 0 || out != desk.Cancelled && won != 1 {
			t.Fatalf("outcome %q with %d reports accepted", out, won)
		}
		hangup()
		s.until(func() bool { st := s.op("8001").State; return st != desk.Talking && st != desk.Ringing }, "the operator is free")
		s.ok(s.Set(s.ctx, "8001", desk.Ready, ""))
	}
}

func setAside(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Misses: 2, AsideFor: -1})
	s.seat("8001")
	w := s.call("a")
	s.ok(s.next(w).Failed(desk.NoAnswer))
	s.ok(s.next(w).Failed(desk.NoAnswer))
	s.state("8001", desk.Away)
	s.none(w)
	if p := w.Place(); p.OnDuty != 0 {
		t.Fatalf("an operator set aside counts as on duty: %+v", p)
	}
	s.ok(s.Set(s.ctx, "8001", desk.Ready, ""))
	o := s.next(w)
	s.ok(o.Answered())
	if n := s.op("8001").Misses; n != 0 {
		t.Fatalf("an answer left %d misses", n)
	}
}

func setAsideWearsOff(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Misses: 1, AsideFor: 30 * time.Millisecond})
	s.seat("8001")
	w := s.call("a")
	s.ok(s.next(w).Failed(desk.NoAnswer))
	s.next(w)
}

func wrapUp(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{WrapUp: 40 * time.Millisecond})
	s.seat("8001")
	o := s.next(s.call("a"))
	s.ok(o.Answered())
	o.Done()
	s.becomes("8001", desk.Ready)
	s.put(desk.Operator{Extension: "8001", AutoReady: true, WrapUp: time.Hour})
	o = s.next(s.call("b"))
	s.ok(o.Answered())
	o.Done()
	o.Done()
	s.state("8001", desk.WrapUp)
	w := s.call("c")
	s.none(w)
	s.ok(s.Set(s.ctx, "8001", desk.Ready, ""))
	s.next(w)
}

func pendingBreak(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	o := s.next(s.call("a"))
	s.ok(s.Set(s.ctx, "8001", desk.Break, "交接班"))
	s.state("8001", desk.Ringing)
	s.ok(o.Answered())
	s.state("8001", desk.Talking)
	if n := s.op("8001").Next; n != desk.Break {
		t.Fatalf("next is %q", n)
	}
	o.Done()
	s.state("8001", desk.Break)
}

func declinedThenAnother(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Retry: time.Minute})
	s.seat("8001", "8002")
	w := s.call("a")
	o := s.next(w)
	s.ok(o.Failed(desk.Declined))
	other := s.next(w)
	if other.Operator.Extension == o.Operator.Extension {
		t.Fatalf("offered to %s again at once", o.Operator.Extension)
	}
	s.ok(other.Failed(desk.Busy))
	s.none(w) // both pause
	if m := s.op("8001").Misses; m != 0 {
		t.Fatalf("a refusal counted as %d misses", m)
	}
}

func place(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Handle: time.Minute})
	duty, err := s.Duty(s.ctx, desk.Caller{})
	s.ok(err)
	if duty.OnDuty != 0 || duty.Position != 1 || duty.Waiting != 1 {
		t.Fatalf("an empty desk: %+v", duty)
	}
	s.seat("8001", "8002")
	s.ok(s.next(s.call("a")).Answered())
	s.ok(s.next(s.call("b")).Answered())
	c, d := s.call("c"), s.call("d")
	if p := c.Place(); p.Position != 1 || p.Waiting != 2 || p.OnDuty != 2 || p.Expected <= 0 {
		t.Fatalf("first: %+v", p)
	}
	if p, q := d.Place(), c.Place(); p.Position != 2 || p.Expected <= q.Expected {
		t.Fatalf("second: %+v after %+v", p, q)
	}
	s.ok(s.Set(s.ctx, "8002", desk.Away, ""))
	if p := c.Place(); p.OnDuty != 1 {
		t.Fatalf("one leaves after this call: %+v", p)
	}
	c.Leave("gave up")
	if p := c.Place(); p.Position != 0 {
		t.Fatalf("after leaving: %+v", p)
	}
	if p := d.Place(); p.Position != 1 || p.Waiting != 1 {
		t.Fatalf("moved up: %+v", p)
	}
}

func changed(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	a, b := s.call("a"), s.call("b")
	s.until(func() bool {
		select {
		case <-b.Changed():
		default:
		}
		return b.Position() == 2
	}, "b is second")
	a.Leave("gave up")
	end := time.After(long)
	for b.Position() != 1 {
		select {
		case <-b.Changed():
		case <-end:
			t.Fatal("b was not told")
		}
	}
}

func full(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{MaxWaiting: 1})
	a := s.call("a")
	if _, err := s.Wait(s.ctx, desk.Caller{CallID: "b"}); !errors.Is(err, desk.ErrFull) {
		t.Fatalf("Wait on a full queue: %v", err)
	}
	if _, err := s.Wait(s.ctx, desk.Caller{CallID: "a"}); !errors.Is(err, desk.ErrWaiting) {
		t.Fatalf("Wait twice: %v", err)
	}
	a.Leave("gave up")
	s.call("b")
}

func events(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{WrapUp: time.Minute})
	ch := s.Subscribe(s.ctx)
	s.seat("8001")
	o := s.next(s.call("a"))
	s.ok(o.Answered())
	o.Done()
	want := []string{"operator offline", "operator ready", "joined", "operator ringing", "offered", "settled answered", "operator talking", "done", "operator wrapup"}
	var got []string
	last := uint64(0)
	for len(got) < len(want) {
		select {
		case ev := <-ch:
			if ev.Seq <= last || ev.At.IsZero() {
				t.Fatalf("event out of order: %+v after %d", ev, last)
			}
			last = ev.Seq
			line := string(ev.Kind)
			if ev.Kind == desk.OperatorChanged {
				line += " " + string(ev.State)
			}
			if ev.Kind == desk.OfferSettled {
				line += " " + string(ev.Outcome)
			}
			got = append(got, line)
		case <-time.After(long):
			t.Fatalf("events stopped after %v", got)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events\n%v\nwant\n%v", got, want)
	}
}

func removed(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001", "8002")
	o := s.next(s.call("a"))
	s.ok(o.Answered())
	s.ok(s.Remove(s.ctx, o.Operator.Extension))
	s.state(o.Operator.Extension, desk.Talking)
	o.Done()
	for _, v := range s.snap().Operators {
		if v.Extension == o.Operator.Extension {
			t.Fatalf("still there: %+v", v)
		}
	}
	s.ok(s.Remove(s.ctx, "8002"))
	s.none(s.call("b"))
	if err := s.Remove(s.ctx, "8002"); !errors.Is(err, desk.ErrUnknown) {
		t.Fatalf("removing twice: %v", err)
	}
}

func sweepClean(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Grace: time.Millisecond})
	s.seat("8001", "8002")
	s.ok(s.next(s.call("a")).Answered())
	s.next(s.call("b"))
	s.call("c")
	time.Sleep(5 * time.Millisecond)
	done, err := s.Sweep(s.ctx, desk.Reality{Registered: func(string) bool { return true }, Live: func(string) bool { return true }})
	s.ok(err)
	if len(done) != 0 {
		t.Fatalf("repaired what was right: %v", done)
	}
}

func sweepRegistration(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Grace: time.Millisecond})
	s.seat("8001")
	s.ok(s.Put(s.ctx, desk.Operator{Extension: "8002", AutoReady: true}))
	w := s.wait(desk.Caller{CallID: "a", Exclude: []string{"8001"}})
	time.Sleep(5 * time.Millisecond)
	done, err := s.Sweep(s.ctx, desk.Reality{Registered: func(e string) bool { return e == "8002" }})
	s.ok(err)
	if len(done) != 2 {
		t.Fatalf("repaired %v", done)
	}
	s.state("8001", desk.Offline)
	s.next(w)
}

func closed(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	a, b := s.call("a"), s.call("b")
	o := s.next(a)
	s.ok(s.Close())
	if _, err := b.Next(s.ctx); !errors.Is(err, desk.ErrLeft) {
		t.Fatalf("Next after Close: %v", err)
	}
	if err := o.Answered(); err == nil {
		t.Fatal("an offer of a closed board was taken")
	}
	if _, err := s.Wait(s.ctx, desk.Caller{CallID: "c"}); !errors.Is(err, desk.ErrClosed) {
		t.Fatalf("Wait after Close: %v", err)
	}
	s.ok(s.Close())
}
