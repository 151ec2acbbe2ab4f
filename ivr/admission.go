package ivr

import (
	"context"
	"errors"
	"sync"
	"time"

	"lianxin/contact"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Admission says which calls are let in before anything is spent on them. Zero fields do not restrict.
type Admission struct {
	PerCaller int            // calls at a time from one number; 1 while defending
	Channels  map[string]int // calls at a time that a trunk may bring
	DefendAt  float64        // new calls a second, over ten seconds, from which the hotline defends itself (TDoS); 0: only by hand
	Reserve   int            // lines that are kept for callers who are known, while defending; a fifth of MaxCalls when 0
	Proof     int            // callers who are asked at a time, while defending, for keys that tell people from machines, when they are not known; a tenth of MaxCalls when 0, nobody is asked when negative
	ProofWait time.Duration  // for the keys, after they were said; 10 s when 0
	Priority  []string       // numbers that are always let in, as digits
}

// Defence is whether the hotline defends itself against a flood of calls, and what that has kept out.
type Defence struct {
	On      bool
	ByHand  bool
	Since   time.Time
	Rate    float64           // new calls a second over the last ten
	Refused map[string]uint64 // since the start, by reason: "caller", "trunk", "reserve", "address", "proof"
	Proofs  map[Proof]uint64  // since the start: what callers made of the keys that tell people from machines
	Asking  int               // callers who are being asked
	Lanes   int               // how many may be at a time; 0: nobody is asked
}

const (
	defenceLasts  = time.Minute // below half the threshold before it ends
	rateWindow    = 10          // seconds
	perAddress    = 4           // calls at a time from one address outside of trunks, while defending
	lookups       = 4           // at a time
	lookupPatient = 200 * time.Millisecond
)

// admission is what the rules are applied with.
type admission struct {
	mu      sync.Mutex
	rules   Admission
	seconds [rateWindow]int // new calls of each of the last seconds
	last    int64
	hand    bool      // switched on by a person
	until   time.Time // on by itself, at least until then
	since   time.Time
	refused map[string]uint64
	proofs  map[Proof]uint64
	looking chan struct{}
}

// arrives counts a new call and returns the rate.
func (a *admission) arrives(now time.Time, one int) float64 {
	sec := now.Unix()
	if sec-a.last >= rateWindow || sec < a.last {
		a.seconds = [rateWindow]int{}
	} else {
		for s := a.last + 1; s <= sec; s++ {
			a.seconds[s%rateWindow] = 0
		}
	}
	a.last = sec
	a.seconds[sec%rateWindow] += one
	sum := 0
	for _, n := range a.seconds {
		sum += n
	}
	return float64(sum) / rateWindow
}

// Admit decides on a new call before anything is spent on it: (sip.Config).AdmitCall. A call that is not let in gets 503 with the time
// after which to try again.
func (h *Hotline) Admit(info sip.Info) (retryAfter time.Duration, ok bool) {
	if info.User != "" && info.Trunk == "" { // a telephone of the house
		return 0, true
	}
	now := h.now()
	a := &h.gate
	a.mu.Lock()
	rules := a.rules
	rate := a.arrives(now, 1)
	began := false
	if rules.DefendAt > 0 && rate >= rules.DefendAt {
		began = !a.on(now)
		if began {
			a.since = now
		}
		a.until = now.Add(defenceLasts)
	} else if rules.DefendAt > 0 && rate >= rules.DefendAt/2 && now.Before(a.until) {
		a.until = now.Add(defenceLasts)
	}
	defending := a.on(now)
	a.mu.Unlock()
	if began {
		h.log.Warn("ivr: a flood of calls: the hotline defends itself", "rate", rate)
		h.stopped.Go(func() { h.tellOfFlood(now, rate) })
	}

	number, _ := contact.ParsePhone(info.From)
	if rules.spared(info, number) {
		return 0, true
	}
	same, byTrunk, byAddress, all, asking := 0, 0, 0, 0, 0
	h.mu.Lock()
	for _, v := range h.live {
		all++
		if v.doubted {
			asking++
		}
		if !number.IsZero() && v.rec.Number == number {
			same++
		}
		if info.Trunk != "" && v.rec.Trunk == info.Trunk {
			byTrunk++
		}
		if info.Trunk == "" && v.call.Info().Remote.Addr() == info.Remote.Addr() {
			byAddress++
		}
	}
	h.mu.Unlock()

	most := rules.PerCaller
	if defending {
		most = 1
	}
	reserve := rules.Reserve
	if reserve <= 0 {
		reserve = h.MaxCalls() / 5
	}
	// Those who are asked for a proof may stand on half of the kept lines: who proves to be a person is known from then on.
	lanes := rules.proofLanes(h.MaxCalls())
	known := sync.OnceValue(func() bool { return h.knows(context.Background(), number) })
	why := ""
	switch limit := rules.Channels[info.Trunk]; {
	case limit > 0 && byTrunk >= limit:
		why = "trunk"
	case most > 0 && same >= most:
		why = "caller"
	case defending && info.Trunk == "" && byAddress >= perAddress:
		why = "address"
	case defending && h.MaxCalls() > 0 && all >= h.MaxCalls()-reserve+min(lanes, reserve/2) && !known():
		why = "reserve"
	case defending && lanes > 0 && asking >= lanes && !known():
		why = "proof"
	default:
		return 0, true
	}
	a.refuse(why)
	return 30 * time.Second, false
}

// refuse counts a call that is not let in.
func (a *admission) refuse(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refused == nil {
		a.refused = map[string]uint64{}
	}
	a.refused[why]++
}

// on says whether the hotline defends itself; a.mu is held.
func (a *admission) on(now time.Time) bool { return a.hand || now.Before(a.until) }

// knows says whether a number belongs to somebody whom we have served, by whatever way they came (whoever cannot hear has written to
// us), or who has proved to be a person within proofLasts: the lines that are left in a flood are theirs. Tickets count that were there
// before the flood. A database that is too busy to answer at once knows nobody.
func (h *Hotline) knows(ctx context.Context, number contact.Phone) bool {
	if number.IsZero() {
		return false
	}
	now := h.now()
	h.gate.mu.Lock()
	before := h.gate.since
	h.gate.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookupPatient)
	defer cancel()
	select {
	case h.gate.looking <- struct{}{}:
		defer func() { <-h.gate.looking }()
	case <-ctx.Done():
		return false
	}
	n := 0
	err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		hash := h.calls.Vault.HashPhone(number)
		n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM (SELECT 1 FROM call WHERE number_hash = $1
			AND (talk_ms > 0 OR ticket_id <> '' AND started < $2 OR proof = 'passed' AND started >= $3) LIMIT 1) AS known`,
			hash, storage.At(before), storage.At(now.Add(-proofLasts)))
		if err != nil || n > 0 {
			return err
		}
		p, err := h.cfg.Book.Find(tx, number)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err == nil {
			n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM (SELECT 1 FROM ticket WHERE contact_id = $1 AND opened_at < $2 LIMIT 1) AS known`, p.ID, storage.At(before))
		}
		return err
	})
	return err == nil && n > 0
}

