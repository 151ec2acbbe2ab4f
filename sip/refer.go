package sip

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// Refer is the wish of a far end that its conversation be moved to somebody else (RFC 3515). It asks; whether and how it is done, the
// program decides: no REFER is passed on, and none makes us dial by itself (pitfall 12).
type Refer struct {
	To       string // the number or user it names
	By       string // who asks, as Referred-By has it (RFC 3892); "" if it does not say
	Replaces Call   // the leg that the target is to be reached by, which makes it an attended transfer; nil for a blind one

	leg  *leg
	id   string // of the subscription: CSeq of the REFER
	mute bool   // norefersub (RFC 4488)

	mu   sync.Mutex
	last int
	over bool
	sent chan struct{} // closed when the last NOTIFY has been confirmed; nil before the first
}

// Report tells the far end how the transfer goes: with the SIP status of the new call. One of 200 and more is the end of it. What is
// told after that, or twice, is not sent. With the end it returns when the far end has confirmed it, at most two seconds later: a BYE
// that overtook it would look like a transfer that failed.
func (r *Refer) Report(code int) {
	r.mu.Lock()
	if r.over || r.mute || code == r.last {
		r.mu.Unlock()
		return
	}
	r.last, r.over = code, code >= 200
	last := r.over
	l := r.leg
	l.mu.Lock()
	if l.state == over {
		l.mu.Unlock()
		r.mu.Unlock()
		return
	}
	req := l.next(l.s, gosip.NOTIFY, 0)
	l.mu.Unlock()
	before, sent := r.sent, make(chan struct{}) // one after the other: the far end is not told of the end before the middle
	r.sent = sent
	r.mu.Unlock()
	state := "active;expires=60"
	if last {
		state = "terminated;reason=noresource"
	}
	req.AppendHeader(header("Event", "refer;id="+r.id))
	req.AppendHeader(header("Subscription-State", state))
	req.AppendHeader(l.contactNow())
	req.AppendHeader(header("Content-Type", "message/sipfrag;version=2.0"))
	req.SetBody([]byte("SIP/2.0 " + strconv.Itoa(code) + " " + phrase(code) + "\r\n"))
	l.s.spawn(func() {
		defer close(sent)
		if before != nil {
			<-before
		}
		l.s.safely("NOTIFY", func() {
			ctx, done := context.WithTimeout(context.Background(), 64*l.s.t1)
			defer done()
			if _, err := l.ask(ctx, req); err != nil {
				l.s.log.Debug("sip: NOTIFY not confirmed", "call", l.id, "err", err)
			}
		})
	})
	if !last {
		return
	}
	limit := time.NewTimer(2 * time.Second)
	defer limit.Stop()
	select {
	case <-sent:
	case <-l.done:
	case <-limit.C:
	}
}

func (l *leg) contactNow() gosip.Header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.contactHeader()
}

// onRefer takes a REFER of the dialog. Callers and trunks are refused: who may ask is who is listened to.
func (l *leg) onRefer(req *gosip.Request, tx serverTx) {
	l.mu.Lock()
	ask, state, trunk := l.features.onRefer, l.state, l.info.Trunk
	l.mu.Unlock()
	switch {
	case state == over:
		l.respond(req, tx, 481)
		return
	case ask == nil || trunk != "" || state < answered:
		l.respond(req, tx, 403)
		return
	}
	to := append(req.GetHeaders("Refer-To"), req.GetHeaders("r")...)
	if len(to) != 1 { // RFC 3515 2.4.2
		l.respond(req, tx, 400, header("Warning", `399 lianxin "one Refer-To is needed"`))
		return
	}
	r := &Refer{leg: l, id: strconv.FormatUint(uint64(req.CSeq().SeqNo), 10)}
	u, ok := addressOf(to[0].Value())
	if r.To = userOf(u); !ok || r.To == "" || u.Scheme != "sip" && u.Scheme != "sips" && u.Scheme != "tel" {
		l.respond(req, tx, 400, header("Warning", `399 lianxin "unreadable Refer-To"`))
		return
	}
	if method := u.UriParams.GetOr("method", "INVITE"); !strings.EqualFold(method, "INVITE") {
		l.respond(req, tx, 403)
		return
	}
	if v, ok := replacesIn(u); ok {
		id, _, ok := readReplaces(v)
		other := l.s.replaced(id)
		if !ok || other == nil || other == l { // it is not ours to join, and we send nobody to strangers
			l.respond(req, tx, 404)
			return
		}
		r.Replaces = other
	}
	if h := headerOf(req, "Referred-By"); h != nil {
		if by, ok := addressOf(h.Value()); ok {
			r.By = userOf(by)
		}
	}
	var extra []gosip.Header
	if h := headerOf(req, "Refer-Sub"); h != nil && strings.EqualFold(strings.TrimSpace(h.Value()), "false") {
		r.mute = true
		extra = append(extra, header("Refer-Sub", "false"))
	}
	code := ask(r)
	if code < 200 || code > 299 {
		r.mute = true
		l.respond(req, tx, code)
		return
	}
	l.respond(req, tx, 202, append(extra, l.contactNow())...)
	r.mu.Lock()
	begun := r.last != 0
	r.mu.Unlock()
	if !begun {
		r.Report(100) // RFC 3515 2.4.4: at once
	}
}

