package sip

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"lianxin/sip/media"
)

// forger is a socket on which datagrams from many sources arrive as fast as they are read, before the real ones do.
type forger struct {
	packetConn
	left int
	done chan struct{}
}

func (f *forger) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	if f.left == 0 {
		return f.packetConn.ReadFromUDPAddrPort(b)
	}
	if f.left--; f.left == 0 {
		close(f.done)
	}
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 0x0b000000+uint32(f.left))
	from := netip.AddrPortFrom(netip.AddrFrom4(ip), 5060)
	if f.left%3 == 0 {
		return copy(b, "\x80\x00 not SIP at all, from "+from.String()), from, nil
	}
	return copy(b, strings.ReplaceAll(fmt.Sprintf("OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\nFrom: <sip:a@b>;tag=1\nTo: <sip:x>\n"+
		"Call-ID: %d\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n", from, f.left, f.left), "\n", "\r\n")), from, nil
}

// WriteTo sends nothing to those who do not exist.
func (f *forger) WriteTo(b []byte, to net.Addr) (int, error) {
	if a, ok := to.(*net.UDPAddr); ok && !a.IP.IsLoopback() {
		return len(b), nil
	}
	return f.packetConn.WriteTo(b, to)
}

func (f *forger) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if !to.Addr().IsLoopback() {
		return len(b), nil
	}
	return f.packetConn.WriteToUDPAddrPort(b, to)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFloodFromForgedSourcesCostsLittle(t *testing.T) { // trap 11: 49 MB for good without the guard
	const n = 300_000
	x, serve := prepare(t, media.Config{}, nil, nil)
	f := &forger{left: n, done: make(chan struct{})}
	for _, l := range x.listeners {
		if l.udp != nil {
			f.packetConn = l.udp.packetConn
			l.use(f)
		}
	}
	before := heap()
	serve()
	<-f.done
	p := newPeer(t, x.udp)
	p.response(p.ua().do("OPTIONS", ""), 200) // all of them have been dealt with, and we are well
	if grown := heap() - before; grown > 20<<20 {
		t.Errorf("%d sources cost %d MB", n, grown>>20)
	} else {
		t.Logf("%d sources cost %d KB", n, grown>>10)
	}
	h := x.Health()
	if h.Dropped["noise"] != n/3 || h.Dropped["newSource"] < n/2 || h.Received < 100 {
		t.Errorf("received %d, dropped %v", h.Received, h.Dropped)
	}
	if size := x.tpl.Pool("udp").Size(); size > n/20 {
		t.Errorf("the library remembers %d addresses", size)
	}
}
