package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// markRoutes are the marks of callers' numbers, which rules of flows ask for (when: flag).
func (s *Server) markRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /marks", s.may(org.FlagCallers, s.markPage))
	mux.HandleFunc("POST /marks", s.may(org.FlagCallers, s.markPropose))
	mux.HandleFunc("POST /marks/{id}/decide", s.may(org.JudgeFlags, s.markDecide))
	mux.HandleFunc("POST /marks/{id}/lift", s.may(org.FlagCallers, s.markLift))
	mux.HandleFunc("POST /calls/{id}/mark", s.may(org.FlagCallers, s.markCaller))
}

type markView struct {
	Marks    []markRow
	Known    []markKind
	InFlow   []markKind // that the flow in force asks for
	Blocked  int        // numbers held off for nuisance, which flows see as a mark too
	MayJudge bool
	MayBlock bool
	Most     int
	Error    string
	Number   string
	Reason   string
}

type markKind struct{ Flag, Label string }

type markRow struct {
	contact.FlagEntry
	Kind      string
	Label     string
	Colour    string
	Proposer  string
	Decider   string
	Lifter    string
	MayDecide bool
	MayLift   bool
	Waiting   bool
}

func (s *Server) readMarks(r *http.Request, u *user) (v markView, err error) {
	v = markView{MayJudge: u.Can(org.JudgeFlags), MayBlock: u.Can(org.BlockCallers), Most: contact.MostFlagDays}
	for _, k := range contact.KnownFlags {
		v.Known = append(v.Known, markKind{k.Flag, k.Label})
	}
	if s.Flows != nil {
		for _, f := range flagsOf(s.Flows.State().Flow) {
			v.InFlow = append(v.InFlow, markKind{f, contact.FlagLabel(f)})
		}
	}
	now := s.Now()
	err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		list, err := s.Book.FlagEntries(tx, 200)
		if err != nil {
			return err
		}
		for _, f := range list {
			state := f.State(now)
			x := markRow{FlagEntry: f, Kind: contact.FlagLabel(f.Flag.Flag), Label: state.Label(), Proposer: n.Who(f.By), Decider: n.Who(f.DecidedBy), Lifter: n.Who(f.LiftedBy), Waiting: state == contact.FlagProposed}
			switch state {
			case contact.FlagInForce:
				x.Colour = "green"
			case contact.FlagProposed:
				x.Colour = "orange"
			}
			x.MayDecide = x.Waiting && v.MayJudge && f.By != u.Actor()
			x.MayLift = state == contact.FlagInForce && v.MayJudge || x.Waiting && f.By == u.Actor()
			v.Marks = append(v.Marks, x)
		}
		blocks, err := s.blocks().List(tx, 500)
		for _, b := range blocks {
			if b.State(now) == ivr.BlockInForce {
				v.Blocked++
			}
		}
		return err
	})
	return v, err
}

// flagsOf are the marks that the rules of a flow and of its sub-flows ask for.
func flagsOf(f *flow.Flow) (flags []string) {
	if f == nil {
		return nil
	}
	for _, one := range append([]*flow.Flow{f}, subsOf(f)...) {
		for _, n := range one.Nodes {
			for _, r := range n.Rules {
				if r.Flag != "" && !slices.Contains(flags, r.Flag) {
					flags = append(flags, r.Flag)
				}
			}
		}
	}
	slices.Sort(flags)
	return flags
}

func subsOf(f *flow.Flow) (list []*flow.Flow) {
	for _, name := range f.SubNames() {
		list = append(list, f.Subs[name])
	}
	return list
}

func (s *Server) markPage(w http.ResponseWriter, r *http.Request, u *user) {
	v, err := s.readMarks(r, u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "marks", "", "marks", v)
}

