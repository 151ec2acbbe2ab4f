package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/storage/storagetest"
	"lianxin/workday"
)

// TestViewsOfOtherSystemsAreConfiguredAndPulled reads a view of PostgreSQL by the command line, as its job does.
func TestViewsOfOtherSystemsAreConfiguredAndPulled(t *testing.T) {
	url := storagetest.PostgresURL(t)
	src, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	day := workday.DayOf(time.Now()).Add(-1)
	if _, err := src.Exec(`CREATE TABLE v (业务流水号 TEXT, 办理时间 TIMESTAMP, 电话 TEXT, 单位 TEXT);
		INSERT INTO v VALUES ('A1', '` + day.String() + ` 10:00', '13800000001', '站前派出所')`); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "lianxin.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`
data: ` + dir + `/data
record-views:
  - {name: zhanqian, driver: postgres, dsn: "` + url + `", class: "110", query: "SELECT * FROM v WHERE 办理时间 >= $1 AND 办理时间 < $2"}
`)
	status, out, errs := run(t, "", "--config", file, "records", "pull")
	if status != 0 || !strings.Contains(out, "zhanqian: 1 rows = 1 accepted") {
		t.Errorf("pull: %d %s %s", status, out, errs)
	}
	if status, out, _ = run(t, "", "--config", file, "records", "pull", "zhanqian"); status != 0 || !strings.Contains(out, "1 known") {
		t.Errorf("pull again: %d %s", status, out)
	}
	if status, _, errs = run(t, "", "--config", file, "records", "pull", "nobody"); status != 1 || !strings.Contains(errs, "nobody") {
		t.Errorf("no such view: %d %s", status, errs)
	}
	write("record-views:\n  - {name: x, driver: dbase, dsn: a, query: b}\n")
	if status, _, errs = run(t, "", "--config", file, "records", "pull"); status != 2 || !strings.Contains(errs, "dbase") {
		t.Errorf("unknown driver: %d %s", status, errs)
	}
}

// TestABureausOwnFilesReachTheReaderAndTheSurvey: word lists extend the reader, and the survey goes by its own file.
func TestABureausOwnFilesReachTheReaderAndTheSurvey(t *testing.T) {
	words := t.TempDir()
	if status, out, _ := run(t, "格愣格愣\n", "survey", "parse"); status != 0 || !strings.Contains(out, `"review"`) {
		t.Fatalf("a word nobody knows: %s", out)
	}
	if err := os.WriteFile(filepath.Join(words, "benxi.txt"), []byte("[version]\nbenxi-1\n[word fixed 1]\n格愣格愣\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := run(t, "格愣格愣\n", "--lexicon", words, "survey", "parse"); status != 0 || !strings.Contains(out, `"rating":1`) {
		t.Errorf("with the bureau's own words: %d %s %s", status, out, errs)
	}
	status, text, _ := run(t, "", "survey", "config")
	if status != 0 || !strings.Contains(text, "classes:") {
		t.Fatalf("survey config: %d %s", status, text)
	}
	file := filepath.Join(t.TempDir(), "survey.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(text, `version: "2026-11-4"`, `version: "benxi-7"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if status, out, errs := run(t, "", "--data", dir, "--survey-config", file, "survey", "run"); status != 0 || !strings.Contains(out, "benxi-7") {
		t.Errorf("run with its own file: %d %s %s", status, out, errs)
	}
}
