package ivr

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"lianxin/ivr/flow"
	"lianxin/sip/media"
	"lianxin/storage"
)

// Answer is what a caller answered by key to a question of a flow.
type Answer struct {
	CallID, Name, Value string
	At                  time.Time
}

// Clip is a named part of a call's recording.
type Clip struct {
	Name string
	From time.Duration
	Time time.Duration
}

// Answers returns what was answered in a call, in order.
func (c Calls) Answers(tx *storage.Tx, callID string) ([]Answer, error) {
	return storage.All(tx, func(r storage.Row) (a Answer, err error) {
		var at storage.Time
		err = r.Scan(&a.CallID, &a.Name, &a.Value, &at)
		a.At = at.Time
		return a, err
	}, `SELECT call_id, name, value, at FROM call_answer WHERE call_id = $1 ORDER BY at, name`, callID)
}

// Clips returns the named parts of a call's recording, in order.
func (c Calls) Clips(tx *storage.Tx, callID string) ([]Clip, error) {
	return storage.All(tx, func(r storage.Row) (x Clip, err error) {
		var from, long int64
		err = r.Scan(&x.Name, &from, &long)
		x.From, x.Time = time.Duration(from)*time.Millisecond, time.Duration(long)*time.Millisecond
		return x, err
	}, `SELECT name, from_ms, ms FROM call_clip WHERE call_id = $1 ORDER BY from_ms`, callID)
}

// question asks by key and keeps the answer with the call. The outcome is "next", "otherwise", or a key that works anywhere.
func (v *visit) question(ctx context.Context, n *flow.Node) (string, error) {
	first, last := byte('1'), byte('5')
	if a := n.Text["answers"]; a != "" {
		first, last = a[0], a[len(a)-1]
	}
	for try := 0; try < n.Tries(2); try++ {
		key, err := v.ask(ctx, n.Wait(8*time.Second), n.Prompts...)
		if err != nil {
			return "", err
		}
		again := n.Lists["silent"]
		switch {
		case key >= rune(first) && key <= rune(last):
			return "next", v.answered(ctx, n.Text["into"], string(key))
		case key == flow.Urgent || key != flow.NoKey && v.flow.Anywhere[flow.Outcome(key)] != "":
			return flow.Outcome(key), nil
		case key != flow.NoKey:
			v.did("按错")
			again = n.Lists["wrong"]
		default:
			v.did("未按键")
		}
		if try < n.Tries(2)-1 {
			if _, err := v.Say(ctx, again); err != nil {
				return "", err
			}
		}
	}
	return "otherwise", nil
}

// answered keeps an answer. Unlike other keys it is meant to be kept, and is no number that says who somebody is.
func (v *visit) answered(ctx context.Context, name, value string) error {
	ctx, cancel := after(ctx)
	defer cancel()
	v.fields[name] = value
	v.did("已回答“" + name + "”")
	err := v.h.update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO call_answer (call_id, name, value, at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (call_id, name) DO UPDATE SET value = excluded.value, at = excluded.at`, v.rec.ID, name, value, storage.At(v.h.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return nil
}

// clip records what the caller says as a named part of the recording. The outcome is "next" when something was said, or "empty".
func (v *visit) clip(ctx context.Context, n *flow.Node) (string, error) {
	if key, err := v.Say(ctx, n.Prompts); err != nil {
		return "", err
	} else if out := flow.Outcome(key); key != flow.NoKey && v.flow.Exit(n, out) != "" {
		return out, nil
	}
	if _, err := v.Say(ctx, []string{"beep"}); err != nil {
		return "", err
	}
	m, err := v.hearMessage(ctx, n.Time("longest", time.Minute))
	if m.key == flow.Urgent && v.flow.Anywhere["110"] != "" {
		return flow.Outcome(flow.Urgent), nil
	}
	if m.voice < n.Time("shortest", time.Second) {
		if err == nil {
			v.did("没有听到说话")
		}
		return "empty", err
	}
	name := n.Text["into"]
	bg, cancel := after(ctx)
	defer cancel()
	keep := v.h.update(bg, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO call_clip (call_id, name, from_ms, ms) VALUES ($1, $2, $3, $4)
			ON CONFLICT (call_id, name) DO UPDATE SET from_ms = excluded.from_ms, ms = excluded.ms`,
			v.rec.ID, name, m.from.Milliseconds(), m.long.Milliseconds())
		return err
	})
	if keep != nil {
		return "", fmt.Errorf("keep what was said: %w", keep)
	}
	v.fields[name] = "recorded"
	if err == nil && m.end == "limit" {
		_, err = v.Say(ctx, []string{"message.limit"})
	}
	return "next", err
}

