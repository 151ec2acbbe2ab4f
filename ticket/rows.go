package ticket

import (
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
	"time"

	"lianxin/storage"
)

// column joins a column of a table with the variable that holds its value.
type column struct {
	name string
	dest any // pointer; named strings, numbers and booleans are fine
}

func (c column) value() any {
	if v, ok := c.dest.(driver.Valuer); ok {
		return v
	}
	v := reflect.ValueOf(c.dest).Elem()
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	default:
		return v.Int()
	}
}

// stamp is a time column: BIGINT milliseconds, NULL for the zero time.
type stamp struct{ t *time.Time }

func (s stamp) Value() (driver.Value, error) { return storage.Time{Time: *s.t}.Value() }

func (s stamp) Scan(src any) error {
	var v storage.Time
	err := v.Scan(src)
	*s.t = v.Time
	return err
}

// blank is a text column that is NULL when empty, so that empty ones do not collide in a unique key.
type blank struct{ s *string }

func (b blank) Value() (driver.Value, error) {
	if *b.s == "" {
		return nil, nil
	}
	return *b.s, nil
}

func (b blank) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*b.s = ""
	case string:
		*b.s = v
	case []byte:
		*b.s = string(v)
	default:
		return fmt.Errorf("text is stored as %T", src)
	}
	return nil
}

// ref is a column for a Text: "id sum", NULL when there is none.
type ref struct{ t *Text }

func (r ref) Value() (driver.Value, error) {
	if r.t.ID == "" {
		return nil, nil
	}
	return r.t.ID + " " + r.t.Sum, nil
}

func (r ref) Scan(src any) error {
	var s string
	if err := (blank{&s}).Scan(src); err != nil {
		return err
	}
	r.t.ID, r.t.Sum, _ = strings.Cut(s, " ")
	return nil
}

// words is a list of codes without blanks in one column.
type words struct{ w *[]string }

func (w words) Value() (driver.Value, error) { return strings.Join(*w.w, " "), nil }

func (w words) Scan(src any) error {
	var s string
	if err := (blank{&s}).Scan(src); err != nil {
		return err
	}
	*w.w = nil
	if s != "" {
		*w.w = strings.Fields(s)
	}
	return nil
}

// millis is a duration in a BIGINT column.
type millis struct{ d *time.Duration }

func (m millis) Value() (driver.Value, error) { return m.d.Milliseconds(), nil }

func (m millis) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a duration is stored as %T", src)
	}
	*m.d = time.Duration(v) * time.Millisecond
	return nil
}

// pointer is a part of which T is the struct.
type pointer[T any] interface {
	*T
	part
}

func names(p part) string {
	var n []string
	for _, c := range p.columns() {
		n = append(n, c.name)
	}
	return strings.Join(n, ", ")
}

// one reads one row.
func one[T any, P pointer[T]](tx *storage.Tx, where string, args ...any) (*T, error) {
	p := P(new(T))
	return storage.One(tx, scanPart[T, P], `SELECT `+names(p)+` FROM `+p.table()+where, args...)
}

// list reads rows into out.
func list[T any, P pointer[T]](tx *storage.Tx, out *[]P, where string, args ...any) error {
	p := P(new(T))
	rows, err := storage.All(tx, scanPart[T, P], `SELECT `+names(p)+` FROM `+p.table()+where, args...)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.kind(), err)
	}
	*out = nil
	for _, r := range rows {
		*out = append(*out, P(r))
	}
	return nil
}

func scanPart[T any, P pointer[T]](r storage.Row) (*T, error) {
	v := new(T)
	var dest []any
	for _, c := range P(v).columns() {
		dest = append(dest, c.dest)
	}
	return v, r.Scan(dest...)
}

// upsert writes a row, new or changed.
func upsert(tx *storage.Tx, p part) error {
	var marks, sets []string
	var args []any
	for i, c := range p.columns() {
		marks = append(marks, fmt.Sprintf("$%d", i+1))
		args = append(args, c.value())
		if c.name != "id" {
			sets = append(sets, c.name+" = excluded."+c.name)
		}
	}
	_, err := tx.Exec(`INSERT INTO `+p.table()+` (`+names(p)+`) VALUES (`+strings.Join(marks, ", ")+`) ON CONFLICT (id) DO UPDATE SET `+strings.Join(sets, ", "), args...)
	return err
}

