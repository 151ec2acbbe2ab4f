package console

import (
	"time"

	"lianxin/ivr"
	"lianxin/workday"
)

// CallParts are what belongs to a call beside its record; lists of calls are without them.
type CallParts struct {
	Queues  []StayOut   `json:"queues,omitempty" doc:"the queues that the call went through, in order"`
	Answers []AnswerOut `json:"answers,omitempty" doc:"what was answered by key to the questions of a flow"`
	Clips   []ClipOut   `json:"clips,omitempty" doc:"named parts of the recording: what the caller was asked to say, and the message (\"message\")"`
}

// StayOut is one wait in a queue.
type StayOut struct {
	Queue    string     `json:"queue"`
	Joined   time.Time  `json:"joined"`
	Placed   *time.Time `json:"placed,omitempty" doc:"from which the place counted, where the caller had kept one"`
	Position int        `json:"position" doc:"place in line at the beginning, 1 the next; 0: did not come to stand in line"`
	Left     *time.Time `json:"left,omitempty" doc:"absent while they wait"`
	WaitMS   int64      `json:"wait_ms"`
	Outcome  string     `json:"outcome,omitempty" doc:"connected, nobody, late, full, closed, hungup, interrupted, or the key that led away"`
	Label    string     `json:"label" doc:"outcome, zh-CN"`
	Operator string     `json:"operator,omitempty" doc:"extension of who answered"`
}

// AnswerOut is an answer by key.
type AnswerOut struct {
	Name  string    `json:"name" doc:"as the flow calls the question"`
	Value string    `json:"value"`
	At    time.Time `json:"at"`
}

// ClipOut is a part of the recording.
type ClipOut struct {
	Name   string `json:"name"`
	FromMS int64  `json:"from_ms"`
	MS     int64  `json:"ms"`
}

// messageClip is the name under which a message stands among the clips.
const messageClip = "message"

// clips are the named parts of a call's recording, the message among them.
func clips(c ivr.Record, p ivr.Parts) []ivr.Clip {
	out := p.Clips
	if c.MessageTime > 0 {
		out = append([]ivr.Clip{{Name: messageClip, From: c.MessageFrom, Time: c.MessageTime}}, out...)
	}
	return out
}

// with puts its parts to a call.
func (o CallOut) with(c ivr.Record, p ivr.Parts) CallOut {
	for _, s := range p.Stays {
		x := StayOut{Queue: s.Queue, Joined: s.Joined.In(workday.Zone), Position: s.Position, Left: stampOrNil(s.Left), WaitMS: s.Wait(c.Seen).Milliseconds(), Outcome: s.Outcome,
			Label: s.OutcomeLabel(), Operator: s.Operator}
		if s.Kept() {
			x.Placed = stampOrNil(s.Placed)
		}
		o.Queues = append(o.Queues, x)
	}
	for _, a := range p.Answers {
		o.Answers = append(o.Answers, AnswerOut{a.Name, a.Value, a.At.In(workday.Zone)})
	}
	for _, x := range clips(c, p) {
		o.Clips = append(o.Clips, ClipOut{x.Name, x.From.Milliseconds(), x.Time.Milliseconds()})
	}
	return o
}

func directionOf(c ivr.Record) string {
	if c.Direction == "" {
		return string(ivr.Inbound)
	}
	return string(c.Direction)
}
