package reply

import "testing"

// benchmarkReplies is a morning's mix: mostly digits and words, some sentences, a long complaint, a bulk message, a quotation.
var benchmarkReplies = []string{"1", "2", "满意", "非常满意", "1", "5", "还行", "1。", "好的，谢谢", "👍👍👍", "不太满意", "T",
	"2，户政窗口的小姑娘有耐心，就是排队时间长了点", "4，等了一个多小时没人来", "给我回个电话", "不是我报的警", "feichang manyi", "態度惡劣",
	"非常不满意，我去年三月报的案，到现在没有结果，打电话不是没人接就是让等，去了五趟派出所，每次都说在查，钱也没有追回来，办案的人换了两个，连句准话都没有。",
	"【中国移动】您的话费余额不足10元，请及时充值，以免影响使用。"}

func BenchmarkRead(b *testing.B) {
	l := Standard()
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range benchmarkReplies {
			l.Read(text)
		}
	}
	b.ReportMetric(float64(b.N*len(benchmarkReplies))/b.Elapsed().Seconds(), "replies/s")
}

func BenchmarkLongest(b *testing.B) {
	l := Standard()
	text := benchmarkReplies[18]
	for b.Loop() {
		l.Read(text)
	}
}
