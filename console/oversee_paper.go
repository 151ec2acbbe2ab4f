package console

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// fileOf is the file of a form, at most so many bytes. refuse shows the page with what is wrong.
func (s *Server) fileOf(w http.ResponseWriter, r *http.Request, most int64, refuse func(problem string)) (io.ReadCloser, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, most)
	file, _, err := r.FormFile("file")
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuse(translate(s.lang(r), "o-file-large", most>>20))
		return nil, false
	}
	if err != nil {
		refuse(translate(s.lang(r), "import-no-file"))
		return nil, false
	}
	return file, true
}

func (s *Server) paperRoutes(mux *http.ServeMux) {
	for _, k := range []oversee.Kind{oversee.KindMediation, oversee.KindMeasure} {
		mux.HandleFunc("POST /oversee/"+string(k)+"/{id}/papers/add", s.signedIn(func(w http.ResponseWriter, r *http.Request, u *user) { s.addPaper(w, r, u, k) }))
		mux.HandleFunc("GET /oversee/"+string(k)+"/{id}/papers/{version}", s.signedIn(func(w http.ResponseWriter, r *http.Request, u *user) { s.takePaper(w, r, u, k) }))
	}
}

// handIn keeps a paper with its matter: the agreement of a mediation, or evidence of a measure.
func (s *Server) handIn(tx *storage.Tx, k oversee.Kind, id string, content []byte, signed bool, why string, by ticket.Actor) (oversee.Paper, error) {
	if k == oversee.KindMeasure {
		m, err := s.Oversight.AddEvidence(tx, id, content, why, by)
		if err != nil {
			return oversee.Paper{}, err
		}
		return m.Papers[len(m.Papers)-1], nil
	}
	m, err := s.Oversight.AddPaper(tx, id, content, signed, why, by)
	if err != nil {
		return oversee.Paper{}, err
	}
	return m.Papers[len(m.Papers)-1], nil
}

// addPaper takes a paper of a matter.
func (s *Server) addPaper(w http.ResponseWriter, r *http.Request, u *user, k oversee.Kind) {
	id := r.PathValue("id")
	if _, ok := s.viewMatterOf(w, r, u, k, id); !ok {
		return
	}
	show := func(why *ticket.Refusal) {
		if v, ok := s.viewMatterOf(w, r, u, k, id); ok {
			v.PaperError = why.Message
			s.render(w, r, statusOf(why), "matter", "", "matter-title", v)
		}
	}
	file, ok := s.fileOf(w, r, oversee.MaxPaper+1<<20, func(problem string) { show(&ticket.Refusal{Code: "file", Message: problem}) })
	if !ok {
		return
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		show(&ticket.Refusal{Code: "file", Message: translate(s.lang(r), "import-no-file")})
		return
	}
	in := input{r}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		return did(s.handIn(tx, k, id, content, in.on("signed"), in.text("why"), ticket.Staff(u.Staff)))
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		show(refusal)
	} else if err != nil {
		s.fail(w, r, err)
	} else {
		s.done(w, r, "/oversee/"+string(k)+"/"+id, translate(s.lang(r), "o-paper-added"))
	}
}

// takePaper gives a version out; the log keeps who took it.
func (s *Server) takePaper(w http.ResponseWriter, r *http.Request, u *user, k oversee.Kind) {
	version, _ := strconv.Atoi(r.PathValue("version"))
	var m oversee.HasPapers
	var p oversee.Paper
	var content []byte
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		m, p, content, err = s.Oversight.ReadPaper(tx, k, r.PathValue("id"), version, ticket.Staff(u.Staff))
		return err
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		if v, ok := s.viewMatterOf(w, r, u, k, r.PathValue("id")); ok {
			v.PaperError = refusal.Message
			s.render(w, r, statusOf(refusal), "matter", "", "matter-title", v)
		}
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		w.Header().Set("Content-Type", p.Media)
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.FileName(p)}))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "private, no-store")
		w.Write(content)
	}
}

