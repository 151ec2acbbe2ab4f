package console

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/org"
)

// BenchmarkReception measures how long a request takes from the moment a channel sends it until the centre's list shows it (CH-15: p95 below
// two seconds), while new ones come at a steady rate, faster than any city's. Use -benchtime 3000x.
func BenchmarkReception(b *testing.B) {
	const rate = 50 // requests a second
	h := newHouse(b)
	send, read := h.token(org.Supervisor), h.token(org.Supervisor)
	streets := []string{"解放路", "胜利街", "东明路", "峪明路", "滨河北路", "人民路"}
	matters := []string{"夜里噪音大", "占道停车没人管", "户口迁移材料反复补", "驾驶证换证排队太久", "报警后没有回音", "路口信号灯坏了"}
	ask := func(r *http.Request, token string) (string, error) {
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode >= 300 {
			err = fmt.Errorf("%s %s: %s %s", r.Method, r.URL.Path, res.Status, body)
		}
		return string(body), err
	}
	one := func(i int) error {
		body, _ := json.Marshal(map[string]string{"channel": []string{"12345", "web", "mini"}[i%3], "title": streets[i%6] + matters[i/6%6],
			"body": fmt.Sprintf("%s%d号附近%s，希望尽快处理。", streets[i%6], i, matters[i/6%6]), "phone": "138" + strconv.Itoa(10000000+i)})
		r, err := http.NewRequest("POST", h.http.URL+"/api/v1/tickets", strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "reception-"+strconv.Itoa(i))
		answer, err := ask(r, send)
		if err != nil {
			return err
		}
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(answer), &made); err != nil || made.ID == "" {
			return fmt.Errorf("no id in %s", answer)
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			r, err := http.NewRequest("GET", h.http.URL+"/api/v1/tickets?order=newest&limit=50", nil)
			if err != nil {
				return err
			}
			list, err := ask(r, read)
			if err != nil || strings.Contains(list, made.ID) {
				return err
			}
		}
		return fmt.Errorf("%s is in no list after a minute", made.ID)
	}
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	b.ResetTimer()
	for i := range b.N {
		<-tick.C
		h.pass(time.Second / rate) // the newest stand first
		wg.Go(func() {
			sent := time.Now()
			if err := one(i); err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(sent))
		})
	}
	wg.Wait()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.95), "p95-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "most-ms")
}
