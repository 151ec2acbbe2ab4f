package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/privacy"
	"lianxin/storage"
	"lianxin/ticket"
)

// personRoutes are the pages of what people ask about their own data: a copy, a correction, an erasure.
func (s *Server) personRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /persons", s.may(org.ViewPersonal, s.persons))
	mux.HandleFunc("POST /persons/find", s.may(org.HandlePersonal, s.findPerson))
	mux.HandleFunc("POST /persons", s.may(org.HandlePersonal, s.askPersonal))
	mux.HandleFunc("GET /persons/{id}", s.may(org.ViewPersonal, s.personalPage))
	mux.HandleFunc("POST /persons/{id}/decide", s.may(org.JudgePersonal, s.decidePersonal))
	mux.HandleFunc("POST /persons/{id}/run", s.may(org.HandlePersonal, s.runPersonal))
}

type personsView struct {
	Rows   []personalRow
	May    bool // may register
	Typed  string
	Found  []privacy.Holding
	Sought bool
	Error  string
	Kinds  []privacy.RequestKind
	Proofs []string
	In     typed // what was typed into the form, after a refusal
	At     string
}

// typed is what was typed, by the name of the field.
type typed map[string]string

type personalRow struct {
	privacy.Request
	Phone, Name  string // masked
	By, Judge    string
	Due          dueView
	MayDecide    bool
	MayRun       bool
	Holding      *privacy.Holding
	HoldingError string
	Error        string
}

// row puts words to a request. Whom it is about is masked.
func (s *Server) personalRow(tx *storage.Tx, lang string, u *user, n names, r privacy.Request) (personalRow, error) {
	x := personalRow{Request: r, By: n.Who(r.AskedBy), Judge: n.Who(r.DecidedBy), Due: dueView{Text: "—"}}
	p, err := s.Book.Get(tx, r.Person)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return x, err
	}
	x.Phone, x.Name = p.Phone.Masked(), p.Name.Masked()
	if r.State == privacy.RequestAsked || r.State == privacy.RequestApproved {
		x.Due = dueOf(lang, r.Due, s.Now())
	}
	x.MayDecide = r.State == privacy.RequestAsked && u.Can(org.JudgePersonal) && r.AskedBy != u.Actor()
	x.MayRun = u.Can(org.HandlePersonal) && (r.State == privacy.RequestApproved || r.Kind == privacy.Copy && r.State == privacy.RequestDone && s.Now().Before(r.DoneAt.Add(privacy.CopyFor)))
	return x, nil
}

func (s *Server) readPersons(tx *storage.Tx, lang string, u *user) (v personsView, err error) {
	v = personsView{May: u.Can(org.HandlePersonal), Kinds: privacy.RequestKinds, Proofs: privacy.Proofs, In: typed{}}
	n, err := readNames(tx, lang)
	if err != nil {
		return v, err
	}
	list, err := s.Keeper.Requests(tx, 200)
	for _, r := range list {
		row, err := s.personalRow(tx, lang, u, n, r)
		if err != nil {
			return v, err
		}
		v.Rows = append(v.Rows, row)
	}
	return v, err
}

func (s *Server) persons(w http.ResponseWriter, r *http.Request, u *user) {
	s.showPersons(w, r, u, func(*storage.Tx, *personsView) error { return nil })
}

// showPersons shows the list with what more says; a refusal of more's is shown with it.
func (s *Server) showPersons(w http.ResponseWriter, r *http.Request, u *user, more func(*storage.Tx, *personsView) error) {
	var v personsView
	status := http.StatusOK
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readPersons(tx, s.lang(r), u); err != nil {
			return err
		}
		err = more(tx, &v)
		if refusal, refused := ticket.RefusedWith(err); refused {
			v.Error, status, err = refusal.Message, statusOf(refusal), nil
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "persons", "", "persons", v)
}

// findPerson looks somebody up by number, mail address or identity number and tells how much is kept, without a word of it.
func (s *Server) findPerson(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	s.showPersons(w, r, u, func(tx *storage.Tx, v *personsView) error {
		v.Typed = in.text("who")
		return s.lookPerson(tx, u, v)
	})
}

func (s *Server) lookPerson(tx *storage.Tx, u *user, v *personsView) (err error) {
	if v.Found, err = s.Keeper.Look(tx, v.Typed, ticket.Staff(u.Staff)); err == nil {
		v.Sought = true
		return nil
	}
	if _, refused := ticket.RefusedWith(err); refused {
		return err
	}
	var number *contact.NumberError
	if errors.Is(err, contact.ErrBadMail) || errors.As(err, &number) {
		return &ticket.Refusal{Code: "who", Message: "请输入完整的电话号码、邮箱或身份证号"}
	}
	return err
}

