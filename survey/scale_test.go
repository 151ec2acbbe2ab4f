package survey_test

import (
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

// withClass is the standard configuration with the class 户政 changed.
func withClass(t testing.TB, change func(*survey.Class), more ...string) *survey.Config {
	t.Helper()
	text := survey.StandardText()
	for i := 0; i < len(more); i += 2 {
		changed := strings.Replace(text, more[i], more[i+1], 1)
		if changed == text {
			t.Fatalf("nothing was changed by %q", more[i+1])
		}
		text = changed
	}
	cfg, err := survey.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Classes {
		if cfg.Classes[i].Code == "huzheng" && change != nil {
			change(&cfg.Classes[i])
		}
	}
	return cfg
}

const scales = "scales:\n"

func TestADigitMeansWhatStoodInTheTextOfItsClass(t *testing.T) {
	for _, c := range []struct {
		scale  string
		levels int
		want   map[string]int // 0: a person decides
	}{
		{"1满意2基本满意3不满意", 3, map[string]int{"1": 2, "2": 3, "3": 4, "３": 4, "③": 4, "回复3": 4, "4": 0, "5": 0, "满意": 2, "非常满意": 2, "不满意": 4, "非常不满意": 4,
			"3不满意": 4, "3 满意": 0, "1 不满意": 0, "1满意": 2, "3，退订": 4, "民警3小时才到": 0}},
		{"1很满意2满意3一般4不满意", 4, map[string]int{"1": 1, "2": 2, "3": 3, "4": 4, "5": 0, "很不满意": 4}},
		{"1满意；2一般；3不满意", 3, map[string]int{"2": 3, "3": 4}},
	} {
		t.Run(c.scale, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, storagetest.SQLite(t))
			h.survey.Config = withClass(t, func(cl *survey.Class) { cl.Scale = c.levels }, scales, scales+"  "+string(rune('0'+c.levels))+": \""+c.scale+"\"\n")
			h.rated(len(c.want))
			first, err := h.sim.Handset(h.ctx, h.phone(somebody))
			if err != nil || len(first) != 1 || !strings.Contains(first[0].Body, c.scale) {
				t.Fatalf("asked %v, %v", first, err)
			}
			// The configuration of the next day must not change what yesterday's digits meant.
			h.survey.Config = nil
			h.pass(25 * time.Hour)
			n := 0
			for words, want := range c.want {
				item := h.reply(number(n), words)
				n++
				if item.Rating != want || (want == 0) != (item.Review == "pending") || item.Counted != (want > 0) {
					t.Errorf("%q: rated %d, counted %v, review %q, %s; want %d", words, item.Rating, item.Counted, item.Review, item.Why, want)
				}
				if want >= 4 {
					h.view(func(tx *storage.Tx) error {
						tk, err := h.office.Get(tx, item.TicketID)
						if err == nil && !strings.Contains(tk.Body, c.scale) {
							t.Errorf("%q: the ticket does not say what the digit meant: %q", words, tk.Body)
						}
						return err
					})
				}
			}
		})
	}
}

func TestAScaleThatWouldBeReadWronglyIsRefused(t *testing.T) {
	for scale, why := range map[string]string{
		"1不满意2基本满意3满意": "from good to bad", "1满意3不满意": "without a gap", "1满意2还凑合3不满意": "还凑合", "满意/不满意": "digits with words", "1满意2不满意": "levels",
		"1满意2基本满意3不满意4非常不满意": "levels",
	} {
		if _, err := survey.ParseConfig([]byte(strings.Replace(survey.StandardText(), scales, scales+"  3: \""+scale+"\"\n", 1))); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q named", scale, err, why)
		}
	}
}
