package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/workday"
)

func (s *Server) textRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /texts", s.may(org.ViewTexts, s.texts))
	mux.HandleFunc("GET /texts/live", s.may(org.ViewTexts, s.textsLive))
	mux.HandleFunc("POST /texts/campaign", s.may(org.RunSurvey, s.textCampaign))
	mux.HandleFunc("POST /texts/{id}/settle", s.may(org.RunSurvey, s.settleText))
}

// campaignDays is how far back campaigns are listed.
const campaignDays = 14

type textsView struct {
	Rows      []sms.Message
	Total     int
	Page      int
	Pages     int
	State     sms.State
	Stuck     bool
	Campaign  string
	States    []sms.State
	Campaigns []sms.CampaignSum
	Health    sms.Health
	Carriers  []carrierTrouble
	CanRun    bool
	Query     string
}

type carrierTrouble struct{ Name, Why string }

func (s *Server) readTexts(r *http.Request, u *user) (v textsView, ok bool, err error) {
	q := r.URL.Query()
	v = textsView{State: sms.State(q.Get("state")), Stuck: q.Get("stuck") != "", Campaign: q.Get("campaign"), Page: pageOf(q.Get("page")), CanRun: u.Can(org.RunSurvey),
		States: []sms.State{sms.Queued, sms.Sending, sms.Accepted, sms.Delivered, sms.Failed, sms.Unknown, sms.Expired, sms.Cancelled}}
	if v.State != "" && !slices.Contains(v.States, v.State) {
		return v, false, nil
	}
	q.Del("page")
	v.Query = q.Encode()
	if v.Health, err = s.Outbox.Health(r.Context()); err != nil {
		return v, true, err
	}
	for name, why := range v.Health.Trouble {
		v.Carriers = append(v.Carriers, carrierTrouble{name, why})
	}
	slices.SortFunc(v.Carriers, func(a, b carrierTrouble) int { return strings.Compare(a.Name, b.Name) })
	err = s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Rows, v.Total, err = s.Outbox.List(tx, sms.Filter{Campaign: v.Campaign, State: v.State, Stuck: v.Stuck, Limit: perPage, Offset: (v.Page - 1) * perPage}); err != nil {
			return err
		}
		v.Campaigns, err = sms.Campaigns(tx, s.Now().AddDate(0, 0, -campaignDays))
		return err
	})
	v.Pages = max(1, (v.Total+perPage-1)/perPage)
	return v, true, err
}

func (s *Server) texts(w http.ResponseWriter, r *http.Request, u *user) { s.textsBlock(w, r, u, "") }

func (s *Server) textsLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.textsBlock(w, r, u, "live")
}

func (s *Server) textsBlock(w http.ResponseWriter, r *http.Request, u *user, block string) {
	v, ok, err := s.readTexts(r, u)
	switch {
	case !ok:
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.render(w, r, http.StatusOK, "texts", block, "texts", v)
	}
}

// textCampaign pauses, resumes or kills a campaign; "*" is everything, the kill switch of the house.
func (s *Server) textCampaign(w http.ResponseWriter, r *http.Request, u *user) {
	name, reason := r.PostFormValue("campaign"), strings.TrimSpace(r.PostFormValue("reason"))
	do := r.PostFormValue("do")
	if name == "" || (do != "resume" && reason == "") {
		s.done(w, r, "/texts", translate(s.lang(r), "campaign-why"))
		return
	}
	var killed int64
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		switch do {
		case "pause":
			return s.Outbox.Pause(tx, name, u.Actor(), reason)
		case "resume":
			return s.Outbox.Resume(tx, name, u.Actor())
		case "kill":
			killed, err = s.Outbox.Kill(tx, name, u.Actor(), reason)
			return err
		}
		return errBadAction
	})
	switch {
	case errors.Is(err, errBadAction):
		s.problem(w, r, http.StatusBadRequest, "bad-request")
	case errors.Is(err, storage.ErrConflict) || err != nil && do == "kill" && name == sms.Everything:
		s.done(w, r, "/texts", translate(s.lang(r), "campaign-refused"))
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/texts", translate(s.lang(r), "campaign-"+do+"-done", killed))
	}
}

var errBadAction = errors.New("no such action")

// settleText is a person's word on a text that nothing else could settle.
func (s *Server) settleText(w http.ResponseWriter, r *http.Request, u *user) {
	to, reason := sms.State(r.PostFormValue("to")), strings.TrimSpace(r.PostFormValue("reason"))
	if !slices.Contains([]sms.State{sms.Delivered, sms.Failed, sms.Queued}, to) || reason == "" {
		s.done(w, r, "/texts?stuck=1", translate(s.lang(r), "settle-why"))
		return
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		return s.Outbox.Settle(tx, r.PathValue("id"), to, u.Actor(), reason)
	})
	switch {
	case errors.Is(err, storage.ErrConflict):
		s.done(w, r, "/texts?stuck=1", translate(s.lang(r), "settle-gone"))
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventSurvey)
		s.done(w, r, "/texts?stuck=1", translate(s.lang(r), "settle-done"))
	}
}

// dayRange reads ?from= and ?to=, the four weeks up to yesterday by default.
func (s *Server) dayRange(r *http.Request) (from, to workday.Day, ok bool) {
	to = workday.DayOf(s.Now()).Add(-1)
	from = to.Add(-27)
	for key, day := range map[string]*workday.Day{"from": &from, "to": &to} {
		if text := r.URL.Query().Get(key); text != "" {
			d, err := workday.ParseDay(text)
			if err != nil {
				return from, to, false
			}
			*day = d
		}
	}
	return from, to, from <= to && to.Start().Sub(from.Start()) < 400*24*time.Hour
}
