package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
)

// Push is what a carrier pushes: one JSON object or several in an array. It lets in who may pass the gate (nil: nobody),
// has every item taken, each once, and answers with the words that the carrier expects when all of them are stored. When
// one is not it answers 503, and the carrier pushes all of them again.
func Push[T comparable](w http.ResponseWriter, r *http.Request, g *Gate, log *slog.Logger, carrier, answer string, take func(context.Context, T) error) {
	if g == nil {
		http.NotFound(w, r)
		return
	}
	body, ok := g.Read(w, r)
	if !ok {
		log.Warn("push refused", "carrier", carrier)
		return
	}
	items, err := Items[T](body)
	if err != nil {
		log.Warn("push that cannot be read", "carrier", carrier)
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	seen := map[T]bool{}
	for _, item := range items {
		if seen[item] {
			continue
		}
		seen[item] = true
		if err := take(r.Context(), item); err != nil {
			log.Error("store a push", "carrier", carrier, "error", err)
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, answer)
}
