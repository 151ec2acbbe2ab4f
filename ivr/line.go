package ivr

import (
	"context"
	"errors"
	"time"

	"lianxin/desk"
	"lianxin/ivr/flow"
	"lianxin/ivr/say"
	"lianxin/sip/media"
	"lianxin/speech"
	"lianxin/workday"
)

// A visit is the world in which its flow is walked.
var _ flow.Host = (*visit)(nil)

// keypad turns single key presses into keys of the flow: 110 keyed in one go is one key of its own.
type keypad struct {
	last    [3]rune
	at      [3]time.Time // of last
	private bool
}

// The keys of 110 follow each other within together, after a longer pause or a key that leads into no menu: whoever
// presses 1, 1 and 0 in three menus at leisure, or goes through menus they know by heart, does not mean it.
const together = 1500 * time.Millisecond

// window is how long a 1 that may begin 110 waits for the next key before it counts as itself: a pause that people do not
// make between the keys of one number, and that a caller who meant 1 hardly notices.
const window = 1200 * time.Millisecond

// press takes a key and says what it means. hold is true for the 1s of what may become 110: they count as themselves
// only when the rest does not follow in time.
func (k *keypad) press(key rune, now time.Time) (means flow.Key, hold bool) {
	close := now.Sub(k.at[2]) <= together
	apart := func(first, before time.Time, key rune) bool {
		return key < '1' || key > '8' || first.Sub(before) > together
	}
	urgent := !k.private && key == '0' && k.last[1] == '1' && k.last[2] == '1' && close && k.at[2].Sub(k.at[1]) <= together && apart(k.at[1], k.at[0], k.last[0])
	first := apart(now, k.at[2], k.last[2])
	second := k.last[2] == '1' && close && apart(k.at[2], k.at[1], k.last[1])
	hold = !k.private && key == '1' && (first || second)
	k.last = [3]rune{k.last[1], k.last[2], key}
	k.at = [3]time.Time{k.at[1], k.at[2], now}
	switch {
	case urgent:
		return flow.Urgent, false
	case key >= '0' && key <= '9' || key == '*' || key == '#':
		return key, hold
	}
	return flow.NoKey, false // A to D
}

// readKeys reads the caller's keys as they come, whatever the call is doing meanwhile: the time between them tells 110.
// A 1 that may begin it is held back: were it to act at once, whoever keys 110 would first be led somewhere else.
func (v *visit) readKeys(ctx context.Context) {
	var held []flow.Key
	urgent := v.flow.Anywhere[flow.Outcome(flow.Urgent)] != ""
	give := func(key flow.Key) {
		select {
		case v.keys <- key:
		default: // nobody asks for keys, and somebody plays with them
		}
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	release := func() {
		for _, key := range held {
			give(key)
		}
		held = nil
		v.holding.Store(false)
	}
	for {
		select {
		case d := <-v.call.Media().Digits():
			v.padLock.Lock()
			key, hold := v.pad.press(d.Key, time.Now())
			v.padLock.Unlock()
			switch {
			case key == flow.Urgent && urgent:
				held = nil
				v.alarm()
				give(key)
				v.holding.Store(false)
			case hold && urgent:
				held = append(held, key)
				v.holding.Store(true)
				timer.Reset(window)
			case key == flow.Urgent:
				give('0')
			default:
				release()
				if key != flow.NoKey {
					give(key)
				}
			}
		case key := <-v.words:
			if key == flow.Urgent && urgent {
				v.alarm()
			}
			give(key)
		case <-timer.C:
			release()
		case <-ctx.Done():
			return
		}
	}
}

// Say implements flow.Host.
func (v *visit) Say(ctx context.Context, keys []string) (flow.Key, error) {
	if len(keys) == 0 {
		return flow.NoKey, ctx.Err()
	}
	if keys = v.expand(keys); len(keys) == 0 {
		return flow.NoKey, ctx.Err()
	}
	p, err := v.h.cfg.Prompts.Say(keys...)
	if err != nil {
		return flow.NoKey, err
	}
	v.step(Step{Said: keys})
	return v.play(ctx, p)
}

// play says a prompt until its end or a key.
func (v *visit) play(ctx context.Context, p *media.Prompt) (flow.Key, error) {
	leg := v.call.Media()
	playing, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- leg.Play(playing, p) }()
	select {
	case key := <-v.keys:
		stop()
		if err := <-done; errors.Is(err, media.ErrClosed) {
			return flow.NoKey, err
		}
		return key, nil
	case err := <-done:
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		return flow.NoKey, err
	}
}

