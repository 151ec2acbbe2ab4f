package sms

import (
	"context"
	"errors"
	"time"

	"lianxin/storage"
)

// done is an outcome that is to be noted.
type done struct {
	claimed
	outcome
	err error // nothing is to be noted: the lease will run out
}

// pump keeps one carrier busy until nothing is due for it any more, or until it has to be left alone.
//
// It goes round in turns of one transaction each: a turn notes the outcomes that have come in since the last one and
// claims as many texts as there are free workers. So one fsync serves many texts when there is much to do; a claim is
// always committed before its text is sent; and no more texts are claimed than are handed over at once, which is how
// many can be left in doubt by a crash.
func (o *Outbox) pump(ctx context.Context, l *line, t *Tally) error {
	results := make(chan done, o.Limits.Workers)
	jobs := make(chan claimed, o.Limits.Workers)
	defer close(jobs)
	var ready []done
	var errs error
	open := asking{}
	for flying, workers, dry := 0, 0, false; ; {
		room, wait := 0, time.Duration(0)
		if !dry && errs == nil && ctx.Err() == nil {
			if room = l.room(o.now(), o.Limits.Workers-flying, flying); room > 0 {
				room, wait = o.tokens(l, room)
			}
		}
		if room > 0 || len(ready) > 0 {
			msgs, err := o.turn(ctx, l, &open, ready, room)
			for _, d := range ready {
				t.count(d.outcome)
			}
			errs = errors.Join(errs, err)
			dry = len(msgs) < room
			ready = nil
			for _, m := range msgs {
				if flying++; flying > workers {
					workers++
					go o.work(ctx, l, jobs, results)
				}
				jobs <- m
			}
			if !dry && room > 0 {
				wait = time.Millisecond // for the first results; then there is room again
			}
		}
		if flying == 0 && len(ready) == 0 && wait == 0 {
			return errs
		}
		if wait == 0 {
			wait = o.Limits.Idle // a new text may be more urgent than the slow ones under way
		}
		timer := time.NewTimer(wait)
		select {
		case d := <-results:
			ready = append(ready, d)
		case <-timer.C:
		case <-orDone(ctx, flying):
		}
		timer.Stop()
		for more := true; more; {
			select {
			case d := <-results:
				ready = append(ready, d)
			default:
				more = false
			}
		}
		flying -= len(ready)
		dry = dry && len(ready) == 0 && wait < o.Limits.Idle
		ready, errs = noted(ready, errs)
	}
}

// work gives texts to the carrier, or asks about them, one after another, until there are no more. A worker stays for the
// next text: a new one for each would have to grow its stack again each time.
func (o *Outbox) work(ctx context.Context, l *line, jobs <-chan claimed, results chan<- done) {
	for m := range jobs {
		d := done{claimed: m}
		if m.State == Sending {
			d.outcome, d.err = o.sendOne(ctx, l, m)
		} else {
			d.outcome, d.err = o.askOne(ctx, l, m)
		}
		results <- d
	}
}

// orDone ends a wait with the context only when nothing is under way: what is under way is waited for.
func orDone(ctx context.Context, flying int) <-chan struct{} {
	if flying > 0 {
		return nil
	}
	return ctx.Done()
}

// noted leaves out what is not to be noted.
func noted(all []done, errs error) ([]done, error) {
	var ready []done
	for _, d := range all {
		if d.err != nil {
			errs = errors.Join(errs, d.err)
		} else {
			ready = append(ready, d)
		}
	}
	return ready, errs
}

// asking spares most turns of a busy pump the look for texts to be asked about: none are looked for in the seven turns
// after one that has found none, while there is enough to be sent.
type asking struct{ skip int }

// after notes what a turn has claimed.
func (a *asking) after(msgs []claimed, room int) {
	if room == 0 {
		return
	}
	if a.skip > 0 {
		a.skip--
		return
	}
	for _, m := range msgs {
		if m.State != Sending {
			return
		}
	}
	a.skip = 7
}

// turn notes outcomes and claims texts: first those to be asked about, which get at most half of the room, then those to
// be sent.
func (o *Outbox) turn(ctx context.Context, l *line, open *asking, ready []done, room int) ([]claimed, error) {
	var msgs []claimed
	skipped := open.skip > 0
	name, free := l.carrier.Name(), o.takesFree(l)
	err := o.stores.Do(ctx, func(tx *storage.Tx) (err error) {
		msgs = nil
		if err := o.recordAll(tx, ready); err != nil || room == 0 {
			return err
		}
		if !skipped {
			if msgs, err = o.claim(tx, claimOpen, name, free, (room+1)/2); err != nil || len(msgs) == room {
				return err
			}
		}
		asked := len(msgs)
		send, err := o.claim(tx, claimQueued, name, free, room-asked)
		if msgs = append(msgs, send...); err != nil || !skipped || len(msgs) == room {
			return err
		}
		ask, err := o.claim(tx, claimOpen, name, free, room-len(msgs))
		msgs = append(msgs, ask...)
		return err
	})
	if err == nil {
		open.after(msgs, room)
		for i := range msgs {
			if msgs[i].State == Sending {
				msgs[i].wait = o.charge(l, msgs[i].Segments)
			}
		}
		return msgs, nil
	}
	if len(ready) == 0 {
		return nil, err
	}
	// One outcome that cannot be noted must not take the others with it.
	var errs error
	for _, d := range ready {
		errs = errors.Join(errs, o.stores.Do(ctx, func(tx *storage.Tx) error { return o.record(tx, d.claimed, d.outcome) }))
	}
	return nil, errs
}
