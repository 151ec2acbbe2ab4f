package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"lianxin/city"
	"lianxin/console"
	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/org"
	"lianxin/privacy"
	"lianxin/report"
	"lianxin/schedule"
	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/sip/web"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/speech"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/survey/poll"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// Names in the data folder.
const (
	keysFile      = "keys.json"
	recordingsDir = "recordings"
	signInsFile   = "sample-signins.txt"
	tokenFile     = "api-token"
	nodeFile      = "node"
	pollKeysDir   = "poll-keys" // of polls that are open; never part of a backup
)

// centre is every room of the house, wired.
type centre struct {
	cfg *Config
	log *slog.Logger

	db        *storage.DB
	book      *contact.Book
	office    *ticket.Office
	oversight *oversee.Desk
	figures   *report.Office
	polls     *poll.Office
	gateway   *channel.Gateway
	keeper    *privacy.Keeper
	outbox    *sms.Outbox
	inbox     *sms.Inbox
	survey    *survey.Survey
	schedule  *schedule.Scheduler
	hub       *console.Hub

	sim      *sim.Carrier // nil with a real carrier
	webhooks map[string]http.Handler
	links    []func(context.Context) error // of carriers that hold a connection

	engine     *media.Engine
	phones     *sip.Server
	softphones *web.Exchange // nil when switched off, or when its port was taken
	board      desk.Board
	prompts    *prompts.Set
	hotline    *ivr.Hotline
	flows      *ivr.FlowFiles
	ringer     *ivr.SurveyCalls // rings people whom no text reaches
	questions  *ivr.Questions   // rings the persons of call-backs, and asks by key
	scribe     *ivr.Transcripts // writes messages down
	kept       atomic.Pointer[ivr.Retention]
	seated     map[string]desk.Operator // as the board was told
	reseat     chan struct{}            // delivers when seats or shifts have changed

	sample city.Loaded
	token  string
	node   string // names this data folder in records, so that a restart knows its own
}

