// Package poll asks invited people some questions by a link in a text, once each, and can afterwards not say who answered what.
//
// While a poll is open its answers are sealed for a key whose secret half lies in a file outside of the database; the database
// knows who has answered, and no answer. Closing opens them, writes them in the order of random keys without any time, puts
// groups of fewer than k together, keeps what was said in own words apart from the choices, removes every invitation and
// destroys the key: from then on no table, no event of the log and no earlier copy of the database joins an answer with a
// person (invariant I20). Answers by reply to a text are taken by polls under a name alone, which say so to whoever is asked: the
// inbox keeps every reply with its number.
package poll

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// State is where a poll stands.
type State string

// States of a poll.
const (
	Draft     State = "DRAFT"
	Open      State = "OPEN"
	Closed    State = "CLOSED"
	Discarded State = "DISCARDED"
)

// Label is the state for staff (zh-CN).
func (s State) Label() string {
	return map[State]string{Draft: "草稿", Open: "进行中", Closed: "已结束", Discarded: "已弃用"}[s]
}

// Poll is one poll.
type Poll struct {
	ID        string
	Version   int64
	State     State
	Title     string
	Intro     string
	Questions []Question
	Smallest  int // k: nothing is told of fewer answers than this

	Author, Opener, Closer              string
	MadeAt, OpenedAt, ClosesAt, EndedAt time.Time

	Invited, Delivered, Answered int
	Named                        bool   // 记名: those asked are told so; it may be answered by a digit
	EndingBy                     string // who ended it where its key was not at hand
	Kept                         int    // answers that results are made of; 0 when there were fewer than k
	public                       []byte
}

// Office runs polls.
type Office struct {
	Book      *contact.Book
	Outbox    *sms.Outbox // nil: nobody can be invited
	PublicURL string      // under which links are reached; without it nobody can be invited
	Keys      string      // folder of the secret keys, outside of the database and its copies
	Now       func() time.Time
	Log       *slog.Logger
}

// Smallest k that may be set, and the one that is proposed.
const (
	LeastK   = 5
	DefaultK = 10
)

func (o *Office) now() time.Time {
	if o.Now == nil {
		return time.Now().Truncate(time.Millisecond)
	}
	return o.Now().Truncate(time.Millisecond)
}

// Stream is the name of a poll's stream in the audit log. Answering leaves no event: its time and place would be a trace.
func Stream(id string) string { return "poll/" + id }

func may(by ticket.Actor, a org.Action) error {
	if by.Kind == ticket.SystemActor || org.Can(by.Role, a) {
		return nil
	}
	return refuse("forbidden", "没有“%s”的权限", a.Label())
}

const selectPoll = `SELECT p.id, p.version, p.state, p.title, p.intro, p.questions, p.smallest, p.public_key, p.author, p.opener, p.closer, p.made_at, p.opened_at, p.closes_at, p.closed_at,
	p.invited, p.delivered, p.answered, p.kept, p.named, p.ending_by FROM poll p`

func scanPoll(r storage.Row) (p Poll, err error) {
	var questions string
	var made, opened, closes, closed storage.Time
	if err = r.Scan(&p.ID, &p.Version, &p.State, &p.Title, &p.Intro, &questions, &p.Smallest, &p.public, &p.Author, &p.Opener, &p.Closer, &made, &opened, &closes, &closed,
		&p.Invited, &p.Delivered, &p.Answered, &p.Kept, &p.Named, &p.EndingBy); err != nil {
		return p, err
	}
	p.MadeAt, p.OpenedAt, p.ClosesAt, p.EndedAt = made.Time, opened.Time, closes.Time, closed.Time
	if err = json.Unmarshal([]byte(questions), &p.Questions); err != nil {
		return p, fmt.Errorf("poll %s: questions: %w", p.ID, err)
	}
	return p, nil
}

// Get reads a poll that the viewer may see, with its counts as they stand.
func (o *Office) Get(tx *storage.Tx, id string, viewer ticket.Actor) (Poll, error) {
	if may(viewer, org.ViewPolls) != nil {
		return Poll{}, storage.ErrNotFound
	}
	p, err := storage.One(tx, scanPoll, selectPoll+` WHERE p.id = $1`, id)
	if err != nil {
		return p, err
	}
	return p, o.count(tx, &p)
}

