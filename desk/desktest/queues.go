package desktest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"lianxin/desk"
)

// What a board promises where operators serve several queues, and where waiting changes who may be rung.
var queueCases = []testCase{
	{"OperatorsAreRungForTheirQueuesOnly", ownQueues},
	{"TheHeavierQueueGoesFirst", weights},
	{"LowerLevelsAreRungFirst", levels},
	{"HigherLevelsAreRungAfterAWait", levelsWiden},
	{"SkillsWidenWithWaiting", skillsWiden},
	{"SomebodyWhoWillSuitLaterIsOnDuty", onDutyLater},
	{"QueuesHaveTheirOwnStrategyAndLimit", ownSettings},
	{"PlacesCountInTheOwnQueue", ownPlaces},
	{"ExpectedWaitCountsWhoeverGoesBefore", sharedWait},
	{"APlaceIsTakenOver", takenOver},
	{"APlaceIsTakenOverFromWhoRings", takenOverRinging},
	{"ThePlaceOfSomebodyAnsweredIsNotTakenOver", notTakenOver},
	{"SettingsOfQueuesCanChange", configured},
	{"TheSnapshotCountsByQueue", queueViews},
	{"LeavingAQueueTakesEffectForTheNextCaller", leavesQueue},
}

func ownQueues(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: "en"}}})
	zh, en := s.wait(desk.Caller{CallID: "zh", Queue: "zh"}), s.wait(desk.Caller{CallID: "en", Queue: "en"})
	if o := s.next(en); o.Operator.Extension != "8001" {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
	s.none(zh)
	if p := zh.Place(); p.OnDuty != 0 {
		t.Fatalf("an operator of another queue counts as on duty: %+v", p)
	}
	s.put(desk.Operator{Extension: "8002", AutoReady: true})
	if o := s.next(zh); o.Operator.Extension != "8002" {
		t.Fatalf("offered to %s", o.Operator.Extension)
	}
	// The queue without a name is everybody's.
	s.put(desk.Operator{Extension: "8003", AutoReady: true, Queues: []desk.Serves{{Queue: "ko"}}})
	s.next(s.call("somebody"))
}

func weights(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Queues: []desk.Queue{{Name: "police", Weight: 10}}})
	first, heavy := s.call("a"), s.wait(desk.Caller{CallID: "b", Queue: "police"})
	urgent := s.wait(desk.Caller{CallID: "c", Priority: 100})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: ""}, {Queue: "police"}}})
	for _, w := range []*desk.Waiter{urgent, heavy, first} {
		o := s.next(w)
		s.ok(o.Answered())
		o.Done()
	}
}

func levels(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Strategy: desk.Linear})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Rank: 1, Queues: []desk.Serves{{Queue: "", Level: 2}}})
	s.put(desk.Operator{Extension: "8002", AutoReady: true, Rank: 2, Queues: []desk.Serves{{Queue: "", Level: 1}}})
	s.put(desk.Operator{Extension: "8003", AutoReady: true, Rank: 3, Queues: []desk.Serves{{Queue: ""}}})
	var got []string
	for _, id := range []string{"a", "b", "c"} {
		got = append(got, s.next(s.call(id)).Operator.Extension)
	}
	if want := []string{"8003", "8002", "8001"}; !slices.Equal(got, want) {
		t.Fatalf("rung in the order %v, want %v", got, want)
	}
}

func levelsWiden(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Queues: []desk.Queue{{Name: "q", Widen: 60 * time.Millisecond}}})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: "q", Level: 2}}})
	long := s.wait(desk.Caller{CallID: "b", Queue: "q", Since: time.Now().Add(-time.Hour)})
	s.ok(s.next(long).Failed(desk.Declined)) // who has waited long enough is offered at once
	long.Leave("gave up")
	begin := time.Now()
	w := s.wait(desk.Caller{CallID: "a", Queue: "q"})
	s.next(w)
	if waited := time.Since(begin); waited < 110*time.Millisecond {
		t.Fatalf("level 2 was rung after %v, want 120 ms", waited)
	}
}

func skillsWiden(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	s.put(desk.Operator{Extension: "8002", AutoReady: true, Skills: []string{"zh"}})
	begin := time.Now()
	w := s.wait(desk.Caller{CallID: "a", Skills: []string{"ko", "zh"}, Widen: []desk.Wider{{After: 80 * time.Millisecond, Skills: []string{"zh"}}, {After: 160 * time.Millisecond}}})
	first := s.next(w)
	if waited := time.Since(begin); first.Operator.Extension != "8002" || waited < 70*time.Millisecond {
		t.Fatalf("%s was rung after %v, want 8002 after 80 ms", first.Operator.Extension, waited)
	}
	s.ok(s.Set(s.ctx, "8002", desk.Away, ""))
	s.ok(first.Failed(desk.Declined))
	second := s.next(w)
	if waited := time.Since(begin); second.Operator.Extension != "8001" || waited < 150*time.Millisecond {
		t.Fatalf("%s was rung after %v, want 8001 after 160 ms", second.Operator.Extension, waited)
	}
}

func onDutyLater(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	w := s.wait(desk.Caller{CallID: "a", Skills: []string{"ko"}, Widen: []desk.Wider{{After: time.Hour}}})
	s.none(w)
	if p := w.Place(); p.OnDuty != 1 {
		t.Fatalf("an operator who will do after a wait is not on duty: %+v", p)
	}
}

