package media_test

import (
	"context"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

func TestBridgedPartiesHearEachOther(t *testing.T) {
	t.Parallel()
	for name, codecs := range map[string][2]media.Codec{
		"A-law both":      {media.PCMA, media.PCMA},
		"µ-law both":      {media.PCMU, media.PCMU},
		"A-law and µ-law": {media.PCMA, media.PCMU},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, func(c *media.Config) { c.Pacers = 2 })
			a, alice := dial(t, e, mediatest.Phone{Codec: codecs[0]})
			b, bob := dial(t, e, mediatest.Phone{Codec: codecs[1]})
			alice.Tone(440)
			bob.Tone(880)
			disconnect, err := media.Connect(a, b)
			check(t, err)
			check(t, bob.WaitTone(440, patience))
			check(t, alice.WaitTone(880, patience))
			for _, p := range []*mediatest.Peer{alice, bob} {
				if arr := p.Arrivals(); arr.SSRCs != 1 || arr.Lost != 0 || arr.TimeJumps > skips(e) {
					t.Errorf("stream: %+v", arr)
				}
			}
			disconnect()
			disconnect()
			check(t, bob.WaitSilence(patience))
			check(t, alice.WaitSilence(patience))
		})
	}
}

// Same codec: what is heard is what was said, bit for bit.
func TestSameCodecBridgeCopiesThePayload(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, alice := dial(t, e, mediatest.Phone{})
	b, bob := dial(t, e, mediatest.Phone{})
	disconnect, err := media.Connect(a, b)
	check(t, err)
	defer disconnect()
	check(t, bob.WaitSilence(patience))
	// A ramp through all code words, so that any arithmetic on the way would show.
	codes := make([]byte, 4096)
	for i := range codes {
		codes[i] = byte(i * 7)
	}
	pcm := make([]int16, len(codes))
	media.PCMA.Decode(pcm, codes)
	said := time.Time{}
	eventually(t, "the words arrive unchanged", func() bool {
		if time.Since(said) > 2*time.Second { // again: where alice or the pacer had to wait for the machine, a frame was left out or added
			alice.Say(pcm)
			said = time.Now()
		}
		heard := bob.Heard()
		return contains(heard[max(0, len(heard)-8*len(pcm)):], pcm)
	})
}

func contains(in, part []int16) bool {
	for i := 0; i+len(part) <= len(in); i++ {
		k := 0
		for k < len(part) && in[i+k] == part[k] {
			k++
		}
		if k == len(part) {
			return true
		}
	}
	return false
}

func TestThreeLegsAreAConference(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, alice := dial(t, e, mediatest.Phone{})
	b, bob := dial(t, e, mediatest.Phone{Codec: media.PCMU})
	c, carol := dial(t, e, mediatest.Phone{})
	alice.Tone(440)
	bob.Tone(880)
	carol.Tone(1500)
	leave, err := media.Mix(a, b, c)
	check(t, err)
	check(t, alice.WaitTones(patience, 880, 1500))
	check(t, bob.WaitTones(patience, 440, 1500))
	check(t, carol.WaitTones(patience, 440, 880))
	leave()
	check(t, alice.WaitSilence(patience))
}

func TestSupervisorHearsBothAndIsHeardByNobody(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, alice := dial(t, e, mediatest.Phone{})
	b, bob := dial(t, e, mediatest.Phone{})
	s, sue := dial(t, e, mediatest.Phone{})
	alice.Tone(440)
	bob.Tone(880)
	sue.Tone(1500)
	_, err := media.Connect(a, b)
	check(t, err)
	stopA, err := media.Listen(a, s)
	check(t, err)
	stopB, err := media.Listen(b, s)
	check(t, err)
	check(t, sue.WaitTones(patience, 440, 880))
	check(t, alice.WaitTone(880, patience))
	check(t, bob.WaitTone(440, patience))
	// Whisper: the operator hears the supervisor too, the caller does not.
	whisper, err := media.Listen(s, b)
	check(t, err)
	check(t, bob.WaitTones(patience, 440, 1500))
	check(t, alice.WaitTone(880, patience))
	whisper()
	stopA()
	stopB()
	check(t, bob.WaitTone(440, patience))
	check(t, sue.WaitSilence(patience))
}

func TestPromptComesBeforeTheOtherParty(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, alice := dial(t, e, mediatest.Phone{})
	b, bob := dial(t, e, mediatest.Phone{})
	bob.Tone(880)
	_, err := media.Connect(a, b)
	check(t, err)
	check(t, alice.WaitTone(880, patience))
	go a.Play(context.Background(), media.Tone([]float64{300}, 2*time.Second))
	check(t, alice.WaitTone(300, patience))
	check(t, alice.WaitTone(880, patience))
}

func TestConnectRefusesClosedLegsAndItself(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, _ := dial(t, e, mediatest.Phone{})
	b, _ := dial(t, e, mediatest.Phone{})
	if _, err := media.Connect(a, a); err == nil {
		t.Error("a leg was connected with itself")
	}
	b.Close()
	if _, err := media.Connect(a, b); err == nil {
		t.Error("a closed leg was connected")
	}
}
