package media

import "sort"

// The tables of ITU-T G.711, made once from the definition of the code words: a code word stands for a
// segment and a step in it, and a sample gets the code word in whose decision interval it lies.
var (
	pcmaDecode [256]int16
	pcmuDecode [256]int16
	pcmaEncode [8192]byte  // by the upper 13 bits of a sample
	pcmuEncode [16384]byte // by the upper 14 bits of a sample
	pcmaToPCMU [256]byte
	pcmuToPCMA [256]byte
)

func init() {
	for i := range 256 {
		pcmaDecode[i] = pcmaValue(byte(i))
		pcmuDecode[i] = pcmuValue(byte(i))
	}
	fillEncoder(pcmaEncode[:], 3, pcmaDecision(), func(sign bool, n int) byte {
		if sign {
			return byte(n) ^ 0x55
		}
		return byte(n) ^ 0xD5
	})
	fillEncoder(pcmuEncode[:], 2, pcmuDecision(), func(sign bool, n int) byte {
		if sign {
			return ^byte(n) & 0x7F
		}
		return ^byte(n)
	})
	for i := range 256 {
		pcmaToPCMU[i] = pcmuEncode[uint16(pcmaDecode[i])>>2]
		pcmuToPCMA[i] = pcmaEncode[uint16(pcmuDecode[i])>>3]
	}
}

// pcmaValue is the quantised value (column 6 of table 1/G.711) of an A-law code, on a 16-bit scale.
func pcmaValue(code byte) int16 {
	code ^= 0x55 // even bits are inverted on the line
	seg, step := int(code>>4&7), int(code&15)
	v := step<<4 + 8 // the middle of a step of 16
	if seg > 0 {
		v = (v + 256) << (seg - 1)
	}
	if code&0x80 == 0 {
		v = -v
	}
	return int16(v)
}

// pcmuValue is the quantised value (table 2/G.711) of a µ-law code, on a 16-bit scale.
func pcmuValue(code byte) int16 {
	code = ^code // all bits are inverted on the line
	seg, step := int(code>>4&7), int(code&15)
	v := (step<<3+0x84)<<seg - 0x84
	if code&0x80 != 0 {
		v = -v
	}
	return int16(v)
}

// pcmaDecision lists the lower decision value of each of the 128 positive A-law steps, in units of 16 bits.
func pcmaDecision() []int {
	var d []int
	for n := range 128 {
		seg, step := n>>4, n&15
		v := step << 4
		if seg > 0 {
			v = (v + 256) << (seg - 1)
		}
		d = append(d, v)
	}
	return d
}

// pcmuDecision lists the lower decision value of each of the 128 positive µ-law steps: half a step below
// the quantised value, and zero for the lowest.
func pcmuDecision() []int {
	d := []int{0}
	for n := 1; n < 128; n++ {
		d = append(d, int(pcmuValue(^byte(n)))-4<<(n>>4))
	}
	return d
}

// fillEncoder gives every sample, whose upper bits are the index, the code of its decision interval.
// Negative samples are taken by one's complement, as the reference coders of ITU-T G.191 take them, so
// that −1 is the mirror of 0.
func fillEncoder(table []byte, shift uint, decision []int, code func(sign bool, n int) byte) {
	for i := range table {
		s := int(int16(uint16(i) << shift))
		m, sign := s, s < 0
		if sign {
			m = ^s
		}
		m = m >> shift << shift
		n := sort.SearchInts(decision, m+1) - 1
		table[i] = code(sign, n)
	}
}
