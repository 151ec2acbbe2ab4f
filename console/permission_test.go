package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// hidden checks that a ticket is not there for somebody: not by its page, its parts, its commands or any list.
func (s *sample) hidden(t *testing.T, login string, x ticket.Ticket) {
	t.Helper()
	b := s.as(login)
	for _, path := range []string{"/tickets/" + x.ID, "/tickets/" + x.Number, "/tickets/" + x.ID + "/live"} {
		if p := b.get(path); p.status != http.StatusNotFound || strings.Contains(p.body, x.Title) {
			t.Errorf("%s gets %d for %s", login, p.status, path)
		}
	}
	for _, path := range []string{"/reveal", "/act/accept", "/act/withdraw"} {
		if p := b.post("/tickets/"+x.ID+path, form("reason", "需要联系群众", "evidence", "录音")); p.status != http.StatusNotFound {
			t.Errorf("%s gets %d for POST %s", login, p.status, path)
		}
	}
	for _, path := range []string{"/tickets", "/tickets?open=1", "/tickets?mine=1", "/tickets?q=" + url.QueryEscape(x.Number), "/tickets?state=" + string(x.State)} {
		if p := b.get(path); strings.Contains(p.body, x.ID) || strings.Contains(p.body, ">"+x.Number+"<") {
			t.Errorf("%s finds %s in %s", login, x.Number, path)
		}
	}
}

func TestAUnitSeesOnlyWhatItHandles(t *testing.T) {
	s := newHouse(t).fill()
	s.hidden(t, "handler2", s.handling)
	s.hidden(t, "handler1", s.fresh)
	s.hidden(t, "expert1", s.handling)
	if p := s.as("handler1").get("/tickets/" + s.handling.ID); p.status != http.StatusOK {
		t.Errorf("the unit itself gets %d", p.status)
	}
	if p := s.as("reviewer1").get("/tickets/" + s.handling.ID); p.status != http.StatusOK {
		t.Errorf("the branch above it gets %d", p.status)
	}
	if p := s.as("admin1").get("/tickets/" + s.handling.ID); p.status != http.StatusForbidden {
		t.Errorf("the administrator gets %d", p.status)
	}
}

func TestTheAccusedFindNothing(t *testing.T) {
	s := newHouse(t).fill()
	s.hidden(t, "handler1", s.accused)
	// An officer of the centre itself, who would see every other ticket.
	x := s.open(ticket.Intake{Title: "反映话务员周某态度", Body: "接听时态度不好。", AccusedStaff: s.staff["operator1"].ID, By: s.actor("operator2")})
	s.hidden(t, "operator1", x)
	if p := s.as("operator2").get("/tickets/" + x.ID); p.status != http.StatusOK {
		t.Errorf("a colleague gets %d", p.status)
	}
	// Its alert and its call-back are not there either.
	var a ticket.Alert
	var c ticket.Callback
	who := s.person("19900004444", "")
	s.do(func(tx *storage.Tx) (err error) {
		if a, err = s.office.RaiseAlert(tx, ticket.Alert{Rule: "W9", Level: ticket.Orange, Title: "涉及话务员的投诉", TicketID: x.ID, By: ticket.System}); err != nil {
			return err
		}
		c, err = s.office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackMessage, TicketID: x.ID, ContactID: who, Reason: "要求回电", By: ticket.System})
		return err
	})
	for _, path := range []string{"/alerts/" + a.ID, "/callbacks/" + c.ID} {
		if p := s.as("operator1").get(path); p.status != http.StatusNotFound {
			t.Errorf("the accused gets %d for %s", p.status, path)
		}
		if p := s.as("operator2").get(path); p.status != http.StatusOK {
			t.Errorf("a colleague gets %d for %s", p.status, path)
		}
	}
	for _, path := range []string{"/alerts", "/callbacks"} {
		if p := s.as("operator1").get(path); strings.Contains(p.body, a.ID) || strings.Contains(p.body, c.ID) {
			t.Errorf("the accused finds it in %s", path)
		}
	}
}

