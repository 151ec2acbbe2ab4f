package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// orgRoutes are the pages of the bureau's units and staff (ORG-2).
func (s *Server) orgRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /org", s.may(org.ViewStaff, s.orgPage))
	mux.HandleFunc("GET /org/{id}", s.may(org.ViewStaff, s.orgPage))
	mux.HandleFunc("POST /org/{id}/{do}", s.may(org.ManageStaff, s.orgDo))
}

// orgLine is a unit in the tree.
type orgLine struct {
	org.Unit
	Depth int
	Staff int
}

// orgView is the tree, and one unit of it with its people and its past.
type orgView struct {
	Tree    []orgLine
	U       org.Unit
	Above   []org.Unit // from the bureau down, U not among them
	Staff   []org.Staff
	History []org.UnitChange
	Names   names
	Work    int // open tickets that it has to see to
	May     bool
	Closed  bool // closed units are shown
	Kinds   []org.Kind
	Polices []org.Police
	Roles   []org.Role
	Units   []option // that it, or somebody of it, may be moved to
	Today   string
	Do      string // form that was refused, with why, and what was typed
	Error   string
	In      map[string]string
}

func (s *Server) readOrg(tx *storage.Tx, r *http.Request, u *user) (v *orgView, err error) {
	v = &orgView{May: u.Can(org.ManageStaff), Closed: r.URL.Query().Get("closed") != "", Kinds: org.Kinds(), Polices: org.Polices(), Today: workday.DayOf(s.Now()).String(), In: map[string]string{}}
	if v.Names, err = readNames(tx, s.lang(r)); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	below, root := map[string][]org.Unit{}, ""
	for _, x := range v.Names.units {
		if x.Parent == "" {
			root = x.ID
		}
		below[x.Parent] = append(below[x.Parent], x)
	}
	v.U = v.Names.units[cmp.Or(id, root)]
	if v.U.ID == "" {
		return nil, storage.ErrNotFound
	}
	people := map[string]int{}
	for _, p := range v.Names.staff {
		if p.Active {
			people[p.Unit]++
		}
		if p.Unit == v.U.ID {
			v.Staff = append(v.Staff, p)
		}
	}
	slices.SortFunc(v.Staff, func(a, b org.Staff) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Login, b.Login)) })
	var walk func(parent string, depth int)
	walk = func(parent string, depth int) {
		list := below[parent]
		slices.SortFunc(list, func(a, b org.Unit) int { return cmp.Compare(a.ID, b.ID) })
		for _, x := range list {
			if x.Active || v.Closed || x.ID == v.U.ID {
				v.Tree = append(v.Tree, orgLine{x, depth, people[x.ID]})
			}
			if depth < 20 {
				walk(x.ID, depth+1)
			}
		}
	}
	walk("", 0)
	above, err := org.Above(tx, v.U.ID)
	if err != nil {
		return nil, err
	}
	for _, x := range slices.Backward(above) {
		if x.ID != v.U.ID {
			v.Above = append(v.Above, x)
		}
	}
	if v.History, err = org.UnitHistory(tx, v.U.ID); err != nil {
		return nil, err
	}
	slices.Reverse(v.History)
	if v.Work, err = s.Office.UnitWork(tx, v.U.ID); err != nil {
		return nil, err
	}
	for _, x := range org.Roles() {
		if x.SignsIn() {
			v.Roles = append(v.Roles, x)
		}
	}
	v.Units = append([]option{{Value: root, Label: v.Names.Unit(root)}}, v.Names.unitOptions()...)
	return v, nil
}

func (s *Server) orgPage(w http.ResponseWriter, r *http.Request, u *user) {
	var v *orgView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readOrg(tx, r, u); return err })
	s.showOrg(w, r, http.StatusOK, v, err)
}

func (s *Server) showOrg(w http.ResponseWriter, r *http.Request, status int, v *orgView, err error) {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	default:
		s.render(w, r, status, "org", "", "org", v)
	}
}

