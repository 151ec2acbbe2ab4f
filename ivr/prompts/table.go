// Package prompts holds what the hotline says: one table of texts, and one recording for each.
//
// The recordings that ship with the program come from a synthesiser (scripts/prompts.sh); a studio's
// recordings replace them file by file, here or in a directory of their own.
package prompts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/goccy/go-yaml"
)

// An Entry is one row of the table.
type Entry struct {
	Key    string `yaml:"key"`    // of the prompt; its file is <key>.wav
	Text   string `yaml:"text"`   // as the caller hears it, with figures as one writes them
	Spoken string `yaml:"spoken"` // what the synthesiser is given instead, when Text will not do
	Made   string `yaml:"made"`   // MadeTone or MadeMusic when it is not speech at all
	Note   string `yaml:"note"`   // for the studio
}

// Prompts that are not spoken.
const (
	MadeTone  = "tone"
	MadeMusic = "music"
)

var keyForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

// ReadTable reads a table of prompts. Unknown fields, keys that could not be a file name, keys listed
// twice and rows without text are errors, with the line where YAML can give one.
func ReadTable(b []byte) ([]Entry, error) {
	var rows []Entry
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&rows); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read prompt table: %w", err)
	}
	return rows, check(rows)
}

func check(rows []Entry) error {
	seen := map[string]bool{}
	for i, e := range rows {
		switch {
		case !keyForm.MatchString(e.Key):
			return fmt.Errorf("prompt table row %d: key %q is not lower-case words joined by dots", i+1, e.Key)
		case seen[e.Key]:
			return fmt.Errorf("prompt table row %d: key %s is listed twice", i+1, e.Key)
		case e.Text == "":
			return fmt.Errorf("prompt table row %d: %s has no text", i+1, e.Key)
		case e.Made != "" && e.Made != MadeTone && e.Made != MadeMusic:
			return fmt.Errorf("prompt table row %d: %s: made is %q, not %s or %s", i+1, e.Key, e.Made, MadeTone, MadeMusic)
		}
		seen[e.Key] = true
	}
	return nil
}
