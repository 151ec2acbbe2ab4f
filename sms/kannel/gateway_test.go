package kannel_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/kannel"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// The real thing: bearerbox and smsbox of the Debian package, with fakesmsc or the npm package smpp as message centre,
// between our outbox and our inbox.

const patience = 60 * time.Second // of any wait; on an idle machine nothing takes more than two seconds

// process is a child that dies with the test.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	out  bytes.Buffer
}

func start(t testing.TB, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(name), cmd: exec.Command(name, args...)}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s (run `make tools`): %v", name, err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		if t.Failed() {
			s := p.said()
			t.Logf("%s:\n%s", p.name, s[max(0, len(s)-3000):])
		}
	})
	return p
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// rig is our house with a real gateway behind it.
type rig struct {
	t       testing.TB
	db      *storage.DB
	outbox  *sms.Outbox
	carrier *kannel.Carrier
	admin   string
	sendsms string
	smscAt  int
	boxes   []*process   // bearerbox and smsbox
	trouble atomic.Int64 // so many pushes are refused before one is stored

	mu      sync.Mutex
	replies []sms.Inbound
}

const fakeGroup = `smsc = fake
smsc-id = TEST
port = %d
connect-allow-ip = 127.0.0.1`

const smppGroup = `smsc = smpp
smsc-id = TEST
host = 127.0.0.1
port = %d
transceiver-mode = true
smsc-username = u
smsc-password = p
system-type = "VMA"
address-range = ""
reconnect-delay = 1
alt-charset = "UTF-8"`

func newRig(t testing.TB, smsc, core string) *rig {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, db: storagetest.SQLite(t)}
	vault, err := contact.OpenVault(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	inbox := &sms.Inbox{DB: r.db, Vault: vault, Handle: func(_ *storage.Tx, in sms.Inbound) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.replies = append(r.replies, in)
		return nil
	}}
	r.outbox = &sms.Outbox{DB: r.db, Vault: vault, Signature: "本溪公安"}
	refuse := func() error {
		if r.trouble.Add(-1) >= 0 {
			return errors.New("disk full")
		}
		return nil
	}
	hooks := &kannel.Webhooks{
		Receipts: func(ctx context.Context, rc sms.Receipt) error {
			return errors.Join(refuse(), r.outbox.Receipt(ctx, rc))
		},
		Replies: func(ctx context.Context, in sms.Inbound) error {
			if err := refuse(); err != nil {
				return err
			}
			_, _, err := inbox.Receive(ctx, in)
			return err
		}}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)

	ports := freePorts(t, 4)
	r.smscAt = ports[3]
	r.admin = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	r.sendsms = fmt.Sprintf("http://127.0.0.1:%d", ports[2])
	r.carrier = carrier(t, r.sendsms, func(c *kannel.Config) { c.CallbackURL, c.Extend = srv.URL, true })
	hooks.Carrier = r.carrier
	mux.Handle("GET "+kannel.ReceiptPath, hooks.Receipt())
	mux.Handle("GET "+kannel.ReplyPath, hooks.Reply())
	r.outbox.Carriers = []sms.Carrier{r.carrier}

	conf := fmt.Sprintf(`group = core
admin-port = %d
admin-interface = 127.0.0.1
admin-password = bar
smsbox-port = %d
smsbox-interface = 127.0.0.1
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
log-file = "bearerbox.log"
log-level = 2
dlr-storage = internal
store-type = spool
store-location = "./spool"
%s

group = smsc
%s

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = %d
sendsms-port = %d
sendsms-interface = 127.0.0.1
log-file = "smsbox.log"
log-level = 2
http-request-retry = 100
http-queue-delay = 1

group = sendsms-user
username = u
password = p
max-messages = 10

group = sms-service
keyword = default
get-url = "%s?from=%%p&to=%%P&text=%%b&charset=%%C&coding=%%c&id=%%I&udh=%%u&at=%%T"
max-messages = 0
omit-empty = true
`, ports[0], ports[1], core, fmt.Sprintf(smsc, r.smscAt), ports[1], ports[2], srv.URL+strings.Replace(kannel.ReplyPath, "{secret}", secret, 1))
	file := filepath.Join(dir, "kannel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	r.boxes = append(r.boxes, start(t, dir, nil, "bearerbox", file))
	waitFor(t, "bearerbox", func() bool { return strings.Contains(r.status(), "running") })
	r.boxes = append(r.boxes, start(t, dir, nil, "smsbox", file))
	waitFor(t, "smsbox", func() bool { return strings.Contains(r.status(), "smsbox:(none)") })
	return r
}

