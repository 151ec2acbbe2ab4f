package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAComplaintAboutTheConfigurationSaysItsLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lianxin.yaml")
	t.Setenv("LIANXIN_MAX_CALL", "2h")
	for _, c := range []struct {
		text string
		line int // 0: the file is not to blame
		why  string
		args []string
	}{
		{"log-level: info\nmax-cals: 3\n", 2, `there is no setting "max-cals"`, nil},
		{"log-level: info\n\nmax-calls: many\n", 3, "--max-calls", nil},
		{"log-level: loud\n", 1, "--log-level", nil},
		{"max-calls: many\n", 0, "--max-calls", []string{"--max-calls", "few"}},
		{"max-calls: 5\nsms-window: \"25:00-26:00\"\n", 2, "--sms-window", nil},
		{"public-ip: here\n", 1, "--public-ip", nil},
		{"max-calls: 5\n\tdrain: 3s\n", 2, "", nil},
		{"- a\n- b\n", 1, "", nil},
		{"max-calls: 3\nmax-calls: 4\n", 2, "already defined", nil},
		{"telephony:\n  police: \"110\"\n  outbund: {}\n", 3, `there is no setting "outbund"`, nil},
		{"telephony:\n  trunks:\n    - name: a\n      proxy: sip:x\n      wieght: 3\n", 5, `there is no setting "wieght"`, nil},
		{"telephony:\n  trunks:\n    - name: a\n      proxy: sip:x\n      weight: heavy\n", 5, "heavy", nil},
		{"telephony:\n  trunks:\n    - {name: a, proxy: sip:x}\n    - name: b\n      from: [10.0.0.1,\n        nowhere]\n", 6, "no IP address", nil},
		{"telephony:\n  trunks:\n    - {name: a, proxy: sip:x}\n    - name: b\n      proxy: sip:x\n      numbers: [\"*\"]\n", 6, "number pattern", nil},
		{"telephony:\n  trunks:\n    - name: b\n      proxy: sip:x\n      prefix: \"a b\"\n", 5, "rewritten", nil},
		{"telephony:\n  trunks:\n    - name: b\n      proxy: sip:x\n      password-file: /nowhere\n", 5, "nowhere", nil},
		{"telephony:\n  trunks:\n    - name: b\n      proxy: sip:x\n      max-call: -1h\n", 5, "below zero", nil},
		{"telephony:\n  outbound:\n    allow:\n      - \"110\"\n      - \"*\"\n", 5, "number pattern", nil},
		{"carriers:\n  kannel:\n    uri: x\n", 3, `there is no setting "uri"`, nil},
		{"record-views:\n  - name: a\n    drivr: x\n", 3, `there is no setting "drivr"`, nil},
		{"record-views:\n  - name: a\n    driver: x\n", 2, "driver", nil},
		{"max-calls: 4\napi-token: [a]\n", 2, "", nil},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, _, errs := run(t, "", append([]string{"--config", file, "version"}, c.args...)...)
		if status != 2 || !strings.Contains(errs, c.why) {
			t.Errorf("%q: status %d, %s", c.text, status, errs)
		}
		if place := fmt.Sprintf("%s, line %d: ", file, c.line); c.line > 0 && !strings.Contains(errs, place) {
			t.Errorf("%q: line %d is not named: %s", c.text, c.line, errs)
		} else if c.line == 0 && strings.Contains(errs, "line ") {
			t.Errorf("%q: the file is blamed for what it did not set: %s", c.text, errs)
		}
	}
}
