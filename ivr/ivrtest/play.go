package ivrtest

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/softphone"
	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Play performs a scenario file (testdata/calls/*.txtar). Its text says what it is about; its files are
//
//	stage    settings, "name: value": clock, operators, flow edits ("flow: OLD => NEW"), ring, silence, ticket (one that is there)
//	play     one act a line; see act
//	call     what the record of the first call says afterwards, "name: value"; "call 2" for the second call
//	ticket   what the ticket of the first call says, or "none"
//	callback the call-backs of the first call, or "none"
//	said     prompts that must have been played in the first call, in this order, others between them
func Play(t *testing.T, file string) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	p := &play{t: t, phones: map[string]*softphone.Phone{}, calls: map[string]*softphone.Call{}, rings: map[string]*softphone.Ringing{}, vars: map[string]string{}}
	p.files = files
	p.open(files["stage"])
	for i, line := range lines(files["play"]) {
		if err := p.act(line); err != nil {
			t.Fatalf("%s: line %d %q: %v\n%s", filepath.Base(file), i+1, line, err, p.state())
		}
	}
	p.Quiet(t)
	records := p.Records(t)
	if len(records) == 0 {
		t.Fatal("no call was recorded")
	}
	for _, f := range a.Files {
		switch {
		case f.Name == "stage", f.Name == "play", strings.HasSuffix(f.Name, ".yaml"):
		case f.Name == "answers":
			p.compare(f.Name, string(f.Data), p.answerFields(records[0]))
		case f.Name == "hook":
			p.asked(string(f.Data))
		case f.Name == "call", strings.HasPrefix(f.Name, "call "):
			n := 1
			if _, err := fmt.Sscanf(f.Name, "call %d", &n); f.Name != "call" && err != nil || n < 1 || n > len(records) {
				t.Fatalf("%s: there are %d calls", f.Name, len(records))
			}
			p.compare(f.Name, string(f.Data), p.recordFields(records[n-1]))
		case f.Name == "ticket":
			p.compare(f.Name, string(f.Data), p.ticketFields(records[0]))
		case f.Name == "callback":
			p.compare(f.Name, string(f.Data), p.callbackFields(records[0]))
		case f.Name == "said":
			p.said(lines(string(f.Data)), records[0])
		default:
			t.Fatalf("unknown section %q", f.Name)
		}
	}
	if t.Failed() {
		t.Log(p.state())
	}
}

type play struct {
	*Stage
	t      *testing.T
	phones map[string]*softphone.Phone
	calls  map[string]*softphone.Call
	rings  map[string]*softphone.Ringing
	vars   map[string]string
	files  map[string]string
	hooks  *hooks
}

func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// Numbers of those who call.
var numbers = map[string]string{"caller": "13841400001", "second": "13841400002", "third": "13841400003"}

func (p *play) open(settings string) {
	p.t.Helper()
	opt := Options{}
	var operators []string
	var own string
	text, err := Quick()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, line := range lines(settings) {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			p.t.Fatalf("setting %q", line)
		}
		switch name {
		case "clock":
			if opt.Clock, err = time.ParseInLocation("2006-01-02 15:04", value, workday.Zone); err != nil {
				p.t.Fatal(err)
			}
		case "operators":
			operators = strings.Fields(value)
		case "flow":
			old, new, ok := strings.Cut(strings.ReplaceAll(value, `\n`, "\n"), " => ")
			if !ok || !strings.Contains(text, old) {
				p.t.Fatalf("the flow has no %q", old)
			}
			text = strings.ReplaceAll(text, old, new)
		case "ring":
			if opt.Desk.Ring, err = time.ParseDuration(value); err != nil {
				p.t.Fatal(err)
			}
		case "silence":
			if opt.Silence, err = time.ParseDuration(value); err != nil {
				p.t.Fatal(err)
			}
		case "ticket": // a ticket of this caller is there already
			own = value
		case "hears": // what the recogniser makes of any sound
			opt.Change = with(opt.Change, func(c *ivr.Config) { c.Hear = ears(value) })
		case "hook": // what the program answers that the flow asks under ${hook}
			p.hooks = answering(p.t, value)
			opt.Change = with(opt.Change, func(c *ivr.Config) { c.Hooks = ivr.Hooks{Hosts: []string{p.hooks.host}, Secret: hookSecret} })
		case "flag": // marks of the caller's number
			opt.Change = with(opt.Change, func(c *ivr.Config) {
				c.Flags = func(context.Context, contact.Phone) ([]string, error) { return strings.Fields(value), nil }
			})
		default:
			p.t.Fatalf("unknown setting %q", name)
		}
	}
	opt.Flow = text
	p.own(&opt)
	p.Stage = New(p.t, opt)
	for _, ext := range operators {
		p.phones[ext] = p.Operator(p.t, ext)
	}
	if own != "" {
		p.openTicket(numbers[own])
	}
}

// openTicket opens and accepts a ticket of a number; its digits become ${ticket}.
func (p *play) openTicket(number string) {
	p.t.Helper()
	phone, err := contact.ParsePhone(number)
	if err != nil {
		p.t.Fatal(err)
	}
	err = p.DB.Update(context.Background(), func(tx *storage.Tx) error {
		person, err := p.Book.Ensure(tx, phone, "")
		if err != nil {
			return err
		}
		tk, err := p.Office.Open(tx, ticket.Intake{Channel: "walkin", ContactID: person.ID, Kind: ticket.Help, Title: "路灯不亮", By: ticket.System})
		if err != nil {
			return err
		}
		p.vars["ticket"] = strings.NewReplacer("民", "", "-", "").Replace(tk.Number)
		_, err = p.Office.Accept(tx, tk.ID, ticket.Acceptance{Kind: ticket.Help}, ticket.System)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// act performs one line:
//
//	WHO dials [as NUMBER]           WHO is caller, second, third; returns when answered
//	WHO hears KEY [KEY…]            prompts, in this order
//	WHO hears music
//	WHO presses KEYS
//	WHO speaks for 3s
//	WHO hangs up                    also an operator
//	WHO is hung up                  waits for it
//	EXT rings | answers | declines | is busy | stops ringing
//	EXT unregisters | registers | crashes
//	EXT becomes STATE               on the board
//	WHO and EXT hear each other
//	WHO waits in the queue          shown by the live list
//	pause 2s
func (p *play) act(line string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for name, value := range p.vars {
		line = strings.ReplaceAll(line, "${"+name+"}", value)
	}
	w := strings.Fields(line)
	who, rest := w[0], strings.Join(w[1:], " ")
	call := func() (*softphone.Call, error) {
		if c := p.calls[who]; c != nil {
			return c, nil
		}
		return nil, fmt.Errorf("%s is in no call", who)
	}
	ring := func() (*softphone.Ringing, error) {
		if r := p.rings[who]; r != nil {
			return r, nil
		}
		return nil, fmt.Errorf("%s does not ring", who)
	}
	switch {
	case who == "pause":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err

	case strings.HasPrefix(rest, "dials"):
		number := numbers[who]
		if _, as, ok := strings.Cut(rest, " as "); ok {
			number = as
		}
		if p.phones[who] == nil {
			p.phones[who] = p.Phone(p.t, number)
		}
		c, err := p.phones[who].Dial(ctx, "46110110")
		p.calls[who] = c
		return err

	case rest == "hears music":
		c, err := call()
		if err != nil {
			return err
		}
		return c.HearsLoop(ctx, p.Prompt(p.t, "music.wait"))

	case strings.HasPrefix(rest, "hears "):
		c, err := call()
		if err != nil {
			return err
		}
		for _, key := range w[2:] {
			if err := c.Hears(ctx, p.Prompt(p.t, key)); err != nil {
				return err
			}
		}
		return nil

	case strings.HasPrefix(rest, "presses "):
		c, err := call()
		if err != nil {
			return err
		}
		return c.Press(ctx, w[2])

	case strings.HasPrefix(rest, "speaks for "):
		c, err := call()
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(w[3])
		if err != nil {
			return err
		}
		c.Tone(700)
		time.Sleep(d)
		c.Tone(0)
		return nil

	case rest == "hangs up":
		c, err := call()
		if err != nil {
			return err
		}
		return c.Hangup(ctx)

	case rest == "is hung up":
		c, err := call()
		if err != nil {
			return err
		}
		select {
		case <-c.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}

	case rest == "rings":
		select {
		case r := <-p.phones[who].Incoming():
			p.rings[who] = r
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}

	case rest == "answers":
		r, err := ring()
		if err != nil {
			return err
		}
		c, err := r.Answer(ctx)
		p.calls[who] = c
		return err

	case rest == "declines", rest == "is busy":
		r, err := ring()
		if err != nil {
			return err
		}
		if rest == "declines" {
			return r.Reject(603, "Decline")
		}
		return r.Reject(486, "Busy Here")

	case rest == "stops ringing":
		r, err := ring()
		if err != nil {
			return err
		}
		select {
		case <-r.Gone():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}

	case rest == "unregisters":
		return p.phones[who].Unregister(ctx)
	case rest == "registers":
		return p.phones[who].Register(ctx)
	case rest == "crashes":
		p.phones[who].Crash()
		return nil

	case strings.HasPrefix(rest, "becomes "):
		p.Until(p.t, line, func() bool { return p.State(p.t, who) == desk.State(w[2]) })
		return nil

	case rest == "waits in the queue":
		p.Until(p.t, line, func() bool {
			for _, l := range p.Hotline.Live() {
				if l.Stage == ivr.StageWaiting {
					return true
				}
			}
			return false
		})
		return nil

	case len(w) == 6 && w[1] == "and" && strings.HasSuffix(rest, "hear each other"):
		a, b := p.calls[who], p.calls[w[2]]
		if a == nil || b == nil {
			return fmt.Errorf("%s or %s is in no call", who, w[2])
		}
		a.Tone(440)
		b.Tone(1000)
		defer a.Tone(0)
		defer b.Tone(0)
		if err := a.HearsTone(ctx, 1000); err != nil {
			return fmt.Errorf("%s: %w", who, err)
		}
		if err := b.HearsTone(ctx, 440); err != nil {
			return fmt.Errorf("%s: %w", w[2], err)
		}
		return nil
	}
	return fmt.Errorf("not understood")
}

func (p *play) recordFields(r ivr.Record) map[string]string {
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	f := map[string]string{
		"disposition": string(r.Disposition), "ended by": r.EndedBy, "operator": r.Operator, "staff": r.StaffID, "rating": fmt.Sprint(r.Rating),
		"number": r.Label(), "known": yes(r.ContactID != ""), "urgent": yes(r.Urgent), "answered": yes(!r.Answered.IsZero()), "queued": yes(!r.Queued.IsZero()),
		"connected": yes(!r.Connected.IsZero()), "talked": yes(r.Talk > 0), "waited": yes(r.Wait > 0), "ended": yes(!r.Ended.IsZero()), "offers": fmt.Sprint(r.Offers),
		"ticket": yes(r.TicketID != ""), "callback": yes(r.CallbackID != ""), "message": yes(r.MessageTime > 0), "answers": strings.Join(r.Answers, " "),
		"dialled": r.Dialled, "flow": r.Flow, "recorded": p.heardIn(r),
	}
	var did []string
	for _, s := range r.Steps {
		if s.Did != "" {
			did = append(did, s.Did)
		}
	}
	f["did"] = strings.Join(did, " | ")
	return f
}

// heardIn says what is in the recording: nothing, or the sides on which a voice (a tone of ours) is found.
func (p *play) heardIn(r ivr.Record) string {
	if r.Recording == "" {
		return "nothing"
	}
	player, err := p.Hotline.Calls().OpenRecording(filepath.Join(p.Dir, "recordings"), r)
	if err != nil {
		return err.Error()
	}
	defer player.Close()
	b, err := io.ReadAll(player)
	if err != nil {
		return err.Error()
	}
	w, err := media.ParseWAV(b)
	if err != nil {
		return err.Error()
	}
	if got := time.Duration(len(w.Channel(0))) * time.Second / media.Rate; got < r.RecordingTime-time.Second || !player.Sealed() || r.RecordingBytes <= int64(len(b)) || len(r.RecordingSHA256) != 64 {
		return fmt.Sprintf("%v of sound in %d bytes, recorded as %v in %d", got, len(b), r.RecordingTime, r.RecordingBytes)
	}
	found := []string{"file"}
	has := func(pcm []int16, freq float64) bool {
		for at := 0; at+media.Rate/4 <= len(pcm); at += media.Rate / 8 {
			part := pcm[at : at+media.Rate/4]
			if mediatest.RMS(part) > 200 && mediatest.Share(part, freq) > 0.7 {
				return true
			}
		}
		return false
	}
	for _, c := range []struct {
		name string
		side int
		freq float64
	}{{"caller", 0, 440}, {"operator", 1, 1000}, {"message", 0, 700}} {
		if has(w.Channel(c.side), c.freq) {
			found = append(found, c.name)
		}
	}
	return strings.Join(found, " ")
}

func (p *play) ticketFields(r ivr.Record) map[string]string {
	if r.TicketID == "" {
		return map[string]string{"none": "yes"}
	}
	var tk ticket.Ticket
	p.View(p.t, func(tx *storage.Tx) (err error) {
		tk, err = p.Office.Get(tx, r.TicketID)
		return err
	})
	return map[string]string{
		"state": string(tk.State), "channel": tk.Channel, "kind": string(tk.Kind), "colour": string(tk.Colour), "title": tk.Title, "anonymous": fmt.Sprint(tk.Anonymous),
		"stars": fmt.Sprint(int(tk.Stars)), "call": fmt.Sprint(tk.CallID == r.ID), "contact": fmt.Sprint(tk.ContactID == r.ContactID), "opened by": tk.OpenedBy,
		"body": tk.Body,
	}
}

func (p *play) callbackFields(r ivr.Record) map[string]string {
	var kinds []string
	f := map[string]string{}
	p.View(p.t, func(tx *storage.Tx) error {
		list, _, err := p.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System, CallID: r.ID})
		for _, cb := range list {
			kinds = append(kinds, string(cb.Kind)+" "+string(cb.State))
			f["reason"], f["ticket"], f["due later"] = cb.Reason, fmt.Sprint(cb.TicketID == r.TicketID && r.TicketID != ""), fmt.Sprint(cb.Due.After(cb.OpenedAt))
		}
		return err
	})
	if len(kinds) == 0 {
		return map[string]string{"none": "yes"}
	}
	sort.Strings(kinds)
	f["kinds"] = strings.Join(kinds, ", ")
	return f
}

// compare holds the lines of a section against what is there. A name that ends in "has" asks for a part of the value.
func (p *play) compare(section, want string, got map[string]string) {
	p.t.Helper()
	for _, line := range lines(want) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if name == "none" {
			if got["none"] != "yes" {
				p.t.Errorf("%s: want none, got %v", section, got)
			}
			continue
		}
		part := strings.HasSuffix(name, " has") || name == "did"
		have, known := got[strings.TrimSuffix(name, " has")]
		switch {
		case !known:
			p.t.Errorf("%s: there is no %q; there is %v", section, name, got)
		case part:
			if !strings.Contains(have, value) {
				p.t.Errorf("%s: %s: want a part %q, got %q", section, name, value, have)
			}
		case have != value:
			p.t.Errorf("%s: %s: want %q, got %q", section, name, value, have)
		}
	}
}

// said holds the prompts of the record against those that must have been played, in order.
func (p *play) said(want []string, r ivr.Record) {
	p.t.Helper()
	var got []string
	for _, s := range r.Steps {
		got = append(got, s.Said...)
	}
	at := 0
	for _, key := range want {
		found := false
		for ; at < len(got) && !found; at++ {
			found = got[at] == key
		}
		if !found {
			p.t.Errorf("said: %s is not played in its place; played %v", key, got)
			return
		}
	}
}

// state is the stage as it stands, for failures.
func (p *play) state() string {
	var b strings.Builder
	for _, l := range p.Hotline.Live() {
		fmt.Fprintf(&b, "live: %s %s at %s operator %q\n", l.ID, l.Stage, l.Node, l.Operator)
	}
	if sn, err := p.Board.Snapshot(context.Background()); err == nil {
		for _, o := range sn.Operators {
			fmt.Fprintf(&b, "operator: %s %s %q call %q\n", o.Extension, o.State, o.Reason, o.CallID)
		}
	}
	for _, r := range p.Records(p.t) {
		fmt.Fprintf(&b, "record: %s %q by %s\n", r.ID, r.Disposition, r.EndedBy)
		for _, s := range r.Steps {
			fmt.Fprintf(&b, "  %6d %s %s %v\n", s.At, s.Node, s.Did, s.Said)
		}
	}
	return b.String()
}