func (t *Ticket) kind() string  { return "ticket" }
func (t *Ticket) table() string { return "ticket" }
func (t *Ticket) key() string   { return t.ID }
func (t *Ticket) columns() []column {
	return []column{
		{"id", &t.ID}, {"number", &t.Number}, {"version", &t.version}, {"revision", &t.Revision}, {"state", &t.State}, {"channel", &t.Channel},
		{"external_id", blank{&t.ExternalID}}, {"kind", &t.Kind}, {"original_kind", &t.OriginalKind}, {"colour", &t.Colour}, {"title", &t.Title},
		{"body", &t.Body}, {"place", &t.Place}, {"title_ref", ref{&t.TitleRef}}, {"body_ref", ref{&t.BodyRef}}, {"place_ref", ref{&t.PlaceRef}},
		{"contact_id", &t.ContactID}, {"call_id", &t.CallID}, {"record_id", &t.RecordID}, {"incident_no", &t.IncidentNo},
		{"accused_unit", &t.AccusedUnit}, {"accused_staff", &t.AccusedStaff}, {"unit_hint", &t.UnitHint}, {"confidential", &t.Confidential},
		{"anonymous", &t.Anonymous}, {"proactive", &t.Proactive}, {"restricted", &t.Restricted}, {"validity", &t.Validity}, {"round", &t.Round},
		{"hold", &t.Hold}, {"queue", &t.Queue}, {"host", &t.Host}, {"outcome", &t.Outcome}, {"rating", &t.Stars}, {"ground", &t.Ground},
		{"reply_ref", ref{&t.ReplyRef}}, {"reply_via", &t.ReplyVia}, {"answered_by", &t.AnsweredBy}, {"decided_by", &t.DecidedBy},
		{"merged_into", &t.MergedInto}, {"repeat_of", &t.RepeatOf}, {"returns", &t.Returns}, {"extensions", &t.Extensions}, {"suspensions", &t.Suspensions},
		{"rule_version", &t.RuleVersion}, {"opened_by", &t.OpenedBy}, {"received_at", stamp{&t.ReceivedAt}}, {"opened_at", stamp{&t.OpenedAt}},
		{"accepted_at", stamp{&t.AcceptedAt}}, {"responded_at", stamp{&t.RespondedAt}}, {"replied_at", stamp{&t.RepliedAt}}, {"closed_at", stamp{&t.ClosedAt}},
		{"archived_at", stamp{&t.ArchivedAt}}, {"changed_at", stamp{&t.ChangedAt}}, {"due_at", stamp{&t.Due}},
		{"emotion", &t.Emotion}, {"grade_id", &t.GradeID}, {"grade_colour", &t.GradeColour}, {"grade_event", &t.GradeEvent}, {"grade_person", &t.GradePerson},
		{"grade_factors", &t.GradeFactors}, {"steps_open", &t.StepsOpen}, {"domain", &t.Domain}, {"class", &t.Class}, {"suggestion_id", &t.SuggestionID},
		{"suggested_class", &t.SuggestedClass}, {"suggested_unit", &t.SuggestedUnit}, {"told_half_at", stamp{&t.ToldHalfAt}},
		{"cause", &t.Cause}, {"community", &t.Community}, {"stable_until", stamp{&t.StableUntil}}, {"window_no", &t.WindowNo}, {"clerk_no", &t.ClerkNo},
	}
}

func (l *Leg) kind() string  { return "leg" }
func (l *Leg) table() string { return "ticket_leg" }
func (l *Leg) key() string   { return l.ID }
func (l *Leg) columns() []column {
	return []column{
		{"id", &l.ID}, {"ticket_id", &l.TicketID}, {"round", &l.Round}, {"role", &l.Role}, {"unit", &l.Unit}, {"state", &l.State}, {"state_before", &l.Before},
		{"designated", &l.Designated}, {"handler", &l.Handler}, {"assigned_by", &l.AssignedBy}, {"signed_by", &l.SignedBy}, {"submitted_by", &l.SubmittedBy},
		{"reviewed_by", &l.ReviewedBy}, {"result_ref", ref{&l.ResultRef}}, {"basis_ref", ref{&l.BasisRef}}, {"finding", &l.Finding},
		{"resolution", &l.Resolution}, {"contacts", &l.Contacts}, {"assigned_at", stamp{&l.AssignedAt}}, {"signed_at", stamp{&l.SignedAt}}, {"contacted_at", stamp{&l.ContactedAt}},
		{"reported_at", stamp{&l.ReportedAt}}, {"submitted_at", stamp{&l.SubmittedAt}}, {"reviewed_at", stamp{&l.ReviewedAt}}, {"ended_at", stamp{&l.EndedAt}},
	}
}

func (c *Clock) kind() string  { return "clock" }
func (c *Clock) table() string { return "ticket_clock" }
func (c *Clock) key() string   { return c.ID }
func (c *Clock) columns() []column {
	return []column{
		{"id", &c.ID}, {"ticket_id", &c.TicketID}, {"leg_id", &c.LegID}, {"round", &c.Round}, {"kind", &c.Kind}, {"state", &c.State}, {"span", &c.Span},
		{"base_span", &c.BaseSpan}, {"extra", &c.Extra}, {"total_ms", millis{&c.Total}}, {"left_ms", millis{&c.Left}}, {"paused_ms", &c.PausedMS}, {"fired", &c.Fired}, {"guessed", &c.Guessed},
		{"rule_version", &c.RuleVersion}, {"calendar_version", &c.CalendarVersion}, {"started_at", stamp{&c.StartedAt}}, {"base_at", stamp{&c.BaseAt}},
		{"due_at", stamp{&c.DueAt}}, {"half_at", stamp{&c.HalfAt}}, {"most_at", stamp{&c.MostAt}}, {"yellow_at", stamp{&c.YellowAt}},
		{"red_at", stamp{&c.RedAt}}, {"paused_at", stamp{&c.PausedAt}}, {"stopped_at", stamp{&c.StoppedAt}}, {"next_at", stamp{&c.NextAt}},
	}
}

