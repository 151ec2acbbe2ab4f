package sms_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var (
	crashTexts = flag.Int("crash.texts", 120, "texts of each crash run")
	crashKills = flag.Int("crash.kills", 6, "times its senders are killed")
)

// The test binary starts itself again with these in the environment: a sender, to be killed.
const (
	crashDSN     = "LIANXIN_SMS_CRASH_DSN"
	crashKeys    = "LIANXIN_SMS_CRASH_KEYS"
	crashCarrier = "LIANXIN_SMS_CRASH_CARRIER"
	crashRate    = "LIANXIN_SMS_CRASH_RATE"
)

func TestMain(m *testing.M) {
	if os.Getenv(crashDSN) != "" {
		if err := sendUntilSettled(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(m.Run())
}

func crashLimits() sms.Limits {
	speed, _ := strconv.ParseFloat(os.Getenv(crashRate), 64)
	return sms.Limits{PerSecond: speed, Workers: 16, SendTimeout: 2 * time.Second, Lease: 3 * time.Second, Settle: time.Second, Idle: 50 * time.Millisecond}
}

// sendUntilSettled is one life of a sender.
func sendUntilSettled() error {
	ctx := context.Background()
	db, err := storage.Open(ctx, os.Getenv(crashDSN))
	if err != nil {
		return err
	}
	defer db.Close()
	v, err := contact.OpenVault(os.Getenv(crashKeys))
	if err != nil {
		return err
	}
	o := &sms.Outbox{DB: db, Vault: v, Carriers: []sms.Carrier{farCarrier(os.Getenv(crashCarrier))}, Limits: crashLimits(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	fmt.Println("alive")
	for {
		if _, err := o.Flush(ctx); err != nil && !errors.Is(err, storage.ErrConflict) {
			return err
		}
		open := 0
		err := db.View(ctx, func(tx *storage.Tx) (err error) {
			open, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms WHERE state IN ('queued', 'sending') OR (state = 'unknown' AND due IS NOT NULL)`)
			return err
		})
		if err != nil || open == 0 {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// farCarrier is a carrier in another process, by HTTP.
type farCarrier string

func (c farCarrier) Name() string { return "far" }

func (c farCarrier) call(ctx context.Context, what string, q url.Values) (out struct{ Known bool }, err error) {
	deadline, _ := ctx.Deadline()
	q.Set("deadline", strconv.FormatInt(deadline.UnixMilli(), 10))
	req, err := http.NewRequestWithContext(ctx, "POST", string(c)+what+"?"+q.Encode(), nil)
	if err != nil {
		return out, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotImplemented:
		return out, sms.ErrCannotAsk
	case http.StatusTooManyRequests:
		return out, sms.Errorf(sms.Throttled, "429", "too fast")
	case http.StatusOK:
		return out, json.NewDecoder(resp.Body).Decode(&out)
	}
	return out, fmt.Errorf("status %d", resp.StatusCode)
}

func (c farCarrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	_, err := c.call(ctx, "/send", url.Values{"id": {m.ID}})
	return sms.Sent{CarrierID: "far-" + m.ID}, err
}

func (c farCarrier) Find(ctx context.Context, m sms.Message) (sms.Found, error) {
	out, err := c.call(ctx, "/find", url.Values{"id": {m.ID}})
	return sms.Found{Known: out.Known, CarrierID: "far-" + m.ID, State: sms.Accepted}, err
}

// farEnd is the carrier's own process, which nobody kills: it takes its time before and after taking a text, now and then
// never answers or answers nonsense, and sends receipts for three texts of four.
type farEnd struct {
	mute    bool
	receipt func(id string)

	mu    sync.Mutex
	books map[string]int
	late  sync.WaitGroup
}

func (f *farEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("id")
	if r.URL.Path == "/find" {
		if f.mute {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		f.mu.Lock()
		n := f.books[id]
		f.mu.Unlock()
		fmt.Fprintf(w, `{"Known": %v}`, n > 0)
		return
	}
	time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
	deadline, _ := strconv.ParseInt(r.FormValue("deadline"), 10, 64)
	f.mu.Lock()
	// A gateway does not take what its caller has stopped waiting for: that is what Limits.Settle stands on.
	taken := rand.IntN(50) > 0 && time.Now().UnixMilli() < deadline
	if taken {
		f.books[id]++
	}
	n := len(f.books)
	f.mu.Unlock()
	if taken && n%4 != 0 {
		f.late.Go(func() {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
			f.receipt(id)
		})
	}
	time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
	switch x := rand.IntN(60); {
	case !taken && x < 30:
		w.WriteHeader(http.StatusTooManyRequests)
	case !taken, x == 0:
		w.WriteHeader(http.StatusBadGateway) // taken or not, who knows
	case x == 1:
		fmt.Fprint(w, "<html>welcome</html>")
	default:
		fmt.Fprint(w, `{}`)
	}
}

// TestCrash kills the senders with kill -9 at random moments: no text is sent twice and none is lost. With a carrier that
// can be asked all end sent; with one that cannot, those whose answer was lost end as unknown, are counted, and are never
// sent again. On PostgreSQL two senders share the work. The program of the proof:
//
//	go test ./sms -run TestCrash -crash.texts 5000 -crash.kills 40 -timeout 30m -v
func TestCrash(t *testing.T) {
	engines := map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return filepath.Join(t.TempDir(), "lianxin.db") },
		"postgres": storagetest.PostgresURL,
	}
	for engine, dsn := range engines {
		for _, mute := range []bool{false, true} {
			name := engine + "/carrier can be asked"
			if mute {
				name = engine + "/carrier cannot be asked"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				crash(t, dsn(t), map[string]int{"sqlite": 1, "postgres": 2}[engine], mute)
			})
		}
	}
}

func crash(t *testing.T, dsn string, senders int, mute bool) {
	ctx := context.Background()
	db, err := storage.Open(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	keys := filepath.Join(t.TempDir(), "keys.json")
	v, err := contact.OpenVault(keys)
	if err != nil {
		t.Fatal(err)
	}
	far := &farEnd{mute: mute, books: map[string]int{}}
	server := httptest.NewServer(far)
	defer server.Close()
	o := &sms.Outbox{DB: db, Vault: v, Carriers: []sms.Carrier{farCarrier(server.URL)}, Limits: crashLimits()}
	far.receipt = func(id string) {
		for try := 0; ; try++ {
			err := o.Receipt(ctx, sms.Receipt{Carrier: "far", MessageID: id, State: sms.Delivered})
			if err == nil {
				return
			} else if try > 20 {
				t.Errorf("receipt: %v", err)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	queued := 0
	h := &house{t: t, ctx: ctx, db: db, vault: v, outbox: o, clock: time.Now()}
	more := func(n int) {
		h.update(func(tx *storage.Tx) error {
			for end := queued + n; queued < end; queued++ {
				if _, _, err := o.Queue(tx, sms.Message{Key: fmt.Sprint("crash:", queued), Phone: h.phone(queued), Body: "试"}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	each := max(1, *crashTexts / *crashKills)
	env := append(os.Environ(), crashDSN+"="+dsn, crashKeys+"="+keys, crashCarrier+"="+server.URL, fmt.Sprintf("%s=%d", crashRate, 2*each))
	killed := 0
	for killed < *crashKills {
		more(max(5, min(each, *crashTexts-queued))) // so that there is always something to be killed in
		var lives sync.WaitGroup
		var mu sync.Mutex
		for range senders {
			lives.Go(func() {
				was, err := sendAndDie(env, time.Duration(rand.IntN(500))*time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				if was {
					killed++
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		lives.Wait()
		if t.Failed() {
			return
		}
	}
	more(max(0, *crashTexts-queued))
	if _, err := sendAndDie(env, 20*time.Minute); err != nil {
		t.Fatal(err)
	}
	far.late.Wait()
	check(t, db, far, queued, killed)
}

// check compares what we believe with the carrier's books.
func check(t *testing.T, db *storage.DB, far *farEnd, queued, killed int) {
	type text struct {
		id    string
		state sms.State
	}
	var texts []text
	err := db.View(context.Background(), func(tx *storage.Tx) (err error) {
		texts, err = storage.All(tx, func(r storage.Row) (x text, err error) { return x, r.Scan(&x.id, &x.state) }, `SELECT id, state FROM sms`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lost, twice, unknown, unknownSent := 0, 0, 0, 0
	for _, x := range texts {
		n := far.books[x.id]
		if n > 1 {
			twice++
		}
		switch x.state {
		case sms.Accepted, sms.Delivered:
			if n == 0 {
				lost++
			}
		case sms.Unknown:
			unknown++
			unknownSent += n
			if !far.mute {
				t.Errorf("text %s is unknown, though the carrier can be asked", x.id)
			}
		default:
			t.Errorf("text %s ended %s", x.id, x.state)
		}
	}
	if len(texts) != queued || lost != 0 || twice != 0 {
		t.Errorf("%d texts of %d, %d lost, %d twice", len(texts), queued, lost, twice)
	}
	t.Logf("%d texts, %d kills: %d lost, %d twice, %d unknown (%d of them sent)", queued, killed, lost, twice, unknown, unknownSent)
}

// sendAndDie starts a sender and kills it after a time, counted from its first words, unless it is done before.
func sendAndDie(env []string, after time.Duration) (killed bool, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	_, _ = out.Read(make([]byte, 64)) // "alive", or the end
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	if !timer.Stop() {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("sender: %w\n%s", err, stderr.String())
	}
	return false, nil
}
