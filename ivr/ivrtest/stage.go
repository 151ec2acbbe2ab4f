// Package ivrtest plays calls against a whole hotline on the loopback: exchange, media, board, tickets and telephones, all of them real.
package ivrtest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/ivr/softphone"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Patience is how long a test waits for what must come; generous, as the machine may be busy.
const Patience = 40 * time.Second

// Options of a Stage.
type Options struct {
	Dir     string            // data folder; a temporary one when empty
	DB      *storage.DB       // a SQLite file in Dir when nil
	Shipped bool              // the recordings that ship with the program instead of short ones
	Clock   time.Time         // what time it is when the stage opens; now when zero
	Flow    string            // text of the flow; Quick of the shipped one when empty
	Flows   map[string]string // texts of the flows that it calls, by name
	Queues  string            // text of the queues; the shipped ones when empty
	Desk    desk.Options
	Silence time.Duration           // after which a line without sound is taken for dead; the engine's default when zero
	Change  func(*ivr.Config)       // last changes
	SIP     func(*sip.Config)       // last changes of the exchange
	Wrap    func(sip.Call) sip.Call // changes incoming calls before they are served
	Log     io.Writer               // of the program; the test's log when nil
}

// Stage is a hotline that is up.
type Stage struct {
	Dir     string
	DB      *storage.DB
	Book    *contact.Book
	Office  *ticket.Office
	Board   *desk.Memory
	Prompts *prompts.Set
	KB      *kb.Base
	Hotline *ivr.Hotline
	Server  *sip.Server
	Addr    string        // host:port of the exchange, UDP
	Sounds  *media.Engine // of telephones
	Config  ivr.Config    // with which Hotline was opened

	Engine *media.Engine // of the exchange
	stop   context.CancelFunc
	served chan struct{}
	ownDB  bool
	once   sync.Once
}

// Password is the password of every operator's telephone.
const Password = "seat-password"

// Short are prompts of a quarter of a second each, made of noise that no two share: conversations are quick, and what is
// heard is known for certain.
var short = sync.OnceValues(func() (*prompts.Set, error) {
	base, err := kb.Embedded()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ivrtest-prompts")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for i, e := range append(prompts.Table(), base.Prompts()...) {
		long := media.Rate / 4
		if e.Made == prompts.MadeMusic {
			long = media.Rate * 2
		}
		noise := rand.New(rand.NewPCG(uint64(i), 7))
		pcm := make([]int16, long)
		for j := range pcm {
			pcm[j] = int16(noise.IntN(8000) - 4000)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Key+".wav"), media.AppendWAV(nil, media.Rate, 1, pcm), 0o600); err != nil {
			return nil, err
		}
	}
	return prompts.Load(prompts.Options{Dir: dir, More: base.Prompts()})
})

// Quick is the shipped flow with the waits of a test.
func Quick() (string, error) {
	b, err := os.ReadFile(filepath.Join(Root(), "ivr", "flows", "hotline.yaml"))
	if err != nil {
		return "", err
	}
	text := string(b)
	for _, w := range []string{"wait: 6s", "wait: 8s"} {
		if !strings.Contains(text, w) {
			return "", fmt.Errorf("the shipped flow has no %q", w)
		}
		text = strings.ReplaceAll(text, w, "wait: 3s")
	}
	return strings.ReplaceAll(text, "every: 30s", "every: 2s"), nil
}

// Root is the folder of the module.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return "."
}

