package survey

import (
	"encoding/json"
	"fmt"
	"time"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/workday"
)

// Record is one service rendered (业务记录).
type Record struct {
	ID         string        `json:"id,omitempty"`
	Class      string        `json:"class"`
	SourceID   string        `json:"source"`
	ServiceAt  time.Time     `json:"at"`
	ServiceDay workday.Day   `json:"-"`
	Unit       string        `json:"unit"` // unit id, "" when the source named none that we know
	Matter     string        `json:"matter"`
	Mark       string        `json:"mark"`
	Window     string        `json:"window,omitempty"` // number of the window, "" when the source tells none
	Clerk      string        `json:"clerk,omitempty"`  // number of the clerk, never a name
	Revision   int           `json:"-"`                // 1, and one more with each correction
	Name       contact.Name  `json:"-"`                // masked wherever it is shown
	Phone      contact.Phone `json:"-"`                // zero when it cannot be texted
	PhoneError string        `json:"-"`                // why not: code of a contact.NumberError
	ImportID   string        `json:"-"`
	Line       int           `json:"-"`
	ImportedAt time.Time     `json:"-"`

	phoneHash string
	person    *person // a pointer, so that no printed Record shows what is in it
}

const recordColumns = `r.id, r.class, r.source_id, r.revision, r.service_at, r.service_day, r.unit, r.matter, r.mark, r.phone_hash, r.phone_error, r.person, r.import_id, r.line, r.imported_at, r.window_no, r.clerk_no`

// recordFields are where a row's recordColumns are read to; finish completes the record afterwards.
func (s *Survey) recordFields(r *Record) (dest []any, finish func() error) {
	var at, imported storage.Time
	var sealed []byte
	dest = []any{&r.ID, &r.Class, &r.SourceID, &r.Revision, &at, &r.ServiceDay, &r.Unit, &r.Matter, &r.Mark, &r.phoneHash, &r.PhoneError, &sealed, &r.ImportID, &r.Line, &imported, &r.Window, &r.Clerk}
	return dest, func() error {
		r.ServiceAt, r.ImportedAt = at.In(workday.Zone), imported.Time
		text, err := s.Book.Vault.For("survey.person").Open(sealed)
		if err != nil {
			return fmt.Errorf("record %s: %w", r.ID, err)
		}
		r.person = &person{}
		if err := json.Unmarshal([]byte(text), r.person); err != nil {
			return fmt.Errorf("record %s: %w", r.ID, err)
		}
		r.Name = contact.NameOf(r.person.Name)
		if r.PhoneError == "" {
			if r.Phone, err = contact.ParseMobile(r.person.Phone); err != nil {
				return fmt.Errorf("record %s: %w", r.ID, err)
			}
		}
		return nil
	}
}

func (s *Survey) scanRecord(row storage.Row) (r Record, err error) {
	dest, finish := s.recordFields(&r)
	if err := row.Scan(dest...); err != nil {
		return r, err
	}
	return r, finish()
}

// Record returns one record, or storage.ErrNotFound.
func (s *Survey) Record(tx *storage.Tx, id string) (Record, error) {
	r, err := storage.One(tx, s.scanRecord, `SELECT `+recordColumns+` FROM survey_record r WHERE r.id = $1`, id)
	if err != nil {
		return r, fmt.Errorf("record %s: %w", id, err)
	}
	return r, nil
}

// Import is one file that was read.
type Import struct {
	ID, Name, By                               string
	At                                         time.Time
	Lines, Accepted, Known, Corrected, Refused int
}

// Imports lists the files that were read, the last one first.
func Imports(tx *storage.Tx, limit int) ([]Import, error) {
	return storage.All(tx, func(r storage.Row) (i Import, err error) {
		var at storage.Time
		err = r.Scan(&i.ID, &i.Name, &i.By, &at, &i.Lines, &i.Accepted, &i.Known, &i.Corrected, &i.Refused)
		i.At = at.Time
		return i, err
	}, `SELECT id, name, actor, at, lines, accepted, known, corrected, refused FROM survey_import ORDER BY at DESC, id DESC LIMIT $1`, limit)
}
