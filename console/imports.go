package console

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

func (s *Server) importRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /imports", s.may(org.OpenTicket, s.imports))
	mux.HandleFunc("POST /imports", s.may(org.OpenTicket, s.upload))
	mux.HandleFunc("GET /imports/{upload}/map", s.may(org.OpenTicket, s.mapPage))
	mux.HandleFunc("POST /imports/{upload}/run", s.may(org.OpenTicket, s.runImport))
	mux.HandleFunc("GET /imports/{id}/report", s.may(org.OpenTicket, s.importReport))
}

// mayImport reports whether somebody brings in files of a channel: those who import, and for a restricted channel its seat.
func mayImport(u *user, c ticket.Channel) bool {
	if c.Restricted {
		return u.Can(org.ViewRestricted) && u.Can(org.OpenTicket)
	}
	return u.Can(org.ImportData) && u.Can(org.OpenTicket)
}

// importsAny reports whether there is any channel that somebody brings files of.
func importsAny(u *user) bool {
	return mayImport(u, ticket.Channel{}) || mayImport(u, ticket.Channel{Restricted: true})
}

type importsView struct {
	Channels []ticket.Channel
	Past     []pastImport
	Chosen   string
	Error    string
	Pasted   string
}

type pastImport struct {
	ID, Channel, Name, Encoding, By, Error string
	Dry, Report                            bool
	Lines, Accepted, Known, Changed        int
	Refused                                int
	At                                     time.Time
}

func (s *Server) readImports(tx *storage.Tx, r *http.Request, u *user) (v importsView, err error) {
	v.Chosen = r.URL.Query().Get("channel")
	all, err := s.Office.Channels(tx)
	if err != nil {
		return v, err
	}
	names := map[string]string{}
	for _, c := range all {
		if c.Enabled && (c.External || c.ByHand && c.Kind != ticket.PublicChannel) && mayImport(u, c) {
			v.Channels = append(v.Channels, c)
			names[c.Code] = c.Name
		}
	}
	who, err := readNames(tx, s.lang(r))
	if err != nil {
		return v, err
	}
	past, err := storage.All(tx, func(r storage.Row) (p pastImport, err error) {
		var at storage.Time
		var report int
		err = r.Scan(&p.ID, &p.Channel, &p.Name, &p.Encoding, &p.By, &p.Dry, &p.Lines, &p.Accepted, &p.Known, &p.Changed, &p.Refused, &p.Error, &report, &at)
		p.At, p.Report = at.Time, report == 1
		return p, err
	}, `SELECT id, channel, name, encoding, by_actor, dry, lines, accepted, known, changed, refused, error, CASE WHEN report IS NULL THEN 0 ELSE 1 END, at FROM channel_import ORDER BY id DESC LIMIT 200`)
	for _, p := range past {
		name, mine := names[p.Channel]
		if !mine || len(v.Past) == 40 {
			continue
		}
		p.Channel, p.By = name, who.Who(p.By)
		v.Past = append(v.Past, p)
	}
	return v, err
}

func (s *Server) imports(w http.ResponseWriter, r *http.Request, u *user) {
	var v importsView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readImports(tx, r, u); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if len(v.Channels) == 0 {
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	}
	s.render(w, r, http.StatusOK, "imports", "", "imports", v)
}

const uploadPurpose = "channel.upload"

