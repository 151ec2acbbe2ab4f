package poll

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Elsewhere is the group that those of fewer than k answers are put together in.
const Elsewhere = "其他"

// Close ends a poll: answers are opened, mixed and written without what could join them with anybody; invitations and sealed
// answers are removed; then the key is destroyed. With fewer than k answers nothing is kept of them. On a node that has not
// got the key no more answers are taken from now on (Poll.Ending), and a node that has it does the rest with its next sweep.
func (o *Office) Close(ctx context.Context, db *storage.DB, id string, by ticket.Actor) (Poll, error) {
	var p Poll
	err := db.Update(ctx, func(tx *storage.Tx) (err error) {
		if p, err = o.close(tx, id, by); errors.Is(err, errNoKey) {
			p, err = o.ending(tx, id, by)
		}
		return err
	})
	if err != nil || p.State == Open {
		return p, err
	}
	// Only now: had the transaction failed, the answers would be lost with the key. A crash in between is mended by Sweep.
	if err := o.destroyKey(id); err != nil {
		return p, fmt.Errorf("destroy the key of poll %s: %w", id, err)
	}
	return p, nil
}

// ending lets no more answers in.
func (o *Office) ending(tx *storage.Tx, id string, by ticket.Actor) (Poll, error) {
	p, err := o.lock(tx, id, by, Open)
	if err != nil || p.EndingBy != "" {
		return p, err
	}
	now := o.now()
	if now.Before(p.ClosesAt) {
		p.ClosesAt = now
	}
	p.EndingBy = by.String()
	if _, err := tx.Exec(`UPDATE poll SET closes_at = $2, ending_by = $3, version = version + 1 WHERE id = $1`, id, storage.At(p.ClosesAt), p.EndingBy); err != nil {
		return p, fmt.Errorf("end a poll: %w", err)
	}
	return p, o.note(tx, p, "poll.ending", by, nil)
}

// GiveUp ends a poll whose key is on no node any more, such as after the loss of the only one that had it: its answers cannot be
// opened by anybody and are destroyed. It is refused where the key is here, and until a node that may have it had an hour to end it.
func (o *Office) GiveUp(tx *storage.Tx, id, reason string, by ticket.Actor) (Poll, error) {
	p, err := o.lock(tx, id, by, Open)
	if err != nil {
		return p, err
	}
	if _, err := o.secret(id); err == nil {
		return p, refuse("key", "密钥在这台服务器上，请正常结束测评")
	}
	if o.now().Before(p.ClosesAt.Add(givenUp)) {
		return p, refuse("wait", "请先结束测评；一小时后仍没有服务器能开启答卷，才能放弃")
	}
	if reason = strings.TrimSpace(reason); utf8.RuneCountInString(reason) < 2 || utf8.RuneCountInString(reason) > 300 {
		return p, refuse("reason", "请写明密钥丢失的情况（2至300字）")
	}
	if err := o.finish(tx, &p, by); err != nil {
		return p, err
	}
	return p, o.note(tx, p, "poll.lost", by, map[string]any{"invited": p.Invited, "delivered": p.Delivered, "answered": p.Answered, "why": reason})
}

// givenUp is how long after its end a poll waits for a node that has its key.
const givenUp = time.Hour

