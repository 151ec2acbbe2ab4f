package survey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lianxin/storage"
)

// Folder takes in the files that source systems put into a folder: CSV and XLSX, each once by its content. A file that
// was read is moved to done/, one that could not be to failed/, each with a report beside it (NAME.report.txt).
//
// A file is left alone until it has not changed for Settle: other systems copy slowly. Names that begin with a dot or end
// in .tmp, .part or .filepart are left alone for good.
type Folder struct {
	Survey *Survey
	Dir    string
	Settle time.Duration // 5 s when 0; negative takes a file at once
	Every  time.Duration // how often Run looks; 10 s when 0
	Class  string        // class of the lines that name none; a line that names another is refused

	seen map[string]stamp
}

type stamp struct {
	size  int64
	mod   time.Time
	since time.Time
}

// Taken is what became of one file.
type Taken struct {
	Name  string // where it lies now, under Dir
	Again bool   // its content had been read before
	Imported
	Err error // it could not be read; what stands before the error is in
}

// Run looks until ctx ends.
func (f *Folder) Run(ctx context.Context) error {
	tick := time.NewTicker(orDefault(f.Every, 10*time.Second))
	defer tick.Stop()
	for {
		taken, err := f.Look(ctx)
		for _, t := range taken {
			if t.Err != nil {
				f.Survey.log().Error("read a file of records", "file", t.Name, "error", t.Err)
			} else {
				f.Survey.log().Info("file of records", "file", t.Name, "again", t.Again, "lines", t.Lines, "accepted", t.Accepted, "refused", t.Refused)
			}
		}
		if err != nil && ctx.Err() == nil {
			f.Survey.log().Error("look into the folder of records", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Look takes in the files that are ready, in the order of their names. The error is of the folder itself, or of the
// database: then the file stays where it is, for another time.
func (f *Folder) Look(ctx context.Context) ([]Taken, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("look into the folder of records: %w", err)
	}
	var taken []Taken
	now := map[string]stamp{}
	for _, e := range entries {
		name := e.Name()
		low := strings.ToLower(name)
		odd := strings.HasPrefix(name, ".") || slices.ContainsFunc([]string{".tmp", ".part", ".filepart"}, func(s string) bool { return strings.HasSuffix(low, s) })
		info, err := e.Info()
		if err != nil || odd || !info.Mode().IsRegular() {
			continue // gone again, or none of ours: symbolic links above all
		}
		s := stamp{info.Size(), info.ModTime(), time.Now()}
		if was, ok := f.seen[name]; ok && was.size == s.size && was.mod.Equal(s.mod) {
			s.since = was.since
		}
		now[name] = s
		if time.Since(s.since) < orDefault(f.Settle, 5*time.Second) {
			continue
		}
		t, err := f.take(ctx, name)
		if err != nil {
			f.seen = now
			return taken, err
		}
		delete(now, name)
		taken = append(taken, t)
	}
	f.seen = now
	return taken, nil
}

// take reads one file and moves it. Should we die in between, the file is read again: that adds nothing.
func (f *Folder) take(ctx context.Context, name string) (Taken, error) {
	t := Taken{Name: name}
	file, err := os.Open(filepath.Join(f.Dir, name))
	if err != nil {
		return t, fmt.Errorf("take in %s: %w", name, err)
	}
	defer file.Close()
	sum := sha256.New()
	fmt.Fprintln(sum, f.Class)
	if _, err := io.Copy(sum, file); err != nil {
		return t, fmt.Errorf("take in %s: %w", name, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return t, fmt.Errorf("take in %s: %w", name, err)
	}
	t.Imported, t.Again, t.Err = f.Survey.takeOnce(ctx, "folder", name, hex.EncodeToString(sum.Sum(nil)), file, ImportOptions{Class: f.Class, By: "folder"})
	if ctx.Err() != nil || errors.Is(t.Err, errStore) {
		return t, fmt.Errorf("take in %s: %w", name, t.Err)
	}
	where := "done"
	if t.Err != nil {
		where = "failed"
	}
	if err := os.MkdirAll(filepath.Join(f.Dir, where), 0o700); err != nil {
		return t, fmt.Errorf("take in %s: %w", name, err)
	}
	// The time in front keeps a second file of the same name from replacing the first.
	t.Name = filepath.Join(where, f.Survey.now().UTC().Format("20060102T150405.000")+"-"+name)
	if err := os.WriteFile(filepath.Join(f.Dir, t.Name+".report.txt"), []byte(t.report()), 0o600); err != nil {
		return t, fmt.Errorf("report on %s: %w", name, err)
	}
	if err := os.Rename(filepath.Join(f.Dir, name), filepath.Join(f.Dir, t.Name)); err != nil {
		return t, fmt.Errorf("take in %s: %w", name, err)
	}
	return t, nil
}

// report is for the people of the source system (zh-CN): no word of what stood in the lines.
func (t Taken) report() string {
	var b strings.Builder
	switch {
	case t.Again:
		b.WriteString("此文件内容此前已导入，本次未重复导入。\n")
	case t.Err != nil:
		fmt.Fprintf(&b, "文件未能完整读取：%v\n", t.Err)
	}
	fmt.Fprintf(&b, "编码%s，共%d行：新增%d，已有%d，更正%d，退回%d。\n", t.Encoding, t.Lines, t.Accepted, t.Known, t.Corrected, t.Refused)
	for _, l := range t.Notable {
		fmt.Fprintf(&b, "第%d行 %s %s\n", l.Number, l.SourceID, l.Reason)
	}
	return b.String()
}

// errStore marks errors of our own database, for which nobody's file is to blame.
var errStore = errors.New("database")

// takeOnce imports a body unless one of the same content has been imported to its end.
func (s *Survey) takeOnce(ctx context.Context, source, name, digest string, r io.Reader, opt ImportOptions) (out Imported, again bool, err error) {
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		known, err := storage.All(tx, storage.Value[string], `SELECT import_id FROM survey_source WHERE digest = $1`, digest)
		again = len(known) > 0
		return err
	})
	if err != nil {
		return out, false, fmt.Errorf("%w: %w", errStore, err)
	}
	if again {
		return out, true, nil
	}
	if out, err = s.Import(ctx, r, name, opt); err != nil {
		return out, false, err
	}
	err = s.DB.Update(ctx, func(tx *storage.Tx) error {
		_, err := tx.Exec(`INSERT INTO survey_source (digest, source, name, import_id, taken_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING`,
			digest, source, name, out.ID, storage.At(s.now()))
		return err
	})
	if err != nil {
		err = fmt.Errorf("%w: %w", errStore, err)
	}
	return out, false, err
}
