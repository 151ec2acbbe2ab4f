package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"lianxin/sip"
)

func TestAReloadTakesUpWhatCanChangeAndNothingThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("calls-per-number: 3\n")
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	cfg.reread = func() (*Config, error) { return (&Main{}).configure([]string{"serve", "--config", file}) }
	u := start(t, cfg)
	admits := func() bool {
		_, ok := u.c.hotline.Admit(sip.Info{From: "13841400001", Trunk: "trunk", To: "46110110"})
		return ok
	}
	if !admits() {
		t.Fatal("a call was refused at first")
	}
	write("log-level: debug\npriority-number: [\"110\"]\ndefend-at: 0.05\nmax-calls: 1\n")
	u.c.reconfigure()
	if cfg.level.Level() != slog.LevelDebug {
		t.Errorf("level %v", cfg.level.Level())
	}
	admits()
	if !u.c.hotline.Defence().On {
		t.Error("the new threshold is not in force")
	}
	write("log-level: [nonsense\n")
	u.c.reconfigure()
	if cfg.level.Level() != slog.LevelDebug {
		t.Error("a file that cannot be read changed something")
	}
}
