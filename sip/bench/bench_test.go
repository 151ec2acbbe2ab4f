package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The bench is a command that starts itself as the server; here it is built and every kind of work is done once, small.
func TestEveryKindOfWorkRuns(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{
		{"signalling", "-rate=50", "-for=1s"},
		{"prompt", "-calls=10", "-talk=1s", "-for=1s"},
		{"bridge", "-calls=5", "-talk=1s", "-for=1s"},
		{"menu", "-calls=10", "-rate=10"},
	} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, args...)
			cmd.Env = os.Environ()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), " 0 failed") && args[0] != "menu" {
				t.Errorf("%s", out)
			}
		})
	}
}
