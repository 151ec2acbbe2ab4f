package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"lianxin/ivr/prompts"
	"lianxin/speech"
	"lianxin/speech/hanzi"
)

// recipe changes when sound.go makes different audio from the same words.
const recipe = "1"

const manifestHead = `# Written by ivr/prompts/make: which recordings are ours. key, hash of words and recipe, SHA-256 of the file.
# A recording that is not listed, or whose sum differs, is a studio's and is never overwritten.
`

// made is what the manifest knows of a file of ours.
type made struct{ words, file string }

type work struct {
	dir   string
	voice speech.Espeak
	ours  map[string]made
}

func openWork(dir string, voice speech.Espeak) (*work, error) {
	w := &work{dir: dir, voice: voice, ours: map[string]made{}}
	b, err := os.ReadFile(filepath.Join(dir, "manifest.txt"))
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	} else if err != nil {
		return nil, err
	}
	for n, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("%s/manifest.txt:%d: %d fields, not 3", dir, n+1, len(f))
		}
		w.ours[f[0]] = made{f[1], f[2]}
	}
	return w, nil
}

func (w *work) save() error {
	keys := make([]string, 0, len(w.ours))
	for k := range w.ours {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b bytes.Buffer
	b.WriteString(manifestHead)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %s %s\n", k, w.ours[k].words, w.ours[k].file)
	}
	return os.WriteFile(filepath.Join(w.dir, "manifest.txt"), b.Bytes(), 0o644)
}

// A state says what is to be done with a prompt.
type state string

const (
	missing state = "missing" // no file
	changed state = "changed" // our file, made of other words or by another recipe
	current state = "current" // our file, up to date
	studio  state = "studio"  // somebody else's file: hands off
)

func (w *work) state(e prompts.Entry) (state, error) {
	b, err := os.ReadFile(w.path(e.Key))
	switch known, ok := w.ours[e.Key]; {
	case errors.Is(err, os.ErrNotExist):
		return missing, nil
	case err != nil:
		return "", err
	case !ok || known.file != sum(b):
		return studio, nil
	case known.words != w.words(e):
		return changed, nil
	}
	return current, nil
}

func (w *work) path(key string) string { return filepath.Join(w.dir, key+".wav") }

// words is the hash of everything that decides how a prompt of ours sounds.
func (w *work) words(e prompts.Entry) string {
	s := "made " + e.Made
	if e.Made == "" {
		s = w.voice.Name() + "\n" + spoken(e)
	}
	return sum([]byte(recipe + "\n" + s))[:16]
}

// spoken is what espeak-ng is given: the override as it stands but for our polyphones, or the text
// with its figures written out.
func spoken(e prompts.Entry) string {
	if e.Spoken != "" {
		return speech.Spell(e.Spoken)
	}
	return speech.Spell(hanzi.Plain(e.Text))
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func (w *work) list(out io.Writer, rows []prompts.Entry) error {
	for _, e := range rows {
		s, err := w.state(e)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s.wav\t%s\t%s\t%s\n", e.Key, s, e.Text, e.Note); err != nil {
			return err
		}
	}
	return nil
}

// renderAll renders what is missing or changed, removes our own files that no row names any more, and
// writes the manifest, also after an error, so that what was done is known.
func (w *work) renderAll(ctx context.Context, out io.Writer, rows []prompts.Entry, force bool) (err error) {
	defer func() { err = errors.Join(err, w.save()) }()
	wanted := map[string]bool{}
	var rendered, kept, foreign, removed int
	for _, e := range rows {
		if wanted[e.Key] {
			return fmt.Errorf("%s is named twice", e.Key)
		}
		wanted[e.Key] = true
		s, err := w.state(e)
		if err != nil {
			return err
		}
		if s == studio {
			delete(w.ours, e.Key)
			foreign++
			continue
		}
		if s == current && !force {
			kept++
			continue
		}
		b, err := w.render(ctx, e)
		if err != nil {
			return fmt.Errorf("render %s: %w", e.Key, err)
		}
		if err := os.WriteFile(w.path(e.Key), b, 0o644); err != nil {
			return err
		}
		w.ours[e.Key] = made{w.words(e), sum(b)}
		rendered++
	}
	for key, m := range w.ours {
		if wanted[key] {
			continue
		}
		if b, err := os.ReadFile(w.path(key)); err == nil && sum(b) == m.file {
			if err := os.Remove(w.path(key)); err != nil {
				return err
			}
			removed++
		}
		delete(w.ours, key)
	}
	fmt.Fprintf(out, "prompts: %d rendered, %d up to date, %d recorded by others and left alone, %d no longer used and removed\n", rendered, kept, foreign, removed)
	return nil
}

func (w *work) render(ctx context.Context, e prompts.Entry) ([]byte, error) {
	switch e.Made {
	case prompts.MadeTone:
		return alawWAV(beep()), nil
	case prompts.MadeMusic:
		return alawWAV(music()), nil
	}
	wav, err := w.voice.Speak(ctx, spoken(e))
	if err != nil {
		return nil, err
	}
	pcm, err := resample(ctx, wav)
	if err != nil {
		return nil, err
	}
	return alawWAV(level(trim(pcm))), nil
}
