package survey_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/sms/sim"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/survey"
	"lianxin/workday"
)

// The test binary starts itself again with these in the environment, to be killed.
const (
	childDSN     = "LIANXIN_CRASH_DSN"
	childKeys    = "LIANXIN_CRASH_KEYS"
	childRecords = "LIANXIN_CRASH_RECORDS"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDSN) != "" {
		if err := liveMorning(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// slow is a carrier that takes its time, so that a kill often falls into a call.
type slow struct{ *sim.Carrier }

func (s slow) Send(ctx context.Context, m sms.Message) (sms.Sent, error) {
	time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	sent, err := s.Carrier.Send(ctx, m)
	time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond) // taken, but not yet told
	return sent, err
}

// liveMorning is a whole morning as the program lives it: import, run, send, until every text is on its handset.
func liveMorning() error {
	ctx := context.Background()
	db, err := storage.Open(ctx, os.Getenv(childDSN))
	if err != nil {
		return err
	}
	defer db.Close()
	v, err := contact.OpenVault(os.Getenv(childKeys))
	if err != nil {
		return err
	}
	c := &sim.Carrier{DB: db, Vault: v}
	o := &sms.Outbox{DB: db, Carriers: []sms.Carrier{slow{c}}, Vault: v, Signature: "本溪公安",
		Limits: sms.Limits{PerSecond: 25, Workers: 4, SendTimeout: 500 * time.Millisecond, Lease: 1500 * time.Millisecond, Settle: 200 * time.Millisecond, Idle: 50 * time.Millisecond}}
	s := &survey.Survey{DB: db, Book: &contact.Book{Vault: v}, Outbox: o}
	c.Receipts = o.Receipt
	fmt.Println("alive")
	f, err := os.Open(os.Getenv(childRecords))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := s.Import(ctx, f, "records.csv", survey.ImportOptions{}); err != nil {
		return err
	}
	// Yesterday as the records have it: midnight may pass while the test is under way.
	day, err := workday.ParseDay(strings.TrimSuffix(filepath.Base(f.Name()), ".csv"))
	if err != nil {
		return err
	}
	if _, err := s.Run(ctx, day, survey.RunOptions{}); err != nil {
		return err
	}
	for {
		if _, err := o.Flush(ctx); err != nil {
			return err
		}
		if _, err := c.Flush(ctx); err != nil {
			return err
		}
		open := 0
		err := db.View(ctx, func(tx *storage.Tx) (err error) {
			open, err = storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM sms WHERE state NOT IN ('delivered', 'failed', 'expired', 'cancelled')`)
			return err
		})
		if err != nil || open == 0 {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A morning is killed with kill -9 at least a dozen times, anywhere: no text is on a handset twice, none is lost.
func TestMorningSurvivesKill9(t *testing.T) {
	t.Parallel()
	dsn := map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "lianxin.db") },
		"postgres": func(t *testing.T) string { return storagetest.PostgresURL(t) },
	}
	for engine, at := range dsn {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			killMornings(t, at(t))
		})
	}
}

func killMornings(t *testing.T, dsn string) {
	const (
		persons = 300
		kills   = 8
	)
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.json")
	ctx := context.Background()
	db, err := storage.Open(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := openHouse(t, db, keys, true)
	day := workday.DayOf(time.Now()).Add(-1)
	file := filepath.Join(dir, day.String()+".csv")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(records(0, persons), "2026-11-22", day.String())), 0o600); err != nil {
		t.Fatal(err)
	}
	done, killed := false, 0
	for life := 0; killed < kills || !done; life++ {
		if done {
			t.Fatalf("the morning was over after %d kills; give it more persons", killed)
		}
		if life > 200 {
			t.Fatal("the morning makes no progress")
		}
		after := time.Duration(10+rand.IntN(800)) * time.Millisecond
		if life < 3 {
			after = time.Duration(1+rand.IntN(60)) * time.Millisecond // into the import and the run
		}
		if killed >= kills {
			after = 5 * time.Minute
		}
		wasKilled, err := liveAndDie(dsn, keys, file, after)
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		if wasKilled {
			killed++
		} else {
			done = true
		}
	}
	texts := 0
	for i := range persons {
		all, err := h.sim.Handset(ctx, h.phone(fmt.Sprintf("199%08d", i)))
		if err != nil || len(all) != 1 || all[0].State != "delivered" {
			t.Errorf("handset %d has %d texts, %v, %v", i, len(all), all, err)
		}
		texts += len(all)
	}
	err = db.View(ctx, func(tx *storage.Tx) error {
		f, err := h.survey.Day(tx, day)
		if c := f.Whole.Count; err != nil || c[survey.Planned] != persons || c[survey.Delivered] != persons {
			t.Errorf("figures %v, %v", c, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills, %d texts to %d persons", killed, texts, persons)
}

// liveAndDie starts a morning and kills it after a time, counted from its first words, unless it is over before.
func liveAndDie(dsn, keys, file string, after time.Duration) (killed bool, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDSN+"="+dsn, childKeys+"="+keys, childRecords+"="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	_, _ = out.Read(make([]byte, 64)) // "alive", or the end
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	killed = !timer.Stop()
	if killed {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w\n%s", err, stderr.String())
	}
	return false, nil
}
