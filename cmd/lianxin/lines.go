package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lianxin/console"
	"lianxin/ivr"
	"lianxin/ivr/flow"
)

// flowLook is how often the folder of flow files is looked at.
const flowLook = 2 * time.Second

// openFlows notes the flows that the hotline was opened with, so that others can take their place while it runs.
func (c *centre) openFlows(ctx context.Context) error {
	c.flows = &ivr.FlowFiles{Hotline: c.hotline, DB: c.db, Dir: c.cfg.Flows, Log: c.log, Changed: func() { c.hub.Publish(console.EventCalls) }}
	return c.flows.Begin(ctx, "start")
}

// watchFlows puts changed flow files in force: when a file changes, and on SIGHUP.
func (c *centre) watchFlows(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	return c.flows.Watch(ctx, flowLook, hup)
}

// openRinger makes what rings people whom no text of the survey reaches, and the persons of call-backs who are asked by key.
func (c *centre) openRinger() {
	asks := func() (*flow.Flow, error) { return ivr.LoadFlow(c.cfg.Flows, ivr.SurveyCall) }
	c.ringer = &ivr.SurveyCalls{Hotline: c.hotline, Survey: c.survey, Flow: asks, Changed: func() { c.hub.Publish(console.EventSurvey) }}
	c.questions = &ivr.Questions{Hotline: c.hotline, Flow: asks}
	c.scribe = &ivr.Transcripts{Hotline: c.hotline, Changed: func() { c.hub.Publish(console.EventTickets) }}
}
