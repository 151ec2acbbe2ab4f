package ticket

import (
	"errors"
	"fmt"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// calendar is the one in force: the program's own, with the years that were added since.
func (o *Office) calendar() *workday.Calendar {
	if c := o.added.Load(); c != nil {
		return c
	}
	return o.Calendar
}

// Reckoner computes with the calendar and hours in force.
func (o *Office) Reckoner() workday.Reckoner { return o.reckoner() }

// CalendarWarning is the warning for staff (zh-CN) that a year's notice is missing, "" when none is.
func (o *Office) CalendarWarning() string { return o.calendar().Warn(o.now()) }

// ReadCalendar takes the years that are kept in the database into use: at the start, and when another program added one.
func (o *Office) ReadCalendar(tx *storage.Tx) error {
	type row struct{ body string }
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.body) }, `SELECT body FROM calendar_year ORDER BY year`)
	if err != nil {
		return fmt.Errorf("read the calendar: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	var files [][]byte
	for _, r := range rows {
		files = append(files, []byte(r.body))
	}
	c, err := o.Calendar.With(files...)
	if err != nil {
		return fmt.Errorf("read the calendar: %w", err)
	}
	o.added.Store(c)
	return nil
}

// AddCalendarYear adds the State Council's notice of a year, a file in the format of holiday-cn, or corrects it. Clocks that
// start from now on count by it; those that run keep theirs until RecomputeAll (I9).
func (o *Office) AddCalendarYear(tx *storage.Tx, file []byte, by Actor) (year int, err error) {
	if by.Kind != SystemActor && (!by.officer() || !by.may(org.ManageRules)) {
		return 0, noRole()
	}
	year, err = workday.YearOf(file)
	if err != nil {
		return 0, refuse("calendar", "日历文件有误：%v", err)
	}
	c, err := o.Calendar.With(file)
	if err != nil {
		return 0, refuse("calendar", "日历文件有误：%v", err)
	}
	if _, err := tx.Exec(`INSERT INTO calendar_year (year, body, added_by, added_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (year) DO UPDATE SET body = excluded.body, added_by = excluded.added_by, added_at = excluded.added_at`, year, string(file), by.String(), storage.At(o.now())); err != nil {
		return 0, fmt.Errorf("add calendar year %d: %w", year, err)
	}
	if _, err := audit.Append(tx, audit.Entry{Stream: fmt.Sprintf("calendar/%d", year), Type: "calendar.added", Actor: by.String(), At: o.now(), Payload: map[string]any{"year": year, "version": c.Version()}}); err != nil {
		return 0, fmt.Errorf("add calendar year %d: %w", year, err)
	}
	return year, o.ReadCalendar(tx)
}

// Uncounted lists the ids of open tickets with clocks that count by another calendar than the one in force, at most limit.
func (o *Office) Uncounted(tx *storage.Tx, after string, limit int) ([]string, error) {
	ids, err := storage.All(tx, storage.Value[string], `SELECT DISTINCT ticket_id FROM ticket_clock WHERE state = 'running' AND base_span <> '' AND calendar_version <> $1 AND ticket_id > $2
		ORDER BY ticket_id LIMIT $3`, o.reckoner().Version(), after, limit)
	if err != nil {
		return nil, fmt.Errorf("clocks of another calendar: %w", err)
	}
	return ids, nil
}

// RecomputeAll computes the clocks of all open tickets again that count by another calendar than the one in force, each in
// its own transaction and with its own event. It returns how many tickets it changed.
func (o *Office) RecomputeAll(update func(func(tx *storage.Tx) error) error, reason string, by Actor) (n int, err error) {
	for last := ""; ; {
		var ids []string
		if err := update(func(tx *storage.Tx) (err error) { ids, err = o.Uncounted(tx, last, 200); return err }); err != nil {
			return n, err
		}
		for _, id := range ids {
			last = id
			err := storage.ErrConflict
			for try := 0; try < 5 && errors.Is(err, storage.ErrConflict); try++ { // somebody works on the ticket
				err = update(func(tx *storage.Tx) error { _, err := o.Recompute(tx, id, reason, by); return err })
			}
			if r, ok := RefusedWith(err); ok && (r.Code == "nothing" || r.Code == "seat" || r.Code == "accused") {
				continue // somebody was faster, or it is not this officer's to touch
			}
			if err != nil {
				return n, fmt.Errorf("recompute %s: %w", id, err)
			}
			n++
		}
		if len(ids) < 200 {
			return n, nil
		}
	}
}
