package main

import (
	"fmt"
	"time"

	"lianxin/console"
	"lianxin/ivr"
)

// scheduleCalls adds the jobs that look after the records of calls.
func (c *centre) scheduleCalls() error {
	rule := c.cfg.retention(c.db, ivr.Calls{Vault: c.book.Vault}, c.office)
	rule.Log = c.log
	return c.schedule.Add(rule.Job("40 3 * * *"))
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
