package channel

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/ticket"
)

func (h *house) batch(code string, by ticket.Actor) (b Batch, rows [][]string) {
	h.t.Helper()
	if _, err := h.Relay(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx *storage.Tx) (err error) { b, err = h.NewBatch(tx, code, by); return err })
	if b.ID == "" {
		return b, nil
	}
	return b, h.rows(b.ID)
}

func (h *house) rows(batch string) [][]string {
	h.t.Helper()
	var buf bytes.Buffer
	h.view(func(tx *storage.Tx) error {
		items, err := h.Items(tx, batch)
		if err != nil {
			return err
		}
		return WriteItems(&buf, items, false)
	})
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(buf.Bytes(), []byte("\xEF\xBB\xBF")))).ReadAll()
	if err != nil {
		h.t.Fatal(err)
	}
	return rows[1:]
}

func (h *house) take(d Delivery) (t Taken) {
	h.t.Helper()
	h.update(func(tx *storage.Tx) (err error) { t, err = h.Gateway.Take(tx, d, ticket.System); return err })
	h.pass(time.Minute)
	return t
}

func TestTheResultFileHoldsEachSettledItemOnce(t *testing.T) {
	each(t, func(h *house) {
		var ids []string
		for i := range 5 {
			ids = append(ids, h.take(Delivery{Channel: "12345", ExternalID: fmt.Sprintf("DH%d", i), Title: "反映", Body: "内容", Phone: "13912345678"}).ID)
		}
		h.take(Delivery{Channel: "web", Title: "不属于来源方", Body: "内容"})
		if b, _ := h.batch("12345", ticket.System); b.ID != "" {
			h.t.Errorf("a batch of nothing: %+v", b)
		}
		h.settle(ids[0], "已修好,咨询电话024-42830110")
		h.settle(ids[1], "已处理")
		first, rows := h.batch("12345", h.supervisor)
		if first.Items != 2 || len(rows) != 2 || rows[0][0] != "DH0" || rows[0][2] != "办结" || !strings.Contains(rows[0][9], "024-42830110") || rows[0][10] != "非常满意" {
			h.t.Fatalf("%+v %q", first, rows)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := h.Office.Refuse(tx, ids[2], "elsewhere", ticket.Reply{Text: "请向住建部门反映", Via: "phone"}, h.dispatcher)
			return err
		})
		second, rows := h.batch("12345", ticket.System)
		if second.Items != 1 || rows[0][0] != "DH2" {
			h.t.Errorf("%+v %q", second, rows)
		}
		if again := h.rows(first.ID); len(again) != 2 {
			h.t.Errorf("an earlier batch read again has %d", len(again))
		}
		if b, _ := h.batch("12345", ticket.System); b.ID != "" {
			h.t.Errorf("something was put out twice: %+v", b)
		}
	})
}

func TestAPublishedAnswerGoesOutOnlyAfterASecondPersonApproved(t *testing.T) {
	each(t, func(h *house) {
		k := h.take(Delivery{Channel: "people", ExternalID: "R1", Title: "留言", Body: "内容", Phone: "13912345678"})
		h.settle(k.ID, "内部结果:已约谈商户王老板")
		if b, _ := h.batch("people", ticket.System); b.ID != "" {
			h.t.Fatalf("went out without an approval: %+v", b)
		}
		refused := func(code string, fn func(tx *storage.Tx) error) {
			h.t.Helper()
			err := h.DB.Update(h.ctx, fn)
			if r, ok := ticket.RefusedWith(err); !ok || r.Code != code {
				h.t.Errorf("got %v, want a refusal %s", err, code)
			}
		}
		h.update(func(tx *storage.Tx) error {
			return h.DraftReply(tx, k.ID, "网友您好,您反映的问题已解决。", h.supervisor)
		})
		refused("second", func(tx *storage.Tx) error { return h.DecideReply(tx, k.ID, true, "", h.supervisor) })
		refused("role", func(tx *storage.Tx) error { return h.DecideReply(tx, k.ID, true, "", h.operator) })
		if b, _ := h.batch("people", ticket.System); b.ID != "" {
			h.t.Fatal("went out as a draft")
		}
		h.update(func(tx *storage.Tx) error { return h.DecideReply(tx, k.ID, true, "", h.leader) })
		_, rows := h.batch("people", ticket.System)
		if len(rows) != 1 || rows[0][9] != "网友您好,您反映的问题已解决。" {
			h.t.Fatalf("%q", rows)
		}
		refused("state", func(tx *storage.Tx) error { return h.DraftReply(tx, k.ID, "改一下", h.supervisor) })
	})
}

