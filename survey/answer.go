package survey

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey/reply"
	"lianxin/ticket"
	"lianxin/workday"
)

// Places of a reply: which question it was laid to, and whether it can count.
const (
	InTime     = "open"       // the number's open question: counts
	Correction = "correction" // after a rating, within the correction window: the last valid one counts
	Late       = "late"       // after the window: laid to the last question, kept apart from the figures
	Stranger   = "stranger"   // no question to lay it to
	Because    = "reason"     // the answer to our question for the reason: stands with the ticket, is never rated
)

// Answer is what a reply meant.
type Answer struct {
	ID         string
	InboundID  string // sms.Inbound, with the words as they came
	AskID      string // "" of a stranger
	Place      string // InTime, Correction, Late, Stranger or Because
	ContactID  string
	ReceivedAt time.Time
	Label      reply.Label
	Rating     int // 1 best … 5 worst; 0 none
	Danger     bool
	Why        string
	Trace      []string
	Lexicon    string // version of the reader's lexicon
	Counted    bool   // its rating is the one that counts
	Review     string // "", "pending" or "settled"
	Outcome    string // of a settled review
	Note       string
	SettledBy  string
	SettledAt  time.Time
	TicketID   string
	CallbackID string
	AlertID    string

	phoneHash string
	call      string // that it was keyed in
}

// Ask is one question to one person.
type Ask struct {
	ID        string
	Day       workday.Day // of the services
	RecordID  string
	Class     string
	Unit      string
	ContactID string
	SMSID     string
	Open      bool
	AskedAt   time.Time
	ClosesAt  time.Time
	Config    string
	Rating    int // the one that counts; 0 none
	RatedAt   time.Time
	AnswerID  string
	RepliedAt time.Time
	OptedOut  bool
	Extension string // that its texts are sent with, where the carrier has sub-numbers

	scale     string // as it was texted; "" is the scale of five
	phoneHash string
}

// Reply reads one reply that the inbox has stored and does what follows from it, all in the caller's transaction; it is
// Inbox.Handle. A reply that was read before is left as it is.
//
// Danger raises an alert whoever wrote it. An opt-out holds for good and is never confirmed by a text. A 4 or 5 opens a
// ticket and a call-back, and asks for the reason once. What the reader does not decide goes to a person.
func (s *Survey) Reply(tx *storage.Tx, in sms.Inbound) error {
	known, err := storage.All(tx, storage.Value[string], `SELECT id FROM survey_answer WHERE inbound_id = $1`, in.ID)
	if err != nil || len(known) > 0 {
		return err
	}
	if s.canary(in.Phone) {
		return nil
	}
	a := Answer{ID: storage.NewID(), InboundID: in.ID, Place: Stranger, ReceivedAt: in.ReceivedAt, Lexicon: s.lexicon()}
	var ask *Ask
	if !in.Phone.IsZero() {
		a.phoneHash = s.Book.Vault.HashPhone(in.Phone)
		if ask, a.Place, err = s.match(tx, a.phoneHash, s.Outbox.SentWith(in), in.ReceivedAt); err != nil {
			return fmt.Errorf("match a reply: %w", err)
		}
	}
	digits, source := ask.digits(), "sms"
	if in.Carrier == Telephone { // a key pressed is one of the five that were read out
		a.call, source, digits = in.CarrierID, "call", reply.Scale{}
	}
	v := s.read(in.Body, digits)
	a.Label, a.Rating, a.Danger, a.Why, a.Trace = v.Label, v.Rating, v.Danger, v.Why, v.Trace
	if v.Label == reply.Review || v.Danger {
		a.Review = "pending"
	}
	if ask != nil {
		because, err := s.asReason(tx, &a, ask, in.Body)
		if err != nil {
			return err
		}
		if because {
			a.Place, a.Rating = Because, 0
			if !a.Danger {
				a.Review = "" // it is read with the ticket
			}
		}
	}
	if ask == nil && (a.Rating >= 4 || a.Rating == 3 && s.config().ownScales()) {
		a.Review = "pending" // dissatisfied with something that we did not ask about
	}
	if ask != nil {
		a.AskID, a.ContactID = ask.ID, ask.ContactID
	} else if !in.Phone.IsZero() && (v.Label != reply.Other || v.Danger) {
		who, err := s.Book.Ensure(tx, in.Phone, "")
		if err != nil {
			return fmt.Errorf("enter who replied: %w", err)
		}
		a.ContactID = who.ID
	}
	if a.Label == reply.OptOut && !in.Phone.IsZero() {
		if err := s.Book.OptOut(tx, in.Phone, contact.OptOut{Scope: contact.ScopeSurvey, Source: source, Evidence: in.ID, At: in.ReceivedAt}); err != nil {
			return fmt.Errorf("opt out: %w", err)
		}
	}
	if a.Danger {
		if err := s.alert(tx, &a, ask, in.Body); err != nil {
			return err
		}
	}
	switch {
	case ask == nil:
	case a.Place == Because:
		if err := s.attach(tx, &a, ask, in.Body); err != nil {
			return err
		}
	default:
		if err := s.count(tx, &a, ask); err != nil {
			return err
		}
		if err := s.follow(tx, &a, ask, in.Body); err != nil {
			return err
		}
		if err := s.ask2(tx, &a, ask, in); err != nil {
			return err
		}
	}
	return s.saveAnswer(tx, a)
}

