package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

func (s *Server) logRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /log", s.may(org.ViewAudit, s.auditLog))
	mux.HandleFunc("POST /log/verify", s.may(org.ViewAudit, s.verifyLog))
}

type logView struct {
	Stream, Actor, Type string
	Rows                []logRow
	Last                int64 // number of the newest event
	Before              int64 // the page goes on with the events before this one; 0 at the end
	Query               url.Values
	Checked             *audit.Report
	CheckedIn           time.Duration
	Compared            []Comparison
}

type logRow struct {
	audit.Event
	Label   string
	Who     string
	Post    string
	Payload string
	Link    string
}

// logScan is how many events one page looks through for those that match before it says that it goes on further back.
const logScan = 20_000

// auditLog shows the log, newest first, by thing, actor and type.
func (s *Server) auditLog(w http.ResponseWriter, r *http.Request, _ *user) {
	s.showLog(w, r, http.StatusOK, logView{})
}

func (s *Server) showLog(w http.ResponseWriter, r *http.Request, status int, v logView) {
	q := r.URL.Query()
	v.Stream, v.Actor, v.Type, v.Query = strings.TrimSpace(q.Get("stream")), strings.TrimSpace(q.Get("actor")), strings.TrimSpace(q.Get("type")), q
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		n, err := readNames(tx, s.lang(r))
		if err != nil {
			return err
		}
		if v.Last, err = lastEvent(tx); err != nil {
			return err
		}
		before, err := strconv.ParseInt(q.Get("before"), 10, 64)
		if err != nil || before < 1 || before > v.Last {
			before = v.Last + 1
		}
		actors := actorsNamed(n, v.Actor)
		match := func(e audit.Event) bool {
			return (v.Stream == "" || strings.HasPrefix(e.Stream, v.Stream)) && (v.Type == "" || strings.HasPrefix(e.Type, v.Type) || ticket.EventLabel(e.Type) == v.Type) &&
				(v.Actor == "" || strings.HasPrefix(e.Actor, v.Actor) || slices.Contains(actors, e.Actor))
		}
		events, next, err := eventsBefore(tx, before, match)
		if err != nil {
			return err
		}
		v.Before = next
		for _, e := range events {
			v.Rows = append(v.Rows, s.logRow(n, e))
		}
		return nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "log", "", "log", v)
}

// Q is the query of the page that goes on before an event.
func (v logView) Q(before int64) string {
	q := url.Values{"before": {strconv.FormatInt(before, 10)}}
	for name, value := range map[string]string{"stream": v.Stream, "actor": v.Actor, "type": v.Type} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "?" + q.Encode()
}

// actorsNamed are the officers whose name or login is the text.
func actorsNamed(n names, text string) []string {
	var out []string
	for _, st := range n.staff {
		if text != "" && (st.Name == text || st.Login == text) {
			out = append(out, st.Actor())
		}
	}
	return out
}

func (s *Server) logRow(n names, e audit.Event) logRow {
	row := logRow{Event: e, Label: ticket.EventLabel(e.Type), Who: n.Who(e.Actor), Post: n.Post(e.Actor)}
	if row.Label == e.Type {
		if text, ok := languages[n.lang]["event-"+e.Type]; ok {
			row.Label = text
		}
	}
	var b bytes.Buffer
	if json.Indent(&b, e.Payload, "", "  ") == nil && string(e.Payload) != "{}" {
		row.Payload = b.String()
	}
	return row
}

// lastEvent is the number of the newest event. Numbers have no gaps, so it is found by halving.
func lastEvent(tx *storage.Tx) (int64, error) {
	there := func(seq int64) (bool, error) {
		e, err := audit.After(tx, seq-1, 1)
		return len(e) > 0, err
	}
	low, high := int64(0), int64(1)
	for {
		ok, err := there(high)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low, high = high, high*2
	}
	for high-low > 1 {
		mid := (low + high) / 2
		ok, err := there(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

// eventsBefore returns a page of the events before one that match, newest first, and where the next page begins; 0 when
// there is none.
func eventsBefore(tx *storage.Tx, before int64, match func(audit.Event) bool) (out []audit.Event, next int64, err error) {
	for looked := 0; before > 1; {
		from := max(0, before-1-1000)
		events, err := audit.After(tx, from, int(before-1-from))
		if err != nil {
			return nil, 0, err
		}
		for _, e := range slices.Backward(events) {
			if e.Seq >= before {
				continue
			}
			before = e.Seq
			if match(e) {
				out = append(out, e)
			}
			if looked++; len(out) == perPage || looked >= logScan {
				if before > 1 {
					return out, before, nil
				}
				return out, 0, nil
			}
		}
		before = from + 1
	}
	return out, 0, nil
}

// verifyLog replays the whole chain and says whether it holds, and its head to be written down elsewhere; then it holds the
// rows against it, as lianxin audit verify does.
func (s *Server) verifyLog(w http.ResponseWriter, r *http.Request, _ *user) {
	began := time.Now()
	rep, err := audit.Verify(r.Context(), s.DB, nil)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := logView{Checked: &rep}
	if rep.Broken == nil { // else the log proves nothing about the rows
		if v.Compared, err = Compare(r.Context(), s.DB, s.Book.Vault); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	v.CheckedIn = time.Since(began)
	s.showLog(w, r, http.StatusOK, v)
}
