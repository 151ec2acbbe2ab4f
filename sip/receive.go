package sip

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// What we say of ourselves. There is no Server and no User-Agent header: they would tell a scanner where to look for holes.
const (
	allow     = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, REGISTER"
	supported = "timer, 100rel, replaces, norefersub"
	accepts   = "application/sdp"
)

// known methods that we do not serve get 405, others 501 (RFC 3261 21.4.6, 21.5.2).
var unserved = map[gosip.RequestMethod]bool{gosip.SUBSCRIBE: true, gosip.MESSAGE: true, gosip.PUBLISH: true}

// begin is receive for a request over UDP, whose waiting has an end.
func (s *Server) begin(req *gosip.Request, tx serverTx) {
	if u, ok := tx.(*udpTx); ok {
		now := time.Since(s.began)
		s.strain.note(now, now-u.came)
	}
	s.receive(req, tx)
}

// receive is called by the library in a goroutine of its own for every request that is not a retransmission.
func (s *Server) receive(req *gosip.Request, tx serverTx) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked("request "+string(req.Method), p)
			if req.Method != gosip.ACK {
				s.safely("500", func() { s.respond(req, tx, 500, "") })
			}
		}
	}()
	if req.Method == gosip.ACK {
		tx.Terminate() // front has taken it to its dialog; an ACK is never answered
		return
	}
	if code, extra := s.malformed(req); code != 0 {
		s.respond(req, tx, code, "", extra...)
		return
	}
	if req.Transport() != "UDP" { // over UDP the guard has looked before the parser did
		if ua := req.GetHeader("User-Agent"); ua != nil && isScanner(ua.Value()) {
			s.guard.dropped.scanner.Add(1)
			s.guard.offends(flowOf(req, tx).remoteAddr().Addr(), offenceScanner, "scanner")
			tx.Terminate()
			return
		}
	}
	if req.Method == gosip.CANCEL {
		s.onCancel(req, tx)
		return
	}
	inside := req.To().Params.Has("tag")
	if req.Method == gosip.INVITE {
		inside = !s.opens(req, tx)
	}
	if inside && req.Method != gosip.REGISTER {
		if l := s.dialogOf(req); l != nil {
			l.note(false, req.Source(), summary(req))
			l.box.deliver(req, tx)
		} else if l := s.earlyOf(req); l != nil && req.Method == gosip.UPDATE {
			l.note(false, req.Source(), summary(req))
			l.updated(req, tx)
		} else if !s.departed(req, tx) {
			s.respond(req, tx, 481, "")
		}
		return
	}
	if code, extra := refused(req); code != 0 {
		s.respond(req, tx, code, "", extra...)
		return
	}
	switch req.Method {
	case gosip.INVITE:
		s.onInvite(req, tx)
	case gosip.REGISTER:
		s.registrar.onRegister(req, tx)
	case gosip.OPTIONS:
		if s.isDraining() {
			s.respond(req, tx, 503, "", header("Retry-After", drainRetry()))
			return
		}
		s.respond(req, tx, 200, "", header("Allow", allow), header("Accept", accepts), header("Supported", supported))
	case gosip.BYE, gosip.INFO, gosip.UPDATE, gosip.PRACK, gosip.NOTIFY:
		s.respond(req, tx, 481, "")
	case gosip.REFER: // nobody has us call somebody outside of a call (pitfall 11)
		s.respond(req, tx, 403, "")
	default:
		if unserved[req.Method] {
			s.respond(req, tx, 405, "", header("Allow", allow))
		} else {
			s.respond(req, tx, 501, "", header("Allow", allow))
		}
	}
}

// drainRetry spreads those who come back.
func drainRetry() string { return strconv.Itoa(20 + rand.IntN(20)) }

