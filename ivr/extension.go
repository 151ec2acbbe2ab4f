package ivr

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"lianxin/org"
	"lianxin/sip"
	"lianxin/sip/media"
)

// What a telephone of the house dials besides numbers. docs/telephony.md lists them.
const (
	dialPickup  = "*8"  // *8 or *88002: the caller who waits longest, or for whom 8002 rings
	dialListen  = "*91" // *918002: listen to the call of 8002
	dialWhisper = "*92"
	dialBarge   = "*93"
)

// Private says of a called number that only telephones of the house may call it: feature codes and extensions. It is
// sip.Config.Private.
func (h *Hotline) Private(to string) bool {
	if to == "" || to == h.cfg.Number {
		return false
	}
	if strings.HasPrefix(to, "*") || strings.HasPrefix(to, "#") {
		return true
	}
	if len(to) > 6 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return h.isExtension(ctx, to)
}

// fromDesk says whether a call comes from a telephone of the house and is not for the hotline.
func (h *Hotline) fromDesk(i sip.Info) bool {
	return i.User != "" && i.Trunk == "" && i.To != h.cfg.Number
}

// serveDesk leads a call that a telephone of the house makes: a feature code, a colleague, or a number outside.
func (h *Hotline) serveDesk(ctx context.Context, call sip.Call) {
	info := call.Info()
	who, known := h.staff(ctx, info.User)
	var no *Refusal
	code := func(prefix string) string { return strings.TrimPrefix(info.To, prefix) }
	switch who.Extension = info.User; {
	case !known:
		no = refuse("forbidden", "该分机没有登记人员")
	case strings.HasPrefix(info.To, dialListen):
		no = h.superviseFrom(ctx, call, who, Listen, code(dialListen))
	case strings.HasPrefix(info.To, dialWhisper):
		no = h.superviseFrom(ctx, call, who, Whisper, code(dialWhisper))
	case strings.HasPrefix(info.To, dialBarge):
		no = h.superviseFrom(ctx, call, who, Barge, code(dialBarge))
	case strings.HasPrefix(info.To, dialPickup):
		no = h.pickUpFrom(ctx, call, who, code(dialPickup))
	case strings.HasPrefix(info.To, "*"):
		no = refuse("target", "没有功能码“%s”", cut(info.To, 20))
	default:
		no = h.deskCall(ctx, call, who)
	}
	if no == nil {
		return
	}
	h.log.Info("ivr: a call from a desk was refused", "extension", info.User, "code", no.Code)
	if err := call.Reject(statusFor(no), ""); errors.Is(err, sip.ErrNotNow) {
		_ = call.Media().Play(ctx, busyTone) // it has been answered
	}
}

// busyTone is what somebody hears whose call did not come about (GF 002-9002: 450 Hz, 0.35 s on and off).
var busyTone = func() *media.Prompt {
	one := append(media.Tone([]float64{450}, 350*time.Millisecond).PCM(), make([]int16, media.Rate*35/100)...)
	var pcm []int16
	for range 3 {
		pcm = append(pcm, one...)
	}
	p, err := media.NewPrompt("busy", media.Rate, pcm)
	if err != nil {
		panic(err) // a constant of this program
	}
	return p
}()

// deskCall is a call that a telephone of the house has made: to a colleague or outside. It may be taken over by a transfer of the same
// phone (RFC 3891).
type deskCall struct {
	ext string // whose phone
	leg string // its leg
	to  target

	mu    sync.Mutex
	far   *farEnd
	taken chan struct{}
	gone  bool
}

// farEnd is the other end of a deskCall, with the seat that is held for it.
type farEnd struct {
	call    sip.Call
	staffID string
	done    func()
}

// take gives the far end to somebody else; nil when there is none, or no more.
func (x *deskCall) take() *farEnd {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.far == nil || x.gone {
		return nil
	}
	x.gone = true
	close(x.taken)
	return x.far
}

// end says that the call is over; false when somebody else has taken the far end.
func (x *deskCall) end() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone {
		return false
	}
	x.gone = true
	return true
}

func (h *Hotline) enterDesk(x *deskCall) (leave func()) {
	h.mu.Lock()
	h.desks[x.leg] = x
	h.mu.Unlock()
	return func() {
		h.mu.Lock()
		delete(h.desks, x.leg)
		h.mu.Unlock()
	}
}