func (r *rig) status() string {
	resp, err := http.Get(r.admin + "/status.txt?password=bar")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// queue puts a text into the outbox and sends it.
func (r *rig) send(body string) string {
	r.t.Helper()
	p, err := contact.ParseMobile("13804140001")
	if err != nil {
		r.t.Fatal(err)
	}
	var id string
	err = r.db.Update(context.Background(), func(tx *storage.Tx) (err error) {
		id, _, err = r.outbox.Queue(tx, sms.Message{Key: storage.NewID(), Phone: p, Body: body, Extension: "327"})
		return err
	})
	if err == nil {
		_, err = r.outbox.Flush(context.Background())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) get(id string) (m sms.Message, receipts []sms.Receipt) {
	r.t.Helper()
	err := r.db.View(context.Background(), func(tx *storage.Tx) (err error) {
		if m, err = r.outbox.Get(tx, id); err == nil {
			receipts, err = sms.Receipts(tx, id)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return m, receipts
}

func (r *rig) waitState(id string, want sms.State) []sms.Receipt {
	r.t.Helper()
	var receipts []sms.Receipt
	var m sms.Message
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m, receipts = r.get(id); m.State == want {
			return receipts
		}
	}
	r.t.Fatalf("text is %s (%s %s), want %s; receipts %+v", m.State, m.ErrorCode, m.Reason, want, receipts)
	return nil
}

func (r *rig) reply(n int) sms.Inbound {
	r.t.Helper()
	waitFor(r.t, fmt.Sprintf("reply %d", n+1), func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.replies) > n
	})
	return r.replies[n]
}

func TestATextGoesOutAndItsReplyComesInThroughARealGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeGroup, "")
	smsc := start(t, t.TempDir(), nil, "/usr/lib/kannel/test/fakesmsc", "-v", "0", "-H", "127.0.0.1", "-r", fmt.Sprint(r.smscAt))
	waitFor(t, "fakesmsc", func() bool { return strings.Contains(r.status(), "online") })

	id := r.send("您好,请对昨日110接处警服务评价:1满意 2基本满意 3不满意😊")
	receipts := r.waitState(id, sms.Delivered)
	if len(receipts) == 0 || receipts[0].MessageID != id {
		t.Errorf("receipts %+v", receipts)
	}
	waitFor(t, "the text at fakesmsc", func() bool { return strings.Contains(smsc.said(), "Got message 1") })
	line := smsc.said()
	line = line[strings.Index(line, "Got message 1: <")+16:]
	line = line[:strings.IndexByte(line, '>')]
	f := strings.SplitN(line, " ", 4)
	raw, err := url.QueryUnescape(f[3])
	if err != nil || f[0] != "1069012110327" || f[1] != "13804140001" || f[2] != "ucs-2" || utf16(raw) != "【本溪公安】您好,请对昨日110接处警服务评价:1满意 2基本满意 3不满意😊" {
		t.Errorf("the message centre has %q: %q", line, utf16(raw))
	}

	r.trouble.Store(2) // our disk is full for a moment: Kannel must push again, and say nothing to the resident
	fmt.Fprintln(smsc.in, "13804140001 1069012110327 text 1")
	in := r.reply(0)
	if in.Body != "1" || in.Phone.Clear() != "13804140001" || in.To != "1069012110327" || r.outbox.SentWith(in) == nil || !r.outbox.SentWith(in)("327") || in.CarrierID == "" || in.SentAt.IsZero() {
		t.Errorf("reply %+v", in)
	}
	if r.trouble.Load() >= 0 {
		t.Errorf("nothing was refused on the way: %d", r.trouble.Load())
	}
	if n := strings.Count(smsc.said(), "Got message"); n != 1 {
		t.Errorf("the message centre has %d texts, want the one", n)
	}
}

func utf16(raw string) string {
	var u []rune
	for i := 0; i+1 < len(raw); i += 2 {
		u = append(u, rune(raw[i])<<8|rune(raw[i+1]))
	}
	for i := 0; i+1 < len(u); i++ {
		if u[i]>>10 == 0x36 {
			u[i] = 0x10000 + (u[i]-0xd800)<<10 + u[i+1] - 0xdc00
			u = append(u[:i+1], u[i+2:]...)
		}
	}
	return string(u)
}

func TestARealGatewayRefusesInTheWordsWeKnow(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeGroup, "sms-outgoing-queue-limit = 1") // and nobody who would take what is queued
	ctx := context.Background()
	full := sms.Kind("")
	for range 10 {
		if _, err := r.carrier.Send(ctx, message(t, "【本溪公安】试")); err != nil {
			full, _ = kindOf(err)
			break
		}
	}
	if full != sms.Throttled {
		t.Errorf("a full queue is %q, want %q", full, sms.Throttled)
	}
	for name, c := range map[string]struct {
		change func(*kannel.Config)
		want   sms.Kind
	}{
		"a wrong password":  {func(c *kannel.Config) { c.Password = "x" }, sms.Misconfigured},
		"no number of ours": {func(c *kannel.Config) { c.From = "" }, sms.Misconfigured},
		"another path":      {func(c *kannel.Config) { c.URL = r.sendsms + "/elsewhere" }, sms.Misconfigured},
	} {
		_, err := carrier(t, r.sendsms, c.change).Send(ctx, message(t, "【本溪公安】试"))
		if kind, _ := kindOf(err); kind != c.want {
			t.Errorf("%s: %s (%v), want %s", name, kind, err, c.want)
		}
	}
}