// askPersonal registers a request.
func (s *Server) askPersonal(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	ask := privacy.Request{Kind: privacy.RequestKind(in.text("kind")), Person: in.text("person"), Proof: in.text("proof"), Ground: in.text("ground"),
		Change: privacy.Change{Name: in.text("name"), Phone: in.text("phone"), Mail: in.text("mail")}}
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Keeper.Ask(tx, ask, ticket.Staff(u.Staff))
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		s.showPersons(w, r, u, func(tx *storage.Tx, v *personsView) error {
			v.Typed, v.At = in.text("who"), ask.Person
			for _, f := range []string{"kind", "proof", "ground", "name", "phone", "mail"} {
				v.In[f] = in.text(f)
			}
			if err := s.lookPerson(tx, u, v); err != nil {
				return err
			}
			return refusal
		})
		return
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/persons", translate(s.lang(r), "personal-asked"))
	}
}

func (s *Server) personalPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showPersonal(w, r, u, "", http.StatusOK)
}

func (s *Server) showPersonal(w http.ResponseWriter, r *http.Request, u *user, why string, status int) {
	var v personalRow
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		x, err := s.Keeper.Request(tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		if v, err = s.personalRow(tx, s.lang(r), u, n, x); err != nil {
			return err
		}
		h, err := s.Keeper.Holding(tx, x.Person, ticket.Staff(u.Staff))
		if refusal, refused := ticket.RefusedWith(err); refused {
			v.HoldingError, v.MayDecide, v.MayRun, err = refusal.Message, false, false, nil
		} else if err == nil {
			v.Holding = &h
		}
		return err
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		v.Error = why
		s.render(w, r, status, "personal", "", "personal", v)
	}
}

func (s *Server) decidePersonal(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	approve := in.text("approve") == "yes"
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := s.Keeper.Decide(tx, r.PathValue("id"), approve, in.text("note"), ticket.Staff(u.Staff))
		return err
	})
	done := "personal-refused"
	if approve {
		done = "personal-approved"
	}
	s.personalDone(w, r, u, err, translate(s.lang(r), done))
}

func (s *Server) personalDone(w http.ResponseWriter, r *http.Request, u *user, err error, done string) {
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.showPersonal(w, r, u, refusal.Message, statusOf(refusal))
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/persons/"+r.PathValue("id"), done)
	}
}

// runPersonal carries an approved request out. A copy is handed over as a page that can be read and printed, or as data.
func (s *Server) runPersonal(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var req privacy.Request
	var d *privacy.Dossier
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		req, d, err = s.Keeper.Carry(tx, r.PathValue("id"), ticket.Staff(u.Staff))
		return err
	})
	if err != nil || d == nil {
		done := translate(s.lang(r), "personal-corrected")
		if req.Kind == privacy.Erasure {
			c := req.Counts
			done = translate(s.lang(r), "personal-erased", c.Requests, c.Texts, c.Records, c.Calls)
		}
		s.personalDone(w, r, u, err, done)
		return
	}
	name, media := "personal-data-"+d.Made.Format("20060102"), "text/html; charset=utf-8"
	var b bytes.Buffer
	if in.text("as") == "json" {
		name, media = name+".json", "application/json"
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		err = enc.Encode(d)
	} else {
		name += ".html"
		err = templates["personal-copy"].ExecuteTemplate(&b, "copy", page{Lang: s.lang(r), Data: d})
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("write a person's copy: %w", err))
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")
	w.Write(b.Bytes())
}

// personal is what waits for the reader among people's requests about their own data.
func (t *tasks) personal() error {
	if t.s.Keeper == nil || !t.u.Can(org.ViewPersonal) || !t.u.Can(org.JudgePersonal) && !t.u.Can(org.HandlePersonal) {
		return nil
	}
	list, err := t.s.Keeper.Requests(t.tx, 100)
	if err != nil {
		return err
	}
	judge, run := todo{Label: t.t("todo-personal"), Path: "/persons", Look: "warn"}, todo{Label: t.t("todo-personal-mine"), Path: "/persons"}
	for _, r := range list {
		into := &judge
		switch {
		case r.State == privacy.RequestAsked && t.u.Can(org.JudgePersonal) && r.AskedBy != t.by.String():
		case r.State == privacy.RequestApproved && t.u.Can(org.HandlePersonal):
			into = &run
		default:
			continue
		}
		if into.N++; len(into.Rows) < todoShown {
			into.Rows = append(into.Rows, todoRow{Title: t.t("personal-" + string(r.Kind)), Sub: t.names.Who(r.AskedBy) + " · " + strings.TrimSpace(when(r.AskedAt, "01-02 15:04")), Path: "/persons/" + r.ID, Due: dueOf(t.lang, r.Due, t.now)})
		}
	}
	if t.u.Can(org.JudgePersonal) {
		t.add(judge)
	}
	if t.u.Can(org.HandlePersonal) {
		t.add(run)
	}
	return nil
}
