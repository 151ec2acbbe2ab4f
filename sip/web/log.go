package web

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// logger is the library's log: what browsers and networks do decides what it says, so nothing of it is above debug, and what is below
// a warning is left out.
type logger struct{ log *slog.Logger }

func (l logger) NewLogger(scope string) logging.LeveledLogger {
	return logger{l.log.With("scope", scope)}
}

func (l logger) say(text string) {
	l.log.LogAttrs(context.Background(), slog.LevelDebug, "webrtc library: "+text)
}

func (logger) Trace(string)                {}
func (logger) Tracef(string, ...any)       {}
func (logger) Debug(string)                {}
func (logger) Debugf(string, ...any)       {}
func (logger) Info(string)                 {}
func (logger) Infof(string, ...any)        {}
func (l logger) Warn(s string)             { l.say(s) }
func (l logger) Warnf(s string, a ...any)  { l.say(fmt.Sprintf(s, a...)) }
func (l logger) Error(s string)            { l.say(s) }
func (l logger) Errorf(s string, a ...any) { l.say(fmt.Sprintf(s, a...)) }
