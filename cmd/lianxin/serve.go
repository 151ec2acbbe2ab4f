package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"lianxin/console"
	"lianxin/desk"
	"lianxin/sip/memlimit"
	"lianxin/sms"
	"lianxin/survey"
	"lianxin/ticket/channel"
	"lianxin/workday"
)

type serveCmd struct{}

// Run runs the centre until ctx ends, then lets calls end politely.
func (serveCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	log := newLogger(m.Err, cfg)
	limit, from, err := memlimit.Set(cfg.Memory, cfg.GCPercent)
	if err != nil {
		return fmt.Errorf("--memory-limit: %w", err)
	}
	log.Info("soft limit of memory", "MB", limit/1e6, "by", from, "gc-percent", cfg.GCPercent)
	return serve(ctx, cfg, log, func(c *centre, web net.Listener) { c.banner(m.Out, web) })
}

// serve opens the house, calls ready once it answers, and runs it until ctx ends.
func serve(ctx context.Context, cfg *Config, log *slog.Logger, ready func(*centre, net.Listener)) error {
	release, err := holdData(cfg.Data)
	if err != nil {
		return err
	}
	defer release()
	c, err := openRooms(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer c.close()
	// Every address before anything is made: a start that fails on a port in use leaves an empty house as it was.
	web, err := net.Listen("tcp", cfg.HTTP)
	if err != nil {
		return fmt.Errorf("open the console's address: %w", err)
	}
	defer web.Close()
	if err := c.bindLines(); err != nil {
		return err
	}
	if err := c.firstStart(ctx); err != nil {
		return err
	}
	if err := c.noteFigures(ctx); err != nil {
		return err
	}
	if err := c.openLines(ctx); err != nil {
		return err
	}
	if n, err := sms.SealWords(ctx, c.db, c.book.Vault); err != nil {
		return err
	} else if n > 0 {
		log.Info("sealed the words of texts and replies that were stored in clear", "rows", n)
	}
	if n, err := c.office.SealAlerts(ctx, c.db); err != nil {
		return err
	} else if n > 0 {
		log.Info("sealed the words of alerts that were stored in clear", "rows", n)
	}
	return c.run(ctx, web, ready)
}

// run serves until ctx ends or something that must not end does.
func (c *centre) run(ctx context.Context, web net.Listener, ready func(*centre, net.Listener)) error {
	// Two lives: work ends when ctx does; the lines and pages go on until the calls are over.
	lines, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	group, work := errgroup.WithContext(ctx)

	server := &http.Server{Handler: c.console(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return lines }, ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug)}
	group.Go(func() error {
		err := error(nil)
		if c.cfg.TLSCert != "" {
			err = server.ServeTLS(web, c.cfg.TLSCert, c.cfg.TLSKey)
		} else {
			err = server.Serve(web)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("console: %w", err)
	})
	group.Go(func() error { return c.phones.Serve(lines, c.hotline.Serve) })
	group.Go(func() error { return c.outbox.Run(work) })
	group.Go(func() error { return c.inbox.Run(work) })
	if c.sim != nil {
		group.Go(func() error { return c.sim.Run(work) })
	}
	if c.cfg.Records != "" {
		group.Go(func() error { return (&survey.Folder{Survey: c.survey, Dir: c.cfg.Records}).Run(work) })
	}
	for _, link := range c.links {
		group.Go(func() error { return link(work) })
	}
	group.Go(func() error {
		return (&channel.Runner{Gateway: c.gateway, Changed: func() { c.hub.Publish(console.EventTickets) }}).Run(work)
	})
	group.Go(func() error { c.watchKeys(work); return nil })
	group.Go(func() error { return c.schedule.Run(work) })
	group.Go(func() error { return c.sweep(work) })
	group.Go(func() error { return c.watchFlows(lines) })
	group.Go(func() error { return c.ringer.Run(work) })
	group.Go(func() error { return c.questions.Run(work) })
	group.Go(func() error { return c.scribe.Run(work) })
	group.Go(func() error { return c.duty(work) })
	group.Go(func() error {
		desk.Guard(lines, c.board, desk.Reality{Registered: c.reachable, Live: c.hotline.IsLive}, 5*time.Second, c.repaired)
		return nil
	})
	group.Go(func() error { c.reload(work); return nil })
	group.Go(func() error { c.journal(lines); return nil })
	group.Go(func() error { c.tellPages(lines); return nil })
	group.Go(func() error {
		<-work.Done()
		c.drain(lines)
		hangUp()
		stop, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if server.Shutdown(stop) != nil {
			server.Close() // pages that listen for events never finish by themselves
		}
		return nil
	})
	if ready != nil {
		c.awaitParts(work)
		ready(c, web)
	}
	err := group.Wait()
	c.log.Info("stopped")
	return err
}

// drain lets the calls that are up go on for a while, tells those that remain, and refuses new ones.
func (c *centre) drain(ctx context.Context) {
	c.log.Info("stopping", "calls", len(c.hotline.Live()), "wait", c.cfg.Drain)
	grace, cancel := context.WithTimeout(ctx, c.cfg.Drain)
	defer cancel()
	// The exchange outlives the hotline's farewell of at most fifteen seconds.
	last, cancelLast := context.WithTimeout(ctx, c.cfg.Drain+20*time.Second)
	defer cancelLast()
	refused := make(chan int, 1)
	go func() { refused <- c.phones.Drain(last) }()
	if n := c.hotline.Drain(grace); n > 0 {
		c.log.Warn("calls were ended for the stop", "calls", n)
	}
	cancelLast()
	<-refused
}

// sweep looks at what falls due.
func (c *centre) sweep(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		if _, err := c.office.Sweep(ctx, c.db, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Error("ticket: sweep", "err", err)
		}
		if err := c.oversight.Sweep(ctx, c.db, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Error("oversight: sweep", "err", err)
		}
		if err := c.polls.Sweep(ctx, c.db); err != nil && ctx.Err() == nil {
			c.log.Error("poll: sweep", "err", err)
		}
		if n%120 == 0 {
			if warning := c.office.CalendarWarning(); warning != "" {
				c.log.Warn("workday: " + warning)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// journal writes down who was on duty; of a board that several nodes share, one of them does.
func (c *centre) journal(ctx context.Context) {
	if shared, ok := c.board.(*desk.Redis); ok {
		err := shared.Lead(ctx, func(ctx context.Context) error {
			return (&desk.Journal{DB: c.db, Node: "desk", Log: c.log}).Run(ctx, c.board)
		})
		if err != nil && ctx.Err() == nil {
			c.log.Error("desk: journal", "err", err)
		}
		return
	}
	if err := (&desk.Journal{DB: c.db, Node: c.node, Log: c.log}).Run(ctx, c.board); err != nil && ctx.Err() == nil {
		c.log.Error("desk: journal", "err", err)
	}
}

// tellPages passes on to open pages that something on the board or in a call changed.
func (c *centre) tellPages(ctx context.Context) {
	calls, board := c.hotline.Watch(ctx), c.board.Subscribe(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-calls:
		case _, ok := <-board:
			if !ok {
				board = nil
			}
		}
		c.hub.Publish(console.EventCalls)
	}
}

// newLogger writes text to a terminal and JSON elsewhere.
func newLogger(w io.Writer, cfg *Config) *slog.Logger {
	cfg.setLevel() // a reload may change it
	level := cfg.level
	f, isFile := w.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && terminal {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// banner prints where to look.
func (c *centre) banner(w io.Writer, web net.Listener) {
	scheme := "http"
	if c.cfg.TLSCert != "" {
		scheme = "https"
	}
	fmt.Fprintf(w, "\n连心 Lianxin is up · %s\n\n", time.Now().In(workday.Zone).Format("2006-01-02 15:04"))
	fmt.Fprintf(w, "  控制台 console    %s://%s\n", scheme, hostPort(web.Addr().String()))
	for _, a := range c.phones.Addrs() {
		fmt.Fprintf(w, "  热线   hotline    %s\n", c.dialString(a))
	}
	if c.sim != nil {
		fmt.Fprintf(w, "  模拟手机 handset  %s://%s/handset   (supervisor1)\n", scheme, hostPort(web.Addr().String()))
	}
	fmt.Fprintf(w, "  接口   API        %s://%s/api/v1/openapi.json, token in %s\n\n", scheme, hostPort(web.Addr().String()), c.path(tokenFile))
	if c.sample.Fresh {
		fmt.Fprintln(w, indent(c.sample.Text()))
		fmt.Fprintf(w, "  These are kept in %s.\n\n", c.path(signInsFile))
	} else if _, err := os.Stat(c.path(signInsFile)); err == nil {
		fmt.Fprintf(w, "  示例账号 sample sign-ins: %s\n\n", c.path(signInsFile))
	}
	fmt.Fprintln(w, "  Ctrl-C 停止：通话会先礼貌结束。")
	fmt.Fprintln(w)
}

func (c *centre) path(name string) string { return c.cfg.Data + string(os.PathSeparator) + name }

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// dialString is what one types into a phone on this machine to reach the hotline at a listener's address.
func (c *centre) dialString(addr string) string {
	network, hp, _ := strings.Cut(addr, "://")
	uri := "sip:" + c.cfg.Hotline + "@" + hostPort(hp)
	if network != "udp" {
		uri += ";transport=" + network
	}
	return uri
}

// hostPort turns a wildcard into the loopback address, which can be dialled from this machine.
func hostPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// watchKeys takes up a sealing key that lianxin keys rotate has made.
func (c *centre) watchKeys(ctx context.Context) {
	tick := time.NewTicker(reloadKeys)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := c.book.Vault.Reload(); err != nil {
				c.log.Error("contact: keys", "err", err)
			}
		}
	}
}

// awaitParts waits until every part that is needed works, so that whoever is told that the centre is up can call it. A part
// that stays down keeps nobody waiting for long: /healthz says which one it is.
func (c *centre) awaitParts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	down := func(p console.Part) bool { return p.Needed && !p.OK }
	for slices.ContainsFunc(c.health(ctx), down) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
