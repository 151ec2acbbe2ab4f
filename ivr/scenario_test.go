package ivr_test

import (
	"path/filepath"
	"strings"
	"testing"

	"lianxin/ivr/ivrtest"
)

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(ivrtest.Root(), "testdata", "calls", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			ivrtest.Play(t, file)
		})
	}
}
