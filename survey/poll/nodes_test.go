package poll

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/workday"
)

// node is another node over the same database, with a folder of its own and the house's keys.
func (h *hall) node(dir string) *Office {
	o := *h.o
	o.Keys = dir
	return &o
}

func (h *hall) sweep(nodes ...*Office) {
	h.t.Helper()
	for _, o := range nodes {
		if err := o.Sweep(context.Background(), h.db); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *hall) poll(id string) (p Poll) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) { p, err = h.o.Get(tx, id, ticket.System); return err })
	return p
}

// asked opens a poll and has six people answer it.
func (h *hall) answered() Poll {
	h.t.Helper()
	p := h.started()
	var people []Person
	for i := range 6 {
		people = append(people, Person{phoneOf(h.t, i), ""})
	}
	for i, token := range h.invite(p, people) {
		h.update(func(tx *storage.Tx) error { return h.o.Take(tx, token, answerOf(i%5, 0, []int{0}, "")) })
	}
	return p
}

func TestAPollEndsOnAnotherNodeThanItBeganOn(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHall(t, db)
		second, third := h.node(t.TempDir()), h.node(t.TempDir())
		p := h.answered()
		h.sweep(second, third, h.o, second) // asked for, handed over, taken
		if _, err := second.secret(p.ID); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(h.o.Keys); err != nil { // the node that opened it burns down
			t.Fatal(err)
		}
		// Ended where nobody has the key: no answer is let in any more, and the node that has it does the rest.
		lost, err := h.o.Close(context.Background(), db, p.ID, h.supervisor)
		if err != nil || lost.State != Open || !lost.Ending(h.now) {
			t.Fatalf("%+v, %v", lost, err)
		}
		h.refused("until", func(tx *storage.Tx) error {
			_, err := h.o.Invite(tx, p.ID, []Person{{phoneOf(t, 99), ""}}, h.analyst)
			return err
		})
		h.sweep(second, third, h.o)
		if got := h.poll(p.ID); got.State != Closed || got.Kept != 6 || got.Closer != h.supervisor.String() {
			t.Errorf("%+v", got)
		}
		// Nothing that opens an answer is left anywhere, whatever node asked and waited.
		h.sweep(second, third, h.o)
		for _, o := range []*Office{h.o, second, third} {
			files, _ := os.ReadDir(o.Keys)
			if len(files) > 0 {
				t.Errorf("%s is left", files[0].Name())
			}
		}
		h.update(func(tx *storage.Tx) error {
			n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM poll_key_wish`)
			if n > 0 {
				t.Errorf("%d wishes are left", n)
			}
			return err
		})
	})
}

func TestAKeyIsHandedToNodesOfThisHouseAlone(t *testing.T) {
	h := newHall(t, storagetest.SQLite(t))
	p := h.answered()
	// Somebody who can write to the database asks with a key of their own, and moves a proof of another wish to it.
	k, err := kem.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	second := h.node(t.TempDir())
	h.sweep(second)
	h.update(func(tx *storage.Tx) error {
		proof, err := storage.One(tx, storage.Value[string], `SELECT proof FROM poll_key_wish`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO poll_key_wish (id, poll_id, public_key, proof) VALUES ('thief', $1, $2, $3)`, p.ID, k.PublicKey().Bytes(), proof)
		return err
	})
	h.sweep(h.o)
	h.update(func(tx *storage.Tx) error {
		n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM poll_key_wish WHERE id = 'thief'`)
		if n != 0 {
			t.Error("a stranger was answered")
		}
		sealed, err2 := storage.One(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT sealed FROM poll_key_wish`)
		secret, err3 := os.ReadFile(h.o.keyPath(p.ID))
		if err2 != nil || err3 != nil || len(sealed) == 0 || strings.Contains(string(sealed), string(secret)) {
			t.Errorf("handed over: %d bytes, %v, %v", len(sealed), err2, err3)
		}
		return err
	})
	// A node that stopped while it wrote its wish asks anew.
	if err := os.WriteFile(second.wishPath(p.ID), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.sweep(second, h.o, second)
	if _, err := second.secret(p.ID); err != nil {
		t.Error(err)
	}
}

