package console

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/workday"
)

// textPages are the pages of texts, templates and figures.
func (s *sample) textPages() map[string]string {
	return map[string]string{"texts": "/texts", "texts-stuck": "/texts?stuck=1", "texts-failed": "/texts?state=failed", "texts-live": "/texts/live", "figures": "/survey/figures?from=2026-11-01&to=" + s.yesterday(),
		"templates": "/survey/templates", "exclusions": "/exclusions"}
}

func TestTextPagesRenderInBothLanguagesForWhoMaySeeThem(t *testing.T) {
	s := newHouse(t).fill()
	seen := map[string]int{}
	for _, login := range []string{"operator1", "caller1", "supervisor1", "analyst1", "leader1", "inspector1", "admin1", "auditor1", "handler1", "reviewer1"} {
		b := s.as(login)
		for name, path := range s.textPages() {
			for _, lang := range []string{"zh-CN", "en"} {
				p := b.in(lang).get(path)
				if p.status == http.StatusOK {
					seen[name]++
				} else if p.status != http.StatusForbidden {
					t.Errorf("%s %s (%s): %d", login, path, lang, p.status)
				}
				if missing := untranslated(p.body); missing != nil {
					t.Errorf("%s %s (%s): no text for %q", login, path, lang, missing)
				}
			}
		}
	}
	for name := range s.textPages() {
		if seen[name] == 0 {
			t.Errorf("nobody can see %s", name)
		}
	}
	for _, path := range []string{"/texts", "/survey/figures", "/survey/templates", "/survey/figures/export?from=2026-11-01&to=2026-11-22", "/exclusions"} {
		if p := s.as("handler1").get(path); p.status != http.StatusForbidden {
			t.Errorf("an officer of a rated unit gets %s: %d", path, p.status)
		}
	}
}

func TestTextPagesFitAPhoneAndADesk(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	s.as("admin1").post("/survey/templates", url.Values{"name": {"call"}, "body": {"您好，请评价{unit}{date}的{class}服务：{scale}。回复数字即可，拒收回T"}})
	w := s.window(t, "supervisor1", 1366, 900)
	for name, path := range s.textPages() {
		if name == "texts" || name == "texts-live" || name == "texts-failed" {
			continue // the same page with other rows
		}
		w.fits(name, path)
	}
}

func TestACampaignIsPausedResumedAndKilledOnThePage(t *testing.T) {
	h := newHouse(t)
	b := h.as("supervisor1")
	h.update(func(tx *storage.Tx) error {
		for _, key := range []string{"a", "b"} {
			if _, _, err := h.outbox.Queue(tx, sms.Message{Key: key, Campaign: "survey:2026-11-22", Phone: h.phoneOf("1990000000" + map[string]string{"a": "1", "b": "2"}[key]), Body: "请评价"}); err != nil {
				return err
			}
		}
		return nil
	})
	do := func(what, campaign, reason string) string {
		t.Helper()
		return b.post("/texts/campaign", url.Values{"campaign": {campaign}, "do": {what}, "reason": {reason}}).body
	}
	if page := do("pause", "survey:2026-11-22", ""); !strings.Contains(page, "请填写理由") {
		t.Error("paused without a reason")
	}
	if page := do("pause", "*", "通道割接"); !strings.Contains(page, "全部短信") || !strings.Contains(page, "通道割接") {
		t.Error("the page does not say that everything is paused")
	}
	if tally, err := h.outbox.Flush(h.ctx); err != nil || tally.Sent != 0 {
		t.Errorf("sent %d while paused, %v", tally.Sent, err)
	}
	do("resume", "*", "")
	if page := do("kill", "survey:2026-11-22", "名单有误"); !strings.Contains(page, "已终止，取消 2 条") {
		t.Error("not killed")
	}
	if tally, err := h.outbox.Flush(h.ctx); err != nil || tally.Sent != 0 {
		t.Errorf("sent %d of a killed campaign, %v", tally.Sent, err)
	}
	if page := do("resume", "survey:2026-11-22", ""); !strings.Contains(page, "该批次已终止") {
		t.Error("a killed campaign was resumed")
	}
	if p := h.as("operator1").post("/texts/campaign", url.Values{"campaign": {"*"}, "do": {"pause"}, "reason": {"x"}}); p.status != http.StatusForbidden {
		t.Errorf("an operator pauses everything: %d", p.status)
	}
}

