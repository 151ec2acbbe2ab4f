// Package arch holds the rule of the house: a package imports only packages that stand above it in the list of rooms.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "lianxin"

// rooms is the order of the house, from the ground floor up. A room may import what stands before it. An alcove (a
// folder inside a room) that has a line of its own stands where its line is; any other shares its room's place.
var rooms = []string{
	"storage",
	"schedule",
	"audit",
	"workday",
	"table",
	"sip/media",
	"sip",
	"sip/web",
	"speech",
	"org",
	"contact",
	"ticket/match", // texts in, scores out: knows nothing of tickets
	"ticket",
	"ticket/oversee", // 督办, 会商, 指令, 倒查 … stand over tickets
	"ticket/channel", // one adapter each; it stands over ticket itself
	"sms",
	"desk",
	"survey/reply",
	"survey",
	"survey/poll", // questions to invited people whose answers nobody can join with them
	"ivr/prompts", // the words of the hotline: recordings, knowledge and spoken forms know nothing of calls
	"ivr/kb",
	"ivr/say",
	"ivr/prompts/make",
	"ivr",
	"report",  // the registry of the closed loop's figures: reads tickets and what stands over them
	"privacy", // reads and erases across the tables of the rooms above
	"console",
	"city",
	"cmd/lianxin",
}

// forbidden are imports that would be legal by order but are refused for a reason.
var forbidden = map[string]string{
	"github.com/twilio/twilio-go":  "import its client and rest/api/v2010 packages: the root package quadruples the build",
	"github.com/go-redis/redis/v8": "the dead line; use github.com/redis/go-redis/v9",
	"github.com/emiago/diago":      "dialogs and media are ours",
	"github.com/stretchr/testify":  "standard testing and go-cmp",
	"github.com/sirupsen/logrus":   "log/slog",
}

type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// floor is the place of a package in the list, by its longest matching line; -1 for what is no room (internal/…).
func floor(path string) (room string, n int) {
	rel := strings.TrimPrefix(path, module+"/")
	n = -1
	for i, r := range rooms {
		if (rel == r || strings.HasPrefix(rel, r+"/")) && len(r) > len(room) {
			room, n = r, i
		}
	}
	return room, n
}

func TestAPackageImportsOnlyRoomsAboveItInTheList(t *testing.T) {
	for _, p := range packages(t) {
		room, own := floor(p.ImportPath)
		if own < 0 && !strings.HasPrefix(p.ImportPath, module+"/internal/") {
			t.Errorf("%s is in no room of the list", p.ImportPath)
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module+"/") || own < 0 {
				continue
			}
			other, n := floor(imp)
			if n > own || n < 0 {
				t.Errorf("%s imports %s: %s stands below %s in the list of rooms", p.ImportPath, imp, other, room)
			}
		}
	}
}

func TestCarriersAreImportedOnlyFromAbove(t *testing.T) {
	_, sms := floor(module + "/sms")
	for _, p := range packages(t) {
		_, own := floor(p.ImportPath)
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module+"/sms/") && own <= sms && own >= 0 && !strings.HasPrefix(p.ImportPath, module+"/sms/") {
				t.Errorf("%s imports the carrier %s", p.ImportPath, imp)
			}
		}
	}
}

func TestRefusedImportsStayOut(t *testing.T) {
	for _, p := range packages(t) {
		for _, list := range [][]string{p.Imports, p.TestImports, p.XTestImports} {
			for _, imp := range list {
				if why, bad := forbidden[imp]; bad {
					t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
				}
			}
		}
	}
}
