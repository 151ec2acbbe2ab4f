package survey_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
)

// subNumbers is the simulated carrier with a contract that gives sub-numbers.
type subNumbers struct {
	*sim.Carrier
	mu   sync.Mutex
	from map[string][]string // the numbers that a handset has got texts from
}

const ours = "1069012110"

func (c *subNumbers) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	c.mu.Lock()
	c.from[m.Phone.Clear()] = append(c.from[m.Phone.Clear()], ours+m.Extension)
	c.mu.Unlock()
	return c.Carrier.Send(ctx, m)
}

func (c *subNumbers) Extension(to string) string {
	rest, _ := strings.CutPrefix(to, ours)
	return rest
}

// pooled is the simulated carrier with two numbers, from which texts go out in turn, and no sub-numbers.
type pooled struct{ subNumbers }

func (c *pooled) Extension(string) string { return "" }
func (c *pooled) Sender(extension string) string {
	n, _ := strconv.Atoi(extension)
	return fmt.Sprint(ours, n%2)
}

func TestOfSeveralNumbersTheOneThatIsRepliedToTellsTheTextAndElseTheOpenQuestionDoes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		carrier := &pooled{subNumbers{Carrier: h.sim, from: map[string][]string{}}}
		h.outbox.Carriers = []sms.Carrier{carrier}
		const phone = "19900000001"
		ask := func(id, day string) (ask, number string) {
			h.importText(header + fmt.Sprintf("户政,%s,%s 10:00:00,甲,%s,,benxi-huzheng-chuangkou,身份证换领,,\n", id, day, phone))
			if res := h.run(day); res.Asked != 1 {
				t.Fatalf("%+v", res)
			}
			h.settle()
			h.view(func(tx *storage.Tx) error {
				k, err := storage.One(tx, func(r storage.Row) (k [2]string, err error) { return k, r.Scan(&k[0], &k[1]) },
					`SELECT k.id, k.extension FROM survey_ask k JOIN survey_record r ON r.id = k.record_id WHERE r.source_id = $1`, id)
				ask, number = k[0], carrier.Sender(k[1])
				return err
			})
			return ask, number
		}
		first, one := ask("X1", "2026-11-22")
		h.set(h.now().AddDate(0, 0, 41)) // past the frequency cap, on a day of the other number
		second, other := ask("X2", "2027-01-02")
		if one == other {
			t.Fatal("both days have one number")
		}
		for _, c := range []struct{ to, want, place string }{{one, first, survey.Late}, {other, second, survey.InTime}, {ours + "7", second, survey.Correction}} {
			h.pass(time.Minute)
			if _, _, err := h.inbox.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: c.to, Phone: h.phone(phone), To: c.to, Body: "2"}); err != nil {
				t.Fatal(err)
			}
			if got := h.last(phone); got.AskID != c.want || got.Place != c.place {
				t.Errorf("the reply to %s: %s of %s, want %s of %s", c.to, got.Place, got.AskID, c.place, c.want)
			}
		}
	})
}

func TestAReplyToTheSubNumberOfAnOldTextAnswersThatTextAndNotTheNewOne(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		carrier := &subNumbers{Carrier: h.sim, from: map[string][]string{}}
		h.outbox.Carriers = []sms.Carrier{carrier}
		const phone = "19900000001"
		record := func(id, day string) {
			h.importText(header + fmt.Sprintf("户政,%s,%s 10:00:00,甲,%s,,benxi-huzheng-chuangkou,身份证换领,,\n", id, day, phone))
		}
		record("X1", "2026-11-22")
		h.run("2026-11-22")
		h.settle()
		h.set(h.now().AddDate(0, 0, 40)) // past the frequency cap
		record("X2", "2027-01-01")
		if res := h.run("2027-01-01"); res.Asked != 1 {
			t.Fatalf("%+v", res)
		}
		h.settle()
		from := carrier.from[phone]
		if len(from) != 2 || from[0] == from[1] || len(from[0]) != len(ours)+3 {
			t.Fatalf("texts came from %q", from)
		}
		reply := func(to, words string) survey.ReviewItem {
			h.pass(time.Minute)
			if _, _, err := h.inbox.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: to + words, Phone: h.phone(phone), To: to, Body: words}); err != nil {
				t.Fatal(err)
			}
			return h.last(phone)
		}
		asked := func(source string) (id string) {
			h.view(func(tx *storage.Tx) (err error) {
				id, err = storage.One(tx, storage.Value[string], `SELECT k.id FROM survey_ask k JOIN survey_record r ON r.id = k.record_id WHERE r.source_id = $1`, source)
				return err
			})
			return id
		}
		if got := reply(from[0], "5"); got.AskID != asked("X1") || got.Place != survey.Late || got.Counted {
			t.Errorf("the reply to the old text: %s of %s, counted %t", got.Place, got.AskID, got.Counted)
		}
		if got := reply(from[1], "1"); got.AskID != asked("X2") || got.Place != survey.InTime || !got.Counted {
			t.Errorf("the reply to the new text: %s of %s, counted %t", got.Place, got.AskID, got.Counted)
		}
		// A number that we have not asked from, and our number alone: the open question, as ever.
		for _, to := range []string{ours + "9999", ours, ""} {
			if got := reply(to, "2"); got.AskID != asked("X2") || got.Place != survey.Correction {
				t.Errorf("the reply to %q: %s of %s", to, got.Place, got.AskID)
			}
		}
	})
}
