package survey

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// longestPush is the most a source system may push at once; a day of a city is far smaller.
const longestPush = 64 << 20

// Push is the handler by which source systems push records: POST with a body of CSV (text/csv), a workbook, or JSON lines
// (application/x-ndjson or application/json, one object a line, or one array), the keys being the headers of the files.
// Who may call it is the business of whoever puts it behind a path; by is that one, as an actor.
//
// The answer is 200 with what became of the lines, the same again for a body that was pushed before; 400 for a body that
// cannot be read, with the reason; 413 for one that is too long. Refused lines are told by number and code, without a word
// of what stood in them. The query dry=1 keeps nothing, class=… names the class of every line.
func (s *Survey) Push(w http.ResponseWriter, r *http.Request, by string) {
	fail := func(status int, code string, err error) {
		writeJSON(w, status, map[string]any{"error": code, "detail": err.Error()})
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(http.StatusMethodNotAllowed, "method", errors.New("push with POST"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestPush))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		fail(http.StatusRequestEntityTooLarge, "too_long", fmt.Errorf("more than %d bytes", big.Limit))
		return
	case err != nil:
		fail(http.StatusBadRequest, "body", errors.New("the body broke off"))
		return
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	table := body
	if kind == "application/json" || strings.HasSuffix(kind, "ndjson") || strings.HasSuffix(kind, "jsonl") || strings.HasSuffix(kind, "json-seq") {
		if table, err = jsonTable(body); err != nil {
			fail(http.StatusBadRequest, "json", err)
			return
		}
	}
	opt := ImportOptions{Class: r.URL.Query().Get("class"), DryRun: r.URL.Query().Get("dry") == "1", By: by}
	var out Imported
	again := false
	if opt.DryRun {
		out, err = s.Import(r.Context(), bytes.NewReader(table), "push", opt)
	} else {
		sum := sha256.Sum256(append([]byte(opt.Class+"\n"), body...))
		out, again, err = s.takeOnce(r.Context(), "push", "push", hex.EncodeToString(sum[:]), bytes.NewReader(table), opt)
	}
	switch {
	case errors.Is(err, errStore) || err != nil && r.Context().Err() != nil:
		s.log().Error("take in pushed records", "error", err)
		fail(http.StatusServiceUnavailable, "later", errors.New("push it again"))
		return
	case err != nil:
		fail(http.StatusBadRequest, "table", err)
		return
	}
	type line struct {
		Line   int    `json:"line"`
		ID     string `json:"id,omitempty"`
		State  string `json:"state"`
		Code   string `json:"code"`
		Reason string `json:"reason"`
	}
	lines := make([]line, 0, len(out.Notable))
	for _, l := range out.Notable {
		lines = append(lines, line{l.Number, l.SourceID, l.Outcome, l.Code, l.Reason})
	}
	writeJSON(w, http.StatusOK, map[string]any{"import": out.ID, "again": again, "lines": out.Lines, "accepted": out.Accepted, "known": out.Known,
		"corrected": out.Corrected, "refused": out.Refused, "notable": lines})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who does not read the answer pushes again
}

// jsonTable makes a table of objects: a header of all keys, a line per object, so that line 2 is the first object.
func jsonTable(body []byte) ([]byte, error) {
	var objects []map[string]any
	d := json.NewDecoder(bufio.NewReader(bytes.NewReader(body)))
	d.UseNumber()
	for n := 1; ; n++ {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		var list []map[string]any
		if err == nil && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
			err = decode(raw, &list)
		} else if err == nil {
			list = make([]map[string]any, 1)
			err = decode(raw, &list[0])
		}
		if err != nil {
			return nil, fmt.Errorf("object %d is not JSON that can be read", n) // the error of the parser may quote it
		}
		objects = append(objects, list...)
	}
	at := map[string]int{}
	for _, o := range objects {
		for k := range o {
			at[k] = 0
		}
	}
	header := slices.Sorted(maps.Keys(at))
	for i, k := range header {
		at[k] = i
	}
	var b bytes.Buffer
	c := csv.NewWriter(&b)
	if err := c.Write(header); err != nil {
		return nil, err
	}
	for n, o := range objects {
		cells := make([]string, len(header))
		for k, v := range o {
			switch v := v.(type) {
			case nil:
			case string:
				cells[at[k]] = oneLine.Replace(v)
			case json.Number:
				cells[at[k]] = v.String()
			case bool:
				cells[at[k]] = strconv.FormatBool(v)
			default:
				return nil, fmt.Errorf("object %d: %s is neither text nor number", n+1, k)
			}
		}
		if err := c.Write(cells); err != nil {
			return nil, err
		}
	}
	c.Flush()
	return b.Bytes(), c.Error()
}

// oneLine keeps line n the object n-1.
var oneLine = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}
