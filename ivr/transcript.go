package ivr

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"lianxin/speech"
	"lianxin/storage"
	"lianxin/ticket"
)

// TranscriptState is where the writing down of a message stands.
type TranscriptState string

// The states. Only the first is not final.
const (
	TranscriptWaiting TranscriptState = "waiting"
	TranscriptDone    TranscriptState = "done"
	TranscriptSilent  TranscriptState = "silent" // nothing was understood
	TranscriptFailed  TranscriptState = "failed" // too often, or there is no sound
)

// Transcript is what a recogniser wrote down of the message in a call. It never takes the place of the recording.
type Transcript struct {
	CallID string
	State  TranscriptState
	Engine string // the recogniser
	Text   string
	At     time.Time
}

const transcriptPurpose = "call.transcript"

// Transcript reads what was written down of a call's message, or storage.ErrNotFound.
func (c Calls) Transcript(tx *storage.Tx, callID string) (Transcript, error) {
	t, err := storage.One(tx, func(r storage.Row) (t Transcript, err error) {
		var sealed []byte
		var at storage.Time
		if err = r.Scan(&t.CallID, &t.State, &t.Engine, &sealed, &at); err != nil {
			return t, err
		}
		t.At = at.Time
		t.Text, err = c.Vault.For(transcriptPurpose).Open(sealed)
		return t, err
	}, `SELECT call_id, state, engine, words, at FROM call_transcript WHERE call_id = $1`, callID)
	if err != nil {
		return t, fmt.Errorf("transcript of call %s: %w", callID, err)
	}
	return t, nil
}

// Transcripts writes the messages of this program's callers down where a recogniser is configured (Config.Hear): after the call, one at
// a time, from the recording. It outlives the program, and gives a message up after some tries.
type Transcripts struct {
	Hotline *Hotline
	Every   time.Duration // how often there is a look for new messages; 15 s when 0
	Changed func()        // called after each; nil: nobody is told
}

const (
	transcriptLease = 10 * time.Minute // one message is written down within it
	transcriptTries = 5
	transcriptBack  = 7 * 24 * time.Hour // older messages are left alone
	transcriptMost  = 2000               // characters that go into a ticket
)

