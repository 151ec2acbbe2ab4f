package desk_test

import (
	"testing"

	"lianxin/desk"
	"lianxin/desk/desktest"
)

func TestMemory(t *testing.T) {
	desktest.Run(t, func(_ testing.TB, opt desk.Options) desk.Board { return desk.NewMemory(opt) })
}
