package cmpp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lianxin/sms/cmpp"
)

// field is text in a field of n bytes, written out by hand.
func field(s string, n int) string { return s + strings.Repeat("\x00", n-len(s)) }

// frame is a message by hand: header and body.
func frame(cmd, body string) string {
	n := 12 + len(body)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + cmd + "\x00\x00\x00\x07" + body
}

// The layouts of the specification, byte by byte, apart from the codec. Wireshark knows 3.0 only; this is the check of 2.0.
func TestLayoutsAreThoseOfTheSpecification(t *testing.T) {
	auth := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	submit := &cmpp.Submit{PkTotal: 2, PkNumber: 1, RegisteredDelivery: 1, MsgLevel: 3, ServiceID: "BXGA", FeeUserType: 2, FeeTerminalID: "139",
		TPUDHI: 1, MsgFmt: 8, MsgSrc: "901234", FeeType: "01", FeeCode: "0", ValidTime: "261124100000032+", SrcID: "1069012110",
		Dest: []string{"13804140001"}, Content: []byte("\x6e\xe1\x61\x0f"), LinkID: "L"}
	deliver := &cmpp.Deliver{MsgID: 0x0102030405060708, DestID: "106901211001", ServiceID: "BXGA", TPPID: 1, TPUDHI: 1, MsgFmt: 15,
		SrcTerminalID: "13804140001", RegisteredDelivery: 0, Content: []byte("\xc2\xfa"), LinkID: "L"}
	for name, c := range map[string]struct {
		v    cmpp.Version
		pdu  cmpp.PDU
		want string
	}{
		"connect": {cmpp.V20, &cmpp.Connect{SourceAddr: "901234", Authenticator: auth, Version: cmpp.V20, Timestamp: 0x01020304},
			frame("\x00\x00\x00\x01", "901234"+string(auth[:])+"\x20"+"\x01\x02\x03\x04")},
		"connect_resp 2.0": {cmpp.V20, &cmpp.ConnectResp{Status: 3, Authenticator: auth, Version: cmpp.V20},
			frame("\x80\x00\x00\x01", "\x03"+string(auth[:])+"\x20")},
		"connect_resp 3.0": {cmpp.V30, &cmpp.ConnectResp{Status: 3, Authenticator: auth, Version: cmpp.V30},
			frame("\x80\x00\x00\x01", "\x00\x00\x00\x03"+string(auth[:])+"\x30")},
		"submit 2.0": {cmpp.V20, submit, frame("\x00\x00\x00\x04", strings.Repeat("\x00", 8)+"\x02\x01\x01\x03"+field("BXGA", 10)+"\x02"+field("139", 21)+
			"\x00\x01\x08"+"901234"+"01"+field("0", 6)+field("261124100000032+", 17)+field("", 17)+field("1069012110", 21)+"\x01"+field("13804140001", 21)+
			"\x04\x6e\xe1\x61\x0f"+field("L", 8))},
		"submit 3.0": {cmpp.V30, submit, frame("\x00\x00\x00\x04", strings.Repeat("\x00", 8)+"\x02\x01\x01\x03"+field("BXGA", 10)+"\x02"+field("139", 32)+"\x00"+
			"\x00\x01\x08"+"901234"+"01"+field("0", 6)+field("261124100000032+", 17)+field("", 17)+field("1069012110", 21)+"\x01"+field("13804140001", 32)+"\x00"+
			"\x04\x6e\xe1\x61\x0f"+field("L", 20))},
		"submit_resp 2.0": {cmpp.V20, &cmpp.SubmitResp{MsgID: 0x0102030405060708, Result: 8}, frame("\x80\x00\x00\x04", "\x01\x02\x03\x04\x05\x06\x07\x08\x08")},
		"submit_resp 3.0": {cmpp.V30, &cmpp.SubmitResp{MsgID: 0x0102030405060708, Result: 8}, frame("\x80\x00\x00\x04", "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x08")},
		"deliver 2.0": {cmpp.V20, deliver, frame("\x00\x00\x00\x05", "\x01\x02\x03\x04\x05\x06\x07\x08"+field("106901211001", 21)+field("BXGA", 10)+"\x01\x01\x0f"+
			field("13804140001", 21)+"\x00"+"\x02\xc2\xfa"+field("L", 8))},
		"deliver 3.0": {cmpp.V30, deliver, frame("\x00\x00\x00\x05", "\x01\x02\x03\x04\x05\x06\x07\x08"+field("106901211001", 21)+field("BXGA", 10)+"\x01\x01\x0f"+
			field("13804140001", 32)+"\x00"+"\x00"+"\x02\xc2\xfa"+field("L", 20))},
		"deliver_resp 2.0": {cmpp.V20, &cmpp.DeliverResp{MsgID: 1}, frame("\x80\x00\x00\x05", "\x00\x00\x00\x00\x00\x00\x00\x01\x00")},
		"deliver_resp 3.0": {cmpp.V30, &cmpp.DeliverResp{MsgID: 1}, frame("\x80\x00\x00\x05", "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00")},
		"active_test":      {cmpp.V30, &cmpp.ActiveTest{}, frame("\x00\x00\x00\x08", "")},
		"active_test_resp": {cmpp.V30, &cmpp.ActiveTestResp{}, frame("\x80\x00\x00\x08", "\x00")},
		"terminate":        {cmpp.V30, &cmpp.Terminate{}, frame("\x00\x00\x00\x02", "")},
		"terminate_resp":   {cmpp.V30, &cmpp.TerminateResp{}, frame("\x80\x00\x00\x02", "")},
	} {
		got, err := cmpp.Append(nil, c.v, 7, c.pdu)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s, want\n%s", name, err, hex.EncodeToString(got), hex.EncodeToString([]byte(c.want)))
		}
		f, err := cmpp.Read(strings.NewReader(c.want), c.v)
		if err != nil || f.Err != nil || f.Seq != 7 || f.Cmd != c.pdu.Command() {
			t.Errorf("%s: %v %v", name, err, f)
			continue
		}
		if diff := cmp.Diff(c.pdu, f.PDU); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// The sums of the specification: 117 + 21·d + 1 + n + 8, and 129 + 32·d + 2 + n + 20.
	for v, want := range map[cmpp.Version]int{cmpp.V20: 117 + 21 + 1 + 4 + 8, cmpp.V30: 129 + 32 + 2 + 4 + 20} {
		if b, _ := cmpp.Append(nil, v, 7, submit); len(b)-12 != want {
			t.Errorf("SUBMIT of %x has %d bytes, want %d", v, len(b)-12, want)
		}
	}
}

