package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// ORG-2: the administrator changes the tree on its page, with reason and day; others look, and nothing with open tickets goes away.
func TestTheTreeOfUnitsIsSeenAndChangedOnItsPage(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	admin := s.as("admin1")
	do := func(unit, what string, pairs ...string) answer {
		return admin.post("/org/"+unit+"/"+what, form(append([]string{"reason", "市编办〔2026〕7号", "day", "2026-11-20"}, pairs...)...))
	}
	for _, login := range []string{"admin1", "leader1", "auditor1", "reviewer1"} {
		p := s.as(login).get("/org/210502-zhanqian")
		if p.status != http.StatusOK || !strings.Contains(p.body, "站前派出所") || !strings.Contains(p.body, "丁一帆") || strings.Contains(p.body, "/org/210502-zhanqian/rename") != (login == "admin1") {
			t.Errorf("%s: %d", login, p.status)
		}
	}
	if p := s.as("leader1").post("/org/210502-zhanqian/rename", form("name", "x", "reason", "试试", "day", "2026-11-20")); p.status != http.StatusForbidden {
		t.Errorf("a leader renames: %d", p.status)
	}
	said := func(p answer, words string) {
		t.Helper()
		if p.status != http.StatusUnprocessableEntity || !strings.Contains(alertIn(p.body), words) {
			t.Errorf("%d %q, want %q", p.status, alertIn(p.body), words)
		}
	}
	// Each change has a reason and a day that was, in order; bad input is told and nothing is done.
	said(admin.post("/org/210502-zhanqian/rename", form("name", "新名", "day", "2026-11-20")), "变更依据")
	said(admin.post("/org/210502-zhanqian/rename", form("name", "新名", "reason", "依据", "day", "20日")), "生效日期")
	said(do("210502-zhanqian", "rename", "name", ""), "请填写名称")
	said(admin.post("/org/210502-zhanqian/rename", form("name", "新名", "reason", "依据", "day", "2026-11-24")), "不能晚于今天")
	if p := do("210502-zhanqian", "rename", "name", "本溪市公安局平山分局站前中心派出所", "short", "站前中心所"); p.status != http.StatusOK || !strings.Contains(p.body, "站前中心所") || !strings.Contains(p.body, "市编办〔2026〕7号") {
		t.Errorf("rename: %d %s", p.status, alertIn(p.body))
	}
	said(admin.post("/org/210502-zhanqian/rename", form("name", "更新的名", "reason", "依据", "day", "2026-11-01")), "早于上一次变更")
	said(do("210502", "move", "parent", "210502-zhanqian"), "下级单位")
	said(do("benxi", "move", "parent", "210502"), "市局不能")
	said(do("benxi", "close"), "市局不能")
	said(do("210502", "move", "parent", "nowhere"), "没有该单位")
	said(do("210502", "add", "code", "大写", "name", "x", "kind", "station", "police", "general"), "小写字母")
	said(do("210502", "add", "code", "210502-zhanqian", "name", "x", "kind", "station", "police", "general"), "已被使用")
	if p := do("210502", "add", "code", "210502-xincheng", "name", "新城派出所", "kind", "station", "police", "general"); p.status != http.StatusOK || !strings.Contains(p.body, "新城派出所") {
		t.Errorf("add: %d %s", p.status, alertIn(p.body))
	}
	if p := do("210502-xincheng", "move", "parent", "210503"); p.status != http.StatusOK || !strings.Contains(p.body, "平山分局 → 溪湖分局") {
		t.Errorf("move: %d %s", p.status, alertIn(p.body))
	}
	// With an open ticket it stays; the obstacle is counted out.
	said(do(s.handlingUnit(), "close"), "在办诉求")
	said(do(s.handlingUnit(), "merge", "into", "210502-xincheng"), "在办诉求")
	said(do("210502-xincheng", "merge", "into", "benxi"), "不能合并")
	if p := do("210502-xincheng", "merge", "into", "210503-caitun"); p.status != http.StatusOK || !strings.Contains(p.body, "已合并") || !strings.Contains(p.body, "已撤销") {
		t.Errorf("merge: %d %s", p.status, alertIn(p.body))
	}
	said(do("210502-zhanqian", "move", "parent", "210502-xincheng"), "已撤销")
	if p := s.as("leader1").get("/org"); strings.Contains(p.body, "新城派出所") {
		t.Error("a closed unit stands among the open ones")
	}
	if p := s.as("leader1").get("/org?closed=1"); !strings.Contains(p.body, "新城派出所") {
		t.Error("closed units cannot be shown")
	}
	// People: nobody changes their own account, one administrator stays, and a closed account is out at once.
	me, other := s.staff["admin1"].ID, s.staff["operator6"]
	said(do("benxi-minyi", "staff", "who", me, "change", "close"), "不能调整本人")
	said(do("benxi-minyi", "staff", "who", other.ID, "change", "role:citizen"), "没有该角色")
	said(do("benxi-minyi", "staff", "who", s.staff["handler1"].ID, "change", "close"), "没有此人")
	said(do("benxi-minyi", "staff", "who", other.ID, "change", ""), "请选择")
	b := s.as("operator6")
	if p := b.get("/today"); p.status != http.StatusOK {
		t.Fatalf("%d", p.status)
	}
	if p := do("benxi-minyi", "staff", "who", other.ID, "change", "close"); p.status != http.StatusOK {
		t.Errorf("close an account: %d %s", p.status, alertIn(p.body))
	}
	if p := b.get("/today"); !strings.HasPrefix(p.path, "/sign-in") {
		t.Errorf("a closed account is still in: %s", p.path)
	}
	if p := do("benxi-minyi", "hire", "login", "Operator9", "name", "新同事", "role", "operator"); p.status != http.StatusOK || !strings.Contains(p.body, "新同事") {
		t.Errorf("hire: %d %s", p.status, alertIn(p.body))
	}
	said(do("benxi-minyi", "hire", "login", "operator9", "name", "重名", "role", "operator"), "已被使用")
	said(do("benxi-minyi", "hire", "login", "市民", "name", "某人", "role", "citizen"), "请填写登录名")
	if p := do("nowhere", "close"); p.status != http.StatusNotFound {
		t.Errorf("a unit that is not there: %d", p.status)
	}
	if p := do("benxi", "explode"); p.status != http.StatusNotFound {
		t.Errorf("an act that is none: %d", p.status)
	}
}