// CarrierStopped takes over an opt-out that a resident gave to the carrier instead of us; it is Outbox.Stopped.
func (s *Survey) CarrierStopped(tx *storage.Tx, m sms.Message) error {
	return s.Book.OptOut(tx, m.Phone, contact.OptOut{Scope: contact.ScopeSurvey, Source: "carrier", Evidence: m.ID, At: s.now()})
}

func (s *Survey) read(text string, scale reply.Scale) reply.Verdict {
	if s.Read != nil {
		return s.Read(text, scale)
	}
	return reply.Standard().ReadOn(text, scale)
}

func (s *Survey) lexicon() string {
	if s.Lexicon != "" {
		return s.Lexicon
	}
	return reply.Version()
}

// match finds the question a reply belongs to: the last one whose text went out from the number that it came to, where that
// tells; else the number's open one; else the last one, as a correction or as late. Who answers an old text by its number
// answers that one, however late.
func (s *Survey) match(tx *storage.Tx, hash string, sentWith func(extension string) bool, at time.Time) (*Ask, string, error) {
	if sentWith != nil {
		asks, err := storage.All(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE phone_hash = $1 AND extension <> '' ORDER BY asked_at DESC, id DESC LIMIT 50 `+tx.ForUpdate(), hash)
		if err != nil {
			return nil, Stranger, err
		}
		for i, k := range asks {
			if sentWith(k.Extension) {
				return &asks[i], cmp.Or(s.placeOf(k, at), Late), nil
			}
		}
	}
	asks, err := storage.All(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE phone_hash = $1 ORDER BY asked_at DESC, id DESC LIMIT 1 `+tx.ForUpdate(), hash)
	if err != nil || len(asks) == 0 {
		return nil, Stranger, err
	}
	if place := s.placeOf(asks[0], at); place != "" {
		return &asks[0], place, nil
	}
	return nil, Stranger, nil
}

// placeOf is the place of a reply at that time to a question; "" when even the window for late ones is over.
func (s *Survey) placeOf(a Ask, at time.Time) string {
	switch {
	case at.Before(a.ClosesAt) && a.RatedAt.IsZero():
		return InTime
	case at.Before(a.ClosesAt):
		return Correction
	case at.Before(a.ClosesAt.Add(s.config().LateWindow)):
		return Late
	}
	return ""
}

// extensionOf is the extension of the questions about the services of a day. A number is asked about a day once, so that
// for three years no two of its questions share one.
func extensionOf(day workday.Day) string { return fmt.Sprintf("%03d", int(day)%1000) }

// count lets the rating of a reply count for its question: the first valid one, and within the correction window the last
// valid one. A late one never does. Both, or all, are kept.
func (s *Survey) count(tx *storage.Tx, a *Answer, ask *Ask) error {
	if a.Place == Late {
		return nil
	}
	if ask.RepliedAt.IsZero() {
		ask.RepliedAt = a.ReceivedAt
		if _, err := s.recall(tx, ask.ID, "replied"); err != nil {
			return fmt.Errorf("take a reminder back: %w", err)
		}
	}
	ask.OptedOut = ask.OptedOut || a.Label == reply.OptOut
	valid := a.Rating >= 1 && a.Rating <= 5 && (a.Label == reply.Rating || a.Label == reply.OptOut || a.Review == "settled")
	if valid {
		if ask.RatedAt.IsZero() {
			ask.RatedAt = a.ReceivedAt
			ask.ClosesAt = a.ReceivedAt.Add(s.config().CorrectionWindow)
		}
		ask.Rating, ask.AnswerID, a.Counted = a.Rating, a.ID, true
		if _, err := tx.Exec(`UPDATE survey_answer SET counted = FALSE WHERE ask_id = $1 AND id <> $2 AND counted = TRUE`, ask.ID, a.ID); err != nil {
			return fmt.Errorf("count a rating: %w", err)
		}
	}
	var rating any
	if ask.Rating > 0 {
		rating = ask.Rating
	}
	_, err := tx.Exec(`UPDATE survey_ask SET rating = $2, rated_at = $3, answer_id = $4, replied_at = $5, opted_out = $6, closes_at = $7 WHERE id = $1`,
		ask.ID, rating, storage.At(ask.RatedAt), ask.AnswerID, storage.At(ask.RepliedAt), ask.OptedOut, storage.At(ask.ClosesAt))
	if err != nil {
		return fmt.Errorf("count a rating: %w", err)
	}
	return nil
}

// callbackWithin is how soon somebody who is not satisfied is called.
const callbackWithin = 24 * time.Hour

// follow opens the ticket and the call-back of a bad rating, once for a question. Late ones are followed as well: who is
// not satisfied is called, whether or not it counts. A second thought (5, then 1) leaves both: a person finds out.
func (s *Survey) follow(tx *storage.Tx, a *Answer, ask *Ask, words string) error {
	if a.Rating < 4 || a.Review == "pending" {
		return nil
	}
	r, err := s.Record(tx, ask.RecordID)
	if err != nil {
		return err
	}
	unit, class := s.names(tx, r)
	how, said, channel := "短信", "回复原文："+words, "sms"
	if ask.scale != "" {
		said += "（短信中的选项：" + ask.scale + "）"
	}
	if a.call != "" {
		how, said, channel = "电话", "按键评价："+words+"，通话录音见关联通话", "hotline"
	}
	title := fmt.Sprintf("%s访评%s：%s %s", how, ticket.FromReplyDigit(a.Rating).Label(), unit, class)
	// Neither the serial number nor the hour: the rated unit would know who it was (I6).
	body := fmt.Sprintf("群众对%s%s%s服务%s评价为“%s”。\n%s", r.ServiceAt.Format("2006年1月2日"), unit, class, how,
		ticket.FromReplyDigit(a.Rating).Label(), said)
	t, err := s.Office.Open(tx, ticket.Intake{Channel: channel, ExternalID: ask.ID, CallID: a.call, Kind: ticket.Complaint, Title: title, Body: body, ContactID: a.ContactID,
		Confidential: true, // the rated unit must never see who rated (I6)
		Proactive:    true, RecordID: r.ID, AccusedUnit: r.Unit, UnitHint: s.above(tx, r.Unit), Raw: []byte(words), At: a.ReceivedAt, By: ticket.System})
	if err != nil {
		return fmt.Errorf("open the ticket of a bad rating: %w", err)
	}
	c, err := s.Office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackRating, TicketID: t.ID, ContactID: a.ContactID, RecordID: r.ID,
		CallID: a.call, Key: string(ticket.CallbackRating) + ":" + r.ID, Due: a.ReceivedAt.Add(callbackWithin), Reason: title, ExcludeUnit: r.Unit, By: ticket.System})
	if err != nil {
		return fmt.Errorf("open the call-back of a bad rating: %w", err)
	}
	a.TicketID, a.CallbackID = t.ID, c.ID
	return nil
}

