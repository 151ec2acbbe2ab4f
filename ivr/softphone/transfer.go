package softphone

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"
)

// inside builds a request of the call's dialog.
func (c *Call) inside(method gosip.RequestMethod) (*gosip.Request, error) {
	switch d := c.d.(type) {
	case *sipgo.DialogClientSession:
		if h := d.InviteResponse.Contact(); h != nil {
			return gosip.NewRequest(method, *h.Address.Clone()), nil
		}
	case *sipgo.DialogServerSession:
		if h := d.InviteRequest.Contact(); h != nil {
			return gosip.NewRequest(method, *h.Address.Clone()), nil
		}
	}
	return nil, errors.New("the far end has no Contact")
}

func (c *Call) do(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	switch d := c.d.(type) {
	case *sipgo.DialogClientSession:
		return d.Do(ctx, req)
	case *sipgo.DialogServerSession:
		return d.Do(ctx, req)
	}
	return nil, errors.New("no dialog")
}

// id names the call's dialog as a Replaces header does, which is written from the other end's point of view (RFC 3891 3).
func (c *Call) id() (callID, far, near string) {
	switch d := c.d.(type) {
	case *sipgo.DialogClientSession:
		far, _ = d.InviteResponse.To().Params.Get("tag")
		near, _ = d.InviteRequest.From().Params.Get("tag")
		return d.InviteRequest.CallID().Value(), far, near
	case *sipgo.DialogServerSession:
		far, _ = d.InviteRequest.From().Params.Get("tag")
		near, _ = d.InviteResponse.To().Params.Get("tag")
		return d.InviteRequest.CallID().Value(), far, near
	}
	return "", "", ""
}

// Refer asks the exchange to move the far end to somebody else (RFC 3515): to a number or extension, or, with a call of the same phone,
// to whom that one is with (RFC 3891). It returns the status of the transfer once it has one; a refusal of the request is a *Refused.
func (c *Call) Refer(ctx context.Context, to string, with *Call) (int, error) {
	req, err := c.inside(gosip.REFER)
	if err != nil {
		return 0, fmt.Errorf("refer: %w", err)
	}
	target := "<sip:" + to + "@" + c.p.cfg.Server
	if with != nil {
		id, far, near := with.id()
		target += "?Replaces=" + url.QueryEscape(id+";to-tag="+far+";from-tag="+near)
	}
	req.AppendHeader(gosip.NewHeader("Refer-To", target+">"))
	req.AppendHeader(gosip.NewHeader("Referred-By", "<sip:"+c.p.cfg.User+"@"+c.p.cfg.IP+">"))
	res, err := c.do(ctx, req)
	if err != nil {
		return 0, fmt.Errorf("refer: %w", err)
	}
	if res.StatusCode != 202 {
		return 0, &Refused{Code: res.StatusCode, Reason: res.Reason}
	}
	for {
		select {
		case code := <-c.told:
			if code >= 200 {
				return code, nil
			}
		case <-c.done: // the exchange hung up; what it told before that counts
			for {
				select {
				case code := <-c.told:
					if code >= 200 {
						return code, nil
					}
					continue
				case <-time.After(200 * time.Millisecond):
				}
				return 0, errors.New("refer: the call ended without news of the transfer")
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("refer: %w", ctx.Err())
		}
	}
}

// onNotify takes what the exchange tells of a transfer.
func (p *Phone) onNotify(req *gosip.Request, tx gosip.ServerTransaction) {
	code := 0
	if f := strings.Fields(string(req.Body())); len(f) > 1 {
		code, _ = strconv.Atoi(f[1])
	}
	p.mu.Lock()
	for c := range p.calls {
		if id, _, _ := c.id(); id == req.CallID().Value() {
			select {
			case c.told <- code:
			default:
			}
		}
	}
	p.mu.Unlock()
	_ = tx.Respond(gosip.NewResponseFromRequest(req, 200, "OK", nil))
}

// Hold presses the hold key, or takes the far end back: a re-INVITE that says who may send.
func (c *Call) Hold(ctx context.Context, on bool) error {
	req, err := c.inside(gosip.INVITE)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	body := string(c.p.sdp(c.leg))
	if on {
		body = strings.Replace(body, "a=sendrecv", "a=sendonly", 1)
	}
	req.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody([]byte(body))
	res, err := c.do(ctx, req)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	if res.StatusCode >= 300 {
		return &Refused{Code: res.StatusCode, Reason: res.Reason}
	}
	ack, err := c.inside(gosip.ACK)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	switch d := c.d.(type) {
	case *sipgo.DialogClientSession:
		return d.WriteRequest(ack)
	case *sipgo.DialogServerSession:
		return d.WriteRequest(ack)
	}
	return nil
}
