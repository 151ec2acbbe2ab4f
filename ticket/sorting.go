package ticket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/classify"
)

// Class is a class of matters, of three levels: domain, group, matter. Classes are data (work-order field 三级分类): they are
// added and closed without a restart, and one that was used is never removed.
type Class struct {
	Code   string // "JG", "JG-02", "JG-0201": each level begins with the code of the one above
	Parent string
	Level  int // 1 to 3
	Name   string
	Words  string // of the third level: words of citizens that speak for it, separated by blanks
	Active bool
}

func scanClass(r storage.Row) (c Class, err error) {
	return c, r.Scan(&c.Code, &c.Parent, &c.Level, &c.Name, &c.Words, &c.Active)
}

const selectClass = `SELECT code, parent, level, name, words, active FROM ticket_class`

// Classes returns all classes in the order of their codes, closed ones too.
func (o *Office) Classes(tx *storage.Tx) ([]Class, error) {
	out, err := storage.All(tx, scanClass, selectClass+` ORDER BY place, code`)
	if err != nil {
		return nil, fmt.Errorf("list classes: %w", err)
	}
	return out, nil
}

// SecondLevel is the class of the second level that a class is of, or storage.ErrNotFound for one of the first.
func (o *Office) SecondLevel(tx *storage.Tx, code string) (Class, error) {
	c, err := storage.One(tx, scanClass, selectClass+` WHERE code = $1`, code)
	if err == nil && c.Level == 3 {
		c, err = storage.One(tx, scanClass, selectClass+` WHERE code = $1`, c.Parent)
	}
	if err == nil && c.Level != 2 {
		err = storage.ErrNotFound
	}
	if err != nil {
		return Class{}, fmt.Errorf("second level of class %s: %w", code, err)
	}
	return c, nil
}

// PutClass adds a class of the second or third level, or changes one.
func (o *Office) PutClass(tx *storage.Tx, c Class, by Actor) error {
	if !by.may(org.ManageRules) {
		return noRole()
	}
	c.Code, c.Name, c.Words = strings.TrimSpace(c.Code), strings.TrimSpace(c.Name), strings.Join(strings.Fields(c.Words), " ")
	parent, err := storage.One(tx, scanClass, selectClass+` WHERE code = $1`, c.Parent)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return refuse("class", "没有上级类别“%s”", c.Parent)
	case err != nil:
		return fmt.Errorf("put class %s: %w", c.Code, err)
	case parent.Level > 2 || c.Name == "" || !strings.HasPrefix(c.Code, c.Parent) || c.Code == c.Parent || strings.ContainsAny(c.Code, " /"):
		return refuse("class", "类别须有名称，代码以上级代码开头，最多三级")
	}
	_, err = tx.Exec(`INSERT INTO ticket_class (code, parent, level, name, words, active, place) VALUES ($1, $2, $3, $4, $5, $6, 1000)
		ON CONFLICT (code) DO UPDATE SET name = excluded.name, words = excluded.words, active = excluded.active`, c.Code, c.Parent, parent.Level+1, c.Name, c.Words, c.Active)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "class/" + c.Code, Type: "class.put", Actor: by.String(), At: o.now(), Payload: map[string]any{
			"name": c.Name, "words": c.Words, "active": c.Active}})
	}
	if err != nil {
		return fmt.Errorf("put class %s: %w", c.Code, err)
	}
	return nil
}

// Suggested is one domain a text may belong to, with the finest class below it for which the text speaks.
type Suggested struct {
	classify.Suggestion
	Class string `json:"class,omitzero"`
}

// Sorting is what the classifier made of a ticket's text, kept whether it is taken or not.
type Sorting struct {
	ID       string      `json:"id"`
	TicketID string      `json:"ticket"`
	Domains  []Suggested `json:"domains"`        // the best three
	Class    string      `json:"class,omitzero"` // of the first
	Unit     string      `json:"unit,omitzero"`
	Duty     string      `json:"duty,omitzero"` // the binding conclusion that the unit follows; empty: place and duty
	Version  string      `json:"version"`
	At       time.Time   `json:"at"`
}

// Precedent is the unit that a binding conclusion (会商) names for such a matter.
type Precedent struct {
	Unit string
	Duty string // id of the entry of the 职责清单
}

func (s *Sorting) kind() string  { return "suggestion" }
func (s *Sorting) table() string { return "ticket_suggestion" }
func (s *Sorting) key() string   { return s.ID }
func (s *Sorting) columns() []column {
	return []column{
		{"id", &s.ID}, {"ticket_id", &s.TicketID}, {"domains", packed{&s.Domains}}, {"class", &s.Class}, {"unit", &s.Unit}, {"duty", &s.Duty}, {"version", &s.Version}, {"suggested_at", stamp{&s.At}},
	}
}

// sort asks the classifier for class and unit of what the ticket says now, and notes the answer when it is another one than
// before. A unit that is unknown, closed or accused is not suggested.
func (d *dossier) sort() error {
	t := d.ticket
	if d.o.Classifier == nil || t.Title == "" && t.Body == "" {
		return nil
	}
	x, err := d.suggest()
	if err != nil {
		return err
	}
	x.ID, x.TicketID, x.At = newID(), t.ID, d.now
	for i := range x.Domains { // the reason quotes words of the text, which the log must not hold
		x.Domains[i].Why = ""
	}
	if t.SuggestionID != "" && x.Class == t.SuggestedClass && x.Unit == t.SuggestedUnit {
		return nil
	}
	t.SuggestionID, t.SuggestedClass, t.SuggestedUnit = x.ID, x.Class, x.Unit
	d.sorted = append(d.sorted, x)
	return d.emit("ticket.sorted", map[string]any{"suggestion": x.ID, "domain": x.Domains[0].Domain, "confidence": x.Domains[0].Confidence, "class": x.Class, "unit": x.Unit, "duty": x.Duty, "version": x.Version})
}

