package console

import (
	"errors"
	"net/http"
	"strconv"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

func (s *Server) mailTextRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /mail-texts", s.may(org.SetMailTexts, s.mailTexts))
	mux.HandleFunc("POST /mail-texts", s.may(org.SetMailTexts, s.proposeMailText))
	mux.HandleFunc("POST /mail-texts/{name}/{version}", s.may(org.SetMailTexts, s.decideMailText))
}

// mailTextsView is the texts of the mails that answer letters, each with its versions.
type mailTextsView struct {
	Texts         []mailTextView
	Error         string
	Name          string // of the text whose form was refused
	Subject, Body string // what was typed
	names         names
}

type mailTextView struct {
	Name     string
	InForce  channel.MailText
	Subject  string // as it would go out
	Shown    string
	Versions []mailTextVersion
}

type mailTextVersion struct {
	channel.MailText
	By, Judge string
	MayDecide bool
}

func (s *Server) readMailTexts(tx *storage.Tx, lang string, u *user) (v mailTextsView, err error) {
	if v.names, err = readNames(tx, lang); err != nil {
		return v, err
	}
	all, err := s.Gateway.MailTexts(tx)
	if err != nil {
		return v, err
	}
	example := map[string]string{"编号": "民2026-1123-0001", "主题": translate(lang, "mail-example-title"), "答复": translate(lang, "mail-example-reply"), "署名": translate("zh-CN", "mail-signature")}
	for _, name := range channel.MailNames {
		x := mailTextView{Name: name}
		for _, m := range all {
			if m.Name != name {
				continue
			}
			if m.State == "approved" && m.Version > x.InForce.Version {
				x.InForce = m
			}
			x.Versions = append(x.Versions, mailTextVersion{m, v.names.Who(m.Author), v.names.Who(m.DecidedBy), m.State == "proposed" && m.Author != u.Actor()})
		}
		x.Subject, x.Shown = x.InForce.Fill(example)
		v.Texts = append(v.Texts, x)
	}
	return v, nil
}

func (s *Server) mailTexts(w http.ResponseWriter, r *http.Request, u *user) {
	s.showMailTexts(w, r, u, func(*mailTextsView) {}, http.StatusOK)
}

func (s *Server) showMailTexts(w http.ResponseWriter, r *http.Request, u *user, more func(*mailTextsView), status int) {
	var v mailTextsView
	if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readMailTexts(tx, s.lang(r), u); return err }); err != nil {
		s.fail(w, r, err)
		return
	}
	more(&v)
	s.render(w, r, status, "mail-texts", "", "mail-texts", v)
}

func (s *Server) proposeMailText(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Gateway.ProposeMailText(tx, in.text("name"), in.text("subject"), in.text("body"), ticket.Staff(u.Staff))
		return err
	})
	s.mailTextDone(w, r, u, err, "mail-proposed", func(v *mailTextsView) {
		v.Name, v.Subject, v.Body = in.text("name"), in.text("subject"), in.text("body")
	})
}

func (s *Server) decideMailText(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	approve, done := in.text("approve") == "yes", "mail-rejected"
	if approve {
		done = "mail-approved"
	}
	version, err := strconv.Atoi(r.PathValue("version"))
	if err != nil {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Gateway.DecideMailText(tx, r.PathValue("name"), version, approve, in.text("note"), ticket.Staff(u.Staff))
		return err
	})
	s.mailTextDone(w, r, u, err, done, func(*mailTextsView) {})
}

func (s *Server) mailTextDone(w http.ResponseWriter, r *http.Request, u *user, err error, done string, typed func(*mailTextsView)) {
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.showMailTexts(w, r, u, func(v *mailTextsView) { typed(v); v.Error = refusal.Message }, statusOf(refusal))
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/mail-texts", translate(s.lang(r), done))
	}
}
