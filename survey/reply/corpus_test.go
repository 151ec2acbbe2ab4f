package reply

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

type row struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Label  Label  `json:"label"`
	Rating *int   `json:"rating"`
	Why    string `json:"why"`
}

func readCorpus(tb testing.TB, file string) []row {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var rows []row
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		var r row
		if err := json.Unmarshal(scan.Bytes(), &r); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		rows = append(rows, r)
	}
	return rows
}

// score is what a corpus is judged by.
type score struct {
	rows, right      int // right: label and rating both
	labels           int // label right
	wrongSide        int // rated 1–3 for 4–5 or the reverse
	ratedForPerson   int // rated although a person should read it
	ratedForNobody   int // rated although nothing is said
	optoutsMissed    int
	wrongLevelInSide int
}

func judgeCorpus(tb testing.TB, l *Lexicon, rows []row, show bool) score {
	var s score
	for _, r := range rows {
		want := 0
		if r.Rating != nil {
			want = *r.Rating
		}
		got := l.Read(r.Text)
		s.rows++
		if got.Label == r.Label {
			s.labels++
		}
		if got.Label == r.Label && got.Rating == want {
			s.right++
			continue
		}
		mark := ""
		switch {
		case got.Rating > 0 && want > 0 && (got.Rating > 3) != (want > 3):
			s.wrongSide++
			mark = " WRONG SIDE"
		case got.Label == Rating && r.Label == Review:
			s.ratedForPerson++
			mark = " RATED FOR A PERSON"
		case got.Label == Rating && r.Label == Other:
			s.ratedForNobody++
			mark = " RATED FOR NOBODY"
		case r.Label == OptOut && got.Label != OptOut:
			s.optoutsMissed++
			mark = " OPT-OUT MISSED"
		case got.Label == r.Label:
			s.wrongLevelInSide++
		}
		if show {
			tb.Logf("%s %q: got %s %d (%s), want %s %d (%s)%s", r.ID, r.Text, got.Label, got.Rating, got.Why, r.Label, want, r.Why, mark)
		}
	}
	return s
}

// TestCorpora holds the reader to its own labelled replies.
func TestCorpora(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpora: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := judgeCorpus(t, Standard(), readCorpus(t, file), true)
			t.Logf("%+v", s)
			if s.wrongSide > 0 || s.ratedForPerson > 0 {
				t.Errorf("%d on the wrong side, %d rated that a person should read: want none", s.wrongSide, s.ratedForPerson)
			}
			if s.right < s.rows {
				t.Errorf("%d of %d right", s.right, s.rows)
			}
		})
	}
}
