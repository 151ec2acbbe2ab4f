package contact_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lianxin/contact"
)

func TestFreeTextShowsNoNumberAndNoAnnouncedName(t *testing.T) {
	for in, want := range map[string]string{
		"我叫王小明，电话13812345678":           "我叫王**，电话138****5678",
		"姓名：李四，身份证210502199001011234":   "姓名：李*，身份证210****1234",
		"本人欧阳明月，住平山区":                   "本人欧**，住平山区",
		"卡号6222 0212 3456 7890 123被盗刷":  "卡号622****0123被盗刷",
		"邮箱 zhang.san@example.com":      "邮箱 z***@example.com",
		"护照E12345678遗失":                 "护照E1****78遗失",
		"电话１３８１２３４５６７８":                 "电话138****5678",
		"我叫停了施工":                        "我叫停了施工",
		"王先生反映噪音":                       "王先生反映噪音",
		"民警王某态度不好":                      "民警王某态度不好",
		"民警王建国态度不好":                     "民警王**态度不好",
		"邻居周末吵闹":                        "邻居周末吵闹",
		"2026年11月23日，编号民2026-1123-0001": "2026年11月23日，编号民2026-1123-0001",
		"涉及金额120000元":                   "涉及金额120000元",
		"座机024-42830110":                "座机024****0110",
		"联系人 赵敏 手机139-1234-5678":        "联系人 赵* 手机139****5678",
		"老人高兴地说谢谢":                      "老人高兴地说谢谢",
		"父亲去世，户口被注销":                    "父亲去世，户口被注销",
		"被投诉人：张伟（协警）":                   "被投诉人：张*（协警）",
	} {
		if got := contact.MaskText(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	if got := contact.MaskText("昨天李晓燕来过", contact.NameOf("李晓燕")); got != "昨天李**来过" {
		t.Errorf("a known name is shown: %s", got)
	}
}

func TestWhateverStandsRoundItANumberIsHidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`1[3-9][0-9]{9}`).Draw(t, "number")
		before := rapid.StringMatching(`[电话是：,a-z我叫王]{0,6}`).Draw(t, "before")
		after := rapid.StringMatching(`[，。的a-z请回]{0,6}`).Draw(t, "after")
		got := contact.MaskText(before + number + after)
		if strings.Contains(got, number) {
			t.Fatalf("%q shows %s", got, number)
		}
		if again := contact.MaskText(got); again != got {
			t.Fatalf("masking again changes %q to %q", got, again)
		}
	})
}
