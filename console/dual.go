package console

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// dualView is the page of 双情: what citizens say beside what the command centre is called for.
type dualView struct {
	Days     int
	Spans    []int
	Overlaps []oversee.Overlap
	Spots    []oversee.Spot
	Heat     []heatView
	Told     *oversee.IncidentImport // of a file that came
	Error    string
	MayPut   bool
	MayOrder bool
	Total    int // incidents in the time
}

type heatView struct {
	Name, Code string
	Cells      []heatCell
	Sum        int
}

type heatCell struct {
	N, Shade int // of ten
}

func (s *Server) dualRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /dual", s.may(org.ViewAlerts, s.dualPage))
	mux.HandleFunc("POST /dual", s.may(org.ImportData, s.importIncidents))
	mux.HandleFunc("GET /silence", s.may(org.ViewAlerts, s.silencePage))
	mux.HandleFunc("POST /silence", s.may(org.ImportData, s.importPopulation))
}

func (s *Server) dualPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showDual(w, r, u, http.StatusOK, nil, "")
}

// spans are the times that the pages offer, in days.
var spans = []int{7, 30, 90}

// daysOf is how many days back a page looks: 7, 30 or 90.
func daysOf(r *http.Request, normal int) int {
	switch r.URL.Query().Get("days") {
	case "7":
		return 7
	case "30":
		return 30
	case "90":
		return 90
	}
	return normal
}

func (s *Server) dualFilter(viewer ticket.Actor, days int) oversee.DualFilter {
	now := s.Now()
	return oversee.DualFilter{Viewer: viewer, From: workday.DayOf(now).Add(-days).Start(), To: now.Add(time.Minute)}
}

func (s *Server) showDual(w http.ResponseWriter, r *http.Request, u *user, status int, told *oversee.IncidentImport, problem string) {
	v := dualView{Days: daysOf(r, 30), Spans: spans, Told: told, Error: problem, MayPut: u.Can(org.ImportData), MayOrder: u.Can(org.IssueOrder)}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		f := s.dualFilter(ticket.Staff(u.Staff), v.Days)
		if v.Overlaps, err = s.Oversight.Overlaps(tx, f); err != nil {
			return err
		}
		if v.Spots, err = s.Oversight.Spots(tx, f); err != nil {
			return err
		}
		rows, err := s.Oversight.Heat(tx, f)
		if err != nil {
			return err
		}
		most := 1
		for _, row := range rows {
			for _, n := range row.Hours {
				most = max(most, n)
			}
		}
		for _, row := range rows {
			h := heatView{Name: row.Name, Code: row.Community, Sum: row.Sum}
			for _, n := range row.Hours {
				h.Cells = append(h.Cells, heatCell{n, (10*n + most - 1) / most})
			}
			v.Heat = append(v.Heat, h)
		}
		v.Total, err = s.Oversight.IncidentCount(tx, f.From, f.To)
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "dual", "", "dual", v)
}

// importIncidents takes a file of 警情.
func (s *Server) importIncidents(w http.ResponseWriter, r *http.Request, u *user) {
	if !u.Can(org.ViewAlerts) { // the answer is the page
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	}
	file, ok := s.fileOf(w, r, maxUpload, func(problem string) { s.showDual(w, r, u, http.StatusUnprocessableEntity, nil, problem) })
	if !ok {
		return
	}
	defer file.Close()
	told, err := s.Oversight.ImportIncidents(r.Context(), s.DB, file, ticket.Staff(u.Staff))
	if refusal, no := ticket.RefusedWith(err); no {
		s.showDual(w, r, u, statusOf(refusal), nil, refusal.Message)
		return
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	s.showDual(w, r, u, http.StatusOK, &told, "")
}

// silenceView is the page of those who do not speak.
type silenceView struct {
	Days     int
	Spans    []int
	Areas    []oversee.Silent
	Channels []silentChannel
	Ages     oversee.SilentAges
	MayPut   bool
	MayReach bool
	Error    string
}

type silentChannel struct {
	oversee.Silent
	ChannelName string
}

func (s *Server) silencePage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showSilence(w, r, u, http.StatusOK, "")
}