func TestRestrictedTicketsAreForTheirSeat(t *testing.T) {
	s := newHouse(t).fill()
	for _, login := range []string{"operator1", "dispatcher1", "caller1", "supervisor1", "auditor1"} {
		s.hidden(t, login, s.restricted)
	}
	for _, login := range []string{"inspector1", "leader1"} {
		if p := s.as(login).get("/tickets/" + s.restricted.ID); p.status != http.StatusOK {
			t.Errorf("%s gets %d", login, p.status)
		}
	}
	if p := s.as("operator1").get("/tickets/new"); strings.Contains(p.body, "督察12389") {
		t.Error("an operator may register for the seat")
	}
}

func TestCommandsThatWereNotOfferedAreNotCarriedOut(t *testing.T) {
	s := newHouse(t).fill()
	leg := s.legs(s.handling.ID)[0].ID
	for _, c := range []struct {
		login, path string
		form        url.Values
	}{
		{"operator1", "/tickets/" + s.accepted.ID + "/act/dispatch", form("host", "210502-zhanqian")},
		{"auditor1", "/tickets/" + s.fresh.ID + "/act/accept", form("colour", "蓝")},
		{"analyst1", "/tickets/" + s.reviewing.ID + "/act/approve", form("reply", "好", "via", "phone")},
		{"dispatcher1", "/tickets/" + s.handling.ID + "/act/submit", form("on", leg, "result", "好", "basis", "无", "finding", "true", "resolution", "solved")},
		{"operator1", "/tickets/" + s.rating.ID + "/act/rate", form("given", "five:5")},
		{"handler1", "/tickets/" + s.rating.ID + "/act/rate", form("given", "five:5")},
		{"handler1", "/tickets/" + s.asked.ID + "/act/decide", form("grant", "yes", "informed", "电话", "on", firstRequest(s, s.asked))},
	} {
		before := s.get(lastPart(c.path))
		p := s.as(c.login).post(c.path, c.form)
		if p.status != http.StatusUnprocessableEntity && p.status != http.StatusConflict {
			t.Errorf("%s %s: %d %s", c.login, c.path, p.status, alertIn(p.body))
		}
		if alertIn(p.body) == "" {
			t.Errorf("%s %s: no reason is given", c.login, c.path)
		}
		if after := s.get(before.ID); after.Revision != before.Revision {
			t.Errorf("%s %s: the ticket changed", c.login, c.path)
		}
	}
	// A leg of another ticket is no part of this one.
	if p := s.as("handler1").post("/tickets/"+s.dispatched.ID+"/act/contact", form("on", leg, "via", "phone", "outcome", "reached")); p.status != http.StatusNotFound {
		t.Errorf("a leg of another ticket: %d", p.status)
	}
	if p := s.as("dispatcher1").post("/tickets/"+s.accepted.ID+"/act/explode", nil); p.status != http.StatusNotFound {
		t.Errorf("an unknown command: %d", p.status)
	}
	// A page of another site cannot make the browser act.
	r, _ := http.NewRequest("POST", s.http.URL+"/tickets/"+s.accepted.ID+"/act/withdraw", strings.NewReader(form("reason", "x", "evidence", "y").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if p := s.as("dispatcher1").send(r); p.status != http.StatusForbidden {
		t.Errorf("from another site: %d", p.status)
	}
}

func lastPart(path string) string { return strings.Split(path, "/")[2] }

func firstRequest(s *sample, x ticket.Ticket) (id string) {
	s.view(func(tx *storage.Tx) error {
		qs, err := s.office.Requests(tx, x.ID)
		id = qs[0].ID
		return err
	})
	return id
}

// reveals counts the reveals of a person in the log.
func (s *sample) reveals(contactID string) (n int) {
	s.t.Helper()
	s.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, "contact/"+contactID)
		for _, e := range events {
			if e.Type == "contact.revealed" {
				n++
			}
		}
		return err
	})
	return n
}

