package contact

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"lianxin/audit"
	"lianxin/storage"
)

// Purposes under which mail addresses and identity numbers are sealed.
const (
	mailPurpose     = "contact.mail"
	identityPurpose = "contact.identity"
)

// ErrBadMail and ErrBadIdentity are returned for what is no mail address or no identity number. They never hold the text.
var (
	ErrBadMail     = errors.New("no mail address")
	ErrBadIdentity = errors.New("no identity number: 18 characters with a right check character are needed")
)

// Who is a person as somebody told us: any of it may be missing, not all.
type Who struct {
	Phone    Phone
	Mail     string // an address as RFC 5322 has it, without the display name
	Identity string // number of the identity card (GB 11643)
	Name     string
}

// ParseMail gives a mail address as it is looked up: in lower case.
func ParseMail(s string) (string, error) {
	a, err := mail.ParseAddress(strings.TrimSpace(s))
	if err != nil || len(a.Address) > 254 {
		return "", ErrBadMail
	}
	return strings.ToLower(a.Address), nil
}

// ParseIdentity checks an identity number of 18 characters by its check character (ISO 7064 MOD 11-2, GB 11643).
func ParseIdentity(s string) (string, error) {
	s = strings.ToUpper(wide.Replace(strings.Join(strings.Fields(s), "")))
	if len(s) != 18 {
		return "", ErrBadIdentity
	}
	sum, weight := 0, [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	for i, w := range weight {
		if s[i] < '0' || s[i] > '9' {
			return "", ErrBadIdentity
		}
		sum += int(s[i]-'0') * w
	}
	if s[17] != "10X98765432"[sum%11] {
		return "", ErrBadIdentity
	}
	return s, nil
}

// Enter returns the person that who tells of, and enters one when there is none: by the number, else by the mail address,
// else by the identity number. What is known of them is added where it is missing, and never replaces anything. It
// returns ErrNoNumber when there is nothing to know a person by.
func (b *Book) Enter(tx *storage.Tx, who Who) (Person, error) {
	var address, identity string
	var err error
	if who.Mail != "" {
		if address, err = ParseMail(who.Mail); err != nil {
			return Person{}, fmt.Errorf("enter a person: %w", err)
		}
	}
	if who.Identity != "" {
		if identity, err = ParseIdentity(who.Identity); err != nil {
			return Person{}, fmt.Errorf("enter a person: %w", err)
		}
	}
	var p Person
	switch {
	case !who.Phone.IsZero():
		p, err = b.Ensure(tx, who.Phone, who.Name)
	case address != "":
		p, err = b.enterBy(tx, "email_hash", b.Vault.For(mailPurpose).Hash(address), who.Name)
	case identity != "":
		p, err = b.enterBy(tx, "identity_hash", b.Vault.For(identityPurpose).Hash(identity), who.Name)
	default:
		return Person{}, fmt.Errorf("enter a person: %w", ErrNoNumber)
	}
	if err != nil {
		return p, err
	}
	if address != "" {
		box := b.Vault.For(mailPurpose)
		// An address that another person has already stays with that one.
		_, err = tx.Exec(`UPDATE contact SET email_hash = $2, email_sealed = $3 WHERE id = $1 AND email_sealed IS NULL
			AND NOT EXISTS (SELECT 1 FROM contact c WHERE c.email_hash = $2 AND c.id <> $1)`, p.ID, box.Hash(address), box.Seal(address))
	}
	if err == nil && identity != "" {
		box := b.Vault.For(identityPurpose)
		_, err = tx.Exec(`UPDATE contact SET identity_hash = $2, identity_sealed = $3 WHERE id = $1 AND identity_sealed IS NULL`, p.ID, box.Hash(identity), box.Seal(identity))
	}
	if err != nil {
		return Person{}, fmt.Errorf("enter a person: %w", err)
	}
	return p, nil
}

// enterBy returns the person with this hash in a column, and makes one when there is none.
func (b *Book) enterBy(tx *storage.Tx, column, hash, name string) (Person, error) {
	p, err := storage.One(tx, b.scan, selectPerson+` WHERE `+column+` = $1 ORDER BY id LIMIT 1`, hash)
	if err == nil || !errors.Is(err, storage.ErrNotFound) {
		return p, err
	}
	var sealed []byte
	if n := NameOf(name); !n.IsZero() {
		sealed = b.Vault.For(namePurpose).Seal(n.Clear())
	}
	id := storage.NewID()
	if _, err := tx.Exec(`INSERT INTO contact (id, name_sealed, created, changed, `+column+`) VALUES ($1, $2, $3, $3, $4)`,
		id, sealed, storage.At(b.now()), hash); err != nil {
		return Person{}, fmt.Errorf("enter a person: %w", err)
	}
	return b.Get(tx, id)
}

// FindBy returns the persons that a number, a mail address or an identity number belongs to; none is an empty list.
func (b *Book) FindBy(tx *storage.Tx, text string) ([]Person, error) {
	var column, hash string
	if id, err := ParseIdentity(text); err == nil {
		column, hash = "identity_hash", b.Vault.For(identityPurpose).Hash(id)
	} else if strings.Contains(text, "@") {
		a, err := ParseMail(text)
		if err != nil {
			return nil, err
		}
		column, hash = "email_hash", b.Vault.For(mailPurpose).Hash(a)
	} else {
		p, err := ParsePhone(text)
		if err != nil {
			return nil, err
		}
		column, hash = "phone_hash", b.Vault.HashPhone(p)
	}
	ps, err := storage.All(tx, b.scan, selectPerson+` WHERE `+column+` = $1 ORDER BY id`, hash)
	if err != nil {
		return nil, fmt.Errorf("find a person: %w", err)
	}
	return ps, nil
}

// Whole is everything that the book holds of a person, in the open. Reveal's rule holds for it: the caller enters into the
// log who reads it and why.
func (b *Book) Whole(tx *storage.Tx, id string) (Who, error) {
	p, err := b.Get(tx, id)
	if err != nil {
		return Who{}, err
	}
	type row struct{ mail, identity []byte }
	r, err := storage.One(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.mail, &x.identity) },
		`SELECT email_sealed, identity_sealed FROM contact WHERE id = $1`, id)
	if err != nil {
		return Who{}, fmt.Errorf("person %s: %w", id, err)
	}
	w := Who{Phone: p.Phone, Name: p.Name.Clear()}
	var err1, err2 error
	w.Mail, err1 = b.Vault.For(mailPurpose).Open(r.mail)
	w.Identity, err2 = b.Vault.For(identityPurpose).Open(r.identity)
	if err := errors.Join(err1, err2); err != nil {
		return Who{}, fmt.Errorf("person %s: %w", id, err)
	}
	return w, nil
}

