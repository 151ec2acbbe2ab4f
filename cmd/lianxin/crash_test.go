package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/ivr/softphone"
	"lianxin/sip/media"
	"lianxin/workday"
)

// TestMain lets the test binary be the program itself, so that it can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("LIANXIN_TEST_IS_PROGRAM") != "" {
		os.Exit((&Main{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}).Run(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// process is the program in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	http string
	sip  string
	in   []string // what the program is run by, with its arguments; it must become the program
	more []string // further arguments
	rtp  string   // its ports for sound, of 28000-28199 when empty

	logFile string
}

func freePort(t *testing.T) string {
	t.Helper()
	// A port that is free for both, since the hotline listens on UDP and TCP.
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			u.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// begin starts the program on the folder and waits until it serves.
func (p *process) begin() {
	p.t.Helper()
	args := append(append([]string(nil), p.in...), os.Args[0], "serve", "--data", p.dir, "--http", p.http, "--sip", p.sip, "--rtp-ports", cmp.Or(p.rtp, "28000-28199"), "--sms-window", "00:00-24:00", "--sms-rate", "40", "--survey-at", never)
	args = append(args, p.more...)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(os.Environ(), "LIANXIN_TEST_IS_PROGRAM=1", "LIANXIN_SAMPLE_PASSWORD="+samplePassword)
	log, err := os.OpenFile(filepath.Join(p.t.TempDir(), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr, p.logFile = log, log, log.Name()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get("http://" + p.http + "/healthz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			p.t.Fatalf("the program does not serve:\n%s", p.log())
		}
	}
}

// log is what the program has written since it began.
func (p *process) log() string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// samplePassword is that of the sample staff of a program in a process of its own.
const samplePassword = "correct horse battery"

// kill is kill -9.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Wait()
}

func (p *process) api() *up {
	token, err := os.ReadFile(filepath.Join(p.dir, tokenFile))
	if err != nil {
		p.t.Fatal(err)
	}
	return &up{t: p.t, base: "http://" + p.http, token: strings.TrimSpace(string(token))}
}

// phonePassword is that of the telephones of the sample staff.
func (p *process) phonePassword() string {
	p.t.Helper()
	signIns, err := os.ReadFile(filepath.Join(p.dir, signInsFile))
	if err != nil {
		p.t.Fatal(err)
	}
	_, password, ok := strings.Cut(string(signIns), "域 lianxin）：")
	if !ok {
		p.t.Fatal("no password of the telephones in the sample sign-ins")
	}
	return strings.Fields(password)[0]
}

func TestKilledInTheMiddleOfACallItClosesTheRecordTruthfullyAndOwesACallBack(t *testing.T) {
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t)}
	p.begin()
	t.Cleanup(func() { p.kill() })
	sound, err := media.NewEngine(media.Config{PortLow: 28200, PortHigh: 28399})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	phone := func(user, password string) *softphone.Phone {
		ph, err := softphone.New(softphone.Config{User: user, Password: strings.TrimSpace(password), Server: p.sip, Engine: sound})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ph.Crash)
		return ph
	}
	operator := phone("8001", p.phonePassword())
	if err := operator.Register(ctx); err != nil {
		t.Fatal(err)
	}
	caller := phone("19900008001", "")
	call, err := caller.Dial(ctx, "46110110")
	if err != nil {
		t.Fatal(err)
	}
	call.Tone(700)
	if err := call.Press(ctx, "0"); err != nil {
		t.Fatal(err)
	}
	var ringing *softphone.Ringing
	select {
	case ringing = <-operator.Incoming():
	case <-ctx.Done():
		t.Fatal("the operator's phone never rang")
	}
	talk, err := ringing.Answer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := talk.HearsTone(ctx, 700); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // some talk that must be in the recording
	p.kill()

	p.begin()
	api := p.api()
	var calls struct {
		Items []struct {
			Disposition, Ended string
			RecordingMS        int64  `json:"recording_ms"`
			TicketID           string `json:"ticket_id"`
			EndedBy            string `json:"ended_by"`
		}
	}
	api.ask("GET", "/api/v1/calls", nil, nil, &calls)
	if len(calls.Items) != 1 {
		t.Fatalf("%d calls on record, want 1", len(calls.Items))
	}
	c := calls.Items[0]
	if c.Disposition == "" || c.Ended == "" || c.EndedBy != "crash" {
		t.Errorf("the record is not closed truthfully: %+v", c)
	}
	if c.TicketID == "" {
		t.Errorf("the call has no ticket: %+v", c)
	}
	if c.RecordingMS < 3000 {
		t.Errorf("the recording holds %d ms of a talk of at least 3 s", c.RecordingMS)
	}
	if status, out, errs := run(t, "", "audit", "verify", "--data", p.dir); status != 0 {
		t.Errorf("audit verify after the crash: %s%s", out, errs)
	}
}

func TestKilledInTheMiddleOfAMorningItSendsEveryTextOnce(t *testing.T) {
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t)}
	p.begin()
	t.Cleanup(func() { p.kill() })
	day := workday.DayOf(time.Now()).Add(-1).String()
	status, out, errs := run(t, "", "survey", "run", "--data", p.dir, "--sms-window", "00:00-24:00", "--day", day)
	if status != 0 {
		t.Fatalf("survey run: %s%s", out, errs)
	}
	var asked int
	if _, rest, ok := strings.Cut(out, " records = "); ok {
		fmt.Sscan(rest, &asked)
	}
	if asked < 20 {
		t.Fatalf("%d asked: %s", asked, out)
	}
	for range 3 { // forty texts a second: the morning takes seconds
		time.Sleep(600 * time.Millisecond)
		p.kill()
		p.begin()
	}
	api := p.api()
	var done struct{ Count map[string]int }
	end := time.Now().Add(2 * time.Minute)
	for {
		api.ask("GET", "/api/v1/surveys/"+day, nil, nil, &done)
		if done.Count["delivered"] == asked {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("of %d asked: %v", asked, done.Count)
		}
		time.Sleep(200 * time.Millisecond)
	}
	db, err := openFile(filepath.Join(p.dir, "lianxin.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var texts, handsets int
	if err := db.QueryRow(`SELECT COUNT(*), COUNT(DISTINCT phone_hash) FROM sim_text`).Scan(&texts, &handsets); err != nil {
		t.Fatal(err)
	}
	if texts != asked || handsets != asked {
		t.Errorf("the carrier has %d texts to %d handsets, want %d: one each", texts, handsets, asked)
	}
}
