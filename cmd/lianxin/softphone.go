package main

import (
	"fmt"
	"net"
	"net/netip"

	"lianxin/console"
	"lianxin/sip"
	"lianxin/sip/web"
)

// openSoftphones opens the port to which browsers send. A port that is taken leaves the operators their telephones: the hotline starts
// all the same, and says so.
func (c *centre) openSoftphones() {
	if c.cfg.SoftphonePort == 0 {
		return
	}
	cfg := web.Config{Engine: c.engine, Relays: c.cfg.relays(), Port: c.cfg.SoftphonePort, OnRegistration: func(user string, up bool) { go c.registered(user, up) }, Log: c.log}
	if c.cfg.PublicIP != "" {
		cfg.PublicIP = netip.MustParseAddr(c.cfg.PublicIP) // check has read it
	}
	if host, _, err := net.SplitHostPort(c.cfg.HTTP); err == nil { // browsers on this machine
		ip, err := netip.ParseAddr(host)
		cfg.Loopback = host == "localhost" || err == nil && ip.IsLoopback()
	}
	x, err := web.New(cfg)
	if err != nil {
		c.log.Error("the telephone in the browser is off", "err", err)
		return
	}
	c.softphones = x
}

// relays are the STUN and TURN servers that browsers are told of.
func (c *Config) relays() web.Relays {
	return web.Relays{URLs: c.SoftphoneICE, Secret: c.TURNSecret, Only: c.SoftphoneRelay}
}

// reachable says whether an extension has a telephone, on the desk or in a browser.
func (c *centre) reachable(user string) bool {
	return c.phones.Registered(user) || c.softphones != nil && c.softphones.Registered(user)
}

// dial rings an operator's telephones, those in browsers too.
func (c *centre) dial() web.Dialler {
	if c.softphones == nil {
		return c.phones.Dial
	}
	return c.softphones.With(c.phones.Dial, c.phones.Registered)
}

var _ sip.Call = (*web.Call)(nil)

// softphoneHealth is not needed for calls: telephones on the desk do without it.
func (c *centre) softphoneHealth() console.Part {
	p := console.Part{Name: "softphone", OK: true}
	switch {
	case c.cfg.SoftphonePort == 0:
		p.Detail = "switched off"
	case c.softphones == nil:
		p.OK, p.Detail = false, fmt.Sprintf("UDP port %d could not be opened", c.cfg.SoftphonePort)
	default:
		users, calls := c.softphones.Health()
		p.Detail = fmt.Sprintf("%d browsers attend, %d calls, UDP port %d", users, calls, c.cfg.SoftphonePort)
	}
	return p
}
