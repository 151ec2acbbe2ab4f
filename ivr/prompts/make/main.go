// Command make renders the hotline's prompts: espeak-ng speaks, sox resamples, and this program trims,
// levels and writes 8 kHz A-law WAV beside the table. Run it through scripts/prompts.sh.
//
// It renders only what is missing or whose words have changed, and never touches a file that it did
// not write itself, so that a studio's recording stays.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"lianxin/ivr/kb"
	"lianxin/ivr/prompts"
	"lianxin/speech"
)

func main() {
	dir := flag.String("dir", "ivr/prompts/zh-CN", "directory of prompts.yaml, manifest.txt and the recordings")
	list := flag.Bool("list", false, "print key, state, text and note of every prompt, tab-separated, for a studio; render nothing")
	force := flag.Bool("force", false, "render our own files again even if nothing has changed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *dir, *list, *force); err != nil {
		fmt.Fprintln(os.Stderr, "prompts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, dir string, list, force bool) error {
	table, err := os.ReadFile(dir + "/prompts.yaml")
	if err != nil {
		return err
	}
	rows, err := prompts.ReadTable(table)
	if err != nil {
		return err
	}
	base, err := kb.Embedded()
	if err != nil {
		return err
	}
	rows = append(rows, base.Prompts()...)
	w, err := openWork(dir, speech.Espeak{})
	if err != nil {
		return err
	}
	if list {
		return w.list(out, rows)
	}
	if missing := missingTools(); len(missing) > 0 {
		return fmt.Errorf("not installed: %s (Debian: apt-get install %s)", strings.Join(missing, ", "), strings.Join(missing, " "))
	}
	return w.renderAll(ctx, out, rows, force)
}

// missingTools names the Debian packages, which are called as their programs are, that are not on the path.
func missingTools() (missing []string) {
	for _, tool := range []string{"espeak-ng", "sox"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	return missing
}
