package ticket_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/report"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey/poll"
	"lianxin/ticket"
	"lianxin/workday"
)

// press makes editions of reports (I18) and holds a poll (I20) while tickets are worked on.
type press struct {
	figures *report.Office
	polls   *poll.Office

	mu       sync.Mutex
	editions []string
	locked   map[string]string // content's sum of an edition when it was published
	poll     string
	tokens   []string
}

func newPress(t testing.TB, b ticket.Bureau, outbox *sms.Outbox) *press {
	p := &press{locked: map[string]string{}, figures: &report.Office{Now: b.Now},
		polls: &poll.Office{Book: b.Office.Book, Outbox: outbox, PublicURL: "https://minyi.example", Keys: filepath.Join(t.TempDir(), "poll-keys"), Now: b.Now}}
	var phones []poll.Person
	for i := range 20 {
		phone, err := contact.ParseMobile(fmt.Sprintf("1360000%04d", i))
		if err != nil {
			t.Fatal(err)
		}
		phones = append(phones, poll.Person{Phone: phone, Part: []string{"甲", "乙"}[i%2]})
	}
	err := b.DB.Update(t.Context(), func(tx *storage.Tx) error {
		x, err := p.polls.Make(tx, poll.Making{Title: "测评", Questions: "【五级】满意吗？\n【文字】建议", Smallest: 5}, b.Staff["analyst"])
		if err != nil {
			return err
		}
		p.poll = x.ID
		if _, err = p.polls.Start(tx, x.ID, workday.DayOf(b.Now())+90, b.Staff["supervisor"]); err != nil {
			return err
		}
		if _, err = p.polls.Invite(tx, x.ID, phones, b.Staff["supervisor"]); err != nil {
			return err
		}
		sealed, err := storage.All(tx, func(r storage.Row) (w []byte, err error) { return w, r.Scan(&w) }, `SELECT words FROM sms WHERE campaign = $1`, "poll:"+x.ID)
		for _, s := range sealed {
			text, err := b.Office.Book.Vault.For("sms.text").Open(s)
			if err != nil {
				return err
			}
			p.tokens = append(p.tokens, regexp.MustCompile(`/p/poll/(\S+)`).FindStringSubmatch(text)[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// makePress draws one of an edition's, or an answer to the poll.
func (a *above) makePress(r *rand.Rand) (string, func(tx *storage.Tx) error) {
	p := a.press
	p.mu.Lock()
	id := "none"
	if len(p.editions) > 0 {
		id = one(r, p.editions[max(0, len(p.editions)-4):]...)
	}
	token := one(r, p.tokens...)
	p.mu.Unlock()
	by, level := a.who(r, "analyst", "supervisor", "leader", "leader2"), r.IntN(5)
	keep := func(tx *storage.Tx, e report.Edition, err error) error {
		if err == nil {
			tx.After(func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				if e.Version == 1 || e.Corrects != "" {
					p.editions = append(p.editions, e.ID)
				}
			})
		}
		return err
	}
	day := workday.DayOf(a.b.Now()).Add(-r.IntN(3))
	kind := one(r, report.Daily, report.Weekly)
	switch r.IntN(12) {
	case 0, 1:
		return "draft edition", func(tx *storage.Tx) error {
			e, err := p.figures.DraftEdition(tx, report.Drafting{Kind: kind, Day: day}, by)
			return keep(tx, e, err)
		}
	case 2:
		return "edit edition", func(tx *storage.Tx) error {
			return second(p.figures.Edit(tx, id, report.Words{Summary: fmt.Sprint("要情", level)}, by))
		}
	case 3:
		return "recount edition", func(tx *storage.Tx) error { return second(p.figures.RecountEdition(tx, id, by)) }
	case 4, 5:
		return "review edition", func(tx *storage.Tx) error { return second(p.figures.Review(tx, id, by)) }
	case 6, 7, 8:
		return "publish edition", func(tx *storage.Tx) error {
			e, err := p.figures.Publish(tx, id, by)
			if err == nil {
				tx.After(func() { p.mu.Lock(); p.locked[e.ID] = e.Sum; p.mu.Unlock() })
			}
			return err
		}
	case 9:
		return "correct edition", func(tx *storage.Tx) error {
			e, err := p.figures.Correct(tx, id, "更正", by)
			return keep(tx, e, err)
		}
	}
	return "answer a poll", func(tx *storage.Tx) error {
		err := p.polls.Take(tx, token, poll.Answer{Choices: [][]int{{level}, nil}, Words: []string{"", "建议"}})
		if errors.Is(err, poll.ErrNoLink) {
			return &ticket.Refusal{Code: "link", Message: "链接已失效"}
		}
		return err
	}
}

// checkPress holds I18 and I20: what was published is what it was then, three persons made it, and a closed poll's answers
// belong to nobody.
func (a *above) checkPress(t testing.TB) {
	p := a.press
	ctx := context.Background()
	closed, err := p.polls.Close(ctx, a.b.DB, p.poll, a.b.Staff["supervisor"])
	if err != nil {
		t.Error(err)
	}
	err = a.b.DB.View(ctx, func(tx *storage.Tx) error {
		flaws, n, err := report.VerifyEditions(tx)
		for _, f := range flaws {
			t.Errorf("I18: %v", f)
		}
		if n != len(p.locked) {
			t.Errorf("I18: %d editions are published, %d were", n, len(p.locked))
		}
		for id, sum := range p.locked {
			e, err2 := p.figures.Edition(tx, id, ticket.System)
			if err2 != nil || e.Sum != sum || e.State != report.Published {
				t.Errorf("I18: edition %s is %s %s, was %s (%v)", id, e.State, e.Sum, sum, err2)
			}
			events, err2 := audit.Stream(tx, report.EditionStream(id))
			if err2 != nil {
				return err2
			}
			for _, ev := range events {
				wrote := ev.Type == "edition.drafted" || ev.Type == "edition.edited" || ev.Type == "edition.recounted" || ev.Type == "edition.correcting"
				if wrote && (ev.Actor == e.Reviewer || ev.Actor == e.Publisher) || e.Reviewer == e.Publisher {
					t.Errorf("I18: %s was written, reviewed and published by fewer than three: %s %s, %s, %s", e.Series, ev.Type, ev.Actor, e.Reviewer, e.Publisher)
				}
			}
		}
		if err != nil {
			return err
		}
		for _, table := range []string{"poll_invitation", "poll_ballot"} {
			if n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM `+table); n != 0 || err != nil {
				t.Errorf("I20: %s has %d rows after the end, %v", table, n, err)
			}
		}
		answers, err := storage.All(tx, storage.Value[string], `SELECT id FROM poll_answer UNION ALL SELECT id FROM poll_words`)
		if len(answers) != 0 && len(answers) != 2*closed.Answered {
			t.Errorf("I20: %d rows of %d answers", len(answers), closed.Answered)
		}
		for seq := int64(0); err == nil; {
			events, err := audit.After(tx, seq, 1000)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				seq = e.Seq
				if e.Stream == poll.Stream(p.poll) && !strings.Contains("poll.drafted poll.opened poll.invited poll.closed", e.Type) {
					t.Errorf("I20: the log tells %s", e.Type)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("editions: %d, of which %d published; poll: %d answers of %d invited", len(p.editions), len(p.locked), closed.Answered, closed.Invited)
}
