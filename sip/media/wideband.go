package media

import "github.com/gotranspile/g722"

// wideband speaks G.722 at the edge of a leg, both ways at 64 kbit/s and at telephone bandwidth: everything inside is G.711, and a
// telephone network on the other side has no more. A byte of G.722 stands for one sample of ours, so packets keep their length and their
// timestamps. Packets are decoded as they come, before they are put in order: one that was overtaken costs the predictor a moment.
type wideband struct {
	enc *g722.Encoder
	dec *g722.Decoder
}

// decode makes a packet of ours out of one of G.722.
func (w *wideband) decode(p *packet, pcm *[maxPacket]int16) {
	if w.dec == nil {
		w.dec = g722.NewDecoder(g722.Rate64000, g722.FlagSampleRate8000)
	}
	n := min(w.dec.Decode(pcm[:], p.payload), len(p.payload))
	p.codec, p.payload = PCMA, p.payload[:n]
	PCMA.Encode(p.payload, pcm[:n])
}

// encode writes a frame of ours as G.722.
func (w *wideband) encode(dst []byte, f *frame, pcm *[FrameSamples]int16) int {
	if w.enc == nil {
		w.enc = g722.NewEncoder(g722.Rate64000, g722.FlagSampleRate8000)
	}
	f.decode(pcm)
	return w.enc.Encode(dst, pcm[:])
}
