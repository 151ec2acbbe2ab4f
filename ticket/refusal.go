package ticket

import (
	"errors"
	"fmt"
)

// Refusal is a command that the rules do not allow. Nothing was changed.
type Refusal struct {
	Code    string // stable, for programs and tests: "state", "handler_is_reviewer", "return_limit" …
	Message string // the reason for staff, in Chinese
}

func (r *Refusal) Error() string { return "refused (" + r.Code + "): " + r.Message }

// RefusedWith reports whether err is, or wraps, a Refusal, and returns it.
func RefusedWith(err error) (*Refusal, bool) {
	var r *Refusal
	ok := errors.As(err, &r)
	return r, ok
}

func refuse(code, format string, args ...any) error {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
