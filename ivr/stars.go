package ivr

import (
	"context"
	"strings"
	"time"

	"lianxin/sip"
	"lianxin/sip/media"
)

// What an operator keys on the telephone during a call, for those whose phone has no keys for it. docs/telephony.md lists them.
const (
	starTransfer = "*2"   // *2 8002 #  blind transfer
	starConsult  = "*3"   // *3 8002 #  consult
	starComplete = "*4"   // hand over to whom is consulted
	starJoin     = "*5"   // three-way conference with whom is consulted
	starHold     = "*6"   // hold, and again to take back
	starLeave    = "*7"   // leave the conference to the others
	starReturn   = "*0"   // back to the citizen without whom is consulted
	starPolice   = "*110" // call 110 into the conversation
)

// starTime is how long a code may take from one key to the next.
const starTime = 6 * time.Second

// stars reads codes out of single keys.
type stars struct {
	keys string
	at   time.Time
}

// press takes a key; code is not empty when it ends one.
func (s *stars) press(key rune, now time.Time) (code, target string) {
	if now.Sub(s.at) > starTime {
		s.keys = ""
	}
	s.at = now
	if key == '*' {
		s.keys = "*"
		return "", ""
	}
	if s.keys == "" {
		return "", ""
	}
	s.keys += string(key)
	switch {
	case s.keys == starComplete, s.keys == starJoin, s.keys == starHold, s.keys == starLeave, s.keys == starReturn, s.keys == starPolice:
		code = s.keys
	case strings.HasPrefix(s.keys, starTransfer), strings.HasPrefix(s.keys, starConsult):
		if key != '#' {
			if len(s.keys) > 34 {
				s.keys = ""
			}
			return "", ""
		}
		code, target = s.keys[:2], strings.TrimSuffix(s.keys[2:], "#")
	case strings.HasPrefix(starPolice, s.keys):
		return "", ""
	default: // no code
		s.keys = ""
		return "", ""
	}
	s.keys = ""
	return code, target
}

// starActions are what the codes mean; hold is a toggle and stands apart.
var starActions = map[string]Action{starTransfer: DoTransfer, starConsult: DoConsult, starComplete: DoComplete, starJoin: DoJoin,
	starLeave: DoLeave, starReturn: DoReturn, starPolice: DoPolice}

// readStars reads the keys of a party's telephone until it hangs up. Only who is in charge of the call is listened to.
func (r *room) readStars(p *party, call sip.Call) {
	var s stars
	for {
		select {
		case d := <-call.Media().Digits():
			code, to := s.press(d.Key, time.Now())
			if code == "" {
				continue
			}
			r.mu.Lock()
			inCharge, held := r.lead == p && !r.closed, r.held
			r.mu.Unlock()
			if !inCharge {
				continue
			}
			o := Order{Do: starActions[code], To: to}
			if code == starHold {
				o.Do = DoHold
				if held {
					o.Do = DoResume
				}
			}
			who, _ := r.h.staff(r.ctx, p.ext)
			who.Extension = p.ext
			o.Staff = who
			no := r.command(r.ctx, o)
			if no != nil {
				r.v.did("按键操作未执行：" + no.Message)
			} else if err := r.h.logOrder(r.ctx, r.v.rec.ID, o); err != nil {
				r.v.log.Error("ivr: order by keys", "err", err)
			}
			r.running.Go(func() { r.beep(p, no == nil) })
		case <-call.Done():
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// beep tells an operator whether what was keyed was understood: a short high tone, or a longer low one.
func (r *room) beep(p *party, good bool) {
	tone := media.Tone([]float64{350}, 400*time.Millisecond)
	if good {
		tone = media.Tone([]float64{1400}, 120*time.Millisecond)
	}
	r.mu.Lock()
	call := p.call
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	if call != nil {
		_ = call.Media().Play(ctx, tone)
	}
}
