package org_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lianxin/org"
)

var write = flag.Bool("update", false, "write the golden files anew")

// The golden file is what people read and sign; any change to the table shows there.
func TestEveryRoleAndActionIsAsInTheMatrix(t *testing.T) {
	var b strings.Builder
	roles := org.Roles()
	b.WriteString("# who may do what: one line per action, one column per role; X = may, . = may not\n#\n")
	for i, r := range roles {
		fmt.Fprintf(&b, "# column %2d: %-14s %s\n", i+1, r, r.Label())
	}
	b.WriteString("#\n")
	cells := 0
	for _, a := range org.Actions() {
		for _, r := range roles {
			cells++
			if org.Can(r, a) {
				b.WriteByte('X')
			} else {
				b.WriteByte('.')
			}
		}
		fmt.Fprintf(&b, "  %-28s %s\n", a, a.Label())
	}
	const golden = "testdata/permissions.txt"
	if *write {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the table differs from %s (run with -update when it is meant to):\n%s", golden, d)
	}
	if len(roles) != 18 || cells != 18*len(org.Actions()) || len(org.Actions()) < 60 {
		t.Errorf("%d roles, %d actions", len(roles), len(org.Actions()))
	}
}

// What must hold however the table is changed.
func TestTheMatrixKeepsTheRulesOfTheHouse(t *testing.T) {
	may := func(a org.Action) (rs []org.Role) {
		for _, r := range org.Roles() {
			if org.Can(r, a) {
				rs = append(rs, r)
			}
		}
		return rs
	}
	apart := func(why string, a, b org.Action) {
		for _, r := range org.Roles() {
			if org.Can(r, a) && org.Can(r, b) {
				t.Errorf("%s: %s may both %s and %s", why, r, a, b)
			}
		}
	}
	if d := cmp.Diff([]org.Role{org.Handler, org.Reviewer}, may(org.SubmitResult)); d != "" {
		t.Errorf("who handles:\n%s", d)
	}
	apart("I5: handler is not callback officer", org.SubmitResult, org.RateTicket)
	apart("I5: handler is not callback officer", org.SubmitResult, org.MakeReview)
	apart("I5: reviewer is not callback officer", org.ReviewResult, org.RateTicket)
	apart("who asks for a return does not decide it", org.RequestReturn, org.DecideReturn)
	apart("who asks for an extension does not decide it", org.RequestExtension, org.DecideExtension)
	apart("who appeals does not judge", org.AppealRating, org.JudgeAppeal)
	apart("who drafts a report does not publish it", org.DraftReport, org.IssueReport)
	apart("who manages accounts sees no number in the open", org.ManageStaff, org.Reveal)
	apart("who manages rules decides no ticket", org.ManageRules, org.DispatchTicket)
	apart("who proposes grading rules does not consent to them", org.ManageRules, org.ConsentGrading)

	for _, a := range org.Actions() {
		if len(may(a)) == 0 {
			t.Errorf("nobody may %s", a)
		}
		if a.Label() == string(a) || a.Label() == "" {
			t.Errorf("%s has no label", a)
		}
		// The auditor looks, at the signalling of calls too, and listens to recordings, and changes nothing.
		if org.Can(org.Auditor, a) && !(strings.Contains(string(a), ".view") || a == org.PlayCalls || a == org.TraceCalls) {
			t.Errorf("the auditor may %s", a)
		}
		if org.Can("nobody", a) || org.Can("", a) {
			t.Errorf("a role that does not exist may %s", a)
		}
		if slices.Contains([]org.Action{org.Reveal, org.RevealSecret, org.PlayCalls, org.ExportData, org.ViewAudit, org.ManageStaff}, a) {
			for _, r := range may(a) {
				if !r.SignsIn() {
					t.Errorf("%s, who does not sign in, may %s", r, a)
				}
			}
		}
	}
	for _, r := range org.Roles() {
		if org.Can(r, "no.such.action") || org.Can(r, "") {
			t.Errorf("%s may do what does not exist", r)
		}
		if r.Label() == string(r) || !r.Valid() {
			t.Errorf("%s has no label", r)
		}
	}
	// WIN-5: the window sees its ratings, never the rater.
	for _, r := range []org.Role{org.Clerk, org.WindowManager, org.Leader, org.Admin, org.Auditor, org.Expert, org.Analyst} {
		if org.Can(r, org.Reveal) || org.Can(r, org.RevealSecret) {
			t.Errorf("%s may see numbers in the open", r)
		}
	}
	if org.Role("x").SignsIn() || org.Role("x").Valid() || org.Role("x").Reach() != org.ReachOwn || org.Role("x").Label() != "x" {
		t.Error("an unknown role has no account and the least reach")
	}
}
