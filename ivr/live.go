package ivr

import (
	"context"
	"sort"
	"strings"
	"time"

	"lianxin/sip"
)

// Stage is what a live call is doing.
type Stage string

// The stages of a call.
const (
	StageArriving Stage = "arriving" // not answered yet
	StageBot      Stage = "bot"      // in the menus, or with the bot
	StageWaiting  Stage = "waiting"  // in the queue
	StageTalking  Stage = "talking"  // with an operator
	StageMessage  Stage = "message"  // leaving a message
	StageRating   Stage = "rating"   // after the talk
	StageDialling Stage = "dialling" // a call of ours: the operator's phone, and then the citizen's, rings
)

// Label is the stage on pages (zh-CN).
func (s Stage) Label() string {
	switch s {
	case StageArriving:
		return "呼入"
	case StageBot:
		return "智能应答"
	case StageWaiting:
		return "排队等候"
	case StageTalking:
		return "人工通话"
	case StageMessage:
		return "留言"
	case StageRating:
		return "评价"
	case StageDialling:
		return "外呼"
	}
	return string(s)
}

// LiveCall is a call that is up.
type LiveCall struct {
	ID        string
	Caller    string // masked number
	ContactID string
	Before    int // earlier calls from this number
	Dialled   string
	Stage     Stage
	Since     time.Time // of Stage
	Started   time.Time
	Node      string // where in the flow
	Operator  string // extension that rings or talks
	StaffID   string
	TicketID  string
	Urgent    bool

	Direction  Direction
	CallbackID string
	Held       bool      // the citizen hears music instead of people
	Police     time.Time // when 110 came into the call
	Parties    []LiveParty
}

// LiveParty is somebody in a conversation besides the citizen.
type LiveParty struct {
	Kind      PartyKind
	Label     string // extension, 110, or a masked number
	Extension string
	StaffID   string
	Mode      Mode // of a supervisor
	Ringing   bool
	Aside     bool // consulted, away from the citizen
	Held      bool // their phone holds the call
	Lead      bool // in charge of the call
	Since     time.Time
}

// Live lists the calls that are up on this program, the oldest first.
func (h *Hotline) Live() []LiveCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]LiveCall, 0, len(h.live))
	for _, v := range h.live {
		list = append(list, v.shown)
	}
	sort.Slice(list, func(i, j int) bool {
		return list[i].Started.Before(list[j].Started) || list[i].Started.Equal(list[j].Started) && list[i].ID < list[j].ID
	})
	return list
}

// IsLive says whether a call is up on this program; it is desk.Reality.Live.
func (h *Hotline) IsLive(callID string) bool {
	callID, _, _ = strings.Cut(callID, "/") // a call that is made for another lives with it
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[callID] != nil || h.desks[callID] != nil || h.held[callID] != nil
}

// Leg is the caller's leg of a call that is up, for supervisors and operator functions; nil when there is none.
func (h *Hotline) Leg(callID string) sip.Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.live[callID]; v != nil {
		return v.call
	}
	return nil
}

// Watch delivers a value after Live has changed, until ctx ends. Several changes may arrive as one.
func (h *Hotline) Watch(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	h.watchers[ch] = struct{}{}
	h.mu.Unlock()
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		delete(h.watchers, ch)
		h.mu.Unlock()
	})
	return ch
}

// show changes what Live tells of a call.
func (v *visit) show(change func(*LiveCall)) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	was := v.shown.Stage
	change(&v.shown)
	if v.shown.Stage != was {
		v.shown.Since = v.h.now()
	}
	v.h.tell()
}

// tell wakes the watchers; h.mu is held.
func (h *Hotline) tell() {
	for ch := range h.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Drain ends the hotline politely: calls that are up go on until ctx ends; those still up then hear that maintenance
// begins, their callers are promised a call-back, and they end. New calls hear the same at once. It returns when none is
// left, or after at most fifteen more seconds, with the number of calls that had to be ended.
func (h *Hotline) Drain(ctx context.Context) int {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	if h.empty(ctx) {
		return 0
	}
	h.mu.Lock()
	n := len(h.live)
	for _, v := range h.live {
		v.interrupt(errDraining)
	}
	h.mu.Unlock()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	h.empty(late)
	return n
}

// empty waits until no call is up; false when ctx ended first.
func (h *Hotline) empty(ctx context.Context) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		h.mu.Lock()
		n := len(h.live)
		h.mu.Unlock()
		if n == 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
