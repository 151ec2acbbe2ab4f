package channel

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

const bodyPurpose = "channel.outbox"

// message writes down what a connector is to be told of an event, if anything.
func (g *Gateway) message(tx *storage.Tx, c Connector, e audit.Event, t ticket.Ticket, state ticket.State, result bool) error {
	if c.Channel != "" && c.Channel != t.Channel || c.Channel == "" && t.Restricted {
		return nil
	}
	var key, event string
	var body any
	switch c.Kind {
	case SMTP:
		return g.answerMail(tx, c, e, t)
	case Webhook:
		if !wants(c.Settings.Events, e.Type) {
			return nil
		}
		key, event = "event/"+strconv.FormatInt(e.Seq, 10), e.Type
		body = map[string]any{"type": e.Type, "timestamp": e.At.In(workday.Zone), "data": map[string]any{"number": t.Number, "channel": t.Channel, "external_id": t.ExternalID,
			"state": t.State, "state_label": t.StateLabel(), "kind": t.Kind, "colour": t.Colour, "round": t.Round}}
	case Push:
		switch {
		case result:
			ch, err := g.Office.Channel(tx, t.Channel)
			if err != nil {
				return err
			}
			r, ok, err := g.result(tx, t, ch)
			if err != nil || !ok {
				return err // a published answer waits for its approval
			}
			key, event, body = "result/"+t.ID, "result", map[string]any{"type": "result", "timestamp": e.At.In(workday.Zone), "data": r}
		case state != "" && c.Settings.Statuses && e.Type != "ticket.opened":
			key, event = "status/"+strconv.FormatInt(e.Seq, 10), "status"
			body = map[string]any{"type": "status", "timestamp": e.At.In(workday.Zone), "data": map[string]any{"external_id": t.ExternalID, "number": t.Number, "state": state,
				"state_label": state.Label()}}
		default:
			return nil
		}
	default:
		return nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO channel_outbox (id, connector, key, ticket_id, event, body, state, next_at, made_at) VALUES ($1, $2, $3, $4, $5, $6, 'due', $7, $7)
		ON CONFLICT (connector, key) DO NOTHING`, storage.NewID(), c.ID, key, t.ID, event, g.vault().For(bodyPurpose).Seal(string(b)), storage.At(g.now()))
	return err
}

func wants(events []string, typ string) bool {
	return len(events) == 0 || slices.ContainsFunc(events, func(e string) bool { return e == typ || strings.HasSuffix(e, ".") && strings.HasPrefix(typ, e) })
}

// Sign signs a message as the Standard Webhooks specification says: HMAC-SHA256 over id, time and body.
func Sign(secret, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// CheckSignature reports whether a message of at most five minutes' age bears the signature of the secret.
func CheckSignature(secret string, h http.Header, body []byte, now time.Time) bool {
	unix, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || secret == "" {
		return false
	}
	at := time.Unix(unix, 0)
	if d := now.Sub(at); d > 5*time.Minute || d < -5*time.Minute {
		return false
	}
	want := Sign(secret, h.Get("webhook-id"), at, body)
	for _, s := range strings.Fields(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(s), []byte(want)) {
			return true
		}
	}
	return false
}

// backoff is how long a message waits after an attempt that the other side refused. After the last it is given up.
var backoff = []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// errUnreachable is trouble of the connection, for which no message is to blame.
var errUnreachable = errors.New("cannot be reached")

// client follows no redirect: a signed message goes where it was meant for.
var client = &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// deliver sends what is due, oldest first. When the other side cannot be reached it stops, and all that waits is sent when
// it can be again; a message that is refused waits by itself.
func (g *Gateway) deliver(ctx context.Context, c Connector) (m moved, err error) {
	type row struct {
		id, key, ticket string
		attempts        int
		body            []byte
	}
	out := poster{send: func(ctx context.Context, id string, body []byte) (string, error) { return g.post(ctx, c, id, body) }, done: func() {}}
	if c.Kind == SMTP {
		out = g.mailer(c)
	}
	defer out.done()
	defer func() {
		_ = g.DB.View(context.WithoutCancel(ctx), func(tx *storage.Tx) (e error) { m.backlog, _, e = g.Waiters(tx, c.ID); return e })
	}()
	for ctx.Err() == nil {
		var rows []row
		err := g.DB.View(ctx, func(tx *storage.Tx) (err error) {
			rows, err = storage.All(tx, func(r storage.Row) (x row, err error) {
				return x, r.Scan(&x.id, &x.key, &x.ticket, &x.attempts, &x.body)
			},
				`SELECT id, key, ticket_id, attempts, body FROM channel_outbox WHERE connector = $1 AND state = 'due' AND next_at <= $2 ORDER BY id LIMIT 50`, c.ID, storage.At(g.now()))
			return err
		})
		if err != nil {
			return m, err
		}
		if len(rows) == 0 {
			if m.items == 0 {
				return m, g.reach(ctx, c)
			}
			return m, nil
		}
		for _, r := range rows {
			plain, err := g.vault().For(bodyPurpose).Open(r.body)
			if err != nil {
				return m, err
			}
			receipt, sendErr := out.send(ctx, r.id, []byte(plain))
			if errors.Is(sendErr, errUnreachable) || ctx.Err() != nil {
				return m, sendErr
			}
			err = g.DB.Update(ctx, func(tx *storage.Tx) error {
				if sendErr == nil {
					_, err := tx.Exec(`UPDATE channel_outbox SET state = 'sent', attempts = attempts + 1, sent_at = $2, receipt = $3, error = '' WHERE id = $1`, r.id, storage.At(g.now()), receipt)
					return err
				}
				state, next := "due", g.now()
				if r.attempts >= len(backoff) || errors.Is(sendErr, errForGood) {
					state = "dead"
					if c.Kind == SMTP {
						if err := g.undelivered(tx, r.id, r.ticket, sendErr.Error()); err != nil {
							return err
						}
					}
				} else {
					next = next.Add(backoff[r.attempts])
				}
				_, err := tx.Exec(`UPDATE channel_outbox SET state = $2, attempts = attempts + 1, next_at = $3, error = $4 WHERE id = $1`, r.id, state, storage.At(next), short(sendErr))
				return err
			})
			if err != nil {
				return m, err
			}
			if sendErr == nil {
				m.items++
			} else {
				m.odd++
			}
		}
	}
	return m, ctx.Err()
}

// reach looks whether the other side answers at all, so that a dead one is seen before there is something to send.
func (g *Gateway) reach(ctx context.Context, c Connector) error {
	if c.Kind == SMTP {
		return reachSMTP(ctx, c)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.Settings.URL, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, cause(err))
	}
	res.Body.Close()
	if res.StatusCode >= 500 && res.StatusCode != http.StatusNotImplemented {
		return fmt.Errorf("%w: status %d", errUnreachable, res.StatusCode)
	}
	return nil
}

// post sends one message and returns what the other side answered as a receipt.
func (g *Gateway) post(ctx context.Context, c Connector, id string, body []byte) (receipt string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Settings.URL, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lianxin")
	req.Header.Set("Idempotency-Key", id)
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", Sign(c.Secret, id, now, body))
	res, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnreachable, cause(err))
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300, res.StatusCode == http.StatusConflict: // it has it already
		var a struct {
			Receipt string `json:"receipt"`
		}
		if json.Unmarshal(answer, &a) == nil && a.Receipt != "" {
			return short(errors.New(a.Receipt)), nil
		}
		return strconv.Itoa(res.StatusCode), nil
	case res.StatusCode == http.StatusBadGateway, res.StatusCode == http.StatusServiceUnavailable, res.StatusCode == http.StatusGatewayTimeout, res.StatusCode == http.StatusTooManyRequests:
		return "", fmt.Errorf("%w: status %d", errUnreachable, res.StatusCode)
	}
	return "", fmt.Errorf("status %d", res.StatusCode)
}

// cause leaves the address out of an error of the client: it may hold a secret.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// Sent is what a connector was to tell, and whether it has.
type Sent struct {
	ID, Key, TicketID, Event, State, Error, Receipt string
	Attempts                                        int
	MadeAt, SentAt, NextAt                          time.Time
}

// Outbox lists the latest messages of a connector, newest first.
func (g *Gateway) Outbox(tx *storage.Tx, connector string, limit int) ([]Sent, error) {
	return storage.All(tx, func(r storage.Row) (s Sent, err error) {
		var made, sent, next storage.Time
		err = r.Scan(&s.ID, &s.Key, &s.TicketID, &s.Event, &s.State, &s.Error, &s.Receipt, &s.Attempts, &made, &sent, &next)
		s.MadeAt, s.SentAt, s.NextAt = made.Time, sent.Time, next.Time
		return s, err
	}, `SELECT id, key, ticket_id, event, state, error, receipt, attempts, made_at, sent_at, next_at FROM channel_outbox WHERE connector = $1 ORDER BY id DESC LIMIT $2`, connector, limit)
}