// deskCallOf finds the call that a leg of a telephone of the house has made.
func (h *Hotline) deskCallOf(leg string) *deskCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.desks[leg]
}

// deskCall connects a telephone of the house with whom it has dialled.
func (h *Hotline) deskCall(ctx context.Context, call sip.Call, who org.Staff) *Refusal {
	t, no := h.targetOf(ctx, call.Info().To)
	if no == nil {
		no = h.mayReach(who, t)
	}
	if no != nil {
		return no
	}
	if t.goal == toQueue || t.goal == toMenu || t.goal == toMessage || t.value == who.Extension {
		return refuse("target", "不能拨打“%s”", t.label())
	}
	if f, ok := call.(sip.Featured); ok {
		f.OnRefer(func(q *sip.Refer) int { return h.referredHere(call, who, q) })
	}
	x := &deskCall{ext: who.Extension, leg: call.ID(), to: t, taken: make(chan struct{})}
	defer h.enterDesk(x)()
	back := h.occupy(ctx, who.Extension, "内部通话")
	if t.goal != toExtension {
		return h.deskOut(ctx, call, who, x, back)
	}
	defer back()
	if err := call.Ring(ctx); err != nil {
		return refuse("gone", "已挂机")
	}
	seat, err := h.reserve(ctx, call.ID()+"/desk", who.Extension, t.value, "内部通话")
	if err != nil {
		return whyNot(err)
	}
	ringing, cancel := context.WithDeadline(ctx, seat.Deadline)
	defer cancel()
	far, err := h.cfg.Dial(ringing, t.dialled(), sip.DialOpt{From: who.Extension, Display: cut(who.Name, 20), Timeout: time.Until(seat.Deadline),
		Codec: call.Info().Codec, Follow: true})
	if err != nil {
		no := whyNot(err)
		seat.failed(outcomeFor(no))
		return no
	}
	if err := seat.answered(); err != nil {
		h.part(ctx, far)
		seat.done()
		return refuse("noanswer", "无人接听")
	}
	x.mu.Lock()
	x.far = &farEnd{call: far, staffID: seat.StaffID, done: seat.done}
	x.mu.Unlock()
	if err := call.Answer(ctx); err == nil {
		h.bridge(ctx, call, far, x.taken)
	}
	if x.end() {
		h.part(ctx, far)
		seat.done()
	}
	h.part(ctx, call)
	return nil
}

// bridge lets two telephones talk until either hangs up or the far one is taken away.
func (h *Hotline) bridge(ctx context.Context, a, b sip.Call, taken <-chan struct{}) {
	conf := media.NewConference()
	defer conf.Close()
	for _, c := range []sip.Call{a, b} {
		if err := conf.Join(c.Media(), media.Party); err != nil {
			return
		}
	}
	for one, other := range map[sip.Call]sip.Call{a: b, b: a} {
		if f, ok := one.(sip.Featured); ok {
			f.OnHold(func(on bool) {
				role := media.Party
				if on {
					role = media.Aside
					if m, err := h.cfg.Prompts.Get("music.wait"); err == nil {
						other.Media().Loop(m) // heard while nobody else is
					}
				}
				_ = conf.Change(one.Media(), role)
				_ = conf.Change(other.Media(), role)
			})
		}
	}
	select {
	case <-a.Done():
	case <-b.Done():
	case <-taken:
	case <-ctx.Done():
	}
}

// referredHere answers a REFER in a call that a telephone of the house has made: an attended transfer may come in this dialog, naming
// the one with the citizen.
func (h *Hotline) referredHere(call sip.Call, who org.Staff, q *sip.Refer) int {
	x := h.deskCallOf(call.ID())
	if x == nil || q.Replaces == nil {
		return 403
	}
	r, p := h.roomOfLeg(q.Replaces.ID())
	if r == nil || p.ext != who.Extension {
		return 403
	}
	h.stopped.Go(func() { r.attended(p, x, q.Report) })
	return 202
}

// part hangs a telephone up.
func (h *Hotline) part(ctx context.Context, c sip.Call) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := c.Hangup(ctx); err != nil && !errors.Is(err, sip.ErrEnded) {
		h.log.Debug("ivr: hang up", "err", err)
	}
}
