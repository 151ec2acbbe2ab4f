package console

import (
	"net/http"
	"testing"

	"lianxin/org"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// ORG-5: operations on matters of oversight decide by their kind. Every role at every kind, and at every command that opens
// one: who may not see a kind is refused, and nobody opens anything with an empty form.
func TestEveryRoleMeetsTheKindsOfOversightInTheAPI(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	for _, role := range org.Roles() {
		secret := s.tokenIn(role, "benxi-minyi")
		by := ticket.Actor{Kind: ticket.TokenActor, ID: "t", Role: role, Unit: "benxi-minyi"}
		for _, k := range overseeKinds {
			p := s.ask(secret, "GET", "/api/v1/oversight/"+string(k), "")
			if may := oversee.MaySee(k, by); may && p.status != http.StatusOK || !may && p.status != http.StatusForbidden {
				t.Errorf("%s lists %s: %d, may see %v", role, k, p.status, may)
			}
			if p := s.ask(secret, "GET", "/api/v1/oversight/"+string(k)+"/01ZZZZZZZZZZZZZZZZZZZZZZZZ", ""); p.status != http.StatusForbidden && p.status != http.StatusNotFound || oversee.MaySee(k, by) && p.status == http.StatusForbidden {
				t.Errorf("%s reads one of %s that is not there: %d", role, k, p.status)
			}
		}
		for _, a := range overActs {
			path := "/api/v1/oversight/" + string(a.kind) + "/act/" + a.code
			if !a.opens {
				path = "/api/v1/oversight/" + string(a.kind) + "/01ZZZZZZZZZZZZZZZZZZZZZZZZ/act/" + a.code
			}
			if p := s.ask(secret, "POST", path, `{}`); p.status < 400 || p.status >= 500 {
				t.Errorf("%s at %s with an empty form: %d %s", role, path, p.status, p.body)
			}
		}
	}
}
