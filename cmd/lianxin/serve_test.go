package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"lianxin/workday"
)

// never is a time whose run is neither due nor made up while tests run: one midnight in four years.
const never = "0 0 29 2 *"

// defaults is the configuration of somebody who set nothing, on free ports.
func defaults(t *testing.T, dir string) *Config {
	t.Helper()
	var cli struct {
		Config Config `embed:""`
	}
	parser, err := kong.New(&cli)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	c := cli.Config
	c.Data, c.HTTP, c.SIP = dir, "127.0.0.1:0", "127.0.0.1:0"
	c.RTPPorts = PortRange{Low: 27000, High: 27199}
	c.SoftphonePort = 0 // one program of many at a time could have it
	c.Window, c.Drain = "00:00-24:00", 100*time.Millisecond
	c.SurveyAt = never // a test that begins after 09:30 would find its morning asked already
	return &c
}

// up is a server under test.
type up struct {
	t     *testing.T
	c     *centre
	base  string
	token string
	stop  func() error
}

func start(t *testing.T, cfg *Config) *up {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan *up, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, cfg, slog.New(slog.NewTextHandler(testLog{t}, nil)), func(c *centre, web net.Listener) {
			ready <- &up{t: t, c: c, base: "http://" + web.Addr().String(), token: c.token}
		})
	}()
	select {
	case u := <-ready:
		done := false
		u.stop = func() error {
			if done {
				return nil
			}
			done = true
			cancel()
			select {
			case err := <-ended:
				return err
			case <-time.After(60 * time.Second):
				return fmt.Errorf("the server did not stop")
			}
		}
		t.Cleanup(func() {
			if err := u.stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
		return u
	case err := <-ended:
		cancel()
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(60 * time.Second):
		cancel()
		t.Fatal("the server did not come up")
	}
	return nil
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// ask sends a request with the token and reads the JSON answer into out.
func (u *up) ask(method, path string, header map[string]string, in, out any) int {
	u.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			u.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, u.base+path, body)
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+u.token)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			u.t.Fatalf("%s %s: %s: %v", method, path, b, err)
		}
	}
	return resp.StatusCode
}

func TestAFreshFolderBecomesAWorkingCentre(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	u := start(t, defaults(t, dir))

	var health struct {
		OK    bool
		Parts []struct {
			Name string
			OK   bool
		}
	}
	if status := u.ask("GET", "/healthz", nil, nil, &health); status != 200 || !health.OK || len(health.Parts) < 5 {
		t.Errorf("healthz: %d %+v", status, health)
	}
	if b := get(t, u.base+"/metrics"); !strings.Contains(b, "lianxin_calls_up 0") || !strings.Contains(b, `lianxin_part_up{part="sip"} 1`) {
		t.Errorf("metrics lack what is watched:\n%.400s", b)
	}
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]any
	}
	if status := u.ask("GET", "/api/v1/openapi.json", nil, nil, &doc); status != 200 || doc.OpenAPI == "" || len(doc.Paths) < 8 {
		t.Errorf("openapi.json: %d, %d paths", status, len(doc.Paths))
	}
	for _, name := range []string{"lianxin.db", keysFile, tokenFile, signInsFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %v", name, info.Mode())
		}
	}

	t.Run("no token, no answer", func(t *testing.T) {
		resp, err := http.Get(u.base + "/api/v1/tickets")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("status %d, challenge %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
		}
		if status := (&up{t: t, base: u.base, token: "wrong"}).ask("GET", "/api/v1/calls", nil, nil, nil); status != 401 {
			t.Errorf("a wrong token: %d", status)
		}
	})
	t.Run("a repeated request opens one ticket", u.opensOnce)
	t.Run("a morning through the API", u.morning)
	t.Run("pages want a sign-in", func(t *testing.T) {
		if b := get(t, u.base+"/"); !strings.Contains(b, `name="password"`) {
			t.Errorf("no sign-in page:\n%.300s", b)
		}
	})
	t.Run("a second server on the same folder is refused", func(t *testing.T) {
		err := serve(context.Background(), defaults(t, dir), slog.New(slog.DiscardHandler), nil)
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("err = %v", err)
		}
		if status, _, errs := run(t, "", "restore", "--data", dir, filepath.Join(dir, "lianxin.db")); status != 1 || !strings.Contains(errs, "in use") {
			t.Errorf("restore under a running server: %d %q", status, errs)
		}
	})
	t.Run("backup while running, then restore elsewhere", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "backup.db")
		if status, out, errs := run(t, "", "backup", "--data", dir, file); status != 0 {
			t.Fatalf("backup: %s%s", out, errs)
		}
		other := t.TempDir()
		keys, err := os.ReadFile(filepath.Join(dir, keysFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(other, keysFile), keys, 0o600); err != nil {
			t.Fatal(err)
		}
		if status, out, errs := run(t, "", "restore", "--data", other, file); status != 0 || !strings.Contains(out, "unbroken") {
			t.Fatalf("restore: %d %s%s", status, out, errs)
		}
		for _, d := range []string{dir, other} {
			if status, out, errs := run(t, "", "audit", "verify", "--data", d); status != 0 || strings.Count(out, "ok:") != 6 {
				t.Errorf("audit verify: %d %s%s", status, out, errs)
			}
		}
	})
	if err := u.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	t.Run("the second start keeps everything and makes nothing new", func(t *testing.T) {
		u := start(t, defaults(t, dir))
		if u.c.sample.Fresh {
			t.Error("the sample city was loaded again")
		}
		var list struct{ Total int }
		if status := u.ask("GET", "/api/v1/tickets", nil, nil, &list); status != 200 || list.Total == 0 {
			t.Errorf("tickets after the restart: %d, %d", status, list.Total)
		}
	})
	t.Run("a changed event is found", func(t *testing.T) {
		u.tamper(dir)
		if status, out, _ := run(t, "", "audit", "verify", "--data", dir); status != 1 || !strings.Contains(out, "BROKEN at event 3") {
			t.Errorf("audit verify after a change: %d %s", status, out)
		}
	})
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (u *up) opensOnce(t *testing.T) {
	u = &up{t: t, c: u.c, base: u.base, token: u.token}
	body := map[string]any{"channel": "web", "kind": "help", "title": "小区路灯不亮", "body": "晚上看不见路，请帮忙联系。", "phone": "19900001234"}
	var first, second struct{ ID, Number, State string }
	key := map[string]string{"Idempotency-Key": "k-1"}
	if status := u.ask("POST", "/api/v1/tickets", key, body, &first); status != 201 || first.State != "NEW" || first.Number == "" {
		t.Fatalf("open: %d %+v", status, first)
	}
	if status := u.ask("POST", "/api/v1/tickets", key, body, &second); status != 201 || second.ID != first.ID {
		t.Errorf("again: %d %+v, want %s", status, second, first.ID)
	}
	body["title"] = "另一件事"
	if status := u.ask("POST", "/api/v1/tickets", key, body, nil); status != 422 {
		t.Errorf("the key for another request: %d, want 422", status)
	}
	if status := u.ask("POST", "/api/v1/tickets", nil, body, nil); status != 422 {
		t.Errorf("no key: %d, want 422", status)
	}
	body["channel"] = "telegraph"
	if status := u.ask("POST", "/api/v1/tickets", map[string]string{"Idempotency-Key": "k-2"}, body, nil); status != 422 {
		t.Errorf("a channel that is not there: %d, want 422", status)
	}
	var whole struct {
		Number   string
		Clocks   []struct{ Kind string }
		Timeline []struct{ Type string }
	}
	if status := u.ask("GET", "/api/v1/tickets/"+first.ID, nil, nil, &whole); status != 200 || whole.Number != first.Number || len(whole.Clocks) == 0 || len(whole.Timeline) == 0 {
		t.Errorf("get: %d %+v", status, whole)
	}
	if status := u.ask("GET", "/api/v1/tickets/none", nil, nil, nil); status != 404 {
		t.Errorf("a ticket that is not there: %d", status)
	}
}

