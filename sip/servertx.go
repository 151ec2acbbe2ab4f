package sip

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// A serverTx is a server transaction (RFC 3261 17.2): over UDP one of ours, over TCP and TLS one of the library's. Ours remembers of a
// finished one the bytes of its final response and nothing else, has no goroutine, and shares its timers with all others.
type serverTx interface {
	Respond(*gosip.Response) error
	Terminate() // without another response
}

var (
	_ serverTx = (*udpTx)(nil)
	_ serverTx = (*gosip.ServerTx)(nil)
)

// txKey identifies a server transaction over UDP (RFC 3261 17.2.3): two hashes with secrets of this process, so that nobody can make
// two transactions meet, and a table of them is nothing for the garbage collector to look into.
type txKey [2]uint64

// A txState is that of RFC 3261 figures 7 and 8, with RFC 6026.
type txState uint8

const (
	proceeding txState = iota
	accepted           // INVITE: a 2xx was sent; the dialog repeats it
	completed          // a final response was sent, and is again for every repetition of the request
	confirmed          // INVITE: … and has been acknowledged
	terminated
)

// udpTx is a server transaction over UDP.
type udpTx struct {
	key    txKey
	l      *listener
	to     netip.AddrPort // where the request came from (RFC 3581)
	invite bool
	opens  bool          // an INVITE outside of any dialog
	came   time.Duration // since Server.began

	mu     sync.Mutex
	state  txState
	origin *gosip.Request // until it has been answered
	last   []byte         // the response that repetitions get
	again  *time.Timer    // INVITE: timer G
	wait   time.Duration
	began  time.Time // of completed
}

// replies holds the server transactions over UDP.
type replies struct {
	seeds [2]maphash.Seed

	mu sync.Mutex
	m  map[txKey]*udpTx

	trying  *lapse[*udpTx] // 100, 200 ms after an INVITE that has not been answered (RFC 3261 17.2.1)
	ending  *lapse[*udpTx] // timers J and L
	leaving *lapse[*udpTx] // timer I
}

// soonTrying is how long the program has to answer an INVITE before 100 is sent.
const soonTrying = 200 * time.Millisecond

// ackRemains is T4 of RFC 3261: how long a message lives in the network.
const ackRemains = 5 * time.Second

func newReplies(s *Server) *replies {
	a := &replies{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, m: map[txKey]*udpTx{}}
	a.trying = newLapse(soonTrying, s.safely, (*udpTx).sayTrying)
	a.ending = newLapse(64*s.t1, s.safely, func(tx *udpTx) { tx.end() })
	a.leaving = newLapse(ackRemains, s.safely, func(tx *udpTx) { tx.end() })
	return a
}

// keyOf names the transaction that a request belongs to, for an ACK and a CANCEL that of their INVITE when method says so. It fails
// when the request lacks what identifies it.
func (a *replies) keyOf(req *gosip.Request, method gosip.RequestMethod) (k txKey, ok bool) {
	via, cseq := req.Via(), req.CSeq()
	if via == nil || cseq == nil {
		return k, false
	}
	var room [320]byte
	b := room[:0]
	if branch, _ := via.Params.Get("branch"); len(branch) > len(gosip.RFC3261BranchMagicCookie) && strings.HasPrefix(branch, gosip.RFC3261BranchMagicCookie) {
		b = append(append(b, branch...), 0)
		b = append(append(b, via.Host...), 0)
		port := via.Port
		if port <= 0 {
			port = defaultPort("UDP")
		}
		b = strconv.AppendInt(b, int64(port), 10)
	} else { // RFC 2543
		from, id := req.From(), req.CallID()
		if from == nil || id == nil {
			return k, false
		}
		tag, _ := from.Params.Get("tag")
		b = append(append(b, tag...), 1)
		b = append(append(b, id.Value()...), 1)
		b = append(strconv.AppendUint(b, uint64(cseq.SeqNo), 10), 1)
		b = append(b, via.Value()...)
	}
	b = append(append(b, 0), method...)
	return txKey{maphash.Bytes(a.seeds[0], b), maphash.Bytes(a.seeds[1], b)}, true
}

func (a *replies) find(k txKey) *udpTx {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.m[k]
}

// open begins a transaction, or finds the one that the request repeats.
func (a *replies) open(k txKey, l *listener, to netip.AddrPort, req *gosip.Request) (tx *udpTx, repeated bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if tx := a.m[k]; tx != nil {
		return tx, true
	}
	tx = &udpTx{key: k, l: l, to: to, invite: req.Method == gosip.INVITE, origin: req}
	a.m[k] = tx
	return tx, false
}

func (a *replies) close() {
	a.trying.stop()
	a.ending.stop()
	a.leaving.stop()
	a.mu.Lock()
	all := make([]*udpTx, 0, len(a.m))
	for _, tx := range a.m {
		all = append(all, tx)
	}
	a.mu.Unlock()
	for _, tx := range all {
		tx.Terminate()
	}
}

