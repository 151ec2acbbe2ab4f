package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lianxin/sip/media"
)

// onSmallDisk runs the program with a file system of so many MiB of its own at a folder, which nobody else sees.
func onSmallDisk(t *testing.T, dir string, mib int) []string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := fmt.Sprintf(`mount -t tmpfs -o mode=700,size=%dm small %q && exec "$@"`, mib, dir)
	var last []byte
	for _, unshare := range [][]string{{"unshare", "-m"}, {"unshare", "-r", "-m"}} { // for root, and for everybody else
		in := append(unshare, "sh", "-c", mount, "sh")
		out, err := exec.Command(in[0], append(in[1:], "true")...).CombinedOutput()
		if err == nil {
			return in
		}
		last = out
	}
	t.Fatalf("this test mounts a small file system for the program: it needs CAP_SYS_ADMIN or user namespaces: %s", last)
	return nil
}

// seen is a path as the program sees it.
func (p *process) seen(path string) string {
	return fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, path)
}

// fill leaves nothing free on the file system of a folder, and returns the file that holds it all.
func (p *process) fill(dir string, free uint64) string {
	p.t.Helper()
	file := filepath.Join(p.seen(dir), "ballast")
	f, err := os.Create(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		p.t.Fatal(err)
	}
	left := fs.Bavail * uint64(fs.Bsize)
	if left <= free {
		p.t.Fatalf("%d bytes are left already", left)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(left-free)); err != nil {
		p.t.Fatal(err)
	}
	return file
}

// keepFull takes what becomes free on the file system that fill filled, such as by a temporary file that the program removes, until it is told to stop.
func (p *process) keepFull(ballast string) (stop func()) {
	p.t.Helper()
	f, err := os.OpenFile(ballast, os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer f.Close()
		for size := int64(-1); ; {
			var fs unix.Statfs_t
			if err := unix.Fstatfs(int(f.Fd()), &fs); err == nil && fs.Bavail > 0 {
				if st, err := f.Stat(); err == nil {
					size = st.Size()
				}
				_ = unix.Fallocate(int(f.Fd()), 0, size, int64(fs.Bavail)*int64(fs.Bsize)) // somebody may have been faster
			}
			select {
			case <-quit:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return sync.OnceFunc(func() { close(quit); <-gone })
}

type recorded struct {
	ID        string
	Ended     string
	Fault     string `json:"recording_fault"`
	Recording int64  `json:"recording_ms"`
}

func (p *process) calls() []recorded {
	p.t.Helper()
	var list struct{ Items []recorded }
	p.api().ask("GET", "/api/v1/calls", nil, nil, &list)
	return list.Items
}

// The disk of the recordings is full in the middle of a call: the call goes on, its record says from when it was not recorded and how much
// is missing, whoever is responsible is warned on the page and in the figures, and as soon as there is room all is as before, for the call
// that is up and for the next one.
func TestADiskThatFillsUpUnderACallCostsSoundOfItsRecordingAndNothingElse(t *testing.T) {
	t.Parallel()
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t), rtp: "28700-28719"}
	recordings := filepath.Join(p.dir, recordingsDir)
	p.in = onSmallDisk(t, recordings, 264) // 256 MiB of any disk are left to the database
	p.begin()
	t.Cleanup(func() { p.kill() })
	sound, err := media.NewEngine(media.Config{PortLow: 28720, PortHigh: 28739})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	figures := func() string { return get(t, "http://"+p.http+"/metrics") }
	if m := figures(); !strings.Contains(m, "lianxin_calls_unrecorded_total 0") || !strings.Contains(m, `lianxin_part_up{part="recording"} 1`) {
		t.Fatal("calls are not recorded to begin with")
	}

	call := p.caller(ctx, "19900008001", sound)
	p.goesOn(ctx, call, 100)
	ballast := p.fill(recordings, 200<<20)
	u := p.api()
	u.until("the figures tell of the call", func() bool { return strings.Contains(figures(), "lianxin_calls_unrecorded_total 1") })
	u.until("the figures tell of the disk", func() bool { return strings.Contains(figures(), `lianxin_part_up{part="recording"} 0`) })
	u.until("the page tells of it", func() bool {
		return strings.Contains(p.page("supervisor1", "/alerts"), "通话未能录音：磁盘空间不足")
	})
	p.goesOn(ctx, call, 100)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	u.until("there is room again", func() bool { return strings.Contains(figures(), `lianxin_part_up{part="recording"} 1`) })
	p.goesOn(ctx, call, 150)
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	var first recorded
	u.until("the record is closed", func() bool {
		list := p.calls()
		if len(list) == 1 {
			first = list[0]
		}
		return len(list) == 1 && list[0].Ended != ""
	})
	if !strings.HasPrefix(first.Fault, "磁盘空间不足（") || !strings.Contains(first.Fault, "起），共缺") || first.Recording < 5000 {
		t.Errorf("the record says %q, %d ms are recorded", first.Fault, first.Recording)
	}
	if b := p.page("supervisor1", "/calls/"+first.ID); !strings.Contains(b, first.Fault) {
		t.Errorf("the page of the call does not say %q", first.Fault)
	}

	call = p.caller(ctx, "19900008002", sound)
	p.goesOn(ctx, call, 60)
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	u.until("the next call is recorded", func() bool {
		for _, r := range p.calls() {
			if r.ID != first.ID && r.Ended != "" {
				if r.Fault != "" || r.Recording < 500 {
					t.Fatalf("it says %+v", r)
				}
				return true
			}
		}
		return false
	})
}

// The disk is full when a call begins: it is not recorded, and says so; when there is room again it is, from there on, and the figures
// say that all is well.
func TestACallThatBeganOnAFullDiskIsRecordedWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t), rtp: "28680-28699"}
	recordings := filepath.Join(p.dir, recordingsDir)
	p.in = onSmallDisk(t, recordings, 264)
	p.begin()
	t.Cleanup(func() { p.kill() })
	sound, err := media.NewEngine(media.Config{PortLow: 28660, PortHigh: 28679})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	u := p.api()
	figures := func() string { return get(t, "http://"+p.http+"/metrics") }
	ballast := p.fill(recordings, 200<<20)
	call := p.caller(ctx, "19900008003", sound)
	u.until("the figures tell of the call", func() bool {
		return strings.Contains(figures(), "lianxin_calls_unrecorded_total 1") && strings.Contains(figures(), `lianxin_part_up{part="recording"} 0`)
	})
	p.goesOn(ctx, call, 50)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	u.until("it is recorded", func() bool {
		found, _ := filepath.Glob(filepath.Join(p.seen(recordings), "*", "*", "*", "*.lxrec"))
		return len(found) == 1
	})
	p.goesOn(ctx, call, 100)
	if !strings.Contains(figures(), `lianxin_part_up{part="recording"} 1`) {
		t.Error("the figures do not say that calls are recorded again")
	}
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	u.until("the record is closed", func() bool { list := p.calls(); return len(list) == 1 && list[0].Ended != "" })
	r := p.calls()[0]
	if !strings.HasPrefix(r.Fault, "磁盘空间不足（") || !strings.HasSuffix(r.Fault, "恢复录音）") || r.Recording < 1000 {
		t.Errorf("the record says %q, %d ms are recorded", r.Fault, r.Recording)
	}
	if b := p.page("supervisor1", "/calls/"+r.ID); !strings.Contains(b, r.Fault) {
		t.Errorf("the page of the call does not say %q", r.Fault)
	}
}

