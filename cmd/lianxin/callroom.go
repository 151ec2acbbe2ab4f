package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"lianxin/console"
	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/sip"
)

// scheduleCalls adds the jobs that look after the records of calls.
func (c *centre) scheduleCalls() error {
	c.keepFor(c.cfg)
	job := c.kept.Load().Job("40 3 * * *")
	job.Run = func(ctx context.Context, at time.Time) error { return c.kept.Load().Job(job.Spec).Run(ctx, at) } // the rule of that night
	return c.schedule.Add(job)
}

// keepFor puts a configuration's rule of how long recordings are kept in force.
func (c *centre) keepFor(cfg *Config) {
	rule := cfg.retention(c.db, ivr.Calls{Vault: c.book.Vault}, c.office)
	rule.Log = c.log
	c.kept.Store(&rule)
}

// recordingHealth is not needed for calls: they go on unrecorded, and say so.
func (c *centre) recordingHealth() console.Part {
	h := c.hotline.RecordingHealth()
	p := console.Part{Name: "recording", OK: h.OK, Detail: fmt.Sprintf("%d calls not wholly recorded since the start", h.Failed)}
	if !h.OK {
		p.Detail = fmt.Sprintf("calls are not recorded since %s: %s; %s", h.Since.Format(time.RFC3339), h.Why, p.Detail)
	}
	return p
}

// packets is where captured packets are kept.
func (cfg *Config) packets(v *contact.Vault) ivr.PacketStore {
	return ivr.PacketStore{Dir: filepath.Join(cfg.Data, "captures"), Vault: v}
}

// captured keeps the packets of a call that was captured.
func (c *centre) captured(p *sip.Packets) {
	if err := c.cfg.packets(c.book.Vault).Save(p); err != nil {
		c.log.Error("sip: packets of a call", "call", p.Call, "err", err)
		return
	}
	c.log.Info("sip: a call was captured", "call", p.Call, "packets", len(p.List), "cut", p.Cut, "lost", p.Lost)
}

func (c *centre) capture(o console.CaptureOrder) error {
	if o.CallID != "" {
		return c.phones.CaptureCall(o.CallID)
	}
	return c.phones.CaptureNext(o.From, o.Within)
}

// admission is which calls are let in.
func (cfg *Config) admission() ivr.Admission {
	a := ivr.Admission{PerCaller: cfg.PerCaller, DefendAt: cfg.DefendAt, Reserve: cfg.Reserve, Proof: cfg.ProofLines, Priority: cfg.Priority}
	if cfg.TrunkCalls > 0 {
		a.Channels = map[string]int{"trunk": cfg.TrunkCalls}
	}
	return a
}
