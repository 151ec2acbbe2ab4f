package poll

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/workday"
)

// hall is a poll office with people to ask.
type hall struct {
	t   testing.TB
	db  *storage.DB
	o   *Office
	now time.Time

	analyst, supervisor, leader, operator ticket.Actor
}

func newHall(t testing.TB, db *storage.DB) *hall {
	t.Helper()
	dir := t.TempDir()
	vault, err := contact.OpenVault(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{t: t, db: db, now: time.Date(2026, 3, 2, 9, 0, 0, 0, workday.Zone)}
	clock := func() time.Time { return h.now }
	book := &contact.Book{Vault: vault, Now: clock}
	quiet := slog.New(slog.DiscardHandler)
	h.o = &Office{Book: book, Outbox: &sms.Outbox{DB: db, Vault: vault, Signature: "本溪公安", Now: clock, Log: quiet}, PublicURL: "https://minyi.example", Keys: filepath.Join(dir, "poll-keys"), Now: clock, Log: quiet}
	for _, x := range []struct {
		to   *ticket.Actor
		role org.Role
	}{{&h.analyst, org.Analyst}, {&h.supervisor, org.Supervisor}, {&h.leader, org.Leader}, {&h.operator, org.Operator}} {
		*x.to = ticket.Actor{Kind: ticket.StaffActor, ID: storage.NewID(), Unit: "centre", Role: x.role}
	}
	return h
}

func (h *hall) update(fn func(*storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) refused(code string, fn func(*storage.Tx) error) {
	h.t.Helper()
	err := h.db.Update(context.Background(), fn)
	if r, ok := ticket.RefusedWith(err); !ok || r.Code != code {
		h.t.Errorf("refused with %v, want %s", err, code)
	}
}

const asked = `【五级】您对治安状况满意吗？
【单选】一年内报过警吗？
- 是
- 否
【多选】您最关心什么？
- 反诈
- 交通
- 噪声
【文字】您的建议`

func phoneOf(t testing.TB, i int) contact.Phone {
	p, err := contact.ParseMobile(fmt.Sprintf("1390%07d", i))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *hall) started() Poll {
	h.t.Helper()
	var p Poll
	h.update(func(tx *storage.Tx) (err error) {
		if p, err = h.o.Make(tx, Making{Title: "城市安全感测评", Questions: asked, Smallest: LeastK}, h.analyst); err != nil {
			return err
		}
		p, err = h.o.Start(tx, p.ID, workday.DayOf(h.now)+14, h.supervisor)
		return err
	})
	return p
}

var link = regexp.MustCompile(`/p/poll/([A-Za-z0-9_-]{22})`)

// invite invites people and returns the token that each one got in their text.
func (h *hall) invite(p Poll, people []Person) []string {
	h.t.Helper()
	h.update(func(tx *storage.Tx) error { _, err := h.o.Invite(tx, p.ID, people, h.analyst); return err })
	tokens := make([]string, len(people))
	h.update(func(tx *storage.Tx) error {
		for i, x := range people {
			words, err := storage.One(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT words FROM sms WHERE phone_hash = $1 AND campaign = $2`, h.o.Book.Vault.HashPhone(x.Phone), "poll:"+p.ID)
			if err != nil {
				return err
			}
			text, err := h.o.Book.Vault.For("sms.text").Open(words)
			if err != nil {
				return err
			}
			m := link.FindStringSubmatch(text)
			if m == nil {
				return errors.New("no link in the text: " + text)
			}
			tokens[i] = m[1]
		}
		return nil
	})
	return tokens
}

func answerOf(level, reported int, cares []int, words string) Answer {
	return Answer{Choices: [][]int{{level}, {reported}, cares, nil}, Words: []string{"", "", "", words}}
}

// dump is every cell of every table, by table and row: what somebody with a copy of the database has. (The tables of the
// migrations' own state are left out.)
func dump(t testing.TB, db *storage.DB) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	list := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose%'`
	if db.Postgres() {
		list = `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`
	}
	err := db.View(context.Background(), func(tx *storage.Tx) error {
		names, err := storage.All(tx, storage.Value[string], list)
		if err != nil {
			return err
		}
		for _, name := range names {
			columns := `SELECT name FROM pragma_table_info('` + name + `')`
			if db.Postgres() {
				columns = `SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '` + name + `'`
			}
			cols, err := storage.All(tx, storage.Value[string], columns)
			if err != nil {
				return err
			}
			hidden := ""
			if db.Postgres() { // the transaction that wrote a row is a trace, too
				hidden = `, xmin::text`
			}
			rows, err := storage.All(tx, func(r storage.Row) (string, error) {
				cells := make([]any, len(cols), len(cols)+1)
				to := make([]any, 0, len(cols)+1)
				for i := range cells {
					to = append(to, &cells[i])
				}
				var xmin string
				if hidden != "" {
					to = append(to, &xmin)
				}
				if err := r.Scan(to...); err != nil {
					return "", err
				}
				for i, c := range cells {
					if b, ok := c.([]byte); ok {
						cells[i] = fmt.Sprintf("%x", b)
					}
				}
				return fmt.Sprint(append(cells, "xmin="+xmin)), nil
			}, `SELECT "`+strings.Join(cols, `", "`)+`"`+hidden+` FROM "`+name+`"`)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			out[name] = rows
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// I20, as a property of random polls: people answer in random order, alone or at once; afterwards the database is the same
// whoever of a group gave which answer. It is shown by what is there: no invitation, no token, no sealed answer, no key; of
// what answers' rows hold nothing stands in a row of another table; rows stand in the order of keys drawn at random.
func TestI20AfterTheEndNothingJoinsAnAnswerWithAnInvitation(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		for round := range 2 {
			r := rand.New(rand.NewPCG(uint64(round), 20))
			h := newHall(t, db)
			p := h.started()
			people := make([]Person, 24+r.IntN(12))
			for i := range people {
				people[i] = Person{phoneOf(t, 1000*round+i), []string{"平山区", "明山区", "企业代表"}[i%3]}
				if i < 2 {
					people[i].Part = "南芬区" // too few of them to be told apart
				}
			}
			tokens := h.invite(p, people)
			order := r.Perm(len(people))[:len(people)-4]
			var wg sync.WaitGroup
			for n, who := range order {
				a := answerOf(r.IntN(5), r.IntN(2), [][]int{{0}, {1, 2}, {0, 1, 2}}[r.IntN(3)], fmt.Sprintf("建议%d号%d", round, who))
				take := func() {
					for {
						err := db.Update(context.Background(), func(tx *storage.Tx) error { return h.o.Take(tx, tokens[who], a) })
						if !errors.Is(err, storage.ErrConflict) {
							if err != nil {
								t.Error(err)
							}
							return
						}
					}
				}
				if n%3 == 0 {
					wg.Go(take)
				} else {
					take()
				}
			}
			wg.Wait()
			// While it is open the copy of the database holds no answer that can be read, and none that tells by its length.
			before := dump(t, db)
			for _, row := range before["poll_ballot"] {
				if strings.Contains(row, "建议") || len(row) != len(before["poll_ballot"][0]) && !db.Postgres() {
					t.Fatal("a sealed answer says something")
				}
			}
			for table, rows := range before {
				for _, row := range rows {
					if table != "poll_words" && strings.Contains(row, fmt.Sprintf("建议%d号", round)) {
						t.Errorf("%s holds an answer in the clear", table)
					}
				}
			}
			sealed := secretsOf(t, h, p.ID)
			closed, err := h.o.Close(context.Background(), db, p.ID, h.supervisor)
			if err != nil {
				t.Fatal(err)
			}
			if closed.Answered != len(order) || closed.Kept != len(order) || closed.Invited != len(people) {
				t.Errorf("closed with %+v", closed)
			}
			if _, err := os.Stat(h.o.keyPath(p.ID)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the key is still there: %v", err)
			}
			if _, err := h.o.secret(p.ID); !errors.Is(err, errNoKey) || len(sealed) != len(order) {
				t.Errorf("an old copy's answers can be opened: %v, %d", err, len(sealed))
			}
			after := dump(t, db)
			unlinked(t, after, p.ID, tokens, h)
			h.refused("state", func(tx *storage.Tx) error { _, err := h.o.Invite(tx, p.ID, people, h.analyst); return err })
			for _, token := range tokens {
				if err := db.Update(context.Background(), func(tx *storage.Tx) error { return h.o.Take(tx, token, answerOf(0, 0, []int{0}, "")) }); !errors.Is(err, ErrNoLink) {
					t.Fatalf("a link after the end: %v", err)
				}
			}
		}
	})
}

func secretsOf(t testing.TB, h *hall, id string) (out [][]byte) {
	h.update(func(tx *storage.Tx) (err error) {
		out, err = storage.All(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT sealed FROM poll_ballot WHERE poll_id = $1`, id)
		return err
	})
	return out
}

// unlinked holds I20 against a copy of the database after a poll's end.
func unlinked(t testing.TB, tables map[string][]string, id string, tokens []string, h *hall) {
	t.Helper()
	for _, gone := range []string{"poll_invitation", "poll_ballot"} {
		for _, row := range tables[gone] {
			if strings.Contains(row, id) {
				t.Errorf("%s still has a row of the poll", gone)
			}
		}
	}
	var keys []string
	last, xmins := "", map[string]bool{}
	for _, table := range []string{"poll_answer", "poll_words"} {
		last = ""
		for _, row := range tables[table] {
			if !strings.Contains(row, id) {
				continue
			}
			key := strings.Fields(strings.Trim(row, "[]"))[0]
			if len(key) != 32 || key < last {
				t.Errorf("%s: rows stand in another order than that of their random keys: %s after %s", table, key, last)
			}
			last = key
			keys = append(keys, key)
			xmins[row[strings.LastIndex(row, "xmin="):]] = true
			for _, n := range regexp.MustCompile(`\b1[67]\d{11}\b`).FindAllString(row, -1) {
				t.Errorf("%s holds a time: %s", table, n)
			}
		}
	}
	if len(keys) == 0 {
		t.Fatal("there are no answers")
	}
	if len(xmins) != 1 {
		t.Errorf("answers were written by %d transactions: one each would tell when", len(xmins))
	}
	for table, rows := range tables {
		for _, row := range rows {
			for _, token := range tokens {
				if strings.Contains(row, h.o.tokenHash(token)) {
					t.Errorf("%s knows a token by its hash", table)
				}
			}
			if table == "poll_answer" || table == "poll_words" {
				continue
			}
			for _, key := range keys {
				if strings.Contains(row, key) {
					t.Errorf("%s names an answer: %s", table, row)
				}
			}
		}
	}
	// The log tells of the beginning, the lists and the end, and of no answer.
	events := 0
	for _, row := range tables["audit_event"] {
		if strings.Contains(row, Stream(id)) {
			events++
		}
	}
	if events > 5 {
		t.Errorf("the log has %d events of the poll: answering leaves none", events)
	}
}

func TestALinkIsGoodForOneAnswerAndOnlyForAWholeOne(t *testing.T) {
	h := newHall(t, storagetest.SQLite(t))
	p := h.started()
	people := []Person{{phoneOf(t, 1), "平山区"}, {phoneOf(t, 2), "平山区"}}
	tokens := h.invite(p, people)
	for what, a := range map[string]Answer{
		"none":       {},
		"unanswered": {Choices: [][]int{{0}, nil, {0}, nil}, Words: make([]string, 4)},
		"two of one": {Choices: [][]int{{0}, {0, 1}, {0}, nil}, Words: make([]string, 4)},
		"no option":  {Choices: [][]int{{5}, {0}, {0}, nil}, Words: make([]string, 4)},
		"twice":      {Choices: [][]int{{0}, {0}, {1, 1}, nil}, Words: make([]string, 4)},
		"too long":   answerOf(0, 0, []int{0}, strings.Repeat("长", maxText+1)),
	} {
		err := h.db.Update(context.Background(), func(tx *storage.Tx) error { return h.o.Take(tx, tokens[0], a) })
		if r, ok := ticket.RefusedWith(err); !ok || r.Code != "answer" {
			t.Errorf("%s: %v", what, err)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 8 {
		wg.Go(func() {
			if h.db.Update(context.Background(), func(tx *storage.Tx) error { return h.o.Take(tx, tokens[0], answerOf(0, 0, []int{0}, "")) }) == nil {
				mu.Lock()
				taken++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if taken != 1 {
		t.Errorf("one link took %d answers", taken)
	}
	h.update(func(tx *storage.Tx) error {
		n, err := h.o.Invite(tx, p.ID, people, h.analyst)
		if err != nil || n.Invited != 0 || n.Known != 2 {
			t.Errorf("again: %+v", n)
		}
		if err := h.o.Book.OptOut(tx, phoneOf(t, 3), contact.OptOut{Scope: contact.ScopePoll, Source: "sms", Evidence: "x"}); err != nil {
			return err
		}
		n, err = h.o.Invite(tx, p.ID, []Person{{phoneOf(t, 3), ""}}, h.analyst)
		if n.Left != 1 || n.Invited != 0 {
			t.Errorf("who wants no polls: %+v", n)
		}
		return err
	})
}

func TestAPollIsOpenedByAnotherThanItsAuthorAndEndsByItself(t *testing.T) {
	h := newHall(t, storagetest.SQLite(t))
	var p Poll
	h.refused("forbidden", func(tx *storage.Tx) error {
		_, err := h.o.Make(tx, Making{Title: "测评", Questions: asked, Smallest: 5}, h.operator)
		return err
	})
	for code, m := range map[string]Making{"title": {Title: "x", Questions: asked, Smallest: 5}, "smallest": {Title: "测评", Questions: asked, Smallest: 2}, "questions": {Title: "测评", Questions: "怎么样", Smallest: 5}} {
		h.refused(code, func(tx *storage.Tx) error { _, err := h.o.Make(tx, m, h.analyst); return err })
	}
	h.update(func(tx *storage.Tx) (err error) {
		p, err = h.o.Make(tx, Making{Title: "测评", Questions: asked, Smallest: 5}, h.analyst)
		return err
	})
	day := workday.DayOf(h.now)
	h.refused("same_person", func(tx *storage.Tx) error { _, err := h.o.Start(tx, p.ID, day+7, h.analyst); return err })
	h.refused("until", func(tx *storage.Tx) error { _, err := h.o.Start(tx, p.ID, day-1, h.supervisor); return err })
	h.update(func(tx *storage.Tx) (err error) {
		p, err = h.o.Start(tx, p.ID, day+7, h.supervisor)
		return err
	})
	tokens := h.invite(p, []Person{{phoneOf(t, 1), ""}, {phoneOf(t, 2), ""}})
	h.update(func(tx *storage.Tx) error { return h.o.Take(tx, tokens[0], answerOf(4, 0, []int{0}, "请核实")) })
	if err := h.o.Sweep(context.Background(), h.db); err != nil {
		t.Fatal(err)
	}
	h.now = day.Add(8).Start()
	elsewhere := *h.o
	elsewhere.Keys = t.TempDir() // another node has no key, and leaves it to the one that has
	for _, o := range []*Office{&elsewhere, h.o, h.o} {
		if err := o.Sweep(context.Background(), h.db); err != nil {
			t.Fatal(err)
		}
	}
	h.update(func(tx *storage.Tx) error {
		p, err := h.o.Get(tx, p.ID, h.leader)
		if p.State != Closed || p.Answered != 1 || p.Kept != 0 || p.Closer != "system" {
			t.Errorf("%+v", p)
		}
		r, err2 := h.o.Results(tx, p, h.leader)
		if r != nil || err2 != nil { // one answer is nobody's business
			t.Errorf("results of one answer: %v, %v", r, err2)
		}
		n, err2 := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM poll_answer`)
		if n != 0 || err2 != nil {
			t.Errorf("%d answers are kept, %v", n, err2)
		}
		if _, err := h.o.Get(tx, p.ID, h.operator); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("an operator reads a poll: %v", err)
		}
		return err
	})
}

func TestResultsAreCountedByHandAndSmallGroupsAreTogether(t *testing.T) {
	h := newHall(t, storagetest.SQLite(t))
	p := h.started()
	var people []Person
	for i, part := range []string{"甲", "甲", "甲", "甲", "甲", "甲", "乙", "乙", "丙", "丁", "丁", "丁", "丁", "丁"} {
		people = append(people, Person{phoneOf(t, i), part})
	}
	tokens := h.invite(p, people)
	for i, token := range tokens {
		words := ""
		if i == 3 {
			words = "请联系我13812345678，我叫王小二。"
		}
		h.update(func(tx *storage.Tx) error { return h.o.Take(tx, token, answerOf(i%5, i%2, []int{0}, words)) })
	}
	if _, err := h.o.Close(context.Background(), h.db, p.ID, h.analyst); err != nil {
		t.Fatal(err)
	}
	h.update(func(tx *storage.Tx) error {
		p, err := h.o.Get(tx, p.ID, h.leader)
		if err != nil {
			return err
		}
		all, err := h.o.Results(tx, p, h.leader)
		if err != nil {
			return err
		}
		w := all[0].Whole // 14 people: levels 0..4 three times but the last, which is there twice
		if w.N != 14 || fmt.Sprint(w.Count) != "[3 3 3 3 2]" || fmt.Sprintf("%.4f", w.Rate) != "0.6429" || fmt.Sprintf("%.2f", w.Mean) != "53.57" || !w.Small {
			t.Errorf("%+v", w)
		}
		if fmt.Sprintf("%.4f %.4f", w.Interval[0], w.Interval[1]) != "0.3876 0.8366" {
			t.Errorf("interval %v", w.Interval)
		}
		// 乙 (2) and 丙 (1) are three together, so that 丁 (5) has to go with them.
		got := map[string]int{}
		for _, x := range all[0].Parts {
			got[x.Part] = x.N
		}
		if len(got) != 2 || got["甲"] != 6 || got[Elsewhere] != 8 {
			t.Errorf("groups %v", got)
		}
		if fmt.Sprint(all[2].Whole.Count) != "[14 0 0]" {
			t.Errorf("%+v", all[2].Whole)
		}
		if len(all[3].Words) != 1 || all[3].Words[0] != "请联系我〔已隐去〕，我叫〔已隐去〕。" {
			t.Errorf("words %q", all[3].Words)
		}
		return nil
	})
}

// What groups are put together has k answers, and so has every group that stands alone, whatever their sizes.
func FuzzGroupsTogetherAreLargeEnough(f *testing.F) {
	f.Add([]byte{1, 2, 9, 5}, 5)
	f.Add([]byte{4}, 5)
	f.Fuzz(func(t *testing.T, sizes []byte, k int) {
		if k < 1 || k > 50 || len(sizes) > 20 {
			return
		}
		var all []ballot
		for i, n := range sizes {
			for range n % 40 {
				all = append(all, ballot{Part: fmt.Sprint("组", i)})
			}
		}
		if len(all) < k {
			return
		}
		together(all, k)
		n := map[string]int{}
		for _, b := range all {
			n[b.Part]++
		}
		for part, size := range n {
			if size < k {
				t.Errorf("%s has %d of %d: %v", part, size, k, n)
			}
		}
	})
}

func TestWordsKeepNothingOfANumberOrAName(t *testing.T) {
	for in, want := range map[string]string{
		"请联系我139 1234 5678谢谢":                 "请联系我〔已隐去〕谢谢",
		"我是业主王小二，身份证210502198001011234":       "我是业主〔已隐去〕，身份证〔已隐去〕",
		"群号 1234567，邮箱 zhang.san@example.com": "群号 〔已隐去〕，邮箱 〔已隐去〕",
		"110出警3分钟就到，2026年很满意":                 "110出警3分钟就到，2026年很满意",
	} {
		if got := scrub(in); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
}

func TestQuestionsAreReadAndWrittenAlike(t *testing.T) {
	q, err := ParseQuestions(asked)
	if err != nil || len(q) != 4 || q[0].Options[0] != "非常满意" || len(q[2].Options) != 3 {
		t.Fatalf("%+v, %v", q, err)
	}
	again, err := ParseQuestions(WriteQuestions(q))
	a, _ := json.Marshal(q)
	b, _ := json.Marshal(again)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%s is read back as %s, %v", a, b, err)
	}
	for text, line := range map[string]string{"怎么样": "第1行", "【单选】是吗？\n- 是\n- 是": "第3行", "【打分】几分": "第1行", "【五级】好吗\n- 好": "第2行", "【单选】是吗？\n- 是": "第1题"} {
		if _, err := ParseQuestions(text); err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
