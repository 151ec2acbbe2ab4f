package survey

import (
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Exclusion is a rating that is to be left out of the official rate: a slip of the finger, a wrong person, malice. Two
// people of different units have to agree, neither of them of the rated unit or of one below it; the raw rate keeps the
// rating for ever, and every report prints how many were left out.
type Exclusion struct {
	ID         string
	AskID      string
	AnswerID   string // the rating; a later one of the same resident is not excluded with it
	Reason     string
	State      string // "proposed", "excluded" or "rejected"
	ProposedBy string // actor
	ProposedAt time.Time
	DecidedBy  string
	Note       string
	DecidedAt  time.Time
	Rating     int
	Unit       string // id of the rated unit
	Day        string

	proposerUnit string
}

// ProposeExclusion is the first of the two persons. It returns ErrSettlement when there is no rating that counts or no
// reason, ErrNotAllowed for roles that do not judge ratings (org.DetermineTicket) and for the rated unit's own people, and
// storage.ErrConflict when the rating has been proposed before and was not rejected.
func (s *Survey) ProposeExclusion(tx *storage.Tx, askID, reason string, by ticket.Actor) (Exclusion, error) {
	fail := func(err error) (Exclusion, error) {
		return Exclusion{}, fmt.Errorf("exclude the rating of question %s: %w", askID, err)
	}
	ask, err := storage.One(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE id = $1 `+tx.ForUpdate(), askID)
	if err != nil {
		return fail(err)
	}
	if ask.Rating == 0 || strings.TrimSpace(reason) == "" {
		return fail(fmt.Errorf("%w: a rating that counts and a reason are needed", ErrSettlement))
	}
	if err := s.impartial(tx, ask.Unit, by); err != nil {
		return fail(err)
	}
	x := Exclusion{ID: storage.NewID(), AskID: ask.ID, AnswerID: ask.AnswerID, Reason: reason, State: "proposed", ProposedBy: by.String(), ProposedAt: s.now(),
		Rating: ask.Rating, Unit: ask.Unit, Day: ask.Day.String(), proposerUnit: by.Unit}
	n, err := tx.Exec(`INSERT INTO survey_exclusion (id, ask_id, answer_id, reason, state, proposed_by, proposer_unit, proposed_at)
		VALUES ($1, $2, $3, $4, 'proposed', $5, $6, $7) ON CONFLICT DO NOTHING`, x.ID, x.AskID, x.AnswerID, x.Reason, x.ProposedBy, x.proposerUnit, storage.At(x.ProposedAt))
	if err == nil && n == 0 {
		err = fmt.Errorf("it is proposed or excluded already: %w", storage.ErrConflict)
	}
	if err != nil {
		return fail(err)
	}
	return x, s.logExclusion(tx, x, by)
}

// DecideExclusion is the second person, who may not be the first one nor of the same unit. It returns storage.ErrConflict
// for one that is decided already, and when the resident has meanwhile rated again; ErrNotAllowed as ProposeExclusion.
func (s *Survey) DecideExclusion(tx *storage.Tx, id string, agree bool, note string, by ticket.Actor) (Exclusion, error) {
	fail := func(err error) (Exclusion, error) {
		return Exclusion{}, fmt.Errorf("decide on exclusion %s: %w", id, err)
	}
	x, err := storage.One(tx, scanExclusion, exclusionQuery+` WHERE x.id = $1`, id)
	if err != nil {
		return fail(err)
	}
	if x.State != "proposed" {
		return fail(fmt.Errorf("it is decided: %w", storage.ErrConflict))
	}
	if err := s.impartial(tx, x.Unit, by); err != nil {
		return fail(err)
	}
	if by.String() == x.ProposedBy || by.Unit == x.proposerUnit {
		return fail(fmt.Errorf("the second person must be of another unit: %w", ErrNotAllowed))
	}
	x.State, x.DecidedBy, x.Note, x.DecidedAt = "rejected", by.String(), note, s.now()
	if agree {
		x.State = "excluded"
	}
	n, err := tx.Exec(`UPDATE survey_exclusion SET state = $2, decided_by = $3, note = $4, decided_at = $5 WHERE id = $1 AND state = 'proposed'
			AND ($2 = 'rejected' OR answer_id = (SELECT answer_id FROM survey_ask WHERE id = ask_id))`,
		id, x.State, x.DecidedBy, x.Note, storage.At(x.DecidedAt))
	if err == nil && n == 0 {
		err = fmt.Errorf("it was decided meanwhile, or the resident has rated again: %w", storage.ErrConflict)
	}
	if err != nil {
		return fail(err)
	}
	return x, s.logExclusion(tx, x, by)
}

// Exclusions lists those that wait for the second person, the oldest first.
func Exclusions(tx *storage.Tx, limit int) ([]Exclusion, error) {
	return storage.All(tx, scanExclusion, exclusionQuery+` WHERE x.state = 'proposed' ORDER BY x.proposed_at, x.id LIMIT $1`, limit)
}

// impartial refuses who may not judge a rating of a unit.
func (s *Survey) impartial(tx *storage.Tx, rated string, by ticket.Actor) error {
	if by.Kind != ticket.StaffActor || by.Unit == "" || !org.Can(by.Role, org.DetermineTicket) {
		return ErrNotAllowed
	}
	for unit, depth := by.Unit, 0; unit != "" && depth < 10; depth++ { // neither the unit nor one below it
		if unit == rated {
			return fmt.Errorf("it rates your own unit: %w", ErrNotAllowed)
		}
		unit = s.above(tx, unit)
	}
	return nil
}

func (s *Survey) logExclusion(tx *storage.Tx, x Exclusion, by ticket.Actor) error {
	_, err := audit.Append(tx, audit.Entry{Stream: "survey/exclusion/" + x.ID, Type: "survey.exclusion." + x.State, Actor: by.String(), Rule: s.config().Metric.Version,
		At: s.now(), Payload: map[string]any{"ask": x.AskID, "answer": x.AnswerID, "rating": x.Rating, "reason": x.Reason, "note": x.Note}})
	return err
}

const exclusionQuery = `SELECT x.id, x.ask_id, x.answer_id, x.reason, x.state, x.proposed_by, x.proposer_unit, x.proposed_at, x.decided_by, x.note, x.decided_at,
	COALESCE(a.rating, 0), k.unit, k.day FROM survey_exclusion x JOIN survey_ask k ON k.id = x.ask_id JOIN survey_answer a ON a.id = x.answer_id`

func scanExclusion(r storage.Row) (x Exclusion, err error) {
	var proposed, decided storage.Time
	err = r.Scan(&x.ID, &x.AskID, &x.AnswerID, &x.Reason, &x.State, &x.ProposedBy, &x.proposerUnit, &proposed, &x.DecidedBy, &x.Note, &decided, &x.Rating, &x.Unit, &x.Day)
	x.ProposedAt, x.DecidedAt = proposed.Time, decided.Time
	return x, err
}
