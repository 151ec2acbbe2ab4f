package channel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/table"
	"lianxin/ticket"
	"lianxin/workday"
)

// settled are the states in which the body that sent a request is owed its result.
var settled = map[ticket.State]bool{ticket.Closed: true, ticket.Refused: true, ticket.Transferred: true, ticket.Withdrawn: true}

const relayCursor = "relay"

// Relay reads what happened to tickets since it last looked and writes down, in the transaction that moves its place,
// what others are to be told: results for result files, and messages for pushes and webhooks. It returns how many events
// it has read. Nothing is lost or told twice, whenever it is stopped.
func (g *Gateway) Relay(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := g.DB.Update(ctx, func(tx *storage.Tx) error {
			if _, err := tx.Exec(`INSERT INTO channel_cursor (name, seq) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING`, relayCursor); err != nil {
				return err
			}
			seq, err := storage.One(tx, storage.Value[int64], `SELECT seq FROM channel_cursor WHERE name = $1 `+tx.ForUpdate(), relayCursor)
			if err != nil {
				return err
			}
			events, err := audit.After(tx, seq, 500)
			if err != nil || len(events) == 0 {
				return err
			}
			out, err := g.outward(tx)
			if err != nil {
				return err
			}
			channels, err := g.Office.Channels(tx)
			if err != nil {
				return err
			}
			byCode := map[string]ticket.Channel{}
			for _, c := range channels {
				byCode[c.Code] = c
			}
			for _, e := range events {
				if err := g.relay(tx, e, out, byCode); err != nil {
					return fmt.Errorf("event %d: %w", e.Seq, err)
				}
			}
			n = len(events)
			_, err = tx.Exec(`UPDATE channel_cursor SET seq = $2 WHERE name = $1`, relayCursor, events[n-1].Seq)
			return err
		})
		total += n
		if err != nil {
			return total, fmt.Errorf("relay: %w", err)
		}
		if n < 500 {
			return total, nil
		}
	}
}

