package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lianxin/console"
	"lianxin/desk"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

// Rules of the alerts about the exchange itself.
const (
	trunkRule  = "trunk_down"
	repairRule = "desk_repaired"
)

// trunkPatience is how long a trunk may be away before that is an alert: registrations and lines come back by themselves.
const trunkPatience = time.Minute

// trunkTrouble says what is wrong with a trunk (zh-CN), empty when it works.
func trunkTrouble(t sip.TrunkHealth) string {
	switch {
	case !t.Up:
		return "不应答"
	case !t.Registered:
		return "未能注册"
	}
	return ""
}

// trunkHealth is not needed for calls: those that come in may come by another way, and ours go through the next trunk.
func (c *centre) trunkHealth() (p console.Part, any bool) {
	p = console.Part{Name: "trunks", OK: true}
	list := c.phones.Health().Trunks
	var down []string
	for _, t := range list {
		if trunkTrouble(t) != "" {
			p.OK = false
			down = append(down, t.Name)
		}
	}
	p.Detail = fmt.Sprintf("%d of %d work", len(list)-len(down), len(list))
	if len(down) > 0 {
		p.Detail += "; down: " + strings.Join(down, ", ")
	}
	return p, len(list) > 0
}

// watchTrunks raises the alert of a trunk that has been away for too long. away keeps since when each is.
func (c *centre) watchTrunks(ctx context.Context, away map[string]time.Time, now time.Time) error {
	seen := map[string]bool{}
	for _, t := range c.phones.Health().Trunks {
		trouble := trunkTrouble(t)
		if trouble == "" {
			continue
		}
		seen[t.Name] = true
		since, known := away[t.Name]
		if !known {
			away[t.Name] = now
			continue
		}
		if now.Sub(since) < trunkPatience {
			continue
		}
		evidence := fmt.Sprintf("自%s起%s。", since.In(workday.Zone).Format("15:04"), trouble)
		if t.LastError != "" {
			evidence += "最近一次错误：" + t.LastError + "。"
		}
		err := c.raise(ctx, ticket.Alert{Key: trunkRule + ":" + t.Name + ":" + now.UTC().Format("2006-01-02T15"), Rule: trunkRule, Level: ticket.Orange, Subject: "trunk/" + t.Name,
			Title: "中继线路“" + t.Name + "”不可用", Evidence: evidence + "外呼改走其他线路；来电是否受影响，请向运营商核实。", By: ticket.System})
		if err != nil {
			return err
		}
	}
	for name := range away {
		if !seen[name] {
			delete(away, name)
		}
	}
	return nil
}

// raise raises an alert about the exchange; while one is open for the same thing it counts there.
func (c *centre) raise(ctx context.Context, a ticket.Alert) error {
	err := c.db.Update(ctx, func(tx *storage.Tx) error {
		_, err := c.office.RaiseStanding(tx, a)
		return err
	})
	if err != nil {
		return fmt.Errorf("raise the alert %s: %w", a.Rule, err)
	}
	c.hub.Publish(console.EventTickets)
	return nil
}

// repaired tells of what the board had to put right by itself: a bug, or a crash elsewhere. Callers were looked after; somebody should
// know that they had to be.
func (c *centre) repaired(repairs []desk.Repair) {
	kinds := map[string]int{}
	var order []string
	for _, r := range repairs {
		c.log.Error("desk: repaired", "kind", r.Kind, "extension", r.Extension, "call", r.CallID, "what", r.What)
		if kinds[string(r.Kind)]++; kinds[string(r.Kind)] == 1 {
			order = append(order, string(r.Kind))
		}
	}
	if len(repairs) == 0 {
		return
	}
	var words []string
	for _, k := range order {
		words = append(words, fmt.Sprintf("%s %d处", k, kinds[k]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := c.raise(ctx, ticket.Alert{Key: repairRule + ":" + c.node + ":" + time.Now().UTC().Format("2006-01-02T15"), Rule: repairRule, Level: ticket.Yellow, Subject: "desk/" + c.node,
		Title: "坐席队列自动修复", Evidence: "核对发现并已修复：" + strings.Join(words, "，") + "。来电未受影响；反复出现时请查看日志“desk: repaired”。", By: ticket.System})
	if err != nil {
		c.log.Error("desk: tell of repairs", "err", err)
	}
}

var (
	trunkUp         = desc("trunk_up", "Whether a trunk answers OPTIONS.", "trunk")
	trunkRegistered = desc("trunk_registered", "Whether a trunk has taken our registration; 1 where it wants none.", "trunk")
	trunkCalls      = desc("trunk_calls", "Calls of ours that are up or being dialled through a trunk.", "trunk")
	trunkTried      = desc("trunk_calls_last_hour", "Calls of ours that were tried through a trunk in the last hour.", "trunk")
	certificateEnds = desc("sip_certificate_expires_seconds", "When the certificate of SIP over TLS expires, as a Unix time.")
)

// trunkFigures collects the figures of the lines to the outside.
type trunkFigures struct{ c *centre }

// Describe implements prometheus.Collector.
func (f trunkFigures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{trunkUp, trunkRegistered, trunkCalls, trunkTried, certificateEnds} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (f trunkFigures) Collect(ch chan<- prometheus.Metric) {
	yes := map[bool]float64{true: 1}
	h := f.c.phones.Health()
	for _, t := range h.Trunks {
		for d, v := range map[*prometheus.Desc]float64{trunkUp: yes[t.Up], trunkRegistered: yes[t.Registered], trunkCalls: float64(t.Calls), trunkTried: float64(t.Hour)} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, t.Name)
		}
	}
	if !h.CertificateExpires.IsZero() {
		ch <- prometheus.MustNewConstMetric(certificateEnds, prometheus.GaugeValue, float64(h.CertificateExpires.Unix()))
	}
}
