package web

import (
	"testing"
	"time"

	"github.com/pion/turn/v5"
)

func TestRelaysAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		relays Relays
		good   bool
	}{
		{Relays{}, true},
		{Relays{URLs: []string{"stun:stun.example.cn:3478"}}, true},
		{Relays{URLs: []string{"turn:turn.example.cn", "turns:turn.example.cn:443?transport=tcp"}, Secret: "s", Only: true}, true},
		{Relays{URLs: []string{"turn:turn.example.cn"}}, false},
		{Relays{URLs: []string{"stun:stun.example.cn"}, Only: true}, false},
		{Relays{Secret: "s", Only: true}, false},
		{Relays{URLs: []string{"https://turn.example.cn"}, Secret: "s"}, false},
		{Relays{URLs: []string{"turn.example.cn:3478"}, Secret: "s"}, false},
		{Relays{URLs: []string{"turn:turn.example.cn?transport=carrier-pigeon"}, Secret: "s"}, false},
	} {
		if err := c.relays.Check(); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.relays, err)
		}
	}
	if _, err := New(Config{Engine: newHouse(t, nil).engine, Relays: Relays{URLs: []string{"turn:x"}}}); err == nil {
		t.Error("a TURN server without its secret")
	}
}

// A page's password is good for its lifetime and no longer, is its own, and STUN servers are told none.
func TestPagesGetTheirOwnPasswordsForARelay(t *testing.T) {
	t.Parallel()
	r := Relays{URLs: []string{"stun:a", "turn:b"}, Secret: "secret"}
	ask := func(secret string, s ICEServer) bool {
		_, key, ok := turn.LongTermTURNRESTAuthHandler(secret, nil)(&turn.RequestAttributes{Username: s.Username, Realm: "x"})
		return ok && string(key) == string(turn.GenerateAuthKey(s.Username, "x", s.Credential))
	}
	now := time.Now()
	servers, other := r.Servers("8001", now), r.Servers("8002", now)
	if len(servers) != 2 || servers[0].Credential+servers[0].Username != "" || servers[1].Credential == other[1].Credential {
		t.Fatalf("%+v %+v", servers, other)
	}
	if !ask("secret", servers[1]) {
		t.Error("a good password is refused")
	}
	if ask("another", servers[1]) {
		t.Error("a password of another secret is taken")
	}
	if ask("secret", r.Servers("8001", now.Add(-Lifetime-time.Minute))[1]) {
		t.Error("an old password is taken")
	}
	servers[1].Username = other[1].Username
	if ask("secret", servers[1]) {
		t.Error("somebody else's password is taken")
	}
}
