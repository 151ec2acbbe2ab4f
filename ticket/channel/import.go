package channel

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/ticket"
)

// ErrHeader is returned for a file whose columns cannot be mapped; its text says what is missing.
var ErrHeader = errors.New("columns")

// ImportOptions say how a file is read.
type ImportOptions struct {
	Channel string
	Mapping Mapping // what the columns tell; nil: as remembered for the channel, else by their names
	DryRun  bool    // tell what would happen and keep nothing
	By      ticket.Actor
	Line    func(Line)                          // called with every line in the order of the file; may be nil
	Report  io.Writer                           // gets the refused lines as CSV, to be mended and imported again; may be nil
	Take    func(tx *storage.Tx, t Taken) error // called in the transaction of each new ticket; may be nil
}

// Outcomes of a line.
const (
	Accepted = "accepted" // a new ticket
	Known    = "known"    // the same has come before
	Changed  = "changed"  // it was known and now says something else, which is kept beside the first
	Refused  = "refused"  // no ticket can be made of it
)

// Line is what became of one line of a file.
type Line struct {
	Number     int    // in the file, from 1, the header counted
	Outcome    string // Accepted, Known, Changed or Refused
	Code       string // why it was refused, or what is odd about it
	Reason     string // the same for staff (zh-CN)
	English    string // the same in English
	ExternalID string
	TicketID   string
	Ticket     string // its number
}

// Imported is the result of Import. Accepted + Known + Changed + Refused = Lines.
type Imported struct {
	ID       string
	Name     string
	Encoding string
	Headings []string
	Mapping  Mapping
	Lines    int
	Accepted int
	Known    int
	Changed  int
	Refused  int
	Odd      int // of those that are in, with a reservation
	Notable  []Line
	Took     time.Duration
}

// reasons are the codes of Line in both languages.
var reasons = map[string][2]string{
	"broken_line":     {"行格式有误：引号不成对、位置不对，或字段内换行", "the line is malformed: a quotation mark without its pair or out of place, or a field that goes on in the next line"},
	"bad_encoding":    {"编码与文件其他行不一致，或有乱码", "the line is in another encoding than the file, or garbled"},
	"too_long":        {"内容过长", "a field is too long"},
	"no_external_id":  {"缺来源编号", "the number of the source is missing"},
	"long_id":         {"来源编号过长", "the number of the source is too long"},
	"no_text":         {"缺标题和内容", "neither title nor text"},
	"empty":           {"缺标题和内容", "neither title nor text"},
	"bad_time":        {"来源时间无法识别", "the time cannot be read"},
	"future":          {"来源时间在将来", "the time is in the future"},
	"bad_due":         {"来源方时限无法识别", "the deadline cannot be read"},
	"due_before":      {"来源方时限早于来源时间", "the deadline is before the request"},
	"other_channel":   {"渠道已停用或不存在", "the channel is closed or unknown"},
	"bad_kind":        {"诉求类型无法识别，留待受理时确定", "the kind is unknown and left open"},
	"bad_phone":       {"电话号码无法识别，未登记", "the telephone number cannot be read and is left out"},
	"bad_mail":        {"邮箱无法识别，未登记", "the mail address cannot be read and is left out"},
	"bad_identity":    {"身份证号不对，未登记", "the identity number is wrong and is left out"},
	"no_unit":         {"没有这个承办单位，留待派单时确定", "no such unit; left open"},
	"no_accused_unit": {"没有这个涉及单位，已写入内容，请人工核对", "no such accused unit; written into the text, to be looked at"},
	"no_clerk":        {"工号不是号码，未登记，请人工核对", "the clerk's number is none and is left out; to be looked at"},
	"no_window":       {"窗口号过长，未登记", "the number of the window is too long and is left out"},
	"identity":        {"该渠道须留联系方式", "the channel wants a way to reach the citizen"},
	"length":          {"标题或内容过长", "title or text too long"},
	"incident":        {"警情号过长", "the number of the incident is too long"},
	"kind":            {"诉求类型不对", "wrong kind"},
	"channel":         {"渠道已停用或不存在", "the channel is closed or unknown"},
	"failed":          {"写入失败，请重新导入本行", "could not be written; import it again"},
	"map_field":       {"列对应有误：没有这个字段", "mapping: no such field"},
	"map_twice":       {"列对应有误：两列对应了同一个字段", "mapping: two columns tell the same"},
	"map_no_text":     {"没有对应标题或内容的列", "no column tells title or text"},
	"map_no_id":       {"没有对应来源编号的列（外部渠道必需）", "no column tells the number of the source, which a channel of another body needs"},
}

