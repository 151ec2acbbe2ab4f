package kannel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/kannel"
	"lianxin/storage"
	"lianxin/storage/storagetest"
)

// besideText is 52 UCS-2 units, one segment.
const besideText = "【本溪公安】请评价站前派出所11月22日110接处警服务：1满意2基本满意3不满意。拒收回T"

// BenchmarkBesideKannel sends b.N texts through Kannel and as many through our outbox, in one run on one machine:
// smsbox → bearerbox (spool store) → fakesmsc by 16 clients, against queueing, claiming, sending by the carrier of this
// package to an HTTP server that only says yes, and noting the outcome, with a synced commit before each step. It reports
// texts a second, CPU microseconds a text (Kannel: both boxes, not their clients nor fakesmsc; ours: the whole process with
// that server) and both as ratios. Run it with -benchtime 20000x.
func BenchmarkBesideKannel(b *testing.B) {
	theirRate, theirCPU := kannelRun(b, b.N)
	ourRate, ourCPU := ourRun(b, b.N)
	b.ReportMetric(theirRate, "kannel-texts/s")
	b.ReportMetric(ourRate, "our-texts/s")
	b.ReportMetric(ourRate/theirRate, "rate-ratio")
	b.ReportMetric(theirCPU, "kannel-cpu-µs/text")
	b.ReportMetric(ourCPU, "our-cpu-µs/text")
	b.ReportMetric(ourCPU/theirCPU, "cpu-ratio")
}

// The first "sent" of the page counts WAP datagrams.
var sentPattern = regexp.MustCompile(`SMS: received \d+ \(\d+ queued\), sent (\d+)`)

func kannelRun(b *testing.B, n int) (rate, cpu float64) {
	r := newRig(b, fakeGroup, "")
	start(b, b.TempDir(), nil, "/usr/lib/kannel/test/fakesmsc", "-v", "4", "-H", "127.0.0.1", "-r", fmt.Sprint(r.smscAt), "-i", "1", "-m", "0")
	waitFor(b, "fakesmsc", func() bool { return strings.Contains(r.status(), "(online") })
	sent := func() int {
		m := sentPattern.FindStringSubmatch(r.status())
		if m == nil {
			return 0
		}
		k, _ := strconv.Atoi(m[1])
		return k
	}
	before, began := cpuOf(b, r.boxes), time.Now()
	numbers := make(chan int)
	var wg sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	for range 16 {
		wg.Go(func() {
			for i := range numbers {
				q := url.Values{"username": {"u"}, "password": {"p"}, "from": {"1069012110"}, "to": {fmt.Sprintf("138%08d", i)}, "coding": {"2"}, "charset": {"UTF-8"}, "text": {besideText}}
				resp, err := client.Get(r.sendsms + "/cgi-bin/sendsms?" + q.Encode())
				if err != nil {
					b.Error(err)
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted {
					b.Errorf("sendsms answers %d", resp.StatusCode)
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
	for end := time.Now().Add(10 * time.Minute); sent() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("Kannel has sent %d of %d", sent(), n)
		}
	}
	return float64(n) / time.Since(began).Seconds(), (cpuOf(b, r.boxes) - before) / float64(n)
}

// cpuOf is what processes have used, in microseconds.
func cpuOf(b *testing.B, all []*process) (sum float64) {
	b.Helper()
	for _, p := range all {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		for _, i := range []int{11, 12} { // utime, stime, in hundredths of a second
			ticks, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += ticks * 10000
		}
	}
	return sum
}

func ownCPU() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
}

func ourRun(b *testing.B, n int) (rate, cpu float64) {
	yes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "0: Accepted for delivery")
	}))
	defer yes.Close()
	db := storagetest.SQLite(b)
	vault, err := contact.OpenVault(b.TempDir() + "/keys.json")
	if err != nil {
		b.Fatal(err)
	}
	carrier, err := kannel.New(kannel.Config{URL: yes.URL + "/cgi-bin/sendsms", Username: "u", Password: "p", From: "1069012110"})
	if err != nil {
		b.Fatal(err)
	}
	outbox := &sms.Outbox{DB: db, Vault: vault, Carriers: []sms.Carrier{carrier}}
	ctx, stop := context.WithCancel(context.Background())
	var sender sync.WaitGroup
	defer sender.Wait()
	defer stop()
	before, began := ownCPU(), time.Now()
	sender.Go(func() { outbox.Run(ctx) }) // it sends while texts are queued, as Kannel's boxes do
	var texts []sms.Message
	for i := 0; i < n; i += 200 { // as a morning does
		err := db.Update(context.Background(), func(tx *storage.Tx) error {
			texts = texts[:0]
			for j := i; j < min(n, i+200); j++ {
				p, err := contact.ParseMobile(fmt.Sprintf("138%08d", j))
				if err != nil {
					return err
				}
				texts = append(texts, sms.Message{Key: fmt.Sprintf("beside:%d", j), Campaign: "beside", Phone: p, Body: besideText})
			}
			_, queued, err := outbox.QueueAll(tx, texts)
			if err == nil && queued != len(texts) {
				err = fmt.Errorf("queued %d of %d", queued, len(texts))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	count := func(query string) (k int) {
		err := db.View(ctx, func(tx *storage.Tx) (err error) { k, err = storage.One(tx, storage.Value[int], query); return err })
		if err != nil {
			b.Fatal(err)
		}
		return k
	}
	for _, under := range []string{`state = 'queued'`, `campaign = 'beside' AND state = 'sending'`} { // the first is looked up, the second read from all texts
		for end := time.Now().Add(10 * time.Minute); count(`SELECT COUNT(*) FROM (SELECT 1 FROM sms WHERE `+under+` LIMIT 1) under_way`) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				b.Fatal("the texts are not sent")
			}
		}
	}
	rate, cpu = float64(n)/time.Since(began).Seconds(), (ownCPU()-before)/float64(n)
	if k := count(`SELECT COUNT(*) FROM sms WHERE campaign = 'beside' AND state = 'accepted'`); k != n {
		b.Fatalf("sent %d of %d", k, n)
	}
	return rate, cpu
}