// openRooms opens what stands without sockets: storage and the rooms over it. The command line's tools use it too.
func openRooms(ctx context.Context, cfg *Config, log *slog.Logger) (*centre, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	db, err := storage.Open(ctx, cfg.dsn())
	if err != nil {
		return nil, err
	}
	c := &centre{cfg: cfg, log: log, db: db, hub: &console.Hub{}, webhooks: map[string]http.Handler{}, seated: map[string]desk.Operator{}, reseat: make(chan struct{}, 1)}
	if err := c.wireRooms(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return c, nil
}

func (c *centre) wireRooms(ctx context.Context) error {
	vault, err := contact.OpenVault(filepath.Join(c.cfg.Data, keysFile))
	if err != nil {
		return err
	}
	if err := vault.Bind(ctx, c.db); err != nil {
		return err
	}
	c.book = &contact.Book{Vault: vault}
	if c.office, err = ticket.NewOffice(c.book); err != nil {
		return err
	}
	c.gateway = &channel.Gateway{DB: c.db, Office: c.office, Log: c.log, PublicURL: c.cfg.PublicURL}
	periods, err := c.cfg.periods()
	if err != nil {
		return err
	}
	c.keeper = &privacy.Keeper{DB: c.db, Office: c.office, Periods: periods}
	c.office.Changed = func(ticket.Ticket) { c.hub.Publish(console.EventTickets) }
	c.office.Notify = func(n ticket.Notice) { c.hub.Publish(console.EventAlert) }

	window, err := sms.ParseWindow(c.cfg.Window)
	if err != nil {
		return err
	}
	c.outbox = &sms.Outbox{DB: c.db, Vault: vault, Signature: c.cfg.Signature, Window: window, Limits: sms.Limits{PerSecond: c.cfg.SMSRate, Rates: c.cfg.CarrierSettings.Rates, Total: c.cfg.SMSTotal}, Failover: len(c.cfg.Carriers) > 1, Log: c.log}
	if !c.cfg.Holidays {
		c.outbox.Quiet = sms.Holidays(c.office.Calendar)
	}
	c.inbox = &sms.Inbox{DB: c.db, Vault: vault, Log: c.log}
	c.survey = &survey.Survey{DB: c.db, Book: c.book, Office: c.office, Outbox: c.outbox, Inbox: c.inbox, Log: c.log}
	if err := c.configureSurvey(); err != nil {
		return err
	}
	c.inbox.Handle = func(tx *storage.Tx, in sms.Inbound) error {
		tx.After(func() { c.hub.Publish(console.EventSurvey) })
		if of, err := c.polls.Reply(tx, in, c.outbox.SentWith(in)); of || err != nil {
			return err // the digit of a poll under a name
		}
		return c.survey.Reply(tx, in)
	}
	c.outbox.Stopped = c.survey.CarrierStopped
	c.wireOversight()
	if err := c.wireFigures(); err != nil {
		return err
	}
	c.office.SendText, c.office.SendNotice = c.textReply, c.textNotice
	c.office.Contacts = func(tx *storage.Tx, contactID string, from, to time.Time) (int, error) {
		return ivr.Calls{}.Without(tx, contactID, from, to)
	}
	receipts := func(ctx context.Context, r sms.Receipt) error {
		c.hub.Publish(console.EventSurvey)
		return c.outbox.Receipt(ctx, r)
	}
	replies := func(ctx context.Context, in sms.Inbound) error {
		_, _, err := c.inbox.Receive(ctx, in)
		return err
	}
	if err := c.wireCarriers(vault, receipts, replies); err != nil {
		return err
	}

	c.polls = &poll.Office{Book: c.book, Outbox: c.outbox, PublicURL: c.cfg.PublicURL, Keys: filepath.Join(c.cfg.Data, pollKeysDir), Log: c.log}
	c.figures.Polls = c.polls
	c.schedule = schedule.New(c.db, workday.Zone, c.log)
	if err := c.schedule.Add(c.keeper.Job()); err != nil {
		return err
	}
	// Silence looks like contentment: replies, receipts and the carriers' ways are watched against their own past.
	return errors.Join(c.addViews(c.schedule), c.addReports(), c.schedule.Add(c.survey.Job(c.cfg.SurveyAt)), c.schedule.Add(c.survey.WatchJob("*/10 * * * *")), c.schedule.Add(c.survey.RemindJob("*/10 * * * *")))
}

// textNotice queues a text that tells a citizen how their ticket goes on; the outbox keeps to the hours for texts.
func (c *centre) textNotice(tx *storage.Tx, t ticket.Ticket, key, text string) error {
	phone, err := c.mobileOf(tx, t)
	if err != nil {
		return err
	}
	_, _, err = c.outbox.Queue(tx, sms.Message{Key: key, Campaign: "progress", Phone: phone, Priority: sms.Answer, Body: text, NotAfter: time.Now().Add(48 * time.Hour)})
	if err == nil {
		tx.After(c.outbox.Wake)
	}
	return err
}

// mobileOf is the number of a ticket's citizen to which a text can go, or a *ticket.Refusal.
func (c *centre) mobileOf(tx *storage.Tx, t ticket.Ticket) (contact.Phone, error) {
	refusal := &ticket.Refusal{Code: "no_mobile", Message: "诉求人没有可以接收短信的手机号码，请选择其他答复方式"}
	if t.ContactID == "" {
		return contact.Phone{}, refusal
	}
	phone, err := c.book.Phone(tx, t.ContactID)
	if err != nil {
		return contact.Phone{}, err
	}
	if _, err := contact.ParseMobile(phone.Clear()); err != nil {
		return contact.Phone{}, refusal
	}
	return phone, nil
}

// textReply queues a ticket's reply as a text to its citizen, once for each round.
func (c *centre) textReply(tx *storage.Tx, t ticket.Ticket, reply string) error {
	phone, err := c.mobileOf(tx, t)
	if err != nil {
		return err
	}
	link := ""
	if c.cfg.PublicURL != "" && (t.State == ticket.Replied || t.State == ticket.Answered || t.State == ticket.AwaitRating) {
		token, err := c.gateway.RatingLink(tx, t.ID)
		if err != nil {
			return err
		}
		link = " 请评价：" + strings.TrimSuffix(c.cfg.PublicURL, "/") + "/p/rate/" + token
	}
	_, _, err = c.outbox.Queue(tx, sms.Message{Key: fmt.Sprintf("reply:%s:%d:%s", t.ID, t.Round, t.State), Campaign: "reply", Phone: phone, Priority: sms.Answer,
		Body: "您反映的诉求（" + t.Number + "）答复如下：" + reply + link, NotAfter: time.Now().Add(72 * time.Hour)})
	if err == nil {
		tx.After(c.outbox.Wake)
	}
	return err
}

// firstStart fills an empty database with the sample city and gives the API its first token.
func (c *centre) firstStart(ctx context.Context) error {
	if c.token = c.cfg.APIToken; c.token == "" {
		var err error
		if c.token, err = readOrMake(filepath.Join(c.cfg.Data, tokenFile)); err != nil {
			return err
		}
	}
	if !c.cfg.Sample {
		return nil
	}
	var err error
	c.sample, err = city.Load(ctx, c.db, city.Options{Book: c.book, Password: c.cfg.SamplePassword, PasswordFile: filepath.Join(c.cfg.Data, signInsFile)})
	if err != nil || !c.sample.Fresh {
		return err
	}
	if err := c.db.Update(ctx, func(tx *storage.Tx) error { return city.LoadAreas(tx, c.office) }); err != nil {
		return err
	}
	return c.importSample(ctx)
}

// importSample brings in yesterday's sample records, as another system would.
func (c *centre) importSample(ctx context.Context) error {
	day := workday.DayOf(time.Now()).Add(-1)
	records, err := city.Records(day)
	if err != nil {
		return err
	}
	name := "sample-" + day.String() + ".csv"
	if err := os.WriteFile(filepath.Join(c.cfg.Data, name), records, 0o600); err != nil {
		return err
	}
	_, err = c.survey.Import(ctx, strings.NewReader(string(records)), name, survey.ImportOptions{})
	return err
}

// readOrMake reads a secret from a file, or makes one there on first use.
func readOrMake(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return "", err
	}
	text := hex.EncodeToString(secret)
	return text, os.WriteFile(path, []byte(text+"\n"), 0o600)
}

