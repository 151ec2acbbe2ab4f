package channel

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestAPictureIsFetchedFromListedHostsOnly(t *testing.T) {
	png := append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{1}, 100)...)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a.png":
			w.Write(png)
		case "/page":
			w.Write([]byte("<html>not a picture</html>"))
		case "/large.png":
			w.Write(append(png, bytes.Repeat([]byte{2}, 2<<20)...))
		case "/away":
			http.Redirect(w, r, "/a.png", http.StatusFound)
		}
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := &Pictures{Hosts: []string{u.Hostname(), ".photos.example"}, Most: 1 << 20, within: client, private: true}
	f, err := p.Fetch(context.Background(), server.URL+"/a.png")
	if err != nil || f.Name != "a.png" || f.Media != "image/png" || !bytes.Equal(f.Data, png) {
		t.Fatalf("%+v %v", f.Name, err)
	}
	for address, why := range map[string]string{
		server.URL + "/page": "no picture", server.URL + "/large.png": "larger", server.URL + "/away": "302", server.URL + "/none": "no picture",
		"http://" + u.Host + "/a.png": "https", "https://elsewhere.example/a.png": "list", "https://x:y@" + u.Host + "/a.png": "password", "file:///etc/passwd": "no address",
		"https://photos.example.evil/a.png": "list", "::": "no address",
	} {
		if _, err := p.Fetch(context.Background(), address); !errors.Is(err, ErrNotFetched) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", address, err, why)
		}
	}
	// With the real dialer a listed name that means this machine is refused when the connection is made.
	own := &Pictures{Hosts: []string{"localhost", "127.0.0.1"}, private: true}
	for _, host := range []string{"localhost:", "127.0.0.1:"} {
		if _, err := own.Fetch(context.Background(), "https://"+host+u.Port()+"/a.png"); err == nil || !strings.Contains(err.Error(), "public") {
			t.Errorf("%s: %v", host, err)
		}
	}
	var none *Pictures
	if _, err := none.Fetch(context.Background(), server.URL+"/a.png"); !errors.Is(err, ErrNotFetched) {
		t.Errorf("without a list: %v", err)
	}
	for a, want := range map[string]bool{"8.8.8.8": true, "2606:4700::1111": true, "10.1.2.3": false, "192.168.0.1": false, "172.16.5.5": false, "169.254.169.254": false, "127.0.0.1": false, "::1": false,
		"fd00::1": false, "fe80::1": false, "100.64.0.1": false, "0.0.0.0": false, "::ffff:10.0.0.1": false, "224.0.0.1": false, "64:ff9b::7f00:1": false} {
		if got := public(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is public: %v", a, got)
		}
	}
}
