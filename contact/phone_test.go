package contact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"lianxin/contact"
)

func TestMobileNumbersAreReadAsPeopleWriteThem(t *testing.T) {
	for _, s := range []string{
		"13812345678", " 138 1234 5678 ", "138-1234-5678", "+8613812345678", "+86 138 1234 5678", "008613812345678",
		"8613812345678", "86-138-1234-5678", "１３８１２３４５６７８", "＋８６１３８１２３４５６７８", "138\u20111234\u20115678",
		"138\u00a01234\u30005678", "(+86)13812345678", "（+86）138 1234 5678", "tel:+8613812345678", "'13812345678",
		"13812345678.0", "\u200e13812345678\u202c", "138.1234.5678", "013812345678", "\ufeff13812345678\t", "13812345678\r\n",
	} {
		p, err := contact.ParseMobile(s)
		if err != nil || p.Clear() != "13812345678" {
			t.Errorf("ParseMobile(%q) = %q, %v", s, p.Clear(), err)
		}
	}
	// The rule is our own: 1[3-9] and nine digits, whatever the carrier or the age of the range.
	for _, s := range []string{"14912345678", "16612345678", "17012345678", "19900001234", "19212345678"} {
		if _, err := contact.ParseMobile(s); err != nil {
			t.Errorf("ParseMobile(%q): %v", s, err)
		}
	}
}

func TestEveryRefusalHasItsCode(t *testing.T) {
	for _, c := range []struct {
		s    string
		want *contact.NumberError
	}{
		{"", contact.ErrNoNumber}, {"  \u3000", contact.ErrNoNumber}, {"---", contact.ErrNoNumber}, {"+", contact.ErrNoNumber},
		{"anonymous", contact.ErrWithheld}, {"Unknown", contact.ErrWithheld},
		{"无", contact.ErrBadCharacter}, {"1381234567a", contact.ErrBadCharacter}, {"138+12345678", contact.ErrBadCharacter}, {"1381234567＊", contact.ErrBadCharacter},
		{"13812345678/13912345678", contact.ErrSeveral}, {"13812345678、02442841234", contact.ErrSeveral},
		{"13812345678，13912345678", contact.ErrSeveral}, {"13812345678\n13912345678", contact.ErrSeveral},
		{"024-42841234转8001", contact.ErrExtension}, {"02442841234#8001", contact.ErrExtension},
		{"1.38123E+10", contact.ErrMangled}, {"1.38E10", contact.ErrMangled},
		{"1381234567", contact.ErrWrongLength}, {"138123456789", contact.ErrWrongLength}, {"12", contact.ErrWrongLength},
		{"+8613812345", contact.ErrWrongLength}, {"0000", contact.ErrWrongLength}, {"00", contact.ErrWrongLength},
		{strings.Repeat("1", 40), contact.ErrWrongLength},
		{"12812345678", contact.ErrNotMobile}, {"10012345678", contact.ErrNotMobile},
		{"024-42841234", contact.ErrFixedLine}, {"(024)42841234", contact.ErrFixedLine}, {"0414-2841234", contact.ErrFixedLine},
		{"+862442841234", contact.ErrFixedLine}, {"01062041234", contact.ErrFixedLine}, {"42841234", contact.ErrFixedLine}, {"46110110", contact.ErrFixedLine},
		{"110", contact.ErrShortNumber}, {"12345", contact.ErrShortNumber}, {"10086", contact.ErrShortNumber}, {"12389", contact.ErrShortNumber}, {"8001", contact.ErrShortNumber},
		{"4008001234", contact.ErrServiceNumber}, {"400-800-1234", contact.ErrServiceNumber}, {"8008101234", contact.ErrServiceNumber},
		{"95588", contact.ErrServiceNumber}, {"96110", contact.ErrServiceNumber}, {"10690000123456", contact.ErrServiceNumber}, {"10655551234", contact.ErrServiceNumber},
		{"+1 415 555 0100", contact.ErrForeign}, {"0085291234567", contact.ErrForeign},
	} {
		p, err := contact.ParseMobile(c.s)
		if !errors.Is(err, c.want) || !p.IsZero() {
			t.Errorf("ParseMobile(%q) = %v, %v, want %v", c.s, p, err, c.want)
			continue
		}
		if contact.Code(err) != c.want.Code || contact.Reason(err) != c.want.Reason || contact.Reason(err) == "" {
			t.Errorf("ParseMobile(%q): code %q, reason %q", c.s, contact.Code(err), contact.Reason(err))
		}
	}
	if contact.Code(errors.New("x")) != "" || contact.Reason(nil) != "" {
		t.Error("other errors have neither code nor reason")
	}
}

