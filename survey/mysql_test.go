package survey_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
)

// mysql starts a real server of its own, reached through a socket file only, and returns an empty database there.
func mysql(t *testing.T) (dsn string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "my") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	user := "--user=" + os.Getenv("USER")
	if os.Getuid() == 0 {
		user = "--user=root"
	}
	make := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, user, "--auth-root-authentication-method=normal", "--skip-test-db")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db (scripts/tools.sh installs it): %v\n%s", err, out)
	}
	server := exec.Command("/usr/sbin/mariadbd", "--no-defaults", "--datadir="+data, "--socket="+socket, "--pid-file="+filepath.Join(dir, "pid"), "--skip-networking", user,
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--character-set-server=utf8mb4")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	root, err := sql.Open("mysql", "root@unix("+socket+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for end := time.Now().Add(60 * time.Second); root.Ping() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("mariadbd does not answer: %v", root.Ping())
		}
	}
	if _, err := root.Exec(`CREATE DATABASE rk`); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("root@unix(%s)/rk", socket)
}

func TestAViewOfMySQLIsReadWithItsOwnTypes(t *testing.T) {
	t.Parallel()
	dsn := mysql(t)
	h := newHouse(t, storagetest.SQLite(t))
	for _, options := range []string{"", "?parseTime=true&loc=Asia%2FShanghai"} {
		src, err := sql.Open("mysql", dsn+options)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		name := "plain"
		if options != "" {
			name = "times"
		}
		for _, q := range []string{
			`DROP TABLE IF EXISTS banjian`,
			`CREATE TABLE banjian (slbh VARCHAR(20), sj DATETIME(3), xm VARCHAR(40), dh DECIMAL(11,0), dw VARCHAR(40), sx TEXT, csrq DATE) CHARACTER SET gbk`,
			`INSERT INTO banjian VALUES
				('A1', '2026-11-22 00:00:00', '甲', 19900000001, '市户政窗口', '身份证换领', '1980-02-03'),
				('A2', '2026-11-22 23:59:59.999', NULL, NULL, '市户政窗口', NULL, NULL),
				('A3', '2026-11-19 12:00:00', '丙', 19900000003, '市户政窗口', '迁入', NULL),
				('A4', '2026-11-23 00:00:00', '丁', 19900000004, '市户政窗口', '迁入', NULL)`,
			"CREATE OR REPLACE VIEW v_huzheng AS SELECT concat(slbh, '-" + name + "') AS `业务流水号`, sj AS `办理时间`, xm AS `姓名`, dh AS `电话`, dw AS `单位`, sx AS `事项`, csrq AS `出生日期` FROM banjian",
		} {
			if _, err := src.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		v := &survey.View{Survey: h.survey, Name: "huzheng", DB: src, Class: "户政", Query: "SELECT * FROM v_huzheng WHERE `办理时间` >= ? AND `办理时间` < ?"}
		out, err := v.Read(h.ctx, h.day("2026-11-22"))
		if err != nil || out.Lines != 2 || out.Accepted != 2 || out.Odd != 1 {
			t.Fatalf("%s: %+v, %v", name, out, err)
		}
		if _, err := src.Exec(`UPDATE banjian SET sx = '挂失' WHERE slbh = 'A1'`); err != nil {
			t.Fatal(err)
		}
		if out, err := v.Read(h.ctx, h.day("2026-11-22")); err != nil || out.Corrected != 1 || out.Known != 1 {
			t.Errorf("%s, again: %+v, %v", name, out, err)
		}
	}
	h.view(func(tx *storage.Tx) error {
		ids, err := storage.All(tx, storage.Value[string], `SELECT source_id FROM survey_record WHERE service_day = '2026-11-22' ORDER BY source_id`)
		if !slices.Equal(ids, []string{"A1-plain", "A1-times", "A2-plain", "A2-times"}) {
			t.Errorf("of the day: %v", ids)
		}
		return err
	})
}
