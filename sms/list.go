package sms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/storage"
)

// Filter picks texts. Zero fields do not restrict.
type Filter struct {
	Campaign string
	State    State
	Phone    contact.Phone
	Since    time.Time // queued at or after
	Until    time.Time // queued before
	Stuck    bool      // only unknown ones that nothing but a receipt or a person will settle
	Limit    int       // 50 when 0
	Offset   int
}

func (f Filter) where(o *Outbox) (string, []any) {
	var where []string
	var args []any
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, strings.ReplaceAll(cond, "#", fmt.Sprintf("$%d", len(args))))
	}
	if f.Campaign != "" {
		add("campaign = #", f.Campaign)
	}
	if f.State != "" {
		add("state = #", string(f.State))
	}
	if !f.Phone.IsZero() {
		add("phone_hash = #", o.Vault.HashPhone(f.Phone))
	}
	if !f.Since.IsZero() {
		add("created_at >= #", storage.At(f.Since))
	}
	if !f.Until.IsZero() {
		add("created_at < #", storage.At(f.Until))
	}
	if f.Stuck {
		where = append(where, "state = 'unknown' AND due IS NULL")
	}
	if len(where) == 0 {
		return "TRUE", nil
	}
	return strings.Join(where, " AND "), args
}

// List returns the newest texts that match, and how many there are in all.
func (o *Outbox) List(tx *storage.Tx, f Filter) ([]Message, int, error) {
	where, args := f.where(o)
	total, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms WHERE `+where, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list texts: %w", err)
	}
	if f.Limit == 0 {
		f.Limit = 50
	}
	args = append(args, f.Limit, f.Offset)
	list, err := storage.All(tx, o.scan, fmt.Sprintf(`SELECT %s FROM sms WHERE %s ORDER BY created_at DESC, id DESC LIMIT $%d OFFSET $%d`,
		columns, where, len(args)-1, len(args)), args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list texts: %w", err)
	}
	return list, total, nil
}

// Get returns one text, or storage.ErrNotFound.
func (o *Outbox) Get(tx *storage.Tx, id string) (Message, error) {
	m, err := storage.One(tx, o.scan, `SELECT `+columns+` FROM sms WHERE id = $1`, id)
	if err != nil {
		return m, fmt.Errorf("text %s: %w", id, err)
	}
	return m, nil
}

// States returns the state of every text of a campaign by its id.
func States(tx *storage.Tx, campaign string) (map[string]State, error) {
	type pair struct {
		id    string
		state State
	}
	all, err := storage.All(tx, func(r storage.Row) (p pair, err error) { return p, r.Scan(&p.id, &p.state) },
		`SELECT id, state FROM sms WHERE campaign = $1`, campaign)
	if err != nil {
		return nil, fmt.Errorf("states of campaign %s: %w", campaign, err)
	}
	out := make(map[string]State, len(all))
	for _, p := range all {
		out[p.id] = p.state
	}
	return out, nil
}

// Settle is a person's word on a text that nothing else could settle: Delivered or Failed ends it, Queued sends it
// again, which may put it on the handset a second time. It returns storage.ErrConflict for a text that is not unknown.
func (o *Outbox) Settle(tx *storage.Tx, id string, to State, by, reason string) error {
	if !slices.Contains([]State{Delivered, Failed, Queued}, to) {
		return fmt.Errorf("settle text %s: cannot make it %s", id, to)
	}
	now := o.now()
	var due, done storage.Time
	notAfter := storage.Time{}
	if to == Queued {
		due, notAfter = storage.At(o.Next(now)), storage.At(o.Next(now).Add(24*time.Hour))
		tx.After(o.Wake)
	} else {
		done = storage.At(now)
	}
	n, err := tx.Exec(`UPDATE sms SET state = $2, due = $3, done_at = $4, reason = $5, not_after = COALESCE($6, not_after)
		WHERE id = $1 AND state = 'unknown'`, id, string(to), due, done, reason, notAfter)
	if err != nil {
		return fmt.Errorf("settle text %s: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("settle text %s: it is not unknown: %w", id, storage.ErrConflict)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "sms/" + id, Type: "sms.settled", Actor: by, At: now, Payload: map[string]string{"to": string(to), "reason": reason}})
	return err
}

// Health is how the outbox stands.
type Health struct {
	States  map[State]int     // texts of the last two days by state
	Due     int               // waiting although they are due
	Oldest  time.Duration     // how long the first of them has been due
	Stuck   int               // unknown, waiting for a receipt or a person
	Trouble map[string]string // carriers that are left alone, and why
	Unread  int               // replies that are stored but could not be processed yet
}

// Health counts.
func (o *Outbox) Health(ctx context.Context) (Health, error) {
	o.init()
	now := o.now()
	h := Health{States: map[State]int{}, Trouble: map[string]string{}}
	for name, l := range o.lines {
		l.mu.Lock()
		if l.trouble != "" {
			h.Trouble[name] = l.trouble
		}
		l.mu.Unlock()
	}
	type count struct {
		state State
		n     int
	}
	err := o.DB.View(ctx, func(tx *storage.Tx) error {
		all, err := storage.All(tx, func(r storage.Row) (c count, err error) { return c, r.Scan(&c.state, &c.n) },
			`SELECT state, COUNT(*) FROM sms WHERE created_at >= $1 GROUP BY state`, storage.At(now.Add(-48*time.Hour)))
		if err != nil {
			return err
		}
		for _, c := range all {
			h.States[c.state] = c.n
		}
		var oldest storage.Time
		if _, err = storage.One(tx, func(r storage.Row) (int, error) { return 0, r.Scan(&h.Due, &oldest) },
			`SELECT COUNT(*), MIN(due) FROM sms WHERE state = 'queued' AND due <= $1`, storage.At(now)); err != nil {
			return err
		}
		if !oldest.IsZero() {
			h.Oldest = now.Sub(oldest.Time)
		}
		if h.Stuck, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms WHERE state = 'unknown' AND due IS NULL`); err != nil {
			return err
		}
		h.Unread, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms_inbound_work WHERE done_at IS NULL`)
		return err
	})
	if err != nil {
		return h, fmt.Errorf("health of the outbox: %w", err)
	}
	return h, nil
}
