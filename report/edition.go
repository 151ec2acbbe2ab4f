package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// EditionKind is which report an edition is of.
type EditionKind string

// Kinds of editions: 日归纳, 周分析, 月通报 and 专报.
const (
	Daily   EditionKind = "daily"
	Weekly  EditionKind = "weekly"
	Monthly EditionKind = "monthly"
	Special EditionKind = "special"
)

// EditionKinds lists them in their order.
var EditionKinds = []EditionKind{Daily, Weekly, Monthly, Special}

var editionLabels = map[EditionKind]string{Daily: "日归纳", Weekly: "周分析", Monthly: "月通报", Special: "专报"}

// Label is the kind for staff (zh-CN).
func (k EditionKind) Label() string { return editionLabels[k] }

// Period is the period of the kind that a day lies in: the day, its week from Monday, its month. A special report has none.
func (k EditionKind) Period(d workday.Day) Period {
	switch k {
	case Weekly:
		monday := d.Add(-(int(d.Weekday()) + 6) % 7)
		return Days(monday, monday.Add(6))
	case Monthly:
		y, m, _ := d.Date()
		first := workday.DateOf(y, m, 1)
		return Days(first, workday.DateOf(y, m+1, 1).Add(-1))
	}
	return Days(d, d)
}

// EditionState is where an edition stands: drafted by one, reviewed by a second, published by a third.
type EditionState string

// States of an edition.
const (
	Draft     EditionState = "DRAFT"
	Reviewed  EditionState = "REVIEWED"
	Published EditionState = "PUBLISHED"
	Discarded EditionState = "DISCARDED"
)

// Label is the state for staff (zh-CN).
func (s EditionState) Label() string {
	return map[EditionState]string{Draft: "草稿", Reviewed: "已审核", Published: "已发布", Discarded: "已弃用"}[s]
}

// Edition is one version of one report. What is published is never changed (I18): a correction is the next version.
type Edition struct {
	ID       string
	Series   string // of which version is the number: 日2026-11-27, 专2026-0003
	Version  int
	Kind     EditionKind
	Period   Period
	State    EditionState
	Title    string
	Corrects string // id of the version it takes the place of; "" for the first
	Reason   string // of the correction
	Scope    SpecialScope
	Content  Content // as it is printed
	Sum      string  // SHA-256 of the content's JSON
	Metrics  string  // version of the settings it was counted under
	CutOff   time.Time

	Author, Reviewer, Publisher        string
	DraftedAt, ReviewedAt, PublishedAt time.Time

	Newest bool // no later version is published
}

