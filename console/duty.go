package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"lianxin/desk"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

func (s *Server) dutyRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /duty", s.may(org.ViewBoard, s.dutyPage))
	mux.HandleFunc("POST /duty/seat", s.may(org.ManageRoster, s.dutyAct(s.setSeat)))
	mux.HandleFunc("POST /duty/shift", s.may(org.ManageRoster, s.dutyAct(s.addShift)))
	mux.HandleFunc("POST /duty/drop", s.may(org.ManageRoster, s.dutyAct(s.dropShift)))
	mux.HandleFunc("POST /duty/handover", s.may(org.TakeCalls, s.dutyAct(s.handOver)))
}

// handoverPurpose is under which hand-over notes are sealed: they may tell of people.
const handoverPurpose = "org.handover"

type dutyView struct {
	Day        workday.Day
	Prev, Next workday.Day
	Queues     []queueRow
	Seats      []seatRow
	Shifts     []shiftRow
	Notes      []noteRow
	Staff      []org.Staff // who may be rostered
	QueueNames []string
	May        bool // edit
	MayHand    bool
	Error      string
	Absent     int // rostered now, and not there
}

type seatRow struct {
	Staff  org.Staff
	Queues string
	Skills string
	State  desk.State
	Reason string
	Taken  int
}

type shiftRow struct {
	org.Shift
	Name   string
	Queues string
	Now    bool
	There  bool // signed in and not away, while Now
}

type noteRow struct {
	Name string
	At   time.Time
	Text string
}

func (s *Server) dutyPage(w http.ResponseWriter, r *http.Request, u *user) {
	s.showDuty(w, r, u, http.StatusOK, "")
}

