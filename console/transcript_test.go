package console

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"lianxin/storage"
)

func TestWhatAMachineWroteDownIsShownBesideTheRecordingToWhoMayHearIt(t *testing.T) {
	s := newHouse(t).fill()
	put := func(state, words string) {
		t.Helper()
		err := s.s.DB.Update(context.Background(), func(tx *storage.Tx) error {
			_, err := tx.Exec(`INSERT INTO call_transcript (call_id, state, due, engine, words, at) VALUES ('call-1', $1, 0, 'openai/m', $2, 1)
				ON CONFLICT (call_id) DO UPDATE SET state = excluded.state, words = excluded.words`, state, s.s.Book.Vault.For("call.transcript").Seal(words))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const words = "楼下烧烤摊半夜扰民"
	put("done", words)
	if p := s.as("operator1").get("/calls/call-1"); !strings.Contains(p.body, words) || !strings.Contains(p.body, "机器转写") || !strings.Contains(p.body, "以录音为准") || !strings.Contains(p.body, "<audio") {
		t.Errorf("who may hear it: %s", p.plain())
	}
	if p := s.as("leader1").get("/calls/call-1"); p.status == http.StatusOK && strings.Contains(p.body, words) {
		t.Error("the words are shown to a role that may not hear the recording")
	}
	put("silent", "")
	if p := s.as("operator1").get("/calls/call-1"); !strings.Contains(p.body, "未能转写") {
		t.Errorf("nothing understood: %s", p.plain())
	}
}
