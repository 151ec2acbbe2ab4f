package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// EventOversight says that a matter of oversight changed.
const EventOversight = "oversight"

// overseeKinds are the kinds of matters that have pages, in the order of the tabs.
var overseeKinds = []oversee.Kind{oversee.KindSupervision, oversee.KindTopic, oversee.KindConsult, oversee.KindOrder, oversee.KindBackcheck, oversee.KindClue, oversee.KindMeasure,
	oversee.KindMediation, oversee.KindIntervention, oversee.KindOutreach, oversee.KindBad, oversee.KindEscalation, oversee.KindDuty, oversee.KindExpert, oversee.KindPeriod, oversee.KindWatch, oversee.KindLink}

func (s *Server) overseeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /oversee/{kind}", s.signedIn(s.matterList))
	mux.HandleFunc("GET /oversee/{kind}/live", s.signedIn(s.matterListLive))
	mux.HandleFunc("POST /oversee/{kind}/act/{action}", s.signedIn(s.matterAct))
	mux.HandleFunc("GET /oversee/{kind}/{id}", s.signedIn(s.matterPage))
	mux.HandleFunc("POST /oversee/{kind}/{id}/act/{action}", s.signedIn(s.matterAct))
	s.sourceRoutes(mux)
	s.paperRoutes(mux)
	mux.HandleFunc("GET /oversee/rules", s.may(org.ViewAlerts, s.warnRules))
	mux.HandleFunc("POST /oversee/rules", s.may(org.ManageRules, s.setWarnRules))
	mux.HandleFunc("GET /oversee/rules/settings", s.may(org.ManageRules, s.ruleSettings))
	mux.HandleFunc("POST /oversee/rules/backtest", s.may(org.ViewAlerts, s.backtest))
}

// offersKind is true when a person may look at matters of the kind of a page.
func offersKind(u *user, path string) bool {
	k, ok := strings.CutPrefix(path, "/oversee/")
	return !ok || k == "rules" || k == "rules/settings" || oversee.MaySee(oversee.Kind(k), ticket.Staff(u.Staff))
}

// matterListView is a list of matters of one kind.
type matterListView struct {
	Kind        oversee.Kind
	Kinds       []kindTab
	State       oversee.State
	States      []oversee.State
	Open        bool
	Rows        []matterRow
	Total       int
	Page, Pages int
	Figures     []figure
	Panel       []panelForm
	Names       names
	Sources     bool // leads to what came by the codes of campaigns
}

type kindTab struct {
	Kind    oversee.Kind
	Current bool
}

type figure struct {
	Label string // in words
	N     int
	Look  string
	Note  string
}

type matterRow struct {
	oversee.Head
	Title string
	Note  string
	Look  string
	Due   dueView
}

// lookOf is the colour of a state's chip.
func lookOf(s oversee.State) string {
	switch s {
	case oversee.Candidate, oversee.Issued, oversee.Asked, oversee.Suggested, oversee.Handed, oversee.SentBack, oversee.Draft, oversee.Raised, oversee.Judging, oversee.Appealed, oversee.Explained:
		return "orange"
	case oversee.Escalated, oversee.Rectifying:
		return "red"
	case oversee.Agreed, oversee.Released, oversee.Concluded, oversee.ClosedUp, oversee.Adopted, oversee.Done, oversee.Verified, oversee.Confirmed:
		return "green"
	case oversee.Signed, oversee.Acting, oversee.Invited, oversee.Opinions, oversee.Looking, oversee.Governing, oversee.Received, oversee.Submitted, oversee.Active:
		return "blue"
	case oversee.Feedback, oversee.Reported, oversee.Resulted, oversee.Observing, oversee.Opened, oversee.Planned, oversee.Contacted, oversee.Rechecking:
		return "yellow"
	}
	return ""
}