func (s *Server) showDuty(w http.ResponseWriter, r *http.Request, u *user, status int, problem string) {
	day, ok := s.dayOf(w, r)
	if !ok {
		return
	}
	v := dutyView{Day: day, Prev: day.Add(-1), Next: day.Add(1), May: u.Can(org.ManageRoster), MayHand: u.Can(org.TakeCalls), Error: problem}
	now := s.Now()
	sn, err := s.Board.Snapshot(r.Context())
	if err != nil && !errors.Is(err, desk.ErrDown) {
		s.fail(w, r, err)
		return
	}
	state := map[string]desk.OperatorView{}
	for _, o := range sn.Operators {
		state[o.StaffID] = o
	}
	err = s.DB.View(r.Context(), func(tx *storage.Tx) error {
		if v.Queues, err = s.queueRows(r.Context(), tx, day); err != nil {
			return err
		}
		for _, q := range v.Queues {
			v.QueueNames = append(v.QueueNames, q.Name)
		}
		staff, err := org.AllStaff(tx)
		if err != nil {
			return err
		}
		seats, err := org.Seats(tx)
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, x := range staff {
			names[x.ID] = x.Name
			if x.Extension == "" || !x.Can(org.TakeCalls) {
				continue
			}
			v.Staff = append(v.Staff, x)
			o := state[x.ID]
			v.Seats = append(v.Seats, seatRow{Staff: x, Queues: org.FormatSeatQueues(seats[x.ID].Queues), Skills: strings.Join(seats[x.ID].Skills, " "), State: o.State, Reason: o.Reason, Taken: o.Taken})
		}
		shifts, err := org.Shifts(tx, day.Start(), day.End())
		if err != nil {
			return err
		}
		for _, x := range shifts {
			row := shiftRow{Shift: x, Name: names[x.StaffID], Queues: org.FormatSeatQueues(x.Queues), Now: !now.Before(x.From) && now.Before(x.To)}
			if o, known := state[x.StaffID]; known && o.Registered && o.State != desk.Away && o.State != desk.Offline {
				row.There = true
			} else if row.Now {
				v.Absent++
			}
			v.Shifts = append(v.Shifts, row)
		}
		notes, err := org.Handovers(tx, 20)
		if err != nil {
			return err
		}
		for _, n := range notes {
			text, err := s.Book.Vault.For(handoverPurpose).Open(n.Sealed)
			if err != nil {
				return err
			}
			v.Notes = append(v.Notes, noteRow{Name: names[n.StaffID], At: n.At, Text: text})
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "duty", "", "duty", v)
}

// dutyAct does one thing in a transaction and shows the page again; what the person got wrong is said on it.
func (s *Server) dutyAct(do func(tx *storage.Tx, in input, u *user) error) func(http.ResponseWriter, *http.Request, *user) {
	return func(w http.ResponseWriter, r *http.Request, u *user) {
		in, ok := s.form(w, r)
		if !ok {
			return
		}
		err := s.DB.Update(r.Context(), func(tx *storage.Tx) error { return do(tx, in, u) })
		var wrong dutyError
		switch {
		case errors.As(err, &wrong):
			s.showDuty(w, r, u, http.StatusUnprocessableEntity, translate(s.lang(r), string(wrong)))
		case errors.Is(err, storage.ErrNotFound):
			s.problem(w, r, http.StatusNotFound, "not-found")
		case err != nil:
			s.fail(w, r, err)
		default:
			if s.Reseat != nil {
				s.Reseat()
			}
			to := "/duty"
			if day := in.text("day"); day != "" {
				if d, err := workday.ParseDay(day); err == nil {
					to += "?day=" + d.String()
				}
			}
			s.done(w, r, to, translate(s.lang(r), "duty-saved"))
		}
	}
}

// dutyError is the key of what is wrong with a form.
type dutyError string

func (e dutyError) Error() string { return string(e) }

// knownQueues refuses names that no queue has: they would look as if they were served.
func (s *Server) knownQueues(text string) ([]org.SeatQueue, error) {
	list, err := org.ParseSeatQueues(text)
	if err != nil {
		return nil, dutyError("duty-bad-queues")
	}
	if s.Flows == nil {
		return list, nil
	}
	for _, q := range list {
		if _, ok := s.Flows.State().Queues.Get(q.Queue); !ok {
			return nil, dutyError("duty-unknown-queue")
		}
	}
	return list, nil
}

func (s *Server) setSeat(tx *storage.Tx, in input, u *user) error {
	queues, err := s.knownQueues(in.text("queues"))
	if err != nil {
		return err
	}
	skills := strings.Fields(in.text("skills"))
	if len(skills) > 20 || slices.ContainsFunc(skills, func(k string) bool { return len(k) > 30 }) {
		return dutyError("duty-bad-skills")
	}
	return org.Register{Now: s.Now}.SetSeat(tx, org.Seat{StaffID: in.text("staff"), Queues: queues, Skills: skills}, u.Actor())
}

// mostDays is how many days in a row one form may roster.
const mostDays = 62

func (s *Server) addShift(tx *storage.Tx, in input, u *user) error {
	day, err := workday.ParseDay(in.text("day"))
	if err != nil {
		return dutyError("bad-day")
	}
	from, err1 := time.Parse("15:04", in.text("from"))
	to, err2 := time.Parse("15:04", in.text("to"))
	days := in.number("days")
	if err1 != nil || err2 != nil || days < 1 || days > mostDays {
		return dutyError("duty-bad-shift")
	}
	queues, err := s.knownQueues(in.text("queues"))
	if err != nil {
		return err
	}
	offset := func(t time.Time) time.Duration {
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	for i := range days {
		begin := day.Add(i).Start()
		x := org.Shift{StaffID: in.text("staff"), From: begin.Add(offset(from)), To: begin.Add(offset(to)), Queues: queues, Note: in.text("note")}
		if !x.To.After(x.From) { // into the next day
			x.To = x.To.Add(24 * time.Hour)
		}
		_, err := org.Register{Now: s.Now}.AddShift(tx, x, u.Actor())
		if errors.Is(err, storage.ErrConflict) {
			return dutyError("duty-overlap")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) dropShift(tx *storage.Tx, in input, u *user) error {
	return org.Register{Now: s.Now}.DropShift(tx, in.text("shift"), u.Actor())
}

func (s *Server) handOver(tx *storage.Tx, in input, u *user) error {
	note := in.text("note")
	if note == "" || len([]rune(note)) > 2000 {
		return dutyError("duty-bad-note")
	}
	_, err := org.Register{Now: s.Now}.AddHandover(tx, org.Handover{StaffID: u.ID, Sealed: s.Book.Vault.For(handoverPurpose).Seal(note)}, u.Actor())
	return err
}
