package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Service is something that the public may report through Open311 (GeoReport v2).
type Service struct {
	Code        string
	Name        string
	Description string
	Kind        ticket.Kind
	Type        string // "realtime", "batch" (a token first) or "blackbox" (accepted, never listed)
	Keywords    string // separated by commas
	Group       string
	Attributes  []ServiceAttribute
	Place       int
	Enabled     bool
}

// ServiceAttribute is an extra field of a service, as the service definition tells it.
type ServiceAttribute struct {
	Code        string         `json:"code"`
	Datatype    string         `json:"datatype"` // string, number, datetime, text, singlevaluelist, multivaluelist
	Required    bool           `json:"required"`
	Description string         `json:"description"`
	Values      []ServiceValue `json:"values,omitempty"`
}

// ServiceValue is one choice of a list.
type ServiceValue struct {
	Key  string `json:"key"`
	Name string `json:"name"`
}

func scanService(r storage.Row) (s Service, err error) {
	var attributes string
	if err = r.Scan(&s.Code, &s.Name, &s.Description, &s.Kind, &s.Type, &s.Keywords, &s.Group, &attributes, &s.Place, &s.Enabled); err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(attributes), &s.Attributes)
}

const selectService = `SELECT code, name, description, kind, type, keywords, grp, attributes, place, enabled FROM open311_service`

// Services are all services in their order, closed ones too.
func (g *Gateway) Services(tx *storage.Tx) ([]Service, error) {
	return storage.All(tx, scanService, selectService+` ORDER BY place, code`)
}

// Service returns one that is open, or storage.ErrNotFound.
func (g *Gateway) Service(tx *storage.Tx, code string) (Service, error) {
	s, err := storage.One(tx, scanService, selectService+` WHERE code = $1 AND enabled = TRUE`, code)
	if err != nil {
		return s, fmt.Errorf("service %q: %w", code, err)
	}
	return s, nil
}

