package survey_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/workday"
)

// column is one of a fake server's view, with the type by the name that the real driver gives it.
type column struct{ name, typ string }

// fakeServer answers one query with values of the Go types in which a driver hands them over.
type fakeServer struct {
	query   string // the only one that it understands
	columns []column
	rows    [][]driver.Value
	asked   []driver.NamedValue
}

func (f *fakeServer) Connect(context.Context) (driver.Conn, error) { return f, nil }
func (f *fakeServer) Driver() driver.Driver                        { return nil }
func (f *fakeServer) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not prepared") }
func (f *fakeServer) Close() error                                 { return nil }
func (f *fakeServer) Begin() (driver.Tx, error)                    { return nil, errors.New("this only reads") }

func (f *fakeServer) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if f.asked = args; query != f.query {
		return nil, errors.New("syntax error near " + query)
	}
	return &fakeRows{f, 0}, nil
}

type fakeRows struct {
	*fakeServer
	n int
}

func (r *fakeRows) Columns() (names []string) {
	for _, c := range r.columns {
		names = append(names, c.name)
	}
	return names
}
func (r *fakeRows) Close() error                            { return nil }
func (r *fakeRows) ColumnTypeDatabaseTypeName(i int) string { return r.columns[i].typ }
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.n == len(r.rows) {
		return io.EOF
	}
	copy(dest, r.rows[r.n])
	r.n++
	return nil
}

