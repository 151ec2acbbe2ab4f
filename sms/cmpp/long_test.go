package cmpp_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/cmpp"
	"lianxin/sms/cmpp/cmpptest"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// house is an outbox before a carrier.
type house struct {
	*post
	db     *storage.DB
	vault  *contact.Vault
	outbox *sms.Outbox
}

func newHouse(t *testing.T, g *cmpptest.Gateway, db *storage.DB, vault *contact.Vault) *house {
	t.Helper()
	h := &house{post: connect(t, g, db, vault), db: db, vault: vault}
	h.outbox = &sms.Outbox{DB: db, Vault: vault, Carriers: []sms.Carrier{h.Carrier}}
	h.Receipts = h.outbox.Receipt // before the first text
	return h
}

func (h *house) send(n int, body string) string {
	h.t.Helper()
	var id string
	err := h.db.Update(context.Background(), func(tx *storage.Tx) (err error) {
		id, _, err = h.outbox.Queue(tx, sms.Message{Key: storage.NewID(), Phone: phone(h.t, n), Body: body})
		return err
	})
	if err == nil {
		_, err = h.outbox.Flush(context.Background())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func (h *house) state(id string) sms.State {
	h.t.Helper()
	var m sms.Message
	if err := h.db.View(context.Background(), func(tx *storage.Tx) (err error) { m, err = h.outbox.Get(tx, id); return err }); err != nil {
		h.t.Fatal(err)
	}
	return m.State
}

func (h *house) receipts(id string) (n int) {
	h.t.Helper()
	if err := h.db.View(context.Background(), func(tx *storage.Tx) error {
		all, err := sms.Receipts(tx, id)
		n = len(all)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	return n
}

var three = "【本溪公安】" + strings.Repeat("满意不满意", 30)

func TestALongTextIsDeliveredWhenAllItsSegmentsAre(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := cmpptest.Start(t, cmpp.V30)
		g.Do(func(g *cmpptest.Gateway) { g.Plan = func(int, *cmpp.Submit) cmpptest.Plan { return cmpptest.Plan{} } })
		h := newHouse(t, g, db, newVault(t))
		id := h.send(1, three)
		tk := g.Taken()
		if len(tk) != 3 || h.state(id) != sms.Accepted {
			t.Fatalf("%d segments, %s", len(tk), h.state(id))
		}
		g.Report(tk[2], "DELIVRD")
		g.Report(tk[2], "DELIVRD")
		waitFor(t, "two receipts", func() bool { return h.receipts(id) == 2 })
		if h.state(id) != sms.Accepted {
			t.Errorf("with one segment of three on the handset the text is %s", h.state(id))
		}
		// The program dies and comes again; the books remember.
		h.stop()
		h = newHouse(t, g, db, h.vault)
		g.Report(tk[0], "DELIVRD")
		waitFor(t, "three receipts", func() bool { return h.receipts(id) == 3 })
		if h.state(id) != sms.Accepted {
			t.Errorf("with two segments of three on the handset the text is %s", h.state(id))
		}
		g.Report(tk[1], "ACCEPTD")
		g.Report(tk[1], "DELIVRD")
		waitFor(t, "delivery", func() bool { return h.state(id) == sms.Delivered })
		g.Report(tk[1], "UNDELIV") // late nonsense
		waitFor(t, "six receipts", func() bool { return h.receipts(id) == 6 })
		if h.state(id) != sms.Delivered {
			t.Errorf("a late report made the text %s", h.state(id))
		}

		id = h.send(2, three)
		tk = g.Taken()[3:]
		g.Report(tk[0], "DELIVRD")
		g.Report(tk[1], "EXPIRED")
		waitFor(t, "failure", func() bool { return h.state(id) == sms.Failed })
		g.Report(tk[2], "DELIVRD")
		waitFor(t, "three receipts", func() bool { return h.receipts(id) == 3 })
		if h.state(id) != sms.Failed {
			t.Errorf("with two segments of three on the handset the text is %s", h.state(id))
		}
	})
}

func TestReportsThatOvertakeTheirAnswersFindTheirText(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := cmpptest.Start(t, cmpp.V30)
		g.Do(func(g *cmpptest.Gateway) {
			g.Plan = func(n int, _ *cmpp.Submit) cmpptest.Plan {
				return cmpptest.Plan{Stats: []string{"DELIVRD"}, EarlyStats: true, StatTwice: true, Delay: 30 * time.Millisecond}
			}
		})
		h := newHouse(t, g, db, newVault(t))
		for n, body := range []string{"【本溪公安】试", three, "plain"} {
			id := h.send(n, body)
			waitFor(t, "delivery of "+body[:5], func() bool {
				if _, err := h.outbox.Flush(context.Background()); err != nil { // settles what was parked
					t.Fatal(err)
				}
				return h.state(id) == sms.Delivered
			})
		}
	})
}

