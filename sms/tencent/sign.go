package tencent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const contentType = "application/json; charset=utf-8"

// authorization signs a POST to "/" with TC3-HMAC-SHA256, over its content type, host and body.
func authorization(service, host, contentType string, body []byte, id, key string, at time.Time) string {
	const signed = "content-type;host"
	canonical := fmt.Sprintf("POST\n/\n\ncontent-type:%s\nhost:%s\n\n%s\n%s", contentType, host, signed, hash(body))
	date := at.UTC().Format(time.DateOnly)
	scope := date + "/" + service + "/tc3_request"
	toSign := fmt.Sprintf("TC3-HMAC-SHA256\n%d\n%s\n%s", at.Unix(), scope, hash([]byte(canonical)))
	k := []byte("TC3" + key)
	for _, part := range []string{date, service, "tc3_request", toSign} {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(part))
		k = mac.Sum(nil)
	}
	return fmt.Sprintf("TC3-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", id, scope, signed, hex.EncodeToString(k))
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
