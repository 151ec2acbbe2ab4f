package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// MatterOut is a matter of oversight in lists of the API.
type MatterOut struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	Number     string     `json:"number,omitempty"`
	State      string     `json:"state"`
	StateLabel string     `json:"state_label"`
	Title      string     `json:"title"`
	Note       string     `json:"note,omitempty"`
	Unit       string     `json:"unit,omitempty"`
	Topic      string     `json:"topic,omitempty"`
	Tickets    []string   `json:"tickets,omitempty" doc:"numbers of the tickets that the token may see"`
	Opened     time.Time  `json:"opened"`
	Due        *time.Time `json:"due,omitempty"`
	Closed     *time.Time `json:"closed,omitempty"`
}

// MatterWhole is a matter with its texts and what happened to it.
type MatterWhole struct {
	MatterOut
	Facts    map[string]string   `json:"facts"`
	Sections map[string][]string `json:"sections"`
	Timeline []MomentOut         `json:"timeline"`
}

// overseeAPI registers matters of oversight with the JSON API.
func (s *Server) overseeAPI(api huma.API) {
	huma.Get(api, "/api/v1/oversight/{kind}", s.apiMatters, named("list-matters", "Matters of oversight of a kind, the last opened first"))
	huma.Get(api, "/api/v1/oversight/{kind}/{id}", s.apiMatter, named("get-matter", "One matter by id or number"))
	huma.Post(api, "/api/v1/oversight/{kind}/act/{action}", s.apiOpenMatter, named("open-matter", "Open a matter: the action and fields of the form on its page"), created)
	huma.Post(api, "/api/v1/oversight/{kind}/{id}/act/{action}", s.apiMatterAct, named("act-on-matter", "Run a command on a matter: the action and fields of the form on its page"))
	s.dualAPI(api)
	s.paperAPI(api)
	s.sourceAPI(api)
	huma.Get(api, "/api/v1/warnings", s.apiWarnings, named("list-warning-rules", "Rules of early warning with their figures of the last days"))
}

func apiKind(kind string) (oversee.Kind, error) {
	k := oversee.Kind(kind)
	if !slices.Contains(overseeKinds, k) {
		return k, huma.Error404NotFound("there is no such kind of matter")
	}
	return k, nil
}

// overseer is who asks; a role that sees no matter of the kind is refused.
func overseer(ctx context.Context, k oversee.Kind) (org.Token, error) {
	t, _ := ctx.Value(tokenCtx{}).(org.Token)
	if !oversee.MaySee(k, ticket.Token(t)) {
		return t, huma.Error403Forbidden("the token's role does not see matters of kind " + string(k))
	}
	return t, nil
}

func (s *Server) matterOut(tx *storage.Tx, m oversee.Matter, by ticket.Actor, n names) (MatterOut, error) {
	h := oversee.Of(m)
	words, err := s.Oversight.Words(tx, m)
	if err != nil {
		return MatterOut{}, err
	}
	o := MatterOut{ID: h.ID, Kind: string(h.Kind), Number: h.Number, State: string(h.State), StateLabel: h.StateLabel(), Unit: h.Unit, Topic: h.Topic, Opened: h.OpenedAt, Due: stampOrNil(h.Due), Closed: stampOrNil(h.ClosedAt)}
	o.Title, o.Note = describe(m, words, n)
	for _, id := range h.Tickets {
		if t, err := s.Office.See(tx, id, by); err == nil {
			o.Tickets = append(o.Tickets, t.Number)
		}
	}
	return o, nil
}

func (s *Server) apiMatters(ctx context.Context, in *struct {
	Paging
	Kind   string `path:"kind" enum:"supervision,topic,consult,duty,expert,order,backcheck,clue,measure,watch,period,link,escalation,badrating,mediation,outreach,intervention"`
	State  string `query:"state"`
	Open   bool   `query:"open"`
	Ticket string `query:"ticket" doc:"id or number of a ticket"`
}) (*listOf[MatterOut], error) {
	k, err := apiKind(in.Kind)
	if err != nil {
		return nil, err
	}
	tok, err := overseer(ctx, k)
	if err != nil {
		return nil, err
	}
	by := ticket.Token(tok)
	out := &listOf[MatterOut]{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		f := oversee.Filter{Viewer: by, Kind: k, State: oversee.State(in.State), Open: in.Open, Limit: in.Limit, Offset: in.Offset}
		if in.Ticket != "" {
			t, err := s.Office.See(tx, in.Ticket, by)
			if err != nil {
				return err
			}
			f.Ticket = t.ID
		}
		n, err := readNames(tx, "zh-CN")
		if err != nil {
			return err
		}
		found, total, err := s.Oversight.List(tx, f)
		if err != nil {
			return err
		}
		rows := make([]MatterOut, len(found))
		for i, m := range found {
			if rows[i], err = s.matterOut(tx, m, by, n); err != nil {
				return err
			}
		}
		out = list(rows, total, func(x MatterOut) MatterOut { return x })
		return nil
	})
	if err != nil {
		return nil, s.problemOf("list matters", err)
	}
	return out, nil
}

// tokenUser is a token as the pages' code takes people.
func tokenUser(t org.Token) *user {
	return &user{Staff: org.Staff{ID: t.ID, Role: t.Role, Unit: t.Unit, Active: true}}
}