func TestATextThatNobodyKnowsOfIsSettledByAPersonAndNeverSentAgainByItself(t *testing.T) {
	h := newHouse(t)
	if err := h.sim.Set(h.ctx, sim.Settings{TimeoutRate: 1, NoReceiptRate: 1}); err != nil {
		t.Fatal(err)
	}
	mute := &unaskable{h.sim}
	h.outbox = &sms.Outbox{DB: h.db, Carriers: []sms.Carrier{mute}, Vault: h.book.Vault, Now: h.now}
	var id string
	h.update(func(tx *storage.Tx) (err error) {
		id, _, err = h.outbox.Queue(tx, sms.Message{Key: "a", Campaign: "c", Phone: h.phoneOf("19900000001"), Body: "请评价", Anytime: true})
		return err
	})
	for range 3 {
		if _, err := h.outbox.Flush(h.ctx); err != nil {
			t.Fatal(err)
		}
		h.pass(2 * 60 * 60 * 1e9)
	}
	b := h.as("supervisor1")
	page := b.get("/texts?stuck=1").body
	if !strings.Contains(page, "/texts/"+id+"/settle") {
		t.Fatalf("the page does not offer it: %s", page)
	}
	if page := b.post("/texts/"+id+"/settle", url.Values{"to": {"delivered"}}).body; !strings.Contains(page, "填写理由") {
		t.Error("settled without a reason")
	}
	if page := b.post("/texts/"+id+"/settle", url.Values{"to": {"delivered"}, "reason": {"已向通道核实"}}).body; !strings.Contains(page, "已处理") {
		t.Error("not settled")
	}
	if page := b.post("/texts/"+id+"/settle", url.Values{"to": {"queued"}, "reason": {"再发"}}).body; !strings.Contains(page, "已由他人处理") {
		t.Error("settled twice")
	}
	all, err := h.sim.Handset(h.ctx, h.phoneOf("19900000001"))
	if err != nil || len(all) != 1 {
		t.Errorf("%d texts on the handset, %v", len(all), err)
	}
}

// unaskable is the simulated carrier without the question what it has.
type unaskable struct{ *sim.Carrier }

func (unaskable) Find(context.Context, sms.Message) (sms.Found, error) {
	return sms.Found{}, sms.ErrCannotAsk
}

func (h *house) phoneOf(number string) contact.Phone {
	h.t.Helper()
	p, err := contact.ParseMobile(number)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) dayBefore() workday.Day { return workday.DayOf(h.now()).Add(-1) }

