package grade

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lianxin/table"
	"lianxin/workday"
)

var zone = workday.Zone

// Output is one line that the filter writes.
type Output struct {
	Colour  Colour         `json:"colour"`
	Event   int            `json:"event"`
	Person  int            `json:"person"`
	Factors []OutputFactor `json:"factors"`
}

// OutputFactor is a factor as the filter writes it.
type OutputFactor struct {
	Factor   string `json:"factor"`
	Points   int    `json:"points"`
	Evidence string `json:"evidence"`
}

// Refused is the line that the filter writes for one it cannot read.
type Refused struct {
	Error string `json:"error"`
	Line  int    `json:"line"`
}

// Output is the verdict as the filter writes it.
func (v Verdict) Output() Output {
	o := Output{Colour: v.Colour, Event: v.Event, Person: v.Person, Factors: make([]OutputFactor, 0, len(v.Factors))}
	for _, f := range v.Factors {
		o.Factors = append(o.Factors, OutputFactor{f.Name, f.Points, f.Evidence})
	}
	return o
}

// maxLine is the longest line the filter reads, in bytes.
const maxLine = 8 << 20

// Filter grades JSON lines: see Grader.Filter.
func Filter(r io.Reader, w io.Writer) error { return Grader{}.Filter(r, w) }

// Filter reads cases, one JSON object a line, and writes a verdict for each, in order. For a line that is no case it writes an error that names
// the line, and goes on; empty lines are passed over. It returns only errors of reading and writing.
func (g Grader) Filter(r io.Reader, w io.Writer) error {
	in := bufio.NewReaderSize(r, 64<<10)
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		line, long, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("grade: read line %d: %w", n, err), out.Flush())
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var answer any
			var c Case
			text, fault := table.UTF8(line)
			if fault == nil {
				fault = json.Unmarshal(text, &c)
			}
			switch {
			case long:
				answer = Refused{fmt.Sprintf("line %d: longer than %d bytes", n, maxLine), n}
			case fault != nil:
				if line[0] != '{' {
					fault = errors.New("not a JSON object")
				}
				answer = Refused{fmt.Sprintf("line %d: %v", n, fault), n}
			default:
				answer = g.Grade(c).Output()
			}
			if err := enc.Encode(answer); err != nil {
				return fmt.Errorf("grade: write the answer to line %d: %w", n, err)
			}
			if in.Buffered() == 0 { // somebody may be waiting at the other end of the pipe
				if err := out.Flush(); err != nil {
					return fmt.Errorf("grade: write the answer to line %d: %w", n, err)
				}
			}
		}
		if err != nil {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("grade: write: %w", err)
			}
			return nil
		}
	}
}

// readLine reads one line; of a line that is too long it keeps the start.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			long = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}
