package ticket

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// Intake is a request as it reaches us (原始反映).
type Intake struct {
	Channel        string // code of a Channel
	ExternalID     string // its number where it came from; opening it again under the same number returns the ticket that is there
	Kind           Kind   // may be empty
	Colour         Colour // 蓝 when empty
	Title          string
	Body           string
	Place          string
	ContactID      string
	Confidential   bool
	Anonymous      bool
	Proactive      bool // we asked first (主动问需)
	CallID         string
	RecordID       string
	AccusedUnit    string
	AccusedStaff   string
	UnitHint       string
	IncidentNo     string
	WindowNo       string // number of the window that it is about
	ClerkNo        string // and of the clerk; never a name
	RepeatOf       string // id of an earlier ticket of the same matter, with
	RepeatEvidence string // why it is the same (I21)
	Raw            []byte // exactly what arrived; sealed and never changed
	ExternalDue    time.Time
	Emotion        bool      // the officer who took it confirms that the citizen was beside themselves
	Class          string    // code of a Class, when a person chose one
	At             time.Time // when it reached us; now when zero
	By             Actor
}

const (
	maxTitle = 200   // characters
	maxBody  = 20000 // characters
)

// Open enters a request as a ticket in state 待受理. When (Channel, ExternalID) is known it changes nothing and returns the
// ticket with Existing set; a different original under the same number is kept beside the first.
func (o *Office) Open(tx *storage.Tx, in Intake) (Ticket, error) {
	if !in.By.valid() {
		return Ticket{}, refuse("actor", "操作人不明，不能办理")
	}
	if !in.By.may(org.OpenTicket) {
		return Ticket{}, noRole()
	}
	ch, err := o.Channel(tx, in.Channel)
	if errors.Is(err, storage.ErrNotFound) {
		return Ticket{}, refuse("channel", "没有渠道“%s”", in.Channel)
	} else if err != nil {
		return Ticket{}, err
	}
	if in.Colour == "" {
		in.Colour = Blue
	}
	switch {
	case in.Kind != "" && !in.Kind.Valid():
		return Ticket{}, refuse("kind", "没有诉求类型“%s”", in.Kind)
	case in.Colour.Rank() == 0:
		return Ticket{}, refuse("colour", "颜色只能是红、橙、黄、蓝")
	case utf8.RuneCountInString(in.Title) > maxTitle || utf8.RuneCountInString(in.Body) > maxBody:
		return Ticket{}, refuse("length", "标题不超过%d字，内容不超过%d字", maxTitle, maxBody)
	}
	in.WindowNo, in.ClerkNo = strings.TrimSpace(in.WindowNo), strings.ToUpper(strings.TrimSpace(in.ClerkNo))
	if err := checkServed(in.WindowNo, in.ClerkNo); err != nil {
		return Ticket{}, err
	}
	in.ExternalID = strings.TrimSpace(in.ExternalID)
	if t, err := o.redelivered(tx, in); !errors.Is(err, storage.ErrNotFound) {
		return t, err
	}
	if !ch.Enabled {
		return Ticket{}, refuse("channel", "渠道“%s”已停用", ch.Name)
	}
	now := o.now()
	// From here on the counter's row is ours: whoever opens at the same moment waits, and then finds our ticket.
	number, back, err := o.nextNumber(tx, now)
	if err != nil {
		return Ticket{}, err
	}
	if t, err := o.redelivered(tx, in); !errors.Is(err, storage.ErrNotFound) {
		return t, errors.Join(err, back())
	}
	rules, ruleID, err := o.current(tx, now)
	if err != nil {
		return Ticket{}, err
	}
	t := &Ticket{
		ID: newID(), Number: number, State: New, Channel: in.Channel, ExternalID: in.ExternalID, Kind: in.Kind, OriginalKind: in.Kind,
		Colour: in.Colour, ContactID: in.ContactID, CallID: in.CallID, RecordID: in.RecordID, IncidentNo: in.IncidentNo, AccusedUnit: in.AccusedUnit,
		AccusedStaff: in.AccusedStaff, UnitHint: in.UnitHint, Confidential: in.Confidential || ch.Restricted, Anonymous: in.Anonymous,
		WindowNo: in.WindowNo, ClerkNo: in.ClerkNo, Proactive: in.Proactive, Restricted: ch.Restricted, Emotion: in.Emotion, RuleVersion: ruleID, OpenedBy: in.By.String(), ReceivedAt: ms(in.At), OpenedAt: now,
		ChangedAt: now, version: 1,
	}
	if t.ReceivedAt.IsZero() || t.ReceivedAt.After(now) {
		t.ReceivedAt = now
	}
	d := &dossier{o: o, tx: tx, rules: rules, stream: Stream(t.ID), by: in.By, now: now, fresh: true, ticket: t, loaded: fields{}, seen: fields{}}
	t.TitleRef, t.Title = d.write("title", in.Title)
	t.BodyRef, t.Body = d.write("body", in.Body)
	t.PlaceRef, t.Place = d.write("place", in.Place)
	info := map[string]any{"channel": in.Channel}
	if in.RepeatOf != "" {
		evidence, err := d.repeat(in.RepeatOf, in.RepeatEvidence)
		if err != nil {
			return Ticket{}, err
		}
		info["repeat_of"], info["evidence"] = in.RepeatOf, evidence
	}
	if class, err := d.class(in.Class); err != nil {
		return Ticket{}, err
	} else if class != nil {
		info["class"] = in.Class
	}
	if err := d.locate(); err != nil {
		return Ticket{}, err
	}
	d.move(New)
	d.start(ClockAccept, nil)
	if !in.ExternalDue.IsZero() {
		d.startUntil(ClockExternal, in.ExternalDue)
	}
	var raw *rawRow
	if len(in.Raw) > 0 {
		raw = o.seal(in, now)
		info["raw"] = map[string]string{"id": raw.id, "sum": raw.sum}
	}
	err = d.emit("ticket.opened", info)
	if err == nil {
		err = d.sort()
	}
	if err == nil {
		err = d.grade(GradedOpened)
	}
	if err == nil {
		err = d.save(tx)
	}
	if err == nil {
		err = o.CameAgain(tx, t.ContactID, t.ID)
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("open a ticket: %w", err)
	}
	if raw != nil {
		if err := raw.insert(tx, t.ID, in); err != nil {
			return Ticket{}, err
		}
	}
	return *t, nil
}

