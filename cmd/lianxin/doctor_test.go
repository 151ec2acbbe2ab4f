package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type doctorReport struct {
	OK       bool
	Running  bool `json:"server_running"`
	Findings []finding
}

// examine runs the doctor and returns its report by check.
func examine(t *testing.T, args ...string) (int, doctorReport, map[string]finding) {
	t.Helper()
	status, out, errs := run(t, "", append([]string{"doctor", "--json", "--wait", "300ms"}, args...)...)
	var rep doctorReport
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		t.Fatalf("%d %s %s: %v", status, out, errs, err)
	}
	by := map[string]finding{}
	for _, f := range rep.Findings {
		if old, twice := by[f.Check]; !twice || old.Level == "ok" || f.Level == "problem" {
			by[f.Check] = f
		}
		if f.Level == "problem" && f.Do == "" {
			t.Errorf("%s: %s: what to do?", f.Check, f.Found)
		}
	}
	return status, rep, by
}

// selfSigned makes a certificate that is good for a while from now.
func selfSigned(t *testing.T, good time.Duration) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "doctor"}, NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(good)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: kb}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTheDoctorFindsWhatIsWrongAndSaysWhatToDo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lianxin.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takes, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer takes.Close()
	file := filepath.Join(t.TempDir(), "lianxin.yaml")
	text := "telephony:\n  trunks:\n    - {name: deaf, proxy: \"sip:" + taken.LocalAddr().String() + "\"}\n    - {name: there, proxy: \"sip:" + takes.Addr().String() + ";transport=tcp\"}\n    - {name: unknown, proxy: \"sip:trunk.invalid\"}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	expired, key := selfSigned(t, -time.Hour)
	soon, key2 := selfSigned(t, 10*24*time.Hour)
	status, rep, by := examine(t, "--data", dir, "--http", "127.0.0.1:0", "--sip", taken.LocalAddr().String(), "--rtp-ports", "40000-40099", "--max-calls", "300",
		"--config", file, "--trunk", "127.0.0.77", "--tls-cert", expired, "--tls-key", key, "--sip-tls", "127.0.0.1:0", "--sip-cert", soon, "--sip-key", key2)
	if status != 1 || rep.OK || rep.Running {
		t.Errorf("status %d, %+v", status, rep)
	}
	for check, want := range map[string]string{
		"data folder": "problem", "database": "problem", "SIP address": "problem", "trunk 127.0.0.77": "problem",
		"trunk deaf": "problem", "trunk there": "ok", "trunk unknown": "problem",
		"console's certificate": "problem", "SIP certificate": "warning", "flow files": "ok",
	} {
		if f := by[check]; f.Level != want {
			t.Errorf("%s: %+v, want %s", check, f, want)
		}
	}
	if kernel := readSysctl("net/ipv4/ip_local_port_range"); kernel != "" && by["RTP ports"].Level == "ok" {
		t.Errorf("40000-40099 against %s: %+v", kernel, by["RTP ports"])
	}
}

func TestTheDoctorRunsBesideAServerThatIsWell(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	u := start(t, defaults(t, dir))
	_, sipAddr, _ := strings.Cut(u.c.phones.Addrs()[0], "://")
	_, rep, by := examine(t, "--data", dir, "--http", strings.TrimPrefix(u.base, "http://"), "--sip", sipAddr, "--rtp-ports", "27000-27199", "--max-calls", "20")
	if !rep.Running {
		t.Error("it does not see the server")
	}
	for _, check := range []string{"data folder", "keys", "database", "server: sip", "server: SIP", "server: storage", "RTP ports"} {
		if f := by[check]; f.Level != "ok" {
			t.Errorf("%s: %+v", check, f)
		}
	}
}

func TestPortsInTheKernelsRangeAreCounted(t *testing.T) {
	for _, c := range []struct {
		low, high        int
		kernel, reserved string
		want             int
	}{
		{16000, 17999, "32768	60999", "", 0},
		{32000, 33000, "32768	60999", "", 233},
		{32000, 33000, "32768	60999", "32768-33000", 0},
		{32000, 33000, "32768	60999", "1000,32768-32999,40000", 1},
		{40000, 40009, "32768	60999", "x,40000-y", 10},
		{1, 2, "", "", 0},
	} {
		if got := ephemeralClash(c.low, c.high, c.kernel, c.reserved); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