func (r *Request) kind() string  { return "request" }
func (r *Request) table() string { return "ticket_request" }
func (r *Request) key() string   { return r.ID }
func (r *Request) columns() []column {
	return []column{
		{"id", &r.ID}, {"ticket_id", &r.TicketID}, {"leg_id", &r.LegID}, {"kind", &r.Kind}, {"state", &r.State}, {"reason_ref", ref{&r.ReasonRef}},
		{"clause_ref", ref{&r.ClauseRef}}, {"suggest", &r.Suggest}, {"days", &r.Days}, {"value", &r.Value}, {"until_at", stamp{&r.Until}},
		{"asked_by", &r.AskedBy}, {"asked_unit", &r.AskedUnit}, {"asked_at", stamp{&r.AskedAt}}, {"decided_by", &r.DecidedBy},
		{"decided_unit", &r.DecidedUnit}, {"decided_at", stamp{&r.DecidedAt}}, {"decision_ref", ref{&r.DecisionRef}}, {"informed_ref", ref{&r.InformedRef}},
	}
}

func (r *Rating) kind() string  { return "rating" }
func (r *Rating) table() string { return "ticket_rating" }
func (r *Rating) key() string   { return r.ID }
func (r *Rating) columns() []column {
	return []column{
		{"id", &r.ID}, {"ticket_id", &r.TicketID}, {"round", &r.Round}, {"stars", &r.Stars}, {"via", &r.Via}, {"text_ref", ref{&r.WordsRef}},
		{"contested", &r.Contested}, {"rated_by", &r.By}, {"rated_at", stamp{&r.At}}, {"scale", &r.Scale}, {"given", &r.Given},
	}
}

func (c *Callback) kind() string  { return "callback" }
func (c *Callback) table() string { return "ticket_callback" }
func (c *Callback) key() string   { return c.ID }
func (c *Callback) columns() []column {
	return []column{
		{"id", &c.ID}, {"dedup", blank{&c.Key}}, {"version", &c.version}, {"ticket_id", &c.TicketID}, {"kind", &c.Kind}, {"round", &c.Round},
		{"state", &c.State}, {"contact_id", &c.ContactID}, {"call_id", &c.CallID}, {"record_id", &c.RecordID}, {"reason_ref", ref{&c.ReasonRef}},
		{"exclude_units", words{&c.ExcludeUnits}}, {"assignee", &c.Assignee}, {"outcome", &c.Outcome}, {"note_ref", ref{&c.NoteRef}}, {"tries", &c.Tries},
		{"warned", &c.Warned}, {"opened_by", &c.OpenedBy}, {"opened_at", stamp{&c.OpenedAt}}, {"due_at", stamp{&c.Due}}, {"finished_by", &c.FinishedBy},
		{"finished_at", stamp{&c.FinishedAt}},
	}
}

func (t *Try) kind() string  { return "try" }
func (t *Try) table() string { return "ticket_try" }
func (t *Try) key() string   { return t.ID }
func (t *Try) columns() []column {
	return []column{
		{"id", &t.ID}, {"callback_id", &t.CallbackID}, {"ticket_id", &t.TicketID}, {"round", &t.Round}, {"outcome", &t.Outcome}, {"part", &t.Part},
		{"note_ref", ref{&t.NoteRef}}, {"tried_by", &t.By}, {"tried_at", stamp{&t.At}},
	}
}

func (a *Alert) kind() string  { return "alert" }
func (a *Alert) table() string { return "ticket_alert" }
func (a *Alert) key() string   { return a.ID }
func (a *Alert) columns() []column {
	return []column{
		{"id", &a.ID}, {"dedup", blank{&a.Key}}, {"version", &a.version}, {"rule", &a.Rule}, {"level", &a.Level}, {"state", &a.State},
		{"ticket_id", &a.TicketID}, {"call_id", &a.CallID}, {"contact_id", &a.ContactID}, {"record_id", &a.RecordID}, {"subject", &a.Subject},
		{"title_ref", ref{&a.TitleRef}}, {"evidence_ref", ref{&a.EvidenceRef}}, {"escalations", &a.Escalations}, {"disposition", &a.Disposition},
		{"note_ref", ref{&a.NoteRef}}, {"raised_by", &a.RaisedBy}, {"raised_at", stamp{&a.RaisedAt}}, {"ack_due_at", stamp{&a.AckDue}},
		{"acked_by", &a.AckedBy}, {"acked_at", stamp{&a.AckedAt}}, {"disposed_by", &a.DisposedBy}, {"disposed_at", stamp{&a.DisposedAt}},
		{"times", &a.Times}, {"again_at", stamp{&a.AgainAt}},
	}
}
