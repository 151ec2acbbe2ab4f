package console

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"lianxin/storage"
	"lianxin/ticket"
)

// window is one of a real browser in which a sample account is signed in.
type window struct {
	t   testing.TB
	h   *house
	ctx context.Context
}

// chromium is the browser of all tests of this package: each window has cookies of its own, and starting one takes longer than
// most of what is looked at. It goes with the last test.
var chromium = sync.OnceValues(func() (context.Context, error) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("lang", "zh-CN"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	closeChromium = stop
	ctx, _ = chromedp.NewContext(ctx) // ends with its allocator
	return ctx, chromedp.Do(ctx)
})

var closeChromium = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeChromium()
	os.Exit(code)
}

// fits opens a page and looks whether anything sticks out of it, as a desk shows it and as a telephone does.
func (w *window) fits(name, path string) {
	w.t.Helper()
	w.open(path)
	for _, size := range []struct {
		name          string
		width, height int64
		how           []chromedp.EmulateViewportOption
	}{{"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile}}, {"desk", 1366, 900, nil}} {
		w.do(chromedp.EmulateViewport(size.width, size.height, size.how...))
		w.shot(size.name + "-" + name)
		if out := eval[[]string](w, wider); len(out) > 0 {
			w.t.Errorf("%s sticks out at %d px: %q", name, size.width, out)
		}
	}
}

// window opens a window of this size for a sample account, with cookies of its own.
func (h *house) window(t testing.TB, login string, width, height int64) *window {
	t.Helper()
	b := h.as(login)
	chrome, err := chromium()
	if err != nil {
		t.Fatalf("start Chromium (make tools installs it): %v", err)
	}
	ctx, stop := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(stop)
	w := &window{t, h, ctx}
	home, err := url.Parse(h.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	var how []chromedp.EmulateViewportOption
	if width < 600 {
		how = append(how, chromedp.EmulateMobile)
	}
	w.do(chromedp.EmulateViewport(width, height, how...))
	for _, c := range b.client.Jar.Cookies(home) {
		if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: h.http.URL}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *window) open(path string) {
	w.t.Helper()
	w.do(chromedp.Navigate(w.h.http.URL+path), chromedp.WaitReady("#main"))
}

// eval is the value of a script in the page.
func eval[T any](w *window, script string) T {
	w.t.Helper()
	v, err := chromedp.Run(w.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		w.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits until a script in the page is true.
func (w *window) until(what, script string) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// A page that is just being replaced has nothing to say yet.
		if ok, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](script)); ok && err == nil {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s did not happen; the page says: %s", what, eval[string](w, `document.body.innerText.slice(0, 2000)`))
		}
	}
}

