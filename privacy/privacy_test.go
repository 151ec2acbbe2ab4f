package privacy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/ticket/channel"
)

type house struct {
	t       testing.TB
	ctx     context.Context
	db      *storage.DB
	vault   *contact.Vault
	office  *ticket.Office
	gateway *channel.Gateway
	inbox   *sms.Inbox
	keeper  *Keeper
	now     time.Time
}

func newHouse(t testing.TB, db *storage.DB) *house {
	t.Helper()
	vault, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, ctx: context.Background(), db: db, vault: vault, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))}
	clock := func() time.Time { return h.now }
	if h.office, err = ticket.NewOffice(&contact.Book{Vault: vault, Now: clock}); err != nil {
		t.Fatal(err)
	}
	h.office.Now = clock
	h.gateway = &channel.Gateway{DB: db, Office: h.office, Now: clock, Log: slog.New(slog.DiscardHandler)}
	h.inbox = &sms.Inbox{DB: db, Vault: vault, Now: clock, Handle: func(*storage.Tx, sms.Inbound) error { return nil }}
	h.keeper = &Keeper{DB: db, Office: h.office, Now: clock}
	return h
}

func (h *house) update(fn func(tx *storage.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.ctx, fn); err != nil {
		h.t.Fatal(err)
	}
}

const (
	number   = "13912345678"
	name     = "王小明"
	identity = "11010519491231002X"
)

// fill enters requests of one person through real doors: n of them, settled ones when settle.
func (h *house) fill(n int, settle bool) (ids []string) {
	h.t.Helper()
	for i := range n {
		h.update(func(tx *storage.Tx) error {
			k, err := h.gateway.Take(tx, channel.Delivery{Channel: "12345", ExternalID: fmt.Sprintf("D%d-%d", h.now.Unix(), i), Title: "反映噪音", Body: "我叫" + name + "，电话" + number, Place: "平山路", Name: name, Phone: number, Mail: "wang@example.com",
				Identity: identity, Raw: []byte(`{"电话":"` + number + `"}`), Files: []channel.File{{Name: name + ".jpg", Media: "image/jpeg", Data: []byte("picture " + name)}}}, ticket.System)
			if err != nil {
				return err
			}
			ids = append(ids, k.ID)
			if !settle {
				return nil
			}
			_, err = h.office.Refuse(tx, k.ID, "elsewhere", ticket.Reply{Text: name + "您好，请拨打024-42830110", Via: "phone"}, ticket.System)
			return err
		})
	}
	phone, err := contact.ParseMobile(number)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, _, err := h.inbox.Receive(h.ctx, sms.Inbound{Carrier: "sim", CarrierID: fmt.Sprint("c", h.now.UnixNano()), Phone: phone, To: "106", Body: "我是" + name}); err != nil {
		h.t.Fatal(err)
	}
	return ids
}

// whole fails unless the chain, the projections and the replies hold.
func (h *house) whole() {
	h.t.Helper()
	rep, err := audit.Verify(h.ctx, h.db, nil)
	if err != nil || rep.Broken != nil {
		h.t.Fatalf("the chain: %v %v", err, rep.Broken)
	}
	drifts, err := ticket.VerifyProjection(h.ctx, h.db, h.vault)
	if err != nil || len(drifts) > 0 {
		h.t.Fatalf("projections: %v %v", err, drifts)
	}
	if _, err := h.inbox.Verify(h.ctx); err != nil {
		h.t.Fatal(err)
	}
}

func TestEverySealedColumnOfTheSchemaIsListed(t *testing.T) {
	files, err := filepath.Glob("../storage/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	listed := map[string]bool{"ticket_raw.sealed": true}
	for _, c := range Columns {
		listed[c.Table+"."+c.Name] = true
	}
	create, column, add := regexp.MustCompile(`(?i)^CREATE TABLE (\w+)`), regexp.MustCompile(`(?i)^\s+(\w+)\s+BYTEA`), regexp.MustCompile(`(?i)^ALTER TABLE (\w+) ADD COLUMN (\w+) BYTEA`)
	found := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		table := ""
		for _, line := range strings.Split(string(b), "\n") {
			if m := create.FindStringSubmatch(line); m != nil {
				table = m[1]
			}
			name := ""
			if m := column.FindStringSubmatch(line); m != nil {
				name = table + "." + m[1]
			} else if m := add.FindStringSubmatch(line); m != nil {
				name = m[1] + "." + m[2]
			}
			if name == "" || unsealed[name] {
				continue
			}
			found++
			if !listed[name] {
				t.Errorf("%s (%s) holds bytes and is in no list: is it sealed? then privacy.Columns must name it", name, filepath.Base(f))
			}
		}
	}
	if found < len(Columns) {
		t.Errorf("found %d columns in the migrations, %d are listed", found, len(Columns))
	}
}

// unsealed are columns of bytes that hold nothing personal, or are sealed under the key of their row and keep it.
var unsealed = map[string]bool{
	"poll.public_key":      true,
	"poll_ballot.sealed":   true,                                   // for the poll's own key, which is outside the database and destroyed at the end
	"poll_key_wish.sealed": true, "poll_key_wish.public_key": true, // of one poll, gone with its end
}

