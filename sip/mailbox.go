package sip

import (
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
	last  uint32 // CSeq of the last one handled
	known bool   // whether last is
	held  map[uint32]letter

	seenMu sync.Mutex
	seen   map[uint32]bool // announced and not handled yet
	above  uint32          // those up to here have been handled
}

type letter struct {
	req *gosip.Request
	tx  serverTx
	at  time.Time
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
	if m.seen == nil {
		m.seen = map[uint32]bool{}
	}
	m.seen[cseq] = true
}

// deliver handles req now or as soon as those before it have been.
func (m *mailbox) deliver(req *gosip.Request, tx serverTx) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := req.CSeq().SeqNo
	if m.known && n <= m.last || len(m.held) >= maxHeld || m.held[n].req != nil {
		m.refuse(req, tx)
		return
	}
	if m.held == nil {
		m.held = map[uint32]letter{}
	}
	m.held[n] = letter{req, tx, time.Now()}
	m.work()
}

// work handles what is due. mu is held.
func (m *mailbox) work() {
	for len(m.held) > 0 {
		n, first := uint32(0), true
		for k := range m.held {
			if first || k < n {
				n, first = k, false
			}
		}
		l := m.held[n]
		if wait := m.wait(n, l.at); wait > 0 {
			m.after(min(wait, 20*time.Millisecond), "mailbox", func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.work()
			})
			return
		}
		delete(m.held, n)
		m.last, m.known = n, true
		m.seenMu.Lock()
		m.above = n
		for k := range m.seen {
			if k <= n {
				delete(m.seen, k)
			}
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
	for k := range m.seen {
		if k < n && k > m.last {
			gap = gapSeen
		}
	}
	m.seenMu.Unlock()
	return gap - time.Since(since)
}
