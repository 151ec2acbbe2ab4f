package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lianxin/audit"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// CaptureOrder says of which call the packets are to be kept.
type CaptureOrder struct {
	CallID string        // a call that is up; the next one when empty
	From   string        // of the next: only when its number ends so
	Within time.Duration // of the next: how long the order holds
}

func (s *Server) traceRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /calls/{id}/trace", s.may(org.TraceCalls, s.tracePage))
	mux.HandleFunc("POST /calls/{id}/capture", s.may(org.CaptureCalls, s.captureCall))
	mux.HandleFunc("POST /calls/capture", s.may(org.CaptureCalls, s.captureNext))
	mux.HandleFunc("POST /calls/{id}/packets", s.may(org.CaptureCalls, s.packets))
	mux.HandleFunc("POST /calls/export", s.may(org.ExportCalls, s.exportCalls))
}

// trace is what the legs of a call did, whether it is up or over; storage.ErrNotFound when nothing is known of it.
func (s *Server) trace(tx *storage.Tx, id string, by ticket.Actor) (ivr.Record, ivr.Trace, error) {
	call, err := s.callFor(tx, id, by)
	if err != nil {
		return call, ivr.Trace{}, err
	}
	if s.Trace != nil && call.Ended.IsZero() {
		if call, t, ok := s.Trace(id); ok {
			return call, t, nil
		}
	}
	t, err := s.Calls.Trace(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return call, ivr.Trace{CallID: id, Legs: []ivr.TraceLeg{}}, nil
	}
	return call, t, err
}

// Measures of the drawing, in its own units.
const (
	laneStep = 270
	laneLeft = 100
	rungStep = 34
	rungTop  = 56
)

type traceView struct {
	Call       ivr.Record
	Trace      ivr.Trace
	Lanes      []laneView
	Rungs      []rungView
	Width      int
	Height     int
	Live       bool
	MayCapture bool
	HasPackets bool
	Reason     string
}

type laneView struct {
	Name string
	X    int
}

// rungView is one line of the drawing: a message from one lane to another, or (Note) what was decided.
type rungView struct {
	After        string
	Y            int
	X1, X2, Text int
	Label        string
	Note         bool
	Bad          bool
}

func (s *Server) tracePage(w http.ResponseWriter, r *http.Request, u *user) {
	v := traceView{MayCapture: u.Can(org.CaptureCalls)}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		v.Call, v.Trace, err = s.trace(tx, r.PathValue("id"), ticket.Staff(u.Staff))
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
	v.Live = v.Call.Ended.IsZero() && len(v.Trace.Legs) > 0
	v.HasPackets = s.Packets.Has(v.Call.ID)
	v.draw(func(step ivr.Step) string { return s.stepText(r, step) })
	s.render(w, r, http.StatusOK, "trace", "", "trace", v)
}

// draw lays the ladder out.
func (v *traceView) draw(text func(ivr.Step) string) {
	for i, name := range v.Trace.Lanes() {
		v.Lanes = append(v.Lanes, laneView{name, laneLeft + laneStep*i})
	}
	y := rungTop
	line := func(after time.Duration, r rungView) {
		r.After, r.Y = fmt.Sprintf("%.3f", after.Seconds()), y
		y += rungStep
		v.Rungs = append(v.Rungs, r)
	}
	steps := v.Call.Steps
	told := func(before time.Duration) {
		for ; len(steps) > 0 && time.Duration(steps[0].At)*time.Millisecond <= before; steps = steps[1:] {
			label := text(steps[0])
			if steps[0].Node != "" {
				label = "[" + steps[0].Node + "] " + label
			}
			if runes := []rune(label); len(runes) > 42 {
				label = string(runes[:41]) + "…"
			}
			line(time.Duration(steps[0].At)*time.Millisecond, rungView{Label: label, Note: true, X1: laneLeft}) // beside the times, where a small screen shows it
		}
	}
	for _, m := range v.Trace.Rungs() {
		after := m.At.Sub(v.Call.Started)
		told(after)
		a, b := laneLeft+laneStep*m.From, laneLeft+laneStep*m.To
		label := m.Text
		if runes := []rune(label); len(runes) > 46 {
			label = string(runes[:45]) + "…"
		}
		line(after, rungView{X1: a, X2: b, Text: (a + b) / 2, Label: label, Bad: label != "" && label[0] >= '4' && label[0] <= '6'})
	}
	told(1 << 62)
	v.Height = y + 10
	v.Width = laneLeft + laneStep*max(len(v.Lanes), 2) + 80
}

// captureCall keeps the packets of a call that is up.
func (s *Server) captureCall(w http.ResponseWriter, r *http.Request, u *user) {
	id := r.PathValue("id")
	s.order(w, r, u, CaptureOrder{CallID: id}, "/calls/"+id+"/trace")
}

// captureNext keeps those of the next call.
func (s *Server) captureNext(w http.ResponseWriter, r *http.Request, u *user) {
	s.order(w, r, u, CaptureOrder{From: strings.TrimSpace(r.PostFormValue("from")), Within: time.Hour}, "/calls")
}

