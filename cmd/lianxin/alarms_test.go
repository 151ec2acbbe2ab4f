package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
)

// A trunk that does not work is told in the health, in the figures and, when it stays away, in one alert; so is what the board had to
// put right by itself.
func TestATrunkThatDoesNotWorkAndARepairAreTold(t *testing.T) {
	t.Parallel()
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0") // takes everything, answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	cfg := defaults(t, filepath.Join(t.TempDir(), "data"))
	cfg.RTPPorts = PortRange{Low: 28920, High: 28939}
	cfg.Telephony = telephonySettings{Trunks: []trunkSettings{{Name: "telecom", Proxy: "sip:" + deaf.LocalAddr().String(), User: "hotline", Register: true},
		{Name: "unicom", From: []string{"192.0.2.1"}}}}
	u := start(t, cfg)
	p, any := u.c.trunkHealth()
	if p.OK || !any || p.Needed || p.Detail != "1 of 2 work; down: telecom" {
		t.Errorf("health: %+v", p)
	}
	figures := get(t, u.base+"/metrics")
	for _, want := range []string{`lianxin_trunk_registered{trunk="telecom"} 0`, `lianxin_trunk_registered{trunk="unicom"} 1`, `lianxin_trunk_calls{trunk="telecom"} 0`, `lianxin_part_up{part="trunks"} 0`} {
		if !strings.Contains(figures, want) {
			t.Errorf("the figures lack %s", want)
		}
	}
	ctx, away := context.Background(), map[string]time.Time{}
	alerts := func(rule string) (titles []string) {
		var list struct {
			Items []struct{ Rule, Title, Evidence string }
		}
		u.ask("GET", "/api/v1/alerts?limit=100", nil, nil, &list)
		for _, a := range list.Items {
			if a.Rule == rule {
				titles = append(titles, a.Title+"："+a.Evidence)
			}
		}
		return titles
	}
	now := time.Now()
	for _, at := range []time.Duration{0, trunkPatience / 2} {
		if err := u.c.watchTrunks(ctx, away, now.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	if got := alerts(trunkRule); len(got) != 0 {
		t.Errorf("after half a minute: %q", got)
	}
	for range 2 {
		if err := u.c.watchTrunks(ctx, away, now.Add(2*trunkPatience)); err != nil {
			t.Fatal(err)
		}
	}
	if got := alerts(trunkRule); len(got) != 1 || !strings.Contains(got[0], "“telecom”") || !strings.Contains(got[0], "未能注册") {
		t.Errorf("after two minutes: %q", got)
	}
	u.c.repaired(nil)
	u.c.repaired([]desk.Repair{{Kind: "talk", Extension: "8001", What: "stale"}, {Kind: "talk", Extension: "8002", What: "stale"}})
	if got := alerts(repairRule); len(got) != 1 || !strings.Contains(got[0], "talk 2处") {
		t.Errorf("repairs: %q", got)
	}
}
