package ticket

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
)

// Cause is an entry of the list of causes (成因): why a matter came up at all. The list is data; one that was used is closed
// and never removed.
type Cause struct {
	Code   string // "data-error"
	Name   string // zh-CN
	Active bool
}

// CauseDataError is the code of 信息错录, which W11 looks for.
const CauseDataError = "data-error"

func scanCause(r storage.Row) (c Cause, err error) { return c, r.Scan(&c.Code, &c.Name, &c.Active) }

// Causes returns the list in its order, closed ones too.
func (o *Office) Causes(tx *storage.Tx) ([]Cause, error) {
	out, err := storage.All(tx, scanCause, `SELECT code, name, active FROM ticket_cause ORDER BY place, code`)
	if err != nil {
		return nil, fmt.Errorf("list causes: %w", err)
	}
	return out, nil
}

var causeCode = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)

// PutCause adds a cause to the list, or renames, closes or opens one.
func (o *Office) PutCause(tx *storage.Tx, c Cause, by Actor) error {
	if !by.may(org.ManageRules) {
		return noRole()
	}
	c.Code, c.Name = strings.TrimSpace(c.Code), strings.TrimSpace(c.Name)
	switch {
	case !causeCode.MatchString(c.Code):
		return refuse("cause", "成因代码为2至32个小写字母、数字或连字符，以字母开头")
	case c.Name == "" || utf8.RuneCountInString(c.Name) > 30:
		return refuse("cause", "成因须有名称，不超过30字")
	case c.Code == CauseDataError && !c.Active:
		return refuse("cause", "“信息错录”是预警规则W11的依据，不能停用")
	}
	_, err := tx.Exec(`INSERT INTO ticket_cause (code, name, active, place) VALUES ($1, $2, $3, 500)
		ON CONFLICT (code) DO UPDATE SET name = excluded.name, active = excluded.active`, c.Code, c.Name, c.Active)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "cause/" + c.Code, Type: "cause.put", Actor: by.String(), At: o.now(), Payload: map[string]any{"name": c.Name, "active": c.Active}})
	}
	if err != nil {
		return fmt.Errorf("put cause %s: %w", c.Code, err)
	}
	return nil
}

// SetCause notes why a matter came up, as a person of the centre or of 主办 found, in whatever state the ticket is; an empty
// code takes it back. A cause of 信息错录 counts for W11.
func (o *Office) SetCause(tx *storage.Tx, id, code, note string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if h := d.host(); h == nil || !by.officer() || by.Unit != h.Unit {
			if err := d.centre(org.CommentTicket); err != nil {
				return err
			}
		} else if !by.may(org.SubmitResult) {
			return noRole()
		}
		if code == d.ticket.Cause {
			return refuse("cause", "请选择另一个成因")
		}
		if code != "" {
			c, err := storage.One(tx, scanCause, `SELECT code, name, active FROM ticket_cause WHERE code = $1`, code)
			if errors.Is(err, storage.ErrNotFound) || err == nil && !c.Active {
				return refuse("cause", "没有成因“%s”", code)
			} else if err != nil {
				return fmt.Errorf("cause %s: %w", code, err)
			}
		}
		was := d.ticket.Cause
		d.ticket.Cause = code
		ref, _ := d.write("cause", note)
		return d.emit("ticket.cause_set", map[string]any{"cause": code, "was": was, "note": ref})
	})
}

// CauseCount is how many tickets had a cause.
type CauseCount struct {
	Code, Name string
	N          int
}

// CauseCounts counts the tickets opened in a span of time by cause, the most frequent first, for a viewer.
func (o *Office) CauseCounts(tx *storage.Tx, f Filter) ([]CauseCount, error) {
	q := &query{}
	if err := o.visible(tx, q, f.Viewer); err != nil {
		return nil, fmt.Errorf("count causes: %w", err)
	}
	f.conditions(q)
	q.and(`cause <> ''`)
	out, err := storage.All(tx, func(r storage.Row) (c CauseCount, err error) { return c, r.Scan(&c.Code, &c.Name, &c.N) },
		`SELECT x.cause, COALESCE(c.name, x.cause), x.n FROM (SELECT cause, COUNT(*) AS n FROM ticket`+q.where()+` GROUP BY cause) x
		LEFT JOIN ticket_cause c ON c.code = x.cause ORDER BY x.n DESC, x.cause`, q.args...)
	if err != nil {
		return nil, fmt.Errorf("count causes: %w", err)
	}
	return out, nil
}
