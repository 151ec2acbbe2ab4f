package ivr

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"lianxin/ivr/flow"
)

// Hooks says where flows may ask over HTTP.
type Hooks struct {
	Hosts  []string // host or host:port, as the address in a flow file names it; nothing else is asked
	Secret string   // signs what is sent; empty: not signed
	Client *http.Client
}

// Allowed reports whether flows may ask a host; it is flow.Known.Host.
func (h Hooks) Allowed(host string) bool { return slices.Contains(h.Hosts, host) }

// HookSignature is the header that carries "t=SECONDS,v1=HEX": HMAC-SHA-256 with Hooks.Secret over the seconds, a dot and the body.
const HookSignature = "X-Lianxin-Signature"

const (
	hookTimeout  = 3 * time.Second
	mostAnswered = 64 << 10 // bytes of an answer
	mostValues   = 50       // values in an answer
	mostValue    = 1000     // bytes of a value
)

var hookValue = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// reserved are names that a hook may not note: what the call itself knows, and fields of the ticket that decide what becomes of it.
var reserved = []string{"number", "caller", "ticket", "now", "urgent", "confidential", "kind"}

// hookAsk is what is sent.
type hookAsk struct {
	Call   string            `json:"call"`
	Flow   string            `json:"flow"`
	Node   string            `json:"node"`
	Caller string            `json:"caller,omitempty"` // id of the person
	Number string            `json:"number,omitempty"` // in the clear, only where the flow says number: yes
	Values map[string]string `json:"values,omitempty"`
}

// hookAnswer is what comes back.
type hookAnswer struct {
	Values map[string]any `json:"values"`
	Go     string         `json:"go"` // outcome of the node; "next" when empty
}

// hook asks a program outside and notes what it answers. The outcome is "next", one that the answer names, or "failed".
func (v *visit) hook(ctx context.Context, n *flow.Node) (string, error) {
	begin := time.Now()
	answer, err := v.askHook(ctx, n)
	took := time.Since(begin).Round(time.Millisecond)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		v.log.Warn("ivr: hook", "node", n.Name, "took", took, "err", err)
		v.did("外部接口未答复")
		return "failed", nil
	}
	v.did(fmt.Sprintf("外部接口答复（%v）", took))
	for name, value := range answer.Values {
		v.fields[name] = value.(string)
	}
	if answer.Go == "" {
		return "next", nil
	}
	return answer.Go, nil
}

func (v *visit) askHook(ctx context.Context, n *flow.Node) (a hookAnswer, err error) {
	hooks := v.h.cfg.Hooks
	u, err := url.Parse(n.Value)
	if err != nil || !hooks.Allowed(u.Host) { // Check has said so; the configuration may have changed
		return a, errors.New("the host is not allowed")
	}
	ask := hookAsk{Call: v.rec.ID, Flow: v.flow.Name, Node: n.Name, Caller: v.rec.ContactID}
	if n.Text["number"] == "yes" {
		ask.Number = v.rec.Number.Clear()
	}
	for _, name := range n.Lists["send"] {
		if ask.Values == nil {
			ask.Values = map[string]string{}
		}
		ask.Values[name] = v.value(name)
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, n.Time("timeout", hookTimeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.Value, bytes.NewReader(body))
	if err != nil {
		return a, errors.New("the address cannot be asked")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "lianxin")
	if hooks.Secret != "" {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(hooks.Secret))
		mac.Write([]byte(at + "."))
		mac.Write(body)
		req.Header.Set(HookSignature, "t="+at+",v1="+hex.EncodeToString(mac.Sum(nil)))
	}
	client := http.Client{}
	if hooks.Client != nil {
		client = *hooks.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // another host is not an allowed one
	res, err := client.Do(req)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // without the address, which may hold what is nobody's business
		}
		return a, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return a, nil
	}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("status %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, mostAnswered+1))
	if err != nil {
		return a, err
	}
	if len(text) > mostAnswered {
		return a, errors.New("the answer is too long")
	}
	return readHook(text, n)
}

// readHook reads an answer, strictly: what a flow says to a caller must not depend on guesses.
func readHook(text []byte, n *flow.Node) (a hookAnswer, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return a, errors.New("the answer is not {\"values\": {…}, \"go\": \"…\"}")
	}
	if a.Go != "" && n.Exits[a.Go] == "" {
		return a, fmt.Errorf("the answer names the outcome %.40q, which the node does not know", a.Go)
	}
	if len(a.Values) > mostValues {
		return a, errors.New("the answer has too many values")
	}
	for name, value := range a.Values {
		if !hookValue.MatchString(name) || slices.Contains(reserved, name) {
			return a, fmt.Errorf("the answer has a value with the name %.40q, which it may not", name)
		}
		var s string
		switch x := value.(type) {
		case string:
			s = x
		case json.Number:
			s = x.String()
		case bool:
			s = map[bool]string{true: "yes", false: "no"}[x]
		case nil:
		default:
			return a, fmt.Errorf("the value %s is neither text, number nor yes or no", name)
		}
		if len(s) > mostValue {
			return a, fmt.Errorf("the value %s is too long", name)
		}
		a.Values[name] = s
	}
	return a, nil
}
