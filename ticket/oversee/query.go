package oversee

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// views says by which actions a role may look at the matters of a kind at all; who is called in sees its own besides.
var views = map[Kind][]org.Action{
	KindSupervision: {org.Supervise, org.ApproveList, org.ViewAlerts}, KindTopic: {org.ViewAlerts, org.Supervise},
	KindConsult: {org.OpenConsult, org.Supervise}, KindDuty: {org.ReadKB}, KindExpert: {org.OpenConsult, org.GiveOpinion, org.Supervise},
	KindOrder: {org.IssueOrder, org.ViewAlerts}, KindBackcheck: {org.Backcheck, org.ApproveList, org.ViewAudit},
	KindClue: {org.IssueOrder, org.Supervise, org.DraftReport, org.ViewAudit, org.Backcheck}, KindMeasure: {org.ViewReports},
	KindWatch: {org.ViewWatch}, KindPeriod: {org.ViewAlerts}, KindLink: {org.ViewAlerts}, KindEscalation: {org.ViewAlerts},
	KindIntervention: {org.Supervise, org.ApproveWatch, org.ViewAudit},
	KindOutreach:     {org.Supervise, org.ViewAlerts}, KindMediation: {org.Supervise, org.ViewAlerts}, KindBad: {org.ViewRatings, org.Supervise, org.ViewAlerts},
}

// MaySee reports whether an actor may look at matters of a kind at all: those of every unit, or the own ones.
func MaySee(k Kind, by ticket.Actor) bool {
	if by.Kind == ticket.SystemActor {
		return true
	}
	if by.Kind != ticket.StaffActor && by.Kind != ticket.TokenActor {
		return false
	}
	if by.Role.Reach() == org.ReachAll || k == KindDuty {
		return slices.ContainsFunc(views[k], func(a org.Action) bool { return org.Can(by.Role, a) })
	}
	switch k {
	case KindBad: // the rated unit and its windows
		return by.Role.Reach() == org.ReachUnit && (org.Can(by.Role, org.SignTicket) || org.Can(by.Role, org.ViewRatings))
	case KindSupervision, KindOrder, KindBackcheck, KindClue, KindMediation, KindOutreach, KindIntervention:
		return by.Role.Reach() == org.ReachUnit && org.Can(by.Role, org.SignTicket)
	case KindConsult:
		return org.Can(by.Role, org.GiveOpinion)
	}
	return false
}

// clear refuses the accused, and whoever a ticket is hidden from that the matter is about alone (I6, CH-6).
func (d *Desk) clear(tx *storage.Tx, m Matter, by ticket.Actor) error {
	if by.Kind == ticket.SystemActor {
		return nil
	}
	h := m.head()
	for _, id := range h.Tickets {
		t, err := d.Office.Get(tx, id)
		if err != nil {
			return err
		}
		concerned, err := d.Office.Concerned(tx, t, by.Unit, by.ID)
		if err != nil {
			return err
		}
		if concerned && (h.Kind != KindTopic || len(h.Tickets) == 1) {
			return refuse("accused", "该事项涉及您本人或所在单位，依规回避")
		}
	}
	return nil
}

