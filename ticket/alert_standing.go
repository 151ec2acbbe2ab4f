package ticket

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/storage"
)

const (
	// againEvery is how often at most one alert counts that its cause happened again: who calls in a row is not told apart.
	againEvery = time.Minute
	// anotherTime is how long it has to be quiet about an alert that somebody has acknowledged before the same is a new alarm:
	// who saw to it yesterday does not see that it is so again today.
	anotherTime = time.Hour
)

// RaiseStanding raises an alert about a state that lasts, such as a queue without operators or a source that is silent. While
// the last one of the same Rule and Subject is not acknowledged, or is acknowledged and it happened within the hour, that one
// is returned, with Existing set, and counts that it happened again (at most once a minute): nothing is raised twice, and what
// nobody acknowledges escalates by its own clock. Subject is required.
func (o *Office) RaiseStanding(tx *storage.Tx, a Alert) (Alert, error) {
	if strings.TrimSpace(a.Subject) == "" {
		return Alert{}, refuse("alert", "持续性预警须说明对象")
	}
	old, err := one[Alert](tx, ` WHERE rule = $1 AND subject = $2 AND state <> 'DISPOSED' ORDER BY raised_at DESC, id DESC LIMIT 1`, a.Rule, a.Subject)
	if errors.Is(err, storage.ErrNotFound) {
		return o.RaiseAlert(tx, a)
	}
	if err != nil {
		return Alert{}, fmt.Errorf("raise an alert: %w", err)
	}
	last := old.AgainAt
	if last.IsZero() {
		last = old.RaisedAt
	}
	now := o.now()
	switch since := now.Sub(last); {
	case old.State == AlertAcked && since >= anotherTime:
		return o.RaiseAlert(tx, a)
	case since < againEvery:
		old.Existing = true
		return *old, nil
	}
	got, err := o.doAlert(tx, old.ID, a.By, now, func(d *dossier, n *Alert) error {
		n.Times, n.AgainAt = n.Times+1, d.now
		return d.emit("alert.again", map[string]any{"times": n.Times})
	})
	got.Existing = true
	return got, err
}

// Alert is one that the viewer may see, with its texts; storage.ErrNotFound for any other.
func (o *Office) Alert(tx *storage.Tx, id string, viewer Actor) (Alert, error) {
	if id == "" {
		return Alert{}, storage.ErrNotFound
	}
	all, _, err := o.Alerts(tx, AlertFilter{Viewer: viewer, ID: id, Limit: 1})
	if err != nil {
		return Alert{}, err
	}
	if len(all) == 0 {
		return Alert{}, fmt.Errorf("alert %s: %w", id, storage.ErrNotFound)
	}
	return all[0], nil
}
