package survey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/survey/reply"
	"lianxin/ticket"
	"lianxin/workday"
)

// Change is a reply that the lexicon of today reads otherwise than the one it was read with.
type Change struct {
	AnswerID   string
	ReceivedAt time.Time
	Lexicon    string // that it was read with
	Was        reply.Verdict
	Now        reply.Verdict
	Settled    bool // a person has read it since: it stays as that person said
	Counted    bool // its rating is the one that counts
	Queued     bool // it was put to people (RereadOptions.Queue)
}

// RereadOptions say which replies are read again and what becomes of those that read otherwise.
type RereadOptions struct {
	From, To workday.Day // received on; both included
	Queue    bool        // put those that no person has read to people; else nothing is changed
	Change   func(Change)
	By       ticket.Actor // of Queue
}

// Reread is what reading again came to.
type Reread struct {
	Read, Same, Changed, Queued int
	Lexicon                     string
}

// Reread reads old replies with the lexicon of today and tells what it would make of them. No rating changes by it: with
// Queue those that read otherwise are put to people, who decide as about any reply; who has rated, and how, stays until
// then. Replies that a person has read are told of and left alone.
func (s *Survey) Reread(ctx context.Context, opt RereadOptions) (Reread, error) {
	out := Reread{Lexicon: s.lexicon()}
	after := ""
	for {
		var page []Answer
		err := s.DB.View(ctx, func(tx *storage.Tx) (err error) {
			page, err = storage.All(tx, scanAnswer, `SELECT `+answerColumns+` FROM survey_answer WHERE received_at >= $1 AND received_at < $2 AND id > $3
				AND place <> 'reason' ORDER BY id LIMIT 500`, storage.At(opt.From.Start()), storage.At(opt.To.End()), after)
			return err
		})
		if err != nil {
			return out, fmt.Errorf("read old replies again: %w", err)
		}
		if len(page) == 0 {
			return out, nil
		}
		after = page[len(page)-1].ID
		for _, a := range page {
			if err := s.rereadOne(ctx, a, opt, &out); err != nil {
				return out, fmt.Errorf("read reply %s again: %w", a.ID, err)
			}
		}
	}
}

func (s *Survey) rereadOne(ctx context.Context, a Answer, opt RereadOptions, out *Reread) error {
	var words string
	var digits reply.Scale
	err := s.DB.View(ctx, func(tx *storage.Tx) error {
		in, err := s.Inbox.Get(tx, a.InboundID)
		words = in.Body
		if err != nil || a.AskID == "" || in.Carrier == Telephone {
			return err
		}
		ask, err := AskOf(tx, a.AskID)
		digits = ask.digits()
		return err
	})
	if err != nil {
		return err
	}
	v := s.read(words, digits)
	out.Read++
	was := reply.Verdict{Label: a.Label, Rating: a.Rating, Danger: a.Danger, Why: a.Why}
	if a.Review == "settled" { // the row holds the person's rating; what is compared is the label
		was.Rating = v.Rating
	}
	if v.Label == was.Label && v.Rating == was.Rating && v.Danger == was.Danger {
		out.Same++
		return nil
	}
	out.Changed++
	c := Change{AnswerID: a.ID, ReceivedAt: a.ReceivedAt, Lexicon: a.Lexicon, Was: was, Now: v, Settled: a.Review == "settled", Counted: a.Counted}
	if opt.Queue && a.Review == "" {
		err := s.DB.Update(ctx, func(tx *storage.Tx) error {
			n, err := tx.Exec(`UPDATE survey_answer SET review = 'pending' WHERE id = $1 AND review = ''`, a.ID)
			if err == nil && n == 0 {
				err = storage.ErrConflict
			}
			if err != nil {
				return err
			}
			_, err = audit.Append(tx, audit.Entry{Stream: answerStream + a.ID, Type: "survey.reread", Actor: opt.By.String(), Rule: s.lexicon(), At: s.now(),
				Payload: map[string]any{"was": a.Lexicon, "label": string(v.Label), "rating": v.Rating}})
			return err
		})
		if err != nil && !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if c.Queued = err == nil; c.Queued {
			out.Queued++
		}
	}
	if opt.Change != nil {
		opt.Change(c)
	}
	return nil
}

// SearchReplies looks for words in the replies received in [from day, to day], newest first, at most limit. Words are
// sealed, so they are opened one by one: a week of a bureau's replies is some hundreds. unit as in Reviews.
func (s *Survey) SearchReplies(tx *storage.Tx, words string, from, to workday.Day, unit string, limit int) ([]ReviewItem, error) {
	want := fold(words)
	all, err := s.Inbox.List(tx, from.Start(), to.End(), searchMost)
	if err != nil {
		return nil, fmt.Errorf("search replies: %w", err)
	}
	var out []ReviewItem
	for _, in := range all {
		if want != "" && !strings.Contains(fold(in.Body), want) {
			continue
		}
		found, err := s.replies(tx, `inbound_id = $1 AND ($2 = '' OR NOT EXISTS (SELECT 1 FROM survey_ask k WHERE k.id = survey_answer.ask_id AND k.unit = $2))`, in.ID, unit)
		if err != nil {
			return nil, err
		}
		if out = append(out, found...); len(out) >= limit {
			return out[:limit], nil
		}
	}
	return out, nil
}

// searchMost is how many replies a search opens.
const searchMost = 20000