// orgRefusal is why a change of the tree or the staff was not made: the key of a text, with its arguments.
type orgRefusal struct {
	key  string
	args []any
}

func (e *orgRefusal) Error() string { return e.key }

// orgDo changes a unit, or somebody of it. Every change has a reason and the day on which it took effect.
func (s *Server) orgDo(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	id, do := r.PathValue("id"), r.PathValue("do")
	act, known := orgActs[do]
	if !known {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	to := "/org/" + id
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		if _, err := org.GetUnit(tx, id); err != nil {
			return err
		}
		g, err := s.register(tx, id, in)
		if err != nil {
			return err
		}
		if do == "add" {
			to = "/org/" + in.text("code")
		}
		return act(g, tx, id, in, u)
	})
	var refusal *orgRefusal
	var obstacle *org.Obstacle
	switch {
	case errors.As(err, &obstacle):
		refusal = &orgRefusal{"org-obstacle", []any{obstacle.Units, obstacle.Staff, obstacle.Work}}
	case errors.Is(err, org.ErrLoop):
		refusal = &orgRefusal{"org-loop", nil}
	case errors.Is(err, org.ErrNoMerge):
		refusal = &orgRefusal{"org-no-merge", nil}
	case errors.Is(err, storage.ErrConflict):
		refusal = &orgRefusal{"org-taken", nil}
	case errors.As(err, &refusal), err == nil:
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	default:
		s.fail(w, r, err)
		return
	}
	if refusal == nil {
		s.Hub.Publish(EventTickets)
		s.done(w, r, to, translate(s.lang(r), "org-did-"+do))
		return
	}
	var v *orgView
	err = s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readOrg(tx, r, u); return err })
	if err == nil {
		v.Do, v.Error = do, translate(s.lang(r), refusal.key, refusal.args...)
		for _, name := range []string{"reason", "day", "name", "short", "code", "parent", "into", "login"} {
			v.In[name] = in.text(name)
		}
	}
	s.showOrg(w, r, http.StatusUnprocessableEntity, v, err)
}

// register is what makes the changes, with the reason and the day that were given.
func (s *Server) register(tx *storage.Tx, unit string, in input) (org.Register, error) {
	g := org.Register{Now: s.Now, Work: s.Office.UnitWork, Reason: in.text("reason")}
	if n := utf8.RuneCountInString(g.Reason); n < 2 || n > 200 {
		return g, &orgRefusal{"org-reason", nil}
	}
	day, err := workday.ParseDay(in.text("day"))
	if err != nil {
		return g, &orgRefusal{"org-day", nil}
	}
	if day > workday.DayOf(s.Now()) {
		return g, &orgRefusal{"org-future", nil}
	}
	g.AsOf = day.String()
	// A change does not take effect before the last one of this unit did.
	past, err := org.UnitHistory(tx, unit)
	if err != nil {
		return g, err
	}
	for _, c := range past {
		if c.Day > g.AsOf {
			return g, &orgRefusal{"org-order", []any{c.Day}}
		}
	}
	return g, nil
}

