// Package survey asks yesterday's users of the bureau's services for a rating by text, reads what they answer, and sees to
// what follows from it.
//
// A day is Import (service records come in) → Run (one decision per record, one text per person) → the outbox → Reply
// (who → what does it say → does it count → what follows), and Figures of it all. Ratings are digits as the text has them:
// 1 非常满意 … 5 非常不满意.
package survey

import (
	"log/slog"
	"strings"
	"time"

	"golang.org/x/text/width"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey/reply"
	"lianxin/ticket"
)

// Survey is the survey of one bureau. All fields but Config, Read, Lexicon, Now and Log are needed.
type Survey struct {
	DB     *storage.DB
	Book   *contact.Book
	Office *ticket.Office
	Outbox *sms.Outbox
	Inbox  *sms.Inbox
	Config *Config // nil is Standard

	Read    func(text string, scale reply.Scale) reply.Verdict // nil is the standard lexicon's ReadOn
	Lexicon string                                             // version of what Read goes by; empty is the standard lexicon's

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil is slog.Default
}

func (s *Survey) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Survey) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

func (s *Survey) config() *Config {
	if s.Config != nil {
		return s.Config
	}
	return Standard()
}

// fold makes spellings of a word equal: width, case and blanks do not count.
func fold(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(width.Fold.String(s)), ""))
}

// person is what a record says of somebody; it is sealed as a whole.
type person struct {
	Name   string `json:"name,omitempty"`
	Phone  string `json:"phone,omitempty"` // digits when it can be texted, else as it stood in the file
	Born   string `json:"born,omitempty"`
	Remark string `json:"remark,omitempty"`
}
