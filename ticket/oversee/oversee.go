// Package oversee watches over tickets: 督办, 民声热点榜 and 一类事, 会商 and the 职责清单 it leaves, 民意感知调度指令, 倒查,
// 线索, 措施 and 建议上报, 升级投诉, repeat links and 重点关注; and it runs the early-warning rules of ticket/warn over what is stored.
//
// Each of these is a matter: a stream of events in the audit log with one row as its projection. A command of Desk loads the
// matter, checks the rules, changes it and appends the event, in the caller's transaction; Verify replays the events and
// compares. Free text never enters the log: it is kept as tickets' texts are, and events refer to it by id and sum.
//
// A command that is refused returns a *ticket.Refusal with the reason for staff in Chinese and has changed nothing.
package oversee

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/grade"
	"lianxin/workday"
)

// Kind is what a matter is. It begins the name of its stream: supervision/01J….
type Kind string

// Kinds of matters.
const (
	KindSupervision Kind = "supervision" // 督办
	KindTopic       Kind = "topic"       // 一类事, group events, 民声热点榜
	KindConsult     Kind = "consult"     // 会商
	KindDuty        Kind = "duty"        // an entry of the 职责清单
	KindExpert      Kind = "expert"      // 专家顾问
	KindOrder       Kind = "order"       // 民意感知调度指令
	KindBackcheck   Kind = "backcheck"   // 倒查
	KindClue        Kind = "clue"        // 线索
	KindMeasure     Kind = "measure"     // 措施, 建议上报
	KindWatch       Kind = "watch"       // 重点关注
	KindPeriod      Kind = "period"      // 敏感时段
	KindLink        Kind = "link"        // 疑似重复, 同一事项
	KindEscalation  Kind = "escalation"  // 升级投诉
)

// State is where a matter stands; what a state means is said by its kind.
type State string

// Head is what every matter has.
type Head struct {
	ID        string    `json:"id"`
	Kind      Kind      `json:"kind"`
	Number    string    `json:"number,omitzero"` // 督2026-0001
	Key       string    `json:"key,omitzero"`    // what raised it: raising it again finds it
	State     State     `json:"state"`
	Unit      string    `json:"unit,omitzero"` // who has to act
	Topic     string    `json:"topic,omitzero"`
	Subject   string    `json:"subject,omitzero"`
	Tickets   []string  `json:"tickets,omitempty"`
	Members   []string  `json:"members,omitempty"` // unit/… and staff/… that were called in
	Due       time.Time `json:"due,omitzero"`
	Next      time.Time `json:"next,omitzero"` // when the sweeper looks again
	OpenedBy  string    `json:"opened_by"`
	OpenedAt  time.Time `json:"opened_at"`
	ChangedAt time.Time `json:"changed_at"`
	ClosedAt  time.Time `json:"closed_at,omitzero"`

	version int64
}

// Stream is the name of the matter's stream in the audit log.
func (h *Head) Stream() string { return string(h.Kind) + "/" + h.ID }

func (h *Head) head() *Head { return h }

// StateLabel is the state for staff (zh-CN).
func (h *Head) StateLabel() string { return kinds[h.Kind].labels[h.State] }

// Open reports whether somebody still has something to do.
func (h *Head) Open() bool { return h.ClosedAt.IsZero() }

// Matter is a document with a Head.
type Matter interface{ head() *Head }

// Of is the head of a matter.
func Of(m Matter) *Head { return m.head() }

type pointer[T any] interface {
	*T
	Matter
}

// kind is what is fixed about a kind of matter.
type kind struct {
	label  string
	series string // of its numbers; empty has none
	labels map[State]string
	moves  map[State][]State // "" leads to the states in which it may begin
	final  []State
	blank  func() Matter
}

// Label is the kind for staff (zh-CN).
func (k Kind) Label() string { return kinds[k].label }

// Valid reports whether the kind exists.
func (k Kind) Valid() bool { _, ok := kinds[k]; return ok }

// States are the states of a kind in an order that people read: by way from the beginning, the last ones last.
func (k Kind) States() []State {
	var out []State
	next := kinds[k].moves[""]
	for len(next) > 0 {
		s := next[0]
		next = next[1:]
		if !slices.Contains(out, s) {
			out = append(out, s)
			next = append(next, kinds[k].moves[s]...)
		}
	}
	last := func(s State) int {
		if slices.Contains(kinds[k].final, s) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b State) int { return last(a) - last(b) })
	return out
}

// StateLabel is a state of the kind for staff (zh-CN).
func (k Kind) StateLabel(s State) string { return kinds[k].labels[s] }

