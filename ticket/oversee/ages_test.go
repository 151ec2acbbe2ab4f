package oversee

import (
	"fmt"
	"testing"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/ticket"
)

// identityBorn is an identity number of somebody born on a day (YYYYMMDD), with its check character.
func identityBorn(day string, n int) string {
	s, sum := fmt.Sprintf("210502%s%03d", day, n), 0
	for i, w := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * w
	}
	return s + string("10X98765432"[sum%11])
}

func TestSilenceIsToldByAgeWhereItIsKnownAndTheRestApart(t *testing.T) {
	each2(t, func(h *house) {
		young := func(n int, born string) (id string) {
			h.update(func(tx *storage.Tx) error {
				p, err := h.o.Book.Enter(tx, contact.Who{Identity: identityBorn(born, n)})
				id = p.ID
				return err
			})
			return id
		}
		for i := range 30 { // thirty of one age, none of sixty and over, five who never said
			id := young(i, "19900101")
			h.open(0, fmt.Sprintf("咨询业务%d", i), fmt.Sprintf("第%d号窗口办理居住证需要什么材料", i), func(in *ticket.Intake) { in.ContactID = id })
		}
		for i := range 5 {
			h.open(i%3, fmt.Sprintf("其他%d", i), fmt.Sprintf("路灯坏了第%d盏", i))
		}
		h.view(func(tx *storage.Tx) error {
			got, err := h.desk.SilencesByAge(tx, 90, h.analyst)
			if got.Known != 30 || got.Unknown != 5 || got.Bands != nil {
				t.Errorf("without residents: %+v", got)
			}
			return err
		})
		h.update(func(tx *storage.Tx) error {
			if err := h.o.PutAreas(tx, []ticket.Area{{Code: "210502", Level: ticket.District, Name: "平山区"}}, h.admin); err != nil {
				return err
			}
			return h.o.PutPopulation(tx, []ticket.Population{{Area: "210502", Band: "30-44", Residents: 60000, Source: "2020年普查"}, {Area: "210502", Band: "60+", Residents: 40000, Source: "2020年普查"}}, h.admin)
		})
		h.view(func(tx *storage.Tx) error {
			got, err := h.desk.SilencesByAge(tx, 90, h.analyst)
			if err != nil || len(got.Bands) != 2 {
				t.Fatalf("%+v, %v", got, err)
			}
			if b := got.Bands[0]; b.Band != "30-44" || b.N != 30 || b.IsSilent() {
				t.Errorf("%+v", b)
			}
			if b := got.Bands[1]; b.Band != "60+" || b.N != 0 || b.Expected != 12 || !b.IsSilent() {
				t.Errorf("%+v", b)
			}
			_, err = h.desk.SilencesByAge(tx, 90, h.handlerA)
			if _, no := ticket.RefusedWith(err); !no {
				t.Errorf("a unit's officer: %v", err)
			}
			return nil
		})
	})
}

func TestEveryAgeIsInOneBand(t *testing.T) {
	for age, want := range map[int]string{-1: "", 0: "0-15", 15: "0-15", 16: "16-29", 29: "16-29", 30: "30-44", 59: "45-59", 60: "60+", 119: "60+", 121: ""} {
		if got := bandOf(age); got != want {
			t.Errorf("%d is of %q, want %q", age, got, want)
		}
	}
}
