// Package sim is a carrier that exists in our database only: it takes texts, shows them on simulated handsets, and
// sends receipts and replies as late, as often and as wrong as it is told to.
//
// Its books (sim_text, sim_receipt, sim_reply) are what a real carrier would keep in its own house. They survive the
// death of our process, so that a crash test can count what the handsets got.
package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
)

// Carrier is the simulated carrier. DB and Vault are needed; Receipts and Replies take what it sends back, and Run or
// Flush must be running for anything to come back.
type Carrier struct {
	DB    *storage.DB
	Vault *contact.Vault
	Now   func() time.Time // nil is time.Now
	Log   *slog.Logger     // nil is slog.Default

	Receipts func(context.Context, sms.Receipt) error // Outbox.Receipt
	Replies  func(context.Context, sms.Inbound) error // Inbox.Receive

	once  sync.Once
	books *sms.Group
	mu    sync.Mutex
	how   Settings  // as they were read at readAt
	read  time.Time //
}

// current is Settings, at most 100 ms old: what another process has changed counts from then on.
func (c *Carrier) current(ctx context.Context) (Settings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) < 100*time.Millisecond {
		return c.how, nil
	}
	s, err := c.Settings(ctx)
	if err == nil {
		c.how, c.read = s, time.Now()
	}
	return s, err
}

// write changes the books, in one transaction with whoever writes at the same time.
func (c *Carrier) write(ctx context.Context, fn func(*storage.Tx) error) error {
	c.once.Do(func() { c.books = &sms.Group{DB: c.DB} })
	return c.books.Do(ctx, fn)
}

var (
	_ sms.Carrier  = (*Carrier)(nil)
	_ sms.Extender = (*Carrier)(nil)
)

// Settings say how the carrier behaves. Rates are shares of all texts from 0 to 1. Which text a rate hits follows from
// the text's number and Seed, so that a run can be repeated.
type Settings struct {
	Seed            int64         `json:"seed"`
	DeliveryDelay   time.Duration `json:"delivery_delay"`   // from acceptance to handset
	ReceiptDelay    time.Duration `json:"receipt_delay"`    // from handset to receipt
	FailureRate     float64       `json:"failure_rate"`     // accepted, never delivered; the receipt says so
	RejectRate      float64       `json:"reject_rate"`      // refused at submission
	StoppedRate     float64       `json:"stopped_rate"`     // refused because the resident opted out at the carrier
	TimeoutRate     float64       `json:"timeout_rate"`     // accepted, but the answer never arrives
	DropRate        float64       `json:"drop_rate"`        // not accepted, and no answer either
	ThrottleRate    float64       `json:"throttle_rate"`    // refused at the first attempt: too fast
	DuplicateRate   float64       `json:"duplicate_rate"`   // the receipt comes twice
	OutOfOrderRate  float64       `json:"out_of_order"`     // "accepted" comes after "delivered"
	NoReceiptRate   float64       `json:"no_receipt_rate"`  // delivered, but no receipt ever
	EarlyReceipts   bool          `json:"early_receipts"`   // receipts are handed over before Send returns
	Down            bool          `json:"down"`             // cannot be reached at all
	BadAccount      bool          `json:"bad_account"`      // refuses our credentials
	Mute            bool          `json:"mute"`             // cannot be asked about a text
	ReplyDelay      time.Duration `json:"reply_delay"`      // from handset to us
	DuplicateReply  bool          `json:"duplicate_reply"`  // every reply is pushed twice
	SubNumbers      bool          `json:"sub_numbers"`      // texts come from Number with their extension behind it, and are answered there
	ReplyWithoutIDs bool          `json:"reply_without_id"` // replies carry no id of the carrier
}

// Number is ours at the simulated carrier; a text comes from it with the text's extension behind it.
const Number = "10690004611011"

// Extension implements sms.Extender.
func (c *Carrier) Extension(to string) string {
	rest, ours := strings.CutPrefix(to, Number)
	if !ours {
		return ""
	}
	return rest
}

// Name is "sim".
func (c *Carrier) Name() string { return "sim" }

func (c *Carrier) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Carrier) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.Default()
}

func (c *Carrier) box() contact.Box { return c.Vault.For("sim.phone") }

func (c *Carrier) words() contact.Box { return c.Vault.For("sim.words") }

// Settings reads how the carrier behaves now.
func (c *Carrier) Settings(ctx context.Context) (s Settings, err error) {
	err = c.DB.View(ctx, func(tx *storage.Tx) error {
		s, err = settings(tx)
		return err
	})
	return s, err
}

func settings(tx *storage.Tx) (s Settings, err error) {
	text, err := storage.One(tx, storage.Value[string], `SELECT value FROM sim_setting WHERE id = 1`)
	if errors.Is(err, storage.ErrNotFound) {
		return Settings{}, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		return s, fmt.Errorf("settings of the simulated carrier: %w", err)
	}
	return s, nil
}

