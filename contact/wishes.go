package contact

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// Scopes of opt-outs and shields. ScopeAll covers every other one.
const (
	ScopeAll      = "all"      // anything that we start ourselves
	ScopeSurvey   = "survey"   // rating texts
	ScopePoll     = "poll"     // polls and panels
	ScopeCallback = "callback" // calls back after a rating
)

// An OptOut says where somebody asked us to stop.
type OptOut struct {
	Scope    string    // ScopeSurvey …; blank is ScopeAll
	Source   string    // how it came: "sms", "hotline", "window"
	Evidence string    // id of the text, call or record in which it was said
	At       time.Time // when it was said; zero is now
	By       string    // actor for the audit log; blank is the person
}

// OptOut enters that the person with this number wants no more of Scope. It
// is kept for good: in the ledger by keyed hash, whatever happens to the
// person's row. Asking twice is entered twice.
func (b *Book) OptOut(tx *storage.Tx, phone Phone, o OptOut) error {
	return b.optEntry(tx, phone, o, false)
}

// OptIn enters that a person who had opted out asked, by word of their own,
// to be let in again; Evidence is required.
func (b *Book) OptIn(tx *storage.Tx, phone Phone, o OptOut) error {
	if strings.TrimSpace(o.Evidence) == "" {
		return errors.New("opt in again: evidence is required")
	}
	return b.optEntry(tx, phone, o, true)
}

func (b *Book) optEntry(tx *storage.Tx, phone Phone, o OptOut, back bool) error {
	what, event := "opt out", "contact.opted_out"
	if back {
		what, event = "opt in again", "contact.opted_in"
	}
	if o.Scope == "" {
		o.Scope = ScopeAll
	}
	p, hash, err := b.locked(tx, phone)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	b.fill(&o.At, &o.By, p)
	_, err = tx.Exec(`INSERT INTO contact_optout (phone_hash, seq, scope, back, source, evidence, at)
		VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM contact_optout WHERE phone_hash = $1), $2, $3, $4, $5, $6)`,
		hash, o.Scope, back, o.Source, o.Evidence, storage.At(o.At))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: event, Actor: o.By, At: b.now(), Payload: struct {
			Scope    string `json:"scope"`
			Source   string `json:"source"`
			Evidence string `json:"evidence"`
		}{o.Scope, o.Source, o.Evidence}})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// OptedOut reports whether the person with this number wants no more of
// scope, by an opt-out of that scope or of ScopeAll.
func (b *Book) OptedOut(tx *storage.Tx, phone Phone, scope string) (bool, error) {
	type entry struct {
		scope string
		back  bool
	}
	entries, err := storage.All(tx, func(r storage.Row) (e entry, err error) { return e, r.Scan(&e.scope, &e.back) },
		`SELECT scope, back FROM contact_optout WHERE phone_hash = $1 AND scope IN ($2, $3) ORDER BY seq`,
		b.Vault.HashPhone(phone), scope, ScopeAll)
	if err != nil {
		return false, fmt.Errorf("look up opt-outs: %w", err)
	}
	out := map[string]bool{}
	for _, e := range entries {
		out[e.scope] = !e.back
	}
	return out[scope] || out[ScopeAll], nil
}

// A Shield is a number that the centre itself leaves alone for a time: a
// victim, a hoax caller's victim, somebody in mourning (免打扰).
type Shield struct {
	ID     string
	Scope  string    // blank is ScopeAll
	Reason string    // required; goes into the audit log, so no names
	By     string    // actor, required
	At     time.Time // zero is now
	Until  time.Time // first moment at which it no longer holds; zero: until lifted
}

