// Package ivr is the conversation with a caller before, around and after the operator: flow, bot, queue, message, rating, and the record of it all.
package ivr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr/flow"
	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/org"
	"lianxin/sip"
	"lianxin/speech"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Config says what a Hotline works with. The fields up to Recordings are needed.
type Config struct {
	DB      *storage.DB
	Book    *contact.Book
	Office  *ticket.Office
	Board   desk.Board
	Dial    func(ctx context.Context, to sip.Target, opt sip.DialOpt) (sip.Call, error) // (*sip.Server).Dial
	Prompts *prompts.Set
	KB      *kb.Base
	Flow    *flow.Flow // one that passed Check

	Recordings string // folder for recordings; made when missing

	// RecordingReserve is how many bytes of the disk recordings leave alone, so that the database can go on; 256 MiB when 0.
	RecordingReserve uint64

	Number   string            // the hotline's number, presented to operators' phones; "46110110" when empty
	Node     string            // name of this program in the records; host name when empty
	Calendar *workday.Calendar // Office.Calendar when nil

	// Ladder, when set, tells what the legs of a call did, for its trace: (*sip.Server).Ladder.
	Ladder func(call string) []sip.LegTrace

	// MaxCalls is how many calls are led at a time. Further callers hear that all lines are taken; beyond a tenth more
	// they are refused by signalling. 0: no limit of our own (sip.Config.Admit still applies).
	MaxCalls int

	Admission Admission // which calls are let in at all; see Hotline.Admit

	// Hear, when set, listens to callers for words that must reach a person at once (110, 救命, 人工).
	Hear speech.Recognizer

	// Police is the number that 110 is dialled as, through the trunks; empty: nobody can be put through to 110.
	Police string

	// Allows says whether a number may be called out at all, so that nobody's phone rings in vain; nil: the exchange says it (sip.Allows).
	Allows func(number string) bool

	// Registered says whether a phone is registered for an extension ((*sip.Server).Registered); nil: it is tried.
	Registered func(extension string) bool

	// Staff finds who has an extension; nil looks in DB.
	Staff func(ctx context.Context, extension string) (org.Staff, bool)

	// Flags are the marks of a caller's number that rules of flows ask for (flag: vip); nil: none.
	Flags func(ctx context.Context, number contact.Phone) ([]string, error)

	Hooks  Hooks   // where flows may ask
	Queues *Queues // those that ship with the program when nil

	Heartbeat time.Duration // how often open records get a sign of life; 10 s when 0
	Unstaffed time.Duration // how long nobody may be on duty before a waiting caller is led on; 10 s when 0

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // slog.Default() when nil
}