// List is a page of the polls, the newest first, and how many there are.
func (o *Office) List(tx *storage.Tx, viewer ticket.Actor, limit, offset int) ([]Poll, int, error) {
	if may(viewer, org.ViewPolls) != nil {
		return nil, 0, nil
	}
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM poll WHERE state <> 'DISCARDED'`)
	if err != nil {
		return nil, 0, fmt.Errorf("list polls: %w", err)
	}
	all, err := storage.All(tx, scanPoll, selectPoll+` WHERE p.state <> 'DISCARDED' ORDER BY p.made_at DESC, p.id DESC LIMIT $1 OFFSET $2`, limit, offset)
	for i := range all {
		if err == nil {
			err = o.count(tx, &all[i])
		}
	}
	return all, n, err
}

// count fills in how many are invited, reached and have answered while the invitations are there.
func (o *Office) count(tx *storage.Tx, p *Poll) error {
	if p.State == Closed || p.State == Discarded {
		return nil
	}
	type counts struct{ invited, delivered, used int }
	c, err := storage.One(tx, func(r storage.Row) (c counts, err error) { return c, r.Scan(&c.invited, &c.delivered, &c.used) },
		`SELECT COUNT(*), COALESCE(SUM(CASE WHEN s.state = 'delivered' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN i.used THEN 1 ELSE 0 END), 0)
		FROM poll_invitation i LEFT JOIN sms s ON s.id = i.sms_id WHERE i.poll_id = $1`, p.ID)
	p.Invited, p.Delivered, p.Answered = c.invited, c.delivered, c.used
	if err != nil {
		return fmt.Errorf("count a poll: %w", err)
	}
	return nil
}

// Making is what a poll asks.
type Making struct {
	Title, Intro, Questions string
	Smallest                int
	Named                   bool // 记名, and may be answered by a digit
}

func (m Making) read() (p Poll, err error) {
	p.Title, p.Intro, p.Smallest = strings.TrimSpace(m.Title), strings.TrimSpace(m.Intro), m.Smallest
	if n := utf8.RuneCountInString(p.Title); n < 2 || n > 40 {
		return p, refuse("title", "标题应为2至40字")
	}
	if utf8.RuneCountInString(p.Intro) > 500 {
		return p, refuse("intro", "说明不超过500字")
	}
	if p.Smallest < LeastK || p.Smallest > 100 {
		return p, refuse("smallest", "最小公布份数应为%d至100", LeastK)
	}
	if p.Questions, err = ParseQuestions(m.Questions); err != nil {
		return p, err
	}
	if p.Named = m.Named; p.Named {
		if _, ok := digitQuestion(p.Questions); !ok {
			return p, refuse("named", "记名测评由短信数字作答，须恰有一道【五级】或【单选】题，且不超过9个选项（可另有文字题，由链接作答）")
		}
		if n := utf8.RuneCountInString(p.digitText()); n > 150 {
			return p, refuse("named", "记名测评的题目和选项要写进短信，合计不超过150字，现为%d字", n)
		}
	}
	return p, nil
}

// Make drafts a poll.
func (o *Office) Make(tx *storage.Tx, m Making, by ticket.Actor) (Poll, error) {
	if err := may(by, org.RunPolls); err != nil {
		return Poll{}, err
	}
	p, err := m.read()
	if err != nil {
		return p, err
	}
	p.ID, p.Version, p.State, p.Author, p.MadeAt = storage.NewID(), 1, Draft, by.String(), o.now()
	questions, err := json.Marshal(p.Questions)
	if err != nil {
		return p, err
	}
	if _, err := tx.Exec(`INSERT INTO poll (id, version, state, title, intro, questions, smallest, author, made_at, opener, closer, named) VALUES ($1, 1, 'DRAFT', $2, $3, $4, $5, $6, $7, '', '', $8)`,
		p.ID, p.Title, p.Intro, string(questions), p.Smallest, p.Author, storage.At(p.MadeAt), p.Named); err != nil {
		return p, fmt.Errorf("make a poll: %w", err)
	}
	return p, o.note(tx, p, "poll.drafted", by, map[string]any{"questions": len(p.Questions), "smallest": p.Smallest, "named": p.Named})
}

// Edit changes a draft. Whoever edits it is its author from then on.
func (o *Office) Edit(tx *storage.Tx, id string, m Making, by ticket.Actor) (Poll, error) {
	p, err := o.lock(tx, id, by, Draft)
	if err != nil {
		return p, err
	}
	in, err := m.read()
	if err != nil {
		return p, err
	}
	p.Title, p.Intro, p.Questions, p.Smallest, p.Named, p.Author = in.Title, in.Intro, in.Questions, in.Smallest, in.Named, by.String()
	questions, err := json.Marshal(p.Questions)
	if err != nil {
		return p, err
	}
	if _, err := tx.Exec(`UPDATE poll SET title = $2, intro = $3, questions = $4, smallest = $5, author = $6, named = $7, version = version + 1 WHERE id = $1`, id, p.Title, p.Intro, string(questions), p.Smallest, p.Author, p.Named); err != nil {
		return p, fmt.Errorf("edit a poll: %w", err)
	}
	return p, o.note(tx, p, "poll.edited", by, map[string]any{"questions": len(p.Questions), "smallest": p.Smallest, "named": p.Named})
}

// Discard gives a draft up.
func (o *Office) Discard(tx *storage.Tx, id string, by ticket.Actor) (Poll, error) {
	p, err := o.lock(tx, id, by, Draft)
	if err != nil {
		return p, err
	}
	p.State = Discarded
	if _, err := tx.Exec(`UPDATE poll SET state = 'DISCARDED', version = version + 1 WHERE id = $1`, id); err != nil {
		return p, err
	}
	return p, o.note(tx, p, "poll.discarded", by, nil)
}

// lock reads a poll that is about to be changed by somebody who runs polls.
func (o *Office) lock(tx *storage.Tx, id string, by ticket.Actor, want State) (Poll, error) {
	if err := may(by, org.RunPolls); err != nil {
		return Poll{}, err
	}
	p, err := storage.One(tx, scanPoll, selectPoll+` WHERE p.id = $1 `+tx.ForUpdate(), id)
	if err != nil {
		return p, err
	}
	if p.State != want {
		return p, refuse("state", "测评%s，不能这样操作", p.State.Label())
	}
	return p, o.count(tx, &p)
}

func (o *Office) note(tx *storage.Tx, p Poll, event string, by ticket.Actor, facts map[string]any) error {
	_, err := audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: event, Actor: by.String(), At: o.now(), Payload: facts})
	return err
}

// Start opens a poll until a day. Its questions go out to people, so that who opens it is not who wrote it.
func (o *Office) Start(tx *storage.Tx, id string, last workday.Day, by ticket.Actor) (Poll, error) {
	p, err := o.lock(tx, id, by, Draft)
	if err != nil {
		return p, err
	}
	if p.Author == by.String() {
		return p, refuse("same_person", "起草人不能自己启动测评")
	}
	today := workday.DayOf(o.now())
	if last < today || last > today+180 {
		return p, refuse("until", "截止日期应在今天至180天之内")
	}
	if p.public, err = o.newKey(id); err != nil {
		return p, err
	}
	p.State, p.Opener, p.OpenedAt, p.ClosesAt = Open, by.String(), o.now(), last.End()
	if _, err := tx.Exec(`UPDATE poll SET state = 'OPEN', public_key = $2, opener = $3, opened_at = $4, closes_at = $5, version = version + 1 WHERE id = $1`,
		id, p.public, p.Opener, storage.At(p.OpenedAt), storage.At(p.ClosesAt)); err != nil {
		return p, fmt.Errorf("open a poll: %w", err)
	}
	return p, o.note(tx, p, "poll.opened", by, map[string]any{"until": last.String()})
}

// Person is one to be invited.
type Person struct {
	Phone contact.Phone
	Part  string // group: a district, a line of business; may be empty
}

// Inviting is what became of a list.
type Inviting struct {
	Invited int // texts queued
	Known   int // invited before
	Left    int // opted out, or left alone for a time
}

// Invite queues a text with a link of their own for each person, unless they were invited before or want no polls.
func (o *Office) Invite(tx *storage.Tx, id string, people []Person, by ticket.Actor) (n Inviting, err error) {
	p, err := o.lock(tx, id, by, Open)
	if err != nil {
		return n, err
	}
	if o.Outbox == nil || o.PublicURL == "" && !p.Named {
		return n, refuse("public_url", "没有配置公众访问地址（public-url），不能发送链接")
	}
	if !o.now().Before(p.ClosesAt) {
		return n, refuse("until", "测评已到截止日期")
	}
	batch := hex.EncodeToString(randomBytes(8))
	for _, x := range people {
		if part := utf8.RuneCountInString(x.Part); part > 30 {
			return n, refuse("part", "组别不超过30字")
		}
		unwanted, err := o.unwanted(tx, x.Phone)
		if err != nil {
			return n, err
		}
		if unwanted {
			n.Left++
			continue
		}
		token := base64.RawURLEncoding.EncodeToString(randomBytes(16))
		invitation := hex.EncodeToString(randomBytes(16))
		done, err := tx.Exec(`INSERT INTO poll_invitation (id, poll_id, phone_hash, token_hash, part, sms_id) VALUES ($1, $2, $3, $4, $5, '') ON CONFLICT (poll_id, phone_hash) DO NOTHING`,
			invitation, id, o.Book.Vault.HashPhone(x.Phone), o.tokenHash(token), x.Part)
		if err != nil {
			return n, fmt.Errorf("invite to a poll: %w", err)
		}
		if done == 0 {
			n.Known++
			continue
		}
		text, _, err := o.Outbox.Queue(tx, sms.Message{Key: "poll:" + invitation, Campaign: "poll:" + id, Phone: x.Phone, Priority: sms.Bulk, NotAfter: p.ClosesAt, Extension: extensionOf(id), Body: o.inviting(p, token)})
		if err != nil {
			return n, err
		}
		if _, err := tx.Exec(`UPDATE poll_invitation SET sms_id = $2 WHERE id = $1`, invitation, text); err != nil {
			return n, fmt.Errorf("invite to a poll: %w", err)
		}
		n.Invited++
	}
	return n, o.note(tx, p, "poll.invited", by, map[string]any{"batch": batch, "invited": n.Invited, "known": n.Known, "left": n.Left})
}

// inviting is the text that asks somebody.
func (o *Office) inviting(p Poll, token string) string {
	link := strings.TrimSuffix(o.PublicURL, "/") + "/p/poll/" + token
	switch {
	case !p.Named:
		return "诚邀您匿名参加“" + p.Title + "”，答卷无法与您的号码对应：" + link + " 链接限用一次，不愿接收请回复T"
	case o.PublicURL == "":
		return "诚邀您参加“" + p.Title + "”（记名，回复会与号码一同留存）：" + p.digitText() + " 不愿接收请回复T"
	}
	return "诚邀您参加“" + p.Title + "”（记名，回复会与号码一同留存）：" + p.digitText() + " 或填写 " + link + " 限答一次，不愿接收请回复T"
}

// unwanted reports whether a person wants no polls: they said so of polls or of rating texts (which a plain T in reply to a link
// stands for), or are left alone for a time.
func (o *Office) unwanted(tx *storage.Tx, phone contact.Phone) (bool, error) {
	for _, scope := range []string{contact.ScopePoll, contact.ScopeSurvey} {
		if out, err := o.Book.OptedOut(tx, phone, scope); out || err != nil {
			return out, err
		}
		if _, out, err := o.Book.Shielded(tx, phone, scope); out || err != nil {
			return out, err
		}
	}
	return false, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

func (o *Office) tokenHash(token string) string { return o.Book.Vault.For("poll.token").Hash(token) }

// ErrNoLink tells that a link is not there, was used, or that its poll is over: all one to whoever asks.
var ErrNoLink = errors.New("no such link")

// Linked is the poll that a link is for.
func (o *Office) Linked(tx *storage.Tx, token string) (Poll, error) {
	p, err := storage.One(tx, scanPoll, selectPoll+` JOIN poll_invitation i ON i.poll_id = p.id WHERE i.token_hash = $1 AND i.used = FALSE AND p.state = 'OPEN' AND p.closes_at > $2`,
		o.tokenHash(token), storage.At(o.now()))
	if errors.Is(err, storage.ErrNotFound) {
		return p, ErrNoLink
	}
	return p, err
}

// Take takes the one answer that a link is good for. What is kept of it until the end is sealed; no event tells of it.
func (o *Office) Take(tx *storage.Tx, token string, a Answer) error {
	p, err := o.Linked(tx, token)
	if err != nil {
		return err
	}
	return o.take(tx, p, o.tokenHash(token), a)
}

// take takes the one answer of an invitation, by the hash of its token.
func (o *Office) take(tx *storage.Tx, p Poll, tokenHash string, a Answer) error {
	if err := a.check(p.Questions); err != nil {
		return err
	}
	for i, w := range a.Words {
		a.Words[i] = scrub(w)
	}
	part, err := storage.One(tx, storage.Value[string], `SELECT part FROM poll_invitation WHERE token_hash = $1`, tokenHash)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE poll_invitation SET used = TRUE WHERE token_hash = $1 AND used = FALSE`, tokenHash)
	if err != nil {
		return fmt.Errorf("answer a poll: %w", err)
	}
	if n == 0 {
		return ErrNoLink
	}
	sealed, err := seal(p.public, p.ID, ballot{Part: part, Answer: a})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO poll_ballot (id, poll_id, sealed) VALUES ($1, $2, $3)`, hex.EncodeToString(randomBytes(16)), p.ID, sealed); err != nil {
		return fmt.Errorf("answer a poll: %w", err)
	}
	return nil
}

var (
	hiddenNumber = regexp.MustCompile(`[\d\pL._%+-]*\*{2,}[\dA-Za-z@._-]*`)
	hiddenName   = regexp.MustCompile(`\p{Han}\*+`)
	anyNumber    = regexp.MustCompile(`\d(?:[- ]?\d){4,}`)
)

// scrub takes out of words whatever tells of one person. What masking leaves (139****5678, 王*) is too much here: among some
// hundred invited people the last digits of a number are one of them.
func scrub(words string) string {
	words = contact.MaskText(strings.TrimSpace(words))
	for _, re := range []*regexp.Regexp{hiddenName, hiddenNumber, anyNumber} {
		words = re.ReplaceAllStringFunc(words, func(found string) string {
			if re == hiddenNumber { // what stands before the number is no part of it
				at := strings.IndexFunc(found, func(r rune) bool { return r < 0x80 })
				return found[:at] + "〔已隐去〕"
			}
			return "〔已隐去〕"
		})
	}
	return words
}

// Ending reports whether a poll takes no more answers and waits to be ended by a node that has its key.
func (p Poll) Ending(now time.Time) bool { return p.State == Open && !now.Before(p.ClosesAt) }

// Sweep ends polls whose time is over and whose keys are here, destroys what a crash has left of keys, and hands keys from node
// to node. Every node has to do it, not one of them.
func (o *Office) Sweep(ctx context.Context, db *storage.DB) error {
	if err := o.keyed(ctx, db); err != nil {
		return err
	}
	there, err := o.keysThere()
	if err != nil {
		return err
	}
	var due, over []string
	err = db.View(ctx, func(tx *storage.Tx) error {
		for _, id := range there {
			p, err := storage.One(tx, scanPoll, selectPoll+` WHERE p.id = $1`, id)
			switch {
			case errors.Is(err, storage.ErrNotFound): // of another database, or opened in a transaction under way
			case err != nil:
				return err
			case p.State == Closed:
				over = append(over, id)
			case p.State == Open && !o.now().Before(p.ClosesAt):
				due = append(due, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		if _, err := o.secret(id); errors.Is(err, errNoKey) {
			continue // it only asked for it
		}
		_, err := o.Close(ctx, db, id, ticket.System)
		if r, refused := ticket.RefusedWith(err); refused && r.Code == "state" {
			over = append(over, id) // another node was faster
		} else if err != nil {
			return fmt.Errorf("close poll %s: %w", id, err)
		}
	}
	for _, id := range slices.Clone(over) {
		if err := o.destroyKey(id); err != nil {
			return fmt.Errorf("destroy the key of poll %s: %w", id, err)
		}
	}
	return nil
}