// seen reports whether a viewer may see one matter.
func (d *Desk) seen(tx *storage.Tx, h *Head, viewer ticket.Actor) (bool, error) {
	if viewer.Kind == ticket.SystemActor {
		return true, nil
	}
	if !MaySee(h.Kind, viewer) {
		return false, nil
	}
	if h.Kind == KindWatch { // need to know: the approvers, who asked for it, and those named
		named := slices.Contains(h.Members, viewer.String()) || h.OpenedBy == viewer.String()
		if !named && !org.Can(viewer.Role, org.ApproveWatch) && !org.Can(viewer.Role, org.ViewAudit) {
			return false, nil
		}
	}
	if viewer.Role.Reach() != org.ReachAll && h.Kind != KindDuty {
		units, err := org.Below(tx, viewer.Unit)
		if err != nil {
			return false, err
		}
		mine := func(u string) bool { return u != "" && (u == viewer.Unit || slices.Contains(units, u)) }
		called := slices.ContainsFunc(h.Members, func(m string) bool {
			u, ok := strings.CutPrefix(m, "unit/")
			return m == viewer.String() || ok && mine(u) && viewer.Role.Reach() == org.ReachUnit
		})
		if !called && !(viewer.Role.Reach() == org.ReachUnit && mine(h.Unit)) {
			return false, nil
		}
		if h.Kind == KindSupervision && h.State == Candidate {
			return false, nil // nothing was issued to the unit yet
		}
	}
	if len(h.Tickets) == 0 || h.Kind == KindDuty {
		return true, nil
	}
	if err := d.clear(tx, h, viewer); err != nil {
		if _, ok := ticket.RefusedWith(err); ok {
			return false, nil
		}
		return false, err
	}
	if viewer.Role.Reach() != org.ReachAll {
		return true, nil
	}
	for _, id := range h.Tickets {
		_, err := d.Office.See(tx, id, viewer)
		if err == nil {
			return true, nil
		} else if !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

// head lets a Head stand for its matter where only that is needed.
var _ Matter = (*Head)(nil)

// Get returns a matter by id or number for a viewer; one that the viewer may not see is storage.ErrNotFound.
func (d *Desk) Get(tx *storage.Tx, k Kind, idOrNumber string, viewer ticket.Actor) (Matter, error) {
	none := fmt.Errorf("%s %s: %w", k, idOrNumber, storage.ErrNotFound)
	if !k.Valid() {
		return nil, none
	}
	m, err := d.read(tx, k, ` AND (id = $2 OR number = $2)`, strings.TrimSpace(idOrNumber))
	if err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, none
	}
	ok, err := d.seen(tx, m[0].head(), viewer)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, none
	}
	return m[0], nil
}

// read reads matters of a kind; $1 is the kind.
func (d *Desk) read(tx *storage.Tx, k Kind, and string, args ...any) ([]Matter, error) {
	return d.readWhere(tx, ` WHERE kind = $1`+and, append([]any{string(k)}, args...)...)
}

func (d *Desk) readWhere(tx *storage.Tx, where string, args ...any) ([]Matter, error) {
	type row struct {
		kind    Kind
		body    string
		version int64
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.kind, &x.body, &x.version) },
		`SELECT kind, body, version FROM oversee_matter`+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read matters: %w", err)
	}
	out := make([]Matter, 0, len(rows))
	for _, r := range rows {
		m := kinds[r.kind].blank()
		if err := json.Unmarshal([]byte(r.body), m); err != nil {
			return nil, fmt.Errorf("read %s: %w", r.kind, err)
		}
		m.head().version = r.version
		out = append(out, m)
	}
	return out, nil
}

// find reads matters of a kind as their own type.
func find[T any, P pointer[T]](d *Desk, tx *storage.Tx, k Kind, and string, args ...any) ([]P, error) {
	list, err := d.read(tx, k, and, args...)
	if err != nil {
		return nil, err
	}
	out := make([]P, len(list))
	for i, m := range list {
		out[i] = m.(P)
	}
	return out, nil
}

// Filter selects matters of a kind.
type Filter struct {
	Viewer  ticket.Actor // required
	Kind    Kind
	State   State
	Open    bool   // only those somebody has to do something about
	Unit    string //
	Topic   string
	Ticket  string
	Subject string
	From    time.Time // opened in [From, To)
	To      time.Time
	Limit   int // 50 when zero
	Offset  int
}

