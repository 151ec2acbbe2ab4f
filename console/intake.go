package console

import (
	"cmp"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/workday"
)

// intakeRoutes are the pages of what comes in and goes out: the inbox of all channels, originals, channels, imports,
// connectors, exports, and the public's own pages.
func (s *Server) intakeRoutes(mux *http.ServeMux) {
	if s.Gateway == nil {
		return
	}
	mux.HandleFunc("GET /inbox", s.may(org.ViewTicket, s.inbox))
	mux.HandleFunc("GET /tickets/{id}/source", s.may(org.ViewTicket, s.sourcePage))
	mux.HandleFunc("POST /tickets/{id}/source/{what}", s.may(org.ViewTicket, s.sourceAct))
	mux.HandleFunc("GET /incidents/{no}", s.may(org.ViewTicket, s.incidentPage))
	s.channelRoutes(mux)
	s.importRoutes(mux)
	s.connectorRoutes(mux)
	s.exportRoutes(mux)
	s.publicRoutes(mux)
	s.privacyRoutes(mux)
}

// inboxRow is a request in the inbox, with how long it took from reaching us to being visible.
type inboxRow struct {
	ticket.Ticket
	Channel string
	Taken   string
	Late    bool
}

// channelDay is what a channel brought on a day, and how fast.
type channelDay struct {
	ticket.Channel
	N, Late  int
	P50, P95 string
	Limit    string
}

type inboxView struct {
	Day      workday.Day
	Channel  string
	Channels []channelDay
	Rows     []inboxRow
	Total    int
	Page     int
	Pages    int
	P95      string
	Live     bool // today: the page asks again
}

// inboxQ is the query of another page of the inbox.
func (v inboxView) Q(page int) string {
	q := url.Values{"day": {v.Day.String()}, "page": {strconv.Itoa(page)}}
	if v.Channel != "" {
		q.Set("channel", v.Channel)
	}
	return "?" + q.Encode()
}

// inbox shows what came in on a day, through all channels together (CH-12).
func (s *Server) inbox(w http.ResponseWriter, r *http.Request, u *user) {
	today := workday.DayOf(s.Now())
	v := inboxView{Day: today, Channel: r.URL.Query().Get("channel"), Page: pageOf(r.URL.Query().Get("page"))}
	if d := r.URL.Query().Get("day"); d != "" {
		day, err := workday.ParseDay(d)
		if err != nil {
			s.problem(w, r, http.StatusBadRequest, "bad-day")
			return
		}
		v.Day = day
	}
	v.Live = v.Day == today
	lang, viewer := s.lang(r), ticket.Staff(u.Staff)
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		channels, err := s.Office.Channels(tx)
		if err != nil {
			return err
		}
		byCode := map[string]ticket.Channel{}
		for _, c := range channels {
			byCode[c.Code] = c
		}
		list, total, err := s.Office.List(tx, ticket.Filter{Viewer: viewer, Channel: v.Channel, From: v.Day.Start(), To: v.Day.End(), Limit: perPage, Offset: (v.Page - 1) * perPage})
		if err != nil {
			return err
		}
		v.Total, v.Pages = total, max(1, (total+perPage-1)/perPage)
		for _, t := range list {
			c := byCode[t.Channel]
			d := t.OpenedAt.Sub(t.ReceivedAt)
			v.Rows = append(v.Rows, inboxRow{Ticket: t, Channel: c.Name, Taken: shortSpan(lang, d), Late: c.Intake > 0 && d > c.Intake})
		}
		if u.Scope.All() {
			v.Channels, v.P95, err = s.channelDays(tx, channels, v.Day, u.Can(org.ViewRestricted), lang)
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "inbox", "", "inbox", v)
}

