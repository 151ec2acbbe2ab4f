package reply

import "testing"

// The tests of this file hold the reader to what goflow and surveda were found to get wrong (docs/sms.md, D7, D8, D13).

// goflow's flow, words first and then any number, rated stories by the numbers in them and 1不满意 as satisfied, and did not
// know other forms of a digit.
func TestD7NumbersOfAStoryAreNoRatingsAndDigitsAreReadInEveryForm(t *testing.T) {
	for text, want := range map[string]Verdict{
		"民警1小时才到": {Label: Review}, "2025年1月1日报的警没人管": {Label: Review}, "我1月3号的案子有结果了吗": {Label: Review}, "1不满意": {Label: Review}, "1个多小时没人来": {Label: Review},
		// No other rule than that of numbers keeps these from being ratings.
		"1月份在你们那办的": {Label: Review}, "1号窗口": {Label: Review}, "昨天来了1个民警": {Label: Review}, "我是1楼的住户": {Label: Review}, "今天下午3点": {Label: Review},
		"１": {Label: Rating, Rating: 1}, "①": {Label: Rating, Rating: 1}, "❶": {Label: Rating, Rating: 1}, "1️⃣": {Label: Rating, Rating: 1}, "壹": {Label: Rating, Rating: 1},
		"滿意": {Label: Rating, Rating: 2}, "不滿意": {Label: Rating, Rating: 4}, "没有不满意": {Label: Rating, Rating: 2},
	} {
		if v := Read(text); v.Label != want.Label || v.Rating != want.Rating {
			t.Errorf("%q is read as %s %d, want %s %d", text, v.Label, v.Rating, want.Label, want.Rating)
		}
	}
}

// surveda compares the whole reply with the choices: 72 of 100 replies were invalid, and the only way out is "stop".
func TestD8ARatingIsReadWithWhatStandsAroundIt(t *testing.T) {
	for text, rating := range map[string]int{"1。": 1, "（1）": 1, "回复1": 1, "1 态度很好": 1, "1\n\n发自我的iPhone": 1, "满意！谢谢": 2, "还行吧": 3, "差评!民警态度恶劣": 4, "太差了": 5} {
		if v := Read(text); v.Label != Rating || v.Rating != rating {
			t.Errorf("%q is read as %s %d, want rating %d", text, v.Label, v.Rating, rating)
		}
	}
}

// RapidPro has no opt-out keywords of its own, surveda only the literal stop.
func TestD13AWishToBeLeftAloneIsUnderstoodInAnyWords(t *testing.T) {
	for _, text := range []string{"T", "ｔ", "TD", "退订", "退訂", "退定", "退订 谢谢", "回T", "拒收", "QX", "STOP", "别再发了", "把我号码删了", "怎么退订", "停发"} {
		if v := Read(text); v.Label != OptOut {
			t.Errorf("%q is read as %s", text, v.Label)
		}
	}
	if v := Read("1 退订"); v.Label != OptOut || v.Rating != 1 {
		t.Errorf("the rating beside an opt-out is lost: %+v", v)
	}
}