func TestNumbersAreMaskedUntilSomebodyWhoMayGivesAReason(t *testing.T) {
	s := newHouse(t).fill()
	const number = "19900001111"
	for _, login := range []string{"operator1", "dispatcher1", "caller1", "handler1", "supervisor1", "leader1", "auditor1"} {
		for _, path := range []string{"/tickets/" + s.handling.ID, "/tickets", "/callbacks"} {
			if p := s.as(login).get(path); strings.Contains(p.body, number) {
				t.Errorf("%s reads the number on %s", login, path)
			}
		}
	}
	b, path, who := s.as("operator1"), "/tickets/"+s.handling.ID+"/reveal", s.handling.ContactID
	for _, reason := range []string{"", " ", "看"} {
		if p := b.post(path, form("reason", reason)); p.status != http.StatusUnprocessableEntity || strings.Contains(p.body, number) || alertIn(p.body) == "" {
			t.Errorf("with reason %q: %d", reason, p.status)
		}
	}
	if n := s.reveals(who); n != 0 {
		t.Errorf("%d reveals logged before any was made", n)
	}
	p := b.post(path, form("reason", "回拨核实地址"))
	if p.status != http.StatusOK || !strings.Contains(p.body, number) || !strings.Contains(p.body, "联系电话 "+number) || !strings.Contains(p.body, "王春花") {
		t.Errorf("with a reason: %d, number %v", p.status, strings.Contains(p.body, number))
	}
	if p.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a page with the number may be kept: %q", p.header.Get("Cache-Control"))
	}
	if n := s.reveals(who); n != 1 {
		t.Errorf("%d reveals logged, want 1", n)
	}
	if p := b.get("/tickets/" + s.handling.ID); strings.Contains(p.body, number) {
		t.Error("the number stays in the open")
	}
	for _, login := range []string{"leader1", "auditor1", "analyst1"} {
		if p := s.as(login).post(path, form("reason", "想看看号码")); p.status != http.StatusForbidden || strings.Contains(p.body, number) {
			t.Errorf("%s: %d", login, p.status)
		}
	}
}

func TestConfidentialIdentityIsForThoseListed(t *testing.T) {
	s := newHouse(t).fill()
	for _, login := range []string{"operator1", "dispatcher1", "supervisor1"} {
		p := s.as(login).get("/tickets/" + s.accused.ID)
		if strings.Contains(p.body, "199****1111") || strings.Contains(p.body, "王**") || !strings.Contains(p.body, "身份保密") {
			t.Errorf("%s reads who it is", login)
		}
		if p := s.as(login).post("/tickets/"+s.accused.ID+"/reveal", form("reason", "需要回电")); p.status != http.StatusForbidden {
			t.Errorf("%s reveals: %d", login, p.status)
		}
	}
	for _, login := range []string{"caller1", "inspector1"} {
		if p := s.as(login).post("/tickets/"+s.accused.ID+"/reveal", form("reason", "需要回电")); p.status != http.StatusOK || !strings.Contains(p.body, "19900001111") {
			t.Errorf("%s cannot reveal: %d", login, p.status)
		}
	}
	// Looking a number up does not tell whose a confidential ticket is.
	p := s.as("operator1").get("/tickets?q=19900001111")
	if !strings.Contains(p.body, s.handling.Number) || strings.Contains(p.body, s.accused.Number) {
		t.Error("a search by number finds the wrong tickets")
	}
	if p := s.as("caller1").get("/tickets?q=19900001111"); !strings.Contains(p.body, s.accused.Number) {
		t.Error("a call-back officer does not find the confidential ticket by its number")
	}
}

