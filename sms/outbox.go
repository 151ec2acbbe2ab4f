package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"lianxin/contact"
	"lianxin/storage"
	"lianxin/workday"
)

// Outbox sends what is queued. DB, Carriers and Vault are needed. Any number of outboxes, in one program or on several
// machines, may work on one database; their clocks must agree to within a few seconds.
type Outbox struct {
	DB        *storage.DB
	Carriers  []Carrier // the first is the default
	Vault     *contact.Vault
	Signature string           // put in front of every text as 【…】; empty for none
	Window    Window           // when texts go out; the zero Window is the whole day
	Limits    Limits           //
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil is slog.Default

	// Failover gives a text to the next of Carriers when one surely has not taken it: at once after a refusal, and after
	// Limits.FailoverAfter of trouble otherwise. A text that may be with a carrier stays with it, and so does one that was
	// queued for a carrier by name.
	Failover bool

	// Quiet names days on which only texts for Anytime go out, such as public holidays; nil is none.
	Quiet func(workday.Day) bool

	// Stopped is called in the transaction that notes that a carrier knows the resident to have opted out.
	Stopped func(tx *storage.Tx, m Message) error

	once     sync.Once
	wake     chan struct{}
	lines    map[string]*line
	all      *rate.Limiter
	stores   *Group
	receipts shared[Receipt]
}

// Limits are the speeds and patience of an Outbox. The zero value of each is its default.
type Limits struct {
	PerSecond     float64            // segments a second to each carrier from this process; 0 is no limit
	Rates         map[string]float64 // the same for single carriers, by name, in place of PerSecond
	Total         float64            // segments a second to all carriers together; 0 is no limit
	Workers       int                // texts on their way to one carrier at the same time, so many can a crash leave in doubt; 64
	SendTimeout   time.Duration      // for one call of the carrier; 15 s
	Lease         time.Duration      // how long a claim holds; must exceed SendTimeout; 60 s
	Settle        time.Duration      // how long after an attempt the carrier is believed when it says it has no such text; 30 s
	AskFor        time.Duration      // how long after the first attempt an unknown text is asked about before it goes to a person; 24 h
	ReceiptAfter  time.Duration      // when an accepted text without a receipt is asked about for the first time; 6 h
	ReceiptFor    time.Duration      // how long the receipt is waited for; 48 h, as the carriers' specifications have it
	Rest          time.Duration      // how long a carrier is left alone after it was unreachable, throttled or misconfigured; 10 s
	Silent        int                // submissions in a row without an answer after which the carrier is left alone; 20
	FailoverAfter time.Duration      // how long a carrier is in trouble before another takes its texts (Outbox.Failover); 1 min
	Idle          time.Duration      // how often Run looks when nothing wakes it; 2 s
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.Workers == 0 {
		l.Workers = 64
	}
	if l.Silent == 0 {
		l.Silent = 20
	}
	def(&l.FailoverAfter, time.Minute)
	def(&l.SendTimeout, 15*time.Second)
	def(&l.Lease, max(60*time.Second, 4*l.SendTimeout))
	def(&l.Settle, 30*time.Second)
	def(&l.AskFor, 24*time.Hour)
	def(&l.ReceiptAfter, 6*time.Hour)
	def(&l.ReceiptFor, 48*time.Hour)
	def(&l.Rest, 10*time.Second)
	def(&l.Idle, 2*time.Second)
	return l
}

func (o *Outbox) init() {
	o.once.Do(func() {
		o.Limits = o.Limits.withDefaults()
		o.wake = make(chan struct{}, 1)
		o.lines = map[string]*line{}
		for _, c := range o.Carriers {
			speed, own := o.Limits.Rates[c.Name()]
			if !own {
				speed = o.Limits.PerSecond
			}
			o.lines[c.Name()] = &line{carrier: c, limiter: newLimiter(speed)}
		}
		o.all = newLimiter(o.Limits.Total)
		o.stores = &Group{DB: o.DB}
	})
}

func (o *Outbox) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

func (o *Outbox) log() *slog.Logger {
	if o.Log != nil {
		return o.Log
	}
	return slog.Default()
}

// longest is the number of segments of the longest text.
const longest = 10

// ErrBadText is returned by Queue for a text that could never be sent.
var ErrBadText = errors.New("text cannot be queued")

// extensionPattern leaves room for an access number of 14 digits: carriers take 20 or 21 in all.
var extensionPattern = regexp.MustCompile(`^\d{0,6}$`)

// SentWith tells, of a reply, whether it came to the number that texts with an extension go out from. It is nil where the
// number tells nothing: the carrier has no sub-numbers, or the reply came to our number alone.
func (o *Outbox) SentWith(in Inbound) func(extension string) bool {
	for _, c := range o.Carriers {
		if c.Name() != in.Carrier {
			continue
		}
		if e, ok := c.(Extender); ok {
			if to := e.Extension(in.To); to != "" {
				return func(extension string) bool { return extension == to }
			}
		}
		if p, ok := c.(Pool); ok && in.To != "" && p.Sender("") != "" {
			return func(extension string) bool { return p.Sender(extension) == in.To }
		}
	}
	return nil
}

// Wake makes Run look at once. It never blocks.
func (o *Outbox) Wake() {
	o.init()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, and then waits for the texts on their way. Errors of the database are logged and the work
// is tried again; Run returns nil.
func (o *Outbox) Run(ctx context.Context) error {
	o.init()
	for ctx.Err() == nil {
		if _, err := o.Flush(ctx); err != nil && ctx.Err() == nil {
			o.log().Error("send texts", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-time.After(o.Limits.Idle):
		}
	}
	return nil
}

// Tally is what a Flush did.
type Tally struct {
	Sent   int // given to a carrier and taken
	Failed int // refused for good
	Later  int // put back for a later attempt
	Asked  int // asked about
	Open   int // ended without an answer
}

// Flush sends and asks until nothing is due any more, or until the carriers have to be left alone.
func (o *Outbox) Flush(ctx context.Context) (Tally, error) {
	o.init()
	var t Tally
	for {
		before := t
		if err := o.tidy(ctx); err != nil {
			return t, fmt.Errorf("tidy the outbox: %w", err)
		}
		if err := o.pumpAll(ctx, &t); err != nil {
			return t, err
		}
		if err := ctx.Err(); err != nil || t == before {
			return t, err
		}
	}
}

// pumpAll keeps all carriers busy at the same time: a slow one holds nobody up.
func (o *Outbox) pumpAll(ctx context.Context, t *Tally) error {
	tallies := make([]Tally, len(o.Carriers))
	errs := make([]error, len(o.Carriers))
	var wg sync.WaitGroup
	for i, c := range o.Carriers {
		wg.Go(func() {
			if errs[i] = o.pump(ctx, o.lines[c.Name()], &tallies[i]); errs[i] != nil {
				errs[i] = fmt.Errorf("send by %s: %w", c.Name(), errs[i])
			}
		})
	}
	wg.Wait()
	for _, one := range tallies {
		t.add(one)
	}
	return errors.Join(errs...)
}

func (t *Tally) count(out outcome) {
	if out.asked {
		t.Asked++
	}
	switch out.state {
	case Accepted, Delivered:
		t.Sent++
	case Failed:
		t.Failed++
	case Queued:
		t.Later++
	case Unknown:
		t.Open++
	}
}

func (t *Tally) add(o Tally) {
	t.Sent += o.Sent
	t.Failed += o.Failed
	t.Later += o.Later
	t.Asked += o.Asked
	t.Open += o.Open
}