func (s *Server) readMatters(tx *storage.Tx, r *http.Request, u *user) (*matterListView, error) {
	k := oversee.Kind(r.PathValue("kind"))
	by := ticket.Staff(u.Staff)
	if !slices.Contains(overseeKinds, k) || !oversee.MaySee(k, by) {
		return nil, storage.ErrNotFound
	}
	q := r.URL.Query()
	v := &matterListView{Kind: k, State: oversee.State(q.Get("state")), States: k.States(), Open: q.Get("open") != "", Page: pageOf(q.Get("page"))}
	if v.State != "" && !slices.Contains(v.States, v.State) {
		return nil, storage.ErrNotFound
	}
	var err error
	if v.Names, err = readNames(tx, s.lang(r)); err != nil {
		return nil, err
	}
	for _, x := range overseeKinds {
		if oversee.MaySee(x, by) {
			v.Kinds = append(v.Kinds, kindTab{x, x == k})
		}
	}
	list, total, err := s.Oversight.List(tx, oversee.Filter{Viewer: by, Kind: k, State: v.State, Open: v.Open, Limit: perPage, Offset: (v.Page - 1) * perPage})
	if err != nil {
		return nil, err
	}
	v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
	for _, m := range list {
		words, err := s.Oversight.Words(tx, m)
		if err != nil {
			return nil, err
		}
		h := *oversee.Of(m)
		row := matterRow{Head: h, Look: lookOf(h.State), Due: dueView{Text: "—"}}
		row.Title, row.Note = describe(m, words, v.Names)
		if row.Title == "" {
			row.Title = h.Kind.Label()
		}
		if h.Open() {
			row.Due = dueOf(s.lang(r), h.Due, s.Now())
		}
		v.Rows = append(v.Rows, row)
	}
	if v.Figures, err = s.matterFigures(tx, k, s.lang(r)); err != nil {
		return nil, err
	}
	mv := &matterView{me: u, names: v.Names, lang: s.lang(r), s: s, Kind: k, tx: tx}
	v.Sources = k == oversee.KindOutreach && u.Can(org.ViewAlerts)
	v.Panel = mv.panel()
	for i := range v.Panel {
		v.Panel[i].Open = false
		for j, f := range v.Panel[i].Fields {
			from := map[string]string{"ticket": "ticket", "tickets": "ticket", "topic": "topic", "area": "area", "alert": "alert"}[f.Name]
			if of := q.Get(from); from != "" && of != "" { // a link of a ticket's or topic's page leads here
				v.Panel[i].Fields[j].Values, v.Panel[i].Open = []string{of}, true
			}
		}
	}
	return v, nil
}

// matterFigures are the counters above a list.
func (s *Server) matterFigures(tx *storage.Tx, k oversee.Kind, lang string) (out []figure, err error) {
	t := func(key string, args ...any) string { return translate(lang, key, args...) }
	switch k {
	case oversee.KindBackcheck:
		list, err := s.Oversight.ReviewCounts(tx, zeroTime, zeroTime)
		if err != nil {
			return nil, err
		}
		reviewed, enforcement, window := 0, 0, 0
		for _, d := range list {
			reviewed += d.Reviewed
			if d.Domain.Problem() == "window" {
				window += d.Problems
			} else {
				enforcement += d.Problems
			}
		}
		out = append(out, figure{t("o-reviewed"), reviewed, "", ""}, figure{t("o-problems-enforcement"), enforcement, "warn", ""}, figure{t("o-problems-window"), window, "warn", ""})
		for _, d := range list {
			if d.Reviewed > 0 {
				out = append(out, figure{d.Domain.Label(), d.Reviewed, "", t("o-problems-rectified", d.Problems, d.Rectified)})
			}
		}
	case oversee.KindOrder:
		totals, err := s.Oversight.OrderTotals(tx, zeroTime, zeroTime)
		if err != nil {
			return nil, err
		}
		for _, x := range oversee.ResultKinds {
			if totals[x.Code] > 0 {
				out = append(out, figure{x.Label, totals[x.Code], "good", x.Measure})
			}
		}
	case oversee.KindMeasure:
		n, err := s.Oversight.MeasureCounts(tx)
		if err != nil {
			return nil, err
		}
		for _, x := range oversee.MeasureTypes {
			out = append(out, figure{x[1], n.Done[x[0]], "", t("o-in-effect")})
		}
		out = append(out, figure{t("o-beneficiaries"), n.Beneficiaries, "good", ""})
		for _, x := range oversee.MeasureLevels {
			if n.Adopted[x[0]] > 0 {
				out = append(out, figure{t("o-adopted-by", x[1]), n.Adopted[x[0]], "good", ""})
			}
		}
	case oversee.KindMediation:
		n, err := s.Oversight.MediationCounts(tx)
		if err != nil {
			return nil, err
		}
		out = append(out, figure{t("o-open"), n.Open, "warn", t("o-oldest-years", n.Oldest)}, figure{t("o-conflict-old"), n.Old, "bad", ""},
			figure{t("o-conflict-agreed"), n.Agreed, "good", t("o-years-settled", n.YearsSettled)}, figure{t("o-conflict-explained"), n.Explained, "", ""})
	case oversee.KindBad:
		n, err := s.Oversight.BadCounts(tx, zeroTime, zeroTime)
		if err != nil {
			return nil, err
		}
		out = append(out, figure{t("o-bad-n"), n.N, "", t("o-bad-excluded", n.Excluded)}, figure{t("o-bad-open"), n.Open, "warn", ""},
			figure{t("o-bad-contacted"), n.ContactedInTime, "good", t("o-of-n", n.ContactDue)}, figure{t("o-bad-rectified"), n.Rectified, "good", t("o-of-n", n.RectifyDue)})
	case oversee.KindEscalation:
		n, err := s.Oversight.Escalations(tx, oversee.Filter{Viewer: ticket.System})
		if err != nil {
			return nil, err
		}
		look := "good"
		if n > 0 {
			look = "bad"
		}
		out = append(out, figure{t("o-escalations"), n, look, t("o-escalations-note")})
	case oversee.KindLink:
		n, err := s.Oversight.LinkCounts(tx)
		if err != nil {
			return nil, err
		}
		out = append(out, figure{t("o-links-open"), n.Open, "warn", ""}, figure{t("o-links-confirmed"), n.Confirmed, "good", ""}, figure{t("o-links-rejected"), n.Rejected, "", ""},
			figure{t("o-links-auto"), n.Auto, "", t("o-links-auto-rejected", n.AutoRejected)})
	}
	return out, nil
}

