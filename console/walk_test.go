package console

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// route is a way into the console or the API, with the permission that its line in the source asks for. Routes are read
// from the source, so that one that is added tomorrow is walked too.
type route struct {
	method, path string
	action       org.Action // "" where any account, or anybody, may
	signedIn     bool
}

var (
	pageRoute    = regexp.MustCompile(`HandleFunc\("(GET|POST|PUT|DELETE|PATCH) (/[^"]*)", (s\.may\(org\.(\w+)|s\.signedIn\()?`)
	apiRoute     = regexp.MustCompile(`huma\.(Get|Post|Put|Delete|Patch)\(api, "(/[^"]*)", s\.(\w+)`)
	apiHandler   = regexp.MustCompile(`(?s)func \(s \*Server\) (\w+)\([^{]*?\{`)
	callerAction = regexp.MustCompile(`caller\(ctx, org\.(\w+)\)`)
	actionValue  = regexp.MustCompile(`(\w+)\s+Action = "([^"]+)"`)
)

func routesOf(t *testing.T) (pages, api []route) {
	t.Helper()
	permissions, err := os.ReadFile("../org/permission.go")
	if err != nil {
		t.Fatal(err)
	}
	actions := map[string]org.Action{}
	for _, m := range actionValue.FindAllStringSubmatch(string(permissions), -1) {
		actions[m[1]] = org.Action(m[2])
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		all.WriteByte('\n')
	}
	source := all.String()
	for _, m := range pageRoute.FindAllStringSubmatch(source, -1) {
		r := route{method: m[1], path: m[2], signedIn: m[3] != ""}
		if m[4] != "" {
			if r.action = actions[m[4]]; r.action == "" {
				t.Errorf("%s %s asks for org.%s, which is no action", m[1], m[2], m[4])
			}
		}
		pages = append(pages, r)
	}
	asks := map[string]org.Action{} // by handler
	for _, at := range apiHandler.FindAllStringSubmatchIndex(source, -1) {
		name, rest := source[at[2]:at[3]], source[at[1]:]
		if end := strings.Index(rest, "\n}\n"); end >= 0 {
			rest = rest[:end]
		}
		if m := callerAction.FindStringSubmatch(rest); m != nil {
			asks[name] = actions[m[1]]
		}
	}
	for _, m := range apiRoute.FindAllStringSubmatch(source, -1) {
		api = append(api, route{method: strings.ToUpper(m[1]), path: m[2], action: asks[m[3]]})
	}
	if len(pages) < 55 || len(api) < 10 {
		t.Fatalf("only %d pages and %d operations were found in the source", len(pages), len(api))
	}
	return pages, api
}

var pathParam = regexp.MustCompile(`\{[^}]*\}`)

// fill puts values into the parameters of a path, the same into each but an action's.
func (r route) fill(id, action string) string {
	return pathParam.ReplaceAllStringFunc(r.path, func(p string) string {
		switch p {
		case "{action}":
			return action
		case "{$}":
			return ""
		case "{lang}":
			return "zh-CN"
		case "{day}":
			return "2026-11-22"
		}
		return id
	})
}

// tokenOf makes a token of the API for a role.
func (h *house) tokenIn(role org.Role, unit string) (secret string) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) {
		secret, _, err = org.Register{}.NewToken(tx, org.Token{Name: "test " + string(role), Role: role, Unit: unit}, "system")
		return err
	})
	return secret
}

