package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
)

// names puts words to the ids of staff, units and actors.
type names struct {
	lang  string
	staff map[string]org.Staff
	units map[string]org.Unit
}

func readNames(tx *storage.Tx, lang string) (names, error) {
	n := names{lang: lang, staff: map[string]org.Staff{}, units: map[string]org.Unit{}}
	staff, err := org.AllStaff(tx)
	if err != nil {
		return n, err
	}
	for _, s := range staff {
		n.staff[s.ID] = s
	}
	units, err := org.Units(tx)
	for _, u := range units {
		n.units[u.ID] = u
	}
	return n, err
}

// Unit is the short name of a unit.
func (n names) Unit(id string) string {
	if u, ok := n.units[id]; ok {
		if u.Short != "" {
			return u.Short
		}
		return u.Name
	}
	return id
}

// Who is an actor of the log in words: the name of an officer, or what kind of machine or person it was.
func (n names) Who(actor string) string {
	kind, id, _ := strings.Cut(actor, "/")
	switch kind {
	case "staff":
		if s, ok := n.staff[id]; ok {
			return s.Name
		}
	case "system", "bot", "citizen", "token", "carrier", "unknown":
		return translate(n.lang, "who-"+kind)
	}
	return actor
}

// Post is the role and unit of an actor who is an officer, and nothing for others.
func (n names) Post(actor string) string {
	id, ok := strings.CutPrefix(actor, "staff/")
	s, known := n.staff[id]
	if !ok || !known {
		return ""
	}
	return s.Role.Label() + " · " + n.Unit(s.Unit)
}

// unitOptions are the active units by the branch they belong to, for choosing who handles a ticket.
func (n names) unitOptions() []option {
	var out []option
	for _, u := range n.units {
		if u.Active && u.Kind != org.Bureau {
			out = append(out, option{Value: u.ID, Label: n.Unit(u.ID), Group: n.branch(u)})
		}
	}
	slices.SortFunc(out, func(a, b option) int {
		return cmp.Or(cmp.Compare(n.rank(a.Value), n.rank(b.Value)), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// branch is the name of the unit right below the bureau under which a unit stands, and of the bureau for those without
// units below them.
func (n names) branch(u org.Unit) string {
	for range len(n.units) {
		parent, ok := n.units[u.Parent]
		if !ok {
			return ""
		}
		if parent.Kind == org.Bureau {
			if u.Kind == org.Branch {
				return n.Unit(u.ID)
			}
			return translate(n.lang, "unit-headquarters")
		}
		u = parent
	}
	return ""
}

// rank puts the units of the bureau itself before the branches.
func (n names) rank(id string) int {
	for range len(n.units) {
		u, ok := n.units[id]
		if !ok {
			return 0
		}
		if u.Kind == org.Branch {
			return 1
		}
		id = u.Parent
	}
	return 0
}

// below reports whether a unit is another or stands below it. Where the bureau as a whole is meant, only its own desk is.
func (n names) below(unit, top string) bool {
	for i, x := 0, unit; x != "" && i <= len(n.units); i++ {
		if x == top {
			return i == 0 || n.units[top].Kind != org.Bureau
		}
		x = n.units[x].Parent
	}
	// Whoever took over what a unit did stands where it stood.
	if into := n.units[top].Merged; into != "" && into != top {
		return n.below(unit, into)
	}
	return false
}

// person is the citizen of a page, masked, or in the open after a reveal.
type person struct {
	ID     string
	Phone  string
	Name   string
	Secret bool // the person asked for confidentiality
	May    bool // the reader may reveal
	Open   bool // Phone and Name are in the open
}

// readPerson reads the citizen of a ticket or call-back. What a confidential person's name begins with is not shown to
// those who may not know them (I7).
func (s *Server) readPerson(tx *storage.Tx, u *user, id string, secret bool) (*person, error) {
	if id == "" {
		return nil, nil
	}
	p, err := s.Book.Get(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &person{ID: id, Secret: secret, May: u.Can(org.Reveal)}
	if secret {
		out.May = u.Can(org.RevealSecret)
	}
	if !secret || out.May {
		out.Phone, out.Name = p.Phone.Masked(), p.Name.Masked()
	}
	return out, nil
}

// reveal shows a person's number and name in the open, and enters it into the log. A reason that is too short is
// contact.ErrNoReason.
func (s *Server) reveal(tx *storage.Tx, u *user, p *person, reason string) error {
	phone, name, err := s.Book.Reveal(tx, p.ID, u.Actor(), reason)
	if err != nil {
		return err
	}
	p.Phone, p.Name, p.Open = phone.Clear(), name, true
	return nil
}

var errForbidden = errors.New("forbidden")

// showRevealed ends a request to reveal: the page with what was revealed, or with what is missing, or why there is none.
func (s *Server) showRevealed(w http.ResponseWriter, r *http.Request, page string, view any, err error) {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case errors.Is(err, errForbidden):
		s.problem(w, r, http.StatusForbidden, "forbidden")
	case errors.Is(err, contact.ErrNoReason):
		s.render(w, r, http.StatusUnprocessableEntity, page, "", page+"-title", view)
	case err != nil:
		s.fail(w, r, err)
	default:
		s.render(w, r, http.StatusOK, page, "", page+"-title", view)
	}
}
