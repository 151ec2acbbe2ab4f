package console

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	xrate "golang.org/x/time/rate"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

// publicRoutes are the pages that everybody reaches, made for a phone: submit, look, add, rate, withdraw.
func (s *Server) publicRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /p", s.publicForm)
	mux.HandleFunc("POST /p", s.publicPost)
	mux.HandleFunc("GET /p/mail", s.publicForm) // 局长信箱
	mux.HandleFunc("POST /p/mail", s.publicPost)
	mux.HandleFunc("GET /p/look", s.publicLookForm)
	mux.HandleFunc("POST /p/look", s.publicLook)
	mux.HandleFunc("GET /p/rate/{token}", s.publicRateForm)
	mux.HandleFunc("POST /p/rate/{token}", s.publicRate)
	s.publicPollRoutes(mux)
}

// limiter lets each address do so much a minute.
type limiter struct {
	perMinute, burst int

	mu    sync.Mutex
	by    map[string]*visitor
	swept time.Time
}

type visitor struct {
	bucket *xrate.Limiter
	seen   time.Time
}

// allow reports whether an address may go on, and if not, for how long it may not.
func (l *limiter) allow(addr string, now time.Time) (bool, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]*visitor{}
	}
	if now.Sub(l.swept) > time.Minute {
		for k, v := range l.by {
			if now.Sub(v.seen) > 10*time.Minute {
				delete(l.by, k)
			}
		}
		l.swept = now
	}
	v := l.by[addr]
	if v == nil {
		// A flood from ever new addresses must not fill the memory: beyond this, strangers share one bucket.
		if len(l.by) >= 100000 {
			addr = "others"
			if v = l.by[addr]; v == nil {
				v = &visitor{bucket: xrate.NewLimiter(xrate.Limit(float64(l.perMinute)/60), l.burst)}
				l.by[addr] = v
			}
		} else {
			v = &visitor{bucket: xrate.NewLimiter(xrate.Limit(float64(l.perMinute)/60), l.burst)}
			l.by[addr] = v
		}
	}
	v.seen = now
	r := v.bucket.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return false, wait
	}
	return true, 0
}

// publicLimits are how much an address may do a minute: hand in requests; hand them in with a sum instead of work; ask.
type publicLimits struct{ post, sum, ask limiter }

func newPublicLimits() *publicLimits {
	return &publicLimits{post: limiter{perMinute: 10, burst: 10}, sum: limiter{perMinute: 2, burst: 3}, ask: limiter{perMinute: 40, burst: 20}}
}

