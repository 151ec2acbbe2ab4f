package media

import "testing"

// The bit procedures of ITU-T G.711 as the reference coders of G.191 state them, written out once more
// and independently of the tables.
func ituALawCompress(lin int16) byte {
	ix := int(lin) >> 4
	if lin < 0 {
		ix = int(^lin) >> 4
	}
	if ix > 15 {
		exp := 1
		for ix > 16+15 {
			ix >>= 1
			exp++
		}
		ix -= 16
		ix += exp << 4
	}
	if lin >= 0 {
		ix |= 0x80
	}
	return byte(ix) ^ 0x55
}

func ituULawCompress(lin int16) byte {
	abs := int(lin)>>2 + 33
	if lin < 0 {
		abs = int(^lin)>>2 + 33
	}
	abs = min(abs, 0x1FFF)
	seg := 1
	for i := abs >> 6; i != 0; i >>= 1 {
		seg++
	}
	high := 8 - seg
	low := 15 - abs>>seg&15
	out := high<<4 | low
	if lin >= 0 {
		out |= 0x80
	}
	return byte(out)
}

func ituALawExpand(code byte) int16 {
	ix := int(code) ^ 0x55
	ix &= 0x7F
	exp := ix >> 4
	mant := ix & 15
	if exp > 0 {
		mant += 16
	}
	mant = mant<<4 + 8
	if exp > 1 {
		mant <<= exp - 1
	}
	if code > 127 {
		return int16(mant)
	}
	return int16(-mant)
}

func ituULawExpand(code byte) int16 {
	sign := -1
	if code >= 0x80 {
		sign = 1
	}
	mant := int(^code)
	exp := mant >> 4 & 7
	seg := exp + 1
	mant &= 15
	step := 4 << seg
	return int16(sign * ((0x80 << exp) + step*mant + step/2 - 4*33))
}

func TestG711MatchesITUForEverySample(t *testing.T) {
	for s := -32768; s <= 32767; s++ {
		in := []int16{int16(s)}
		var out [1]byte
		PCMA.Encode(out[:], in)
		if want := ituALawCompress(int16(s)); out[0] != want {
			t.Fatalf("A-law of %d is %#02x, ITU says %#02x", s, out[0], want)
		}
		PCMU.Encode(out[:], in)
		if want := ituULawCompress(int16(s)); out[0] != want {
			t.Fatalf("µ-law of %d is %#02x, ITU says %#02x", s, out[0], want)
		}
	}
}

func TestG711MatchesITUForEveryCode(t *testing.T) {
	for c := range 256 {
		var out [1]int16
		PCMA.Decode(out[:], []byte{byte(c)})
		if want := ituALawExpand(byte(c)); out[0] != want {
			t.Fatalf("A-law %#02x is %d, ITU says %d", c, out[0], want)
		}
		PCMU.Decode(out[:], []byte{byte(c)})
		if want := ituULawExpand(byte(c)); out[0] != want {
			t.Fatalf("µ-law %#02x is %d, ITU says %d", c, out[0], want)
		}
	}
}

func TestG711RoundTripKeepsEveryCode(t *testing.T) {
	for c := range 256 {
		for _, codec := range []Codec{PCMA, PCMU} {
			var pcm [1]int16
			var back [1]byte
			codec.Decode(pcm[:], []byte{byte(c)})
			codec.Encode(back[:], pcm[:])
			// µ-law has two zeros; the negative one comes back as the positive one.
			if back[0] != byte(c) && !(codec == PCMU && c == 0x7F && back[0] == 0xFF) {
				t.Errorf("%v %#02x came back as %#02x (sample %d)", codec, c, back[0], pcm[0])
			}
		}
	}
}

func TestG711ErrorStaysWithinHalfAStep(t *testing.T) {
	for s := -32768; s <= 32767; s++ {
		for _, codec := range []Codec{PCMA, PCMU} {
			var b [1]byte
			var back [1]int16
			codec.Encode(b[:], []int16{int16(s)})
			codec.Decode(back[:], b[:])
			diff, mag := s-int(back[0]), s
			if diff < 0 {
				diff = -diff
			}
			if mag < 0 {
				mag = -mag
			}
			if limit := max(16, (mag+132)/31); diff > limit {
				// Above the last decision value the code is clipped.
				if codec == PCMU && mag > 32124 && diff <= 32768-32124 {
					continue
				}
				t.Fatalf("%v of %d is off by %d, limit %d", codec, s, diff, limit)
			}
		}
	}
}

func TestTranscodingIsDecodeThenEncode(t *testing.T) {
	for c := range 256 {
		for _, p := range [][2]Codec{{PCMA, PCMU}, {PCMU, PCMA}} {
			src := []byte{byte(c)}
			var got, want [1]byte
			var pcm [1]int16
			transcode(got[:], p[1], src, p[0])
			p[0].Decode(pcm[:], src)
			p[1].Encode(want[:], pcm[:])
			if got != want {
				t.Fatalf("%v %#02x to %v is %#02x, want %#02x", p[0], c, p[1], got[0], want[0])
			}
		}
	}
}
