package media

// A frame is 20 ms of one voice on its way through the pacer. It stays in the law in which it came, so that
// a bridge between two legs of the same codec only copies bytes; who needs samples decodes.
type frame struct {
	codec Codec
	quiet bool // known to be silence: mixers skip it
	b     [FrameSamples]byte
}

// hush makes the frame silent.
func (f *frame) hush(c Codec) {
	if c == NoCodec {
		c = PCMA
	}
	f.codec, f.quiet = c, true
	s := c.silence()
	for i := range f.b {
		f.b[i] = s
	}
}

// decode writes the frame's samples to pcm.
func (f *frame) decode(pcm *[FrameSamples]int16) {
	if f.quiet {
		*pcm = [FrameSamples]int16{}
		return
	}
	f.codec.Decode(pcm[:], f.b[:])
}

// as brings the frame into codec c.
func (f *frame) as(c Codec) {
	if f.codec == c || c == NoCodec {
		return
	}
	if f.quiet {
		f.hush(c)
		return
	}
	transcode(f.b[:], c, f.b[:], f.codec)
	f.codec = c
}
