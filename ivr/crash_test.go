package ivr_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lianxin/desk"
	"lianxin/ivr"
	"lianxin/ivr/ivrtest"
	"lianxin/ivr/softphone"
	"lianxin/sip/media"
	"lianxin/storage"
	"lianxin/ticket"
)

// crashDir makes this test binary a hotline on that folder, to be killed.
const crashDir = "LIANXIN_IVRTEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		s, err := ivrtest.Open(ivrtest.Options{Dir: dir, Log: os.Stderr})
		if err == nil {
			err = s.Board.Put(context.Background(), desk.Operator{Extension: "8001", StaffID: "staff-8001", AutoReady: true})
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(s.Addr)
		select {}
	}
	// Calls are mostly waiting: more of them at a time than there are cores.
	flag.Parse()
	if n, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); err == nil && n > 1 && n < 10 {
		_ = flag.Set("test.parallel", "10")
	}
	os.Exit(m.Run())
}

// kill -9 under a talk, a caller who waits and a caller in the menu: after the next start each record says truthfully
// what had happened, its recording can be heard, and who was not served is called back. Nothing happens twice.
func TestKilledUnderCallsTheRecordsAreClosedTruthfully(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	must(t, err)
	child := exec.Command(exe)
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	first := bufio.NewScanner(out)
	if !first.Scan() || strings.HasPrefix(first.Text(), "error") {
		t.Fatalf("the hotline did not start: %q", first.Text())
	}
	addr := first.Text()

	sounds, err := media.NewEngine(media.Config{IP: netip.MustParseAddr("127.0.0.1"), PortLow: 32000, PortHigh: 32700, Pacers: 1})
	must(t, err)
	defer sounds.Close()
	phone := func(user string) *softphone.Phone {
		p, err := softphone.New(softphone.Config{User: user, Password: ivrtest.Password, Server: addr, Engine: sounds})
		must(t, err)
		t.Cleanup(p.Crash)
		return p
	}
	operator := phone("8001")
	must(t, operator.Register(patient(t)))
	call := func(number string) *softphone.Call {
		c, err := phone(number).Dial(patient(t), "46110110")
		must(t, err)
		return c
	}
	// hears waits for so many more packets: the time that the calls live in, however slow the machine is.
	hears := func(c *softphone.Call, packets uint64) time.Duration {
		t.Helper()
		ctx := patient(t)
		for was := c.Leg().Stats().PacketsIn; c.Leg().Stats().PacketsIn < was+packets; time.Sleep(10 * time.Millisecond) {
			select {
			case <-c.Done():
				t.Fatal("a call has ended")
			case <-ctx.Done():
				t.Fatal("a call is not heard any more")
			default:
			}
		}
		return time.Duration(c.Leg().Stats().PacketsIn) * 20 * time.Millisecond
	}
	talking := call("13841400001")
	must(t, talking.Press(patient(t), "0"))
	ring := <-operator.Incoming()
	answered, err := ring.Answer(patient(t))
	must(t, err)
	talking.Tone(440)
	must(t, answered.HearsTone(patient(t), 440))
	waiting := call("13841400002")
	must(t, waiting.Press(patient(t), "0"))
	menu := call("13841400003")
	hears(menu, 125)
	heard := []time.Duration{hears(talking, 1), hears(waiting, 1), hears(menu, 1)}

	kill := time.Now()
	must(t, child.Process.Kill())
	_ = child.Wait()
	dead := time.Now()

	s := ivrtest.New(t, ivrtest.Options{Dir: dir})
	sum, err := s.Hotline.Recover(patient(t))
	must(t, err)
	if sum.Calls != 3 || sum.Recordings != 3 || sum.Callbacks != 3 {
		t.Errorf("recovered %+v, want 3 calls, recordings and call-backs", sum)
	}
	again, err := s.Hotline.Recover(patient(t))
	must(t, err)
	if again != (ivr.Recovered{}) {
		t.Errorf("a second recovery found %+v", again)
	}
	records := s.Records(t)
	if len(records) != 3 {
		t.Fatalf("%d records", len(records))
	}
	for i, r := range records {
		if r.Disposition != ivr.Interrupted || r.EndedBy != "crash" || r.CallbackID == "" || r.ContactID == "" {
			t.Errorf("call %d: %s by %s, call-back %q", i+1, r.Disposition, r.EndedBy, r.CallbackID)
		}
		// The recording counts whole frames from the moment before it began, so its end may lie some frames ahead of the clock.
		if r.Ended.After(dead.Add(200*time.Millisecond)) || kill.Sub(r.Ended) > 5*time.Second {
			t.Errorf("call %d ended %v before the kill", i+1, kill.Sub(r.Ended))
		}
		player, err := s.Hotline.Calls().OpenRecording(filepath.Join(dir, "recordings"), r)
		must(t, err)
		b, err := io.ReadAll(player)
		must(t, err)
		must(t, player.Close())
		w, err := media.ParseWAV(b)
		must(t, err)
		if long := time.Duration(len(w.Channel(0))) * time.Second / media.Rate; long != r.RecordingTime || long < heard[i]-1500*time.Millisecond || int64(len(b)) >= r.RecordingBytes {
			t.Errorf("call %d: of %v heard a recording of %v in %d bytes, noted %v in %d", i+1, heard[i], long, len(b), r.RecordingTime, r.RecordingBytes)
		}
	}
	if r := records[0]; r.Connected.IsZero() || r.Talk < time.Second || r.Operator != "8001" || r.TicketID == "" {
		t.Errorf("the talk: %+v", r)
	}
	if r := records[1]; r.Queued.IsZero() || !r.Connected.IsZero() || r.Wait <= 0 || r.TicketID == "" {
		t.Errorf("the wait: %+v", r)
	}
	if r := records[2]; !r.Queued.IsZero() || r.TicketID != "" {
		t.Errorf("the menu: %+v", r)
	}
	s.View(t, func(tx *storage.Tx) error {
		tk, err := s.Office.Get(tx, records[1].TicketID)
		if tk.Title != "未接通来电，待回拨" || !strings.Contains(tk.Body, "因系统中断未接通，未与坐席通话。") {
			t.Errorf("the ticket of who waited: %q %q, %v", tk.Title, tk.Body, err)
		}
		_, n, err := s.Office.Callbacks(tx, ticket.CallbackFilter{Viewer: ticket.System})
		if n != 3 {
			t.Errorf("%d call-backs", n)
		}
		return err
	})
}
