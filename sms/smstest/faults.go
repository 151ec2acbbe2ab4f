package smstest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// Between stands before a far end that is spoken to over HTTP and spoils what it answers: the far end has done what it was
// asked to, and we do not hear it.
type Between struct {
	Far http.Handler

	mu     sync.Mutex
	answer http.HandlerFunc // in place of the far end's; nil lets its own through
	shut   bool             // the far end is not reached at all
	taken  func()           // after the far end has done its work, before we are answered
}

func (b *Between) set(answer http.HandlerFunc, shut bool, taken func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer, b.shut, b.taken = answer, shut, taken
}

func (b *Between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	answer, shut, taken := b.answer, b.shut, b.taken
	b.mu.Unlock()
	heard := httptest.NewRecorder()
	if !shut {
		b.Far.ServeHTTP(heard, r)
	}
	if taken != nil {
		taken()
	}
	if answer != nil {
		answer(w, r)
		return
	}
	for k, v := range heard.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(heard.Code)
	io.Copy(w, heard.Body)
}

// Far is a carrier with its far end over HTTP in the test's hand.
type Far struct {
	Carrier sms.Carrier
	Between *Between
	Got     func() []Text
	Push    func(sms.State) int // the far end pushes the receipt (Delivered or Failed) of the last text it has taken; returns our status
	CanAsk  bool
}

// Faults sends texts through an outbox to a far end that takes them and then answers with an error, a page or nothing, and
// whose receipts come early, twice, in no order, or never: nothing is sent twice, nothing is lost, and what arrived stays
// delivered. receipts is where the far end's pushes have to end.
func Faults(t *testing.T, start func(t *testing.T, receipts func(context.Context, sms.Receipt) error) Far) {
	page := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"500": page(500, ""), "502 and a page": page(502, "<html>bad gateway</html>"), "504": page(504, "<html>timeout</html>"), "302": page(302, "<html>moved</html>"),
		"200 and a page": page(200, "<html>welcome</html>"), "200 and nothing": page(200, ""),
		"the end of the connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run("taken, and answered with "+name+": once, and unknown until it is known", func(t *testing.T) {
			t.Parallel()
			b := newBench(t, start)
			b.far.Between.set(answer, false, nil)
			id := b.queue()
			b.flush()
			b.state(id, sms.Unknown)
			b.far.Between.set(nil, false, nil)
			for range 5 {
				b.pass(10 * time.Minute)
			}
			want := sms.Unknown
			if b.far.CanAsk {
				want = sms.Accepted
			}
			b.state(id, want)
			b.push(sms.Delivered)
			for range 5 { // a receipt that names the far end's id alone has to be asked about
				b.pass(30 * time.Minute)
			}
			b.state(id, sms.Delivered)
			b.pass(49 * time.Hour)
			b.once()
		})
	}
	t.Run("not taken, and answered with 429 and a page: sent once, later", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, start)
		b.far.Between.set(page(429, "<html>slow down</html>"), true, nil)
		id := b.queue()
		b.flush()
		b.state(id, sms.Queued)
		b.far.Between.set(nil, false, nil)
		b.pass(10 * time.Minute)
		b.state(id, sms.Accepted)
		b.once()
	})
	t.Run("a receipt before the answer is kept for the text", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, start)
		b.far.Between.set(nil, false, func() { b.push(sms.Delivered) })
		id := b.queue()
		b.flush()
		b.far.Between.set(nil, false, nil)
		b.pass(time.Minute)
		b.state(id, sms.Delivered)
		b.once()
	})
	t.Run("receipts twice and in no order end in one state", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, start)
		id := b.queue()
		b.flush()
		b.state(id, sms.Accepted)
		for _, s := range []sms.State{sms.Failed, sms.Failed, sms.Delivered, sms.Delivered, sms.Failed} {
			b.push(s)
		}
		b.state(id, sms.Delivered)
		b.pass(49 * time.Hour)
		b.state(id, sms.Delivered)
		b.once()
	})
	t.Run("a receipt that never comes leaves it to a person, unsent", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, start)
		id := b.queue()
		b.flush()
		for range 10 {
			b.pass(6 * time.Hour)
		}
		b.state(id, sms.Unknown)
		b.once()
	})
}

// bench is an outbox on a database of its own, with one carrier and a clock.
type bench struct {
	t      *testing.T
	db     *storage.DB
	outbox *sms.Outbox
	far    Far
	mu     sync.Mutex
	ahead  time.Duration // of the real clock: far ends go by that
}

func newBench(t *testing.T, start func(*testing.T, func(context.Context, sms.Receipt) error) Far) *bench {
	b := &bench{t: t, db: storagetest.SQLite(t)}
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	b.far = start(t, func(ctx context.Context, r sms.Receipt) error { return b.outbox.Receipt(ctx, r) })
	b.outbox = &sms.Outbox{DB: b.db, Carriers: []sms.Carrier{b.far.Carrier}, Vault: v, Signature: "本溪公安", Limits: sms.Limits{SendTimeout: 20 * time.Second}, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return time.Now().Add(b.ahead) }}
	return b
}

func (b *bench) queue() (id string) {
	b.t.Helper()
	p, err := contact.ParseMobile("13804140001")
	if err == nil {
		err = b.db.Update(context.Background(), func(tx *storage.Tx) (err error) {
			id, _, err = b.outbox.Queue(tx, sms.Message{Key: "k", Phone: p, Body: "请评价站前派出所", NotAfter: time.Now().Add(30 * 24 * time.Hour)})
			return err
		})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func (b *bench) flush() {
	b.t.Helper()
	if _, err := b.outbox.Flush(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// pass lets time pass, and the outbox work.
func (b *bench) pass(d time.Duration) {
	b.t.Helper()
	b.mu.Lock()
	b.ahead += d
	b.mu.Unlock()
	b.flush()
}

func (b *bench) push(s sms.State) {
	if code := b.far.Push(s); code < 200 || code > 299 {
		b.t.Errorf("a receipt was answered %d", code)
	}
}

func (b *bench) state(id string, want sms.State) {
	b.t.Helper()
	var m sms.Message
	if err := b.db.View(context.Background(), func(tx *storage.Tx) (err error) { m, err = b.outbox.Get(tx, id); return err }); err != nil {
		b.t.Fatal(err)
	}
	if m.State != want {
		b.t.Errorf("the text is %s (%s), want %s", m.State, m.Reason, want)
	}
}

func (b *bench) once() {
	b.t.Helper()
	if got := b.far.Got(); len(got) != 1 {
		b.t.Errorf("the far end has %d texts, want 1", len(got))
	}
}
