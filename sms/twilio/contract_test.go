package twilio_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lianxin/sms"
	"lianxin/sms/twilio"
)

// Twilio's own OpenAPI document is the judge: Prism refuses requests of ours that it does not allow, and, as a proxy,
// answers of our fake that Twilio would not give. The document's own example of a list breaks the document (its URIs are
// relative), so lists are judged through the proxy only.

func tools(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("../../scripts/npm-tools.sh").Output()
	if err != nil {
		var e *exec.ExitError
		if errors.As(err, &e) {
			t.Fatalf("install the npm tools: %v\n%s", err, e.Stderr)
		}
		t.Fatalf("install the npm tools: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// prism starts Prism and returns its URL and what it has printed.
func prism(t *testing.T, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	dir := tools(t)
	spec := filepath.Join(dir, "node_modules/@twilio/cli-core/src/services/twilio-api/twilio_api_v2010.json")
	full := []string{filepath.Join(dir, "node_modules/.bin/prism"), args[0], "--errors", "-h", "127.0.0.1", "-p", port, spec}
	cmd := exec.Command("node", append(full, args[1:]...)...)
	log, err := os.CreateTemp(t.TempDir(), "prism")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("prism:\n%s", b[max(0, len(b)-4000):])
		}
		log.Close()
	})
	url := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(url + "/")
		if err == nil {
			resp.Body.Close()
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("prism did not come up: %v", err)
		}
	}
}

func TestRequestsAreAllowedByTwiliosOwnDocument(t *testing.T) {
	url := prism(t, "mock")
	c := carrier(t, url)
	ctx := context.Background()
	m := message(t)
	if sent, err := c.Send(ctx, m); err != nil || sent.CarrierID == "" {
		t.Errorf("Send: %+v, %v", sent, err)
	}
	m.CarrierID = "SM0123456789abcdef0123456789abcdef"
	if f, err := c.Find(ctx, m); err != nil || !f.Known {
		t.Errorf("Find by id: %+v, %v", f, err)
	}
	// The judge can say no, and that is a refusal for us.
	odd := carrier(t, url, func(c *twilio.Config) { c.From, c.MessagingServiceSID = "", "MG1" })
	_, err := odd.Send(ctx, m)
	var e *sms.Error
	if !errors.As(err, &e) {
		t.Errorf("a messaging service that cannot exist was let through: %v", err)
	}
}

func TestFakeAnswersAsTwiliosOwnDocumentSays(t *testing.T) {
	f, srv := newFake(t)
	url := prism(t, "proxy", srv.URL)
	c := carrier(t, url)
	ctx := context.Background()
	m := message(t)
	sent, err := c.Send(ctx, m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	if got, err := c.Find(ctx, m); err != nil || !got.Known {
		t.Errorf("Find by number: %+v, %v", got, err)
	}
	m.CarrierID = sent.CarrierID
	if got, err := c.Find(ctx, m); err != nil || !got.Known {
		t.Errorf("Find by id: %+v, %v", got, err)
	}
	// The judge can say no here too.
	f.messages[0]["status"] = "teleported"
	if _, err := c.Find(ctx, m); err == nil {
		t.Error("a status that Twilio does not have was let through")
	}
}
