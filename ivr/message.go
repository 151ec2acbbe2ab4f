package ivr

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"lianxin/ivr/flow"
	"lianxin/ivr/say"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// spoken is what was heard of a message.
type spoken struct {
	from  time.Duration // in the recording
	long  time.Duration
	voice time.Duration // of it with somebody speaking
	end   string        // "key", "limit", "quiet", "hangup"
	key   flow.Key
}

// message records what the caller wants to say, opens the ticket and the call-back, and tells the caller when we call.
// The outcome is "next" when there is a message, "empty" when there is none. A caller who hangs up after speaking has
// left a message all the same.
func (v *visit) message(ctx context.Context, n *flow.Node) (string, error) {
	v.show(func(l *LiveCall) { l.Stage = StageMessage })
	defer v.show(func(l *LiveCall) { l.Stage = StageBot })
	if key, err := v.Say(ctx, n.Prompts); err != nil {
		return "", err
	} else if out := flow.Outcome(key); key != flow.NoKey && v.flow.Exit(n, out) != "" {
		return out, nil
	}
	longest, shortest := n.Time("longest", 3*time.Minute), n.Time("shortest", 2*time.Second)
	retakes := 0
	for try := 0; try < n.Tries(2); try++ {
		key, err := v.Say(ctx, []string{"beep"})
		if err != nil {
			return "", err
		}
		m := spoken{key: key}
		if key != '#' && key != flow.Urgent {
			m, err = v.hearMessage(ctx, longest)
		}
		if err != nil {
			if m.voice >= shortest {
				return "", errors.Join(v.keep(context.WithoutCancel(ctx), m), err)
			}
			return "", err
		}
		if m.key == flow.Urgent && v.flow.Anywhere["110"] != "" {
			return flow.Outcome(flow.Urgent), nil
		}
		if m.voice < shortest {
			v.did("没有听到留言")
			if try < n.Tries(2)-1 {
				if _, err := v.Say(ctx, []string{"message.short"}); err != nil {
					return "", err
				}
			}
			continue
		}
		if m.end == "limit" {
			if _, err := v.Say(ctx, []string{"message.limit"}); err != nil {
				return "", errors.Join(v.keep(context.WithoutCancel(ctx), m), err)
			}
		}
		if n.Text["confirm"] == "yes" && retakes < 2 {
			key, err := v.ask(ctx, 6*time.Second, "message.confirm")
			if err != nil {
				return "", errors.Join(v.keep(context.WithoutCancel(ctx), m), err)
			}
			if key == '2' {
				v.did("重新录制")
				retakes++
				try--
				continue
			}
		}
		if err := v.keep(ctx, m); err != nil {
			return "", err
		}
		return v.thank(ctx)
	}
	return "empty", nil
}

// loud is the root mean square above which a frame counts as somebody speaking (about −38 dBm0).
const loud = 400

// quietEnd is how long nobody speaks before a message is taken to be over.
const quietEnd = 8 * time.Second

// hearMessage listens until #, the longest time, a long silence or the end of the call. The recording of the call holds
// the sound; here it is only measured.
func (v *visit) hearMessage(ctx context.Context, longest time.Duration) (m spoken, err error) {
	leg := v.call.Media()
	tap := leg.Tap()
	defer tap.Close()
	if from := v.record().RecordedFrom; !from.IsZero() {
		m.from = v.h.now().Sub(from)
	}
	v.did("开始留言")
	defer func() { v.did(fmt.Sprintf("留言%d秒", int(m.long.Seconds()))) }()
	listening, stop := context.WithCancel(ctx)
	defer stop()
	frames := make(chan bool)
	ended := make(chan error, 1)
	go func() {
		frame := make([]int16, media.FrameSamples)
		for {
			if _, err := tap.Read(listening, frame); err != nil {
				ended <- err
				return
			}
			select {
			case frames <- rms(frame) >= loud:
			case <-listening.Done():
				ended <- listening.Err()
				return
			}
		}
	}()
	quiet := time.Duration(0)
	for {
		select {
		case voice := <-frames:
			m.long += media.FrameTime
			quiet += media.FrameTime
			if voice {
				m.voice += media.FrameTime
				quiet = 0
			}
			if m.long >= longest {
				m.end = "limit"
				return m, nil
			}
			if quiet >= quietEnd {
				m.end = "quiet"
				return m, nil
			}
		case key := <-v.keys:
			if key == '#' || key == flow.Urgent {
				m.end, m.key = "key", key
				return m, nil
			}
		case err := <-ended:
			m.end = "hangup"
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return m, err
		}
	}
}