// Reason is a code in words for staff (zh-CN).
func Reason(code string) string { return reasons[code][0] }

func (l *Line) setCode(code string) {
	l.Code, l.Reason, l.English = code, reasons[code][0], reasons[code][1]
	if l.Reason == "" {
		l.Reason, l.English = code, code
	}
}

// Import reads requests of one channel from CSV (UTF-8, GBK, GB18030, UTF-16; comma, semicolon or tab) or XLSX. Every
// line is accounted for: it becomes a ticket, is known, or is refused with a reason, and the others go on. Reading a file
// again adds nothing. An error means that reading stopped; the lines before it are in.
func (g *Gateway) Import(ctx context.Context, r io.Reader, name string, opt ImportOptions) (Imported, error) {
	rows, encoding, err := table.Open(r)
	if err != nil {
		return Imported{ID: storage.NewID(), Name: name}, fmt.Errorf("import %s: %w", name, err)
	}
	defer rows.Close()
	im := &importer{g: g, opt: opt, rows: rows, seen: map[string]string{}, start: time.Now(), out: Imported{ID: storage.NewID(), Name: name, Encoding: encoding}}
	err = im.run(ctx)
	im.out.Took = time.Since(im.start)
	if err != nil {
		err = fmt.Errorf("import %s: %w", name, err)
	}
	if noted := im.note(context.WithoutCancel(ctx), err); noted != nil {
		err = errors.Join(err, noted)
	}
	return im.out, err
}

type importer struct {
	g     *Gateway
	opt   ImportOptions
	rows  table.Rows
	ch    ticket.Channel
	units map[string]string
	at    map[string]int // field → column
	seen  map[string]string
	start time.Time
	out   Imported

	report   *csv.Writer
	unwanted bytes.Buffer // the report, to be kept with the import
}

// importChunk is how many lines share a transaction.
const importChunk = 200

