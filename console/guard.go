package console

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/audit"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// CallGuard is what keeps floods, scanners and nuisance away; its functions are nil where there is no exchange.
type CallGuard struct {
	Defence func() ivr.Defence
	Defend  func(on bool)
	Bans    func() []sip.Ban
	LiftBan func(netip.Addr) bool
}

func (s *Server) guardRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /guard", s.may(org.BlockCallers, s.guardPage))
	mux.HandleFunc("POST /guard/defend", s.may(org.JudgeBlocks, s.defend))
	mux.HandleFunc("POST /guard/bans/lift", s.may(org.JudgeBlocks, s.liftBan))
	mux.HandleFunc("POST /guard/{id}/decide", s.may(org.JudgeBlocks, s.decideBlock))
	mux.HandleFunc("POST /guard/{id}/lift", s.may(org.BlockCallers, s.liftBlock))
	mux.HandleFunc("POST /calls/{id}/block", s.may(org.BlockCallers, s.proposeBlock))
}

func (s *Server) blocks() ivr.Blocks {
	return ivr.Blocks{Vault: s.Book.Vault, Office: s.Office, Now: s.Now}
}

type guardView struct {
	Defence  *ivr.Defence
	Rate     string
	Refused  uint64
	Bans     []sip.Ban
	Blocks   []blockView
	MayJudge bool
	Most     int
}

type blockView struct {
	ivr.Block
	Label     string
	Colour    string
	By        string
	Decider   string
	MayDecide bool
	MayLift   bool
	Waiting   bool
}

func (s *Server) guardPage(w http.ResponseWriter, r *http.Request, u *user) {
	v := guardView{MayJudge: u.Can(org.JudgeBlocks), Most: ivr.MostBlockDays}
	if s.Guard.Defence != nil {
		d := s.Guard.Defence()
		v.Defence, v.Rate = &d, strconv.FormatFloat(d.Rate, 'f', 1, 64)
		for _, n := range d.Refused {
			v.Refused += n
		}
	}
	if s.Guard.Bans != nil {
		v.Bans = s.Guard.Bans()
		v.Bans = v.Bans[:min(len(v.Bans), 100)]
	}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		list, err := s.blocks().List(tx, 200)
		for _, b := range list {
			state := b.State(s.Now())
			x := blockView{Block: b, Label: state.Label(), By: n.Who(b.ProposedBy), Decider: n.Who(b.DecidedBy), Waiting: state == ivr.BlockProposed}
			switch state {
			case ivr.BlockInForce:
				x.Colour = "red"
			case ivr.BlockProposed:
				x.Colour = "orange"
			}
			x.MayDecide = x.Waiting && v.MayJudge && b.ProposedBy != u.Actor()
			x.MayLift = state == ivr.BlockInForce && v.MayJudge || x.Waiting && b.ProposedBy == u.Actor()
			v.Blocks = append(v.Blocks, x)
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "guard", "", "guard", v)
}

// orRefused shows why a room of the telephone refused, or that something went wrong; true when there was nothing.
func (s *Server) orRefused(w http.ResponseWriter, r *http.Request, err error) bool {
	var no *ivr.Refusal
	switch {
	case err == nil:
		return true
	case errors.As(err, &no):
		s.problem(w, r, http.StatusUnprocessableEntity, no.Message)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.fail(w, r, err)
	}
	return false
}

func (s *Server) proposeBlock(w http.ResponseWriter, r *http.Request, u *user) {
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil {
		days = 0
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.propose(tx, r.PathValue("id"), r.PostFormValue("reason"), days, ticket.Staff(u.Staff), u.Actor())
		return err
	})
	if s.orRefused(w, r, err) {
		s.done(w, r, "/guard", translate(s.lang(r), "block-proposed"))
	}
}

// propose proposes to hold the caller of a call off whom the proposer may see.
func (s *Server) propose(tx *storage.Tx, call, reason string, days int, by ticket.Actor, actor string) (ivr.Block, error) {
	c, err := s.hearable(tx, call, by)
	if err != nil {
		return ivr.Block{}, err
	}
	return s.blocks().Propose(tx, ivr.BlockProposal{Call: c, Reason: reason, Days: days, By: actor})
}

func (s *Server) decideBlock(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.blocks().Decide(tx, r.PathValue("id"), r.PostFormValue("approve") == "yes", u.Actor())
		return err
	})
	if s.orRefused(w, r, err) {
		http.Redirect(w, r, "/guard", http.StatusSeeOther)
	}
}

