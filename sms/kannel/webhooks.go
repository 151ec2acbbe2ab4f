package kannel

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"

	"lianxin/contact"
	"lianxin/sms"
)

// Webhooks takes what Kannel pushes: receipts at ReceiptPath, replies at ReplyPath, both with GET. It answers 200 only
// once what came is stored; Kannel pushes again otherwise, when http-request-retry is set.
type Webhooks struct {
	Carrier  *Carrier
	Receipts func(context.Context, sms.Receipt) error // Outbox.Receipt
	Replies  func(context.Context, sms.Inbound) error // Inbox.Receive
	Log      *slog.Logger                             // nil is slog.Default
}

func (w *Webhooks) log() *slog.Logger {
	if w.Log != nil {
		return w.Log
	}
	return slog.Default()
}

// query returns the values of a request that may pass, each once. Others are answered here.
func (w *Webhooks) query(rw http.ResponseWriter, r *http.Request) (url.Values, bool) {
	if w.Carrier.gate == nil {
		http.NotFound(rw, r)
		return nil, false
	}
	if _, ok := w.Carrier.gate.Read(rw, r); !ok {
		w.log().Warn("webhook of kannel refused")
		return nil, false
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	once := err == nil
	for _, v := range q {
		once = once && len(v) == 1
	}
	if !once {
		w.log().Warn("webhook of kannel that cannot be read")
		http.Error(rw, "bad request", http.StatusBadRequest)
		return nil, false
	}
	return q, true
}

// Receipt serves ReceiptPath. The id is ours and stands in the URL, so that a receipt that beats the answer to the
// submission still finds its text.
func (w *Webhooks) Receipt() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		q, ok := w.query(rw, r)
		if !ok {
			return
		}
		state, known := stateOf(q.Get("type"))
		if !known || q.Get("id") == "" {
			w.log().Warn("receipt of kannel that says nothing to us", "type", clip(q.Get("type")))
			return // 200: it would be pushed for ever
		}
		part, _ := strconv.Atoi(q.Get("part"))
		err := w.Receipts(r.Context(), sms.Receipt{Carrier: w.Carrier.Name(), MessageID: q.Get("id"), State: state, Part: max(part, 0),
			Code: codeOf(q.Get("type"), q.Get("code")), At: unix(q.Get("at"))})
		if err != nil {
			w.log().Error("store a receipt of kannel", "error", err)
			http.Error(rw, "try again", http.StatusServiceUnavailable)
		}
	})
}

// Reply serves ReplyPath. The answer is empty: no text goes back by this way. Kannel puts the segments of a long reply
// together itself; what it could not, because a segment never came, arrives as a fragment and is kept as one.
func (w *Webhooks) Reply() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		q, ok := w.query(rw, r)
		if !ok {
			return
		}
		if fragment([]byte(q.Get("udh"))) {
			w.log().Warn("reply of kannel is a fragment of a longer one", "id", clip(q.Get("id")))
		}
		in := sms.Inbound{Carrier: w.Carrier.Name(), CarrierID: q.Get("id"), To: q.Get("to"), SentAt: unix(q.Get("at")),
			Body: decode([]byte(q.Get("text")), q.Get("charset"), q.Get("coding"))}
		var err error
		if in.Phone, err = contact.ParsePhone(q.Get("from")); err != nil {
			in.From = q.Get("from") // kept as well: nothing that came in is lost
		}
		if err := w.Replies(r.Context(), in); err != nil {
			w.log().Error("store a reply from kannel", "error", err)
			http.Error(rw, "try again", http.StatusServiceUnavailable)
		}
	})
}

// stateOf turns a report type, one bit of the DLR mask, into a state.
func stateOf(kind string) (sms.State, bool) {
	switch kind {
	case "1":
		return sms.Delivered, true
	case "2", "16": // not delivered; not taken by the SMSC
		return sms.Failed, true
	case "4", "8": // waits at the SMSC; taken by the SMSC
		return sms.Accepted, true
	}
	return "", false
}

var (
	statPattern = regexp.MustCompile(`\bstat:([A-Za-z0-9]{1,10})\b`)
	errPattern  = regexp.MustCompile(`\berr:([0-9A-Za-z]{1,8})\b`)
	nackPattern = regexp.MustCompile(`^N?ACK/[0-9A-Fx]{0,10}`)
)

// codeOf is the part of a report's text that tells why. The rest, which may repeat the text itself, is left out.
func codeOf(kind, text string) string {
	words := []string{kind}
	for _, p := range []*regexp.Regexp{statPattern, errPattern} {
		if m := p.FindStringSubmatch(text); m != nil {
			words = append(words, m[1])
		}
	}
	if len(words) == 1 {
		words = append(words, nackPattern.FindString(text))
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

func unix(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// clip makes a value of a request fit for a log.
func clip(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strings.ToValidUTF8(s, "")
}

// decode turns the bytes of a reply into text. Kannel hands UCS-2 over as it came, in UTF-16BE; GSM 03.38 it has made
// UTF-8; eight-bit texts say nothing of their alphabet, and those of Chinese handsets are UTF-8 or GB 18030.
func decode(b []byte, charset, coding string) string {
	switch cs := strings.ToUpper(charset); {
	case coding == "2" && cs == "", cs == "UTF-16BE", cs == "UCS-2", cs == "ISO-10646-UCS-2", cs == "UTF-16":
		return utf16BE(b)
	case cs == "" || cs == "UTF-8" || cs == "8-BIT":
	default:
		if enc, err := htmlindex.Get(cs); err == nil {
			if s, err := enc.NewDecoder().Bytes(b); err == nil {
				return string(s)
			}
		}
	}
	if !utf8.Valid(b) {
		if s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil {
			return string(s)
		}
	}
	return string(b)
}

// utf16BE decodes what it can: half a surrogate pair, or a last odd byte, becomes U+FFFD.
func utf16BE(b []byte) string {
	u := make([]uint16, 0, len(b)/2+1)
	for ; len(b) >= 2; b = b[2:] {
		u = append(u, binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		u = append(u, utf8.RuneError)
	}
	return string(utf16.Decode(u))
}

// fragment reports whether a user data header says that the text is a part of several.
func fragment(udh []byte) bool {
	if len(udh) == 0 || int(udh[0]) != len(udh)-1 {
		return false
	}
	for e := udh[1:]; len(e) >= 2 && len(e) >= 2+int(e[1]); e = e[2+int(e[1]):] {
		if e[0] == 0x00 || e[0] == 0x08 {
			return true
		}
	}
	return false
}
