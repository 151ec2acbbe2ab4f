package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/survey"
)

func TestAViewThatItsServerWouldMisreadIsRefusedWhenTheConfigurationIsRead(t *testing.T) {
	t.Parallel()
	good := map[string]viewSettings{
		"postgres":  {DSN: "postgres://u:geheim@h/db", Query: "SELECT * FROM v WHERE t >= $1 AND t < $2"},
		"mysql":     {DSN: "u:geheim@tcp(h:3306)/db", Query: "SELECT * FROM v WHERE t >= ? AND t < ? -- why?"},
		"sqlserver": {DSN: "sqlserver://u:geheim@h:1433?database=db", Query: "SELECT TOP (1000) * FROM [v] WHERE t >= CONVERT(datetime2, @p1, 120) AND t < CONVERT(datetime2, @p2, 120)"},
		"oracle":    {DSN: "oracle://u:geheim@h:1521/svc", Query: `SELECT * FROM "v" WHERE t >= TO_DATE(:1, 'YYYY-MM-DD HH24:MI:SS') AND t < TO_DATE(:2, 'YYYY-MM-DD HH24:MI:SS') FETCH FIRST 100 ROWS ONLY`},
	}
	for driver, v := range good {
		v.Name, v.Driver = "rk", driver
		if err := v.check(); err != nil {
			t.Errorf("%s: %v", driver, err)
		}
	}
	for name, c := range map[string]struct{ driver, dsn, query, want string }{
		"no second placeholder": {"mysql", "", "SELECT * FROM v WHERE t >= ? AND x = '?'", "placeholder 2 of 2"},
		"another's placeholder": {"oracle", "", "SELECT * FROM v WHERE t >= TO_DATE(:1) AND t < :2 AND x = @p1", "placeholder of sqlserver"},
		"LIMIT":                 {"sqlserver", "", "SELECT * FROM v WHERE t >= CONVERT(datetime2, @p1, 120) AND t < @p2 LIMIT 5", "TOP (n)"},
		"TOP":                   {"oracle", "", "SELECT TOP 5 * FROM v WHERE t >= TO_DATE(:1) AND t < :2", "FETCH FIRST"},
		"NLS_DATE_FORMAT":       {"oracle", "", "SELECT * FROM v WHERE t >= :1 AND t < :2", "TO_DATE(:1"},
		"language of a session": {"sqlserver", "", "SELECT * FROM v WHERE t >= @p1 AND t < @p2", "CONVERT(datetime2"},
		"DSN of another":        {"oracle", "u/geheim@h:1521/svc", "", "oracle://user"},
		"no host":               {"oracle", "oracle:///svc", "", "oracle://user"},
		"a DSN that is none":    {"sqlserver", "sqlserver://u:geheim%zz@h", "", "sqlserver://user"},
		"a PostgreSQL DSN":      {"postgres", "postgres://u:geheim@h:port/db", "", "postgres://user"},
		"a MySQL DSN":           {"mysql", "u:geheim@h/db", "", "tcp(host"},
	} {
		v := good[c.driver]
		v.Name, v.Driver = "rk", c.driver
		if c.dsn != "" {
			v.DSN = c.dsn
		}
		if c.query != "" {
			v.Query = c.query
		}
		err := v.check()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "view rk ("+c.driver+")") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want something about %q", name, err, c.want)
		}
	}
}

// TestAServerThatDoesNotSpeakItsProtocolIsNamedAndNoPasswordIsTold is all that can be seen of SQL Server and Oracle without
// one: the drivers connect, say what they have to say, and fail with an error that names the view.
func TestAServerThatDoesNotSpeakItsProtocolIsNamedAndNoPasswordIsTold(t *testing.T) {
	t.Parallel()
	db, err := storage.Open(context.Background(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := make(chan byte, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 8)
				if n, _ := c.Read(head); n == 8 {
					// TDS has the type of the packet first (MS-TDS 2.2.3.1.1), TNS the length and then the type.
					if head[0] == 0x12 {
						first <- 's'
					} else if head[4] == 1 {
						first <- 'o'
					}
				}
				c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			}()
		}
	}()
	for driver, dsn := range map[string]string{"sqlserver": "sqlserver://u:geheim@" + l.Addr().String() + "?database=db&encrypt=disable&dial+timeout=5",
		"oracle": "oracle://u:geheim@" + l.Addr().String() + "/svc?CONNECTION TIMEOUT=5"} {
		v := viewSettings{Name: "rk", Driver: driver, DSN: dsn, Query: "SELECT 1"}
		view, err := v.open(&survey.Survey{DB: db})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_, err = view.Read(ctx, 0)
		cancel()
		view.DB.Close()
		if err == nil || !strings.Contains(err.Error(), "view rk") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", driver, err)
		}
		select {
		case who := <-first:
			if who != driver[0] {
				t.Errorf("%s began as %c", driver, who)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s did not begin as its protocol does", driver)
		}
		for len(first) > 0 { // further attempts
			<-first
		}
	}
}
