package ticket

import (
	"context"
	"strings"
	"testing"

	"lianxin/storage"
)

func TestTheWordsOfAnAlertAreSealedAndStillProved(t *testing.T) {
	each(t, func(h *house) {
		const words = "不给解决我就从彩屯大桥跳下去，电话13912345678"
		var a Alert
		h.update(func(tx *storage.Tx) (err error) {
			a, err = h.RaiseAlert(tx, Alert{Rule: "danger_reply", Level: Red, Title: "请立即核实", Evidence: words, By: System})
			return err
		})
		clear := func() (n int) {
			h.view(func(tx *storage.Tx) (err error) {
				n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_text WHERE stream = $1 AND (shown <> '' OR words IS NULL)`, AlertStream(a.ID))
				return err
			})
			return n
		}
		read := func() {
			h.t.Helper()
			h.view(func(tx *storage.Tx) error {
				list, _, err := h.Alerts(tx, AlertFilter{Viewer: System})
				if err != nil || len(list) != 1 || list[0].Title != "请立即核实" || !strings.Contains(list[0].Evidence, "彩屯大桥跳下去") || strings.Contains(list[0].Evidence, "13912345678") {
					h.t.Errorf("%+v, %v", list, err)
				}
				if s, err := h.Original(tx, a.EvidenceRef); err != nil || s != words {
					h.t.Errorf("the original is %q, %v", s, err)
				}
				return nil
			})
		}
		if n := clear(); n != 0 {
			h.t.Errorf("%d texts of the alert are in clear", n)
		}
		read()
		// As an earlier version kept them.
		h.update(func(tx *storage.Tx) error {
			for id, s := range map[string]string{a.TitleRef.ID: a.Title, a.EvidenceRef.ID: a.Evidence} {
				if _, err := tx.Exec(`UPDATE ticket_text SET shown = $2, words = NULL WHERE id = $1`, id, s); err != nil {
					return err
				}
			}
			return nil
		})
		for _, want := range []int{2, 0} {
			if n, err := h.SealAlerts(context.Background(), h.db); n != want || err != nil {
				h.t.Errorf("sealed %d, %v; want %d", n, err, want)
			}
		}
		if n := clear(); n != 0 {
			h.t.Errorf("%d texts of the alert are in clear", n)
		}
		read()
		if drift, err := VerifyProjection(context.Background(), h.db, h.Book.Vault); err != nil || len(drift) > 0 {
			h.t.Errorf("%v, %v", drift, err)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE ticket_text SET words = $2 WHERE id = $1`, a.EvidenceRef.ID, h.Book.Vault.For(wordsPurpose).Seal("一切都好"))
			return err
		})
		if drift, err := VerifyProjection(context.Background(), h.db, h.Book.Vault); err != nil || len(drift) != 1 {
			h.t.Errorf("words that were put in unseen: %v, %v", drift, err)
		}
		h.update(func(tx *storage.Tx) error {
			_, err := tx.Exec(`UPDATE ticket_text SET words = $2 WHERE id = $1`, a.EvidenceRef.ID, h.Book.Vault.For(wordsPurpose).Seal(a.Evidence))
			return err
		})
		h.refused("open", func(tx *storage.Tx) error { return h.AnonymiseAlert(tx, a.ID, "retention", System) })
		h.update(func(tx *storage.Tx) error {
			if _, err := h.AckAlert(tx, a.ID, h.supervisor); err != nil {
				return err
			}
			_, err := h.DisposeAlert(tx, a.ID, Noise, "", "误报", h.supervisor)
			return err
		})
		h.update(func(tx *storage.Tx) error { return h.AnonymiseAlert(tx, a.ID, "retention", System) })
		h.view(func(tx *storage.Tx) error {
			list, _, err := h.Alerts(tx, AlertFilter{Viewer: System})
			if err != nil || len(list) != 1 || list[0].Evidence != Erased {
				h.t.Errorf("%+v, %v", list, err)
			}
			return nil
		})
		if drift, err := VerifyProjection(context.Background(), h.db, h.Book.Vault); err != nil || len(drift) > 0 {
			h.t.Errorf("%v, %v", drift, err)
		}
	})
}
