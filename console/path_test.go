package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// register registers a request through the form and returns the ticket.
func (b *browser) register(form url.Values) ticket.Ticket {
	b.h.t.Helper()
	p := b.post("/tickets/new", form)
	b.h.pass(time.Minute)
	id, ok := strings.CutPrefix(p.path, "/tickets/")
	if p.status != http.StatusOK || !ok || id == "new" {
		b.h.t.Fatalf("%s cannot register: %d at %s: %s", b.login, p.status, p.path, alertIn(p.body))
	}
	return b.h.get(id)
}

func TestATicketGoesTheWholeWayThroughTheForms(t *testing.T) {
	h := newHouse(t)
	operator, dispatcher, handler, reviewer, caller := h.as("operator1"), h.as("dispatcher1"), h.as("handler9"), h.as("reviewer8"), h.as("caller1")

	x := operator.register(form("channel", "walkin", "kind", "complaint", "title", "户口迁移材料被退回两次", "body", "两次到窗口办理，每次说缺的材料都不一样。", "phone", "199 0000 3333", "name", "赵梅"))
	if x.State != ticket.New || x.Channel != "walkin" || x.ContactID == "" || x.OpenedBy != h.actor("operator1").String() {
		t.Fatalf("registered %+v", x)
	}
	state := func(want ticket.State) {
		t.Helper()
		if got := h.get(x.ID); got.State != want {
			t.Fatalf("the ticket is %s, want %s", got.StateLabel(), want.Label())
		}
	}
	operator.must(x.ID, "accept", form("colour", "黄", "validity", "effective", "note", "已电话核实"))
	state(ticket.Accepted)
	dispatcher.must(x.ID, "dispatch", form("host", "benxi-huzheng", "co", "210502-huzheng", "note", "请统一告知材料清单"))
	state(ticket.Dispatched)
	handler.must(x.ID, "sign", nil)
	state(ticket.Handling)
	handler.must(x.ID, "contact", form("via", "phone", "outcome", "reached", "note", "已道歉并一次性告知"))
	handler.must(x.ID, "submit", form("result", "已一次性告知材料，当日办结。", "basis", "户口登记有关规定", "finding", "true", "resolution", "solved", "without-co", "协办窗口已电话说明"))
	state(ticket.Reviewing)
	if got := handler.get("/tickets/" + x.ID).offered(); slices.Contains(got, "approve") {
		t.Error("the handler may review their own result")
	}
	reviewer.must(x.ID, "approve", form("reply", "您反映的问题已办结，窗口已公布统一材料清单。", "via", "phone"))
	state(ticket.Replied)
	caller.must(x.ID, "open-rating", nil)
	state(ticket.AwaitRating)
	caller.must(x.ID, "attempt", form("outcome", "no_answer", "note", "无人接听"))
	caller.must(x.ID, "rate", form("given", "five:5", "words", "很快就办好了"))
	state(ticket.Closed)

	p := dispatcher.get("/tickets/" + x.ID)
	for _, text := range []string{"户政支队", "平山户政窗口", "户小满", "舒展", "非常满意", "很快就办好了", "已一次性告知材料", "审核通过并答复", "199****3333"} {
		if !strings.Contains(p.body, text) {
			t.Errorf("the closed ticket does not show %q", text)
		}
	}
	if strings.Contains(p.body, "19900003333") {
		t.Error("the number is in the open")
	}
	h.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, ticket.Stream(x.ID))
		if len(events) < 9 {
			t.Errorf("%d events", len(events))
		}
		return err
	})
}

