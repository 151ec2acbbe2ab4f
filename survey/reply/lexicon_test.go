package reply

import "testing"

func TestStandardLexiconLoads(t *testing.T) {
	l, err := LoadLexicon(embedded)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d entries, %d patterns", l.Version, len(l.entries), len(l.patterns))
}
