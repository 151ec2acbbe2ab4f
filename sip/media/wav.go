package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrWAV is wrapped by every error about the content of a WAV file.
var ErrWAV = errors.New("not a usable WAV file")

// A WAV is the sound of a WAV file.
type WAV struct {
	Rate     int     // samples per second and channel
	Channels int     // at least 1
	Samples  []int16 // interleaved

	law   Codec  // the file held G.711 …
	codes []byte // … of which these are the codes
}

// Format tags of the fmt chunk.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xFFFE
)

// ParseWAV reads a RIFF/WAVE file. It forgives what recorders leave behind that were stopped hard: sizes of 0 or
// beyond the end mean "up to the end".
func ParseWAV(b []byte) (WAV, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return WAV{}, fmt.Errorf("%w: no RIFF/WAVE header", ErrWAV)
	}
	var format []byte
	for at := 12; at+8 <= len(b); {
		id, size := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		at += 8
		body := b[at:]
		if id == "data" {
			if format == nil {
				return WAV{}, fmt.Errorf("%w: data before fmt", ErrWAV)
			}
			if size > 0 && size < len(body) {
				body = body[:size]
			}
			return decodeWAV(format, body)
		}
		if size > len(body) {
			break
		}
		if id == "fmt " {
			format = body[:size]
		}
		at += size + size&1
	}
	return WAV{}, fmt.Errorf("%w: no data", ErrWAV)
}

func decodeWAV(format, data []byte) (w WAV, err error) {
	if len(format) < 16 {
		return w, fmt.Errorf("%w: short fmt chunk", ErrWAV)
	}
	le := binary.LittleEndian
	tag, bits := le.Uint16(format), int(le.Uint16(format[14:]))
	w.Channels, w.Rate = int(le.Uint16(format[2:])), int(le.Uint32(format[4:]))
	if tag == wavExtensible && len(format) >= 26 {
		tag = le.Uint16(format[24:])
	}
	if w.Channels < 1 || w.Channels > 8 || w.Rate < minRate || w.Rate > maxRate {
		return w, fmt.Errorf("%w: %d channels at %d Hz", ErrWAV, w.Channels, w.Rate)
	}
	step := bits / 8
	if step*8 != bits || step == 0 {
		return w, fmt.Errorf("%w: %d bits", ErrWAV, bits)
	}
	block := step * w.Channels
	data = data[:len(data)/block*block]
	w.Samples = make([]int16, len(data)/step)
	switch {
	case tag == wavALaw && bits == 8:
		w.law, w.codes = PCMA, data
		PCMA.Decode(w.Samples, data)
	case tag == wavMuLaw && bits == 8:
		w.law, w.codes = PCMU, data
		PCMU.Decode(w.Samples, data)
	case tag == wavPCM && bits == 8:
		for i, v := range data {
			w.Samples[i] = int16(int(v)-128) << 8
		}
	case tag == wavPCM && bits <= 32:
		for i := range w.Samples {
			w.Samples[i] = int16(le.Uint16(data[i*step+step-2:])) // the two highest bytes
		}
	case tag == wavFloat && bits == 32:
		for i := range w.Samples {
			v := float64(math.Float32frombits(le.Uint32(data[i*4:])))
			if v == v { // not NaN
				w.Samples[i] = clip(v * 32767)
			}
		}
	default:
		return w, fmt.Errorf("%w: format %d with %d bits", ErrWAV, tag, bits)
	}
	return w, nil
}

// Mono mixes the channels into one.
func (w WAV) Mono() []int16 {
	if w.Channels <= 1 {
		return w.Samples
	}
	m := make([]int16, len(w.Samples)/w.Channels)
	for i := range m {
		sum := 0
		for c := range w.Channels {
			sum += int(w.Samples[i*w.Channels+c])
		}
		m[i] = int16(sum / w.Channels)
	}
	return m
}

// Channel is one channel, the first is 0.
func (w WAV) Channel(c int) []int16 {
	m := make([]int16, len(w.Samples)/w.Channels)
	for i := range m {
		m[i] = w.Samples[i*w.Channels+c]
	}
	return m
}

const wavHeader = 44 // bytes before the samples in the files we write

// AppendWAV writes a 16-bit PCM file.
func AppendWAV(b []byte, rate, channels int, samples []int16) []byte {
	b = appendWAVHeader(b, rate, channels, 2*len(samples))
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

func appendWAVHeader(b []byte, rate, channels, dataBytes int) []byte {
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, wavSize(dataBytes+wavHeader-8))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, wavPCM)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*2))
	b = le.AppendUint16(b, uint16(channels*2))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	return le.AppendUint32(b, wavSize(dataBytes))
}

// wavSize is a size field: 32 bits, the largest value standing for more.
func wavSize(n int) uint32 { return uint32(min(n, math.MaxUint32)) }