// markPropose proposes a mark for a number that is typed in.
func (s *Server) markPropose(w http.ResponseWriter, r *http.Request, u *user) {
	number := strings.TrimSpace(r.PostFormValue("number"))
	phone, err := contact.ParsePhone(number)
	if err == nil {
		err = s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.proposeMark(tx, r, phone, u) })
	}
	if err == nil {
		s.done(w, r, "/marks", translate(s.lang(r), "mark-proposed"))
		return
	}
	key := markProblem(err)
	if key == "" {
		s.fail(w, r, err)
		return
	}
	v, readErr := s.readMarks(r, u)
	if readErr != nil {
		s.fail(w, r, readErr)
		return
	}
	v.Error, v.Number, v.Reason = translate(s.lang(r), key), number, r.PostFormValue("reason")
	s.render(w, r, http.StatusUnprocessableEntity, "marks", "", "marks", v)
}

func (s *Server) proposeMark(tx *storage.Tx, r *http.Request, phone contact.Phone, u *user) error {
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil {
		days = 0
	}
	flag := strings.TrimSpace(r.PostFormValue("other"))
	if flag == "" {
		flag = r.PostFormValue("flag")
	}
	_, err = s.Book.ProposeFlag(tx, phone, flag, r.PostFormValue("reason"), days, u.Actor())
	return err
}

// markProblem is the text for what is wrong with a command on a mark; empty for what is no mistake of the reader.
func markProblem(err error) string {
	var number *contact.NumberError
	switch {
	case errors.As(err, &number):
		return "mark-bad-number"
	case errors.Is(err, contact.ErrFlag):
		return "mark-bad-word"
	case errors.Is(err, contact.ErrNoReason):
		return "reason-needed"
	case errors.Is(err, contact.ErrFlagDays):
		return "mark-bad-days"
	case errors.Is(err, contact.ErrFlagged):
		return "mark-there"
	case errors.Is(err, contact.ErrSamePerson):
		return "mark-same-person"
	case errors.Is(err, contact.ErrDecided):
		return "settle-gone"
	}
	return ""
}

// markCaller proposes a mark for the caller of a call whom the reader may see.
func (s *Server) markCaller(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		c, err := s.hearable(tx, r.PathValue("id"), ticket.Staff(u.Staff))
		if err != nil {
			return err
		}
		if c.Number.IsZero() {
			return storage.ErrNotFound
		}
		return s.proposeMark(tx, r, c.Number, u)
	})
	s.markDone(w, r, err, "mark-proposed")
}

func (s *Server) markDecide(w http.ResponseWriter, r *http.Request, u *user) {
	approve := r.PostFormValue("approve") == "yes"
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Book.DecideFlag(tx, r.PathValue("id"), approve, u.Actor())
		return err
	})
	key := "mark-refused"
	if approve {
		key = "mark-approved"
	}
	s.markDone(w, r, err, key)
}

func (s *Server) markLift(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		return s.liftMark(tx, r.PathValue("id"), r.PostFormValue("reason"), u.Actor(), u.Can(org.JudgeFlags))
	})
	s.markDone(w, r, err, "mark-lifted")
}

// liftMark takes a mark off; who may not judge marks takes back only what they have proposed themselves.
func (s *Server) liftMark(tx *storage.Tx, id, reason, actor string, judges bool) error {
	f, err := s.Book.FlagEntry(tx, id)
	if err != nil {
		return err
	}
	if !judges && (f.By != actor || f.State(s.Now()) != contact.FlagProposed) {
		return storage.ErrNotFound
	}
	return s.Book.LiftFlag(tx, id, actor, reason)
}

func (s *Server) markDone(w http.ResponseWriter, r *http.Request, err error, key string) {
	switch why := markProblem(err); {
	case err == nil:
		s.done(w, r, "/marks", translate(s.lang(r), key))
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case why != "":
		s.problem(w, r, http.StatusUnprocessableEntity, why)
	default:
		s.fail(w, r, err)
	}
}

func (s *Server) markAPI(api huma.API) {
	huma.Get(api, "/api/v1/caller-flags", s.apiMarks, named("list-caller-flags", "Marks of callers' numbers that flows ask for, and proposals"))
	huma.Post(api, "/api/v1/caller-flags", s.apiMark, named("propose-caller-flag", "Propose a mark for a number"), created)
	huma.Post(api, "/api/v1/caller-flags/{id}/decision", s.apiDecideMark, named("decide-caller-flag", "Approve or refuse a mark that somebody else has proposed"))
	huma.Post(api, "/api/v1/caller-flags/{id}/lift", s.apiLiftMark, named("lift-caller-flag", "Take a mark off, or a proposal back"))
}

