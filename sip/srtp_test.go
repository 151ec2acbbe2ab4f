package sip

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/sip/media/mediatest"
)

const testKey = "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"

func TestCryptoLinesAreReadOrLeft(t *testing.T) { // RFC 4568 9.1
	for value, want := range map[string]string{
		"1 AES_CM_128_HMAC_SHA1_80 " + testKey:                                      "1 80",
		"7 aes_cm_128_hmac_sha1_32 " + testKey + "|2^48":                            "7 32",
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + "|2^20 WSH=400":                    "2 80",
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + "|1048576 -NEW=1":                  "2 80",
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + "|2^16":                            "", // used up in 22 minutes
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + "|2^20|1:4":                        "", // MKI
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + "|1:4":                             "",
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + ";" + testKey:                      "",
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + " UNENCRYPTED_SRTP":                "",
		"2 AES_CM_128_HMAC_SHA1_80 " + testKey + " KDR=1":                           "",
		"2 F8_128_HMAC_SHA1_80 " + testKey:                                          "",
		"0 AES_CM_128_HMAC_SHA1_80 " + testKey:                                      "",
		"x AES_CM_128_HMAC_SHA1_80 " + testKey:                                      "",
		"2 AES_CM_128_HMAC_SHA1_80 inline:AAEC":                                     "",
		"2 AES_CM_128_HMAC_SHA1_80 inline:*":                                        "",
		"2 AES_CM_128_HMAC_SHA1_80 " + strings.Replace(testKey, "inline", "uri", 1): "",
		"2 AES_CM_128_HMAC_SHA1_80":                                                 "",
		"":                                                                          "",
	} {
		c, ok := readCrypto(value)
		got := ""
		if ok {
			got = fmt.Sprintf("%d %d", c.tag, map[bool]int{false: 80, true: 32}[c.short])
			if again, ok := readCrypto(strings.TrimPrefix(strings.TrimSpace(c.line()), "a=crypto:")); !ok || again != c {
				t.Errorf("%s: our own line is not read", value)
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestPolicyChoosesTheStream(t *testing.T) {
	const line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + testKey + "\n"
	secure, plain := "m=audio 4000 RTP/SAVP 8\n"+line, "m=audio 4002 RTP/AVP 8\n"
	for _, c := range []struct {
		name, media string
		policy      SRTP
		audio       int
		crypto      bool
		err         error
	}{
		{"encrypted, off", secure, SRTPOff, 0, false, errSDPNoAudio},
		{"encrypted, offered", secure, SRTPOffered, 0, true, nil},
		{"encrypted, required", secure, SRTPRequired, 0, true, nil},
		{"feedback profile", strings.Replace(secure, "SAVP", "SAVPF", 1), SRTPRequired, 0, true, nil},
		{"plain, off", plain, SRTPOff, 0, false, nil},
		{"plain, offered", plain, SRTPOffered, 0, false, nil},
		{"plain, required", plain, SRTPRequired, 0, false, errSDPPlain},
		{"either, off", secure + plain, SRTPOff, 1, false, nil},
		{"either, offered", plain + secure, SRTPOffered, 1, true, nil},
		{"either, required", plain + secure, SRTPRequired, 1, true, nil},
		{"plain with a key, off", plain + line, SRTPOff, 0, false, nil},
		{"plain with a key, offered", plain + line, SRTPOffered, 0, true, nil},
		{"plain with a key, required", plain + line, SRTPRequired, 0, true, nil},
		{"a key we cannot use", "m=audio 4000 RTP/SAVP 8\na=crypto:1 F8_128_HMAC_SHA1_80 " + testKey + "\n", SRTPOffered, 0, false, errSDPCrypto},
		{"no key", "m=audio 4000 RTP/SAVP 8\n", SRTPOffered, 0, false, errSDPCrypto},
		{"keys for DTLS only", "m=audio 4000 UDP/TLS/RTP/SAVPF 8\n", SRTPRequired, 0, false, errSDPNoAudio},
	} {
		r, err := readSDPFor([]byte(sdpHead+c.media), c.policy)
		if !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		} else if err == nil && (r.audio != c.audio || r.crypto.on() != c.crypto) {
			t.Errorf("%s: line %d, encrypted %v", c.name, r.audio, r.crypto.on())
		}
	}
}

// talkers is a call from one server of ours to another over TLS.
func talkers(t *testing.T, from, to SRTP) (a, b *leg, err error) {
	t.Helper()
	ca := newIssuer(t)
	server := func(p SRTP) *exchange {
		files := ca.issue(t.TempDir(), "127.0.0.1", 2)
		return start(t, func(c *Config) { withTLS(files)(c); c.SRTP = p }, nil)
	}
	x, y := server(from), server(to)
	d := wait(t, x.dial(context.Background(), Target{URI: "sip:46110110@" + y.tls + ";transport=tls"}, DialOpt{}))
	t.Cleanup(func() { // neither the log nor the trace has a key
		logs := x.log.String() + y.log.String()
		for _, l := range []*leg{a, b} {
			if l == nil {
				continue
			}
			logs += traceOf(l)
			l.mu.Lock()
			key := l.key
			l.mu.Unlock()
			if key == (media.SRTPKey{}) {
				continue
			}
			if secret := base64.StdEncoding.EncodeToString(key.Bytes()); strings.Contains(logs, secret[:16]) || bytes.Contains([]byte(logs), key.Bytes()[:8]) {
				t.Error("a key is in the log or the trace")
			}
		}
		if strings.Contains(logs, "inline:") {
			t.Error("a crypto line is in the log or the trace")
		}
	})
	if d.err != nil {
		return nil, nil, d.err
	}
	return d.call.(*leg), y.call().(*leg), nil
}

func TestLegsOverTLSAreEncryptedAsThePolicySays(t *testing.T) {
	for _, c := range []struct {
		from, to  SRTP
		encrypted bool
		err       error
	}{
		{"", "", true, nil},
		{SRTPRequired, SRTPOffered, true, nil},
		{SRTPOffered, SRTPRequired, true, nil},
		{SRTPOff, SRTPOffered, false, nil},
		{SRTPOffered, SRTPOff, false, nil},
		{SRTPRequired, SRTPOff, false, ErrNotAcceptable},
		{SRTPOff, SRTPRequired, false, ErrNotAcceptable},
	} {
		t.Run(fmt.Sprintf("%s-%s", c.from, c.to), func(t *testing.T) {
			a, b, err := talkers(t, c.from, c.to)
			if !errors.Is(err, c.err) || err != nil && c.err == nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			defer func() { _ = a.Hangup(context.Background()) }()
			if a.Info().Encrypted != c.encrypted || b.Info().Encrypted != c.encrypted {
				t.Fatalf("encrypted %v and %v", a.Info().Encrypted, b.Info().Encrypted)
			}
			tapA, tapB := a.Media().Tap(), b.Media().Tap()
			a.Media().Loop(media.Tone([]float64{440}, time.Second))
			b.Media().Loop(media.Tone([]float64{700}, time.Second))
			hears(t, tapB, 440)
			hears(t, tapA, 700)
			// Through hold and back the keys stay and both hear each other.
			if err := a.Hold(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := a.Resume(context.Background()); err != nil {
				t.Fatal(err)
			}
			if a.Info().Encrypted != c.encrypted || b.Info().Encrypted != c.encrypted {
				t.Fatal("hold changed the encryption")
			}
			hears(t, tapB, 440)
			hears(t, tapA, 700)
			if s := b.Media().Stats(); s.Unauthentic > 0 {
				t.Errorf("%d packets were refused", s.Unauthentic)
			}
		})
	}
}

// hears waits for 100 ms of a tone.
func hears(t *testing.T, tap *media.Tap, freq float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var last []int16
	buf := make([]int16, media.FrameSamples)
	for {
		if _, err := tap.Read(ctx, buf); err != nil {
			t.Fatalf("%.0f Hz is not heard: %v", freq, err)
		}
		if last = append(last, buf...); len(last) > 800 {
			last = last[len(last)-800:]
			if mediatest.Share(last, freq) > 0.9 && mediatest.RMS(last) > 200 {
				return
			}
		}
	}
}

func TestKeysAreNeitherOfferedNorTakenInTheClear(t *testing.T) {
	x := start(t, func(c *Config) { c.SRTP = SRTPRequired }, nil)
	p := newPeer(t, x.udp)
	u := p.ua()
	res := u.invite(plainSDP + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + testKey + "\r\n")
	if strings.Contains(string(res.Body()), "crypto") || x.call().Info().Encrypted {
		t.Errorf("encrypted over UDP:\n%s", res.Body())
	}
	p.response(u.do("BYE", ""), 200)
}