// Defence tells whether the hotline defends itself.
func (h *Hotline) Defence() Defence {
	now := h.now()
	asking := 0
	h.mu.Lock()
	for _, v := range h.live {
		if v.doubted {
			asking++
		}
	}
	h.mu.Unlock()
	a := &h.gate
	a.mu.Lock()
	defer a.mu.Unlock()
	d := Defence{On: a.on(now), ByHand: a.hand, Rate: a.arrives(now, 0), Refused: map[string]uint64{}, Proofs: map[Proof]uint64{},
		Asking: asking, Lanes: a.rules.proofLanes(h.MaxCalls())}
	for p, n := range a.proofs {
		d.Proofs[p] = n
	}
	if d.On {
		d.Since = a.since
	}
	for why, n := range a.refused {
		d.Refused[why] = n
	}
	return d
}

// Defend switches the defence on by hand, or off.
func (h *Hotline) Defend(on bool) {
	now := h.now()
	a := &h.gate
	a.mu.Lock()
	defer a.mu.Unlock()
	if on && !a.on(now) {
		a.since = now
	}
	a.hand = on
	if !on {
		a.until = time.Time{}
	}
}

// tellOfFlood raises the alert that the hotline defends itself.
func (h *Hotline) tellOfFlood(at time.Time, rate float64) {
	ctx, cancel := after(context.Background())
	defer cancel()
	err := h.update(ctx, func(tx *storage.Tx) error {
		_, err := h.cfg.Office.RaiseAlert(tx, ticket.Alert{
			Key: "call_flood:" + h.cfg.Node + ":" + at.In(workday.Zone).Format("2006-01-02T15:04"), Rule: "call_flood", Level: ticket.Red, Subject: "node/" + h.cfg.Node,
			Title: "来电异常集中，已启动话务攻击防护", Evidence: "新来电速率超过阈值：同一号码只接一路，保留线路给曾经来电的群众；陌生号码先按两个数字键确认不是自动拨号，超出的来电提示稍后再拨。攻击平息一分钟后自动解除，也可在来电防护页手动控制。", By: ticket.System,
		})
		return err
	})
	if err != nil {
		h.log.Error("ivr: raise the alert of a flood of calls", "err", err, "rate", rate)
	}
}

// Longest a call may be in menus, and how long after its end a call may still be led before somebody looks into it.
const (
	longestMenu = 20 * time.Minute
	zombieAfter = time.Minute
)

// SetAdmission puts other rules in force for calls from now on.
func (h *Hotline) SetAdmission(rules Admission) {
	h.gate.mu.Lock()
	defer h.gate.mu.Unlock()
	h.gate.rules = rules
}

// SetMaxCalls puts another Config.MaxCalls in force. Calls that are up go on, however many they are.
func (h *Hotline) SetMaxCalls(n int) { h.most.Store(int64(n)) }

// MaxCalls is how many calls are led at a time; 0: no limit.
func (h *Hotline) MaxCalls() int { return int(h.most.Load()) }

// lookAfter ends what has lasted too long, and makes known what should have ended: it is called with every heartbeat.
func (h *Hotline) lookAfter() {
	now := h.now()
	h.mu.Lock()
	var lost, zombies []*visit
	for _, v := range h.live {
		if v.call == nil { // a call of ours that is being dialled
			continue
		}
		select {
		case <-v.call.Done():
			if end := v.call.End(); now.Sub(end.At) > zombieAfter && !v.zombie {
				v.zombie = true
				zombies = append(zombies, v)
			}
		default:
			if v.shown.Stage == StageBot && now.Sub(v.shown.Since) > longestMenu && !v.tired {
				v.tired = true
				lost = append(lost, v)
			}
		}
	}
	h.mu.Unlock()
	for _, v := range lost {
		v.did("在菜单中停留过久，结束通话")
		v.interrupt(errTooLong)
	}
	for _, v := range zombies {
		v.log.Error("ivr: a call that has ended is still being led", "stage", string(v.shown.Stage))
		v.interrupt(errOver)
	}
}
