package survey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/workday"
)

// Types of the events by which Verify proves the rows.
const (
	eventAnswered = "survey.answered" // what the reader made of a reply
	eventSettled  = "survey.settled"  // what a person made of it
	eventDecided  = "survey.decided"  // a batch of decisions whom to ask
)

const answerStream = "survey/answer/"

// logAnswer puts what the reader made of a reply into the audit chain: codes and numbers, no words.
func (s *Survey) logAnswer(tx *storage.Tx, a Answer) error {
	_, err := audit.Append(tx, audit.Entry{Stream: answerStream + a.ID, Type: eventAnswered, Actor: "system", Rule: a.Lexicon, At: a.ReceivedAt,
		Payload: answered{a.InboundID, a.AskID, a.Place, string(a.Label), a.Rating}})
	return err
}

// answered is the payload of an event that says what a reply meant.
type answered struct {
	Inbound string `json:"inbound"`
	Ask     string `json:"ask"`
	Place   string `json:"place"`
	Label   string `json:"label"`
	Rating  int    `json:"rating"`
}

// batchDigest covers the rows of a batch of decisions, which must be in the order of their records.
func batchDigest(rows []Decision, day workday.Day, version string) string {
	sum := sha256.New()
	for _, d := range rows {
		for _, f := range []string{d.RecordID, day.String(), string(d.Reason), d.Detail, d.AskID, version, strconv.FormatFloat(d.Probability, 'g', -1, 64)} {
			fmt.Fprintf(sum, "%d:%s", len(f), f)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Proof is what Verify has compared.
type Proof struct {
	Answers   int // answers whose row is what the chain says
	Decisions int // decisions whose row is what the chain says
	Older     int // rows from before the chain held them: nothing is known against them, and nothing for them
}

// Verify compares what replies meant, which rating counts for each question, and whom the runs decided to ask with the
// audit chain, and names the first row that was changed, removed or put in. The chain itself is audit.Verify's business,
// the words as they came are sms.Inbox.Verify's.
func Verify(ctx context.Context, db *storage.DB) (p Proof, err error) {
	err = db.View(ctx, func(tx *storage.Tx) error {
		if err := verifyAnswers(tx, &p); err != nil {
			return err
		}
		if err := verifyCounted(tx); err != nil {
			return err
		}
		if err := verifyDecisions(tx, &p); err != nil {
			return err
		}
		return verifyReminders(tx, &p)
	})
	if err != nil {
		return p, fmt.Errorf("verify ratings: %w", err)
	}
	return p, nil
}

type event struct {
	stream, typ, payload string
	at                   storage.Time
}

func eventsLike(tx *storage.Tx, prefix string) ([]event, error) {
	return storage.All(tx, func(r storage.Row) (e event, err error) { return e, r.Scan(&e.stream, &e.typ, &e.payload, &e.at) },
		`SELECT stream, type, payload, at FROM audit_event WHERE stream LIKE $1 ORDER BY seq`, prefix+"%")
}

func verifyAnswers(tx *storage.Tx, p *Proof) error {
	events, err := eventsLike(tx, answerStream)
	if err != nil {
		return err
	}
	said := map[string]answered{}
	var first time.Time
	for _, e := range events {
		id := strings.TrimPrefix(e.stream, answerStream)
		var v answered
		if err := json.Unmarshal([]byte(e.payload), &v); err != nil {
			return fmt.Errorf("%s: %w", e.stream, err)
		}
		switch e.typ {
		case eventAnswered:
			if first.IsZero() {
				first = e.at.Time
			}
			said[id] = v
		case eventSettled: // says the rating only
			was, known := said[id]
			if !known {
				was.Label = "?"
			}
			was.Rating = v.Rating
			said[id] = was
		}
	}
	type row struct {
		id string
		v  answered
		at storage.Time
	}
	rows, err := storage.All(tx, func(r storage.Row) (w row, err error) {
		return w, r.Scan(&w.id, &w.v.Inbound, &w.v.Ask, &w.v.Place, &w.v.Label, &w.v.Rating, &w.at)
	}, `SELECT id, inbound_id, ask_id, place, label, COALESCE(rating, 0), received_at FROM survey_answer ORDER BY id`)
	if err != nil {
		return err
	}
	for _, r := range rows {
		want, known := said[r.id]
		switch {
		case !known && (first.IsZero() || r.at.Before(first)):
			p.Older++
			continue
		case !known:
			return fmt.Errorf("answer %s was put in without a reply having been read", r.id)
		case want.Label == "?":
			r.v = answered{Label: "?", Rating: r.v.Rating}
		}
		if r.v != want {
			return fmt.Errorf("answer %s was changed: its row says %s, the log says %s", r.id, r.v, want)
		}
		delete(said, r.id)
		p.Answers++
	}
	for id := range said {
		return fmt.Errorf("answer %s was given but is gone", id)
	}
	return nil
}

func (a answered) String() string {
	return fmt.Sprintf("%s, rating %d, to question %q (%s)", a.Label, a.Rating, a.Ask, a.Place)
}

// verifyCounted compares the rating that counts for each question with the answer that gave it.
func verifyCounted(tx *storage.Tx) error {
	type pair struct {
		ask              string
		rating, answered int
		counted          bool
	}
	odd, err := storage.All(tx, func(r storage.Row) (p pair, err error) { return p, r.Scan(&p.ask, &p.rating, &p.answered, &p.counted) },
		`SELECT k.id, COALESCE(k.rating, 0), COALESCE(a.rating, 0), COALESCE(a.counted, FALSE) FROM survey_ask k LEFT JOIN survey_answer a ON a.id = k.answer_id AND a.ask_id = k.id
		WHERE COALESCE(k.rating, 0) <> COALESCE(a.rating, 0) OR (k.rating IS NOT NULL AND COALESCE(a.counted, FALSE) = FALSE) ORDER BY k.id LIMIT 1`)
	if err != nil || len(odd) == 0 {
		return err
	}
	return fmt.Errorf("question %s was changed: it counts rating %d, its answer gave %d", odd[0].ask, odd[0].rating, odd[0].answered)
}

// batches are the digests of the batches of decisions in streams of a kind.
func batches(tx *storage.Tx, prefix string) (map[string]string, error) {
	events, err := eventsLike(tx, prefix)
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	for _, e := range events {
		var v struct{ Batch, Digest string }
		if err := json.Unmarshal([]byte(e.payload), &v); err != nil {
			return nil, fmt.Errorf("%s: %w", e.stream, err)
		}
		if e.typ == eventDecided {
			said[v.Batch] = v.Digest
		}
	}
	return said, nil
}

func verifyReminders(tx *storage.Tx, p *Proof) error {
	said, err := batches(tx, remindStream)
	if err != nil {
		return err
	}
	type row struct {
		Reminding
		batch, version string
	}
	rows, err := storage.All(tx, func(r storage.Row) (w row, err error) {
		return w, r.Scan(&w.batch, &w.AskID, &w.Reason, &w.Detail, &w.smsID, &w.version)
	}, `SELECT batch, ask_id, reason, detail, sms_id, config FROM survey_reminder`)
	if err != nil {
		return err
	}
	groups, versions := map[string][]Reminding{}, map[string]string{}
	for _, w := range rows {
		groups[w.batch], versions[w.batch] = append(groups[w.batch], w.Reminding), w.version
	}
	for batch, made := range groups {
		if said[batch] != remindDigest(made, versions[batch]) {
			return fmt.Errorf("decisions whom to remind, batch %s, were changed afterwards", batch)
		}
		delete(said, batch)
		p.Decisions += len(made)
	}
	for batch := range said {
		return fmt.Errorf("decisions whom to remind, batch %s, were made but are gone", batch)
	}
	return nil
}

func verifyDecisions(tx *storage.Tx, p *Proof) error {
	said, err := batches(tx, "survey/run/")
	if err != nil {
		return err
	}
	var batch, version string
	var day workday.Day
	var group []Decision
	flush := func() error {
		if batch != "" && said[batch] != batchDigest(group, day, version) {
			return fmt.Errorf("decisions of %s, batch %s, were changed after the run", day, batch)
		}
		delete(said, batch)
		p.Decisions += len(group)
		group = nil
		return nil
	}
	type row struct {
		Decision
		batch, version string
		day            workday.Day
	}
	_, err = storage.All(tx, func(r storage.Row) (struct{}, error) {
		var w row
		if err := r.Scan(&w.batch, &w.RecordID, &w.day, &w.Reason, &w.Detail, &w.AskID, &w.version, &w.Probability); err != nil {
			return struct{}{}, err
		}
		if w.batch == "" {
			p.Older++
			return struct{}{}, nil
		}
		if w.batch != batch {
			if err := flush(); err != nil {
				return struct{}{}, err
			}
			batch, day, version = w.batch, w.day, w.version
		}
		group = append(group, w.Decision)
		return struct{}{}, nil
	}, `SELECT batch, record_id, day, reason, detail, ask_id, config, probability FROM survey_decision ORDER BY batch, record_id`)
	if err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	for b := range said {
		return fmt.Errorf("decisions of batch %s were made but are gone", b)
	}
	return nil
}