// Open puts a hotline on a stage, without a test: the caller closes it.
func Open(opt Options) (_ *Stage, err error) {
	s := &Stage{Dir: opt.Dir, DB: opt.DB, served: make(chan struct{})}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	began := time.Now()
	now := func() time.Time {
		if opt.Clock.IsZero() {
			return time.Now()
		}
		return opt.Clock.Add(time.Since(began))
	}
	log := slog.New(slog.NewTextHandler(opt.Log, nil))
	if s.DB == nil {
		if s.DB, err = storage.Open(context.Background(), filepath.Join(s.Dir, "lianxin.db")); err != nil {
			return s, err
		}
		s.ownDB = true
	}
	vault, err := contact.OpenVault(filepath.Join(s.Dir, "keys.json"))
	if err != nil {
		return s, err
	}
	calendar, err := workday.Load()
	if err != nil {
		return s, err
	}
	s.Book = &contact.Book{Vault: vault, Now: now}
	s.Office = &ticket.Office{Book: s.Book, Calendar: calendar, Hours: workday.DefaultHours(), Rules: ticket.DefaultRules(), Now: now}
	if opt.Desk.WrapUp == 0 {
		opt.Desk.WrapUp = 200 * time.Millisecond
	}
	if opt.Desk.Retry == 0 {
		opt.Desk.Retry = 500 * time.Millisecond
	}
	s.Board = desk.NewMemory(opt.Desk)
	if s.KB, err = kb.Embedded(); err != nil {
		return s, err
	}
	if opt.Shipped {
		s.Prompts, err = prompts.Load(prompts.Options{More: s.KB.Prompts()})
	} else {
		s.Prompts, err = short()
	}
	if err != nil {
		return s, err
	}
	s.KB.Now = now
	if opt.Flow == "" {
		if opt.Flow, err = Quick(); err != nil {
			return s, err
		}
	}
	f, err := flow.Parse("hotline.yaml", []byte(opt.Flow))
	if err != nil {
		return s, err
	}
	if f, err = f.Link(opt.read); err != nil {
		return s, err
	}
	var queues *ivr.Queues
	if opt.Queues != "" {
		if queues, err = ivr.ParseQueues("queues.yaml", []byte(opt.Queues)); err != nil {
			return s, err
		}
	}
	loop := netip.MustParseAddr("127.0.0.1")
	if s.Engine, err = media.NewEngine(media.Config{IP: loop, PortLow: 20000, PortHigh: 25999, Pacers: 1, Quarantine: 100 * time.Millisecond, Silence: opt.Silence, FirstPacket: opt.Silence, Log: log}); err != nil {
		return s, err
	}
	if s.Sounds, err = media.NewEngine(media.Config{IP: loop, PortLow: 26000, PortHigh: 31999, Pacers: 1, Quarantine: 100 * time.Millisecond, Log: log}); err != nil {
		return s, err
	}
	exchange := sip.Config{
		Listen: []string{"udp://127.0.0.1:0"}, Open: true, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: log, Now: now,
		Accounts: func(_ context.Context, user string) (sip.Account, bool) {
			return sip.HA1(user, "lianxin", Password), strings.HasPrefix(user, "8")
		},
		AdmitCall: func(i sip.Info) (time.Duration, bool) {
			if s.Hotline == nil {
				return 0, true
			}
			return s.Hotline.Admit(i)
		},
		OnRegistration: func(user string, up bool) { _ = s.Board.Registered(context.Background(), user, up) },
		Private:        func(to string) bool { return s.Hotline != nil && s.Hotline.Private(to) },
	}
	if opt.SIP != nil {
		opt.SIP(&exchange)
	}
	if s.Server, err = sip.New(exchange, s.Engine); err != nil {
		return s, err
	}
	s.Addr = strings.TrimPrefix(s.Server.Addrs()[0], "udp://")
	cfg := ivr.Config{
		DB: s.DB, Book: s.Book, Office: s.Office, Board: s.Board, Dial: s.Server.Dial, Registered: s.Server.Registered, Prompts: s.Prompts, KB: s.KB, Flow: f, Queues: queues,
		Recordings: filepath.Join(s.Dir, "recordings"), Node: "stage", Heartbeat: 200 * time.Millisecond, Unstaffed: time.Second, Now: now, Log: log,
	}
	if opt.Change != nil {
		opt.Change(&cfg)
	}
	s.Config = cfg
	if s.Hotline, err = ivr.New(cfg); err != nil {
		return s, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.served)
		_ = s.Server.Serve(ctx, func(ctx context.Context, c sip.Call) {
			if opt.Wrap != nil {
				c = opt.Wrap(c)
			}
			s.Hotline.Serve(ctx, c)
		})
	}()
	return s, nil
}

// Close takes everything down. It may be called twice.
func (s *Stage) Close() { s.once.Do(s.close) }

func (s *Stage) close() {
	if s.stop != nil {
		s.stop()
		<-s.served
	}
	if s.Hotline != nil {
		s.Hotline.Close()
	}
	if s.Board != nil {
		s.Board.Close()
	}
	for _, e := range []*media.Engine{s.Engine, s.Sounds} {
		if e != nil {
			e.Close()
		}
	}
	if s.DB != nil && s.ownDB {
		s.DB.Close()
	}
}

// New opens a stage for a test and closes it with the test.
func New(t testing.TB, opt Options) *Stage {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	if opt.Log == nil {
		opt.Log = testLog{t}
	}
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	defer func() { _ = recover() }() // a line that comes after the test has ended
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// Phone switches a telephone on for a test.
func (s *Stage) Phone(t testing.TB, user string) *softphone.Phone {
	t.Helper()
	p, err := softphone.New(softphone.Config{User: user, Password: Password, Server: s.Addr, Engine: s.Sounds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Operator seats an operator with a registered telephone, ready for calls.
func (s *Stage) Operator(t testing.TB, extension string) *softphone.Phone {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := s.Board.Put(ctx, desk.Operator{Extension: extension, StaffID: "staff-" + extension, Name: extension, AutoReady: true}); err != nil {
		t.Fatal(err)
	}
	p := s.Phone(t, extension)
	if err := p.Register(ctx); err != nil {
		t.Fatal(err)
	}
	s.Until(t, extension+" is ready", func() bool { return s.State(t, extension) == desk.Ready })
	return p
}

// State is what an operator is doing.
func (s *Stage) State(t testing.TB, extension string) desk.State {
	t.Helper()
	sn, err := s.Board.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range sn.Operators {
		if o.Extension == extension {
			return o.State
		}
	}
	return ""
}

// Until waits for something to become so.
func (s *Stage) Until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// Quiet waits until no call is up.
func (s *Stage) Quiet(t testing.TB) {
	t.Helper()
	s.Until(t, "all calls are over and written down", func() bool { return len(s.Hotline.Live()) == 0 })
}

// Prompt is the recording of a key on this stage.
func (s *Stage) Prompt(t testing.TB, key string) *media.Prompt {
	t.Helper()
	p, err := s.Prompts.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// View reads the database.
func (s *Stage) View(t testing.TB, fn func(tx *storage.Tx) error) {
	t.Helper()
	if err := s.DB.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// Records are the records of all calls, the first call first.
func (s *Stage) Records(t testing.TB) []ivr.Record {
	t.Helper()
	var list []ivr.Record
	s.View(t, func(tx *storage.Tx) (err error) {
		list, _, err = s.Hotline.Calls().List(tx, ivr.Filter{Limit: 1000})
		return err
	})
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}
