package survey_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/org"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/workday"
)

// house is everything a morning needs, on a real database, with the simulated carrier and one clock.
type house struct {
	t      testing.TB
	ctx    context.Context
	db     *storage.DB
	mu     sync.Mutex
	clock  time.Time
	vault  *contact.Vault
	book   *contact.Book
	office *ticket.Office
	sim    *sim.Carrier
	outbox *sms.Outbox
	inbox  *sms.Inbox
	survey *survey.Survey
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) set(t time.Time) {
	h.mu.Lock()
	h.clock = t
	h.mu.Unlock()
}

func (h *house) pass(d time.Duration) { h.set(h.now().Add(d)) }

var units = []org.Unit{
	{ID: "benxi", Name: "本溪市公安局", Short: "市局", Kind: "bureau", Police: "general"},
	{ID: "benxi-minyi", Name: "本溪市公安局民意感知中心", Short: "民意感知中心", Kind: "centre", Police: "public-view", Parent: "benxi"},
	{ID: "210502-zhanqian", Name: "本溪市公安局平山分局站前派出所", Short: "站前派出所", Kind: "station", Police: "public-order", Parent: "benxi", District: "210502"},
	{ID: "210521-lianshanguan", Name: "本溪满族自治县公安局连山关派出所", Short: "连山关派出所", Kind: "station", Police: "public-order", Parent: "benxi", District: "210521"},
	{ID: "benxi-jiaojing-shigu", Name: "本溪市公安局交通警察支队事故处理大队", Short: "事故处理大队", Kind: "brigade", Police: "traffic", Parent: "benxi"},
	{ID: "benxi-huzheng-chuangkou", Name: "本溪市政务服务中心户政窗口", Short: "市户政窗口", Kind: "window", Police: "household", Parent: "benxi"},
	{ID: "benxi-cheguansuo-dating", Name: "本溪市公安局车辆管理所办事大厅", Short: "车管所大厅", Kind: "window", Police: "traffic", Parent: "benxi"},
}

func newHouse(t testing.TB, db *storage.DB) *house {
	return openHouse(t, db, filepath.Join(t.TempDir(), "keys.json"), true)
}

// openHouse is newHouse on a database and keys that may have been used before.
func openHouse(t testing.TB, db *storage.DB, keys string, fresh bool) *house {
	t.Helper()
	v, err := contact.OpenVault(keys)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, ctx: context.Background(), db: db, vault: v, clock: time.Date(2026, 11, 23, 9, 0, 0, 0, workday.Zone)}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	h.book = &contact.Book{Vault: v, Now: h.now}
	if h.office, err = ticket.NewOffice(h.book); err != nil {
		t.Fatal(err)
	}
	h.office.Now = h.now
	h.sim = &sim.Carrier{DB: db, Vault: v, Now: h.now}
	h.outbox = &sms.Outbox{DB: db, Carriers: []sms.Carrier{h.sim}, Vault: v, Signature: "本溪公安", Window: sms.DefaultWindow, Now: h.now, Log: quiet}
	h.inbox = &sms.Inbox{DB: db, Vault: v, Now: h.now, Log: quiet}
	h.survey = &survey.Survey{DB: db, Book: h.book, Office: h.office, Outbox: h.outbox, Inbox: h.inbox, Now: h.now, Log: quiet}
	h.inbox.Handle = h.survey.Reply
	h.outbox.Stopped = h.survey.CarrierStopped
	h.sim.Receipts = h.outbox.Receipt
	h.sim.Replies = func(ctx context.Context, in sms.Inbound) error { _, _, err := h.inbox.Receive(ctx, in); return err }
	if fresh {
		h.update(func(tx *storage.Tx) error {
			for _, u := range units {
				if err := (org.Register{Now: h.now}).AddUnit(tx, u, "system"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return h
}

func (h *house) update(fn func(*storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) view(fn func(*storage.Tx) error) {
	h.t.Helper()
	if err := h.db.View(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

func each(t *testing.T, fn func(t *testing.T, h *house)) {
	t.Helper()
	t.Parallel() // each on its own database; making one is mostly waiting
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { fn(t, newHouse(t, db)) })
}

func (h *house) phone(s string) contact.Phone {
	h.t.Helper()
	p, err := contact.ParseMobile(s)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) day(s string) workday.Day {
	h.t.Helper()
	d, err := workday.ParseDay(s)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *house) importText(text string) survey.Imported {
	h.t.Helper()
	out, err := h.survey.Import(h.ctx, strings.NewReader(text), "records.csv", survey.ImportOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) run(day string) survey.RunResult {
	h.t.Helper()
	res, err := h.survey.Run(h.ctx, h.day(day), survey.RunOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

// settle sends, delivers and takes in until nothing moves any more.
func (h *house) settle() {
	h.t.Helper()
	for {
		tally, err := h.outbox.Flush(h.ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		n, err := h.sim.Flush(h.ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		if tally == (sms.Tally{}) && n == 0 {
			return
		}
	}
}

// reply is a resident answering; it returns what the last reply of the number was taken for.
func (h *house) reply(phone, words string) survey.ReviewItem {
	h.t.Helper()
	if _, err := h.sim.Reply(h.ctx, h.phone(phone), words); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.sim.Flush(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	return h.last(phone)
}

func (h *house) last(phone string) (item survey.ReviewItem) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) error {
		all, err := h.inbox.Of(tx, h.phone(phone), 1)
		if err != nil || len(all) == 0 {
			return fmt.Errorf("no reply of %s: %w", phone, err)
		}
		items, err := h.survey.Replies(tx, 1, workday.LastDay, 10000)
		for _, i := range items {
			if i.InboundID == all[0].ID {
				item = i
			}
		}
		return err
	})
	if item.ID == "" {
		h.view(func(tx *storage.Tx) error {
			why, err := storage.All(tx, storage.Value[string], `SELECT error FROM sms_inbound_work WHERE done_at IS NULL`)
			h.t.Fatalf("the reply of %s was not read: %q, %v", phone, why, err)
			return nil
		})
	}
	return item
}

// header is the first line of the test files.
const header = "业务类别,业务流水号,办理时间,姓名,电话,出生日期,单位编码,事项,敏感标记,备注\n"
