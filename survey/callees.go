package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
	"lianxin/workday"
)

// Enlist puts everybody on the list of calls whom the morning could not text and whose class asks them by telephone: fixed lines, and
// those whose text did not arrive. Each record is looked at once; one that is not to be rung stands on the list with the reason. It
// returns how many are to be rung.
func (s *Survey) Enlist(ctx context.Context) (added int, err error) {
	cfg := s.config()
	fixed, lost := cfg.asksByTelephone(ByFixedLine), cfg.asksByTelephone(ByUndelivered)
	if len(fixed)+len(lost) == 0 {
		return 0, nil
	}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		added = 0
		found, err := s.candidates(tx, fixed, lost)
		if err != nil || len(found) == 0 {
			return err
		}
		sensitive, err := s.sensitiveLines(tx, found)
		if err != nil {
			return err
		}
		m := &morning{s: s, cfg: cfg}
		slices.SortStableFunc(found, func(a, b candidate) int {
			switch {
			case a.day != b.day:
				return cmp.Compare(a.day, b.day)
			case m.before(a.Record, b.Record):
				return -1
			case m.before(b.Record, a.Record):
				return 1
			}
			return 0
		})
		for _, c := range found {
			rung, err := s.enlist(tx, c, sensitive)
			if err != nil {
				return err
			}
			if rung {
				added++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("list whom to ask by telephone: %w", err)
	}
	return added, nil
}

// candidate is a record whose person may have to be asked by telephone.
type candidate struct {
	Record
	day      workday.Day
	why      string
	askID    string
	notAfter time.Time
	dead     bool
	by       string
}

// candidates are the records that are not on the list yet, the oldest 500.
func (s *Survey) candidates(tx *storage.Tx, fixed, lost []string) ([]candidate, error) {
	cfg, now := s.config(), s.now()
	marks := func(args *[]any, codes []string) string {
		list := make([]string, len(codes))
		for i, c := range codes {
			*args = append(*args, c)
			list[i] = fmt.Sprintf("$%d", len(*args))
		}
		if len(list) == 0 {
			return `'-'`
		}
		return strings.Join(list, ", ")
	}
	args := []any{storage.At(now.Add(-cfg.Telephone.Within))}
	in1, in2 := marks(&args, fixed), marks(&args, lost)
	out, err := storage.All(tx, func(row storage.Row) (c candidate, err error) {
		dest, finish := s.recordFields(&c.Record)
		var decided storage.Time
		if err := row.Scan(append(dest, &c.day, &c.why, &decided)...); err != nil {
			return c, err
		}
		if c.why = ByUndelivered; c.Phone.IsZero() && c.PhoneError != "" {
			c.why = ByFixedLine
		}
		c.notAfter = decided.Add(cfg.Telephone.Within)
		return c, finish()
	}, `SELECT `+recordColumns+`, d.day, d.reason, d.decided_at FROM survey_decision d JOIN survey_record r ON r.id = d.record_id
		WHERE d.decided_at > $1 AND (d.reason = 'fixed_line' AND r.class IN (`+in1+`) OR d.reason = 'number_rests' AND d.detail = 'failing' AND r.class IN (`+in2+`))
			AND NOT EXISTS (SELECT 1 FROM survey_phone p WHERE p.record_id = d.record_id) ORDER BY d.decided_at, r.id LIMIT 500`, args...)
	if err != nil || len(lost) == 0 {
		return out, err
	}
	args = []any{storage.At(now)}
	in2 = marks(&args, lost)
	failed, err := storage.All(tx, func(row storage.Row) (c candidate, err error) {
		dest, finish := s.recordFields(&c.Record)
		var closes storage.Time
		var code string
		if err := row.Scan(append(dest, &c.askID, &c.day, &closes, &code)...); err != nil {
			return c, err
		}
		c.why, c.notAfter, c.dead = ByUndelivered, closes.Time, slices.Contains(cfg.Hygiene.Dead, code)
		return c, finish()
	}, `SELECT `+recordColumns+`, k.id, k.day, k.closes_at, m.error_code FROM survey_ask k JOIN sms m ON m.id = k.sms_id JOIN survey_record r ON r.id = k.record_id
		WHERE m.state IN ('failed', 'expired') AND k.state = 'open' AND k.closes_at > $1 AND k.replied_at IS NULL AND k.class IN (`+in2+`)
			AND NOT EXISTS (SELECT 1 FROM survey_phone p WHERE p.record_id = k.record_id) ORDER BY k.asked_at, k.id LIMIT 500`, args...)
	return append(out, failed...), err
}

// sensitiveLines are the fixed lines, by hash and day, of which another record of the run is sensitive: who answers there is not
// asked about anything (as the morning does with mobile numbers).
func (s *Survey) sensitiveLines(tx *storage.Tx, found []candidate) (map[string]bool, error) {
	out := map[string]bool{}
	if !slices.ContainsFunc(found, func(c candidate) bool { return c.why == ByFixedLine }) {
		return out, nil
	}
	first, last := found[0].day, found[0].day
	for _, c := range found {
		first, last = min(first, c.day), max(last, c.day)
	}
	_, err := storage.All(tx, func(row storage.Row) (struct{}, error) {
		var r Record
		var day workday.Day
		dest, finish := s.recordFields(&r)
		if err := row.Scan(append(dest, &day)...); err != nil {
			return struct{}{}, err
		}
		if err := finish(); err != nil {
			return struct{}{}, err
		}
		if phone, err := r.dialled(); err == nil {
			out[day.String()+s.Book.Vault.HashPhone(phone)] = true
		}
		return struct{}{}, nil
	}, `SELECT `+recordColumns+`, d.day FROM survey_decision d JOIN survey_record r ON r.id = d.record_id
		WHERE d.reason = 'sensitive' AND r.phone_error = $3 AND d.day >= $1 AND d.day <= $2`, first, last, contact.ErrFixedLine.Code)
	return out, err
}

// enlist puts one record on the list, to be rung or with the reason why not.
func (s *Survey) enlist(tx *storage.Tx, c candidate, sensitive map[string]bool) (rung bool, err error) {
	why, hash := "", ""
	phone, err := c.dialled()
	switch {
	case err != nil:
		why = string(BadNumber)
	case c.dead:
		why = RungDead
	default:
		hash = s.Book.Vault.HashPhone(phone)
		if (&morning{s: s, cfg: s.config()}).minor(c.Record) {
			why = string(Minor)
		} else if sensitive[c.day.String()+hash] {
			why = string(SensitiveOther)
		} else if why, err = s.whyNotRing(tx, phone, hash, c.day, c.askID); err != nil {
			return false, err
		}
		if why == "" {
			open, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_phone WHERE phone_hash = $1 AND (state IN ('waiting', 'calling') OR day = $2 AND state <> 'dropped')`, hash, c.day)
			if err != nil {
				return false, err
			}
			if open > 0 {
				why = string(OtherService)
			}
		}
	}
	now := s.now()
	state, done := CalleeWaiting, storage.Time{}
	if why != "" {
		state, done = CalleeDropped, storage.At(now)
	}
	if c.by == "" {
		c.by = "system"
	}
	n, err := tx.Exec(`INSERT INTO survey_phone (id, record_id, ask_id, day, class, unit, phone_hash, why, state, outcome, due, not_after, added_by, added_at, done_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (record_id) DO NOTHING`,
		storage.NewID(), c.ID, c.askID, c.day, c.Class, c.Unit, hash, c.why, string(state), why, storage.At(s.MayRing(now)), storage.At(c.notAfter), c.by, storage.At(now), done)
	if err != nil {
		return false, fmt.Errorf("record %s: %w", c.ID, err)
	}
	return n == 1 && why == "", nil
}

// whyNotRing is why somebody is not to be asked by telephone now; "" when they may. ask is the question that is open to them because its
// text did not arrive, if any.
func (s *Survey) whyNotRing(tx *storage.Tx, phone contact.Phone, hash string, day workday.Day, ask string) (string, error) {
	m := &morning{s: s, cfg: s.config(), day: day}
	if _, shielded, err := s.Book.Shielded(tx, phone, contact.ScopeSurvey); err != nil {
		return "", err
	} else if shielded {
		return string(DoNotDisturb), nil
	}
	if out, err := s.Book.OptedOut(tx, phone, contact.ScopeSurvey); err != nil {
		return "", err
	} else if out {
		return string(OptedOut), nil
	}
	if ask == "" {
		reason, _, err := m.byHistory(tx, hash)
		if err != nil || reason == Asked {
			return "", err
		}
		return string(reason), nil
	}
	k, err := AskOf(tx, ask)
	if err != nil {
		return "", err
	}
	if !k.RepliedAt.IsZero() || k.Rating > 0 {
		return RungReplied, nil
	}
	return "", nil
}

// ErrListed is returned for a record that is on the list already or cannot be rung; the text says why.
var ErrListed = errors.New("cannot be put on the list")

// AskByTelephone puts the person of a record on the list because they asked for it, whatever the class says. The record is named by class
// and serial number. It returns storage.ErrNotFound for one that does not exist, and ErrListed with the reason when they cannot be rung.
func (s *Survey) AskByTelephone(tx *storage.Tx, class, source, by string) (Callee, error) {
	cl, ok := s.config().Class(class)
	if !ok {
		return Callee{}, fmt.Errorf("class %s: %w", class, storage.ErrNotFound)
	}
	r, err := storage.One(tx, s.scanRecord, `SELECT `+recordColumns+` FROM survey_record r WHERE r.class = $1 AND r.source_id = $2`, cl.Code, source)
	if err != nil {
		return Callee{}, fmt.Errorf("record %s of class %s: %w", source, cl.Code, err)
	}
	if s.config().sensitive(r.Mark, r.Matter) != "" {
		return Callee{}, fmt.Errorf("%w: %s", ErrListed, SensitiveCase.Label())
	}
	if _, err := tx.Exec(`DELETE FROM survey_phone WHERE record_id = $1 AND state = 'dropped' AND tries = 0`, r.ID); err != nil {
		return Callee{}, err
	}
	c := candidate{Record: r, why: ByWish, day: r.ServiceDay, by: by, notAfter: s.now().Add(s.config().Telephone.Within)}
	asks, err := storage.All(tx, scanAsk, `SELECT `+askColumns+` FROM survey_ask WHERE record_id = $1`, r.ID)
	if err != nil {
		return Callee{}, err
	}
	if len(asks) > 0 {
		if c.askID, c.day = asks[0].ID, asks[0].Day; asks[0].ClosesAt.Before(c.notAfter) {
			c.notAfter = asks[0].ClosesAt
		}
		if !c.notAfter.After(s.now()) {
			return Callee{}, fmt.Errorf("%w: %s", ErrListed, CalleeExpired.Label())
		}
	}
	rung, err := s.enlist(tx, c, nil)
	if err != nil {
		return Callee{}, err
	}
	x, err := storage.One(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p WHERE p.record_id = $1`, r.ID)
	switch {
	case err != nil:
		return x, err
	case !rung && x.State == CalleeDropped:
		return x, fmt.Errorf("%w: %s", ErrListed, x.OutcomeLabel())
	case !rung:
		return x, fmt.Errorf("%w: %s", ErrListed, x.State.Label())
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "survey/telephone", Type: "survey.telephone_added", Actor: by, At: s.now(), Payload: map[string]string{"record": r.ID, "entry": x.ID}})
	return x, err
}

// RemoveCallee takes somebody off the list who has not been rung to the end. It returns storage.ErrNotFound for an entry that does not
// wait.
func (s *Survey) RemoveCallee(tx *storage.Tx, id, by string) error {
	n, err := tx.Exec(`UPDATE survey_phone SET state = 'dropped', outcome = $2, done_at = $3 WHERE id = $1 AND state = 'waiting'`, id, RungRemoved, storage.At(s.now()))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "survey/telephone", Type: "survey.telephone_removed", Actor: by, At: s.now(), Payload: map[string]string{"entry": id}})
	}
	if err != nil {
		return fmt.Errorf("take %s off the list of calls: %w", id, err)
	}
	return nil
}
