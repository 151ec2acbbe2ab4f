// Package cmpp sends texts through a gateway of China Mobile, or of anybody who speaks CMPP 2.0 or 3.0, over one long
// connection, and takes the status reports and replies that come back on it.
//
// A text is one SUBMIT to one number for each segment:
//
//	00000 0d1  00000004  00000002                       length, SUBMIT, sequence
//	0000000000000000  01 01  01  00                     Msg_Id (the gateway's), segment 1 of 1, report wanted, level
//	"BXGA"  02  ""  …  08                               service, the SP pays, nobody else, UCS-2
//	"901234"  "01"  "0"  "261124100000032+"  ""         SP, free of charge, valid until
//	"1069012110"  01  "13800000000"                     our number, one destination
//	5a  【本溪公安】您好…
//
// and its answer SUBMIT_RESP, with the gateway's Msg_Id and a result: 0 taken, 8 too fast. The status report comes later
// as a DELIVER that names this Msg_Id; a reply is a DELIVER too.
//
// The layouts are those of the specification QB-GF-028-2003 (3.0.1) and of CMPP 2.0. Where we leave it: it wants a SUBMIT
// without an answer sent again, up to three times; that is how texts arrive twice, so here it is an unknown outcome.
// There is no message that asks about a text by our name for it (QUERY only counts), so Find can tell no more than what a
// late answer has told. None of this has been run against a real gateway; the peers were a simulator of ours (cmpptest)
// and, for the bytes of 3.0, Wireshark's dissector.
package cmpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/workday"
)

var zone = workday.Zone

// Config is an account at a gateway. Addr, ID, Secret and Number are needed.
type Config struct {
	Addr    string  // host:port of the gateway; 7890 by the specification
	ID      string  // SP id (企业代码), up to 6 characters: Source_Addr and Msg_src
	Secret  string  // shared secret
	Version Version // V30 when 0; V20 is used when the gateway speaks no more
	Number  string  // our access number: Src_Id, up to 21 digits with its extension
	Service string  // Service_Id (业务代码), up to 10 characters
	FeeType string  // "01" (free of charge to the resident) when empty
	FeeCode string  // "0" when empty
	Extend  bool    // the contract gives sub-numbers: a text's Extension is put behind Number

	// Results says what results of SUBMIT_RESP mean; it goes before the table of this package. Gateways have results of
	// their own above 13.
	Results map[uint32]sms.Kind

	Window        int           // SUBMITs without an answer; 16
	AnswerTimeout time.Duration // how long an answer is waited for (T); 60 s
	Heartbeat     time.Duration // silence after which ACTIVE_TEST asks (C); 3 min; contracts often want 30 s
	Timeout       time.Duration // for connecting, logging in and writing; 10 s
	Reassemble    time.Duration // how long the rest of a long reply is waited for; 5 min
	Retry         time.Duration // first pause before connecting again, doubled up to 64 times with jitter; 1 s

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil is a plain TCP connection
}

func (c *Config) dial(ctx context.Context) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx, "tcp", c.Addr)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", c.Addr)
}

// Carrier is an account at a gateway. Run must be running for anything to go out or come in.
type Carrier struct {
	Receipts func(context.Context, sms.Receipt) error // Outbox.Receipt
	Replies  func(context.Context, sms.Inbound) error // Inbox.Receive
	Log      *slog.Logger                             // nil is slog.Default
	Now      func() time.Time                         // nil is time.Now

	cfg   Config
	books books

	mu      sync.Mutex
	link    *link
	changed chan struct{}        // closed when link or trouble changes
	trouble error                // why there is no link
	open    map[string]*openText // texts whose outcome is unknown
	known   map[uint64]time.Time // Msg_Ids of the last days that we have a text for
	pending map[string]int       // long texts under way, by number: their reports wait until we know the segments' names
}

// openText is what we know of a text that was submitted and has no answer yet.
type openText struct {
	attempt int
	number  string
	parts   int
	at      time.Time
	refused uint32 // the result that a late answer has brought; 0 while there is none
}

var _ sms.Carrier = (*Carrier)(nil)

var (
	digitPattern = regexp.MustCompile(`^\d{1,21}$`)
	wordPattern  = regexp.MustCompile(`^[!-~]*$`)
)