func (s *Server) order(w http.ResponseWriter, r *http.Request, u *user, o CaptureOrder, back string) {
	err := s.orderCapture(r.Context(), o, strings.TrimSpace(r.PostFormValue("reason")), u.Actor())
	var refused *captureRefusal
	switch {
	case err == nil:
		s.done(w, r, back, translate(s.lang(r), "capture-ordered"))
	case errors.As(err, &refused):
		s.problem(w, r, http.StatusUnprocessableEntity, refused.key)
	default:
		s.fail(w, r, err)
	}
}

// captureRefusal is why a capture cannot be.
type captureRefusal struct{ key, english string }

func (c *captureRefusal) Error() string { return c.english }

// orderCapture writes the order down and gives it.
func (s *Server) orderCapture(ctx context.Context, o CaptureOrder, reason, actor string) error {
	if reason == "" || len([]rune(reason)) > 200 {
		return &captureRefusal{"reason-needed", "a reason is needed"}
	}
	if strings.Trim(o.From, "0123456789") != "" || len(o.From) > 20 {
		return &captureRefusal{"bad-request", "from holds digits only"}
	}
	if s.Capture == nil {
		return &captureRefusal{"capture-none", "this node captures nothing"}
	}
	switch err := s.Capture(o); {
	case errors.Is(err, sip.ErrNoCall):
		return &captureRefusal{"capture-over", "the call is not up on this node"}
	case errors.Is(err, sip.ErrCapturing):
		return &captureRefusal{"capture-already", "the call is being captured already"}
	case errors.Is(err, sip.ErrManyCaptures):
		return &captureRefusal{"capture-many", "too many captures at a time"}
	case err != nil:
		return err
	}
	stream := "calls"
	if o.CallID != "" {
		stream = "call/" + o.CallID
	}
	return s.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: stream, Type: "call.capture_ordered", Actor: actor, At: s.Now(), Payload: map[string]any{"reason": reason}})
		return err
	})
}

// packets gives the packets of a call away as a pcap file. Who may not play the recording gets them without the sound.
func (s *Server) packets(w http.ResponseWriter, r *http.Request, u *user) {
	err := s.givePackets(w, r, ticket.Staff(u.Staff), u.Actor(), u.Can(org.PlayCalls), strings.TrimSpace(r.PostFormValue("reason")))
	var refused *captureRefusal
	switch {
	case err == nil:
	case errors.As(err, &refused):
		s.problem(w, r, http.StatusUnprocessableEntity, refused.key)
	case missing(err):
		s.problem(w, r, http.StatusNotFound, "not-found")
	default:
		s.fail(w, r, err)
	}
}

func (s *Server) givePackets(w http.ResponseWriter, r *http.Request, by ticket.Actor, actor string, plays bool, reason string) error {
	if reason == "" || len([]rune(reason)) > 200 {
		return &captureRefusal{"reason-needed", "a reason is needed"}
	}
	id := r.PathValue("id")
	voice := plays
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		_, err := s.hearable(tx, id, by)
		if errors.Is(err, storage.ErrNotFound) {
			voice = false
			_, err = s.callFor(tx, id, by)
		}
		return err
	})
	if err != nil {
		return err
	}
	p, err := s.Packets.Open(id)
	if errors.Is(err, fs.ErrNotExist) {
		return storage.ErrNotFound
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := p.WritePCAP(&b, voice); err != nil {
		return err
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "call/" + id, Type: "call.packets_taken", Actor: actor, At: s.Now(), Payload: map[string]any{"reason": reason, "voice": voice}})
		return err
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.tcpdump.pcap")
	h.Set("Content-Disposition", `attachment; filename="`+id+`.pcap"`)
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	_, err = b.WriteTo(w)
	return err
}

// apiPackets is packets for programs.
func (s *Server) apiPackets(w http.ResponseWriter, r *http.Request) {
	t, ok := s.bearer(w, r, org.CaptureCalls)
	if !ok {
		return
	}
	err := s.givePackets(w, r, ticket.Token(t), t.Actor(), t.Can(org.PlayCalls), strings.TrimSpace(r.URL.Query().Get("reason")))
	var refused *captureRefusal
	switch {
	case err == nil:
	case errors.As(err, &refused):
		http.Error(w, refused.english, http.StatusUnprocessableEntity)
	case missing(err):
		http.Error(w, "there are no packets of this call", http.StatusNotFound)
	default:
		s.Log.Error("api: packets", "err", err)
		http.Error(w, "something went wrong and has been logged", http.StatusInternalServerError)
	}
}

// callAPI are the operations on calls besides their records.
func (s *Server) callAPI(api huma.API) {
	huma.Get(api, "/api/v1/calls/{id}/trace", s.apiTrace, named("get-call-trace", "What the legs of a call did: messages, media figures, and what was decided; also while it is up"))
	huma.Post(api, "/api/v1/captures", s.apiCapture, named("order-capture", "Keep the packets of a call that is up, or of the next one"), accepted)
}