// orgActs are what may be done with a unit and its people.
var orgActs = map[string]func(g org.Register, tx *storage.Tx, id string, in input, u *user) error{
	"add": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		kind, police := org.Kind(in.text("kind")), org.Police(in.text("police"))
		switch {
		case !org.UnitCode(in.text("code")):
			return &orgRefusal{"org-code", nil}
		case in.text("name") == "" || kind.Label() == "" || kind == org.Bureau || police.Label() == "" || utf8.RuneCountInString(in.text("name")) > 100:
			return &orgRefusal{"org-name", nil}
		}
		above, err := org.GetUnit(tx, id)
		if err != nil {
			return err
		}
		if !above.Active {
			return &orgRefusal{"org-closed", nil}
		}
		return g.AddUnit(tx, org.Unit{ID: in.text("code"), Name: in.text("name"), Short: in.text("short"), Kind: kind, Police: police, Parent: id, District: above.District}, u.Actor())
	},
	"rename": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		if in.text("name") == "" || utf8.RuneCountInString(in.text("name")) > 100 || utf8.RuneCountInString(in.text("short")) > 40 {
			return &orgRefusal{"org-name", nil}
		}
		return g.RenameUnit(tx, id, in.text("name"), in.text("short"), u.Actor())
	},
	"move": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		if err := openUnit(tx, in.text("parent")); err != nil {
			return err
		}
		if x, err := org.GetUnit(tx, id); err != nil {
			return err
		} else if x.Parent == "" {
			return &orgRefusal{"org-root", nil}
		}
		return g.MoveUnit(tx, id, in.text("parent"), u.Actor())
	},
	"merge": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		if err := openUnit(tx, in.text("into")); err != nil {
			return err
		}
		return g.MergeUnit(tx, id, in.text("into"), u.Actor())
	},
	"close": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		if x, err := org.GetUnit(tx, id); err != nil {
			return err
		} else if x.Parent == "" {
			return &orgRefusal{"org-root", nil}
		}
		return g.CloseUnit(tx, id, u.Actor())
	},
	"open": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		x, err := org.GetUnit(tx, id)
		if err != nil {
			return err
		}
		if x.Parent != "" {
			if err := openUnit(tx, x.Parent); err != nil {
				return err
			}
		}
		return g.SetUnitActive(tx, id, true, u.Actor())
	},
	"staff": staffAct,
	"hire": func(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
		if err := openUnit(tx, id); err != nil {
			return err
		}
		role := org.Role(in.text("role"))
		if !role.SignsIn() || in.text("name") == "" || utf8.RuneCountInString(in.text("name")) > 40 || !org.LoginForm(in.text("login")) {
			return &orgRefusal{"org-hire", nil}
		}
		_, err := g.AddStaff(tx, org.Staff{Login: in.text("login"), Name: in.text("name"), Role: role, Unit: id}, u.Actor())
		return err
	},
}

// openUnit refuses a unit that is not there or closed.
func openUnit(tx *storage.Tx, id string) error {
	x, err := org.GetUnit(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return &orgRefusal{"org-no-unit", nil}
	}
	if err == nil && !x.Active {
		return &orgRefusal{"org-closed", nil}
	}
	return err
}

// staffAct gives somebody another unit or role, or closes or opens the account. Nobody does this to themselves, and one administrator stays.
func staffAct(g org.Register, tx *storage.Tx, id string, in input, u *user) error {
	p, err := org.GetStaff(tx, in.text("who"))
	if errors.Is(err, storage.ErrNotFound) || err == nil && p.Unit != id {
		return &orgRefusal{"org-no-staff", nil}
	} else if err != nil {
		return err
	}
	if p.ID == u.ID {
		return &orgRefusal{"org-self", nil}
	}
	what, value, _ := strings.Cut(in.text("change"), ":")
	if p.Role == org.Admin && p.Active && (what == "close" || what == "role" && org.Role(value) != org.Admin) {
		all, err := org.AllStaff(tx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(x org.Staff) bool { return x.Role == org.Admin && x.Active && x.ID != p.ID }) {
			return &orgRefusal{"org-last-admin", nil}
		}
	}
	switch what {
	case "unit":
		if err := openUnit(tx, value); err != nil {
			return err
		}
		return g.MoveStaff(tx, p.ID, value, u.Actor())
	case "role":
		if !org.Role(value).SignsIn() {
			return &orgRefusal{"org-no-role", nil}
		}
		return g.ChangeRole(tx, p.ID, org.Role(value), u.Actor())
	case "close":
		return g.SetStaffActive(tx, p.ID, false, u.Actor())
	case "open":
		if err := openUnit(tx, p.Unit); err != nil {
			return err
		}
		return g.SetStaffActive(tx, p.ID, true, u.Actor())
	}
	return &orgRefusal{"org-change-none", nil}
}
