package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/workday"
)

// before puts the service that is asked about first: the class with the higher priority, then the later service.
func (m *morning) before(a, b Record) bool {
	ca, _ := m.cfg.Class(a.Class)
	cb, _ := m.cfg.Class(b.Class)
	if ca.Priority != cb.Priority {
		return ca.Priority > cb.Priority
	}
	return a.ServiceAt.After(b.ServiceAt)
}

func (m *morning) text(r Record) string {
	cl, _ := m.cfg.Class(r.Class)
	return m.cfg.Text(cl, m.unitName(r.Unit), r.ServiceDay)
}

// unitName is the short name of a unit.
func (m *morning) unitName(unit string) string {
	return cmp.Or(m.units[unit].Short, m.units[unit].Name)
}

// eligible decides what a record alone can tell.
func (m *morning) eligible(r Record) (Reason, string) {
	cl, known := m.cfg.Class(r.Class)
	if !known || cl.Disabled {
		return ClassDisabled, ""
	}
	if int(workday.DayOf(m.s.now())-r.ServiceDay) > m.cfg.LookbackDays {
		return TooOld, ""
	}
	if _, ok := m.units[r.Unit]; !ok {
		return NoUnit, ""
	}
	if group := m.cfg.sensitive(r.Mark, r.Matter); group != "" {
		return SensitiveCase, group // before the number: a sensitive record shields the person's others
	}
	for _, word := range cl.Exclude {
		if strings.Contains(r.Matter, word) {
			return SensitiveCase, "matter"
		}
	}
	switch r.PhoneError {
	case "":
	case contact.ErrFixedLine.Code:
		return FixedLine, ""
	case contact.ErrShortNumber.Code, contact.ErrServiceNumber.Code:
		return ShortNumber, r.PhoneError
	default:
		return BadNumber, r.PhoneError
	}
	if m.minor(r) {
		return Minor, ""
	}
	return Asked, ""
}

// minor reports whether somebody was under age on the day of the service; on the birthday itself one is of age. Who has
// no date of birth counts as grown up.
func (m *morning) minor(r Record) bool {
	born, err := workday.ParseDay(r.person.Born)
	if err != nil {
		return false
	}
	y, mon, d := born.Date()
	return r.ServiceDay < workday.DateOf(y+m.cfg.Adult, mon, d)
}

// facts are what is known about the numbers of some persons, by their hashes.
type facts struct {
	wishes  contact.Wishes
	rests   map[string]string
	history map[string][]earlier
}

// earlier is a question that was asked before.
type earlier struct {
	day   workday.Day
	asked workday.Day // or reminded: the frequency cap counts from the last text
	open  bool
}

// known looks up what the numbers of some persons tell, in a few queries for all of them.
func (m *morning) known(tx *storage.Tx, persons [][]Record) (f facts, err error) {
	var hashes []string
	for _, records := range persons {
		if h := records[0].phoneHash; h != "" {
			hashes = append(hashes, h)
		}
	}
	if len(hashes) == 0 {
		return f, nil
	}
	if f, err = m.wishes(tx, hashes); err != nil {
		return f, err
	}
	f.history, err = m.history(tx, hashes)
	return f, err
}

// wishes looks up what the owners of some numbers want, and whether texts reach them.
func (m *morning) wishes(tx *storage.Tx, hashes []string) (f facts, err error) {
	if f.wishes, err = m.s.Book.WishesOf(tx, hashes, contact.ScopeSurvey); err != nil {
		return f, err
	}
	f.rests, err = m.s.rests(tx, hashes, m.s.now())
	return f, err
}

// history looks up earlier questions to some numbers, the last one first, after closing those whose window is over.
func (m *morning) history(tx *storage.Tx, hashes []string) (map[string][]earlier, error) {
	now := storage.At(m.s.now())
	all := map[string][]earlier{}
	over := map[string]bool{}
	type row struct {
		earlier
		hash string
		at   storage.Time
		over bool
	}
	list, args := storage.In([]any{now}, hashes)
	rows, err := storage.All(tx, func(r storage.Row) (w row, err error) {
		return w, r.Scan(&w.hash, &w.day, &w.asked, &w.at, &w.open, &w.over)
	},
		`SELECT k.phone_hash, k.day, CASE WHEN r.sent_day <> '' THEN r.sent_day ELSE k.asked_day END, k.asked_at, k.state = 'open' AND k.closes_at > $1, k.state = 'open' AND k.closes_at <= $1
		FROM survey_ask k LEFT JOIN survey_reminder r ON r.ask_id = k.id WHERE k.phone_hash IN (`+list+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("earlier questions: %w", err)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return b.at.Compare(a.at.Time) })
	for _, w := range rows {
		all[w.hash] = append(all[w.hash], w.earlier)
		over[w.hash] = over[w.hash] || w.over
	}
	var close []string
	for hash, yes := range over {
		if yes {
			close = append(close, hash)
		}
	}
	if len(close) == 0 || m.opt.DryRun {
		return all, nil
	}
	slices.Sort(close) // two runs lock in one order
	list, args = storage.In([]any{now}, close)
	if _, err := tx.Exec(`UPDATE survey_ask SET state = 'closed' WHERE phone_hash IN (`+list+`) AND state = 'open' AND closes_at <= $1`, args...); err != nil {
		return nil, fmt.Errorf("close questions: %w", err)
	}
	return all, nil
}

// byPerson decides what the number tells.
func (m *morning) byPerson(hash string, known facts, sensitive bool) (Reason, string) {
	if hash == "" {
		return Asked, "" // eligible has refused it
	}
	if sensitive {
		return SensitiveOther, ""
	}
	if reason, detail := m.byWishes(hash, known); reason != Asked {
		return reason, detail
	}
	return m.ofHistory(known.history[hash]), ""
}

// byWishes decides what the owner's wishes, and what became of earlier texts, tell of a number.
func (m *morning) byWishes(hash string, known facts) (Reason, string) {
	shield, shielded := known.wishes.Shielded[hash]
	switch {
	case shielded && slices.ContainsFunc(m.cfg.StaffShields, func(w string) bool { return strings.Contains(shield.Reason, w) }):
		return StaffPhone, ""
	case known.wishes.OptedOut[hash]:
		return OptedOut, ""
	case shielded:
		return DoNotDisturb, ""
	case known.rests[hash] != "":
		return NumberRests, known.rests[hash]
	}
	return Asked, ""
}

// byHistory looks at earlier questions to one number, after closing the one whose window is over.
func (m *morning) byHistory(tx *storage.Tx, hash string) (Reason, string, error) {
	all, err := m.history(tx, []string{hash})
	if err != nil {
		return "", "", err
	}
	return m.ofHistory(all[hash]), "", nil
}

// ofHistory decides what the earlier questions to a number tell.
func (m *morning) ofHistory(all []earlier) Reason {
	today := workday.DayOf(m.s.now())
	reason := Asked
	for _, e := range all {
		switch {
		case e.day == m.day:
			return OtherService
		case e.open:
			reason = OpenSurvey
		case int(today-e.asked) < m.cfg.FrequencyDays && reason == Asked:
			reason = AskedRecently
		}
	}
	return reason
}
