package survey

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey/reply"
	"lianxin/ticket"
)

// Question is a second question that a reply may cause: at most one of each kind to one person about one service.
type Question struct {
	Enabled bool          `yaml:"enabled"`
	Text    string        `yaml:"text"`   // {scale} is allowed in a clarification
	Window  time.Duration `yaml:"window"` // how long replies belong to it
}

func (q Question) check() error {
	switch {
	case !q.Enabled:
		return nil
	case q.Window <= 0:
		return errors.New("window must be longer than nothing")
	case strings.TrimSpace(q.Text) == "":
		return errors.New("no text")
	}
	return never(strings.ReplaceAll(q.Text, "{scale}", ""))
}

// Kinds of second questions.
const (
	askReason  = "reason"
	askClarify = "clarify"
)

// answerWithin is how long an answer to somebody who has just written is worth sending.
const answerWithin = 2 * time.Hour

// second queues a second question, once for a question for ever. It goes out at any hour: the person has just written.
func (s *Survey) second(tx *storage.Tx, kind string, q Question, a *Answer, ask *Ask, in sms.Inbound) error {
	now := s.now()
	text := strings.ReplaceAll(q.Text, "{scale}", ask.Scale())
	id, _, err := s.Outbox.Queue(tx, sms.Message{Key: "survey:" + kind + ":" + ask.ID, Campaign: Campaign(ask.Day), Phone: in.Phone, Body: text, Extension: ask.Extension, Priority: sms.Answer,
		Anytime: true, NotAfter: now.Add(answerWithin)})
	if err != nil {
		return fmt.Errorf("ask a second question: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO survey_question (ask_id, kind, sms_id, answer_id, asked_at, closes_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (ask_id, kind) DO NOTHING`,
		ask.ID, kind, id, a.ID, storage.At(now), storage.At(now.Add(q.Window)))
	if err != nil {
		return fmt.Errorf("ask a second question: %w", err)
	}
	return nil
}

// ask2 asks the second question that a reply calls for, if any: the reason of a bad rating that came without one, or what
// an unclear reply means. Nobody is asked who has opted out, who speaks of danger, or whose reply came late.
func (s *Survey) ask2(tx *storage.Tx, a *Answer, ask *Ask, in sms.Inbound) error {
	cfg := s.config()
	if a.Danger || ask.OptedOut || a.Label == reply.OptOut || a.Place == Late || a.call != "" { // who was rung was asked on the telephone
		return nil
	}
	switch {
	case a.Counted && a.Rating >= 4 && a.TicketID != "" && cfg.Reason.Enabled && !saysMore(in.Body, cfg):
		return s.second(tx, askReason, cfg.Reason, a, ask, in)
	case a.Review == "pending" && a.Place == InTime && cfg.Clarify.Enabled && (reply.Verdict{Label: a.Label, Danger: a.Danger, Why: a.Why}).Attempt():
		return s.second(tx, askClarify, cfg.Clarify, a, ask, in)
	}
	return nil
}

// asReason reports whether a reply is the answer to our question for the reason. An opt-out never is, nor is a rating
// alone or one that takes the bad one back: those correct the rating, as at any time in the correction window.
func (s *Survey) asReason(tx *storage.Tx, a *Answer, ask *Ask, words string) (bool, error) {
	if a.Label == reply.OptOut || a.Label == reply.Rating && (a.Rating <= 3 || !saysMore(words, s.config())) {
		return false, nil
	}
	n, err := tx.Exec(`UPDATE survey_question SET answered_at = COALESCE(answered_at, $2) WHERE ask_id = $1 AND kind = 'reason' AND closes_at > $2`,
		ask.ID, storage.At(a.ReceivedAt))
	if err != nil {
		return false, fmt.Errorf("match a reason: %w", err)
	}
	return n > 0, nil
}

// attach puts a reason to the ticket and the call-back of the bad rating: into the ticket's text while nobody has taken it
// up, and from then on beside it (RepliesOfTicket).
func (s *Survey) attach(tx *storage.Tx, a *Answer, ask *Ask, words string) error {
	type pair struct{ ticket, callback string }
	to, err := storage.One(tx, func(r storage.Row) (p pair, err error) { return p, r.Scan(&p.ticket, &p.callback) },
		`SELECT ticket_id, callback_id FROM survey_answer WHERE ask_id = $1 AND callback_id <> '' ORDER BY received_at, id`, ask.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("attach a reason: %w", err)
	}
	a.TicketID, a.CallbackID = to.ticket, to.callback
	t, err := s.Office.Get(tx, a.TicketID)
	if err != nil {
		return fmt.Errorf("attach a reason: %w", err)
	}
	if t.State != ticket.New || len(t.Body)+len(words) > 10000 {
		return nil
	}
	if _, err := s.Office.Amend(tx, t.ID, ticket.Amendment{Body: t.Body + "\n追问原因后回复：" + words}, ticket.System); err != nil {
		return fmt.Errorf("attach a reason: %w", err)
	}
	return nil
}

// RepliesOfTicket lists the replies that led to a ticket or were attached to it, in the order in which they came.
func (s *Survey) RepliesOfTicket(tx *storage.Tx, ticketID string) ([]ReviewItem, error) {
	return s.replies(tx, `ticket_id = $1 ORDER BY received_at, id`, ticketID)
}

// saysMore reports whether a reply holds a reason beside the rating: three characters or more that are no words of the
// scale, digits or signs.
func saysMore(words string, cfg *Config) bool {
	rest := fold(words)
	for _, scale := range cfg.Scales {
		levels := strings.FieldsFunc(scale, func(r rune) bool { return unicode.IsDigit(r) || unicode.IsSpace(r) })
		for _, l := range levels { // the longer ones come first or are what is left of them
			rest = strings.ReplaceAll(rest, l, "")
		}
	}
	rest = strings.NewReplacer("非常", "", "不满意", "", "满意", "", "很", "").Replace(rest)
	n := 0
	for _, r := range rest {
		if unicode.IsLetter(r) {
			n++
		}
	}
	return n >= 3
}
