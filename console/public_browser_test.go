package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

// The public's form on a phone: the page itself does the work that keeps floods away.
func TestThePublicWritesAndLooksOnAPhone(t *testing.T) {
	h := newHouse(t)
	w := h.window(t, "caller1", 390, 844)
	fits := func(page string) {
		if wide := eval[int](w, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s is %d px wide on a phone of 390", page, wide)
		}
	}
	w.open("/p")
	fits("the form")
	if text := eval[string](w, `document.body.innerText`); strings.Contains(text, "已附上当前位置") {
		t.Error("the form claims a position that nobody gave")
	}
	w.shot("public-form-390")
	eval[bool](w, `(() => { const f = document.forms[0]; f.elements.body.value = '我家楼下烧烤店营业到凌晨两点，油烟和噪音都很大，希望管一管。'; f.elements.phone.value = '13912345678'; f.elements.place.value = '平山区平山路1号'; f.requestSubmit(); return true })()`)
	w.until("a number and a code", `!!document.querySelector('.done .big')`)
	fits("the receipt")
	w.shot("public-done-390")
	eval[bool](w, `document.querySelector('.done form').requestSubmit() || true`)
	w.until("the progress", `!!document.querySelector('.way')`)
	fits("the progress")
	w.shot("public-look-390")
	if text := eval[string](w, `document.body.innerText`); !strings.Contains(text, "我们承诺在") || strings.Contains(text, "13912345678") {
		t.Errorf("the progress says %s", text)
	}
	if n := eval[int](w, `performance.getEntriesByType('resource').filter(r => !r.name.startsWith(location.origin) && !r.name.startsWith('blob:') && !r.name.startsWith('data:')).length`); n > 0 {
		t.Errorf("the page asks %d things of others", n)
	}
	h.update(func(tx *storage.Tx) error {
		_, err := h.gateway.PutConnector(tx, channel.Connector{Channel: "12345", Kind: channel.Push, Name: "12345结果回写", Secret: "k", Enabled: true, Settings: channel.Settings{URL: "https://127.0.0.1:9/x"}}, ticket.System)
		return err
	})
	for path, login := range map[string]string{"/inbox": "supervisor1", "/connectors": "admin1", "/channels": "admin1", "/imports": "supervisor1", "/export": "supervisor1", "/privacy": "admin1", "/results": "supervisor1"} {
		for _, width := range []int64{1366, 390} {
			w := h.window(t, login, width, 844)
			w.open(path)
			if wide := eval[int](w, `document.documentElement.scrollWidth`); wide > int(width) {
				t.Errorf("%s is %d px wide of %d", path, wide, width)
			}
			w.shot(strings.Trim(path, "/") + map[int64]string{1366: "-1366", 390: "-390"}[width])
		}
	}
}

func TestWhatIsTooOldIsShownAndTakenOutOnThePage(t *testing.T) {
	h := newHouse(t)
	k := h.open(ticket.Intake{Channel: "web", Kind: ticket.Inquiry, By: ticket.System})
	h.do(func(tx *storage.Tx) error {
		_, err := h.office.Refuse(tx, k.ID, "elsewhere", ticket.Reply{Text: "请向有权机关反映", Via: "web"}, h.actor("dispatcher1"))
		return err
	})
	h.pass(11 * 366 * 24 * 60 * 60 * 1e9)
	admin := h.as("admin1")
	if p := admin.get("/privacy"); p.status != http.StatusOK || !strings.Contains(p.body, "立即匿名化 1 条") {
		t.Fatalf("%d", p.status)
	}
	if p := h.as("operator1").post("/privacy", form()); p.status != http.StatusForbidden {
		t.Errorf("an operator: %d", p.status)
	}
	if p := admin.post("/privacy", form()); !strings.Contains(p.body, "已匿名化 1 条") {
		t.Errorf("%d", p.status)
	}
	if got := h.get(k.ID); got.Title != ticket.Erased || got.State != ticket.Refused {
		t.Errorf("%q %s", got.Title, got.State)
	}
}
