package console

import (
	"testing"

	"lianxin/sms"
	"lianxin/survey"
)

func TestFiguresReasonsAndStatesOfTextsAreInTheReadersLanguage(t *testing.T) {
	en, zh := page{Lang: "en"}, page{Lang: "zh-CN"}
	var labels []string
	for _, f := range survey.FunnelFigures {
		labels = append(labels, f.Label())
	}
	for _, r := range append(survey.Reasons, survey.Reminded) {
		labels = append(labels, r.Label())
	}
	for _, code := range []string{"text_expired", "text_cancelled"} {
		labels = append(labels, survey.WhyNotLabel(code))
	}
	for _, s := range []sms.State{sms.Queued, sms.Sending, sms.Unknown, sms.Accepted, sms.Delivered, sms.Failed, sms.Expired, sms.Cancelled} {
		labels = append(labels, s.Label())
	}
	labels = append(labels, en.Formula(survey.Standard().Metric.Formula()))
	for _, l := range labels {
		if zh.Of(l) != l {
			t.Errorf("%s is shown as %s in Chinese", l, zh.Of(l))
		}
		for _, r := range en.Of(l) {
			if r > 0x2000 && r != '×' {
				t.Errorf("%s is shown as %s in English", l, en.Of(l))
				break
			}
		}
	}
}
