package ticket

import (
	"strings"
	"testing"

	"lianxin/storage"
)

// A rating is kept as it was given, on the scale that was asked on, beside the five levels that figures count.
func TestARatingIsKeptAsGivenBesideWhatItIsFoldedTo(t *testing.T) {
	each(t, func(h *house) {
		for _, c := range []struct {
			in    RatingIn
			stars Stars
			given string
			label string
		}{
			{RatingIn{Stars: 4}, 4, "4", "五级 满意"},
			{RatingIn{Scale: ScaleKey, Given: "2"}, 4, "2", "按键（1最满意） 按2"},
			{RatingIn{Scale: ScaleThree, Given: "3"}, 4, "3", "三级 满意"},
			{RatingIn{Scale: ScaleThree, Given: "2"}, 3, "2", "三级 基本满意"},
			{RatingIn{Scale: ScaleTen, Given: "10"}, 5, "10", "十分制 10分"},
			{RatingIn{Scale: ScaleTen, Given: " 8 ", Stars: 4}, 4, "8", "十分制 8分"},
			{RatingIn{Scale: ScaleWords, Stars: 3, Words: "还行吧，凑合"}, 3, "", "口头表述"},
		} {
			k := h.rating(nil)
			c.in.Via = "callback"
			for _, bad := range []RatingIn{
				{Via: "callback", Scale: ScaleTen, Given: "11"}, {Via: "callback", Scale: ScaleThree, Given: "0"}, {Via: "callback", Scale: ScaleKey, Given: "满意"},
				{Via: "callback", Scale: ScaleThree, Given: "1", Stars: 5}, {Via: "callback", Scale: "seven", Given: "7"}, {Via: "callback", Scale: ScaleWords, Stars: 3},
			} {
				code := "given"
				if bad.Scale == "seven" {
					code = "scale"
				} else if bad.Scale == ScaleWords {
					code = "words"
				}
				h.refused(code, func(tx *storage.Tx) error { _, err := h.Rate(tx, k.ID, bad, h.caller); return err })
			}
			k = h.must(func(tx *storage.Tx) (Ticket, error) { return h.Rate(tx, k.ID, c.in, h.caller) })
			var rs []Rating
			h.view(func(tx *storage.Tx) (err error) { rs, err = h.Ratings(tx, k.ID); return err })
			if k.Stars != c.stars || len(rs) != 1 || rs[0].Stars != c.stars || rs[0].Given != c.given || rs[0].GivenLabel() != c.label {
				h.t.Errorf("%+v: %d stars, %+v (%s)", c.in, k.Stars, rs, rs[0].GivenLabel())
			}
		}
		h.whole() // the rows are what the events say
	})
	if (Rating{Stars: 4}).GivenLabel() != "" {
		t.Error("a rating from before says what was never kept")
	}
}

// W9: a request tells the window and the clerk that it is about, and no name stands where numbers do.
func TestARequestTellsWindowAndClerk(t *testing.T) {
	each(t, func(h *house) {
		k := h.open(func(in *Intake) { in.WindowNo, in.ClerkNo = " 3号 ", "B0317" })
		h.open(func(in *Intake) { in.WindowNo = "4号" })
		if k.WindowNo != "3号" || k.ClerkNo != "B0317" {
			h.t.Fatalf("%q %q", k.WindowNo, k.ClerkNo)
		}
		for _, f := range []Filter{{Window: "3号"}, {Clerk: "B0317"}, {Window: "3号", Clerk: "B0317"}} {
			f.Viewer = System
			h.view(func(tx *storage.Tx) error {
				list, total, err := h.List(tx, f)
				if total != 1 || len(list) != 1 || list[0].ID != k.ID {
					h.t.Errorf("%+v finds %d", f, total)
				}
				return err
			})
		}
		for _, bad := range []Intake{{ClerkNo: "王小明"}, {ClerkNo: "wang"}, {ClerkNo: "03 17"}, {WindowNo: strings.Repeat("窗", maxPlace+1)}, {WindowNo: "3\n4"}} {
			code := "clerk"
			if bad.ClerkNo == "" {
				code = "window"
			}
			h.refused(code, func(tx *storage.Tx) error {
				in := Intake{Channel: "hotline", Title: "t", Body: "b", By: h.operator, WindowNo: bad.WindowNo, ClerkNo: bad.ClerkNo}
				_, err := h.Open(tx, in)
				return err
			})
		}
		k = h.must(func(tx *storage.Tx) (Ticket, error) {
			return h.Amend(tx, k.ID, Amendment{ClerkNo: "B0318"}, h.operator)
		})
		if k.WindowNo != "3号" || k.ClerkNo != "B0318" {
			h.t.Errorf("amended: %q %q", k.WindowNo, k.ClerkNo)
		}
		h.whole()
	})
}