// hear follows what the caller says, or the key pressed. It returns the next node. Without a recogniser, or when it hears nothing that
// it knows, it is a menu of its keys.
func (v *visit) hear(ctx context.Context, n *flow.Node) (string, error) {
	said := v.trail.said
	if said == nil {
		v.did("没有语音识别")
		if len(n.Keys) == 0 {
			return n.Exits["otherwise"], nil
		}
	}
	repeats := 0
	for try := 0; try < n.Tries(2); try++ {
		text, key, err := v.hearOrKey(ctx, said, n.Prompts, n.Wait(8*time.Second))
		if err != nil {
			return "", err
		}
		again := n.Lists["silent"]
		switch to := v.flow.Exit(n, flow.Outcome(key)); {
		case key != flow.NoKey && to == flow.Repeat && repeats < 5:
			repeats++
			try--
			continue
		case key != flow.NoKey && to != "" && to != flow.Repeat:
			return to, nil
		case key != flow.NoKey:
			v.did("按错")
			again = n.Lists["wrong"]
		case text != "":
			if to, word := follow(n.Words, text); to != "" {
				v.did("听到“" + word + "”")
				if into := n.Text["into"]; into != "" {
					v.fields[into] = text
				}
				return to, nil
			}
			v.did("没有听懂")
			again = n.Lists["wrong"]
		default:
			v.did("没有听到回答")
		}
		if try < n.Tries(2)-1 {
			if _, err := v.Say(ctx, again); err != nil {
				return "", err
			}
		}
	}
	return n.Exits["otherwise"], nil
}

// hearOrKey plays prompts until the caller says something to its end, presses a key, or neither for a time after them.
func (v *visit) hearOrKey(ctx context.Context, said <-chan string, keys []string, wait time.Duration) (text string, key flow.Key, err error) {
	for len(said) > 0 { // what was said before the question is no answer to it
		<-said
	}
	keys = v.expand(keys)
	leg := v.call.Media()
	playing, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	if len(keys) > 0 {
		p, err := v.h.cfg.Prompts.Say(keys...)
		if err != nil {
			stop()
			return "", flow.NoKey, err
		}
		v.step(Step{Said: keys})
		go func() { done <- leg.Play(playing, p) }()
	} else {
		done <- nil
	}
	defer func() {
		stop()
		if done != nil {
			<-done
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case text = <-said:
			return text, flow.NoKey, nil
		case key = <-v.keys:
			return "", key, nil
		case err := <-done:
			done = nil
			if err != nil {
				if ctx.Err() != nil {
					err = ctx.Err()
				}
				return "", flow.NoKey, err
			}
			timer.Reset(wait)
		case <-timer.C:
			return "", flow.NoKey, nil
		case <-leg.Done():
			return "", flow.NoKey, media.ErrClosed
		case <-ctx.Done():
			return "", flow.NoKey, ctx.Err()
		}
	}
}

// follow is the first node whose words are in what was said, and the word. Blanks and punctuation do not count.
func follow(nodes []flow.Spoken, said string) (to, word string) {
	said = bare(said)
	for _, n := range nodes {
		for _, w := range n.Words {
			if b := bare(w); b != "" && strings.Contains(said, b) {
				return n.Go, w
			}
		}
	}
	return "", ""
}

func bare(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsPunct(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}
