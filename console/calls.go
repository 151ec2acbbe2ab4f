package console

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

func (s *Server) callRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /calls", s.may(org.ViewCalls, s.callList))
	mux.HandleFunc("GET /calls/{id}", s.may(org.ViewCalls, s.callPage))
	mux.HandleFunc("GET /calls/{id}/recording", s.may(org.PlayCalls, s.recording))
	s.traceRoutes(mux)
	s.guardRoutes(mux)
	s.markRoutes(mux)
	mux.HandleFunc("POST /calls/{id}/hold", s.may(org.HoldCalls, s.holdRecording))
}

const perPage = 50

type callListView struct {
	Day          workday.Day
	Prev, Next   workday.Day
	Disposition  ivr.Disposition
	Dispositions []ivr.Disposition
	Calls        []ivr.Record
	Total        int
	Page, Pages  int
	Figures      ivr.Figures
	Connect      string
	Level        string

	MayExport, MayCapture, MayDial bool
}

// callList is the record of one day's calls with the day's service figures; each figure leads to its list.
func (s *Server) callList(w http.ResponseWriter, r *http.Request, u *user) {
	q := r.URL.Query()
	v := callListView{Disposition: ivr.Disposition(q.Get("disposition")), Dispositions: ivr.Dispositions}
	if v.Disposition != "" && !slices.Contains(ivr.Dispositions, v.Disposition) {
		s.problem(w, r, http.StatusBadRequest, "bad-request")
		return
	}
	var ok bool
	if v.Day, ok = s.dayOf(w, r); !ok {
		return
	}
	v.Prev, v.Next = v.Day.Add(-1), v.Day.Add(1)
	v.Page = pageOf(q.Get("page"))
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v.Calls, v.Total, err = s.callsFor(tx, ivr.Filter{From: v.Day.Start(), To: v.Day.End(), Disposition: v.Disposition, Limit: perPage, Offset: (v.Page - 1) * perPage}, ticket.Staff(u.Staff))
		if err != nil {
			return err
		}
		v.Figures, err = s.Calls.Figures(tx, v.Day.Start(), v.Day.End())
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.MayExport, v.MayCapture, v.MayDial = u.Can(org.ExportCalls), u.Can(org.CaptureCalls), s.CallOut != nil && u.Can(org.DialOut) && u.Extension != ""
	v.Pages = max(1, (v.Total+perPage-1)/perPage)
	v.Connect, v.Level = rate(v.Figures.ConnectRate()), rate(v.Figures.Level())
	s.render(w, r, http.StatusOK, "calls", "", "calls", v)
}

// dayOf reads ?day=, today by default; a day that cannot be read is answered with 400 and false.
func (s *Server) dayOf(w http.ResponseWriter, r *http.Request) (workday.Day, bool) {
	text := r.URL.Query().Get("day")
	if text == "" {
		return workday.DayOf(s.Now()), true
	}
	day, err := workday.ParseDay(text)
	if err != nil {
		s.problem(w, r, http.StatusBadRequest, "bad-day")
		return 0, false
	}
	return day, true
}

func pageOf(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 1
	}
	return min(n, 1_000_000)
}

type callView struct {
	Call     ivr.Record
	Operator string // name
	Ticket   *ticket.Ticket
	CanPlay  bool
	HasFile  bool
	Heard    ivr.Transcript // what a machine wrote down of the message
	Steps    []stepView
	CanTrace bool
	CanBlock bool
	MostDays int
	CanHold  bool // may keep the recording beyond its time

	Marks    []string // of the caller, in force now
	CanMark  bool
	Known    []markKind
	MostMark int

	Stays   []stayView
	Answers []ivr.Answer
	Clips   []clipView
}

// stayView is one wait in a queue.
type stayView struct {
	ivr.Stay
	Title string
	Wait  time.Duration
}

// clipView is a part of the recording; From and To are seconds in it.
type clipView struct {
	Label    string
	From, To int
	Time     time.Duration
}