func rms(pcm []int16) float64 {
	sum := 0.0
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	return math.Sqrt(sum / float64(max(len(pcm), 1)))
}

// keep enters the message: the ticket, which says so, and the call-back, in one transaction.
func (v *visit) keep(ctx context.Context, m spoken) error {
	ctx, cancel := after(ctx)
	defer cancel()
	v.wants = false
	v.note(func(r *Record) { r.MessageFrom, r.MessageTime = m.from, m.long })
	title := fmt.Sprintf("热线留言（%d秒），请听录音", int(m.long.Round(time.Second).Seconds()))
	body := "无人工坐席接听，来电人留言，内容见通话录音。"
	if v.urgent() {
		title = "紧急来电（110）" + strings.TrimPrefix(title, "热线")
		body = callForHelp + "；" + body
	}
	if v.person.ID == "" {
		body += "来电未显示号码，无法回电。"
	}
	var t ticket.Ticket
	var cb ticket.Callback
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		if t, err = v.open(tx, title, body, ""); err != nil {
			return err
		}
		if t.Existing && t.State == ticket.New && t.OpenedBy == ticket.Bot.String() { // the draft of a caller who then left a message
			if t, err = v.h.cfg.Office.Amend(tx, t.ID, ticket.Amendment{Title: title, Body: body}, ticket.Bot); err != nil {
				return err
			}
		}
		if v.person.ID == "" {
			return nil
		}
		r := v.record()
		r.TicketID = t.ID
		cb, err = v.owe(tx, &r, ticket.CallbackMessage, "来电人留言，请听录音后回电")
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a message: %w", err)
	}
	v.opened(t)
	v.note(func(r *Record) { r.CallbackID = cb.ID })
	v.promised = cb.Due
	v.numbered = t.Number
	return nil
}

// thank tells a caller what becomes of the message: when we call, and the number of the ticket.
// Whoever keys 110 into it is led there.
func (v *visit) thank(ctx context.Context) (string, error) {
	keys := []string{"message.saved"}
	if v.promised.IsZero() {
		keys = append(keys, "report.anonymous")
	} else {
		keys = append(append(append(keys, "message.by"), say.When(v.local(v.promised), v.local(v.h.now()))...), "message.by.tail")
	}
	keys = append(append(append(keys, "ticket.number"), say.Digits(v.numbered)...), "ticket.keep")
	key, err := v.Say(ctx, keys)
	if key == flow.Urgent {
		return flow.Outcome(key), err
	}
	return "next", err
}

// promise opens a call-back for a caller who does not want to wait.
func (v *visit) promise(ctx context.Context, n *flow.Node) (string, error) {
	if v.person.ID == "" {
		return "anonymous", nil
	}
	if err := v.openCallback(ctx, ticket.CallbackAbandoned, "来电人不便等候，选择回电"); err != nil {
		return "", fmt.Errorf("promise a call-back: %w", err)
	}
	v.wants, v.solved = false, Promised
	if err := v.keepPlace(ctx, v.record().CallbackID); err != nil {
		v.log.Error("ivr: keep the place of a caller", "err", err) // they are called back all the same, later
	}
	if _, err := v.Say(ctx, n.Prompts); err != nil {
		return "", err
	}
	return "next", nil
}
