package console

import (
	"bytes"
	"context"
	"encoding/binary"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/city"
	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/privacy"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/survey/poll"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/workday"
)

// house is a console over real rooms and the sample city, with one clock that tests set.
type house struct {
	t       testing.TB
	ctx     context.Context
	s       *Server
	http    *httptest.Server
	db      *storage.DB
	book    *contact.Book
	office  *ticket.Office
	survey  *survey.Survey
	gateway *channel.Gateway
	outbox  *sms.Outbox
	inbox   *sms.Inbox
	sim     *sim.Carrier
	board   *desk.Memory
	hub     *Hub
	staff   map[string]org.Staff // by login
	files   string               // folder of recordings

	mu     sync.Mutex
	clock  time.Time
	live   []ivr.LiveCall
	orders []ivr.Order               // what was asked of calls
	outs   []ivr.CallOut             // and whom to call
	refuse *ivr.Refusal              // what both are answered with
	jars   map[string]http.CookieJar // of those who have signed in
}

const housePassword = "yangben-mima-2026"

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

// set puts the clock to a moment in the city's time, such as "2026-11-24 09:30".
func (h *house) set(text string) {
	h.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", text, workday.Zone)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = at
}

// newHouse is a house at 10:00 on Monday 2026-11-23.
func newHouse(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, ctx: context.Background(), db: storagetest.SQLite(t), hub: &Hub{}, staff: map[string]org.Staff{}, files: filepath.Join(dir, "recordings"),
		jars: map[string]http.CookieJar{}}
	h.set("2026-11-23 10:00")
	vault, err := contact.OpenVault(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	h.book = &contact.Book{Vault: vault, Now: h.now}
	if h.office, err = ticket.NewOffice(h.book); err != nil {
		t.Fatal(err)
	}
	h.office.Now = h.now
	h.office.Changed = func(ticket.Ticket) { h.hub.Publish(EventTickets) }
	h.office.Notify = func(n ticket.Notice) {
		if n.Kind == ticket.NoticeAlert {
			h.hub.Publish(EventAlert)
		}
	}
	if _, err := city.Load(h.ctx, h.db, city.Options{Now: h.now, Book: h.book, Password: housePassword}); err != nil {
		t.Fatal(err)
	}
	h.sim = &sim.Carrier{DB: h.db, Vault: vault, Now: h.now, Log: quiet}
	h.outbox = &sms.Outbox{DB: h.db, Carriers: []sms.Carrier{h.sim}, Vault: vault, Signature: "本溪公安", Now: h.now, Log: quiet}
	h.inbox = &sms.Inbox{DB: h.db, Vault: vault, Now: h.now, Log: quiet}
	h.gateway = &channel.Gateway{DB: h.db, Office: h.office, Now: h.now, Log: quiet}
	h.survey = &survey.Survey{DB: h.db, Book: h.book, Office: h.office, Outbox: h.outbox, Inbox: h.inbox, Now: h.now, Log: quiet}
	h.inbox.Handle = h.survey.Reply
	h.sim.Receipts = h.outbox.Receipt
	h.sim.Replies = func(ctx context.Context, in sms.Inbound) error { _, _, err := h.inbox.Receive(ctx, in); return err }
	h.board = desk.NewMemory(desk.Options{})
	t.Cleanup(func() { h.board.Close() })
	h.view(func(tx *storage.Tx) error {
		all, err := org.AllStaff(tx)
		for _, s := range all {
			h.staff[s.Login] = s
		}
		return err
	})
	h.s = New(Deps{DB: h.db, Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})), Now: h.now, Hub: h.hub, Sample: true, Book: h.book, Office: h.office, Gateway: h.gateway, Keeper: &privacy.Keeper{DB: h.db, Office: h.office, Now: h.now},
		Polls: &poll.Office{Book: h.book, Outbox: h.outbox, PublicURL: "https://minyi.example", Keys: filepath.Join(dir, "poll-keys"), Now: h.now, Log: quiet},
		Board: h.board, Calls: ivr.Calls{Vault: vault}, Live: h.liveCalls, Survey: h.survey, Outbox: h.outbox, Handset: h.sim,
		Order: h.takeOrder, CallOut: h.takeCall,
		SayText: func(keys []string) string { return strings.Join(keys, " ") }, Recordings: h.files,
		Health: func(context.Context) []Part { return []Part{{Name: "storage", OK: true, Needed: true}} }})
	h.http = httptest.NewServer(h.s.Handler())
	t.Cleanup(h.http.Close)
	return h
}

// testLog writes what the console logs, warnings and worse, into the test's log, and fails the test on errors.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("level=ERROR")) {
		l.t.Errorf("logged: %s", p)
	} else {
		l.t.Logf("logged: %s", p)
	}
	return len(p), nil
}

func (h *house) liveCalls() []ivr.LiveCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live
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

