package oversee

import (
	"testing"
	"time"

	"lianxin/storage"
)

// The limits of a bad rating are configuration: a new version holds for what begins under it.
func TestTermsOfABadRatingComeFromTheRules(t *testing.T) {
	each2(t, func(h *house) {
		raise := func(key string) BadRating {
			return must(h, func(tx *storage.Tx) (BadRating, error) {
				return h.desk.RaiseBad(tx, BadIn{Key: key, Rated: unitA, Stars: 1, Source: "sms", Window: "3", Clerk: "0317"})
			})
		}
		before := raise("a")
		if got := before.ContactDue.Sub(before.RaisedAt); got != 24*time.Hour || before.Window != "3" || before.Clerk != "0317" {
			t.Errorf("by default: contact after %v, window %q, clerk %q", got, before.Window, before.Clerk)
		}
		for _, bad := range []string{`{"version":"x","bad_rating":{"contact_hours":0}}`, `{"version":"x","bad_rating":{"rectify_days":20}}`} {
			refused(h, "rules", func(tx *storage.Tx) (Rules, error) { return h.desk.SetRules(tx, bad, time.Time{}, h.admin) })
		}
		must(h, func(tx *storage.Tx) (Rules, error) {
			return h.desk.SetRules(tx, `{"version":"quick","bad_rating":{"contact_hours":4,"ceiling_days":10}}`, time.Time{}, h.admin)
		})
		after := raise("b")
		if got := after.ContactDue.Sub(after.RaisedAt); got != 4*time.Hour || !after.Ceiling.Before(before.Ceiling) {
			t.Errorf("under the new rules: contact after %v, ceiling %v before %v", got, after.Ceiling, before.Ceiling)
		}
	})
}