// Desk runs the commands and queries of oversight. Set its fields before use; it is then safe for concurrent use.
type Desk struct {
	Office *ticket.Office
	Now    func() time.Time // nil is time.Now
	// Changed is called, after the commit, with each matter that changed.
	Changed func(Head)
	// Signals are sources whose silence is an alarm by W16 besides those the house watches elsewhere.
	Signals []Signal
	// Ratings gives what people rated besides tickets; nil is nothing.
	Ratings Ratings

	// ServedAt tells window and clerk of a service by its record; nil tells none.
	ServedAt func(tx *storage.Tx, recordID string) (window, clerk string, err error)

	watch watching
}

// New is the desk over an office, with the same clock. The office's grading hears of watch flags, watch periods and groups, its
// suggestion of a unit of the conclusions of consultations.
func New(o *ticket.Office) *Desk {
	d := &Desk{Office: o, Now: o.Now}
	was := o.Known
	o.Known = func(tx *storage.Tx, t ticket.Ticket, h *grade.History) error {
		if was != nil {
			if err := was(tx, t, h); err != nil {
				return err
			}
		}
		return d.Known(tx, t, h)
	}
	o.Precedent = d.precedent
	return d
}

func (d *Desk) now() time.Time {
	t := time.Now()
	if d.Now != nil {
		t = d.Now()
	}
	return ms(t)
}

