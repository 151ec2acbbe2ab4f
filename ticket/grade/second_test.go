package grade

import "testing"

// Cases of the second and third blind set, see docs/grading.md: the colour was written down before they were run, scores and factors were
// read afterwards.
func TestCasesOfTheLaterBlindSets(t *testing.T) {
	list := fixtures(t, "second.jsonl")
	if len(list) < 160 {
		t.Fatalf("%d cases", len(list))
	}
	for _, x := range list {
		t.Run(x.Name, x.check)
	}
}
