package contact

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// FlagState is where a mark stands.
type FlagState string

// States of a mark.
const (
	FlagProposed FlagState = "proposed"
	FlagRefused  FlagState = "refused"
	FlagInForce  FlagState = "in_force"
	FlagExpired  FlagState = "expired"
	FlagLifted   FlagState = "lifted"
)

// Label is the state for staff (zh-CN).
func (s FlagState) Label() string {
	return map[FlagState]string{FlagProposed: "待批准", FlagRefused: "未批准", FlagInForce: "生效中", FlagExpired: "已到期", FlagLifted: "已取消"}[s]
}

// Nuisance is the mark of numbers on the list of nuisance callers. It comes from that list (ivr.Blocks) and is never put by hand.
const Nuisance = "nuisance"

// KnownFlags are marks that have a name for staff (zh-CN); flows may ask for any other word as well.
var KnownFlags = []struct{ Flag, Label string }{
	{"vip", "优先接入"}, {"protected", "受保护人员"}, {"special-needs", "听说不便或年长"}, {"lang-ko", "朝鲜语"}, {"lang-en", "英语"}, {"repeat", "多次来电"},
}

// FlagLabel is a mark for staff (zh-CN); the word itself where it has no name.
func FlagLabel(flag string) string {
	if flag == Nuisance {
		return "骚扰来电"
	}
	for _, k := range KnownFlags {
		if k.Flag == flag {
			return k.Label
		}
	}
	return flag
}

// MostFlagDays is how long a mark may be asked for at most: what a number is for changes within years.
const MostFlagDays = 730

// FlagEntry is one mark with its history.
type FlagEntry struct {
	Flag
	Person    Person // whose number; zero once they are anonymised
	Days      int    // asked for
	DecidedBy string
	DecidedAt time.Time
	LiftedBy  string
	LiftedAt  time.Time
	LiftedWhy string

	state FlagState // of the row
}

// State is where the mark stands at a time.
func (f FlagEntry) State(now time.Time) FlagState {
	switch {
	case !f.LiftedAt.IsZero():
		return FlagLifted
	case f.state != FlagInForce:
		return f.state
	case !f.Until.IsZero() && !now.Before(f.Until):
		return FlagExpired
	}
	return FlagInForce
}

var (
	// ErrFlagged is returned for a mark that the number has, or that is proposed for it, already.
	ErrFlagged = errors.New("the number has this mark already")
	// ErrSamePerson is returned to who would approve what they have proposed.
	ErrSamePerson = errors.New("nobody approves what they have proposed")
	// ErrDecided is returned for a mark that waits for nobody any more.
	ErrDecided = errors.New("the mark is decided already")
	// ErrFlagDays is returned for a time that a mark cannot have.
	ErrFlagDays = fmt.Errorf("a mark holds for 1 to %d days", MostFlagDays)
)

const flagColumns = `f.id, f.flag, f.reason, f.by_actor, f.at, f.until, f.state, f.days, f.decided_by, f.decided_at, f.lifted, f.lifted_by, f.lifted_why, COALESCE(c.id, '')`

func (b *Book) scanFlag(r storage.Row) (f FlagEntry, err error) {
	var at, until, decided, lifted storage.Time
	err = r.Scan(&f.ID, &f.Flag.Flag, &f.Reason, &f.By, &at, &until, &f.state, &f.Days, &f.DecidedBy, &decided, &lifted, &f.LiftedBy, &f.LiftedWhy, &f.Person.ID)
	f.At, f.Until, f.DecidedAt, f.LiftedAt = at.Time, until.Time, decided.Time, lifted.Time
	return f, err
}