// relay looks at one event.
func (g *Gateway) relay(tx *storage.Tx, e audit.Event, out []Connector, channels map[string]ticket.Channel) error {
	if id, ok := strings.CutPrefix(e.Stream, "public-reply/"); ok {
		return g.relayApproval(tx, e, id, out)
	}
	id, ours := strings.CutPrefix(e.Stream, "ticket/")
	if !ours {
		return nil
	}
	var load struct {
		Set map[string]map[string]map[string]json.RawMessage `json:"set"`
	}
	if err := json.Unmarshal(e.Payload, &load); err != nil {
		return err
	}
	var state ticket.State
	if s, ok := load.Set["ticket"][id]["state"]; ok {
		if err := json.Unmarshal(s, &state); err != nil {
			return err
		}
	}
	followed := e.Type == "ticket.reply_followed"
	if state == "" && !followed && len(out) == 0 {
		return nil
	}
	t, err := g.Office.Get(tx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	result := settled[state] || followed
	if result && channels[t.Channel].External {
		if _, err := tx.Exec(`INSERT INTO channel_result (ticket_id, channel, made_at) VALUES ($1, $2, $3) ON CONFLICT (ticket_id) DO NOTHING`,
			t.ID, t.Channel, storage.At(e.At)); err != nil {
			return err
		}
	}
	for _, c := range out {
		if err := g.message(tx, c, e, t, state, result); err != nil {
			return err
		}
	}
	return nil
}

// relayApproval pushes the result of a settled request whose published answer has been approved since.
func (g *Gateway) relayApproval(tx *storage.Tx, e audit.Event, id string, out []Connector) error {
	if e.Type != "public-reply.approved" || len(out) == 0 {
		return nil
	}
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_result WHERE ticket_id = $1`, id)
	if err != nil {
		return err
	}
	t, err := g.Office.Get(tx, id)
	if err != nil {
		return err
	}
	for _, c := range out {
		if c.Kind == SMTP && !t.RepliedAt.IsZero() || c.Kind == Push && n > 0 {
			if err := g.message(tx, c, e, t, "", true); err != nil {
				return err
			}
		}
	}
	return nil
}

// Result is a settled request as the body that sent it gets it back.
type Result struct {
	TicketID   string    `json:"-"`
	ExternalID string    `json:"external_id"`
	Number     string    `json:"number"`
	State      string    `json:"state"`
	Label      string    `json:"state_label"`
	Title      string    `json:"title"`
	ReceivedAt time.Time `json:"received_at"`
	AcceptedAt time.Time `json:"accepted_at,omitzero"`
	RepliedAt  time.Time `json:"replied_at,omitzero"`
	ClosedAt   time.Time `json:"closed_at,omitzero"`
	Unit       string    `json:"unit,omitempty"`
	Reply      string    `json:"reply,omitempty"` // what the citizen was told; for a channel whose answers are published, the approved text
	Rating     string    `json:"rating,omitempty"`
	Due        string    `json:"-"`
}

// result reads the result of a ticket. ok is false while a published answer waits for its approval.
func (g *Gateway) result(tx *storage.Tx, t ticket.Ticket, ch ticket.Channel) (r Result, ok bool, err error) {
	r = Result{TicketID: t.ID, ExternalID: t.ExternalID, Number: t.Number, State: string(t.State), Label: t.StateLabel(), Title: t.Title, ReceivedAt: t.ReceivedAt.In(workday.Zone),
		AcceptedAt: local(t.AcceptedAt), RepliedAt: local(t.RepliedAt), ClosedAt: local(t.ClosedAt), Unit: t.Host}
	if t.Stars.Valid() {
		r.Rating = t.Stars.Label()
	}
	legs, err := g.Office.Legs(tx, t.ID)
	if err != nil {
		return r, false, err
	}
	for _, l := range legs {
		if l.Role == ticket.Host {
			r.Unit = l.Unit
		}
	}
	if ch.PublicReply {
		p, err := g.PublicReply(tx, t.ID)
		if errors.Is(err, storage.ErrNotFound) || err == nil && p.State != ReplyApproved {
			return r, false, nil
		} else if err != nil {
			return r, false, err
		}
		r.Reply = p.Body
		return r, true, nil
	}
	r.Reply, err = g.Office.Original(tx, t.ReplyRef)
	return r, err == nil, err
}

// ReplyFor is what the body that sent a request may read as its answer, "" while a published one waits for its approval.
func (g *Gateway) ReplyFor(tx *storage.Tx, t ticket.Ticket) (string, error) {
	ch, err := g.Office.Channel(tx, t.Channel)
	if err != nil {
		return "", err
	}
	r, _, err := g.result(tx, t, ch)
	return r.Reply, err
}

func local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(workday.Zone)
}

// Batch is a file of results: once made, what is in it stays.
type Batch struct {
	ID      string
	Channel string
	Items   int
	By      string
	At      time.Time
	Written time.Time // zero while nobody has seen it safe
}

// Name is what its file is called.
func (b Batch) Name() string {
	return "results-" + b.Channel + "-" + b.At.In(workday.Zone).Format("20060102-150405") + "-" + b.ID[len(b.ID)-4:]
}

// Waiting counts the results of a channel that no batch holds: ready ones, and those whose published answer is not
// approved yet.
func (g *Gateway) Waiting(tx *storage.Tx, code string) (ready, blocked int, err error) {
	ids, _, err := g.waiting(tx, code)
	if err != nil {
		return 0, 0, err
	}
	all, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_result WHERE channel = $1 AND batch = ''`, code)
	return len(ids), all - len(ids), err
}

func (g *Gateway) waiting(tx *storage.Tx, code string) ([]string, ticket.Channel, error) {
	ch, err := g.Office.Channel(tx, code)
	if err != nil {
		return nil, ch, err
	}
	query := `SELECT ticket_id FROM channel_result WHERE channel = $1 AND batch = '' ORDER BY made_at, ticket_id`
	if ch.PublicReply {
		query = `SELECT r.ticket_id FROM channel_result r JOIN channel_reply p ON p.ticket_id = r.ticket_id WHERE r.channel = $1 AND r.batch = '' AND p.state = 'approved' ORDER BY r.made_at, r.ticket_id`
	}
	ids, err := storage.All(tx, storage.Value[string], query, code)
	return ids, ch, err
}

