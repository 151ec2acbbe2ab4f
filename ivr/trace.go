package ivr

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"lianxin/sip"
	"lianxin/storage"
)

// Trace is what the legs of a call did: their messages and the figures of their sound, with numbers masked. The record of the call
// holds what was decided.
type Trace struct {
	CallID string     `json:"call_id"`
	Legs   []TraceLeg `json:"legs"` // the caller's first
}

// TraceLeg is one leg.
type TraceLeg struct {
	Role      string         `json:"role"` // "caller"; an extension; "trunk …"
	Direction string         `json:"direction"`
	Transport string         `json:"transport"`
	Remote    string         `json:"remote"` // address and port of its signalling
	Codec     string         `json:"codec,omitempty"`
	Started   time.Time      `json:"started"`
	Answered  *time.Time     `json:"answered,omitempty"`
	Ended     *time.Time     `json:"ended,omitempty"`
	EndedBy   string         `json:"ended_by,omitempty"`
	Cause     string         `json:"cause,omitempty"`
	Code      int            `json:"code,omitempty"` // final SIP status of a leg that was not answered
	Messages  []TraceMessage `json:"messages"`
	Left      int            `json:"left_out,omitempty"` // messages in the middle that are not remembered
	Media     *TraceMedia    `json:"media,omitempty"`
}

// TraceMessage is one SIP message.
type TraceMessage struct {
	At   time.Time `json:"at"`
	Out  bool      `json:"out"` // sent by us
	Peer string    `json:"peer"`
	Text string    `json:"text"`
}

// TraceMedia are the figures of a leg's sound. Times are milliseconds.
type TraceMedia struct {
	PacketsIn   uint64  `json:"packets_in"`
	PacketsOut  uint64  `json:"packets_out"`
	Lost        uint64  `json:"lost"`
	LossPercent float64 `json:"loss_percent"`
	Late        uint64  `json:"late"`
	Duplicate   uint64  `json:"duplicate"`
	Concealed   uint64  `json:"concealed_frames"`
	Foreign     uint64  `json:"foreign"` // packets from elsewhere, not listened to
	WrongType   uint64  `json:"wrong_type"`
	Malformed   uint64  `json:"malformed"`
	SendErrors  uint64  `json:"send_errors"`
	JitterMS    float64 `json:"jitter_ms"`
	DepthMS     int     `json:"jitter_buffer_ms"`
	RTTMS       float64 `json:"rtt_ms,omitempty"`
	FarLoss     float64 `json:"far_loss_percent"`
	FarKnown    bool    `json:"far_reported"`
	MOSIn       float64 `json:"mos_in,omitempty"`
	MOSOut      float64 `json:"mos_out,omitempty"`
}

const tracePurpose = "call.trace"

