package channel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// dovecot is a real mail server on ports of its own, with one mailbox in a folder of its own.
type dovecot struct {
	t          testing.TB
	dir        string
	Addr, TLS  string // addresses of IMAP (with STARTTLS) and of IMAP over TLS
	CA         string // file of its certificate
	User, Pass string
	uid, gid   int
	conf       string
	cmd        *exec.Cmd
	delivered  int
}

// startDovecot starts the server (make tools installs it); it goes away with the test.
func startDovecot(t testing.TB) *dovecot {
	t.Helper()
	bin, err := exec.LookPath("dovecot")
	if err != nil {
		if bin = "/usr/sbin/dovecot"; !exists(bin) {
			t.Fatal("no dovecot: run make tools")
		}
	}
	dir, err := os.MkdirTemp("", "lxmail") // short: the names of its sockets have an end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &dovecot{t: t, dir: dir, User: "mailbox", Pass: "xinxiang-2026", uid: os.Getuid(), gid: os.Getgid()}
	login, internal := "", ""
	if d.uid == 0 { // mail of root is refused
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		d.uid, _ = strconv.Atoi(u.Uid)
		d.gid, _ = strconv.Atoi(u.Gid)
		login, internal = "dovenull", "dovecot"
	} else {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		login, internal = me.Username, me.Username
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"mail/cur", "mail/new", "mail/tmp", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.own(filepath.Join(dir, "mail"))
	plain, secure := freePort(t), freePort(t)
	d.Addr, d.TLS = "127.0.0.1:"+plain, "127.0.0.1:"+secure
	d.CA = d.certificate()
	d.conf = filepath.Join(dir, "dovecot.conf")
	conf := fmt.Sprintf(`
base_dir = %[1]s/run
state_dir = %[1]s/run
log_path = %[1]s/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
default_internal_user = %[4]s
default_internal_group = %[4]s
default_login_user = %[5]s
first_valid_uid = 1
mail_location = maildir:%[1]s/mail
disable_plaintext_auth = no
passdb {
  driver = static
  args = password=%[8]s
}
userdb {
  driver = static
  args = uid=%[6]d gid=%[7]d home=%[1]s
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %[2]s
  }
  inet_listener imaps {
    port = %[3]s
    ssl = yes
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`, dir, plain, secure, internal, login, d.uid, d.gid, d.Pass)
	if err := os.WriteFile(d.conf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	d.start(bin)
	t.Cleanup(d.stop)
	return d
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func (d *dovecot) start(bin string) {
	d.t.Helper()
	d.cmd = exec.Command(bin, "-F", "-c", d.conf)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", d.TLS)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(d.dir, "log"))
			d.t.Fatalf("dovecot did not come up: %v\n%s", err, log)
		}
	}
}

// stop ends the server and waits until nobody answers any more.
func (d *dovecot) stop() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	_ = d.cmd.Wait()
	d.cmd = nil
}

func (d *dovecot) own(path string) {
	d.t.Helper()
	err := filepath.Walk(path, func(p string, _ os.FileInfo, err error) error {
		if err == nil && os.Getuid() == 0 {
			err = os.Chown(p, d.uid, d.gid)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// deliver puts a mail into the mailbox as a delivery agent does.
func (d *dovecot) deliver(raw []byte) {
	d.t.Helper()
	d.delivered++
	tmp := filepath.Join(d.dir, "mail", "tmp", fmt.Sprintf("%d.%d.test", time.Now().Unix(), d.delivered))
	if err := os.WriteFile(tmp, raw, 0o644); err != nil {
		d.t.Fatal(err)
	}
	d.own(tmp)
	if err := os.Rename(tmp, filepath.Join(d.dir, "mail", "new", filepath.Base(tmp))); err != nil {
		d.t.Fatal(err)
	}
}

// certificate makes one for 127.0.0.1 and returns its file.
func (d *dovecot) certificate() string {
	d.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		d.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	cert := filepath.Join(d.dir, "cert.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, filepath.Join(d.dir, "key.pem"): {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return cert
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
