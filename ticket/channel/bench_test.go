package channel

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"lianxin/storage"
	"lianxin/storage/storagetest"
)

var benchLines = flag.Int("import.lines", 500, "good lines of the file that TestALargeDamagedFile imports; the damaged ones come on top")

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// peak is the most memory that the process has had, in MiB.
func peak() int64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Maxrss >> 10
}

// TestALargeDamagedFile is the run of make import-100k: a file in GB18030 with every kind of damage, imported whole, with its
// report imported again. In the tests it is small.
func TestALargeDamagedFile(t *testing.T) {
	one := func(t *testing.T, db *storage.DB) {
		h := newHouse(t, db)
		file, want := damagedFile(*benchLines, gbBytes)
		runtime.GC()
		var report bytes.Buffer
		start, used := time.Now(), cpu()
		out := h.imports("12345", file, ImportOptions{Report: &report})
		took, work := time.Since(start), cpu()-used
		if out.Accepted != want["good"] || out.Known != want["known"] || out.Changed != want["changed"] {
			t.Errorf("%+v, want %v", out, want)
		}
		fmt.Fprintf(os.Stderr, "import: %d lines, %d MiB: %d accepted, %d known, %d changed, %d refused; %.1f s, %.1f CPU s, %.0f lines/s, at most %d MiB\n",
			out.Lines, len(file)>>20, out.Accepted, out.Known, out.Changed, out.Refused, took.Seconds(), work.Seconds(), float64(out.Lines)/took.Seconds(), peak())
		// The report is mended and imported: all of it comes in. Both files again bring nothing: every line is in, none twice.
		mended := h.mend(report.Bytes(), out.Refused)
		start = time.Now()
		rest := h.imports("12345", mended, ImportOptions{})
		fmt.Fprintf(os.Stderr, "the mended report: %d lines, %d accepted, %d refused; %.1f s\n", rest.Lines, rest.Accepted, rest.Refused, time.Since(start).Seconds())
		if rest.Accepted != out.Refused || rest.Refused != 0 {
			t.Errorf("the mended report: %+v, want %d accepted", rest, out.Refused)
		}
		if twice := h.imports("12345", mended, ImportOptions{DryRun: true}); twice.Known != out.Refused || twice.Accepted+twice.Changed+twice.Refused != 0 {
			t.Errorf("the mended report again: %+v", twice)
		}
		h.view(func(tx *storage.Tx) error {
			n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket WHERE channel = '12345'`)
			if n != out.Accepted+rest.Accepted {
				t.Errorf("%d tickets, want one for each of %d lines", n, out.Accepted+rest.Accepted)
			}
			return err
		})
		start = time.Now()
		again := h.imports("12345", file, ImportOptions{DryRun: true})
		fmt.Fprintf(os.Stderr, "dry run of the same: %d known, %d changed; %.1f s\n", again.Known, again.Changed, time.Since(start).Seconds())
		if again.Accepted != 0 {
			t.Errorf("%d would be new", again.Accepted)
		}
	}
	if *benchLines <= 500 {
		one(t, storagetest.SQLite(t))
		return
	}
	storagetest.Each(t, one)
}
