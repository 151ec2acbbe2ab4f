package ivr

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lianxin/sip"
	"lianxin/sip/media"
)

// PartyKind is what somebody is in a conversation, besides the citizen.
type PartyKind string

// The kinds of parties.
const (
	PartyOperator   PartyKind = "operator"   // a colleague, in charge of the call or called in
	PartyOutside    PartyKind = "outside"    // 110, an interpreter, a unit: reached through a trunk
	PartySupervisor PartyKind = "supervisor" // listens, whispers or has barged in
)

// Mode is how a supervisor is in a conversation.
type Mode string

// The modes of a supervisor.
const (
	Listen  Mode = "listen"  // 监听: hears everybody, is heard by nobody
	Whisper Mode = "whisper" // 密语: is heard by the operator alone
	Barge   Mode = "barge"   // 强插: is heard by everybody
)

// Label is the mode for staff (zh-CN).
func (m Mode) Label() string {
	switch m {
	case Listen:
		return "监听"
	case Whisper:
		return "密语"
	case Barge:
		return "强插"
	}
	return string(m)
}

// room is a conversation: the citizen, the operator in charge, and whoever those bring in. Its state is what mu guards; the sound
// follows it by settle. Nothing in here waits for the network with mu held.
type room struct {
	v    *visit
	h    *Hotline
	ctx  context.Context // the citizen's leg
	main *media.Conference
	side *media.Conference // the operator in charge and whom they consult, away from the citizen

	mu      sync.Mutex
	parties []*party // up or ringing, in the order in which they came
	lead    *party   // the operator in charge; nil when they have left the call to others
	held    bool     // the operator has put the citizen on hold
	then    string   // where the call goes when nobody is left
	closed  bool
	broke   bool   // the last party's line failed rather than ended
	police  bool   // 110 is or was in the call
	music   func() // stops what the citizen hears meanwhile; nil when they hear people

	taken   <-chan struct{} // closed when a transfer takes the citizen away; nil where none can
	kick    chan struct{}
	running sync.WaitGroup
}

// Where a call goes when the conversation has ended.
const (
	thenEnd     = ""
	thenBroke   = "broke" // the operator's line failed: another one
	thenQueue   = "queue"
	thenMenu    = "menu"
	thenMessage = "message"
)

// purpose is why a party was called.
type purpose string

const (
	forTalk      purpose = "talk"
	forTransfer  purpose = "transfer"
	forConsult   purpose = "consult"
	forJoin      purpose = "join"
	forRecall    purpose = "recall"
	forSupervise purpose = "supervise"
)

// party is one of the others in a conversation.
type party struct {
	kind    PartyKind
	to      target
	ext     string // of a colleague or supervisor
	staffID string
	why     purpose
	mode    Mode
	call    sip.Call // nil while it rings
	held    bool     // their phone holds us
	aside   bool     // consulted, away from the citizen
	police  bool
	since   time.Time
	done    func() // gives the seat back
	stop    context.CancelCauseFunc
	tell    func(code int) // how it goes, for a phone that asked for it by REFER
	from    *party         // who had it called, to fall back to
	tone    func()         // stops the ringing that whoever waits for it hears
}

func (p *party) up() bool { return p.call != nil }

// talks says whether the citizen talks with them, or would.
func (p *party) talks() bool {
	return p.up() && !p.aside && (p.kind != PartySupervisor || p.mode == Barge)
}

func newRoom(ctx context.Context, v *visit) *room {
	r := &room{v: v, h: v.h, ctx: ctx, main: media.NewConference(), side: media.NewConference(), kick: make(chan struct{}, 1)}
	if err := r.main.Join(v.call.Media(), media.Party); err != nil {
		v.log.Debug("ivr: the citizen's sound", "err", err)
	}
	v.h.mu.Lock()
	v.room = r
	v.h.mu.Unlock()
	return r
}

// seat lets the operator in who has answered.
func (r *room) seat(call sip.Call, ext, staffID string, done func()) {
	p := &party{kind: PartyOperator, to: target{goal: toExtension, value: ext}, ext: ext, staffID: staffID, why: forTalk, done: done, since: r.h.now()}
	r.mu.Lock()
	r.parties = append(r.parties, p)
	r.lead = p
	r.arrive(p, call)
	r.mu.Unlock()
}