// actor is a sample account as the rooms know it.
func (h *house) actor(login string) ticket.Actor {
	h.t.Helper()
	s, ok := h.staff[login]
	if !ok {
		h.t.Fatalf("no sample account %s", login)
	}
	return ticket.Staff(s)
}

// person enters a resident and returns the id.
func (h *house) person(number, name string) (id string) {
	h.t.Helper()
	phone, err := contact.ParseMobile(number)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx *storage.Tx) error {
		p, err := h.book.Ensure(tx, phone, name)
		id = p.ID
		return err
	})
	return id
}

// open opens a ticket; what the test does not say is filled in.
func (h *house) open(in ticket.Intake) (t ticket.Ticket) {
	h.t.Helper()
	if in.Channel == "" {
		in.Channel = "hotline"
	}
	if in.By.Kind == "" {
		in.By = h.actor("operator1")
	}
	if in.Title == "" {
		in.Title, in.Body = "小区门口夜间噪音", "每晚十一点后有人在小区门口唱歌，影响休息。"
	}
	h.do(func(tx *storage.Tx) (err error) { t, err = h.office.Open(tx, in); return err })
	return t
}

// do is update with the next minute on the clock, so that events have different times.
func (h *house) do(fn func(*storage.Tx) error) {
	h.t.Helper()
	h.update(fn)
	h.pass(time.Minute)
}

func (h *house) get(id string) (t ticket.Ticket) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { t, err = h.office.Get(tx, id); return err })
	return t
}

func (h *house) legs(id string) (legs []ticket.Leg) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) { legs, err = h.office.Legs(tx, id); return err })
	return legs
}