func TestARefusalIsShownBesideItsFormWithWhatWasTyped(t *testing.T) {
	s := newHouse(t).fill()
	// 主办 cannot submit before anybody has spoken with the citizen.
	x := s.dispatched
	s.as("handler1").must(x.ID, "sign", nil)
	p := s.as("handler1").act(x.ID, "submit", form("result", "现场劝离流动摊贩", "basis", "城市管理规定", "finding", "true", "resolution", "solved"))
	if p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), "尚未联系") {
		t.Errorf("status %d, reason %q", p.status, alertIn(p.body))
	}
	if !strings.Contains(p.body, "现场劝离流动摊贩") || !strings.Contains(p.body, `<option value="solved" selected>`) {
		t.Error("what was typed is lost")
	}
	if h := s.get(x.ID); h.State != ticket.Handling {
		t.Errorf("the ticket is %s", h.State)
	}
}

func TestOfTwoOfficersAtOnceTheSecondIsToldAndLosesNothing(t *testing.T) {
	s := newHouse(t).fill()
	one, two := s.as("dispatcher1"), s.as("dispatcher2")
	form := form("host", "210502-zhanqian", "note", "甲的意见")
	// Both have the page open before either sends.
	p := two.get("/tickets/" + s.accepted.ID)
	if !slices.Contains(p.offered(), "dispatch") {
		t.Fatal("the second is not offered to dispatch")
	}
	seen := seenIn(p.body, "dispatch")
	one.must(s.accepted.ID, "dispatch", form)
	late := url.Values{"host": {"210503-caitun"}, "note": {"乙的意见，写了很久"}, "seen": {seen}, "on": {""}}
	p = two.post("/tickets/"+s.accepted.ID+"/act/dispatch", late)
	if p.status != http.StatusConflict {
		t.Errorf("the second got %d", p.status)
	}
	first := "该诉求已由" + s.staff["dispatcher1"].Name + "“" + translate("zh-CN", "act-dispatch") + "”" // who was faster, and with what
	if !strings.Contains(alertIn(p.body), first) || !strings.Contains(p.body, "乙的意见，写了很久") {
		t.Errorf("the second is told %q and the note is there: %v", alertIn(p.body), strings.Contains(p.body, "乙的意见"))
	}
	if legs := s.legs(s.accepted.ID); len(legs) != 1 || legs[0].Unit != "210502-zhanqian" {
		t.Errorf("legs %+v", legs)
	}

	// Sent at the very same moment, one wins.
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[int]int{}
	seen = seenIn(one.get("/tickets/"+s.rework.ID).body, "dispatch")
	for _, b := range []*browser{one, two} {
		wg.Go(func() {
			p := b.post("/tickets/"+s.rework.ID+"/act/dispatch", url.Values{"host": {"210502-zhanqian"}, "seen": {seen}, "on": {""}})
			mu.Lock()
			defer mu.Unlock()
			codes[p.status]++
		})
	}
	wg.Wait()
	if codes[http.StatusOK] != 1 || codes[http.StatusConflict] != 1 {
		t.Errorf("statuses %v, want one 200 and one 409", codes)
	}
}

// seenIn is the revision in the form of a command.
func seenIn(body, code string) string {
	for _, f := range formPattern.FindAllStringSubmatch(body, -1) {
		if strings.HasSuffix(f[1], "/act/"+code) {
			for _, hidden := range hiddenPattern.FindAllStringSubmatch(f[2], -1) {
				if hidden[1] == "seen" {
					return hidden[2]
				}
			}
		}
	}
	return ""
}

var errBack = errors.New("roll back")

// good is a form that the room has nothing against but the state of the ticket and who sends it.
func (s *sample) good(v *ticketView, a action, on subject) url.Values {
	out := url.Values{}
	if a.fields == nil {
		return out
	}
	for _, f := range a.fields(v, on) {
		switch f.Kind {
		case "select":
			for _, o := range f.Options {
				out.Set(f.Name, o.Value)
				if o.Value == f.Value() {
					break
				}
			}
		case "number":
			out.Set(f.Name, "1")
		case "date":
			out.Set(f.Name, f.Value())
		case "yesno":
			out.Set(f.Name, "yes")
		case "check", "units":
		default:
			out.Set(f.Name, "经核实的情况")
		}
	}
	for name, number := range map[string]string{"clerk": "B0317", "into": s.handling.Number, "of": s.fresh.Number} {
		if out.Has(name) {
			out.Set(name, number)
		}
	}
	return out
}

