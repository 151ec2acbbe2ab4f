package speech

import (
	"math"
	"time"
)

// EndpointConfig tells an Endpointer when speech begins and ends. Zero values take the defaults.
type EndpointConfig struct {
	Above   float64       // dB over the noise of the line that make a frame speech; 10
	Least   float64       // dBFS below which nothing is speech; −48
	Begin   time.Duration // of speech before it counts, against clicks; 120 ms. Barge-in wants 200 ms or more
	Silence time.Duration // that ends an utterance; 700 ms
	Before  time.Duration // of audio before the beginning that belongs to it; 300 ms
	Longest time.Duration // an utterance, which is then ended in the middle; 20 s
}

func (c EndpointConfig) withDefaults() EndpointConfig {
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	if c.Above == 0 {
		c.Above = 10
	}
	if c.Least == 0 {
		c.Least = -48
	}
	def(&c.Begin, 120*time.Millisecond)
	def(&c.Silence, 700*time.Millisecond)
	def(&c.Before, 300*time.Millisecond)
	def(&c.Longest, 20*time.Second)
	return c
}

// An Event is what a frame changed.
type Event uint8

const (
	Nothing     Event = iota
	SpeechBegan       // enough speech has been heard; it began Begin earlier
	SpeechEnded       // an utterance is over: Utterance has it
)

// An Utterance is one piece of speech, with the audio before it that may hold a soft first consonant.
type Utterance struct {
	Samples    []int16
	Start, End time.Duration // of Samples, from the first frame
}

// An Endpointer finds utterances in 8 kHz frames of 20 ms, by their energy over a noise floor that it learns, and by
// their zero crossings, which find the unvoiced consonants that have little energy. It costs next to
// nothing, needs no model, and takes music and chatter for speech: a trained detector is better.
//
// It is used by one goroutine.
type Endpointer struct {
	cfg      EndpointConfig
	raise    float64   // dB on top of Above, while a prompt plays
	floor    float64   // dBFS of the line's noise
	recent   []float64 // levels of the last three seconds, to learn the floor from
	frames   int       // seen
	ring     []int16   // audio before the beginning, at most Before+Begin
	speech   []int16   // the utterance so far; nil outside one
	began    int       // frame at which speech starts
	active   int       // frames of speech in a row, with small gaps
	gap      int       // frames without speech since the last with it
	finished Utterance
}

// NewEndpointer returns an Endpointer at the beginning of a call.
func NewEndpointer(cfg EndpointConfig) *Endpointer {
	return &Endpointer{cfg: cfg.withDefaults(), floor: -60}
}

// Raise asks for more decibels over the noise than Above, as while a prompt plays whose echo comes back; zero ends it.
func (e *Endpointer) Raise(decibel float64) { e.raise = decibel }

// Speaking reports whether an utterance is going on.
func (e *Endpointer) Speaking() bool { return e.speech != nil }

// Utterance is the last one that ended.
func (e *Endpointer) Utterance() Utterance { return e.finished }

// Feed takes the next frame of 160 samples; a shorter one counts as a frame too.
func (e *Endpointer) Feed(frame []int16) Event {
	level, crossings := measure(frame)
	e.learn(level)
	loud := e.frames >= settle && e.isSpeech(level, crossings)
	e.frames++
	if e.speech == nil {
		return e.outside(frame, loud)
	}
	return e.inside(frame, loud)
}

func (e *Endpointer) isSpeech(level, crossings float64) bool {
	if level < e.cfg.Least {
		return false
	}
	need := e.floor + e.cfg.Above + e.raise
	if level >= need {
		return true
	}
	// s, sh, x, c, q, f: weak, but with 3000 and more crossings a second; only beside louder speech.
	return crossings > 3000 && level >= need-5 && (e.active > 0 && e.gap < 5)
}

func (e *Endpointer) outside(frame []int16, loud bool) Event {
	keep := int((e.cfg.Before + e.cfg.Begin) * Rate / time.Second)
	e.ring = append(e.ring, frame...)
	if over := len(e.ring) - keep; over > 0 {
		e.ring = append(e.ring[:0], e.ring[over:]...)
	}
	switch {
	case loud:
		e.active++
		e.gap = 0
	case e.active > 0:
		if e.gap++; e.gap > 2 {
			e.active, e.gap = 0, 0
		}
	}
	if e.active < frames(e.cfg.Begin) {
		return Nothing
	}
	e.speech = append([]int16{}, e.ring...)
	e.began = e.frames - len(e.ring)/FrameSamples
	e.ring, e.gap = e.ring[:0], 0
	return SpeechBegan
}

func (e *Endpointer) inside(frame []int16, loud bool) Event {
	e.speech = append(e.speech, frame...)
	if loud {
		e.gap = 0
	} else {
		e.gap++
	}
	if e.gap >= frames(e.cfg.Silence) || e.frames-e.began >= frames(e.cfg.Longest) {
		e.end()
		return SpeechEnded
	}
	return Nothing
}

// Flush ends an utterance that is still going on, as when the caller has hung up.
func (e *Endpointer) Flush() Event {
	if e.speech == nil {
		return Nothing
	}
	e.end()
	return SpeechEnded
}

func (e *Endpointer) end() {
	if e.frames-e.began >= frames(e.cfg.Longest) && len(e.recent) > 0 {
		e.floor = least(e.recent) // what never stops is the line
	}
	e.finished = Utterance{e.speech, span(e.began), span(e.frames)}
	e.speech, e.active, e.gap = nil, 0, 0
}

// learn follows the noise of the line: down at once, up with its quietest moment of late. Speech pauses for breath within that time,
// so that it does not become the floor; a sound that never pauses does, also in the middle of an utterance.
func (e *Endpointer) learn(level float64) {
	level = max(level, -70)
	e.recent = append(e.recent, level)
	if len(e.recent) > pauses {
		e.recent = append(e.recent[:0], e.recent[1:]...)
	}
	if e.frames < settle {
		// A noisy line is believed at once, though not so far that a caller who begins at once is not heard.
		e.floor = min(least(e.recent), -38)
		return
	}
	late := e.recent
	if e.speech == nil {
		late = late[max(0, len(late)-pauses/2):]
	}
	switch quietest := least(late); {
	case quietest < e.floor:
		e.floor = quietest
	case e.speech == nil && len(late) == pauses/2, len(late) == pauses:
		e.floor += 0.05 * (quietest - e.floor)
	}
	e.floor = min(e.floor, -25)
}

const (
	pauses = 150 // frames, 3 s: within these even a long sentence has a pause
	settle = 10  // frames, 0.2 s, in which nothing is taken for speech
)

func least(x []float64) float64 {
	m := x[0]
	for _, v := range x {
		m = min(m, v)
	}
	return m
}

func frames(d time.Duration) int          { return int(d / (20 * time.Millisecond)) }
func span(frames int) time.Duration       { return time.Duration(frames) * 20 * time.Millisecond }
func decibels(meanSquare float64) float64 { return 10 * math.Log10(meanSquare/(32768*32768)+1e-12) }

// measure gives the level in dBFS without the direct current, and the zero crossings a second.
func measure(frame []int16) (level, crossings float64) {
	if len(frame) == 0 {
		return -120, 0
	}
	var sum float64
	for _, s := range frame {
		sum += float64(s)
	}
	mean := sum / float64(len(frame))
	var square float64
	n := 0
	for i, s := range frame {
		x := float64(s) - mean
		square += x * x
		if i > 0 && (x > 0) != (float64(frame[i-1])-mean > 0) {
			n++
		}
	}
	return decibels(square / float64(len(frame))), float64(n) * Rate / float64(len(frame))
}