// FlagEntries lists marks and proposals, those that wait first, then the latest.
func (b *Book) FlagEntries(tx *storage.Tx, limit int) ([]FlagEntry, error) {
	list, err := storage.All(tx, b.scanFlag, `SELECT `+flagColumns+` FROM contact_flag f LEFT JOIN contact c ON c.phone_hash = f.phone_hash
		ORDER BY CASE WHEN f.state = 'proposed' AND f.lifted IS NULL THEN 0 ELSE 1 END, f.at DESC, f.id LIMIT $1`, limit)
	for i := range list {
		if err == nil && list[i].Person.ID != "" {
			list[i].Person, err = b.Get(tx, list[i].Person.ID)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list marks: %w", err)
	}
	return list, nil
}

// FlagEntry returns one mark, or storage.ErrNotFound.
func (b *Book) FlagEntry(tx *storage.Tx, id string) (FlagEntry, error) {
	f, err := storage.One(tx, b.scanFlag, `SELECT `+flagColumns+` FROM contact_flag f LEFT JOIN contact c ON c.phone_hash = f.phone_hash WHERE f.id = $1 `, id)
	if err == nil && f.Person.ID != "" {
		f.Person, err = b.Get(tx, f.Person.ID)
	}
	if err != nil {
		return f, fmt.Errorf("mark %s: %w", id, err)
	}
	return f, nil
}

// ProposeFlag asks for a mark on a number for some days; it holds once another person has approved it.
func (b *Book) ProposeFlag(tx *storage.Tx, phone Phone, flag, reason string, days int, by string) (FlagEntry, error) {
	fail := func(err error) (FlagEntry, error) { return FlagEntry{}, fmt.Errorf("propose a mark: %w", err) }
	reason = strings.TrimSpace(reason)
	switch {
	case !flagForm.MatchString(flag), flag == Nuisance:
		return fail(ErrFlag)
	case reason == "":
		return fail(ErrNoReason)
	case days < 1 || days > MostFlagDays:
		return fail(ErrFlagDays)
	}
	p, err := b.Ensure(tx, phone, "")
	if err != nil {
		return fail(err)
	}
	now := b.now()
	open, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM contact_flag WHERE phone_hash = $1 AND flag = $2 AND lifted IS NULL
		AND (state = 'proposed' OR state = 'in_force' AND (until IS NULL OR until > $3))`, b.Vault.HashPhone(phone), flag, storage.At(now))
	if err != nil {
		return fail(err)
	}
	if open > 0 {
		return fail(ErrFlagged)
	}
	id := storage.NewID()
	if _, err := tx.Exec(`INSERT INTO contact_flag (id, phone_hash, flag, reason, by_actor, at, state, days) VALUES ($1, $2, $3, $4, $5, $6, 'proposed', $7)`,
		id, b.Vault.HashPhone(phone), flag, reason, by, storage.At(now), days); err != nil {
		return fail(err)
	}
	if _, err := audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: "contact.flag_proposed", Actor: by, At: now,
		Payload: map[string]any{"flag": flag, "entry": id, "reason": reason, "days": days}}); err != nil {
		return fail(err)
	}
	return b.FlagEntry(tx, id)
}

// DecideFlag approves or refuses a mark that somebody else has proposed. Its days begin with the approval.
func (b *Book) DecideFlag(tx *storage.Tx, id string, approve bool, by string) (FlagEntry, error) {
	f, err := b.FlagEntry(tx, id)
	now := b.now()
	switch {
	case err != nil:
	case f.State(now) != FlagProposed:
		err = ErrDecided
	case f.By == by:
		err = ErrSamePerson
	}
	state, until := "refused", storage.Time{}
	if approve {
		state, until = "in_force", storage.At(now.AddDate(0, 0, f.Days))
	}
	var n int64
	if err == nil {
		n, err = tx.Exec(`UPDATE contact_flag SET state = $2, until = $3, decided_by = $4, decided_at = $5 WHERE id = $1 AND state = 'proposed' AND lifted IS NULL`, id, state, until, by, storage.At(now))
	}
	if err == nil && n == 0 {
		err = ErrDecided
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(f.Person.ID), Type: "contact.flag_decided", Actor: by, At: now, Payload: map[string]any{"flag": f.Flag.Flag, "entry": id, "approved": approve}})
	}
	if err != nil {
		return f, fmt.Errorf("decide on a mark: %w", err)
	}
	return b.FlagEntry(tx, id)
}

// LiftFlag takes one mark off, or takes a proposal back.
func (b *Book) LiftFlag(tx *storage.Tx, id, by, reason string) error {
	reason = strings.TrimSpace(reason)
	f, err := b.FlagEntry(tx, id)
	now := b.now()
	if s := f.State(now); err == nil && s != FlagProposed && s != FlagInForce {
		err = ErrDecided
	}
	if err == nil && reason == "" {
		err = ErrNoReason
	}
	if err == nil {
		_, err = tx.Exec(`UPDATE contact_flag SET lifted = $2, lifted_by = $3, lifted_why = $4 WHERE id = $1 AND lifted IS NULL`, id, storage.At(now), by, reason)
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(f.Person.ID), Type: "contact.unflagged", Actor: by, At: now, Payload: map[string]string{"flag": f.Flag.Flag, "entry": id, "reason": reason}})
	}
	if err != nil {
		return fmt.Errorf("lift a mark: %w", err)
	}
	return nil
}