func TestAnyDialableNumberIsReadByParsePhone(t *testing.T) {
	for _, c := range []struct {
		s, clear, masked, e164 string
		kind                   contact.Kind
	}{
		{"+86 138-1234-5678", "13812345678", "138****5678", "+8613812345678", contact.Mobile},
		{"024-4284 1234", "02442841234", "024****1234", "+862442841234", contact.Fixed},
		{"+86 24 4284 1234", "02442841234", "024****1234", "+862442841234", contact.Fixed},
		{"0414-2841234", "04142841234", "041****1234", "+864142841234", contact.Fixed},
		{"46110110", "46110110", "46****10", "", contact.Local},
		{"2841234", "2841234", "28****34", "", contact.Local},
		{"110", "110", "110", "", contact.Short},
		{"12345", "12345", "12345", "", contact.Short},
		{"8001", "8001", "8001", "", contact.Extension},
		{"4008001234", "4008001234", "40****34", "", contact.Service},
		{"95588", "95588", "95588", "", contact.Service},
		{"001 415 555 0100", "+14155550100", "+14****0100", "+14155550100", contact.Foreign},
	} {
		p, err := contact.ParsePhone(c.s)
		if err != nil || p.Clear() != c.clear || p.Masked() != c.masked || p.E164() != c.e164 || p.Kind() != c.kind {
			t.Errorf("ParsePhone(%q) = %q %q %q %q, %v", c.s, p.Clear(), p.Masked(), p.E164(), p.Kind(), err)
		}
	}
	for _, s := range []string{"", "12812345678", "0", "02412", "+86", "+0123456789", "021412345678"} {
		if p, err := contact.ParsePhone(s); err == nil {
			t.Errorf("ParsePhone(%q) = %q, want an error", s, p.Clear())
		}
	}
}

func TestNumbersAndNamesAreMaskedHoweverTheyArePrinted(t *testing.T) {
	p, err := contact.ParseMobile("13812345678")
	if err != nil {
		t.Fatal(err)
	}
	n := contact.NameOf("欧阳明月")
	type hidden struct { // fmt cannot call methods on unexported fields
		p contact.Phone
		n contact.Name
	}
	type shown struct {
		Phone contact.Phone
		Name  contact.Name
	}
	person := contact.Person{ID: "x", Phone: p, Name: n}
	var out bytes.Buffer
	for _, v := range []any{p, &p, n, hidden{p, n}, &hidden{p, n}, shown{p, n}, []contact.Phone{p}, map[contact.Phone]contact.Name{p: n}, person, &person} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	}
	for _, v := range []any{p, n, person, shown{p, n}, map[contact.Phone]int{p: 1}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	got := out.String()
	// hex of the digits and of the name, as %x would print them
	for _, clear := range []string{"12345678", "3132333435", "欧阳明月", "明月", "e6988e", "E6988E"} {
		if strings.Contains(got, clear) {
			t.Errorf("printed in the open: %q", clear)
		}
	}
	if !strings.Contains(got, "138****5678") || !strings.Contains(got, "欧**") {
		t.Error("masked forms are not there")
	}
}

func TestSurnameIsAllThatATextMayHold(t *testing.T) {
	for _, c := range []struct{ name, surname, masked string }{
		{"王小明", "王", "王**"}, {"张伟", "张", "张*"}, {"欧阳明月", "欧阳", "欧**"}, {" 李 ", "", "李*"},
		{"本溪某某建材有限公司", "", "本**"}, {"Smith", "", "S**"}, {"", "", ""}, {"欧阳", "欧", "欧*"},
	} {
		n := contact.NameOf(c.name)
		if n.Surname() != c.surname || n.Masked() != c.masked {
			t.Errorf("%q: surname %q, masked %q", c.name, n.Surname(), n.Masked())
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	for _, s := range []string{"13812345678", "+86 138", "024-42841234", "１１０", "1.38E+10", "+1 415 555 0100", "转", "13812345678.0", "0+86", "00861", "\xff1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := contact.ParsePhone(s)
		if err != nil {
			if contact.Code(err) == "" || !p.IsZero() {
				t.Fatalf("ParsePhone(%q) = %v, %v", s, p, err)
			}
		} else {
			again, err := contact.ParsePhone(p.Clear())
			if err != nil || again != p {
				t.Fatalf("%q reads as %q, which reads as %q, %v", s, p.Clear(), again.Clear(), err)
			}
			if p.Kind() == "" || p.Masked() == "" || len(p.Clear()) > 6 && strings.Contains(p.Masked(), p.Clear()) {
				t.Fatalf("%q: kind %q, masked %q", p.Clear(), p.Kind(), p.Masked())
			}
			if e := p.E164(); e != "" {
				if q, err := contact.ParsePhone(e); err != nil || q != p {
					t.Fatalf("%q: E.164 %q reads as %q, %v", p.Clear(), e, q.Clear(), err)
				}
			}
		}
		m, merr := contact.ParseMobile(s)
		if (merr == nil) != (err == nil && p.Kind() == contact.Mobile) || merr == nil && m != p {
			t.Fatalf("ParseMobile(%q) = %v, %v but ParsePhone = %v, %v", s, m, merr, p, err)
		}
		if merr != nil && contact.Code(merr) == "" {
			t.Fatalf("ParseMobile(%q): %v has no code", s, merr)
		}
	})
}
