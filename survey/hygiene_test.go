package survey_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lianxin/org"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
)

func (h *house) carrier(s sim.Settings) {
	h.t.Helper()
	if err := h.sim.Set(h.ctx, s); err != nil {
		h.t.Fatal(err)
	}
}

// askAgain runs the survey of the next day for one number and returns what was decided.
func (h *house) askAgain(day, id string) (reason survey.Reason, detail string) {
	h.t.Helper()
	h.set(h.day(day).Add(1).At(9 * time.Hour))
	h.importText(header + "110," + id + "," + day + " 10:00,赵一,13800000001,,210502-zhanqian,求助,,\n")
	_, err := h.survey.Run(h.ctx, h.day(day), survey.RunOptions{Decision: func(d survey.Decision) { reason, detail = d.Reason, d.Detail }})
	if err != nil {
		h.t.Fatal(err)
	}
	h.settle()
	return reason, detail
}

func TestANumberThatTextsDoNotReachIsLeftAloneForAWhile(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.carrier(sim.Settings{FailureRate: 1}) // UNDELIV: why, nobody knows
		for i, want := range []survey.Reason{survey.Asked, survey.Asked, survey.NumberRests} {
			day := []string{"2026-11-22", "2026-12-30", "2027-02-10"}[i]
			if got, detail := h.askAgain(day, "J"+day); got != want || want == survey.NumberRests && detail != "failing" {
				t.Errorf("%s: %s %s, want %s", day, got, detail, want)
			}
		}
		h.carrier(sim.Settings{})
		if got, _ := h.askAgain("2027-05-10", "J-later"); got != survey.Asked {
			t.Errorf("after its rest: %s", got)
		}
		if got, _ := h.askAgain("2027-06-20", "J-fine"); got != survey.Asked {
			t.Errorf("after a text that arrived: %s", got)
		}
	})
}

func TestOneFailureThatTheCarrierCallsADeadNumberIsEnough(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.carrier(sim.Settings{RejectRate: 1}) // SIM:0001 空号
		if got, _ := h.askAgain("2026-11-22", "J1"); got != survey.Asked {
			t.Fatalf("first: %s", got)
		}
		if got, detail := h.askAgain("2026-12-30", "J2"); got != survey.NumberRests || detail != "dead" {
			t.Errorf("second: %s %s", got, detail)
		}
	})
}

func TestATextIsProposedByOneApprovedByAnotherAndFrozenWhenARunBegins(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		writer := ticket.Staff(org.Staff{ID: "01ADM", Unit: "benxi-minyi", Role: org.Admin, Active: true})
		propose := func(body string, by ticket.Actor) (v survey.Template, err error) {
			err = h.db.Update(h.ctx, func(tx *storage.Tx) (err error) { v, err = h.survey.ProposeTemplate(tx, "call", body, by); return err })
			return v, err
		}
		decide := func(version int, approve bool, by ticket.Actor) error {
			return h.db.Update(h.ctx, func(tx *storage.Tx) error {
				_, err := h.survey.DecideTemplate(tx, "call", version, approve, "", by)
				return err
			})
		}
		const good = "您好，请评价{unit}{date}的{class}服务：{scale}。回复数字即可，拒收回T"
		for name, body := range map[string]string{
			"a link":              "请评价{unit}{date}{class}：{scale} http://a.cn",
			"a banned sign":       "★请评价{unit}{date}{class}：{scale}",
			"a case":              "请评价{unit}{date}家暴警情处理：{scale}",
			"begging":             "{unit}{date}：{scale}，请给好评",
			"no scale":            "请评价{unit}{date}",
			"a name":              "{name}您好，请评价{unit}{date}：{scale}",
			"a second signature":  "【公安】请评价{unit}{date}：{scale}",
			"three segments long": "请评价{unit}{date}{class}：{scale}" + strings.Repeat("谢谢", 60),
		} {
			if _, err := propose(body, writer); !errors.Is(err, survey.ErrTemplate) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := propose(good, handler); !errors.Is(err, survey.ErrNotAllowed) {
			t.Errorf("a handler proposed: %v", err)
		}
		v, err := propose(good, writer)
		if err != nil || v.Version != 1 {
			t.Fatalf("%+v %v", v, err)
		}
		text := func(day, id string) string {
			h.askAgain(day, id)
			all, err := h.sim.Handset(h.ctx, h.phone("13800000001"))
			if err != nil {
				t.Fatal(err)
			}
			return all[len(all)-1].Body
		}
		if got := text("2026-11-22", "J1"); strings.Contains(got, "您好") {
			t.Errorf("before it was approved: %s", got)
		}
		if err := decide(1, true, writer); !errors.Is(err, survey.ErrNotAllowed) {
			t.Errorf("approved by its author: %v", err)
		}
		if err := decide(1, true, caller); err != nil {
			t.Fatal(err)
		}
		if err := decide(1, false, inspector); err == nil {
			t.Error("decided twice")
		}
		got := text("2026-12-30", "J2")
		if !strings.HasPrefix(got, "【本溪公安】您好，请评价站前派出所12月30日的110接处警服务：1非常满意") {
			t.Errorf("in force: %s", got)
		}
		if p := sms.Measure(got); p.Segments > 2 {
			t.Errorf("%d segments", p.Segments)
		}
		h.view(func(tx *storage.Tx) error {
			version, err := storage.One(tx, storage.Value[string], `SELECT config FROM survey_ask ORDER BY asked_at DESC LIMIT 1`)
			if !strings.HasSuffix(version, "+call1") {
				t.Errorf("the question keeps %q", version)
			}
			all, err2 := h.survey.Templates(tx)
			if len(all) != 4 || all[0].Version != 1 || all[0].State != "approved" {
				t.Errorf("%+v", all)
			}
			return errors.Join(err, err2)
		})
		if p := h.survey.PreviewOf(good, survey.Class{Code: "110", Name: "110接处警", Template: "call", Scale: 5}, strings.Repeat("长", 40), h.day("2026-11-22")); p.Size.Segments != 2 || p.Cost != 0.1 || strings.Count(p.Text, "长") != 14 {
			t.Errorf("%+v", p)
		}
	})
}
