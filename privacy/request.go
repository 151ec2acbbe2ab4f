package privacy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// RequestKind is what a person may ask about their own data (个人信息保护法 articles 45 to 47).
type RequestKind string

// Kinds of requests.
const (
	Copy    RequestKind = "copy"    // 查阅、复制
	Correct RequestKind = "correct" // 更正、补充
	Erasure RequestKind = "erase"   // 删除
)

// RequestKinds lists all kinds.
var RequestKinds = []RequestKind{Copy, Correct, Erasure}

// Proofs are the ways in which we know that it is the person who asks.
var Proofs = []string{"idcard", "callback", "code", "written"}

// RequestState is where a request stands.
type RequestState string

// States of a request.
const (
	RequestAsked    RequestState = "asked"
	RequestApproved RequestState = "approved"
	RequestRefused  RequestState = "refused"
	RequestDone     RequestState = "done"
)

// answerWithin is how long a request may take: 30 days, as GB/T 35273 has it where the law says 及时.
const answerWithin = 30 * 24 * time.Hour

// CopyFor is how long a copy may be taken again after the first time.
const CopyFor = 7 * 24 * time.Hour

// Request is what a person asks about their own data: one officer registers it, another one approves, then it is done.
type Request struct {
	ID        string
	Kind      RequestKind
	Person    string // id
	State     RequestState
	Proof     string // one of Proofs
	Ground    string // what was asked, in words
	Change    Change // what is right, of a correction that is not done yet
	Note      string // why it was decided so
	Counts    Erased // what an erasure took out; Holding's figures of a copy
	AskedBy   string
	AskedAt   time.Time
	Due       time.Time
	DecidedBy string
	DecidedAt time.Time
	DoneBy    string
	DoneAt    time.Time
}

// Change is what a person says is right; an empty field stays as it is.
type Change struct {
	Name  string `json:"name,omitempty"`
	Phone string `json:"phone,omitempty"`
	Mail  string `json:"mail,omitempty"`
}

// Fields are the names of what changes.
func (c Change) Fields() (out []string) {
	for _, f := range [][2]string{{"name", c.Name}, {"phone", c.Phone}, {"mail", c.Mail}} {
		if f[1] != "" {
			out = append(out, f[0])
		}
	}
	return out
}

// Holding is how much is kept of a person, without a word of it.
type Holding struct {
	contact.Person
	Requests, Open, Files, Calls, Recordings, Texts, Services int
	First                                                     time.Time // of their requests
}

// refuse is a refusal that pages show.
func refuse(code, text string) error { return &ticket.Refusal{Code: code, Message: text} }

