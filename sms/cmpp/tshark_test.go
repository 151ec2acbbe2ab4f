package cmpp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/sms/cmpp"
	"lianxin/sms/cmpp/cmpptest"
	"lianxin/storage/storagetest"
)

// tape is a connection that keeps what went over it as a packet capture: raw IPv4, so that nobody needs the right to
// capture anything.
type tape struct {
	net.Conn
	mu       sync.Mutex
	file     bytes.Buffer
	out, in  uint32 // bytes so far
	packages int
}

func record(c net.Conn) *tape {
	t := &tape{Conn: c}
	// Header of a capture file: magic, version 2.4, zone, accuracy, length of packets, link type 101 (raw IP).
	for _, v := range []any{uint32(0xa1b2c3d4), uint16(2), uint16(4), uint32(0), uint32(0), uint32(65535), uint32(101)} {
		_ = binary.Write(&t.file, binary.BigEndian, v)
	}
	return t
}

func (t *tape) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.packet(false, b[:n])
	return n, err
}

func (t *tape) Write(b []byte) (int, error) {
	t.packet(true, b) // before it can be answered
	return t.Conn.Write(b)
}

func (t *tape) packet(ours bool, b []byte) {
	if len(b) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	src, dst, sport, dport, seq, ack := [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}, uint16(40000), uint16(7890), t.out, t.in
	if !ours {
		src, dst, sport, dport, seq, ack = dst, src, dport, sport, t.in, t.out
	}
	t.packages++
	now := time.Now()
	size := uint32(40 + len(b))
	for _, v := range []any{
		uint32(now.Unix()), uint32(now.Nanosecond() / 1000), size, size,
		uint8(0x45), uint8(0), uint16(size), uint16(t.packages), uint16(0x4000), uint8(64), uint8(6), uint16(0), src, dst,
		sport, dport, seq + 1, ack + 1, uint8(0x50), uint8(0x18), uint16(65535), uint16(0), uint16(0), b,
	} {
		_ = binary.Write(&t.file, binary.BigEndian, v)
	}
	if ours {
		t.out += uint32(len(b))
	} else {
		t.in += uint32(len(b))
	}
}

// seen is one message as Wireshark has it: fields by name.
type seen map[string][]string

func (s seen) get(name string) string { return strings.Join(s[name], "|") }

// dissect runs tshark over a capture.
func dissect(t *testing.T, file []byte) (out []seen) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "cmpp.pcap")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tshark", "-r", name, "-T", "json", "--no-duplicate-keys")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark (run `make tools`): %v\n%s", err, stderr.String())
	}
	var packets []struct {
		Source struct {
			Layers map[string]any `json:"layers"`
		} `json:"_source"`
	}
	if err := json.Unmarshal(b, &packets); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if _, bad := p.Source.Layers["_ws.malformed"]; bad {
			t.Errorf("Wireshark finds a message malformed: %v", p.Source.Layers)
		}
		layer, ok := p.Source.Layers["cmpp"]
		if !ok {
			t.Errorf("Wireshark finds no CMPP in a packet: %v", p.Source.Layers)
		}
		list, many := layer.([]any)
		if !many {
			list = []any{layer}
		}
		for _, m := range list {
			s := seen{}
			flatten(m, s)
			out = append(out, s)
		}
	}
	return out
}

func flatten(v any, into seen) {
	m, _ := v.(map[string]any)
	for k, v := range m {
		switch v := v.(type) {
		case string:
			into[k] = append(into[k], v)
		case []any:
			for _, x := range v {
				if s, ok := x.(string); ok {
					into[k] = append(into[k], s)
				} else {
					flatten(x, into)
				}
			}
		default:
			flatten(v, into)
		}
	}
}