func (o *Office) close(tx *storage.Tx, id string, by ticket.Actor) (Poll, error) {
	p, err := o.lock(tx, id, by, Open)
	if err != nil {
		return p, err
	}
	key, err := o.secret(id)
	if err != nil {
		return p, err
	}
	// Who answers at this moment has their answer in before, or meets a closed poll.
	if _, err := tx.Exec(`UPDATE poll SET state = 'CLOSED', version = version + 1 WHERE id = $1`, id); err != nil {
		return p, err
	}
	if _, err := storage.All(tx, storage.Value[string], `SELECT id FROM poll_invitation WHERE poll_id = $1 `+tx.ForUpdate(), id); err != nil {
		return p, err
	}
	if err := o.count(tx, &p); err != nil {
		return p, err
	}
	sealed, err := storage.All(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT sealed FROM poll_ballot WHERE poll_id = $1`, id)
	if err != nil {
		return p, err
	}
	ballots := make([]ballot, len(sealed))
	for i, s := range sealed {
		if ballots[i], err = open(key, id, s); err != nil {
			return p, fmt.Errorf("open an answer of poll %s: %w", id, err)
		}
	}
	if len(ballots) >= p.Smallest {
		p.Kept = len(ballots)
		together(ballots, p.Smallest)
		if err := o.mix(tx, p, ballots); err != nil {
			return p, err
		}
	}
	if err := o.finish(tx, &p, by); err != nil {
		return p, err
	}
	sum, err := Sum(tx, id)
	if err != nil {
		return p, err
	}
	return p, o.note(tx, p, "poll.closed", by, map[string]any{"invited": p.Invited, "delivered": p.Delivered, "answered": p.Answered, "kept": p.Kept, "sum": sum})
}

// finish removes what could join answers with people, and writes how the poll ended.
func (o *Office) finish(tx *storage.Tx, p *Poll, by ticket.Actor) error {
	for _, sql := range []string{`DELETE FROM poll_ballot WHERE poll_id = $1`, `DELETE FROM poll_invitation WHERE poll_id = $1`, `DELETE FROM poll_key_wish WHERE poll_id = $1`} {
		if _, err := tx.Exec(sql, p.ID); err != nil {
			return fmt.Errorf("close a poll: %w", err)
		}
	}
	p.State, p.Closer, p.EndedAt = Closed, cmp.Or(p.EndingBy, by.String()), o.now()
	if _, err := tx.Exec(`UPDATE poll SET state = 'CLOSED', version = version + 1, public_key = NULL, closer = $2, closed_at = $3, invited = $4, delivered = $5, answered = $6, kept = $7 WHERE id = $1`,
		p.ID, p.Closer, storage.At(p.EndedAt), p.Invited, p.Delivered, p.Answered, p.Kept); err != nil {
		return fmt.Errorf("close a poll: %w", err)
	}
	return nil
}

// together puts groups of fewer than k answers into one, and the next larger ones with them until that has k, too.
func together(all []ballot, k int) {
	n := map[string]int{}
	for _, b := range all {
		n[b.Part]++
	}
	parts := make([]string, 0, len(n))
	for p := range n {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Or(n[a]-n[b], cmp.Compare(a, b)) })
	joined, sum := map[string]bool{}, 0
	for _, p := range parts {
		if n[p] < k || p == Elsewhere || sum > 0 && sum < k {
			joined[p] = true
			sum += n[p]
		}
	}
	for i := range all {
		if joined[all[i].Part] {
			all[i].Part = Elsewhere
		}
	}
}

// mix writes the answers, each with a random key and in the order of the keys; words apart from choices, with keys of their own.
func (o *Office) mix(tx *storage.Tx, p Poll, all []ballot) error {
	type row struct {
		id   string
		args []any
	}
	var answers, words []row
	for _, b := range all {
		choices, err := json.Marshal(b.Answer.Choices)
		if err != nil {
			return err
		}
		id := hex.EncodeToString(randomBytes(16))
		answers = append(answers, row{id, []any{id, p.ID, b.Part, string(choices)}})
		for q, text := range b.Answer.Words {
			if text == "" {
				continue
			}
			id := hex.EncodeToString(randomBytes(16))
			words = append(words, row{id, []any{id, p.ID, q, text}})
		}
	}
	for _, x := range []struct {
		sql  string
		rows []row
	}{{`INSERT INTO poll_answer (id, poll_id, part, choices) VALUES ($1, $2, $3, $4)`, answers}, {`INSERT INTO poll_words (id, poll_id, question, text) VALUES ($1, $2, $3, $4)`, words}} {
		slices.SortFunc(x.rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
		for _, r := range x.rows {
			if _, err := tx.Exec(x.sql, r.args...); err != nil {
				return fmt.Errorf("write the answers of poll %s: %w", p.ID, err)
			}
		}
	}
	return nil
}

// Sum is the SHA-256 of a closed poll's answers; the log has it since the end.
func Sum(tx *storage.Tx, id string) (string, error) {
	h := sha256.New()
	for _, sql := range []string{`SELECT id, part, choices FROM poll_answer WHERE poll_id = $1 ORDER BY id`, `SELECT id, CAST(question AS TEXT), text FROM poll_words WHERE poll_id = $1 ORDER BY id`} {
		rows, err := storage.All(tx, func(r storage.Row) (x [3]string, err error) { return x, r.Scan(&x[0], &x[1], &x[2]) }, sql, id)
		if err != nil {
			return "", fmt.Errorf("sum of poll %s: %w", id, err)
		}
		for _, x := range rows {
			fmt.Fprintf(h, "%q", x)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// mayRead refuses who may not read results.
func mayRead(by ticket.Actor) error { return may(by, org.ViewPolls) }
