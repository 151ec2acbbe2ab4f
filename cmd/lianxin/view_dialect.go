package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/microsoft/go-mssqldb/msdsn"
	oracle "github.com/sijms/go-ora/v2"
)

// dialect is what a query of a driver must look like, so that a mistake is found when the program starts and not by an empty morning.
type dialect struct {
	marks  []string               // the placeholders for from and to
	parse  func(dsn string) error // its errors may hold the password: they are never shown
	form   string                 // of the DSN
	limit  *regexp.Regexp         // what another dialect has in place of this one's
	hint   string                 // what to write instead
	moment *regexp.Regexp         // how a text becomes a time, where the server's settings would decide otherwise
	write  string
}

var dialects = map[string]dialect{
	"postgres": {marks: []string{"$1", "$2"}, form: "postgres://user:password@host:5432/database",
		parse: func(dsn string) error { _, err := pgx.ParseConfig(dsn); return err }},
	"mysql": {marks: []string{"?", "?"}, form: "user:password@tcp(host:3306)/database",
		parse: func(dsn string) error { _, err := mysql.ParseDSN(dsn); return err }},
	"sqlserver": {marks: []string{"@p1", "@p2"}, form: "sqlserver://user:password@host:1433?database=name",
		parse: func(dsn string) error {
			c, err := msdsn.Parse(dsn)
			if err == nil && c.Host == "" {
				err = errors.New("no host")
			}
			return err
		},
		limit: regexp.MustCompile(`(?i)\blimit\s+\d|` + "`"), hint: "TOP (n) or OFFSET … FETCH, and [name] in place of `name`",
		// In a session whose language has dates as dmy a DATETIME reads '2026-11-05 …' as the 11th of May.
		moment: regexp.MustCompile(`(?i)\b(try_)?convert\s*\(|\bcast\s*\(.*\bdatetime2\b`), write: "CONVERT(datetime2, @p1, 120)"},
	"oracle": {marks: []string{":1", ":2"}, form: "oracle://user:password@host:1521/service",
		parse: func(dsn string) error {
			c, err := oracle.ParseConfig(dsn)
			if err == nil && (len(c.Servers) == 0 || c.Servers[0].Addr == "") {
				err = errors.New("no host")
			}
			return err
		},
		limit: regexp.MustCompile(`(?i)\blimit\s+\d|\btop\s*\(?\d|` + "`"), hint: `FETCH FIRST n ROWS ONLY or ROWNUM, and "name" in place of ` + "`name`",
		// A text beside a DATE is read as NLS_DATE_FORMAT has it, mostly DD-MON-RR: ORA-01843, or no rows at all.
		moment: regexp.MustCompile(`(?i)\bto_(date|timestamp|timestamp_tz)\s*\(`), write: "TO_DATE(:1, 'YYYY-MM-DD HH24:MI:SS')"},
}

// quoted is what stands in quotation marks or comments, where nothing is a placeholder.
var quoted = regexp.MustCompile(`(?s)'[^']*'|--[^\n]*|/\*.*?\*/`)

// checkDialect finds what the source system would refuse, or worse, read wrongly.
func (v viewSettings) checkDialect() error {
	d := dialects[v.Driver]
	if err := d.parse(v.DSN); err != nil {
		return fmt.Errorf("the dsn cannot be read: want %s, with %%-escapes for signs in the password", d.form)
	}
	query := quoted.ReplaceAllString(v.Query, " ")
	rest := query
	for i, m := range d.marks {
		_, after, found := strings.Cut(rest, m)
		if !found {
			return fmt.Errorf("the query lacks placeholder %d of 2: want %s (from) and %s (to)", i+1, d.marks[0], d.marks[1])
		}
		if d.marks[0] == d.marks[1] {
			rest = after
		}
	}
	for name, other := range dialects {
		if name != v.Driver && other.marks[0] != other.marks[1] && strings.Contains(query, other.marks[0]) {
			return fmt.Errorf("the query has %s, which is a placeholder of %s: want %s and %s", other.marks[0], name, d.marks[0], d.marks[1])
		}
	}
	if d.limit != nil {
		if bad := d.limit.FindString(query); bad != "" {
			return fmt.Errorf("the query has %q: want %s", bad, d.hint)
		}
	}
	if d.moment != nil && !d.moment.MatchString(query) {
		return fmt.Errorf("the query compares times with texts, which the server's settings would read: want %s", d.write)
	}
	return nil
}