func (im *importer) run(ctx context.Context) error {
	err := im.g.DB.View(ctx, func(tx *storage.Tx) (err error) {
		if im.ch, err = im.g.Office.Channel(tx, im.opt.Channel); err != nil {
			return err
		}
		all, err := org.Units(tx)
		im.units = unitNames(all)
		if err == nil && im.opt.Mapping == nil {
			im.opt.Mapping, err = im.g.mapping(tx, im.opt.Channel)
		}
		return err
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return refuse("channel", "没有渠道“"+im.opt.Channel+"”")
	case err != nil:
		return err
	case !im.ch.Enabled:
		return refuse("channel", "渠道“"+im.ch.Name+"”已停用")
	}
	header, number, err := im.rows.Next()
	var bad table.Bad
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: 文件是空的 (the file is empty)", ErrHeader)
	case errors.As(err, &bad):
		return fmt.Errorf("%w: 第%d行: %s (%w)", ErrHeader, number, reasons[string(bad)][0], bad)
	case err != nil:
		return err
	}
	if err := im.head(header); err != nil {
		return err
	}
	for {
		var lines []parsed
		var end error
		for len(lines) < importChunk {
			cells, number, err := im.rows.Next()
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

// head maps the columns.
func (im *importer) head(cells []string) error {
	headings := Headings(cells)
	im.out.Headings, im.out.Mapping = headings, im.opt.Mapping.Known(headings)
	if code := im.out.Mapping.check(im.ch.External); code != "" {
		return fmt.Errorf("%w: %s (%s)", ErrHeader, reasons[code][0], reasons[code][1])
	}
	im.at = map[string]int{}
	for i, h := range headings {
		if code := im.out.Mapping[h]; code != "" {
			im.at[code] = i
		}
	}
	return nil
}

// Headings are the names of the columns of a file, each its own: a column without a name is called by its place.
func Headings(cells []string) []string {
	headings := make([]string, len(cells))
	twice := map[string]int{}
	for i, c := range cells {
		h := strings.TrimSpace(strings.Trim(c, "\ufeff\u200b\u3000"))
		if h == "" {
			h = "第" + strconv.Itoa(i+1) + "列"
		}
		if twice[h]++; twice[h] > 1 {
			h += "(" + strconv.Itoa(twice[h]) + ")"
		}
		headings[i] = h
	}
	return headings
}

// MappingFor is how the columns of a file are read: as remembered for the channel, else by what they are called.
func (g *Gateway) MappingFor(tx *storage.Tx, code string, cells []string) (Mapping, error) {
	m, err := g.mapping(tx, code)
	if err != nil {
		return nil, err
	}
	return m.Known(Headings(cells)), nil
}

// parsed is one line after it was read.
type parsed struct {
	line  Line
	cells []string
	d     Delivery
}

// parse makes a delivery of a line; ok is false for an empty one.
func (im *importer) parse(cells []string, number int, bad table.Bad) (p parsed, ok bool) {
	p.line, p.cells = Line{Number: number, Outcome: Accepted}, slices.Clone(cells)
	refuse := func(code string) (parsed, bool) {
		p.line.Outcome = Refused
		p.line.setCode(code)
		return p, true
	}
	if bad != "" {
		if t, ok := im.rows.(interface{ Damaged() []string }); ok {
			p.cells = t.Damaged()
		}
		return refuse(string(bad))
	}
	empty := true
	for _, c := range cells {
		empty = empty && strings.TrimSpace(c) == ""
		if len(c) > 4*maxBody {
			return refuse("too_long")
		}
	}
	if empty {
		return p, false
	}
	get := func(code string) string {
		i, mapped := im.at[code]
		if !mapped || i >= len(cells) {
			return ""
		}
		return strings.TrimSpace(strings.Trim(cells[i], "\ufeff\u200b\u3000"))
	}
	p.line.ExternalID = get("external_id")
	switch {
	case p.line.ExternalID == "" && im.ch.External:
		return refuse("no_external_id")
	case len(p.line.ExternalID) > 100:
		return refuse("long_id")
	case get("title") == "" && get("body") == "":
		return refuse("no_text")
	}
	d := Delivery{Channel: im.ch.Code, ExternalID: p.line.ExternalID, Title: get("title"), Body: get("body"), Kind: get("kind"), Place: get("place"), Name: get("name"), Phone: get("phone"),
		Mail: get("mail"), Identity: get("identity"), Unit: get("unit"), AccusedUnit: get("accused_unit"), Incident: get("incident"), Window: get("window"), Clerk: get("clerk"), Confidential: yes(get("confidential")), Anonymous: yes(get("anonymous"))}
	if s := get("received_at"); s != "" {
		at, err := table.ReadTime(s)
		if err != nil {
			return refuse("bad_time")
		}
		if at.After(im.g.now().Add(5 * time.Minute)) {
			return refuse("future")
		}
		d.ReceivedAt = at
	}
	if s := get("due"); s != "" {
		due, err := table.ReadTime(s)
		if err != nil {
			return refuse("bad_due")
		}
		if !strings.ContainsAny(s, ":：时点") && due.Hour() == 0 && due.Minute() == 0 {
			due = due.AddDate(0, 0, 1).Add(-time.Second) // a day means its end
		}
		if !d.ReceivedAt.IsZero() && due.Before(d.ReceivedAt) {
			return refuse("due_before")
		}
		d.Due = due
	}
	d.Raw = im.raw(cells)
	if d.ExternalID == "" {
		// A channel without numbers of its own: the same words are the same request.
		d.ExternalID = "line:" + im.g.vault().For("channel.line").Hash(string(d.Raw))[:32]
	}
	p.d = d
	return p, true
}

// raw is the line as it came: an object of heading and cell, in the order of the file.
func (im *importer) raw(cells []string) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, h := range im.out.Headings {
		if i >= len(cells) || slices.Contains(reportColumns, h) {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		k, _ := json.Marshal(h) // strings always encode
		v, _ := json.Marshal(cells[i])
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func yes(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "y", "yes", "true", "是", "保密", "匿名", "√":
		return true
	}
	return false
}

// store writes a chunk of lines. When the database refuses one, all are written by themselves, so that one line spoils no
// other.
func (im *importer) store(ctx context.Context, lines []parsed) error {
	if len(lines) == 0 {
		return nil
	}
	before := slices.Clone(lines)
	err := im.write(ctx, lines)
	if err != nil && ctx.Err() == nil && len(lines) > 1 {
		copy(lines, before)
		for i := range lines {
			if err = im.write(ctx, lines[i:i+1]); err != nil && ctx.Err() == nil {
				im.g.log().Error("import a line", "line", lines[i].line.Number, "err", err)
				if pingErr := im.g.DB.Ping(ctx); pingErr != nil {
					return err // it is the database, not the line
				}
				lines[i].line.Outcome = Refused
				lines[i].line.setCode("failed")
				err = nil
			}
		}
	}
	if err != nil {
		return err
	}
	for _, p := range lines {
		if err := im.tell(p); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) write(ctx context.Context, lines []parsed) error {
	if im.opt.DryRun {
		return im.g.DB.View(ctx, func(tx *storage.Tx) error {
			for i := range lines {
				if err := im.would(tx, &lines[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return im.g.DB.Update(ctx, func(tx *storage.Tx) error {
		for i := range lines {
			p := &lines[i]
			if p.line.Outcome == Refused {
				continue
			}
			t, err := im.g.take(tx, p.d, im.opt.By, im.units)
			if refusal, ok := ticket.RefusedWith(err); ok {
				p.line.Outcome = Refused
				p.line.setCode(refusal.Code)
				continue
			}
			if err != nil {
				return fmt.Errorf("line %d: %w", p.line.Number, err)
			}
			p.line.TicketID, p.line.Ticket = t.ID, t.Number
			switch {
			case t.Changed:
				p.line.Outcome = Changed
			case t.Existing:
				p.line.Outcome = Known
			}
			if t.Odd != "" {
				p.line.setCode(t.Odd)
			}
			if im.opt.Take != nil && !t.Existing {
				if err := im.opt.Take(tx, t); err != nil {
					return fmt.Errorf("line %d: %w", p.line.Number, err)
				}
			}
		}
		return nil
	})
}

// would says what a line would become, as far as that can be told without writing.
func (im *importer) would(tx *storage.Tx, p *parsed) error {
	if p.line.Outcome == Refused {
		return nil
	}
	who, odd := whoOf(p.d)
	reachable := !who.Phone.IsZero() || who.Mail != "" || who.Identity != ""
	switch {
	case len([]rune(p.d.Title)) > maxTitle || len([]rune(p.d.Body)) > maxBody:
		p.line.Outcome = Refused
		p.line.setCode("length")
		return nil
	case len(p.d.Incident) > 64:
		p.line.Outcome = Refused
		p.line.setCode("incident")
		return nil
	case im.ch.Identity == ticket.IdentityRequired && (p.d.Anonymous || !reachable):
		p.line.Outcome = Refused
		p.line.setCode("identity")
		return nil
	}
	if p.d.Clerk != "" && clerkNumber(p.d.Clerk) == "" {
		p.line.setCode("no_clerk")
	}
	if badWindow(p.d.Window) {
		p.line.setCode("no_window")
	}
	if p.d.Kind != "" && KindOf(p.d.Kind) == "" {
		p.line.setCode("bad_kind")
	}
	if p.d.Unit != "" && im.units[fold(p.d.Unit)] == "" {
		p.line.setCode("no_unit")
	}
	if p.d.AccusedUnit != "" && im.units[fold(p.d.AccusedUnit)] == "" {
		p.line.setCode("no_accused_unit")
	}
	if odd != "" && !p.d.Anonymous && im.ch.Identity != ticket.IdentityNone {
		p.line.setCode(odd)
	}
	mark := im.g.vault().For("ticket.raw").Hash(string(p.d.Raw))
	if was, ok := im.seen[p.d.ExternalID]; ok {
		if p.line.Outcome = Known; was != mark {
			p.line.Outcome = Changed
		}
		return nil
	}
	im.seen[p.d.ExternalID] = mark
	marks, err := storage.All(tx, storage.Value[string], `SELECT COALESCE(r.mark, '') FROM ticket t LEFT JOIN ticket_raw r ON r.ticket_id = t.id WHERE t.channel = $1 AND t.external_id = $2`,
		im.ch.Code, p.d.ExternalID)
	if err != nil {
		return err
	}
	if len(marks) > 0 {
		if p.line.Outcome = Known; !slices.Contains(marks, mark) {
			p.line.Outcome = Changed
		}
	}
	return nil
}

// tell counts a line and reports it.
func (im *importer) tell(p parsed) error {
	o, l := &im.out, p.line
	o.Lines++
	switch l.Outcome {
	case Accepted:
		o.Accepted++
	case Known:
		o.Known++
	case Changed:
		o.Changed++
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
	if im.opt.Line != nil {
		im.opt.Line(l)
	}
	if l.Outcome != Refused {
		return nil
	}
	return im.complain(p)
}

// complain writes a refused line into the report: its own columns, so that it can be mended and imported again, and why.
func (im *importer) complain(p parsed) error {
	if im.report == nil {
		var w io.Writer = &im.unwanted
		if im.opt.Report != nil {
			w = io.MultiWriter(w, im.opt.Report)
		}
		if _, err := io.WriteString(w, "\xEF\xBB\xBF"); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		im.report = csv.NewWriter(w)
		im.report.UseCRLF = true
		var head []string
		for _, h := range im.out.Headings {
			if !slices.Contains(reportColumns, h) {
				head = append(head, h)
			}
		}
		if err := im.report.Write(append(head, reportColumns...)); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	var cells []string
	for i, h := range im.out.Headings {
		if slices.Contains(reportColumns, h) {
			continue
		}
		c := ""
		if i < len(p.cells) {
			c = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\x00", "").Replace(p.cells[i])
		}
		cells = append(cells, c)
	}
	cells = append(cells, strconv.Itoa(p.line.Number), p.line.Reason, p.line.Code)
	if err := im.report.Write(cells); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	im.report.Flush()
	return im.report.Error()
}

const reportPurpose = "channel.report"

// note keeps what came of an import, with its report, sealed: it holds what citizens wrote.
func (im *importer) note(ctx context.Context, stopped error) error {
	o, why := im.out, ""
	if stopped != nil {
		why = "stopped"
		if errors.Is(stopped, ErrHeader) {
			why = "header"
		}
	}
	var sealed []byte
	if im.unwanted.Len() > 0 {
		sealed = im.g.vault().For(reportPurpose).Seal(im.unwanted.String())
	}
	err := im.g.DB.Update(ctx, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`INSERT INTO channel_import (id, channel, name, encoding, by_actor, dry, lines, accepted, known, changed, refused, error, report, at, took_ms)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`, o.ID, im.opt.Channel, o.Name, o.Encoding, im.opt.By.String(), im.opt.DryRun,
			o.Lines, o.Accepted, o.Known, o.Changed, o.Refused, why, sealed, storage.At(im.g.now()), o.Took.Milliseconds()); err != nil {
			return err
		}
		for _, l := range o.Notable {
			if _, err := tx.Exec(`INSERT INTO channel_import_line (import_id, line, outcome, code) VALUES ($1, $2, $3, $4) ON CONFLICT (import_id, line) DO NOTHING`,
				o.ID, l.Number, l.Outcome, l.Code); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep the result of the import: %w", err)
	}
	return nil
}

// ImportReport is the report of an import, empty when all lines were in, or storage.ErrNotFound.
func (g *Gateway) ImportReport(tx *storage.Tx, id string) (name string, report []byte, err error) {
	type row struct {
		name   string
		sealed []byte
	}
	r, err := storage.One(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.name, &x.sealed) }, `SELECT name, report FROM channel_import WHERE id = $1`, id)
	if err != nil {
		return "", nil, fmt.Errorf("import %s: %w", id, err)
	}
	plain, err := g.vault().For(reportPurpose).Open(r.sealed)
	return r.name, []byte(plain), err
}

// mapping is what is remembered of a channel's files, nil for nothing.
func (g *Gateway) mapping(tx *storage.Tx, code string) (Mapping, error) {
	text, err := storage.One(tx, storage.Value[string], `SELECT mapping FROM channel_mapping WHERE channel = $1`, code)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var m Mapping
	return m, json.Unmarshal([]byte(text), &m)
}

// Remember keeps a mapping for the next file of a channel.
func (g *Gateway) Remember(tx *storage.Tx, code string, m Mapping, by ticket.Actor) error {
	b, err := json.Marshal(m)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO channel_mapping (channel, mapping, by_actor, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (channel) DO UPDATE SET mapping = excluded.mapping, by_actor = excluded.by_actor, at = excluded.at`, code, string(b), by.String(), storage.At(g.now()))
	}
	if err != nil {
		return fmt.Errorf("remember the columns of %s: %w", code, err)
	}
	return nil
}
