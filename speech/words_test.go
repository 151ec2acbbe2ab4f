package speech

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lianxin/sip/media"
)

func TestDangerIsHeard(t *testing.T) {
	for text, want := range map[string]string{
		"救命啊": "救命", "快来人，我家着火了": "着火", "有人拿刀要砍人": "拿刀", "他手里持刀": "持刀", "杀人了": "杀人", "我不想活了": "不想活",
		"有人要跳楼！": "跳楼", "老人昏倒了": "昏倒", "邻居家煤 气 泄 漏": "煤气泄漏", "我要报警": "我要报警", "帮我转110": "转110", "煤气泄露了": "煤气泄露",
		"旧命啊":      "救命",   // the same sound
		"我不响活了":    "不想活",  // three syllables: n and ng, tones aside
		"没气泄楼":     "煤气泄漏", // four
		"有人在强见":    "",     // 强奸 would be qiang jian: another tone
		"家里老公打我家暴": "家暴",
	} {
		word, ok := Urgent(text)
		if want == "" {
			if ok {
				t.Errorf("%s: heard %s", text, word)
			}
			continue
		}
		if !ok || word != want {
			t.Errorf("%s: heard %q, want %s", text, word, want)
		}
	}
}

func TestWhatIsHarmlessIsNoDanger(t *testing.T) {
	for _, text := range []string{
		"我想问身份证怎么办", "我上班迟到了", "想找活干", "坐着火车来的", "谢谢你们，真是救命恩人", "怎么报警", "什么时候报警合适", "报警回执丢了",
		"我昨天报警以后没有人来", "看人不顺眼", "开具无犯罪证明", "人工智能", "", "，。", "abc 123", "防火检查什么时候来", "有人工作态度不好",
	} {
		if word, ok := Urgent(text); ok {
			t.Errorf("%s: heard %s", text, word)
		}
	}
}

func TestAPersonIsWantedOrNot(t *testing.T) {
	for text, want := range map[string]bool{
		"转人工": true, "人工服务": true, "我要人工": true, "帮我找个人": true, "有没有接线员啊": true, "转人功": true, "砖人工": true, "我要跟人说": true,
		"不要人工": false, "不用人工，我自己查": false, "人工智能怎么样": false, "身份证": false, "": false,
	} {
		if got := WantsPerson(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for text, want := range map[string]bool{"再说一遍": true, "我没听清楚": true, "你说什么": true, "知道了": false} {
		if got := WantsRepeat(text); got != want {
			t.Errorf("%s: repeat %v", text, got)
		}
	}
}

func TestPolyphonesAreSpelt(t *testing.T) {
	for text, want := range map[string]string{
		"派出所所长": "pai4 chu1 suo3 suo3 zhang3",
		"请重新选择": "请 chong2 xin1 选择",
		"银行行长":  "yin2 hang2 hang2 zhang3",
		"重庆":    "chong2 qing4",
		"调解":    "tiao2 jie3",
		"行政":    "xing2 zheng4",
		"不对":    "bu2 对",
		"不好":    "不好",
		"一样":    "yi2 样", "一天": "yi4 天", "一起": "yi4 起", "第一": "第一", "十一月": "十一月", "一月一日": "一月一日", "请按一，": "请按一，", "一个": "yi2 个", "统一办理": "tong3 yi1 办理",
		"二零二一年": "二零二一年", "chong2新": "chong2新",
		"了解情况": "liao3 jie3 情况",
	} {
		if got := Spell(text); got != want {
			t.Errorf("%s is spelt %s, want %s", text, got, want)
		}
	}
}

// TestTheSynthesiserSaysWhatWeSpell asks espeak-ng for its phonemes: a word with polyphones must come out as its pinyin does.
func TestTheSynthesiserSaysWhatWeSpell(t *testing.T) {
	phonemes := func(text string) string {
		out, err := exec.Command("espeak-ng", "-v", "cmn-latn-pinyin", "-x", "-q", text).Output()
		if err != nil {
			t.Fatalf("this test needs the Debian package espeak-ng: %v", err)
		}
		return strings.TrimSpace(string(out))
	}
	table, err := words()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"派出所所长", "银行", "重新", "调解", "地点", "了解", "着急", "诉求"} {
		want := phonemes(strings.Join(table.words[word], " "))
		if got := phonemes(Spell(word)); got != want || got == phonemes(word) {
			t.Errorf("%s is said %s, want %s, unspelt %s", word, got, want, phonemes(word))
		}
	}
	if got, want := phonemes(Spell("您好")), phonemes("nin2 hao3"); got != want {
		t.Errorf("您好 is said %s, want %s", got, want)
	}
}

func TestEspeakSpeaks(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var e Espeak
	length := func(text string) time.Duration {
		wav, err := e.Synthesize(ctx, text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := media.LoadPrompt("spoken", wav)
		if err != nil {
			t.Fatal(err)
		}
		return p.Duration()
	}
	short, long := length("您好"), length("您好，请拨打46110110民意热线。")
	if short < 300*time.Millisecond || long < 2*short {
		t.Errorf("您好 takes %s, a sentence %s", short, long)
	}
	if _, err := e.Synthesize(ctx, " "); err == nil {
		t.Error("nothing was spoken")
	}
	if _, err := (Espeak{Path: "no-such-program"}).Synthesize(ctx, "您好"); err == nil {
		t.Error("no program spoke")
	}
	cancel()
	if _, err := e.Synthesize(ctx, "您好"); err == nil {
		t.Error("spoke after the end of the context")
	}
}

func FuzzSpotting(f *testing.F) {
	f.Add("我家着火了，快来救命chong2一不")
	f.Fuzz(func(t *testing.T, text string) {
		Urgent(text)
		WantsPerson(text)
		if r := Readings(text); len(r) != len([]rune(text)) {
			t.Errorf("%d readings for %q", len(r), text)
		}
		Spell(text)
	})
}