// MarkOut is a mark of a number, or a proposal.
type MarkOut struct {
	ID        string     `json:"id"`
	Number    string     `json:"number" doc:"masked"`
	Flag      string     `json:"flag"`
	Label     string     `json:"label" doc:"zh-CN"`
	State     string     `json:"state" enum:"proposed,refused,in_force,expired,lifted"`
	Reason    string     `json:"reason"`
	Days      int        `json:"days,omitempty"`
	At        time.Time  `json:"at"`
	By        string     `json:"by"`
	DecidedBy string     `json:"decided_by,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
}

func (s *Server) markOut(f contact.FlagEntry) MarkOut {
	return MarkOut{ID: f.ID, Number: f.Person.Phone.Masked(), Flag: f.Flag.Flag, Label: contact.FlagLabel(f.Flag.Flag), State: string(f.State(s.Now())), Reason: f.Reason, Days: f.Days,
		At: f.At.In(workday.Zone), By: f.By, DecidedBy: f.DecidedBy, Until: stampOrNil(f.Until)}
}

// markAnswer turns an error of a command on a mark into one of the API.
func (s *Server) markAnswer(what string, err error) error {
	if err == nil {
		return nil
	}
	if key := markProblem(err); key != "" {
		return huma.Error422UnprocessableEntity(translate("zh-CN", key))
	}
	return s.problemOf(what, err)
}

func (s *Server) apiMarks(ctx context.Context, _ *struct{}) (*listOf[MarkOut], error) {
	if _, err := caller(ctx, org.FlagCallers); err != nil {
		return nil, err
	}
	var out *listOf[MarkOut]
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		items, err := s.Book.FlagEntries(tx, 500)
		out = list(items, len(items), s.markOut)
		return err
	})
	if err != nil {
		return nil, s.problemOf("list marks", err)
	}
	return out, nil
}

func (s *Server) apiMark(ctx context.Context, in *struct {
	Body struct {
		Number string `json:"number" minLength:"3" maxLength:"30"`
		Flag   string `json:"flag" pattern:"^[a-z][a-z0-9-]{1,30}$"`
		Reason string `json:"reason" minLength:"2" maxLength:"500"`
		Days   int    `json:"days" minimum:"1" maximum:"730"`
	}
}) (*one[MarkOut], error) {
	t, err := caller(ctx, org.FlagCallers)
	if err != nil {
		return nil, err
	}
	phone, err := contact.ParsePhone(in.Body.Number)
	if err != nil {
		return nil, s.markAnswer("propose a mark", err)
	}
	var out one[MarkOut]
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		f, err := s.Book.ProposeFlag(tx, phone, in.Body.Flag, in.Body.Reason, in.Body.Days, t.Actor())
		out.Body = s.markOut(f)
		return err
	})
	return &out, s.markAnswer("propose a mark", err)
}

func (s *Server) apiDecideMark(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body struct {
		Approve bool `json:"approve"`
	}
}) (*one[MarkOut], error) {
	t, err := caller(ctx, org.JudgeFlags)
	if err != nil {
		return nil, err
	}
	var out one[MarkOut]
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		f, err := s.Book.DecideFlag(tx, in.ID, in.Body.Approve, t.Actor())
		out.Body = s.markOut(f)
		return err
	})
	return &out, s.markAnswer("decide on a mark", err)
}

func (s *Server) apiLiftMark(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"2" maxLength:"200"`
	}
}) (*one[MarkOut], error) {
	t, err := caller(ctx, org.FlagCallers)
	if err != nil {
		return nil, err
	}
	var out one[MarkOut]
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		if err := s.liftMark(tx, in.ID, in.Body.Reason, t.Actor(), t.Can(org.JudgeFlags)); err != nil {
			return err
		}
		f, err := s.Book.FlagEntry(tx, in.ID)
		out.Body = s.markOut(f)
		return err
	})
	return &out, s.markAnswer("lift a mark", err)
}
