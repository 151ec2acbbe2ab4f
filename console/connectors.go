package console

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

func (s *Server) connectorRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /connectors", s.may(org.ViewHealth, s.connectors))
	mux.HandleFunc("POST /connectors", s.may(org.ManageRules, s.putConnector))
	mux.HandleFunc("GET /connectors/{id}", s.may(org.ViewHealth, s.connectorPage))
	mux.HandleFunc("POST /connectors/{id}/revive", s.may(org.ManageRules, s.reviveConnector))
	s.mailTextRoutes(mux)
	mux.HandleFunc("GET /results", s.may(org.ExportData, s.resultsPage))
	mux.HandleFunc("POST /results", s.may(org.ExportData, s.newBatch))
	mux.HandleFunc("GET /results/{id}", s.may(org.ExportData, s.batchFile))
}

// maskText hides what names a person in free text.
func maskText(s string) string { return contact.MaskText(s) }

// nameShown is a name as tables show it.
func nameShown(s string) string { return contact.NameOf(s).Masked() }

// noteDownload enters into the log that somebody took a file.
func (s *Server) noteDownload(tx *storage.Tx, u *user, stream, what string) error {
	_, err := audit.Append(tx, audit.Entry{Stream: stream, Type: what, Actor: u.Actor(), At: s.Now()})
	return err
}

// connectorView is a connector as the page shows it: without its secret.
type connectorView struct {
	channel.Connector
	ChannelName string
	Alive       bool
	Due, Dead   int
	Missing     time.Duration // how long it has had nothing to show
}

func (s *Server) viewConnector(tx *storage.Tx, c channel.Connector, names map[string]string) (connectorView, error) {
	v := connectorView{Connector: c, ChannelName: names[c.Channel], Alive: c.Alive(s.Now())}
	v.Secret = ""
	var err error
	if v.Due, v.Dead, err = s.Gateway.Waiters(tx, c.ID); v.Due > v.Backlog {
		v.Backlog = v.Due
	}
	return v, err
}

type connectorsView struct {
	Rows     []connectorView
	Red      int
	Channels []ticket.Channel
	Form     channel.Connector
	Every    string
	Events   string
	May      bool
	Kinds    []string
	Error    string
	Live     bool
}

func (s *Server) readConnectors(tx *storage.Tx, u *user) (v connectorsView, err error) {
	v = connectorsView{May: u.Can(org.ManageRules), Kinds: channel.ConnectorKinds, Every: "20", Form: channel.Connector{Enabled: true, Kind: channel.IMAP}}
	if v.Channels, err = s.Office.Channels(tx); err != nil {
		return v, err
	}
	names := map[string]string{}
	for _, c := range v.Channels {
		names[c.Code] = c.Name
	}
	all, err := s.Gateway.Connectors(tx)
	if err != nil {
		return v, err
	}
	for _, c := range all {
		row, err := s.viewConnector(tx, c, names)
		if err != nil {
			return v, err
		}
		if !row.Alive {
			v.Red++
		}
		v.Rows = append(v.Rows, row)
	}
	return v, nil
}

func (s *Server) connectors(w http.ResponseWriter, r *http.Request, u *user) {
	var v connectorsView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readConnectors(tx, u); err != nil {
			return err
		}
		if id := r.URL.Query().Get("edit"); id != "" && v.May {
			c, err := s.Gateway.Connector(tx, id)
			if err != nil {
				return err
			}
			c.Secret = ""
			v.Form, v.Every, v.Events = c, strconv.FormatFloat(c.Every.Seconds(), 'f', -1, 64), strings.Join(c.Settings.Events, " ")
		}
		return nil
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "connectors", "", "connectors", v)
}

// putConnector adds a connector or changes one; it works from the runner's next look on.
func (s *Server) putConnector(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	seconds, err := strconv.ParseFloat(in.text("every"), 64)
	c := channel.Connector{ID: in.text("id"), Channel: in.text("channel"), Kind: in.text("kind"), Name: in.text("name"), Secret: in.r.PostFormValue("secret"), Enabled: in.on("enabled"),
		Every: time.Duration(seconds * float64(time.Second)), Settings: channel.Settings{Addr: in.text("addr"), TLS: in.text("tls"), CA: in.text("ca"), User: in.text("user"), From: in.text("from"), Mailbox: in.text("mailbox"),
			Dir: in.text("dir"), URL: in.text("url"), Events: strings.Fields(in.text("events")), Statuses: in.on("statuses")}}
	if err != nil {
		c.Every = -1
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		_, err = s.Gateway.PutConnector(tx, c, ticket.Staff(u.Staff))
		return err
	})
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		var v connectorsView
		if err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readConnectors(tx, u); return err }); err != nil {
			s.fail(w, r, err)
			return
		}
		c.Secret = ""
		v.Form, v.Every, v.Events, v.Error = c, in.text("every"), in.text("events"), refusal.Message
		s.render(w, r, statusOf(refusal), "connectors", "", "connectors", v)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.done(w, r, "/connectors", translate(s.lang(r), "channel-kept", c.Name))
	}
}

