package aliyun

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const apiVersion = "2017-05-25"

// sign makes the header of a request without a body, with the signature ACS3-HMAC-SHA256 over all of it.
func sign(action, host, query, id, secret string, at time.Time, nonce string) http.Header {
	values := map[string]string{
		"host":                  host,
		"x-acs-action":          action,
		"x-acs-content-sha256":  hash(""),
		"x-acs-date":            at.UTC().Format(time.RFC3339),
		"x-acs-signature-nonce": nonce,
		"x-acs-version":         apiVersion,
	}
	h := http.Header{}
	for name, v := range values {
		if name != "host" { // stands in the URL
			h.Set(name, v)
		}
	}
	h.Set("Authorization", authorization(values, query, hash(""), id, secret))
	return h
}

// authorization signs a POST to "/" with the given headers, query and hash of the body.
func authorization(headers map[string]string, query, bodyHash, id, secret string) string {
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var canonical strings.Builder
	canonical.WriteString("POST\n/\n" + query + "\n")
	for _, name := range names {
		canonical.WriteString(name + ":" + strings.TrimSpace(headers[name]) + "\n")
	}
	signed := strings.Join(names, ";")
	canonical.WriteString("\n" + signed + "\n" + bodyHash)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hash(canonical.String())))
	return "ACS3-HMAC-SHA256 Credential=" + id + ",SignedHeaders=" + signed + ",Signature=" + hex.EncodeToString(mac.Sum(nil))
}

// canonicalQuery writes parameters in order, with everything but letters, digits and -_.~ as %XX (RFC 3986).
func canonicalQuery(v url.Values) string {
	return strings.ReplaceAll(v.Encode(), "+", "%20") // Encode sorts, and writes a real plus as %2B
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func nonce() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