func TestTheBoardsFiguresAreTheLengthsOfTheirLists(t *testing.T) {
	s := newHouse(t).fill()
	s.set("2026-12-01 10:00") // everything that is open is overdue by now
	for _, login := range []string{"operator1", "leader1", "inspector1", "handler1"} {
		u := &user{Staff: s.staff[login]}
		s.view(func(tx *storage.Tx) (err error) { u.Scope, err = org.ScopeOf(tx, u.Staff); return err })
		ctx := context.WithValue(s.ctx, userCtx{}, u)
		err := s.db.View(ctx, func(tx *storage.Tx) error {
			open, overdue, callbacks, err := s.s.openCounts(tx, s.now())
			if err != nil {
				return err
			}
			alerts, err := s.s.openAlerts(tx)
			if err != nil {
				return err
			}
			count := func(path, row string) int { return strings.Count(s.as(login).get(path).body, row) }
			if n := count("/tickets?open=1", `<a class="title" href="/tickets/`); n != open || open == 0 {
				t.Errorf("%s: %d open, the list has %d", login, open, n)
			}
			if n := count("/tickets?overdue=1", `<a class="title" href="/tickets/`); n != overdue {
				t.Errorf("%s: %d overdue, the list has %d", login, overdue, n)
			}
			if n := count("/callbacks", `<tr><td class="tight inline"><a href="/callbacks/`); n != callbacks {
				t.Errorf("%s: %d call-backs, the list has %d", login, callbacks, n)
			}
			if n := count("/alerts?state=RAISED", `<a class="title" href="/alerts/`); n != len(alerts) {
				t.Errorf("%s: %d alerts, the list has %d", login, len(alerts), n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheListFindsByEachOfItsFilters(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("dispatcher1")
	all := []ticket.Ticket{s.fresh, s.accepted, s.dispatched, s.handling, s.asked, s.suspended, s.reviewing, s.rating, s.rework, s.closed, s.refused, s.accused, s.bySMS}
	for _, c := range []struct {
		query string
		want  []ticket.Ticket
	}{
		{"", all},
		{"?state=SUSPENDED", []ticket.Ticket{s.suspended}},
		{"?channel=12345", []ticket.Ticket{s.fresh}},
		{"?colour=黄", []ticket.Ticket{s.fresh, s.dispatched, s.rework, s.accused}},
		{"?unit=210502-qianjin&state=DISPATCHED", []ticket.Ticket{s.dispatched}},
		{"?q=居住证", []ticket.Ticket{s.accepted}},
		{"?q=" + s.closed.Number, []ticket.Ticket{s.closed}},
		{"?mine=1", []ticket.Ticket{s.fresh, s.accepted, s.reviewing, s.rework, s.accused, s.bySMS}},
		{"?overdue=1", nil},
		{"?q=%25", nil},
	} {
		p := b.get("/tickets" + strings.ReplaceAll(c.query, "?q=居住证", "?q="+url.QueryEscape("居住证")))
		for _, x := range all {
			if got, want := strings.Contains(p.body, x.ID), slices.ContainsFunc(c.want, func(y ticket.Ticket) bool { return y.ID == x.ID }); got != want {
				t.Errorf("%s: “%s” is there: %v, want %v", c.query, x.Title, got, want)
			}
		}
	}
	for _, query := range []string{"?state=NONSENSE", "?colour=紫"} {
		if p := b.get("/tickets" + query); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, p.status)
		}
	}
	// The most urgent comes first, and pages follow one another.
	p := b.get("/tickets?open=1")
	if strings.Index(p.body, s.dispatched.ID) > strings.Index(p.body, s.handling.ID) {
		t.Error("a ticket due tomorrow stands before one due in two hours")
	}
	for range perPage {
		s.open(ticket.Intake{})
	}
	first, second := b.get("/tickets"), b.get("/tickets?page=2")
	if !strings.Contains(first.body, "page=2") || strings.Contains(first.body, s.fresh.ID) || !strings.Contains(second.body, s.fresh.ID) || strings.Contains(second.body, "page=3") {
		t.Error("the second page does not go on where the first ends")
	}
}
