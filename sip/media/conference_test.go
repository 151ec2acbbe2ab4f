package media_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// table is a conference of telephones, each with a tone of its own.
type table struct {
	*media.Conference
	legs  []*media.Leg
	peers []*mediatest.Peer
}

var tones = []float64{440, 880, 1500, 2100, 2700}

func newTable(t *testing.T, n int, pacers int) *table {
	t.Helper()
	e := newEngine(t, func(c *media.Config) { c.Pacers = pacers })
	tb := &table{Conference: media.NewConference()}
	for i := range n {
		law := media.PCMA
		if i == 1 {
			law = media.PCMU
		}
		leg, peer := dial(t, e, mediatest.Phone{Codec: law})
		peer.Tone(tones[i])
		tb.legs, tb.peers = append(tb.legs, leg), append(tb.peers, peer)
	}
	return tb
}

// hears waits until a telephone hears exactly the tones of these others.
func (tb *table) hears(t *testing.T, i int, others ...int) {
	t.Helper()
	var want []float64
	for _, o := range others {
		want = append(want, tones[o])
	}
	var err error
	switch len(want) {
	case 0:
		err = tb.peers[i].WaitSilence(patience)
	case 1:
		err = tb.peers[i].WaitTone(want[0], patience)
	default:
		err = tb.peers[i].WaitTones(patience, want...)
	}
	if err != nil {
		t.Fatalf("telephone %d: %v", i, err)
	}
}

func TestEveryMemberOfAConferenceHearsAllTheOthers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			tb := newTable(t, n, 2)
			for _, l := range tb.legs {
				check(t, tb.Join(l, media.Party))
			}
			for i := range n {
				var others []int
				for o := range n {
					if o != i {
						others = append(others, o)
					}
				}
				tb.hears(t, i, others...)
			}
			tb.Leave(tb.legs[0])
			tb.hears(t, 0)
			if n == 3 {
				tb.hears(t, 1, 2)
				tb.legs[2].Close() // leaves by itself
				tb.hears(t, 1)
				if m := tb.Members(); len(m) != 1 || m[0] != tb.legs[1] {
					t.Errorf("%d members are left", len(m))
				}
			}
			tb.Close()
			tb.hears(t, 1)
		})
	}
}

// Caller 0, operator 1, supervisor 2: listen, whisper, barge, and back, while they talk.
func TestSupervisorListensWhispersAndBarges(t *testing.T) {
	t.Parallel()
	tb := newTable(t, 3, 1)
	caller, operator, supervisor := tb.legs[0], tb.legs[1], tb.legs[2]
	check(t, tb.Join(caller, media.Party))
	check(t, tb.Join(operator, media.Party))
	check(t, tb.Join(supervisor, media.Listener))
	for _, step := range []struct {
		name                         string
		role                         media.Role
		caller, operator, supervisor []int
	}{
		{"listens", media.Listener, []int{1}, []int{0}, []int{0, 1}},
		{"whispers", media.Whisper(operator), []int{1}, []int{0, 2}, []int{0, 1}},
		{"barges in", media.Party, []int{1, 2}, []int{0, 2}, []int{0, 1}},
		{"listens again", media.Listener, []int{1}, []int{0}, []int{0, 1}},
		{"steps aside", media.Aside, []int{1}, []int{0}, nil},
	} {
		check(t, tb.Change(supervisor, step.role))
		tb.hears(t, 0, step.caller...)
		tb.hears(t, 1, step.operator...)
		tb.hears(t, 2, step.supervisor...)
	}
	// The caller is put aside: music for them, the operator and the supervisor talk.
	check(t, tb.Change(supervisor, media.Party))
	check(t, tb.Change(caller, media.Aside))
	stop := caller.Loop(media.Tone([]float64{300}, time.Second))
	defer stop()
	check(t, tb.peers[0].WaitTone(300, patience))
	tb.hears(t, 1, 2)
	tb.hears(t, 2, 1)
	check(t, tb.Change(caller, media.Party))
	tb.hears(t, 0, 1, 2)
}

func TestRecordingOfAConferenceKeepsTheCallerLeftAndAllOthersRight(t *testing.T) {
	t.Parallel()
	tb := newTable(t, 4, 1)
	for _, l := range tb.legs[:3] {
		check(t, tb.Join(l, media.Party))
	}
	check(t, tb.Join(tb.legs[3], media.Whisper(tb.legs[1])))
	tb.hears(t, 0, 1, 2)
	tb.hears(t, 1, 0, 2, 3)
	path := filepath.Join(t.TempDir(), "call.wav")
	rec, err := tb.legs[0].Record(path, media.RecordOptions{Sync: -1})
	check(t, err)
	eventually(t, "a second is recorded", func() bool { return len(read(t, path)) > 44+32000 })
	_, err = rec.Stop()
	check(t, err)
	w := parse(t, read(t, path))
	left, right := w.Channel(0), w.Channel(1)
	if h := holding(left, tones[0]); h < 0.5 {
		t.Errorf("left holds the caller in %.0f %% of its frames", 100*h)
	}
	both := 0
	for i := 0; i+160 <= len(right); i += 160 {
		f := right[i : i+160]
		if mediatest.Share(f, tones[1]) > 0.3 && mediatest.Share(f, tones[2]) > 0.3 {
			both++
		}
		if s := mediatest.Share(f, tones[3]); s > 0.05 && mediatest.RMS(f) > 500 {
			t.Fatalf("the whisper is %.0f %% of the recording", 100*s)
		}
		if s := mediatest.Share(f, tones[0]); s > 0.05 && mediatest.RMS(f) > 500 {
			t.Fatalf("the caller is %.0f %% of the right channel", 100*s)
		}
	}
	if both < len(right)/160/2 {
		t.Errorf("right holds both others in %d of %d frames", both, len(right)/160)
	}
}

func TestConferenceRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	c := media.NewConference()
	l, err := e.Open()
	check(t, err)
	if err := c.Change(l, media.Party); !errors.Is(err, media.ErrNotMember) {
		t.Errorf("changing a stranger: %v", err)
	}
	check(t, c.Join(l, media.Listener))
	if err := c.Join(l, media.Party); !errors.Is(err, media.ErrMember) {
		t.Errorf("joining twice: %v", err)
	}
	if r, ok := c.Role(l); !ok || !r.Mute || r.Deaf {
		t.Errorf("role %+v, %v", r, ok)
	}
	for range media.MaxMembers - 1 {
		l, err := e.Open()
		check(t, err)
		check(t, c.Join(l, media.Listener))
	}
	one, err := e.Open()
	check(t, err)
	if err := c.Join(one, media.Party); !errors.Is(err, media.ErrFull) {
		t.Errorf("joining a full conference: %v", err)
	}
	c.Leave(l)
	c.Leave(l)
	one.Close()
	if err := c.Join(one, media.Party); !errors.Is(err, media.ErrClosed) {
		t.Errorf("joining with a closed leg: %v", err)
	}
	c.Close()
	if n := len(c.Members()); n != 0 {
		t.Errorf("%d members of a closed conference", n)
	}
}