// TestWiresharkReadsWhatWeSay lets Wireshark's dissector, which knows 3.0, read a whole conversation of our carrier.
func TestWiresharkReadsWhatWeSay(t *testing.T) {
	g := cmpptest.Start(t, cmpp.V30)
	var cassette *tape
	p := connect(t, g, storagetest.SQLite(t), newVault(t), func(c *cmpp.Config) {
		c.Heartbeat = 500 * time.Millisecond
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil {
				cassette = record(conn)
				conn = cassette
			}
			return conn, err
		}
	})
	if _, err := p.Send(context.Background(), message(t, 1, three)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Send(context.Background(), message(t, 2, "reply 1-5")); err != nil {
		t.Fatal(err)
	}
	mo(t, g, cmpp.Deliver{SrcTerminalID: "13804100001", MsgFmt: 8, Content: ucs2("满意")})
	waitFor(t, "four reports", func() bool { r, _ := p.got(); return len(r) == 4 })
	waitFor(t, "a heartbeat", func() bool { _, _, beats, _ := g.Counts(); return beats > 0 })
	p.stop()

	count := map[string]int{}
	var submits []seen
	for _, s := range dissect(t, cassette.file.Bytes()) {
		cmd := s.get("cmpp.Command_Id")
		count[cmd]++
		switch cmd {
		case "0x00000001":
			if s.get("cmpp.connect.Source_Addr") != "901234" || s.get("cmpp.Version") != "03.00" || len(s.get("cmpp.connect.Timestamp")) != len("11/23 08:00:00") {
				t.Errorf("CONNECT: %v", s)
			}
		case "0x00000004":
			submits = append(submits, s)
		case "0x80000004":
			if s.get("cmpp.submit_resp.Result") != "0" || s.get("cmpp.Msg_Id.timestamp") != "11/23 08:00:00" {
				t.Errorf("SUBMIT_RESP: %v", s)
			}
		case "0x00000005":
			if s.get("cmpp.deliver.Registered_Delivery") == "0" {
				if s.get("cmpp.deliver.Dest_Id") != "10690121100712" || s.get("cmpp.deliver.Src_terminal_Id") != "13804100001" || s.get("cmpp.Msg_Fmt") != "8" {
					t.Errorf("DELIVER: %v", s)
				}
			} else if s.get("cmpp.deliver.Report.Status") != "DELIVRD" {
				t.Errorf("status report: %v", s)
			}
		case "0x80000005":
			if s.get("cmpp.deliver_resp.Result") != "0" {
				t.Errorf("DELIVER_RESP: %v", s)
			}
		}
	}
	for cmd, n := range map[string]int{"0x00000001": 1, "0x80000001": 1, "0x00000004": 4, "0x80000004": 4, "0x00000005": 5, "0x80000005": 5, "0x00000002": 1, "0x80000002": 1} {
		if count[cmd] != n {
			t.Errorf("Wireshark has seen %s %d times, want %d", cmd, count[cmd], n)
		}
	}
	if count["0x00000008"] < 1 || count["0x80000008"] != count["0x00000008"] {
		t.Errorf("heartbeats: %v", count)
	}
	want := cmpp.Segments(three, 0)
	for i, s := range submits {
		parts, fmtWant, dest, length := "3", "8", "13804100001", ""
		if i == 3 {
			parts, fmtWant, dest, length = "1", "0", "13804100002", fmt.Sprint(len("reply 1-5"))
		} else {
			length = fmt.Sprint(len(want[i].Content))
		}
		for name, want := range map[string]string{"cmpp.submit.Pk_total": parts, "cmpp.submit.Pk_number": fmt.Sprint(i%3 + 1), "cmpp.submit.Registered_Delivery": "1",
			"cmpp.Servicd_Id": "BXGA", "cmpp.submit.Fee_UserType": "2", "cmpp.Msg_Fmt": fmtWant, "cmpp.submit.Msg_src": "901234", "cmpp.submit.FeeType": "01",
			"cmpp.submit.FeeCode": "0", "cmpp.submit.Src_Id": "1069012110", "cmpp.submit.DestUsr_tl": "1", "cmpp.Dest_terminal_Id": dest, "cmpp.Msg_Length": length,
			"cmpp.TP_udhi": map[bool]string{true: "1", false: "0"}[i < 3], "cmpp.submit.Fee_terminal_type": "0", "cmpp.submit.Dest_terminal_type": "0"} {
			if got := s.get(name); got != want {
				t.Errorf("SUBMIT %d: Wireshark reads %s as %q, want %q", i+1, name, got, want)
			}
		}
	}
}