// channelDays counts what each channel brought on a day and how long it took to be visible.
func (s *Server) channelDays(tx *storage.Tx, channels []ticket.Channel, day workday.Day, restricted bool, lang string) (out []channelDay, p95 string, err error) {
	type row struct {
		channel string
		ms      int64
	}
	query := `SELECT channel, opened_at - received_at FROM ticket WHERE opened_at >= $1 AND opened_at < $2`
	if !restricted {
		query += ` AND restricted = FALSE`
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.channel, &x.ms) }, query+` ORDER BY opened_at DESC LIMIT 100000`, storage.At(day.Start()), storage.At(day.End()))
	if err != nil {
		return nil, "", err
	}
	took := map[string][]int64{}
	var ours []int64 // of channels that are to be visible within seconds
	within := map[string]time.Duration{}
	for _, c := range channels {
		within[c.Code] = c.Intake
	}
	for _, r := range rows {
		took[r.channel] = append(took[r.channel], r.ms)
		if w := within[r.channel]; w > 0 && w <= 10*time.Second {
			ours = append(ours, r.ms)
		}
	}
	for _, c := range channels {
		if c.Restricted && !restricted || !c.Enabled && len(took[c.Code]) == 0 {
			continue
		}
		d := channelDay{Channel: c, N: len(took[c.Code]), Limit: "—"}
		if c.Intake > 0 {
			d.Limit = shortSpan(lang, c.Intake)
		}
		for _, ms := range took[c.Code] {
			if c.Intake > 0 && ms > c.Intake.Milliseconds() {
				d.Late++
			}
		}
		d.P50, d.P95 = quantile(lang, took[c.Code], 50), quantile(lang, took[c.Code], 95)
		out = append(out, d)
	}
	return out, quantile(lang, ours, 95), nil
}

// quantile is a quantile of milliseconds in words, "—" of nothing.
func quantile(lang string, ms []int64, q int) string {
	if len(ms) == 0 {
		return "—"
	}
	slices.Sort(ms)
	return shortSpan(lang, time.Duration(ms[min(len(ms)-1, len(ms)*q/100)])*time.Millisecond)
}

