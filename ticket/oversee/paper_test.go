package oversee

import (
	"context"
	"strings"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/ticket"
	"lianxin/workday"
)

// A signed agreement is never changed: it is replaced by a new version with a reason, every look is in the log, and what was
// changed behind the program's back is not given out.
func TestASignedAgreementIsReplacedByANewVersionOnlyAndEveryDownloadIsLogged(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		k := h.handling(h.open(1, "楼上漏水多年", "楼上漏水七年一直没有解决"), h.handlerA.Unit)
		x := must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.OpenMediation(tx, MediationIn{Ticket: k.ID, Title: "漏水纠纷", Sort: "neighbours", Parties: 2, Since: workday.DayOf(h.now).Add(-2557)}, h.supervisor)
		})
		pdf := func(s string) []byte { return []byte("%PDF-1.7\n" + s) }
		add := func(content []byte, signed bool, why string) func(tx *storage.Tx) (Mediation, error) {
			return func(tx *storage.Tx) (Mediation, error) {
				return h.desk.AddPaper(tx, x.ID, content, signed, why, h.handlerA)
			}
		}
		refused(h, "state", add(pdf("稿"), false, ""))
		must(h, func(tx *storage.Tx) (Mediation, error) {
			return h.desk.AddSession(tx, x.ID, time.Time{}, "站前派出所", 2, "双方到场", h.handlerA)
		})
		refused(h, "file", add([]byte("MZ\x90 an executable"), false, ""))
		refused(h, "file", add(nil, false, ""))
		refused(h, "file", add(append(pdf(""), make([]byte, MaxPaper)...), false, ""))
		refused(h, "role", func(tx *storage.Tx) (Mediation, error) {
			return h.desk.AddPaper(tx, x.ID, pdf("别人"), false, "", h.handlerB)
		})
		must(h, add(pdf("稿"), false, ""))
		must(h, add(pdf("签字"), true, ""))
		refused(h, "same", add(pdf("签字"), true, "重复"))
		refused(h, "signed", add(pdf("再改"), false, ""))
		refused(h, "empty", add(pdf("再签"), true, ""))
		x = must(h, add(pdf("再签"), true, "金额笔误，双方重新签字"))
		if len(x.Papers) != 3 || x.Signed().Version != 3 || !x.Papers[1].Signed {
			t.Fatalf("%+v", x.Papers)
		}
		take := func(version int) (content string, err error) {
			err = db.Update(context.Background(), func(tx *storage.Tx) error {
				_, _, b, err := h.desk.ReadPaper(tx, KindMediation, x.ID, version, h.handlerA)
				content = string(b)
				return err
			})
			return content, err
		}
		if s, err := take(2); err != nil || s != string(pdf("签字")) {
			t.Errorf("%q, %v", s, err)
		}
		refused(h, "role", func(tx *storage.Tx) (HasPapers, error) {
			m, _, _, err := h.desk.ReadPaper(tx, KindMediation, x.ID, 1, h.caller)
			return m, err
		})
		h.view(func(tx *storage.Tx) error {
			events, err := audit.Stream(tx, "mediation-paper/"+x.ID)
			if len(events) != 1 || events[0].Actor != h.handlerA.String() || !strings.Contains(string(events[0].Payload), `"version":2`) {
				t.Errorf("%+v", events)
			}
			clear, err2 := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM oversee_paper WHERE sealed IS NULL`)
			if clear != 0 || err2 != nil {
				t.Errorf("%d papers are not sealed, %v", clear, err2)
			}
			return err
		})
		h.whole()
		exchange := func(content, sum string) {
			h.update(func(tx *storage.Tx) error {
				_, err := tx.Exec(`UPDATE oversee_paper SET sealed = $1, sum = $2 WHERE version = 3`, h.desk.Office.Book.Vault.For(paperPurpose).Seal(string(pdf(content))), sum)
				return err
			})
		}
		exchange("换过的", "x")
		if _, err := take(3); err == nil || !strings.Contains(err.Error(), "校验值不符") {
			t.Errorf("a paper that was exchanged is given out: %v", err)
		}
		drift, err := Verify(context.Background(), db)
		if err != nil || len(drift) != 1 || !strings.Contains(drift[0].What, "papers differ") {
			t.Errorf("%v, %v", drift, err)
		}
		exchange("再签", x.Papers[2].Sum)
	})
}

// RES-11: evidence of a measure is a file with what it shows; who keeps the register adds to it and reads it, every look is in
// the log, and a row that was changed is found.
func TestEvidenceOfAMeasureIsSealedToldOfAndReadByItsKeepers(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		x := must(h, func(tx *storage.Tx) (Measure, error) {
			return h.desk.OpenMeasure(tx, "facility", "便民座椅", "各窗口配备座椅和急救箱", "", unitA, h.supervisor)
		})
		add := func(content, note string, by ticket.Actor) func(tx *storage.Tx) (Measure, error) {
			return func(tx *storage.Tx) (Measure, error) {
				return h.desk.AddEvidence(tx, x.ID, []byte(content), note, by)
			}
		}
		refused(h, "role", add("%PDF-1.7 清单", "受益人清单", h.handlerA))
		refused(h, "file", add("MZ\x90 an executable", "程序", h.supervisor))
		refused(h, "empty", add("%PDF-1.7 清单", " ", h.supervisor))
		must(h, add("%PDF-1.7 清单", "受益人清单", h.supervisor))
		refused(h, "same", add("%PDF-1.7 清单", "再来", h.analyst))
		must(h, func(tx *storage.Tx) (Measure, error) {
			return h.desk.CarryOut(tx, x.ID, h.clock(), 21, "已配备", h.supervisor)
		})
		x = must(h, add("%PDF-1.7 照片", "安装后照片", h.analyst))
		if len(x.Papers) != 2 || x.Beneficiaries != 21 || x.Papers[1].Version != 2 {
			t.Fatalf("%+v", x)
		}
		h.update(func(tx *storage.Tx) error {
			_, p, b, err := h.desk.ReadPaper(tx, KindMeasure, x.Number, 1, h.leader)
			if string(b) != "%PDF-1.7 清单" || p.Media != "application/pdf" {
				t.Errorf("%q %+v", b, p)
			}
			return err
		})
		h.view(func(tx *storage.Tx) error {
			events, err := audit.Stream(tx, "measure-paper/"+x.ID)
			if len(events) != 1 || events[0].Actor != h.leader.String() {
				t.Errorf("%+v", events)
			}
			sealed, err2 := storage.One(tx, storage.Value[[]byte], `SELECT sealed FROM oversee_paper WHERE id = $1`, x.Papers[0].ID)
			if strings.Contains(string(sealed), "清单") || err2 != nil {
				t.Errorf("%q %v", sealed, err2)
			}
			return err
		})
		h.whole()
		set := func(sum string) {
			h.update(func(tx *storage.Tx) error {
				_, err := tx.Exec(`UPDATE oversee_paper SET sum = $1 WHERE id = $2`, sum, x.Papers[0].ID)
				return err
			})
		}
		set("0")
		if drifts, err := Verify(h.ctx, h.db); err != nil || len(drifts) != 1 || drifts[0].What != "papers differ from the events" {
			t.Errorf("%+v %v", drifts, err)
		}
		set(x.Papers[0].Sum)
	})
}
