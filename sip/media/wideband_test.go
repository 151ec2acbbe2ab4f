package media_test

import (
	"path/filepath"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// A far end that speaks nothing but G.722 talks with one that speaks A-law: both hear each other, and the recording has both.
func TestFarEndWithG722OnlyTalksWithG711(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	open := func() *media.Leg {
		l, err := e.Open()
		check(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	// The far end is a leg of ours, too: two coders of the same library that meet on a socket.
	ours, far := open(), open()
	for _, l := range []*media.Leg{ours, far} {
		other := far
		if l == far {
			other = ours
		}
		check(t, l.Start(media.Params{Remote: local(other), Codec: media.G722, DTMF: 101, Send: true, Receive: true}))
	}
	b, bob := dial(t, e, mediatest.Phone{})
	bob.Tone(880)
	far.Loop(media.Tone([]float64{440}, time.Second))
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := ours.Record(path, media.RecordOptions{Sync: -1})
	check(t, err)
	disconnect, err := media.Connect(ours, b)
	check(t, err)
	defer disconnect()
	check(t, bob.WaitTone(440, patience))
	waitTap(t, far.Tap(), 880)
	_, err = rec.Stop()
	check(t, err)
	w := parse(t, read(t, path))
	if holding(w.Channel(0), 440) == 0 || holding(w.Channel(1), 880) == 0 {
		t.Error("the recording lacks a side")
	}
	if s := ours.Stats(); s.WrongType > 0 || s.Malformed > 0 {
		t.Errorf("%+v", s)
	}
}
