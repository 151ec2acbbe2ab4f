package sip

import (
	"cmp"
	"slices"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// How long a request is held for one with a lower CSeq: for one that nobody has seen, and for one that the front has seen but whose
// goroutine has not run yet.
const (
	gapUnseen = 50 * time.Millisecond
	gapSeen   = 2 * time.Second
	maxHeld   = 64
)

// mailbox brings the requests of one dialog into the order of their CSeq and handles one at a time. The library delivers them in any
// order (trap 2).
type mailbox struct {
	handle func(*gosip.Request, serverTx) // called with mu held: in order, one at a time
	refuse func(*gosip.Request, serverTx) // out of order: 500 (RFC 3261 12.2.2)
	after  func(time.Duration, string, func()) *time.Timer

	mu    sync.Mutex
	last  uint32   // CSeq of the last one handled
	known bool     // whether last is
	held  []letter // in the order of CSeq; short, and nil as long as everything comes in order

	seenMu sync.Mutex
	seen   []uint32 // announced and not handled yet
	above  uint32   // those up to here have been handled
}

type letter struct {
	cseq uint32
	req  *gosip.Request
	tx   serverTx
	at   time.Time
}

// start sets the CSeq after which the next one is due; for a dialog that we opened it is not known.
func (m *mailbox) start(last uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.known = last, true
	m.seenMu.Lock()
	m.above = last
	m.seenMu.Unlock()
}

// announce notes that a request is on its way here. It never waits for a handler.
func (m *mailbox) announce(cseq uint32) {
	m.seenMu.Lock()
	defer m.seenMu.Unlock()
	if cseq <= m.above || len(m.seen) >= maxHeld {
		return
	}
	if !slices.Contains(m.seen, cseq) {
		m.seen = append(m.seen, cseq)
	}
}

// deliver handles req now or as soon as those before it have been.
func (m *mailbox) deliver(req *gosip.Request, tx serverTx) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := req.CSeq().SeqNo
	at, twice := slices.BinarySearchFunc(m.held, n, func(l letter, n uint32) int { return cmp.Compare(l.cseq, n) })
	if m.known && n <= m.last || len(m.held) >= maxHeld || twice {
		m.refuse(req, tx)
		return
	}
	m.held = slices.Insert(m.held, at, letter{n, req, tx, time.Now()})
	m.work()
}

// rest is the CSeq of the last request, and whether none is being handled or waiting for its turn. It does not wait.
func (m *mailbox) rest() (last uint32, idle bool) {
	if !m.mu.TryLock() {
		return 0, false
	}
	defer m.mu.Unlock()
	return m.last, len(m.held) == 0
}

// work handles what is due. mu is held.
func (m *mailbox) work() {
	for len(m.held) > 0 {
		l := m.held[0]
		if wait := m.wait(l.cseq, l.at); wait > 0 {
			m.after(min(wait, 20*time.Millisecond), "mailbox", func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.work()
			})
			return
		}
		if m.held = slices.Delete(m.held, 0, 1); len(m.held) == 0 {
			m.held = nil
		}
		m.last, m.known = l.cseq, true
		m.seenMu.Lock()
		m.above = l.cseq
		if m.seen = slices.DeleteFunc(m.seen, func(n uint32) bool { return n <= l.cseq }); len(m.seen) == 0 {
			m.seen = nil
		}
		m.seenMu.Unlock()
		m.handle(l.req, l.tx)
	}
}

// wait is how much longer the request numbered n is to be held.
func (m *mailbox) wait(n uint32, since time.Time) time.Duration {
	gap := time.Duration(0)
	if m.known && n != m.last+1 {
		gap = gapUnseen
	}
	m.seenMu.Lock()
	for _, k := range m.seen {
		if k < n && k > m.last {
			gap = gapSeen
		}
	}
	m.seenMu.Unlock()
	return gap - time.Since(since)
}
