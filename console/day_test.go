package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/survey"
)

// busy puts callers and operators on the board.
func (h *house) busy() {
	h.t.Helper()
	for _, op := range []desk.Operator{{Extension: "8001", StaffID: h.staff["operator1"].ID, Name: "周雨晴", AutoReady: true}, {Extension: "8002", StaffID: h.staff["operator2"].ID, Name: "孟庆云"}} {
		if err := h.board.Put(h.ctx, op); err != nil {
			h.t.Fatal(err)
		}
	}
	for i, label := range []string{"199****0001", "199****0002"} {
		if _, err := h.board.Wait(h.ctx, desk.Caller{CallID: label, Label: label, Priority: 100 * i}); err != nil {
			h.t.Fatal(err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = []ivr.LiveCall{{ID: "c1", Caller: "199****0001", Stage: ivr.StageWaiting, Started: h.clock, Since: h.clock, Before: 2}, {ID: "c2", Caller: "199****0002", Stage: ivr.StageTalking, Operator: "8001", Started: h.clock, Since: h.clock, Urgent: true}}
}

func TestPagesOfTheDayRenderInBothLanguagesForEveryRole(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	s.busy()
	day := s.yesterday()
	paths := []string{"/board", "/board/live", "/calls", "/calls?day=2026-11-23&disposition=answered", "/calls/call-1", "/survey?day=" + day, "/survey/live?day=" + day,
		"/survey/list?day=" + day + "&figure=planned", "/survey/list?day=" + day + "&figure=suppressed&reason=minor", "/survey/list?day=" + day + "&figure=unhappy", "/replies", "/handset", "/handset/live"}
	seen := map[string]int{}
	for _, login := range []string{"operator1", "dispatcher1", "caller1", "supervisor1", "analyst1", "leader1", "inspector1", "admin1", "auditor1", "handler1"} {
		b := s.as(login)
		for _, path := range paths {
			for _, lang := range []string{"zh-CN", "en"} {
				p := b.in(lang).get(path)
				if p.status == http.StatusOK {
					seen[path]++
				} else if p.status != http.StatusForbidden && p.status != http.StatusNotFound {
					t.Errorf("%s %s (%s): status %d", login, path, lang, p.status)
				}
				if missing := untranslated(p.body); missing != nil {
					t.Errorf("%s %s (%s): no text for %q", login, path, lang, missing)
				}
			}
		}
	}
	for _, path := range paths {
		if seen[path] == 0 {
			t.Errorf("nobody can see %s", path)
		}
	}
	for _, path := range []string{"/survey", "/survey/list", "/replies", "/calls", "/handset"} {
		if p := s.as("handler1").get(path); p.status != http.StatusForbidden {
			t.Errorf("an officer of a rated unit gets %s: %d; who rated is not for the rated", path, p.status)
		}
	}
}

func TestPagesOfTheDayFitAPhoneAndADesk(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	s.busy()
	w := s.window(t, "supervisor1", 1366, 900)
	for name, path := range map[string]string{"board": "/board", "calls": "/calls", "call": "/calls/call-1", "survey": "/survey?day=" + s.yesterday(), "list": "/survey/list?day=" + s.yesterday() + "&figure=planned", "replies": "/replies", "handset": "/handset"} {
		w.fits(name, path)
	}
}

// yesterday is the day whose services the house's morning asked about.
func (h *house) yesterday() string { return h.now().Add(-24 * time.Hour).Format("2006-01-02") }

func TestEachFigureOfTheSurveyIsTheLengthOfItsList(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("supervisor1")
	page := b.get("/survey?day=" + s.yesterday()).body
	for _, f := range []survey.Figure{survey.Planned, survey.Suppressed, survey.Sent, survey.Delivered, survey.Replied, survey.Rated} {
		_, rest, ok := strings.Cut(page, "figure="+string(f)+`"><span>`)
		if !ok {
			t.Fatalf("no figure %s on the page", f)
		}
		_, rest, _ = strings.Cut(rest, "<b>")
		number, _, _ := strings.Cut(rest, "</b>")
		want, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("figure %s is %q", f, number)
		}
		list := b.get("/survey/list?day=" + s.yesterday() + "&figure=" + string(f)).body
		if total := "共 " + number + " 条"; !strings.Contains(list, total) {
			t.Errorf("%s is %d, its list does not say %q", f, want, total)
		}
	}
}

func TestAResidentAnswersOnTheHandsetAndThePageOfTheSurveyShowsIt(t *testing.T) {
	h := newHouse(t)
	h.morning("1")
	b := h.as("supervisor1")
	if p := b.get("/handset"); !strings.Contains(p.body, "【本溪公安】") || !strings.Contains(p.body, "****") {
		t.Fatalf("no text on the handset: %s", p.plain())
	}
	if p := b.post("/handset/pick", url.Values{"number": {"024-22222222"}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a fixed line as a handset: %d", p.status)
	}
	handsets, err := h.sim.Handsets(h.ctx, 5)
	if err != nil {
		t.Fatal(err)
	}
	silent := handsets[len(handsets)-1]
	b.post("/handset/pick", url.Values{"entry": {silent.ID}})
	b.post("/handset/reply", url.Values{"text": {"5，电话打了三遍没人接"}})
	if _, err := h.sim.Flush(h.ctx); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/survey/list?day=" + h.yesterday() + "&figure=unhappy"); !strings.Contains(p.body, silent.Phone.Masked()) || !strings.Contains(p.body, "非常不满意") {
		t.Errorf("the 5 is not in the list of the dissatisfied: %s", p.plain())
	}
	if p := b.get("/handset"); !strings.Contains(p.body, "电话打了三遍没人接") {
		t.Error("the handset does not show what was written on it")
	}
}

func TestAPersonSettlesAReplyTheReaderLeftAlone(t *testing.T) {
	h := newHouse(t)
	h.morning("等了2个小时")
	b := h.as("supervisor1")
	page := b.get("/replies")
	_, rest, ok := strings.Cut(page.body, `id="r-`)
	if !ok {
		t.Fatalf("no reply waits: %s", page.plain())
	}
	id, _, _ := strings.Cut(rest, `"`)
	if p := b.post("/replies/"+id, url.Values{"outcome": {"rating"}}); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, `role="alert"`) {
		t.Errorf("a rating without its level: %d", p.status)
	}
	if p := b.post("/replies/"+id, url.Values{"outcome": {"rating"}, "rating": {"4"}}); p.status != http.StatusOK {
		t.Errorf("settle: %d %s", p.status, p.plain())
	}
	if p := b.get("/survey/list?day=" + h.yesterday() + "&figure=unhappy"); !strings.Contains(p.body, "不满意") || strings.Contains(p.body, "没有记录") {
		t.Errorf("the settled rating does not count: %s", p.plain())
	}
	if p := b.post("/replies/"+id, url.Values{"outcome": {"none"}, "note": {"重复"}}); p.status == http.StatusOK && !strings.Contains(p.body, `role="alert"`) && strings.Contains(p.body, "已提交") {
		t.Error("a reply was settled twice")
	}
}

func TestAnImportedFileIsAccountedForLineByLine(t *testing.T) {
	h := newHouse(t)
	send := func(dry string) answer {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("file", "昨日.csv")
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte("业务类别,业务流水号,办理时间,姓名,电话,出生日期,单位编码,事项,敏感标记,备注\n" +
			"户政,H-1,2026-11-22 09:10,张三,19900002001,1990-01-01,210502-zhanqian,户口迁移,,\n" +
			"天文,H-2,2026-11-22 09:10,李四,19900002002,1990-01-01,210502-zhanqian,观星,,\n"))
		if dry != "" {
			form.WriteField("dry", dry)
		}
		form.Close()
		r, err := http.NewRequest("POST", h.http.URL+"/survey/import", &body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", form.FormDataContentType())
		return h.as("supervisor1").send(r)
	}
	for _, dry := range []string{"1", "", ""} {
		p := send(dry)
		if p.status != http.StatusOK || !strings.Contains(p.body, "没有这个业务类别") || !strings.Contains(p.body, `<td class="num">3</td>`) {
			t.Errorf("dry %q: %d %s", dry, p.status, p.plain())
		}
	}
	if p := h.as("supervisor1").get("/survey/list?day=2026-11-22&figure=planned"); p.status != 200 {
		t.Errorf("list: %d", p.status)
	}
}

func TestAnOperatorChoosesReadyOnlyWithAPhone(t *testing.T) {
	h := newHouse(t)
	h.busy()
	b := h.as("operator1")
	if p := b.post("/board/state", url.Values{"state": {"ready"}}); !strings.Contains(p.body, "话机未注册") {
		t.Errorf("ready without a phone: %s", p.plain())
	}
	if err := h.board.Registered(h.ctx, "8001", true); err != nil {
		t.Fatal(err)
	}
	b.post("/board/state", url.Values{"state": {"break"}, "reason": {"喝水"}})
	snap, err := h.board.Snapshot(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range snap.Operators {
		if op.Extension == "8001" && op.State != desk.Break && op.Next != desk.Break {
			t.Errorf("8001 is %s, next %s; want a break", op.State, op.Next)
		}
	}
	if p := b.post("/board/state", url.Values{"state": {"talking"}}); p.status != http.StatusBadRequest {
		t.Errorf("a state nobody can choose: %d", p.status)
	}
}

func TestARecordingIsPlayedWithPermissionAndEachHearingIsLogged(t *testing.T) {
	s := newHouse(t).fill()
	if p := s.as("operator1").get("/calls/call-1/recording"); p.status != http.StatusOK || !strings.HasPrefix(p.body, "RIFF") {
		t.Fatalf("play: %d", p.status)
	}
	if p := s.as("leader1").get("/calls/call-1/recording"); p.status != http.StatusForbidden {
		t.Errorf("a role that may not play: %d", p.status)
	}
	if p := s.as("auditor1").get("/log?type=call.recording_played"); !strings.Contains(p.body, "call-1") {
		t.Errorf("the hearing is not in the log: %s", p.plain())
	}
}

// plain is the text of a page for a message.
func (a answer) plain() string {
	text := strings.Join(strings.Fields(tags.ReplaceAllString(a.body, " ")), " ")
	return text[:min(len(text), 1500)]
}