// New checks the settings. The database keeps the gateway's names for segments of long texts until their reports are
// complete, and segments of long replies, sealed, until the others have come. Errors hold no secret.
func New(cfg Config, db *storage.DB, vault *contact.Vault) (*Carrier, error) {
	if _, _, err := net.SplitHostPort(cfg.Addr); err != nil {
		return nil, errors.New("cmpp: address of the gateway: want host:port")
	}
	if n := len(cfg.ID); n < 1 || n > 6 || !wordPattern.MatchString(cfg.ID) {
		return nil, errors.New("cmpp: SP id: want 1 to 6 characters")
	}
	if cfg.Secret == "" {
		return nil, errors.New("cmpp: no shared secret")
	}
	if cfg.Version == 0 {
		cfg.Version = V30
	}
	if cfg.Version != V20 && cfg.Version != V30 {
		return nil, fmt.Errorf("cmpp: version %#x: want 2.0 or 3.0", uint8(cfg.Version))
	}
	if !digitPattern.MatchString(cfg.Number) {
		return nil, errors.New("cmpp: our number: want 1 to 21 digits")
	}
	if cfg.Extend && len(cfg.Number) > 15 {
		return nil, errors.New("cmpp: our number: want up to 15 digits, so that an extension of six fits behind them")
	}
	if len(cfg.Service) > 10 || len(cfg.FeeType) > 2 || len(cfg.FeeCode) > 6 || !wordPattern.MatchString(cfg.Service+cfg.FeeType+cfg.FeeCode) {
		return nil, errors.New("cmpp: service, fee type or fee code: too long or not ASCII")
	}
	for r, k := range cfg.Results {
		if r == 0 || (k != sms.Refused && k != sms.Stopped && k != sms.Throttled && k != sms.Misconfigured) {
			return nil, fmt.Errorf("cmpp: result %d cannot mean %q", r, k)
		}
	}
	if db == nil || vault == nil {
		return nil, errors.New("cmpp: needs a database and a vault")
	}
	text := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	text(&cfg.FeeType, "01")
	text(&cfg.FeeCode, "0")
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&cfg.AnswerTimeout, 60*time.Second)
	def(&cfg.Heartbeat, 3*time.Minute)
	def(&cfg.Timeout, 10*time.Second)
	def(&cfg.Reassemble, 5*time.Minute)
	def(&cfg.Retry, time.Second)
	if cfg.Window <= 0 {
		cfg.Window = 16
	}
	return &Carrier{cfg: cfg, books: books{db, vault}, changed: make(chan struct{}), open: map[string]*openText{}, known: map[uint64]time.Time{}, pending: map[string]int{},
		trouble: errors.New("not connected yet")}, nil
}

// Name is "cmpp".
func (c *Carrier) Name() string { return "cmpp" }

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

// Run keeps the connection up until ctx ends, and then takes leave of the gateway. It returns nil.
func (c *Carrier) Run(ctx context.Context) error {
	in := c.startDesk(ctx)
	defer in.stop()
	version, tries := c.cfg.Version, 0
	for ctx.Err() == nil {
		l, err := login(ctx, &c.cfg, version, c.now(), c.log())
		if err == nil {
			tries = 0
			l.known = c.knows
			l.late = func(s submission, r SubmitResp) { c.lateAnswer(context.WithoutCancel(ctx), s, r) }
			c.log().Info("connected", "carrier", "cmpp", "version", fmt.Sprintf("%d.%d", l.version>>4, l.version&15))
			c.set(l, nil)
			err = l.serve(ctx, in.put)
			c.set(nil, err)
			if ctx.Err() != nil {
				break
			}
			c.log().Warn("connection lost", "carrier", "cmpp", "error", err)
		} else if ctx.Err() == nil {
			c.set(nil, err)
			c.log().Warn("cannot connect", "carrier", "cmpp", "error", err)
			var e *sms.Error
			if errors.As(err, &e) && e.Code == "CONNECT:4" && version == V30 {
				version = V20
				continue
			}
		}
		pause := c.cfg.Retry << min(tries, 6)
		tries++
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
	c.set(nil, errors.New("stopped"))
	return nil
}

func (c *Carrier) set(l *link, trouble error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link, c.trouble = l, trouble
	close(c.changed)
	c.changed = make(chan struct{})
}

// Trouble tells why texts cannot be sent now, nil when they can.
func (c *Carrier) Trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble
}