// suggest asks the classifier about the ticket's text. The unit is the one that a binding conclusion names for such a matter, else the
// one that minds it by place and duty.
func (d *dossier) suggest() (*Sorting, error) {
	t := d.ticket
	r := d.o.Classifier.Classify(t.Title, t.Body+placeOf(t))
	x := &Sorting{Unit: r.Unit, Version: classify.Version()}
	classes, err := d.o.Classes(d.tx)
	if err != nil {
		return nil, err
	}
	for _, s := range r.Suggestions {
		x.Domains = append(x.Domains, Suggested{s, classOf(classes, s.Domain, t.Title, t.Body)})
	}
	x.Class = x.Domains[0].Class
	if d.o.Precedent != nil {
		p, err := d.o.Precedent(d.tx, *t, r.Domain)
		if err != nil {
			return nil, fmt.Errorf("conclusions for %s: %w", t.ID, err)
		}
		if p.Unit != "" {
			if err := d.mayHold(p.Unit); err == nil {
				x.Unit, x.Duty = p.Unit, p.Duty
				return x, nil
			} else if _, refused := RefusedWith(err); !refused {
				return nil, err
			}
		}
	}
	if err := d.mayHold(x.Unit); err != nil {
		if _, refused := RefusedWith(err); !refused {
			return nil, err
		}
		x.Unit = ""
	}
	return x, nil
}

// Suggest says what the classifier makes of a text that is no ticket yet; nothing is written down. Without a classifier or
// a text the answer is empty.
func (o *Office) Suggest(tx *storage.Tx, title, body, place, accusedUnit string) (Sorting, error) {
	if o.Classifier == nil || strings.TrimSpace(title+body) == "" {
		return Sorting{}, nil
	}
	d := &dossier{o: o, tx: tx, ticket: &Ticket{Title: title, Body: body, Place: place, AccusedUnit: accusedUnit}}
	x, err := d.suggest()
	if err != nil {
		return Sorting{}, err
	}
	return *x, nil
}

func placeOf(t *Ticket) string {
	if t.Place == "" {
		return ""
	}
	return "\n" + t.Place
}

// classOf is the finest class below a domain for which words of a text speak.
func classOf(classes []Class, domain classify.Domain, title, body string) string {
	top := slices.IndexFunc(classes, func(c Class) bool { return c.Level == 1 && c.Name == string(domain) })
	if top < 0 {
		return ""
	}
	best, most := classes[top].Code, 0
	for _, c := range classes {
		if !c.Active || c.Level != 3 || !strings.HasPrefix(c.Code, classes[top].Code+"-") {
			continue
		}
		n := 0
		for _, w := range strings.Fields(c.Words) {
			if strings.Contains(title, w) {
				n += 2 * len(w)
			} else if strings.Contains(body, w) {
				n += len(w)
			}
		}
		if n > most {
			best, most = c.Code, n
		}
	}
	return best
}

// class puts a ticket into a class that a person chose; the event says whether it is the one that was suggested.
func (d *dossier) class(code string) (map[string]any, error) {
	if code == "" {
		return nil, nil
	}
	c, err := storage.One(d.tx, scanClass, selectClass+` WHERE code = $1`, code)
	if errors.Is(err, storage.ErrNotFound) || err == nil && !c.Active {
		return nil, refuse("class", "没有类别“%s”", code)
	} else if err != nil {
		return nil, fmt.Errorf("class %s: %w", code, err)
	}
	t := d.ticket
	t.Class = c.Code
	t.Domain, _, _ = strings.Cut(c.Code, "-")
	suggested, _, _ := strings.Cut(t.SuggestedClass, "-")
	return map[string]any{"class": c.Code, "suggested": t.SuggestedClass, "taken": c.Code == t.SuggestedClass, "domain_taken": t.Domain == suggested}, nil
}

// SetClass puts an open ticket into a class.
func (o *Office) SetClass(tx *storage.Tx, id, code string, by Actor) (Ticket, error) {
	return o.do(tx, id, by, func(d *dossier) error {
		if err := d.in("更改类别", OpenStates[1:]...); err != nil { // 待受理 gets its class when it is accepted
			return err
		}
		if err := d.centre(org.AmendTicket); err != nil {
			return err
		}
		if code == "" || code == d.ticket.Class {
			return refuse("class", "请选择另一个类别")
		}
		info, err := d.class(code)
		if err != nil {
			return err
		}
		return d.emit("ticket.classed", info)
	})
}

// LastSorting returns what the classifier said last of a ticket, with the reasons as it gives them for the text as it is
// now, or storage.ErrNotFound.
func (o *Office) LastSorting(tx *storage.Tx, t Ticket) (Sorting, error) {
	s, err := one[Sorting](tx, ` WHERE id = $1`, t.SuggestionID)
	if err != nil {
		return Sorting{}, fmt.Errorf("suggestion for %s: %w", t.ID, err)
	}
	if o.Classifier != nil {
		for _, again := range o.Classifier.Classify(t.Title, t.Body+placeOf(&t)).Suggestions {
			for i := range s.Domains {
				if s.Domains[i].Domain == again.Domain {
					s.Domains[i].Why = again.Why
				}
			}
		}
	}
	return *s, nil
}
