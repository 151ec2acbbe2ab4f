package survey

import (
	"errors"
	"fmt"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
	"lianxin/workday"
)

// callLease is how long a call of the list may take before it is taken for lost: no call of it lasts that long (CallLimit).
const callLease = 15 * time.Minute

// CallLimit is how long a call of the list may last.
const CallLimit = 10 * time.Minute

// limitRest is how long nobody is rung again whom our own caps, not the person, kept from being reached.
const limitRest = 10 * time.Minute

// ToRing is somebody to be rung now.
type ToRing struct {
	Callee
	Number contact.Phone
}

// Switch is whether people are rung.
type Switch struct {
	Paused bool
	Reason string
	By     string
	At     time.Time
}

// TelephoneSwitch tells whether people are rung.
func TelephoneSwitch(tx *storage.Tx) (Switch, error) { return telephoneSwitch(tx, "") }

func telephoneSwitch(tx *storage.Tx, lock string) (Switch, error) {
	return storage.One(tx, func(r storage.Row) (w Switch, err error) {
		var at storage.Time
		err = r.Scan(&w.Paused, &w.Reason, &w.By, &at)
		w.At = at.Time
		return w, err
	}, `SELECT paused, reason, actor, at FROM survey_phone_switch WHERE id = 1 `+lock)
}

// PauseTelephone stops the calls of the list, or lets them go on. Calls that are up go on to their end.
func (s *Survey) PauseTelephone(tx *storage.Tx, paused bool, reason, by string) error {
	if _, err := tx.Exec(`UPDATE survey_phone_switch SET paused = $1, reason = $2, actor = $3, at = $4 WHERE id = 1`, paused, reason, by, storage.At(s.now())); err != nil {
		return fmt.Errorf("pause calls of the survey: %w", err)
	}
	_, err := audit.Append(tx, audit.Entry{Stream: "survey/telephone", Type: "survey.telephone_switched", Actor: by, At: s.now(), Payload: map[string]any{"paused": paused, "reason": reason}})
	return err
}