// clientAddr is where a request comes from: the connection's other end, or, behind a proxy of ours, whom that names. An
// IPv6 neighbourhood of one house (/64) counts as one.
func (s *Server) clientAddr(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	for _, p := range s.Proxies {
		if p.Contains(a.Unmap()) {
			if list := strings.Split(r.Header.Get("X-Forwarded-For"), ","); len(list) > 0 {
				if b, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
					a = b
				}
			}
			break
		}
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// throttled answers 429 when an address does too much.
func (s *Server) throttled(w http.ResponseWriter, r *http.Request, l *limiter) bool {
	ok, wait := l.allow(s.clientAddr(r), time.Now())
	if ok {
		return false
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/open311/") {
		writeProblem(w, http.StatusTooManyRequests, "too many requests; try again later")
		return true
	}
	s.publicShow(w, r, http.StatusTooManyRequests, "public-note", map[string]any{"Text": "too-fast", "Bad": true})
	return true
}

// writeProblem answers a program as RFC 9457 says.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

func (s *Server) publicShow(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	h.Set("X-Robots-Tag", "noindex")
	s.render(w, r, status, name, "public", name, data)
}

type publicFormView struct {
	Mail      bool
	Challenge string
	A, B      int
	Error     string
	In        map[string]string
	Kinds     []ticket.Kind
	MaxPhotos int
}

// publicKinds are the kinds that the form offers.
var publicKinds = []ticket.Kind{ticket.Inquiry, ticket.Help, ticket.Complaint, ticket.Report, ticket.Suggestion, ticket.Praise}

const (
	maxPhotos     = 4
	maxPhoto      = 8 << 20
	maxSubmission = maxPhotos*maxPhoto + 1<<20
)

func (s *Server) formView(r *http.Request) publicFormView {
	c := s.Gateway.Challenge()
	a, b := channel.Sum(c)
	return publicFormView{Mail: strings.HasSuffix(r.URL.Path, "/mail"), Challenge: c, A: a, B: b, Kinds: publicKinds, In: map[string]string{}, MaxPhotos: maxPhotos}
}

func (s *Server) publicForm(w http.ResponseWriter, r *http.Request) {
	v := s.formView(r)
	for _, name := range []string{"unit", "window", "clerk", "from"} { // a code that was scanned at a window, or at a campaign, tells them
		if x := strings.TrimSpace(r.URL.Query().Get(name)); utf8.RuneCountInString(x) <= 64 {
			v.In[name] = x
		}
	}
	s.publicShow(w, r, http.StatusOK, "public-form", v)
}

// posted is what the form or the mini-programme sends.
type posted struct {
	Kind         string `json:"kind"`
	Title        string `json:"title"`
	Body         string `json:"body"`
	Place        string `json:"place"`
	Lat          string `json:"lat"`
	Lng          string `json:"lng"`
	Name         string `json:"name"`
	Phone        string `json:"phone"`
	Unit         string `json:"accused_unit,omitempty"`
	Served       string `json:"served_unit,omitempty"` // unit of the window where a code was scanned
	Window       string `json:"window,omitempty"`
	Clerk        string `json:"clerk,omitempty"`
	From         string `json:"from,omitempty"` // code of a campaign that was scanned
	Confidential bool   `json:"confidential"`
	Anonymous    bool   `json:"anonymous"`
	Open         bool   `json:"open"` // may be shown in public, numbers and names hidden
	Challenge    string `json:"challenge,omitempty"`
	Proof        string `json:"proof,omitempty"`
	Sum          string `json:"sum,omitempty"`
	photos       []channel.File
}

// readPosted reads a form or an object with its photos, at most maxSubmission bytes. The message of the error is the key of its text.
func (s *Server) readPosted(w http.ResponseWriter, r *http.Request) (p posted, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxSubmission)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
		if err := d.Decode(&p); err != nil {
			return p, refusedKey("bad-submission")
		}
		return p, nil
	}
	if err := r.ParseMultipartForm(4 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return p, refusedKey("photos-too-big")
		}
		return p, refusedKey("bad-submission")
	}
	in := input{r}
	p = posted{Kind: in.text("kind"), Title: in.text("title"), Body: in.text("body"), Place: in.text("place"), Lat: in.text("lat"), Lng: in.text("lng"), Name: in.text("name"), Phone: in.text("phone"),
		Unit: in.text("accused_unit"), Served: in.text("unit"), Window: in.text("window"), Clerk: in.text("clerk"), From: in.text("from"), Confidential: in.on("confidential"), Anonymous: in.on("anonymous"), Open: in.on("open"), Challenge: in.text("challenge"), Proof: in.text("proof"), Sum: in.text("sum")}
	if r.MultipartForm == nil {
		return p, nil
	}
	defer r.MultipartForm.RemoveAll()
	for _, h := range r.MultipartForm.File["photo"] {
		if h.Size == 0 {
			continue
		}
		f, err := readPhoto(h)
		if err != nil {
			return p, err
		}
		if p.photos = append(p.photos, f); len(p.photos) > maxPhotos {
			return p, refusedKey("photos-too-many")
		}
	}
	return p, nil
}

func refusedKey(key string) error { return &ticket.Refusal{Code: "submission", Message: key} }

