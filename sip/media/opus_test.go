package media_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// A far end that speaks nothing but Opus talks with one that speaks A-law: both hear each other, the recording has both, and keys go
// both ways in the clock of Opus. Then they agree on A-law, and on Opus again.
func TestFarEndWithOpusOnlyTalksWithG711(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	open := func() *media.Leg {
		l, err := e.Open()
		check(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	// The far end is a leg of ours, too; what others make of Opus is for TestBaresipWithOpusOnlyIsUnderstood and opus_inner_test.go.
	ours, far := open(), open()
	agree := func(c media.Codec, ptime time.Duration) {
		for _, l := range []*media.Leg{ours, far} {
			other := far
			if l == far {
				other = ours
			}
			check(t, l.Update(media.Params{Remote: local(other), Codec: c, DTMF: 101, Send: true, Receive: true, Ptime: ptime}))
		}
	}
	agree(media.Opus, 0)
	b, bob := dial(t, e, mediatest.Phone{})
	bob.Tone(880)
	quiet := far.Loop(media.Tone([]float64{440}, time.Second))
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := ours.Record(path, media.RecordOptions{Sync: -1})
	check(t, err)
	disconnect, err := media.Connect(ours, b)
	check(t, err)
	defer disconnect()
	check(t, bob.WaitTone(440, patience))
	waitTap(t, far.Tap(), 880)

	check(t, ours.SendDigits(context.Background(), "15#"))
	for _, d := range keysOf(t, far, "15#") {
		if d.Length != 100*time.Millisecond {
			t.Errorf("key %c held for %v, pressed for 100 ms", d.Key, d.Length)
		}
	}
	_, err = rec.Stop()
	check(t, err)
	w := parse(t, read(t, path))
	if holding(w.Channel(0), 440) == 0 || holding(w.Channel(1), 880) == 0 {
		t.Error("the recording lacks a side")
	}
	for _, c := range []struct {
		codec media.Codec
		ptime time.Duration
	}{{media.PCMA, 0}, {media.Opus, 60 * time.Millisecond}, {media.G722, 0}, {media.Opus, 40 * time.Millisecond}} {
		quiet()
		bob.Tone(0)
		check(t, bob.WaitSilence(patience))
		agree(c.codec, c.ptime)
		quiet = far.Loop(media.Tone([]float64{700}, time.Second))
		bob.Tone(1000)
		check(t, bob.WaitTone(700, patience))
		waitTap(t, far.Tap(), 1000)
	}
	if s := ours.Stats(); s.Malformed > 0 || s.WrongSource > 0 {
		t.Errorf("%+v", s)
	}
	if err := ours.Update(media.Params{Remote: local(far), Codec: media.Opus, Also: []media.Format{{Codec: media.PCMA, PT: 8}}}); err == nil {
		t.Error("two clocks in one agreement")
	}
}