// NextCall takes the next person of the list to be rung now, under a lease; ok is false when nobody is: it is paused, outside the hours,
// as many are rung as may be, or nobody is due. Whoever takes one rings, and tells Settle. The id of the call is made here, so that after
// a crash it can be found what became of it (Lost).
func (s *Survey) NextCall(tx *storage.Tx, node string) (to ToRing, ok bool, err error) {
	now, t := s.now(), s.config().Telephone
	w, err := telephoneSwitch(tx, tx.ForUpdate())
	if err != nil || w.Paused || !s.MayRing(now).Equal(now) {
		return to, false, err
	}
	if _, err := tx.Exec(`UPDATE survey_phone SET state = CASE WHEN tries > 0 THEN 'unreached' ELSE 'expired' END, done_at = $1 WHERE state = 'waiting' AND not_after <= $1`, storage.At(now)); err != nil {
		return to, false, err
	}
	begun, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_phone_call WHERE at > $1`, storage.At(now.Add(-time.Hour)))
	if err != nil || begun >= t.PerHour {
		return to, false, err
	}
	up, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_phone WHERE state = 'calling'`)
	if err != nil || up >= t.AtOnce {
		return to, false, err
	}
	for range 100 {
		list, err := storage.All(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p WHERE p.state = 'waiting' AND p.due <= $1 ORDER BY p.due, p.id LIMIT 1`, storage.At(now))
		if err != nil || len(list) == 0 {
			return to, false, err
		}
		c := list[0]
		number, why, err := s.stillToRing(tx, c)
		if err != nil {
			return to, false, err
		}
		if why != "" {
			if _, err := tx.Exec(`UPDATE survey_phone SET state = 'dropped', outcome = $2, done_at = $3 WHERE id = $1`, c.ID, why, storage.At(now)); err != nil {
				return to, false, err
			}
			continue
		}
		c.CallID, c.State, c.Tries, c.Due = storage.NewID(), CalleeCalling, c.Tries+1, now.Add(callLease)
		if _, err := tx.Exec(`UPDATE survey_phone SET state = 'calling', tries = $2, due = $3, node = $4, call_id = $5 WHERE id = $1`, c.ID, c.Tries, storage.At(c.Due), node, c.CallID); err != nil {
			return to, false, err
		}
		_, err = tx.Exec(`INSERT INTO survey_phone_call (call_id, entry_id, at) VALUES ($1, $2, $3)`, c.CallID, c.ID, storage.At(now))
		return ToRing{c, number}, err == nil, err
	}
	return to, false, nil
}

// stillToRing looks at somebody again who has waited: people opt out, reply and are erased meanwhile.
func (s *Survey) stillToRing(tx *storage.Tx, c Callee) (contact.Phone, string, error) {
	r, err := s.Record(tx, c.RecordID)
	if err != nil {
		return contact.Phone{}, "", err
	}
	number, err := r.dialled()
	if err != nil || s.Book.Vault.HashPhone(number) != c.phoneHash {
		return number, RungErased, nil // or corrected by the source: a new number is a new person
	}
	why, err := s.whyNotRing(tx, number, c.phoneHash, c.Day, c.AskID)
	return number, why, err
}

// Reached notes that somebody of the list has answered the telephone: from now on they have been asked.
func (s *Survey) Reached(tx *storage.Tx, id, callID string) error {
	fail := func(err error) error { return fmt.Errorf("question by telephone %s: %w", id, err) }
	c, err := storage.One(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p WHERE p.id = $1 AND p.call_id = $2 AND p.state = 'calling'`, id, callID)
	if err != nil {
		return fail(err)
	}
	if c.AskID != "" {
		if _, err := tx.Exec(`UPDATE survey_ask SET via = $2 WHERE id = $1`, c.AskID, Telephone); err != nil {
			return fail(err)
		}
		return nil
	}
	r, err := s.Record(tx, c.RecordID)
	if err != nil {
		return fail(err)
	}
	number, err := r.dialled()
	if err != nil {
		return fail(err)
	}
	who, err := s.Book.Ensure(tx, number, r.person.Name)
	if err != nil {
		return fail(err)
	}
	now, cfg, ask := s.now(), s.config(), storage.NewID()
	if _, err := tx.Exec(`UPDATE survey_ask SET state = 'closed' WHERE phone_hash = $1 AND state = 'open' AND closes_at <= $2`, c.phoneHash, storage.At(now)); err != nil {
		return fail(err)
	}
	if _, err := tx.Exec(`INSERT INTO survey_ask (id, day, key, record_id, class, unit, phone_hash, contact_id, sms_id, state, asked_at, asked_day, closes_at, config, via)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 'open', $9, $10, $11, $12, $13)`,
		ask, c.Day, "telephone:"+r.ID, r.ID, r.Class, r.Unit, c.phoneHash, who.ID, storage.At(now), workday.DayOf(now), storage.At(now.Add(cfg.ReplyWindow)), cfg.Version, Telephone); err != nil {
		return fail(err)
	}
	if _, err := tx.Exec(`UPDATE survey_phone SET ask_id = $2 WHERE id = $1`, c.ID, ask); err != nil {
		return fail(err)
	}
	return nil
}

// Settle notes what became of a call of the list, once: a second word about the same call changes nothing, and settled is false. Somebody
// who was not reached is rung again while there are tries and time.
func (s *Survey) Settle(tx *storage.Tx, id, callID, outcome string) (settled bool, err error) {
	fail := func(err error) (bool, error) { return false, fmt.Errorf("outcome of a call of the survey: %w", err) }
	now, t := s.now(), s.config().Telephone
	c, err := storage.One(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p WHERE p.id = $1 AND p.call_id = $2 AND p.state = 'calling' `+tx.ForUpdate(), id, callID)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return fail(err)
	}
	state, due := CalleeWaiting, s.MayRing(now.Add(t.Apart))
	switch outcome {
	case RungRated:
		state = CalleeRated
	case RungOptOut, RungSilent:
		state = CalleeUnrated
	case "notfound":
		state = CalleeUnreached
	case "notallowed":
		state = CalleeDropped
	case "limit", "hours", "state": // nothing was rung: not their try
		c.Tries--
		due = s.MayRing(now.Add(limitRest))
	}
	if state == CalleeWaiting && (c.Tries >= t.Tries || !due.Before(c.NotAfter)) {
		if state = CalleeUnreached; outcome == RungLater {
			state = CalleeUnrated
		}
	}
	done := storage.At(now)
	if state == CalleeWaiting {
		done = storage.Time{}
	}
	if _, err := tx.Exec(`UPDATE survey_phone SET state = $2, outcome = $3, tries = $4, due = $5, done_at = $6 WHERE id = $1`, c.ID, string(state), outcome, c.Tries, storage.At(due), done); err != nil {
		return fail(err)
	}
	if _, err := tx.Exec(`UPDATE survey_phone_call SET outcome = $2 WHERE call_id = $1`, callID, outcome); err != nil {
		return fail(err)
	}
	return true, nil
}

// Lost lists the calls whose lease is over, and those of a node that has just begun (all of its own, when own is true): the program ended
// under them.
func (s *Survey) Lost(tx *storage.Tx, node string, own bool) ([]Callee, error) {
	list, err := storage.All(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p WHERE p.state = 'calling' AND (p.due <= $1 OR $2 AND p.node = $3) ORDER BY p.due`,
		storage.At(s.now()), own, node)
	if err != nil {
		return nil, fmt.Errorf("calls of the survey that were lost: %w", err)
	}
	return list, nil
}

