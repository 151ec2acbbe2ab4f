package oversee

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/ticket"
)

// Incident is a 警情 of the command centre. Who called is known by a keyed hash only.
type Incident struct {
	Number    string
	At        time.Time
	Kind      string // as the source tells it
	Domain    string // code of the first level of the classes of tickets; "" unknown
	Place     string
	Community string // code of an Area; "" unknown
	Unit      string // unit id; "" unknown
	Phone     string // when entering: the number that called, digits; it is not kept
}

// IncidentLine is what became of a line of a file.
type IncidentLine struct {
	Line   int
	Number string
	Why    string // zh-CN; empty is taken
}

// IncidentImport is what became of a file.
type IncidentImport struct {
	Lines, Taken, Known, Refused int
	Bad                          []IncidentLine // at most 1000 are told
}

var incidentColumns = map[string][]string{
	"number": {"警情编号", "警情号", "接警编号", "接警单编号", "编号", "number"},
	"at":     {"报警时间", "接警时间", "发生时间", "时间", "at", "time"},
	"kind":   {"警情类型", "警情类别", "类型", "类别", "kind"},
	"place":  {"警情地点", "发生地点", "报警地点", "地点", "地址", "place"},
	"phone":  {"报警电话", "报警人电话", "电话", "联系电话", "phone"},
	"unit":   {"处警单位", "出警单位", "管辖单位", "单位", "单位编码", "unit"},
}

// ImportIncidents reads a file of 警情 (CSV in UTF-8 or GB18030, or XLSX). Every line is accounted for: taken, known
// already with nothing new, or refused with the reason. A line whose number is there replaces what was told before.
func (d *Desk) ImportIncidents(ctx context.Context, db *storage.DB, r io.Reader, by ticket.Actor) (out IncidentImport, err error) {
	if err := may(by, org.ImportData); err != nil {
		return out, err
	}
	rows, _, err := table.Open(r)
	if err != nil {
		return out, fmt.Errorf("import incidents: %w", err)
	}
	defer rows.Close()
	head, _, err := rows.Next()
	if err != nil {
		return out, refuse("file", "文件为空或无法读取")
	}
	at := map[string]int{}
	for i, cell := range head {
		name := strings.Trim(strings.ToLower(strings.TrimSpace(cell)), "\ufeff*：:()[]")
		for column, names := range incidentColumns {
			if _, have := at[column]; !have && slices.Contains(names, name) {
				at[column] = i
			}
		}
	}
	for _, column := range []string{"number", "at", "kind", "place"} {
		if _, ok := at[column]; !ok {
			return out, refuse("columns", "首行缺少“%s”列", incidentColumns[column][0])
		}
	}
	tell := func(line int, number, why string) {
		out.Refused++
		if len(out.Bad) < 1000 {
			out.Bad = append(out.Bad, IncidentLine{line, number, why})
		}
	}
	for more := true; more; {
		type item struct {
			line int
			in   Incident
		}
		var batch []item
		for len(batch) < 500 {
			cells, line, err := rows.Next()
			if errors.Is(err, io.EOF) {
				more = false
				break
			}
			out.Lines++
			var bad table.Bad
			if errors.As(err, &bad) {
				tell(line, "", "该行无法读取："+bad.Error())
				continue
			} else if err != nil {
				return out, fmt.Errorf("import incidents: %w", err)
			}
			cell := func(column string) string {
				if i, ok := at[column]; ok && i < len(cells) {
					return strings.TrimSpace(cells[i])
				}
				return ""
			}
			in := Incident{Number: cell("number"), Kind: cell("kind"), Place: cell("place"), Unit: cell("unit"), Phone: cell("phone")}
			if in.At, err = table.ReadTime(cell("at")); err != nil {
				tell(line, in.Number, "时间无法识别")
				continue
			}
			batch = append(batch, item{line, in})
		}
		err := db.Update(ctx, func(tx *storage.Tx) error {
			for _, x := range batch {
				fresh, err := d.putIncident(tx, x.in)
				if refusal, no := ticket.RefusedWith(err); no {
					tell(x.line, x.in.Number, refusal.Message)
					continue
				} else if err != nil {
					return err
				}
				if fresh {
					out.Taken++
				} else {
					out.Known++
				}
			}
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("import incidents: %w", err)
		}
	}
	err = db.Update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "incidents", Type: "incidents.imported", Actor: by.String(), At: d.now(),
			Payload: map[string]int{"lines": out.Lines, "taken": out.Taken, "known": out.Known, "refused": out.Refused}})
		return err
	})
	return out, err
}

