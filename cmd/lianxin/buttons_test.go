package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"lianxin/contact"
	"lianxin/ivr/softphone"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// ringsAt waits for a telephone to ring and answers it.
func ringsAt(ctx context.Context, t *testing.T, p *softphone.Phone) (*softphone.Ringing, *softphone.Call) {
	t.Helper()
	select {
	case r := <-p.Incoming():
		c, err := r.Answer(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return r, c
	case <-ctx.Done():
		t.Fatalf("%s does not ring", p.User())
	}
	return nil, nil
}

// The whole way from a button in Chromium, through the running server, to registered telephones and a carrier's line: call back, hold,
// consult, conference, 110, transfer, and a number that may not be called.
func TestButtonsOfTheConsoleWorkTheTelephones(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Second)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sound, err := media.NewEngine(media.Config{PortLow: 26200, PortHigh: 26399})
	must(err)
	defer sound.Close()
	carrier, err := softphone.New(softphone.Config{User: "carrier", Server: "127.0.0.1:9", Engine: sound})
	must(err)
	t.Cleanup(carrier.Crash)
	cfg := defaults(t, t.TempDir()+"/data")
	cfg.WrapUp = 100 * time.Millisecond
	cfg.Telephony = telephonySettings{Police: "110", Trunks: []trunkSettings{{Name: "line", Proxy: "sip:" + carrier.Addr()}},
		Outbound: outboundSettings{Allow: []string{"110", "1[3-9]xxxxxxxxx"}, Number: "46110110"}}
	u := start(t, cfg)
	_, addr, _ := strings.Cut(u.c.phones.Addrs()[0], "://")
	phones := map[string]*softphone.Phone{}
	for _, ext := range []string{"8001", "8002"} {
		p, err := softphone.New(softphone.Config{User: ext, Password: u.c.sample.PhonePassword, Server: addr, Engine: sound})
		must(err)
		t.Cleanup(p.Crash)
		must(p.Register(ctx))
		phones[ext] = p
	}

	var tk ticket.Ticket
	var cb ticket.Callback
	must(u.c.db.Update(ctx, func(tx *storage.Tx) error {
		phone, err := contact.ParsePhone("13841400009")
		if err != nil {
			return err
		}
		who, err := u.c.book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		if tk, err = u.c.office.Open(tx, ticket.Intake{Channel: "hotline", Kind: ticket.Help, Title: "路灯不亮", Body: "解放路路灯不亮。", ContactID: who.ID, By: ticket.Bot}); err != nil {
			return err
		}
		cb, err = u.c.office.OpenCallback(tx, ticket.Callback{Kind: ticket.CallbackMessage, ContactID: who.ID, CallID: "earlier", Reason: "留言要求回电", By: ticket.Bot})
		return err
	}))

	page := newTab(t, 1366, 900)
	page.do(chromedp.Navigate(strings.Replace(u.base, "127.0.0.1", "localhost", 1) + "/sign-in"))
	page.run(fmt.Sprintf(`(() => { const f = document.querySelector('form'); f.login.value = 'operator1'; f.password.value = %q; f.submit() })()`, u.c.sample.Password))
	page.until("signed in", `!location.pathname.startsWith('/sign-in') && document.querySelector('.side')`)
	open := func(path string) {
		t.Helper()
		page.run(fmt.Sprintf(`(() => { location.href = %q })()`, path))
		page.until(path, fmt.Sprintf(`location.pathname === %q && document.querySelector('#main')`, path))
	}
	press := func(action string) { // the button of a form
		t.Helper()
		page.click(`form[action="` + action + `"] button`)
	}

	// Call back from the page of the call-back.
	open("/callbacks/" + cb.ID)
	page.shot("callback-1366")
	press("/callbacks/" + cb.ID + "/dial")
	_, op := ringsAt(ctx, t, phones["8001"])
	out, citizen := ringsAt(ctx, t, carrier)
	if out.To != "13841400009" || out.From != "46110110" {
		t.Errorf("%s calls %s", out.From, out.To)
	}
	page.until("the page of the call", `location.pathname.startsWith('/live/')`)
	id := page.run(`location.pathname.split('/')[2]`)
	live := func(do string) { t.Helper(); press("/live/" + id + "/" + do) }
	citizen.Tone(500)
	must(op.HearsTone(ctx, 500))
	op.Tone(700)
	must(citizen.HearsTone(ctx, 700))
	page.until("it talks", `document.querySelector('form[action$="/hold"]')`)
	page.shot("live-1366")

	// Hold and back.
	live("hold")
	music, err := u.c.prompts.Get("music.wait")
	must(err)
	must(citizen.HearsLoop(ctx, music))
	live("resume")
	must(citizen.HearsTone(ctx, 700))
	op.Tone(0) // one at a time: a tone is told from silence, not from another
	citizen.Tone(0)

	// Consult a colleague, and then all three.
	page.until("whom to consult", `document.querySelector('input[name=to]')`)
	page.run(`(() => { const f = document.querySelector('form[action$="/consult"]'); f.to.value = '8002'; f.querySelector('button:not([formaction])').click() })()`)
	_, colleague := ringsAt(ctx, t, phones["8002"])
	colleague.Tone(900)
	must(op.HearsTone(ctx, 900))
	live("join")
	must(citizen.HearsTone(ctx, 900))
	colleague.Tone(0)

	// 110.
	live("police")
	out, police := ringsAt(ctx, t, carrier)
	if out.To != "110" {
		t.Errorf("%s is called for 110", out.To)
	}
	police.Tone(1100)
	must(citizen.HearsTone(ctx, 1100))
	page.until("the page says that 110 is there", `document.querySelector('#state')?.innerText.includes('110')`)
	page.do(chromedp.EmulateViewport(390, 844))
	page.shot("live-390")
	page.do(chromedp.EmulateViewport(1366, 900))
	must(police.Hangup(ctx))
	must(colleague.Hangup(ctx))
	op.Tone(700)
	must(citizen.HearsTone(ctx, 700))
	op.Tone(0)

	// Transfer: the colleague has the call, who transferred it is free.
	page.run(`(() => { const f = document.querySelector('form[action$="/consult"]'); f.to.value = '8002'; f.querySelector('button[formaction$="/transfer"]').click() })()`)
	_, colleague = ringsAt(ctx, t, phones["8002"])
	<-op.Done()
	colleague.Tone(900)
	must(citizen.HearsTone(ctx, 900))
	must(citizen.Hangup(ctx))
	<-colleague.Done()
	eventually(t, "the call is over", func() bool { return len(u.c.hotline.Live()) == 0 })

	// The citizen of a ticket, from its page.
	open("/tickets/" + tk.ID)
	page.shot("ticket-dial-1366")
	press("/tickets/" + tk.ID + "/dial")
	_, op = ringsAt(ctx, t, phones["8001"])
	out, citizen = ringsAt(ctx, t, carrier)
	if out.To != "13841400009" {
		t.Errorf("%s is called", out.To)
	}
	citizen.Tone(500)
	must(op.HearsTone(ctx, 500))
	must(op.Hangup(ctx))
	<-citizen.Done()
	eventually(t, "that call is over too", func() bool { return len(u.c.hotline.Live()) == 0 })

	// A number that may not be called rings nobody's phone.
	open("/calls")
	page.run(`(() => { const f = document.querySelector('form[action="/dial"]'); f.closest('details').open = true; f.number.value = '0085212345678'; f.querySelector('button').click() })()`)
	page.until("it is refused", `document.body.innerText.includes('不在允许呼叫的范围内')`)
	select {
	case <-phones["8001"].Incoming():
		t.Error("the operator's phone rings for a number that may not be called")
	case <-time.After(300 * time.Millisecond):
	}
}