// redelivered returns the ticket that (Channel, ExternalID) has already, or storage.ErrNotFound.
func (o *Office) redelivered(tx *storage.Tx, in Intake) (Ticket, error) {
	if in.ExternalID == "" {
		return Ticket{}, storage.ErrNotFound
	}
	t, err := one[Ticket](tx, ` WHERE channel = $1 AND external_id = $2`, in.Channel, in.ExternalID)
	if err != nil {
		return Ticket{}, err
	}
	t.Existing = true
	if len(in.Raw) == 0 {
		return *t, nil
	}
	raw := o.seal(in, o.now())
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_raw WHERE ticket_id = $1 AND mark = $2`, t.ID, raw.mark)
	if err != nil || n > 0 {
		return *t, err
	}
	d, err := o.load(tx, t.ID, in.By, o.now(), true)
	if err != nil {
		return Ticket{}, err
	}
	if err := d.emit("ticket.redelivered", map[string]any{"raw": map[string]string{"id": raw.id, "sum": raw.sum}}); err != nil {
		return Ticket{}, err
	}
	if err := d.save(tx); err != nil {
		return Ticket{}, fmt.Errorf("ticket %s: %w", t.ID, err)
	}
	if err := raw.insert(tx, t.ID, in); err != nil {
		return Ticket{}, err
	}
	d.ticket.Existing = true
	return *d.ticket, nil
}

// nextNumber gives out the day's next number (民2026-1123-0001) and a way to give it back. Two transactions never get the
// same one: the second waits for the first.
func (o *Office) nextNumber(tx *storage.Tx, now time.Time) (string, func() error, error) {
	day := workday.DayOf(now)
	n, err := storage.One(tx, storage.Value[int64], `INSERT INTO ticket_number (day, last) VALUES ($1, 1)
		ON CONFLICT (day) DO UPDATE SET last = ticket_number.last + 1 RETURNING last`, day)
	if err != nil {
		return "", nil, fmt.Errorf("number a ticket: %w", err)
	}
	back := func() error {
		_, err := tx.Exec(`UPDATE ticket_number SET last = last - 1 WHERE day = $1`, day)
		return err
	}
	y, m, dd := day.Date()
	return fmt.Sprintf("民%04d-%02d%02d-%04d", y, m, dd, n), back, nil
}

type rawRow struct {
	id, mark, sum string
	sealed        []byte
	at            time.Time
}

const rawPurpose = "ticket.raw"

func (o *Office) seal(in Intake, now time.Time) *rawRow {
	box := o.Book.Vault.For(rawPurpose)
	r := &rawRow{id: newID(), mark: box.Hash(string(in.Raw)), sealed: box.Seal(string(in.Raw)), at: now}
	h := sha256.Sum256(r.sealed)
	r.sum = hex.EncodeToString(h[:])
	return r
}

func (r *rawRow) insert(tx *storage.Tx, ticketID string, in Intake) error {
	_, err := tx.Exec(`INSERT INTO ticket_raw (id, ticket_id, channel, external_id, mark, sealed, sum, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.id, ticketID, in.Channel, blank{&in.ExternalID}, r.mark, r.sealed, r.sum, storage.At(r.at))
	if err != nil {
		return fmt.Errorf("keep the original of %s: %w", ticketID, err)
	}
	return nil
}

