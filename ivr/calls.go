package ivr

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/storage"
	"lianxin/ticket"
)

// Disposition says in one word what became of a call.
type Disposition string

// The dispositions. A call that is still up has none.
const (
	Answered    Disposition = "answered"    // spoke with an operator
	Served      Disposition = "bot"         // the bot answered a question or told a progress
	Message     Disposition = "message"     // left a recorded message
	Promised    Disposition = "callback"    // asked for a call-back instead of waiting
	Abandoned   Disposition = "abandoned"   // wanted a person, got none, left nothing
	Left        Disposition = "menu"        // hung up in the menus
	Cancelled   Disposition = "cancelled"   // hung up before we answered
	TurnedAway  Disposition = "turned_away" // overload, maintenance
	Blocked     Disposition = "blocked"     // a nuisance caller who was held off
	Interrupted Disposition = "interrupted" // the program ended under the call
	Failed      Disposition = "failed"      // a fault of ours, or of the line before anything else
	Reached     Disposition = "reached"     // a call of ours that was answered
	Unreached   Disposition = "unreached"   // a call of ours that was not
)

// Dispositions lists all of them.
var Dispositions = []Disposition{Answered, Served, Message, Promised, Abandoned, Left, Cancelled, TurnedAway, Blocked, Interrupted, Failed, Reached, Unreached}

// Label is the disposition for staff (zh-CN).
func (d Disposition) Label() string {
	switch d {
	case Answered:
		return "人工接听"
	case Served:
		return "智能应答"
	case Message:
		return "留言"
	case Promised:
		return "约定回电"
	case Abandoned:
		return "等候放弃"
	case Left:
		return "菜单挂机"
	case Cancelled:
		return "未接通挂机"
	case TurnedAway:
		return "拥塞未接"
	case Blocked:
		return "限制接入"
	case Interrupted:
		return "系统中断"
	case Failed:
		return "故障"
	case Reached:
		return "外呼接通"
	case Unreached:
		return "外呼未接通"
	case "":
		return "通话中"
	}
	return string(d)
}

// Record is the record of one call (CDR). Times are zero where it did not come to that.
type Record struct {
	ID        string
	Node      string        // the program that served it
	Number    contact.Phone // prints masked
	ContactID string
	Dialled   string
	Trunk     string
	Anonymous bool
	Urgent    bool // 110 was keyed or spoken
	Proof     Proof
	Direction Direction
	Police    time.Time // when 110 came into the call; zero: it did not

	Started, Answered, Queued, Connected, Parted, Ended time.Time
	Seen                                                time.Time // last sign of life

	Disposition Disposition
	EndedBy     string // caller, operator, us, network, timeout, crash
	Cause       string
	Operator    string // extension of the last operator
	StaffID     string
	Offers      int
	Wait, Talk  time.Duration
	Rating      int // 1 非常满意 … 5 非常不满意, 0 none

	Recording       string // path below the recordings folder, slashes
	RecordingSHA256 string
	RecordingTime   time.Duration
	RecordingBytes  int64
	RecordedFrom    time.Time
	MessageFrom     time.Duration // where in the recording the message begins
	MessageTime     time.Duration // 0: no message

	RecordingFault   string        // why the call, or its end, is not recorded (zh-CN)
	RecordingPaused  time.Duration // silence in the recording while personal numbers were keyed
	RecordingHold    string        // why the sound is kept beyond its time (zh-CN)
	RecordingGone    time.Time     // when the sound was removed; the record stays
	RecordingGoneWhy string

	TicketID    string
	CallbackID  string
	Answers     []string // knowledge items played
	Flow        string
	FlowVersion string
	Steps       []Step
}

// Step is one thing that happened in a call. Keys that a caller pressed are never in it.
type Step struct {
	At   int64    `json:"t"`              // milliseconds after Record.Started
	Node string   `json:"node,omitempty"` // node of the flow
	Verb string   `json:"verb,omitempty"` // verb of the node that the caller came to
	Did  string   `json:"did,omitempty"`  // what happened, for people (zh-CN)
	Said []string `json:"said,omitempty"` // prompts that began to play
}

// Label is what pages call the caller: the masked number, or why there is none.
func (r Record) Label() string {
	switch {
	case !r.Number.IsZero():
		return r.Number.Masked()
	case r.Anonymous:
		return "未显示号码"
	}
	return "无号码"
}

