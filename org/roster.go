package org

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// A Seat is what an operator serves at the hotline's board: which queues, at which level, with which skills. Staff without one serve every
// queue.
type Seat struct {
	StaffID string
	Queues  []SeatQueue
	Skills  []string
	Changed time.Time
}

// SeatQueue is a queue that is served, and the level at which it is asked: 0 first.
type SeatQueue struct {
	Queue string
	Level int
}

// RosterStream is the stream of seats, shifts and hand-overs in the audit log.
const RosterStream = "roster"

var queueForm = regexp.MustCompile(`^([a-z][a-z0-9-]{0,31})(?::([0-9]))?$`)

// ParseSeatQueues reads "hotline english:1": queues, each with its level where that is not 0.
func ParseSeatQueues(text string) (list []SeatQueue, err error) {
	seen := map[string]bool{}
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '，' || r == '、' }) {
		m := queueForm.FindStringSubmatch(w)
		if m == nil || seen[m[1]] {
			return nil, fmt.Errorf("queues: %q is no queue with a level from 0 to 9, such as hotline or english:1, or stands there twice", w)
		}
		seen[m[1]] = true
		level, _ := strconv.Atoi(m[2])
		list = append(list, SeatQueue{m[1], level})
	}
	return list, nil
}

// FormatSeatQueues is what ParseSeatQueues reads.
func FormatSeatQueues(list []SeatQueue) string {
	var words []string
	for _, q := range list {
		if q.Level == 0 {
			words = append(words, q.Queue)
		} else {
			words = append(words, fmt.Sprintf("%s:%d", q.Queue, q.Level))
		}
	}
	return strings.Join(words, " ")
}

// SetSeat says what an operator serves. No queues and no skills: every queue, without skills.
func (g Register) SetSeat(tx *storage.Tx, s Seat, by string) error {
	if _, err := GetStaff(tx, s.StaffID); err != nil {
		return fmt.Errorf("set seat: %w", err)
	}
	queues, skills := FormatSeatQueues(s.Queues), strings.Join(s.Skills, " ")
	now := g.now()
	_, err := tx.Exec(`INSERT INTO org_seat (staff_id, queues, skills, changed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (staff_id) DO UPDATE SET queues = excluded.queues, skills = excluded.skills, changed = excluded.changed`, s.StaffID, queues, skills, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: RosterStream, Type: "seat.set", Actor: by, At: now, Payload: map[string]string{"staff": s.StaffID, "queues": queues, "skills": skills}})
	}
	if err != nil {
		return fmt.Errorf("set seat of %s: %w", s.StaffID, err)
	}
	return nil
}

// Seats returns what operators serve, by staff id.
func Seats(tx *storage.Tx) (map[string]Seat, error) {
	list, err := storage.All(tx, func(r storage.Row) (s Seat, err error) {
		var queues, skills string
		var changed storage.Time
		if err = r.Scan(&s.StaffID, &queues, &skills, &changed); err != nil {
			return s, err
		}
		s.Skills, s.Changed = strings.Fields(skills), changed.Time
		s.Queues, err = ParseSeatQueues(queues)
		return s, err
	}, `SELECT staff_id, queues, skills, changed FROM org_seat`)
	if err != nil {
		return nil, fmt.Errorf("read seats: %w", err)
	}
	seats := map[string]Seat{}
	for _, s := range list {
		seats[s.StaffID] = s
	}
	return seats, nil
}

// A Shift is a time for which somebody is rostered.
type Shift struct {
	ID       string
	StaffID  string
	From, To time.Time   // half-open
	Queues   []SeatQueue // served in this shift instead of the seat's; none: as the seat says
	Note     string      // "夜班", "专席"; no names
}

// LongestShift bounds a shift: whoever is rostered for longer is a mistake.
const LongestShift = 24 * time.Hour