// PutService adds a service or changes one.
func (g *Gateway) PutService(tx *storage.Tx, s Service, by ticket.Actor) error {
	if by.Kind != ticket.SystemActor && !org.Can(by.Role, org.ManageRules) {
		return refuse("role", "您的岗位没有此项权限")
	}
	s.Code, s.Name = strings.TrimSpace(s.Code), strings.TrimSpace(s.Name)
	switch {
	case s.Code == "" || s.Name == "" || strings.ContainsAny(s.Code, " /.?&#"):
		return refuse("service", "服务须有代码和名称，代码不含空格、斜杠和点")
	case !s.Kind.Valid():
		return refuse("kind", "请选择诉求类型")
	case s.Type != "realtime" && s.Type != "batch" && s.Type != "blackbox":
		return refuse("type", "类型是 realtime、batch 或 blackbox")
	case (s.Kind == ticket.Complaint || s.Kind == ticket.Report) && s.Type != "blackbox":
		return refuse("type", "投诉、举报只能是 blackbox(不公开)")
	}
	if s.Attributes == nil {
		s.Attributes = []ServiceAttribute{}
	}
	b, err := json.Marshal(s.Attributes)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO open311_service (code, name, description, kind, type, keywords, grp, attributes, place, enabled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (code) DO UPDATE SET name = excluded.name, description = excluded.description, kind = excluded.kind, type = excluded.type, keywords = excluded.keywords,
				grp = excluded.grp, attributes = excluded.attributes, place = excluded.place, enabled = excluded.enabled`,
			s.Code, s.Name, s.Description, s.Kind, s.Type, s.Keywords, s.Group, string(b), s.Place, s.Enabled)
	}
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "channel/open311", Type: "service.put", Actor: by.String(), At: g.now(), Payload: map[string]any{"code": s.Code, "name": s.Name, "enabled": s.Enabled, "type": s.Type}})
	}
	if err != nil {
		return fmt.Errorf("put service %s: %w", s.Code, err)
	}
	return nil
}

// PublicRequest is a request as everybody may see it. Numbers and names in its words are hidden.
type PublicRequest struct {
	Ticket   ticket.Ticket
	Service  string
	Lat, Lng string
	Open     bool   // not settled yet
	Notes    string // how it stands
	Expected time.Time
}

// PublicFilter selects requests that may be shown in public.
type PublicFilter struct {
	IDs      []string // numbers
	Services []string
	Status   string    // "open", "closed", "" for both
	From, To time.Time // received in [From, To]; the last 90 days when both are zero
	Limit    int       // at most 1000; 1000 when zero
	Offset   int
}

// PublicRequests lists what may be shown in public, newest first: requests whose sender agreed, and of these none that is a
// complaint or a report, confidential, of a restricted channel or about an accused, whatever it was when it came.
func (g *Gateway) PublicRequests(tx *storage.Tx, f PublicFilter) ([]PublicRequest, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 1000
	}
	if f.From.IsZero() && f.To.IsZero() && len(f.IDs) == 0 {
		f.From = g.now().AddDate(0, 0, -90)
	}
	var args []any
	arg := func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }
	list := func(vs []string) string {
		var p []string
		for _, v := range vs {
			p = append(p, arg(v))
		}
		return "(" + strings.Join(p, ", ") + ")"
	}
	where := `r.open = TRUE AND t.restricted = FALSE AND t.confidential = FALSE AND t.kind <> '' AND t.kind NOT IN ('complaint', 'report')
		AND t.original_kind NOT IN ('complaint', 'report') AND t.accused_unit = '' AND t.accused_staff = ''`
	if len(f.IDs) > 0 {
		where += ` AND t.number IN ` + list(f.IDs)
	}
	if len(f.Services) > 0 {
		where += ` AND r.service IN ` + list(f.Services)
	}
	closed := `('CLOSED', 'ARCHIVED', 'REFUSED', 'MERGED', 'TRANSFERRED', 'WITHDRAWN')`
	switch f.Status {
	case "open":
		where += ` AND t.state NOT IN ` + closed
	case "closed":
		where += ` AND t.state IN ` + closed
	}
	if !f.From.IsZero() {
		where += ` AND t.received_at >= ` + arg(storage.At(f.From))
	}
	if !f.To.IsZero() {
		where += ` AND t.received_at <= ` + arg(storage.At(f.To))
	}
	type row struct{ id, service, lat, lng string }
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.id, &x.service, &x.lat, &x.lng) },
		`SELECT t.id, r.service, r.lat, r.lng FROM channel_receipt r JOIN ticket t ON t.id = r.ticket_id WHERE `+where+` ORDER BY t.received_at DESC, t.id DESC LIMIT `+arg(f.Limit)+` OFFSET `+arg(max(0, f.Offset)), args...)
	if err != nil {
		return nil, fmt.Errorf("public requests: %w", err)
	}
	var out []PublicRequest
	for _, r := range rows {
		t, err := g.Office.Get(tx, r.id)
		if err != nil {
			return nil, err
		}
		p, err := g.ProgressOf(tx, t)
		if err != nil {
			return nil, err
		}
		out = append(out, PublicRequest{Ticket: t, Service: r.service, Lat: r.lat, Lng: r.lng, Open: t.State.Open(), Notes: p.Label, Expected: p.Promised})
	}
	return out, nil
}

// PublicRequest returns one request that may be shown in public, or storage.ErrNotFound.
func (g *Gateway) PublicRequest(tx *storage.Tx, number string) (PublicRequest, error) {
	list, err := g.PublicRequests(tx, PublicFilter{IDs: []string{strings.TrimSpace(number)}})
	if err == nil && len(list) == 0 {
		err = storage.ErrNotFound
	}
	if err != nil {
		return PublicRequest{}, fmt.Errorf("public request: %w", err)
	}
	return list[0], nil
}

// OfToken returns the number of the request that a token of a batch service stands for, or storage.ErrNotFound.
func (g *Gateway) OfToken(tx *storage.Tx, token string) (string, error) {
	n, err := storage.One(tx, storage.Value[string], `SELECT t.number FROM ticket t JOIN channel_receipt r ON r.ticket_id = t.id WHERE t.id = $1 AND r.service <> ''`, token)
	if errors.Is(err, storage.ErrNotFound) {
		return "", err
	}
	return n, err
}