func (s *Server) liftBlock(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		b, err := s.blocks().Get(tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		if !u.Can(org.JudgeBlocks) && b.ProposedBy != u.Actor() {
			return storage.ErrNotFound
		}
		return s.blocks().Lift(tx, b.ID, r.PostFormValue("reason"), u.Actor())
	})
	if s.orRefused(w, r, err) {
		http.Redirect(w, r, "/guard", http.StatusSeeOther)
	}
}

func (s *Server) defend(w http.ResponseWriter, r *http.Request, u *user) {
	if err := s.switchDefence(r.Context(), r.PostFormValue("on") == "yes", u.Actor()); err != nil {
		s.orRefused(w, r, err)
		return
	}
	http.Redirect(w, r, "/guard", http.StatusSeeOther)
}

func (s *Server) switchDefence(ctx context.Context, on bool, actor string) error {
	if s.Guard.Defend == nil {
		return storage.ErrNotFound
	}
	typ := "calls.defence_off"
	if on {
		typ = "calls.defence_on"
	}
	err := s.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "calls", Type: typ, Actor: actor, At: s.Now()})
		return err
	})
	if err == nil {
		s.Guard.Defend(on)
	}
	return err
}

func (s *Server) liftBan(w http.ResponseWriter, r *http.Request, u *user) {
	if s.orRefused(w, r, s.unban(r.Context(), r.PostFormValue("source"), u.Actor())) {
		http.Redirect(w, r, "/guard", http.StatusSeeOther)
	}
}

func (s *Server) unban(ctx context.Context, source, actor string) error {
	ip, err := netip.ParseAddr(strings.TrimSpace(source))
	if err != nil || s.Guard.LiftBan == nil || !s.Guard.LiftBan(ip) {
		return storage.ErrNotFound
	}
	return s.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "calls", Type: "calls.ban_lifted", Actor: actor, At: s.Now(), Payload: map[string]any{"source": ip.String()}})
		return err
	})
}

// guardAPI are the operations on what keeps floods and nuisance away.
func (s *Server) guardAPI(api huma.API) {
	huma.Get(api, "/api/v1/guard", s.apiGuard, named("get-call-guard", "The defence against floods, and the sources that are banned"))
	huma.Put(api, "/api/v1/guard/defence", s.apiDefend, named("switch-defence", "Switch the defence against floods of calls on or off by hand"))
	huma.Delete(api, "/api/v1/guard/bans/{source}", s.apiLiftBan, named("lift-ban", "Listen to a banned source again"))
	huma.Get(api, "/api/v1/blocks", s.apiBlocks, named("list-blocks", "Numbers that are held off, and proposals"))
	huma.Post(api, "/api/v1/blocks", s.apiPropose, named("propose-block", "Propose to hold the caller of a call off"), created)
	huma.Post(api, "/api/v1/blocks/{id}/decision", s.apiDecide, named("decide-block", "Approve or refuse a proposal of somebody else"))
}

// GuardOut is the state of the guard.
type GuardOut struct {
	Defending bool              `json:"defending"`
	ByHand    bool              `json:"by_hand"`
	Since     *time.Time        `json:"since,omitempty"`
	Rate      float64           `json:"calls_per_second" doc:"new calls, over the last ten seconds"`
	Refused   map[string]uint64 `json:"refused" doc:"calls since the start, by reason"`
	Proofs    map[string]uint64 `json:"proofs" doc:"callers since the start who were asked for two keys, by what they made of it"`
	Asking    int               `json:"asking" doc:"callers who are being asked"`
	Lanes     int               `json:"proof_lines" doc:"how many may be asked at a time; 0: nobody is asked"`
	Bans      []BanOut          `json:"bans"`
}

// BanOut is a source that is not listened to.
type BanOut struct {
	Source string    `json:"source"`
	Why    string    `json:"why"`
	Until  time.Time `json:"until"`
	Times  int       `json:"times"`
	Kept   int64     `json:"kept_out"`
}

