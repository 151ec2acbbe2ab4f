package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/storage"
)

func TestTheLogsPageHoldsTheRowsAgainstTheLog(t *testing.T) {
	h := newHouse(t)
	h.morning("1 小伙子们来得快")
	b := h.as("auditor1")
	p := b.post("/log/verify", nil)
	if p.status != http.StatusOK || strings.Count(p.body, "✓") != 5 || strings.Contains(p.body, "✗") || !strings.Contains(p.body, "原始回复：1 条") {
		t.Fatalf("%d: %d comparisons hold", p.status, strings.Count(p.body, "✓"))
	}
	h.update(func(tx *storage.Tx) error {
		if _, err := tx.Exec(`UPDATE survey_answer SET rating = 5`); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE sms_inbound SET recipient = '12110'`)
		return err
	})
	p = b.post("/log/verify", nil)
	if p.status != http.StatusOK || strings.Count(p.body, "✓") != 3 || strings.Count(p.body, "✗") != 2 || !strings.Contains(p.body, "rating 5") || !strings.Contains(p.body, "was changed after it was received") {
		t.Errorf("%d: %d comparisons hold, %d do not", p.status, strings.Count(p.body, "✓"), strings.Count(p.body, "✗"))
	}
}
