package survey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/workday"
)

// ImportOptions say how a file is read.
type ImportOptions struct {
	Class  string     // class of the lines that tell none; one that tells another is refused
	DryRun bool       // tell what would happen and keep nothing
	By     string     // actor: "staff/…"; empty is "system"
	Line   func(Line) // called with every line in the order of the file; may be nil
}

// Outcomes of a line.
const (
	Accepted  = "accepted"  // a new record
	Known     = "known"     // the same line has come before
	Corrected = "corrected" // the record was known and now says something else; the old words are kept
	Refused   = "refused"   // no record can be made of it
)

// Line is what became of one line of a file.
type Line struct {
	Number   int    // in the file, from 1, the header counted
	Outcome  string // Accepted, Known, Corrected or Refused
	Code     string // why it was refused, or what is odd about it: "bad_class", "fixed_line"
	Reason   string // the same for staff (zh-CN)
	English  string // the same in English
	Class    string // code
	SourceID string // 业务流水号
}

// Imported is the result of Import. Accepted + Known + Corrected + Refused = Lines.
type Imported struct {
	ID        string
	Name      string
	Encoding  string // "UTF-8", "GB18030", "UTF-16" or "XLSX"
	Lines     int
	Accepted  int
	Known     int
	Corrected int
	Refused   int
	Odd       int    // of the accepted, known and corrected, those with a reservation
	Notable   []Line // refused and odd lines, the first 1000
}

// reasons are the codes of Line beside those of contact.NumberError, in both languages.
var reasons = map[string][2]string{
	"bad_class":    {"没有这个业务类别", "no such class of service"},
	"no_source_id": {"缺业务流水号", "the serial number is missing"},
	"long_id":      {"业务流水号过长", "the serial number is too long"},
	"bad_time":     {"办理时间无法识别", "the time cannot be read"},
	"future":       {"办理时间在将来", "the time is in the future"},
	"other_class":  {"业务类别与导入时指定的类别不一致", "the class is another than the one given for the import"},
	"broken_line":  {"行格式有误：引号不成对、位置不对，或字段内换行", "the line is malformed: a quotation mark without its pair or out of place, or a field that goes on in the next line"},
	"bad_encoding": {"编码与文件其他行不一致，或有乱码", "the line is in another encoding than the file, or garbled"},
	"too_long":     {"内容过长", "a field is too long"},
	"no_unit":      {"没有这个单位，不会发送", "no such unit; will not be asked about"},
	"bad_birth":    {"出生日期无法识别，按未填处理", "the date of birth cannot be read and is left out"},
}

// ErrHeader is what every HeaderError is.
var ErrHeader = errors.New("header")

// HeaderError says why a file has no header that can be used.
type HeaderError struct {
	Empty   bool     // there is nothing in the file
	Line    int      // that comes nearest to a header
	Broken  string   // code of why that line cannot be read
	Missing []string // columns that are needed
	Twice   string   // a column that is there two times
}

func (e *HeaderError) Error() string {
	switch {
	case e.Empty:
		return ErrHeader.Error() + ": the file is empty"
	case e.Broken != "":
		return fmt.Sprintf("%v: line %d: %s", ErrHeader, e.Line, reasons[e.Broken][1])
	case e.Twice != "":
		return fmt.Sprintf("%v: line %d has two columns %s", ErrHeader, e.Line, e.Twice)
	}
	return fmt.Sprintf("%v: line %d lacks %s", ErrHeader, e.Line, strings.Join(e.Missing, ", "))
}

// Unwrap returns ErrHeader.
func (e *HeaderError) Unwrap() error { return ErrHeader }

// Reason is the same for staff (zh-CN).
func (e *HeaderError) Reason() string {
	switch {
	case e.Empty:
		return "文件是空的"
	case e.Broken != "":
		return fmt.Sprintf("第%d行：%s", e.Line, reasons[e.Broken][0])
	case e.Twice != "":
		return fmt.Sprintf("表头（第%d行）有两列“%s”", e.Line, e.Twice)
	}
	return fmt.Sprintf("没有找到表头：最接近的是第%d行，缺少“%s”", e.Line, strings.Join(e.Missing, "”“"))
}

func (e *HeaderError) nearer(o *HeaderError) bool {
	if o.Broken != "" { // a header that cannot be read, unless this line is clearly one
		return e.Twice != "" || len(e.Missing) < 3
	}
	return o.Twice == "" && (e.Twice != "" || len(e.Missing) < len(o.Missing))
}

// Import reads service records from CSV (UTF-8 with or without BOM, GBK, GB18030, UTF-16; comma, semicolon or tab) or XLSX
// (first sheet). Each physical line of a CSV file is read by itself and told of by its number; only empty ones are passed
// over. A line that is damaged, or in another encoding than most, is refused and the next is read. Each line becomes a record, once: reading a file again, or another that overlaps, adds nothing. A line
// with a number that cannot be texted is a record too, for the service was rendered; the morning says why it is not asked
// about. An error means that reading stopped; lines before it are in.
func (s *Survey) Import(ctx context.Context, r io.Reader, name string, opt ImportOptions) (Imported, error) {
	rows, encoding, err := table.Open(r)
	if err != nil {
		return Imported{ID: storage.NewID(), Name: name}, fmt.Errorf("import %s: %w", name, err)
	}
	defer rows.Close()
	return s.importTable(ctx, rows, name, encoding, opt)
}