// shot keeps a picture of the page where LIANXIN_SHOTS names a folder, for people to look at.
func (w *window) shot(name string) {
	w.t.Helper()
	dir := os.Getenv("LIANXIN_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// wider are the elements that stick out of the page to the right, but for those in a box that scrolls.
const wider = `[...document.querySelectorAll('body *')].filter(e => {
	if (e.closest('.scroll, .side, pre') || !e.checkVisibility()) return false;
	return e.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
}).slice(0, 5).map(e => e.tagName + '.' + e.className + ' ' + (e.textContent || '').trim().slice(0, 40))`

func TestPagesFitAPhoneAndADesk(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	windows := map[string]*window{}
	for _, c := range []struct{ login, name, path string }{
		{"dispatcher1", "tickets", "/tickets?open=1"}, {"dispatcher1", "ticket-accepted", "/tickets/" + s.accepted.ID}, {"operator1", "ticket-fresh", "/tickets/" + s.fresh.ID},
		{"handler1", "ticket-handling", "/tickets/" + s.handling.ID}, {"supervisor1", "ticket-asked", "/tickets/" + s.asked.ID},
		{"caller1", "ticket-rating", "/tickets/" + s.rating.ID}, {"caller1", "ticket-sms", "/tickets/" + s.bySMS.ID}, {"leader1", "ticket-rework", "/tickets/" + s.rework.ID},
		{"operator1", "new", "/tickets/new"}, {"caller1", "callbacks", "/callbacks"}, {"caller1", "callback", "/callbacks/" + s.abandoned.ID},
		{"supervisor1", "alerts", "/alerts"}, {"supervisor1", "alert", "/alerts/" + s.alert.ID}, {"auditor1", "log", "/log"},
		{"leader1", "today", "/today"}, {"handler1", "today-unit", "/today"}, {"supervisor1", "notices", "/notices"}, {"inspector1", "persons", "/persons"}, {"supervisor1", "mail-texts", "/mail-texts"},
		{"admin1", "connectors", "/connectors"}, {"admin1", "privacy", "/privacy"}, {"dispatcher1", "imports", "/imports"}, {"dispatcher1", "inbox", "/inbox"},
	} {
		if windows[c.login] == nil {
			windows[c.login] = s.window(t, c.login, 1366, 900)
		}
		windows[c.login].fits(c.name, c.path)
	}
}

func TestOpenPagesFollowWhatHappens(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	list := s.window(t, "dispatcher1", 1366, 900)
	list.open("/tickets?open=1")
	connected := `performance.getEntriesByType('resource').some(e => e.name.endsWith('/events')) || !document.body.classList.contains('offline')`
	list.until("the page connects", connected)
	page := s.window(t, "dispatcher2", 1366, 900)
	page.open("/tickets/" + s.accepted.ID)
	page.until("the page connects", connected)

	// A ticket that is opened elsewhere comes into the list by itself.
	x := s.open(ticket.Intake{Title: "新来的诉求立刻可见", Body: "内容"})
	list.until("the new ticket comes into the list", `document.querySelector('#list').innerText.includes('新来的诉求立刻可见')`)

	// A ticket that somebody else moves on shows it, says that the forms are out of date, and keeps what is being typed.
	eval[bool](page, `(() => { document.querySelector('#act-raise').open = true; document.querySelector('#act-raise textarea').value = '正在写的理由'; return true })()`)
	s.as("dispatcher1").must(s.accepted.ID, "dispatch", form("host", "210502-zhanqian"))
	page.until("the new state is shown", `document.querySelector('#t-head').innerText.includes('待签收')`)
	page.until("the reader is told", `document.querySelector('#t-head').innerText.includes('该诉求已有新的变化')`)
	page.until("the timeline goes on", `document.querySelector('#t-main').innerText.includes('主办 站前派出所')`)
	page.until("the clocks change", `document.querySelector('#t-side').innerText.includes('签收')`)
	if got := eval[string](page, `document.querySelector('#act-raise textarea').value`); got != "正在写的理由" {
		t.Errorf("what was being typed became %q", got)
	}
	page.shot("desk-ticket-changed")

	// An alert stands on the page of alerts at once, and a call-back on its list.
	alerts := s.window(t, "supervisor1", 390, 844)
	alerts.open("/alerts")
	alerts.until("the page connects", connected)
	s.do(func(tx *storage.Tx) error {
		return did(s.office.RaiseAlert(tx, ticket.Alert{Rule: "W1", Level: ticket.Red, Title: "刚刚发生的预警", TicketID: x.ID, By: ticket.System}))
	})
	alerts.until("the alert comes", `document.querySelector('#list').innerText.includes('刚刚发生的预警')`)

	// A refusal keeps what was typed, in the browser too.
	page.open("/tickets/" + x.ID)
	eval[bool](page, `(() => { const f = document.querySelector('#act-accept'); f.open = true; f.querySelector('[name=note]').value = '写好的备注'; f.querySelector('[name=kind]').value = 'help'; return true })()`)
	s.as("operator2").must(x.ID, "accept", form("colour", "蓝", "kind", "help", "validity", "effective"))
	eval[bool](page, `(() => { document.querySelector('#act-accept form').requestSubmit(); return true })()`)
	page.until("the refusal is shown", `document.body.innerText.includes('写好的备注') && document.body.innerText.includes('请看清后再操作')`)
	page.shot("desk-ticket-refused")
}
