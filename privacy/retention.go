package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/schedule"
	"lianxin/storage"
	"lianxin/ticket"
)

// Kind is a kind of data that has a period of its own.
type Kind string

// Kinds. Recordings have a job of their own (ivr), with holds.
const (
	Tickets Kind = "tickets" // words, originals and files of settled requests; then the persons nobody needs any more
	Texts   Kind = "texts"   // numbers and words of texts and replies
	Records Kind = "records" // persons in service records
	Calls   Kind = "calls"   // numbers of callers, and the traces of calls
	Imports Kind = "imports" // reports of refused lines, uploads nobody went on with
	Outward Kind = "outward" // messages that were sent to other systems
	Loose   Kind = "loose"   // words of call-backs and alerts that belong to no request
	Persons Kind = "persons" // words of what people asked about their own data
)

// Kinds lists all kinds.
var Kinds = []Kind{Tickets, Texts, Records, Calls, Imports, Outward, Loose, Persons}

var kindLabels = map[Kind][2]string{Tickets: {"诉求内容、原件和附件", "words, originals and files of requests"}, Texts: {"短信号码和内容", "numbers and words of texts"}, Records: {"业务记录中的个人信息", "persons in service records"},
	Calls: {"来电号码和通话踪迹", "numbers of callers, traces"}, Imports: {"导入退回行和上传文件", "refused lines, uploads"}, Outward: {"已送出的消息", "messages sent out"},
	Loose: {"不属于诉求的回访和预警", "call-backs and alerts without a request"}, Persons: {"个人信息请求的内容", "words of requests about personal data"}}

// Label is the kind in both languages.
func (k Kind) Label() (zh, en string) { return kindLabels[k][0], kindLabels[k][1] }

// Period is how long something is kept: years, months and days.
type Period struct{ Years, Months, Days int }

