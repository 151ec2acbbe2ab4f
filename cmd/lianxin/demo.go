package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/city"
	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/softphone"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/survey/reply"
	"lianxin/ticket"
	"lianxin/workday"
)

type demoCmd struct {
	Keep    string `help:"Keep the data of the day in this folder, which must be empty, instead of throwing it away." type:"path" placeholder:"DIR"`
	Verbose bool   `help:"Show the program's own log too."`
}

// Run plays one whole day: a server on free ports, telephones that call it over SIP and RTP, a morning of texts and the
// residents' answers. Everything that should have come of it is looked up afterwards; what is missing makes it fail.
func (d *demoCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	dir := d.Keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "lianxin-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("demo: %s is not empty", dir)
	}
	own := *cfg
	own.Data, own.HTTP, own.SIP, own.Database = dir, "127.0.0.1:0", "127.0.0.1:0", ""
	own.RTPPorts = PortRange{Low: 26000, High: 26399}
	own.Window, own.Carriers, own.Drain = "00:00-24:00", []string{"sim"}, 0
	own.Sample, own.SamplePassword, own.WrapUp = true, "", time.Second
	own.SurveyAt = "0 4 1 1 *" // by hand below, so that the day can be played at any hour

	log := slog.New(slog.DiscardHandler)
	if d.Verbose {
		log = newLogger(m.Err, cfg)
	}
	play := &play{out: m.Out, began: time.Now()}
	stopped := make(chan error, 1)
	up := make(chan *centre, 1)
	serving, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		stopped <- serve(serving, &own, log, func(c *centre, web net.Listener) {
			play.web = "http://" + web.Addr().String()
			up <- c
		})
	}()
	select {
	case play.c = <-up:
	case err := <-stopped:
		return fmt.Errorf("demo: start the server: %w", err)
	}
	err := play.day(ctx)
	stop()
	if ended := <-stopped; err == nil && ended != nil {
		err = fmt.Errorf("demo: stop the server: %w", ended)
	}
	if err != nil {
		fmt.Fprintf(m.Out, "\n✗ %v\n", err)
		return errSaid
	}
	fmt.Fprintf(m.Out, "\n✓ one day in %s; everything that should have happened did\n", time.Since(play.began).Round(time.Second))
	if d.Keep != "" {
		fmt.Fprintf(m.Out, "  look at it: lianxin serve --data %s\n", d.Keep)
	}
	return nil
}

// play is one day of the demonstration.
type play struct {
	out   io.Writer
	began time.Time
	c     *centre
	web   string
	sound *media.Engine
	addr  string // of the exchange
}

func (p *play) act(title string) { fmt.Fprintf(p.out, "\n%s\n", title) }

// say prints one line of what happens, with the time since the beginning.
func (p *play) say(format string, args ...any) {
	fmt.Fprintf(p.out, "  %5.1fs  %s\n", time.Since(p.began).Seconds(), fmt.Sprintf(format, args...))
}

func (p *play) day(ctx context.Context) (err error) {
	fmt.Fprintln(p.out, "连心 Lianxin · one day on real sockets")
	_, p.addr, _ = strings.Cut(p.c.phones.Addrs()[0], "://")
	p.say("server up: SIP %s, console %s, %d sample accounts", p.addr, p.web, len(p.c.sample.SignIns))
	if p.sound, err = media.NewEngine(media.Config{PortLow: 26400, PortHigh: 26599}); err != nil {
		return fmt.Errorf("demo: sound of the telephones: %w", err)
	}
	defer p.sound.Close()
	for _, part := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"一 · A call that reaches an operator", p.answeredCall},
		{"二 · Nobody there: a message", p.messageCall},
		{"三 · The morning: yesterday's users are asked", p.morning},
		{"四 · What they answer", p.answers},
		{"五 · What came of the day", p.evening},
	} {
		p.act(part.title)
		if err := part.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.title, err)
		}
	}
	return nil
}

