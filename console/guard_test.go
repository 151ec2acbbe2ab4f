package console

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"lianxin/ivr"
	"lianxin/sip"
)

var blockAction = regexp.MustCompile(`action="(/guard/[^/"]+)/decide"`)

func TestANumberIsHeldOffByTwoPeopleOnThePages(t *testing.T) {
	s := newHouse(t).fill()
	s.call("call-9", "19900009999", s.person("19900009999", ""), "")
	reason := form("reason", "一小时内多次来电辱骂话务员", "days", "3")
	if p := s.as("auditor1").post("/calls/call-9/block", reason); p.status != http.StatusForbidden {
		t.Errorf("an auditor proposes: %d", p.status)
	}
	if p := s.as("supervisor1").post("/calls/call-9/block", reason); p.status != http.StatusOK || !strings.Contains(p.body, "待批准") {
		t.Fatalf("proposing: %d %s", p.status, p.plain())
	}
	own := s.as("supervisor1").get("/guard")
	if blockAction.MatchString(own.body) {
		t.Error("who proposed is offered to approve it")
	}
	p := s.as("leader1").get("/guard")
	m := blockAction.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("a leader is not offered to approve: %s", p.plain())
	}
	if p := s.as("supervisor1").post(m[1]+"/decide", form("approve", "yes")); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "提请人不能批准") {
		t.Errorf("the proposer approves: %d %s", p.status, p.plain())
	}
	if p := s.as("operator1").post(m[1]+"/decide", form("approve", "yes")); p.status != http.StatusForbidden {
		t.Errorf("an operator approves: %d", p.status)
	}
	if p := s.as("leader1").post(m[1]+"/decide", form("approve", "yes")); !strings.Contains(p.body, "限制中") {
		t.Errorf("after approval: %s", p.plain())
	}
	if p := s.as("leader1").post(m[1]+"/lift", form("reason", "不再骚扰")); !strings.Contains(p.body, "已解除") {
		t.Errorf("after lifting: %s", p.plain())
	}
}

func TestTheGuardIsShownAndSwitchedByWhoMay(t *testing.T) {
	h := newHouse(t)
	on := false
	banned := []sip.Ban{{Source: netip.MustParseAddr("203.0.113.9"), Why: "scanner", Since: time.Now(), Until: time.Now().Add(time.Hour), Times: 2, Kept: 17}}
	h.s.Guard = CallGuard{
		Defence: func() ivr.Defence {
			return ivr.Defence{On: on, ByHand: on, Since: time.Now(), Rate: 3.5, Refused: map[string]uint64{"caller": 4},
				Proofs: map[ivr.Proof]uint64{ivr.ProofPassed: 41}, Asking: 3, Lanes: 30}
		},
		Defend: func(v bool) { on = v }, Bans: func() []sip.Ban { return banned },
		LiftBan: func(a netip.Addr) bool {
			hit := len(banned) == 1 && banned[0].Source == a
			if hit {
				banned = nil
			}
			return hit
		},
	}
	h.busy()
	b := h.as("supervisor1")
	if p := b.get("/guard"); !strings.Contains(p.body, "203.0.113.9") || !strings.Contains(p.body, "扫描工具") || !strings.Contains(p.body, "3.5") {
		t.Errorf("the page: %s", p.plain())
	}
	if p := h.as("operator1").post("/guard/defend", form("on", "yes")); p.status != http.StatusForbidden || on {
		t.Errorf("an operator switches the defence: %d", p.status)
	}
	if p := b.post("/guard/defend", form("on", "yes")); !on || !strings.Contains(p.body, "防护中") || !strings.Contains(p.plain(), "正在确认 3／最多 30 路") || !strings.Contains(p.plain(), "按键确认通过 41") {
		t.Errorf("switched on: %v %s", on, p.plain())
	}
	if p := b.post("/guard/bans/lift", form("source", "203.0.113.9")); strings.Contains(p.body, "203.0.113.9") {
		t.Errorf("lifted: %s", p.plain())
	}
	if p := b.post("/guard/bans/lift", form("source", "nonsense")); p.status != http.StatusNotFound {
		t.Errorf("lifting nonsense: %d", p.status)
	}
}
