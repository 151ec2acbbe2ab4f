package main

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

// The list of those whom the running program rings and asks by key, on its page and through the API: who may, whom it offers and whom it
// refuses, paused and taken off, and what it says when the flow file is broken. It is paused first, so that nobody is rung at any hour.
func TestTheListOfQuestionsByKeyIsKeptOnItsPageAndByTheAPI(t *testing.T) {
	t.Parallel()
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	cfg.SamplePassword, cfg.RTPPorts = samplePassword, PortRange{Low: 28900, High: 28919}
	cfg.Flows = t.TempDir()
	u := start(t, cfg)
	var fit, person ticket.Callback
	err := u.c.db.Update(context.Background(), func(tx *storage.Tx) error {
		phone, err := contact.ParsePhone("19900008051")
		if err != nil {
			return err
		}
		who, err := u.c.book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		if fit, err = u.c.office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackRating, ContactID: who.ID, CallID: "c1", Reason: "不便发短信", By: ticket.Bot}); err != nil {
			return err
		}
		person, err = u.c.office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackMessage, ContactID: who.ID, CallID: "c2", Reason: "留言", By: ticket.Bot})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	as := func(login string) *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &http.Client{Jar: jar}
		resp, err := c.PostForm(u.base+"/sign-in", url.Values{"login": {login}, "password": {samplePassword}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return c
	}
	read := func(resp *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	boss, analyst := as("supervisor1"), as("analyst1")
	const page = "/survey/questions"
	post := func(c *http.Client, path string, form url.Values) (int, string) {
		return read(c.PostForm(u.base+path, form))
	}
	if status, _ := read(analyst.Get(u.base + page)); status != http.StatusForbidden {
		t.Errorf("an analyst opens the page: %d", status)
	}
	if status, _ := post(analyst, page, url.Values{"callback": {fit.ID}}); status != http.StatusForbidden {
		t.Errorf("an analyst puts somebody on the list: %d", status)
	}
	if status, body := post(boss, page+"/switch", url.Values{"do": {"pause"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "暂停须说明原因") {
		t.Errorf("paused without a reason: %d", status)
	}
	if status, body := post(boss, page+"/switch", url.Values{"do": {"pause"}, "reason": {"线路检修"}}); status != http.StatusOK || !strings.Contains(body, "线路检修") {
		t.Errorf("pause: %d", status)
	}
	status, body := read(boss.Get(u.base + page))
	if status != http.StatusOK || !strings.Contains(body, `value="`+fit.ID+`"`) || strings.Contains(body, `value="`+person.ID+`"`) || strings.Contains(body, "19900008051") {
		t.Errorf("the page, %d, does not offer whom it should:\n%s", status, body)
	}
	if !strings.Contains(body, "按键访评 2&#43;") || !strings.Contains(body, u.c.prompts.Text("survey.greeting")) {
		t.Error("the page does not say what is asked")
	}
	for want, ids := range map[string][]string{"请选择至少一项": nil, "须由人回拨": {fit.ID, person.ID}} {
		if status, body := post(boss, page, url.Values{"callback": ids}); status != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("%v: %d, want %s", ids, status, want)
		}
	}
	if status, _ := post(boss, page, url.Values{"callback": {"nowhere"}}); status != http.StatusNotFound {
		t.Errorf("a call-back that is not there: %d", status)
	}
	if status, body := post(boss, page, url.Values{"callback": {fit.ID}}); status != http.StatusOK || !strings.Contains(body, "已列入 1 人") || strings.Contains(body, `value="`+fit.ID+`"`) {
		t.Errorf("put on the list: %d", status)
	}
	var list struct {
		Total int
		Items []struct {
			Callback string `json:"callback_id"`
			State    string
			Outcome  string
		}
	}
	if u.ask("GET", "/api/v1/calls/questions?state=waiting", nil, nil, &list); list.Total != 1 || list.Items[0].Callback != fit.ID {
		t.Errorf("the API lists %+v", list)
	}
	if status, _ := post(boss, page+"/"+fit.ID+"/remove", nil); status != http.StatusOK {
		t.Errorf("take off: %d", status)
	}
	if status, body := post(boss, page+"/"+fit.ID+"/remove", nil); status != http.StatusUnprocessableEntity || !strings.Contains(body, "不能移出") {
		t.Errorf("take off twice: %d", status)
	}
	if u.ask("GET", "/api/v1/calls/questions", nil, nil, &list); list.Total != 1 || list.Items[0].State != "done" || list.Items[0].Outcome != "removed" {
		t.Errorf("the API lists %+v", list)
	}
	if status := u.ask("POST", "/api/v1/calls/questions", nil, map[string]any{"callbacks": []string{fit.ID}}, nil); status != http.StatusAccepted {
		t.Errorf("by the API: %d", status)
	}
	if status := u.ask("POST", "/api/v1/calls/questions", nil, map[string]any{"callbacks": []string{person.ID}}, nil); status != http.StatusUnprocessableEntity {
		t.Errorf("whoever wants a person, by the API: %d", status)
	}
	if status := u.ask("DELETE", "/api/v1/calls/questions/"+fit.ID, nil, nil, nil); status != http.StatusNoContent {
		t.Errorf("take off by the API: %d", status)
	}
	if err := os.WriteFile(filepath.Join(cfg.Flows, "survey-call.yaml"), []byte("flow: survey-call\nversion: 3\ntitle: x\nstart: open\nnodes:\n  open: {say: goodbye, next: nowhere}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, body := read(boss.Get(u.base + page)); !strings.Contains(body, "survey-call.yaml:6:") || !strings.Contains(body, "流程文件有误") {
		t.Errorf("a broken flow file is not told, with its line:\n%s", body)
	}
	if status, body := post(boss, page+"/switch", url.Values{"do": {"resume"}}); status != http.StatusOK || strings.Contains(body, "线路检修") {
		t.Errorf("go on: %d", status)
	}
	var sw survey.Switch
	if err := u.c.db.View(context.Background(), func(tx *storage.Tx) (err error) { sw, err = survey.TelephoneSwitch(tx); return err }); err != nil || sw.Paused {
		t.Errorf("%+v %v", sw, err)
	}
}