func TestKeysAreRotatedWhileRunningAndAfterAnInterruption(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		h.fill(60, false)
		var c channel.Connector
		h.update(func(tx *storage.Tx) (err error) {
			c, err = h.gateway.PutConnector(tx, channel.Connector{Channel: "mailbox", Kind: channel.IMAP, Name: "x", Secret: "geheim", Enabled: true, Settings: channel.Settings{Addr: "mail.example.com:993", User: "u"}}, ticket.System)
			return err
		})
		before := h.vault.KeyID()
		if err := h.vault.Rotate(); err != nil {
			t.Fatal(err)
		}
		// The first run dies in the middle.
		ctx, stop := context.WithCancel(h.ctx)
		var batches atomic.Int32
		_, err := Reseal(ctx, db, h.office, func(string, int) {
			if batches.Add(1) == 3 {
				stop()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the interruption: %v", err)
		}
		h.whole()
		left := func() (old int) {
			list, err := KeyStatus(h.ctx, db, h.vault)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				old += s.Old
			}
			return old
		}
		half := left()
		if half == 0 {
			t.Fatal("nothing was left to do after the interruption")
		}
		n, err := Reseal(h.ctx, db, h.office, nil)
		if err != nil || n != half {
			t.Errorf("went on with %d of %d: %v", n, half, err)
		}
		if old := left(); old != 0 || h.vault.KeyID() == before {
			t.Errorf("%d texts still have the old key", old)
		}
		h.whole()
		h.update(func(tx *storage.Tx) error {
			p, err := h.office.Book.FindBy(tx, number)
			if err != nil || len(p) != 1 || p[0].Name.Clear() != name {
				t.Errorf("the person is not found any more: %v %v", p, err)
			}
			again, err := h.gateway.Connector(tx, c.ID)
			if again.Secret != "geheim" {
				t.Errorf("secret %q", again.Secret)
			}
			raws, err2 := h.office.Raw(tx, mustID(tx))
			if len(raws) != 1 || !strings.Contains(string(raws[0]), number) {
				t.Errorf("original: %q", raws)
			}
			return errors.Join(err, err2)
		})
		// Who changes an original afterwards is still found.
		h.update(func(tx *storage.Tx) error {
			if _, err := tx.Exec(`INSERT INTO ticket_raw_permit (raw_id, why, at) SELECT MIN(id), 'forged', 1 FROM ticket_raw`); err != nil {
				return err // without it the database itself refuses
			}
			_, err := tx.Exec(`UPDATE ticket_raw SET sealed = $1 WHERE id = (SELECT MIN(id) FROM ticket_raw)`, h.vault.For("ticket.raw").Seal("forged"))
			return err
		})
		if drifts, err := ticket.VerifyProjection(h.ctx, db, h.vault); err != nil || len(drifts) != 1 {
			t.Errorf("a forged original: %v %v", drifts, err)
		}
	})
}

func mustID(tx *storage.Tx) string {
	id, err := storage.One(tx, storage.Value[string], `SELECT MIN(id) FROM ticket`)
	if err != nil {
		panic(err)
	}
	return id
}

// figures are counts that must stay as they were whatever is taken out.
func (h *house) figures() (out string) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) error {
		for _, q := range []string{`SELECT COUNT(*) FROM ticket`, `SELECT COUNT(*) FROM ticket WHERE state = 'REFUSED'`, `SELECT COUNT(DISTINCT contact_id) FROM ticket`, `SELECT COUNT(*) FROM ticket_clock`,
			`SELECT COALESCE(SUM(closed_at - received_at), 0) FROM ticket`, `SELECT COUNT(*) FROM sms_inbound`, `SELECT COUNT(*) FROM contact`} {
			n, err := storage.One(tx, storage.Value[int64], q)
			if err != nil {
				return err
			}
			out += fmt.Sprint(n, " ")
		}
		return nil
	})
	return out
}

// secrets are what must be found nowhere in clear, and can no more be opened, after an erasure.
func (h *house) opens() (n int) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) error {
		for _, c := range Columns {
			if c.Table == "sim_text" || c.Table == "sim_reply" || c.Table == "cmpp_fragment" {
				continue
			}
			all, err := storage.All(tx, storage.Value[[]byte], `SELECT `+c.Name+` FROM `+c.Table+` WHERE `+c.Name+` IS NOT NULL`)
			if err != nil {
				return err
			}
			for _, sealed := range all {
				text, err := h.vault.For(c.Purpose).Open(sealed)
				if err != nil {
					return fmt.Errorf("%s.%s: %w", c.Table, c.Name, err)
				}
				if strings.Contains(text, number) || strings.Contains(text, name) || strings.Contains(text, identity) || strings.Contains(text, "wang@") {
					n++
				}
			}
		}
		return nil
	})
	return n
}

