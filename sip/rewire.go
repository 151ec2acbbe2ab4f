package sip

import (
	"net/netip"
	"reflect"
)

// A Wiring is what of a Config may change while calls are up.
type Wiring struct {
	Trunks          []Trunk
	Outbound        Outbound
	Trusted, Denied []netip.Prefix
}

// Rewire takes up another wiring. Trunks that stay as they are keep their registration and their state; others that keep their name
// keep their counts, so that a reload is no way round a limit. Calls that are up go on, those of a trunk that is gone too. When
// something is wrong with the wiring nothing changes.
func (s *Server) Rewire(w Wiring) error {
	p, all, err := readLines(w.Trunks, w.Outbound)
	if err != nil {
		return err
	}
	s.guard.known.Store(newKnown(w.Trusted, w.Denied, w.Trunks))
	s.lines.rewire(p, all)
	return nil
}

func (ls *lines) rewire(p *plan, all []*line) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	was := map[string]*line{}
	for _, l := range ls.all {
		was[l.Name] = l
	}
	for i, l := range all {
		old := was[l.Name]
		if old == nil {
			continue
		}
		if reflect.DeepEqual(old.Trunk, l.Trunk) {
			all[i] = old
			delete(was, l.Name)
			continue
		}
		l.usage = old.usage
	}
	for _, l := range was { // gone, or begun anew
		if l.stop != nil {
			l.stop()
		}
	}
	ls.all = all
	ls.plan.Store(p)
	if ls.watched == nil {
		return
	}
	for _, l := range all {
		if l.stop == nil {
			ls.watched(l)
		}
	}
}