func (s *Survey) importTable(ctx context.Context, rows table.Rows, name, encoding string, opt ImportOptions) (Imported, error) {
	im := &importer{s: s, opt: opt, cfg: s.config(), seen: map[recordKey]string{}, out: Imported{ID: storage.NewID(), Name: name, Encoding: encoding}}
	if opt.By == "" {
		im.opt.By = "system"
	}
	if opt.Class != "" {
		cl, ok := im.cfg.Class(opt.Class)
		if !ok {
			return im.out, fmt.Errorf("import %s: no class %q", name, opt.Class)
		}
		im.class = &cl
	}
	if err := im.loadUnits(ctx); err != nil {
		return im.out, fmt.Errorf("import %s: %w: %w", name, errStore, err)
	}
	if err := im.run(ctx, rows); err != nil {
		return im.out, fmt.Errorf("import %s: %w", name, err)
	}
	return im.out, nil
}

type importer struct {
	s     *Survey
	cfg   *Config
	opt   ImportOptions
	class *Class
	units map[string]string // id, name or short name, folded → id
	cols  columns
	seen  map[recordKey]string // of a dry run: record → digest
	out   Imported
}

func (im *importer) loadUnits(ctx context.Context) error {
	im.units = map[string]string{}
	return im.s.DB.View(ctx, func(tx *storage.Tx) error {
		units, err := org.Units(tx)
		if err != nil {
			return err
		}
		clash := map[string]bool{}
		for _, u := range units {
			for _, name := range []string{u.Short, u.Name, u.ID} {
				key := fold(name)
				if was, ok := im.units[key]; ok && was != u.ID {
					clash[key] = true
				}
				im.units[key] = u.ID
			}
		}
		for key := range clash { // two units of one name: only the code tells them apart
			delete(im.units, key)
		}
		for _, u := range units {
			im.units[fold(u.ID)] = u.ID
		}
		delete(im.units, "")
		return nil
	})
}

// chunk is how many lines share a transaction.
const chunk = 500

