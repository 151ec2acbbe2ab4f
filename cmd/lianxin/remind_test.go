package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/city"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/workday"
)

// A bureau that wants reminders says so in its file; the dry runs tell of them, and the server sends one to who is silent, once,
// over a restart.
func TestTheServerRemindsTheSilentOnceWhereTheFileSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := defaults(t, dir)
	cfg.Classes = filepath.Join(dir, "survey.yaml")
	text := strings.Replace(survey.StandardText(), "template: visit, priority: 40", "template: visit, priority: 40, reminder: {after: 24h}", 1)
	if err := os.WriteFile(cfg.Classes, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	c, err := openRooms(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := city.Load(ctx, c.db, city.Options{Book: c.book, Password: "remind-test"}); err != nil { // the units, without the sample's records
		t.Fatal(err)
	}
	yesterday := workday.DayOf(time.Now()).Add(-1)
	records := fmt.Sprintf("业务类别,业务流水号,办理时间,姓名,电话,单位,事项\n户政,R-1,%s 10:00:00,甲,19900000001,站前派出所,身份证换领\n", yesterday)
	if sum, err := c.survey.Import(ctx, strings.NewReader(records), "r.csv", survey.ImportOptions{}); err != nil || sum.Accepted != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	var line string
	if _, err := c.survey.Run(ctx, yesterday, survey.RunOptions{DryRun: true, Decision: func(d survey.Decision) { line = d.String() }}); err != nil || !strings.Contains(line, "24小时未回复的提醒一次") {
		t.Errorf("the dry run of the morning says %q, %v", line, err)
	}
	if res, err := c.survey.Run(ctx, yesterday, survey.RunOptions{}); err != nil || res.Asked != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	// A day passes.
	err = c.db.Update(ctx, func(tx *storage.Tx) error {
		ago := storage.At(time.Now().Add(-25 * time.Hour))
		if _, err := tx.Exec(`UPDATE survey_ask SET asked_at = $1`, ago); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE sms SET state = 'delivered', due = NULL, tried_at = $1, accepted_at = $1`, ago)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.db.Close()
	var out bytes.Buffer
	if err := (&surveyRemindCmd{DryRun: true}).Run(ctx, &Main{Out: &out, Err: &out}, cfg); err != nil || !strings.Contains(out.String(), "1 reminded") || strings.Contains(out.String(), "19900000001") {
		t.Errorf("survey remind --dry-run: %s, %v", out.String(), err)
	}
	reminders := func(u *up) (got []sms.Message) {
		if err := u.c.db.View(ctx, func(tx *storage.Tx) (err error) {
			got, _, err = u.c.outbox.List(tx, sms.Filter{Campaign: survey.Campaign(yesterday)})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	u := start(t, cfg)
	u.until("the reminder is delivered", func() bool {
		got := reminders(u)
		return len(got) == 2 && got[0].State == sms.Delivered && got[1].State == sms.Delivered
	})
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	u = start(t, cfg)
	if _, err := u.c.survey.Remind(ctx, survey.RemindOptions{}); err != nil || len(reminders(u)) != 2 {
		t.Errorf("after a restart: %d texts, %v", len(reminders(u)), err)
	}
}
