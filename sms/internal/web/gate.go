package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
)

// Gate lets in what a carrier pushes that signs nothing: from its addresses only, and to a path that only it was told.
type Gate struct {
	secret  [32]byte
	from    []netip.Prefix
	proxies []netip.Prefix
}

var secretPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{16,}$`)

// NewGate makes a Gate. The secret is the {secret} part of the path: 16 or more letters, digits, "_" or "-". From lists
// the addresses or prefixes that may push; proxies those of our own reverse proxies, whose X-Forwarded-For is believed.
func NewGate(secret string, from, proxies []string) (*Gate, error) {
	if !secretPattern.MatchString(secret) {
		return nil, errors.New("secret of the webhooks: want 16 or more letters, digits, _ or -")
	}
	g := &Gate{secret: sha256.Sum256([]byte(secret))}
	var err error
	if g.from, err = prefixes(from); err != nil {
		return nil, fmt.Errorf("addresses that may push: %w", err)
	}
	if len(g.from) == 0 {
		return nil, errors.New("addresses that may push: none given")
	}
	if g.proxies, err = prefixes(proxies); err != nil {
		return nil, fmt.Errorf("reverse proxies: %w", err)
	}
	return g, nil
}

func prefixes(list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a prefix", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// Pass reports whether a request comes from the carrier. The secret is r.PathValue("secret").
func (g *Gate) Pass(r *http.Request) bool {
	got := sha256.Sum256([]byte(r.PathValue("secret")))
	known := subtle.ConstantTimeCompare(got[:], g.secret[:]) == 1
	return known && within(g.source(r), g.from)
}

// source is who sent the request: what the nearest proxy that is not ours says, read from the right, because everything
// to the left of it may be invented.
func (g *Gate) source(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := ap.Addr()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(at, g.proxies); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return netip.Addr{}
		}
		at = next
	}
	return at
}

// Read returns the body of a request that may pass, of at most 1 MiB. It answers all others itself: 404, so that a
// stranger does not learn that there is a path here, or 400. ok is false then.
func (g *Gate) Read(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	if !g.Pass(r) {
		http.NotFound(w, r)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return nil, false
	}
	return body, true
}