const recordColumns = `id, node, number_sealed, contact_id, dialled, trunk, anonymous, urgent,
	started, answered, queued, connected, parted, ended, seen,
	disposition, ended_by, cause, operator, staff_id, offers, wait_ms, talk_ms, rating,
	recording, recording_sha256, recording_ms, recording_bytes, recorded_from, message_from_ms, message_ms,
	ticket_id, callback_id, answers, flow, flow_version, steps,
	recording_fault, recording_paused_ms, recording_hold, recording_gone, recording_gone_why, direction, police, proof`

const numberPurpose = "call.number"

// Calls reads the records of calls.
type Calls struct {
	Vault *contact.Vault
}

func (c Calls) scan(row storage.Row) (Record, error) {
	var r Record
	var sealed []byte
	var contactID *string
	var started, answered, queued, connected, parted, ended, seen, from, gone, police storage.Time
	var wait, talk, rec, mfrom, mtime, paused int64
	var answers, steps string
	err := row.Scan(&r.ID, &r.Node, &sealed, &contactID, &r.Dialled, &r.Trunk, &r.Anonymous, &r.Urgent,
		&started, &answered, &queued, &connected, &parted, &ended, &seen,
		&r.Disposition, &r.EndedBy, &r.Cause, &r.Operator, &r.StaffID, &r.Offers, &wait, &talk, &r.Rating,
		&r.Recording, &r.RecordingSHA256, &rec, &r.RecordingBytes, &from, &mfrom, &mtime,
		&r.TicketID, &r.CallbackID, &answers, &r.Flow, &r.FlowVersion, &steps,
		&r.RecordingFault, &paused, &r.RecordingHold, &gone, &r.RecordingGoneWhy, &r.Direction, &police, &r.Proof)
	if err != nil {
		return r, err
	}
	if contactID != nil {
		r.ContactID = *contactID
	}
	r.Police = police.Time
	r.Started, r.Answered, r.Queued, r.Connected, r.Parted, r.Ended, r.Seen, r.RecordedFrom =
		started.Time, answered.Time, queued.Time, connected.Time, parted.Time, ended.Time, seen.Time, from.Time
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	r.Wait, r.Talk, r.RecordingTime, r.MessageFrom, r.MessageTime = ms(wait), ms(talk), ms(rec), ms(mfrom), ms(mtime)
	r.RecordingPaused, r.RecordingGone = ms(paused), gone.Time
	r.Answers = strings.Fields(answers)
	if err := json.Unmarshal([]byte(steps), &r.Steps); err != nil {
		return r, fmt.Errorf("steps of call %s: %w", r.ID, err)
	}
	for i, s := range r.Steps { // records of before have the verb alone
		if label := flow.Label(s.Did); label != "" && s.Verb == "" {
			r.Steps[i].Verb, r.Steps[i].Did = s.Did, label
		}
	}
	plain, err := c.Vault.For(numberPurpose).Open(sealed)
	if err != nil {
		return r, fmt.Errorf("number of call %s: %w", r.ID, err)
	}
	if plain != "" {
		if r.Number, err = contact.ParsePhone(plain); err != nil {
			return r, fmt.Errorf("number of call %s: %w", r.ID, err)
		}
	}
	return r, nil
}

// Get returns one record, or storage.ErrNotFound.
func (c Calls) Get(tx *storage.Tx, id string) (Record, error) {
	r, err := storage.One(tx, c.scan, `SELECT `+recordColumns+` FROM call WHERE id = $1`, id)
	if err != nil {
		return r, fmt.Errorf("call %s: %w", id, err)
	}
	return r, nil
}

// Filter chooses calls. Zero fields do not restrict.
type Filter struct {
	From, To    time.Time // of Started, half-open
	Disposition Disposition
	Number      contact.Phone
	ContactID   string
	TicketID    string
	Operator    string // extension
	StaffID     string
	Direction   Direction
	CallbackID  string
	Up          bool             // only calls without an end
	Rated       bool             // only calls with a rating
	Conflict    *ticket.Conflict // leaves out calls from which a complaint about the reader came
	Limit       int              // 100 when 0
	Offset      int
}

