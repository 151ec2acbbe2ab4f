package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// soak makes mixed calls for a long time and fails when anything is left behind: calls, legs, ports, files, goroutines, memory. One call
// in ten misbehaves: it is given up before the answer, never acknowledged, or its caller vanishes without a goodbye.
func soak(ctx context.Context, o options) error {
	rate, d := orDefault(o.rate, 20), orDefault(o.duration, time.Hour)
	s, err := startServer(o)
	if err != nil {
		return err
	}
	defer s.stop()
	sound, err := newCrowd()
	if err != nil {
		return err
	}
	defer sound.close()
	g, err := newGenerator(s.addr, sound)
	if err != nil {
		return err
	}
	defer g.close()
	mixed := func(n int) {
		kinds := []string{"signal", "prompt", "bridge", "prompt", "signal"}
		user, how, talk := kinds[n%len(kinds)], polite, time.Duration(1+n%9)*time.Second
		if user == "signal" {
			talk = 0
		}
		if n%10 == 9 {
			how = []conduct{cancels, drops, noAck}[n/10%3]
			talk = max(talk, time.Second)
		}
		g.dial(user, talk, how)
	}
	// The first half minute shows what is normal.
	warm := min(d/4, 30*time.Second)
	fmt.Printf("Soak: %d mixed calls/s for %v; one in ten misbehaves\n", rate, d)
	g.load(ctx, rate, warm, mixed)
	base, err := s.settled(ctx, g)
	if err != nil {
		return err
	}
	fmt.Printf("  after %v: %s\n", warm, base)
	for end := time.Now().Add(d - warm); time.Now().Before(end) && ctx.Err() == nil; {
		g.load(ctx, rate, min(time.Minute, time.Until(end)), mixed)
		m, err := s.mark(false)
		if err != nil {
			return err
		}
		fmt.Printf("  %s  %s\n", time.Now().Format("15:04:05"), m)
	}
	last, err := s.settled(ctx, g)
	if err != nil {
		return err
	}
	c := g.snapshot()
	fmt.Printf("  at the end: %s\n  %d calls, %d answered, %d ended, %d failed; sound: %d packets back, %d lost\n", last, c.tried, c.answered, c.ended, c.failed, sound.got, sound.lost)
	var wrong []error
	if last.Calls != 0 || last.Legs != 0 {
		wrong = append(wrong, fmt.Errorf("%d calls and %d legs are left", last.Calls, last.Legs))
	}
	if last.FreePorts != base.FreePorts {
		wrong = append(wrong, fmt.Errorf("%d of %d ports came back", last.FreePorts, base.FreePorts))
	}
	if last.Goroutines > base.Goroutines+5 || last.Files > base.Files+5 {
		wrong = append(wrong, fmt.Errorf("%d goroutines and %d files, %d and %d before", last.Goroutines, last.Files, base.Goroutines, base.Files))
	}
	if last.Heap > base.Heap+base.Heap/3+8<<20 {
		wrong = append(wrong, fmt.Errorf("the heap has grown from %d to %d MB", base.Heap>>20, last.Heap>>20))
	}
	if last.Panics > 0 {
		wrong = append(wrong, fmt.Errorf("%d panics", last.Panics))
	}
	return errors.Join(append(wrong, ctx.Err())...)
}

// String is the figures in a line.
func (m Mark) String() string {
	return fmt.Sprintf("%d calls, %d legs, %d free ports, %d goroutines, %d files, heap %.1f MB, RSS %.1f MB, CPU %.1f s", m.Calls, m.Legs, m.FreePorts, m.Goroutines, m.Files,
		float64(m.Heap)/1e6, float64(m.RSS)/1e6, m.CPU.Seconds())
}

// settled waits until calls are over and every port has had its rest: a caller who vanished counts as silent after 60 s, an answer that
// nobody acknowledged is hung up after 32 s, a dialog lingers as long, a port rests for 15 s.
func (s *server) settled(ctx context.Context, g *generator) (m Mark, err error) {
	g.drain(ctx, 40*time.Second)
	for end := time.Now().Add(150 * time.Second); ; {
		if m, err = s.mark(true); err != nil {
			return m, err
		}
		quiet := m.Calls == 0 && m.Legs == 0
		if quiet && m.FreePorts >= s.total && time.Since(s.quietSince) > 40*time.Second || ctx.Err() != nil || time.Now().After(end) {
			return m, ctx.Err()
		}
		if !quiet {
			s.quietSince = time.Now()
		}
		time.Sleep(time.Second)
	}
}
