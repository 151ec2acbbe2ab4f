package sip

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
)

// The pcap file format (draft-ietf-opsawg-pcap) with microseconds and raw IP packets.
const (
	pcapMagic   = 0xA1B2C3D4
	pcapRawIP   = 101
	pcapLongest = 65535
	udpProtocol = 17
	hushed      = 0xD5 // silence in A-law
)

// WritePCAP writes the packets as a pcap file that Wireshark reads. With voice false the sound is silence and digits are struck out:
// sizes, times and headers stay as they were.
func (p *Packets) WritePCAP(w io.Writer, voice bool) error {
	out := bufio.NewWriter(w)
	le := binary.LittleEndian
	h := le.AppendUint32(nil, pcapMagic)
	h = le.AppendUint16(h, 2)
	h = le.AppendUint16(h, 4)
	h = le.AppendUint64(h, 0) // zone and accuracy
	h = le.AppendUint32(h, pcapLongest)
	h = le.AppendUint32(h, pcapRawIP)
	out.Write(h)
	list := slices.Clone(p.List)
	slices.SortStableFunc(list, func(a, b Packet) int { return a.At.Compare(b.At) })
	for _, one := range list {
		data := one.Data
		if one.Voice && !voice {
			data = hush(data)
		}
		ip := datagram(one.From, one.To, data)
		if ip == nil {
			continue
		}
		h := le.AppendUint32(nil, uint32(one.At.Unix()))
		h = le.AppendUint32(h, uint32(one.At.Nanosecond()/1000))
		h = le.AppendUint32(h, uint32(len(ip)))
		h = le.AppendUint32(h, uint32(len(ip)))
		out.Write(h)
		out.Write(ip)
	}
	return out.Flush() // it keeps the first error
}

// hush takes the sound out of an RTP packet. What is as short as a telephone event loses its digit.
func hush(b []byte) []byte {
	b = slices.Clone(b)
	if len(b) < 12 {
		return b
	}
	payload := b[min(len(b), 12+4*int(b[0]&0x0F)):]
	if len(payload) <= 4 {
		clear(payload[:min(len(payload), 1)])
		return b
	}
	for i := range payload {
		payload[i] = hushed
	}
	return b
}

// datagram puts UDP and IP in front of data; nil when it cannot.
func datagram(from, to netip.AddrPort, data []byte) []byte {
	src, dst := from.Addr().Unmap().WithZone(""), to.Addr().Unmap().WithZone("")
	if !src.IsValid() {
		src = sameKind(dst)
	}
	if !dst.IsValid() {
		dst = sameKind(src)
	}
	if !src.IsValid() || src.Is4() != dst.Is4() || len(data) > pcapLongest-48 {
		return nil
	}
	be := binary.BigEndian
	udp := be.AppendUint16(nil, from.Port())
	udp = be.AppendUint16(udp, to.Port())
	udp = be.AppendUint16(udp, uint16(8+len(data)))
	udp = be.AppendUint16(udp, 0)
	udp = append(udp, data...)
	pseudo := append(append(src.AsSlice(), dst.AsSlice()...), 0, udpProtocol, byte(len(udp)>>8), byte(len(udp)))
	sum := checksum(append(pseudo, udp...))
	if sum == 0 {
		sum = 0xFFFF
	}
	be.PutUint16(udp[6:], sum)
	if !src.Is4() {
		ip := append([]byte{0x60, 0, 0, 0, byte(len(udp) >> 8), byte(len(udp)), udpProtocol, 64}, src.AsSlice()...)
		return append(append(ip, dst.AsSlice()...), udp...)
	}
	n := 20 + len(udp)
	ip := append([]byte{0x45, 0, byte(n >> 8), byte(n), 0, 0, 0x40, 0, 64, udpProtocol, 0, 0}, src.AsSlice()...)
	ip = append(ip, dst.AsSlice()...)
	be.PutUint16(ip[10:], checksum(ip))
	return append(ip, udp...)
}

// sameKind is the unspecified address of a's family.
func sameKind(a netip.Addr) netip.Addr {
	switch {
	case a.Is4():
		return netip.IPv4Unspecified()
	case a.Is6():
		return netip.IPv6Unspecified()
	}
	return a
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return ^uint16(sum)
}