// ParsePeriod reads 10y, 6m or 30d.
func ParsePeriod(s string) (p Period, err error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 {
		return p, fmt.Errorf("%q is no period: want 10y, 6m or 30d", s)
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n < 1 || n > 36500 {
		return p, fmt.Errorf("%q is no period: want 10y, 6m or 30d", s)
	}
	switch s[len(s)-1] {
	case 'y':
		p.Years = n
	case 'm':
		p.Months = n
	case 'd':
		p.Days = n
	default:
		return p, fmt.Errorf("%q is no period: want 10y, 6m or 30d", s)
	}
	return p, nil
}

// Before is the moment before which something of this period is too old.
func (p Period) Before(now time.Time) time.Time { return now.AddDate(-p.Years, -p.Months, -p.Days) }

func (p Period) String() string {
	switch {
	case p.Years > 0:
		return strconv.Itoa(p.Years) + "y"
	case p.Months > 0:
		return strconv.Itoa(p.Months) + "m"
	}
	return strconv.Itoa(p.Days) + "d"
}

// Defaults are the periods that hold where the configuration says nothing.
func Defaults() map[Kind]Period {
	return map[Kind]Period{Tickets: {Years: 10}, Texts: {Years: 1}, Records: {Years: 1}, Calls: {Years: 2}, Imports: {Days: 30}, Outward: {Years: 1}, Loose: {Years: 2}, Persons: {Years: 3}}
}

// Keeper takes out what has been kept long enough. DB and Office are needed.
type Keeper struct {
	DB      *storage.DB
	Office  *ticket.Office
	Periods map[Kind]Period // Defaults where a kind is missing
	Now     func() time.Time
}

func (k *Keeper) now() time.Time {
	if k.Now != nil {
		return k.Now()
	}
	return time.Now()
}

// Period is the period of a kind.
func (k *Keeper) Period(kind Kind) Period {
	if p, ok := k.Periods[kind]; ok {
		return p
	}
	return Defaults()[kind]
}

// Due is how much of a kind has been kept long enough.
type Due struct {
	Kind   Kind
	Period Period
	Before time.Time
	Rows   int // requests, texts, records …
	Done   int // of them, what a run has taken out
}

// due is the condition for rows whose time is over; $1 is the moment.
var due = map[Kind][]struct{ table, where string }{
	Tickets: {{"ticket", `COALESCE(closed_at, changed_at) < $1 AND state IN ('CLOSED', 'ARCHIVED', 'REFUSED', 'TRANSFERRED', 'MERGED', 'WITHDRAWN')
		AND (EXISTS (SELECT 1 FROM ticket_text x WHERE x.stream = 'ticket/' || ticket.id AND x.shown <> '` + ticket.Erased + `') OR EXISTS (SELECT 1 FROM ticket_raw r WHERE r.ticket_id = ticket.id)
			OR EXISTS (SELECT 1 FROM channel_attachment a WHERE a.ticket_id = ticket.id AND a.sealed IS NOT NULL))`}},
	Texts:   {{"sms", `created_at < $1 AND phone_hash <> '' AND state NOT IN ('queued', 'sending', 'unknown')`}, {"sms_inbound", `received_at < $1 AND phone_hash <> ''`}},
	Records: {{"survey_record", `service_at < $1 AND phone_hash <> 'erased'`}},
	Calls:   {{"call", `started < $1 AND ended IS NOT NULL AND number_sealed IS NOT NULL`}},
	Imports: {{"channel_import", `at < $1 AND report IS NOT NULL`}, {"channel_upload", `at < $1`}},
	Outward: {{"channel_outbox", `made_at < $1 AND state <> 'due'`}},
	Loose: {
		{"ticket_callback", `finished_at < $1 AND state <> 'open' AND ticket_id = '' AND EXISTS (SELECT 1 FROM ticket_text x WHERE x.stream = 'callback/' || ticket_callback.id AND x.shown <> '` + ticket.Erased + `')`},
		{"ticket_alert", `disposed_at < $1 AND ticket_id = '' AND EXISTS (SELECT 1 FROM ticket_text x WHERE x.stream = 'alert/' || ticket_alert.id AND x.shown <> '` + ticket.Erased + `')`}},
	Persons: {{"person_request", `COALESCE(done_at, decided_at) < $1 AND state IN ('done', 'refused') AND emptied = FALSE`}},
}

// Preview tells what a run at this moment would take out, and changes nothing.
func (k *Keeper) Preview(ctx context.Context) ([]Due, error) {
	var out []Due
	err := k.DB.View(ctx, func(tx *storage.Tx) error {
		for _, kind := range Kinds {
			d := Due{Kind: kind, Period: k.Period(kind)}
			d.Before = d.Period.Before(k.now())
			for _, q := range due[kind] {
				n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM `+q.table+` WHERE `+q.where, storage.At(d.Before))
				if err != nil {
					return fmt.Errorf("retention of %s: %w", kind, err)
				}
				d.Rows += n
			}
			out = append(out, d)
		}
		return nil
	})
	return out, err
}

// retentionBatch is how many rows share a transaction.
const retentionBatch = 100

// Run takes out everything whose period is over, in small transactions. It may be stopped and run again. What it did is
// entered into the log by count; by is who asked for it.
func (k *Keeper) Run(ctx context.Context, by string) ([]Due, error) {
	list, err := k.Preview(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		d := &list[i]
		if d.Rows == 0 {
			continue
		}
		for {
			n := 0
			err := k.DB.Update(ctx, func(tx *storage.Tx) (err error) { n, err = k.batch(tx, d.Kind, d.Before); return err })
			if err != nil {
				return list, fmt.Errorf("retention of %s: %w", d.Kind, err)
			}
			if d.Done += n; n == 0 {
				break
			}
		}
		err := k.DB.Update(ctx, func(tx *storage.Tx) error {
			_, err := audit.Append(tx, audit.Entry{Stream: "retention/" + string(d.Kind), Type: "retention.run", Actor: by, At: k.now(),
				Payload: map[string]any{"period": d.Period.String(), "before": d.Before.UTC().Format(time.RFC3339), "rows": d.Done}})
			return err
		})
		if err != nil {
			return list, fmt.Errorf("retention of %s: %w", d.Kind, err)
		}
	}
	return list, nil
}

func (k *Keeper) ids(tx *storage.Tx, table, where string, args ...any) ([]string, error) {
	return storage.All(tx, storage.Value[string], `SELECT id FROM `+table+` WHERE `+where+fmt.Sprintf(` ORDER BY id LIMIT %d `, retentionBatch)+tx.ForUpdate(), args...)
}

// batch takes out up to retentionBatch rows of a kind and returns how many it did.
func (k *Keeper) batch(tx *storage.Tx, kind Kind, before time.Time) (int, error) {
	total := 0
	for _, q := range due[kind] {
		ids, err := k.ids(tx, q.table, q.where, storage.At(before))
		if err != nil {
			return total, err
		}
		if err := k.takeOut(tx, q.table, ids, "retention"); err != nil {
			return total, err
		}
		total += len(ids)
	}
	return total, nil
}

// takeOut takes what is personal out of rows of a table, for good.
func (k *Keeper) takeOut(tx *storage.Tx, table string, ids []string, because string) error {
	vault := k.Office.Book.Vault
	var replies []string
	for _, id := range ids {
		var err error
		switch table {
		case "ticket":
			err = k.eraseTicket(tx, id, because)
		case "sms":
			_, err = tx.Exec(`UPDATE sms SET phone = $2, phone_hash = '', body = '', words = $3 WHERE id = $1`, id, vault.For("sms.phone").Seal(""), vault.For("sms.text").Seal(""))
		case "sms_inbound":
			replies = append(replies, id)
			_, err = tx.Exec(`UPDATE sms_inbound SET phone = $2, phone_hash = '', body = '', words = $3 WHERE id = $1`, id, vault.For("sms.phone").Seal("from:"), vault.For("sms.reply").Seal("\n"))
		case "survey_record":
			nobody := vault.For("survey.person").Seal("{}")
			if _, err = tx.Exec(`UPDATE survey_record SET person = $2, phone_hash = 'erased', phone_error = 'erased' WHERE id = $1`, id, nobody); err == nil {
				_, err = tx.Exec(`UPDATE survey_record_version SET body = $2 WHERE record_id = $1`, id, nobody)
			}
		case "call":
			if _, err = tx.Exec(`UPDATE call SET number_sealed = NULL, number_hash = NULL WHERE id = $1`, id); err == nil {
				_, err = tx.Exec(`DELETE FROM call_trace WHERE call_id = $1`, id)
			}
			if err == nil {
				_, err = tx.Exec(`UPDATE call_transcript SET state = 'failed', words = NULL WHERE call_id = $1`, id)
			}
		case "ticket_callback":
			err = k.eraseLoose(tx, table, id, because, k.Office.AnonymiseCallback)
		case "ticket_alert":
			err = k.eraseLoose(tx, table, id, because, k.Office.AnonymiseAlert)
		case "person_request":
			_, err = tx.Exec(`UPDATE person_request SET ground = $2, note = $3, emptied = TRUE WHERE id = $1`, id, vault.For("person.ground").Seal(""), vault.For("person.note").Seal(""))
		case "channel_import":
			_, err = tx.Exec(`UPDATE channel_import SET report = NULL WHERE id = $1`, id)
		case "channel_upload":
			_, err = tx.Exec(`DELETE FROM channel_upload WHERE id = $1`, id)
		case "channel_outbox":
			_, err = tx.Exec(`DELETE FROM channel_outbox WHERE id = $1`, id)
		default:
			err = errors.New("no such table")
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", table, id, err)
		}
	}
	if len(replies) > 0 {
		// The log says which replies were erased, so that Inbox.Verify still finds every other change.
		_, err := audit.Append(tx, audit.Entry{Stream: "sms/inbound", Type: "sms.erased", Actor: "system", At: k.now(), Payload: map[string]any{"erased": replies, "because": because}})
		return err
	}
	return nil
}

// eraseTicket takes words, originals and files out of a settled request, and then the person, when nothing else is theirs.
func (k *Keeper) eraseTicket(tx *storage.Tx, id, because string) error {
	if err := k.Office.Anonymise(tx, id, because, ticket.System); err != nil {
		return err
	}
	for _, q := range []string{
		`UPDATE channel_attachment SET sealed = NULL WHERE ticket_id = $1`,
		`UPDATE oversee_paper SET sealed = NULL WHERE matter_id IN (SELECT matter_id FROM oversee_ticket WHERE ticket_id = $1)`, // agreements name the parties
		`UPDATE channel_receipt SET lat = '', lng = '', open = FALSE, digest = '', code_hash = '', rate_hash = NULL WHERE ticket_id = $1`,
		`UPDATE channel_reply SET body = '' WHERE ticket_id = $1`,
		`DELETE FROM channel_outbox WHERE ticket_id = $1 AND state <> 'due'`,
	} {
		if _, err := tx.Exec(q, id); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`UPDATE channel_attachment SET name = $2 WHERE ticket_id = $1`, id, k.Office.Book.Vault.For("channel.file-name").Seal("（已清除）")); err != nil {
		return err
	}
	who, err := storage.One(tx, storage.Value[string], `SELECT contact_id FROM ticket WHERE id = $1`, id)
	if err != nil || who == "" {
		return err
	}
	return k.letGo(tx, who, because)
}

// eraseLoose takes the words out of a call-back or alert that belongs to no request, and then the person.
func (k *Keeper) eraseLoose(tx *storage.Tx, table, id, because string, words func(*storage.Tx, string, string, ticket.Actor) error) error {
	if err := words(tx, id, because, ticket.System); err != nil {
		return err
	}
	who, err := storage.One(tx, storage.Value[string], `SELECT contact_id FROM `+table+` WHERE id = $1`, id)
	if err != nil || who == "" {
		return err
	}
	return k.letGo(tx, who, because)
}

// letGo anonymises a person of whom nothing is left that is still kept: no request with its words, no call with its number.
func (k *Keeper) letGo(tx *storage.Tx, who, because string) error {
	left, err := storage.One(tx, storage.Value[int], `SELECT (SELECT COUNT(*) FROM ticket t WHERE t.contact_id = $1 AND EXISTS (SELECT 1 FROM ticket_text x WHERE x.stream = 'ticket/' || t.id AND x.shown <> '`+ticket.Erased+`'))
		+ (SELECT COUNT(*) FROM call c WHERE c.contact_id = $1 AND c.number_sealed IS NOT NULL)
		+ (SELECT COUNT(*) FROM survey_ask a WHERE a.contact_id = $1 AND a.state = 'open')
		+ (SELECT COUNT(*) FROM ticket_callback b WHERE b.contact_id = $1 AND b.state = 'open')`, who)
	if err != nil || left > 0 {
		return err
	}
	return k.Office.Book.Anonymise(tx, who, "system", because)
}

// Job runs the keeper every night.
func (k *Keeper) Job() schedule.Job {
	return schedule.Job{Name: "retention", Spec: "20 3 * * *", Window: 20 * time.Hour, Run: func(ctx context.Context, _ time.Time) error {
		_, err := k.Run(ctx, "system")
		return err
	}}
}

// Check reports a period for a kind that does not exist.
func Check(periods map[Kind]Period) error {
	for kind := range periods {
		if !slices.Contains(Kinds, kind) {
			return fmt.Errorf("retention: there is no kind %q; there are %v", kind, Kinds)
		}
	}
	return nil
}
