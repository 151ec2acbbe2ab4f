// Package console shows the centre to the people who work in it: pages, live events and the JSON API.
//
// Pages are rendered on the server in zh-CN; htmx swaps the middle of the page, and live parts ask again when an event
// says that something of their kind changed. Rules stay in the rooms: a handler reads, or calls one command in one
// transaction, and shows the zh-CN reason when the room refuses.
package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"lianxin/org"
	"lianxin/report"
	"lianxin/storage"
	"lianxin/ticket/oversee"
)

// Server is the console. Fields are set before Handler is called.
type Server struct {
	Deps
	session *scs.SessionManager
	public  *publicLimits
	heard   hearings
}

// New makes a console over the rooms it is given.
func New(d Deps) *Server {
	s := &Server{Deps: d, session: scs.New(), public: newPublicLimits()}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Oversight == nil && s.Office != nil {
		s.Oversight = oversee.New(s.Office)
	}
	if s.Figures == nil {
		s.Figures = &report.Office{Now: s.Now, Oversight: s.Oversight, Survey: d.Survey, Polls: d.Polls}
	}
	if s.Hub == nil {
		s.Hub = &Hub{}
	}
	s.session.Store = sessions{db: d.DB}
	s.session.Lifetime = 12 * time.Hour
	s.session.IdleTimeout = 2 * time.Hour
	s.session.Cookie.Name = "lianxin"
	s.session.Cookie.HttpOnly = true
	s.session.Cookie.SameSite = http.SameSiteLaxMode
	s.session.Cookie.Secure = d.HTTPS
	s.session.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) { s.fail(w, r, err) }
	return s
}

// Handler is everything the console serves.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	pages := http.NewServeMux()
	pages.HandleFunc("GET /sign-in", s.signInPage)
	pages.HandleFunc("POST /sign-in", s.signIn)
	pages.HandleFunc("POST /sign-out", s.signOut)
	pages.HandleFunc("GET /lang/{lang}", s.setLang)
	pages.HandleFunc("GET /{$}", s.signedIn(func(w http.ResponseWriter, r *http.Request, u *user) {
		http.Redirect(w, r, s.home(u), http.StatusSeeOther)
	}))
	pages.HandleFunc("GET /events", s.signedIn(func(w http.ResponseWriter, r *http.Request, _ *user) { s.Hub.ServeHTTP(w, r) }))
	s.routes(pages)
	pages.HandleFunc("/", s.signedIn(func(w http.ResponseWriter, r *http.Request, _ *user) {
		s.problem(w, r, http.StatusNotFound, "not-found")
	}))

	mux.HandleFunc("GET /static/", s.static)
	s.machineRoutes(mux)
	// A page of another site cannot make a signed-in browser post here (Sec-Fetch-Site and Origin are checked).
	mux.Handle("/", http.NewCrossOriginProtection().Handler(s.session.LoadAndSave(pages)))
	return secure(s.recovering(mux))
}

// secure sets the headers of every answer. Styles of elements (bars' widths) are ours; scripts come from files only.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		next.ServeHTTP(w, r)
	})
}

// recovering turns a panic in a handler into a logged error and status 500.
func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.Error("console: panic", "method", r.Method, "path", r.URL.Path, "panic", p)
				http.Error(w, translate("zh-CN", "failed"), http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// assetVersion makes the names of static files change with their content, so that browsers may keep them for ever.
var assetVersion = func() string {
	h := sha256.New()
	fs.WalkDir(staticFiles, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := staticFiles.ReadFile(p)
			h.Write(b)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))[:10]
}()

func asset(name string) string { return "/static/" + name + "?v=" + assetVersion }

func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("v") == assetVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeFileFS(w, r, staticFiles, path.Join("static", strings.TrimPrefix(path.Clean(r.URL.Path), "/static")))
}

// user is who is signed in, as the pages need it.
type user struct {
	org.Staff
	RoleLabel string
	UnitName  string
	Scope     org.Scope
}

const userKey = "staff"

// signedIn lets only people with an active account through; others go to the sign-in page and come back afterwards.
func (s *Server) signedIn(next func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, err := s.whoIs(r.Context())
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if u == nil {
			to := "/sign-in?next=" + url.QueryEscape(r.URL.RequestURI())
			if r.Header.Get("HX-Request") == "true" {
				w.Header().Set("HX-Redirect", to)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), userCtx{}, u)), u)
	}
}

