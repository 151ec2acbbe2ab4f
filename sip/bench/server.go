package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lianxin/sip"
	"lianxin/sip/media"
	"lianxin/sip/memlimit"
)

// Mark is what the server says of itself.
type Mark struct {
	CPU        time.Duration // user and system time of the whole process so far
	RSS        int64         // bytes
	Heap       uint64        // bytes in use
	Goroutines int
	Files      int
	Legs       int
	FreePorts  int
	Calls      int
	Panics     int64
	Digits     int64 // digits that were received
	Shed       int64 // calls refused because the exchange was behind
	Late       media.Lateness
}

// server is the exchange under test, a process of its own on core 0.
type server struct {
	cmd  *exec.Cmd
	addr netip.AddrPort

	talk sync.Mutex // one question at a time
	in   io.WriteCloser
	out  *bufio.Reader

	total      int // ports in all
	quietSince time.Time
}

// startServer runs this command again as the server.
func startServer(o options) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("taskset", "-c", "0", self, "serve", fmt.Sprint(o.pacers))
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", o.procs), "BENCH_PROFILE="+o.profile)
	cmd.Stderr = os.Stderr
	s := &server{cmd: cmd}
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	if s.addr, err = netip.ParseAddrPort(strings.TrimPrefix(strings.TrimSpace(line), "udp://")); err != nil {
		return nil, err
	}
	m, err := s.mark(false)
	s.total, s.quietSince = m.FreePorts, time.Now()
	return s, err
}

// mark asks for figures; settled collects garbage first.
func (s *server) mark(settled bool) (m Mark, err error) {
	return m, s.ask(map[bool]string{true: "settle", false: "mark"}[settled], &m)
}

// ask puts one question to the server's process.
func (s *server) ask(question string, answer any) error {
	s.talk.Lock()
	defer s.talk.Unlock()
	if _, err := fmt.Fprintln(s.in, question); err != nil {
		return err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the server has ended: %w", err)
	}
	return json.Unmarshal(line, answer)
}

func (s *server) stop() {
	s.in.Close()
	_ = s.cmd.Wait()
}

// serve is the server's process. What a caller gets depends on whom they call.
func serve(args []string) error {
	pacers := 1
	if len(args) > 0 {
		if _, err := fmt.Sscan(args[0], &pacers); err != nil {
			return err
		}
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if _, _, err := memlimit.Set("auto", 50); err != nil { // as lianxin serve does
		return err
	}
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	// The wildcard address, as lianxin serve binds it: a socket of one address would be connected, and cost less than there.
	engine, err := media.NewEngine(media.Config{PortLow: 10000, PortHigh: 31999, Pacers: pacers, Log: quiet})
	if err != nil {
		return err
	}
	defer engine.Close()
	var digits atomic.Int64
	var phones *sip.Server
	phones, err = sip.New(sip.Config{Listen: []string{"udp://127.0.0.1:0"}, Open: true, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: quiet}, engine)
	if err != nil {
		return err
	}
	sound := media.Tone([]float64{440, 660}, 10*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- phones.Serve(ctx, func(ctx context.Context, c sip.Call) {
			if c.Answer(ctx) != nil {
				return
			}
			user := c.Info().To
			switch {
			case user == "prompt":
				defer c.Media().Loop(sound)()
			case user == "menu":
				select {
				case <-c.Media().Digits():
					digits.Add(1)
					_ = c.Media().Play(ctx, sound)
				case <-c.Done():
				}
			case strings.HasPrefix(user, "bridge"): // bridge-PORT: the caller's friend is behind the same address
				far, err := phones.Dial(ctx, sip.Target{URI: "sip:friend@" + c.Info().Remote.String()}, sip.DialOpt{})
				if err != nil {
					return
				}
				_ = sip.Bridge(ctx, c, far)
				_ = far.Hangup(context.WithoutCancel(ctx))
			}
			<-c.Done()
		})
	}()
	fmt.Println(phones.Addrs()[0])
	finish, err := profile(os.Getenv("BENCH_PROFILE"))
	if err != nil {
		return err
	}
	defer finish()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var answer any
		switch in.Text() {
		case "settle":
			runtime.GC()
			debug.FreeOSMemory()
			fallthrough
		case "mark":
			answer = look(engine, phones, digits.Load())
		case "pulse":
			answer = feel(engine)
		}
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			return err
		}
	}
	cancel()
	return <-ended
}

// profile begins to write profiles into a folder; without one it does nothing.
func profile(dir string) (finish func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	cpu, err := os.Create(filepath.Join(dir, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	heap, err := os.Create(filepath.Join(dir, "heap.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = pprof.WriteHeapProfile(heap)
		_, _ = cpu.Close(), heap.Close()
	}, nil
}

func look(e *media.Engine, s *sip.Server, digits int64) Mark {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	files, _ := os.ReadDir("/proc/self/fd")
	h := s.Health()
	return Mark{CPU: time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), RSS: rss(), Heap: mem.HeapInuse, Goroutines: runtime.NumGoroutine(), Files: len(files),
		Legs: e.Legs(), FreePorts: e.FreePorts(), Calls: h.Calls, Panics: int64(h.Panics), Digits: digits, Shed: h.Dropped["overload"], Late: e.Lateness()}
}

func rss() (n int64) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size int64
	_, _ = fmt.Sscan(string(b), &size, &n)
	return n * int64(os.Getpagesize())
}

func cpuName() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return fmt.Sprintf("%s, %d cores", strings.TrimSpace(v), strings.Count(string(b), "processor\t"))
		}
	}
	return runtime.GOARCH
}

func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