// Set changes how the carrier behaves from the next text on.
func (c *Carrier) Set(ctx context.Context, s Settings) error {
	for _, r := range []float64{s.FailureRate, s.RejectRate, s.StoppedRate, s.TimeoutRate, s.DropRate, s.ThrottleRate, s.DuplicateRate, s.OutOfOrderRate, s.NoReceiptRate} {
		if r < 0 || r > 1 {
			return fmt.Errorf("settings of the simulated carrier: rate %v is not between 0 and 1", r)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = time.Time{}
	return c.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO sim_setting (id, value) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET value = excluded.value`, string(text))
		return err
	})
}

// Send implements sms.Carrier. It does not recognise a text that it already has: what is sent twice arrives twice.
func (c *Carrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	s, err := c.current(ctx)
	if err != nil {
		return sms.Sent{}, &sms.Error{Kind: sms.Unreachable, Err: err}
	}
	hit := func(what string, rate float64) bool { return s.hits(what, m.Phone, rate) }
	switch {
	case s.Down:
		return sms.Sent{}, sms.Errorf(sms.Unreachable, "", "simulated carrier is down")
	case s.BadAccount:
		return sms.Sent{}, sms.Errorf(sms.Misconfigured, "SIM:AUTH", "simulated carrier refuses the account")
	case hit("reject", s.RejectRate):
		return sms.Sent{}, sms.Errorf(sms.Refused, "SIM:0001", "空号")
	case hit("stopped", s.StoppedRate):
		return sms.Sent{}, sms.Errorf(sms.Stopped, "SIM:MBBLACK", "the number is on the carrier's blacklist")
	case m.Attempt == 1 && hit("throttle", s.ThrottleRate):
		return sms.Sent{}, sms.Errorf(sms.Throttled, "SIM:0008", "too fast")
	case m.Attempt == 1 && hit("drop", s.DropRate):
		return sms.Sent{}, errors.New("simulated time-out")
	}
	now := c.now()
	id := "sim" + storage.NewID()
	fate := "DELIVRD" // what will become of it, in the words of CMPP's status reports
	if hit("fail", s.FailureRate) {
		fate = "UNDELIV"
	}
	err = c.write(ctx, func(tx *storage.Tx) error {
		deliver := now.Add(s.DeliveryDelay)
		if _, err := tx.Exec(`INSERT INTO sim_text (id, message_id, phone_hash, phone, body, words, segments, state, code, accepted_at, deliver_at, extension)
			VALUES ($1, $2, $3, $4, '', $5, $6, 'accepted', $7, $8, $9, $10)`,
			id, m.ID, c.Vault.HashPhone(m.Phone), c.box().Seal(m.Phone.Clear()), c.words().Seal(m.Body), sms.Measure(m.Body).Segments, fate,
			storage.At(now), storage.At(deliver), m.Extension); err != nil {
			return err
		}
		return s.planReceipts(tx, id, m.Phone, now, deliver, fate)
	})
	if err != nil {
		// The commit may or may not have happened: an honest unknown.
		return sms.Sent{}, fmt.Errorf("simulated carrier: %w", err)
	}
	if s.EarlyReceipts {
		if _, err := c.Flush(ctx); err != nil {
			return sms.Sent{}, fmt.Errorf("simulated carrier: %w", err)
		}
	}
	if hit("timeout", s.TimeoutRate) {
		return sms.Sent{}, errors.New("simulated time-out after acceptance")
	}
	return sms.Sent{CarrierID: id}, nil
}

// planReceipts writes down the receipts of a text in the order in which they will be handed over.
func (s Settings) planReceipts(tx *storage.Tx, id string, p contact.Phone, now, deliver time.Time, fate string) error {
	if s.hits("no receipt", p, s.NoReceiptRate) {
		return nil
	}
	type receipt struct {
		state sms.State
		code  string
		due   time.Time
	}
	final := receipt{sms.Delivered, fate, deliver.Add(s.ReceiptDelay)}
	if fate != "DELIVRD" {
		final.state = sms.Failed
	}
	taken := receipt{sms.Accepted, "ACCEPTD", now.Add(s.ReceiptDelay)}
	list := []receipt{taken, final}
	if s.hits("order", p, s.OutOfOrderRate) {
		taken.due = final.due.Add(time.Second)
		list = []receipt{final, taken}
	}
	if s.hits("duplicate", p, s.DuplicateRate) {
		list = append(list, list...)
	}
	var rows []string
	var args []any
	for _, r := range list {
		n := len(args)
		rows = append(rows, fmt.Sprintf("($%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5))
		args = append(args, storage.NewID(), id, string(r.state), r.code, storage.At(r.due))
	}
	_, err := tx.Exec(`INSERT INTO sim_receipt (id, text_id, state, code, due) VALUES `+strings.Join(rows, ", "), args...)
	return err
}

// hits tells whether a rate applies to a number: always the same answer for the same seed.
func (s Settings) hits(what string, p contact.Phone, rate float64) bool {
	if rate <= 0 {
		return false
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s", s.Seed, what, p.Clear())
	x := h.Sum64()
	x ^= x >> 33 // FNV leaves the high bits of similar inputs alike (finaliser of MurmurHash3)
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11)/(1<<53) < rate
}

// Find implements sms.Carrier.
func (c *Carrier) Find(ctx context.Context, m sms.Message) (sms.Found, error) {
	var f sms.Found
	err := c.DB.View(ctx, func(tx *storage.Tx) error {
		s, err := settings(tx)
		if err != nil {
			return err
		}
		if s.Mute {
			return sms.ErrCannotAsk
		}
		if s.Down {
			return sms.Errorf(sms.Unreachable, "", "simulated carrier is down")
		}
		all, err := storage.All(tx, func(r storage.Row) (f sms.Found, err error) { return f, r.Scan(&f.CarrierID, &f.State, &f.Code) },
			`SELECT id, state, CASE state WHEN 'accepted' THEN '' ELSE code END FROM sim_text WHERE message_id = $1 ORDER BY accepted_at, id LIMIT 1`, m.ID)
		if err == nil && len(all) > 0 {
			f = all[0]
			f.Known = true
		}
		return err
	})
	return f, err
}