// List returns a page of the matters that match, the last opened first, and how many the viewer may see in all.
func (d *Desk) List(tx *storage.Tx, f Filter) ([]Matter, int, error) {
	if !f.Kind.Valid() || !MaySee(f.Kind, f.Viewer) {
		return nil, 0, nil
	}
	c := &conds{}
	c.add(`kind = ?`, string(f.Kind))
	if f.State != "" {
		c.add(`state = ?`, string(f.State))
	}
	if f.Open {
		c.add(`closed_at IS NULL`)
	}
	if f.Unit != "" {
		c.add(`unit = ?`, f.Unit)
	}
	if f.Topic != "" {
		c.add(`topic = ?`, f.Topic)
	}
	if f.Subject != "" {
		c.add(`subject = ?`, f.Subject)
	}
	if f.Ticket != "" {
		c.add(`id IN (SELECT matter_id FROM oversee_ticket WHERE ticket_id = ?)`, f.Ticket)
	}
	if !f.From.IsZero() {
		c.add(`opened_at >= ?`, storage.At(f.From))
	}
	if !f.To.IsZero() {
		c.add(`opened_at < ?`, storage.At(f.To))
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	if f.Kind == KindWatch {
		return d.listWatch(tx, c, f)
	}
	if err := d.visible(tx, c, f.Kind, f.Viewer); err != nil {
		return nil, 0, err
	}
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM oversee_matter`+c.where(), c.args...)
	if err != nil || n == 0 {
		return nil, 0, err
	}
	args := append(c.args, f.Limit, max(f.Offset, 0))
	list, err := d.readWhere(tx, c.where()+fmt.Sprintf(` ORDER BY opened_at DESC, id DESC LIMIT $%d OFFSET $%d`, len(args)-1, len(args)), args...)
	return list, n, err
}

// listWatch lists watch flags, each looked at for itself.
func (d *Desk) listWatch(tx *storage.Tx, c *conds, f Filter) ([]Matter, int, error) {
	list, err := d.readWhere(tx, c.where()+` ORDER BY opened_at DESC, id DESC`, c.args...)
	if err != nil {
		return nil, 0, err
	}
	var out []Matter
	n := 0
	for _, m := range list {
		ok, err := d.seen(tx, m.head(), f.Viewer)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			continue
		}
		if n >= f.Offset && len(out) < f.Limit {
			out = append(out, m)
		}
		n++
	}
	return out, n, nil
}

// Words are the texts of a matter by their ids, numbers masked.
func (d *Desk) Words(tx *storage.Tx, m Matter) (map[string]string, error) {
	return ticket.ShownTexts(tx, m.head().Stream())
}

// Moment is one event of a matter for people to read.
type Moment struct {
	At    time.Time
	Type  string
	Actor string
	State State
	Texts []string // as shown
	Facts map[string]string
}

// Timeline is what happened to a matter, first to last.
func (d *Desk) Timeline(tx *storage.Tx, m Matter) ([]Moment, error) {
	events, err := audit.Stream(tx, m.head().Stream())
	if err != nil {
		return nil, err
	}
	words, err := d.Words(tx, m)
	if err != nil {
		return nil, err
	}
	var out []Moment
	var state State
	for _, e := range events {
		var p struct {
			Info map[string]json.RawMessage `json:"info"`
			Set  map[string]json.RawMessage `json:"set"`
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return nil, err
		}
		if s := p.Set["state"]; s != nil {
			if err := json.Unmarshal(s, &state); err != nil {
				return nil, err
			}
		}
		x := Moment{At: e.At, Type: e.Type, Actor: e.Actor, State: state, Facts: map[string]string{}}
		for name, v := range p.Info {
			var ref ticket.Text
			if json.Unmarshal(v, &ref) == nil && ref.ID != "" {
				if s := words[ref.ID]; s != "" {
					x.Texts = append(x.Texts, s)
				}
			} else if s := strings.Trim(string(v), `"`); s != "" && s != "null" && !strings.HasPrefix(s, "{") {
				x.Facts[name] = s
			}
		}
		slices.Sort(x.Texts)
		out = append(out, x)
	}
	return out, nil
}