// upload keeps a file, sealed, until its columns are mapped; a pasted table is a file too. What nobody went on with goes
// after a day.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, u *user) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	name, content := "", []byte(nil)
	file, header, err := r.FormFile("file")
	if err == nil {
		defer file.Close()
		name = header.Filename
		content, err = io.ReadAll(file)
	} else if errors.Is(err, http.ErrMissingFile) {
		content, name, err = []byte(strings.ReplaceAll(r.FormValue("paste"), "\r\n", "\n")), translate(s.lang(r), "pasted"), nil
	}
	why := ""
	switch {
	case err != nil:
		why = "import-no-file"
	case len(bytes.TrimSpace(content)) == 0:
		why = "import-no-file"
	}
	var c ticket.Channel
	id := storage.NewID()
	if why == "" {
		err = s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
			if c, err = s.Office.Channel(tx, r.FormValue("channel")); err != nil {
				return err
			}
			if !mayImport(u, c) {
				return errForbidden
			}
			if _, err := tx.Exec(`DELETE FROM channel_upload WHERE at < $1`, storage.At(s.Now().Add(-24*time.Hour))); err != nil {
				return err
			}
			_, err = tx.Exec(`INSERT INTO channel_upload (id, channel, name, by_actor, sealed, at) VALUES ($1, $2, $3, $4, $5, $6)`,
				id, c.Code, name, u.Actor(), s.Book.Vault.For(uploadPurpose).Seal(string(content)), storage.At(s.Now()))
			return err
		})
		if errors.Is(err, storage.ErrNotFound) {
			why, err = "import-no-channel", nil
		}
	}
	switch {
	case why != "":
		var v importsView
		if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readImports(tx, r, u); return err }); err != nil {
			s.fail(w, r, err)
			return
		}
		v.Error, v.Pasted, v.Chosen = translate(s.lang(r), why), r.FormValue("paste"), r.FormValue("channel")
		s.render(w, r, http.StatusUnprocessableEntity, "imports", "", "imports", v)
	case errors.Is(err, errForbidden):
		s.problem(w, r, http.StatusForbidden, "forbidden")
	case err != nil:
		s.fail(w, r, err)
	default:
		http.Redirect(w, r, "/imports/"+id+"/map", http.StatusSeeOther)
	}
}

// uploaded is a file that waits for its import.
type uploaded struct {
	ID, Name string
	Channel  ticket.Channel
	Content  []byte
}

// openUpload reads one's own upload.
func (s *Server) openUpload(tx *storage.Tx, u *user, id string) (up uploaded, err error) {
	var code string
	var sealed []byte
	up, err = storage.One(tx, func(r storage.Row) (x uploaded, err error) { return x, r.Scan(&x.ID, &x.Name, &code, &sealed) },
		`SELECT id, name, channel, sealed FROM channel_upload WHERE id = $1 AND by_actor = $2`, id, u.Actor())
	if err != nil {
		return up, err
	}
	if up.Channel, err = s.Office.Channel(tx, code); err != nil {
		return up, err
	}
	if !mayImport(u, up.Channel) {
		return up, errForbidden
	}
	plain, err := s.Book.Vault.For(uploadPurpose).Open(sealed)
	up.Content = []byte(plain)
	return up, err
}

type mapView struct {
	Up       uploaded
	Encoding string
	Columns  []mapColumn
	Fields   []channel.Field
	Sum      *channel.Imported // of a dry run or of the import
	Dry      bool
	Error    string
}

type mapColumn struct {
	Heading string
	Field   string
	Sample  []string
}

// readMap looks at the head of an upload: its columns, what they probably tell, and a few lines, numbers hidden.
func (s *Server) readMap(tx *storage.Tx, up uploaded, chosen channel.Mapping) (v mapView, err error) {
	v = mapView{Up: up, Fields: channel.Fields}
	rows, encoding, err := table.Open(bytes.NewReader(up.Content))
	if err != nil {
		return v, err
	}
	defer rows.Close()
	v.Encoding = encoding
	head, _, err := rows.Next()
	if err != nil {
		return v, err
	}
	m, err := s.Gateway.MappingFor(tx, up.Channel.Code, head)
	if err != nil {
		return v, err
	}
	if chosen != nil {
		m = chosen
	}
	for _, h := range channel.Headings(head) {
		v.Columns = append(v.Columns, mapColumn{Heading: h, Field: m[h]})
	}
	for n := 0; n < 3; {
		cells, _, err := rows.Next()
		var bad table.Bad
		if errors.As(err, &bad) {
			continue
		}
		if err != nil {
			break
		}
		for i := range v.Columns {
			text := ""
			if i < len(cells) {
				if text = maskText(cells[i]); v.Columns[i].Field == "name" {
					text = nameShown(cells[i])
				}
			}
			if r := []rune(text); len(r) > 30 {
				text = string(r[:30]) + "…"
			}
			v.Columns[i].Sample = append(v.Columns[i].Sample, text)
		}
		n++
	}
	return v, nil
}