// run lasts as long as somebody is there to talk with the citizen, or on the way to. It returns where the call goes on, or an error
// when the citizen has gone.
func (r *room) run(ctx context.Context) (then string, err error) {
	defer r.close()
	for {
		if then, over := r.finished(); over {
			return then, nil
		}
		select {
		case <-r.kick:
		case <-r.taken:
			return "", errTakenOver
		case <-r.v.call.Done():
			return "", media.ErrClosed
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// finished says whether nobody is left, and where the call goes then.
func (r *room) finished() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parties {
		if p.kind == PartySupervisor && (!p.up() || p.mode != Barge) {
			continue
		}
		return "", false
	}
	if r.then == thenEnd && r.broke {
		return thenBroke, true
	}
	return r.then, true
}

// close sends everybody home.
func (r *room) close() {
	r.mu.Lock()
	r.closed = true
	ps := r.parties
	r.parties, r.lead = nil, nil
	r.unmusic()
	r.mu.Unlock()
	for _, p := range ps {
		r.dismiss(p)
	}
	r.side.Close()
	r.main.Close()
	r.running.Wait()
	r.h.mu.Lock()
	if r.v.room == r {
		r.v.room = nil
	}
	r.h.mu.Unlock()
	r.v.show(func(l *LiveCall) { l.Held, l.Parties = false, nil })
}

// dismiss ends a party's call, or its ringing, and gives its seat back.
func (r *room) dismiss(p *party) {
	if p.stop != nil {
		p.stop(errOver)
	}
	r.mu.Lock()
	call, done, tone := p.call, p.done, p.tone
	p.done, p.tone = nil, nil
	r.mu.Unlock()
	if tone != nil {
		tone()
	}
	if call != nil {
		r.v.hangup(r.ctx, call)
	}
	if done != nil {
		done()
	}
}

// arrive lets a party whose phone has answered take part. mu is held.
func (r *room) arrive(p *party, call sip.Call) {
	p.call, p.since = call, r.h.now()
	r.heed(p)
	r.running.Go(func() { r.watch(p, call) })
	r.settle()
	r.poke()
}

// watch waits for a party to hang up.
func (r *room) watch(p *party, call sip.Call) {
	select {
	case <-call.Done():
	case <-r.ctx.Done(): // close hangs up
		return
	}
	r.mu.Lock()
	if p.call != call || r.closed || !slices.Contains(r.parties, p) { // replaced, or sent away
		r.mu.Unlock()
		return
	}
	end := call.End()
	broke := end.By == sip.ByNetwork || end.By == sip.ByTimeout
	r.left(p, broke)
	r.mu.Unlock()
	r.dismiss(p)
}

// left takes a party that is gone off the list, and says what that means for the others. mu is held.
func (r *room) left(p *party, broke bool) {
	r.parties = slices.DeleteFunc(r.parties, func(x *party) bool { return x == p })
	r.main.Leave(mediaOf(p))
	r.side.Leave(mediaOf(p))
	r.broke = broke && p.kind != PartySupervisor
	switch {
	case p == r.lead:
		r.lead, r.held = nil, false
		r.inherit(p)
	case p.kind == PartySupervisor:
		r.v.did(p.mode.Label() + "结束 " + p.ext)
	default:
		r.v.did("已离开 " + p.to.label())
	}
	r.settle()
	r.poke()
}

// inherit decides what becomes of whom the operator in charge had called, now that they have left: whoever they consulted has the
// call, and so has whom they were still having rung. mu is held.
func (r *room) inherit(gone *party) {
	for _, p := range r.parties {
		if p.why == forConsult {
			p.aside, p.why = false, forTransfer
			if p.up() {
				p.why = forTalk
				r.v.did("转接完成 " + p.to.label())
				r.take(p)
			}
		}
		if tone := p.tone; tone != nil && p.from == gone {
			p.tone = nil
			tone()
		}
	}
	if r.lead == nil {
		for _, p := range r.parties {
			if p.up() && p.kind == PartyOperator {
				r.take(p)
				break
			}
		}
	}
}

// take puts a colleague in charge. mu is held.
func (r *room) take(p *party) {
	if p.kind != PartyOperator || r.lead == p {
		return
	}
	r.lead, r.held = p, false
	r.v.note(func(rec *Record) { rec.Operator, rec.StaffID = p.ext, p.staffID })
}

func mediaOf(p *party) *media.Leg {
	if p.call == nil {
		return nil
	}
	return p.call.Media()
}

// settle makes the sound, and what pages show, what the state says. mu is held.
func (r *room) settle() {
	if r.closed {
		return
	}
	consulting := slices.ContainsFunc(r.parties, func(p *party) bool { return p.why == forConsult && p.aside })
	talkers := 0
	for _, p := range r.parties {
		if !p.up() {
			continue
		}
		away := p.aside || p == r.lead && consulting
		if p.kind != PartySupervisor && !away && !p.held {
			talkers++
		}
		from, to := r.main, r.side
		if !away {
			from, to = r.side, r.main
		}
		from.Leave(p.call.Media())
		place(to, p.call.Media(), r.role(p, consulting))
	}
	alone := r.held || talkers == 0
	role := media.Party
	if alone {
		role = media.Aside
	}
	place(r.main, r.v.call.Media(), role)
	if alone && r.music == nil {
		if m, err := r.h.cfg.Prompts.Get("music.wait"); err == nil {
			r.music = r.v.call.Media().Loop(m)
		}
	} else if !alone {
		r.unmusic()
	}
	r.show(alone)
}

func (r *room) unmusic() {
	if r.music != nil {
		r.music()
		r.music = nil
	}
}

// place makes a leg a member with a role.
func place(c *media.Conference, l *media.Leg, role media.Role) {
	if err := c.Join(l, role); errors.Is(err, media.ErrMember) {
		_ = c.Change(l, role)
	}
}

// role says whom a party hears and who hears it. mu is held.
func (r *room) role(p *party, consulting bool) media.Role {
	switch {
	case p.held:
		return media.Aside
	case p.kind != PartySupervisor || p.mode == Barge:
		return media.Party
	case p.mode == Whisper && r.lead != nil && r.lead.up() && !consulting:
		return media.Whisper(r.lead.call.Media())
	}
	return media.Listener
}

// show tells pages who is in the conversation. mu is held.
func (r *room) show(alone bool) {
	list := make([]LiveParty, 0, len(r.parties))
	for _, p := range r.parties {
		list = append(list, LiveParty{Kind: p.kind, Label: p.to.label(), Extension: p.ext, StaffID: p.staffID, Mode: p.mode, Ringing: !p.up(),
			Aside: p.aside, Held: p.held, Lead: p == r.lead, Since: p.since})
	}
	lead := r.lead
	r.v.show(func(l *LiveCall) {
		l.Held, l.Parties = alone && len(list) > 0, list
		if lead != nil {
			l.Operator, l.StaffID = lead.ext, lead.staffID
		} else {
			l.Operator, l.StaffID = "", ""
		}
	})
}

func (r *room) poke() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// heed listens to what a party's phone asks for: hold, transfer, another phone in its place, keys. mu is held.
func (r *room) heed(p *party) {
	call := p.call
	if f, ok := call.(sip.Featured); ok {
		f.OnHold(func(on bool) { r.phoneHolds(p, call, on) })
		if p.kind == PartyOperator {
			f.OnRefer(func(q *sip.Refer) int { return r.referred(p, q) })
			f.OnReplaced(func(ctx context.Context, by sip.Call) { r.replaced(ctx, p, by) })
		}
	}
	if p.kind == PartyOperator {
		r.running.Go(func() { r.readStars(p, call) })
	}
}

// phoneHolds follows the hold key of a party's telephone.
func (r *room) phoneHolds(p *party, call sip.Call, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.call != call || p.held == on || r.closed {
		return
	}
	p.held = on
	if p == r.lead {
		r.v.did(map[bool]string{true: "保持（话机）", false: "取回（话机）"}[on])
	}
	r.settle()
}

// replaced lets another phone take a party's place (RFC 3891): the same person's, who goes on at another desk.
func (r *room) replaced(ctx context.Context, p *party, by sip.Call) {
	if by.Info().User != p.ext {
		_ = by.Reject(403, "")
		return
	}
	if err := by.Answer(ctx); err != nil {
		return
	}
	r.mu.Lock()
	if r.closed || !slices.Contains(r.parties, p) {
		r.mu.Unlock()
		return
	}
	old := p.call
	r.main.Leave(old.Media())
	r.side.Leave(old.Media())
	p.held = false
	r.arrive(p, by)
	r.v.did("换机接听 " + p.ext)
	r.mu.Unlock()
	r.v.hangup(ctx, old)
	<-by.Done()
}