// shortSpan is a length of time, down to milliseconds.
func shortSpan(lang string, d time.Duration) string {
	switch {
	case d < 0:
		d = 0
		fallthrough
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 100*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return span(lang, d)
}

// sourceView is where a request came from and what belongs to its way in and out.
type sourceView struct {
	T         ticket.Ticket
	Channel   ticket.Channel
	Taken     string
	Late      bool
	Count     int
	Originals []channel.Original // in the open, after a reveal
	Files     []channel.Attachment
	MayReveal bool
	Error     string
	Typed     string
	Reason    string // with which the originals were opened
	Where     string // of the error: code of the form

	Reply     *channel.Reply
	MayDraft  bool
	MayDecide bool
	Draft     string

	MayLink bool
	Related []ticket.Ticket

	MayInstruct  bool
	Instructions []eventView

	MayCode bool
	Code    string
	names   names
}

// Names puts words to actors.
func (v *sourceView) Names() names { return v.names }

func (s *Server) readSource(tx *storage.Tx, lang string, u *user, id string) (v *sourceView, err error) {
	v = &sourceView{}
	by := ticket.Staff(u.Staff)
	if v.T, err = s.Office.See(tx, id, by); err != nil {
		return nil, err
	}
	if v.Channel, err = s.Office.Channel(tx, v.T.Channel); err != nil {
		return nil, err
	}
	if v.names, err = readNames(tx, lang); err != nil {
		return nil, err
	}
	d := v.T.OpenedAt.Sub(v.T.ReceivedAt)
	v.Taken, v.Late = shortSpan(lang, d), v.Channel.Intake > 0 && d > v.Channel.Intake
	if v.Count, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_raw WHERE ticket_id = $1`, v.T.ID); err != nil {
		return nil, err
	}
	if v.Files, err = s.Gateway.Attachments(tx, v.T.ID); err != nil {
		return nil, err
	}
	v.MayReveal = s.Office.KnowsCitizen(v.T, by)
	if !v.MayReveal {
		for i := range v.Files {
			v.Files[i].Name = "" // a file's name may tell who it is from
		}
	}
	v.MayLink = u.Can(org.AmendTicket) && (!v.T.Restricted || u.Can(org.ViewRestricted))
	v.MayInstruct = u.Can(org.InstructTicket)
	v.MayCode = u.Can(org.OpenTicket) && u.Scope.All() && !v.T.Restricted
	if v.T.IncidentNo != "" {
		all, err := s.Office.Incident(tx, v.T.IncidentNo, by)
		if err != nil {
			return nil, err
		}
		v.Related = slices.DeleteFunc(all, func(t ticket.Ticket) bool { return t.ID == v.T.ID })
	}
	if v.Channel.PublicReply {
		v.MayDraft = u.Can(org.AnswerTicket) || u.Can(org.ReviewResult)
		r, err := s.Gateway.PublicReply(tx, v.T.ID)
		if err == nil {
			v.Reply, v.Draft = &r, r.Body
			v.MayDecide = r.State == channel.ReplyDraft && r.DraftedBy != u.Actor() && (u.Role == org.Leader || u.Role == org.Supervisor)
		} else if !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
	}
	moments, err := s.Office.Timeline(tx, v.T.ID)
	if err != nil {
		return nil, err
	}
	for _, m := range moments {
		if m.Type == "ticket.instructed" || strings.HasPrefix(m.Type, "ticket.source_") {
			v.Instructions = append(v.Instructions, eventView{At: m.At, Label: m.Label, Actor: m.Actor, Texts: []string{m.Texts["text"]}})
		}
	}
	return v, nil
}

func (s *Server) sourcePage(w http.ResponseWriter, r *http.Request, u *user) {
	var v *sourceView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v, err = s.readSource(tx, s.lang(r), u, r.PathValue("id"))
		return err
	})
	s.showSource(w, r, v, err)
}

func (s *Server) showSource(w http.ResponseWriter, r *http.Request, v *sourceView, err error) {
	refusal, refused := ticket.RefusedWith(err)
	status := http.StatusOK
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	case errors.Is(err, errForbidden):
		s.problem(w, r, http.StatusForbidden, "forbidden")
		return
	case refused && v != nil:
		v.Error, status = refusal.Message, statusOf(refusal)
	case errors.Is(err, contact.ErrNoReason):
		v.Error, status = translate(s.lang(r), "reveal-reason"), http.StatusUnprocessableEntity
	case err != nil:
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "source", "", "source", v)
}

// sourceAct carries out a form of the source page.
func (s *Server) sourceAct(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	what, by := r.PathValue("what"), ticket.Staff(u.Staff)
	var v *sourceView
	var download *channel.File
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readSource(tx, s.lang(r), u, r.PathValue("id")); err != nil {
			return err
		}
		v.Where = what
		switch what {
		case "reveal", "original", "file":
			download, err = s.revealSource(tx, v, in, what, u)
		case "instruct":
			v.Typed = in.text("text")
			_, err = s.Office.Instruct(tx, v.T.ID, v.Typed, by)
		case "incident":
			v.Typed = in.text("incident")
			_, err = s.Office.LinkIncident(tx, v.T.ID, v.Typed, by)
		case "reply":
			if v.Draft = in.text("body"); !v.Channel.PublicReply || !v.MayDraft {
				return errForbidden
			}
			err = s.Gateway.DraftReply(tx, v.T.ID, v.Draft, by)
		case "decide":
			if v.Typed = in.text("note"); !v.MayDecide {
				return errForbidden
			}
			err = s.Gateway.DecideReply(tx, v.T.ID, in.text("approve") == "yes", v.Typed, by)
		case "code":
			if !v.MayCode {
				return errForbidden
			}
			if v.Code, err = s.Gateway.GiveCode(tx, v.T); err == nil {
				_, err = audit.Append(tx, audit.Entry{Stream: "reveal/" + v.T.ID, Type: "code.given", Actor: u.Actor(), At: s.Now()})
			}
		default:
			return storage.ErrNotFound
		}
		return err
	})
	switch {
	case err != nil || what == "reveal" || what == "code":
		s.showSource(w, r, v, err)
	case download != nil:
		w.Header().Set("Content-Type", download.Media)
		w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": download.Name}))
		w.Header().Set("Cache-Control", "no-store")
		// A page that came with a letter must not run here.
		w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
		w.Write(download.Data)
	default:
		s.Hub.Publish(EventTickets)
		s.done(w, r, "/tickets/"+v.T.ID+"/source", translate(s.lang(r), "did-source-"+what))
	}
}

// revealSource opens the originals of a request, or one of its files, for a reason that is logged (I7).
func (s *Server) revealSource(tx *storage.Tx, v *sourceView, in input, what string, u *user) (*channel.File, error) {
	if !v.MayReveal {
		return nil, errForbidden
	}
	if v.Typed = in.text("reason"); utf8.RuneCountInString(v.Typed) < 2 {
		return nil, contact.ErrNoReason
	}
	v.Reason = v.Typed
	raws, err := s.Office.Raw(tx, v.T.ID)
	if err != nil {
		return nil, err
	}
	var out *channel.File
	detail := map[string]string{"reason": v.Reason, "what": what}
	switch what {
	case "reveal":
		for _, raw := range raws {
			v.Originals = append(v.Originals, channel.ReadOriginal(raw))
		}
	case "original":
		n, err := strconv.Atoi(in.text("n"))
		if err != nil || n < 0 || n >= len(raws) {
			return nil, storage.ErrNotFound
		}
		kind := channel.ReadOriginal(raws[n]).Kind
		ext := map[string]string{"mail": ".eml", "json": ".json"}
		media := map[string]string{"mail": "message/rfc822", "json": "application/json"}
		out = &channel.File{Name: v.T.Number + "-" + strconv.Itoa(n+1) + cmp.Or(ext[kind], ".txt"), Media: cmp.Or(media[kind], "text/plain; charset=utf-8"), Data: raws[n]}
	case "file":
		i := slices.IndexFunc(v.Files, func(a channel.Attachment) bool { return a.ID == in.text("file") && !a.Gone })
		if i < 0 {
			return nil, storage.ErrNotFound
		}
		data, err := s.Gateway.Attached(tx, v.Files[i].ID)
		if err != nil {
			return nil, err
		}
		out = &channel.File{Name: v.Files[i].Name, Media: "application/octet-stream", Data: data}
		if strings.HasPrefix(v.Files[i].Media, "image/") && v.Files[i].Media != "image/svg+xml" {
			out.Media = v.Files[i].Media
		}
		detail["file"] = v.Files[i].ID
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "reveal/" + v.T.ID, Type: "original.revealed", Actor: u.Actor(), At: s.Now(), Payload: detail})
	return out, err
}

// incidentPage shows the requests that belong with an incident of the command centre.
func (s *Server) incidentPage(w http.ResponseWriter, r *http.Request, u *user) {
	v := struct {
		No   string
		Rows []ticketRow
	}{No: r.PathValue("no")}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		list, err := s.Office.Incident(tx, v.No, ticket.Staff(u.Staff))
		if err != nil {
			return err
		}
		channels, err := s.Office.Channels(tx)
		if err != nil {
			return err
		}
		n, err := readNames(tx, s.lang(r))
		for _, t := range list {
			row := ticketRow{Ticket: t, Due: dueOf(s.lang(r), t.Due, s.Now())}
			if !t.State.Open() {
				row.Due = dueView{Text: "—"}
			}
			if t.Host != "" {
				row.HostName = n.Unit(t.Host)
			}
			for _, c := range channels {
				if c.Code == t.Channel {
					row.Channel = c.Name
				}
			}
			v.Rows = append(v.Rows, row)
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "incident", "", "incident", v)
}
