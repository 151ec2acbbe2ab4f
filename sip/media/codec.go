// Package media carries the voice: RTP sockets, pacing, codecs, digits, playback, recording and bridges.
package media

import (
	"fmt"
	"time"
)

// Everything inside the package runs on one clock: 8 kHz samples in frames of 20 ms.
const (
	Rate         = 8000                  // samples per second
	FrameTime    = 20 * time.Millisecond // what one frame lasts
	FrameSamples = 160                   // samples per frame
)

// A Codec is a way to put 8 kHz speech on the wire. The zero value is no codec.
type Codec uint8

// The two G.711 laws come first: nearly every telephone, trunk and browser has at least one of them (RFC 7874 §3).
const (
	NoCodec Codec = iota
	PCMA          // G.711 A-law, static payload type 8
	PCMU          // G.711 µ-law, static payload type 0
	codecs        // the laws in which frames travel inside end here

	// G722 is spoken with far ends that have no G.711 (RFC 3551 §4.5.2: its clock is 8 kHz by mistake, so it fits our frames). It is
	// translated at the edge of the leg, at telephone bandwidth.
	G722 Codec = 16

	// Opus is spoken with far ends that have nothing else (RFC 7587). Its clock is 48 kHz whatever is coded, so a leg speaks either it or
	// the others. It is translated beside the pacer (opus.go).
	Opus Codec = 17
)

// valid says that a leg can speak it.
func (c Codec) valid() bool { return c > NoCodec && c < codecs || c == G722 || c == Opus }

// Clock is the rate of its RTP timestamps, in Hz.
func (c Codec) Clock() int {
	if c == Opus {
		return opusClock
	}
	return Rate
}

// law is what its frames are inside.
func (c Codec) law() Codec {
	if c == G722 || c == Opus {
		return PCMA
	}
	return c
}

// PT is the static RTP payload type (RFC 3551 §6), or the one we offer for a codec that has none.
func (c Codec) PT() uint8 {
	switch c {
	case PCMA:
		return 8
	case G722:
		return 9
	case Opus:
		return 111
	}
	return 0
}

// String is the encoding name used in SDP ("PCMA", "PCMU", "G722", "opus").
func (c Codec) String() string {
	switch c {
	case PCMA:
		return "PCMA"
	case PCMU:
		return "PCMU"
	case G722:
		return "G722"
	case Opus:
		return "opus"
	case NoCodec:
		return "none"
	}
	return fmt.Sprintf("Codec(%d)", uint8(c))
}

// CodecByPT finds the codec of a static payload type.
func CodecByPT(pt uint8) (Codec, bool) {
	switch pt {
	case 0:
		return PCMU, true
	case 8:
		return PCMA, true
	case 9:
		return G722, true
	}
	return NoCodec, false
}

// CodecByName finds the codec of an SDP encoding name, in any case.
func CodecByName(name string) (Codec, bool) {
	switch upper(name) {
	case "PCMA":
		return PCMA, true
	case "PCMU":
		return PCMU, true
	case "G722":
		return G722, true
	case "OPUS":
		return Opus, true
	}
	return NoCodec, false
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// silence is the code of the smallest positive value.
func (c Codec) silence() byte {
	if c == PCMA {
		return 0xD5
	}
	return 0xFF
}

// Decode turns codes into samples; dst must be as long as src.
func (c Codec) Decode(dst []int16, src []byte) {
	t := &pcmuDecode
	if c == PCMA {
		t = &pcmaDecode
	}
	_ = dst[:len(src)]
	for i, b := range src {
		dst[i] = t[b]
	}
}

// Encode turns samples into codes; dst must be as long as src.
func (c Codec) Encode(dst []byte, src []int16) {
	_ = dst[:len(src)]
	if c == PCMA {
		for i, s := range src {
			dst[i] = pcmaEncode[uint16(s)>>3]
		}
		return
	}
	for i, s := range src {
		dst[i] = pcmuEncode[uint16(s)>>2]
	}
}

// transcode copies src to dst, from one law to another.
func transcode(dst []byte, to Codec, src []byte, from Codec) {
	if to == from {
		copy(dst, src)
		return
	}
	t := &pcmaToPCMU
	if to == PCMA {
		t = &pcmuToPCMA
	}
	_ = dst[:len(src)]
	for i, b := range src {
		dst[i] = t[b]
	}
}
