package media

import (
	"crypto/rand"
	"fmt"

	"github.com/pion/srtp/v3"
)

// SRTPKeySize is the length of a master key (16) and its salt (14) together, for the profiles of RFC 4568 §6.2.
const SRTPKeySize = 30

// An SRTPKey is a master key with its salt (RFC 3711 §3.2.1). It prints as a word, so that it stays out of logs.
type SRTPKey struct{ b [SRTPKeySize]byte }

// NewSRTPKey makes a random key.
func NewSRTPKey() (k SRTPKey) {
	_, _ = rand.Read(k.b[:]) // never fails (crypto/rand)
	return k
}

// ParseSRTPKey takes key and salt as they come from the signalling.
func ParseSRTPKey(b []byte) (k SRTPKey, err error) {
	if len(b) != SRTPKeySize {
		return k, fmt.Errorf("SRTP key of %d bytes, not %d", len(b), SRTPKeySize)
	}
	copy(k.b[:], b)
	return k, nil
}

// Bytes are key and salt, for the signalling.
func (k SRTPKey) Bytes() []byte { return append([]byte(nil), k.b[:]...) }

// String hides the key.
func (k SRTPKey) String() string { return "(key)" }

// GoString hides the key.
func (k SRTPKey) GoString() string { return "(key)" }

// Format hides the key from every verb.
func (k SRTPKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(key)")) }

// MarshalText hides the key from every encoder.
func (k SRTPKey) MarshalText() ([]byte, error) { return []byte("(key)"), nil }

// SRTP is the agreement to encrypt a leg's RTP and RTCP with AES in counter mode (RFC 3711).
type SRTP struct {
	Ours, Theirs SRTPKey // what we encrypt with, what the far end does
	ShortTag     bool    // RTP is authenticated with 32 bits (AES_CM_128_HMAC_SHA1_32); otherwise, and RTCP always, with 80
}

// Format hides the keys even where a verb does not fit.
func (s SRTP) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("SRTP (keys)")) }

// cipher is one direction's state. It outlives agreements that leave its key alone, because the count of roll-overs goes on.
type cipher struct {
	key   SRTPKey
	short bool
	ctx   *srtp.Context
}

// replayWindow is how far behind the newest a packet may come and still be taken, once.
const replayWindow = 128

// cipherFor keeps the old state where the key is the same.
func cipherFor(old *cipher, key SRTPKey, short bool, opts ...srtp.ContextOption) (*cipher, error) {
	if old != nil && old.key == key && old.short == short {
		return old, nil
	}
	profile := srtp.ProtectionProfileAes128CmHmacSha1_80
	if short {
		profile = srtp.ProtectionProfileAes128CmHmacSha1_32
	}
	ctx, err := srtp.CreateContext(key.b[:16], key.b[16:], profile, opts...)
	if err != nil {
		return nil, fmt.Errorf("start media: SRTP: %w", err)
	}
	return &cipher{key: key, short: short, ctx: ctx}, nil
}

// encrypt prepares the ciphers of an agreement, taking over those of the one before.
func (s *setup) encrypt(old *setup) (err error) {
	if s.SRTP == nil {
		return nil
	}
	if old == nil {
		old = &setup{}
	}
	if s.seal, err = cipherFor(old.seal, s.SRTP.Ours, s.SRTP.ShortTag); err != nil {
		return err
	}
	s.open, err = cipherFor(old.open, s.SRTP.Theirs, s.SRTP.ShortTag,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
	return err
}
