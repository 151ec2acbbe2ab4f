package sip

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sipp runs a scenario of testdata against the server and fails the test when sipp does.
func sipp(t *testing.T, server, scenario string, args ...string) string {
	t.Helper()
	program := tool(t, "sipp", "")
	file, err := filepath.Abs(filepath.Join("testdata", scenario+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := c.LocalAddr().(*net.UDPAddr).Port
	c.Close()
	dir := t.TempDir()
	args = append([]string{server, "-sf", file, "-i", "127.0.0.1", "-p", fmt.Sprint(port), "-nostdin", "-timeout", "100s", "-timeout_error",
		"-trace_err", "-error_file", "errors.log", "-fd", "10", "-recv_timeout", "30000"}, args...)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "errors.log"))
		t.Fatalf("sipp %s: %v\n%s\n%s", scenario, err, log, tail(string(out), 3000))
	}
	return string(out)
}

func tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}

func TestSippCalls(t *testing.T) {
	x := start(t, nil, nil)
	for _, c := range []struct {
		scenario string
		args     []string
		calls    int
	}{
		{"call", []string{"-m", "100", "-r", "100"}, 100},
		{"call", []string{"-m", "50", "-r", "50", "-t", "t1"}, 50},
		{"call", []string{"-m", "50", "-r", "50", "-t", "tn", "-max_socket", "200"}, 50},
		{"late_offer", []string{"-m", "20", "-r", "50"}, 20},
		{"hold", []string{"-m", "20", "-r", "20"}, 20},
		{"retransmitted", []string{"-m", "20", "-r", "20"}, 20},
		{"merged", []string{"-m", "20", "-r", "20"}, 20},
	} {
		t.Run(c.scenario+strings.Join(c.args, ""), func(t *testing.T) {
			server := x.udp
			if strings.Contains(strings.Join(c.args, " "), "-t t") {
				server = x.tcp
			}
			sipp(t, server, c.scenario, c.args...)
			for range c.calls {
				if e := ended(t, x.call()); e.By != ByFar {
					t.Errorf("end %+v", e)
				}
			}
			select {
			case <-x.calls:
				t.Errorf("more than %d calls", c.calls)
			default:
			}
		})
	}
}

func TestSippCallsOverALossyNetwork(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.t1 = 100 * time.Millisecond }, nil)
	sipp(t, x.udp, "call", "-m", "200", "-r", "50", "-lost", "5")
	given := 0
	for range 200 {
		// sipp may lose an ACK, and its BYE with it, and take a repeated 200 for the BYE's: such a call we end ourselves
		if e := ended(t, x.call()); e.Cause == causeNoACK {
			given++
		} else if e.By != ByFar {
			t.Errorf("end %+v", e)
		}
	}
	if given > 10 {
		t.Errorf("%d of 200 were never acknowledged", given)
	}
	if n := x.Health().Calls; n != 0 || len(x.calls) != 0 {
		t.Errorf("%d calls are left, %d too many came", n, len(x.calls))
	}
}

func TestSippLostACK(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.t1 = 50 * time.Millisecond }, nil) // a tenth of the 32 s
	sipp(t, x.udp, "lost_ack", "-m", "5", "-r", "5", "-nr")
	for range 5 {
		if e := ended(t, x.call()); e.Cause != causeNoACK || e.By != ByTimeout {
			t.Errorf("end %+v", e)
		}
	}
}

func TestSippInfoDigits(t *testing.T) {
	got := make(chan string, 100)
	x := start(t, nil, func(ctx context.Context, c Call) {
		_ = c.Answer(ctx) // on a busy machine the caller may have hung up before it returns; the digits came all the same
		var b strings.Builder
		for b.Len() < 4 {
			select {
			case d := <-c.Media().Digits():
				b.WriteRune(d.Key)
			case <-ctx.Done():
				for b.Len() < 4 { // what had come before the end is still there
					select {
					case d := <-c.Media().Digits():
						b.WriteRune(d.Key)
						continue
					default:
					}
					break
				}
				got <- b.String()
				return
			}
		}
		got <- b.String()
		<-c.Done()
	})
	sipp(t, x.udp, "info_digits", "-m", "20", "-r", "20")
	for range 20 {
		select {
		case keys := <-got:
			if keys != "120#" {
				t.Errorf("keys %q", keys)
			}
		case <-time.After(patience):
			t.Fatal("a call is missing")
		}
	}
}

func TestSippRegisters(t *testing.T) {
	x := start(t, func(c *Config) {
		users("8001")(c)
		c.Digests = []string{"MD5"} // sipp 3.6 reads the first challenge only, and knows no SHA-256
	}, nil)
	sipp(t, x.udp, "register_wrong", "-m", "1", "-au", "8001", "-ap", "wrong")
	if x.Registered("8001") {
		t.Error("registered with a wrong password")
	}
	sipp(t, x.udp, "register", "-m", "1", "-au", "8001", "-ap", "pw-8001")
	if !x.Registered("8001") {
		t.Error("not registered")
	}
}
