package storagetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver of database/sql
)

var (
	pgOnce sync.Once
	pgBase string // URL of the scratch server without a database name
	pgErr  error
	pgSeq  atomic.Int64
)

// PostgresURL makes a fresh, empty database on the scratch server of this test binary and returns its URL. The server
// listens on a Unix socket only, runs without fsync, and stops by itself when the test binary ends, however it ends.
// The environment variable LIANXIN_TEST_POSTGRES names a server to use instead.
func PostgresURL(t testing.TB) string {
	t.Helper()
	startOnce(t)
	return createDatabase(t, "")
}

// startOnce starts the scratch server, or takes the one that the environment names.
func startOnce(t testing.TB) {
	t.Helper()
	pgOnce.Do(func() {
		if pgBase = os.Getenv("LIANXIN_TEST_POSTGRES"); pgBase == "" {
			pgBase, pgErr = startPostgres()
		}
	})
	if pgErr != nil {
		t.Fatalf("scratch PostgreSQL (run `make tools`): %v", pgErr)
	}
}

// createDatabase makes a database that goes away with the test, by CREATE DATABASE with more words, and returns its URL.
func createDatabase(t testing.TB, more string) string {
	t.Helper()
	name := fmt.Sprintf("t%d_%d", os.Getpid(), pgSeq.Add(1))
	admin, err := sql.Open("pgx", fmt.Sprintf(pgBase, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec("CREATE DATABASE " + name + more); err != nil {
		t.Fatalf("create scratch database: %v", err)
	}
	t.Cleanup(func() {
		admin, err := sql.Open("pgx", fmt.Sprintf(pgBase, "postgres"))
		if err != nil {
			return
		}
		defer admin.Close()
		admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)")
	})
	return fmt.Sprintf(pgBase, name)
}

// startPostgres runs initdb and a server in a folder of its own and returns a URL pattern with one %s for the database.
func startPostgres() (string, error) {
	bin, err := postgresBin()
	if err != nil {
		return "", err
	}
	// A short path: a Unix socket's name may have 107 bytes.
	dir, err := os.MkdirTemp("", "lxpg")
	if err != nil {
		return "", err
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if os.Getuid() == 0 { // initdb and the server refuse to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			return "", err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return "", err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--no-sync", "--no-instructions", "-A", "trust", "-U", "lianxin", "-E", "UTF8", "--locale=C.UTF-8", "-D", data)
	initdb.SysProcAttr = attr
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// The shell waits for its standard input to close, which happens when this process is gone, even by kill -9; then
	// the server is stopped and its folder removed.
	script := `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB >"$2/log" 2>&1 & pid=$!
read -r _; kill -QUIT $pid; wait $pid; cd /; rm -rf "$2"`
	server := exec.Command("/bin/sh", "-c", script, "sh", bin, dir)
	server.SysProcAttr = &syscall.SysProcAttr{Credential: attr.Credential}
	server.Dir = dir
	stdin, err := server.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := server.Start(); err != nil {
		return "", err
	}
	keepOpen = append(keepOpen, stdin)
	url := "postgres://lianxin@/%s?host=" + dir + "&sslmode=disable"
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		db, err := sql.Open("pgx", fmt.Sprintf(url, "postgres"))
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			err = db.PingContext(ctx)
			cancel()
			db.Close()
		}
		if err == nil {
			return url, nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return "", fmt.Errorf("the server did not come up: %w\n%s", err, log)
		}
	}
}

// keepOpen holds the pipe that keeps the server alive: a collected pipe is a closed one.
var keepOpen []io.Closer

func postgresBin() (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		sort.Slice(found, func(i, j int) bool { return version(found[i]) < version(found[j]) })
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("no initdb found")
}

func version(initdb string) int {
	n, _ := strconv.Atoi(strings.Split(initdb, string(filepath.Separator))[4])
	return n
}