// alert has somebody look at a reply that speaks of danger, now.
func (s *Survey) alert(tx *storage.Tx, a *Answer, ask *Ask, words string) error {
	al := ticket.Alert{Key: "survey/" + a.InboundID, Rule: "danger_reply", Level: ticket.Red, ContactID: a.ContactID, Subject: "sms/" + a.InboundID,
		Title: "短信回复疑似涉及人身危险，请立即核实", Evidence: words, By: ticket.System}
	if ask != nil {
		al.RecordID = ask.RecordID
	}
	got, err := s.Office.RaiseAlert(tx, al)
	if err != nil {
		return fmt.Errorf("raise the alert of a dangerous reply: %w", err)
	}
	a.AlertID = got.ID
	return nil
}

// names are the unit and the class of a record for people.
func (s *Survey) names(tx *storage.Tx, r Record) (unit, class string) {
	unit, class = r.Unit, r.Class
	if u, err := org.GetUnit(tx, r.Unit); err == nil {
		unit = u.Name
		if u.Short != "" {
			unit = u.Short
		}
	}
	if c, ok := s.config().Class(r.Class); ok {
		class = c.Name
	}
	return unit, class
}

// above is the unit over a unit, which handles what is said against it; the unit itself never does (I6).
func (s *Survey) above(tx *storage.Tx, unit string) string {
	u, err := org.GetUnit(tx, unit)
	if err != nil {
		return ""
	}
	return u.Parent
}