func (s *Server) mapPage(w http.ResponseWriter, r *http.Request, u *user) {
	var v mapView
	var read error
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		up, err := s.openUpload(tx, u, r.PathValue("upload"))
		if err != nil {
			return err
		}
		v, read = s.readMap(tx, up, nil)
		return nil
	})
	if read != nil {
		v.Error = translate(s.lang(r), "import-unreadable") + " " + read.Error()
	}
	s.showMap(w, r, v, err, http.StatusOK)
}

func (s *Server) showMap(w http.ResponseWriter, r *http.Request, v mapView, err error, status int) {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "upload-gone")
	case errors.Is(err, errForbidden):
		s.problem(w, r, http.StatusForbidden, "forbidden")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.render(w, r, status, "import-map", "", "imports", v)
	}
}

// runImport tries an upload with the columns as chosen, or imports it; the columns are remembered for the channel.
func (s *Server) runImport(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var up uploaded
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { up, err = s.openUpload(tx, u, r.PathValue("upload")); return err })
	if err != nil {
		s.showMap(w, r, mapView{}, err, 0)
		return
	}
	headings, fields := in.r.PostForm["heading"], in.r.PostForm["field"]
	m := channel.Mapping{}
	for i, h := range headings {
		if i < len(fields) {
			m[h] = fields[i]
		}
	}
	dry := in.text("go") != "import"
	by := ticket.Staff(u.Staff)
	sum, importErr := s.Gateway.Import(r.Context(), bytes.NewReader(up.Content), up.Name, channel.ImportOptions{Channel: up.Channel.Code, Mapping: m, DryRun: dry, By: by})
	var v mapView
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if importErr == nil {
			if err := s.Gateway.Remember(tx, up.Channel.Code, m, by); err != nil {
				return err
			}
			if !dry {
				if _, err := tx.Exec(`DELETE FROM channel_upload WHERE id = $1`, up.ID); err != nil {
					return err
				}
			}
		}
		v, err = s.readMap(tx, up, m)
		return err
	})
	if err != nil {
		s.showMap(w, r, v, err, 0)
		return
	}
	v.Dry, v.Sum = dry, &sum
	status := http.StatusOK
	if importErr != nil {
		status = http.StatusUnprocessableEntity
		v.Error = importErr.Error()
		if refusal, refused := ticket.RefusedWith(importErr); refused {
			v.Error = refusal.Message
		}
		if errors.Is(importErr, channel.ErrHeader) {
			v.Sum = nil
		} else {
			s.Log.Warn("console: import requests", "err", importErr)
		}
	}
	s.Hub.Publish(EventTickets)
	s.showMap(w, r, v, nil, status)
}

// importReport gives the lines that an import refused, to be mended and imported again. It holds what citizens wrote: only
// those who import files of the channel get it, and it is logged.
func (s *Server) importReport(w http.ResponseWriter, r *http.Request, u *user) {
	var name string
	var report []byte
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		code, err := storage.One(tx, storage.Value[string], `SELECT channel FROM channel_import WHERE id = $1`, r.PathValue("id"))
		if err != nil {
			return err
		}
		c, err := s.Office.Channel(tx, code)
		if err != nil {
			return err
		}
		if !mayImport(u, c) {
			return storage.ErrNotFound
		}
		if name, report, err = s.Gateway.ImportReport(tx, r.PathValue("id")); err != nil {
			return err
		}
		if len(report) == 0 {
			return storage.ErrNotFound
		}
		return s.noteDownload(tx, u, "import/"+r.PathValue("id"), "import.report")
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".refused.csv"}))
		w.Header().Set("Cache-Control", "no-store")
		w.Write(report)
	}
}