// up returns the link, and waits a little for one that is just coming up.
func (c *Carrier) up(ctx context.Context) (*link, error) {
	patience := time.After(2 * c.cfg.Retry)
	for {
		c.mu.Lock()
		l, trouble, changed := c.link, c.trouble, c.changed
		c.mu.Unlock()
		if l != nil {
			return l, nil
		}
		var e *sms.Error
		if errors.As(trouble, &e) && e.Kind == sms.Misconfigured {
			return nil, trouble
		}
		select {
		case <-changed:
			continue
		case <-patience:
		case <-ctx.Done():
		}
		return nil, &sms.Error{Kind: sms.Unreachable, Err: fmt.Errorf("cmpp: no connection to the gateway: %w", trouble)}
	}
}

// submission says which segment of which text a SUBMIT carries.
type submission struct {
	message     sms.Message
	part, parts int
}

// Send implements sms.Carrier. A long text is several SUBMITs, one after the other; once the gateway has the first, the
// text is under way, and an end before the last is an unknown outcome. The id of the text is the Msg_Id of its first
// segment.
func (c *Carrier) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	l, err := c.up(ctx)
	if err != nil {
		return sms.Sent{}, err
	}
	segments := Segments(m.Body, byte(l.next()))
	if len(segments) > 1 {
		c.underWay(m.Phone.Clear(), 1)
		defer c.underWay(m.Phone.Clear(), -1)
	}
	c.opened(m, len(segments))
	var first string
	for i, seg := range segments {
		s := submission{message: m, part: i + 1, parts: len(segments)}
		p := c.submit(m, seg, s)
		r, err := l.submit(ctx, s, p)
		for i > 0 && err == nil && c.kind(r.Result) == sms.Throttled && pause(ctx, 500*time.Millisecond) {
			r, err = l.submit(ctx, s, p) // surely not taken, and the segments before it are
		}
		if err == nil && r.Result != 0 {
			err = c.refusal(r.Result)
		}
		if err == nil && s.parts > 1 {
			c.books.taken(context.WithoutCancel(ctx), c.log(), s, r.MsgID, c.now())
		}
		var certain *sms.Error
		if i == 0 && (err == nil || errors.As(err, &certain)) {
			c.closed(m)
		}
		if err != nil && i > 0 {
			return sms.Sent{}, fmt.Errorf("cmpp: %d of %d segments were taken: %s", i, len(segments), err)
		}
		if err != nil {
			return sms.Sent{}, err
		}
		if i == 0 {
			first = idOf(r.MsgID)
		}
	}
	return sms.Sent{CarrierID: first}, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (c *Carrier) submit(m sms.Message, seg Segment, s submission) *Submit {
	number := c.cfg.Number
	if c.cfg.Extend {
		if n := number + m.Extension; digitPattern.MatchString(n) {
			number = n
		}
	}
	p := &Submit{PkTotal: uint8(s.parts), PkNumber: uint8(s.part), RegisteredDelivery: 1, ServiceID: c.cfg.Service, FeeUserType: 2,
		MsgFmt: seg.Format, MsgSrc: c.cfg.ID, FeeType: c.cfg.FeeType, FeeCode: c.cfg.FeeCode, SrcID: number,
		Dest: []string{m.Phone.Clear()}, Content: seg.Content}
	if seg.UDHI {
		p.TPUDHI = 1
	}
	if !m.NotAfter.IsZero() {
		p.ValidTime = m.NotAfter.In(zone).Format("060102150405") + "032+" // 32 quarters of an hour ahead of UTC
	}
	return p
}

// idOf is a Msg_Id in our books: 16 hexadecimal digits.
func idOf(id uint64) string { return fmt.Sprintf("%016x", id) }

// kind says what a result of SUBMIT_RESP means for a text.
func (c *Carrier) kind(result uint32) sms.Kind {
	if k, ok := c.cfg.Results[result]; ok {
		return k
	}
	switch result {
	case 3, 8: // sequence seen before; flow control
		return sms.Throttled
	case 1, 2, 4, 5, 7, 10, 11, 12: // structure, command, length, fee code, service, Src_Id, Msg_src, Fee_terminal_Id
		return sms.Misconfigured
	}
	return sms.Refused // 6 too long, 9 a number that this gateway does not serve, 13 the number, and what is not in the book
}