// Hotline answers calls. Serve is the handler for (*sip.Server).Serve.
type Hotline struct {
	cfg    Config
	calls  Calls
	flow   atomic.Pointer[flow.Flow]
	queues atomic.Pointer[Queues]
	log    *slog.Logger
	now    func() time.Time

	mu       sync.Mutex
	live     map[string]*visit
	desks    map[string]*deskCall // by the leg of the phone that made them
	held     map[string]*held     // places of callers who have hung up, by heldID
	draining bool
	disk     recordingTrouble

	unwritten []unwritten // guarded by mu
	gate      admission
	most      atomic.Int64 // calls led at a time: Config.MaxCalls, or what SetMaxCalls says
	watchers  map[chan struct{}]struct{}

	base    context.Context // ends with Close
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New checks the configuration, the flow against prompts and knowledge base included, and starts the heartbeat. Close
// ends it.
func New(cfg Config) (*Hotline, error) {
	switch {
	case cfg.DB == nil || cfg.Book == nil || cfg.Office == nil:
		return nil, errors.New("hotline: DB, Book and Office are needed")
	case cfg.Board == nil || cfg.Dial == nil:
		return nil, errors.New("hotline: Board and Dial are needed")
	case cfg.Prompts == nil || cfg.KB == nil || cfg.Flow == nil:
		return nil, errors.New("hotline: Prompts, KB and Flow are needed")
	case cfg.Recordings == "":
		return nil, errors.New("hotline: a folder for recordings is needed")
	}
	if cfg.Number == "" {
		cfg.Number = "46110110"
	}
	if cfg.Node == "" {
		cfg.Node, _ = os.Hostname()
	}
	if cfg.Calendar == nil {
		cfg.Calendar = cfg.Office.Calendar
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 10 * time.Second
	}
	if cfg.Unstaffed <= 0 {
		cfg.Unstaffed = 10 * time.Second
	}
	if cfg.RecordingReserve == 0 {
		cfg.RecordingReserve = 256 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := os.MkdirAll(cfg.Recordings, 0o700); err != nil {
		return nil, fmt.Errorf("hotline: folder for recordings: %w", err)
	}
	h := &Hotline{cfg: cfg, calls: Calls{Vault: cfg.Book.Vault}, log: cfg.Log, now: cfg.Now, live: map[string]*visit{}, desks: map[string]*deskCall{}, watchers: map[chan struct{}]struct{}{}}
	if cfg.Queues == nil {
		var err error
		if cfg.Queues, err = LoadQueues(""); err != nil {
			return nil, err
		}
	}
	if err := h.Put(context.Background(), cfg.Flow, cfg.Queues); err != nil {
		return nil, err
	}
	h.gate.rules = cfg.Admission
	h.most.Store(int64(cfg.MaxCalls))
	h.gate.looking = make(chan struct{}, lookups)
	ctx, stop := context.WithCancel(context.Background())
	h.base, h.stop = ctx, stop
	h.stopped.Go(func() { h.heartbeat(ctx) })
	return h, nil
}

// Close ends the heartbeat. Calls are the telephone server's to end.
func (h *Hotline) Close() error {
	h.stop()
	h.stopped.Wait()
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	h.writeLate(last)
	return nil
}

// SetFlow puts another flow in force for calls from now on; calls that are up keep theirs. A flow that needs a prompt or
// a category that is not there is refused with a flow.Problems.
func (h *Hotline) SetFlow(f *flow.Flow) error {
	if err := f.Check(h.known()); err != nil {
		return fmt.Errorf("flow %s: %w", f.Name, err)
	}
	h.flow.Store(f)
	return nil
}

// known is what a flow may refer to here.
func (h *Hotline) known() flow.Known {
	k := Known(h.cfg.Prompts, h.cfg.KB)
	k.Host = h.cfg.Hooks.Allowed
	if q := h.queues.Load(); q != nil {
		k.Queue = func(name string) bool { return q.get(name) != nil }
	}
	return k
}

// Flow is the flow in force.
func (h *Hotline) Flow() *flow.Flow { return h.flow.Load() }

// Known is what a flow may refer to, for flow.Check.
func Known(p *prompts.Set, b *kb.Base) flow.Known {
	// Also a category of which nothing may be offered today is there: it may be tomorrow.
	categories := map[string]bool{}
	for _, row := range b.Prompts() {
		id := strings.TrimSuffix(strings.TrimPrefix(row.Key, "kb."), ".title")
		if item, ok := b.Get(id); ok {
			categories[item.Category] = true
		}
	}
	return flow.Known{
		Prompt:   p.Has,
		Category: func(id string) bool { return categories[id] },
		Kind:     func(code string) bool { return ticket.Kind(code).Valid() },
	}
}

// Calls reads the records of calls.
func (h *Hotline) Calls() Calls { return h.calls }

// update runs fn in one transaction, again when another transaction was in the way.
func (h *Hotline) update(ctx context.Context, fn func(tx *storage.Tx) error) error {
	var err error
	for range 5 {
		if err = h.cfg.DB.Update(ctx, fn); !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
	return err
}

// heartbeat notes, for every open record of this program, that it is still alive: after a crash the record ends there.
func (h *Hotline) heartbeat(ctx context.Context) {
	tick := time.NewTicker(h.cfg.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.lookAfter()
		h.writeLate(ctx)
		h.mu.Lock()
		n := len(h.live)
		h.mu.Unlock()
		if n == 0 {
			continue
		}
		err := h.update(ctx, func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE call SET seen = $1 WHERE node = $2 AND ended IS NULL`, storage.At(h.now()), h.cfg.Node)
			return err
		})
		if err != nil && ctx.Err() == nil {
			h.log.Error("ivr: heartbeat of calls", "err", err)
		}
	}
}
