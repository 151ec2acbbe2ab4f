package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/console"
	"lianxin/ivr/softphone"
	"lianxin/sip/media"
)

// raw gets a path with the API's token.
func (u *up) raw(path, span string) (int, []byte) {
	u.t.Helper()
	req, err := http.NewRequest("GET", u.base+path, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+u.token)
	if span != "" {
		req.Header.Set("Range", span)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return res.StatusCode, b
}

// One call through the running server: it can be looked at while it is up and afterwards, as ladder, JSON, packets, sound and line
// of a table, by the API and by the command line, by those who may, and all of it is in the log.
func TestACallCanBeLookedIntoWhileItIsUpAndAfterwards(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cfg := defaults(t, dir)
	cfg.SamplePassword = "correct horse battery"
	u := start(t, cfg)
	flags := []string{"--data", dir, "--http", strings.TrimPrefix(u.base, "http://")}
	cli := func(in string, args ...string) (int, string, string) { return run(t, in, append(args, flags...)...) }

	if status, out, errs := cli("", "call", "capture", "--next", "--from", "8001", "--reason", "单通排查"); status != 0 {
		t.Fatalf("capture: %d %s %s", status, out, errs)
	}
	sound, err := media.NewEngine(media.Config{PortLow: 28400, PortHigh: 28599})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, sipAddr, _ := strings.Cut(u.c.phones.Addrs()[0], "://")
	phone, err := softphone.New(softphone.Config{User: "19900008001", Server: sipAddr, Engine: sound})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(phone.Crash)
	call, err := phone.Dial(ctx, "46110110")
	if err != nil {
		t.Fatal(err)
	}
	call.Tone(700)
	u.until("something was said and heard", func() bool {
		l := u.c.hotline.Live()
		if len(l) != 1 || call.Leg().Stats().PacketsIn < 100 {
			return false
		}
		status, out, _ := cli("", "call", "show", l[0].ID)
		return status == 0 && strings.Contains(out, "say notice.recording")
	})
	live := u.c.hotline.Live()
	if len(live) != 1 {
		t.Fatalf("%d calls are up", len(live))
	}
	id := live[0].ID
	if status, out, errs := cli("", "call", "show", id); status != 0 || !strings.Contains(out, " INVITE, application/sdp") || !strings.Contains(out, "heard ") || !strings.Contains(out, "say notice.recording") {
		t.Errorf("while it is up: %d %s %s", status, out, errs)
	}
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	for u.c.hotline.IsLive(id) || !u.c.cfg.packets(u.c.book.Vault).Has(id) {
		if ctx.Err() != nil {
			t.Fatal("the call does not end, or was not captured")
		}
		time.Sleep(50 * time.Millisecond)
	}

	var trace console.TraceOut
	if status := u.ask("GET", "/api/v1/calls/"+id+"/trace", nil, nil, &trace); status != 200 || len(trace.Legs) != 1 || trace.Legs[0].EndedBy != "caller" || trace.Legs[0].Media.PacketsIn < 20 {
		t.Errorf("trace: %d %+v", status, trace)
	}
	status, out, errs := cli("", "call", "show", id)
	for _, want := range []string{" BYE)", "►", "◄", "caller", "lianxin", "199****8001", "say notice.recording", "MOS "} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("ladder lacks %q: %d %s\n%s", want, status, errs, out)
		}
	}
	if strings.Contains(out, "19900008001") {
		t.Errorf("a number in the ladder:\n%s", out)
	}
	if status, out, _ := cli("", "call", "show", id, "--json"); status != 0 || !strings.Contains(out, `"packets_in"`) {
		t.Errorf("as JSON: %d %s", status, out)
	}
	if status, out, _ := cli("", "call", "list"); status != 0 || !strings.Contains(out, id) {
		t.Errorf("list: %d %s", status, out)
	}

	// Packets: not without a reason or for everybody; Wireshark reads them; an administrator gets them without the sound.
	pcap := filepath.Join(t.TempDir(), "call.pcap")
	if status, _, errs := cli("correct horse battery\n", "call", "pcap", id, pcap, "--login", "operator1", "--reason", "单通排查"); status == 0 || !strings.Contains(errs, "may not") {
		t.Errorf("an operator takes packets: %d %s", status, errs)
	}
	if status, out, errs := cli("correct horse battery\n", "call", "pcap", id, pcap, "--login", "admin1", "--reason", "单通排查"); status != 0 || !strings.Contains(out, "without the sound") {
		t.Errorf("packets: %d %s %s", status, out, errs)
	}
	shown, err := exec.Command("tshark", "-r", pcap, "-o", "rtp.heuristic_rtp:TRUE", "-Y", "sip or rtp", "-T", "fields", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info").CombinedOutput()
	if err != nil || !strings.Contains(string(shown), "INVITE sip:46110110") || !strings.Contains(string(shown), "ITU-T G.711 PCMA") {
		t.Errorf("tshark: %v %.600s", err, shown)
	}
	if status, _ := u.raw("/api/v1/calls/"+id+"/packets", ""); status != http.StatusUnprocessableEntity {
		t.Errorf("packets without a reason: %d", status)
	}
	if status, b := u.raw("/api/v1/calls/"+id+"/packets?reason=check", ""); status != 200 || len(b) < 10_000 {
		t.Errorf("packets by the API: %d, %d bytes", status, len(b))
	}

	// The sound.
	status, piece := u.raw("/api/v1/calls/"+id+"/recording", "bytes=0-43")
	if status != http.StatusPartialContent || !strings.HasPrefix(string(piece), "RIFF") {
		t.Errorf("a piece of the recording: %d %q", status, piece)
	}
	wav := filepath.Join(t.TempDir(), "call.wav")
	if status, out, errs := cli("correct horse battery\n", "recording", "export", id, wav, "--login", "supervisor1", "--reason", "信访复查"); status != 0 {
		t.Errorf("export: %d %s %s", status, out, errs)
	}
	if b, err := os.ReadFile(wav); err != nil {
		t.Error(err)
	} else if w, err := media.ParseWAV(b); err != nil || len(w.Samples) < 8000 {
		t.Errorf("the exported file: %v", err)
	}
	if status, _, errs := cli("wrong\n", "recording", "export", id, wav+"2", "--login", "supervisor1", "--reason", "x"); status == 0 || !strings.Contains(errs, "sign in") {
		t.Errorf("export with a wrong password: %d %s", status, errs)
	}
	if status, out, _ := cli("", "recording", "verify", id); status != 0 || !strings.Contains(out, "ok: 1") {
		t.Errorf("verify: %d %s", status, out)
	}
	if status, out, _ := cli("", "recording", "retention"); status != 0 || !strings.Contains(out, "0 recordings") {
		t.Errorf("retention: %d %s", status, out)
	}
	if status, out, _ := cli("", "recording", "list"); status != 0 || !strings.Contains(out, id) {
		t.Errorf("recordings: %d %s", status, out)
	}

	// The table.
	table := filepath.Join(t.TempDir(), "calls.csv")
	today := time.Now().Format("2006-01-02")
	before := time.Now().AddDate(0, 0, -1).Format("2006-01-02")
	after := time.Now().AddDate(0, 0, 1).Format("2006-01-02")
	if status, _, errs := cli("correct horse battery\n", "call", "export", table, "--from", before, "--to", after, "--login", "supervisor1"); status != 0 {
		t.Errorf("export of records: %d %s", status, errs)
	}
	if b, _ := os.ReadFile(table); !strings.Contains(string(b), id+",") || !strings.Contains(string(b), "199****8001") {
		t.Errorf("table of %s: %s", today, b)
	}
	if status, b := u.raw("/api/v1/calls.csv?from="+before+"&to="+after, ""); status != 200 || !strings.Contains(string(b), id) {
		t.Errorf("table by the API: %d %s", status, b)
	}
	status, out, _ = cli("", "audit", "verify")
	if status != 0 {
		t.Errorf("audit: %s", out)
	}
	for _, typ := range []string{"call.recorded", "call.capture_ordered", "call.packets_taken", "call.recording_played", "call.recording_exported", "call.records_exported"} {
		if n := u.events(typ); n == 0 {
			t.Errorf("%s is not in the log", typ)
		}
	}

	// A file that somebody changes is found out.
	if err := filepath.Walk(filepath.Join(dir, recordingsDir), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		return os.WriteFile(path, b, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := cli("", "recording", "verify", id); status != 1 || !strings.Contains(out, "BROKEN "+id) {
		t.Errorf("verify of an altered file: %d %s", status, out)
	}
}