// call puts the record of a finished call and its recording there.
func (h *house) call(id, number, contactID, ticketID string) {
	h.t.Helper()
	path := filepath.Join(h.files, id+".wav")
	if err := os.MkdirAll(h.files, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, wav(2*time.Second), 0o600); err != nil {
		h.t.Fatal(err)
	}
	phone, err := contact.ParseMobile(number)
	if err != nil {
		h.t.Fatal(err)
	}
	at := h.now()
	ms := func(d time.Duration) int64 { return at.Add(d).UnixMilli() }
	h.update(func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO call (id, node, number_sealed, number_hash, contact_id, dialled, trunk, anonymous, urgent, started, answered, queued, connected, parted,
			ended, seen, disposition, ended_by, cause, operator, staff_id, offers, wait_ms, talk_ms, rating, recording, recording_sha256, recording_ms, recording_bytes,
			recorded_from, message_from_ms, message_ms, ticket_id, callback_id, answers, flow, flow_version, steps)
			VALUES ($1, 'node', $2, $3, $4, '46110110', 'trunk', FALSE, FALSE, $5, $6, $7, $8, $9, $10, $10, 'answered', 'caller', '', '8001', $11, 1, 4000, 65000, 2,
			$12, '', 2000, 32044, $6, 0, 0, $13, '', '', 'hotline', '1', '[]')`,
			id, h.book.Vault.For("call.number").Seal(phone.Clear()), h.book.Vault.HashPhone(phone), contactID, ms(0), ms(time.Second), ms(20*time.Second), ms(24*time.Second),
			ms(89*time.Second), ms(95*time.Second), h.staff["operator1"].ID, id+".wav", ticketID)
		return err
	})
}

// wav is silence in 16-bit PCM at 8 kHz.
func wav(d time.Duration) []byte {
	n := int(d.Seconds()*8000) * 2
	b := bytes.NewBufferString("RIFF")
	binary.Write(b, binary.LittleEndian, uint32(36+n))
	b.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(8000), uint32(16000), uint16(2), uint16(16)} {
		binary.Write(b, binary.LittleEndian, v)
	}
	b.WriteString("data")
	binary.Write(b, binary.LittleEndian, uint32(n))
	b.Write(make([]byte, n))
	return b.Bytes()
}

// morning imports yesterday's records of the sample city, asks, delivers, and lets one person answer; it returns the
// number that answered.
func (h *house) morning(reply string) contact.Phone {
	h.t.Helper()
	yesterday := workday.DayOf(h.now()).Add(-1)
	data, err := city.Records(yesterday)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.survey.Import(h.ctx, bytes.NewReader(data), "yesterday.csv", survey.ImportOptions{}); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.survey.Run(h.ctx, yesterday, survey.RunOptions{}); err != nil {
		h.t.Fatal(err)
	}
	flush := func() {
		h.t.Helper()
		for range 3 {
			if _, err := h.outbox.Flush(h.ctx); err != nil {
				h.t.Fatal(err)
			}
			h.pass(time.Minute)
			if _, err := h.sim.Flush(h.ctx); err != nil {
				h.t.Fatal(err)
			}
			if _, err := h.inbox.Flush(h.ctx); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	flush()
	handsets, err := h.sim.Handsets(h.ctx, 1)
	if err != nil || len(handsets) == 0 {
		h.t.Fatalf("no text arrived: %v", err)
	}
	if _, err := h.sim.Reply(h.ctx, handsets[0].Phone, reply); err != nil {
		h.t.Fatal(err)
	}
	flush()
	return handsets[0].Phone
}

// browser is somebody signed in.
type browser struct {
	h      *house
	login  string
	lang   string
	client *http.Client
}

// as signs a sample account in over HTTP.
func (h *house) as(login string) *browser {
	h.t.Helper()
	h.mu.Lock()
	jar, first := h.jars[login], len(h.jars) == 0
	h.mu.Unlock()
	b := &browser{h: h, login: login, client: &http.Client{Jar: jar}}
	if jar != nil {
		return b
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	b.client.Jar = jar
	if first { // the first of each house comes in by the door: that it opens is a test, its hash a tenth of a second of processor time
		if p := b.post("/sign-in", url.Values{"login": {login}, "password": {housePassword}, "next": {"/tickets"}}); p.status != http.StatusOK && p.status != http.StatusForbidden {
			h.t.Fatalf("%s cannot sign in: %d", login, p.status)
		}
	} else {
		h.seat(jar, login)
	}
	h.mu.Lock()
	h.jars[login] = jar
	h.mu.Unlock()
	return b
}

// seat gives a jar the session that the sign-in would have given, without the password's hash.
func (h *house) seat(jar http.CookieJar, login string) {
	h.t.Helper()
	p, ok := h.staff[login]
	if !ok {
		h.t.Fatalf("no sample account %s", login)
	}
	ctx, err := h.s.session.Load(h.ctx, "")
	if err != nil {
		h.t.Fatal(err)
	}
	h.s.session.Put(ctx, userKey, p.ID)
	token, _, err := h.s.session.Commit(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	at, err := url.Parse(h.http.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	jar.SetCookies(at, []*http.Cookie{{Name: h.s.session.Cookie.Name, Value: token, Path: "/"}})
}

// in is the browser of somebody who reads another language.
func (b *browser) in(lang string) *browser {
	c := *b
	c.lang = lang
	return &c
}

// answer is what came back.
type answer struct {
	status int
	body   string // with character references read
	path   string // where the redirects led
	header http.Header
}

func (b *browser) send(r *http.Request) answer {
	b.h.t.Helper()
	if b.lang != "" {
		r.AddCookie(&http.Cookie{Name: "lang", Value: b.lang})
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.h.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	return answer{res.StatusCode, html.UnescapeString(string(data)), res.Request.URL.RequestURI(), res.Header}
}

func (b *browser) get(path string) answer {
	b.h.t.Helper()
	r, err := http.NewRequest("GET", b.h.http.URL+path, nil)
	if err != nil {
		b.h.t.Fatal(err)
	}
	return b.send(r)
}

func (b *browser) post(path string, form url.Values) answer {
	b.h.t.Helper()
	r, err := http.NewRequest("POST", b.h.http.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r)
}

var formPattern = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
var hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// act fills the form of a command on a ticket's page in and sends it; the form must be there.
func (b *browser) act(id, code string, form url.Values) answer {
	b.h.t.Helper()
	p := b.get("/tickets/" + id)
	for _, f := range formPattern.FindAllStringSubmatch(p.body, -1) {
		if !strings.HasSuffix(f[1], "/act/"+code) {
			continue
		}
		all := url.Values{}
		for _, hidden := range hiddenPattern.FindAllStringSubmatch(f[2], -1) {
			all.Set(hidden[1], hidden[2])
		}
		for k, v := range form {
			if !strings.Contains(f[2], `name="`+k+`"`) {
				b.h.t.Fatalf("the form %s has no field %s", code, k)
			}
			all[k] = v
		}
		out := b.post(f[1], all)
		b.h.pass(time.Minute)
		return out
	}
	b.h.t.Fatalf("%s is not offered %s on %s (status %d)", b.login, code, id, p.status)
	return answer{}
}

// must is act where the room must not refuse.
func (b *browser) must(id, code string, form url.Values) answer {
	b.h.t.Helper()
	p := b.act(id, code, form)
	if p.status != http.StatusOK || !strings.Contains(p.body, translate("zh-CN", "did-"+code)) {
		b.h.t.Fatalf("%s: %s answered %d: %s", b.login, code, p.status, alertIn(p.body))
	}
	return p
}

var alertPattern = regexp.MustCompile(`role="alert">([^<]*)<`)

// alertIn is the reason that a page gives.
func alertIn(body string) string {
	if m := alertPattern.FindStringSubmatch(body); m != nil {
		return m[1]
	}
	return ""
}

// offered are the commands on a ticket's page.
func (p answer) offered() []string {
	var out []string
	for _, f := range formPattern.FindAllStringSubmatch(p.body, -1) {
		if _, code, ok := strings.Cut(f[1], "/act/"); ok {
			out = append(out, code)
		}
	}
	return out
}

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}