// onLegs are the commands about a leg.
var onLegs = []string{"sign", "contact", "report", "submit", "ask-return", "ask-extension", "ask-suspend", "ask-stable"}

// TestThePanelOffersWhatTheOfficeAllowsAndNothingElse tries every command on every ticket of the sample as every role, and
// compares what the room says with what the panel offers.
func TestThePanelOffersWhatTheOfficeAllowsAndNothingElse(t *testing.T) {
	s := newHouse(t).fill()
	// These refusals are about what was typed, or ask for a step that the panel offers too.
	typed := map[string][]string{"submit": {"no_contact", "co"}, "repeat": {"repeat"}, "merge": {"target", "self", "accusation", "red", "seat"}, "amend": {"retype"}}
	offered := 0
	for _, login := range []string{"operator1", "dispatcher1", "dispatcher2", "caller1", "caller2", "supervisor1", "analyst1", "leader1", "inspector1", "auditor1", "handler1", "handler2", "reviewer1"} {
		u := &user{Staff: s.staff[login]}
		s.view(func(tx *storage.Tx) (err error) { u.Scope, err = org.ScopeOf(tx, u.Staff); return err })
		for _, x := range []ticket.Ticket{s.fresh, s.accepted, s.dispatched, s.handling, s.asked, s.suspended, s.reviewing, s.rating, s.rework, s.closed, s.refused, s.restricted, s.accused, s.bySMS} {
			var v *ticketView
			err := s.db.View(s.ctx, func(tx *storage.Tx) (err error) { v, err = s.s.readTicket(tx, "zh-CN", u, x.ID); return err })
			if errors.Is(err, storage.ErrNotFound) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range actions {
				var subjects []subject
				switch {
				case slices.Contains(onLegs, a.code):
					for _, l := range v.Legs {
						subjects = append(subjects, subject{ID: l.ID})
					}
				case a.code == "step":
					for _, st := range v.Why.Steps {
						subjects = append(subjects, subject{ID: st.ID})
					}
				case a.code == "decide":
					for _, q := range v.Requests {
						subjects = append(subjects, subject{ID: q.ID})
					}
				default:
					subjects = []subject{{}}
				}
				shown := a.offer(v)
				for _, on := range subjects {
					is := slices.ContainsFunc(shown, func(o subject) bool { return o.ID == on.ID })
					r, _ := http.NewRequest("POST", "/", strings.NewReader(s.good(v, a, on).Encode()))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					err := s.db.Update(s.ctx, func(tx *storage.Tx) error {
						return cmpErr(a.do(s.office, tx, command{ticket: x.ID, on: on.ID, in: input{r}, by: ticket.Staff(u.Staff), view: v}), errBack)
					})
					refusal, refused := ticket.RefusedWith(err)
					allowed := errors.Is(err, errBack) || refused && slices.Contains(typed[a.code], refusal.Code)
					switch {
					case refused && refusal.Code == "number": // the reader cannot see the other ticket: no room was asked
						continue
					case a.code == "open-rating" && v.in(ticket.AwaitRating): // does nothing, for anybody
						continue
					case a.code == "ask-retype" && v.T.Kind == "": // the first kind comes with acceptance
						continue
					}
					if !allowed && !refused {
						t.Fatalf("%s %s %s: %v", login, a.code, x.Title, err)
					}
					if is {
						offered++
					}
					if is != allowed {
						t.Errorf("%s on “%s” (%s) as %s: offered %v, but the room says %v", a.code, x.Title, v.T.StateLabel(), login, is, err)
					}
				}
			}
		}
	}
	if offered < 150 {
		t.Errorf("only %d commands were offered: the sample is too thin", offered)
	}
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