// SpecialScope is what a special report is narrowed to.
type SpecialScope struct {
	Unit    string `json:"unit,omitempty"`
	Channel string `json:"channel,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Colour  string `json:"colour,omitempty"`
	Poll    string `json:"poll,omitempty"` // id of a closed poll whose results are in it
}

// EditionStream is the name of an edition's stream in the audit log.
func EditionStream(id string) string { return "edition/" + id }

func refuse(code, format string, args ...any) error {
	return &ticket.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

func may(by ticket.Actor, a org.Action) error {
	if by.Kind == ticket.SystemActor || org.Can(by.Role, a) {
		return nil
	}
	return refuse("forbidden", "没有“%s”的权限", a.Label())
}

const selectEdition = `SELECT e.id, e.series, e.version, e.kind, e.first_day, e.last_day, e.state, e.title, e.corrects, e.reason, e.scope, e.content, e.sum, e.metrics, e.cut_off,
	e.author, e.drafted_at, e.reviewer, e.reviewed_at, e.publisher, e.published_at,
	NOT EXISTS (SELECT 1 FROM report_edition n WHERE n.series = e.series AND n.version > e.version AND n.state = 'PUBLISHED') FROM report_edition e`

func scanEdition(r storage.Row) (e Edition, err error) {
	var first, last workday.Day
	var firstText, lastText, scope, content string
	var cut, drafted, reviewed, published storage.Time
	if err = r.Scan(&e.ID, &e.Series, &e.Version, &e.Kind, &firstText, &lastText, &e.State, &e.Title, &e.Corrects, &e.Reason, &scope, &content, &e.Sum, &e.Metrics, &cut,
		&e.Author, &drafted, &e.Reviewer, &reviewed, &e.Publisher, &published, &e.Newest); err != nil {
		return e, err
	}
	e.CutOff, e.DraftedAt, e.ReviewedAt, e.PublishedAt = cut.Time, drafted.Time, reviewed.Time, published.Time
	if first, err = workday.ParseDay(firstText); err != nil {
		return e, err
	}
	if last, err = workday.ParseDay(lastText); err != nil {
		return e, err
	}
	e.Period = Days(first, last)
	if err = json.Unmarshal([]byte(scope), &e.Scope); err != nil {
		return e, fmt.Errorf("edition %s: scope: %w", e.ID, err)
	}
	if err = json.Unmarshal([]byte(content), &e.Content); err != nil {
		return e, fmt.Errorf("edition %s: content: %w", e.ID, err)
	}
	return e, nil
}

// SeesDrafts reports whether somebody works on reports: others see what is published.
func SeesDrafts(by ticket.Actor) bool {
	return by.Kind == ticket.SystemActor || org.Can(by.Role, org.DraftReport) || org.Can(by.Role, org.ReviewReport) || org.Can(by.Role, org.IssueReport) || by.Role == org.Auditor
}

// Edition reads one that the viewer may see.
func (o *Office) Edition(tx *storage.Tx, id string, viewer ticket.Actor) (Edition, error) {
	if err := may(viewer, org.ViewReports); err != nil {
		return Edition{}, storage.ErrNotFound
	}
	e, err := storage.One(tx, scanEdition, selectEdition+` WHERE e.id = $1`, id)
	if err != nil {
		return e, err
	}
	if e.State != Published && !SeesDrafts(viewer) {
		return Edition{}, storage.ErrNotFound
	}
	return e, nil
}

// EditionFilter narrows a list of editions; zero fields do not.
type EditionFilter struct {
	Viewer        ticket.Actor
	Kind          EditionKind
	Series        string
	State         EditionState
	Old           bool // versions whose place a later one has taken, and discarded drafts, too
	Limit, Offset int
}

// Editions lists those that the viewer may see, the latest period first, and says how many there are.
func (o *Office) Editions(tx *storage.Tx, f EditionFilter) ([]Edition, int, error) {
	if may(f.Viewer, org.ViewReports) != nil {
		return nil, 0, nil
	}
	q := &query{}
	for _, c := range [][2]string{{"kind", string(f.Kind)}, {"series", f.Series}, {"state", string(f.State)}} {
		if c[1] != "" {
			q.and(`e.`+c[0]+` = {}`, c[1])
		}
	}
	if !SeesDrafts(f.Viewer) {
		q.and(`e.state = 'PUBLISHED'`)
	}
	if !f.Old && f.State == "" {
		q.and(`e.state <> 'DISCARDED' AND NOT EXISTS (SELECT 1 FROM report_edition n WHERE n.series = e.series AND n.version > e.version AND n.state = 'PUBLISHED')`)
	}
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM report_edition e`+q.where(), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list editions: %w", err)
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	out, err := storage.All(tx, scanEdition, selectEdition+q.where()+` ORDER BY e.last_day DESC, e.series DESC, e.version DESC`+q.page(f.Limit, f.Offset), q.args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list editions: %w", err)
	}
	return out, n, nil
}

// Drafting is what a new edition is of.
type Drafting struct {
	Kind   EditionKind
	Day    workday.Day // any day of the period; not of a special report
	Period Period      // of a special report
	Title  string      // of a special report; the others name themselves
	Scope  SpecialScope
}

// DraftEdition counts a period and writes the first version of its edition. Where one is there already, it is refused: what is
// published is corrected, what is drafted is counted again.
func (o *Office) DraftEdition(tx *storage.Tx, in Drafting, by ticket.Actor) (Edition, error) {
	return o.draft(tx, in, by, func(e *Edition) error { return o.fill(tx, e) })
}

