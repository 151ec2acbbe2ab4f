package console

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// window is one of a real browser in which a sample account is signed in.
type window struct {
	t   testing.TB
	h   *house
	ctx context.Context
}

// chromium is the house's browser. It fails, and does not skip, where Chromium is not installed (make tools).
func (h *house) chromium() context.Context {
	h.t.Helper()
	if h.chrome == nil {
		opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("lang", "zh-CN"))
		ctx, stop := context.WithTimeout(h.ctx, 4*time.Minute)
		h.t.Cleanup(stop)
		ctx, stop = chromedp.NewExecAllocator(ctx, opts...)
		h.t.Cleanup(stop)
		ctx, stop = chromedp.NewContext(ctx)
		h.t.Cleanup(stop)
		if err := chromedp.Do(ctx); err != nil {
			h.t.Fatalf("start Chromium: %v", err)
		}
		h.chrome = ctx
	}
	return h.chrome
}

// window opens a window of this size for a sample account, with cookies of its own.
func (h *house) window(t testing.TB, login string, width, height int64) *window {
	t.Helper()
	b := h.as(login)
	ctx, stop := chromedp.NewContext(h.chromium(), chromedp.WithNewBrowserContext())
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
	for end := time.Now().Add(30 * time.Second); !eval[bool](w, script); time.Sleep(50 * time.Millisecond) {
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
	s := newHouse(t).fill()
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"desk", 1366, 900}} {
		windows := map[string]*window{}
		for _, c := range []struct{ login, name, path string }{
			{"dispatcher1", "tickets", "/tickets?open=1"}, {"dispatcher1", "ticket-accepted", "/tickets/" + s.accepted.ID}, {"operator1", "ticket-fresh", "/tickets/" + s.fresh.ID},
			{"handler1", "ticket-handling", "/tickets/" + s.handling.ID}, {"supervisor1", "ticket-asked", "/tickets/" + s.asked.ID},
			{"caller1", "ticket-rating", "/tickets/" + s.rating.ID}, {"caller1", "ticket-sms", "/tickets/" + s.bySMS.ID}, {"leader1", "ticket-rework", "/tickets/" + s.rework.ID},
			{"operator1", "new", "/tickets/new"}, {"caller1", "callbacks", "/callbacks"}, {"caller1", "callback", "/callbacks/" + s.abandoned.ID},
			{"supervisor1", "alerts", "/alerts"}, {"supervisor1", "alert", "/alerts/" + s.alert.ID}, {"auditor1", "log", "/log"},
		} {
			if windows[c.login] == nil {
				windows[c.login] = s.window(t, c.login, size.width, size.height)
			}
			w := windows[c.login]
			w.open(c.path)
			w.shot(fmt.Sprintf("%s-%s", size.name, c.name))
			if out := eval[[]string](w, wider); len(out) > 0 {
				t.Errorf("%s sticks out at %d px: %q", c.name, size.width, out)
			}
		}
	}
}