// Raw returns the originals of a ticket in the open, first to last. Reading them is for roles that may know the
// complainant; the caller logs it (I7).
func (o *Office) Raw(tx *storage.Tx, id string) ([][]byte, error) {
	sealed, err := storage.All(tx, storage.Value[[]byte], `SELECT sealed FROM ticket_raw WHERE ticket_id = $1 ORDER BY id`, id)
	if err != nil {
		return nil, fmt.Errorf("originals of %s: %w", id, err)
	}
	var out [][]byte
	for _, s := range sealed {
		plain, err := o.Book.Vault.For(rawPurpose).Open(s)
		if err != nil {
			return nil, fmt.Errorf("originals of %s: %w", id, err)
		}
		out = append(out, []byte(plain))
	}
	return out, nil
}

// Amendment fills or corrects a draft; empty fields and nil pointers leave what is there.
type Amendment struct {
	Title, Body, Place        string
	Kind                      Kind
	ContactID                 string
	CallID, RecordID          string
	IncidentNo                string
	WindowNo, ClerkNo         string
	AccusedUnit, AccusedStaff string
	UnitHint                  string
	Validity                  Validity
	Confidential, Anonymous   *bool
}

// Amend changes a ticket that is still 待受理. A kind that the citizen or another body gave is changed by RequestRetype
// only (I13), and confidentiality once asked for is not taken away.
func (o *Office) Amend(tx *storage.Tx, id string, a Amendment, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		t := d.ticket
		if err := d.in("补充登记", New); err != nil {
			return err
		}
		switch {
		case by.Kind == CitizenActor && by.ID != t.ContactID:
			return refuse("citizen", "只能补充本人的诉求")
		case by.officer() && t.Restricted && !by.sits():
			return refuse("seat", "督察12389诉求仅限督察专席办理")
		case by.Kind != CitizenActor && !by.may(org.AmendTicket) && by.String() != t.OpenedBy:
			return noRole()
		case utf8.RuneCountInString(a.Title) > maxTitle || utf8.RuneCountInString(a.Body) > maxBody:
			return refuse("length", "标题不超过%d字，内容不超过%d字", maxTitle, maxBody)
		case a.Confidential != nil && !*a.Confidential && t.Confidential:
			return refuse("confidential", "群众已要求保密，不能取消")
		}
		if a.Kind != "" && a.Kind != t.Kind {
			if !a.Kind.Valid() {
				return refuse("kind", "没有诉求类型“%s”", a.Kind)
			}
			machine := t.OpenedBy == System.String() || t.OpenedBy == Bot.String() || t.OpenedBy == by.String()
			ch, err := o.Channel(tx, t.Channel)
			if err != nil {
				return err
			}
			if t.Kind != "" && (!machine || ch.External) {
				return refuse("retype", "诉求类型已确定，更改须经第二人审核（改类）")
			}
			t.Kind = a.Kind
			if t.OriginalKind == "" {
				t.OriginalKind = a.Kind
			}
		}
		if _, ok := validityLabels[a.Validity]; !ok {
			return refuse("validity", "没有有效性“%s”", a.Validity)
		}
		a.WindowNo, a.ClerkNo = strings.TrimSpace(a.WindowNo), strings.ToUpper(strings.TrimSpace(a.ClerkNo))
		if err := checkServed(a.WindowNo, a.ClerkNo); err != nil {
			return err
		}
		set := func(dst *string, v string) {
			if v != "" {
				*dst = v
			}
		}
		set(&t.ContactID, a.ContactID)
		set(&t.CallID, a.CallID)
		set(&t.RecordID, a.RecordID)
		set(&t.IncidentNo, a.IncidentNo)
		set(&t.WindowNo, a.WindowNo)
		set(&t.ClerkNo, a.ClerkNo)
		set(&t.AccusedUnit, a.AccusedUnit)
		set(&t.AccusedStaff, a.AccusedStaff)
		set(&t.UnitHint, a.UnitHint)
		if a.Validity != "" {
			t.Validity = a.Validity
		}
		if a.Confidential != nil {
			t.Confidential = *a.Confidential
		}
		if a.Anonymous != nil {
			t.Anonymous = *a.Anonymous
		}
		if strings.TrimSpace(a.Title) != "" {
			t.TitleRef, t.Title = d.write("title", a.Title)
		}
		if strings.TrimSpace(a.Body) != "" {
			t.BodyRef, t.Body = d.write("body", a.Body)
		}
		if strings.TrimSpace(a.Place) != "" {
			t.PlaceRef, t.Place = d.write("place", a.Place)
		}
		if err := d.locate(); err != nil {
			return err
		}
		if err := d.emit("ticket.amended", nil); err != nil {
			return err
		}
		if err := d.sort(); err != nil {
			return err
		}
		return d.grade(GradedAmended)
	})
}