func traceOf(id string, legs []sip.LegTrace) Trace {
	t := Trace{CallID: id, Legs: []TraceLeg{}}
	at := func(v time.Time) *time.Time {
		if v.IsZero() {
			return nil
		}
		return &v
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	for _, l := range legs {
		x := TraceLeg{Role: l.Role, Direction: string(l.Direction), Transport: l.Transport, Remote: l.Remote, Codec: l.Codec, Started: l.Started,
			Answered: at(l.Answered), Ended: at(l.End.At), EndedBy: string(l.End.By), Cause: l.End.Cause, Code: l.End.Code, Left: l.Left, Messages: []TraceMessage{}}
		for _, m := range l.Lines {
			x.Messages = append(x.Messages, TraceMessage{At: m.At, Out: m.Out, Peer: m.Peer, Text: m.Text})
		}
		if m := l.Media; l.HasMedia {
			x.Media = &TraceMedia{PacketsIn: m.PacketsIn, PacketsOut: m.PacketsOut, Lost: m.Lost, LossPercent: 100 * m.Loss(), Late: m.Late, Duplicate: m.Duplicate,
				Concealed: m.Concealed, Foreign: m.Foreign, WrongType: m.WrongType, Malformed: m.Malformed, SendErrors: m.SendErrors, JitterMS: ms(m.Jitter),
				DepthMS: 20 * m.Depth, RTTMS: ms(m.RTT), FarLoss: 100 * m.FarLoss, FarKnown: m.FarKnown, MOSIn: m.MOSIn, MOSOut: m.MOSOut}
		}
		t.Legs = append(t.Legs, x)
	}
	return t
}

// Trace tells what the legs of a call that is up on this program have done so far, with its record as it stands.
func (h *Hotline) Trace(id string) (Record, Trace, bool) {
	h.mu.Lock()
	v := h.live[id]
	h.mu.Unlock()
	if v == nil || h.cfg.Ladder == nil {
		return Record{}, Trace{}, false
	}
	return v.record(), traceOf(id, h.cfg.Ladder(id)), true
}

// saveTrace keeps what the legs of a call did.
func (v *visit) saveTrace(ctx context.Context) {
	if v.h.cfg.Ladder == nil {
		return
	}
	t := traceOf(v.rec.ID, v.h.cfg.Ladder(v.rec.ID))
	if err := v.h.update(ctx, func(tx *storage.Tx) error { return v.h.calls.saveTrace(tx, t, v.h.now()) }); err != nil {
		v.log.Error("ivr: keep the trace of a call", "err", err)
	}
}

func (c Calls) saveTrace(tx *storage.Tx, t Trace, now time.Time) error {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(t); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO call_trace (call_id, at, body) VALUES ($1, $2, $3) ON CONFLICT (call_id) DO UPDATE SET at = excluded.at, body = excluded.body`,
		t.CallID, storage.At(now), c.Vault.For(tracePurpose).Seal(b.String()))
	return err
}

// Trace reads what the legs of a call did, or storage.ErrNotFound: of a call that is still up, from before traces were kept, or of
// one whose trace has been removed.
func (c Calls) Trace(tx *storage.Tx, id string) (Trace, error) {
	var t Trace
	body, err := storage.One(tx, storage.Value[[]byte], `SELECT body FROM call_trace WHERE call_id = $1`, id)
	if err != nil {
		return t, fmt.Errorf("trace of call %s: %w", id, err)
	}
	plain, err := c.Vault.For(tracePurpose).Open(body)
	if err != nil {
		return t, fmt.Errorf("trace of call %s: %w", id, err)
	}
	// A megabyte is far more than any trace.
	if err := json.NewDecoder(io.LimitReader(flate.NewReader(strings.NewReader(plain)), 1<<20)).Decode(&t); err != nil {
		return t, fmt.Errorf("trace of call %s: %w", id, err)
	}
	return t, nil
}

// Rung is one message on the ladder of a call: from one lane to another.
type Rung struct {
	At       time.Time
	From, To int // lanes
	Text     string
}

// Lanes are the parties of a call from left to right: the caller, we, and the legs that were dialled.
func (t Trace) Lanes() []string {
	lanes := []string{}
	for i, l := range t.Legs {
		lanes = append(lanes, l.Role)
		if i == 0 {
			lanes = append(lanes, "lianxin")
		}
	}
	return lanes
}

// Rungs are the messages of all legs in the order of their times.
func (t Trace) Rungs() []Rung {
	var out []Rung
	for i, l := range t.Legs {
		lane := i
		if i > 0 {
			lane = i + 1
		}
		for _, m := range l.Messages {
			r := Rung{At: m.At, From: lane, To: 1, Text: m.Text}
			if m.Out {
				r.From, r.To = r.To, r.From
			}
			out = append(out, r)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].At.Before(out[j].At) })
	return out
}

const laneWidth = 18

// WriteText draws the ladder of a call with what was decided between the messages, and the figures of each leg, for a terminal.
func (t Trace) WriteText(w io.Writer, r Record, p Parts) error {
	var b strings.Builder
	fmt.Fprintf(&b, "call %s  %s  %s  %s\n", r.ID, r.Started.Format("2006-01-02 15:04:05"), r.Label(), r.Disposition.Label())
	if r.EndedBy != "" {
		fmt.Fprintf(&b, "ended by %s (%s)\n", r.EndedBy, r.Cause)
	}
	if r.Proof != "" {
		fmt.Fprintf(&b, "proof   %s (%s)\n", r.Proof, r.Proof.Label())
	}
	p.write(&b, r)
	b.WriteString("\n")
	lanes := t.Lanes()
	row := func(mark func(line []rune)) string {
		line := []rune(strings.Repeat(" ", laneWidth*len(lanes)))
		for i := range lanes {
			line[laneWidth*i+laneWidth/2] = '│'
		}
		if mark != nil {
			mark(line)
		}
		return string(line)
	}
	if len(lanes) > 0 {
		b.WriteString(strings.Repeat(" ", 10))
		for _, name := range lanes {
			if len(name) > laneWidth-2 {
				name = name[:laneWidth-2]
			}
			left := (laneWidth - len(name)) / 2
			b.WriteString(strings.Repeat(" ", left) + name + strings.Repeat(" ", laneWidth-left-len(name)))
		}
		b.WriteString("\n")
	}
	steps := r.Steps
	told := func(before time.Duration) {
		for ; len(steps) > 0 && time.Duration(steps[0].At)*time.Millisecond <= before; steps = steps[1:] {
			text := steps[0].Did
			if len(steps[0].Said) > 0 {
				text = "say " + strings.Join(steps[0].Said, " ")
			}
			if steps[0].Node != "" {
				text = "[" + steps[0].Node + "] " + text
			}
			fmt.Fprintf(&b, "%+9.3f %s  · %s\n", float64(steps[0].At)/1000, row(nil), text)
		}
	}
	for _, m := range t.Rungs() {
		after := m.At.Sub(r.Started)
		told(after)
		arrow := row(func(line []rune) {
			from, to := laneWidth*m.From+laneWidth/2, laneWidth*m.To+laneWidth/2
			head, tail := '►', to-1
			a, z := from+1, to
			if from > to {
				head, tail, a, z = '◄', to+1, to+1, from
			}
			for i := a; i < z; i++ {
				line[i] = '─'
			}
			line[tail] = head
		})
		fmt.Fprintf(&b, "%+9.3f %s  %s\n", after.Seconds(), arrow, m.Text)
	}
	told(1 << 62)
	for _, l := range t.Legs {
		fmt.Fprintf(&b, "\n%s  %s %s %s %s", l.Role, l.Direction, l.Transport, l.Remote, l.Codec)
		if l.EndedBy != "" {
			fmt.Fprintf(&b, "  ended by %s: %s", l.EndedBy, l.Cause)
		}
		if l.Left > 0 {
			fmt.Fprintf(&b, "  (%d messages not remembered)", l.Left)
		}
		if m := l.Media; m != nil {
			fmt.Fprintf(&b, "\n  heard %d packets: %d lost (%.1f %%), %d late, %d double, %d frames concealed, jitter %.1f ms, buffer %d ms, MOS %.1f",
				m.PacketsIn, m.Lost, m.LossPercent, m.Late, m.Duplicate, m.Concealed, m.JitterMS, m.DepthMS, m.MOSIn)
			fmt.Fprintf(&b, "\n  sent %d packets: ", m.PacketsOut)
			if m.FarKnown {
				fmt.Fprintf(&b, "%.1f %% lost there, round trip %.1f ms, MOS %.1f", m.FarLoss, m.RTTMS, m.MOSOut)
			} else {
				b.WriteString("the far end has not reported")
			}
			if n := m.Foreign + m.WrongType + m.Malformed; n > 0 {
				fmt.Fprintf(&b, "\n  refused: %d from elsewhere, %d of another type, %d malformed", m.Foreign, m.WrongType, m.Malformed)
			}
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