// handlingUnit is a unit that has an open ticket.
func (s *sample) handlingUnit() (unit string) {
	s.view(func(tx *storage.Tx) error {
		legs, err := s.office.Legs(tx, s.handling.ID)
		for _, l := range legs {
			if l.Role == ticket.Host {
				unit = l.Unit
			}
		}
		return err
	})
	return unit
}

// The duty chief is told of red, looks at everything that is not the inspectors' own, hands on at night and instructs; who handles, reviews and
// rates are others (I5), and nobody's number is in the open.
func TestTheDutyChiefLeadsAndHandlesNothing(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	b := s.as("chief1")
	for _, path := range []string{"/today", "/alerts", "/tickets/" + s.handling.ID, "/callbacks", "/calls", "/org", "/oversee/order"} {
		if p := b.get(path); p.status != http.StatusOK {
			t.Errorf("%s: %d", path, p.status)
		}
	}
	offered := b.get("/tickets/" + s.accepted.ID).offered()
	if !strings.Contains(strings.Join(offered, " "), "dispatch") {
		t.Errorf("not offered to dispatch: %v", offered)
	}
	if p := b.get("/tickets/" + s.accepted.ID + "/source"); !strings.Contains(p.body, "批示") {
		t.Error("not offered to instruct")
	}
	for _, a := range []org.Action{org.SubmitResult, org.SignTicket, org.ReviewResult, org.RateTicket, org.MakeReview, org.ViewRestricted, org.Reveal, org.RevealSecret, org.ExportData, org.ViewWatch, org.ManageRules, org.ManageStaff, org.ApproveList} {
		if org.Can(org.DutyChief, a) {
			t.Errorf("the duty chief may %s", a)
		}
	}
}
