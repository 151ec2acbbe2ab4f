package ivr

import (
	"context"
	"errors"
	"strings"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/storage"
)

// goal is where a call may be led.
type goal string

const (
	toExtension goal = "extension"
	toNumber    goal = "number" // through a trunk
	toPolice    goal = "110"
	toQueue     goal = "queue"
	toMenu      goal = "menu"
	toMessage   goal = "message"
)

// target is one place to lead a call to.
type target struct {
	goal  goal
	value string // extension or number
}

// label is what pages, records and phones call it; numbers of people are masked.
func (t target) label() string {
	switch t.goal {
	case toPolice:
		return "110"
	case toQueue:
		return "人工队列"
	case toMenu:
		return "自助菜单"
	case toMessage:
		return "留言"
	case toNumber:
		if p, err := contact.ParsePhone(t.value); err == nil {
			return p.Masked()
		}
	}
	return t.value
}

// targetOf reads what an operator keyed, chose or had their phone ask for: an extension, a number, 110, or the parts of the hotline
// by name or by 0 (queue), 00 (menu) and 000 (message).
func (h *Hotline) targetOf(ctx context.Context, text string) (target, *Refusal) {
	text = strings.TrimSpace(text)
	switch strings.ToLower(text) {
	case "":
		return target{}, refuse("target", "请填写要转接的号码或分机")
	case "0", string(toQueue), strings.ToLower(h.cfg.Number):
		return target{goal: toQueue}, nil
	case "00", string(toMenu):
		return target{goal: toMenu}, nil
	case "000", string(toMessage):
		return target{goal: toMessage}, nil
	case "110":
		if h.cfg.Police == "" {
			return target{}, refuse("police", "尚未配置110接警电话")
		}
		return target{goal: toPolice, value: h.cfg.Police}, nil
	}
	if h.isExtension(ctx, text) {
		return target{goal: toExtension, value: text}, nil
	}
	for i, c := range text {
		if (c < '0' || c > '9') && (c != '+' || i > 0) {
			return target{}, refuse("target", "没有分机或号码“%s”", cut(text, 20))
		}
	}
	if len(text) < 3 {
		return target{}, refuse("target", "没有分机“%s”", text)
	}
	return target{goal: toNumber, value: text}, nil
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// isExtension says whether a number is a phone of the house: a seat on the board, or somebody's phone.
func (h *Hotline) isExtension(ctx context.Context, ext string) bool {
	if sn, err := h.cfg.Board.Snapshot(ctx); err == nil {
		for _, o := range sn.Operators {
			if o.Extension == ext {
				return true
			}
		}
	}
	_, ok := h.staff(ctx, ext)
	return ok
}

// staff is who has an extension.
func (h *Hotline) staff(ctx context.Context, ext string) (org.Staff, bool) {
	if h.cfg.Staff != nil {
		return h.cfg.Staff(ctx, ext)
	}
	var s org.Staff
	err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		s, err = org.StaffByExtension(tx, ext)
		return err
	})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		h.log.Error("ivr: whose extension", "extension", ext, "err", err)
	}
	return s, err == nil
}

// mayReach says whether somebody may have a call led there. Numbers outside are a matter of money (pitfall 12): whoever asks needs the
// permission, and the exchange its list of what may be called.
func (h *Hotline) mayReach(who org.Staff, t target) *Refusal {
	if t.goal == toNumber && !who.Can(org.DialOut) {
		return refuse("forbidden", "没有外呼权限")
	}
	return nil
}

// dialled is what the exchange is asked to call.
func (t target) dialled() sip.Target {
	if t.goal == toExtension {
		return sip.Target{User: t.value}
	}
	return sip.Target{Number: t.value}
}