func (p *play) phone(user, password string) (*softphone.Phone, error) {
	return softphone.New(softphone.Config{User: user, Password: password, Server: p.addr, Engine: p.sound})
}

// hears waits until a call hears a prompt.
func (p *play) hears(ctx context.Context, call *softphone.Call, key string) error {
	prompt, err := p.c.prompts.Get(key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	if err := call.Hears(ctx, prompt); err != nil {
		return fmt.Errorf("the caller did not hear %q: %w", p.c.prompts.Text(key), err)
	}
	p.say("caller hears “%s”", shorten(p.c.prompts.Text(key)))
	return nil
}

func shorten(text string) string {
	if r := []rune(text); len(r) > 28 {
		return string(r[:28]) + "…"
	}
	return text
}

const callerNumber = "19900007001"

// answeredCall: menu, 0, an operator, tones both ways, a rating.
func (p *play) answeredCall(ctx context.Context) error {
	operator, err := p.phone("8001", p.c.sample.PhonePassword)
	if err != nil {
		return err
	}
	defer operator.Close()
	if err := operator.Register(ctx); err != nil {
		return fmt.Errorf("register the operator's phone: %w", err)
	}
	if err := p.until(ctx, "operator 8001 is ready", func() (bool, error) { return p.operatorIs(ctx, "8001", desk.Ready) }); err != nil {
		return err
	}
	p.say("operator's phone 8001 registered (digest), 就绪")

	caller, err := p.phone(callerNumber, "")
	if err != nil {
		return err
	}
	defer caller.Close()
	call, err := caller.Dial(ctx, p.c.cfg.Hotline)
	if err != nil {
		return fmt.Errorf("call the hotline: %w", err)
	}
	if err := p.hears(ctx, call, "notice.recording"); err != nil {
		return err
	}
	if err := p.hears(ctx, call, "greeting"); err != nil {
		return err
	}
	p.say("caller presses 0")
	if err := call.Press(ctx, "0"); err != nil {
		return err
	}
	var ringing *softphone.Ringing
	select {
	case ringing = <-operator.Incoming():
	case <-call.Done():
		return errors.New("the call ended before an operator's phone rang")
	case <-ctx.Done():
		return ctx.Err()
	}
	p.say("operator's phone rings")
	talk, err := ringing.Answer(ctx)
	if err != nil {
		return fmt.Errorf("answer the operator's phone: %w", err)
	}
	call.Tone(440)
	talk.Tone(660)
	if err := talk.HearsTone(ctx, 440); err != nil {
		return fmt.Errorf("the operator does not hear the caller: %w", err)
	}
	if err := call.HearsTone(ctx, 660); err != nil {
		return fmt.Errorf("the caller does not hear the operator: %w", err)
	}
	p.say("both hear each other (440 Hz there, 660 Hz back)")
	call.Tone(0)
	if err := talk.Hangup(ctx); err != nil {
		return fmt.Errorf("operator hangs up: %w", err)
	}
	p.say("operator hangs up")
	if err := p.hears(ctx, call, "rating.ask"); err != nil {
		return err
	}
	if err := call.Press(ctx, "1"); err != nil {
		return err
	}
	p.say("caller presses 1 (非常满意)")
	if err := p.over(ctx, call); err != nil {
		return err
	}
	if err := operator.Unregister(ctx); err != nil {
		return fmt.Errorf("unregister the operator's phone: %w", err)
	}
	return p.until(ctx, "operator 8001 is offline", func() (bool, error) { return p.operatorIs(ctx, "8001", desk.Offline) })
}

// messageCall: nobody is signed in; the bot takes a message, and a call-back is due.
func (p *play) messageCall(ctx context.Context) error {
	caller, err := p.phone("19900007002", "")
	if err != nil {
		return err
	}
	defer caller.Close()
	call, err := caller.Dial(ctx, p.c.cfg.Hotline)
	if err != nil {
		return fmt.Errorf("call the hotline: %w", err)
	}
	if err := p.hears(ctx, call, "menu.main"); err != nil {
		return err
	}
	if err := call.Press(ctx, "1"); err != nil {
		return err
	}
	p.say("caller presses 1 (反映诉求)")
	if err := p.hears(ctx, call, "beep"); err != nil {
		return err
	}
	call.Tone(500)
	time.Sleep(4 * time.Second)
	call.Tone(0)
	p.say("caller speaks for four seconds, then presses #")
	if err := call.Press(ctx, "#"); err != nil {
		return err
	}
	if err := p.hears(ctx, call, "message.confirm"); err != nil {
		return err
	}
	if err := call.Press(ctx, "1"); err != nil {
		return err
	}
	if err := p.hears(ctx, call, "message.saved"); err != nil {
		return err
	}
	p.say("caller hangs up")
	return call.Hangup(ctx)
}

// over waits until the other side has hung up, pressing nothing.
func (p *play) over(ctx context.Context, call *softphone.Call) error {
	select {
	case <-call.Done():
		p.say("call over")
		return nil
	case <-time.After(60 * time.Second):
		return errors.New("the call did not end")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// morning imports yesterday's records, as a file, and runs the survey until every text has its receipt.
func (p *play) morning(ctx context.Context) error {
	yesterday := workday.DayOf(time.Now()).Add(-1)
	records, err := city.Records(yesterday)
	if err != nil {
		return err
	}
	file := filepath.Join(p.c.cfg.Data, "records.csv")
	if err := os.WriteFile(file, records, 0o600); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := p.c.survey.Import(ctx, f, "records.csv", survey.ImportOptions{})
	if err != nil {
		return err
	}
	p.say("%d lines of yesterday's records: %d accepted, %d known since the first start, %d refused with their reasons", sum.Lines, sum.Accepted, sum.Known+sum.Corrected, sum.Refused)
	res, err := p.c.survey.Run(ctx, yesterday, survey.RunOptions{})
	if err != nil {
		return err
	}
	p.say("%d records decided: %d people asked", res.Planned, res.Asked)
	for _, reason := range survey.Reasons {
		if n := res.Not[reason]; n > 0 {
			p.say("  %3d not asked: %s", n, reason.Label())
		}
	}
	if res.Asked < 20 || len(res.Not) < 8 {
		return fmt.Errorf("%d asked and %d reasons for not asking: the sample should give more", res.Asked, len(res.Not))
	}
	again, err := p.c.survey.Run(ctx, yesterday, survey.RunOptions{})
	if err != nil {
		return err
	}
	if again.Asked != 0 {
		return fmt.Errorf("a second run asked %d people again", again.Asked)
	}
	p.say("a second run asks nobody again")
	p.c.outbox.Wake()
	err = p.until(ctx, "every text has its receipt", func() (bool, error) {
		f, err := p.figures(ctx, yesterday)
		w := f.Whole.Count
		return w[survey.Waiting] == 0 && w[survey.Pending] == 0 && w[survey.Delivered] > 0, err
	})
	if err != nil {
		return err
	}
	fig, err := p.figures(ctx, yesterday)
	p.say("%d texts sent, %d delivered", fig.Whole.Count[survey.Sent], fig.Whole.Count[survey.Delivered])
	return err
}

func (p *play) figures(ctx context.Context, day workday.Day) (f survey.Figures, err error) {
	err = p.c.db.View(ctx, func(tx *storage.Tx) error {
		f, err = p.c.survey.Day(tx, day)
		return err
	})
	return f, err
}

// replies are what residents write, one each; the first words are for people to read in the output.
var replies = []struct {
	text string
	want reply.Label
	rate int
}{
	{"1", reply.Rating, 1},
	{"满意，来得挺快", reply.Rating, 2},
	{"2", reply.Rating, 2},
	{"１", reply.Rating, 1},
	{"非常满意，谢谢小伙子们", reply.Rating, 1},
	{"一般吧", reply.Rating, 3},
	{"5，等了两个小时没人来，太让人寒心", reply.Rating, 5},
	{"不满意", reply.Rating, 4},
	{"1，态度太差了", reply.Review, 0},
	{"等了2个小时", reply.Review, 0},
	{"别再给我发短信了", reply.OptOut, 0},
	{"再不管我就不活了", reply.Review, 0},
	{"收到", reply.Other, 0},
	{"满意", reply.Rating, 2},
	{"挺好的", reply.Rating, 2},
}

// answers lets as many residents as there are replies take their handset and write.
func (p *play) answers(ctx context.Context) error {
	handsets, err := p.c.sim.Handsets(ctx, 100)
	if err != nil {
		return err
	}
	n := 0
	var opted contact.Phone
	for _, h := range handsets {
		if n == len(replies) {
			break
		}
		if h.State != "delivered" {
			continue
		}
		if n == 0 {
			p.say("a text as it arrives: %s", h.Body)
		}
		if _, err := p.c.sim.Reply(ctx, h.Phone, replies[n].text); err != nil {
			return err
		}
		if replies[n].want == reply.OptOut {
			opted = h.Phone
		}
		n++
	}
	if n < len(replies) {
		return fmt.Errorf("only %d handsets had a text, %d are needed", n, len(replies))
	}
	stranger, err := contact.ParseMobile("19900009999")
	if err != nil {
		return err
	}
	if _, err := p.c.sim.Reply(ctx, stranger, "你们是谁？"); err != nil {
		return err
	}
	today := workday.DayOf(time.Now())
	var got []survey.ReviewItem
	err = p.until(ctx, "all replies are read", func() (bool, error) {
		err := p.c.db.View(ctx, func(tx *storage.Tx) (err error) {
			got, err = p.c.survey.Replies(tx, today.Add(-1), today.Add(1), 100)
			return err
		})
		return len(got) == len(replies)+1, err
	})
	if err != nil {
		return err
	}
	for _, r := range replies {
		found := false
		for _, g := range got {
			if g.Words != r.text {
				continue
			}
			found = true
			if g.Label != r.want || g.Rating != r.rate {
				return fmt.Errorf("“%s” was read as %s %d, want %s %d", r.text, g.Label, g.Rating, r.want, r.rate)
			}
			verdict := string(g.Label)
			if g.Rating > 0 {
				verdict = fmt.Sprintf("%s %d", g.Label, g.Rating)
			}
			p.say("%-9s “%s”", verdict, r.text)
		}
		if !found {
			return fmt.Errorf("the reply “%s” is nowhere", r.text)
		}
	}
	p.say("stranger  a number that was never asked: kept apart")
	return p.c.db.View(ctx, func(tx *storage.Tx) error {
		out, err := p.c.book.OptedOut(tx, opted, contact.ScopeSurvey)
		if err == nil && !out {
			err = errors.New("the opt-out was not honoured")
		}
		return err
	})
}

// evening looks up all that should be there.
func (p *play) evening(ctx context.Context) error {
	today := workday.DayOf(time.Now())
	var missing []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			missing = append(missing, fmt.Errorf(format, args...))
		}
	}
	err := p.until(ctx, "the records of all calls are closed", func() (bool, error) { return len(p.c.hotline.Live()) == 0, nil })
	if err != nil {
		return err
	}
	err = p.c.db.View(ctx, func(tx *storage.Tx) error {
		calls, total, err := ivr.Calls{Vault: p.c.book.Vault}.List(tx, ivr.Filter{})
		if err != nil {
			return err
		}
		want(total == 2, "%d calls recorded, want 2", total)
		for _, c := range calls {
			number := "none"
			if c.TicketID != "" {
				t, err := p.c.office.Get(tx, c.TicketID)
				if err != nil {
					return err
				}
				number = t.Number + " " + t.StateLabel()
			}
			p.say("call %s %s: waited %s, talked %s, rating %d, recording %s, ticket %s", c.Label(), c.Disposition.Label(), c.Wait.Round(100*time.Millisecond), c.Talk.Round(100*time.Millisecond), c.Rating, c.RecordingTime.Round(100*time.Millisecond), number)
			want(c.RecordingBytes > 0 && c.RecordingSHA256 != "", "call %s has no recording", c.ID)
			want(c.TicketID != "", "call %s has no ticket", c.ID)
			want(c.Disposition == ivr.Answered && c.Rating == 1 || c.Disposition == ivr.Message && c.CallbackID != "", "call %s: disposition %s, rating %d, call-back %q", c.ID, c.Disposition, c.Rating, c.CallbackID)
		}
		callbacks, _, err := p.c.office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, State: ticket.CallbackOpen})
		if err != nil {
			return err
		}
		kinds := map[ticket.CallbackKind]int{}
		for _, cb := range callbacks {
			kinds[cb.Kind]++
			p.say("call-back %s, due %s", cb.Kind.Label(), cb.Due.In(workday.Zone).Format("01-02 15:04"))
		}
		want(kinds[ticket.CallbackMessage] == 1, "%d call-backs for messages, want 1", kinds[ticket.CallbackMessage])
		want(kinds[ticket.CallbackRating] == 2, "%d call-backs for bad ratings, want 2", kinds[ticket.CallbackRating])
		alerts, _, err := p.c.office.Alerts(tx, ticket.AlertFilter{Viewer: ticket.System, State: ticket.AlertRaised})
		if err != nil {
			return err
		}
		for _, a := range alerts {
			p.say("alert %s %s", a.Level, a.Title)
		}
		want(len(alerts) >= 1, "no alert was raised for the danger in a reply")
		tickets, total, err := p.c.office.List(tx, ticket.Filter{Viewer: ticket.System, Limit: 100})
		if err != nil {
			return err
		}
		byText := 0
		for _, t := range tickets {
			if t.Channel == "sms" && t.RecordID != "" {
				byText++
			}
		}
		p.say("%d tickets, %d of them from texts and linked to their records", total, byText)
		want(byText >= 2, "%d tickets from bad ratings, want 2", byText)
		return nil
	})
	if err != nil {
		return err
	}
	fig, err := p.figures(ctx, today.Add(-1))
	if err != nil {
		return err
	}
	w := fig.Whole
	p.say("funnel: planned %d = suppressed %d + sent %d; delivered %d, replied %d, rated %d, ratings %v", w.Count[survey.Planned], w.Count[survey.Suppressed], w.Count[survey.Sent], w.Count[survey.Delivered], w.Count[survey.Replied], w.N, w.Ratings)
	if !w.Small {
		p.say("satisfaction %.1f%% [%.1f, %.1f], n = %d, %s", 100*w.Raw, 100*w.Interval[0], 100*w.Interval[1], w.N, fig.Metric.Formula())
	}
	want(w.Count[survey.Planned] == w.Count[survey.Suppressed]+w.Count[survey.Sent]+w.Count[survey.Waiting], "the funnel does not add up: %v", w.Count)
	want(w.N == 10, "%d ratings count, want 10", w.N)
	rep, err := audit.Verify(ctx, p.c.db, nil)
	if err != nil {
		return err
	}
	want(rep.Broken == nil, "the log does not hold: %v", rep.Broken)
	p.say("log: %d events, one unbroken chain", rep.Events)
	drifts, err := ticket.VerifyProjection(ctx, p.c.db, p.c.book.Vault)
	if err != nil {
		return err
	}
	want(len(drifts) == 0, "rows differ from their events: %v", drifts)
	return errors.Join(missing...)
}

func (p *play) operatorIs(ctx context.Context, extension string, s desk.State) (bool, error) {
	snap, err := p.c.board.Snapshot(ctx)
	for _, op := range snap.Operators {
		if op.Extension == extension {
			return op.State == s, err
		}
	}
	return false, err
}

// until waits for something that takes the program a moment.
func (p *play) until(ctx context.Context, what string, ok func() (bool, error)) error {
	limit := time.NewTimer(45 * time.Second)
	defer limit.Stop()
	for {
		done, err := ok()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("it did not happen that %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