// bindLines takes the telephone's sockets.
func (c *centre) bindLines() (err error) {
	if c.engine, err = media.NewEngine(media.Config{PortLow: c.cfg.RTPPorts.Low, PortHigh: c.cfg.RTPPorts.High, Log: c.log}); err != nil {
		return err
	}
	if c.phones, err = sip.New(c.sipConfig(), c.engine); err != nil {
		return err
	}
	c.openSoftphones()
	return nil
}

// openLines opens what answers the telephone: board, prompts, flow, hotline.
func (c *centre) openLines(ctx context.Context) (err error) {
	if c.node, err = readOrMake(filepath.Join(c.cfg.Data, nodeFile)); err != nil {
		return err
	}
	if c.board, err = c.openBoard(ctx); err != nil {
		return err
	}
	base, err := kb.Embedded()
	if err != nil {
		return err
	}
	if c.prompts, err = prompts.Load(prompts.Options{Dir: c.cfg.Prompts, More: base.Prompts()}); err != nil {
		return err
	}
	flow, queues, err := ivr.LoadFlows(c.cfg.Flows)
	if err != nil {
		return err
	}
	hotline := ivr.Config{
		DB: c.db, Book: c.book, Office: c.office, Board: c.board, Dial: c.dial(), Prompts: c.prompts, KB: base, Flow: flow,
		Ladder: c.phones.Ladder, Admission: c.cfg.admission(),
		Recordings: filepath.Join(c.cfg.Data, recordingsDir), Number: c.cfg.Hotline, Node: c.node, MaxCalls: c.cfg.MaxCalls, Log: c.log,
		Queues: queues, Hooks: ivr.Hooks{Hosts: c.cfg.HookHosts, Secret: c.cfg.HookSecret}, Flags: c.flags,
	}
	if c.cfg.Recognizer != "" {
		hotline.Hear = speech.OpenAIRecognizer{OpenAI: speech.OpenAI{Base: c.cfg.Recognizer, Key: c.cfg.RecognizerToken}, Model: c.cfg.RecognizerModel}
	}
	outbound := c.cfg.Telephony.outbound(c.cfg.Hotline)
	hotline.Allows = func(number string) bool { return sip.Allows(outbound, number) }
	hotline.Registered, hotline.Police = c.reachable, c.cfg.Telephony.Police
	if c.hotline, err = ivr.New(hotline); err != nil {
		return err
	}
	if err := c.openFlows(ctx); err != nil {
		return err
	}
	c.openRinger()
	if _, err := c.hotline.Recover(ctx); err != nil {
		return err
	}
	if n, err := c.hotline.ResumeHeld(ctx); err != nil {
		return err
	} else if n > 0 {
		c.log.Info("places of callers who are rung back are held again", "places", n)
	}
	if err := c.scheduleCalls(); err != nil {
		return err
	}
	return c.seatOperators(ctx)
}

// openBoard opens the board of operators and waiting callers: in memory, or in Redis where several nodes share it.
func (c *centre) openBoard(ctx context.Context) (desk.Board, error) {
	opt := desk.Options{WrapUp: c.cfg.WrapUp}
	if c.cfg.Redis == "" {
		return desk.NewMemory(opt), nil
	}
	return desk.OpenRedis(ctx, c.cfg.Redis, opt, desk.Node{Name: c.node, Log: c.log})
}

