package channel

import (
	"bytes"
	"context"
	"crypto/hmac"
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
	"lianxin/ticket"
)

// SignFile is the signature of a file that crosses between zones: HMAC-SHA256 over its name and its content, in hex. It
// stands in a file of the same name with .sig behind it.
func SignFile(secret, name string, content []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(name + "\n"))
	mac.Write(content)
	return hex.EncodeToString(mac.Sum(nil))
}

// settle is how long a file must not have changed: other systems copy slowly.
const settle = 2 * time.Second

// longestFile is the longest file that is taken from a folder.
const longestFile = 256 << 20

// takeFiles takes in the files that lie in a folder, each once: it is then moved to done/, or to failed/ when it could not
// be read or its signature is wrong, with a report beside it and, of refused lines, a file to be mended.
func (g *Gateway) takeFiles(ctx context.Context, c Connector) (m moved, err error) {
	entries, err := os.ReadDir(c.Settings.Dir)
	if err != nil {
		return m, fmt.Errorf("look into the folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		low := strings.ToLower(e.Name())
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(low, ".") {
			continue
		}
		if !slices.Contains([]string{".csv", ".txt", ".tsv", ".xlsx"}, filepath.Ext(low)) || time.Since(info.ModTime()) < settle {
			continue
		}
		if info.Size() > longestFile {
			m.odd++
			if err := g.putAside(c, e.Name(), "failed", "文件过大\n", nil); err != nil {
				return m, err
			}
			continue
		}
		names = append(names, e.Name())
	}
	m.backlog = len(names)
	for _, name := range names {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		n, odd, err := g.takeFile(ctx, c, name)
		if err != nil {
			return m, err
		}
		m.items, m.odd, m.backlog = m.items+n, m.odd+odd, m.backlog-1
	}
	return m, nil
}

func (g *Gateway) takeFile(ctx context.Context, c Connector, name string) (items, odd int, err error) {
	content, err := os.ReadFile(filepath.Join(c.Settings.Dir, name))
	if err != nil {
		return 0, 0, fmt.Errorf("take in %s: %w", name, err)
	}
	if c.Secret != "" {
		sig, err := os.ReadFile(filepath.Join(c.Settings.Dir, name+".sig"))
		if errors.Is(err, os.ErrNotExist) {
			// The signature may still be on its way; after a while it is not.
			if info, err := os.Stat(filepath.Join(c.Settings.Dir, name)); err == nil && time.Since(info.ModTime()) < 5*time.Minute {
				return 0, 0, nil
			}
		}
		if !hmac.Equal([]byte(strings.ToLower(strings.TrimSpace(string(sig)))), []byte(SignFile(c.Secret, name, content))) {
			return 0, 1, g.putAside(c, name, "failed", "签名缺失或不对，未导入\n", nil)
		}
	}
	var refused bytes.Buffer
	out, err := g.Import(ctx, bytes.NewReader(content), name, ImportOptions{Channel: c.Channel, By: ticket.System, Report: &refused})
	if ctx.Err() != nil || errors.Is(err, storage.ErrConflict) {
		return 0, 0, fmt.Errorf("take in %s: %w", name, err)
	}
	if err != nil {
		if ping := g.DB.Ping(ctx); ping != nil {
			return 0, 0, fmt.Errorf("take in %s: %w", name, err) // the file is not to blame
		}
		return 0, 1, g.putAside(c, name, "failed", "文件未能读取："+short(err)+"\n"+summary(out), refused.Bytes())
	}
	return out.Accepted + out.Changed, out.Refused, g.putAside(c, name, "done", summary(out), refused.Bytes())
}

// summary is for the people of the other body (zh-CN): no word of what stood in the lines.
func summary(o Imported) string {
	var b strings.Builder
	fmt.Fprintf(&b, "编码%s，共%d行：新增%d，已有%d，变更%d，退回%d。\n", o.Encoding, o.Lines, o.Accepted, o.Known, o.Changed, o.Refused)
	for _, l := range o.Notable {
		fmt.Fprintf(&b, "第%d行 %s %s\n", l.Number, l.ExternalID, l.Reason)
	}
	return b.String()
}

// putAside moves a file and its signature out of the way, with a report.
func (g *Gateway) putAside(c Connector, name, where, report string, refused []byte) error {
	dir := filepath.Join(c.Settings.Dir, where)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("put %s aside: %w", name, err)
	}
	// The time in front keeps a second file of the same name from replacing the first.
	to := filepath.Join(dir, g.now().UTC().Format("20060102T150405.000")+"-"+name)
	if err := os.WriteFile(to+".report.txt", []byte(report), 0o600); err != nil {
		return fmt.Errorf("report on %s: %w", name, err)
	}
	if len(refused) > 0 {
		if err := os.WriteFile(to+".refused.csv", refused, 0o600); err != nil {
			return fmt.Errorf("report on %s: %w", name, err)
		}
	}
	if err := os.Rename(filepath.Join(c.Settings.Dir, name), to); err != nil {
		return fmt.Errorf("put %s aside: %w", name, err)
	}
	if err := os.Rename(filepath.Join(c.Settings.Dir, name+".sig"), to+".sig"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("put the signature of %s aside: %w", name, err)
	}
	return nil
}

// putResults writes the batches of a channel that are not safe in the folder yet, after making one of what is new.
func (g *Gateway) putResults(ctx context.Context, c Connector) (m moved, err error) {
	info, err := os.Stat(c.Settings.Dir)
	if err != nil || !info.IsDir() {
		return m, errors.New("the folder is not there")
	}
	var todo []Batch
	err = g.DB.Update(ctx, func(tx *storage.Tx) error {
		if _, err := g.NewBatch(tx, c.Channel, ticket.System); err != nil {
			return err
		}
		var err error
		todo, err = storage.All(tx, scanBatch, selectBatch+` WHERE channel = $1 AND written IS NULL AND made_by = $2 ORDER BY id`, c.Channel, ticket.System.String())
		return err
	})
	if err != nil {
		return m, err
	}
	m.backlog = len(todo)
	for _, b := range todo {
		var content bytes.Buffer
		err := g.DB.View(ctx, func(tx *storage.Tx) error {
			items, err := g.Items(tx, b.ID)
			if err != nil {
				return err
			}
			return WriteItems(&content, items, false)
		})
		if err != nil {
			return m, err
		}
		name := b.Name() + ".csv"
		if c.Secret != "" {
			// The signature first: who sees the file finds it.
			if err := writeWhole(filepath.Join(c.Settings.Dir, name+".sig"), strings.NewReader(SignFile(c.Secret, name, content.Bytes())+"\n")); err != nil {
				return m, err
			}
		}
		if err := writeWhole(filepath.Join(c.Settings.Dir, name), &content); err != nil {
			return m, err
		}
		if err := g.DB.Update(ctx, func(tx *storage.Tx) error { return g.Written(tx, b.ID) }); err != nil {
			return m, err
		}
		m.items, m.backlog = m.items+b.Items, m.backlog-1
	}
	return m, nil
}

// writeWhole makes a file that is either whole or not there.
func writeWhole(path string, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".results-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
