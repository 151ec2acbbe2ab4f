package console

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Kinds of live events. An event says only that something of its kind changed; pages read their state again, so a lost
// event costs a moment and never a wrong picture.
const (
	EventCalls   = "calls"   // a call or a waiting caller
	EventTickets = "tickets" // a ticket, leg, call-back or alert
	EventSurvey  = "survey"  // a text, receipt, reply or rating
	EventAlert   = "alert"   // something a person must look at now
)

// Hub hands live events to the pages that are open. Its zero value is ready.
type Hub struct {
	mu   sync.Mutex
	subs map[chan string]struct{}
}

// Publish tells every open page that something of the kind changed. It never blocks: a page that is slow to read has
// the event waiting already, or misses a repetition.
func (h *Hub) Publish(kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.subs {
		select {
		case c <- kind:
		default:
		}
	}
}

func (h *Hub) subscribe() (events <-chan string, cancel func()) {
	c := make(chan string, 32)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[chan string]struct{}{}
	}
	h.subs[c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, c)
	}
}

// ServeHTTP streams events as server-sent events (WHATWG HTML, section 9.2) until the page closes. Events of one kind
// within a fifth of a second are one.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	flush.SetReadDeadline(time.Time{})
	flush.SetWriteDeadline(time.Time{})
	events, cancel := h.subscribe()
	defer cancel()
	fmt.Fprint(w, "retry: 2000\n\n")
	flush.Flush()
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	gather := time.NewTimer(0)
	<-gather.C
	pending := map[string]bool{}
	for {
		select {
		case <-r.Context().Done():
			return
		case kind := <-events:
			if len(pending) == 0 {
				gather.Reset(200 * time.Millisecond)
			}
			pending[kind] = true
			continue
		case <-gather.C:
			for kind := range pending {
				fmt.Fprintf(w, "event: %s\ndata: 1\n\n", kind)
			}
			clear(pending)
		case <-alive.C:
			fmt.Fprint(w, ": alive\n\n")
		}
		if flush.Flush() != nil {
			return
		}
	}
}
