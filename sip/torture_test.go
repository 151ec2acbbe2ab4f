package sip

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// torture finds the messages of RFC 4475 in the module of the SIP library.
func torture(t testing.TB) map[string][]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatalf("find the module of the SIP library: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "sip/testdata/torture/*/*.dat"))
	if err != nil || len(files) != 50 {
		t.Fatalf("%d torture files: %v", len(files), err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".dat")] = b
	}
	return out
}

// verdicts are the final answers to the torture messages; 0 is silence, for responses and for what has no readable start or headers.
// Where RFC 4475 leaves a choice, this is ours.
var verdicts = map[string]int{
	// valid ones
	"dblreq": 401, "esc01": 200, "esc02": 501, "escnull": 401, "intmeth": 501, "longreq": 200, "lwsdisp": 200, "mpart01": 405,
	"noreason": 0, "semiuri": 200, "transports": 200, "unreason": 0, "wsinv": 481,
	// read, and refused for what they say
	"badvers": 505, "bext01": 420, "clerr": 400, "insuf": 400, "inv2543": 400, "invut": 415, "mcl01": 400, "mismatch01": 400, "mismatch02": 400,
	"multi01": 400, "sdp01": 406, "unkscm": 416, "zeromf": 483,
	// harmless oddities: an empty branch, a date in another zone, headers in the Request-URI
	"badbranch": 200, "baddate": 200, "escruri": 200,
	// registrations are challenged before their Contacts are looked at
	"cparam01": 401, "cparam02": 401, "regaut01": 401, "regbadct": 401, "regescrt": 401, "unksm2": 401,
	// not to be parsed
	"badaspec": 0, "baddn": 0, "badinv01": 0, "bigcode": 0, "bcast": 0, "ltgtruri": 0, "lwsruri": 0, "lwsstart": 0, "ncl": 0,
	"novelsc": 0, "quotbal": 0, "scalar02": 0, "scalarlg": 0, "test": 0, "trws": 0,
}

func TestTortureMessagesGetTheirVerdict(t *testing.T) { // trap 22, RFC 4475
	messages := torture(t)
	x := start(t, users("8001"), nil)
	for name, b := range messages {
		want, ok := verdicts[name]
		if !ok {
			t.Errorf("%s: no verdict", name)
		}
		p := newPeer(t, x.udp)
		// some share a branch, which would make them repetitions of each other
		p.write([]byte(strings.ReplaceAll(string(b), "z9hG4bKkdjuw", "z9hG4bKkdjuw"+name)))
		got := 0
		limit := patience
		if want == 0 {
			limit = 100 * time.Millisecond
		}
		deadline := time.After(limit)
		for got < 200 {
			select {
			case m := <-p.in:
				if r, ok := m.(*gosip.Response); ok {
					got = r.StatusCode
					if r.SipVersion != "SIP/2.0" {
						t.Errorf("%s: answered in %s", name, r.SipVersion)
					}
				}
				continue
			case <-deadline:
			}
			break
		}
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	// all of them at once, over both transports, and the server is as well as before
	p := newPeer(t, x.udp)
	for _, b := range messages {
		p.write(b)
		c := dialTCP(t, x.tcp)
		c.write(b)
	}
	u := newPeer(t, x.udp).ua()
	u.invite(plainSDP)
	u.response(u.do("BYE", ""), 200)
	v := dialTCP(t, x.tcp).ua()
	v.invite(plainSDP)
	v.response(v.do("BYE", ""), 200)
	if h := x.Health(); !h.OK() || h.Panics != 0 {
		t.Errorf("%+v", h)
	}
}
