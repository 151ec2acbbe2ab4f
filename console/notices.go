package console

import (
	"errors"
	"net/http"
	"strings"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

func (s *Server) noticeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /notices", s.may(org.ViewTicket, s.noticeList))
	mux.HandleFunc("GET /notices/live", s.may(org.ViewTicket, s.noticeListLive))
	mux.HandleFunc("POST /notices/read", s.may(org.ViewTicket, s.readNotices))
	mux.HandleFunc("POST /notices/{id}/read", s.may(org.ViewTicket, s.readNotice))
}

// noticeText is what a notice says, with the rule that raised a warning in words where the room knows its code only.
func noticeText(lang, text string) string {
	before, code, ok := strings.Cut(text, ":")
	if label, known := languages[lang]["rule-"+code]; ok && known {
		return before + "：" + label
	}
	return text
}

// noticeView is what clocks and colours told the reader's unit or the centre.
type noticeView struct {
	Rows []ticket.Notice
	All  bool // those that were read, too
}

func (s *Server) noticeList(w http.ResponseWriter, r *http.Request, u *user) {
	s.listNotices(w, r, u, "")
}

func (s *Server) noticeListLive(w http.ResponseWriter, r *http.Request, u *user) {
	s.listNotices(w, r, u, "list")
}

func (s *Server) listNotices(w http.ResponseWriter, r *http.Request, u *user, block string) {
	v := noticeView{All: r.URL.Query().Get("all") != ""}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v.Rows, err = s.Office.Notices(tx, ticket.NoticeFilter{Viewer: ticket.Staff(u.Staff), Unread: !v.All, Limit: 200})
		for i := range v.Rows {
			v.Rows[i].Text = noticeText(s.lang(r), v.Rows[i].Text)
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "notices", block, "notices", v)
}

func (s *Server) readNotice(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return s.Office.ReadNotice(tx, r.PathValue("id"), ticket.Staff(u.Staff)) })
	if _, refused := ticket.RefusedWith(err); refused || errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/notices", http.StatusSeeOther)
}

// readNotices marks as read what stood on the page: notices that came since are not among them.
func (s *Server) readNotices(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	n := 0
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		for _, id := range in.list("id") {
			err := s.Office.ReadNotice(tx, id, ticket.Staff(u.Staff))
			if _, refused := ticket.RefusedWith(err); refused || errors.Is(err, storage.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/notices", translate(s.lang(r), "notices-read-n", n))
}
