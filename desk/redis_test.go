package desk_test

import (
	"context"
	"fmt"
	"testing"

	"lianxin/desk"
	"lianxin/desk/desktest"
)

func TestRedis(t *testing.T) {
	client := desktest.StartRedis(t).Client()
	n := 0
	desktest.Run(t, func(t testing.TB, opt desk.Options) desk.Board {
		n++
		b, err := desk.NewRedis(context.Background(), client, opt, desk.Node{Queue: fmt.Sprint("q", n)})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