func readPhoto(h *multipart.FileHeader) (channel.File, error) {
	if h.Size > maxPhoto {
		return channel.File{}, refusedKey("photos-too-big")
	}
	f, err := h.Open()
	if err != nil {
		return channel.File{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return channel.File{}, err
	}
	media := http.DetectContentType(data)
	if len(data) > 12 && string(data[4:8]) == "ftyp" {
		media = "image/heic"
		if strings.HasPrefix(string(data[8:12]), "mp4") || strings.HasPrefix(string(data[8:12]), "iso") || strings.HasPrefix(string(data[8:12]), "qt") {
			media = "video/mp4"
		}
	}
	if !strings.HasPrefix(media, "image/") && media != "video/mp4" {
		return channel.File{}, refusedKey("photos-kind")
	}
	return channel.File{Name: h.Filename, Media: media, Data: data}, nil
}

// submission makes of what was posted what the gateway takes.
func (p posted) submission(code string) (channel.Submission, error) {
	kind := ticket.Kind(p.Kind)
	switch {
	case kind != "" && !kind.Valid():
		return channel.Submission{}, refusedKey("bad-submission")
	case utf8.RuneCountInString(p.Body) < 5:
		return channel.Submission{}, refusedKey("body-too-short")
	case utf8.RuneCountInString(p.Body) > 5000 || utf8.RuneCountInString(p.Title) > 100 || utf8.RuneCountInString(p.Place) > 200 || utf8.RuneCountInString(p.Name) > 40 || len(p.Phone) > 30 || len(p.Lat) > 20 || len(p.Lng) > 20 ||
		utf8.RuneCountInString(p.Window) > 30 || utf8.RuneCountInString(p.Clerk) > 30 || len(p.Served) > 64 || len(p.From) > 64:
		return channel.Submission{}, refusedKey("body-too-long")
	case !coordinate(p.Lat, 90) || !coordinate(p.Lng, 180):
		return channel.Submission{}, refusedKey("bad-place")
	}
	clean := p
	clean.Challenge, clean.Proof, clean.Sum = "", "", ""
	raw, err := json.Marshal(clean)
	if err != nil {
		return channel.Submission{}, err
	}
	d := channel.Delivery{Channel: code, Title: p.Title, Body: p.Body, Kind: p.Kind, Place: p.Place, AccusedUnit: p.Unit, Unit: p.Served, Window: p.Window, Clerk: p.Clerk, Confidential: p.Confidential, Anonymous: p.Anonymous, Raw: raw, Files: p.photos}
	if kind == ticket.Complaint && d.AccusedUnit == "" {
		d.AccusedUnit = p.Served // who complains where a window's code was scanned complains of that window
	}
	if nonce, _, _ := strings.Cut(p.Challenge, "."); nonce != "" {
		d.ExternalID = code + ":" + nonce // the same form sent twice is one request
	}
	if !p.Anonymous {
		d.Name, d.Phone = p.Name, p.Phone
	}
	return channel.Submission{Delivery: d, Lat: p.Lat, Lng: p.Lng, Open: p.Open}, nil
}

// coordinate reports whether text is nothing, or degrees.
func coordinate(text string, most float64) bool {
	if text == "" {
		return true
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && f >= -most && f <= most
}

// shownWork checks the work or the sum that came with a submission.
func (s *Server) shownWork(w http.ResponseWriter, r *http.Request, p posted) (ok, answered bool) {
	if p.Proof != "" && s.Gateway.Proven(p.Challenge, p.Proof) {
		return true, false
	}
	if p.Sum != "" && s.Gateway.Summed(p.Challenge, p.Sum) {
		// A sum costs a machine nothing, so it is good for less.
		if s.throttled(w, r, &s.public.sum) {
			return false, true
		}
		return true, false
	}
	return false, false
}

// publicPost takes a request from the web form. Nothing is asked for that is not needed, and what was typed is not lost.
func (s *Server) publicPost(w http.ResponseWriter, r *http.Request) {
	if s.throttled(w, r, &s.public.post) {
		return
	}
	v := s.formView(r)
	code := "web"
	if v.Mail {
		code = "mailbox"
	}
	p, err := s.readPosted(w, r)
	var rec channel.Receipt
	if err == nil {
		ok, answered := s.shownWork(w, r, p)
		switch {
		case answered:
			return
		case !ok:
			err = refusedKey("no-proof")
		case p.Phone != "" && !p.Anonymous && !readable(p.Phone):
			err = refusedKey("bad-phone")
		default:
			rec, err = s.submit(r, p, code)
		}
	}
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		v.Error = translate(s.lang(r), refusal.Message)
		v.In = map[string]string{"kind": p.Kind, "title": p.Title, "body": p.Body, "place": p.Place, "name": p.Name, "phone": p.Phone, "lat": p.Lat, "lng": p.Lng, "unit": p.Served, "window": p.Window, "clerk": p.Clerk, "from": p.From}
		for name, on := range map[string]bool{"confidential": p.Confidential, "anonymous": p.Anonymous, "open": p.Open} {
			if on {
				v.In[name] = "1"
			}
		}
		s.publicShow(w, r, http.StatusUnprocessableEntity, "public-form", v)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.Hub.Publish(EventTickets)
		s.publicShow(w, r, http.StatusOK, "public-done", map[string]any{"R": rec})
	}
}

// submit hands a request to the gateway.
func (s *Server) submit(r *http.Request, p posted, code string) (rec channel.Receipt, err error) {
	sub, err := p.submission(code)
	if err != nil {
		return rec, err
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		if rec, err = s.Gateway.Submit(tx, sub, ticket.System); err != nil || rec.Existing || p.From == "" || s.Oversight == nil {
			return err
		}
		return s.Oversight.Arrived(tx, p.From, rec.TicketID)
	})
	return rec, err
}

