package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// setLevel puts the configured level of the log in force.
func (cfg *Config) setLevel() {
	if cfg.level == nil {
		cfg.level = new(slog.LevelVar)
	}
	var level slog.Level
	if level.UnmarshalText([]byte(cfg.LogLevel)) == nil {
		cfg.level.Set(level)
	}
}

// configure reads the configuration of a command line once more, without running it.
func (m *Main) configure(args []string) (*Config, error) {
	file, err := readConfig(configPath(args))
	if err != nil {
		return nil, err
	}
	var cli commands
	parser, err := kong.New(&cli, kong.Name("lianxin"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}), kong.Resolvers(fromFile(file)),
		kong.BindTo(context.Background(), (*context.Context)(nil)), kong.Bind(m, &cli.Config))
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, file.blame(args, err)
	}
	return &cli.Config, file.blame(args, cli.Config.fill(file))
}

// reload takes up, on SIGHUP, what of the configuration can change without a restart and without dropping a call: the level of the log,
// the rules by which calls are let in and how many, trunks, what may be called out, trusted and denied sources, and how long recordings
// are kept. A configuration that cannot be read, or that would not work, changes nothing.
func (c *centre) reload(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		if c.cfg.reread != nil {
			c.reconfigure()
		}
	}
}

func (c *centre) reconfigure() {
	next, err := c.cfg.reread()
	if err == nil && next.Hotline != c.cfg.Hotline { // pages, flows and records have it from the start
		c.log.Warn("the number of the hotline changes with a restart only", "configured", next.Hotline)
		next.Hotline = c.cfg.Hotline
	}
	if err == nil {
		err = c.phones.Rewire(next.wiring()) // the one step that may refuse
	}
	if err != nil {
		c.log.Error("configuration not taken up", "err", err)
		return
	}
	c.cfg.LogLevel = next.LogLevel
	c.cfg.setLevel()
	c.hotline.SetAdmission(next.admission())
	c.hotline.SetMaxCalls(next.MaxCalls)
	c.keepFor(next)
	c.log.Info("configuration taken up", "log_level", next.LogLevel, "max_calls", next.MaxCalls, "trunks", len(next.wiring().Trunks), "recording_days", next.RecordingDays)
}