// parts lays out what belongs to the call beside its record.
func (v *callView) parts(s *Server, lang string, p ivr.Parts) {
	for _, x := range p.Stays {
		v.Stays = append(v.Stays, stayView{x, s.queueTitle(x.Queue), x.Wait(s.Now())})
	}
	v.Answers = p.Answers
	for _, x := range clips(v.Call, p) {
		label := x.Name
		if x.Name == messageClip {
			label = translate(lang, "clip-message")
		} else if x.Name == "reason" {
			label = translate(lang, "clip-reason")
		}
		v.Clips = append(v.Clips, clipView{label, int(x.From.Seconds()), int((x.From + x.Time).Seconds()) + 1, x.Time})
	}
}

// writtenDown is what a machine wrote down of the message in a call; zero where nothing was.
func (s *Server) writtenDown(tx *storage.Tx, call string) (ivr.Transcript, error) {
	t, err := s.Calls.Transcript(tx, call)
	if errors.Is(err, storage.ErrNotFound) {
		return ivr.Transcript{}, nil
	}
	return t, err
}

type stepView struct {
	At   time.Time
	Node string
	Text string
}

func (s *Server) callPage(w http.ResponseWriter, r *http.Request, u *user) {
	v := callView{CanPlay: true}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.Call, err = s.callFor(tx, r.PathValue("id"), ticket.Staff(u.Staff)); err != nil {
			return err
		}
		if v.Call.StaffID != "" {
			staff, err := org.GetStaff(tx, v.Call.StaffID)
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			v.Operator = staff.Name
		}
		if v.Call.TicketID != "" {
			t, err := s.Office.See(tx, v.Call.TicketID, ticket.Staff(u.Staff))
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			v.CanPlay = err == nil && mayHear(s.Office, t, ticket.Staff(u.Staff))
			if err == nil {
				v.Ticket = &t
			}
		}
		parts, err := s.Calls.Parts(tx, v.Call.ID)
		if err != nil {
			return err
		}
		v.parts(s, s.lang(r), parts)
		if v.Heard, err = s.writtenDown(tx, v.Call.ID); err != nil {
			return err
		}
		if v.Call.Number.IsZero() {
			return nil
		}
		marks, err := s.Book.Flags(tx, v.Call.Number)
		for _, f := range marks {
			v.Marks = append(v.Marks, contact.FlagLabel(f.Flag))
		}
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		s.problem(w, r, http.StatusNotFound, "not-found")
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.CanPlay = v.CanPlay && u.Can(org.PlayCalls)
	v.CanTrace, v.MostDays = u.Can(org.TraceCalls), ivr.MostBlockDays
	v.CanBlock = u.Can(org.BlockCallers) && !v.Call.Number.IsZero() && !v.Call.Urgent && !v.Call.Ended.IsZero()
	v.CanMark, v.MostMark = u.Can(org.FlagCallers) && !v.Call.Number.IsZero(), contact.MostFlagDays
	for _, k := range contact.KnownFlags {
		v.Known = append(v.Known, markKind{k.Flag, k.Label})
	}
	v.CanHold = v.CanPlay && u.Can(org.HoldCalls) && v.Call.RecordingGone.IsZero()
	if path, ok := s.recordingPath(v.Call); ok {
		_, err := os.Stat(path)
		v.HasFile = err == nil
	}
	for _, step := range v.Call.Steps {
		v.Steps = append(v.Steps, stepView{At: v.Call.Started.Add(time.Duration(step.At) * time.Millisecond), Node: step.Node, Text: s.stepText(r, step)})
	}
	s.render(w, r, http.StatusOK, "call", "", "call", v)
}

// stepText says what happened in a step in words.
func (s *Server) stepText(r *http.Request, step ivr.Step) string {
	if len(step.Said) > 0 {
		return translate(s.lang(r), "step-said", s.SayText(step.Said))
	}
	return step.Did
}