func TestStatusReportsHave60Or71Bytes(t *testing.T) {
	want := cmpp.Report{MsgID: 0x0102030405060708, Stat: "DELIVRD", SubmitTime: "2611230800", DoneTime: "2611230801", DestTerminalID: "13804140001", SMSCSequence: 9}
	for n, bytes := range map[int]string{
		60: "\x01\x02\x03\x04\x05\x06\x07\x08DELIVRD26112308002611230801" + field("13804140001", 21) + "\x00\x00\x00\x09",
		71: "\x01\x02\x03\x04\x05\x06\x07\x08DELIVRD26112308002611230801" + field("13804140001", 32) + "\x00\x00\x00\x09",
	} {
		if len(bytes) != n {
			t.Fatalf("%d bytes by hand, want %d", len(bytes), n)
		}
		got, err := cmpp.ParseReport([]byte(bytes))
		if err != nil || got != want {
			t.Errorf("%d bytes: %+v, %v", n, got, err)
		}
		v := map[int]cmpp.Version{60: cmpp.V20, 71: cmpp.V30}[n]
		if b, err := cmpp.AppendReport(nil, v, want); err != nil || string(b) != bytes {
			t.Errorf("%d bytes: %x, %v", n, b, err)
		}
	}
	for _, n := range []int{0, 59, 61, 70, 72, 140} {
		if _, err := cmpp.ParseReport(make([]byte, n)); err == nil {
			t.Errorf("a report of %d bytes was read", n)
		}
	}
}

func TestLoginIsProvedWithMD5(t *testing.T) {
	// printf '901234\0\0\0\0\0\0\0\0\0secret0109080706' | md5sum
	a := cmpp.Authenticator("901234", "secret", 109080706)
	if got := hex.EncodeToString(a[:]); got != wantAuthenticator {
		t.Errorf("Authenticator %s", got)
	}
	g := cmpp.GatewayAuthenticator(cmpp.V20, 0, a, "secret")
	if got := hex.EncodeToString(g[:]); got != wantGateway20 {
		t.Errorf("GatewayAuthenticator 2.0 %s", got)
	}
	g = cmpp.GatewayAuthenticator(cmpp.V30, 0, a, "secret")
	if got := hex.EncodeToString(g[:]); got != wantGateway30 {
		t.Errorf("GatewayAuthenticator 3.0 %s", got)
	}
}

func genText(max int) *rapid.Generator[string] {
	return rapid.StringOfN(rapid.RuneFrom([]rune("ABCxyz0189:+")), 0, max, max)
}

