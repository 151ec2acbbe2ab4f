package console

import (
	"testing"
	"unicode"

	"lianxin/contact"
	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/report"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
	"lianxin/workday"
)

// labels are what these values are called on pages.
func labels[T interface{ Label() string }](to []string, of ...T) []string {
	for _, x := range of {
		to = append(to, x.Label())
	}
	return to
}

func TestLabelsOfStatesKindsAndOutcomesAreInTheReadersLanguage(t *testing.T) {
	all := []string{"红", "橙", "黄", "蓝"}
	all = labels(all, org.Roles()...)
	all = labels(all, desk.Offline, desk.Ready, desk.Break, desk.Away, desk.Ringing, desk.Talking, desk.WrapUp)
	all = labels(all, ivr.Dispositions...)
	all = labels(all, ivr.StageArriving, ivr.StageBot, ivr.StageWaiting, ivr.StageTalking, ivr.StageMessage, ivr.StageRating, ivr.StageDialling)
	all = labels(all, ivr.Listen, ivr.Whisper, ivr.Barge)
	all = labels(all, ivr.Inbound, ivr.Outbound)
	all = labels(all, ivr.BlockProposed, ivr.BlockRefused, ivr.BlockInForce, ivr.BlockExpired, ivr.BlockLifted)
	all = labels(all, contact.FlagProposed, contact.FlagRefused, contact.FlagInForce, contact.FlagExpired, contact.FlagLifted)
	all = labels(all, ticket.Kinds...)
	all = labels(all, ticket.New, ticket.Answered, ticket.Transferred, ticket.Refused, ticket.Merged, ticket.Accepted, ticket.Dispatched, ticket.Handling,
		ticket.Suspended, ticket.Reviewing, ticket.Replied, ticket.AwaitRating, ticket.Rework, ticket.Closed, ticket.Withdrawn, ticket.Archived)
	all = labels(all, ticket.CallbackAbandoned, ticket.CallbackMessage, ticket.CallbackRating, ticket.CallbackReview)
	all = labels(all, ticket.CallbackOpen, ticket.CallbackDone, ticket.CallbackDropped)
	all = labels(all, ticket.TryOutcomes...)
	all = labels(all, alertStates...)
	all = labels(all, ticket.ToTicket, ticket.ToOrder, ticket.Intervention, ticket.Noise)
	all = labels(all, ticket.Stars(1), ticket.Stars(5))
	all = labels(all, ticket.ChannelKinds...)
	all = labels(all, survey.CalleeStates...)
	all = labels(all, report.Daily, report.Weekly, report.Monthly, report.Special)
	all = labels(all, report.Draft, report.Reviewed, report.Published, report.Discarded)
	all = labels(all, oversee.KindSupervision, oversee.KindTopic, oversee.KindConsult, oversee.KindOrder, oversee.KindBackcheck, oversee.KindClue, oversee.KindMeasure,
		oversee.KindWatch, oversee.KindMediation, oversee.KindBad)
	all = labels(all, workday.Days(3), workday.Span{Unit: workday.WallTime, For: 24 * 3600e9})
	en, zh := page{Lang: "en"}, page{Lang: "zh-CN"}
	for _, l := range all {
		if zh.Of(l) != l {
			t.Errorf("%s is shown as %s in Chinese", l, zh.Of(l))
		}
		for _, r := range en.Of(l) {
			if unicode.Is(unicode.Han, r) {
				t.Errorf("%s is shown as %s in English", l, en.Of(l))
				break
			}
		}
	}
	for _, l := range []string{"站前派出所", "138****0001"} {
		if en.Of(l) != l {
			t.Errorf("%s, which is a name, is shown as %s", l, en.Of(l))
		}
	}
}
