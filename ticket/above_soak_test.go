package ticket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

func init() { ticket.StandAbove = newAbove }

// above is everything that stands over tickets, with the commands of its people drawn at random, legal and not.
type above struct {
	b      ticket.Bureau
	desk   *oversee.Desk
	gate   *channel.Gateway
	survey *survey.Survey
	press  *press
	all    []ticket.Actor

	mu      sync.Mutex
	matters map[oversee.Kind][]string
	links   []string // tokens of links for a rating
	imports int
}

func newAbove(t testing.TB, b ticket.Bureau) ticket.Above {
	a := &above{b: b, desk: oversee.New(b.Office), matters: map[oversee.Kind][]string{}}
	a.desk.Now = b.Now
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	a.gate = &channel.Gateway{DB: b.DB, Office: b.Office, Now: b.Now, Log: quiet}
	carrier := &sim.Carrier{DB: b.DB, Vault: b.Office.Book.Vault, Now: b.Now}
	outbox := &sms.Outbox{DB: b.DB, Carriers: []sms.Carrier{carrier}, Vault: b.Office.Book.Vault, Signature: "本溪公安", Now: b.Now, Log: quiet}
	inbox := &sms.Inbox{DB: b.DB, Vault: b.Office.Book.Vault, Now: b.Now, Log: quiet}
	a.survey = &survey.Survey{DB: b.DB, Book: b.Office.Book, Office: b.Office, Outbox: outbox, Inbox: inbox, Now: b.Now, Log: quiet}
	a.press = newPress(t, b, outbox)
	for _, s := range b.Staff {
		a.all = append(a.all, s)
	}
	slices.SortFunc(a.all, func(x, y ticket.Actor) int { return strings.Compare(x.ID, y.ID) })
	a.all = append(a.all, ticket.System, ticket.Bot, ticket.Citizen("stranger"), ticket.Actor{})
	err := b.DB.Update(t.Context(), func(tx *storage.Tx) error {
		for _, e := range []string{"expert", "expert-b"} {
			if _, err := a.desk.PutExpert(tx, b.Staff[e].ID, []string{"法律"}, true, "", b.Staff["supervisor"]); err != nil {
				return err
			}
		}
		_, err := a.desk.SetRules(tx, `{"version":"soak","watch_approver":"leader","watch_days":20}`, time.Time{}, b.Staff["admin"])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func one[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// who is one of those who probably may, or anybody.
func (a *above) who(r *rand.Rand, names ...string) ticket.Actor {
	if r.IntN(6) == 0 {
		return one(r, a.all...)
	}
	return a.b.Staff[one(r, names...)]
}

// of is one of the matters of a kind, lately opened ones more often.
func (a *above) of(r *rand.Rand, k oversee.Kind) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := a.matters[k]
	if len(ids) == 0 {
		return "none"
	}
	if recent := ids[max(0, len(ids)-12):]; r.IntN(5) > 0 {
		return one(r, recent...)
	}
	return one(r, ids...)
}

// opened remembers a matter once it is there for good.
func (a *above) opened(tx *storage.Tx, m oversee.Matter, err error) error {
	if err == nil {
		h := *oversee.Of(m)
		tx.After(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if !slices.Contains(a.matters[h.Kind], h.ID) {
				a.matters[h.Kind] = append(a.matters[h.Kind], h.ID)
			}
		})
	}
	return err
}

// unitOf is somebody of the unit that a matter waits for, or anybody.
func (a *above) unitOf(r *rand.Rand, tx *storage.Tx, k oversee.Kind, id string) ticket.Actor {
	m, err := a.desk.Get(tx, k, id, ticket.System)
	if err != nil || r.IntN(8) == 0 {
		return one(r, a.all...)
	}
	var of []ticket.Actor
	for _, s := range a.all {
		if u := oversee.Of(m).Unit; u != "" && s.Unit == u {
			of = append(of, s)
		}
	}
	if len(of) == 0 {
		return one(r, a.all...)
	}
	return one(r, of...)
}

const (
	unitA = "ping-zhanqian"
	unitB = "xi-hedong"
)

func second[A, B any](_ A, err B) B { return err }

// Command draws from 督办, 会商, orders, 倒查, topics, leads, watch flags, reveals and rating links.
func (a *above) Command(r *rand.Rand, id string) (string, func(tx *storage.Tx) error) {
	d, text, unit := a.desk, one(r, "说明", "说明", "说明", ""), one(r, unitA, unitB, "legal", "", "nowhere")
	seed := r.Uint64()
	again := func() *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) } // a command that is tried again draws the same
	if r.IntN(6) == 0 {
		return a.makePress(r)
	}
	switch r.IntN(9) {
	case 0, 1:
		s := a.of(r, oversee.KindSupervision)
		by, boss, level := a.who(r, "supervisor"), a.who(r, "leader", "leader2"), r.IntN(4)
		switch r.IntN(10) {
		case 0, 1:
			return "propose", func(tx *storage.Tx) error {
				m, err := d.Propose(tx, oversee.Proposal{Level: level, Trigger: oversee.ByHand, TicketID: id, Unit: unit, Grounds: text, Requirement: "要求"}, one(again(), by, boss))
				return a.opened(tx, &m, err)
			}
		case 2, 3:
			return "issue", func(tx *storage.Tx) error {
				return second(d.Issue(tx, s, oversee.Issuing{Unit: unit, Requirement: text}, one(again(), by, boss, boss)))
			}
		case 4:
			return "sign supervision", func(tx *storage.Tx) error {
				return second(d.SignSupervision(tx, s, a.unitOf(again(), tx, oversee.KindSupervision, s)))
			}
		case 5, 6:
			return "feed back", func(tx *storage.Tx) error {
				return second(d.Feed(tx, s, text, level > 0, a.unitOf(again(), tx, oversee.KindSupervision, s)))
			}
		case 7:
			return "wish release", func(tx *storage.Tx) error { return second(d.WishRelease(tx, s, text, by)) }
		case 8:
			return "release", func(tx *storage.Tx) error { return second(d.Release(tx, s, text, text, one(again(), boss, by))) }
		}
		return one(r, []string{"send back", "raise", "drop"}...), func(tx *storage.Tx) error {
			switch level {
			case 0:
				return second(d.SendBack(tx, s, text, by))
			case 1:
				return second(d.Raise(tx, s, text, by))
			}
			return second(d.DropCandidate(tx, s, text, boss))
		}
	case 2:
		c := a.of(r, oversee.KindConsult)
		by, expert := a.who(r, "dispatcher", "supervisor", "leader"), a.who(r, "expert", "expert-b")
		switch r.IntN(6) {
		case 0, 1:
			return "open consultation", func(tx *storage.Tx) error {
				m, err := d.OpenConsult(tx, id, "", "duty", text, time.Time{}, by)
				return a.opened(tx, &m, err)
			}
		case 2:
			return "invite", func(tx *storage.Tx) error { return second(d.Invite(tx, c, []string{expert.ID}, by)) }
		case 3:
			return "give an opinion", func(tx *storage.Tx) error { return second(d.Opine(tx, c, text, expert)) }
		case 4:
			return "conclude", func(tx *storage.Tx) error {
				due := time.Time{}
				if seed%2 == 0 {
					due = a.b.Now().Add(72 * time.Hour)
				}
				return second(d.Conclude(tx, c, oversee.Ruling{Text: text, Basis: "职责清单", Host: unit, Deadline: due, Keep: seed%3 == 0}, by))
			}
		}
		return "adjourn", func(tx *storage.Tx) error { return second(d.Adjourn(tx, c, text, by)) }
	case 3:
		o := a.of(r, oversee.KindOrder)
		by := a.who(r, "supervisor", "leader")
		switch r.IntN(8) {
		case 0, 1:
			return "draft order", func(tx *storage.Tx) error {
				m, err := d.DraftOrder(tx, oversee.OrderIn{Title: "指令", Content: text, Units: slices.Compact([]string{unit, unitA}), Tickets: []string{id}, Due: a.b.Now().AddDate(0, 0, 5)}, by)
				return a.opened(tx, &m, err)
			}
		case 2:
			return "issue order", func(tx *storage.Tx) error { return second(d.IssueOrder(tx, o, by)) }
		case 3, 4:
			return "sign order", func(tx *storage.Tx) error {
				return second(d.SignOrder(tx, o, one(again(), a.unitOf(again(), tx, oversee.KindOrder, o), a.b.Staff["handler-a"])))
			}
		case 5:
			return "act on order", func(tx *storage.Tx) error {
				return second(d.Act(tx, o, text, a.unitOf(again(), tx, oversee.KindOrder, o)))
			}
		case 6:
			return "report order", func(tx *storage.Tx) error {
				return second(d.ReportOrder(tx, o, text, []oversee.Result{{Kind: "den", N: int(seed % 9)}}, a.unitOf(again(), tx, oversee.KindOrder, o)))
			}
		}
		return "verify order", func(tx *storage.Tx) error {
			switch seed % 4 {
			case 0:
				return second(d.CloseOrder(tx, o, by))
			case 1:
				return second(d.DropOrder(tx, o, text, by))
			}
			return second(d.VerifyOrder(tx, o, seed%3 > 0, text, by))
		}
	case 4:
		b := a.of(r, oversee.KindBackcheck)
		by, looker := a.who(r, "supervisor", "inspector"), a.who(r, "legal")
		if r.IntN(5) == 0 {
			return "order a review", func(tx *storage.Tx) error {
				m, err := d.OpenBackcheck(tx, oversee.BackcheckIn{Domain: oversee.CaseReview, Unit: one(again(), "legal", "legal", unitB), Of: unit, Refs: []string{"A1", "A2"}, Cause: text, TicketID: one(again(), id, "")}, by)
				return a.opened(tx, &m, err)
			}
		}
		what := r.IntN(7)
		return fmt.Sprint("review ", what), func(tx *storage.Tx) error {
			m, err := d.Get(tx, oversee.KindBackcheck, b, ticket.System)
			if err != nil {
				return err
			}
			finding := "none"
			if list := m.(*oversee.Backcheck).Findings; len(list) > 0 {
				finding = list[seed%uint64(len(list))].ID
			}
			switch what {
			case 0:
				return second(d.ReceiveBackcheck(tx, b, looker))
			case 1, 2:
				var problems []oversee.FindingIn
				if seed%2 == 0 {
					problems = []oversee.FindingIn{{Text: "问题", Measure: text}}
				}
				return second(d.ReviewItem(tx, b, one(again(), "A1", "A2"), problems, looker))
			case 3:
				return second(d.ConcludeBackcheck(tx, b, text, looker))
			case 4:
				return second(d.Rectify(tx, b, finding, text, one(again(), a.all...)))
			case 5:
				return second(d.VerifyFinding(tx, b, finding, seed%3 > 0, text, one(again(), by, looker)))
			}
			return second(d.HoldAccountable(tx, b, finding, "", "remind", text, by))
		}
	case 5:
		x, c := a.of(r, oversee.KindTopic), a.of(r, oversee.KindClue)
		by := a.who(r, "supervisor", "analyst", "leader")
		what := r.IntN(9)
		return fmt.Sprint("topic or lead ", what), func(tx *storage.Tx) error {
			switch what {
			case 0:
				m, err := d.OpenTopic(tx, oversee.TopicIn{Title: text, Tickets: []string{id}}, by)
				return a.opened(tx, &m, err)
			case 1:
				return second(d.AddToTopic(tx, x, []string{id}, by))
			case 2:
				return second(d.Board(tx, x, one(again(), "ask", "list", "ask-off", "off"), text, by))
			case 3:
				return second(d.Govern(tx, x, unit, text, time.Time{}, by))
			case 4:
				return second(d.FinishTopic(tx, x, seed%4 == 0, text, by))
			case 5:
				m, err := d.OpenClue(tx, id, "fraud", text, nil, by)
				return a.opened(tx, &m, err)
			case 6:
				return second(d.HandClue(tx, c, unit, text, by))
			case 7:
				return second(d.TakeClue(tx, c, seed%3 > 0, text, a.unitOf(again(), tx, oversee.KindClue, c)))
			}
			return second(d.FeedClue(tx, c, "checked", text, a.unitOf(again(), tx, oversee.KindClue, c)))
		}
	case 6:
		w := a.of(r, oversee.KindWatch)
		by, boss := a.who(r, "analyst", "leader"), a.who(r, "leader", "leader2")
		switch r.IntN(3) {
		case 0:
			return "ask for a watch flag", func(tx *storage.Tx) error {
				k, err := a.b.Office.Get(tx, id)
				if err != nil {
					return err
				}
				m, err := d.AskWatch(tx, oversee.WatchIn{ContactID: k.ContactID, Authority: text, Purpose: "预防极端行为", Days: int(seed % 25)}, by)
				return a.opened(tx, &m, err)
			}
		case 1:
			return "decide on a watch flag", func(tx *storage.Tx) error { return second(d.DecideWatch(tx, w, seed%3 > 0, text, boss)) }
		}
		return "revoke a watch flag", func(tx *storage.Tx) error { return second(d.RevokeWatch(tx, w, text, by)) }
	case 7:
		by := one(r, a.all...)
		for by.Kind != ticket.StaffActor { // others have no page to ask on
			by = one(r, a.all...)
		}
		return "reveal", func(tx *storage.Tx) error { // as every page and operation does it
			k, err := a.b.Office.See(tx, id, by)
			if err != nil {
				return err
			}
			if !a.b.Office.KnowsCitizen(k, by) || k.ContactID == "" || text == "" {
				return &ticket.Refusal{Code: "role", Message: "不能查看"}
			}
			_, _, err = a.b.Office.Book.Reveal(tx, k.ContactID, by.String(), "核实情况 "+k.ID)
			return err
		}
	}
	if r.IntN(2) == 0 {
		return "rating link", func(tx *storage.Tx) error {
			token, err := a.gate.RatingLink(tx, id)
			tx.After(func() { a.mu.Lock(); a.links = append(a.links, token); a.mu.Unlock() })
			return err
		}
	}
	a.mu.Lock()
	token := "none"
	if len(a.links) > 0 {
		token = one(r, a.links[max(0, len(a.links)-8):]...)
	}
	a.mu.Unlock()
	return "rate by link", func(tx *storage.Tx) error {
		if _, err := a.gate.RateByLink(tx, token, ticket.Stars(1+seed%5), ""); !errors.Is(err, channel.ErrNoLink) {
			return err
		}
		return &ticket.Refusal{Code: "link", Message: "链接已失效"}
	}
}

