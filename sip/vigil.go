package sip

import (
	"context"
	"errors"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// On hold no sound comes, so the time-out for it rests, and where the far end knows no session timers nobody would notice that it has
// vanished: the call would stand there until the longest that any may last. So a far end that has been quiet for a while, in sound,
// RTCP and signalling, is asked whether it is there: OPTIONS inside the dialog (RFC 3261 11), which changes nothing and which
// everybody answers in some way.

const causeVanished = "vanished"

// vigil asks those who have been quiet for long, until ctx ends.
func (s *Server) vigil(ctx context.Context) {
	tick := time.NewTicker(max(s.cfg.quiet/6, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, l := range s.legs() {
			if l.quietFor() < s.cfg.quiet || !l.asked.CompareAndSwap(false, true) {
				continue
			}
			s.spawn(func() {
				defer l.asked.Store(false)
				s.safely("vigil", func() { l.knock(ctx) })
			})
		}
	}
}

// quietFor is the time since the last sign of the far end of a call that is up.
func (l *leg) quietFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != up || l.asking {
		return 0
	}
	return min(time.Since(l.s.began)-time.Duration(l.signAt.Load()), l.media.QuietFor())
}

// knock asks the far end whether it is there. Any answer will do but that it knows of no such call; silence for as long as a
// transaction lasts means that nobody is left to answer.
func (l *leg) knock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 64*l.s.t1)
	defer cancel()
	stop := context.AfterFunc(l.ctx, cancel)
	defer stop()
	l.mu.Lock()
	if l.state != up {
		l.mu.Unlock()
		return
	}
	req := l.next(l.s, gosip.OPTIONS, 0)
	req.AppendHeader(l.contactHeader())
	req.AppendHeader(header("Accept", accepts))
	l.mu.Unlock()
	res, err := l.ask(ctx, req)
	switch {
	case l.ctx.Err() != nil: // it has ended meanwhile
	case err == nil && res.StatusCode != 481 && res.StatusCode != 408:
	case errors.Is(err, context.Canceled): // we are closing
	default:
		l.s.log.Info("sip: the far end of a quiet call has vanished", "call", l.id, "err", err)
		go func() {
			l.s.safely("vanished", func() { _ = l.finish(context.Background(), ByTimeout, causeVanished, 0) })
		}()
	}
}