// PutIncident enters one 警情, as the API does.
func (d *Desk) PutIncident(tx *storage.Tx, in Incident, by ticket.Actor) (fresh bool, err error) {
	if err := may(by, org.ImportData); err != nil {
		return false, err
	}
	if fresh, err = d.putIncident(tx, in); err != nil {
		return false, err
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "incidents", Type: "incidents.imported", Actor: by.String(), At: d.now(), Payload: map[string]int{"lines": 1}})
	return fresh, err
}

func (d *Desk) putIncident(tx *storage.Tx, in Incident) (fresh bool, err error) {
	now := d.now()
	switch in.Number, in.Kind = strings.TrimSpace(in.Number), strings.TrimSpace(in.Kind); {
	case in.Number == "" || len(in.Number) > 64:
		return false, refuse("number", "警情编号为1至64个字符")
	case in.At.IsZero() || in.At.After(now.Add(time.Hour)) || in.At.Before(now.AddDate(-30, 0, 0)):
		return false, refuse("at", "时间不合理")
	case in.Kind == "" || len(in.Kind) > 120:
		return false, refuse("kind", "警情类型不能为空或过长")
	case len(in.Place) > 600:
		return false, refuse("place", "地点过长")
	}
	hash := ""
	if in.Phone != "" {
		if p, err := contact.ParsePhone(in.Phone); err == nil {
			hash = d.Office.Book.Vault.HashPhone(p)
		}
	}
	place := contact.MaskText(strings.TrimSpace(in.Place))
	community, err := d.Office.CommunityOf(tx, in.Place)
	if err != nil {
		return false, err
	}
	domain := in.Domain
	if domain == "" && d.Office.Classifier != nil {
		if domain, err = d.Office.DomainOf(tx, in.Kind, in.Place); err != nil {
			return false, err
		}
	}
	unit := ""
	if in.Unit != "" {
		if unit, err = unitNamed(tx, in.Unit); err != nil {
			return false, err
		}
	}
	known, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM oversee_incident WHERE number = $1 AND at = $2 AND kind = $3 AND place = $4 AND unit = $5 AND phone_hash = $6 AND community = $7`,
		in.Number, storage.At(in.At), in.Kind, place, unit, hash, community)
	if err != nil || known > 0 {
		return false, err
	}
	_, err = tx.Exec(`INSERT INTO oversee_incident (number, at, kind, domain, place, community, unit, phone_hash, imported_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (number) DO UPDATE SET at = excluded.at, kind = excluded.kind, domain = excluded.domain, place = excluded.place, community = excluded.community,
			unit = excluded.unit, phone_hash = excluded.phone_hash, imported_at = excluded.imported_at`,
		in.Number, storage.At(in.At), in.Kind, domain, place, community, unit, hash, storage.At(now))
	if err != nil {
		return false, fmt.Errorf("enter incident %s: %w", in.Number, err)
	}
	return true, nil
}

// unitNamed is the id of the unit of an id, a name or a short name; "" of one that nobody knows.
func unitNamed(tx *storage.Tx, name string) (string, error) {
	id, err := storage.One(tx, storage.Value[string], `SELECT MIN(id) FROM org_unit WHERE id = $1 OR name = $1 OR short = $1 HAVING COUNT(*) = 1`, strings.TrimSpace(name))
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// Overlap is a ticket and a 警情 that belong together.
type Overlap struct {
	Incident Incident
	TicketID string
	Number   string // of the ticket
	Title    string
	State    ticket.State
	OpenedAt time.Time
	Why      string // number: the ticket names the 警情; person: the same number called; together: person, place and kind
}

// Spot is a community and a kind of matter of which both citizens and 警情 speak.
type Spot struct {
	Community, Name string
	Domain, Kind    string
	Tickets         int
	Incidents       int
}

// DualFilter is for whom, and of what time, 双情 is looked for.
type DualFilter struct {
	Viewer   ticket.Actor
	From, To time.Time
	Limit    int // 50 when zero
}

// Overlaps lists tickets and 警情 that belong together, the latest first: the ticket names the 警情, or the person who
// brought the ticket called within thirty days of it. Only tickets that the viewer may see.
func (d *Desk) Overlaps(tx *storage.Tx, f DualFilter) ([]Overlap, error) {
	if err := may(f.Viewer, org.ViewAlerts); err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	sees, args, err := d.Office.Visible(tx, f.Viewer, []any{storage.At(f.From), storage.At(f.To)})
	if err != nil {
		return nil, err
	}
	args = append(args, f.Limit)
	const columns = `i.number, i.at, i.kind, i.domain, i.place, i.community, i.unit, ticket.id, ticket.number, ticket.title, ticket.state, ticket.opened_at`
	month := int64(30 * 24 * time.Hour / time.Millisecond)
	// Whose identity is confidential is not told by a number that called.
	query := fmt.Sprintf(`SELECT * FROM (
		SELECT %[1]s, 'number' AS why FROM oversee_incident i JOIN ticket ON ticket.incident_no = i.number AND ticket.incident_no <> '' WHERE i.at >= $1 AND i.at < $2 AND %[2]s
		UNION ALL
		SELECT %[1]s, CASE WHEN ticket.community <> '' AND ticket.community = i.community AND ticket.domain <> '' AND ticket.domain = i.domain THEN 'together' ELSE 'person' END AS why
		FROM oversee_incident i JOIN contact c ON c.phone_hash = i.phone_hash AND i.phone_hash <> '' JOIN ticket ON ticket.contact_id = c.id AND ticket.confidential = FALSE AND ticket.incident_no <> i.number
			AND ticket.opened_at >= i.at - %[3]d AND ticket.opened_at < i.at + %[3]d WHERE i.at >= $1 AND i.at < $2 AND %[2]s
		) AS both_of ORDER BY 2 DESC, 1, 8 LIMIT $%[4]d`, columns, sees, month, len(args))
	out, err := storage.All(tx, func(r storage.Row) (o Overlap, err error) {
		var at, opened storage.Time
		err = r.Scan(&o.Incident.Number, &at, &o.Incident.Kind, &o.Incident.Domain, &o.Incident.Place, &o.Incident.Community, &o.Incident.Unit, &o.TicketID, &o.Number, &o.Title, &o.State, &opened, &o.Why)
		o.Incident.At, o.OpenedAt = at.Time, opened.Time
		return o, err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("tickets beside incidents: %w", err)
	}
	return out, nil
}

// Spots lists communities and kinds of matters of which both tickets and 警情 of the time speak, those with most of both
// first: the lesser of the two numbers counts.
func (d *Desk) Spots(tx *storage.Tx, f DualFilter) ([]Spot, error) {
	if err := may(f.Viewer, org.ViewAlerts); err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	sees, args, err := d.Office.Visible(tx, f.Viewer, []any{storage.At(f.From), storage.At(f.To)})
	if err != nil {
		return nil, err
	}
	args = append(args, f.Limit)
	// The class that a person chose, or what was suggested: its first level.
	query := `SELECT t.community, COALESCE(a.name, ''), t.domain, COALESCE(k.name, t.domain), t.n, i.n FROM
		(SELECT community, domain, COUNT(*) AS n FROM (SELECT community, CASE WHEN domain <> '' THEN domain ELSE SUBSTR(suggested_class, 1, 2) END AS domain FROM ticket
			WHERE community <> '' AND opened_at >= $1 AND opened_at < $2 AND ` + sees + `) AS sorted WHERE domain <> '' GROUP BY community, domain) t
		JOIN (SELECT community, domain, COUNT(*) AS n FROM oversee_incident WHERE community <> '' AND domain <> '' AND at >= $1 AND at < $2 GROUP BY community, domain) i
			ON i.community = t.community AND i.domain = t.domain
		LEFT JOIN ticket_area a ON a.code = t.community LEFT JOIN ticket_class k ON k.code = t.domain
		ORDER BY CASE WHEN t.n < i.n THEN t.n ELSE i.n END DESC, t.n + i.n DESC, t.community, t.domain LIMIT $` + fmt.Sprint(len(args))
	out, err := storage.All(tx, func(r storage.Row) (s Spot, err error) {
		return s, r.Scan(&s.Community, &s.Name, &s.Domain, &s.Kind, &s.Tickets, &s.Incidents)
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("places of tickets and incidents: %w", err)
	}
	return out, nil
}

// HeatRow is how many tickets and 警情 of a community fell into each hour of the day (DUAL-3).
type HeatRow struct {
	Community, Name string
	Hours           [24]int
	Sum             int
}

// Heat counts tickets (when they reached us) and 警情 of the time by community and hour of the day, the busiest communities
// first.
func (d *Desk) Heat(tx *storage.Tx, f DualFilter) ([]HeatRow, error) {
	if err := may(f.Viewer, org.ViewAlerts); err != nil {
		return nil, err
	}
	if f.Limit <= 0 {
		f.Limit = 12
	}
	sees, args, err := d.Office.Visible(tx, f.Viewer, []any{storage.At(f.From), storage.At(f.To)})
	if err != nil {
		return nil, err
	}
	type cell struct {
		community string
		hour, n   int
	}
	// Hours of Beijing: eight before those of the epoch.
	const hour = `((%[1]s + 28800000) / 3600000) %% 24`
	cells, err := storage.All(tx, func(r storage.Row) (c cell, err error) { return c, r.Scan(&c.community, &c.hour, &c.n) },
		`SELECT community, hour, COUNT(*) FROM (
			SELECT community, `+fmt.Sprintf(hour, "received_at")+` AS hour FROM ticket WHERE community <> '' AND opened_at >= $1 AND opened_at < $2 AND `+sees+`
			UNION ALL SELECT community, `+fmt.Sprintf(hour, "at")+` AS hour FROM oversee_incident WHERE community <> '' AND at >= $1 AND at < $2
		) AS all_of GROUP BY community, hour`, args...)
	if err != nil {
		return nil, fmt.Errorf("heat of communities: %w", err)
	}
	names, err := d.Office.AreaNames(tx)
	if err != nil {
		return nil, err
	}
	rows := map[string]*HeatRow{}
	for _, c := range cells {
		if rows[c.community] == nil {
			rows[c.community] = &HeatRow{Community: c.community, Name: names[c.community]}
		}
		rows[c.community].Hours[c.hour] += c.n
		rows[c.community].Sum += c.n
	}
	out := make([]HeatRow, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b HeatRow) int {
		if a.Sum != b.Sum {
			return b.Sum - a.Sum
		}
		return strings.Compare(a.Community, b.Community)
	})
	return out[:min(len(out), f.Limit)], nil
}

// IncidentCount is how many 警情 of the time were told.
func (d *Desk) IncidentCount(tx *storage.Tx, from, to time.Time) (int, error) {
	return storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM oversee_incident WHERE at >= $1 AND at < $2`, storage.At(from), storage.At(to))
}