// call asks the API with a token.
func (h *house) ask(secret, method, path, body string) answer {
	h.t.Helper()
	r, err := http.NewRequest(method, h.http.URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{res.StatusCode, string(b), path, res.Header}
}

// absent reports that the operation is not registered in this house.
func absent(p answer) bool {
	return p.status == http.StatusNotFound && strings.Contains(p.body, "there is no such operation")
}

// leaveOut are routes that answer with a stream that never ends, or end the reader's own session.
func leaveOut(r route) bool {
	return strings.HasSuffix(r.path, "/events") || r.path == "/sign-out" || r.path == "/sign-in" || strings.HasPrefix(r.path, "/softphone/")
}

// furtherNeeds are pages whose handlers ask for more than the action of their line: what a role needs besides it.
var furtherNeeds = map[string]func(org.Role) bool{
	// The channels decide: whoever may bring a file into none of them has no business there.
	"GET /imports": func(r org.Role) bool { return org.Can(r, org.ImportData) || org.Can(r, org.ViewRestricted) },
	// The answer to a file is the page with what it says of tickets.
	"POST /dual":    func(r org.Role) bool { return org.Can(r, org.ViewAlerts) },
	"POST /silence": func(r org.Role) bool { return org.Can(r, org.ViewAlerts) },
	// Who proposes has read the rating; who decides reads the proposal only.
	"POST /exclusions": func(r org.Role) bool { return org.Can(r, org.ViewSurvey) },
}

// accounts is one sample account of each role that has one.
func (s *sample) accounts() map[org.Role]string {
	out := map[org.Role]string{}
	for login, p := range s.staff {
		if have, ok := out[p.Role]; !ok || login < have {
			out[p.Role] = login
		}
	}
	return out
}

// ORG-5: every role at every page. Who may not is refused with 403 whatever is asked for; who may is not.
func TestEveryRoleMeetsItsPermissionsOnEveryPage(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	pages, _ := routesOf(t)
	cells, roles := 0, s.accounts()
	for _, role := range org.Roles() {
		login, has := roles[role]
		if has != role.SignsIn() {
			t.Errorf("role %s: an account is there: %v", role, has)
			continue
		}
		if !has {
			continue
		}
		b := s.as(login)
		for _, r := range pages {
			if leaveOut(r) || r.action == "" {
				continue
			}
			path := r.fill("01ZZZZZZZZZZZZZZZZZZZZZZZZ", "accept")
			var p answer
			if r.method == "GET" {
				p = b.get(path)
			} else {
				p = b.post(path, nil)
			}
			cells++
			further := furtherNeeds[r.method+" "+r.path]
			if may := org.Can(role, r.action) && (further == nil || further(role)); may && p.status == http.StatusForbidden && !strings.HasSuffix(r.path, "/reveal") || !may && p.status != http.StatusForbidden {
				t.Errorf("%s at %s %s: %d, may %s: %v", role, r.method, r.path, p.status, r.action, may)
			}
			if p.status >= 500 {
				t.Errorf("%s at %s %s: %d", role, r.method, r.path, p.status)
			}
		}
	}
	if cells < 14*45 {
		t.Errorf("%d pages were tried", cells)
	}
	// Nobody without an account gets past the door.
	for _, r := range pages {
		if leaveOut(r) || !r.signedIn {
			continue
		}
		req, _ := http.NewRequest(r.method, s.http.URL+r.fill("01ZZZZZZZZZZZZZZZZZZZZZZZZ", "accept"), nil)
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/sign-in") {
			t.Errorf("without an account %s %s: %d to %q", r.method, r.path, res.StatusCode, to)
		}
	}
}

// ORG-5: every role at every operation of the API, all eighteen of them, since a token may carry any.
func TestEveryRoleMeetsItsPermissionsInTheAPI(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	_, api := routesOf(t)
	body := `{"title":"路灯","text":"路灯坏了","channel":"web","phone":"19900009999","number":"19900009999","body":"5"}`
	for _, role := range org.Roles() {
		secret := s.tokenIn(role, "benxi-minyi")
		for _, r := range api {
			p := s.ask(secret, r.method, r.fill("01ZZZZZZZZZZZZZZZZZZZZZZZZ", ""), body)
			if r.action == "" || absent(p) {
				continue // its handler decides by what is asked for; or this house has no part that it needs
			}
			// A body that is no good is refused before the permission is looked at: 422 says nothing of it.
			if may := org.Can(role, r.action); may && p.status == http.StatusForbidden || !may && p.status != http.StatusForbidden && (r.method == "GET" || p.status != http.StatusUnprocessableEntity) {
				t.Errorf("%s at %s %s: %d, may %s: %v", role, r.method, r.path, p.status, r.action, may)
			}
		}
	}
	for _, r := range api {
		if p := s.ask("", r.method, r.fill("x", ""), body); p.status != http.StatusUnauthorized && !absent(p) {
			t.Errorf("without a token %s %s: %d", r.method, r.path, p.status)
		}
	}
}

