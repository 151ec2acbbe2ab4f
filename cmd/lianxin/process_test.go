package main

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/ivr/softphone"
	"lianxin/sip/media"
)

// TestMain lets the test binary be the program itself, so that it can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("LIANXIN_TEST_IS_PROGRAM") != "" {
		os.Exit((&Main{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}).Run(untilTold(), os.Args[1:]))
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

// page is what a member of the sample staff sees.
func (p *process) page(login, path string) string {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	resp, err := client.PostForm("http://"+p.http+"/sign-in", url.Values{"login": {login}, "password": {samplePassword}})
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	if resp, err = client.Get("http://" + p.http + path); err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// caller is somebody who can ring the hotline of a program in a process of its own.
func (p *process) caller(ctx context.Context, number string, sound *media.Engine) *softphone.Call {
	p.t.Helper()
	phone, err := softphone.New(softphone.Config{User: number, Server: p.sip, Engine: sound})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(phone.Crash)
	call, err := phone.Dial(ctx, "46110110")
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.log())
	}
	call.Tone(700)
	return call
}

// goesOn waits until so many more packets of sound have come, and fails when the call has ended.
func (p *process) goesOn(ctx context.Context, call *softphone.Call, packets uint64) {
	p.t.Helper()
	for was := call.Leg().Stats().PacketsIn; call.Leg().Stats().PacketsIn < was+packets; time.Sleep(20 * time.Millisecond) {
		select {
		case <-call.Done():
			p.t.Fatalf("the call has ended\n%s", p.log())
		case <-ctx.Done():
			p.t.Fatalf("no sound comes any more\n%s", p.log())
		default:
		}
	}
}

// operator is a telephone of the sample staff that is signed in.
func (p *process) operator(ctx context.Context, extension string, sound *media.Engine) *softphone.Phone {
	p.t.Helper()
	phone, err := softphone.New(softphone.Config{User: extension, Password: p.phonePassword(), Server: p.sip, Engine: sound})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(phone.Crash)
	if err := phone.Register(ctx); err != nil {
		p.t.Fatal(err)
	}
	return phone
}

// reaches has a caller who hums 700 Hz ask for a person, and is the operator's end of the talk, who has heard it.
func (p *process) reaches(ctx context.Context, caller *softphone.Call, operator *softphone.Phone) *softphone.Call {
	p.t.Helper()
	if err := caller.Press(ctx, "0"); err != nil {
		p.t.Fatal(err)
	}
	var ringing *softphone.Ringing
	select {
	case ringing = <-operator.Incoming():
	case <-ctx.Done():
		p.t.Fatalf("the operator's phone never rang\n%s", p.log())
	}
	talk, err := ringing.Answer(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := talk.HearsTone(ctx, 700); err != nil {
		p.t.Fatal(err)
	}
	return talk
}