func TestATextIsApprovedByASecondPersonOnThePage(t *testing.T) {
	h := newHouse(t)
	writer, second := h.as("admin1"), h.as("supervisor1")
	post := func(b *browser, path string, form url.Values) answer { t.Helper(); return b.post(path, form) }
	if p := post(writer, "/survey/templates", url.Values{"name": {"call"}, "body": {"请评价{unit}{date}{class}：{scale} www.x.cn"}}); p.status != 422 || !strings.Contains(p.body, "www.") {
		t.Errorf("a link: %d", p.status)
	}
	body := "您好，请评价{unit}{date}的{class}服务：{scale}。回复数字即可，拒收回T"
	post(writer, "/survey/templates", url.Values{"name": {"call"}, "body": {body}})
	page := second.get("/survey/templates").body
	for _, want := range []string{"v1", "待批准", "¥0.050", "【本溪公安】您好，请评价站前派出所11月22日的110接处警服务"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(writer.get("/survey/templates").body, `action="/survey/templates/call/1"`) {
		t.Error("the author is offered to approve it")
	}
	if p := post(writer, "/survey/templates/call/1", url.Values{"do": {"approve"}}); p.status != http.StatusForbidden {
		t.Errorf("the author approved it: %d", p.status)
	}
	if p := post(second, "/survey/templates/call/1", url.Values{"do": {"approve"}, "note": {"同意"}}); !strings.Contains(p.body, "已批准，下次执行起生效") {
		t.Errorf("not approved: %s", p.plain())
	}
	if p := post(h.as("analyst1"), "/survey/templates", url.Values{"name": {"call"}, "body": {body}}); p.status != http.StatusForbidden {
		t.Errorf("an analyst proposed: %d", p.status)
	}
}

func TestTwoPersonsOfDifferentUnitsExcludeARatingOnThePage(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("supervisor1")
	ask := regexp.MustCompile(`/exclusions\?ask=([0-9A-Z]+)`).FindStringSubmatch(b.get("/survey/list?day=" + s.yesterday() + "&figure=rated").body)
	if ask == nil {
		t.Fatal("the list of ratings offers no exclusion")
	}
	if p := b.get("/exclusions?ask=" + ask[1]); !strings.Contains(p.body, "提出剔除") {
		t.Fatal("no form")
	}
	b.post("/exclusions", url.Values{"ask": {ask[1]}, "reason": {"来电确认按错数字"}})
	offer := regexp.MustCompile(`action="/exclusions/([0-9A-Z]+)"`)
	if offer.MatchString(b.get("/exclusions").body) {
		t.Error("the first person is offered to agree")
	}
	second := s.as("inspector1")
	page := second.get("/exclusions").body
	id := offer.FindStringSubmatch(page)
	if id == nil {
		t.Fatalf("the second person is offered nothing: %s", page)
	}
	if strings.Contains(page, "****") {
		t.Error("the page shows whose rating it is")
	}
	if p := second.post("/exclusions/"+id[1], url.Values{"do": {"agree"}}); !strings.Contains(p.body, "已剔除") {
		t.Errorf("not excluded: %s", p.plain())
	}
	s.view(func(tx *storage.Tx) error {
		f, err := s.survey.Day(tx, s.dayBefore())
		if f.Whole.Excluded != 1 {
			t.Errorf("%d excluded", f.Whole.Excluded)
		}
		return err
	})
}

func TestFiguresOfSeveralDaysAreExportedAsWorkbookAndCSV(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("supervisor1")
	p := b.get("/survey/figures/export?from=2026-11-01&to=" + s.yesterday())
	if p.status != 200 || !strings.HasPrefix(p.body, "PK") {
		t.Errorf("workbook: %d %.10q", p.status, p.body)
	}
	book, err := excelize.OpenReader(strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if about, err := book.GetDocProps(); err != nil || !strings.Contains(about.Description, "导出人 贺长青") {
		t.Errorf("the workbook does not say who took it out: %+v, %v", about, err)
	}
	csv := b.get("/survey/figures/export?from=2026-11-01&to=" + s.yesterday() + "&format=csv&table=3")
	if csv.status != 200 || !strings.Contains(csv.body, "sim") || !strings.Contains(csv.body, "95%区间下限") {
		t.Errorf("CSV by channel: %d %.300s", csv.status, csv.body)
	}
	if strings.Contains(csv.body, "****") {
		t.Error("an export of figures holds numbers")
	}
	if p := b.get("/survey/figures?from=2026-11-23&to=2026-11-01"); p.status != http.StatusBadRequest {
		t.Errorf("a range that ends before it begins: %d", p.status)
	}
}

func TestWordsOfRepliesAreFoundAndNeverStandInAnAddress(t *testing.T) {
	s := newHouse(t).fill()
	b := s.as("caller1")
	var words string
	s.view(func(tx *storage.Tx) error {
		all, err := s.survey.Replies(tx, s.dayBefore(), s.dayBefore().Add(2), 10)
		for _, i := range all {
			if len([]rune(i.Words)) > 3 {
				words = string([]rune(i.Words)[:4])
			}
		}
		return err
	})
	if words == "" {
		t.Fatal("no reply of words")
	}
	p := b.post("/replies/search", url.Values{"q": {words}})
	if p.status != 200 || !strings.Contains(p.body, "近90天内找到 1 条") || strings.Contains(p.path, "q=") {
		t.Errorf("%d %s %s", p.status, p.path, p.plain())
	}
}