// Press implements flow.Host.
func (v *visit) Press(ctx context.Context, wait time.Duration) (flow.Key, error) {
	leg := v.call.Media()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case key := <-v.keys:
			return key, nil
		case <-timer.C:
			if v.holding.Load() { // pressed in time, and about to tell what it means
				timer.Reset(window / 10)
				continue
			}
			return flow.NoKey, nil
		case <-leg.Done():
			return flow.NoKey, media.ErrClosed
		case <-ctx.Done():
			return flow.NoKey, ctx.Err()
		}
	}
}

// ask plays prompts and waits for a key.
func (v *visit) ask(ctx context.Context, wait time.Duration, keys ...string) (flow.Key, error) {
	key, err := v.Say(ctx, keys)
	if err == nil && key == flow.NoKey {
		key, err = v.Press(ctx, wait)
	}
	return key, err
}

// flush forgets keys that were pressed while nobody asked for any; 110 is never forgotten.
func (v *visit) flush() {
	urgent := false
	for {
		select {
		case key := <-v.keys:
			urgent = urgent || key == flow.Urgent
		default:
			if urgent {
				v.keys <- flow.Urgent
			}
			return
		}
	}
}

// alarm notes, once, that the caller keyed or spoke 110: whatever the call is doing, whoever looks at it sees it.
func (v *visit) alarm() {
	if v.urgent() {
		return
	}
	v.note(func(r *Record) { r.Urgent = true })
	v.show(func(l *LiveCall) { l.Urgent = true })
	v.did("紧急求助（110）")
}

// Private implements flow.Host: what is keyed is neither recorded nor taken for a call for help.
func (v *visit) Private(on bool) {
	v.padLock.Lock()
	v.pad.private = on
	v.padLock.Unlock()
	v.call.Media().Private(on)
	v.recLock.Lock()
	defer v.recLock.Unlock()
	if v.recording == nil {
		return
	}
	if on {
		v.recording.Pause()
	} else {
		v.recording.Resume()
	}
}

// Set implements flow.Host.
func (v *visit) Set(field, value string) {
	v.fields[field] = value
	if field == "urgent" && value == "yes" {
		v.alarm()
		v.wants = true
	}
}

// Facts implements flow.Host.
func (v *visit) Facts(ctx context.Context) (flow.Facts, error) {
	now := v.h.now().In(workday.Zone)
	f := flow.Facts{Now: now, Workday: v.h.cfg.Calendar.IsWorkday(workday.DayOf(now)), Caller: "new"}
	switch {
	case v.rec.Number.IsZero():
		f.Caller = "anonymous"
	case v.before > 0:
		f.Caller = "known"
	}
	v.facts(ctx, &f)
	place, err := v.h.cfg.Board.Duty(ctx, v.queueCaller(&flow.Node{}))
	if errors.Is(err, desk.ErrDown) {
		return f, nil // nobody can be rung, which is all that a flow asks
	}
	f.Staffed = place.OnDuty > 0
	return f, err
}

// Digits implements flow.Host.
func (v *visit) Digits(number string) []string { return say.Digits(number) }

// Step implements flow.Host.
func (v *visit) Step(node, what string) {
	s := Step{Node: node, Did: what}
	if label := flow.Label(what); label != "" {
		s.Verb, s.Did = what, label
	}
	v.step(s)
	v.show(func(l *LiveCall) { l.Node = node })
}

// listen begins to hear the caller for words that must reach a person, where a recogniser is configured. A failure
// means that this call goes on with keys.
func (v *visit) listen(ctx context.Context) {
	if v.h.cfg.Hear == nil {
		return
	}
	stream, err := v.h.cfg.Hear.Listen(ctx, speech.Listen{ID: v.rec.ID})
	if err != nil {
		v.log.Warn("ivr: recogniser", "err", err)
		v.did("语音识别不可用")
		return
	}
	said := make(chan string, 8)
	v.trail.said = said
	tap := v.call.Media().Tap()
	go func() {
		defer tap.Close()
		defer stream.Close()
		frame := make([]int16, media.FrameSamples)
		for {
			n, err := tap.Read(ctx, frame)
			if err != nil {
				return
			}
			if err := stream.Feed(frame[:n]); err != nil {
				v.log.Warn("ivr: recogniser", "err", err)
				return
			}
		}
	}()
	go func() {
		for r := range stream.Results() {
			key := flow.NoKey
			if word, ok := speech.Urgent(r.Text); ok {
				key = flow.Urgent
				v.did("听到“" + word + "”")
			} else if r.Final && speech.WantsPerson(r.Text) {
				key = '0'
			}
			if key == flow.NoKey {
				if r.Final {
					select {
					case said <- r.Text:
					default: // nobody asks, and somebody talks on
					}
				}
				continue
			}
			select {
			case v.words <- key:
			default:
			}
		}
	}()
}
