package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run runs the program with arguments and input, and returns its status and what it printed.
func run(t *testing.T, in string, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	m := &Main{In: strings.NewReader(in), Out: &o, Err: &e}
	status = m.Run(context.Background(), args)
	return status, o.String(), e.String()
}

func TestWorkdayAddHitsTheVectorsOfTheStateCouncilCalendar(t *testing.T) {
	for _, c := range []struct{ from, n, want string }{
		{"2025-01-25", "5", "2025-02-07"},
		{"2025-09-26", "5", "2025-10-10"},
		{"2025-09-30", "5", "2025-10-14"},
		{"2026-01-02", "1", "2026-01-04"},
		{"2026-02-13", "5", "2026-02-27"},
		{"2026-04-30", "3", "2026-05-08"},
		{"2026-09-18", "5", "2026-09-24"},
	} {
		if status, out, errs := run(t, "", "workday", "add", c.from, c.n); status != 0 || out != c.want+"\n" {
			t.Errorf("workday add %s %s: %d %q %q, want %s", c.from, c.n, status, out, errs, c.want)
		}
		if status, out, _ := run(t, "", "workday", "between", c.from, c.want); status != 0 || out != c.n+"\n" {
			t.Errorf("workday between %s %s: %d %q, want %s", c.from, c.want, status, out, c.n)
		}
	}
	if status, out, errs := run(t, "", "workday", "add", "2027-03-01", "1"); status != 0 || out != "2027-03-02\n" || !strings.Contains(errs, "2027") {
		t.Errorf("an unknown year: %d %q %q, want a warning", status, out, errs)
	}
	if status, _, errs := run(t, "", "workday", "add", "2026-02-30", "1"); status != 2 || errs == "" {
		t.Errorf("a day that does not exist: %d %q", status, errs)
	}
}

func TestParseReadsLinesAndJSONLinesAndAnswersEachInOrder(t *testing.T) {
	in := "1\n{\"text\":\"不满意\"}\n{这不是JSON\n\n退订"
	status, out, errs := run(t, in, "survey", "parse")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d answers, want 5:\n%s", len(lines), out)
	}
	for i, want := range []string{
		`{"text":"1","label":"rating","rating":1,"why":`, `{"text":"不满意","label":"rating","rating":4,"why":`,
		`{"text":"{这不是JSON","label":"`, `{"text":"","label":"other","rating":null,"why":`, `{"text":"退订","label":"optout","rating":null,"why":`,
	} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("answer %d is %s, want %s…", i+1, lines[i], want)
		}
	}
}

func TestSettingsComeFromFlagThenEnvironmentThenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lianxin.yaml")
	if err := os.WriteFile(file, []byte("hotline: \"111\"\nsms-rate: 7\nmax-calls: 5\ndatabase: postgres://secret@localhost/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LIANXIN_SMS_RATE", "8")
	t.Setenv("LIANXIN_API_TOKEN", "from-environment")
	var got Config
	probe = func(c *Config) { got = *c }
	defer func() { probe = nil }()
	if status, _, errs := run(t, "", "--config", file, "--max-calls", "9", "version"); status != 0 {
		t.Fatal(errs)
	}
	if got.Hotline != "111" || got.SMSRate != 8 || got.MaxCalls != 9 {
		t.Errorf("hotline %q (file), rate %v (environment), calls %d (flag)", got.Hotline, got.SMSRate, got.MaxCalls)
	}
	if got.Database != "postgres://secret@localhost/x" || got.APIToken != "from-environment" {
		t.Errorf("secrets %q, %q", got.Database, got.APIToken)
	}
}

func TestSecretsAreNoFlagsAndMistakesAreNamed(t *testing.T) {
	for _, c := range []struct {
		args []string
		file string
		want string
	}{
		{args: []string{"--database", "x", "version"}, want: "unknown flag --database"},
		{args: []string{"--api-token", "x", "version"}, want: "unknown flag --api-token"},
		{args: []string{"--rtp-ports", "16000", "version"}, want: "16000"},
		{args: []string{"--rtp-ports", "20000-10000", "version"}, want: "no range of ports"},
		{args: []string{"--sms-window", "20:00-09:00", "version"}, want: "sms-window"},
		{args: []string{"--public-ip", "hotline.example", "version"}, want: "no IP address"},
		{args: []string{"--trunk", "10.0.0.0/64", "version"}, want: "--trunk"},
		{args: []string{"--sms-carrier", "twilio", "version"}, want: "needs"},
		{args: []string{"version"}, file: "htttp: x", want: `no setting "htttp"`},
	} {
		args := c.args
		if c.file != "" {
			file := filepath.Join(t.TempDir(), "c.yaml")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append([]string{"--config", file}, args...)
		}
		if status, _, errs := run(t, "", args...); status != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("%v %s: status %d, %q, want %q", c.args, c.file, status, errs, c.want)
		}
	}
}

func TestShippedFlowIsSoundAndCanBeDrawnAndTried(t *testing.T) {
	if status, out, errs := run(t, "", "flow", "check"); status != 0 || !strings.Contains(out, "sound") {
		t.Errorf("check: %d %q %q", status, out, errs)
	}
	if status, out, _ := run(t, "", "flow", "draw"); status != 0 || !strings.Contains(out, "main") {
		t.Errorf("draw: %d %q", status, out)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("flow: hotline\nversion: 1\nstart: a\nnodes:\n  a: {say: no.such.prompt, next: b}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := run(t, "", "flow", "check", bad); status != 1 || !strings.Contains(errs, "bad.yaml:5:") {
		t.Errorf("a bad flow: %d %q, want the line", status, errs)
	}
}

func TestFiltersOfRequestsAnswerEachLineInOrder(t *testing.T) {
	in := `{"title":"楼上天天半夜放音响"}` + "\nnot json\n" + `{"text":"他拿刀堵在我家门口，快来人","history":{"repeats":3}}` + "\n"
	status, out, errs := run(t, in, "ticket", "grade")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != 3 || !strings.Contains(lines[1], `"line":2`) || !strings.Contains(lines[2], `"colour":"红"`) {
		t.Errorf("grade: %d %q\n%s", status, errs, out)
	}
	status, out, errs = run(t, in, "ticket", "classify")
	lines = strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != 3 || !strings.Contains(lines[0], `"domain":"治安-扰民/养犬"`) || !strings.Contains(lines[1], `"line":2`) {
		t.Errorf("classify: %d %q\n%s", status, errs, out)
	}
}
