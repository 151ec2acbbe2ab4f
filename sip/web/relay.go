package web

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pion/stun/v4"
)

// Relays are the STUN and TURN servers (RFC 8489, RFC 8656) through which browsers behind strict firewalls reach our port: they are for
// the browsers, we need none ourselves. The zero value is none.
type Relays struct {
	// URLs are those of RFC 7064 and RFC 7065, such as turn:turn.example.cn:3478 or turns:turn.example.cn:443?transport=tcp, which
	// passes where nothing but HTTPS does.
	URLs []string

	// Secret is what we share with the TURN servers (coturn: static-auth-secret). Each page gets a name and a password of its own that
	// end with Lifetime.
	Secret string

	// Only makes the voice take no other way.
	Only bool
}

// Lifetime is how long a page's password at a TURN server is good: longer than any call, as its server asks for it again within.
const Lifetime = 12 * time.Hour

// An ICEServer is what a page puts into RTCConfiguration.iceServers.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Check says what is wrong with them.
func (r Relays) Check() error {
	turn := false
	for _, u := range r.URLs {
		uri, err := stun.ParseURI(u)
		if err != nil {
			return fmt.Errorf("%q is no URL of a STUN or TURN server (turn:host:3478, turns:host:443?transport=tcp): %w", u, err)
		}
		turn = turn || uri.Scheme == stun.SchemeTypeTURN || uri.Scheme == stun.SchemeTypeTURNS
	}
	switch {
	case turn && r.Secret == "":
		return errors.New("a TURN server needs the secret that is shared with it")
	case r.Only && !turn:
		return errors.New("without a TURN server the voice cannot take that way only")
	}
	return nil
}

// Servers are the servers for a user's page, with credentials that are good from now on (the REST scheme of TURN servers,
// draft-uberti-behave-turn-rest-00: coturn's use-auth-secret).
func (r Relays) Servers(user string, now time.Time) (servers []ICEServer) {
	name := strconv.FormatInt(now.Add(Lifetime).Unix(), 10) + ":" + user
	mac := hmac.New(sha1.New, []byte(r.Secret)) // the scheme's own; its strength rests on the secret
	mac.Write([]byte(name))
	password := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, u := range r.URLs {
		s := ICEServer{URLs: []string{u}}
		if uri, err := stun.ParseURI(u); err == nil && (uri.Scheme == stun.SchemeTypeTURN || uri.Scheme == stun.SchemeTypeTURNS) {
			s.Username, s.Credential = name, password
		}
		servers = append(servers, s)
	}
	return servers
}

// Relays are the servers for a user's page, and whether it may go through nothing else.
func (x *Exchange) Relays(user string) (servers []ICEServer, only bool) {
	return x.cfg.Relays.Servers(user, x.cfg.Now()), x.cfg.Relays.Only
}