// The disk of the database is full: calls that are up go on, new ones are answered and led to a person, and what could be written when
// there is room again is written.
func TestADatabaseWithoutRoomKeepsNobodyFromAPerson(t *testing.T) {
	t.Parallel()
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t), rtp: "28740-28779"}
	p.in = onSmallDisk(t, p.dir, 160)
	p.begin()
	t.Cleanup(func() { p.kill() })
	outside := p.dir
	p.dir = p.seen(outside)
	sound, err := media.NewEngine(media.Config{PortLow: 28780, PortHigh: 28819})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	operator := p.operator(ctx, "8001", sound)
	before := p.caller(ctx, "19900008001", sound)
	p.goesOn(ctx, before, 50)
	ballast := p.fill(outside, 0)
	stop := p.keepFull(ballast)
	defer stop()
	p.goesOn(ctx, before, 50)
	caller := p.caller(ctx, "19900008002", sound)
	p.reaches(ctx, caller, operator) // though the database has no room
	if err := before.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(p.seen(outside), &fs); err != nil || fs.Bavail*uint64(fs.Bsize) > 64<<10 {
		t.Errorf("the disk had %d blocks free (%v)\n%s", fs.Bavail, err, p.log())
	}
	if !strings.Contains(p.log(), "is full") {
		t.Log("the write-ahead log had just begun anew and held all of it: there is room in it on a full disk too")
	}
	stop()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.goesOn(ctx, caller, 50)
	if err := caller.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	u := p.api()
	u.until("both records are closed", func() bool {
		n := 0
		for _, r := range p.calls() {
			if r.Ended != "" {
				n++
			}
		}
		return n == 2
	})
}
