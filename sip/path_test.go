package sip

import (
	"context"
	"strings"
	"testing"

	gosip "github.com/emiago/sipgo/sip"
)

func TestACallTakesThePathOfItsRegistration(t *testing.T) { // RFC 3327
	x := start(t, users("8001"), nil)
	proxy := newPeer(t, x.udp)
	ph := proxy.phone("8001")
	far, near := "<sip:far.invalid;lr>", "<sip:"+proxy.addr+";lr;received=sip:192.0.2.7:1024>"
	ph.added = []string{"Path: " + near, "Path: " + far, "Supported: path", "Require: path"}
	res := ph.enter("<sip:8001@10.9.9.9:5060>", "300")
	if res.StatusCode != 200 || res.GetHeader("Path") == nil || res.GetHeader("Path").Value() != near+", "+far {
		t.Fatalf("registered: %s", res)
	}
	ph.added = ph.added[:2]
	if res := ph.enter("<sip:8001@10.9.9.9:5060>", "300"); res.StatusCode != 200 || res.GetHeader("Path") != nil {
		t.Errorf("a phone that does not know of Path is told of it: %s", res)
	}
	if r := x.Registrations(); len(r) != 1 || len(r[0].Path) != 2 {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dialled := make(chan error, 1)
	go func() {
		_, err := x.Dial(ctx, Target{User: "8001"}, DialOpt{})
		dialled <- err
	}()
	routed := func(method gosip.RequestMethod) *gosip.Request {
		t.Helper()
		req := proxy.request(method)
		var routes []string
		for _, h := range req.GetHeaders("Route") {
			routes = append(routes, h.Value())
		}
		if strings.Join(routes, ", ") != near+", "+far || req.Recipient.String() != "sip:8001@10.9.9.9:5060" {
			t.Errorf("%s %s by %q", method, req.Recipient.String(), routes)
		}
		return req
	}
	inv := routed(gosip.INVITE)
	proxy.reply(inv, 180, "far", "")
	cancel()
	<-dialled
	proxy.reply(routed(gosip.CANCEL), 200, "far", "")
	proxy.reply(inv, 487, "far", "")
}

func TestAPathThatCannotBeKeptIsRefused(t *testing.T) {
	x := start(t, users("8001"), nil)
	ph := newPeer(t, x.udp).phone("8001")
	hop := "<sip:192.0.2.1;lr>"
	for what, path := range map[string]string{
		"too many":  strings.Repeat(hop+", ", maxPath) + hop,
		"too long":  "<sip:" + strings.Repeat("a", 500) + "@192.0.2.1;lr>, <sip:" + strings.Repeat("b", 500) + "@192.0.2.1;lr>, " + hop,
		"no URI":    "somewhere",
		"no angle":  "sip:192.0.2.1;lr",
		"not SIP":   "<tel:110>",
		"half open": "<sip:192.0.2.1;lr",
	} {
		ph.added = []string{"Path: " + path}
		if res := ph.enter("<sip:8001@10.9.9.9:5060>", "300"); res.StatusCode != 400 {
			t.Errorf("%s: %d", what, res.StatusCode)
		}
	}
	if x.Registered("8001") {
		t.Error("registered all the same")
	}
	u := newPeer(t, x.udp).ua()
	u.response(u.do("INVITE", plainSDP, "Require: path"), 420)
}

func TestNobodyBehindAProxyPassesForAnother(t *testing.T) {
	x := start(t, func(c *Config) {
		users("8001")(c)
		c.Private = func(to string) bool { return strings.HasPrefix(to, "*") }
	}, nil)
	proxy := newPeer(t, x.udp)
	ph := proxy.phone("8001")
	ph.added = []string{"Path: <sip:" + proxy.addr + ";lr>"}
	if res := ph.enter("<sip:8001@10.9.9.9:5060>", "300"); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	v := proxy.ua()
	v.uri = strings.Replace(v.uri, "46110110", "*8", 1)
	v.response(v.do("INVITE", plainSDP, "From: <sip:8001@"+realm+">;tag="+v.tag), 407)
}

func TestAProxyIsConnectedToAgainForAPhoneBehindIt(t *testing.T) {
	b := func(path, from, transport string) *binding {
		u, err := parseURI(path)
		if err != nil {
			t.Fatal(err)
		}
		return &binding{path: []gosip.Uri{u}, flow: flow{transport: transport, remote: from}}
	}
	for _, c := range []struct{ path, from, transport, want string }{
		{"sip:192.0.2.1:5070;transport=tcp;lr", "192.0.2.1:40000", "TCP", "192.0.2.1:5070"},
		{"sip:192.0.2.1;lr", "192.0.2.1:40000", "TLS", "192.0.2.1:5061"},
		{"sip:[2001:db8::1]:5070;lr", "[2001:db8::1]:40000", "TCP", "[2001:db8::1]:5070"},
		{"sip:192.0.2.2:5070;lr", "192.0.2.1:40000", "TCP", ""}, // another host
		{"sip:proxy.example;lr", "192.0.2.1:40000", "TCP", ""},
		{"sip:192.0.2.1;lr", "192.0.2.1:5060", "UDP", ""}, // needs none
	} {
		if got, ok := b(c.path, c.from, c.transport).reopened(); got != c.want || ok != (c.want != "") {
			t.Errorf("%+v: %q %v", c, got, ok)
		}
	}
}
