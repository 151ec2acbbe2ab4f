package console

import (
	"net/http"
	"strings"
	"testing"

	"lianxin/org"
	"lianxin/storage"
)

// TestNoTokenOfTheRatedUnitLearnsWhoRated asks every reading operation of the API, with every id that belongs to a bad
// rating, by tokens of every role that are confined to the rated unit (I6).
func TestNoTokenOfTheRatedUnitLearnsWhoRated(t *testing.T) {
	h := newHouse(t)
	const words = "4 那个穿灰衣服的说话太难听"
	phone := h.morning(words)
	var rated, ask, record, text, contact, ticketID, number, callback, inbound string
	h.view(func(tx *storage.Tx) error {
		_, err := storage.One(tx, func(r storage.Row) (struct{}, error) {
			return struct{}{}, r.Scan(&ask, &record, &rated, &text, &contact, &ticketID, &callback, &inbound, &number)
		}, `SELECT k.id, k.record_id, k.unit, k.sms_id, k.contact_id, a.ticket_id, a.callback_id, a.inbound_id, t.number
			FROM survey_answer a JOIN survey_ask k ON k.id = a.ask_id JOIN ticket t ON t.id = a.ticket_id`)
		return err
	})
	_, api := routesOf(t)
	asked := 0
	for _, role := range org.Roles() {
		token := h.tokenIn(role, rated)
		for _, r := range api {
			if r.method != http.MethodGet {
				continue
			}
			ids := []string{""}
			if strings.Contains(r.path, "{") {
				ids = []string{ask, record, text, contact, ticketID, number, callback, inbound}
			}
			for _, id := range ids {
				a := h.ask(token, "GET", r.fill(id, ""), "")
				asked++
				for what, secret := range map[string]string{"the number": phone.Masked(), "the words": "灰衣服", "the question": ask, "the record": record, "the text": text, "the person": contact, "the ticket": ticketID} {
					if a.status == http.StatusOK && strings.Contains(a.body, secret) && secret != id {
						t.Errorf("%s of the rated unit learns %s from %s: %d %s", role, what, r.fill(id, ""), a.status, a.body[:min(300, len(a.body))])
					}
				}
				if a.status == http.StatusOK && id != "" && strings.Contains(a.body, id) {
					t.Errorf("%s of the rated unit is told of %s by %s", role, id, r.fill(id, ""))
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d requests", asked)
	}
	// Whoever sees all units sees the text, and so does the centre: the test can fail.
	for _, unit := range []string{"", "benxi-minyi"} {
		if a := h.ask(h.tokenIn(org.Supervisor, unit), "GET", "/api/v1/messages/"+text, ""); a.status != http.StatusOK || !strings.Contains(a.body, phone.Masked()) {
			t.Errorf("a supervisor's token of %q: %d %s", unit, a.status, a.body)
		}
	}
	if a := h.ask(h.tokenIn(org.Supervisor, rated), "GET", "/api/v1/messages", ""); a.status != http.StatusForbidden {
		t.Errorf("the list of texts for the rated unit: %d", a.status)
	}
}
