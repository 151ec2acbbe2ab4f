package reply

import "testing"

// cores are clear answers; neutralFragments say nothing about the service and hold numbers, places and everyday words that look like
// answers. Together they must read as the core alone: numbers in a story are no ratings, and a story does not blur a clear rating.
var cores = []struct {
	text   string
	label  Label
	rating int
}{
	{"1", Rating, 1}, {"2", Rating, 2}, {"3", Rating, 3}, {"4", Rating, 4}, {"5", Rating, 5}, {"选1", Rating, 1}, {"回复4", Rating, 4},
	{"非常满意", Rating, 1}, {"满意", Rating, 2}, {"基本满意", Rating, 3}, {"不满意", Rating, 4}, {"非常不满意", Rating, 5},
	{"很满意", Rating, 1}, {"很不满意", Rating, 5}, {"不太满意", Rating, 4}, {"挺好的", Rating, 2}, {"特别好", Rating, 1},
	{"一般", Rating, 3}, {"还行", Rating, 3}, {"太差了", Rating, 5}, {"真差", Rating, 4}, {"态度恶劣", Rating, 4}, {"杠杠的", Rating, 1},
	{"不错", Rating, 2}, {"垃圾", Rating, 5}, {"没有不满意", Rating, 2}, {"1非常满意", Rating, 1}, {"4不满意", Rating, 4},
	{"失望", Rating, 4}, {"马马虎虎", Rating, 3},
}

var neutralFragments = []string{"我是平山区的", "昨天下午三点多去的", "在车管所换的驾照", "122来了以后拍了照", "我家住彩屯3号楼2单元", "当时排的5号",
	"民警一共来了3个", "我今年68岁", "这是我第二次报警", "大概用了20分钟", "前后也就1个小时", "在五里甸子那边", "是给我妈办的身份证",
	"11月20号去办的护照", "两台车刮了一下", "我是昨天报警的老张", "丢了1部手机", "办了2个证", "4路公交站那块", "我刚下班才看到短信",
	"打的110", "去的是1号窗口", "我老伴去办的", "户口本丢了去补的", "出差在外地", "孩子上学需要证明", "3月5号那天晚上", "二棚甸子的事",
	"在大润发三楼", "接警的是个女同志", "一开始没看到短信", "我爸七十多了", "楼上漏水那个事", "昨晚12点左右", "家里两个孩子"}

func TestStoriesDoNotBlurAClearAnswer(t *testing.T) {
	l := Standard()
	for _, c := range cores {
		for _, f := range neutralFragments {
			for _, text := range []string{c.text + "，" + f, f + "，" + c.text, c.text + "。" + f + "。", f + "。" + c.text + "！", c.text + " " + f, f + "\n" + c.text} {
				if v := l.Read(text); v.Label != c.label || v.Rating != c.rating {
					t.Errorf("%q: got %s %d (%s), want %s %d", text, v.Label, v.Rating, v.Why, c.label, c.rating)
				}
			}
		}
	}
}

func TestNeutralFragmentsAloneAreForAPerson(t *testing.T) {
	for _, f := range neutralFragments {
		if v := Read(f); v.Rating != 0 {
			t.Errorf("%q: got %s %d (%s), want no rating", f, v.Label, v.Rating, v.Why)
		}
	}
}