func (s *Server) connectorPage(w http.ResponseWriter, r *http.Request, u *user) {
	v := struct {
		C    connectorView
		Sent []channel.Sent
		May  bool
	}{May: u.Can(org.ManageRules)}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		c, err := s.Gateway.Connector(tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		channels, err := s.Office.Channels(tx)
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, c := range channels {
			names[c.Code] = c.Name
		}
		if v.C, err = s.viewConnector(tx, c, names); err != nil {
			return err
		}
		v.Sent, err = s.Gateway.Outbox(tx, c.ID, 100)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "connector", "", "connectors", v)
}

func (s *Server) reviveConnector(w http.ResponseWriter, r *http.Request, u *user) {
	var n int64
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		n, err = s.Gateway.Revive(tx, r.PathValue("id"), ticket.Staff(u.Staff))
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.done(w, r, "/connectors/"+r.PathValue("id"), translate(s.lang(r), "connector-revived", n))
}

type resultsRow struct {
	ticket.Channel
	Ready, Blocked int
}

// resultsPage lists what other bodies are owed, and the files that were made for them.
func (s *Server) resultsPage(w http.ResponseWriter, r *http.Request, u *user) {
	v := struct {
		Rows    []resultsRow
		Batches []channel.Batch
		Names   map[string]string
		Who     names
	}{Names: map[string]string{}}
	if _, err := s.Gateway.Relay(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		all, err := s.Office.Channels(tx)
		if err != nil {
			return err
		}
		for _, c := range all {
			if !c.External || c.Restricted && !u.Can(org.ViewRestricted) {
				continue
			}
			row := resultsRow{Channel: c}
			if row.Ready, row.Blocked, err = s.Gateway.Waiting(tx, c.Code); err != nil {
				return err
			}
			v.Rows, v.Names[c.Code] = append(v.Rows, row), c.Name
		}
		batches, err := s.Gateway.Batches(tx, "", 100)
		if err != nil {
			return err
		}
		for _, b := range batches {
			if v.Names[b.Channel] != "" {
				v.Batches = append(v.Batches, b)
			}
		}
		v.Who, err = readNames(tx, s.lang(r))
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "results", "", "results", v)
}

// visibleChannel reads a channel whose results the reader may take.
func (s *Server) visibleChannel(tx *storage.Tx, u *user, code string) (ticket.Channel, error) {
	c, err := s.Office.Channel(tx, code)
	if err == nil && c.Restricted && !u.Can(org.ViewRestricted) {
		err = storage.ErrNotFound
	}
	return c, err
}

func (s *Server) newBatch(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	if _, err := s.Gateway.Relay(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	}
	var b channel.Batch
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		c, err := s.visibleChannel(tx, u, in.text("channel"))
		if err != nil {
			return err
		}
		b, err = s.Gateway.NewBatch(tx, c.Code, ticket.Staff(u.Staff))
		return err
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	case b.ID == "":
		s.done(w, r, "/results", translate(s.lang(r), "results-nothing"))
	default:
		s.done(w, r, "/results", translate(s.lang(r), "results-made", b.Items))
	}
}

// batchFile gives the file of a batch; taking it is logged.
func (s *Server) batchFile(w http.ResponseWriter, r *http.Request, u *user) {
	var b channel.Batch
	var items []channel.Result
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if b, err = s.Gateway.BatchOf(tx, r.PathValue("id")); err != nil {
			return err
		}
		if _, err := s.visibleChannel(tx, u, b.Channel); err != nil {
			return err
		}
		if items, err = s.Gateway.Items(tx, b.ID); err != nil {
			return err
		}
		if err := s.Gateway.Written(tx, b.ID); err != nil {
			return err
		}
		return s.noteDownload(tx, u, "channel/"+b.Channel, "channel.results_taken")
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	book := r.URL.Query().Get("as") == "xlsx"
	name, media := b.Name()+".csv", "text/csv; charset=utf-8"
	if book {
		name, media = b.Name()+".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("Cache-Control", "no-store")
	if err := channel.WriteItems(w, items, book); err != nil {
		s.Log.Warn("console: write results", "err", err)
	}
}
