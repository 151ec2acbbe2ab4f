package ivr

import (
	"errors"
	"fmt"

	"lianxin/desk"
	"lianxin/sip"
)

// Refusal is an order for a call that cannot be carried out, with a reason for people (zh-CN).
type Refusal struct {
	Code    string // target, forbidden, state, gone, busy, unreachable, noanswer, declined, notallowed, limit, police
	Message string
}

func (r *Refusal) Error() string { return "ivr: refused: " + r.Code }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// whyNot puts a call that did not come about into words.
func whyNot(err error) *Refusal {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, sip.ErrBusy), errors.Is(err, errTaken):
		return refuse("busy", "占线")
	case errors.Is(err, sip.ErrDeclined):
		return refuse("declined", "拒接")
	case errors.Is(err, sip.ErrNotAllowed), errors.Is(err, sip.ErrForbidden):
		return refuse("notallowed", "该号码不在允许呼叫的范围内")
	case errors.Is(err, sip.ErrLimit):
		return refuse("limit", "外呼次数已达上限")
	case errors.Is(err, sip.ErrNotFound):
		return refuse("notfound", "空号或号码不存在")
	case errors.Is(err, sip.ErrNoTrunk):
		return refuse("unreachable", "没有可用的外线")
	case errors.Is(err, sip.ErrNotRegistered):
		return refuse("unreachable", "话机不在线")
	case errors.Is(err, sip.ErrNoAnswer):
		return refuse("noanswer", "无人接听")
	}
	return refuse("unreachable", "无法接通")
}

// outcomeFor is what the board is told of a phone that did not answer.
func outcomeFor(r *Refusal) desk.Outcome {
	switch r.Code {
	case "busy":
		return desk.Busy
	case "declined":
		return desk.Declined
	case "noanswer":
		return desk.NoAnswer
	}
	return desk.Unreachable
}

// statusFor is what a phone that asked for a transfer is told of it (RFC 3515).
func statusFor(r *Refusal) int {
	switch r.Code {
	case "busy":
		return 486
	case "declined":
		return 603
	case "noanswer":
		return 480
	case "notfound", "target":
		return 404
	case "forbidden", "notallowed":
		return 403
	}
	return 503
}