// may is signedIn for people whose role has the permission.
func (s *Server) may(a org.Action, next func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, u *user) {
		if !u.Can(a) {
			s.problem(w, r, http.StatusForbidden, "forbidden")
			return
		}
		next(w, r, u)
	})
}

type userCtx struct{}

// user is who made the request, nil before sign-in.
func (s *Server) user(r *http.Request) *user {
	u, _ := r.Context().Value(userCtx{}).(*user)
	return u
}

// whoIs reads the signed-in person anew for each request, so that a closed account or a changed role counts at once.
func (s *Server) whoIs(ctx context.Context) (u *user, err error) {
	id := s.session.GetString(ctx, userKey)
	if id == "" {
		return nil, nil
	}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		staff, err := org.GetStaff(tx, id)
		if errors.Is(err, storage.ErrNotFound) || err == nil && !staff.Active {
			return nil
		}
		if err != nil {
			return err
		}
		scope, err := org.ScopeOf(tx, staff)
		if err != nil {
			return err
		}
		unit, err := org.GetUnit(tx, staff.Unit)
		if err != nil {
			return err
		}
		name := unit.Short
		if name == "" {
			name = unit.Name
		}
		u = &user{Staff: staff, RoleLabel: staff.Role.Label(), UnitName: name, Scope: scope}
		return nil
	})
	return u, err
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "sign-in", "", "sign-in", map[string]any{"Next": r.URL.Query().Get("next"), "Sample": s.Sample, "Login": "", "Error": ""})
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	login, next := r.PostFormValue("login"), r.PostFormValue("next")
	staff, err := org.Register{Now: s.Now}.SignIn(r.Context(), s.DB, login, r.PostFormValue("password"))
	if err != nil {
		var locked *org.LockedError
		if !errors.Is(err, org.ErrBadSignIn) && !errors.As(err, &locked) {
			s.Log.Error("console: sign in", "err", err)
		}
		s.render(w, r, http.StatusUnauthorized, "sign-in", "", "sign-in", map[string]any{"Next": next, "Sample": s.Sample, "Login": login, "Error": org.SignInReason(err)})
		return
	}
	// A new token, so that one planted before the sign-in is worth nothing after it.
	if err := s.session.RenewToken(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	}
	s.session.Put(r.Context(), userKey, staff.ID)
	if !local(next) {
		next = "/"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// local reports whether a path leads to this server and nowhere else.
func local(next string) bool {
	u, err := url.Parse(next)
	return err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(next, "/") && !strings.HasPrefix(next, "//") && !strings.Contains(next, "\\")
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if err := s.session.Destroy(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// lang is the page's language: zh-CN, or what the reader chose. A browser's own preference does not count: the house
// reads Chinese, and many of its machines say otherwise.
func (s *Server) lang(r *http.Request) string {
	if c, err := r.Cookie("lang"); err == nil && languages[c.Value] != nil {
		return c.Value
	}
	return "zh-CN"
}

// setLang keeps the choice for a year and goes back to where the reader was.
func (s *Server) setLang(w http.ResponseWriter, r *http.Request) {
	lang, next := r.PathValue("lang"), r.URL.Query().Get("next")
	if languages[lang] == nil || !local(next) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "lang", Value: lang, Path: "/", MaxAge: 365 * 86400, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// flash takes the message that the last action left for the next page.
func (s *Server) flash(r *http.Request) string {
	if s.user(r) == nil {
		return ""
	}
	return s.session.PopString(r.Context(), "flash")
}

// done leaves a message and sends the browser on (Post/Redirect/Get).
func (s *Server) done(w http.ResponseWriter, r *http.Request, to, message string) {
	s.session.Put(r.Context(), "flash", message)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// problem shows a short page with a status.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.render(w, r, status, "problem", "", "problem", text)
}

// fail logs what went wrong, once, and shows that something did.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the reader is gone
	}
	s.Log.Error("console", "method", r.Method, "path", r.URL.Path, "err", err)
	http.Error(w, translate(s.lang(r), "failed"), http.StatusInternalServerError)
}
