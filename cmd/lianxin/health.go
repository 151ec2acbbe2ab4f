package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"

	"lianxin/console"
	"lianxin/desk"
)

// health tells of each part whether it works.
func (c *centre) health(ctx context.Context) []console.Part {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	parts := []console.Part{c.storageHealth(ctx), c.sipHealth(), c.mediaHealth(), c.softphoneHealth(), c.deskHealth(ctx), c.smsHealth(ctx), c.diskHealth(), c.recordingHealth()}
	if p, any := c.trunkHealth(); any {
		parts = append(parts, p)
	}
	return parts
}

func (c *centre) storageHealth(ctx context.Context) console.Part {
	p := console.Part{Name: "storage", Needed: true, OK: true, Detail: "sqlite"}
	if c.db.Postgres() {
		p.Detail = "postgres"
	}
	if err := c.db.Ping(ctx); err != nil {
		p.OK, p.Detail = false, "the database does not answer"
	}
	return p
}

func (c *centre) sipHealth() console.Part {
	h := c.phones.Health()
	p := console.Part{Name: "sip", Needed: true, OK: h.OK() && !h.Draining, Detail: fmt.Sprintf("%d calls, %d phones registered", h.Calls, h.Registrations)}
	var down []string
	for _, l := range h.Listeners {
		if !l.Up {
			down = append(down, l.Network+" "+l.Addr)
		}
	}
	switch {
	case len(down) > 0:
		p.Detail = "not listening on " + strings.Join(down, ", ")
	case h.Draining:
		p.Detail = "draining"
	}
	return p
}

func (c *centre) mediaHealth() console.Part {
	late := c.engine.Lateness()
	return console.Part{Name: "media", Needed: true, OK: !c.overloaded() && c.engine.FreePorts() > 0,
		Detail: fmt.Sprintf("%d legs, %d free ports, lateness p99 %s", c.engine.Legs(), c.engine.FreePorts(), late.P99)}
}

// deskHealth is not needed for calls: without operators the bot answers and takes messages.
func (c *centre) deskHealth(ctx context.Context) console.Part {
	p := console.Part{Name: "desk"}
	snap, err := c.board.Snapshot(ctx)
	if err != nil {
		p.Detail = "the board does not answer"
		return p
	}
	ready := 0
	for _, op := range snap.Operators {
		if op.State != desk.Offline && op.State != desk.Away {
			ready++
		}
	}
	p.OK, p.Detail = ready > 0, fmt.Sprintf("%d of %d operators on duty, %d callers waiting", ready, len(snap.Operators), len(snap.Waiting))
	return p
}

func (c *centre) smsHealth(ctx context.Context) console.Part {
	p := console.Part{Name: "sms", Needed: true}
	h, err := c.outbox.Health(ctx)
	if err != nil {
		p.Detail = "the outbox cannot be read"
		return p
	}
	p.OK = len(h.Trouble) < len(c.outbox.Carriers)
	p.Detail = fmt.Sprintf("%s: %d due, oldest %s, %d of unknown outcome, %d replies unread", strings.Join(c.cfg.Carriers, ", "), h.Due, h.Oldest.Round(time.Second), h.Stuck, h.Unread)
	for carrier, why := range h.Trouble {
		p.Detail += "; " + carrier + " is left alone: " + why
	}
	return p
}

// leastFree is how much of the disk must be free before the engineer is warned. Calls go on without it.
const leastFree = 1 << 30

func (c *centre) diskHealth() console.Part {
	p := console.Part{Name: "disk"}
	free, err := freeBytes(c.cfg.Data)
	if err != nil {
		p.Detail = "the data folder cannot be looked at"
		return p
	}
	p.OK, p.Detail = free >= leastFree, fmt.Sprintf("%d MiB free", free>>20)
	return p
}

func freeBytes(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}

// metrics is what GET /metrics shows: the process, and each room's own figures, read when asked for.
func (c *centre) metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), figures{c}, queueFigures{c}, trunkFigures{c})
	return r
}

// figures collects the rooms' figures.
type figures struct{ c *centre }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lianxin_"+name, help, labels, nil)
}

