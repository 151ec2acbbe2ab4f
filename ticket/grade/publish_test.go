package grade

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRulesComeBackAsTheyWereWritten(t *testing.T) {
	own := DefaultRules()
	b, err := own.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseRules(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(own, again, cmpopts.IgnoreUnexported(Rules{}, FactorRule{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if c := own.Changes(again); len(c) != 0 {
		t.Errorf("%+v", c)
	}
	for _, x := range fixtures(t, "article.jsonl") {
		a, b := grader.Grade(x.Case), Grader{Rules: again, Now: grader.Now}.Grade(x.Case)
		b.Rule = a.Rule // the hash is of the writing
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: %s", x.Name, diff)
		}
	}
}
