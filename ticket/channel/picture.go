package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrNotFetched is returned for a picture that is not taken from where it is said to be; its text says why, for whoever sent it.
var ErrNotFetched = errors.New("not fetched")

// Pictures fetches pictures that requests only name an address of (media_url of Open311). Without a host on the list nothing is
// fetched: an address in a form that anybody fills in must not make us call on machines of our own network.
type Pictures struct {
	Hosts []string // that pictures are taken from: names, or ".example.com" for all below it
	Most  int64    // bytes; MaxPicture when 0

	within  *http.Client // of tests
	private bool         // tests may call on this machine
}

// MaxPicture is the largest picture that is fetched.
const MaxPicture = 8 << 20

// Fetch takes a picture over HTTPS from a host on the list that has a public address, following no redirect, within ten seconds. The
// address is looked at when the connection is made: a name that means another machine by then is refused too.
func (p *Pictures) Fetch(ctx context.Context, address string) (File, error) {
	refused := func(why string) (File, error) { return File{}, fmt.Errorf("%w: %s", ErrNotFetched, why) }
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return refused("it is no address")
	case u.Scheme != "https":
		return refused("only https is fetched")
	case u.User != nil:
		return refused("an address with a password is not fetched")
	case p == nil || !p.allowed(u.Hostname()):
		return refused("its host is not on the list")
	case u.Port() != "" && u.Port() != "443" && !p.private:
		return refused("only port 443 is fetched from")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return refused("it is no address")
	}
	req.Header.Set("Accept", "image/*")
	res, err := p.client().Do(req)
	if errors.Is(err, errPrivate) {
		return refused("its host is not a public one")
	} else if err != nil {
		return refused("its host does not answer")
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return refused(fmt.Sprintf("its host answers %d", res.StatusCode))
	}
	most := p.Most
	if most == 0 {
		most = MaxPicture
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	switch {
	case err != nil:
		return refused("it broke off")
	case int64(len(data)) > most:
		return refused(fmt.Sprintf("it is larger than %d MB", most>>20))
	}
	media := http.DetectContentType(data)
	if !slices.Contains([]string{"image/jpeg", "image/png", "image/gif", "image/webp"}, media) {
		return refused("it is no picture")
	}
	name := path.Base(u.Path)
	if !strings.Contains(name, ".") {
		name = "picture." + strings.TrimPrefix(media, "image/")
	}
	return File{Name: name, Media: media, Data: bytes.Clone(data)}, nil
}

func (p *Pictures) allowed(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(p.Hosts, func(h string) bool {
		h = strings.ToLower(h)
		return h == host || strings.HasPrefix(h, ".") && strings.HasSuffix(host, h)
	})
}

var errPrivate = errors.New("not a public address")

func (p *Pictures) client() *http.Client {
	if p.within != nil {
		return p.within
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err != nil || !public(a.Addr()) {
			return errPrivate
		}
		return nil
	}}
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: nil, DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 5 * time.Second}}
}

// shared are addresses that are no machine on the open net though netip does not call them private: RFC 6598, 2544, 5737, 6890, 6052.
var shared = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001:db8::/32")}

// public reports whether an address is of a machine on the open net.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(shared, func(p netip.Prefix) bool { return p.Contains(a) })
}