func TestAnswersAreGivenUpOnlyWhenNoNodeCanOpenThem(t *testing.T) {
	h := newHall(t, storagetest.SQLite(t))
	p := h.answered()
	giveUp := func(o *Office) func(tx *storage.Tx) error {
		return func(tx *storage.Tx) error {
			_, err := o.GiveUp(tx, p.ID, "机房失火，唯一的服务器损毁", h.supervisor)
			return err
		}
	}
	h.refused("key", giveUp(h.o))
	if err := os.RemoveAll(h.o.Keys); err != nil {
		t.Fatal(err)
	}
	h.refused("wait", giveUp(h.o))
	if _, err := h.o.Close(context.Background(), h.db, p.ID, h.supervisor); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(30 * time.Minute)
	h.sweep(h.o)
	h.refused("wait", giveUp(h.o))
	h.now = h.now.Add(time.Hour)
	h.update(giveUp(h.o))
	h.sweep(h.o)
	if got := h.poll(p.ID); got.State != Closed || got.Kept != 0 || got.Answered != 6 {
		t.Errorf("%+v", got)
	}
	if files, _ := filepath.Glob(filepath.Join(h.o.Keys, "*")); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

// A poll under a name takes a digit in reply to its text, once, whether the link came before or after it.
func TestAPollUnderANameIsAnsweredByADigitOrByItsLinkOnce(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHall(t, db)
		h.refused("named", func(tx *storage.Tx) error {
			_, err := h.o.Make(tx, Making{Title: "测评", Questions: asked, Smallest: LeastK, Named: true}, h.analyst)
			return err
		})
		var p Poll
		h.update(func(tx *storage.Tx) (err error) {
			if p, err = h.o.Make(tx, Making{Title: "企业满意度", Questions: "【五级】您对服务满意吗？\n【文字】建议", Smallest: LeastK, Named: true}, h.analyst); err != nil {
				return err
			}
			p, err = h.o.Start(tx, p.ID, workday.DayOf(h.now)+7, h.supervisor)
			return err
		})
		open := h.started() // an anonymous one takes no digit
		var people []Person
		for i := range 6 {
			people = append(people, Person{phoneOf(t, i), ""})
		}
		h.invite(open, people)
		tokens := h.invite(p, people)
		reply := func(i int, body string, sentWith func(string) bool) (of bool) {
			t.Helper()
			h.update(func(tx *storage.Tx) (err error) {
				of, err = h.o.Reply(tx, sms.Inbound{Phone: phoneOf(t, i), Body: body, ReceivedAt: h.now}, sentWith)
				return err
			})
			return of
		}
		for body, want := range map[string]bool{"T": false, "6": false, "0": false, "不满意": false, "12": false, "1 谢谢": false} {
			if got := reply(0, body, nil); got != want {
				t.Errorf("%q is taken: %v", body, got)
			}
		}
		if !reply(0, " ２。", nil) || !reply(0, "5", nil) { // the second changes nothing
			t.Error("a digit is not taken")
		}
		if err := h.db.Update(context.Background(), func(tx *storage.Tx) error {
			return h.o.Take(tx, tokens[0], Answer{Choices: [][]int{{4}, nil}, Words: make([]string, 2)})
		}); !errors.Is(err, ErrNoLink) {
			t.Errorf("the link after the digit: %v", err)
		}
		h.update(func(tx *storage.Tx) error {
			return h.o.Take(tx, tokens[1], Answer{Choices: [][]int{{1}, nil}, Words: make([]string, 2)})
		})
		if !reply(1, "5", nil) {
			t.Error("a digit after the link goes elsewhere")
		}
		if reply(2, "2", func(x string) bool { return x == "123" }) {
			t.Error("a reply to another of our numbers is taken")
		}
		if reply(7, "2", nil) {
			t.Error("who was not asked answers")
		}
		// With one number, the digit belongs to the question that was asked last.
		h.now = h.now.Add(time.Hour)
		h.update(func(tx *storage.Tx) error {
			if _, err := tx.Exec(`INSERT INTO survey_record (id, class, source_id, digest, revision, service_at, service_day, unit, matter, mark, phone_hash, phone_error, person, import_id, line, imported_at)
				VALUES ('r', 'huzheng', 's', '', 1, $1, '', 'u', '', '', '', '', $2, '', 1, $1)`, storage.At(h.now), []byte{0}); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO survey_ask (id, day, key, record_id, class, unit, phone_hash, contact_id, sms_id, state, asked_at, asked_day, closes_at, config, prefix, extension, scale)
				VALUES ('a', $1, 'k', 'r', 'huzheng', 'u', $2, '', '', 'open', $3, $1, $4, '', '139', '', '')`, workday.DayOf(h.now).String(), h.o.Book.Vault.HashPhone(phoneOf(t, 3)), storage.At(h.now), storage.At(h.now.Add(48*time.Hour)))
			return err
		})
		if reply(3, "1", nil) {
			t.Error("the survey's digit is taken")
		}
		if !reply(3, "1", func(x string) bool { return x == extensionOf(p.ID) }) {
			t.Error("the number tells which question it was")
		}
		for i := 4; i < 6; i++ {
			reply(i, "1", nil)
		}
		reply(2, "3", nil)
		closed, err := h.o.Close(context.Background(), db, p.ID, h.supervisor)
		if err != nil || closed.Kept != 6 || closed.Answered != 6 {
			t.Fatalf("%+v, %v", closed, err)
		}
		h.update(func(tx *storage.Tx) error {
			all, err := h.o.Results(tx, closed, h.leader)
			if err == nil && (all[0].Whole.N != 6 || all[0].Whole.Count[0] != 3 || all[0].Whole.Count[1] != 2 || all[0].Whole.Count[2] != 1) {
				t.Errorf("%+v", all[0].Whole)
			}
			return err
		})
		if reply(0, "1", nil) {
			t.Error("a digit after the end is taken")
		}
	})
}