// Shield enters a number and returns the id of the entry.
func (b *Book) Shield(tx *storage.Tx, phone Phone, s Shield) (string, error) {
	if strings.TrimSpace(s.Reason) == "" {
		return "", fmt.Errorf("shield a number: %w", ErrNoReason)
	}
	if s.Scope == "" {
		s.Scope = ScopeAll
	}
	p, err := b.Ensure(tx, phone, "")
	if err != nil {
		return "", fmt.Errorf("shield a number: %w", err)
	}
	b.fill(&s.At, &s.By, p)
	s.ID = storage.NewID()
	_, err = tx.Exec(`INSERT INTO contact_shield (id, phone_hash, scope, reason, by_actor, at, until) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		s.ID, b.Vault.HashPhone(phone), s.Scope, s.Reason, s.By, storage.At(s.At), storage.At(s.Until))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: "contact.shielded", Actor: s.By, At: b.now(),
			Payload: shieldFacts(s)})
	}
	if err != nil {
		return "", fmt.Errorf("shield a number: %w", err)
	}
	return s.ID, nil
}

func shieldFacts(s Shield) any {
	facts := map[string]string{"shield": s.ID, "scope": s.Scope, "reason": s.Reason}
	if !s.Until.IsZero() {
		facts["until"] = s.Until.UTC().Format(time.RFC3339)
	}
	return facts
}

// Shielded returns the entry in force that keeps scope away from this number,
// and whether there is one.
func (b *Book) Shielded(tx *storage.Tx, phone Phone, scope string) (Shield, bool, error) {
	s, err := storage.One(tx, func(r storage.Row) (s Shield, err error) {
		var at, until storage.Time
		err = r.Scan(&s.ID, &s.Scope, &s.Reason, &s.By, &at, &until)
		s.At, s.Until = at.Time, until.Time
		return s, err
	}, `SELECT id, scope, reason, by_actor, at, until FROM contact_shield
		WHERE phone_hash = $1 AND scope IN ($2, $3) AND lifted IS NULL AND at <= $4 AND (until IS NULL OR until > $4)
		ORDER BY at DESC, id DESC LIMIT 1`, b.Vault.HashPhone(phone), scope, ScopeAll, storage.At(b.now()))
	if errors.Is(err, storage.ErrNotFound) {
		return Shield{}, false, nil
	}
	if err != nil {
		return Shield{}, false, fmt.Errorf("look up shields: %w", err)
	}
	return s, true, nil
}

// Unshield ends an entry before its time. It returns storage.ErrNotFound when
// there is none in force with this id.
func (b *Book) Unshield(tx *storage.Tx, id, by, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("lift shield %s: %w", id, ErrNoReason)
	}
	now := b.now()
	hash, err := storage.One(tx, storage.Value[string],
		`UPDATE contact_shield SET lifted = $2 WHERE id = $1 AND lifted IS NULL RETURNING phone_hash`, id, storage.At(now))
	if err != nil {
		return fmt.Errorf("lift shield %s: %w", id, err)
	}
	person, err := storage.One(tx, storage.Value[string], `SELECT id FROM contact WHERE phone_hash = $1`, hash)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(person), Type: "contact.unshielded", Actor: by, At: now,
			Payload: map[string]string{"shield": id, "reason": reason}})
	}
	if err != nil {
		return fmt.Errorf("lift shield %s: %w", id, err)
	}
	return nil
}

// A Consent is what somebody agreed to, or took back.
type Consent struct {
	Purpose  string    // "sms-rating", "recording"
	Given    bool      // false: taken back
	Source   string    // "window", "hotline", "import"
	Evidence string    // id of the record in which it was said
	At       time.Time // when it was said; zero is now
	By       string    // actor for the audit log; blank is the person
}

// Consent enters what the person with this number agreed to or took back.
func (b *Book) Consent(tx *storage.Tx, phone Phone, c Consent) error {
	if c.Purpose == "" {
		return errors.New("enter a consent: a purpose is required")
	}
	p, hash, err := b.locked(tx, phone)
	if err != nil {
		return fmt.Errorf("enter a consent: %w", err)
	}
	b.fill(&c.At, &c.By, p)
	_, err = tx.Exec(`INSERT INTO contact_consent (phone_hash, seq, purpose, given, source, evidence, at)
		VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM contact_consent WHERE phone_hash = $1), $2, $3, $4, $5, $6)`,
		hash, c.Purpose, c.Given, c.Source, c.Evidence, storage.At(c.At))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(p.ID), Type: "contact.consent", Actor: c.By, At: b.now(), Payload: map[string]any{
			"purpose": c.Purpose, "given": c.Given, "source": c.Source, "evidence": c.Evidence}})
	}
	if err != nil {
		return fmt.Errorf("enter a consent: %w", err)
	}
	return nil
}

// Consented returns what was last said about a purpose, and whether anything
// was ever said: silence is neither consent nor its refusal.
func (b *Book) Consented(tx *storage.Tx, phone Phone, purpose string) (Consent, bool, error) {
	c, err := storage.One(tx, func(r storage.Row) (c Consent, err error) {
		var at storage.Time
		err = r.Scan(&c.Purpose, &c.Given, &c.Source, &c.Evidence, &at)
		c.At = at.Time
		return c, err
	}, `SELECT purpose, given, source, evidence, at FROM contact_consent WHERE phone_hash = $1 AND purpose = $2
		ORDER BY seq DESC LIMIT 1`, b.Vault.HashPhone(phone), purpose)
	if errors.Is(err, storage.ErrNotFound) {
		return Consent{}, false, nil
	}
	if err != nil {
		return Consent{}, false, fmt.Errorf("look up consent: %w", err)
	}
	return c, true, nil
}

// locked returns the person with this number, with the row locked so that
// the ledger entries of one number are numbered one after the other.
func (b *Book) locked(tx *storage.Tx, phone Phone) (Person, string, error) {
	p, err := b.Ensure(tx, phone, "")
	if err != nil {
		return Person{}, "", err
	}
	hash := b.Vault.HashPhone(phone)
	_, err = storage.One(tx, storage.Value[string], `SELECT id FROM contact WHERE phone_hash = $1 `+tx.ForUpdate(), hash)
	return p, hash, err
}

// fill puts the present time and the person where nothing is given.
func (b *Book) fill(at *time.Time, by *string, p Person) {
	if at.IsZero() {
		*at = b.now()
	}
	if *by == "" {
		*by = "citizen/" + p.ID
	}
}