func (f Filter) where(v *contact.Vault) (string, []any) {
	var cond []string
	var args []any
	add := func(text string, arg any) {
		args = append(args, arg)
		cond = append(cond, fmt.Sprintf(text, len(args)))
	}
	if !f.From.IsZero() {
		add("started >= $%d", storage.At(f.From))
	}
	if !f.To.IsZero() {
		add("started < $%d", storage.At(f.To))
	}
	if f.Disposition != "" {
		add("disposition = $%d", string(f.Disposition))
	}
	if !f.Number.IsZero() {
		add("number_hash = $%d", v.HashPhone(f.Number))
	}
	if f.ContactID != "" {
		add("contact_id = $%d", f.ContactID)
	}
	if f.TicketID != "" {
		add("ticket_id = $%d", f.TicketID)
	}
	if f.Operator != "" {
		add("operator = $%d", f.Operator)
	}
	if f.StaffID != "" {
		add("staff_id = $%d", f.StaffID)
	}
	if f.Direction != "" {
		add("direction = $%d", string(f.Direction))
	}
	if f.CallbackID != "" {
		add("callback_id = $%d", f.CallbackID)
	}
	if f.Up {
		cond = append(cond, "ended IS NULL")
	}
	if f.Rated {
		cond = append(cond, "rating > 0")
	}
	if f.Conflict != nil {
		var clear string
		clear, args = f.Conflict.Clear("call.ticket_id", args)
		cond = append(cond, clear)
	}
	if len(cond) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(cond, " AND "), args
}

// List returns the calls that match, the latest first, and how many there are in all.
func (c Calls) List(tx *storage.Tx, f Filter) ([]Record, int, error) {
	where, args := f.where(c.Vault)
	total, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM call`+where, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("count calls: %w", err)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	args = append(args, limit, f.Offset)
	list, err := storage.All(tx, c.scan, `SELECT `+recordColumns+` FROM call`+where+
		fmt.Sprintf(` ORDER BY started DESC, id DESC LIMIT $%d OFFSET $%d`, len(args)-1, len(args)), args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list calls: %w", err)
	}
	return list, total, nil
}

// save writes the whole record, whether it is there or not.
func (c Calls) save(tx *storage.Tx, r *Record) error {
	var sealed []byte
	var hash, contactID *string
	if !r.Number.IsZero() {
		sealed = c.Vault.For(numberPurpose).Seal(r.Number.Clear())
		h := c.Vault.HashPhone(r.Number)
		hash = &h
	}
	if r.ContactID != "" {
		contactID = &r.ContactID
	}
	steps, err := json.Marshal(r.Steps)
	if err != nil {
		return fmt.Errorf("save call %s: %w", r.ID, err)
	}
	at := storage.At
	direction := r.Direction
	if direction == "" {
		direction = Inbound
	}
	_, err = tx.Exec(`INSERT INTO call (`+recordColumns+`, number_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
			$25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46)
		ON CONFLICT (id) DO UPDATE SET contact_id = excluded.contact_id, urgent = excluded.urgent,
			answered = excluded.answered, queued = excluded.queued, connected = excluded.connected, parted = excluded.parted,
			ended = excluded.ended, seen = excluded.seen, disposition = excluded.disposition, ended_by = excluded.ended_by,
			cause = excluded.cause, operator = excluded.operator, staff_id = excluded.staff_id, offers = excluded.offers,
			wait_ms = excluded.wait_ms, talk_ms = excluded.talk_ms, rating = excluded.rating, recording = excluded.recording,
			recording_sha256 = excluded.recording_sha256, recording_ms = excluded.recording_ms,
			recording_bytes = excluded.recording_bytes, recorded_from = excluded.recorded_from,
			message_from_ms = excluded.message_from_ms, message_ms = excluded.message_ms, ticket_id = excluded.ticket_id,
			callback_id = excluded.callback_id, answers = excluded.answers, steps = excluded.steps,
			recording_fault = excluded.recording_fault, recording_paused_ms = excluded.recording_paused_ms, trunk = excluded.trunk, police = excluded.police, proof = excluded.proof`,
		r.ID, r.Node, sealed, contactID, r.Dialled, r.Trunk, r.Anonymous, r.Urgent,
		at(r.Started), at(r.Answered), at(r.Queued), at(r.Connected), at(r.Parted), at(r.Ended), at(r.Seen),
		string(r.Disposition), r.EndedBy, r.Cause, r.Operator, r.StaffID, r.Offers, r.Wait.Milliseconds(), r.Talk.Milliseconds(), r.Rating,
		r.Recording, r.RecordingSHA256, r.RecordingTime.Milliseconds(), r.RecordingBytes, at(r.RecordedFrom),
		r.MessageFrom.Milliseconds(), r.MessageTime.Milliseconds(),
		r.TicketID, r.CallbackID, strings.Join(r.Answers, " "), r.Flow, r.FlowVersion, string(steps),
		r.RecordingFault, r.RecordingPaused.Milliseconds(), r.RecordingHold, at(r.RecordingGone), r.RecordingGoneWhy, string(direction), at(r.Police), string(r.Proof), hash)
	if err != nil {
		return fmt.Errorf("save call %s: %w", r.ID, err)
	}
	return nil
}