func (o *Office) draft(tx *storage.Tx, in Drafting, by ticket.Actor, fill func(*Edition) error) (Edition, error) {
	if err := may(by, org.DraftReport); err != nil {
		return Edition{}, err
	}
	e := Edition{ID: storage.NewID(), Version: 1, Kind: in.Kind, State: Draft, Author: by.String(), Newest: true}
	if !slices.Contains(EditionKinds, in.Kind) {
		return e, refuse("kind", "没有这种报告")
	}
	now := o.clock()
	if in.Kind == Special {
		e.Period, e.Scope = in.Period, in.Scope
		e.Title = strings.TrimSpace(in.Title)
		if n := utf8.RuneCountInString(e.Title); n < 2 || n > 60 {
			return e, refuse("title", "专报标题应为2至60字")
		}
		if err := clean(e.Title); err != nil {
			return e, err
		}
		if e.Period.From.IsZero() || !e.Period.From.Before(e.Period.To) || e.Period.Last()-e.Period.First() > 3660 {
			return e, refuse("period", "起止日期不正确")
		}
		year := fmt.Sprint(workday.DayOf(now).Year())
		n, err := storage.One(tx, storage.Value[int], `INSERT INTO report_number (year, last) VALUES ($1, 1) ON CONFLICT (year) DO UPDATE SET last = report_number.last + 1 RETURNING last`, year)
		if err != nil {
			return e, fmt.Errorf("number a report: %w", err)
		}
		e.Series = fmt.Sprintf("专%s-%04d", year, n)
	} else {
		e.Period = in.Kind.Period(in.Day)
		e.Series, e.Title = seriesOf(in.Kind, e.Period), titleOf(in.Kind, e.Period)
	}
	if !e.Period.From.Before(now) {
		return e, refuse("period", "报告期尚未开始")
	}
	known, err := storage.All(tx, scanEdition, selectEdition+` WHERE e.series = $1 ORDER BY e.version DESC`, e.Series)
	if err != nil {
		return e, err
	}
	for _, k := range known {
		if k.State != Discarded {
			return k, refuse("known", "%s已有第%d版（%s）；已发布的请更正，草稿请重新统计", e.Title, k.Version, k.State.Label())
		}
	}
	if len(known) > 0 {
		e.Version = known[0].Version + 1
	}
	return e, o.write(tx, &e, "edition.drafted", by, func() error { return fill(&e) })
}

// Correct begins the next version of a published edition, for a reason. It is counted anew, its words are kept, and the old
// version stays as it is.
func (o *Office) Correct(tx *storage.Tx, id, reason string, by ticket.Actor) (Edition, error) {
	if err := may(by, org.DraftReport); err != nil {
		return Edition{}, err
	}
	old, err := o.Edition(tx, id, by)
	if err != nil {
		return old, err
	}
	if old.State != Published || !old.Newest {
		return old, refuse("state", "只能更正最新的已发布版本")
	}
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n < 2 || n > 500 {
		return old, refuse("reason", "请写明更正原因（2至500字）")
	}
	if err := clean(reason); err != nil {
		return old, err
	}
	all, err := storage.All(tx, scanEdition, selectEdition+` WHERE e.series = $1 ORDER BY e.version DESC`, old.Series)
	if err != nil {
		return old, err
	}
	if s := all[0].State; s == Draft || s == Reviewed {
		return all[0], refuse("known", "第%d版正在起草", all[0].Version)
	}
	e := old
	e.ID, e.Version, e.State, e.Corrects, e.Reason, e.Author = storage.NewID(), all[0].Version+1, Draft, old.ID, reason, by.String()
	e.Reviewer, e.Publisher, e.ReviewedAt, e.PublishedAt = "", "", time.Time{}, time.Time{}
	return e, o.write(tx, &e, "edition.correcting", by, func() error { return o.fill(tx, &e) })
}

// RecountEdition counts a draft anew, up to now. A review that there was is void.
func (o *Office) RecountEdition(tx *storage.Tx, id string, by ticket.Actor) (Edition, error) {
	return o.change(tx, id, org.DraftReport, by, "edition.recounted", func(e *Edition) error { return o.fill(tx, e) })
}