func (im *importer) run(ctx context.Context, rows table.Rows) error {
	if err := im.findHeader(rows); err != nil {
		return err
	}
	if !im.opt.DryRun {
		err := im.s.DB.Update(ctx, func(tx *storage.Tx) error {
			_, err := tx.Exec(`INSERT INTO survey_import (id, name, actor, at, lines, accepted, known, corrected, refused) VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0)`,
				im.out.ID, im.out.Name, im.opt.By, storage.At(im.s.now()))
			return err
		})
		if err != nil {
			return fmt.Errorf("%w: %w", errStore, err)
		}
	}
	for {
		var lines []parsed
		var end error
		for len(lines) < chunk {
			cells, number, err := rows.Next()
			var bad table.Bad
			if err != nil && !errors.As(err, &bad) {
				end = err
				break
			}
			if p, ok := im.parse(cells, number, bad); ok {
				lines = append(lines, p)
			}
		}
		if err := im.store(ctx, lines); err != nil {
			return err
		}
		if errors.Is(end, io.EOF) {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// titles is how many lines may stand above the header: workbooks have a title there, and who made them.
const titles = 10

// findHeader reads up to the line with the names of the columns. Without one the error is that of the line that comes nearest.
func (im *importer) findHeader(rows table.Rows) error {
	var nearest *HeaderError
	for range titles + 1 {
		cells, number, err := rows.Next()
		var bad table.Bad
		switch {
		case errors.Is(err, io.EOF) && nearest == nil:
			return &HeaderError{Empty: true}
		case errors.Is(err, io.EOF):
			return nearest
		case errors.As(err, &bad):
			if nearest == nil {
				nearest = &HeaderError{Line: number, Broken: string(bad)}
			}
			continue
		case err != nil:
			return err
		}
		var miss *HeaderError
		if im.cols, miss = readHeader(cells, im.class == nil); miss == nil {
			return nil
		}
		if miss.Line = number; nearest == nil || miss.nearer(nearest) {
			nearest = miss
		}
	}
	return nearest
}

// parsed is one line after it was read.
type parsed struct {
	line      Line
	rec       Record
	person    person
	digest    string
	phoneHash string
	phoneErr  string
}

const longest = 500 // characters in a field

var manyDigits = regexp.MustCompile(`\d{5}`)

// parse makes a record of a line; ok is false for an empty one.
func (im *importer) parse(cells []string, number int, bad table.Bad) (p parsed, ok bool) {
	p.line = Line{Number: number, Outcome: Accepted}
	refuse := func(code string) (parsed, bool) {
		p.line.Outcome = Refused
		p.line.setCode(code)
		return p, true
	}
	if bad != "" {
		return refuse(string(bad))
	}
	get := im.cols.reader(cells)
	empty := true
	for _, c := range cells {
		empty = empty && strings.TrimSpace(c) == ""
		if len(c) > 4*longest {
			return refuse("too_long")
		}
	}
	if empty {
		return p, false
	}
	class := im.class
	p.line.SourceID = get(colSource)
	if len(p.line.SourceID) > 100 {
		p.line.SourceID = ""
		return refuse("long_id")
	}
	if told := get(colClass); told != "" || class == nil {
		cl, known := im.cfg.Class(told)
		if !known {
			refuse("bad_class")
			if told != "" && utf8.RuneCountInString(told) <= 20 && !manyDigits.MatchString(told) { // a number in the wrong column is nobody's business
				p.line.Reason, p.line.English = p.line.Reason+"："+told, p.line.English+": "+told
			}
			return p, true
		}
		class = &cl
	}
	p.line.Class = class.Code
	switch {
	case im.class != nil && class.Code != im.class.Code:
		return refuse("other_class")
	case p.line.SourceID == "":
		return refuse("no_source_id")
	}
	at, err := table.ReadTime(get(colTime))
	if err != nil {
		return refuse("bad_time")
	}
	if at.After(im.s.now().Add(5 * time.Minute)) {
		return refuse("future")
	}
	p.rec = Record{Class: class.Code, SourceID: p.line.SourceID, ServiceAt: at, ServiceDay: workday.DayOf(at), Unit: im.units[fold(get(colUnit))],
		Matter: get(colMatter), Mark: get(colMark), Window: get(colWindow), Clerk: get(colClerk)}
	if len(p.rec.Window) > 60 || len(p.rec.Clerk) > 60 {
		return refuse("too_long")
	}
	p.person = person{Name: contact.NameOf(get(colName)).Clear(), Phone: get(colPhone), Remark: get(colRemark)}
	if p.rec.Unit == "" {
		p.line.setCode("no_unit")
	}
	born, odd := readBirth(get(colBorn), get(colIdentity))
	if odd {
		p.line.setCode("bad_birth")
	}
	p.person.Born = born
	phone, err := contact.ParseMobile(get(colPhone))
	if err != nil {
		p.phoneErr = contact.Code(err)
		p.line.Code, p.line.Reason, p.line.English = p.phoneErr, contact.Reason(err), err.Error()
	} else {
		p.person.Phone = phone.Clear()
		p.phoneHash = im.s.Book.Vault.HashPhone(phone)
	}
	whole, _ := json.Marshal([]any{p.rec, p.person, get(colUnit)}) // strings and times always encode
	p.digest = im.s.Book.Vault.For("survey.record").Hash(string(whole))
	return p, true
}

func (l *Line) setCode(code string) {
	l.Code, l.Reason, l.English = code, reasons[code][0], reasons[code][1]
}

// store writes a chunk of lines in one transaction and then tells what became of each.
func (im *importer) store(ctx context.Context, lines []parsed) error {
	if len(lines) == 0 {
		return nil
	}
	in := im.s.DB.Update
	if im.opt.DryRun {
		in = im.s.DB.View
	}
	before := im.out
	var count Imported
	err := in(ctx, func(tx *storage.Tx) error {
		count = before
		if err := tx.ByIndex(); err != nil {
			return err
		}
		for _, part := range distinct(lines) {
			if err := im.putAll(tx, part); err != nil {
				return fmt.Errorf("lines %d to %d: %w", part[0].line.Number, part[len(part)-1].line.Number, err)
			}
		}
		var notes [][]any
		for _, p := range lines {
			count.add(p.line)
			if p.line.Code != "" {
				notes = append(notes, []any{im.out.ID, p.line.Number, p.line.Outcome, p.line.Code})
			}
		}
		if im.opt.DryRun {
			return nil
		}
		if _, err := tx.Insert(`INSERT INTO survey_import_line (import_id, line, outcome, code)`, notes, ``); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE survey_import SET lines = $2, accepted = $3, known = $4, corrected = $5, refused = $6 WHERE id = $1`,
			im.out.ID, count.Lines, count.Accepted, count.Known, count.Corrected, count.Refused)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	im.out = count
	if im.opt.Line != nil {
		for _, p := range lines {
			im.opt.Line(p.line)
		}
	}
	return nil
}

func (o *Imported) add(l Line) {
	o.Lines++
	switch l.Outcome {
	case Accepted:
		o.Accepted++
	case Known:
		o.Known++
	case Corrected:
		o.Corrected++
	case Refused:
		o.Refused++
	}
	if l.Code != "" {
		if l.Outcome != Refused {
			o.Odd++
		}
		if len(o.Notable) < 1000 {
			o.Notable = append(o.Notable, l)
		}
	}
}
