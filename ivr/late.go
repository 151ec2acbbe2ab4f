package ivr

import (
	"context"
	"log/slog"
	"time"

	"lianxin/storage"
)

// unwritten is the end of a call that the database would not take: it had no room, or could not be reached.
type unwritten struct {
	call  string
	write func(context.Context) error
	log   *slog.Logger
}

// mostUnwritten bounds what is kept for a database that does not come back: a day of a large city's calls.
const mostUnwritten = 20_000

// writeLater keeps the end of a call until the database takes it: until then its record would say that the call is up, and whoever was not
// served would not be called back. A program that is killed before loses it no more than a crash does, as Recover closes what is open.
func (h *Hotline) writeLater(u unwritten) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.unwritten) >= mostUnwritten {
		u.log.Error("ivr: too many ends of calls wait for the database; this one is left to the next start")
		return
	}
	h.unwritten = append(h.unwritten, u)
}

// writeLate writes what the database would not take before, in order, until it refuses again.
func (h *Hotline) writeLate(ctx context.Context) {
	for ctx.Err() == nil {
		h.mu.Lock()
		if len(h.unwritten) == 0 {
			h.mu.Unlock()
			return
		}
		u := h.unwritten[0]
		h.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := h.writeOnce(within, u)
		cancel()
		if err != nil {
			u.log.Debug("ivr: the end of a call still cannot be written down", "err", err)
			return
		}
		u.log.Info("ivr: the end of a call is written down late")
		h.mu.Lock()
		h.unwritten = h.unwritten[1:]
		h.mu.Unlock()
	}
}

// writeOnce does nothing for a call whose end stands in the database: the answer to a commit may be lost on its way.
func (h *Hotline) writeOnce(ctx context.Context, u unwritten) error {
	n := 0
	err := h.cfg.DB.View(ctx, func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM call WHERE id = $1 AND ended IS NOT NULL`, u.call)
		return err
	})
	if err != nil || n > 0 {
		return err
	}
	return u.write(ctx)
}
