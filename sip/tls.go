package sip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLS names the files of "tls://" sockets and of connections to trunks over TLS.
type TLS struct {
	// Certificate and Key are PEM files. They are looked at with every handshake: when they have changed, the next connection gets
	// the new certificate and those that are up stay. A pair that does not fit leaves the old one in use and is logged.
	Certificate, Key string

	// Roots is a PEM file of authorities that we believe when we call out, the system's if empty.
	Roots string
}

// credentials are what TLS needs on both sides.
type credentials struct {
	files    TLS
	serving  *tls.Config
	dialling *tls.Config
	failed   func(error)

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   string // size and time of the files that were read last, whether they were good or not
	lastErr error
}

// newCredentials reads the files once. Without a certificate it is only good for calling out.
func newCredentials(files TLS, failed func(error)) (*credentials, error) {
	c := &credentials{files: files, failed: failed}
	c.dialling = &tls.Config{MinVersion: tls.VersionTLS12}
	if files.Roots != "" {
		b, err := os.ReadFile(files.Roots)
		if err != nil {
			return nil, fmt.Errorf("tls roots: %w", err)
		}
		c.dialling.RootCAs = x509.NewCertPool()
		if !c.dialling.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("tls roots: no certificate in %s", files.Roots)
		}
	}
	if files.Certificate == "" {
		return c, nil
	}
	if _, err := c.certificate(); err != nil {
		return nil, err
	}
	c.serving = &tls.Config{MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.certificate() }}
	c.dialling.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.certificate() }
	return c, nil
}

// certificate is the pair of now.
func (c *credentials) certificate() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp := stampOf(c.files.Certificate) + stampOf(c.files.Key)
	if stamp == c.stamp && c.pair != nil {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	c.lastErr = err
	if err != nil {
		err = fmt.Errorf("tls certificate: %w", err)
		if c.pair == nil {
			return nil, err
		}
		c.stamp = stamp // do not read and log it again before it changes
		c.failed(err)
		return c.pair, nil
	}
	c.stamp, c.pair = stamp, &pair
	return c.pair, nil
}

func stampOf(path string) string {
	i, err := os.Stat(path)
	if err != nil {
		return "-;"
	}
	return fmt.Sprint(i.Size(), " ", i.ModTime().UnixNano(), ";")
}

var errNoCertificate = errors.New("tls needs a certificate and a key")

// expires is when the certificate that is in use runs out, zero if there is none.
func (c *credentials) expires() (at time.Time, lastErr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastErr != nil {
		lastErr = c.lastErr.Error()
	}
	if c.pair != nil && c.pair.Leaf != nil {
		at = c.pair.Leaf.NotAfter
	}
	return
}