func TestWhatIsTooOldIsTakenOutAndTheFiguresStay(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		h.fill(40, true)
		h.now = h.now.AddDate(9, 11, 0)
		h.fill(3, true)
		before := h.figures()
		h.now = h.now.AddDate(0, 2, 0) // the first ones are ten years old now
		list, err := h.keeper.Preview(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		due := map[Kind]int{}
		for _, d := range list {
			due[d.Kind] = d.Rows
		}
		if due[Tickets] != 40 || due[Texts] != 1 {
			t.Errorf("due %v", due)
		}
		if h.figures() != before || h.opens() == 0 {
			t.Error("a preview changed something")
		}
		done, err := h.keeper.Run(h.ctx, "system")
		if err != nil || done[0].Done != 40 {
			t.Fatalf("%+v %v", done, err)
		}
		if after := h.figures(); after != before {
			t.Errorf("figures were %s and are %s", before, after)
		}
		h.whole()
		if again, err := h.keeper.Run(h.ctx, "system"); err != nil || again[0].Rows != 0 {
			t.Errorf("again: %+v %v", again[0], err)
		}
		h.update(func(tx *storage.Tx) error {
			list, _, err := h.office.List(tx, ticket.Filter{Viewer: ticket.System, Order: ticket.ByOldest, Limit: 1})
			if err != nil || list[0].Title != ticket.Erased || list[0].ContactID == "" {
				t.Errorf("%+v %v", list[0], err)
			}
			raws, err := h.office.Raw(tx, list[0].ID)
			if len(raws) != 0 {
				t.Error("the original is still there")
			}
			p, err2 := h.office.Book.FindBy(tx, number)
			if len(p) != 1 {
				t.Error("a person with newer requests was let go")
			}
			return errors.Join(err, err2)
		})
		h.now = h.now.AddDate(10, 0, 0)
		if _, err := h.keeper.Run(h.ctx, "system"); err != nil {
			t.Fatal(err)
		}
		if n := h.opens(); n != 0 {
			t.Errorf("%d sealed texts still name the person", n)
		}
		h.update(func(tx *storage.Tx) error {
			if p, err := h.office.Book.FindBy(tx, number); err != nil || len(p) != 0 {
				t.Errorf("the person is still there: %v %v", p, err)
			}
			return nil
		})
		h.whole()
		// A text that comes back is found.
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE ticket_text SET shown = 'zurück' WHERE id = (SELECT MIN(id) FROM ticket_text)`)
			return err
		})
		if drifts, _ := ticket.VerifyProjection(h.ctx, db, h.vault); len(drifts) == 0 {
			t.Error("an erased text that is there again is not noticed")
		}
	})
}

func TestAPersonGetsTheirDataAndCanHaveItErased(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		settled := h.fill(2, true)
		h.now = h.now.Add(time.Hour)
		open := h.fill(1, false)
		var d Dossier
		if err := db.Update(h.ctx, func(tx *storage.Tx) error { _, err := h.keeper.Export(tx, "staff/x", number, ""); return err }); !errors.Is(err, contact.ErrNoReason) {
			t.Errorf("without a reason: %v", err)
		}
		h.update(func(tx *storage.Tx) (err error) {
			d, err = h.keeper.Export(tx, "staff/x", identity, "本人申请2026-7")
			return err
		})
		if d.Phone != number || d.Name != name || d.Identity != identity || d.Mail != "wang@example.com" || len(d.Requests) != 3 || !strings.Contains(d.Requests[0].Body, number) || len(d.Texts) != 2 || d.Requests[0].Files != 1 {
			t.Errorf("%+v", d)
		}
		erase := func() (e Erased, err error) {
			err = db.Update(h.ctx, func(tx *storage.Tx) (err error) {
				e, err = h.keeper.Erase(tx, "staff/x", number, "本人申请2026-8")
				return err
			})
			return e, err
		}
		if _, err := erase(); !errors.Is(err, ErrOpen) {
			t.Errorf("with an open request: %v", err)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := h.office.Refuse(tx, open[0], "elsewhere", ticket.Reply{Text: "已告知", Via: "phone"}, ticket.System)
			return err
		})
		before := h.figures()
		e, err := erase()
		if err != nil || e.Requests != 3 || e.Texts != 2 {
			t.Fatalf("%+v %v", e, err)
		}
		if n := h.opens(); n != 0 || h.figures() != before {
			t.Errorf("%d sealed texts still name the person; figures %s, were %s", n, h.figures(), before)
		}
		h.whole()
		if _, err := erase(); !errors.Is(err, ErrUnknown) {
			t.Errorf("again: %v", err)
		}
		_ = settled
	})
}

func TestPeriodsAreRead(t *testing.T) {
	for text, want := range map[string]Period{"10y": {Years: 10}, "6m": {Months: 6}, " 30d": {Days: 30}} {
		if p, err := ParsePeriod(text); err != nil || p != want {
			t.Errorf("%q: %v %v", text, p, err)
		}
	}
	for _, text := range []string{"", "y", "0d", "-1y", "10", "10w", "99999999999y"} {
		if p, err := ParsePeriod(text); err == nil {
			t.Errorf("%q was read as %v", text, p)
		}
	}
	if Check(map[Kind]Period{"alles": {Days: 1}}) == nil {
		t.Error("a period for a kind that does not exist")
	}
}