// LinkRepeat notes that a ticket repeats an earlier one of the same matter, with the evidence (I21).
func (o *Office) LinkRepeat(tx *storage.Tx, id, of, evidence string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.centre(org.MergeTicket); err != nil {
			return err
		}
		ref, err := d.repeat(of, evidence)
		if err != nil {
			return err
		}
		if err := d.emit("ticket.repeat_linked", map[string]any{"repeat_of": of, "evidence": ref}); err != nil {
			return err
		}
		return d.grade(GradedRepeat)
	})
}

func (d *dossier) repeat(of, evidence string) (Text, error) {
	if strings.TrimSpace(evidence) == "" {
		return Text{}, refuse("evidence", "认定重复须写明依据")
	}
	earlier, err := one[Ticket](d.tx, ` WHERE id = $1`, of)
	if errors.Is(err, storage.ErrNotFound) {
		return Text{}, refuse("repeat", "没有找到所关联的原诉求")
	} else if err != nil {
		return Text{}, fmt.Errorf("earlier ticket %s: %w", of, err)
	}
	if of == d.ticket.ID || earlier.OpenedAt.After(d.ticket.OpenedAt) || earlier.RepeatOf == d.ticket.ID {
		return Text{}, refuse("repeat", "只能关联更早的诉求")
	}
	d.ticket.RepeatOf = of
	ref, _ := d.write("evidence", evidence)
	return ref, nil
}
