package cmpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
)

// books are what must outlive the process: the segments of long texts and of long replies.
type books struct {
	db    *storage.DB
	vault *contact.Vault
}

// taken notes that the gateway has a segment of a long text. A failure is logged only: the segment is with the gateway.
func (b books) taken(ctx context.Context, log *slog.Logger, s submission, msgID uint64, now time.Time) {
	err := b.db.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO cmpp_segment (id, message_id, attempt, part, parts, state, at) VALUES ($1, $2, $3, $4, $5, 'accepted', $6)
			ON CONFLICT (id) DO NOTHING`, idOf(msgID), s.message.ID, s.message.Attempt, s.part, s.parts, storage.At(now))
		return err
	})
	if err != nil {
		log.Error("note a segment; its status report will find no text", "carrier", "cmpp", "text", s.message.ID, "error", err)
	}
}

type segmentRow struct {
	id, messageID        string
	attempt, part, parts int
	state                sms.State
}

func scanSegment(r storage.Row) (s segmentRow, err error) {
	return s, r.Scan(&s.id, &s.messageID, &s.attempt, &s.part, &s.parts, &s.state)
}

const segmentColumns = `id, message_id, attempt, part, parts, state`

// reported notes what a status report says of a segment, and returns what that means for the text: delivered when all
// segments are, failed when one is, else accepted. known is false for what is no segment of a long text.
func (b books) reported(ctx context.Context, id string, state sms.State) (r sms.Receipt, known bool, err error) {
	err = b.db.Update(ctx, func(tx *storage.Tx) error {
		one, err := storage.One(tx, scanSegment, `SELECT `+segmentColumns+` FROM cmpp_segment WHERE id = $1`, id)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		// All of the text's rows are locked, so that two reports at the same moment do not each miss the other.
		all, err := storage.All(tx, scanSegment, `SELECT `+segmentColumns+` FROM cmpp_segment WHERE message_id = $1 AND attempt = $2 ORDER BY part, id `+tx.ForUpdate(),
			one.messageID, one.attempt)
		if err != nil {
			return err
		}
		known = true
		r = sms.Receipt{MessageID: one.messageID, CarrierID: id, State: sms.Accepted, Part: one.part}
		delivered := map[int]bool{}
		for _, s := range all {
			if s.id == id && above(state, s.state) {
				s.state = state
				if _, err := tx.Exec(`UPDATE cmpp_segment SET state = $2 WHERE id = $1`, id, string(state)); err != nil {
					return err
				}
			}
			if s.state == sms.Delivered {
				delivered[s.part] = true
			}
		}
		switch {
		case len(delivered) == one.parts:
			r.State, r.Part = sms.Delivered, 0
		case state == sms.Failed && !delivered[one.part]:
			r.State = sms.Failed
		}
		return nil
	})
	if err != nil {
		return r, false, fmt.Errorf("cmpp: note a status report: %w", err)
	}
	return r, known, nil
}

func above(a, b sms.State) bool {
	rank := map[sms.State]int{sms.Accepted: 0, sms.Failed: 1, sms.Delivered: 2}
	return rank[a] > rank[b]
}

// fragment is a segment of a long reply.
type fragment struct {
	id      string
	from    string // as the gateway has it
	to      string
	format  uint8
	concat  Concat
	content []byte
	at      time.Time
}

// group is the segments of one long reply.
type group struct {
	parts     int
	fragments []fragment
}

// body puts the text together. Bytes that are written alike are joined before they are read, because handsets cut
// characters in half. A segment that never came is shown as an ellipsis.
func (g group) body() string {
	slices.SortStableFunc(g.fragments, func(a, b fragment) int { return int(a.concat.Part) - int(b.concat.Part) })
	var out strings.Builder
	var run []byte
	next, format := 1, uint8(0)
	flush := func() {
		out.WriteString(Decode(format, run))
		run = nil
	}
	for _, f := range g.fragments {
		part := int(f.concat.Part)
		if part < next {
			continue // the same segment twice
		}
		if part > next {
			flush()
			out.WriteString("…")
		} else if f.format != format {
			flush()
		}
		format, next = f.format, part+1
		run = append(run, f.content...)
	}
	flush()
	if next <= g.parts {
		out.WriteString("…")
	}
	return out.String()
}

func (g group) complete() bool {
	seen := map[uint8]bool{}
	for _, f := range g.fragments {
		seen[f.concat.Part] = true
	}
	return len(seen) == g.parts
}

const fragmentColumns = `id, recipient, ref, part, parts, format, sender, content, at`

func (b books) scanFragment(r storage.Row) (f fragment, err error) {
	var sender, content []byte
	var at storage.Time
	if err := r.Scan(&f.id, &f.to, &f.concat.Ref, &f.concat.Part, &f.concat.Total, &f.format, &sender, &content, &at); err != nil {
		return f, err
	}
	f.at = at.Time
	if f.from, err = b.vault.For("cmpp.sender").Open(sender); err != nil {
		return f, fmt.Errorf("open the sender: %w", err)
	}
	text, err := b.vault.For("cmpp.content").Open(content)
	f.content = []byte(text)
	return f, err
}

// keep stores a segment of a reply, once, and returns the reply's segments when they are complete.
func (b books) keep(ctx context.Context, f fragment) (g group, err error) {
	hash := b.vault.Hash(f.from)
	err = b.db.Update(ctx, func(tx *storage.Tx) error {
		n, err := tx.Exec(`INSERT INTO cmpp_fragment (id, phone_hash, recipient, ref, part, parts, format, sender, content, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING`,
			f.id, hash, f.to, int(f.concat.Ref), int(f.concat.Part), int(f.concat.Total), int(f.format),
			b.vault.For("cmpp.sender").Seal(f.from), b.vault.For("cmpp.content").Seal(string(f.content)), storage.At(f.at))
		if err != nil {
			return err
		}
		if n == 0 {
			known, err := storage.One(tx, storage.Value[bool], `SELECT done FROM cmpp_fragment WHERE id = $1`, f.id)
			if err != nil || known {
				return err // delivered again after it was done with
			}
		}
		g, err = b.group(tx, hash, f)
		return err
	})
	if err != nil {
		return g, fmt.Errorf("cmpp: keep a segment of a reply: %w", err)
	}
	if !g.complete() {
		g.fragments = nil
	}
	return g, nil
}

func (b books) group(tx *storage.Tx, hash string, f fragment) (group, error) {
	all, err := storage.All(tx, b.scanFragment, `SELECT `+fragmentColumns+` FROM cmpp_fragment
		WHERE phone_hash = $1 AND recipient = $2 AND ref = $3 AND parts = $4 AND done = FALSE ORDER BY part, at DESC, id`,
		hash, f.to, int(f.concat.Ref), int(f.concat.Total))
	return group{int(f.concat.Total), all}, err
}

// done notes that the reply is with whoever takes replies.
func (b books) done(ctx context.Context, g group) error {
	return b.db.Update(ctx, func(tx *storage.Tx) error {
		for _, f := range g.fragments {
			if _, err := tx.Exec(`UPDATE cmpp_fragment SET done = TRUE WHERE id = $1`, f.id); err != nil {
				return fmt.Errorf("cmpp: note a reply: %w", err)
			}
		}
		return nil
	})
}

// overdue returns the replies whose first segment came before, complete or not.
func (b books) overdue(ctx context.Context, before time.Time) (out []group, err error) {
	err = b.db.View(ctx, func(tx *storage.Tx) error {
		firsts, err := storage.All(tx, b.scanFragment, `SELECT `+fragmentColumns+` FROM cmpp_fragment WHERE done = FALSE AND at < $1 ORDER BY at, id LIMIT 100`,
			storage.At(before))
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, f := range firsts {
			if seen[f.id] {
				continue
			}
			g, err := b.group(tx, b.vault.Hash(f.from), f)
			if err != nil {
				return err
			}
			for _, f := range g.fragments {
				seen[f.id] = true
			}
			out = append(out, g)
		}
		return nil
	})
	return out, err
}

// tidy forgets what no report and no repetition can ask for any more: the specification has reports within 48 hours.
func (b books) tidy(ctx context.Context, now time.Time) error {
	return b.db.Update(ctx, func(tx *storage.Tx) error {
		if _, err := tx.Exec(`DELETE FROM cmpp_segment WHERE at < $1`, storage.At(now.Add(-14*24*time.Hour))); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM cmpp_fragment WHERE done = TRUE AND at < $1`, storage.At(now.Add(-7*24*time.Hour)))
		return err
	})
}
