package survey

import (
	"encoding/json"
	"slices"

	"lianxin/storage"
)

func (p *parsed) key() recordKey { return recordKey{p.rec.Class, p.rec.SourceID} }

// recordKey names a record for those who sent it.
type recordKey struct{ class, source string }

// distinct cuts lines into parts, of at most 256, in none of which a record stands twice: a line that corrects one of the same
// file must find it.
func distinct(lines []parsed) (parts [][]parsed) {
	seen := map[recordKey]bool{}
	start := 0
	for i := range lines {
		if lines[i].line.Outcome == Refused {
			continue
		}
		if k := lines[i].key(); seen[k] || i-start == 256 {
			parts = append(parts, lines[start:i])
			start, seen = i, map[recordKey]bool{k: true}
		} else {
			seen[k] = true
		}
	}
	return append(parts, lines[start:])
}

// known is what is known of a record that a line is about.
type known struct {
	id, digest string
	revision   int
}

// lookUp finds the records of lines that came before.
func (im *importer) lookUp(tx *storage.Tx, lines []parsed) (map[recordKey]known, error) {
	var keys [][]any
	for _, p := range lines {
		if p.line.Outcome != Refused {
			keys = append(keys, []any{p.rec.Class, p.rec.SourceID})
		}
	}
	ids, err := storage.Look(tx, storage.Value[string], keys, []string{"TEXT", "TEXT"},
		`SELECT COALESCE((SELECT r.id FROM survey_record r WHERE r.class = v.c1 AND r.source_id = v.c2), '') FROM v`)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	old := map[recordKey]known{}
	for part := range slices.Chunk(ids, 256) {
		list, args := storage.In(nil, part)
		_, err := storage.All(tx, func(r storage.Row) (struct{}, error) {
			var key recordKey
			var k known
			err := r.Scan(&key.class, &key.source, &k.id, &k.digest, &k.revision)
			old[key] = k
			return struct{}{}, err
		}, `SELECT class, source_id, id, digest, revision FROM survey_record WHERE id IN (`+list+`) `+im.lock(tx), args...)
		if err != nil {
			return nil, err
		}
	}
	return old, nil
}

// putAll enters the records of some distinct lines, or finds that they are known.
func (im *importer) putAll(tx *storage.Tx, lines []parsed) error {
	old, err := im.lookUp(tx, lines)
	if err != nil {
		return err
	}
	fresh := map[string]*parsed{} // by the id of the new record
	var rows [][]any
	for i := range lines {
		p := &lines[i]
		if p.line.Outcome == Refused {
			continue
		}
		was, there := old[p.key()]
		digest, seen := im.seen[p.key()]
		switch {
		case seen && digest == p.digest, !seen && there && was.digest == p.digest:
			p.line.Outcome = Known
		case seen || there:
			p.line.Outcome = Corrected
		default:
			p.line.Outcome = Accepted
		}
		switch {
		case im.opt.DryRun:
			im.seen[p.key()] = p.digest
		case p.line.Outcome == Corrected:
			err = im.correct(tx, p, was)
		case p.line.Outcome == Accepted:
			id := storage.NewID()
			fresh[id] = p
			var row []any
			row, err = im.row(id, p)
			rows = append(rows, row)
		}
		if err != nil {
			return err
		}
	}
	entered, err := storage.Inserted(tx, storage.Value[string], `INSERT INTO survey_record (id, class, source_id, digest, revision, service_at, service_day, unit, matter, mark,
		phone_hash, phone_error, person, import_id, line, imported_at, window_no, clerk_no)`, rows, `ON CONFLICT (class, source_id) DO NOTHING RETURNING id`)
	if err != nil {
		return err
	}
	for _, id := range entered {
		delete(fresh, id)
	}
	for _, p := range fresh {
		p.line.Outcome = Known // another import has just entered it
	}
	return nil
}

// row is a new record as it stands in the database.
func (im *importer) row(id string, p *parsed) ([]any, error) {
	who, err := json.Marshal(p.person)
	if err != nil {
		return nil, err
	}
	return []any{id, p.rec.Class, p.rec.SourceID, p.digest, 1, storage.At(p.rec.ServiceAt), p.rec.ServiceDay, p.rec.Unit, p.rec.Matter, p.rec.Mark,
		p.phoneHash, p.phoneErr, im.s.Book.Vault.For("survey.person").Seal(string(who)), im.out.ID, p.line.Number, storage.At(im.s.now()), p.rec.Window, p.rec.Clerk}, nil
}

// correct replaces what a record says, and keeps what it said.
func (im *importer) correct(tx *storage.Tx, p *parsed, was known) error {
	if err := im.keepVersion(tx, was.id); err != nil {
		return err
	}
	who, err := json.Marshal(p.person)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE survey_record SET digest = $2, revision = $3, service_at = $4, service_day = $5, unit = $6, matter = $7, mark = $8,
			phone_hash = $9, phone_error = $10, person = $11, import_id = $12, line = $13, imported_at = $14, window_no = $15, clerk_no = $16 WHERE id = $1`,
		was.id, p.digest, was.revision+1, storage.At(p.rec.ServiceAt), p.rec.ServiceDay, p.rec.Unit, p.rec.Matter, p.rec.Mark,
		p.phoneHash, p.phoneErr, im.s.Book.Vault.For("survey.person").Seal(string(who)), im.out.ID, p.line.Number, storage.At(im.s.now()), p.rec.Window, p.rec.Clerk)
	return err
}

func (im *importer) lock(tx *storage.Tx) string {
	if im.opt.DryRun {
		return ""
	}
	return tx.ForUpdate()
}

// keepVersion copies what a record says now to its history.
func (im *importer) keepVersion(tx *storage.Tx, id string) error {
	r, err := im.s.Record(tx, id)
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Record Record
		Person *person
	}{r, r.person})
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO survey_record_version (record_id, revision, digest, body, import_id, imported_at)
		SELECT id, revision, digest, $2, import_id, imported_at FROM survey_record WHERE id = $1`,
		id, im.s.Book.Vault.For("survey.person").Seal(string(body)))
	return err
}
