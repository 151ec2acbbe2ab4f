package channel

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// States of a published answer.
const (
	ReplyDraft    = "draft"
	ReplyApproved = "approved"
	ReplyRejected = "rejected"
)

// Reply is the answer to a request that is published, on 人民网 above all: a text of its own, apart from the result inside,
// that goes out once a second person has approved it (CH-3).
type Reply struct {
	TicketID  string
	State     string
	Body      string
	DraftedBy string
	DraftedAt time.Time
	DecidedBy string
	DecidedAt time.Time
	Note      string
}

// PublicReply returns the published answer of a ticket, or storage.ErrNotFound.
func (g *Gateway) PublicReply(tx *storage.Tx, ticketID string) (Reply, error) {
	r, err := storage.One(tx, func(r storage.Row) (x Reply, err error) {
		var drafted, decided storage.Time
		err = r.Scan(&x.TicketID, &x.State, &x.Body, &x.DraftedBy, &drafted, &x.DecidedBy, &decided, &x.Note)
		x.DraftedAt, x.DecidedAt = drafted.Time, decided.Time
		return x, err
	}, `SELECT ticket_id, state, body, drafted_by, drafted_at, decided_by, decided_at, note FROM channel_reply WHERE ticket_id = $1`, ticketID)
	if err != nil {
		return r, fmt.Errorf("published answer of %s: %w", ticketID, err)
	}
	return r, nil
}

// DraftReply writes the answer that is to be published. Once it has gone out, in a batch or by a push, it stays.
func (g *Gateway) DraftReply(tx *storage.Tx, ticketID, body string, by ticket.Actor) error {
	if by.Kind == ticket.StaffActor && !org.Can(by.Role, org.AnswerTicket) && !org.Can(by.Role, org.ReviewResult) {
		return refuse("role", "您的岗位没有此项权限")
	}
	body = clean(body)
	if body == "" || utf8.RuneCountInString(body) > 5000 {
		return refuse("empty", "请填写公开答复，不超过5000字")
	}
	out, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM channel_result WHERE ticket_id = $1 AND batch <> ''`, ticketID)
	if err != nil {
		return err
	}
	if out > 0 {
		return refuse("state", "公开答复已随结果文件发出，不能再改")
	}
	h := sha256.Sum256([]byte(body))
	sum, now := hex.EncodeToString(h[:]), g.now()
	_, err = tx.Exec(`INSERT INTO channel_reply (ticket_id, state, body, sum, drafted_by, drafted_at) VALUES ($1, 'draft', $2, $3, $4, $5)
		ON CONFLICT (ticket_id) DO UPDATE SET state = 'draft', body = excluded.body, sum = excluded.sum, drafted_by = excluded.drafted_by, drafted_at = excluded.drafted_at,
			decided_by = '', decided_at = NULL, note = ''`, ticketID, body, sum, by.String(), storage.At(now))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "public-reply/" + ticketID, Type: "public-reply.drafted", Actor: by.String(), At: now, Payload: map[string]string{"sum": sum}})
	}
	if err != nil {
		return fmt.Errorf("published answer of %s: %w", ticketID, err)
	}
	return nil
}

// DecideReply approves or rejects a draft: a leader or supervisor who did not write it.
func (g *Gateway) DecideReply(tx *storage.Tx, ticketID string, approve bool, note string, by ticket.Actor) error {
	r, err := g.PublicReply(tx, ticketID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return refuse("state", "还没有公开答复可审批")
	case err != nil:
		return err
	case r.State != ReplyDraft:
		return refuse("state", "公开答复已审批")
	case by.Role != org.Leader && by.Role != org.Supervisor:
		return refuse("role", "公开答复由局领导或督办员审批")
	case r.DraftedBy == by.String():
		return refuse("second", "公开答复须由第二人审批")
	case !approve && strings.TrimSpace(note) == "":
		return refuse("empty", "请填写退回理由")
	}
	state, event := ReplyApproved, "public-reply.approved"
	if !approve {
		state, event = ReplyRejected, "public-reply.rejected"
	}
	now := g.now()
	_, err = tx.Exec(`UPDATE channel_reply SET state = $2, decided_by = $3, decided_at = $4, note = $5 WHERE ticket_id = $1`, ticketID, state, by.String(), storage.At(now), clean(note))
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "public-reply/" + ticketID, Type: event, Actor: by.String(), At: now})
	}
	if err != nil {
		return fmt.Errorf("published answer of %s: %w", ticketID, err)
	}
	return nil
}
