package sip

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

// kamailioConfig is a proxy in front of us, as providers have: it stays in the dialog and repairs what a NAT breaks for signalling.
const kamailioConfig = `#!KAMAILIO
debug=1
log_stderror=yes
fork=no
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:10.77.2.2:5060
listen=udp:10.77.3.2:5060
mhomed=1
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
loadmodule "nathelper.so"
loadmodule "path.so"
modparam("path", "use_received", 1)
request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	force_rport();
	if (has_totag()) {
		if (loose_route()) {
			if (is_method("ACK") || is_method("BYE") || is_method("INVITE")) { handle_ruri_alias(); }
			t_relay();
			exit;
		}
		if (is_method("ACK")) { if (t_check_trans()) { t_relay(); } exit; }
		sl_send_reply("404", "Not here");
		exit;
	}
	if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
	if (is_method("REGISTER")) {
		add_path_received();
		$du = "sip:%[1]s";
		t_relay();
		exit;
	}
	if ($si == "10.77.3.1") { # to a phone that has registered through us, by its Path
		if (!is_present_hf("Route")) { sl_send_reply("403", "By Route only"); exit; }
		loose_route(); # which is false for the first request of a dialog
		if (is_method("INVITE")) { record_route(); t_on_reply("phone"); }
		t_relay();
		exit;
	}
	if (is_method("INVITE")) {
		if (nat_uac_test("19")) { set_contact_alias(); }
		record_route();
		$du = "sip:%[1]s";
		t_relay();
		exit;
	}
	sl_send_reply("405", "Not allowed");
}
onreply_route[phone] {
	if ($si != "10.77.3.1") { set_contact_alias(); }
}
`

// natNet builds, out of network namespaces of its own, a phone behind a NAT, a proxy outside, and us behind the proxy:
//
//	phone 10.77.1.2 — 10.77.1.1 NAT 10.77.2.1 — 10.77.2.2 proxy 10.77.3.2 — 10.77.3.1 we (the machine's own namespace)
func natNet(t *testing.T) (phone, proxy string) {
	t.Helper()
	tag := fmt.Sprintf("lx%d", os.Getpid()%100000)
	phone, nat, proxy := tag+"p", tag+"n", tag+"k"
	must := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s\nthis test makes network namespaces: it needs root (CAP_NET_ADMIN), iproute2 and nftables (make tools)", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() {
		for _, ns := range []string{phone, nat, proxy} {
			_ = exec.Command("ip", "netns", "del", ns).Run() // its interfaces go with it
		}
	})
	for _, ns := range []string{phone, nat, proxy} {
		must("ip", "netns", "add", ns)
		must("ip", "-n", ns, "link", "set", "lo", "up")
	}
	link := func(a, aIf, aIP, b, bIf, bIP string) {
		t.Helper()
		must("ip", "-n", a, "link", "add", aIf, "type", "veth", "peer", "name", bIf)
		if b != "" {
			must("ip", "-n", a, "link", "set", bIf, "netns", b)
			must("ip", "-n", b, "addr", "add", bIP+"/24", "dev", bIf)
			must("ip", "-n", b, "link", "set", bIf, "up")
		} else {
			must("ip", "-n", a, "link", "set", bIf, "netns", fmt.Sprint(os.Getpid()))
			must("ip", "addr", "add", bIP+"/24", "dev", bIf)
			must("ip", "link", "set", bIf, "up")
		}
		must("ip", "-n", a, "addr", "add", aIP+"/24", "dev", aIf)
		must("ip", "-n", a, "link", "set", aIf, "up")
	}
	link(phone, "p0", "10.77.1.2", nat, "n0", "10.77.1.1")
	link(nat, "n1", "10.77.2.1", proxy, "k0", "10.77.2.2")
	link(proxy, "k1", "10.77.3.2", "", tag+"h", "10.77.3.1")
	must("ip", "-n", phone, "route", "add", "default", "via", "10.77.1.1")
	must("ip", "-n", nat, "route", "add", "default", "via", "10.77.2.2")
	must("ip", "-n", proxy, "route", "add", "default", "via", "10.77.2.1")
	must("ip", "route", "add", "10.77.2.0/24", "via", "10.77.3.2")
	for _, ns := range []string{nat, proxy} {
		must("ip", "netns", "exec", ns, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	}
	rules := exec.Command("ip", "netns", "exec", nat, "nft", "-f", "-")
	rules.Stdin = strings.NewReader(`table ip nat {
	chain post {
		type nat hook postrouting priority 100;
		oifname "n1" masquerade;
	}
}
table ip filter {
	chain passing {
		type filter hook forward priority 0; policy drop;
		iifname "n0" accept;
		ct state established,related accept;
	}
}
`)
	if out, err := rules.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v %s\nthe NAT of this test needs nftables with nat in the kernel", err, out)
	}
	return phone, proxy
}