// Edit sets the words of a draft. A review that there was is void.
func (o *Office) Edit(tx *storage.Tx, id string, words Words, by ticket.Actor) (Edition, error) {
	for _, w := range []string{words.Summary, words.Causes, words.Work} {
		if utf8.RuneCountInString(w) > 5000 {
			return Edition{}, refuse("words", "每段不超过5000字")
		}
		if err := clean(w); err != nil {
			return Edition{}, err
		}
	}
	return o.change(tx, id, org.DraftReport, by, "edition.edited", func(e *Edition) error { e.Content.Words = words.trimmed(); return nil })
}

// clean refuses words that name a person: an edition is kept for ever and read by many.
func clean(text string) error {
	if masked := contact.MaskText(text); strings.Count(masked, "****") > strings.Count(text, "****") { // a number was hidden
		return refuse("personal", "报告中不得写入电话号码、证件号码等个人信息：%s", masked)
	}
	return nil
}

func (o *Office) change(tx *storage.Tx, id string, a org.Action, by ticket.Actor, event string, fn func(*Edition) error) (Edition, error) {
	if err := may(by, a); err != nil {
		return Edition{}, err
	}
	e, err := o.lock(tx, id, by)
	if err != nil {
		return e, err
	}
	if e.State != Draft && e.State != Reviewed {
		return e, refuse("state", "%s的报告不能再改；已发布的请发起更正", e.State.Label())
	}
	e.State, e.Reviewer, e.ReviewedAt = Draft, "", time.Time{}
	return e, o.write(tx, &e, event, by, func() error { return fn(&e) })
}

// lock reads an edition that is about to be changed.
func (o *Office) lock(tx *storage.Tx, id string, by ticket.Actor) (Edition, error) {
	if _, err := storage.One(tx, storage.Value[string], `SELECT id FROM report_edition WHERE id = $1 `+tx.ForUpdate(), id); err != nil {
		return Edition{}, err
	}
	return o.Edition(tx, id, by)
}

// Review finds a draft in order. The reviewer has written nothing of it.
func (o *Office) Review(tx *storage.Tx, id string, by ticket.Actor) (Edition, error) {
	if err := may(by, org.ReviewReport); err != nil {
		return Edition{}, err
	}
	e, err := o.lock(tx, id, by)
	if err != nil {
		return e, err
	}
	if e.State != Draft {
		return e, refuse("state", "只能审核草稿")
	}
	hands, err := writers(tx, id)
	if err != nil {
		return e, err
	}
	if slices.Contains(hands, by.String()) {
		return e, refuse("same_person", "审核人不能是起草或修改过本报告的人")
	}
	e.State, e.Reviewer, e.ReviewedAt = Reviewed, by.String(), o.clock()
	return e, o.write(tx, &e, "edition.reviewed", by, nil)
}

// Publish locks an edition for good: its sum stands in the log, and the database refuses every change. Who publishes has
// neither written nor reviewed it.
func (o *Office) Publish(tx *storage.Tx, id string, by ticket.Actor) (Edition, error) {
	if err := may(by, org.IssueReport); err != nil {
		return Edition{}, err
	}
	e, err := o.lock(tx, id, by)
	if err != nil {
		return e, err
	}
	if e.State != Reviewed {
		return e, refuse("state", "只能发布经审核的报告")
	}
	hands, err := writers(tx, id)
	if err != nil {
		return e, err
	}
	if by.String() == e.Reviewer || slices.Contains(hands, by.String()) {
		return e, refuse("same_person", "签发人不能是起草、修改或审核本报告的人")
	}
	now := o.clock()
	if now.Before(e.Period.To) {
		return e, refuse("period", "报告期尚未结束，不能发布")
	}
	if e.CutOff.Before(e.Period.To) {
		return e, refuse("cut_off", "统计截至%s，早于报告期结束，请重新统计", e.CutOff.In(workday.Zone).Format("01-02 15:04"))
	}
	e.State, e.Publisher, e.PublishedAt = Published, by.String(), now
	return e, o.write(tx, &e, "edition.published", by, nil)
}

