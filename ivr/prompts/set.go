package prompts

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"lianxin/sip/media"
)

//go:embed zh-CN
var embedded embed.FS

// ErrUnknown is wrapped by Get and Say for a key that no row names, or whose recording is missing.
var ErrUnknown = errors.New("no such prompt")

// Pause is a key that every set has: a short silence, as between the groups of a long number.
const Pause = "pause"

const (
	pauseTime    = 280 * time.Millisecond
	sentenceTime = 260 * time.Millisecond // after 。！？； at the end of a prompt
	clauseTime   = 120 * time.Millisecond // after ，、：
)

// Table is the table of prompts that ships with the program, in its order.
var Table = sync.OnceValue(func() []Entry {
	b, err := embedded.ReadFile("zh-CN/prompts.yaml")
	if err == nil {
		var rows []Entry
		if rows, err = ReadTable(b); err == nil {
			return rows
		}
	}
	panic(err) // the table is embedded: a test would have seen it
})

// Options of Load.
type Options struct {
	// Dir holds recordings that are preferred to the shipped ones, <key>.wav each; empty: none. Names that no
	// row has are an error, since a misspelt recording would otherwise never be heard.
	Dir string

	// More are rows beside the table, such as those of the knowledge base. They need not have been recorded:
	// see Unrecorded.
	More []Entry
}

// A Set is every prompt ready to be played. It does not change and may be used by many calls at once.
type Set struct {
	rows    map[string]Entry
	prompts map[string]*media.Prompt
	order   []string
}

// Load reads the recordings of every row and refuses to begin when one of the table is missing or any is broken:
// the error names all of them.
func Load(opt Options) (*Set, error) {
	shipped, err := fs.Sub(embedded, "zh-CN")
	if err != nil {
		return nil, err
	}
	rows := append(slices.Clone(Table()), opt.More...)
	if err := check(rows); err != nil {
		return nil, err
	}
	s := &Set{rows: map[string]Entry{}, prompts: map[string]*media.Prompt{}}
	var faults []error
	for i, e := range rows {
		s.rows[e.Key] = e
		s.order = append(s.order, e.Key)
		from, wav, err := read(shipped, opt.Dir, e.Key+".wav")
		if errors.Is(err, fs.ErrNotExist) && i >= len(Table()) {
			continue
		}
		if err == nil {
			s.prompts[e.Key], err = media.LoadPrompt(e.Key, wav)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("prompt %s from %s: %w", e.Key, from, err))
		}
	}
	if opt.Dir != "" {
		faults = append(faults, s.strangers(opt.Dir)...)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("load prompts: %w", errors.Join(faults...))
	}
	return s, nil
}

func read(shipped fs.FS, dir, name string) (from string, wav []byte, err error) {
	if dir != "" {
		from = filepath.Join(dir, name)
		if wav, err = os.ReadFile(from); !errors.Is(err, fs.ErrNotExist) {
			return from, wav, err
		}
	}
	wav, err = fs.ReadFile(shipped, name)
	return "the program", wav, err
}

// strangers names the recordings of dir that no row has.
func (s *Set) strangers(dir string) (faults []error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return []error{err}
	}
	for _, n := range names {
		if path.Ext(n.Name()) != ".wav" {
			continue
		}
		if _, ok := s.rows[strings.TrimSuffix(n.Name(), ".wav")]; !ok {
			faults = append(faults, fmt.Errorf("%s: no prompt has this name", filepath.Join(dir, n.Name())))
		}
	}
	return faults
}

// Get finds a prompt, or returns ErrUnknown.
func (s *Set) Get(key string) (*media.Prompt, error) {
	if p, ok := s.prompts[key]; ok {
		return p, nil
	}
	if key == Pause {
		return media.Silence(pauseTime), nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknown, key)
}

// Has reports whether Get would find the prompt.
func (s *Set) Has(key string) bool { return key == Pause || s.prompts[key] != nil }

// Say joins prompts into one, with the pauses that the punctuation at the end of their texts asks for. It returns
// ErrUnknown if one is missing, or if there is none to join.
func (s *Set) Say(keys ...string) (*media.Prompt, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: nothing to say", ErrUnknown)
	}
	var parts []*media.Prompt
	for i, key := range keys {
		p, err := s.Get(key)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		if rest := after(s.rows[key].Text); i < len(keys)-1 && rest > 0 {
			parts = append(parts, media.Silence(rest))
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return media.Join(parts...), nil
}

func after(text string) time.Duration {
	switch {
	case strings.HasSuffix(text, "。"), strings.HasSuffix(text, "！"), strings.HasSuffix(text, "？"), strings.HasSuffix(text, "；"):
		return sentenceTime
	case strings.HasSuffix(text, "，"), strings.HasSuffix(text, "、"), strings.HasSuffix(text, "："):
		return clauseTime
	}
	return 0
}

// Text is what is heard when keys are said, for transcripts and pages; unknown keys are left out.
func (s *Set) Text(keys ...string) string {
	var b bytes.Buffer
	for _, key := range keys {
		b.WriteString(s.rows[key].Text)
	}
	return b.String()
}

// Keys lists every prompt that can be played, in the order of the table.
func (s *Set) Keys() []string {
	return slices.DeleteFunc(slices.Clone(s.order), func(key string) bool { return s.prompts[key] == nil })
}

// Unrecorded lists the rows of Options.More for which there is no recording. An item of the knowledge base
// among them cannot be spoken and should not be offered to callers with keys alone.
func (s *Set) Unrecorded() []Entry {
	var rows []Entry
	for _, key := range s.order {
		if s.prompts[key] == nil {
			rows = append(rows, s.rows[key])
		}
	}
	return rows
}

// Progress is the key of the prompt that tells a caller the state of a ticket, from the state's code in any case
// (NEW, HANDLING …); false for a state that callers are not told.
func Progress(state string) (key string, ok bool) {
	key = "progress." + strings.ToLower(state)
	return key, slices.ContainsFunc(Table(), func(e Entry) bool { return e.Key == key })
}