func (s *Server) apiGuard(ctx context.Context, _ *struct{}) (*one[GuardOut], error) {
	if _, err := caller(ctx, org.BlockCallers); err != nil {
		return nil, err
	}
	out := one[GuardOut]{Body: GuardOut{Refused: map[string]uint64{}, Proofs: map[string]uint64{}, Bans: []BanOut{}}}
	if s.Guard.Defence != nil {
		d := s.Guard.Defence()
		out.Body.Defending, out.Body.ByHand, out.Body.Since, out.Body.Rate, out.Body.Refused = d.On, d.ByHand, stampOrNil(d.Since), d.Rate, d.Refused
		out.Body.Asking, out.Body.Lanes = d.Asking, d.Lanes
		for p, n := range d.Proofs {
			out.Body.Proofs[string(p)] = n
		}
	}
	if s.Guard.Bans != nil {
		for _, b := range s.Guard.Bans() {
			out.Body.Bans = append(out.Body.Bans, BanOut{b.Source.String(), b.Why, b.Until.In(workday.Zone), b.Times, b.Kept})
		}
	}
	return &out, nil
}

func (s *Server) apiDefend(ctx context.Context, in *struct {
	Body struct {
		On bool `json:"on"`
	}
}) (*one[GuardOut], error) {
	t, err := caller(ctx, org.JudgeBlocks)
	if err != nil {
		return nil, err
	}
	if err := s.switchDefence(ctx, in.Body.On, t.Actor()); err != nil {
		return nil, s.problemOf("switch the defence", err)
	}
	return s.apiGuard(ctx, nil)
}

func (s *Server) apiLiftBan(ctx context.Context, in *struct {
	Source string `path:"source"`
}) (*struct{}, error) {
	t, err := caller(ctx, org.JudgeBlocks)
	if err != nil {
		return nil, err
	}
	if err := s.unban(ctx, in.Source, t.Actor()); err != nil {
		return nil, s.problemOf("lift a ban", err)
	}
	return nil, nil
}

// BlockOut is a number that is held off, or a proposal.
type BlockOut struct {
	ID         string     `json:"id"`
	Number     string     `json:"number" doc:"masked"`
	State      string     `json:"state" enum:"proposed,refused,in_force,expired,lifted"`
	Reason     string     `json:"reason"`
	CallID     string     `json:"call_id"`
	Days       int        `json:"days"`
	ProposedAt time.Time  `json:"proposed_at"`
	Expires    *time.Time `json:"expires,omitempty"`
	Hits       int        `json:"hits" doc:"calls that it held off"`
}

func (s *Server) blockOut(b ivr.Block) BlockOut {
	return BlockOut{ID: b.ID, Number: b.Number.Masked(), State: string(b.State(s.Now())), Reason: b.Reason, CallID: b.CallID, Days: b.Days,
		ProposedAt: b.ProposedAt.In(workday.Zone), Expires: stampOrNil(b.Expires), Hits: b.Hits}
}

func (s *Server) apiBlocks(ctx context.Context, _ *struct{}) (*listOf[BlockOut], error) {
	if _, err := caller(ctx, org.BlockCallers); err != nil {
		return nil, err
	}
	var out *listOf[BlockOut]
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		items, err := s.blocks().List(tx, 500)
		out = list(items, len(items), s.blockOut)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list blocks", err)
	}
	return out, nil
}

func (s *Server) apiPropose(ctx context.Context, in *struct {
	Body struct {
		CallID string `json:"call_id" minLength:"1"`
		Reason string `json:"reason" minLength:"4" maxLength:"500"`
		Days   int    `json:"days" minimum:"1" maximum:"30"`
	}
}) (*one[BlockOut], error) {
	t, err := caller(ctx, org.BlockCallers)
	if err != nil {
		return nil, err
	}
	var out one[BlockOut]
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		b, err := s.propose(tx, in.Body.CallID, in.Body.Reason, in.Body.Days, ticket.Token(t), t.Actor())
		if err == nil {
			out.Body = s.blockOut(b)
		}
		return err
	})
	return &out, s.blockProblem("propose a block", err)
}

func (s *Server) apiDecide(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body struct {
		Approve bool `json:"approve"`
	}
}) (*one[BlockOut], error) {
	t, err := caller(ctx, org.JudgeBlocks)
	if err != nil {
		return nil, err
	}
	var out one[BlockOut]
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		b, err := s.blocks().Decide(tx, in.ID, in.Body.Approve, t.Actor())
		if err == nil {
			out.Body = s.blockOut(b)
		}
		return err
	})
	return &out, s.blockProblem("decide on a block", err)
}

func (s *Server) blockProblem(what string, err error) error {
	var no *ivr.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		return huma.Error422UnprocessableEntity(no.Message, &huma.ErrorDetail{Location: "rule", Message: no.Code})
	}
	return s.problemOf(what, err)
}