type lookView struct {
	Number, Code string
	P            *channel.Progress
	Error        string
	Done         string
}

func (s *Server) publicLookForm(w http.ResponseWriter, r *http.Request) {
	s.publicShow(w, r, http.StatusOK, "public-look", lookView{Number: r.URL.Query().Get("number")})
}

// publicLook shows how a request stands to whoever has its number and code, and carries out what its sender wants.
func (s *Server) publicLook(w http.ResponseWriter, r *http.Request) {
	if s.throttled(w, r, &s.public.ask) {
		return
	}
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	v := lookView{Number: in.text("number"), Code: in.text("code")}
	t, err := s.Gateway.Find(r.Context(), v.Number, v.Code)
	if key := lookProblem(err); key != "" {
		v.Code, v.Error = "", translate(s.lang(r), key)
		s.publicShow(w, r, http.StatusNotFound, "public-look", v)
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		var err error
		switch in.text("do") {
		case "rate":
			if t, err = s.Gateway.RateBy(tx, t, ticket.Stars(in.number("stars")), in.text("words")); err == nil {
				v.Done = "rated-thanks"
			}
		case "add":
			if err = s.Gateway.Add(tx, t, in.text("text")); err == nil {
				v.Done = "added-thanks"
			}
		case "leave":
			if err = s.Gateway.Leave(tx, t, in.text("reason")); err == nil {
				v.Done = "left-done"
			}
		}
		return err
	})
	if refusal, refused := ticket.RefusedWith(err); refused {
		v.Error, v.Done, err = refusal.Message, "", nil
	}
	if err == nil {
		err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
			k, err := s.Office.Get(tx, t.ID)
			if err != nil {
				return err
			}
			p, err := s.Gateway.ProgressOf(tx, k)
			v.P = &p
			return err
		})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	status := http.StatusOK
	if v.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	s.publicShow(w, r, status, "public-look", v)
}

// lookProblem is the key of the text for a number and a code that lead nowhere, "" for other errors.
func lookProblem(err error) string {
	switch {
	case errors.Is(err, channel.ErrNoSuch):
		return "no-such-request"
	case errors.Is(err, channel.ErrLocked):
		return "code-locked"
	}
	return ""
}

func (s *Server) publicRateForm(w http.ResponseWriter, r *http.Request) { s.rateByLink(w, r, false) }
func (s *Server) publicRate(w http.ResponseWriter, r *http.Request)     { s.rateByLink(w, r, true) }

// rateByLink shows the form of a rating link, or takes its one rating.
func (s *Server) rateByLink(w http.ResponseWriter, r *http.Request, post bool) {
	if s.throttled(w, r, &s.public.ask) {
		return
	}
	token := r.PathValue("token")
	var p channel.Progress
	why := ""
	var in input
	if post {
		ok := false
		if in, ok = s.form(w, r); !ok {
			return
		}
		err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
			_, err := s.Gateway.RateByLink(tx, token, ticket.Stars(in.number("stars")), in.text("words"))
			return err
		})
		refusal, refused := ticket.RefusedWith(err)
		switch {
		case err == nil:
			s.publicShow(w, r, http.StatusOK, "public-note", map[string]any{"Text": "rated-thanks"})
			return
		case refused:
			why = refusal.Message
		case !errors.Is(err, channel.ErrNoLink):
			s.fail(w, r, err)
			return
		}
	}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		t, err := s.Gateway.Linked(tx, token)
		if err != nil {
			return err
		}
		p, err = s.Gateway.ProgressOf(tx, t)
		return err
	})
	switch {
	case errors.Is(err, channel.ErrNoLink):
		s.publicShow(w, r, http.StatusGone, "public-note", map[string]any{"Text": "link-gone", "Bad": true})
	case err != nil:
		s.fail(w, r, err)
	default:
		status := http.StatusOK
		if why != "" {
			status = http.StatusUnprocessableEntity
		}
		s.publicShow(w, r, status, "public-rate", map[string]any{"P": p, "Token": token, "Error": why})
	}
}
