package survey_test

import (
	"database/sql"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

// recordCount is how many records there are.
func (h *house) recordCount() (n int) {
	h.t.Helper()
	h.view(func(tx *storage.Tx) (err error) {
		n, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_record`)
		return err
	})
	return n
}

func TestAFileInTheFolderIsReadOnceAndMovedWithAReport(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		dir := t.TempDir()
		f := &survey.Folder{Survey: h.survey, Dir: dir, Settle: -1}
		put := func(name, text string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		look := func() (out []survey.Taken) {
			out, err := f.Look(h.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		put("a.csv", records(0, 5)+"户政,HZX,昨天,甲,19900000077,,市户政窗口,身份证换领,,\n")
		put("b.csv", "姓名,电话\n甲,19900000001\n")
		put(".hidden.csv", records(100, 5))
		put("c.csv.part", records(200, 5))
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "d.csv")); err != nil {
			t.Fatal(err)
		}
		got := look()
		if len(got) != 2 || got[0].Err != nil || got[0].Accepted != 5 || got[0].Refused != 1 || got[1].Err == nil {
			t.Fatalf("%+v", got)
		}
		if !strings.HasPrefix(got[0].Name, "done/") || !strings.HasPrefix(got[1].Name, "failed/") {
			t.Errorf("moved to %s and %s", got[0].Name, got[1].Name)
		}
		report, err := os.ReadFile(filepath.Join(dir, got[0].Name+".report.txt"))
		if err != nil || !strings.Contains(string(report), "第7行 HZX 办理时间无法识别") || strings.Contains(string(report), "1990000") {
			t.Errorf("report %s, %v", report, err)
		}
		// The same content under another name, and a file of the same name with other content.
		put("again.csv", records(0, 5)+"户政,HZX,昨天,甲,19900000077,,市户政窗口,身份证换领,,\n")
		h.pass(1)
		put("a.csv", records(0, 7))
		got = look()
		slices.SortFunc(got, func(a, b survey.Taken) int { return a.Lines - b.Lines })
		if len(got) != 2 || !got[0].Again || got[1].Again || got[1].Accepted != 2 || got[1].Known != 5 {
			t.Errorf("%+v", got)
		}
		if n := h.recordCount(); n != 7 {
			t.Errorf("%d records", n)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 5 { // .hidden.csv c.csv.part d.csv done failed
			t.Errorf("left %v, %v", left, err)
		}
	})
}

func TestAFileThatIsStillBeingCopiedIsLeftAlone(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	dir := t.TempDir()
	f := &survey.Folder{Survey: h.survey, Dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "a.csv"), []byte(records(0, 5)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := f.Look(h.ctx); err != nil || len(got) != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	f.Settle = 1
	if got, err := f.Look(h.ctx); err != nil || len(got) != 1 || got[0].Accepted != 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPushTakesCSVAndJSONOnceAndTellsNoSecrets(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		push := func(kind, query, body string) (status int, out map[string]any) {
			t.Helper()
			r := httptest.NewRequest("POST", "/push?"+query, strings.NewReader(body))
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			h.survey.Push(w, r, "token/01T")
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			if strings.Contains(w.Body.String(), "1990000") {
				t.Errorf("the answer tells a number: %s", w.Body)
			}
			return w.Code, out
		}
		lines := `{"业务流水号":"HZ1","办理时间":"2026-11-22T09:00:00+08:00","姓名":"甲","电话":"19900000001","单位":"市户政窗口","事项":"身份证\n换领"}
{"业务流水号":"HZ2","办理时间":"2026-11-22 09:00:00","电话":19900000002,"单位":"市户政窗口","备注":null}
{"业务流水号":"HZ3","办理时间":"x","电话":"19900000003","单位":"市户政窗口"}`
		if status, out := push("application/x-ndjson", "class=户政&dry=1", lines); status != 200 || out["accepted"] != 2.0 || h.recordCount() != 0 {
			t.Errorf("dry: %d %v", status, out)
		}
		status, out := push("application/x-ndjson", "class=户政", lines)
		notable, _ := out["notable"].([]any)
		if status != 200 || out["accepted"] != 2.0 || out["refused"] != 1.0 || len(notable) != 1 || notable[0].(map[string]any)["line"] != 4.0 {
			t.Errorf("%d %v", status, out)
		}
		if status, out := push("application/x-ndjson", "class=户政", lines); status != 200 || out["again"] != true {
			t.Errorf("again: %d %v", status, out)
		}
		array := "[" + strings.ReplaceAll(lines, "\n{", ",\n{") + "]"
		if status, out := push("application/json; charset=utf-8", "class=户政", array); status != 200 || out["known"] != 2.0 {
			t.Errorf("array: %d %v", status, out)
		}
		if status, out := push("text/csv", "", records(10, 3)); status != 200 || out["accepted"] != 3.0 {
			t.Errorf("csv: %d %v", status, out)
		}
		for kind, body := range map[string]string{"application/json": `{"电话":"19900000001"`, "application/x-ndjson": `{"a":{"b":"19900000001"}}`, "text/csv": "姓名\n甲\n"} {
			if status, out := push(kind, "", body); status != 400 {
				t.Errorf("%s %s: %d %v", kind, body, status, out)
			}
		}
		if n := h.recordCount(); n != 5 {
			t.Errorf("%d records", n)
		}
		w := httptest.NewRecorder()
		h.survey.Push(w, httptest.NewRequest("GET", "/push", nil), "token/01T")
		if w.Code != 405 {
			t.Errorf("GET: %d", w.Code)
		}
	})
}

func TestAViewOfPostgreSQLIsReadWithItsOwnTypes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		src, err := sql.Open("pgx", storagetest.PostgresURL(t))
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		for _, q := range []string{
			`CREATE TABLE banjian (slbh TEXT, sj TIMESTAMP, sj2 TIMESTAMPTZ, xm TEXT, dh NUMERIC(11), dw TEXT, sx TEXT, csrq DATE)`,
			`INSERT INTO banjian VALUES
				('A1', '2026-11-22 00:00:00', '2026-11-21 16:00:00+00', '甲', 19900000001, '市户政窗口', '身份证换领', '1980-02-03'),
				('A2', '2026-11-22 23:59:59', '2026-11-22 15:59:59+00', NULL, NULL, '市户政窗口', NULL, NULL),
				('A3', '2026-11-19 12:00:00', '2026-11-19 04:00:00+00', '丙', 19900000003, '市户政窗口', '迁入', NULL),
				('A4', '2026-11-23 00:00:00', '2026-11-22 16:00:00+00', '丁', 19900000004, '市户政窗口', '迁入', NULL)`,
			`CREATE VIEW v_huzheng AS SELECT slbh AS 业务流水号, sj AS 办理时间, xm AS 姓名, dh AS 电话, dw AS 单位, sx AS 事项, csrq AS 出生日期 FROM banjian`,
			`CREATE VIEW v_zone AS SELECT slbh || '-z' AS 业务流水号, sj2 AS 办理时间, xm AS 姓名, dh AS 电话, dw AS 单位 FROM banjian`,
		} {
			if _, err := src.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		v := &survey.View{Survey: h.survey, Name: "huzheng", DB: src, Class: "户政", Query: `SELECT * FROM v_huzheng WHERE 办理时间 >= $1 AND 办理时间 < $2`}
		out, err := v.Read(h.ctx, h.day("2026-11-22"))
		if err != nil || out.Lines != 2 || out.Accepted != 2 || out.Odd != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		if _, err := src.Exec(`UPDATE banjian SET sx = '挂失' WHERE slbh = 'A1'`); err != nil {
			t.Fatal(err)
		}
		v.Days = 4
		if out, err := v.Read(h.ctx, h.day("2026-11-22")); err != nil || out.Corrected != 1 || out.Known != 1 || out.Accepted != 1 {
			t.Errorf("%+v, %v", out, err)
		}
		z := &survey.View{Survey: h.survey, Name: "zone", DB: src, Class: "户政", Query: `SELECT * FROM v_zone WHERE 办理时间 >= $1::timestamp AT TIME ZONE 'Asia/Shanghai' AND 办理时间 < $2::timestamp AT TIME ZONE 'Asia/Shanghai'`}
		if out, err := z.Read(h.ctx, h.day("2026-11-22")); err != nil || out.Accepted != 2 {
			t.Errorf("%+v, %v", out, err)
		}
		h.view(func(tx *storage.Tx) error {
			ids, err := storage.All(tx, storage.Value[string], `SELECT source_id FROM survey_record WHERE service_day = '2026-11-22' ORDER BY source_id`)
			if !slices.Equal(ids, []string{"A1", "A1-z", "A2", "A2-z"}) {
				t.Errorf("of the day: %v", ids)
			}
			return err
		})
		v.Query = `SELECT * FROM nowhere`
		if _, err := v.Read(h.ctx, h.day("2026-11-22")); err == nil {
			t.Error("a view that does not exist was read")
		}
	})
}