func (s *Server) showSilence(w http.ResponseWriter, r *http.Request, u *user, status int, problem string) {
	v := silenceView{Days: daysOf(r, 90), Spans: spans, Error: problem, MayPut: u.Can(org.ImportData), MayReach: u.Can(org.Supervise) || u.Can(org.DraftReport)}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Areas, err = s.Oversight.Silences(tx, v.Days, false, ticket.Staff(u.Staff)); err != nil {
			return err
		}
		v.Areas = v.Areas[:min(len(v.Areas), 100)]
		if v.Ages, err = s.Oversight.SilencesByAge(tx, v.Days, ticket.Staff(u.Staff)); err != nil {
			return err
		}
		by, err := s.Oversight.Silences(tx, v.Days, true, ticket.Staff(u.Staff))
		if err != nil {
			return err
		}
		channels, err := s.Office.Channels(tx)
		if err != nil {
			return err
		}
		name := map[string]string{}
		for _, c := range channels {
			name[c.Code] = c.Name
		}
		for _, x := range by {
			if x.IsSilent() && len(v.Channels) < 30 {
				v.Channels = append(v.Channels, silentChannel{x, name[x.Channel]})
			}
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "silence", "", "silence", v)
}

// importPopulation takes a file of residents.
func (s *Server) importPopulation(w http.ResponseWriter, r *http.Request, u *user) {
	if !u.Can(org.ViewAlerts) { // the answer is the page
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	}
	file, ok := s.fileOf(w, r, maxUpload, func(problem string) { s.showSilence(w, r, u, http.StatusUnprocessableEntity, problem) })
	if !ok {
		return
	}
	defer file.Close()
	n, err := s.Oversight.ImportPopulation(r.Context(), s.DB, file, ticket.Staff(u.Staff))
	if refusal, no := ticket.RefusedWith(err); no {
		s.showSilence(w, r, u, statusOf(refusal), refusal.Message)
		return
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/silence", translate(s.lang(r), "did-population", n))
}

// IncidentIn is a 警情 as the command centre tells it.
type IncidentIn struct {
	Number string    `json:"number" maxLength:"64"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind" maxLength:"60" doc:"as the command centre calls it"`
	Place  string    `json:"place,omitempty" maxLength:"200"`
	Phone  string    `json:"phone,omitempty" doc:"the number that called; a keyed hash of it is kept"`
	Unit   string    `json:"unit,omitempty" doc:"id or name"`
}

// OverlapOut is a ticket and a 警情 that belong together.
type OverlapOut struct {
	Ticket   string    `json:"ticket" doc:"number"`
	Incident string    `json:"incident"`
	Why      string    `json:"why" enum:"number,person,together" doc:"the ticket names it; the same person called; the same person, place and kind"`
	Kind     string    `json:"kind"`
	Place    string    `json:"place"`
	At       time.Time `json:"at"`
	Opened   time.Time `json:"opened"`
}

// SilentOut is an area that hardly anybody speaks from.
type SilentOut struct {
	Area      string  `json:"area"`
	Name      string  `json:"name"`
	Channel   string  `json:"channel,omitempty"`
	Residents int     `json:"residents"`
	Contacts  int     `json:"contacts"`
	Expected  float64 `json:"expected"`
	P         float64 `json:"p"`
	Silent    bool    `json:"silent"`
	Outreach  string  `json:"outreach,omitempty"`
}

func (s *Server) dualAPI(api huma.API) {
	huma.Post(api, "/api/v1/incidents", s.apiPutIncident, named("put-incident", "Enter a 警情 of the command centre, or correct one"))
	huma.Get(api, "/api/v1/overlaps", s.apiOverlaps, named("list-overlaps", "Tickets and 警情 that belong together, the latest first"))
	huma.Get(api, "/api/v1/silence", s.apiSilence, named("list-silence", "Areas by how few contacts they bring, the most silent first"))
}

func (s *Server) apiPutIncident(ctx context.Context, in *struct{ Body IncidentIn }) (*one[struct {
	Fresh bool `json:"fresh" doc:"false when nothing was new"`
}], error) {
	by, err := caller(ctx, org.ImportData)
	if err != nil {
		return nil, err
	}
	out := &one[struct {
		Fresh bool `json:"fresh" doc:"false when nothing was new"`
	}]{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) (err error) {
		b := in.Body
		out.Body.Fresh, err = s.Oversight.PutIncident(tx, oversee.Incident{Number: b.Number, At: b.At, Kind: b.Kind, Place: b.Place, Phone: b.Phone, Unit: b.Unit}, ticket.Token(by))
		return err
	})
	if err != nil {
		return nil, s.problemOf("put incident", err)
	}
	return out, nil
}

