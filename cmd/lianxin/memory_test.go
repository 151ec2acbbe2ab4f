package main

import (
	"io"
	"strings"
	"testing"
)

// A limit that cannot be is told before anything is opened.
func TestStartRefusesAMemoryLimitThatMakesNoSense(t *testing.T) {
	t.Parallel()
	cfg := defaults(t, t.TempDir())
	if cfg.Memory != "auto" || cfg.GCPercent != 50 {
		t.Errorf("by default %q and %d %%", cfg.Memory, cfg.GCPercent)
	}
	cfg.Memory = "plenty"
	err := serveCmd{}.Run(t.Context(), &Main{Out: io.Discard, Err: io.Discard}, cfg)
	if err == nil || !strings.Contains(err.Error(), "--memory-limit") || !strings.Contains(err.Error(), `"plenty"`) {
		t.Errorf("%v", err)
	}
}