// AddShift enters a shift and returns its id. Shifts of one person must not overlap.
func (g Register) AddShift(tx *storage.Tx, s Shift, by string) (string, error) {
	switch d := s.To.Sub(s.From); {
	case d <= 0 || d > LongestShift:
		return "", fmt.Errorf("add shift: it lasts %v; expected more than nothing and at most %v", d, LongestShift)
	case len(s.Note) > 200:
		return "", fmt.Errorf("add shift: the note is too long")
	}
	if _, err := GetStaff(tx, s.StaffID); err != nil {
		return "", fmt.Errorf("add shift: %w", err)
	}
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM org_shift WHERE staff_id = $1 AND dropped IS NULL AND begins < $3 AND ends > $2`,
		s.StaffID, storage.At(s.From), storage.At(s.To))
	if err != nil {
		return "", fmt.Errorf("add shift: %w", err)
	}
	if n > 0 {
		return "", fmt.Errorf("add shift: %w", storage.ErrConflict)
	}
	s.ID = storage.NewID()
	now := g.now()
	_, err = tx.Exec(`INSERT INTO org_shift (id, staff_id, begins, ends, queues, note, by_actor, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.ID, s.StaffID, storage.At(s.From), storage.At(s.To), FormatSeatQueues(s.Queues), s.Note, by, storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: RosterStream, Type: "shift.added", Actor: by, At: now, Payload: map[string]string{
			"shift": s.ID, "staff": s.StaffID, "from": s.From.UTC().Format(time.RFC3339), "to": s.To.UTC().Format(time.RFC3339)}})
	}
	if err != nil {
		return "", fmt.Errorf("add shift: %w", err)
	}
	return s.ID, nil
}

// DropShift takes a shift off the roster; it stays in the audit log.
func (g Register) DropShift(tx *storage.Tx, id, by string) error {
	now := g.now()
	n, err := tx.Exec(`UPDATE org_shift SET dropped = $2 WHERE id = $1 AND dropped IS NULL`, id, storage.At(now))
	if err == nil && n == 0 {
		err = storage.ErrNotFound
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: RosterStream, Type: "shift.dropped", Actor: by, At: now, Payload: map[string]string{"shift": id}})
	}
	if err != nil {
		return fmt.Errorf("drop shift %s: %w", id, err)
	}
	return nil
}

// Shifts returns the shifts that lie in [from, to), wholly or in part, in order.
func Shifts(tx *storage.Tx, from, to time.Time) ([]Shift, error) {
	list, err := storage.All(tx, func(r storage.Row) (s Shift, err error) {
		var begins, ends storage.Time
		var queues string
		if err = r.Scan(&s.ID, &s.StaffID, &begins, &ends, &queues, &s.Note); err != nil {
			return s, err
		}
		s.From, s.To = begins.Time, ends.Time
		s.Queues, err = ParseSeatQueues(queues)
		return s, err
	}, `SELECT id, staff_id, begins, ends, queues, note FROM org_shift WHERE dropped IS NULL AND begins < $2 AND ends > $1 ORDER BY begins, ends, id`,
		storage.At(from), storage.At(to))
	if err != nil {
		return nil, fmt.Errorf("read the roster: %w", err)
	}
	return list, nil
}

// A Handover is a note that one shift leaves for the next. Its text is sealed by whoever writes it: it may tell of people.
type Handover struct {
	ID      string
	StaffID string
	At      time.Time
	Sealed  []byte
}

// AddHandover keeps a note for the next shift.
func (g Register) AddHandover(tx *storage.Tx, h Handover, by string) (string, error) {
	if len(h.Sealed) == 0 {
		return "", fmt.Errorf("hand over: the note is empty")
	}
	h.ID = storage.NewID()
	now := g.now()
	_, err := tx.Exec(`INSERT INTO org_handover (id, staff_id, at, note_sealed) VALUES ($1, $2, $3, $4)`, h.ID, h.StaffID, storage.At(now), h.Sealed)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: RosterStream, Type: "handover.written", Actor: by, At: now, Payload: map[string]string{"handover": h.ID}})
	}
	if err != nil {
		return "", fmt.Errorf("hand over: %w", err)
	}
	return h.ID, nil
}

// Handovers returns the last notes, the latest first.
func Handovers(tx *storage.Tx, most int) ([]Handover, error) {
	list, err := storage.All(tx, func(r storage.Row) (h Handover, err error) {
		var at storage.Time
		err = r.Scan(&h.ID, &h.StaffID, &at, &h.Sealed)
		h.At = at.Time
		return h, err
	}, `SELECT id, staff_id, at, note_sealed FROM org_handover ORDER BY at DESC, id DESC LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("read hand-overs: %w", err)
	}
	return list, nil
}
