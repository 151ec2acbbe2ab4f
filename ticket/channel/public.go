package channel

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

// Submission is a request that somebody sends us over the net.
type Submission struct {
	Delivery
	Service  string // code of an Open311 service
	Lat, Lng string // WGS 84, decimal degrees
	Open     bool   // its words may be shown in public, numbers and names hidden
	Digest   string // what a repeat of the same within a day is known by; "" for none
}

// Receipt is what the sender gets: the number of the request and the code by which it is asked about, which is shown once.
type Receipt struct {
	Number, Code string
	TicketID     string
	Existing     bool
}

// codeLetters are letters and digits that nobody takes for one another.
const codeLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

const codeLength = 8 // 32^8, about 10^12

const (
	codePurpose = "channel.code"
	ratePurpose = "channel.rating"
)

func newCode() string {
	b := make([]byte, codeLength)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	for i := range b {
		b[i] = codeLetters[int(b[i])%len(codeLetters)]
	}
	return string(b)
}

// plainCode is a code as it is compared: capital letters, without what people put between them.
func plainCode(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '　' {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(s)))
}

// repeatWindow is how long the same words of the same person are one request.
const repeatWindow = 24 * time.Hour

// Submit makes a ticket of a submission. The same once more (by its external id, or by its digest within a day) is the
// ticket that is there, with a new code.
func (g *Gateway) Submit(tx *storage.Tx, s Submission, by ticket.Actor) (Receipt, error) {
	now := g.now()
	if s.Digest != "" {
		known, err := storage.All(tx, storage.Value[string], `SELECT ticket_id FROM channel_receipt WHERE digest = $1 AND made_at > $2 ORDER BY made_at DESC LIMIT 1`,
			s.Digest, storage.At(now.Add(-repeatWindow)))
		if err != nil {
			return Receipt{}, fmt.Errorf("submit: %w", err)
		}
		if len(known) > 0 {
			t, err := g.Office.Get(tx, known[0])
			if err != nil {
				return Receipt{}, err
			}
			return g.again(tx, t)
		}
	}
	t, err := g.Take(tx, s.Delivery, by)
	if err != nil {
		return Receipt{}, err
	}
	if t.Changed {
		return Receipt{}, refuse("used", "该表单已提交过其他内容，请刷新页面后重新填写")
	}
	if t.Existing {
		return g.again(tx, t.Ticket)
	}
	code := newCode()
	_, err = tx.Exec(`INSERT INTO channel_receipt (ticket_id, code_hash, digest, service, lat, lng, open, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		t.ID, g.vault().For(codePurpose).Hash(t.Number+code), s.Digest, s.Service, s.Lat, s.Lng, s.Open && publishable(t.Ticket), storage.At(now))
	if err != nil {
		return Receipt{}, fmt.Errorf("receipt of %s: %w", t.ID, err)
	}
	return Receipt{Number: t.Number, Code: code, TicketID: t.ID}, nil
}

// again gives the sender of a request that is there already a new code.
func (g *Gateway) again(tx *storage.Tx, t ticket.Ticket) (Receipt, error) {
	code := newCode()
	n, err := tx.Exec(`UPDATE channel_receipt SET code_hash = $2 WHERE ticket_id = $1`, t.ID, g.vault().For(codePurpose).Hash(t.Number+code))
	if err != nil {
		return Receipt{}, fmt.Errorf("receipt of %s: %w", t.ID, err)
	}
	if n == 0 {
		code = ""
	}
	return Receipt{Number: t.Number, Code: code, TicketID: t.ID, Existing: true}, nil
}

// publishable reports whether a request may ever be shown in public: no complaint and no report about persons, nothing
// confidential, nothing of a restricted channel.
func publishable(t ticket.Ticket) bool {
	return t.Kind != ticket.Complaint && t.Kind != ticket.Report && t.Kind != "" && !t.Confidential && !t.Restricted && t.AccusedUnit == "" && t.AccusedStaff == ""
}

// GiveCode makes a code for a ticket that has none, or a new one, so that staff can hand it to a citizen who came in person.
func (g *Gateway) GiveCode(tx *storage.Tx, t ticket.Ticket) (string, error) {
	code := newCode()
	_, err := tx.Exec(`INSERT INTO channel_receipt (ticket_id, code_hash, made_at) VALUES ($1, $2, $3) ON CONFLICT (ticket_id) DO UPDATE SET code_hash = excluded.code_hash`,
		t.ID, g.vault().For(codePurpose).Hash(t.Number+code), storage.At(g.now()))
	if err != nil {
		return "", fmt.Errorf("code of %s: %w", t.ID, err)
	}
	return code, nil
}

var (
	// ErrNoSuch is returned for a number and a code that do not belong together; it does not tell which is wrong.
	ErrNoSuch = errors.New("no request with this number and code")
	// ErrLocked is returned after too many wrong codes for a number, for a quarter of an hour.
	ErrLocked = errors.New("too many wrong codes")
	// ErrNoLink is returned for a rating link that is unknown, used or past its time.
	ErrNoLink = errors.New("the link does not hold any more")
)

const (
	codeTries = 8
	codeLock  = 15 * time.Minute
)

// Find returns the ticket that a number and a code stand for. Wrong codes are counted.
func (g *Gateway) Find(ctx context.Context, number, code string) (t ticket.Ticket, err error) {
	number, code = strings.TrimSpace(number), plainCode(code)
	verdict := ErrNoSuch
	err = g.DB.Update(ctx, func(tx *storage.Tx) error {
		k, err := g.Office.Get(tx, number)
		if errors.Is(err, storage.ErrNotFound) || err == nil && k.Number != number {
			return nil
		} else if err != nil {
			return err
		}
		type row struct {
			hash     string
			failures int
			locked   time.Time
		}
		rows, err := storage.All(tx, func(r storage.Row) (x row, err error) {
			var at storage.Time
			err = r.Scan(&x.hash, &x.failures, &at)
			x.locked = at.Time
			return x, err
		}, `SELECT code_hash, failures, locked FROM channel_receipt WHERE ticket_id = $1 `+tx.ForUpdate(), k.ID)
		if err != nil || len(rows) == 0 {
			return err
		}
		r, now := rows[0], g.now()
		if now.Before(r.locked) {
			verdict = ErrLocked
			return nil
		}
		if subtle.ConstantTimeCompare([]byte(r.hash), []byte(g.vault().For(codePurpose).Hash(k.Number+code))) == 1 {
			t, verdict = k, nil
			if r.failures == 0 {
				return nil
			}
			_, err = tx.Exec(`UPDATE channel_receipt SET failures = 0, locked = NULL WHERE ticket_id = $1`, k.ID)
			return err
		}
		var until storage.Time
		if r.failures++; r.failures >= codeTries {
			r.failures, until = 0, storage.At(now.Add(codeLock))
		}
		_, err = tx.Exec(`UPDATE channel_receipt SET failures = $2, locked = $3 WHERE ticket_id = $1`, k.ID, r.failures, until)
		return err
	})
	if err != nil {
		return ticket.Ticket{}, fmt.Errorf("find a request: %w", err)
	}
	return t, verdict
}

// Step is a stage of a request as its sender sees it.
type Step struct {
	Name      string
	Done, Now bool
	At        time.Time
}

// Progress is how a request stands, in the words for its sender.
type Progress struct {
	Number     string
	Title      string
	Label      string
	Received   time.Time
	Steps      []Step
	Promised   time.Time // when we have promised the next step; zero when none is owed
	PromisedAs string    // what that step is
	Reply      string
	Replied    time.Time
	Notice     string // what the sender must know: why it was refused, whom it was handed to
	Stars      ticket.Stars
	MayRate    bool
	MayAdd     bool
	MayLeave   bool // may withdraw
}

// publicStates are what a sender sees of a state: neither who reviews it nor that units quarrel about it.
var publicStates = map[ticket.State]string{
	ticket.New: "待受理", ticket.Answered: "已答复", ticket.Transferred: "已转110处置", ticket.Refused: "不予受理", ticket.Merged: "与同类诉求合并办理", ticket.Accepted: "已受理",
	ticket.Dispatched: "办理中", ticket.Handling: "办理中", ticket.Suspended: "办理中", ticket.Reviewing: "办理中", ticket.Replied: "已答复", ticket.AwaitRating: "已答复，待您评价",
	ticket.Rework: "重新办理中", ticket.Closed: "已办结", ticket.Withdrawn: "已撤回", ticket.Archived: "已办结",
}

// ProgressOf tells the sender of a ticket how it stands.
func (g *Gateway) ProgressOf(tx *storage.Tx, t ticket.Ticket) (Progress, error) {
	p := Progress{Number: t.Number, Title: t.Title, Label: publicStates[t.State], Received: t.ReceivedAt, Replied: t.RepliedAt, Stars: t.Stars,
		MayAdd: t.State.Open() && t.State != ticket.Answered, MayLeave: t.State.Open() && t.RepliedAt.IsZero()}
	p.MayRate = t.State == ticket.AwaitRating || t.State == ticket.Replied || t.State == ticket.Answered || t.State == ticket.Merged && !t.RepliedAt.IsZero() && t.Outcome == ""
	if t.Round > 0 && t.State.Open() && t.State != ticket.AwaitRating && t.State != ticket.Replied {
		p.Label = "重新办理中"
	}
	var err error
	if !t.RepliedAt.IsZero() {
		// What the citizen was told is theirs: they read it as it was written.
		if p.Reply, err = g.Office.Original(tx, t.ReplyRef); err != nil {
			return p, err
		}
	}
	handled := t.State != ticket.New && t.State != ticket.Accepted
	closed := t.State == ticket.Closed || t.State == ticket.Archived
	p.Steps = []Step{
		{Name: "已收到", Done: true, At: t.ReceivedAt},
		{Name: "受理", Done: !t.AcceptedAt.IsZero(), Now: t.State == ticket.New, At: t.AcceptedAt},
		{Name: "办理", Done: !t.RepliedAt.IsZero(), Now: !t.AcceptedAt.IsZero() && t.RepliedAt.IsZero() && t.State.Open() || handled && t.Round > 0 && t.State.Open() && !p.MayRate},
		{Name: "答复", Done: !t.RepliedAt.IsZero(), At: t.RepliedAt},
		{Name: "评价办结", Done: closed, Now: p.MayRate, At: t.ClosedAt},
	}
	switch t.State {
	case ticket.Refused, ticket.Transferred, ticket.Merged, ticket.Withdrawn:
		p.Steps = []Step{{Name: "已收到", Done: true, At: t.ReceivedAt}, {Name: p.Label, Now: true, At: t.ClosedAt}}
	}
	if t.State == ticket.Refused {
		for _, ground := range g.Office.Rules.RefusalGrounds {
			if ground.Code == t.Ground {
				p.Notice = "不予受理的依据：" + ground.Label
			}
		}
	}
	if !t.State.Open() || p.MayRate {
		return p, nil
	}
	clocks, err := g.Office.Clocks(tx, t.ID)
	if err != nil {
		return p, err
	}
	// The step that is owed next, and the answer; the earliest of what runs is promised.
	names := map[ticket.ClockKind]string{ticket.ClockAccept: "受理", ticket.ClockHandle: "答复您", ticket.ClockExternal: "答复您", ticket.ClockHold: "研究确定办理方案", ticket.ClockContact: "与您联系"}
	for _, c := range clocks {
		name, told := names[c.Kind]
		if !told || c.State != ticket.Running && c.State != ticket.Paused {
			continue
		}
		if p.Promised.IsZero() || c.DueAt.Before(p.Promised) {
			p.Promised, p.PromisedAs = c.DueAt, name
		}
	}
	return p, nil
}

// sender is the actor of a request's own sender.
func (g *Gateway) sender(t ticket.Ticket) ticket.Actor {
	if t.ContactID != "" {
		return ticket.Citizen(t.ContactID)
	}
	return ticket.Bot // nobody knows who it is; the code has shown that it is the one
}

// RateBy takes the rating of the sender, who has shown the code.
func (g *Gateway) RateBy(tx *storage.Tx, t ticket.Ticket, stars ticket.Stars, words string) (ticket.Ticket, error) {
	out, err := g.Office.Rate(tx, t.ID, ticket.RatingIn{Stars: stars, Via: "web", Words: words}, g.sender(t))
	if err == nil {
		// A link that is still about is spent too.
		_, err = tx.Exec(`UPDATE channel_receipt SET rate_used = $2 WHERE ticket_id = $1 AND rate_used IS NULL AND rate_hash IS NOT NULL`, t.ID, storage.At(g.now()))
	}
	return out, err
}

// Add writes down what the sender adds to a request.
func (g *Gateway) Add(tx *storage.Tx, t ticket.Ticket, text string) error {
	_, err := g.Office.NoteFromSource(tx, t.ID, "supplement", clean(text), g.sender(t))
	return err
}

// Leave withdraws a request for its sender.
func (g *Gateway) Leave(tx *storage.Tx, t ticket.Ticket, reason string) error {
	by := g.sender(t)
	w := ticket.Withdrawal{Reason: clean(reason)}
	if by.Kind != ticket.CitizenActor {
		by, w.Evidence = ticket.System, "凭编号和查询码"
	}
	_, err := g.Office.Withdraw(tx, t.ID, w, by)
	return err
}

// LinkLife is how long a rating link holds.
const LinkLife = 7 * 24 * time.Hour

// RatingLink makes a link by which the request can be rated once, within LinkLife. A new one ends the one before.
func (g *Gateway) RatingLink(tx *storage.Tx, ticketID string) (token string, err error) {
	b := make([]byte, 18)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	token = base64.RawURLEncoding.EncodeToString(b)
	now := g.now()
	_, err = tx.Exec(`INSERT INTO channel_receipt (ticket_id, code_hash, rate_hash, rate_until, made_at) VALUES ($1, '', $2, $3, $4)
		ON CONFLICT (ticket_id) DO UPDATE SET rate_hash = excluded.rate_hash, rate_until = excluded.rate_until, rate_used = NULL`,
		ticketID, g.vault().For(ratePurpose).Hash(token), storage.At(now.Add(LinkLife)), storage.At(now))
	if err != nil {
		return "", fmt.Errorf("rating link of %s: %w", ticketID, err)
	}
	return token, nil
}

// Linked returns the ticket that a rating link is for, or ErrNoLink.
func (g *Gateway) Linked(tx *storage.Tx, token string) (ticket.Ticket, error) {
	id, err := storage.One(tx, storage.Value[string], `SELECT ticket_id FROM channel_receipt WHERE rate_hash = $1 AND rate_used IS NULL AND rate_until > $2`,
		g.vault().For(ratePurpose).Hash(token), storage.At(g.now()))
	if errors.Is(err, storage.ErrNotFound) {
		return ticket.Ticket{}, ErrNoLink
	} else if err != nil {
		return ticket.Ticket{}, fmt.Errorf("rating link: %w", err)
	}
	return g.Office.Get(tx, id)
}

// RateByLink takes the one rating that a link is good for (I17).
func (g *Gateway) RateByLink(tx *storage.Tx, token string, stars ticket.Stars, words string) (ticket.Ticket, error) {
	t, err := g.Linked(tx, token)
	if err != nil {
		return t, err
	}
	n, err := tx.Exec(`UPDATE channel_receipt SET rate_used = $2 WHERE ticket_id = $1 AND rate_used IS NULL`, t.ID, storage.At(g.now()))
	if err != nil {
		return t, err
	}
	if n == 0 {
		return t, ErrNoLink
	}
	return g.Office.Rate(tx, t.ID, ticket.RatingIn{Stars: stars, Via: "web", Words: words}, g.sender(t))
}

// ProofBits and ProofLife measure a challenge: what a browser must show that it has worked on before it may submit, so that a flood costs its sender
// something, without a service outside: find a number so that SHA-256 over challenge and number begins with ProofBits
// zero bits. It holds for an hour, and is good for one request.
const (
	ProofBits = 16
	ProofLife = time.Hour
)

const proofPurpose = "channel.proof"

// Challenge makes one.
func (g *Gateway) Challenge() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b[:12]) // never fails (crypto/rand)
	binary.BigEndian.PutUint32(b[12:], uint32(g.now().Add(ProofLife).Unix()))
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + g.vault().For(proofPurpose).Hash(text)[:24]
}

// Proven reports whether an answer to a challenge of ours is right and in time.
func (g *Gateway) Proven(challenge, answer string) bool {
	return g.ours(challenge) && len(answer) <= 20 && zeroBits(sha256.Sum256([]byte(challenge+":"+answer))) >= ProofBits
}

func (g *Gateway) ours(challenge string) bool {
	text, mac, ok := strings.Cut(challenge, ".")
	if !ok || subtle.ConstantTimeCompare([]byte(mac), []byte(g.vault().For(proofPurpose).Hash(text)[:24])) != 1 {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(b) == 16 && g.now().Unix() < int64(binary.BigEndian.Uint32(b[12:]))
}

// Sum is the sum that goes with a challenge, for a browser that cannot do the work: its reader does.
func Sum(challenge string) (a, b int) {
	h := sha256.Sum256([]byte("sum " + challenge))
	return int(h[0])%8 + 2, int(h[1])%8 + 2
}

// Summed reports whether the sum of a challenge of ours was added up rightly.
func (g *Gateway) Summed(challenge, answer string) bool {
	a, b := Sum(challenge)
	return g.ours(challenge) && strings.TrimSpace(answer) == fmt.Sprint(a+b)
}

func zeroBits(h [32]byte) int {
	n := 0
	for _, b := range h {
		n += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return n
}

// Solve does the work of a challenge; programs and tests use it.
func Solve(challenge string) string {
	for i := 0; ; i++ {
		answer := fmt.Sprint(i)
		if zeroBits(sha256.Sum256([]byte(challenge+":"+answer))) >= ProofBits {
			return answer
		}
	}
}
