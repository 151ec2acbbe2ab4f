package sip

import "sync"

// A shrinker gives back the memory of a table that once was much larger: a map of Go keeps the room of its largest size for ever, so
// that an hour of calls, or a minute of flood, would leave an idle exchange with the tables of its busiest moment.
type shrinker struct{ most int }

// smallTable is how many entries are not worth the trouble.
const smallTable = 256

// shrunk is m, or a smaller copy of it when it holds less than an eighth of what it did. The caller holds the lock of m.
func shrunk[K comparable, V any](m map[K]V, s *shrinker) map[K]V {
	s.most = max(s.most, len(m))
	if s.most < smallTable || len(m) > s.most/8 {
		return m
	}
	small := make(map[K]V, len(m))
	for k, v := range m { // not maps.Clone, which keeps the room, too
		small[k] = v
	}
	s.most = len(m)
	return small
}

// shrinkers are those of the server's tables.
type shrinkers struct{ dialogs, dialling, graves, requests, replies, ladders, alive shrinker }

// shrink is called once a second.
func (s *Server) shrink() {
	under := func(mu *sync.Mutex, do func()) {
		mu.Lock()
		defer mu.Unlock()
		do()
	}
	k := &s.shrinkers
	under(&s.mu, func() {
		s.dialogs, s.dialling = shrunk(s.dialogs, &k.dialogs), shrunk(s.dialling, &k.dialling)
		s.graves, s.requests = shrunk(s.graves, &k.graves), shrunk(s.requests, &k.requests)
	})
	under(&s.replies.mu, func() { s.replies.m = shrunk(s.replies.m, &k.replies) })
	under(&s.ladders.mu, func() { s.ladders.m = shrunk(s.ladders.m, &k.ladders) })
	under(&s.alive.mu, func() { s.alive.m = shrunk(s.alive.m, &k.alive) })
}
