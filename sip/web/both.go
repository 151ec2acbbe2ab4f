package web

import (
	"context"
	"errors"
	"fmt"

	"lianxin/sip"
)

// Dialler is what (*sip.Server).Dial does.
type Dialler func(context.Context, sip.Target, sip.DialOpt) (sip.Call, error)

// errElsewhere ends what rings on when the call has been answered on the user's other telephone.
var errElsewhere = errors.New("answered on the user's other telephone")

// With is a Dialler for users who may have a telephone, a page, or both: both ring, and the first to answer has the call. What has no
// user goes to the telephone's.
func (x *Exchange) With(telephone Dialler, registered func(user string) bool) Dialler {
	return func(ctx context.Context, t sip.Target, o sip.DialOpt) (sip.Call, error) {
		if t.User == "" || !x.Registered(t.User) {
			return telephone(ctx, t, o)
		}
		if !registered(t.User) {
			return x.Dial(ctx, t, o)
		}
		return first(ctx, t, o, x.Dial, telephone)
	}
}

// first rings by several ways at once.
func first(ctx context.Context, t sip.Target, o sip.DialOpt, ways ...Dialler) (sip.Call, error) {
	type result struct {
		call sip.Call
		err  error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	got := make(chan result, len(ways))
	for _, dial := range ways {
		go func() {
			c, err := dial(ctx, t, o)
			got <- result{c, err}
		}()
	}
	var won sip.Call
	var refused error
	for range ways {
		r := <-got
		switch {
		case r.err == nil && won == nil:
			won = r.call
			cancel(errElsewhere)
		case r.err == nil: // answered in the same moment
			go func() { _ = r.call.Hangup(context.WithoutCancel(ctx)) }()
		case refused == nil || weight(r.err) > weight(refused):
			refused = r.err
		}
		if won == nil && errors.Is(r.err, sip.ErrDeclined) { // a no is a no for both
			cancel(fmt.Errorf("%w", r.err))
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, refused
}

// weight says which of two refusals tells more about the person.
func weight(err error) int {
	switch {
	case errors.Is(err, sip.ErrDeclined):
		return 4
	case errors.Is(err, sip.ErrBusy):
		return 3
	case errors.Is(err, sip.ErrNoAnswer):
		return 2
	case errors.Is(err, sip.ErrNotRegistered):
		return 0
	}
	return 1
}
