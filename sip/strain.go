package sip

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	gosip "github.com/emiago/sipgo/sip"
	"golang.org/x/sys/unix"
)

// strain tells when more comes than this machine can do. The sign is time: what a request has waited, in the socket and for a
// goroutine, when its handling begins. When that stays above what callers put up with, new calls are refused with the least work, so
// that those which have begun get all the rest: without it every call waits until its caller repeats himself, and the repetitions
// end them all.
type strain struct {
	since atomic.Int64 // when waiting became long, ns since Server.began; 0: it is not
	heard atomic.Int64 // when it was last measured
	long  atomic.Int64 // requests that have waited so since then
	off   bool         // nobody is refused; for tests
	shed  atomic.Int64 // calls refused
}

const (
	longWait   = 250 * time.Millisecond // half of the time in which a caller repeats himself
	longFor    = 500 * time.Millisecond // that this must last: a stall of the machine refuses nobody
	manyWait   = 100                    // requests that must have waited so: a few calls on a machine that has no time for us are not too many
	measureOld = 100 * time.Millisecond // a measurement says nothing any more
)

// note takes what a request has waited.
func (t *strain) note(now, waited time.Duration) {
	t.heard.Store(int64(now))
	if waited <= longWait {
		t.since.Store(0)
		t.long.Store(0)
		return
	}
	t.long.Add(1)
	t.since.CompareAndSwap(0, int64(now))
}

// over reports whether a new call is to be refused.
func (t *strain) over(now time.Duration) bool {
	since := t.since.Load()
	return !t.off && since != 0 && t.long.Load() >= manyWait && now-time.Duration(since) > longFor && now-time.Duration(t.heard.Load()) < measureOld
}

// sheds refuses a new call that is one too many, without keeping anything of it (RFC 3261 8.2.7).
func (l *listener) sheds(req *gosip.Request, from netip.AddrPort) bool {
	to := req.To()
	if to == nil || to.Params.Has("tag") || !l.s.strain.over(time.Since(l.s.began)) {
		return false
	}
	l.s.strain.shed.Add(1)
	l.s.giveTag(req)
	_ = l.write(rendered(response(req, 503, "", nil, header("Retry-After", strainRetry()))), from)
	return true
}

// strainRetry spreads those who come back.
func strainRetry() string { return strconv.Itoa(2 + rand.IntN(8)) }

// stamp asks the kernel to say of every datagram when it came.
func stamp(c *net.UDPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	err = raw.Control(func(fd uintptr) {
		ok = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) == nil
	})
	return ok && err == nil
}

// waited is how long a datagram has lain in its socket, by the control message that came with it.
func waited(oob []byte) time.Duration {
	for len(oob) >= unix.CmsgLen(0) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		n := int(h.Len)
		if n < unix.CmsgLen(0) || n > len(oob) {
			return 0
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && n >= unix.CmsgLen(16) {
			at := oob[unix.CmsgLen(0):]
			came := time.Unix(int64(binary.NativeEndian.Uint64(at)), int64(binary.NativeEndian.Uint64(at[8:])))
			return max(0, time.Since(came)) // 0 after the clock was put back
		}
		next := unix.CmsgSpace(n - unix.CmsgLen(0))
		if next > len(oob) {
			return 0
		}
		oob = oob[next:]
	}
	return 0
}