func ms(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

func (d *Desk) reckoner() workday.Reckoner {
	return workday.Reckoner{Calendar: d.Office.Calendar, Hours: d.Office.Hours}
}

// days is n working days from a time.
func (d *Desk) days(from time.Time, n int) time.Time {
	return ms(d.reckoner().Deadline(from, workday.Days(n)))
}

func refuse(code, format string, args ...any) error {
	return &ticket.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

func noRole() error { return refuse("role", "您的岗位没有此项权限") }

// may refuses everybody but officers whose role allows one of the actions, and the program itself.
func may(by ticket.Actor, acts ...org.Action) error {
	if by.Kind == ticket.SystemActor {
		return nil
	}
	if by.Kind == ticket.StaffActor || by.Kind == ticket.TokenActor {
		for _, a := range acts {
			if org.Can(by.Role, a) {
				return nil
			}
		}
	}
	return noRole()
}

var ids = struct {
	sync.Mutex
	*ulid.MonotonicEntropy
}{MonotonicEntropy: ulid.Monotonic(rand.Reader, 0)}

func newID() string {
	ids.Lock()
	defer ids.Unlock()
	return ulid.MustNew(ulid.Now(), ids.MonotonicEntropy).String()
}

// file is one matter while a command works on it.
type file struct {
	d      *Desk
	tx     *storage.Tx
	by     ticket.Actor
	now    time.Time
	m      Matter
	before map[string]json.RawMessage
	rules  string
	bad    BadTerms
}

// write keeps a text with the matter.
func (f *file) write(kind, s string) (ticket.Text, error) {
	return f.d.Office.KeepText(f.tx, f.m.head().Stream(), kind, s)
}

// must is write for a text that has to be there; what names it for staff.
func (f *file) must(kind, what, s string) (ticket.Text, error) {
	if strings.TrimSpace(s) == "" {
		return ticket.Text{}, refuse("empty", "请填写%s", what)
	}
	return f.write(kind, s)
}

// in refuses the command unless the matter is in one of the states.
func (f *file) in(what string, states ...State) error {
	if h := f.m.head(); !slices.Contains(states, h.State) {
		return refuse("state", "%s当前为“%s”，不能%s", h.Kind.Label(), h.StateLabel(), what)
	}
	return nil
}

// ours refuses everybody but officers of a unit whose role allows the action.
func (f *file) ours(unit string, act org.Action) error {
	if f.by.Kind == ticket.SystemActor {
		return nil
	}
	if f.by.Unit != unit || unit == "" {
		return refuse("unit", "须由责任单位人员办理")
	}
	return may(f.by, act)
}

func members(v any) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	return m, json.Unmarshal(b, &m)
}

var null = json.RawMessage("null")

// payload is what an event carries: facts for people, and the members that changed; null is removed. A list that only got
// longer is told by what it got: a matter of thousands of tickets would otherwise write all of them down with every one more.
type payload struct {
	Info map[string]any             `json:"info,omitempty"`
	Set  map[string]json.RawMessage `json:"set,omitempty"`
	Add  map[string]json.RawMessage `json:"add,omitempty"`
}

// added is what the list now has beyond the list old, as a list, if it begins with all of old.
func added(old, now json.RawMessage) (json.RawMessage, bool) {
	n := len(old) - 1 // without the bracket at its end
	if n < 2 || old[0] != '[' || len(now) <= n || now[n] != ',' || !bytes.Equal(old[:n], now[:n]) {
		return nil, false
	}
	return append(json.RawMessage{'['}, now[n+1:]...), true
}

// extended is the list old with more at its end: added, the other way.
func extended(old, more json.RawMessage) (json.RawMessage, error) {
	if len(old) < 3 || old[0] != '[' || len(more) < 3 || more[0] != '[' {
		return nil, fmt.Errorf("adds %d bytes to what is no list", len(more))
	}
	return slices.Concat(old[:len(old)-1], json.RawMessage{','}, more[1:]), nil
}

// save writes the row and the event.
func (f *file) save(typ string, info map[string]any) error {
	h := f.m.head()
	h.ChangedAt = f.now
	if slices.Contains(kinds[h.Kind].final, h.State) {
		if h.ClosedAt.IsZero() {
			h.ClosedAt = f.now
		}
		h.Next = time.Time{}
	} else {
		h.ClosedAt = time.Time{}
	}
	after, err := members(f.m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", h.Stream(), err)
	}
	set, add := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for name, v := range after {
		if more, ok := added(f.before[name], v); ok {
			add[name] = more
		} else if !bytes.Equal(f.before[name], v) {
			set[name] = v
		}
	}
	for name := range f.before {
		if _, ok := after[name]; !ok {
			set[name] = null
		}
	}
	body, err := json.Marshal(after)
	if err != nil {
		return err
	}
	if err := f.put(string(body)); err != nil {
		return fmt.Errorf("save %s: %w", h.Stream(), err)
	}
	if _, err := audit.Append(f.tx, audit.Entry{Stream: h.Stream(), Type: string(h.Kind) + "." + typ, Actor: f.by.String(), At: f.now, Rule: f.rules,
		Payload: payload{Info: info, Set: set, Add: add}}); err != nil {
		return err
	}
	f.before = after
	if changed, head := f.d.Changed, *h; changed != nil {
		f.tx.After(func() { changed(head) })
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (f *file) put(body string) error {
	h, tx := f.m.head(), f.tx
	at := func(t time.Time) any { return storage.At(t) }
	fresh := h.version == 0
	h.version++
	if fresh {
		_, err := tx.Exec(`INSERT INTO oversee_matter (id, kind, number, dedup, version, state, unit, topic, subject, due_at, next_at, opened_at, changed_at, closed_at, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
			h.ID, string(h.Kind), orNull(h.Number), orNull(h.Key), h.version, string(h.State), h.Unit, h.Topic, h.Subject, at(h.Due), at(h.Next), at(h.OpenedAt), at(h.ChangedAt), at(h.ClosedAt), body)
		if err != nil {
			return err
		}
	} else {
		n, err := tx.Exec(`UPDATE oversee_matter SET version = $2, state = $3, unit = $4, topic = $5, subject = $6, due_at = $7, next_at = $8, changed_at = $9, closed_at = $10, body = $11, number = $12
			WHERE id = $1 AND version = $13`, h.ID, h.version, string(h.State), h.Unit, h.Topic, h.Subject, at(h.Due), at(h.Next), at(h.ChangedAt), at(h.ClosedAt), body, orNull(h.Number), h.version-1)
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse("stale", "该事项刚刚被他人更新，请刷新后再操作")
		}
	}
	var old Head
	json.Unmarshal(f.before["tickets"], &old.Tickets) // of our own making; missing is none
	json.Unmarshal(f.before["members"], &old.Members)
	if err := relate(tx, "oversee_ticket", "ticket_id", h.ID, old.Tickets, h.Tickets); err != nil {
		return err
	}
	return relate(tx, "oversee_member", "member", h.ID, old.Members, h.Members)
}

// relate brings the rows of a relation from old to now.
func relate(tx *storage.Tx, table, column, id string, old, now []string) error {
	was, is := setOf(old), setOf(now)
	for _, v := range now {
		if !was[v] {
			if _, err := tx.Exec(`INSERT INTO `+table+` (matter_id, `+column+`) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, v); err != nil {
				return err
			}
		}
	}
	for _, v := range old {
		if !is[v] {
			if _, err := tx.Exec(`DELETE FROM `+table+` WHERE matter_id = $1 AND `+column+` = $2`, id, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func setOf(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, v := range list {
		m[v] = true
	}
	return m
}

// open enters a new matter, as command makes it. A matter whose Key is there already is returned with errThere.
func open[T any, P pointer[T]](d *Desk, tx *storage.Tx, k Kind, by ticket.Actor, key string, command func(f *file, m P) (info map[string]any, err error)) (T, error) {
	var none T
	if key != "" {
		old, err := storage.One(tx, storage.Value[string], `SELECT id FROM oversee_matter WHERE dedup = $1`, key)
		if err == nil {
			m, err := get[T, P](tx, old)
			if err != nil {
				return none, err
			}
			return *m, errThere
		} else if !errors.Is(err, storage.ErrNotFound) {
			return none, err
		}
	}
	rules, err := d.rules(tx)
	if err != nil {
		return none, err
	}
	m := P(new(T))
	f := &file{d: d, tx: tx, by: by, now: d.now(), m: m, rules: rules.ID(), bad: rules.Bad}
	*m.head() = Head{ID: newID(), Kind: k, Key: key, OpenedBy: by.String(), OpenedAt: f.now}
	info, err := command(f, m)
	if err != nil {
		return none, err
	}
	h := m.head()
	if !slices.Contains(kinds[k].moves[""], h.State) {
		return none, fmt.Errorf("open %s in state %q", k, h.State)
	}
	if h.Number == "" && kinds[k].series != "" {
		if h.Number, err = number(tx, kinds[k].series, f.now); err != nil {
			return none, err
		}
	}
	if err := f.save("opened", info); err != nil {
		return none, err
	}
	return *m, nil
}

// errThere is returned by open when the key is taken: the matter is there already, and nothing was changed.
var errThere = errors.New("raised already")

// change runs one command on a matter; the command returns the type of the event, and facts for it.
func change[T any, P pointer[T]](d *Desk, tx *storage.Tx, id string, k Kind, by ticket.Actor, command func(f *file, m P) (typ string, info map[string]any, err error)) (T, error) {
	var none T
	if by.Kind != ticket.SystemActor && by.ID == "" {
		return none, refuse("actor", "操作人不明，不能办理")
	}
	if _, err := storage.One(tx, storage.Value[string], `SELECT id FROM oversee_matter WHERE id = $1 AND kind = $2 `+tx.ForUpdate(), id, string(k)); err != nil {
		return none, fmt.Errorf("%s %s: %w", k, id, err)
	}
	m, err := get[T, P](tx, id)
	if err != nil {
		return none, err
	}
	if err := d.clear(tx, m, by); err != nil {
		return none, err
	}
	rules, err := d.rules(tx)
	if err != nil {
		return none, err
	}
	f := &file{d: d, tx: tx, by: by, now: d.now(), m: m, rules: rules.ID(), bad: rules.Bad}
	if f.now.Before(m.head().ChangedAt) {
		f.now = m.head().ChangedAt
	}
	if f.before, err = members(m); err != nil {
		return none, err
	}
	was := m.head().State
	typ, info, err := command(f, m)
	if err != nil {
		return none, err
	}
	if typ == "" {
		return *m, nil // nothing to do
	}
	if now := m.head().State; now != was && !slices.Contains(kinds[k].moves[was], now) {
		return none, fmt.Errorf("%s goes from %s to %s", m.head().Stream(), was, now)
	}
	return *m, f.save(typ, info)
}

// number gives out the next number of a series in the year: 督2026-0001.
func number(tx *storage.Tx, series string, at time.Time) (string, error) {
	series = fmt.Sprintf("%s%d", series, workday.DayOf(at).Year())
	n, err := storage.One(tx, storage.Value[int64], `INSERT INTO oversee_number (series, last) VALUES ($1, 1)
		ON CONFLICT (series) DO UPDATE SET last = oversee_number.last + 1 RETURNING last`, series)
	if err != nil {
		return "", fmt.Errorf("number of %s: %w", series, err)
	}
	return fmt.Sprintf("%s-%04d", series, n), nil
}

// get reads one matter.
func get[T any, P pointer[T]](tx *storage.Tx, id string) (P, error) {
	m := P(new(T))
	type row struct {
		body    string
		version int64
	}
	r, err := storage.One(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.body, &x.version) }, `SELECT body, version FROM oversee_matter WHERE id = $1`, id)
	if err != nil {
		return nil, fmt.Errorf("matter %s: %w", id, err)
	}
	if err := json.Unmarshal([]byte(r.body), m); err != nil {
		return nil, fmt.Errorf("matter %s: %w", id, err)
	}
	m.head().version = r.version
	return m, nil
}