func (s *Server) apiMatter(ctx context.Context, in *struct {
	Kind string `path:"kind"`
	ID   string `path:"id" doc:"id or number"`
}) (*one[MatterWhole], error) {
	k, err := apiKind(in.Kind)
	if err != nil {
		return nil, err
	}
	tok, err := overseer(ctx, k)
	if err != nil {
		return nil, err
	}
	out := &one[MatterWhole]{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		m, err := s.Oversight.Get(tx, k, in.ID, ticket.Token(tok))
		if err != nil {
			return err
		}
		if f, is := m.(*oversee.WatchFlag); is {
			if err := s.Oversight.SeenWatch(tx, f, ticket.Token(tok)); err != nil {
				return err
			}
		}
		return s.wholeMatter(tx, m, tok, &out.Body)
	})
	if err != nil {
		return nil, s.problemOf("get matter", err)
	}
	return out, nil
}

func (s *Server) wholeMatter(tx *storage.Tx, m oversee.Matter, tok org.Token, out *MatterWhole) error {
	n, err := readNames(tx, "zh-CN")
	if err != nil {
		return err
	}
	v := &matterView{M: m, Kind: oversee.Of(m).Kind, H: *oversee.Of(m), me: tokenUser(tok), names: n, lang: "zh-CN", s: s, tx: tx, forAPI: true}
	if v.words, err = s.Oversight.Words(tx, m); err != nil {
		return err
	}
	if err := v.fill(); err != nil {
		return err
	}
	if out.MatterOut, err = s.matterOut(tx, m, ticket.Token(tok), n); err != nil {
		return err
	}
	out.Facts, out.Sections = map[string]string{}, map[string][]string{}
	for _, f := range v.Facts {
		out.Facts[f.Key[2:]] = f.Value
	}
	for _, x := range v.Sections {
		for _, i := range x.Items {
			text := i.Text
			if i.Head != "" {
				text = fmt.Sprintf("%s %s", i.Head, i.Text)
			}
			out.Sections[x.Key[2:]] = append(out.Sections[x.Key[2:]], text)
		}
	}
	moments, err := s.Oversight.Timeline(tx, m)
	if err != nil {
		return err
	}
	for _, x := range moments {
		if x.Type == "backcheck.accounted" && !oversee.SeesAccounts(ticket.Token(tok)) {
			continue
		}
		out.Timeline = append(out.Timeline, MomentOut{At: x.At, Type: x.Type, Label: v.Kind.StateLabel(x.State), Actor: x.Actor, Facts: x.Texts})
	}
	return nil
}

// ActIn are the fields of a form by their names.
type ActIn map[string][]string

func (s *Server) apiOpenMatter(ctx context.Context, in *struct {
	Kind   string `path:"kind"`
	Action string `path:"action"`
	Body   ActIn  `doc:"the form's fields, each with its values; dates are 2006-01-02, yes-or-no fields yes or no, units and staff ids"`
}) (*one[MatterWhole], error) {
	return s.apiAct(ctx, in.Kind, "", in.Action, "", in.Body)
}

func (s *Server) apiMatterAct(ctx context.Context, in *struct {
	Kind   string `path:"kind"`
	ID     string `path:"id"`
	Action string `path:"action"`
	On     string `query:"on" doc:"part of the matter that it is about, such as a finding"`
	Body   ActIn
}) (*one[MatterWhole], error) {
	return s.apiAct(ctx, in.Kind, in.ID, in.Action, in.On, in.Body)
}

func (s *Server) apiAct(ctx context.Context, kind, id, action, on string, body ActIn) (*one[MatterWhole], error) {
	k, err := apiKind(kind)
	if err != nil {
		return nil, err
	}
	a, known := findOverAct(k, action)
	if !known || a.opens != (id == "") {
		return nil, huma.Error404NotFound("there is no such action for this kind of matter")
	}
	tok, _ := ctx.Value(tokenCtx{}).(org.Token)
	if tok.ID == "" {
		return nil, huma.Error403Forbidden("a token is needed")
	}
	by := ticket.Token(tok)
	form := url.Values(body)
	if form == nil {
		form = url.Values{}
	}
	out := &one[MatterWhole]{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		c := overCommand{on: on, in: input{&http.Request{PostForm: form, Form: form}}, by: by, office: s.Office}
		if id != "" {
			m, err := s.Oversight.Get(tx, k, id, by)
			if err != nil {
				return err
			}
			c.id = oversee.Of(m).ID
		}
		m, err := a.do(s.Oversight, tx, c)
		if err != nil {
			return err
		}
		return s.wholeMatter(tx, m, tok, &out.Body)
	})
	if err != nil {
		return nil, s.problemOf("act on matter", err)
	}
	return out, nil
}

// WarningOut is a rule of early warning with its figures.
type WarningOut struct {
	Code      string  `json:"code"`
	Label     string  `json:"label"`
	Condition string  `json:"condition"`
	Off       bool    `json:"off,omitempty"`
	Raised    int     `json:"raised"`
	Acked     int     `json:"acked"`
	Disposed  int     `json:"disposed"`
	Noise     int     `json:"noise"`
	NoiseRate float64 `json:"noise_rate" doc:"false alarms among those disposed of"`
	Escalated int     `json:"escalated"`
}

func (s *Server) apiWarnings(ctx context.Context, in *struct {
	Days int `query:"days" minimum:"1" maximum:"400" default:"30"`
}) (*listOf[WarningOut], error) {
	if _, err := caller(ctx, org.ViewAlerts); err != nil {
		return nil, err
	}
	out := &listOf[WarningOut]{}
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		now := s.Now()
		rules, err := s.Oversight.RuleCounts(tx, now.AddDate(0, 0, -in.Days), now.Add(time.Minute))
		out = list(rules, len(rules), func(r oversee.RuleFigures) WarningOut {
			return WarningOut{r.Code, r.Label, r.Condition, r.Off, r.Raised, r.Acked, r.Disposed, r.Noise, r.NoiseRate(), r.Escalated}
		})
		return err
	})
	if err != nil {
		return nil, s.problemOf("list warnings", err)
	}
	return out, nil
}