// NewBatch makes a batch of all results of a channel that are ready and in none; the zero Batch when there are none.
func (g *Gateway) NewBatch(tx *storage.Tx, code string, by ticket.Actor) (Batch, error) {
	ids, _, err := g.waiting(tx, code)
	if err != nil {
		return Batch{}, fmt.Errorf("results of %s: %w", code, err)
	}
	b := Batch{ID: storage.NewID(), Channel: code, By: by.String(), At: storage.At(g.now()).Time}
	for _, id := range ids {
		n, err := tx.Exec(`UPDATE channel_result SET batch = $2 WHERE ticket_id = $1 AND batch = ''`, id, b.ID)
		if err != nil {
			return Batch{}, fmt.Errorf("results of %s: %w", code, err)
		}
		b.Items += int(n)
	}
	if b.Items == 0 {
		return Batch{}, nil
	}
	_, err = tx.Exec(`INSERT INTO channel_batch (id, channel, items, made_by, made_at) VALUES ($1, $2, $3, $4, $5)`, b.ID, code, b.Items, b.By, storage.At(b.At))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "channel/" + code, Type: "channel.results", Actor: b.By, At: b.At, Payload: map[string]any{"batch": b.ID, "items": b.Items}})
	}
	if err != nil {
		return Batch{}, fmt.Errorf("results of %s: %w", code, err)
	}
	return b, nil
}

func scanBatch(r storage.Row) (b Batch, err error) {
	var at, written storage.Time
	err = r.Scan(&b.ID, &b.Channel, &b.Items, &b.By, &at, &written)
	b.At, b.Written = at.Time, written.Time
	return b, err
}

const selectBatch = `SELECT id, channel, items, made_by, made_at, written FROM channel_batch`

// BatchOf returns a batch, or storage.ErrNotFound.
func (g *Gateway) BatchOf(tx *storage.Tx, id string) (Batch, error) {
	b, err := storage.One(tx, scanBatch, selectBatch+` WHERE id = $1`, id)
	if err != nil {
		return b, fmt.Errorf("batch %s: %w", id, err)
	}
	return b, nil
}

// Batches are the batches of a channel (of all when code is empty), newest first.
func (g *Gateway) Batches(tx *storage.Tx, code string, limit int) ([]Batch, error) {
	return storage.All(tx, scanBatch, selectBatch+` WHERE channel = $1 OR $1 = '' ORDER BY id DESC LIMIT $2`, code, limit)
}

// Written notes that the file of a batch is safe where it belongs.
func (g *Gateway) Written(tx *storage.Tx, id string) error {
	_, err := tx.Exec(`UPDATE channel_batch SET written = $2 WHERE id = $1 AND written IS NULL`, id, storage.At(g.now()))
	return err
}

// Items are the results of a batch, in the order in which they were settled.
func (g *Gateway) Items(tx *storage.Tx, batch string) ([]Result, error) {
	ids, err := storage.All(tx, storage.Value[string], `SELECT ticket_id FROM channel_result WHERE batch = $1 ORDER BY made_at, ticket_id`, batch)
	if err != nil {
		return nil, fmt.Errorf("batch %s: %w", batch, err)
	}
	var out []Result
	for _, id := range ids {
		t, err := g.Office.Get(tx, id)
		if err != nil {
			return nil, err
		}
		ch, err := g.Office.Channel(tx, t.Channel)
		if err != nil {
			return nil, err
		}
		r, _, err := g.result(tx, t, ch)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

var resultHead = []string{"来源编号", "工单编号", "状态", "标题", "收到时间", "受理时间", "答复时间", "办结时间", "承办单位", "答复内容", "群众评价"}

func (r Result) cells() []string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(workday.Zone).Format("2006-01-02 15:04:05")
	}
	return []string{r.ExternalID, r.Number, r.Label, r.Title, at(r.ReceivedAt), at(r.AcceptedAt), at(r.RepliedAt), at(r.ClosedAt), r.Unit, r.Reply, r.Rating}
}

// WriteItems writes results as CSV for spreadsheet programs (UTF-8 with a byte order mark), or as a workbook.
func WriteItems(w io.Writer, items []Result, workbook bool) error {
	rows := [][]string{resultHead}
	for _, r := range items {
		rows = append(rows, r.cells())
	}
	if workbook {
		return table.WriteXLSX(w, rows, table.Book{Sheet: "办理结果"})
	}
	return table.WriteCSV(w, rows)
}