// Sweep watches over what happened, and lets two nodes of the survey ask yesterday's people at once.
func (a *above) Sweep(ctx context.Context) error {
	if err := a.desk.Sweep(ctx, a.b.DB, a.b.Now()); err != nil {
		return err
	}
	yesterday := workday.DayOf(a.b.Now()).Add(-1)
	a.imports++
	var file strings.Builder
	file.WriteString("业务类别,业务流水号,办理时间,姓名,电话,出生日期,单位编码,事项,敏感标记,备注\n")
	for i := range 6 { // half of them were in the file before
		n := 3*a.imports + i
		fmt.Fprintf(&file, "户政,S%d-%d,%s 10:0%d,王某,137%08d,1980-01-01,%s,换证,,\n", yesterday, n, yesterday, i, n%40, unitA)
	}
	if _, err := a.survey.Import(ctx, strings.NewReader(file.String()), "records.csv", survey.ImportOptions{}); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			for range 20 {
				if _, errs[i] = a.survey.Run(ctx, yesterday, survey.RunOptions{}); !errors.Is(errs[i], storage.ErrConflict) {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Check holds what the rooms above promise: rows say what events say, two persons where two are wanted, the accused nowhere,
// one text for a record, one rating for a link, flags that end, reveals by those who may.
func (a *above) Check(t testing.TB, tickets []string) {
	ctx := context.Background()
	if err := a.desk.Sweep(ctx, a.b.DB, a.b.Now()); err != nil {
		t.Error(err)
	}
	a.checkPress(t)
	drift, err := oversee.Verify(ctx, a.b.DB)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drift {
		t.Errorf("drift: %v", d)
	}
	staff := map[string]ticket.Actor{}
	for _, s := range a.all {
		staff[s.String()] = s
	}
	err = a.b.DB.View(ctx, func(tx *storage.Tx) error {
		counts := map[oversee.Kind]int{}
		of := map[string][]*oversee.Head{} // by ticket
		for _, k := range []oversee.Kind{oversee.KindSupervision, oversee.KindTopic, oversee.KindConsult, oversee.KindOrder, oversee.KindBackcheck, oversee.KindClue, oversee.KindWatch} {
			list, n, err := a.desk.List(tx, oversee.Filter{Viewer: ticket.System, Kind: k, Limit: 1 << 30})
			if err != nil {
				return err
			}
			if counts[k] = n; n != len(list) {
				t.Errorf("%d of kind %s are counted, %d listed", n, k, len(list))
			}
			for _, m := range list {
				h := oversee.Of(m)
				for _, id := range h.Tickets {
					of[id] = append(of[id], h)
				}
				a.judge(t, m)
			}
		}
		t.Logf("matters: %v", counts)
		for _, id := range tickets {
			if err := a.accused(t, tx, id, of[id], staff); err != nil {
				return err
			}
		}
		return errors.Join(a.texts(t, tx), a.ratings(t, tx), a.reveals(t, tx, staff))
	})
	if err != nil {
		t.Error(err)
	}
}

// judge checks what a matter says of itself.
func (a *above) judge(t testing.TB, m oversee.Matter) {
	switch m := m.(type) {
	case *oversee.Supervision:
		if m.Level >= 2 && m.ApprovedBy != "" && (m.ApprovedBy == m.OpenedBy || m.ApprovedBy == "system") {
			t.Errorf("%s: 挂牌 by %s alone", m.Number, m.ApprovedBy)
		}
		if m.Level >= 2 && m.State == oversee.Released && (m.ReleasedBy == m.WishedBy || m.Wish.IsZero()) {
			t.Errorf("%s: 摘牌 by %s alone", m.Number, m.ReleasedBy)
		}
	case *oversee.Consult:
		if m.State == oversee.Concluded && (m.Host == "" || m.Conclusion.IsZero() || m.Basis.IsZero() || len(m.Opinions) == 0) {
			t.Errorf("%s: concluded without host, conclusion, basis or opinion", m.Number)
		}
	case *oversee.Order:
		if slices.Contains([]oversee.State{oversee.Signed, oversee.Acting, oversee.Reported, oversee.Verified, oversee.ClosedUp}, m.State) && len(m.Signs) != len(m.Units()) {
			t.Errorf("%s: %s with %d of %d signatures", m.Number, m.State, len(m.Signs), len(m.Units()))
		}
		if m.VerifyBy != "" && m.VerifyBy == m.ReportBy {
			t.Errorf("%s: reported and verified by %s", m.Number, m.VerifyBy)
		}
	case *oversee.Backcheck:
		for _, f := range m.Findings {
			if f.VerifyBy != "" && f.VerifyBy == f.DoneBy {
				t.Errorf("%s: put right and verified by %s", m.Number, f.VerifyBy)
			}
			if f.State == oversee.FindingOver && (f.Done.IsZero() || f.Verdict.IsZero()) {
				t.Errorf("%s: a finding is over without saying how", m.Number)
			}
		}
	case *oversee.WatchFlag: // I19
		switch {
		case m.Authority.IsZero() || m.Purpose.IsZero() || m.Days < 1 || m.Days > 20:
			t.Errorf("%s: a flag for %d days without authority or purpose", m.Number, m.Days)
		case m.State == oversee.Active && (m.DecidedBy != a.b.Staff["leader"].String() || m.DecidedBy == m.OpenedBy):
			t.Errorf("%s: decided by %s, asked by %s", m.Number, m.DecidedBy, m.OpenedBy)
		case m.State == oversee.Active && !a.b.Now().Before(m.Until):
			t.Errorf("%s: in force after its end", m.Number)
		case m.State == oversee.Active && m.Until.Sub(m.From) > 20*24*time.Hour+time.Hour:
			t.Errorf("%s: from %v until %v", m.Number, m.From, m.Until)
		}
	}
}

// accused checks that who is accused by a ticket sees nothing of it or of the matters about it, and did nothing on them
// since they were accused (I6).
func (a *above) accused(t testing.TB, tx *storage.Tx, id string, about []*oversee.Head, staff map[string]ticket.Actor) error {
	k, err := a.b.Office.Get(tx, id)
	if err != nil || k.AccusedUnit == "" && k.AccusedStaff == "" {
		return err
	}
	events, err := audit.Stream(tx, ticket.Stream(id))
	if err != nil {
		return err
	}
	since := int64(0)
	for _, e := range events {
		var p struct {
			Set struct {
				Ticket map[string]map[string]json.RawMessage
			}
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return err
		}
		set := p.Set.Ticket[id]
		if set["accused_unit"] != nil || set["accused_staff"] != nil {
			since = e.Seq
		}
	}
	is := map[string]bool{}
	for name, s := range staff {
		if s.Kind != ticket.StaffActor {
			continue
		}
		if is[name], err = a.b.Office.Concerned(tx, k, s.Unit, s.ID); err != nil {
			return err
		}
		if !is[name] {
			continue
		}
		if _, err := a.b.Office.See(tx, id, s); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s, accused, sees %s (%v)", name, k.Number, err)
		}
		for _, h := range about {
			if h.Kind == oversee.KindTopic && len(h.Tickets) > 1 {
				continue
			}
			if _, err := a.desk.Get(tx, h.Kind, h.ID, s); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("%s, accused, sees %s (%v)", name, h.Number, err)
			}
			list, n, err := a.desk.List(tx, oversee.Filter{Viewer: s, Kind: h.Kind, Ticket: id, Limit: 1000})
			if err != nil || n != 0 || len(list) != 0 {
				t.Errorf("%s, accused, has %d %s about %s in the list (%v)", name, n, h.Kind, k.Number, err)
			}
		}
	}
	for _, h := range about {
		if h.Kind == oversee.KindTopic && len(h.Tickets) > 1 {
			continue
		}
		more, err := audit.Stream(tx, h.Stream())
		if err != nil {
			return err
		}
		events = append(events, more...)
	}
	for _, e := range events {
		if e.Seq > since && is[e.Actor] {
			t.Errorf("%s, accused, did %s in %s", e.Actor, e.Type, e.Stream)
		}
	}
	return nil
}

// texts: one question and one text for a business record, and a reason for each that got none (I16).
func (a *above) texts(t testing.TB, tx *storage.Tx) error {
	n := func(query string) int {
		v, err := storage.One(tx, storage.Value[int], query)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	records, decided, asked, sent := n(`SELECT COUNT(*) FROM survey_record`), n(`SELECT COUNT(*) FROM survey_decision`), n(`SELECT COUNT(*) FROM survey_ask`),
		n(`SELECT COUNT(*) FROM sms WHERE id IN (SELECT sms_id FROM survey_ask)`)
	if asked != sent || asked != n(`SELECT COUNT(DISTINCT record_id) FROM survey_ask`) || asked != n(`SELECT COUNT(DISTINCT sms_id) FROM survey_ask`) {
		t.Errorf("%d questions, %d texts", asked, sent)
	}
	if decided > records || n(`SELECT COUNT(*) FROM survey_decision WHERE reason = '' AND NOT EXISTS (SELECT 1 FROM survey_ask k WHERE k.record_id = survey_decision.record_id)`) > 0 {
		t.Errorf("%d decisions on %d records, some without a reason", decided, records)
	}
	t.Logf("%d records, %d asked, %d texts", records, asked, sent)
	return nil
}

// ratings: no link gave more than one (I17).
func (a *above) ratings(t testing.TB, tx *storage.Tx) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	byLink, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_rating WHERE via = 'web'`)
	if err == nil && byLink > len(a.links) {
		t.Errorf("%d ratings by %d links", byLink, len(a.links))
	}
	t.Logf("%d links, %d ratings by them", len(a.links), byLink)
	return err
}

// reveals: each with its reason, by a role that may (I7).
func (a *above) reveals(t testing.TB, tx *storage.Tx, staff map[string]ticket.Actor) error {
	n := 0
	for seq := int64(0); ; {
		events, err := audit.After(tx, seq, 1000)
		if err != nil || len(events) == 0 {
			t.Logf("%d reveals", n)
			return err
		}
		for _, e := range events {
			seq = e.Seq
			if e.Type != "contact.revealed" {
				continue
			}
			n++
			var p struct{ Reason string }
			if err := json.Unmarshal(e.Payload, &p); err != nil {
				return err
			}
			by := staff[e.Actor]
			_, id, ok := strings.Cut(p.Reason, " ")
			k, err := a.b.Office.Get(tx, id)
			if err != nil {
				return err
			}
			if !ok || by.Kind != ticket.StaffActor || !org.Can(by.Role, org.Reveal) && !org.Can(by.Role, org.RevealSecret) || e.Stream != "contact/"+k.ContactID {
				t.Errorf("%s of role %s learned who %s is, for %q", e.Actor, by.Role, e.Stream, p.Reason)
			}
			if k.Confidential && k.ChangedAt.Before(e.At) && !org.Can(by.Role, org.RevealSecret) {
				t.Errorf("%s of role %s learned who brought the confidential %s", e.Actor, by.Role, k.Number)
			}
		}
	}
}