func (s *Server) apiOverlaps(ctx context.Context, in *struct {
	Days int `query:"days" minimum:"1" maximum:"400" default:"30"`
}) (*listOf[OverlapOut], error) {
	by, err := caller(ctx, org.ViewAlerts)
	if err != nil {
		return nil, err
	}
	out := &listOf[OverlapOut]{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		f := s.dualFilter(ticket.Token(by), in.Days)
		f.Limit = 1000
		found, err := s.Oversight.Overlaps(tx, f)
		out = list(found, len(found), func(o oversee.Overlap) OverlapOut {
			return OverlapOut{o.Number, o.Incident.Number, o.Why, o.Incident.Kind, o.Incident.Place, o.Incident.At.In(workday.Zone), o.OpenedAt.In(workday.Zone)}
		})
		return err
	})
	if err != nil {
		return nil, s.problemOf("list overlaps", err)
	}
	return out, nil
}

func (s *Server) apiSilence(ctx context.Context, in *struct {
	Days    int  `query:"days" minimum:"7" maximum:"400" default:"90"`
	Channel bool `query:"by_channel"`
}) (*listOf[SilentOut], error) {
	by, err := caller(ctx, org.ViewAlerts)
	if err != nil {
		return nil, err
	}
	out := &listOf[SilentOut]{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		found, err := s.Oversight.Silences(tx, in.Days, in.Channel, ticket.Token(by))
		out = list(found, len(found), func(x oversee.Silent) SilentOut {
			return SilentOut{x.Area, x.Name, x.Channel, x.Residents, x.N, x.Expected, x.P, x.IsSilent(), x.Outreach}
		})
		return err
	})
	if err != nil {
		return nil, s.problemOf("list silence", err)
	}
	return out, nil
}

// outreachActs are the commands on 主动问需.
var outreachActs = []overAct{
	{code: "open-outreach", kind: oversee.KindOutreach, opens: true, offer: if_(func(v *matterView) bool { return v.can(org.Supervise, org.DraftReport) }),
		fields: func(v *matterView, _ string) []field {
			return []field{{Name: "area", Label: "o-area", Required: true, Max: 20, Hint: "hint-area"}, choice("way", "way", pairsOf(oversee.OutreachWays)), v.unitField("unit", "outreach-unit", true), area("plan", "outreach-plan"), date("due", "until", true)}
		}, do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.OpenOutreach(tx, c.in.text("area"), c.in.text("way"), c.in.text("plan"), c.in.text("unit"), c.end("due"), c.by))
		}},
	{code: "begin-outreach", kind: oversee.KindOutreach, offer: if_(func(v *matterView) bool { return v.at(oversee.Planned) && v.mediates() }),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.BeginOutreach(tx, c.id, c.by))
		}},
	{code: "finish-outreach", kind: oversee.KindOutreach, offer: if_(func(v *matterView) bool { return v.at(oversee.Acting) && v.mediates() }),
		fields: fixed(field{Name: "made", Label: "o-made", Kind: "number", Required: true}, field{Name: "heard", Label: "o-heard", Kind: "number", Required: true}, area("text", "told-outreach")),
		do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.FinishOutreach(tx, c.id, c.in.number("made"), c.in.number("heard"), c.in.text("text"), c.by))
		}},
	addPointAct,
	{code: "drop-outreach", kind: oversee.KindOutreach, look: "quiet", offer: if_(func(v *matterView) bool {
		return v.at(oversee.Planned, oversee.Acting) && v.can(org.Supervise, org.DraftReport)
	}),
		fields: fixed(area("reason", "reason")), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
			return m(d.DropOutreach(tx, c.id, c.in.text("reason"), c.by))
		}},
}

// fillOutreach puts in what an outreach has of its own.
func (v *matterView) fillOutreach(o *oversee.Outreach) error {
	names, err := v.s.Office.AreaNames(v.tx)
	if err != nil {
		return err
	}
	v.fact("area", names[o.Area])
	v.fact("way", o.WayLabel())
	v.when("began", o.Began)
	if o.State == oversee.Done {
		v.fact("made", itoa(o.Made))
		v.fact("heard", itoa(o.Heard))
	}
	e, err := v.s.Oversight.OutreachEffect(v.tx, o)
	if err != nil {
		return err
	}
	if e.Shown() {
		v.fact("effect", translate(v.lang, "o-outreach-effect", e.Before, e.After, e.Days, e.Low, e.High))
	}
	if err := v.fillPoints(o); err != nil {
		return err
	}
	v.section("outreach-plan", overItem{Text: v.text(o.Plan)})
	v.section("told-outreach", overItem{Text: v.text(o.Told), Note: v.names.Who(o.By)})
	return nil
}
