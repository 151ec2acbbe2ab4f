package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

func (s *Server) exportRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /export", s.may(org.ExportData, s.exportPage))
	mux.HandleFunc("POST /export", s.may(org.ExportData, s.exportFile))
}

// maxExport is how many tickets one file holds; who needs more narrows the period.
const maxExport = 50000

type exportView struct {
	Channels []ticket.Channel
	States   []ticket.State
	From, To string
	Channel  string
	State    string
	Reason   string
	Error    string
	Log      []exported
	names    names
}

// exported is a line of the log of exports.
type exported struct {
	At                     time.Time
	Who, Reason, Range, ID string
	Rows                   string
}

func (s *Server) readExport(tx *storage.Tx, r *http.Request, u *user) (v exportView, err error) {
	today := workday.DayOf(s.Now())
	v = exportView{States: ticket.States, From: today.Add(-30).String(), To: today.String()}
	all, err := s.Office.Channels(tx)
	if err != nil {
		return v, err
	}
	for _, c := range all {
		if !c.Restricted || u.Can(org.ViewRestricted) {
			v.Channels = append(v.Channels, c)
		}
	}
	if v.names, err = readNames(tx, s.lang(r)); err != nil {
		return v, err
	}
	events, err := audit.Stream(tx, exportStream)
	if err != nil {
		return v, err
	}
	for i := len(events) - 1; i >= 0 && len(v.Log) < 50; i-- {
		e := events[i]
		if !u.Can(org.ViewAudit) && e.Actor != u.Actor() && u.Role != org.Supervisor {
			continue
		}
		f := factsOf(e.Payload)
		v.Log = append(v.Log, exported{At: e.At, Who: v.names.Who(e.Actor), Reason: f["reason"], Range: f["from"] + " — " + f["to"], ID: f["export"], Rows: f["rows"]})
	}
	return v, nil
}

const exportStream = "export"

func (s *Server) exportPage(w http.ResponseWriter, r *http.Request, u *user) {
	var v exportView
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) { v, err = s.readExport(tx, r, u); return err })
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "export", "", "export-data", v)
}

var exportHead = []string{"工单编号", "来源渠道", "来源编号", "收到时间", "状态", "等级", "诉求类型", "标题", "内容", "地点", "承办单位", "答复", "评价", "办结时间", "警情号", "窗口号", "工号", "水印"}

// exportFile writes tickets as CSV or XLSX, as the reader may see them: numbers and names hidden. Who took it, when and why
// stands in every row and in the log; the row's own mark says from which export a copied row came.
func (s *Server) exportFile(w http.ResponseWriter, r *http.Request, u *user) {
	in, ok := s.form(w, r)
	if !ok {
		return
	}
	var v exportView
	var rows [][]string
	why := ""
	id := storage.NewID()
	now := s.Now()
	err := s.DB.Update(r.Context(), func(tx *storage.Tx) (err error) {
		if v, err = s.readExport(tx, r, u); err != nil {
			return err
		}
		v.From, v.To, v.Channel, v.State, v.Reason = in.text("from"), in.text("to"), in.text("channel"), in.text("state"), in.text("reason")
		from, err1 := workday.ParseDay(v.From)
		to, err2 := workday.ParseDay(v.To)
		switch {
		case err1 != nil || err2 != nil || to < from:
			why = "export-period"
			return nil
		case utf8.RuneCountInString(v.Reason) < 2 || utf8.RuneCountInString(v.Reason) > 200:
			why = "export-reason"
			return nil
		}
		mark := "导出人:" + u.Name + "/" + u.Login + " 时间:" + now.In(workday.Zone).Format("2006-01-02 15:04:05") + " 编号:" + id
		rows = [][]string{exportHead}
		channels := map[string]string{}
		for _, c := range v.Channels {
			channels[c.Code] = c.Name
		}
		f := ticket.Filter{Viewer: ticket.Staff(u.Staff), Channel: v.Channel, State: ticket.State(v.State), From: from.Start(), To: to.End(), Order: ticket.ByOldest, Limit: 1000}
		for {
			list, total, err := s.Office.List(tx, f)
			if err != nil {
				return err
			}
			if total > maxExport {
				why = "export-too-many"
				return nil
			}
			for _, t := range list {
				if rows, err = s.exportRow(tx, rows, t, channels, v.names, id, mark); err != nil {
					return err
				}
			}
			if f.Offset += len(list); len(list) < f.Limit {
				break
			}
		}
		_, err = audit.Append(tx, audit.Entry{Stream: exportStream, Type: "export.tickets", Actor: u.Actor(), At: now, Payload: map[string]any{"export": id, "reason": v.Reason, "from": v.From, "to": v.To,
			"channel": v.Channel, "state": v.State, "rows": len(rows) - 1, "as": in.text("as")}})
		return err
	})
	switch {
	case err != nil:
		s.fail(w, r, err)
		return
	case why != "":
		v.Error = translate(s.lang(r), why)
		s.render(w, r, http.StatusUnprocessableEntity, "export", "", "export-data", v)
		return
	}
	var out bytes.Buffer
	name, media := "诉求导出-"+now.In(workday.Zone).Format("20060102-150405")+".csv", "text/csv; charset=utf-8"
	if in.text("as") == "xlsx" {
		name, media = strings.TrimSuffix(name, ".csv")+".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
		err = table.WriteXLSX(&out, rows, table.Book{Sheet: "诉求", Title: "诉求导出", Mark: "导出人 " + u.Name + "　" + now.In(workday.Zone).Format("2006-01-02 15:04:05") + "　编号 " + id})
	} else {
		err = table.WriteCSV(&out, rows)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("Cache-Control", "no-store")
	out.WriteTo(w)
}

func (s *Server) exportRow(tx *storage.Tx, rows [][]string, t ticket.Ticket, channels map[string]string, n names, id, mark string) ([][]string, error) {
	at := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.In(workday.Zone).Format("2006-01-02 15:04:05")
	}
	reply := ""
	if !t.ReplyRef.IsZero() {
		var err error
		if reply, err = storage.One(tx, storage.Value[string], `SELECT shown FROM ticket_text WHERE id = $1`, t.ReplyRef.ID); err != nil {
			return rows, err
		}
	}
	stars := ""
	host, err := s.Office.HandledBy(tx, t)
	if err != nil {
		return rows, err
	}
	if host != "" {
		host = n.Unit(host)
	}
	if t.Stars.Valid() {
		stars = t.Stars.Label()
	}
	h := sha256.Sum256([]byte(id + "/" + t.ID))
	return append(rows, []string{t.Number, channels[t.Channel], t.ExternalID, at(t.ReceivedAt), t.StateLabel(), string(t.Colour), t.Kind.Label(), maskText(t.Title), maskText(t.Body), maskText(t.Place), host,
		maskText(reply), stars, at(t.ClosedAt), t.IncidentNo, t.WindowNo, t.ClerkNo, mark + " 行:" + hex.EncodeToString(h[:5])}), nil
}

// factsOf are the members of an event's payload as text.
func factsOf(payload json.RawMessage) map[string]string {
	var m map[string]any
	if json.Unmarshal(payload, &m) != nil {
		return nil
	}
	out := map[string]string{}
	for k, v := range m {
		out[k] = fmt.Sprint(v)
	}
	return out
}
