package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lianxin/sms"
)

func TestCarriersAreWiredInOrderFromTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "lianxin.yaml")
	text := `
sms-carrier: [kannel, cmpp, aliyun, tencent, sim]
public-url: https://centre.example
carriers:
  kannel: {url: "http://127.0.0.1:13013/cgi-bin/sendsms", username: u, password: p, from: "1069012110", extend: true, push-secret: abcdefghijklmnop, push-from: [127.0.0.1]}
  cmpp: {addr: "127.0.0.1:7890", id: "901234", secret: s, version: "3.0", number: "106573020110", extend: true, service: MYGZ}
  aliyun: {extend: true, access-key-id: a, access-key-secret: b, push-secret: abcdefghijklmnop, push-from: [127.0.0.1], templates: [{code: SMS_1, text: "${text}"}]}
  tencent: {secret-id: a, secret-key: b, app-id: "1400000000", extend: true, push-secret: abcdefghijklmnop, push-from: [127.0.0.1], templates: [{code: "1", text: "{1}"}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var cfg Config
	probe = func(c *Config) { cfg = *c }
	defer func() { probe = nil }()
	if status, _, errs := run(t, "", "--config", file, "--data", filepath.Join(dir, "data"), "version"); status != 0 {
		t.Fatal(errs)
	}
	c, err := openRooms(t.Context(), &cfg, newLogger(testLog{t}, &cfg))
	if err != nil {
		t.Fatal(err)
	}
	defer c.db.Close()
	var names []string
	for _, carrier := range c.outbox.Carriers {
		names = append(names, carrier.Name())
	}
	if got := strings.Join(names, " "); got != "kannel cmpp aliyun tencent sim" {
		t.Errorf("carriers %s", got)
	}
	for to, want := range map[string]string{"kannel/1069012110123": "123", "kannel/1069012110": "", "cmpp/106573020110042": "042", "tencent/042": "042", "aliyun/042": "042", "aliyun/106900001042": "", "sim/10690004611011042": "042", "sim/1": ""} {
		carrier, number, _ := strings.Cut(to, "/")
		if sent := c.outbox.SentWith(sms.Inbound{Carrier: carrier, To: number}); (sent != nil) != (want != "") || sent != nil && (!sent(want) || sent("999")) {
			t.Errorf("a reply to %s is not laid to %q", to, want)
		}
	}
	if len(c.webhooks) != 6 || len(c.links) != 1 {
		t.Errorf("%d webhooks and %d links, want 6 and 1", len(c.webhooks), len(c.links))
	}
	for _, bad := range []string{"carriers: {kannel: {uri: x}}", "carriers: {pigeon: {}}", "sms-carrier: pigeon", "sms-carrier: cmpp\ncarriers: {cmpp: {version: \"9\"}}"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, _, errs := run(t, "", "--config", file, "--data", filepath.Join(dir, "other"), "survey", "run"); status == 0 || errs == "" {
			t.Errorf("%s was taken", bad)
		}
	}
}