func (s *Survey) saveAnswer(tx *storage.Tx, a Answer) error {
	trace, err := json.Marshal(a.Trace)
	if err != nil {
		return err
	}
	var rating any
	if a.Rating > 0 {
		rating = a.Rating
	}
	_, err = tx.Exec(`INSERT INTO survey_answer (id, inbound_id, ask_id, place, phone_hash, contact_id, received_at, label, rating, danger, why, trace, lexicon,
			counted, review, ticket_id, callback_id, alert_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		a.ID, a.InboundID, a.AskID, a.Place, a.phoneHash, a.ContactID, storage.At(a.ReceivedAt), string(a.Label), rating, a.Danger, a.Why, string(trace), a.Lexicon,
		a.Counted, a.Review, a.TicketID, a.CallbackID, a.AlertID)
	if err != nil {
		return fmt.Errorf("store what a reply meant: %w", err)
	}
	return s.logAnswer(tx, a)
}

const askColumns = `id, day, record_id, class, unit, contact_id, sms_id, state = 'open', asked_at, closes_at, config, COALESCE(rating, 0), rated_at, answer_id, replied_at, opted_out, extension, scale, phone_hash`

func scanAsk(r storage.Row) (a Ask, err error) {
	var asked, closes, rated, replied storage.Time
	err = r.Scan(&a.ID, &a.Day, &a.RecordID, &a.Class, &a.Unit, &a.ContactID, &a.SMSID, &a.Open, &asked, &closes, &a.Config, &a.Rating, &rated, &a.AnswerID, &replied, &a.OptedOut, &a.Extension, &a.scale, &a.phoneHash)
	a.AskedAt, a.ClosesAt, a.RatedAt, a.RepliedAt = asked.Time, closes.Time, rated.Time, replied.Time
	return a, err
}

// AskOf returns the question with this id, or storage.ErrNotFound.
func AskOf(tx *storage.Tx, id string) (Ask, error) {
	a, err := storage.One(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE id = $1`, id)
	if err != nil {
		return a, fmt.Errorf("question %s: %w", id, err)
	}
	return a, nil
}

const answerColumns = `id, inbound_id, ask_id, place, phone_hash, contact_id, received_at, label, COALESCE(rating, 0), danger, why, trace, lexicon, counted, review,
	outcome, note, settled_by, settled_at, ticket_id, callback_id, alert_id`

func scanAnswer(r storage.Row) (a Answer, err error) {
	var received, settled storage.Time
	var trace string
	err = r.Scan(&a.ID, &a.InboundID, &a.AskID, &a.Place, &a.phoneHash, &a.ContactID, &received, &a.Label, &a.Rating, &a.Danger, &a.Why, &trace, &a.Lexicon, &a.Counted,
		&a.Review, &a.Outcome, &a.Note, &a.SettledBy, &settled, &a.TicketID, &a.CallbackID, &a.AlertID)
	a.ReceivedAt, a.SettledAt = received.Time, settled.Time
	return a, errors.Join(err, json.Unmarshal([]byte(trace), &a.Trace))
}

// AnswerOf returns the answer with this id, or storage.ErrNotFound.
func AnswerOf(tx *storage.Tx, id string) (Answer, error) {
	a, err := storage.One(tx, scanAnswer, `SELECT `+answerColumns+` FROM survey_answer WHERE id = $1`, id)
	if err != nil {
		return a, fmt.Errorf("answer %s: %w", id, err)
	}
	return a, nil
}

// AnswerTo returns what was made of a reply of the inbox, or storage.ErrNotFound while it has not been read.
func AnswerTo(tx *storage.Tx, inboundID string) (Answer, error) {
	a, err := storage.One(tx, scanAnswer, `SELECT `+answerColumns+` FROM survey_answer WHERE inbound_id = $1`, inboundID)
	if err != nil {
		return a, fmt.Errorf("answer to reply %s: %w", inboundID, err)
	}
	return a, nil
}