var (
	callsUp       = desc("calls_up", "Calls that are up.")
	phonesUp      = desc("sip_registrations", "Phones registered.")
	sipReceived   = desc("sip_messages_received_total", "SIP messages let through.")
	sipDropped    = desc("sip_messages_dropped_total", "SIP messages and connections kept out.", "reason")
	sipPanics     = desc("sip_handler_panics_total", "SIP handlers that failed and were isolated.")
	mediaLegs     = desc("media_legs", "Media legs that are open.")
	mediaPorts    = desc("media_ports_free", "RTP ports that are free.")
	mediaLate     = desc("media_lateness_seconds", "Lateness of the pacers over the last ten seconds.", "quantile")
	mediaCPU      = desc("media_cpu_seconds_total", "CPU time of the pacer threads.")
	deskOperators = desc("desk_operators", "Operators by state.", "state")
	deskWaiting   = desc("desk_waiting", "Callers waiting.")
	deskOffers    = desc("desk_events_total", "What happened on the board since it was opened.", "event")
	smsState      = desc("sms_messages", "Texts of the last two days by state.", "state")
	smsDue        = desc("sms_due", "Texts waiting although they are due.")
	smsUnread     = desc("sms_replies_unread", "Replies that are stored but not processed.")
	partUp        = desc("part_up", "Whether a part works, as in /healthz.", "part")
	unrecorded    = desc("calls_unrecorded_total", "Calls since the start that are not, or not wholly, recorded.")
	callProofs    = desc("call_proofs_total", "Callers who were asked for keys in a flood, by what they made of it.", "outcome")
	callRefused   = desc("calls_refused_total", "Calls that were not let in, by reason.", "reason")
	callDefence   = desc("call_defence", "Whether the hotline defends itself against a flood of calls.")
	diskFree      = desc("disk_free_bytes", "Free bytes where the data folder lies.")
)

// Describe implements prometheus.Collector.
func (f figures) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, ch) }

// Collect implements prometheus.Collector.
func (f figures) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	c := f.c
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	h := c.phones.Health()
	gauge(callsUp, float64(h.Calls))
	gauge(phonesUp, float64(h.Registrations))
	counter(sipReceived, float64(h.Received))
	for reason, n := range h.Dropped {
		counter(sipDropped, float64(n), reason)
	}
	counter(sipPanics, float64(h.Panics))

	late := c.engine.Lateness()
	gauge(mediaLegs, float64(c.engine.Legs()))
	gauge(mediaPorts, float64(c.engine.FreePorts()))
	gauge(mediaLate, late.P50.Seconds(), "0.5")
	gauge(mediaLate, late.P99.Seconds(), "0.99")
	gauge(mediaLate, late.Max.Seconds(), "1")
	counter(mediaCPU, late.CPU.Seconds())

	if snap, err := c.board.Snapshot(ctx); err == nil {
		states := map[desk.State]int{}
		for _, s := range []desk.State{desk.Offline, desk.Ready, desk.Break, desk.Away, desk.Ringing, desk.Talking, desk.WrapUp} {
			states[s] = 0
		}
		for _, op := range snap.Operators {
			states[op.State]++
		}
		for s, n := range states {
			gauge(deskOperators, float64(n), string(s))
		}
		gauge(deskWaiting, float64(len(snap.Waiting)))
		k := snap.Counters
		for event, n := range map[string]uint64{"joined": k.Joined, "offered": k.Offered, "answered": k.Answered, "left": k.Left,
			"missed": k.Missed, "expired": k.Expired, "set_aside": k.SetAside, "repaired": k.Repaired} {
			counter(deskOffers, float64(n), event)
		}
	}
	if o, err := c.outbox.Health(ctx); err == nil {
		for state, n := range o.States {
			gauge(smsState, float64(n), string(state))
		}
		gauge(smsDue, float64(o.Due))
		gauge(smsUnread, float64(o.Unread))
	}
	for _, p := range c.health(ctx) {
		up := 0.0
		if p.OK {
			up = 1
		}
		gauge(partUp, up, p.Name)
	}
	defence, on := c.hotline.Defence(), 0.0
	if defence.On {
		on = 1
	}
	gauge(callDefence, on)
	for reason, n := range defence.Refused {
		counter(callRefused, float64(n), reason)
	}
	for p, n := range defence.Proofs {
		counter(callProofs, float64(n), string(p))
	}
	counter(unrecorded, float64(c.hotline.RecordingHealth().Failed))
	if free, err := freeBytes(c.cfg.Data); err == nil {
		gauge(diskFree, float64(free))
	}
}
