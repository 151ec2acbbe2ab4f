package classify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	encoding "lianxin/table"
)

// maxLine is the longest line Filter reads, in bytes.
const maxLine = 1 << 20

type request struct {
	Title *string `json:"title"`
	Text  *string `json:"text"`
}

type refusal struct {
	Error string `json:"error"`
	Line  int    `json:"line"`
}

// Filter reads JSON lines with "title" and "text" (one of them may be missing) and writes one JSON line for each with its Result. A line
// that is no such object gives {"error":…,"line":n}; empty lines are passed over. The error is one of r or w.
func (c *Classifier) Filter(r io.Reader, w io.Writer) error {
	in := bufio.NewReaderSize(r, 64<<10)
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		line, long, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("read line %d: %w", n, err), out.Flush())
		}
		var answer any
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		line = bytes.TrimSpace(line)
		switch {
		case long:
			answer = refusal{fmt.Sprintf("line longer than %d bytes", maxLine), n}
		case len(line) > 0:
			answer = c.answer(line, n)
		}
		if answer != nil {
			if werr := enc.Encode(answer); werr != nil {
				return fmt.Errorf("write answer to line %d: %w", n, werr)
			}
		}
		if in.Buffered() == 0 || err != nil { // a caller that waits for each answer gets it
			if werr := out.Flush(); werr != nil {
				return fmt.Errorf("write answer to line %d: %w", n, werr)
			}
		}
		if err != nil {
			return nil
		}
	}
}

// Filter is Classifier.Filter with the Standard classifier.
func Filter(r io.Reader, w io.Writer) error {
	c, err := Standard()
	if err != nil {
		return err
	}
	return c.Filter(r, w)
}

func (c *Classifier) answer(line []byte, n int) any {
	var q request
	line, err := encoding.UTF8(line)
	if err != nil {
		return refusal{"neither UTF-8 nor GB18030", n}
	}
	if err := json.Unmarshal(line, &q); err != nil {
		// The decoder's own words may quote the text, which may hold personal data.
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return refusal{"title and text must be strings in an object", n}
		}
		return refusal{"not a JSON object", n}
	}
	if q.Title == nil && q.Text == nil {
		return refusal{"neither title nor text", n}
	}
	title, text := "", ""
	if q.Title != nil {
		title = *q.Title
	}
	if q.Text != nil {
		text = *q.Text
	}
	return c.Classify(title, text)
}

// readLine returns the next line without keeping more than maxLine of it; long tells that it was longer.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine+1 {
			long = true
			line = line[:0]
		}
		if !long {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}
