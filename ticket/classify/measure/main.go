// Command measure judges lianxin/ticket/classify on a folder of labelled titles: accuracy, macro-F1, F1 of each domain, the confusion and
// how honest the confidences are. The folder holds police_titles_dev.csv (columns domain and title, others ignored) and, if the texts are
// to be used too, messages.jsonl (id, text). Nothing is learnt from it.
//
//	go run ./ticket/classify/measure [-texts] [-wrong] FOLDER
package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math"
	"os"
	"path/filepath"
	"time"

	"lianxin/ticket/classify"
)

type row struct{ id, title, text, domain string }

func main() {
	log.SetFlags(0)
	texts := flag.Bool("texts", false, "give the text of the message too, where messages.jsonl has it")
	wrong := flag.Bool("wrong", false, "print the titles that were judged wrongly")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: measure [-texts] [-wrong] FOLDER")
	}
	rows, err := read(flag.Arg(0), *texts)
	if err != nil {
		log.Fatal(err)
	}
	c, err := classify.Standard()
	if err != nil {
		log.Fatal(err)
	}
	judge(os.Stdout, c, rows, *wrong)
}

func read(folder string, texts bool) ([]row, error) {
	body := map[string]string{}
	if texts {
		var err error
		if body, err = messages(filepath.Join(folder, "messages.jsonl")); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(filepath.Join(folder, "police_titles_dev.csv"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil || len(all) < 2 {
		return nil, fmt.Errorf("read titles: %w", errors.Join(err, errors.New("no rows")))
	}
	col := map[string]int{}
	for i, name := range all[0] {
		col[name] = i
	}
	for _, name := range []string{"id", "domain", "title"} {
		if _, ok := col[name]; !ok {
			return nil, fmt.Errorf("no column %q", name)
		}
	}
	var out []row
	for _, r := range all[1:] {
		out = append(out, row{r[col["id"]], r[col["title"]], body[r[col["id"]]], r[col["domain"]]})
	}
	return out, nil
}

func messages(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]string{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var m struct {
			ID   json.RawMessage `json:"id"`
			Text string          `json:"text"`
		}
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		id := string(m.ID)
		if len(id) > 1 && id[0] == '"' {
			id = id[1 : len(id)-1]
		}
		out[id] = m.Text
	}
	return out, sc.Err()
}

func judge(w io.Writer, c *classify.Classifier, rows []row, wrong bool) {
	domains := classify.Domains()
	at := map[string]int{}
	for i, d := range domains {
		at[string(d)] = i
	}
	n := len(domains)
	confusion := make([][]int, n)
	for i := range confusion {
		confusion[i] = make([]int, n)
	}
	right, top3, withText, logLoss := 0, 0, 0, 0.0
	type bucket struct {
		n, right int
		conf     float64
	}
	buckets := make([]bucket, 10)
	began := time.Now()
	for _, r := range rows {
		want, ok := at[r.domain]
		if !ok {
			log.Fatalf("row %s: unknown domain %q", r.id, r.domain)
		}
		if r.text != "" {
			withText++
		}
		res := c.Classify(r.title, r.text)
		got := at[string(res.Domain)]
		confusion[want][got]++
		conf := res.Suggestions[0].Confidence
		b := &buckets[min(int(conf*10), 9)]
		b.n++
		b.conf += conf
		p := 0.001
		for _, s := range res.Suggestions {
			if string(s.Domain) == r.domain {
				top3++
				p = max(p, s.Confidence)
			}
		}
		logLoss -= math.Log(p)
		if got == want {
			right++
			b.right++
		} else if wrong {
			fmt.Fprintf(w, "%s -> %s %.2f  %s\n", domains[want], domains[got], conf, r.title)
		}
	}
	took := time.Since(began)
	fmt.Fprintf(w, "rows %d (%d with text)  accuracy %.3f  among the three %.3f  log loss %.3f  %.0f/s\n", len(rows), withText,
		share(right, len(rows)), share(top3, len(rows)), logLoss/float64(len(rows)), float64(len(rows))/took.Seconds())
	macro, present := 0.0, 0
	fmt.Fprintln(w, "domain\trows\tprecision\trecall\tF1")
	for d, name := range domains {
		rowsOf, said := 0, 0
		for i := range domains {
			rowsOf += confusion[d][i]
			said += confusion[i][d]
		}
		p, r := share(confusion[d][d], said), share(confusion[d][d], rowsOf)
		f1 := 0.0
		if p+r > 0 {
			f1 = 2 * p * r / (p + r)
		}
		if rowsOf > 0 {
			macro += f1
			present++
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\n", name, rowsOf, p, r, f1)
	}
	fmt.Fprintf(w, "macro-F1 %.3f over %d domains\nconfusion (row: label, column: suggested, in the order above)\n", macro/float64(max(present, 1)), present)
	for _, line := range confusion {
		for _, x := range line {
			fmt.Fprintf(w, "%5d", x)
		}
		fmt.Fprintln(w)
	}
	ece := 0.0
	fmt.Fprintln(w, "confidence\trows\tmean\tright")
	for i, b := range buckets {
		if b.n > 0 {
			mean, hit := b.conf/float64(b.n), share(b.right, b.n)
			ece += math.Abs(mean-hit) * float64(b.n) / float64(len(rows))
			fmt.Fprintf(w, "%.1f–%.1f\t%d\t%.2f\t%.2f\n", float64(i)/10, float64(i+1)/10, b.n, mean, hit)
		}
	}
	fmt.Fprintf(w, "expected calibration error %.3f\n", ece)
}

func share(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