// A phone behind a NAT registers and calls through a proxy: both hear each other, our BYE finds its way back, and a call to the phone takes
// the Path of its registration (RFC 3327).
func TestAPhoneBehindANATCallsThroughKamailio(t *testing.T) {
	t.Parallel()
	kamailio, baresip := tool(t, "kamailio", ""), tool(t, "baresip", "/usr/lib/baresip/modules/aufile.so")
	tool(t, "nft", "")
	phoneNS, proxyNS := natNet(t)
	const ours, theirs = 440.0, 700.0
	dir := t.TempDir()
	recording := filepath.Join(dir, "ours.wav")
	served := make(chan struct{})
	x := startWith(t, media.Config{IP: netip.IPv4Unspecified(), PortLow: 21000, PortHigh: 21999}, func(c *Config) {
		users("8001")(c)
		c.Listen = []string{"udp://10.77.3.1:0"}
	}, func(ctx context.Context, c Call) {
		defer close(served)
		if c.Answer(ctx) != nil {
			return
		}
		rec, err := c.Media().Record(recording, media.RecordOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		stop := c.Media().Loop(media.Tone([]float64{ours}, time.Second))
		<-c.Done()
		stop()
		if _, err := rec.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conf := filepath.Join(dir, "kamailio.cfg")
	baresipDir := filepath.Join(dir, "phone")
	if err := os.Mkdir(baresipDir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("sip_listen 127.0.0.1:", "sip_listen 10.77.1.2:", "net_interface 127.0.0.1", "net_interface p0").Replace(fmt.Sprintf(baresipConfig, 5060, baresipDir, 5555))
	for path, content := range map[string][]byte{
		conf:                                  fmt.Appendf(nil, kamailioConfig, x.udp),
		filepath.Join(baresipDir, "config"):   []byte(config),
		filepath.Join(baresipDir, "accounts"): fmt.Appendf(nil, "<sip:8001@%s>;outbound=\"sip:10.77.2.2\";auth_user=8001;auth_pass=pw-8001;regint=60;answermode=auto;audio_codecs=PCMA/8000/1\n", x.udp),
		filepath.Join(baresipDir, "contacts"): nil,
		filepath.Join(baresipDir, "tx.wav"):   wav(mediatest.Sine(theirs, 10000, 8000*60)),
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var outK, outB lockedBuffer
	run := func(out *lockedBuffer, ns string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, args...)...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // kamailio has children
		cmd.WaitDelay = 2 * time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
			done := time.AfterFunc(3*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			_ = cmd.Wait()
			done.Stop()
		})
	}
	run(&outK, proxyNS, kamailio, "-DD", "-E", "-Y", dir, "-P", filepath.Join(dir, "k.pid"), "-f", conf)
	defer func() {
		if t.Failed() {
			t.Logf("kamailio:\n%s\nbaresip:\n%s", outK.String(), outB.String())
		}
	}()
	eventually(t, "kamailio listens", func() bool {
		out, err := exec.Command("ip", "netns", "exec", proxyNS, "cat", "/proc/net/udp").Output()
		return err == nil && bytes.Contains(out, []byte(":13C4 ")) // 5060
	})
	time.Sleep(500 * time.Millisecond)
	run(&outB, phoneNS, baresip, "-f", baresipDir, "-e", "/dial sip:46110110@10.77.2.2", "-t", "40")
	c := x.call()
	defer func() {
		if t.Failed() {
			t.Logf("trace:\n%s\n%+v", traceOf(c), c.Media().Stats())
		}
	}()
	eventually(t, "talking", func() bool { return !c.Info().Answered.IsZero() && c.Media().Heard() })
	if r := c.Info().Remote.Addr().String(); r != "10.77.3.2" {
		t.Errorf("the call comes from %s, not from the proxy", r)
	}
	time.Sleep(4 * time.Second)
	if err := c.Hangup(ctx); err != nil {
		t.Errorf("our BYE did not find its way through proxy and NAT: %v", err)
	}
	<-served
	if d := longest(samples(t, recording), theirs); d < 500*time.Millisecond {
		t.Errorf("we heard the phone's tone for %v", d)
	}
	// What the phone has heard is whole once it has ended.
	time.Sleep(500 * time.Millisecond)
	dumps, _ := filepath.Glob(filepath.Join(baresipDir, "dump-*-dec.wav"))
	if len(dumps) == 0 {
		t.Fatal("the phone recorded nothing")
	}
	if d := longest(samples(t, dumps[0]), ours); d < 500*time.Millisecond {
		t.Errorf("the phone heard our tone for %v", d)
	}

	eventually(t, "registered through the proxy", func() bool {
		r := x.Registrations()
		return len(r) == 1 && len(r[0].Path) == 1 && strings.Contains(r[0].Path[0], "received=") && r[0].Remote.Addr().String() == "10.77.3.2"
	})
	out, err := x.Dial(ctx, Target{User: "8001"}, DialOpt{From: "46110110"})
	if err != nil {
		t.Fatalf("a call by the Path: %v, %+v", err, x.Registrations())
	}
	defer func() {
		if t.Failed() {
			t.Logf("trace:\n%s\n%+v", traceOf(out), x.Registrations())
		}
	}()
	eventually(t, "the phone is heard", out.Media().Heard)
	if err := out.Hangup(ctx); err != nil {
		t.Errorf("our BYE did not find its way by the Path: %v", err)
	}
}
