package grade

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func filter(t *testing.T, in string) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := grader.Filter(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	for sc := bufio.NewScanner(&out); sc.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v", sc.Text(), err)
		}
		list = append(list, m)
	}
	return list
}

func TestFilterWritesTheFormOfTheIssue(t *testing.T) {
	got := filter(t, `{"title":"","text":"第三次反映,楼上太吵。","history":{"unsatisfied":true}}`+"\n"+`{"text":"楼上太吵"}`)
	want := []map[string]any{
		{"colour": "黄", "event": 26.0, "person": 0.0, "factors": []any{
			map[string]any{"factor": "同一事项重复反映", "points": 16.0, "evidence": "第三次反映"},
			map[string]any{"factor": "上次结果不满意", "points": 10.0, "evidence": "上次办理结果被评不满意(unsatisfied)"}}},
		{"colour": "蓝", "event": 0.0, "person": 0.0, "factors": []any{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFilterNamesTheLineItCannotReadAndGoesOn(t *testing.T) {
	got := filter(t, "\ufeff{\"text\":\"a\"}\n\nnot json\n[1]\n{\"text\":\n{\"history\":3}\n{\"history\":{\"repeats\":{}}}\n{\"text\":[]}\n\"x\"\nnull\n{}\n")
	for i, line := range []float64{0, 3, 4, 5, 6, 7, 8, 9, 10, 0} {
		if i >= len(got) {
			t.Fatalf("%d answers: %v", len(got), got)
		}
		if line == 0 {
			if got[i]["colour"] != "蓝" {
				t.Errorf("answer %d: %v", i+1, got[i])
			}
			continue
		}
		if msg, _ := got[i]["error"].(string); got[i]["line"] != line || !strings.Contains(msg, "line ") {
			t.Errorf("answer %d: %v, want an error for line %v", i+1, got[i], line)
		}
	}
	if len(got) != 10 {
		t.Errorf("%d answers: %v", len(got), got)
	}
}

func TestALineTooLongIsRefusedAndTheNextIsRead(t *testing.T) {
	got := filter(t, `{"text":"`+strings.Repeat("吵", maxLine/3+10)+"\"}\n{\"text\":\"我不想活了\"}\n")
	if len(got) != 2 || got[0]["line"] != 1.0 || got[1]["colour"] != "红" {
		t.Errorf("%d answers, %v", len(got), got[1:])
	}
}

func TestFactsAreReadLeniently(t *testing.T) {
	for in, want := range map[string]History{
		`{}`: {}, `{"parties":12,"repeats":3.9,"contacts_7d":"4","contacts_90d":null,"channels":["电话","网站","来访"]}`: {Parties: 12, Repeats: 3, Contacts7d: 4, Channels: 3},
		`{"unsatisfied":1,"rework":0,"overdue":"是","emotion_confirmed":"true","verified_threat":true,"watch_flag":false,"watch_period":2}`: {Unsatisfied: true, Overdue: true, EmotionConfirmed: true, VerifiedThreat: true, WatchPeriod: true},
		`{"parties":true,"repeats":false,"age_days":-5,"loss_yuan":1e300}`:                                                                 {Parties: 1, LossYuan: maxCount},
		`{"age_days":1e400,"unknown":{"a":1}}`:                                                                                             {AgeDays: maxCount},
	} {
		var c Case
		if err := json.Unmarshal([]byte(`{"history":`+in+`}`), &c); err != nil {
			t.Errorf("%s: %v", in, err)
		} else if c.History != want {
			t.Errorf("%s: %+v, want %+v", in, c.History, want)
		}
	}
}

func TestTheDayOfTheCaseCounts(t *testing.T) {
	got := filter(t, `{"text":"从2025年1月开始天天扰民","at":"2025-03-01"}`+"\n"+`{"text":"从2025年1月开始天天扰民","at":"2026-03-01T08:00:00+08:00"}`+"\n"+`{"at":"yesterday"}`)
	if len(got) != 3 || got[0]["event"] != 0.0 || got[1]["event"] != 15.0 || got[2]["error"] == nil {
		t.Errorf("%v", got)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (broken) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }

func TestFilterSaysWhenThePipeBreaks(t *testing.T) {
	if err := Filter(strings.NewReader("{}\n"), broken{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write: %v", err)
	}
	if err := Filter(broken{}, io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v", err)
	}
}

// The other end of a pipe gets its answer before it sends the next line.
func TestFilterAnswersLineByLine(t *testing.T) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Filter(inR, outW); outW.Close() }()
	answers := bufio.NewReader(outR)
	for range 3 {
		if _, err := io.WriteString(inW, `{"text":"楼上太吵"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "蓝") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	inW.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte(`{"title":"x","text":"我不想活了","history":{"parties":3,"watch_flag":1}}`))
	f.Add([]byte("{\"history\":{\"repeats\":\"1e9\",\"channels\":[1,2]}}\n\xff\n{"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if err := grader.Filter(bytes.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		lines := 0
		for l := range bytes.Lines(bytes.TrimPrefix(in, []byte("\ufeff"))) {
			if len(bytes.TrimSpace(l)) > 0 {
				lines++
			}
		}
		answers := 0
		for l := range bytes.Lines(out.Bytes()) {
			if !json.Valid(l) {
				t.Fatalf("%q", l)
			}
			answers++
		}
		if answers != lines {
			t.Fatalf("%d answers to %d lines", answers, lines)
		}
	})
}

func TestTheFilterReadsGBKAndDamagedLinesAndRefusesOthers(t *testing.T) {
	in := "{\"text\":\"\xce\xd2\xd2\xaa\xcc\xf8\xc2\xa5\"}\n{\"text\":\"我要跳楼\xe5，快来\"}\n\xff\xfe\xff\n{\"text\":\"我要跳楼\"}\n"
	var out strings.Builder
	if err := (Grader{}).Filter(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d answers: %s", len(lines), out.String())
	}
	for _, i := range []int{0, 1, 3} {
		if !strings.Contains(lines[i], `"colour":"红"`) {
			t.Errorf("line %d: %s", i+1, lines[i])
		}
	}
	if !strings.Contains(lines[2], `"line":3`) || !strings.Contains(lines[2], "error") {
		t.Errorf("line 3: %s", lines[2])
	}
}