func (u *up) morning(t *testing.T) {
	u = &up{t: t, c: u.c, base: u.base, token: u.token}
	day := workday.DayOf(time.Now()).Add(-1)
	if status, out, errs := run(t, "", "survey", "run", "--data", u.c.cfg.Data, "--sms-window", "00:00-24:00", "--day", day.String()); status != 0 || !strings.Contains(out, "未成年人") {
		t.Fatalf("survey run: %d %s%s", status, out, errs)
	}
	var texts struct {
		Items []struct{ ID, Phone, Body, State string }
		Total int
	}
	u.until("texts are delivered", func() bool {
		u.ask("GET", "/api/v1/messages?state=delivered&limit=5", nil, nil, &texts)
		return texts.Total > 20
	})
	if m := texts.Items[0]; !strings.Contains(m.Phone, "****") || !strings.HasPrefix(m.Body, "【本溪公安】") {
		t.Errorf("a text: %+v", m)
	}
	handsets, err := u.c.sim.Handsets(context.Background(), 1)
	if err != nil || len(handsets) == 0 {
		t.Fatalf("no handset: %v", err)
	}
	if status := u.ask("POST", "/api/v1/sim/replies", nil, map[string]string{"phone": handsets[0].Phone.Clear(), "text": "5，没人管"}, nil); status != 202 {
		t.Fatalf("simulated reply: %d", status)
	}
	var run struct {
		Count   map[string]int
		Ratings []int
		Rate    *float64
	}
	u.until("the reply is rated", func() bool {
		u.ask("GET", "/api/v1/surveys/"+day.String(), nil, nil, &run)
		return run.Count["rated"] == 1
	})
	if run.Ratings[4] != 1 || run.Rate != nil || run.Count["tickets"] != 1 {
		t.Errorf("figures %+v: want one rating of 5, a ticket, and no rate of one reply", run)
	}
	if run.Count["planned"] != run.Count["suppressed"]+run.Count["waiting"]+run.Count["sent"] {
		t.Errorf("the funnel does not add up: %v", run.Count)
	}
	var tickets struct {
		Items []struct{ Channel, RecordID string }
	}
	u.ask("GET", "/api/v1/tickets?channel=sms", nil, nil, &tickets)
	if len(tickets.Items) != 1 {
		t.Errorf("tickets from texts: %+v", tickets)
	}
}

func (u *up) until(what string, ok func() bool) {
	u.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	u.t.Fatalf("it did not happen that %s", what)
}

// tamper changes an event behind the program's back.
func (u *up) tamper(dir string) {
	u.t.Helper()
	db, err := openFile(filepath.Join(dir, "lianxin.db"))
	if err != nil {
		u.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`UPDATE audit_event SET actor = 'nobody' WHERE seq = 3`); err != nil {
		u.t.Fatal(err)
	}
}