// addressOf reads a name-addr or a bare URI. The headers of the URI stay with it.
func addressOf(v string) (gosip.Uri, bool) {
	var u gosip.Uri
	if v = clean(v, 1024); v == "" {
		return u, false
	}
	if _, err := gosip.ParseAddressValue(v, &u, nil); err != nil {
		return u, false
	}
	return u, true
}

// replacesIn is the Replaces header in a URI of Refer-To, unescaped.
func replacesIn(u gosip.Uri) (string, bool) {
	for _, kv := range u.Headers {
		if strings.EqualFold(kv.K, "Replaces") {
			v, err := url.PathUnescape(kv.V)
			return v, err == nil
		}
	}
	return "", false
}

// A Transferrer is a Call whose far end can be asked to call somebody else itself. SIP legs are.
type Transferrer interface {
	// Refer asks the far end to call to and to leave us (RFC 3515). It returns when the far end has reached to, or has not: a
	// *DialError then. The call goes on in any case until somebody hangs up. by is named as who asks (Referred-By).
	Refer(ctx context.Context, to, by string) error
}

var _ Transferrer = (*leg)(nil)

// referral waits for what the far end tells of a REFER of ours.
type referral struct {
	id   string
	news chan int // SIP status of the far end's call
}

// Refer implements Transferrer.
func (l *leg) Refer(ctx context.Context, to, by string) error {
	target, err := parseURI(to)
	if err != nil {
		return fmt.Errorf("refer: %w", err)
	}
	l.mu.Lock()
	if l.state != up || l.features.referred != nil {
		l.mu.Unlock()
		return fmt.Errorf("refer: %w", ErrNotNow)
	}
	req := l.next(l.s, gosip.REFER, 0)
	req.AppendHeader(l.contactHeader())
	req.AppendHeader(header("Refer-To", "<"+target.String()+">"))
	if by = cleanUser(by); by != "" {
		req.AppendHeader(header("Referred-By", "<sip:"+by+"@"+bracketed(l.self.Addr())+">"))
	}
	w := &referral{id: strconv.FormatUint(uint64(req.CSeq().SeqNo), 10), news: make(chan int, 16)}
	l.features.referred = w
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.features.referred = nil
		l.mu.Unlock()
	}()
	res, err := l.ask(ctx, req)
	if err != nil {
		return fmt.Errorf("refer: %w", err)
	}
	refusal := func(code int, reason string) error {
		return fmt.Errorf("refer: %w", &DialError{Code: code, Reason: maskDigits(clean(reason, 80)), Kind: kindOf(code)})
	}
	if !res.IsSuccess() {
		return refusal(res.StatusCode, res.Reason)
	}
	silence := time.NewTimer(3 * time.Minute) // a far end that never tells: RFC 3515 has it tell at once, and again at the end
	defer silence.Stop()
	for {
		select {
		case code := <-w.news:
			if code >= 300 {
				return refusal(code, "")
			} else if code >= 200 {
				return nil
			}
		case <-l.done:
			return fmt.Errorf("refer: %w", ErrEnded)
		case <-silence.C:
			return fmt.Errorf("refer: no news of it: %w", ErrNoAnswer)
		case <-ctx.Done():
			return fmt.Errorf("refer: %w", context.Cause(ctx))
		}
	}
}

// onNotify takes what the far end tells of a REFER of ours.
func (l *leg) onNotify(req *gosip.Request, tx serverTx) {
	l.mu.Lock()
	w := l.features.referred
	l.mu.Unlock()
	event := ""
	if h := headerOf(req, "Event"); h != nil {
		event = h.Value()
	} else if h := headerOf(req, "o"); h != nil {
		event = h.Value()
	}
	name, rest, _ := strings.Cut(event, ";")
	if !strings.EqualFold(strings.TrimSpace(name), "refer") {
		l.respond(req, tx, 489, header("Allow-Events", "refer"))
		return
	}
	id := ""
	for p := range strings.SplitSeq(rest, ";") {
		if k, v, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(k), "id") {
			id = strings.TrimSpace(v)
		}
	}
	if w == nil || id != "" && id != w.id {
		l.respond(req, tx, 481)
		return
	}
	l.respond(req, tx, 200)
	code := 0
	if f := strings.Fields(string(req.Body())); len(f) >= 2 && strings.HasPrefix(f[0], "SIP/") {
		code, _ = strconv.Atoi(f[1])
	}
	if h := headerOf(req, "Subscription-State"); h != nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(h.Value())), "terminated") && code < 200 {
		code = 480 // it ends without having told how
	}
	if code >= 100 && code <= 699 {
		select {
		case w.news <- code:
		default:
		}
	}
}
