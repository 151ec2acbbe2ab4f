package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"lianxin/ivr"
	"lianxin/ivr/flow"
	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/workday"
)

type flowCmd struct {
	Check flowCheckCmd `cmd:"" help:"Check a flow file; each mistake is named with its line and column."`
	Draw  flowDrawCmd  `cmd:"" help:"Draw a flow as text."`
	Try   flowTryCmd   `cmd:"" help:"Play a call in text: what the caller hears, and your keys."`
}

type flowFile struct {
	File string `arg:"" optional:"" help:"Flow file; the hotline's own when left out." type:"existingfile"`
}

func (f flowFile) load(cfg *Config) (*flow.Flow, *prompts.Set, error) {
	base, err := kb.Embedded()
	if err != nil {
		return nil, nil, err
	}
	set, err := prompts.Load(prompts.Options{Dir: cfg.Prompts, More: base.Prompts()})
	if err != nil {
		return nil, nil, err
	}
	var fl *flow.Flow
	dir := cfg.Flows
	if f.File == "" {
		fl, err = ivr.LoadFlow(cfg.Flows, "hotline")
	} else {
		dir = filepath.Dir(f.File)
		fl, err = ivr.LinkFlow(filepath.Clean(f.File))
	}
	var queues *ivr.Queues
	if err == nil {
		queues, err = ivr.LoadQueues(dir)
	}
	if err == nil {
		known := ivr.Known(set, base)
		known.Host = ivr.Hooks{Hosts: cfg.HookHosts}.Allowed
		known.Queue = func(name string) bool { _, ok := queues.Get(name); return ok }
		err = fl.Check(known)
	}
	return fl, set, err
}

type flowCheckCmd struct{ flowFile }

func (f *flowCheckCmd) Run(m *Main, cfg *Config) error {
	fl, _, err := f.load(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "%s: sound, version %s\n", fl.Name, fl.Version)
	return nil
}

type flowDrawCmd struct{ flowFile }

func (f *flowDrawCmd) Run(m *Main, cfg *Config) error {
	fl, _, err := f.load(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(m.Out, strings.TrimRight(fl.Draw(), "\n"))
	return nil
}

type flowTryCmd struct{ flowFile }

func (f *flowTryCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	fl, set, err := f.load(cfg)
	if err != nil {
		return err
	}
	now := time.Now().In(workday.Zone)
	calendar, err := workday.Load()
	if err != nil {
		return err
	}
	day := workday.DayOf(now)
	err = fl.Try(ctx, m.In, m.Out, func(key string) string { return set.Text(key) },
		flow.Facts{Now: now, Workday: calendar.IsWorkday(day), Holiday: calendar.IsHoliday(day), Caller: "new"})
	if errors.Is(err, io.EOF) {
		fmt.Fprintln(m.Out)
		return errors.New("the input ended before the call did; one line is one chance to press keys, an empty one is silence")
	}
	return err
}
