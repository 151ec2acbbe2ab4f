package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

type surveyParseCmd struct{}

// parsed is one line of the answer. The field names are a surface others rely on.
type parsed struct {
	Text   string `json:"text"`
	Label  string `json:"label"`  // rating, review, optout or other
	Rating *int   `json:"rating"` // 1 to 5, or null
	Why    string `json:"why"`
}

// Run reads lines of text, or JSON objects with the field "text", and writes one JSON object a line, in order. A line
// that begins with '{' and is no such object is taken as text: a resident may well type a brace.
func (surveyParseCmd) Run(m *Main, cfg *Config) error {
	lexicon, err := openLexicon(cfg.Lexicon)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(m.In, 1<<16)
	out := bufio.NewWriter(m.Out)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			text := textOf(bytes.TrimRight(line, "\r\n"))
			v := lexicon.Read(text)
			p := parsed{Text: text, Label: string(v.Label), Why: v.Why}
			if v.Rating != 0 {
				p.Rating = &v.Rating
			}
			if err := enc.Encode(p); err != nil {
				return err
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return fmt.Errorf("read replies: %w", err)
			}
			return out.Flush()
		}
		// Whoever feeds lines one by one gets its answer at once; a file is written in big pieces.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// textOf is the text of a line: the field "text" of a JSON object that has one, else the line itself.
func textOf(line []byte) string {
	if t := bytes.TrimSpace(line); len(t) > 1 && t[0] == '{' {
		var obj struct {
			Text *string `json:"text"`
		}
		if json.Unmarshal(t, &obj) == nil && obj.Text != nil {
			return *obj.Text
		}
	}
	return string(line)
}