// ErrTaken is returned by Correct when a number or address is another person's already.
var ErrTaken = errors.New("it belongs to another person already")

// Correct puts what the person says is right in the place of what we have: fields of who that are empty stay as they are.
// It enters into the log which of them changed, by whom and why, without a word of what they say.
func (b *Book) Correct(tx *storage.Tx, id string, who Who, by, because string) error {
	if _, err := b.Get(tx, id); err != nil {
		return fmt.Errorf("correct: %w", err)
	}
	var changed []string
	set := func(what, column, hash string, sealed []byte) error {
		query, args := `UPDATE contact SET `+column+`_sealed = $2, changed = $3`, []any{id, sealed, storage.At(b.now())}
		if hash != "" {
			n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM contact WHERE `+column+`_hash = $1 AND id <> $2`, hash, id)
			if err != nil {
				return err
			}
			if n > 0 {
				return fmt.Errorf("%s: %w", what, ErrTaken)
			}
			query, args = query+`, `+column+`_hash = $4`, append(args, hash)
		}
		if _, err := tx.Exec(query+` WHERE id = $1`, args...); err != nil {
			return err
		}
		changed = append(changed, what)
		return nil
	}
	var err error
	if n := NameOf(who.Name); !n.IsZero() {
		err = set("name", "name", "", b.Vault.For(namePurpose).Seal(n.Clear()))
	}
	if err == nil && !who.Phone.IsZero() {
		err = set("phone", "phone", b.Vault.HashPhone(who.Phone), b.Vault.For(phonePurpose).Seal(who.Phone.Clear()))
	}
	if err == nil && who.Mail != "" {
		var address string
		if address, err = ParseMail(who.Mail); err == nil {
			box := b.Vault.For(mailPurpose)
			err = set("mail", "email", box.Hash(address), box.Seal(address))
		}
	}
	if err == nil && len(changed) > 0 {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(id), Type: "contact.corrected", Actor: by, At: b.now(), Payload: map[string]any{"fields": changed, "because": because}})
	}
	if err != nil {
		return fmt.Errorf("correct person %s: %w", id, err)
	}
	return nil
}

// MaskedMail is a person's mail address as pages show it, "" when none is known.
func (b *Book) MaskedMail(tx *storage.Tx, id string) (string, error) {
	w, err := b.Whole(tx, id)
	if err != nil || w.Mail == "" {
		return "", err
	}
	return MaskMail(w.Mail), nil
}

// Anonymise takes number, name, address and identity number out of a person's row for good; the row stays, so that what
// belongs to one person still does. The ledgers of opt-outs and shields hang on the keyed hash of the number and stay:
// who asked us to stop is not asked again. It is entered into the log without a word about the person.
func (b *Book) Anonymise(tx *storage.Tx, id, by, because string) error {
	now := b.now()
	n, err := tx.Exec(`UPDATE contact SET phone_hash = NULL, phone_sealed = NULL, name_sealed = NULL, email_hash = NULL, email_sealed = NULL,
		identity_hash = NULL, identity_sealed = NULL, anonymised = $2, changed = $2 WHERE id = $1 AND anonymised IS NULL`, id, storage.At(now))
	if err == nil && n > 0 {
		_, err = audit.Append(tx, audit.Entry{Stream: Stream(id), Type: "contact.anonymised", Actor: by, At: now, Payload: map[string]string{"because": because}})
	}
	if err != nil {
		return fmt.Errorf("anonymise person %s: %w", id, err)
	}
	return nil
}