func ownSettings(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Queues: []desk.Queue{{Name: "all", Strategy: desk.RingAll, MaxWaiting: 1}}})
	all := []desk.Serves{{Queue: "all"}}
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: all})
	s.put(desk.Operator{Extension: "8002", AutoReady: true, Queues: all})
	w := s.wait(desk.Caller{CallID: "a", Queue: "all"})
	one, two := s.next(w), s.next(w)
	if _, err := s.Wait(s.ctx, desk.Caller{CallID: "b", Queue: "all"}); !errors.Is(err, desk.ErrFull) {
		t.Fatalf("the second caller of a queue for one: %v", err)
	}
	s.call("c") // another queue has room
	s.ok(one.Answered())
	s.over(two, desk.Lost)
}

func ownPlaces(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.call("a")
	s.call("b")
	w := s.wait(desk.Caller{CallID: "c", Queue: "en"})
	if p := w.Place(); p.Position != 1 || p.Waiting != 1 {
		t.Fatalf("the first of the queue: %+v", p)
	}
}

func sharedWait(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Handle: time.Minute})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: ""}, {Queue: "en"}}})
	s.ok(s.next(s.call("talks")).Answered())
	s.call("a")
	s.wait(desk.Caller{CallID: "b", Queue: "en", Priority: 1})
	s.wait(desk.Caller{CallID: "e", Queue: "nobody shares", Priority: 1})
	w := s.wait(desk.Caller{CallID: "c", Queue: "en"})
	other := s.wait(desk.Caller{CallID: "d", Queue: "nobody shares"})
	if p := w.Place(); p.Position != 2 || p.Expected != 3*time.Minute {
		t.Fatalf("one caller of this queue and one of another go before: %+v", p)
	}
	if p := other.Place(); p.Expected != 0 || p.OnDuty != 0 {
		t.Fatalf("nobody serves this queue: %+v", p)
	}
}

func takenOver(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	a, b, c := s.call("a"), s.call("b"), s.call("c")
	held := s.wait(desk.Caller{CallID: "held", Replaces: "b", Held: true})
	<-b.Left()
	if _, err := b.Next(s.ctx); !errors.Is(err, desk.ErrLeft) {
		t.Fatalf("Next of who was replaced: %v", err)
	}
	if p, q := held.Position(), c.Position(); p != 2 || q != 3 {
		t.Fatalf("the place taken over is %d and the next %d", p, q)
	}
	s.seat("8001")
	o := s.next(a)
	s.none(held)
	s.ok(o.Answered())
	o.Done()
	s.next(held)
}

func takenOverRinging(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	a, b := s.call("a"), s.call("b")
	o := s.next(a)
	held := s.wait(desk.Caller{CallID: "held", Replaces: "a"})
	s.over(o, desk.Cancelled)
	s.next(held) // and not b
	s.none(b)
}

func notTakenOver(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.seat("8001")
	o := s.next(s.call("a"))
	s.ok(o.Answered())
	for _, id := range []string{"a", "nobody"} {
		if _, err := s.Wait(s.ctx, desk.Caller{CallID: "held", Replaces: id}); !errors.Is(err, desk.ErrLeft) {
			t.Fatalf("taking over the place of %s: %v", id, err)
		}
	}
	o.Done()
}

func configured(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Queues: []desk.Queue{{Name: "q", Widen: time.Hour}}})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: "q", Level: 1}}})
	w := s.wait(desk.Caller{CallID: "a", Queue: "q"})
	s.none(w)
	s.ok(s.Configure(s.ctx, []desk.Queue{{Name: "q", MaxWaiting: 1}}))
	s.next(w)
	if _, err := s.Wait(s.ctx, desk.Caller{CallID: "b", Queue: "q"}); !errors.Is(err, desk.ErrFull) {
		t.Fatalf("Wait in a queue that was limited: %v", err)
	}
}

func queueViews(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{Queues: []desk.Queue{{Name: "empty"}}})
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: "en"}}})
	s.put(desk.Operator{Extension: "8002", AutoReady: true, Queues: []desk.Serves{{Queue: "en", Level: 1}}})
	s.ok(s.Set(s.ctx, "8002", desk.Break, "用餐"))
	s.wait(desk.Caller{CallID: "a", Queue: "ko", Since: time.Now().Add(-time.Minute)})
	s.wait(desk.Caller{CallID: "b", Queue: "ko", Held: true})
	got := map[string]desk.QueueView{}
	for _, q := range s.snap().Queues {
		got[q.Name] = q
	}
	if q := got["en"]; q.OnDuty != 2 || q.Ready != 1 || q.Waiting != 0 || !q.Since.IsZero() {
		t.Errorf("en: %+v", q)
	}
	if q := got["ko"]; q.OnDuty != 0 || q.Waiting != 2 || q.Held != 1 || time.Since(q.Since) < 50*time.Second {
		t.Errorf("ko: %+v", q)
	}
	if q, ok := got["empty"]; !ok || q.Waiting != 0 {
		t.Errorf("empty: %+v %t", q, ok)
	}
}

func leavesQueue(t *testing.T, open Factory) {
	s := set(t, open, desk.Options{})
	s.put(desk.Operator{Extension: "8001", AutoReady: true})
	ctx, hangup := context.WithCancel(s.ctx)
	defer hangup()
	o := s.next(s.waitCtx(ctx, desk.Caller{CallID: "a", Queue: "en"}))
	s.put(desk.Operator{Extension: "8001", AutoReady: true, Queues: []desk.Serves{{Queue: ""}}})
	s.ok(o.Answered()) // what rings goes on
	o.Done()
	s.none(s.wait(desk.Caller{CallID: "b", Queue: "en"}))
	s.next(s.call("c"))
}