// centre is the npm package smpp as message centre.
type centre struct {
	*process
	t *testing.T
}

type event struct {
	Event, From, To, UDH, Text, Validity string
	Coding, ESM, Receipt                 int
}

func newCentre(t *testing.T, port int) *centre {
	t.Helper()
	out, err := exec.Command("../../scripts/smpp.sh").Output()
	if err != nil {
		t.Fatalf("install the npm package smpp: %v", err)
	}
	c := &centre{start(t, ".", []string{fmt.Sprintf("SMPP_PORT=%d", port), "SMPP_MODULE=" + filepath.Join(strings.TrimSpace(string(out)), "node_modules/smpp")},
		"node", "testdata/smsc.js"), t}
	waitFor(t, "the message centre to listen", func() bool { return len(c.events("listening")) == 1 })
	return c
}

func (c *centre) events(kind string) (out []event) {
	for s := bufio.NewScanner(strings.NewReader(c.said())); s.Scan(); {
		var e event
		if json.Unmarshal(s.Bytes(), &e) == nil && e.Event == kind {
			out = append(out, e)
		}
	}
	return out
}

func (c *centre) tell(line string) {
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
}

func (c *centre) mode(m string) {
	n := len(c.events("mode"))
	c.tell(`{"mode":"` + m + `"}`)
	waitFor(c.t, "the message centre to obey", func() bool { return len(c.events("mode")) > n })
}

func TestLongTextsAndRepliesPassARealGatewayOverSMPP(t *testing.T) {
	t.Parallel()
	r := newRig(t, smppGroup, "")
	smsc := newCentre(t, r.smscAt)
	waitFor(t, "the link", func() bool { return strings.Contains(r.status(), "online") })

	// Three segments with an emoji where Kannel's own splitter would cut it in half; delivered when all three are.
	body := strings.Repeat("满", 60) + "😊" + strings.Repeat("意", 100)
	id := r.send(body)
	receipts := r.waitState(id, sms.Delivered)
	parts := map[int]bool{}
	for _, rc := range receipts {
		if rc.State == sms.Delivered {
			parts[rc.Part] = true
			if rc.Code != "1 DELIVRD 000" {
				t.Errorf("code %q", rc.Code)
			}
		}
	}
	subs := smsc.events("submit")
	text := ""
	for i, s := range subs {
		text += s.Text
		if s.Coding != 8 || s.ESM&0x40 == 0 || s.Receipt&1 == 0 || s.To != "13804140001" || s.From != "1069012110327" ||
			!strings.HasSuffix(s.UDH, fmt.Sprintf("03%02d", i+1)) || len([]rune(s.Text)) > 67 {
			t.Errorf("segment %d: %+v", i+1, s)
		}
	}
	if len(subs) != 3 || len(parts) != 3 || text != "【本溪公安】"+body {
		t.Errorf("%d segments, receipts of %v, text %q", len(subs), parts, text)
	}

	// The first segment alone on the handset is not the text.
	smsc.mode("quiet")
	id = r.send(strings.Repeat("满", 100))
	waitFor(t, "acceptance of both segments", func() bool { _, rs := r.get(id); return len(rs) >= 2 })
	if m, _ := r.get(id); m.State != sms.Accepted {
		t.Errorf("without receipts the text is %s", m.State)
	}

	smsc.mode("undelivered")
	id = r.send("试")
	r.waitState(id, sms.Failed)
	if m, _ := r.get(id); m.ErrorCode != "2 UNDELIV 069" {
		t.Errorf("code %q", m.ErrorCode)
	}
	smsc.mode("reject")
	id = r.send("试")
	r.waitState(id, sms.Failed)
	if m, _ := r.get(id); !strings.HasPrefix(m.ErrorCode, "16 NACK/") {
		t.Errorf("code %q", m.ErrorCode)
	}

	smsc.tell(`{"mo":{"from":"13804140001","to":"1069012110","text":"不满意😊","coding":8}}`)
	if in := r.reply(0); in.Body != "不满意😊" || in.Phone.Clear() != "13804140001" {
		t.Errorf("reply %+v", in)
	}
	// A long reply, its segments in the wrong order.
	for _, part := range []string{`"text":"没有人来","udh":"0500034a0202"`, `"text":"民警一小时才到,","udh":"0500034a0201"`} {
		smsc.tell(`{"mo":{"from":"13804140001","to":"1069012110","coding":8,` + part + `}}`)
	}
	if in := r.reply(1); in.Body != "民警一小时才到,没有人来" {
		t.Errorf("long reply %+v", in)
	}
}
