package ivr_test

import (
	"context"
	"testing"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
)

// cutOff is a board whose store cannot be reached.
type cutOff struct{ desk.Board }

func (cutOff) Duty(context.Context, desk.Caller) (desk.Place, error) {
	return desk.Place{}, desk.ErrDown
}

func TestACallerIsAskedForAMessageWhenTheBoardCannotBeReached(t *testing.T) {
	s := ivrtest.New(t, ivrtest.Options{Change: func(c *ivr.Config) { c.Board = cutOff{c.Board} }})
	ctx, cancel := context.WithTimeout(context.Background(), ivrtest.Patience)
	defer cancel()
	call, err := s.Phone(t, "19900000001").Dial(ctx, "46110110")
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Hears(ctx, s.Prompt(t, "menu.main")); err != nil {
		t.Fatal(err)
	}
	if err := call.Press(ctx, "0"); err != nil {
		t.Fatal(err)
	}
	if err := call.Hears(ctx, s.Prompt(t, "beep")); err != nil {
		t.Fatal(err)
	}
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	s.Quiet(t)
	if r := s.Records(t); len(r) != 1 || r[0].CallbackID == "" {
		t.Errorf("no call-back is owed: %+v", r)
	}
}