func TestAMorningOfFaultsLosesAndDoublesNothing(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	var n atomic.Int64
	g.Do(func(g *cmpptest.Gateway) {
		g.Plan = func(int, *cmpp.Submit) cmpptest.Plan {
			i := n.Add(1)
			p := cmpptest.Plan{Stats: []string{"ACCEPTD", "DELIVRD"}, Delay: time.Duration(i%5) * time.Millisecond, Twice: i%7 == 0, StatTwice: i%3 == 0, EarlyStats: i%4 == 0}
			switch {
			case i%11 == 0:
				p.Result = 8
			case i%29 == 0:
				p.Hangup = true // taken, and the connection ends
			case i%31 == 0:
				p.NoAnswer = true
			case i%37 == 0:
				p.Drop = true
			}
			return p
		}
	})
	db, vault := storagetest.SQLite(t), newVault(t)
	p := connect(t, g, db, vault, func(c *cmpp.Config) { c.AnswerTimeout = 200 * time.Millisecond })
	outbox := &sms.Outbox{DB: db, Vault: vault, Carriers: []sms.Carrier{p.Carrier}, Limits: sms.Limits{Rest: 10 * time.Millisecond, Settle: 50 * time.Millisecond, Idle: 10 * time.Millisecond, Workers: 16}}
	p.Receipts = outbox.Receipt
	const texts = 200
	if err := db.Update(context.Background(), func(tx *storage.Tx) error {
		for i := range texts {
			if _, _, err := outbox.Queue(tx, sms.Message{Key: fmt.Sprint(i), Campaign: "morning", Phone: phone(t, i), Body: "【本溪公安】试"}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- outbox.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	count := map[sms.State]int{}
	var all map[string]sms.State
	waitFor(t, "all texts to be settled", func() bool {
		if err := db.View(context.Background(), func(tx *storage.Tx) (err error) { all, err = sms.States(tx, "morning"); return err }); err != nil {
			t.Fatal(err)
		}
		clear(count)
		for _, s := range all {
			count[s]++
		}
		// Every text that the gateway has is delivered, also when its answer was lost; the others were dropped.
		return count[sms.Delivered]+count[sms.Unknown] == texts && count[sms.Delivered] == len(g.Taken())
	})
	stop()
	taken := map[string]int{}
	for _, tk := range g.Taken() {
		if taken[tk.Submit.Dest[0]]++; taken[tk.Submit.Dest[0]] > 1 {
			t.Errorf("a text arrived twice")
		}
	}
	if count[sms.Unknown] == 0 {
		t.Errorf("%v: nothing was dropped", count)
	}
}

func ucs2(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}

// mo delivers a reply and wants it answered with 0.
func mo(t *testing.T, g *cmpptest.Gateway, d cmpp.Deliver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d.DestID = "10690121100712"
	if r, err := g.Deliver(ctx, d); err != nil || r != 0 {
		t.Fatalf("DELIVER was answered %d, %v", r, err)
	}
}

func TestRepliesComeInAsTheyAre(t *testing.T) {
	for _, v := range []cmpp.Version{cmpp.V20, cmpp.V30} {
		g := cmpptest.Start(t, v)
		p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) { c.Version = v })
		for i, c := range []struct {
			d          cmpp.Deliver
			want, from string
		}{
			{cmpp.Deliver{SrcTerminalID: "13804100001", Content: []byte(" 1")}, " 1", ""},
			{cmpp.Deliver{SrcTerminalID: "8613804100001", MsgFmt: 8, Content: ucs2("不满意😊")}, "不满意😊", ""},
			{cmpp.Deliver{SrcTerminalID: "13804100001", MsgFmt: 15, Content: []byte("\xc2\xfa\xd2\xe2")}, "满意", ""},
			{cmpp.Deliver{SrcTerminalID: "13804100001", MsgFmt: 8, TPUDHI: 1, Content: append([]byte{6, 5, 4, 0, 80, 0, 80}, ucs2("满意")...)}, "满意", ""}, // ports, no segments
			{cmpp.Deliver{SrcTerminalID: "13804100001", MsgFmt: 0, TPUDHI: 1, Content: []byte("5 stars")}, "5 stars", ""},                               // no header at all
			{cmpp.Deliver{SrcTerminalID: "13804100001", Content: nil}, "", ""},
			{cmpp.Deliver{SrcTerminalID: "AX-99", Content: []byte("1")}, "1", "AX-99"}, // a pseudonym
		} {
			mo(t, g, c.d)
			in := p.waitReply(i)
			if in.Body != c.want || in.From != c.from || in.To != "10690121100712" || in.Carrier != "cmpp" || len(in.CarrierID) != 16 {
				t.Errorf("%x: %+v, want %q", uint8(v), in, c.want)
			}
			if c.from == "" && in.Phone.Clear() != "13804100001" {
				t.Errorf("%x: from %s", uint8(v), in.Phone)
			}
		}
		// Delivered again, a reply has the same id.
		d := cmpp.Deliver{MsgID: 77, SrcTerminalID: "13804100001", Content: []byte("3")}
		mo(t, g, d)
		mo(t, g, d)
		if a, b := p.waitReply(7), p.waitReply(8); a.CarrierID != b.CarrierID || a.CarrierID != "000000000000004d" {
			t.Errorf("ids %s and %s", a.CarrierID, b.CarrierID)
		}
	}
}

func TestLongRepliesArePutTogether(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		g := cmpptest.Start(t, cmpp.V30)
		vault := newVault(t)
		short := func(c *cmpp.Config) { c.Reassemble = 300 * time.Millisecond }
		p := connect(t, g, db, vault)
		whole := ucs2("民警一小时才到😊没有人来😊我很生气")
		cut := []int{0, 15, 33, len(whole)} // bytes: inside characters and pairs
		segment := func(id uint64, ref byte, n int) cmpp.Deliver {
			return cmpp.Deliver{MsgID: id, SrcTerminalID: "13804100001", MsgFmt: 8, TPUDHI: 1,
				Content: append([]byte{5, 0, 3, ref, 3, byte(n)}, whole[cut[n-1]:cut[n]]...)}
		}
		mo(t, g, segment(103, 7, 3))
		mo(t, g, segment(101, 7, 1))
		mo(t, g, segment(101, 7, 1)) // again: the answer was lost
		mo(t, g, segment(201, 8, 1)) // another reply of the same resident
		p.stop()                     // we die and come again
		p = connect(t, g, db, vault, short)
		mo(t, g, segment(102, 7, 2))
		if in := p.waitReply(0); in.Body != "民警一小时才到😊没有人来😊我很生气" || in.CarrierID != "0000000000000065" || in.Phone.Clear() != "13804100001" {
			t.Errorf("%+v", in)
		}
		mo(t, g, segment(102, 7, 2)) // again, when all is done: nothing more comes of it
		// The rest of the other reply never comes: what is there is passed on, so that nothing is lost.
		in := p.waitReply(1)
		if !strings.HasPrefix(in.Body, "民警一小时才到") || !strings.HasSuffix(in.Body, "…") || in.CarrierID != "00000000000000c9" {
			t.Errorf("%+v", in)
		}
		mo(t, g, cmpp.Deliver{SrcTerminalID: "13804100001", Content: []byte("end")})
		if in := p.waitReply(2); in.Body != "end" {
			t.Errorf("%+v", in)
		}
		// The database holds no clear number and no words of theirs.
		if err := db.View(context.Background(), func(tx *storage.Tx) error {
			rows, err := storage.All(tx, func(r storage.Row) (s string, err error) {
				var a, b []byte
				err = r.Scan(&a, &b)
				return string(a) + string(b), err
			}, `SELECT sender, content FROM cmpp_fragment`)
			for _, s := range rows {
				if strings.Contains(s, "13804100001") || strings.Contains(s, string(whole[:14])) {
					t.Error("a fragment is stored in the open")
				}
			}
			if len(rows) != 4 {
				t.Errorf("%d fragments are stored, want 4", len(rows))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatCannotBeStoredIsNotAnswered(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	p := connect(t, g, storagetest.SQLite(t), newVault(t))
	p.mu.Lock()
	p.fail = 1
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if r, err := g.Deliver(ctx, cmpp.Deliver{SrcTerminalID: "13804100001", Content: []byte("1")}); err == nil {
		t.Errorf("answered %d before it was stored", r)
	}
	if in := p.waitReply(0); in.Body != "1" { // our own second attempt
		t.Errorf("%+v", in)
	}
	// A report that cannot be read is refused, and the next one is taken.
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if r, err := g.Deliver(ctx, cmpp.Deliver{SrcTerminalID: "13804100001", RegisteredDelivery: 1, Content: []byte("nonsense")}); err != nil || r != 1 {
		t.Errorf("a report that cannot be read: %d, %v", r, err)
	}
	mo(t, g, cmpp.Deliver{SrcTerminalID: "13804100001", Content: []byte("2")})
	if in := p.waitReply(1); in.Body != "2" {
		t.Errorf("%+v", in)
	}
}