// take is a request over UDP, with what it needs to be answered. It is called by the socket's reader, so in the order in which
// requests came; whatever may take time is done elsewhere.
func (l *listener) take(req *gosip.Request, from netip.AddrPort, late time.Duration) {
	s := l.s
	tidy(req)
	method := req.Method
	if method == gosip.ACK || method == gosip.CANCEL {
		method = gosip.INVITE
	}
	key, ok := s.replies.keyOf(req, method)
	if !ok {
		if req.Method != gosip.ACK && req.Via() != nil {
			_ = l.write(rendered(response(req, 400, "", nil)), from)
		}
		return
	}
	switch req.Method {
	case gosip.ACK:
		if tx := s.replies.find(key); tx != nil {
			tx.acknowledged()
		}
		s.meet(req)
		return
	case gosip.CANCEL:
		s.meet(req)
		if s.replies.find(key) != nil { // the front has told the call, or the INVITE will find out when it gets there
			_ = l.write(rendered(response(req, 200, "", nil)), from)
			return
		}
		if key, ok = s.replies.keyOf(req, gosip.CANCEL); !ok {
			return
		}
		if tx, repeated := s.replies.open(key, l, from, req); repeated {
			tx.repeat()
		} else {
			s.crew.do(req, tx)
		}
		return
	}
	if tx := s.replies.find(key); tx != nil {
		tx.repeat()
		return
	}
	if req.Method == gosip.INVITE && l.sheds(req, from) {
		return
	}
	tx, repeated := s.replies.open(key, l, from, req)
	if repeated {
		tx.repeat()
		return
	}
	tx.came = time.Since(s.began) - late
	if tx.invite {
		to := req.To()
		tx.opens = to != nil && !to.Params.Has("tag")
		s.replies.trying.put(tx)
	}
	s.meet(req)
	s.crew.do(req, tx)
}

// Respond sends a response. After a final one there is no other, but for the 2xx to an INVITE, which may be sent again.
func (tx *udpTx) Respond(res *gosip.Response) error {
	b := rendered(res)
	tx.mu.Lock()
	defer tx.mu.Unlock()
	switch tx.state {
	case terminated:
		return gosip.ErrTransactionTerminated
	case accepted:
		if !res.IsSuccess() {
			return nil
		}
		return tx.l.write(b, tx.to)
	case proceeding:
	default:
		return nil
	}
	if err := tx.l.write(b, tx.to); err != nil {
		tx.terminate()
		return err
	}
	a := tx.l.s.replies
	switch {
	case res.IsProvisional():
		tx.last = b
		return nil
	case tx.invite && res.IsSuccess():
		tx.state, tx.last = accepted, nil
		a.ending.put(tx)
	case tx.invite:
		tx.state, tx.last = completed, b
		tx.began, tx.wait = time.Now(), tx.l.s.t1
		tx.again = tx.l.s.after(tx.wait, "final response", tx.repeatFinal)
	default:
		tx.state, tx.last = completed, b
		a.ending.put(tx)
	}
	tx.origin = nil
	return nil
}

// repeatFinal sends the refusal of an INVITE again until it is acknowledged (timers G and H).
func (tx *udpTx) repeatFinal() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state != completed {
		return
	}
	t1 := tx.l.s.t1
	if time.Since(tx.began) >= 64*t1 {
		tx.terminate()
		return
	}
	_ = tx.l.write(tx.last, tx.to)
	tx.wait = min(2*tx.wait, 8*t1)
	tx.again.Reset(min(tx.wait, max(64*t1-time.Since(tx.began), 0)))
}

// repeat answers a repetition of the request.
func (tx *udpTx) repeat() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.last != nil && (tx.state == proceeding || tx.state == completed) {
		_ = tx.l.write(tx.last, tx.to)
	}
}

// acknowledged takes the ACK of a refused INVITE.
func (tx *udpTx) acknowledged() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state != completed || !tx.invite {
		return
	}
	tx.state, tx.last = confirmed, nil
	tx.again.Stop()
	tx.l.s.replies.leaving.put(tx)
}

// sayTrying stops a caller from repeating an INVITE that takes its time.
func (tx *udpTx) sayTrying() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.state != proceeding || tx.last != nil || tx.origin == nil {
		return
	}
	tx.last = rendered(response(tx.origin, 100, "", nil))
	_ = tx.l.write(tx.last, tx.to)
}

func (tx *udpTx) end() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.terminate()
}

// Terminate ends the transaction: the request is not answered any more, however often it comes.
func (tx *udpTx) Terminate() { tx.end() }

// terminate forgets the transaction. mu is held.
func (tx *udpTx) terminate() {
	if tx.state == terminated {
		return
	}
	tx.state, tx.origin, tx.last = terminated, nil, nil
	if tx.again != nil {
		tx.again.Stop()
	}
	a := tx.l.s.replies
	a.mu.Lock()
	if a.m[tx.key] == tx {
		delete(a.m, tx.key)
	}
	a.mu.Unlock()
}

// rendering is where messages are written before their length is known.
var rendering = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// rendered is a message as it goes over the wire.
func rendered(m gosip.Message) []byte {
	buf := rendering.Get().(*bytes.Buffer)
	buf.Reset()
	m.StringWrite(buf)
	b := bytes.Clone(buf.Bytes())
	rendering.Put(buf)
	return b
}