// CalleeOf finds the entry of the list that a call was made for, or storage.ErrNotFound.
func CalleeOf(tx *storage.Tx, callID string) (Callee, error) {
	return storage.One(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p JOIN survey_phone_call x ON x.entry_id = p.id WHERE x.call_id = $1`, callID)
}

// CalleeItem is an entry of the list with its record.
type CalleeItem struct {
	Callee
	Number    string // masked
	SourceID  string
	ServiceAt time.Time
	ClassName string
	UnitName  string
}

// Callees lists the entries in a state, all when it is empty: those that wait by when they are due, the others by when they were done, the
// last one first. total is how many there are.
func (s *Survey) Callees(tx *storage.Tx, state CalleeState, limit, offset int) (page []CalleeItem, total int, err error) {
	fail := func(err error) ([]CalleeItem, int, error) {
		return nil, 0, fmt.Errorf("list whom to ask by telephone: %w", err)
	}
	if total, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_phone WHERE $1 = '' OR state = $1`, string(state)); err != nil {
		return fail(err)
	}
	list, err := storage.All(tx, scanCallee, `SELECT `+calleeColumns+` FROM survey_phone p WHERE $1 = '' OR p.state = $1
		ORDER BY CASE WHEN p.state = 'calling' THEN 0 WHEN p.state = 'waiting' THEN 1 ELSE 2 END, p.done_at DESC, p.due, p.id LIMIT $2 OFFSET $3`, string(state), limit, offset)
	if err != nil {
		return fail(err)
	}
	for _, c := range list {
		x := CalleeItem{Callee: c}
		r, err := s.Record(tx, c.RecordID)
		if err != nil {
			return fail(err)
		}
		if number, err := r.dialled(); err == nil {
			x.Number = number.Masked()
		}
		x.SourceID, x.ServiceAt = r.SourceID, r.ServiceAt
		x.UnitName, x.ClassName = s.names(tx, r)
		page = append(page, x)
	}
	return page, total, nil
}

// CalleeCounts counts the entries by state, and the calls begun in the last hour.
func (s *Survey) CalleeCounts(tx *storage.Tx) (byState map[CalleeState]int, lastHour int, err error) {
	byState = map[CalleeState]int{}
	_, err = storage.All(tx, func(r storage.Row) (struct{}, error) {
		var state CalleeState
		var n int
		err := r.Scan(&state, &n)
		byState[state] = n
		return struct{}{}, err
	}, `SELECT state, COUNT(*) FROM survey_phone GROUP BY state`)
	if err == nil {
		lastHour, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_phone_call WHERE at > $1`, storage.At(s.now().Add(-time.Hour)))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("count whom to ask by telephone: %w", err)
	}
	return byState, lastHour, nil
}

// Telephoning is how people are asked by telephone, and of which classes anybody is.
func (s *Survey) Telephoning() (Telephoning, []string) {
	return s.config().Telephone, s.config().TelephoneClasses()
}

// Classes are the classes of the configuration in force.
func (s *Survey) Classes() []Class { return s.config().Classes }