func genPDU(v cmpp.Version) *rapid.Generator[cmpp.PDU] {
	number, last, result := 21, 8, uint32(255)
	if v >= cmpp.V30 {
		number, last, result = 32, 20, 1<<32-1
	}
	return rapid.Custom(func(t *rapid.T) cmpp.PDU {
		u8 := func(name string) uint8 { return rapid.Uint8().Draw(t, name) }
		text := func(name string, n int) string { return genText(n).Draw(t, name) }
		of30 := func(name string) uint8 {
			if v >= cmpp.V30 {
				return u8(name)
			}
			return 0
		}
		var auth [16]byte
		copy(auth[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "auth"))
		id := rapid.Uint64().Draw(t, "id")
		content := append([]byte(nil), rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "content")...)
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return &cmpp.Connect{SourceAddr: text("addr", 6), Authenticator: auth, Version: cmpp.Version(u8("version")), Timestamp: rapid.Uint32().Draw(t, "time")}
		case 1:
			return &cmpp.ConnectResp{Status: rapid.Uint32Range(0, result).Draw(t, "status"), Authenticator: auth, Version: cmpp.Version(u8("version"))}
		case 2:
			return &cmpp.Submit{MsgID: id, PkTotal: u8("total"), PkNumber: u8("part"), RegisteredDelivery: u8("rd"), MsgLevel: u8("level"),
				ServiceID: text("service", 10), FeeUserType: u8("fee user"), FeeTerminalID: text("fee terminal", number), FeeTerminalType: of30("fee type"),
				TPPID: u8("pid"), TPUDHI: u8("udhi"), MsgFmt: u8("fmt"), MsgSrc: text("src", 6), FeeType: text("feetype", 2), FeeCode: text("feecode", 6),
				ValidTime: text("valid", 17), AtTime: text("at", 17), SrcID: text("srcid", 21),
				Dest: rapid.SliceOfN(genText(number), 1, 99).Draw(t, "dest"), DestType: of30("dest type"), Content: content, LinkID: text("link", last)}
		case 3:
			return &cmpp.SubmitResp{MsgID: id, Result: rapid.Uint32Range(0, result).Draw(t, "result")}
		case 4:
			return &cmpp.Deliver{MsgID: id, DestID: text("dest", 21), ServiceID: text("service", 10), TPPID: u8("pid"), TPUDHI: u8("udhi"), MsgFmt: u8("fmt"),
				SrcTerminalID: text("src", number), SrcTerminalType: of30("src type"), RegisteredDelivery: u8("rd"), Content: content, LinkID: text("link", last)}
		case 5:
			return &cmpp.DeliverResp{MsgID: id, Result: rapid.Uint32Range(0, result).Draw(t, "result")}
		case 6:
			return &cmpp.ActiveTest{}
		case 7:
			return &cmpp.ActiveTestResp{}
		case 8:
			return &cmpp.Terminate{}
		}
		return &cmpp.TerminateResp{}
	})
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]cmpp.Version{cmpp.V20, cmpp.V30}).Draw(t, "version")
		want := rapid.SliceOfN(genPDU(v), 1, 4).Draw(t, "pdus")
		var stream []byte
		var err error
		for i, p := range want {
			if stream, err = cmpp.Append(stream, v, uint32(i), p); err != nil {
				t.Fatal(err)
			}
		}
		r := bytes.NewReader(stream)
		for i, p := range want {
			f, err := cmpp.Read(r, v)
			if err != nil || f.Err != nil || f.Seq != uint32(i) {
				t.Fatalf("%d: %v %v", i, err, f)
			}
			if diff := cmp.Diff(p, f.PDU, cmp.Transformer("nil", func(b []byte) string { return string(b) })); diff != "" {
				t.Fatal(diff)
			}
		}
		if _, err := cmpp.Read(r, v); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last: %v", err)
		}
	})
}