// SendBack gives a reviewed edition back to its authors, for a reason.
func (o *Office) SendBack(tx *storage.Tx, id, reason string, by ticket.Actor) (Edition, error) {
	if may(by, org.IssueReport) != nil && may(by, org.ReviewReport) != nil {
		return Edition{}, may(by, org.ReviewReport)
	}
	if reason = strings.TrimSpace(reason); utf8.RuneCountInString(reason) < 2 || utf8.RuneCountInString(reason) > 500 {
		return Edition{}, refuse("reason", "请写明退回原因（2至500字）")
	}
	if err := clean(reason); err != nil {
		return Edition{}, err
	}
	e, err := o.lock(tx, id, by)
	if err != nil {
		return e, err
	}
	if e.State != Reviewed {
		return e, refuse("state", "只能退回经审核、尚未发布的报告")
	}
	e.State, e.Reviewer, e.ReviewedAt = Draft, "", time.Time{}
	return e, o.writeWith(tx, &e, "edition.sent-back", by, map[string]string{"why": reason}, nil)
}

// Discard gives a draft up. Its series may be drafted anew.
func (o *Office) Discard(tx *storage.Tx, id string, by ticket.Actor) (Edition, error) {
	return o.change(tx, id, org.DraftReport, by, "edition.discarded", func(e *Edition) error { e.State = Discarded; return nil })
}

// writers are those who had a hand in what an edition says.
func writers(tx *storage.Tx, id string) ([]string, error) {
	events, err := audit.Stream(tx, EditionStream(id))
	if err != nil {
		return nil, fmt.Errorf("who wrote an edition: %w", err)
	}
	var out []string
	for _, ev := range events {
		switch ev.Type {
		case "edition.drafted", "edition.correcting", "edition.recounted", "edition.edited":
			out = append(out, ev.Actor)
		}
	}
	return out, nil
}

// editionFact is the payload of an edition's events.
type editionFact struct {
	Series   string       `json:"series"`
	Version  int          `json:"version"`
	State    EditionState `json:"state"`
	Sum      string       `json:"sum"`
	CutOff   int64        `json:"cut_off"`
	Corrects string       `json:"corrects,omitempty"`
	Reason   string       `json:"reason,omitempty"`

	More map[string]string `json:"more,omitempty"`
}

func (o *Office) write(tx *storage.Tx, e *Edition, event string, by ticket.Actor, fill func() error) error {
	return o.writeWith(tx, e, event, by, nil, fill)
}

// writeWith saves an edition with its event.
func (o *Office) writeWith(tx *storage.Tx, e *Edition, event string, by ticket.Actor, more map[string]string, fill func() error) error {
	if fill != nil {
		if err := fill(); err != nil {
			return err
		}
	}
	content, err := json.Marshal(e.Content)
	if err != nil {
		return err
	}
	scope, err := json.Marshal(e.Scope)
	if err != nil {
		return err
	}
	e.Sum = digest(content)
	now := o.clock()
	if e.DraftedAt.IsZero() || event == "edition.correcting" {
		e.DraftedAt = now
	}
	// The row keeps no draft of a published edition: state and everything else change in one statement, the last one that may.
	n, err := tx.Exec(`UPDATE report_edition SET state = $1, title = $2, content = $3, sum = $4, metrics = $5, cut_off = $6, reviewer = $7, reviewed_at = $8, publisher = $9, published_at = $10
		WHERE id = $11`, e.State, e.Title, string(content), e.Sum, e.Metrics, storage.At(e.CutOff), e.Reviewer, storage.At(e.ReviewedAt), e.Publisher, storage.At(e.PublishedAt), e.ID)
	if err == nil && n == 0 {
		_, err = tx.Exec(`INSERT INTO report_edition (id, series, version, kind, first_day, last_day, state, title, corrects, reason, scope, content, sum, metrics, cut_off, author, drafted_at, reviewer, publisher)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, '', '')`,
			e.ID, e.Series, e.Version, e.Kind, e.Period.First().String(), e.Period.Last().String(), e.State, e.Title, e.Corrects, e.Reason, string(scope), string(content), e.Sum, e.Metrics,
			storage.At(e.CutOff), e.Author, storage.At(e.DraftedAt))
	}
	if err != nil {
		return fmt.Errorf("write edition %s: %w", e.Series, err)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: EditionStream(e.ID), Type: event, Actor: by.String(), Rule: e.Metrics, At: now, Payload: editionFact{Series: e.Series, Version: e.Version,
		State: e.State, Sum: e.Sum, CutOff: e.CutOff.UnixMilli(), Corrects: e.Corrects, Reason: e.Reason, More: more}})
	return err
}