// What go-mssqldb (decode of types.go) and go-ora (parameter.go) hand over, no server being at hand: the text of a query goes through
// as it is, its two times as ordinal arguments, and each value becomes what a file would have held.
func TestValuesOfSQLServerAndOracleAreReadAsAFileWouldHaveThem(t *testing.T) {
	east := time.FixedZone("", 8*3600)
	for name, c := range map[string]struct {
		query string
		cols  []column
		row   []driver.Value // every server's own idea of the same record
	}{
		"sqlserver": {
			`SELECT TOP (1000) * FROM [dbo].[业务] WHERE [办理时间] >= CONVERT(datetime2, @p1, 120) AND [办理时间] < CONVERT(datetime2, @p2, 120)`,
			[]column{{"业务类别", "NCHAR"}, {"业务流水号", "UNIQUEIDENTIFIER"}, {"办理时间", "DATETIME2"}, {"姓名", "NVARCHAR"}, {"电话", "DECIMAL"}, {"出生日期", "DATE"}, {"单位", "NCHAR"}, {"事项", "NVARCHAR"}, {"备注", "NVARCHAR"}, {"办结", "BIT"}},
			[]driver.Value{"户政      ", []byte{0x04, 0x03, 0x02, 0x01, 0x06, 0x05, 0x08, 0x07, 9, 10, 11, 12, 13, 14, 15, 16}, time.Date(2026, 11, 22, 9, 30, 0, 1234567, time.UTC), "甲", []byte("19900000001"),
				time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC), "市户政窗口    ", "身份证换领", nil, true},
		},
		"sqlserver with a zone": {
			`SELECT * FROM v WHERE t >= CONVERT(datetime2, @p1, 120) AND t < CONVERT(datetime2, @p2, 120)`,
			[]column{{"CLASS", "VARCHAR"}, {"ID", "VARCHAR"}, {"TIME", "DATETIMEOFFSET"}, {"NAME", "NVARCHAR"}, {"MOBILE", "BIGINT"}, {"BORN", "NVARCHAR"}, {"UNIT", "VARCHAR"}, {"MATTER", "NVARCHAR"}},
			[]driver.Value{"huzheng", "01020304-0506-0708-090A-0B0C0D0E0F10", time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC), "甲", int64(19900000001), "1980-01-02", "benxi-huzheng-chuangkou", "身份证换领"},
		},
		"oracle": {
			`SELECT * FROM "V_RK" WHERE T >= TO_DATE(:1, 'YYYY-MM-DD HH24:MI:SS') AND T < TO_DATE(:2, 'YYYY-MM-DD HH24:MI:SS') FETCH FIRST 1000 ROWS ONLY`,
			[]column{{"CLASS", "CHAR"}, {"ID", "RAW"}, {"TIME", "DATE"}, {"NAME", "NCHAR"}, {"TEL", "NUMBER"}, {"BORN", "DATE"}, {"UNIT", "NCHAR"}, {"MATTER", "NCHAR"}, {"MARK", "NCHAR"}},
			[]driver.Value{"户政  ", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), "甲", "19900000001", time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC),
				"市户政窗口", "身份证换领", nil},
		},
		"oracle with a number and a zone": {
			`SELECT * FROM V WHERE T >= TO_DATE(:1, 'YYYY-MM-DD HH24:MI:SS') AND T < TO_DATE(:2, 'YYYY-MM-DD HH24:MI:SS')`,
			[]column{{"CLASS", "CHAR"}, {"ID", "NUMBER"}, {"TIME", "TimeStampTZ_DTY"}, {"NAME", "NCHAR"}, {"PHONE", "NUMBER"}, {"BORN", "NCHAR"}, {"UNIT", "CHAR"}, {"MATTER", "NCHAR"}},
			[]driver.Value{"户政", float64(20261122000123), time.Date(2026, 11, 22, 9, 30, 0, 0, east), "甲", float64(19900000001), "19800102", "市户政窗口", "身份证换领"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, storagetest.SQLite(t))
			server := &fakeServer{query: c.query, columns: c.cols, rows: [][]driver.Value{c.row}}
			db := sql.OpenDB(server)
			defer db.Close()
			v := survey.View{Survey: h.survey, Name: "rk", DB: db, Query: c.query, Days: 1}
			for again := range 2 { // the second time every value must be the same again
				out, err := v.Read(h.ctx, h.day("2026-11-22"))
				if err != nil || out.Lines != 1 || out.Accepted != 1-again || out.Known != again || len(out.Notable) != 0 {
					t.Fatalf("%+v, %v", out, err)
				}
			}
			if len(server.asked) != 2 || server.asked[0].Ordinal != 1 || server.asked[0].Name != "" || server.asked[0].Value != "2026-11-22 00:00:00" || server.asked[1].Value != "2026-11-23 00:00:00" {
				t.Errorf("asked with %v", server.asked)
			}
			i := h.items("2026-11-22")[0]
			if i.Class != "huzheng" || i.Phone.Clear() != "19900000001" || i.Unit != "benxi-huzheng-chuangkou" || i.Matter != "身份证换领" || i.Mark != "" || i.Name.Clear() != "甲" ||
				i.ServiceAt.In(workday.Zone).Format("15:04") != "09:30" {
				t.Errorf("%+v", i.Record)
			}
			if want := map[string]string{"oracle": "0102030405060708090A0B0C0D0E0F10", "oracle with a number and a zone": "20261122000123"}[name]; want != "" && i.SourceID != want ||
				strings.HasPrefix(name, "sqlserver") && i.SourceID != "01020304-0506-0708-090A-0B0C0D0E0F10" {
				t.Errorf("the serial number is %q", i.SourceID)
			}
			// A minor on the day of the service would have been born later: the date of birth arrived as a day, not as text.
			if h.run("2026-11-22"); h.items("2026-11-22")[0].Reason != survey.Asked {
				t.Errorf("%q", h.items("2026-11-22")[0].Reason)
			}
		})
	}
}

// A value that is no text breaks its row, by number, and not the others.
func TestAValueThatIsNoTextRefusesItsRowOnly(t *testing.T) {
	h := newHouse(t, storagetest.SQLite(t))
	cols := []column{{"CLASS", "CHAR"}, {"ID", "CHAR"}, {"TIME", "DATE"}, {"PHONE", "NUMBER"}, {"UNIT", "XMLTYPE"}}
	row := func(id string, unit driver.Value) []driver.Value {
		return []driver.Value{"户政", id, time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), "19900000001", unit}
	}
	db := sql.OpenDB(&fakeServer{query: "q", columns: cols, rows: [][]driver.Value{row("1", "市户政窗口"), row("2", struct{}{}), row("3", "市户政窗口")}})
	defer db.Close()
	out, err := (&survey.View{Survey: h.survey, Name: "x", DB: db, Query: "q"}).Read(h.ctx, h.day("2026-11-22"))
	if err != nil || out.Accepted != 2 || out.Refused != 1 || out.Notable[0].Number != 3 {
		t.Errorf("%+v, %v", out, err)
	}
}