func TestWhatDoesNotFitIsNotWritten(t *testing.T) {
	for name, p := range map[string]cmpp.PDU{
		"id":      &cmpp.Connect{SourceAddr: "9012345"},
		"number":  &cmpp.Submit{Dest: []string{strings.Repeat("1", 33)}},
		"content": &cmpp.Submit{Content: make([]byte, 256)},
		"many":    &cmpp.Submit{Dest: make([]string, 100)},
	} {
		if b, err := cmpp.Append([]byte("x"), cmpp.V30, 1, p); err == nil || string(b) != "x" {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func FuzzAnyBytesFromAGateway(f *testing.F) {
	for _, v := range []cmpp.Version{cmpp.V20, cmpp.V30} {
		for _, p := range []cmpp.PDU{&cmpp.ConnectResp{}, &cmpp.SubmitResp{}, &cmpp.Deliver{Content: make([]byte, 60)}, &cmpp.Submit{Dest: []string{"1"}}, &cmpp.ActiveTestResp{}} {
			b, _ := cmpp.Append(nil, v, 1, p)
			f.Add(uint8(v), b)
		}
	}
	f.Fuzz(func(t *testing.T, version uint8, b []byte) {
		v := cmpp.Version(version)
		r := bytes.NewReader(b)
		for {
			fr, err := cmpp.Read(r, v)
			if err != nil {
				return
			}
			if (fr.PDU == nil) == (fr.Err == nil) {
				t.Fatalf("neither or both: %+v", fr)
			}
			d, ok := fr.PDU.(*cmpp.Deliver)
			if fr.Err != nil || !ok {
				continue
			}
			if _, err := cmpp.Append(nil, v, fr.Seq, d); err != nil {
				t.Errorf("read but not written: %v", err)
			}
			_, _ = cmpp.ParseReport(d.Content)
			_, rest, _ := cmpp.SplitUDH(d.Content)
			_ = cmpp.Decode(d.MsgFmt, rest)
		}
	})
}

func FuzzContent(f *testing.F) {
	f.Add(uint8(8), []byte("\x05\x00\x03\x4a\x02\x01\x6e\xe1\xd8\x3d"))
	f.Add(uint8(15), []byte("\xc2\xfa\xd2"))
	f.Add(uint8(0), []byte("\x06\x08\x04\x00\x4a\x02\x02\x31"))
	f.Fuzz(func(t *testing.T, format uint8, b []byte) {
		c, rest, ok := cmpp.SplitUDH(b)
		if len(rest) > len(b) || (ok && (c.Part < 1 || c.Part > c.Total)) {
			t.Fatalf("%+v, %d of %d bytes", c, len(rest), len(b))
		}
		s := cmpp.Decode(format, rest)
		if strings.ToValidUTF8(s, "") != s {
			t.Fatalf("not text: %q", s)
		}
		if len(rest) > 0 && s == "" {
			t.Fatalf("%d bytes became nothing", len(rest))
		}
	})
}

func TestSegmentsHoldTheWholeTextAndFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]string{"满意1 a€{😊👍🏻\u200d🇨🇳é", "abc 123.,\n", "aé€{", "😊"}).Draw(t, "letters")
		n := rapid.IntRange(1, 400).Draw(t, "length")
		text := rapid.StringOfN(rapid.RuneFrom([]rune(letters)), n, n, -1).Draw(t, "text")
		segs := cmpp.Segments(text, 0x4a)
		if len(segs) > 255 {
			t.Fatalf("%d segments", len(segs))
		}
		var out strings.Builder
		for i, s := range segs {
			content := s.Content
			limit := 140
			if s.Format == cmpp.FmtASCII {
				limit = 159
			}
			if len(content) > limit || s.UDHI != (len(segs) > 1) {
				t.Fatalf("segment %d: %d bytes, header %v", i+1, len(content), s.UDHI)
			}
			if s.UDHI {
				c, rest, ok := cmpp.SplitUDH(content)
				if !ok || int(c.Part) != i+1 || int(c.Total) != len(segs) || c.Ref != 0x4a {
					t.Fatalf("segment %d: %+v", i+1, c)
				}
				content = rest
			}
			part := cmpp.Decode(s.Format, content)
			if strings.ContainsRune(part, 0xfffd) {
				t.Fatalf("segment %d cuts a character: %q", i+1, part)
			}
			out.WriteString(part)
		}
		if out.String() != text {
			t.Fatalf("%q became %q", text, out.String())
		}
	})
}

func TestContentIsReadInItsAlphabet(t *testing.T) {
	ucs2 := func(s string) (b []byte) {
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u>>8), byte(u))
		}
		return b
	}
	for name, c := range map[string]struct {
		format uint8
		bytes  []byte
		want   string
	}{
		"ASCII":             {0, []byte("1"), "1"},
		"UCS-2":             {8, ucs2("不满意😊"), "不满意😊"},
		"UCS-2, odd":        {8, append(ucs2("满"), 0x61), "满\uFFFD"},
		"GB":                {15, []byte("\xc2\xfa\xd2\xe2"), "满意"},
		"GB 18030, 4 bytes": {15, []byte("\x95\x32\x82\x36"), "\U00020000"},
		"GB said ASCII":     {0, []byte("\xc2\xfa\xd2\xe2"), "满意"},
		"UTF-8 said binary": {4, []byte("满意"), "满意"},
		"unheard of":        {246, []byte("5"), "5"},
	} {
		if got := cmpp.Decode(c.format, c.bytes); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Made with md5sum.
const (
	wantAuthenticator = "4d71b9e86ceb74688df0572def4c7b12"
	wantGateway20     = "1d83d36678572d8c8ed41641a4f6ce11"
	wantGateway30     = "ac16f656723727db28b4442a66ab6540"
)
