package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTrunksAndOutboundCallsComeFromTheFile(t *testing.T) {
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "lianxin.yaml"), filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("of-the-trunk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `
trunk: [192.0.2.9]
telephony:
  police: "110"
  trunks:
    - {name: telecom, from: [192.0.2.0/28], proxy: "sip:192.0.2.1", priority: 0, weight: 10, numbers: ["0.", "110"], strip: 1, prefix: "9", max-calls: 30, max-per-night: 20}
    - {name: unicom, proxy: "sip:sip.unicom.example;transport=tcp", user: hotline, password-file: "` + secret + `", register: true, number: "02446110111", priority: 1, max-per-hour: 100, max-call: 30m}
  outbound: {allow: ["110", "1[3-9]xxxxxxxxx"], max-per-hour: 300, max-per-night: 40, night: "21:30-07:00", max-call: 1h}
`
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	var cfg Config
	probe = func(c *Config) { cfg = *c }
	defer func() { probe = nil }()
	if status, _, errs := run(t, "", "--config", file, "--data", filepath.Join(dir, "data"), "version"); status != 0 {
		t.Fatal(errs)
	}
	c := (&centre{cfg: &cfg}).sipConfig()
	if len(c.Trunks) != 3 || c.Trunks[0].Name != "trunk" || len(c.Trunks[1].Addrs) != 1 || c.Trunks[1].Strip != 1 || c.Trunks[1].Prefix != "9" ||
		c.Trunks[1].MaxCalls != 30 || c.Trunks[1].MaxPerNight != 20 || c.Trunks[2].Password != "of-the-trunk" || !c.Trunks[2].Register ||
		c.Trunks[2].Priority != 1 || c.Trunks[2].MaxCall != 30*time.Minute || c.Trunks[2].MaxPerHour != 100 {
		t.Errorf("%+v", c.Trunks)
	}
	o := c.Outbound
	if o.Number != "46110110" || len(o.Allow) != 2 || o.NightFrom != 21*time.Hour+30*time.Minute || o.NightTo != 7*time.Hour || o.MaxCall != time.Hour || o.MaxPerNight != 40 {
		t.Errorf("%+v", o)
	}
	for bad, why := range map[string]string{
		"telephony: {trunk: []}":                                                          "trunk",
		"telephony: {trunks: [{proxy: \"sip:x\"}]}":                                       "a name is needed",
		"telephony: {trunks: [{name: a}]}":                                                "needs from",
		"telephony: {trunks: [{name: a, from: [somewhere]}]}":                             "no IP address",
		"telephony: {trunks: [{name: a, proxy: \"mailto:x\"}]}":                           "proxy",
		"telephony: {trunks: [{name: a, proxy: \"sip:x\", register: true}]}":              "user",
		"telephony: {trunks: [{name: a, proxy: \"sip:x\"}, {name: a, proxy: \"sip:y\"}]}": "taken",
		"telephony: {trunks: [{name: a, proxy: \"sip:x\", numbers: [\"1.2\"]}]}":          "number pattern",
		"telephony: {outbound: {allow: [\"*\"]}}":                                         "number pattern",
		"telephony: {outbound: {night: noon}}":                                            "night",
		"telephony: {police: \"110\"}":                                                    "not among outbound.allow",
		"telephony: {police: help, outbound: {allow: [\"110\"]}}":                         "no number",
		"telephony: {trunks: [{name: a, proxy: \"sip:x\", password-file: /nowhere}]}":     "nowhere",
	} {
		write(bad)
		if status, _, errs := run(t, "", "--config", file, "--data", filepath.Join(dir, "data"), "version"); status == 0 || !strings.Contains(errs, why) {
			t.Errorf("%s: %d %q, want %q", bad, status, errs, why)
		}
	}
}