// Run works until ctx ends.
func (t *Transcripts) Run(ctx context.Context) error {
	h := t.Hotline
	if h.cfg.Hear == nil {
		return nil
	}
	every := t.Every
	if every <= 0 {
		every = 15 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for own := true; ; {
		err := t.round(ctx, own)
		if err == nil {
			own = false
		} else if ctx.Err() == nil {
			h.log.Error("ivr: write messages down", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round lists the messages that are new, and writes down what is due. own says that this program has just begun, so that nobody is at
// what an earlier one was.
func (t *Transcripts) round(ctx context.Context, own bool) error {
	h := t.Hotline
	err := h.update(ctx, func(tx *storage.Tx) error {
		if own {
			if _, err := tx.Exec(`UPDATE call_transcript SET due = $1 WHERE state = 'waiting' AND call_id IN (SELECT id FROM call WHERE node = $2)`, storage.At(h.now()), h.cfg.Node); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO call_transcript (call_id, state, due)
			SELECT id, 'waiting', $1 FROM call WHERE message_ms > 0 AND started >= $2 AND node = $3 AND ended IS NOT NULL AND recording <> '' AND recording_gone IS NULL
				AND NOT EXISTS (SELECT 1 FROM call_transcript WHERE call_transcript.call_id = call.id)
			ON CONFLICT (call_id) DO NOTHING`, storage.At(h.now()), storage.At(h.now().Add(-transcriptBack)), h.cfg.Node)
		return err
	})
	if err != nil {
		return fmt.Errorf("list messages: %w", err)
	}
	for ctx.Err() == nil {
		r, tries, err := t.next(ctx)
		if err != nil || r.ID == "" {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, transcriptLease-time.Minute)
		text, err := t.write(bounded, r)
		cancel()
		if ctx.Err() != nil {
			return nil // the next start takes it up
		}
		if err := t.settle(ctx, r, tries, text, err); err != nil {
			return err
		}
	}
	return nil
}

// next takes the next message that is due under a lease; a record without an id when there is none.
func (t *Transcripts) next(ctx context.Context) (r Record, tries int, err error) {
	h := t.Hotline
	type row struct {
		id         string
		due, tries int64
	}
	err = h.update(ctx, func(tx *storage.Tx) error {
		r = Record{}
		x, err := storage.One(tx, func(row1 storage.Row) (x row, err error) { return x, row1.Scan(&x.id, &x.due, &x.tries) },
			`SELECT call_id, due, tries FROM call_transcript WHERE state = 'waiting' AND due <= $1 AND call_id IN (SELECT id FROM call WHERE node = $2) ORDER BY due LIMIT 1`,
			storage.At(h.now()), h.cfg.Node)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := tx.Exec(`UPDATE call_transcript SET due = $3, tries = tries + 1 WHERE call_id = $1 AND state = 'waiting' AND due = $2`, x.id, x.due, storage.At(h.now().Add(transcriptLease)))
		if err != nil || n == 0 {
			return err
		}
		tries = int(x.tries) + 1
		r, err = h.calls.Get(tx, x.id)
		return err
	})
	if err != nil {
		return r, tries, fmt.Errorf("next message to write down: %w", err)
	}
	return r, tries, nil
}

// write hears the message in the recording and has it recognised.
func (t *Transcripts) write(ctx context.Context, r Record) (string, error) {
	pcm, err := t.Hotline.calls.messageSound(t.Hotline.cfg.Recordings, r)
	if err != nil {
		return "", err
	}
	return speech.Transcribe(ctx, t.Hotline.cfg.Hear, speech.Listen{ID: r.ID}, pcm)
}

// messageSound is what the caller said into their message, at 8 kHz.
func (c Calls) messageSound(dir string, r Record) ([]int16, error) {
	p, err := c.OpenRecording(dir, r)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	// Both sides, 16 bits: 4 bytes a sample, after the header of a WAV file of ours.
	const header, second = 44, 4 * speech.Rate
	at := func(d time.Duration) int64 { return d.Milliseconds() * second / 1000 }
	if _, err := p.Seek(header+at(r.MessageFrom), io.SeekStart); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(p, at(r.MessageTime)))
	if err != nil {
		return nil, fmt.Errorf("read a message: %w", err)
	}
	pcm := make([]int16, len(b)/4)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[4*i:])) // left is the caller
	}
	return pcm, nil
}

// settle writes down what came of a try: the words, that there were none, or when to try again.
func (t *Transcripts) settle(ctx context.Context, r Record, tries int, text string, failed error) error {
	h := t.Hotline
	now := h.now()
	state, due := TranscriptDone, now
	switch {
	case errors.Is(failed, ErrRecordingGone), errors.Is(failed, ErrNoRecording), errors.Is(failed, fs.ErrNotExist), failed != nil && tries >= transcriptTries:
		state = TranscriptFailed
	case failed != nil:
		state, due = TranscriptWaiting, now.Add(time.Duration(tries*tries)*time.Minute)
	case text == "":
		state = TranscriptSilent
	}
	if failed != nil {
		h.log.Warn("ivr: a message is not written down", "call", r.ID, "try", tries, "err", failed)
	}
	at := storage.At(now)
	if state == TranscriptWaiting {
		at = storage.At(time.Time{})
	}
	err := h.update(ctx, func(tx *storage.Tx) error {
		var words []byte
		if text != "" {
			words = h.calls.Vault.For(transcriptPurpose).Seal(text)
		}
		n, err := tx.Exec(`UPDATE call_transcript SET state = $2, due = $3, engine = $4, words = $5, at = $6 WHERE call_id = $1 AND state = 'waiting'`,
			r.ID, string(state), storage.At(due), h.cfg.Hear.Name(), words, at)
		if err != nil || n == 0 || state != TranscriptDone {
			return err // n is 0 when the words were erased meanwhile
		}
		return h.tellTicket(tx, r.TicketID, text)
	})
	if err != nil {
		return fmt.Errorf("keep what was written down of call %s: %w", r.ID, err)
	}
	h.log.Info("ivr: a message was written down", "call", r.ID, "state", string(state), "try", tries)
	if t.Changed != nil {
		t.Changed()
	}
	return nil
}

// tellTicket puts what was understood into the text of a ticket that nobody has accepted yet, where it is found by search and read by
// what suggests class and grade. Later the ticket's text is for people only, and the words stand beside the recording.
func (h *Hotline) tellTicket(tx *storage.Tx, id, text string) error {
	if id == "" {
		return nil
	}
	t, err := h.cfg.Office.Get(tx, id)
	if err != nil || t.State != ticket.New || t.BodyRef.IsZero() {
		return err
	}
	body, err := h.cfg.Office.Original(tx, t.BodyRef)
	if err != nil || body == ticket.Erased {
		return err
	}
	if runes := []rune(text); len(runes) > transcriptMost {
		text = string(runes[:transcriptMost]) + "…"
	}
	_, err = h.cfg.Office.Amend(tx, id, ticket.Amendment{Body: body + "\n【机器转写，仅供参考，以录音为准】" + strings.ReplaceAll(text, "\n", "，")}, ticket.Bot)
	if _, no := ticket.RefusedWith(err); no {
		return nil
	}
	return err
}
