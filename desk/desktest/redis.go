package desktest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisServer is a real redis-server that belongs to one test.
type RedisServer struct {
	t      testing.TB
	dir    string
	socket string
	cmd    *exec.Cmd
	exited chan struct{}
}

// StartRedis starts a redis-server on a socket of its own, without persistence. It ends with the test.
func StartRedis(t testing.TB) *RedisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is missing: run `make tools` once")
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir is often too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	s := &RedisServer{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	t.Cleanup(func() { s.Kill(); os.RemoveAll(dir) })
	s.Start()
	return s
}

// URL is the server's address.
func (s *RedisServer) URL() string { return "unix://" + s.socket }

// Client is a new client, closed with the test.
func (s *RedisServer) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, ContextTimeoutEnabled: true, MaxRetries: -1, PoolSize: 30})
	s.t.Cleanup(func() { c.Close() })
	return c
}

// Start starts the server (again). Nothing that it knew before is there.
func (s *RedisServer) Start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", s.socket, "--save", "", "--appendonly", "no", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log"))
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() { _ = cmd.Wait(); close(exited) }()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
	defer c.Close()
	for end := time.Now().Add(long); ; time.Sleep(5 * time.Millisecond) {
		err := c.Ping(context.Background()).Err()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatal(fmt.Errorf("redis-server does not answer: %w\n%s", err, log))
		}
	}
}

// Kill ends the server as a power cut would.
func (s *RedisServer) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.exited
		s.cmd = nil
	}
}