// malformed checks what the parser does not (trap 22): the code to answer with, 0 if all is well.
func (s *Server) malformed(req *gosip.Request) (int, []gosip.Header) {
	bad := func(why string) (int, []gosip.Header) {
		return 400, []gosip.Header{header("Warning", `399 lianxin "`+why+`"`)}
	}
	if !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return 505, nil
	}
	var n [len(single)]int
	for _, h := range req.Headers() {
		switch h.(type) {
		case *gosip.FromHeader:
			n[0]++
		case *gosip.ToHeader:
			n[1]++
		case *gosip.CallIDHeader:
			n[2]++
		case *gosip.CSeqHeader:
			n[3]++
		case *gosip.MaxForwardsHeader:
			n[4]++
		case *gosip.ContentLengthHeader:
			n[5]++
		}
	}
	for i, name := range single {
		if n[i] > 1 {
			return bad("more than one " + name)
		}
		if n[i] == 0 && i < needed {
			return bad("no " + name)
		}
	}
	from, to, cseq := req.From(), req.To(), req.CSeq()
	if from == nil || to == nil || cseq == nil || req.CallID() == nil {
		return bad("unreadable header")
	}
	if tag, _ := from.Params.Get("tag"); tag == "" {
		return bad("no From tag")
	}
	if !strings.EqualFold(strings.TrimSpace(string(cseq.MethodName)), string(req.Method)) { // the parser has raised the method's case
		return bad("CSeq method")
	}
	switch req.Recipient.Scheme {
	case "sip", "sips", "tel":
	default:
		return 416, nil
	}
	if strings.ContainsAny(req.Recipient.User+req.Recipient.Host, "<>\" \t") {
		return bad("Request-URI")
	}
	if via := req.Via(); via != nil { // an answer there would go to everybody
		if ip, err := netip.ParseAddr(via.Host); err == nil && (ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})) {
			return bad("Via")
		}
	}
	return 0, nil
}

// single are the headers of which there may be one, and the first of them are needed.
var single = [...]string{"from", "to", "call-id", "cseq", "max-forwards", "content-length"}

const needed = 4

// refused checks what a request outside of dialogs must meet.
func refused(req *gosip.Request) (int, []gosip.Header) {
	if mf := req.MaxForwards(); mf != nil && mf.Val() == 0 {
		return 483, nil
	}
	return unsupported(req)
}

// understood are the options that a request may require of us.
var understood = map[string]bool{"timer": true, "100rel": true, "replaces": true, "norefersub": true}

// unsupported looks for options that are required and not known (RFC 3261 8.2.2.3).
func unsupported(req *gosip.Request) (int, []gosip.Header) {
	var bad []string
	for o := range listed(req, "Require") {
		if !understood[strings.ToLower(o)] && !(req.Method == gosip.REGISTER && isPath(o)) {
			bad = append(bad, clean(o, 40))
		}
	}
	if bad != nil {
		return 420, []gosip.Header{header("Unsupported", strings.Join(bad, ", "))}
	}
	return 0, nil
}

// listHeader collects a header's comma-separated values from all its lines.
func listHeader(m gosip.Message, name string, compact ...string) (out []string) {
	for v := range listed(m, name, compact...) {
		out = append(out, v)
	}
	return out
}

// listed are the values of listHeader.
func listed(m gosip.Message, name string, compact ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range headersOf(m) {
			n := h.Name()
			if !strings.EqualFold(n, name) && !slices.ContainsFunc(compact, func(c string) bool { return strings.EqualFold(n, c) }) {
				continue
			}
			for v := range strings.SplitSeq(h.Value(), ",") {
				if v = strings.TrimSpace(v); v != "" && !yield(v) {
					return
				}
			}
		}
	}
}

// headersOf are all headers, in their order.
func headersOf(m gosip.Message) []gosip.Header {
	switch m := m.(type) {
	case *gosip.Request:
		return m.Headers()
	case *gosip.Response:
		return m.Headers()
	}
	return nil
}

// headerOf is the first header of that name, nil if there is none.
func headerOf(m gosip.Message, name string) gosip.Header {
	for _, h := range headersOf(m) {
		if strings.EqualFold(h.Name(), name) {
			return h
		}
	}
	return nil
}