// clock is the time now; counting without a clock is for tests, writing is not.
func (o *Office) clock() time.Time {
	if t := o.now(); !t.IsZero() {
		return t.Truncate(time.Millisecond)
	}
	return time.Now().Truncate(time.Millisecond)
}

func seriesOf(k EditionKind, p Period) string {
	y, m, _ := p.First().Date()
	switch k {
	case Daily:
		return "日" + p.First().String()
	case Weekly:
		return "周" + p.First().String()
	}
	return fmt.Sprintf("月%d-%02d", y, int(m))
}

func titleOf(k EditionKind, p Period) string {
	y, m, d := p.First().Date()
	switch k {
	case Daily:
		return fmt.Sprintf("民意日归纳（%d年%d月%d日）", y, int(m), d)
	case Weekly:
		_, m2, d2 := p.Last().Date()
		return fmt.Sprintf("民意周分析（%d年%d月%d日—%d月%d日）", y, int(m), d, int(m2), d2)
	}
	return fmt.Sprintf("民意月通报（%d年%d月）", y, int(m))
}

// Receipt is a unit's word that it has read a published edition.
type Receipt struct {
	Unit, Staff string
	At          time.Time
}

// Acknowledge notes that a unit has read a published edition, once.
func (o *Office) Acknowledge(tx *storage.Tx, id string, by ticket.Actor) error {
	e, err := o.Edition(tx, id, by)
	if err != nil {
		return err
	}
	if e.State != Published || !e.Newest {
		return refuse("state", "只签收最新的已发布版本")
	}
	if by.Kind != ticket.StaffActor || by.Role.Reach() != org.ReachUnit {
		return refuse("forbidden", "由各单位签收")
	}
	now := o.clock()
	n, err := tx.Exec(`INSERT INTO report_receipt (edition, unit, staff, at) VALUES ($1, $2, $3, $4) ON CONFLICT (edition, unit) DO NOTHING`, id, by.Unit, by.ID, storage.At(now))
	if err != nil || n == 0 {
		return err
	}
	_, err = audit.Append(tx, audit.Entry{Stream: EditionStream(id), Type: "edition.acknowledged", Actor: by.String(), At: now, Payload: map[string]string{"unit": by.Unit}})
	return err
}

// Receipts are the units that have read an edition, in their order.
func (o *Office) Receipts(tx *storage.Tx, id string) ([]Receipt, error) {
	return storage.All(tx, func(r storage.Row) (x Receipt, err error) {
		var at storage.Time
		err = r.Scan(&x.Unit, &x.Staff, &at)
		x.At = at.Time
		return x, err
	}, `SELECT unit, staff, at FROM report_receipt WHERE edition = $1 ORDER BY at, unit`, id)
}

// errNoEdition is for callers outside of a request.
var errNoEdition = errors.New("no such edition")

// EditionBySeries is the newest version of a series, or the given one.
func (o *Office) EditionBySeries(tx *storage.Tx, series string, version int, viewer ticket.Actor) (Edition, error) {
	all, _, err := o.Editions(tx, EditionFilter{Viewer: viewer, Series: series, Old: true, Limit: 1000})
	if err != nil {
		return Edition{}, err
	}
	for _, e := range all {
		if version == 0 && e.State != Discarded || version == e.Version {
			return o.Edition(tx, e.ID, viewer)
		}
	}
	return Edition{}, fmt.Errorf("%w: %s", errNoEdition, series)
}