func (c *centre) sipConfig() sip.Config {
	cfg := sip.Config{
		Listen: []string{"udp://" + c.cfg.SIP, "tcp://" + c.cfg.SIP},
		Open:   true, // a hotline is there for everybody; only registered operators are ever called from here
		Realm:  org.Realm,
		Accounts: func(ctx context.Context, user string) (a sip.Account, ok bool) {
			err := c.db.View(ctx, func(tx *storage.Tx) error {
				p, err := org.SIPAccount(tx, user)
				a = sip.Account{MD5: p.MD5, SHA256: p.SHA256}
				return err
			})
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				c.log.Error("sip: read account", "err", err)
			}
			return a, err == nil
		},
		// The board answers at once, but its answer is not waited for in the registrar's own goroutine.
		OnRegistration: func(user string, up bool) { go c.registered(user, up) },
		Admit: func() (time.Duration, bool) {
			if c.overloaded() {
				return 5 * time.Second, false
			}
			return 0, true
		},
		OnCapture: c.captured,
		AdmitCall: func(i sip.Info) (time.Duration, bool) {
			if c.hotline == nil {
				return 5 * time.Second, false
			}
			return c.hotline.Admit(i)
		},
		MaxCall: c.cfg.MaxCall,
		Log:     c.log,
	}
	if c.cfg.SIPTLS != "" {
		cfg.Listen = append(cfg.Listen, "tls://"+c.cfg.SIPTLS)
		cfg.TLS.Certificate, cfg.TLS.Key = c.cfg.SIPCert, c.cfg.SIPKey
		cfg.SRTP = sip.SRTP(c.cfg.SIPSRTP)
	}
	w := c.cfg.wiring()
	cfg.Trusted, cfg.Denied, cfg.Trunks, cfg.Outbound = w.Trusted, w.Denied, w.Trunks, w.Outbound
	cfg.Bans, cfg.OnBans = c.readBans(), c.writeBans
	if c.cfg.PublicIP != "" {
		cfg.PublicIP = netip.MustParseAddr(c.cfg.PublicIP) // check has read it
	}
	cfg.Private = func(to string) bool { return c.hotline != nil && c.hotline.Private(to) }
	return cfg
}

// fewLegs is how many legs a machine leads whatever else it does. Lateness with fewer has another cause than calls, and
// turning callers away would not mend it.
const fewLegs = 40

// overloaded reports whether one more call would make those that are up suffer.
func (c *centre) overloaded() bool { return c.engine.Legs() >= fewLegs && c.engine.Overloaded() }

// registered tells the board that an extension's telephones have changed; with one left of two it stays reachable.
func (c *centre) registered(user string, _ bool) {
	up := c.reachable(user)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.board.Registered(ctx, user, up); err != nil && !errors.Is(err, desk.ErrUnknown) && !errors.Is(err, desk.ErrClosed) {
		c.log.Error("desk: registration", "extension", user, "err", err)
	}
}

// console is the handler of everything HTTP.
func (c *centre) console() http.Handler {
	return console.New(console.Deps{
		DB: c.db, Log: c.log, Hub: c.hub, HTTPS: c.cfg.TLSCert != "", Sample: c.cfg.Sample,
		Book: c.book, Office: c.office, Gateway: c.gateway, Pictures: &channel.Pictures{Hosts: c.cfg.PictureHosts}, Keeper: c.keeper, Proxies: c.cfg.proxies(), Board: c.board, Calls: ivr.Calls{Vault: c.book.Vault}, Live: c.hotline.Live, Flows: c.flows, Reseat: c.seatsChanged, Questions: c.questions, RingSurvey: c.ringer.Wake, Softphones: c.softphones,
		Oversight: c.oversight,
		Figures:   c.figures,
		Polls:     c.polls,
		Order:     c.hotline.Order,
		CallOut:   c.hotline.CallOut,
		Survey:    c.survey, Outbox: c.outbox, Handset: c.sim, SayText: func(keys []string) string { return c.prompts.Text(keys...) },
		Recordings: filepath.Join(c.cfg.Data, recordingsDir),
		Guard:      console.CallGuard{Defence: c.hotline.Defence, Defend: c.hotline.Defend, Bans: c.phones.Bans, LiftBan: c.phones.LiftBan},
		Trace:      c.hotline.Trace, Capture: c.capture, Packets: c.cfg.packets(c.book.Vault),
		APIToken: c.token, Metrics: c.metrics(), Webhooks: c.webhooks, Health: c.health,
	}).Handler()
}

// close gives back what openRooms and openLines took, in the opposite order.
func (c *centre) close() {
	if c.hotline != nil {
		c.hotline.Close()
	}
	if c.board != nil {
		c.board.Close()
	}
	if c.softphones != nil {
		c.softphones.Close()
	}
	if c.engine != nil {
		c.engine.Close()
	}
	if err := c.db.Close(); err != nil {
		c.log.Error("close the database", "err", err)
	}
}