func (c *Carrier) refusal(result uint32) error {
	return sms.Errorf(c.kind(result), strconv.FormatUint(uint64(result), 10), "cmpp: the gateway refuses the text with result %d", result)
}

// lateAnswer takes an answer for which nobody waits any more.
func (c *Carrier) lateAnswer(ctx context.Context, s submission, r SubmitResp) {
	if r.Result == 0 {
		if s.parts > 1 {
			c.books.taken(ctx, c.log(), s, r.MsgID, c.now())
		}
		if s.part < s.parts {
			return // the rest was not sent: nobody may take the text for accepted
		}
		rc := sms.Receipt{Carrier: c.Name(), MessageID: s.message.ID, State: sms.Accepted, Code: "late answer"}
		if s.parts == 1 {
			rc.CarrierID = idOf(r.MsgID)
		}
		if err := c.Receipts(ctx, rc); err != nil {
			c.log().Error("store a late answer", "carrier", "cmpp", "text", s.message.ID, "error", err)
		}
		return
	}
	if s.part > 1 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.open[s.message.ID]; o != nil && o.attempt == s.message.Attempt {
		o.refused = r.Result
	}
}

// opened notes that a text is being submitted. What was known of an earlier attempt counts no more.
func (c *Carrier) opened(m sms.Message, parts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.open) > 1000 {
		for id, o := range c.open {
			if now.Sub(o.at) > 24*time.Hour {
				delete(c.open, id)
			}
		}
	}
	c.open[m.ID] = &openText{attempt: m.Attempt, number: m.Phone.Clear(), parts: parts, at: now}
}

func (c *Carrier) closed(m sms.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, m.ID)
}

// knows notes that a Msg_Id belongs to a text whose answer we have.
func (c *Carrier) knows(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[id] = c.now()
}

// tidy forgets Msg_Ids that are reported on no more.
func (c *Carrier) tidy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range c.known {
		if c.now().Sub(at) > 72*time.Hour {
			delete(c.known, id)
		}
	}
}

// orphan finds the text of a status report whose Msg_Id we were never told, because the answer to its SUBMIT was lost:
// the one text to the number that has no answer and was submitted when the report says. It returns "" when there is no
// such text, or more than one.
func (c *Carrier) orphan(id uint64, number string, submitted time.Time) (messageID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.known[id]; known || id == 0 || submitted.IsZero() {
		return ""
	}
	for text, o := range c.open {
		if o.number != number || o.parts > 1 {
			continue
		}
		// The report is exact to the minute, by another clock.
		if d := o.at.Sub(submitted); d < -10*time.Minute || d > 10*time.Minute {
			continue
		}
		if messageID != "" {
			return ""
		}
		messageID = text
	}
	return messageID
}

// Extension implements sms.Extender.
func (c *Carrier) Extension(to string) string {
	if rest, ours := strings.CutPrefix(to, c.cfg.Number); c.cfg.Extend && ours {
		return rest
	}
	return ""
}

// Find implements sms.Carrier as far as a late answer goes.
func (c *Carrier) Find(_ context.Context, m sms.Message) (sms.Found, error) {
	c.mu.Lock()
	l := c.link
	var refused uint32
	if o := c.open[m.ID]; o != nil {
		refused = o.refused
	}
	c.mu.Unlock()
	switch kind := c.kind(refused); {
	case l != nil && l.awaits(m.ID):
		return sms.Found{}, errors.New("cmpp: the answer to SUBMIT may still come")
	case refused == 0:
		return sms.Found{}, sms.ErrCannotAsk
	case kind == sms.Throttled || kind == sms.Misconfigured:
		return sms.Found{}, nil // surely not there, and worth another attempt
	}
	return sms.Found{Known: true, State: sms.Failed, Code: strconv.FormatUint(uint64(refused), 10)}, nil
}

func (c *Carrier) underWay(number string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[number] += n; c.pending[number] == 0 {
		delete(c.pending, number)
	}
}

func (c *Carrier) isUnderWay(number string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending[number] > 0
}
