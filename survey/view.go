package survey

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lianxin/schedule"
	"lianxin/table"
	"lianxin/workday"
)

// View reads records out of a view of a source system, through any driver of database/sql that is linked into the program.
// It only ever reads.
type View struct {
	Survey *Survey
	Name   string  // in the list of imports
	DB     *sql.DB // of the source system
	Query  string  // its columns are named like those of the files; two placeholders: from and to, "2026-11-22 00:00:00", to excluded
	Class  string  // class of the rows that name none; a row that names another is refused
	Days   int     // so many days are read again each time, for what was entered late; 3 when 0
}

// Job reads at spec (five cron fields, such as "30 7 * * *"), before the morning asks.
func (v *View) Job(spec string) schedule.Job {
	return schedule.Job{Name: "survey.view." + v.Name, Spec: spec, Window: 2 * time.Hour, Run: func(ctx context.Context, at time.Time) error {
		out, err := v.Read(ctx, workday.DayOf(at).Add(-1))
		if err == nil {
			v.Survey.log().Info("view of records", "view", v.Name, "lines", out.Lines, "accepted", out.Accepted, "corrected", out.Corrected, "refused", out.Refused)
		}
		return err
	}}
}

// Read takes in the services of a day and of the days before it. Rows that have come before add nothing.
func (v *View) Read(ctx context.Context, day workday.Day) (Imported, error) {
	days := v.Days
	if days == 0 {
		days = 3
	}
	const layout = "2006-01-02 15:04:05"
	rows, err := v.DB.QueryContext(ctx, v.Query, day.Add(1-days).Start().Format(layout), day.End().Format(layout))
	if err != nil {
		return Imported{}, fmt.Errorf("read the view %s: %w", v.Name, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return Imported{}, fmt.Errorf("read the view %s: %w", v.Name, err)
	}
	out, err := v.Survey.importTable(ctx, &sqlTable{rows: rows, types: types}, v.Name, "SQL", ImportOptions{Class: v.Class, By: "view/" + v.Name})
	if err != nil {
		return out, fmt.Errorf("read the view %s: %w", v.Name, err)
	}
	return out, nil
}

// sqlTable is the rows of a query as a table, its first line the names of the columns.
type sqlTable struct {
	rows  *sql.Rows
	types []*sql.ColumnType
	n     int
}

func (t *sqlTable) Next() ([]string, int, error) {
	t.n++
	cells := make([]string, len(t.types))
	if t.n == 1 {
		for i, c := range t.types {
			cells[i] = c.Name()
		}
		return cells, t.n, nil
	}
	if !t.rows.Next() {
		if err := t.rows.Err(); err != nil {
			return nil, t.n, fmt.Errorf("row %d: %w", t.n-1, err)
		}
		return nil, t.n, io.EOF
	}
	values, dest := make([]any, len(cells)), make([]any, len(cells))
	for i := range dest {
		dest[i] = &values[i]
	}
	if err := t.rows.Scan(dest...); err != nil {
		return nil, t.n, fmt.Errorf("row %d: %w", t.n-1, err)
	}
	for i, v := range values {
		text, err := cellOf(v, t.types[i].DatabaseTypeName())
		if err != nil {
			return nil, t.n, table.ErrBroken
		}
		cells[i] = text
	}
	return cells, t.n, nil
}

func (t *sqlTable) Close() error { return t.rows.Close() }

// cellOf writes a value as a file would have it. A time without a zone is one of the wall clock here.
func cellOf(v any, typ string) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		switch typ = strings.ToUpper(typ); {
		case typ == "UNIQUEIDENTIFIER" && len(v) == 16: // SQL Server; its first three groups are little-endian
			return fmt.Sprintf("%X-%X-%X-%X-%X", []byte{v[3], v[2], v[1], v[0]}, []byte{v[5], v[4]}, []byte{v[7], v[6]}, v[8:10], v[10:]), nil
		case typ == "RAW" || typ == "BINARY" || typ == "VARBINARY" || !utf8.Valid(v): // an id, such as Oracle's SYS_GUID()
			return fmt.Sprintf("%X", v), nil
		}
		return string(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil // a number column with a telephone number keeps its digits
	case bool:
		return strconv.FormatBool(v), nil
	case time.Time:
		// TIMESTAMPTZ of PostgreSQL, DATETIMEOFFSET of SQL Server, TimeStampTZ_DTY and TimeStampLTZ_DTY of Oracle
		if typ = strings.ToUpper(typ); strings.Contains(typ, "TZ") || strings.Contains(typ, "OFFSET") || strings.Contains(typ, "TIME ZONE") {
			return v.Format(time.RFC3339Nano), nil
		}
		return v.Format("2006-01-02 15:04:05"), nil
	}
	return "", errors.New("no text")
}
