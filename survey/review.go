package survey

import (
	"errors"
	"fmt"
	"strings"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Outcomes of a review.
const (
	SettleRating = "rating" // it is a rating: Settlement.Rating
	SettleOptOut = "optout" // it asks us to stop; a rating may stand beside it
	SettleTicket = "ticket" // a question, a demand or a report: becomes a ticket
	SettleNone   = "none"   // nothing follows: noise, a wrong person, dealt with on the telephone
)

// Settlement is what a person makes of a reply that the reader left to people.
type Settlement struct {
	Outcome string      // SettleRating …
	Rating  int         // 1 best … 5 worst; of SettleRating, and allowed with SettleOptOut
	Kind    ticket.Kind // of SettleTicket; ticket.Help when empty
	Note    string      // required for SettleNone
}

var (
	// ErrSettlement is returned for a settlement that makes no sense.
	ErrSettlement = errors.New("settlement")
	// ErrNotAllowed is returned to who may not judge a reply.
	ErrNotAllowed = errors.New("not allowed")
)

// ReviewItem is a reply that waits for a person.
type ReviewItem struct {
	Answer
	Words string // as they came
	Phone string // masked
	Day   string // of the service, "" of a stranger
	Class string // name
	Unit  string // short name
	Scale string // that its digits are of, where it is not the one of five
}

// Reviews lists the replies that wait for a person: dangerous ones first, then the longest waiting. unit, when not empty,
// is the reader's own unit: replies about it are left out, for nobody judges a rating of their own unit (I6).
func (s *Survey) Reviews(tx *storage.Tx, unit string, limit int) ([]ReviewItem, error) {
	answers, err := storage.All(tx, scanAnswer, `SELECT `+answerColumns+` FROM survey_answer WHERE review = 'pending'
		AND ($1 = '' OR NOT EXISTS (SELECT 1 FROM survey_ask k WHERE k.id = survey_answer.ask_id AND k.unit = $1))
		ORDER BY danger DESC, received_at, id LIMIT $2`, unit, limit)
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	out := make([]ReviewItem, 0, len(answers))
	for _, a := range answers {
		item, err := s.item(tx, a)
		if err != nil {
			return nil, fmt.Errorf("list reviews: %w", err)
		}
		out = append(out, item)
	}
	return out, nil
}

// item puts a reply's words and the service it is about beside what it meant.
func (s *Survey) item(tx *storage.Tx, a Answer) (ReviewItem, error) {
	in, err := s.Inbox.Get(tx, a.InboundID)
	if err != nil {
		return ReviewItem{}, err
	}
	item := ReviewItem{Answer: a, Words: in.Body, Phone: in.Phone.Masked()}
	if a.AskID == "" {
		return item, nil
	}
	ask, err := AskOf(tx, a.AskID)
	if err != nil {
		return item, err
	}
	r, err := s.Record(tx, ask.RecordID)
	if err != nil {
		return item, err
	}
	item.Day, item.Scale = r.ServiceDay.String(), ask.scale
	item.Unit, item.Class = s.names(tx, r)
	return item, nil
}

// SettleReview is a person's word on a reply. A rating counts as if the reader had given it, under the same windows by the
// time the reply came, and is followed up the same way. It returns storage.ErrConflict when the reply does not wait any
// more, ErrSettlement for a settlement that makes no sense, and ErrNotAllowed for whose role does not sort replies
// (org.SortReplies) and for staff of the rated unit.
func (s *Survey) SettleReview(tx *storage.Tx, answerID string, st Settlement, by ticket.Actor) (Answer, error) {
	a, err := storage.One(tx, scanAnswer, `SELECT `+answerColumns+` FROM survey_answer WHERE id = $1 `+tx.ForUpdate(), answerID)
	if err != nil {
		return a, fmt.Errorf("settle reply %s: %w", answerID, err)
	}
	if a.Review != "pending" {
		return a, fmt.Errorf("settle reply %s: it does not wait for a person: %w", answerID, storage.ErrConflict)
	}
	if by.Kind != ticket.SystemActor && !org.Can(by.Role, org.SortReplies) {
		return a, fmt.Errorf("settle reply %s: %w", answerID, ErrNotAllowed)
	}
	if err := st.check(); err != nil {
		return a, fmt.Errorf("settle reply %s: %w", answerID, err)
	}
	if a.Place == Because && st.Outcome == SettleRating {
		return a, fmt.Errorf("settle reply %s: %w: a reason is not rated", answerID, ErrSettlement)
	}
	in, err := s.Inbox.Get(tx, a.InboundID)
	if err != nil {
		return a, err
	}
	var ask *Ask
	if a.AskID != "" {
		k, err := storage.One(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE id = $1 `+tx.ForUpdate(), a.AskID)
		if err != nil {
			return a, err
		}
		ask = &k
		if by.Unit != "" && by.Unit == k.Unit {
			return a, fmt.Errorf("settle reply %s: it rates your own unit: %w", answerID, ErrNotAllowed)
		}
	}
	a.Review, a.Outcome, a.Note, a.SettledBy, a.SettledAt = "settled", st.Outcome, st.Note, by.String(), s.now()
	switch st.Outcome {
	case SettleRating, SettleOptOut:
		a.Rating = st.Rating
		if st.Outcome == SettleOptOut {
			if err := s.Book.OptOut(tx, in.Phone, contact.OptOut{Scope: contact.ScopeSurvey, Source: "sms", Evidence: in.ID, At: in.ReceivedAt, By: by.String()}); err != nil {
				return a, err
			}
			if ask != nil && a.Place != Late {
				ask.OptedOut = true
			}
		}
		if ask == nil {
			break
		}
		if err := s.countSettled(tx, &a, ask); err != nil {
			return a, err
		}
		if err := s.follow(tx, &a, ask, in.Body); err != nil {
			return a, err
		}
	case SettleTicket:
		if err := s.toTicket(tx, &a, ask, in.Body, st, by); err != nil {
			return a, err
		}
	}
	var rating any
	if a.Rating > 0 {
		rating = a.Rating
	}
	if _, err := tx.Exec(`UPDATE survey_answer SET rating = $2, counted = $3, review = 'settled', outcome = $4, note = $5, settled_by = $6, settled_at = $7,
			ticket_id = $8, callback_id = $9 WHERE id = $1`,
		a.ID, rating, a.Counted, a.Outcome, a.Note, a.SettledBy, storage.At(a.SettledAt), a.TicketID, a.CallbackID); err != nil {
		return a, fmt.Errorf("settle reply %s: %w", answerID, err)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: answerStream + a.ID, Type: eventSettled, Actor: a.SettledBy, Rule: a.Lexicon, At: a.SettledAt,
		Payload: map[string]any{"outcome": a.Outcome, "rating": a.Rating, "ticket": a.TicketID}})
	return a, err
}

func (st Settlement) check() error {
	switch st.Outcome {
	case SettleRating:
		if st.Rating < 1 || st.Rating > 5 {
			return fmt.Errorf("%w: a rating is 1 to 5", ErrSettlement)
		}
		return nil
	case SettleOptOut:
		if st.Rating < 0 || st.Rating > 5 {
			return fmt.Errorf("%w: a rating is 1 to 5", ErrSettlement)
		}
		return nil
	case SettleTicket:
	case SettleNone:
		if strings.TrimSpace(st.Note) == "" {
			return fmt.Errorf("%w: say in a note why nothing follows", ErrSettlement)
		}
	default:
		return fmt.Errorf("%w: no outcome %q", ErrSettlement, st.Outcome)
	}
	if st.Rating != 0 {
		return fmt.Errorf("%w: a rating goes with rating or optout only", ErrSettlement)
	}
	return nil
}

// countSettled counts a rating that a person gave, unless a later reply has given one meanwhile: the last word of the
// resident counts, not the last click of ours.
func (s *Survey) countSettled(tx *storage.Tx, a *Answer, ask *Ask) error {
	later, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_answer WHERE ask_id = $1 AND counted = TRUE AND received_at > $2`,
		ask.ID, storage.At(a.ReceivedAt))
	if err != nil {
		return err
	}
	if later > 0 {
		return nil
	}
	return s.count(tx, a, ask)
}

// toTicket makes a ticket of what a resident wrote.
func (s *Survey) toTicket(tx *storage.Tx, a *Answer, ask *Ask, words string, st Settlement, by ticket.Actor) error {
	in := ticket.Intake{Channel: "sms", ExternalID: "reply/" + a.InboundID, Kind: st.Kind, Title: "短信访评回复中的诉求", Body: words, ContactID: a.ContactID,
		Proactive: true, Raw: []byte(words), At: a.ReceivedAt, By: by}
	if in.Kind == "" {
		in.Kind = ticket.Help
	}
	if ask != nil {
		in.RecordID, in.UnitHint = ask.RecordID, ask.Unit
		if in.Kind == ticket.Complaint || in.Kind == ticket.Report {
			in.AccusedUnit, in.UnitHint, in.Confidential = ask.Unit, s.above(tx, ask.Unit), true
		}
	}
	t, err := s.Office.Open(tx, in)
	if err != nil {
		return fmt.Errorf("open a ticket: %w", err)
	}
	a.TicketID = t.ID
	return nil
}
