package main

import (
	"fmt"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"

	"lianxin/sip/media"
)

// A Pulse is what the server says of itself while it works: little enough to ask for that the answer does not disturb.
type Pulse struct {
	RSS, Heap, Live int64 // bytes: of the process, of objects with their garbage, of what the last collection found alive
	Collections     uint64
	Late            media.Lateness
}

// feel is the server's side of it. It reads runtime/metrics, which unlike ReadMemStats stops nobody.
func feel(e *media.Engine) Pulse {
	m := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(m)
	return Pulse{RSS: rss(), Heap: int64(m[0].Value.Uint64()), Live: int64(m[1].Value.Uint64()), Collections: m[2].Value.Uint64(), Late: e.Lateness()}
}

// pulseEvery is shorter than the ten seconds that a media.Lateness covers, so that no late slot escapes.
const pulseEvery = 5 * time.Second

// A watch feels the server's pulse all through a run.
type watch struct {
	began  time.Time
	stop   chan struct{}
	wg     sync.WaitGroup
	pulses []Pulse
}

func (s *server) watch() *watch {
	w := &watch{began: time.Now(), stop: make(chan struct{})}
	w.wg.Go(func() {
		tick := time.NewTicker(pulseEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			var p Pulse
			if s.ask("pulse", &p) != nil {
				return
			}
			w.pulses = append(w.pulses, p)
		}
	})
	return w
}

func (w *watch) end() {
	close(w.stop)
	w.wg.Wait()
}

// memory is the curve: what the process had, and how much of it was alive, every five seconds.
func (w *watch) memory() string {
	var all, live []string
	for _, p := range w.pulses {
		all = append(all, fmt.Sprintf("%.0f", float64(p.RSS)/1e6))
		live = append(live, fmt.Sprintf("%.0f", float64(p.Live)/1e6))
	}
	if len(all) == 0 {
		return "the run was too short for a curve of memory"
	}
	return fmt.Sprintf("memory every %v, MB: %s; alive: %s; %d collections", pulseEvery, strings.Join(all, " "), strings.Join(live, " "), w.pulses[len(all)-1].Collections)
}

// lateness is the worst of the run.
func (w *watch) lateness() string {
	if len(w.pulses) == 0 {
		return "too short to say"
	}
	by := func(f func(media.Lateness) time.Duration) time.Duration {
		return f(slices.MaxFunc(w.pulses, func(a, b Pulse) int { return int(f(a.Late) - f(b.Late)) }).Late)
	}
	return fmt.Sprintf("p99 %.2f ms and %.1f ms at most in the worst ten seconds", ms(by(func(l media.Lateness) time.Duration { return l.P99 })), ms(by(func(l media.Lateness) time.Duration { return l.Max })))
}
