package ticket

import (
	"slices"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// What people wait for, and what the sweeper asks every half minute, walks an index made for it, however full the store is.
// SQLite tells which; PostgreSQL decides by the size of tables, and is measured instead (TestScale).
func TestListsAndSweepsWalkTheirIndexes(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	h.rowsOnly = true
	stock(t, h.db, 4000, 800, h.Now(), h.open(nil).RuleVersion)
	now := storage.At(h.Now())
	centre, unit := &query{}, &query{}
	h.view(func(tx *storage.Tx) error {
		if err := h.visible(tx, centre, h.dispatcher); err != nil {
			return err
		}
		return h.visible(tx, unit, h.handlerA)
	})
	open := &query{conds: append([]string{}, centre.conds...), args: append([]any{}, centre.args...)}
	open.open()
	for name, q := range map[string]struct {
		sql  string
		args []any
		want string
	}{
		"open, counted":        {`SELECT COUNT(*) FROM ticket` + open.where(), open.args, "COVERING INDEX ticket_open"},
		"open, by state":       {`SELECT state || '', colour || '', COUNT(*) FROM ticket` + open.where() + ` GROUP BY state || '', colour || ''`, open.args, "COVERING INDEX ticket_open"},
		"open, most urgent":    {`SELECT number, title FROM ticket` + open.where() + ` ORDER BY due_at, id LIMIT 25`, open.args, "ticket_open"},
		"all, newest":          {`SELECT number, title FROM ticket` + centre.where() + ` ORDER BY opened_at DESC, id DESC LIMIT 25`, centre.args, "ticket_newest"},
		"of a unit":            {`SELECT COUNT(*) FROM ticket` + unit.where(), unit.args, "ticket_leg_of"},
		"clocks that are due":  {dueClocks, []any{now}, "COVERING INDEX ticket_clock_due"},
		"suspensions over":     {dueSuspensions, []any{now}, "COVERING INDEX ticket_clock_suspended"},
		"answers":              {unopenedRatings, nil, "ticket_answered|ticket_closed (state=?)"},
		"settled":              {settledLong, []any{now}, "ticket_settled"},
		"of a citizen, a week": {`SELECT COUNT(*) FROM ticket WHERE contact_id = $1 AND opened_at >= $2 AND id <> $3`, []any{"C1", now, "x"}, "ticket_contact"},
	} {
		h.view(func(tx *storage.Tx) error {
			steps, err := storage.All(tx, func(r storage.Row) (s string, err error) {
				var a, b, c int
				return s, r.Scan(&a, &b, &c, &s)
			}, `EXPLAIN QUERY PLAN `+q.sql, q.args...)
			plan := strings.Join(steps, "; ")
			if !slices.ContainsFunc(strings.Split(q.want, "|"), func(w string) bool { return strings.Contains(plan, w) }) {
				t.Errorf("%s: %s, want %s", name, plan, q.want)
			}
			return err
		})
	}
}
