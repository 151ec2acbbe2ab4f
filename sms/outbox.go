package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"lianxin/contact"
	"lianxin/storage"
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

	// Stopped is called in the transaction that notes that a carrier knows the resident to have opted out.
	Stopped func(tx *storage.Tx, m Message) error

	once   sync.Once
	wake   chan struct{}
	mu     sync.Mutex
	lines  map[string]*line
	stores *recorder
}

// Limits are the speeds and patience of an Outbox. The zero value of each is its default.
type Limits struct {
	PerSecond    float64       // segments a second per carrier; 0 is no limit
	Workers      int           // texts on their way to one carrier at the same time; 8
	SendTimeout  time.Duration // for one call of the carrier; 15 s
	Lease        time.Duration // how long a claim holds; must exceed SendTimeout; 60 s
	Settle       time.Duration // how long after an attempt the carrier is believed when it says it has no such text; 30 s
	AskFor       time.Duration // how long after the first attempt an unknown text is asked about before it goes to a person; 24 h
	ReceiptAfter time.Duration // when an accepted text without a receipt is asked about for the first time; 6 h
	ReceiptFor   time.Duration // how long the receipt is waited for; 48 h, as the carriers' specifications have it
	Rest         time.Duration // how long a carrier is left alone after it was unreachable, throttled or misconfigured; 10 s
	Idle         time.Duration // how often Run looks when nothing wakes it; 2 s
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.Workers == 0 {
		l.Workers = 8
	}
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

// line is what this process remembers of a carrier.
type line struct {
	carrier Carrier
	limiter *rate.Limiter

	mu      sync.Mutex
	rest    time.Time // not used before
	trouble string    // why, for Health
}

func (l *line) leaveAlone(until time.Time, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.rest) {
		l.rest = until
	}
	l.trouble = why
}

// fine forgets the trouble, unless another worker has just had it.
func (l *line) fine(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.rest) {
		l.trouble = ""
	}
}

func (l *line) resting(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.rest)
}

func (o *Outbox) init() {
	o.once.Do(func() {
		o.Limits = o.Limits.withDefaults()
		o.wake = make(chan struct{}, 1)
		o.lines = map[string]*line{}
		for _, c := range o.Carriers {
			l := rate.NewLimiter(rate.Inf, 0)
			if o.Limits.PerSecond > 0 {
				// The burst must hold the longest text, or it could never be sent.
				l = rate.NewLimiter(rate.Limit(o.Limits.PerSecond), max(10, int(o.Limits.PerSecond)))
			}
			o.lines[c.Name()] = &line{carrier: c, limiter: l}
		}
		o.stores = &recorder{db: o.DB}
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

// ErrBadText is returned by Queue for a text that could never be sent.
var ErrBadText = errors.New("text cannot be queued")

// Queue puts a text into the outbox in the caller's transaction, so that it goes out exactly when that transaction
// commits. A text whose key is already there is left as it is: queued is then false and the id that of the first one.
// It returns ErrBadText for a number that is no mobile number, an empty body or one longer than ten segments.
func (o *Outbox) Queue(tx *storage.Tx, m Message) (id string, queued bool, err error) {
	o.init()
	if m.Key == "" || m.Body == "" || m.Phone.Kind() != contact.Mobile {
		return "", false, fmt.Errorf("queue text for %s: %w: key, body and a mobile number are needed", m.Phone, ErrBadText)
	}
	body := Sign(o.Signature, m.Body)
	size := Measure(body)
	if size.Segments > 10 {
		return "", false, fmt.Errorf("queue text for %s: %w: %d segments", m.Phone, ErrBadText, size.Segments)
	}
	if m.Carrier != "" && o.lines[m.Carrier] == nil {
		return "", false, fmt.Errorf("queue text for %s: %w: no carrier %q", m.Phone, ErrBadText, m.Carrier)
	}
	now := o.now()
	due := m.Due
	if due.Before(now) {
		due = now
	}
	if !m.Anytime {
		due = o.Window.Next(due)
	}
	notAfter := m.NotAfter
	if notAfter.IsZero() {
		notAfter = due.Add(24 * time.Hour)
	}
	box := o.Vault.For("sms.phone")
	id = storage.NewID()
	n, err := tx.Exec(`INSERT INTO sms (id, key, campaign, priority, anytime, phone_hash, phone, body, segments, state, due, not_after, carrier, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $11, $12, $13) ON CONFLICT (key) DO NOTHING`,
		id, m.Key, m.Campaign, m.Priority, m.Anytime, o.Vault.HashPhone(m.Phone), box.Seal(m.Phone.Clear()), body, size.Segments,
		storage.At(due), storage.At(notAfter), m.Carrier, storage.At(now))
	if err != nil {
		return "", false, fmt.Errorf("queue text for %s: %w", m.Phone, err)
	}
	if n == 0 {
		id, err = storage.One(tx, storage.Value[string], `SELECT id FROM sms WHERE key = $1`, m.Key)
		return id, false, err
	}
	tx.After(o.Wake)
	return id, true, nil
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
		for i, c := range o.Carriers {
			if err := ctx.Err(); err != nil {
				return t, err
			}
			l := o.lines[c.Name()]
			if l.resting(o.now()) {
				continue
			}
			if err := o.ask(ctx, l, i == 0, &t); err != nil {
				return t, fmt.Errorf("ask %s: %w", c.Name(), err)
			}
			if err := o.send(ctx, l, i == 0, &t); err != nil {
				return t, fmt.Errorf("send by %s: %w", c.Name(), err)
			}
		}
		if t == before {
			return t, nil
		}
	}
}

// send claims texts that are due and hands them to the carrier, several at a time.
func (o *Outbox) send(ctx context.Context, l *line, first bool, t *Tally) error {
	msgs, err := o.claim(ctx, claimQueued, l.carrier.Name(), first, o.Limits.Workers)
	if err != nil {
		return err
	}
	return o.each(msgs, t, func(m claimed) (outcome, error) { return o.sendOne(ctx, l, m) })
}

// ask claims texts that may be with the carrier and asks about them.
func (o *Outbox) ask(ctx context.Context, l *line, first bool, t *Tally) error {
	msgs, err := o.claim(ctx, claimOpen, l.carrier.Name(), first, o.Limits.Workers)
	if err != nil {
		return err
	}
	return o.each(msgs, t, func(m claimed) (outcome, error) { return o.askOne(ctx, l, m) })
}

// each works on the claimed texts at the same time and notes what came of each as soon as it is known.
func (o *Outbox) each(msgs []claimed, t *Tally, work func(claimed) (outcome, error)) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	for _, m := range msgs {
		wg.Go(func() {
			out, err := work(m)
			if err == nil {
				// Not with the caller's ctx: what the carrier has answered is noted even while we are shutting down.
				err = o.stores.do(context.Background(), func(tx *storage.Tx) error { return o.record(tx, m, out) })
			}
			mu.Lock()
			defer mu.Unlock()
			errs = errors.Join(errs, err)
			t.count(out)
		})
	}
	wg.Wait()
	return errs
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