// receiver is the other side of a push: it can be made deaf, and answer with trouble.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	status int
	got    []map[string]any
	ids    map[string]int
	bad    int
}

func newReceiver(t testing.TB, secret string) *receiver {
	r := &receiver{secret: secret, status: 200, ids: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if q.Method == http.MethodHead {
			w.WriteHeader(200)
			return
		}
		body, _ := io.ReadAll(q.Body)
		if !CheckSignature(r.secret, q.Header, body, time.Now()) {
			r.bad++
			w.WriteHeader(401)
			return
		}
		if r.status != 200 {
			w.WriteHeader(r.status)
			return
		}
		var m map[string]any
		_ = json.Unmarshal(body, &m)
		r.got = append(r.got, m)
		r.ids[q.Header.Get("webhook-id")]++
		fmt.Fprintf(w, `{"receipt":"回执%d"}`, len(r.got))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) messages(typ string) (out []map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		if m["type"] == typ {
			out = append(out, m)
		}
	}
	return out
}

func TestResultsArePushedOnceWithAReceipt(t *testing.T) {
	each(t, func(h *house) {
		other := newReceiver(h.t, "miyao")
		var c Connector
		h.update(func(tx *storage.Tx) (err error) {
			c, err = h.PutConnector(tx, Connector{Channel: "12345", Kind: Push, Name: "12345回写", Secret: "miyao", Enabled: true, Every: time.Second, Settings: Settings{URL: other.URL, Statuses: true}}, h.admin)
			return err
		})
		r := &Runner{Gateway: h.Gateway}
		k := h.take(Delivery{Channel: "12345", ExternalID: "DH1", Title: "反映", Body: "内容", Phone: "13912345678"})
		other.answer(503) // the other side is down while the matter is settled
		h.turn(r)
		h.settle(k.ID, "已处理")
		h.turn(r)
		if got := h.connector(c.ID); got.Alive(h.time()) || got.Backlog == 0 {
			h.t.Errorf("while the other side is down: %+v", got)
		}
		other.answer(200)
		h.turn(r)
		h.turn(r)
		results := other.messages("result")
		if len(results) != 1 || len(other.messages("status")) < 2 {
			h.t.Fatalf("%d results, %d statuses", len(results), len(other.messages("status")))
		}
		data := results[0]["data"].(map[string]any)
		if data["external_id"] != "DH1" || data["reply"] != "已处理" || data["state"] != "CLOSED" {
			h.t.Errorf("%v", data)
		}
		for id, n := range other.ids {
			if n != 1 {
				h.t.Errorf("message %s came %d times", id, n)
			}
		}
		h.view(func(tx *storage.Tx) error {
			sent, err := h.Outbox(tx, c.ID, 10)
			for _, s := range sent {
				if s.State != "sent" || !strings.HasPrefix(s.Receipt, "回执") {
					h.t.Errorf("%+v", s)
				}
			}
			return err
		})
		if got := h.connector(c.ID); !got.Alive(h.time()) || got.Backlog != 0 {
			h.t.Errorf("%+v", got)
		}
		// A message that is refused by itself does not hold the others up, and is told of.
		other.answer(422)
		k2 := h.take(Delivery{Channel: "12345", ExternalID: "DH2", Title: "反映", Body: "内容"})
		h.update(func(tx *storage.Tx) error {
			_, err := h.Office.Accept(tx, k2.ID, ticket.Acceptance{Kind: ticket.Help}, h.dispatcher)
			return err
		})
		h.turn(r)
		h.view(func(tx *storage.Tx) error {
			sent, err := h.Outbox(tx, c.ID, 1)
			if sent[0].State != "due" || sent[0].Error != "status 422" {
				h.t.Errorf("%+v", sent[0])
			}
			return err
		})
		if other.bad > 0 {
			h.t.Errorf("%d messages had a wrong signature", other.bad)
		}
	})
}

