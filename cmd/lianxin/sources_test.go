package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/city"
	"lianxin/workday"
)

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestRecordsComeByFolderAndByPushAndSIPByTLS(t *testing.T) {
	dir := t.TempDir()
	cfg := defaults(t, filepath.Join(dir, "data"))
	cfg.Records = filepath.Join(dir, "incoming")
	cfg.SIPTLS = "127.0.0.1:0"
	cfg.SIPCert, cfg.SIPKey = certificate(t, dir)
	if err := os.MkdirAll(cfg.Records, 0o700); err != nil {
		t.Fatal(err)
	}
	u := start(t, cfg)

	var secure string
	for _, a := range u.c.phones.Addrs() {
		if addr, ok := strings.CutPrefix(a, "tls://"); ok {
			secure = addr
		}
	}
	conn, err := tls.Dial("tcp", secure, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("SIP over TLS at %q: %v", secure, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte("OPTIONS sip:46110110@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5999;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:46110110@127.0.0.1>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2000)
	n, err := conn.Read(answer)
	if err != nil || !bytes.HasPrefix(answer[:n], []byte("SIP/2.0 200")) {
		t.Errorf("OPTIONS over TLS: %v %.60q", err, answer[:n])
	}

	day := workday.DayOf(time.Now()).Add(-2)
	records, err := city.Records(day)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(cfg.Records, "day.csv")
	if err := os.WriteFile(file, records, 0o600); err != nil {
		t.Fatal(err)
	}
	u.until("the file is taken in", func() bool {
		found, err := filepath.Glob(filepath.Join(cfg.Records, "done", "*-day.csv"))
		return err == nil && len(found) == 1
	})
	push := func(token string) int {
		req, err := http.NewRequest("POST", u.base+"/api/v1/records", bytes.NewReader(records))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "text/csv")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := push(u.token); status != 200 {
		t.Errorf("push: %d", status)
	}
	if status := push("wrong"); status != 401 {
		t.Errorf("push with a wrong token: %d", status)
	}
	if status := u.ask("DELETE", "/api/v1/tickets", nil, nil, nil); status != 404 && status != 405 {
		t.Errorf("an operation that is not there: %d", status)
	}
	var page struct {
		Items []any
		Total int
	}
	if status := u.ask("GET", "/api/v1/messages?limit=0", nil, nil, nil); status != 422 {
		t.Errorf("limit=0: %d, want 422", status)
	}
	if status := u.ask("GET", "/api/v1/tickets?limit=1&offset=0", nil, nil, &page); status != 200 || len(page.Items) > 1 {
		t.Errorf("limit=1: %d, %d items", status, len(page.Items))
	}
}