// I6: the accused officer and the accused unit never read of a complaint or of who complains, and never act on it, by any
// page, operation or export. Every route is walked with every id and word that belongs to the complaint.
func TestTheAccusedFindNothingOnAnyWay(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	const phone, masked, name, title, words = "19955556666", "199****6666", "欧阳静姝", "揭发窗口收取好处", "塞给他两条香烟才给办"
	who := s.person(phone, name)
	var k ticket.Ticket
	var alert ticket.Alert
	var back ticket.Callback
	s.call("call-accused", phone, who, "")
	in := ticket.Intake{Channel: "hotline", Title: title, Body: words + "，我的电话" + phone, ContactID: who, CallID: "call-accused", AccusedUnit: "210502-zhanqian", AccusedStaff: s.staff["operator1"].ID,
		By: s.actor("operator2"), Raw: []byte(title)}
	s.do(func(tx *storage.Tx) (err error) {
		if k, err = s.office.Open(tx, in); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE call SET ticket_id = $1 WHERE id = 'call-accused'`, k.ID); err != nil {
			return err
		}
		if _, err = s.office.Accept(tx, k.ID, ticket.Acceptance{Kind: ticket.Complaint}, s.actor("dispatcher1")); err != nil {
			return err
		}
		if _, err = s.office.Dispatch(tx, k.ID, ticket.Dispatching{Host: "210502-qianjin", Co: []string{"benxi-fazhi"}}, s.actor("dispatcher1")); err != nil {
			return err
		}
		if alert, err = s.office.RaiseAlert(tx, ticket.Alert{Rule: "W9", Level: ticket.Orange, Title: title, Evidence: words, TicketID: k.ID, ContactID: who, By: ticket.System}); err != nil {
			return err
		}
		back, err = s.office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackMessage, TicketID: k.ID, CallID: "call-accused", ContactID: who, Reason: words, By: ticket.System})
		return err
	})
	s.pass(100 * 60 * 60 * 1e9)
	if _, err := s.office.Sweep(s.ctx, s.db, s.now()); err != nil { // notices are there too
		t.Fatal(err)
	}
	ids := []string{k.ID, k.Number, alert.ID, back.ID, who, "call-accused"}
	for _, l := range s.legs(k.ID) {
		ids = append(ids, l.ID)
	}
	s.view(func(tx *storage.Tx) error {
		steps, err := s.office.Steps(tx, k.ID)
		for _, st := range steps {
			ids = append(ids, st.ID)
		}
		return err
	})
	secrets := []string{phone, masked, name, title, words, k.Number}
	queries := []string{"", "?q=" + url.QueryEscape(title), "?q=" + phone, "?q=" + url.QueryEscape(k.Number), "?open=1", "?mine=1", "?overdue=1", "?all=1", "?day=2026-11-23", "?channel=hotline",
		"?call_id=call-accused", "?contact=" + who, "?ticket=" + k.ID, "?stream=" + url.QueryEscape("ticket/"+k.ID)}
	pages, api := routesOf(t)
	events := func() (n int) {
		s.view(func(tx *storage.Tx) error {
			all, err := audit.Stream(tx, ticket.Stream(k.ID))
			n = len(all)
			return err
		})
		return n
	}
	before := events()
	tried := 0
	look := func(who, what string, p answer, but ...string) {
		tried++
		for _, secret := range secrets {
			if slices.Contains(but, secret) {
				continue
			}
			if strings.Contains(p.body, secret) {
				t.Errorf("%s reads “%s” by %s (%d)", who, secret, what, p.status)
			}
		}
	}
	var codes []string
	for _, a := range actions {
		codes = append(codes, a.code)
	}
	for _, login := range []string{"handler1", "operator1"} { // of the accused unit; the accused officer of the centre
		b := s.as(login)
		for _, r := range pages {
			if leaveOut(r) {
				continue
			}
			var paths []string
			for i, id := range ids {
				if !strings.Contains(r.path, "{id}") && i > 0 {
					break
				}
				if strings.Contains(r.path, "{action}") {
					for _, code := range codes {
						if i == 0 {
							paths = append(paths, r.fill(id, code))
						}
					}
					continue
				}
				paths = append(paths, r.fill(id, ""))
				if strings.Contains(r.path, "{do}") { // what nobody knows how to do, and what is done
					paths = append(paths, strings.NewReplacer("{id}", id, "{do}", "hold").Replace(r.path))
				}
			}
			for _, path := range paths {
				if r.method == "POST" {
					f := form("reason", "需要核实情况", "evidence", "录音", "on", ids[len(ids)-1], "note", "核实", "grant", "yes", "day", "2026-11-23", "from", "2026-11-20", "to", "2026-11-30", "seen", "")
					look(login, "POST "+path, b.post(path, f))
					continue
				}
				for _, q := range queries {
					if strings.Contains(r.path, "{id}") && q != "" {
						break
					}
					var echoed []string
					for _, secret := range secrets { // what was typed into a search stands in its field
						if q == "?q="+url.QueryEscape(secret) {
							echoed = append(echoed, secret)
						}
					}
					look(login, "GET "+path+q, b.get(path+q), echoed...)
				}
			}
		}
	}
	for _, role := range org.Roles() {
		secret := s.tokenIn(role, "210502-zhanqian")
		for _, r := range api {
			for i, id := range ids {
				if !strings.Contains(r.path, "{id}") && i > 0 {
					break
				}
				for _, q := range queries {
					if r.method != "GET" && q != "" || strings.Contains(r.path, "{id}") && q != "" {
						break
					}
					path := r.fill(id, "") + q
					p, typed := s.ask(secret, r.method, path, `{}`), []string(nil)
					if p.status == http.StatusUnprocessableEntity && strings.Contains(r.path, "{") {
						typed = append(typed, id) // a path that is no number is told back as it was typed
					}
					look("a token of "+string(role), r.method+" "+path, p, typed...)
				}
			}
		}
	}
	if after := events(); after != before {
		t.Errorf("the accused brought %d events about", after-before)
	}
	if tried < 1500 {
		t.Errorf("only %d ways were tried", tried)
	}
	t.Log(fmt.Sprint(tried, " ways"))
	// The same ways lead others there: the walk is no walk past closed doors only.
	found := bytes.Buffer{}
	for _, path := range []string{"/tickets?q=" + url.QueryEscape(title), "/tickets/" + k.ID, "/callbacks/" + back.ID, "/alerts/" + alert.ID, "/calls/call-accused"} {
		found.WriteString(s.as("operator2").get(path).body)
	}
	for _, secret := range []string{masked, title, k.Number} {
		if !strings.Contains(found.String(), secret) {
			t.Errorf("not even a colleague finds “%s”", secret)
		}
	}
}