func TestWebhooksTellNothingPersonalAndNothingOfTheSeat(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	other := newReceiver(t, "s")
	h.update(func(tx *storage.Tx) (err error) {
		_, err = h.PutConnector(tx, Connector{Kind: Webhook, Name: "大屏", Secret: "s", Enabled: true, Every: time.Second, Settings: Settings{URL: other.URL, Events: []string{"ticket."}}}, h.admin)
		return err
	})
	h.take(Delivery{Channel: "web", Title: "秘密的标题", Body: "电话13912345678", Phone: "13912345678", Name: "王小明"})
	h.take(Delivery{Channel: "12389", ExternalID: "J1", Title: "举报民警", Body: "内容"})
	h.turn(&Runner{Gateway: h.Gateway})
	got, _ := json.Marshal(other.got)
	if len(other.messages("ticket.opened")) != 1 {
		t.Errorf("%s", got)
	}
	for _, secret := range []string{"秘密的标题", "13912345678", "王小明", "12389", "J1"} {
		if bytes.Contains(got, []byte(secret)) {
			t.Errorf("a webhook tells %s", secret)
		}
	}
}

func TestSignedFilesAreExchangedThroughFolders(t *testing.T) {
	h := newHouse(t, storageSQLite(t))
	in, out := t.TempDir(), t.TempDir()
	h.update(func(tx *storage.Tx) error {
		_, err := h.PutConnector(tx, Connector{Channel: "12345", Kind: Folder, Name: "入", Secret: "k", Enabled: true, Every: time.Second, Settings: Settings{Dir: in}}, h.admin)
		if err != nil {
			return err
		}
		_, err = h.PutConnector(tx, Connector{Channel: "12345", Kind: Results, Name: "出", Secret: "k", Enabled: true, Every: time.Second, Settings: Settings{Dir: out}}, h.admin)
		return err
	})
	old := time.Now().Add(-time.Minute)
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(in, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(in, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	good := "编号,标题,内容,电话\nA1,路灯,不亮,13912345678\n,缺编号,内容,\n"
	put("good.csv", good)
	put("good.csv.sig", SignFile("k", "good.csv", []byte(good)))
	put("forged.csv", "编号,标题,内容\nB1,伪造,内容\n")
	put("forged.csv.sig", SignFile("other", "forged.csv", []byte("编号,标题,内容\nB1,伪造,内容\n")))
	r := &Runner{Gateway: h.Gateway}
	h.turn(r)
	k := h.byNumber("12345", "A1")
	done, _ := filepath.Glob(filepath.Join(in, "done", "*good.csv*"))
	failed, _ := filepath.Glob(filepath.Join(in, "failed", "*forged.csv"))
	if len(done) != 4 || len(failed) != 1 {
		t.Errorf("done %q, failed %q", done, failed)
	}
	h.view(func(tx *storage.Tx) error {
		n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket`)
		if n != 1 {
			t.Errorf("%d tickets: a forged file was taken", n)
		}
		return err
	})
	h.settle(k.ID, "已修复")
	h.turn(r)
	h.turn(r)
	files, _ := filepath.Glob(filepath.Join(out, "*.csv"))
	if len(files) != 1 {
		t.Fatalf("files %q", files)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	sig, err := os.ReadFile(files[0] + ".sig")
	if err != nil || strings.TrimSpace(string(sig)) != SignFile("k", filepath.Base(files[0]), content) || !bytes.Contains(content, []byte("A1")) {
		t.Errorf("%s %v", content, err)
	}
}
