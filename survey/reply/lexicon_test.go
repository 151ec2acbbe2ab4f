package reply

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestStandardLexiconLoads(t *testing.T) {
	l, err := LoadLexicon(embedded)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.entries) < 50 || len(l.patterns) < 300 {
		t.Errorf("%d word lines and %d patterns: files are missing", len(l.entries), len(l.patterns))
	}
	if l.Version != Version() || !strings.HasPrefix(l.Version, "20") {
		t.Errorf("version %q, want %q", l.Version, Version())
	}
}

// TestABureauExtendsTheLexicon adds a word, a danger and a guard in a further file.
func TestABureauExtendsTheLexicon(t *testing.T) {
	extra := fstest.MapFS{"benxi/own.txt": {Data: []byte("[version]\nbenxi.1\n[word praise 2]\n老铁给劲儿\n[rule danger]\n要去南山了断\n-气得要去南山了断\n")}}
	l, err := LoadLexicon(embedded, extra)
	if err != nil {
		t.Fatal(err)
	}
	if l.Version == Version() || !strings.Contains(l.Version, "benxi.1") {
		t.Errorf("version %q does not name the extension", l.Version)
	}
	if v := l.Read("老铁给劲儿！"); v.Rating != 2 {
		t.Errorf("the added word: %+v", v)
	}
	if v := l.Read("5，我要去南山了断"); !v.Danger {
		t.Errorf("the added danger: %+v", v)
	}
	if v := l.Read("5，气得要去南山了断"); v.Danger {
		t.Errorf("the added guard: %+v", v)
	}
	if v := Read("老铁给劲儿！"); v.Rating != 0 {
		t.Errorf("the standard lexicon changed: %+v", v)
	}
}

func TestBrokenLexiconsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"no section", "满意\n", "before the first section"},
		{"unknown class", "[word prais 2]\n棒\n", "unknown class"},
		{"unknown flag", "[word praise 7]\n棒\n", "unknown flag"},
		{"two classes", "[word blame 4]\n不错\n", "already in class"},
		{"traditional", "[word praise 2]\n滿分服務\n", "normalised"},
		{"full width", "[set unit]\nＫＭ\n", "normalised"},
		{"starts with a gap", "[rule danger]\n…3 死\n", "must start with a literal"},
		{"long gap", "[rule danger]\n我 …99 死\n", "1..30"},
		{"unknown set", "[rule danger]\n我 <nobody>\n", "no set"},
		{"empty alternative", "[rule danger]\n我|| 死\n", "empty alternative"},
		{"late anchor", "[rule danger]\n我 ^ 死\n", "must come first"},
		{"fold without target", "[fold]\n蛮意\n", "FROM"},
		{"pinyin without word", "[pinyin]\nmanyi\n", "LETTERS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := LoadLexicon(embedded, fstest.MapFS{"x.txt": {Data: []byte(c.data)}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := LoadLexicon(fstest.MapFS{"x.txt": {Data: []byte("[version]\n1\n")}}); err == nil || !strings.Contains(err.Error(), "danger") {
		t.Errorf("an empty lexicon: %v", err)
	}
}

// TestPatternsMatchWithinBounds shows what the signs of a pattern mean.
func TestPatternsMatchWithinBounds(t *testing.T) {
	patterns, err := compilePattern("^ 我|俺 …3 想? 死 $", nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"我死": true, "我想死": true, "我真的想死啊": true, "我真的真的想死": false, "他说我想死": false, "唉,我想死!": true, "我,想死": false, "我想死你": false,
	} {
		runes, got := plain(text), false
		for i := range runes {
			for _, p := range patterns {
				for _, first := range p.first {
					if hasAt(runes, i, first) {
						_, ok := p.match(runes, i, i+len(first))
						got = got || ok
					}
				}
			}
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