// Look finds whose data somebody asks for and tells how much is kept of them. It is refused to an officer from whom one of
// their requests is hidden: whom a complaint accuses does not learn of it here (I6).
func (k *Keeper) Look(tx *storage.Tx, text string, by ticket.Actor) ([]Holding, error) {
	people, err := k.Office.Book.FindBy(tx, text)
	if err != nil {
		return nil, err
	}
	var out []Holding
	for _, p := range people {
		h, err := k.Holding(tx, p.ID, by)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// Holding tells how much is kept of a person.
func (k *Keeper) Holding(tx *storage.Tx, id string, by ticket.Actor) (h Holding, err error) {
	if h.Person, err = k.Office.Book.Get(tx, id); err != nil {
		return h, err
	}
	list, total, err := k.Office.List(tx, ticket.Filter{Viewer: ticket.System, Contact: id, Order: ticket.ByOldest, Limit: 1000})
	if err != nil {
		return h, err
	}
	if _, seen, err := k.Office.List(tx, ticket.Filter{Viewer: by, Contact: id, Limit: 1}); err != nil {
		return h, err
	} else if seen != total {
		return h, refuse("other", "依回避规定，该请求不能由您办理，请交由其他人员")
	}
	h.Requests = total
	for _, t := range list {
		if h.First.IsZero() {
			h.First = t.ReceivedAt
		}
		if t.State.Open() {
			h.Open++
		}
	}
	count := func(into *int, query string, arg any) {
		if err == nil {
			*into, err = storage.One(tx, storage.Value[int], query, arg)
		}
	}
	count(&h.Files, `SELECT COUNT(*) FROM channel_attachment WHERE sealed IS NOT NULL AND ticket_id IN (SELECT id FROM ticket WHERE contact_id = $1)`, id)
	count(&h.Calls, `SELECT COUNT(*) FROM call WHERE contact_id = $1`, id)
	count(&h.Recordings, `SELECT COUNT(*) FROM call WHERE contact_id = $1 AND recording <> '' AND recording_gone IS NULL`, id)
	if !h.Phone.IsZero() {
		hash := k.Office.Book.Vault.HashPhone(h.Phone)
		var in int
		count(&h.Texts, `SELECT COUNT(*) FROM sms WHERE phone_hash = $1`, hash)
		count(&in, `SELECT COUNT(*) FROM sms_inbound WHERE phone_hash = $1`, hash)
		count(&h.Services, `SELECT COUNT(*) FROM survey_record WHERE phone_hash = $1`, hash)
		h.Texts += in
	}
	return h, err
}

// RequestStream is the stream of a request in the log.
func RequestStream(id string) string { return "person-request/" + id }

// Ask registers a request. The person is known by id, from Look.
func (k *Keeper) Ask(tx *storage.Tx, r Request, by ticket.Actor) (Request, error) {
	r.Ground = strings.TrimSpace(r.Ground)
	switch {
	case !org.Can(by.Role, org.HandlePersonal):
		return r, refuse("role", "您的岗位没有此项权限")
	case r.Kind != Copy && r.Kind != Correct && r.Kind != Erasure:
		return r, refuse("kind", "请选择请求种类")
	case !contains(Proofs, r.Proof):
		return r, refuse("proof", "请选择如何核实了本人身份")
	case utf8.RuneCountInString(r.Ground) < 2 || utf8.RuneCountInString(r.Ground) > 500:
		return r, refuse("ground", "请写明请求内容或编号（2到500字）")
	}
	h, err := k.Holding(tx, r.Person, by)
	if err != nil {
		return r, err
	}
	if r.Kind == Erasure && h.Open > 0 {
		return r, refuse("open", fmt.Sprintf("还有%d件诉求没有办结，办结后才能删除", h.Open))
	}
	if r.Kind == Correct {
		if err := k.checkChange(&r.Change); err != nil {
			return r, err
		}
	} else {
		r.Change = Change{}
	}
	waiting, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM person_request WHERE contact_id = $1 AND kind = $2 AND state IN ('asked', 'approved')`, r.Person, string(r.Kind))
	if err != nil {
		return r, fmt.Errorf("register a person's request: %w", err)
	}
	if waiting > 0 {
		return r, refuse("twice", "此人同类请求已登记，正在办理")
	}
	now := k.now()
	r.ID, r.State, r.AskedBy, r.AskedAt, r.Due = storage.NewID(), RequestAsked, by.String(), now, now.Add(answerWithin)
	var change []byte
	if r.Kind == Correct {
		b, err := json.Marshal(r.Change)
		if err != nil {
			return r, err
		}
		change = k.vault().For("person.change").Seal(string(b))
	}
	_, err = tx.Exec(`INSERT INTO person_request (id, kind, contact_id, state, proof, ground, change, asked_by, asked_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.ID, string(r.Kind), r.Person, string(r.State), r.Proof, k.vault().For("person.ground").Seal(r.Ground), change, r.AskedBy, storage.At(r.AskedAt), storage.At(r.Due))
	if err == nil {
		err = k.logRequest(tx, r, "asked", by, map[string]any{"proof": r.Proof, "fields": r.Change.Fields()})
	}
	if err != nil {
		return r, fmt.Errorf("register a person's request: %w", err)
	}
	return r, nil
}

func (k *Keeper) vault() *contact.Vault { return k.Office.Book.Vault }

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// checkChange refuses what cannot be written down.
func (k *Keeper) checkChange(c *Change) error {
	c.Name, c.Phone, c.Mail = strings.TrimSpace(c.Name), strings.TrimSpace(c.Phone), strings.TrimSpace(c.Mail)
	if len(c.Fields()) == 0 {
		return refuse("change", "请填写更正后的内容")
	}
	if c.Phone != "" {
		if _, err := contact.ParsePhone(c.Phone); err != nil {
			return refuse("phone", "更正后的电话号码不对")
		}
	}
	if c.Mail != "" {
		if _, err := contact.ParseMail(c.Mail); err != nil {
			return refuse("mail", "更正后的邮箱不对")
		}
	}
	if utf8.RuneCountInString(c.Name) > 50 {
		return refuse("name", "姓名不超过50字")
	}
	return nil
}

func (k *Keeper) logRequest(tx *storage.Tx, r Request, what string, by ticket.Actor, more map[string]any) error {
	facts := map[string]any{"kind": r.Kind, "person": r.Person}
	for key, v := range more {
		facts[key] = v
	}
	_, err := audit.Append(tx, audit.Entry{Stream: RequestStream(r.ID), Type: "person." + what, Actor: by.String(), At: k.now(), Payload: facts})
	return err
}

// Decide is the second person's word on a request, who may not be the first.
func (k *Keeper) Decide(tx *storage.Tx, id string, approve bool, note string, by ticket.Actor) (Request, error) {
	r, err := k.request(tx, id, tx.ForUpdate())
	if err != nil {
		return r, err
	}
	note = strings.TrimSpace(note)
	switch {
	case !org.Can(by.Role, org.JudgePersonal):
		return r, refuse("role", "您的岗位没有此项权限")
	case r.State != RequestAsked:
		return r, refuse("state", "该请求已经审批过")
	case r.AskedBy == by.String():
		return r, refuse("self", "登记人不能审批自己登记的请求")
	case !approve && utf8.RuneCountInString(note) < 2:
		return r, refuse("note", "不同意须写明理由")
	case utf8.RuneCountInString(note) > 500:
		return r, refuse("note", "意见不超过500字")
	}
	if _, err := k.Holding(tx, r.Person, by); err != nil {
		return r, err
	}
	r.State, r.DecidedBy, r.DecidedAt, r.Note = RequestRefused, by.String(), k.now(), note
	if approve {
		r.State = RequestApproved
	}
	_, err = tx.Exec(`UPDATE person_request SET state = $2, note = $3, decided_by = $4, decided_at = $5, change = CASE WHEN $2 = 'refused' THEN NULL ELSE change END WHERE id = $1`,
		r.ID, string(r.State), k.vault().For("person.note").Seal(note), r.DecidedBy, storage.At(r.DecidedAt))
	if err == nil {
		err = k.logRequest(tx, r, string(r.State), by, nil)
	}
	if err != nil {
		return r, fmt.Errorf("decide on a person's request: %w", err)
	}
	return r, nil
}

// Carry carries an approved request out. Of a copy it returns the dossier, which may be taken again for seven days; each
// time is logged.
func (k *Keeper) Carry(tx *storage.Tx, id string, by ticket.Actor) (r Request, d *Dossier, err error) {
	if r, err = k.request(tx, id, tx.ForUpdate()); err != nil {
		return r, nil, err
	}
	again := r.Kind == Copy && r.State == RequestDone && k.now().Before(r.DoneAt.Add(CopyFor))
	switch {
	case !org.Can(by.Role, org.HandlePersonal):
		return r, nil, refuse("role", "您的岗位没有此项权限")
	case r.State == RequestDone && r.Kind == Copy && !again:
		return r, nil, refuse("late", "副本已过领取期限，请重新登记")
	case r.State != RequestApproved && !again:
		return r, nil, refuse("state", "该请求尚未批准，或已经办完")
	}
	if _, err := k.Holding(tx, r.Person, by); err != nil {
		return r, nil, err
	}
	reason := "个人信息请求 " + r.ID
	switch r.Kind {
	case Copy:
		x, err := k.ExportPerson(tx, by.String(), r.Person, reason)
		if err != nil {
			return r, nil, err
		}
		d = &x
		r.Counts = Erased{Person: r.Person, Requests: len(x.Requests), Texts: len(x.Texts), Records: len(x.Services), Calls: len(x.Calls)}
	case Correct:
		who := contact.Who{Name: r.Change.Name, Mail: r.Change.Mail}
		if r.Change.Phone != "" {
			if who.Phone, err = contact.ParsePhone(r.Change.Phone); err != nil {
				return r, nil, err
			}
		}
		if err := k.Office.Book.Correct(tx, r.Person, who, by.String(), reason); errors.Is(err, contact.ErrTaken) {
			return r, nil, refuse("taken", "更正后的号码或邮箱已登记在另一人名下，请先核实")
		} else if err != nil {
			return r, nil, err
		}
	case Erasure:
		if r.Counts, err = k.ErasePerson(tx, by.String(), r.Person, reason); errors.Is(err, ErrOpen) {
			return r, nil, refuse("open", "还有诉求没有办结，办结后才能删除")
		} else if err != nil {
			return r, nil, err
		}
	}
	counts, err := json.Marshal(r.Counts)
	if err != nil {
		return r, nil, err
	}
	if !again {
		r.State, r.DoneBy, r.DoneAt = RequestDone, by.String(), k.now()
		if _, err := tx.Exec(`UPDATE person_request SET state = $2, change = NULL, counts = $3, done_by = $4, done_at = $5 WHERE id = $1`,
			r.ID, string(r.State), string(counts), r.DoneBy, storage.At(r.DoneAt)); err != nil {
			return r, nil, fmt.Errorf("carry out a person's request: %w", err)
		}
	}
	if err := k.logRequest(tx, r, "done", by, map[string]any{"again": again, "counts": r.Counts}); err != nil {
		return r, nil, fmt.Errorf("carry out a person's request: %w", err)
	}
	return r, d, nil
}

const requestQuery = `SELECT id, kind, contact_id, state, proof, ground, change, note, counts, asked_by, asked_at, due_at, decided_by, decided_at, done_by, done_at FROM person_request`

func (k *Keeper) scanRequest(row storage.Row) (r Request, err error) {
	var ground, change, note []byte
	var counts string
	var asked, due, decided, done storage.Time
	if err = row.Scan(&r.ID, &r.Kind, &r.Person, &r.State, &r.Proof, &ground, &change, &note, &counts, &r.AskedBy, &asked, &due, &r.DecidedBy, &decided, &r.DoneBy, &done); err != nil {
		return r, err
	}
	r.AskedAt, r.Due, r.DecidedAt, r.DoneAt = asked.Time, due.Time, decided.Time, done.Time
	if r.Ground, err = k.vault().For("person.ground").Open(ground); err != nil {
		return r, err
	}
	if r.Note, err = k.vault().For("person.note").Open(note); err != nil {
		return r, err
	}
	text, err := k.vault().For("person.change").Open(change)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &r.Change)
	}
	if err == nil && counts != "" {
		err = json.Unmarshal([]byte(counts), &r.Counts)
	}
	return r, err
}

func (k *Keeper) request(tx *storage.Tx, id, lock string) (Request, error) {
	r, err := storage.One(tx, k.scanRequest, requestQuery+` WHERE id = $1 `+lock, id)
	if err != nil {
		return r, fmt.Errorf("person's request %s: %w", id, err)
	}
	return r, nil
}

// Request is one request, or storage.ErrNotFound.
func (k *Keeper) Request(tx *storage.Tx, id string) (Request, error) { return k.request(tx, id, "") }

// Requests lists requests, those that wait first, then the latest.
func (k *Keeper) Requests(tx *storage.Tx, limit int) ([]Request, error) {
	list, err := storage.All(tx, k.scanRequest, requestQuery+` ORDER BY CASE state WHEN 'asked' THEN 0 WHEN 'approved' THEN 1 ELSE 2 END, asked_at DESC, id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("persons' requests: %w", err)
	}
	return list, nil
}