// PaperOut is a version of an agreement in the API.
type PaperOut struct {
	Version int    `json:"version"`
	Signed  bool   `json:"signed"`
	Media   string `json:"media"`
	Size    int    `json:"size"`
	Sum     string `json:"sum" doc:"SHA-256; in the log, too"`
}

func (s *Server) paperAPI(api huma.API) {
	huma.Post(api, "/api/v1/oversight/{kind}/{id}/papers/add", s.apiAddPaper, named("add-paper", "Hand in a version of a mediation's agreement, or evidence of a measure: PDF, JPEG or PNG, as the body"), created,
		func(o *huma.Operation) { o.MaxBodyBytes = oversee.MaxPaper + 1 })
	huma.Get(api, "/api/v1/oversight/{kind}/{id}/papers/{version}", s.apiTakePaper, named("take-paper", "A paper of a mediation or a measure; the log keeps who took it"))
}

func (s *Server) apiAddPaper(ctx context.Context, in *struct {
	Kind    string `path:"kind" enum:"mediation,measure"`
	ID      string `path:"id"`
	Signed  bool   `query:"signed" doc:"the parties have signed it"`
	Why     string `query:"why" doc:"another one takes the place of a signed one; of a measure: what it shows"`
	RawBody []byte `contentType:"application/octet-stream"`
}) (*one[PaperOut], error) {
	k := oversee.Kind(in.Kind)
	tok, err := overseer(ctx, k)
	if err != nil {
		return nil, err
	}
	by := ticket.Token(tok)
	out := &one[PaperOut]{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		x, err := s.Oversight.Get(tx, k, in.ID, by)
		if err != nil {
			return err
		}
		p, err := s.handIn(tx, k, oversee.Of(x).ID, in.RawBody, in.Signed, in.Why, by)
		out.Body = PaperOut{p.Version, p.Signed, p.Media, p.Size, p.Sum}
		return err
	})
	if err != nil {
		return nil, s.problemOf("add a paper", err)
	}
	return out, nil
}

type paperFile struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) apiTakePaper(ctx context.Context, in *struct {
	Kind    string `path:"kind" enum:"mediation,measure"`
	ID      string `path:"id"`
	Version int    `path:"version"`
}) (*paperFile, error) {
	k := oversee.Kind(in.Kind)
	tok, err := overseer(ctx, k)
	if err != nil {
		return nil, err
	}
	out := &paperFile{}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		_, p, content, err := s.Oversight.ReadPaper(tx, k, in.ID, in.Version, ticket.Token(tok))
		out.ContentType, out.Body = p.Media, content
		return err
	})
	if err != nil {
		return nil, s.problemOf("take a paper", err)
	}
	return out, nil
}

// paperView is a version on the page of its mediation.
type paperView struct {
	oversee.Paper
	Who, Why string
	Counts   bool // the signed one that counts
}

func (v *matterView) fillPapers(x *oversee.Mediation) {
	by := ticket.Staff(v.me.Staff)
	v.MayTake = x.MayReadPapers(by)
	v.MayAdd = v.at(oversee.Acting, oversee.Agreed) && v.mediates() || v.at(oversee.ClosedUp) && v.can(org.Supervise)
	v.HasSigned = x.Signed() != nil
	for _, p := range x.Papers {
		v.Papers = append(v.Papers, paperView{p, v.names.Who(p.By), v.text(p.Why), x.Signed() != nil && x.Signed().ID == p.ID})
	}
}

// fillEvidence puts in the files of a measure.
func (v *matterView) fillEvidence(x *oversee.Measure) {
	v.MayTake = x.MayReadPapers(ticket.Staff(v.me.Staff))
	v.MayAdd = v.at(oversee.Planned, oversee.Submitted, oversee.Adopted, oversee.Done) && v.can(org.Supervise, org.DraftReport)
	for _, p := range x.Papers {
		v.Papers = append(v.Papers, paperView{Paper: p, Who: v.names.Who(p.By), Why: v.text(p.Why)})
	}
}
