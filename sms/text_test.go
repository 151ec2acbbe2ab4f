package sms_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	"lianxin/sms"
)

func TestMeasureCountsAsTheNetworkBills(t *testing.T) {
	for _, c := range []struct {
		text string
		want sms.Size
	}{
		{"", sms.Size{Encoding: "GSM-7", Units: 0, Segments: 1}},
		{strings.Repeat("a", 160), sms.Size{Encoding: "GSM-7", Units: 160, Segments: 1}},
		{strings.Repeat("a", 161), sms.Size{Encoding: "GSM-7", Units: 161, Segments: 2}},
		{strings.Repeat("a", 306), sms.Size{Encoding: "GSM-7", Units: 306, Segments: 2}},
		{strings.Repeat("€", 80), sms.Size{Encoding: "GSM-7", Units: 160, Segments: 1}},
		{strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), sms.Size{Encoding: "GSM-7", Units: 306, Segments: 3}},
		{strings.Repeat("满", 70), sms.Size{Encoding: "UCS-2", Units: 70, Segments: 1}},
		{strings.Repeat("满", 71), sms.Size{Encoding: "UCS-2", Units: 71, Segments: 2}},
		{strings.Repeat("满", 134), sms.Size{Encoding: "UCS-2", Units: 134, Segments: 2}},
		{strings.Repeat("满", 135), sms.Size{Encoding: "UCS-2", Units: 135, Segments: 3}},
		{strings.Repeat("满", 69) + "😊", sms.Size{Encoding: "UCS-2", Units: 71, Segments: 2}},
		{strings.Repeat("满", 66) + "😊" + "满满满满", sms.Size{Encoding: "UCS-2", Units: 72, Segments: 2}},
		{"【本溪公安】您好,请对昨日110接处警服务评价:1满意 2基本满意 3不满意,直接回复数字。", sms.Size{Encoding: "UCS-2", Units: 46, Segments: 1}},
	} {
		if got := sms.Measure(c.text); got != c.want {
			t.Errorf("Measure(%.20q…) = %+v, want %+v", c.text, got, c.want)
		}
	}
}

func TestSplitKeepsEmojiWhole(t *testing.T) {
	for _, whole := range []string{"😊", "👍🏻", "👨‍👩‍👧", "1️⃣", "🇨🇳", "é"} {
		for pad := 55; pad <= 67; pad++ {
			text := strings.Repeat("满", pad) + whole + strings.Repeat("意", 20)
			n := 0
			for _, p := range sms.Split(text) {
				n += strings.Count(p, whole)
			}
			if n != 1 {
				t.Errorf("%q after %d characters was cut: %q", whole, pad, sms.Split(text))
			}
		}
	}
	// A Chinese text of any length is split at the limit, not at a blank (courier's splitter left 2,000 characters in one).
	if n := len(sms.Split(strings.Repeat("满", 2000))); n != 30 {
		t.Errorf("2000 characters are %d parts, want 30", n)
	}
}

func TestSplitLosesNothingAndFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringN(0, 400, -1),
			rapid.StringOfN(rapid.RuneFrom([]rune("满意1 a€😊👍🏻\u200d\ufe0f🇨🇳é")), 0, 400, -1)).Draw(t, "text")
		if !utf8.ValidString(text) {
			return // a carrier never sees anything else than UTF-8
		}
		parts := sms.Split(text)
		if strings.Join(parts, "") != text {
			t.Fatalf("the parts do not make the text")
		}
		size := sms.Measure(text)
		if size.Segments != len(parts) {
			t.Fatalf("%d segments, %d parts", size.Segments, len(parts))
		}
		for _, p := range parts {
			limit := map[bool]int{true: 70, false: 67}[len(parts) == 1]
			if size.Encoding == "UCS-2" && len(utf16.Encode([]rune(p))) > limit {
				t.Fatalf("a part of %d units", len(utf16.Encode([]rune(p))))
			}
			if !utf8.ValidString(p) {
				t.Fatalf("a part cuts a character")
			}
		}
	})
}

func TestSignatureStandsExactlyOnceInFront(t *testing.T) {
	const want = "【本溪公安】您好"
	for _, body := range []string{"您好", "【本溪公安】您好", "您好【本溪公安】", "【本溪公安】【本溪公安】您好", "【本溪公安】 您好"} {
		if got := sms.Sign("本溪公安", body); got != want {
			t.Errorf("Sign(%q) = %q", body, got)
		}
	}
	for s, ok := range map[string]bool{"本溪公安": true, "警": false, "12345": false, "本溪110": true, "本溪-公安": false, strings.Repeat("警", 17): false} {
		if err := sms.CheckSignature(s); (err == nil) != ok {
			t.Errorf("CheckSignature(%q) = %v", s, err)
		}
	}
}

func TestWindowGivesTheNextAllowedMoment(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04:05", s, shanghai)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for in, want := range map[string]string{
		"2026-11-23 08:59:59": "2026-11-23 09:00:00", "2026-11-23 09:00:00": "2026-11-23 09:00:00", "2026-11-23 19:59:59": "2026-11-23 19:59:59",
		"2026-11-23 20:00:00": "2026-11-24 09:00:00", "2026-12-31 23:00:00": "2027-01-01 09:00:00",
	} {
		if got := sms.DefaultWindow.Next(at(in).UTC()); !got.Equal(at(want)) {
			t.Errorf("Next(%s) = %s, want %s", in, got.In(shanghai), want)
		}
	}
	noon, err := sms.ParseWindow("09:00-11:30, 14:00-20:00")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"2026-11-23 08:00:00": "2026-11-23 09:00:00", "2026-11-23 11:29:59": "2026-11-23 11:29:59", "2026-11-23 11:30:00": "2026-11-23 14:00:00",
		"2026-11-23 13:59:59": "2026-11-23 14:00:00", "2026-11-23 14:00:00": "2026-11-23 14:00:00", "2026-11-23 20:00:00": "2026-11-24 09:00:00",
	} {
		if got := noon.Next(at(in).UTC()); !got.Equal(at(want)) {
			t.Errorf("with a break, Next(%s) = %s, want %s", in, got.In(shanghai), want)
		}
	}
	for s, ok := range map[string]bool{"09:00-20:00": true, "09:00-12:00,12:00-20:00": false, "09:00-12:00,11:00-20:00": false, "09:00-12:00,": false, "09:00-20:00x": false, "00:00-24:00": true, "20:00-09:00": false, "9-20": false, "09:00-25:00": false, "09:70-10:00": false} {
		if _, err := sms.ParseWindow(s); (err == nil) != ok {
			t.Errorf("ParseWindow(%q): %v", s, err)
		}
	}
}