// TraceOut is the trace of a call with its record.
type TraceOut struct {
	Call  CallOut        `json:"call"`
	Steps []ivr.Step     `json:"steps" doc:"what was decided: t is milliseconds after the beginning"`
	Legs  []ivr.TraceLeg `json:"legs" doc:"the caller's first"`
}

// TraceOf is the trace of a call as the API gives it.
func TraceOf(call ivr.Record, parts ivr.Parts, t ivr.Trace) TraceOut {
	out := TraceOut{Call: callOut(call).with(call, parts), Steps: call.Steps, Legs: t.Legs}
	if out.Legs == nil {
		out.Legs = []ivr.TraceLeg{}
	}
	return out
}

func (s *Server) apiTrace(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*one[TraceOut], error) {
	by, err := caller(ctx, org.TraceCalls)
	if err != nil {
		return nil, err
	}
	var out one[TraceOut]
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		call, t, err := s.trace(tx, in.ID, ticket.Token(by))
		if err != nil {
			return err
		}
		parts, err := s.Calls.Parts(tx, call.ID)
		out.Body = TraceOf(call, parts, t)
		return err
	})
	if err != nil {
		return nil, s.problemOf("trace of a call", err)
	}
	return &out, nil
}

func (s *Server) apiCapture(ctx context.Context, in *struct {
	Body struct {
		CallID  string `json:"call_id,omitempty" doc:"a call that is up; the next one when left out"`
		From    string `json:"from,omitempty" doc:"of the next: only when its number ends so"`
		Minutes int    `json:"minutes,omitempty" minimum:"1" maximum:"1440" default:"60" doc:"of the next: how long the order holds"`
		Reason  string `json:"reason" minLength:"1" maxLength:"200"`
	}
}) (*one[CaptureOut], error) {
	t, err := caller(ctx, org.CaptureCalls)
	if err != nil {
		return nil, err
	}
	within := time.Duration(in.Body.Minutes) * time.Minute
	if within <= 0 {
		within = time.Hour
	}
	err = s.orderCapture(ctx, CaptureOrder{CallID: in.Body.CallID, From: in.Body.From, Within: within}, strings.TrimSpace(in.Body.Reason), t.Actor())
	var refused *captureRefusal
	if errors.As(err, &refused) {
		return nil, huma.Error422UnprocessableEntity(refused.english)
	}
	if err != nil {
		return nil, s.problemOf("order a capture", err)
	}
	return &one[CaptureOut]{Body: CaptureOut{Ordered: true}}, nil
}

// CaptureOut confirms an order.
type CaptureOut struct {
	Ordered bool `json:"ordered"`
}

// exportCalls gives the records of some days away as CSV.
func (s *Server) exportCalls(w http.ResponseWriter, r *http.Request, u *user) {
	from, err1 := workday.ParseDay(r.PostFormValue("from"))
	to, err2 := workday.ParseDay(r.PostFormValue("to"))
	if err1 != nil || err2 != nil || to < from {
		s.problem(w, r, http.StatusBadRequest, "bad-day")
		return
	}
	if err := s.giveCSV(w, r, from, to, ticket.Staff(u.Staff)); err != nil {
		s.fail(w, r, err)
	}
}

// apiCallsCSV is exportCalls for programs.
func (s *Server) apiCallsCSV(w http.ResponseWriter, r *http.Request) {
	t, ok := s.bearer(w, r, org.ExportCalls)
	if !ok {
		return
	}
	from, err1 := workday.ParseDay(r.URL.Query().Get("from"))
	to, err2 := workday.ParseDay(r.URL.Query().Get("to"))
	if err1 != nil || err2 != nil || to < from {
		http.Error(w, "from and to are days, YYYY-MM-DD, both included", http.StatusUnprocessableEntity)
		return
	}
	if err := s.giveCSV(w, r, from, to, ticket.Token(t)); err != nil {
		s.Log.Error("api: export calls", "err", err)
		http.Error(w, "something went wrong and has been logged", http.StatusInternalServerError)
	}
}

func (s *Server) giveCSV(w http.ResponseWriter, r *http.Request, from, to workday.Day, by ticket.Actor) error {
	var b bytes.Buffer
	n := 0
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		conflict, err := s.Office.ConflictOf(tx, by)
		if err != nil {
			return err
		}
		n, err = s.Calls.WriteCSV(tx, &b, ivr.Filter{From: from.Start(), To: to.End(), Conflict: conflict})
		return err
	})
	if err != nil {
		return err
	}
	err = s.DB.Update(r.Context(), func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "calls", Type: "call.records_exported", Actor: by.String(), At: s.Now(), Payload: map[string]any{"from": from.String(), "to": to.String(), "calls": n}})
		return err
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="calls-%s-%s.csv"`, from, to))
	h.Set("Cache-Control", "private, no-store")
	_, err = b.WriteTo(w)
	return err
}