func lists(m gosip.Message, value, name string, compact ...string) bool {
	for v := range listed(m, name, compact...) {
		if strings.EqualFold(v, value) {
			return true
		}
	}
	return false
}

// header makes a header whose value cannot end early (trap 13).
func header(name, value string) gosip.Header { return gosip.NewHeader(name, clean(value, 1024)) }

// respond answers a request outside of calls.
func (s *Server) respond(req *gosip.Request, tx serverTx, code int, reason string, extra ...gosip.Header) {
	res := response(req, code, reason, nil, extra...)
	if err := tx.Respond(res); err != nil {
		s.log.Debug("sip: response not sent", "method", string(req.Method), "code", code, "err", err)
	}
}

// response builds a response to req with a body of the given type, if any.
func response(req *gosip.Request, code int, reason string, body []byte, extra ...gosip.Header) *gosip.Response {
	if reason = clean(reason, 80); reason == "" {
		reason = phrase(code)
	}
	res := gosip.NewResponseFromRequest(req, code, reason, nil)
	res.SipVersion = "SIP/2.0"
	for _, h := range extra {
		res.AppendHeader(h)
	}
	if body != nil {
		res.AppendHeader(gosip.NewHeader("Content-Type", accepts))
		res.SetBody(body)
	}
	return res
}

// phrases of RFC 3261 21 and others.
var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
	407: "Proxy Authentication Required", 408: "Request Timeout", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme",
	420: "Bad Extension", 422: "Session Interval Too Small", 423: "Interval Too Brief", 469: "Bad Info Package",
	480: "Temporarily Unavailable", 489: "Bad Event", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Internal Error",
	501: "Not Implemented", 504: "Server Time-out", 503: "Service Unavailable", 505: "Version Not Supported", 600: "Busy Everywhere", 603: "Decline",
}

func phrase(code int) string {
	if p := phrases[code]; p != "" {
		return p
	}
	return "Response " + strconv.Itoa(code)
}

// requestID names an initial INVITE whatever way it came: two hashes of Call-ID, From tag and CSeq.
type requestID [2]uint64

// heard is when an initial INVITE came, and the hash of the branch by which it did.
type heard struct {
	at     int64 // nanoseconds since Server.began
	branch uint64
}

// stragglers is how long after its first copy an INVITE may still arrive again (pitfall 1).
const stragglers = 64*500*time.Millisecond + time.Minute

// maxRequests bounds what is remembered of them.
const maxRequests = 300_000

// A repetition is how an INVITE relates to those before it.
type repetition uint8

const (
	first     repetition = iota
	straggler            // the same one once more, after its transaction has ended
	merged               // the same one by another way (RFC 3261 8.2.2.2)
)

func (s *Server) requestIDOf(req *gosip.Request) requestID {
	tag, _ := req.From().Params.Get("tag")
	var room [256]byte
	b := append(append(room[:0], req.CallID().Value()...), 0)
	b = append(append(b, tag...), 0)
	b = binary.BigEndian.AppendUint32(b, req.CSeq().SeqNo)
	return requestID{maphash.Bytes(s.replies.seeds[0], b), maphash.Bytes(s.replies.seeds[1], b)}
}

func (s *Server) repeated(req *gosip.Request, b branch) repetition {
	id, way := s.requestIDOf(req), maphash.Comparable(s.replies.seeds[0], b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.requests[id]; ok {
		if h.branch == way {
			return straggler
		}
		return merged
	}
	if len(s.requests) < maxRequests {
		s.requests[id] = heard{int64(time.Since(s.began)), way}
		s.past.put(id)
	}
	return first
}

// outlive forgets an INVITE that nobody repeats any more. One that was challenged and came again has a later time.
func (s *Server) outlive(id requestID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.requests[id]; ok && time.Since(s.began)-time.Duration(h.at) >= stragglers {
		delete(s.requests, id)
	}
}
