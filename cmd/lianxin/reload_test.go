package main

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/ivr/softphone"
	"lianxin/sip"
	"lianxin/sip/media"
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

// A whole call goes on through a reload that changes the number of calls, the trunks, the lists of sources and how long recordings are
// kept, and through one that cannot be taken up.
func TestAReloadOfTheTelephoneDropsNoCall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("max-calls: 5\n")
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	cfg.reread, cfg.Drain = func() (*Config, error) { return (&Main{}).configure([]string{"serve", "--config", file}) }, 0
	u := start(t, cfg)
	sound, err := media.NewEngine(media.Config{PortLow: 28600, PortHigh: 28699})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	caller, err := softphone.New(softphone.Config{User: "19900008001", Server: strings.TrimPrefix(u.c.phones.Addrs()[0], "udp://"), Engine: sound})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Crash()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	call, err := caller.Dial(ctx, "46110110")
	if err != nil {
		t.Fatal(err)
	}
	write(`
max-calls: 1
sip-denied: ["203.0.113.0/24"]
trunk: ["198.51.100.7"]
recording-days: 3
telephony:
  trunks: [{name: telecom, proxy: "sip:127.0.0.1:9", from: ["198.51.100.8"]}]
  outbound: {allow: ["1[3-9]xxxxxxxxx"]}
`)
	u.c.reconfigure()
	if h := u.c.phones.Health().Trunks; len(h) != 2 || h[0].Name != "trunk" || h[1].Name != "telecom" {
		t.Errorf("trunks %+v", h)
	}
	if keep := u.c.kept.Load().Keep; keep != 3*24*time.Hour {
		t.Errorf("recordings are kept for %v", keep)
	}
	write("telephony:\n  outbound: {allow: [nonsense]}\nmax-calls: 9\n")
	u.c.reconfigure()
	if h := u.c.phones.Health().Trunks; len(h) != 2 {
		t.Errorf("a configuration that would not work was taken up: %+v", h)
	}
	if n := u.c.hotline.MaxCalls(); n != 1 {
		t.Errorf("%d calls may be led", n)
	}
	for was := call.Leg().Stats().PacketsIn; call.Leg().Stats().PacketsIn < was+5; time.Sleep(10 * time.Millisecond) {
		select {
		case <-call.Done():
			t.Fatal("the reload dropped the call")
		case <-ctx.Done():
			t.Fatal("the reload silenced the call")
		default:
		}
	}
	if n := len(u.c.hotline.Live()); n != 1 {
		t.Errorf("%d calls", n)
	}
	if err := call.Hangup(ctx); err != nil { // the stop would wait for it
		t.Error(err)
	}
}

func TestBansAreReadAgainAfterARestart(t *testing.T) {
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	c := &centre{cfg: cfg, log: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if list := c.readBans(); list != nil {
		t.Errorf("%+v", list)
	}
	ban := sip.Ban{Source: netip.MustParseAddr("2001:db8::"), Why: "scanner", Since: time.Now().Round(0), Until: time.Now().Add(time.Hour).Round(0), Times: 2}
	c.writeBans([]sip.Ban{ban})
	u := start(t, cfg)
	if list := u.c.phones.Bans(); len(list) != 1 || list[0].Source != ban.Source || !list[0].Until.Equal(ban.Until) || list[0].Times != 2 {
		t.Errorf("%+v", list)
	}
	if !u.c.phones.LiftBan(ban.Source) {
		t.Fatal("it was not in force")
	}
	for end := time.Now().Add(20 * time.Second); len(c.readBans()) != 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a lifted ban is kept")
		}
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, bansFile), []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list := c.readBans(); list != nil {
		t.Errorf("%+v", list)
	}
}