func (s *Server) matterList(w http.ResponseWriter, r *http.Request, u *user) {
	s.listMatters(w, r, u, "")
}

func (s *Server) matterListLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.listMatters(w, r, u, "list")
}

func (s *Server) listMatters(w http.ResponseWriter, r *http.Request, u *user, block string) {
	var v *matterListView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readMatters(tx, r, u); return err })
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.render(w, r, http.StatusOK, "oversee", block, "oversight", v)
	}
}

func (s *Server) viewMatter(w http.ResponseWriter, r *http.Request, u *user) (v *matterView, ok bool) {
	return s.viewMatterOf(w, r, u, oversee.Kind(r.PathValue("kind")), r.PathValue("id"))
}

func (s *Server) viewMatterOf(w http.ResponseWriter, r *http.Request, u *user, k oversee.Kind, id string) (v *matterView, ok bool) {
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readMatter(tx, s.lang(r), u, k, id)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return nil, false
	}
	if err != nil {
		s.fail(w, r, err)
		return nil, false
	}
	return v, true
}

func (s *Server) matterPage(w http.ResponseWriter, r *http.Request, u *user) {
	v, ok := s.viewMatter(w, r, u)
	if !ok {
		return
	}
	if f, is := v.M.(*oversee.WatchFlag); is { // every look at a flag is in the log (RES-5)
		if err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Oversight.SeenWatch(tx, f, ticket.Staff(u.Staff)) }); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.render(w, r, http.StatusOK, "matter", "", "matter-title", v)
}

// matterAct runs a command on a matter, or opens one.
func (s *Server) matterAct(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	k, id := oversee.Kind(r.PathValue("kind")), r.PathValue("id")
	a, known := findOverAct(k, r.PathValue("action"))
	by := ticket.Staff(u.Staff)
	if !known || (id == "") != a.opens || !oversee.MaySee(k, by) && !a.opens {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if id != "" {
		if _, ok := s.viewMatter(w, r, u); !ok {
			return
		}
	}
	var done oversee.Matter
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		done, err = a.do(s.Oversight, tx, overCommand{id: id, on: in.text("on"), in: in, by: by, office: s.Office})
		return err
	})
	refusal, refused := ticket.RefusedWith(err)
	if errors.Is(err, storage.ErrConflict) {
		refusal, refused = &ticket.Refusal{Code: "stale", Message: translate(s.lang(r), "act-conflict")}, true
	}
	switch {
	case refused && in.text("back") != "" && local(in.text("back")):
		s.done(w, r, in.text("back"), refusal.Message)
	case refused:
		s.showMatterRefused(w, r, u, a, in, refusal)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		h := oversee.Of(done)
		to := "/oversee/" + string(h.Kind) + "/" + h.ID
		if back := in.text("back"); back != "" && local(back) {
			to = back
		}
		s.done(w, r, to, translate(s.lang(r), "o-done", translate(s.lang(r), "o-act-"+a.code)))
	}
}

func (s *Server) showMatterRefused(w http.ResponseWriter, r *http.Request, u *user, a overAct, in input, why *ticket.Refusal) {
	show := func(panel []panelForm, fields func() []field) []panelForm {
		found := false
		for i := range panel {
			p := &panel[i]
			p.Open = false
			if p.Code == a.code && p.On == in.text("on") {
				p.Fields, p.Refusal, p.Open, found = in.fill(p.Fields), why.Message, true, true
			}
		}
		if !found {
			panel = append([]panelForm{{Code: a.code, Look: a.look, On: in.text("on"), Fields: in.fill(fields()), Refusal: why.Message, Open: true}}, panel...)
		}
		return panel
	}
	if a.opens {
		var v *matterListView
		err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
			v, err = s.readMatters(tx, r, u)
			if err == nil {
				v.Panel = show(v.Panel, func() []field {
					return (&matterView{me: u, names: v.Names, lang: s.lang(r), s: s, Kind: v.Kind, tx: tx}).fieldsOf(a, "")
				})
			}
			return err
		})
		switch {
		case errors.Is(err, storage.ErrNotFound):
			s.problem(w, r, http.StatusForbidden, "forbidden")
		case err != nil:
			s.fail(w, r, err)
		default:
			s.render(w, r, statusOf(why), "oversee", "", "oversight", v)
		}
		return
	}
	v, ok := s.viewMatter(w, r, u)
	if !ok {
		return
	}
	v.Panel = show(v.Panel, func() []field { return nil })
	s.render(w, r, statusOf(why), "matter", "", "matter-title", v)
}

// Q is the query of a list with a state chosen.
func (v matterListView) Q(state oversee.State, page int) string {
	q := url.Values{}
	if state != "" {
		q.Set("state", string(state))
	}
	if v.Open && state == "" {
		q.Set("open", "1")
	}
	if page > 1 {
		q.Set("page", itoa(page))
	}
	return "?" + q.Encode()
}
