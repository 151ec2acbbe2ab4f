package oversee

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/ticket"
)

func TestAListThatGotLongerIsToldByWhatItGot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	raw := func(list []string) json.RawMessage {
		b, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for range 2000 {
		now := make([]string, 1+r.IntN(6))
		for i := range now {
			now[i] = []string{"a", "b", `,"]`, "[", "汉"}[r.IntN(5)]
		}
		old := slices.Clone(now[:r.IntN(len(now)+1)])
		if len(old) > 0 && r.IntN(3) == 0 {
			old[r.IntN(len(old))] += "x"
		}
		more, ok := added(raw(old), raw(now))
		if grew := len(old) > 0 && len(old) < len(now) && slices.Equal(old, now[:len(old)]); ok != grew {
			t.Fatalf("%q to %q: %v", old, now, ok)
		}
		if !ok {
			continue
		}
		if again, err := extended(raw(old), more); err != nil || !bytes.Equal(again, raw(now)) {
			t.Fatalf("%q and %s are %s, not %q (%v)", old, more, again, now, err)
		}
	}
	for _, bad := range []string{``, `null`, `[]`, `{"a":1}`, `"text"`} {
		if got, err := extended(json.RawMessage(bad), raw([]string{"a"})); err == nil {
			t.Errorf("%q was extended to %s", bad, got)
		}
	}
}

// A group of thousands wrote all its tickets into the log with each one more: the log grew by the square.
func TestATicketThatJoinsAGroupWritesDownItselfAlone(t *testing.T) {
	h := small(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, h.open(i, "窗口排队", "窗口排队时间长").ID)
	}
	topic := must(h, func(tx *storage.Tx) (Topic, error) {
		return h.desk.OpenTopic(tx, TopicIn{Title: "窗口排队", Tickets: ids[:4]}, h.supervisor)
	})
	must(h, func(tx *storage.Tx) (Topic, error) {
		return h.desk.AddToTopic(tx, topic.ID, ids, h.supervisor) // four of them are in it
	})
	h.view(func(tx *storage.Tx) error {
		events, err := audit.Stream(tx, topic.Stream())
		if err != nil {
			return err
		}
		last := string(events[len(events)-1].Payload)
		for i, id := range ids {
			if got := strings.Contains(last, id); got != (i >= 4) {
				t.Errorf("ticket %d of six: %v in %s", i+1, got, last)
			}
		}
		x, err := get[Topic](tx, topic.ID)
		if err != nil || !slices.Equal(x.Tickets, ids) {
			t.Errorf("%+v %v", x, err)
		}
		return nil
	})
} // the house compares its rows with its events at the end

func TestNobodyMakesATopicOfATicketThatAccusesThem(t *testing.T) {
	h := small(t)
	k := h.open(0, "窗口态度差", "窗口态度差", func(in *ticket.Intake) { in.AccusedStaff = h.supervisor.ID })
	other := h.open(1, "窗口排队", "窗口排队时间长")
	refused(h, "ticket", func(tx *storage.Tx) (Topic, error) {
		return h.desk.OpenTopic(tx, TopicIn{Title: "窗口", Tickets: []string{k.ID}}, h.supervisor)
	})
	topic := must(h, func(tx *storage.Tx) (Topic, error) {
		return h.desk.OpenTopic(tx, TopicIn{Title: "窗口", Tickets: []string{other.ID}}, h.supervisor)
	})
	refused(h, "ticket", func(tx *storage.Tx) (Topic, error) {
		return h.desk.AddToTopic(tx, topic.ID, []string{k.ID}, h.supervisor)
	})
	must(h, func(tx *storage.Tx) (Topic, error) {
		return h.desk.AddToTopic(tx, topic.ID, []string{k.ID}, h.analyst)
	})
}
