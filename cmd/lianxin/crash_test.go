package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lianxin/sip/media"
	"lianxin/workday"
)

func TestKilledInTheMiddleOfACallItClosesTheRecordTruthfullyAndOwesACallBack(t *testing.T) {
	t.Parallel()
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t), rtp: "28000-28099"}
	p.begin()
	t.Cleanup(func() { p.kill() })
	sound, err := media.NewEngine(media.Config{PortLow: 28200, PortHigh: 28399})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	operator := p.operator(ctx, "8001", sound)
	caller := p.caller(ctx, "19900008001", sound)
	p.reaches(ctx, caller, operator)
	p.goesOn(ctx, caller, 100)
	heard := time.Duration(caller.Leg().Stats().PacketsIn) * 20 * time.Millisecond
	p.kill()

	p.begin()
	api := p.api()
	var calls struct {
		Items []struct {
			Disposition, Ended string
			RecordingMS        int64  `json:"recording_ms"`
			TicketID           string `json:"ticket_id"`
			EndedBy            string `json:"ended_by"`
		}
	}
	api.ask("GET", "/api/v1/calls", nil, nil, &calls)
	if len(calls.Items) != 1 {
		t.Fatalf("%d calls on record, want 1", len(calls.Items))
	}
	c := calls.Items[0]
	if c.Disposition == "" || c.Ended == "" || c.EndedBy != "crash" {
		t.Errorf("the record is not closed truthfully: %+v", c)
	}
	if c.TicketID == "" {
		t.Errorf("the call has no ticket: %+v", c)
	}
	if got := time.Duration(c.RecordingMS) * time.Millisecond; got < heard-1500*time.Millisecond {
		t.Errorf("the recording holds %v of a call of which the citizen heard %v", got, heard)
	}
	if status, out, errs := run(t, "", "audit", "verify", "--data", p.dir); status != 0 {
		t.Errorf("audit verify after the crash: %s%s", out, errs)
	}
}

func TestKilledInTheMiddleOfAMorningItSendsEveryTextOnce(t *testing.T) {
	t.Parallel()
	p := &process{t: t, dir: filepath.Join(t.TempDir(), "data"), http: freePort(t), sip: freePort(t), rtp: "28100-28199"}
	p.begin()
	t.Cleanup(func() { p.kill() })
	day := workday.DayOf(time.Now()).Add(-1).String()
	status, out, errs := run(t, "", "survey", "run", "--data", p.dir, "--sms-window", "00:00-24:00", "--day", day)
	if status != 0 {
		t.Fatalf("survey run: %s%s", out, errs)
	}
	var asked int
	if _, rest, ok := strings.Cut(out, " records = "); ok {
		fmt.Sscan(rest, &asked)
	}
	if asked < 20 {
		t.Fatalf("%d asked: %s", asked, out)
	}
	for range 3 { // forty texts a second: the morning takes seconds. What a killed sender had claimed goes out when its lease ends
		time.Sleep(600 * time.Millisecond)
		p.kill()
		p.begin()
	}
	api := p.api()
	var done struct{ Count map[string]int }
	end := time.Now().Add(2 * time.Minute)
	for {
		api.ask("GET", "/api/v1/surveys/"+day, nil, nil, &done)
		if done.Count["delivered"] == asked {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("of %d asked: %v", asked, done.Count)
		}
		time.Sleep(200 * time.Millisecond)
	}
	db, err := openFile(filepath.Join(p.dir, "lianxin.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var texts, handsets int
	if err := db.QueryRow(`SELECT COUNT(*), COUNT(DISTINCT phone_hash) FROM sim_text`).Scan(&texts, &handsets); err != nil {
		t.Fatal(err)
	}
	if texts != asked || handsets != asked {
		t.Errorf("the carrier has %d texts to %d handsets, want %d: one each", texts, handsets, asked)
	}
}
