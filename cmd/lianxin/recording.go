package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/workday"
)

type recordingCmd struct {
	List      recordingListCmd      `cmd:"" help:"List the recordings of a day."`
	Export    recordingExportCmd    `cmd:"" help:"Write the recording of a call as a WAV file, for somebody who may; logged."`
	Verify    recordingVerifyCmd    `cmd:"" help:"Compare recordings with their hashes in the record and the audit log; exit 1 if one differs."`
	Retention recordingRetentionCmd `cmd:"" help:"Show which recordings' time is over; --apply removes them, as the server does every night."`
	Hold      recordingHoldCmd      `cmd:"" help:"Keep the recording of a call beyond its time, or let it go again (--release)."`
}

// recordings is what the commands below work with, beside a running server too.
type recordings struct {
	db    *storage.DB
	calls ivr.Calls
	dir   string
	book  *contact.Book
}

func openRecordings(ctx context.Context, cfg *Config) (*recordings, error) {
	db, err := openExisting(ctx, cfg)
	if err != nil {
		return nil, err
	}
	vault, err := contact.OpenVault(filepath.Join(cfg.Data, keysFile))
	if err != nil {
		db.Close()
		return nil, err
	}
	return &recordings{db: db, calls: ivr.Calls{Vault: vault}, dir: filepath.Join(cfg.Data, recordingsDir), book: &contact.Book{Vault: vault}}, nil
}

func (r *recordings) close() { r.db.Close() }

// retention is the rule by which recordings are removed.
func (cfg *Config) retention(db *storage.DB, calls ivr.Calls, office *ticket.Office) ivr.Retention {
	day := 24 * time.Hour
	return ivr.Retention{DB: db, Calls: calls, Office: office, Dir: filepath.Join(cfg.Data, recordingsDir),
		Keep: time.Duration(cfg.RecordingDays) * day, Linked: time.Duration(cfg.RecordingLinked) * day,
		Traces: time.Duration(cfg.TraceDays) * day, Packets: cfg.packets(calls.Vault), KeepPackets: 7 * day}
}

type recordingListCmd struct{ ofDay }

func (c *recordingListCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	return c.each(ctx, m, cfg, func(x ivr.Record) []any {
		state := "ok"
		switch {
		case !x.RecordingGone.IsZero():
			state = "removed " + x.RecordingGone.In(workday.Zone).Format("2006-01-02") + ": " + x.RecordingGoneWhy
		case x.Recording == "" && x.RecordingFault == "":
			state = "none"
		case x.RecordingFault != "":
			state = "fault: " + x.RecordingFault
		case x.Ended.IsZero():
			state = "going on"
		case x.RecordingHold != "":
			state = "held: " + x.RecordingHold
		}
		return []any{x.RecordingTime.Round(time.Second), x.RecordingBytes, state}
	})
}

type recordingExportCmd struct {
	ID     string `arg:"" help:"Id of the call."`
	File   string `arg:"" help:"WAV file to write; must not exist." type:"path"`
	Reason string `required:"" help:"Why it leaves the house; kept in the audit log."`
	Login  string `required:"" help:"Who takes it: an account that may export recordings; its password is read from the terminal or standard input."`
}

func (c *recordingExportCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	if strings.TrimSpace(c.Reason) == "" {
		return errors.New("--reason is empty")
	}
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	who, err := m.signIn(ctx, r.db, c.Login, org.ExportCalls)
	if err != nil {
		return err
	}
	if err := r.mayHear(ctx, c.ID, who); errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("there is no call %s that %s may hear", c.ID, c.Login)
	} else if err != nil {
		return err
	}
	var call ivr.Record
	err = r.db.View(ctx, func(tx *storage.Tx) (err error) { call, err = r.calls.Get(tx, c.ID); return err })
	if err != nil {
		return err
	}
	player, err := r.calls.OpenRecording(r.dir, call)
	if err != nil {
		return err
	}
	defer player.Close()
	out, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// Written down before the sound is in anybody's hands.
	err = r.db.Update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "call/" + call.ID, Type: "call.recording_exported", Actor: who.Actor(), Payload: map[string]any{"reason": c.Reason}})
		return err
	})
	var n int64
	if err == nil {
		n, err = io.Copy(out, player)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(c.File)
		return err
	}
	fmt.Fprintf(m.Out, "wrote %s: %v, %d bytes; the export is in the audit log\n", c.File, call.RecordingTime.Round(time.Second), n)
	return nil
}

// mayHear is storage.ErrNotFound when the caller is not for who's ears: a voice tells who it is.
func (r *recordings) mayHear(ctx context.Context, id string, who org.Staff) error {
	return r.db.View(ctx, func(tx *storage.Tx) error {
		call, err := r.calls.Get(tx, id)
		if err != nil || call.TicketID == "" {
			return err
		}
		office, err := ticket.NewOffice(r.book)
		if err != nil {
			return err
		}
		t, err := office.See(tx, call.TicketID, ticket.Staff(who))
		if err == nil && t.Confidential && !office.KnowsCitizen(t, ticket.Staff(who)) {
			err = storage.ErrNotFound
		}
		return err
	})
}

// signIn asks for the password of an account that may do a.
func (m *Main) signIn(ctx context.Context, db *storage.DB, login string, a org.Action) (org.Staff, error) {
	password, err := m.secret("password of " + login + ": ")
	if err != nil {
		return org.Staff{}, err
	}
	s, err := org.SignIn(ctx, db, login, password)
	if err != nil {
		return s, fmt.Errorf("sign in as %s: %w", login, err)
	}
	if !s.Can(a) {
		return s, fmt.Errorf("%s (%s) may not: %s", login, s.Role, a.Label())
	}
	return s, nil
}

type recordingVerifyCmd struct {
	IDs []string    `arg:"" optional:"" help:"Ids of calls; all of --day when left out."`
	Day workday.Day `help:"Day of the calls, YYYY-MM-DD; today when left out."`
}

func (c *recordingVerifyCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	if c.Day.IsZero() {
		c.Day = workday.DayOf(time.Now())
	}
	good, bad := 0, 0
	err = r.db.View(ctx, func(tx *storage.Tx) error {
		var list []ivr.Record
		for _, id := range c.IDs {
			x, err := r.calls.Get(tx, id)
			if err != nil {
				return err
			}
			list = append(list, x)
		}
		for offset := 0; len(c.IDs) == 0; offset += 500 {
			page, _, err := r.calls.List(tx, ivr.Filter{From: c.Day.Start(), To: c.Day.End(), Limit: 500, Offset: offset})
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			list = append(list, page...)
		}
		for _, x := range list {
			if x.Recording == "" || !x.RecordingGone.IsZero() || x.Ended.IsZero() {
				continue
			}
			if err := r.calls.VerifyRecording(tx, r.dir, x); err != nil {
				bad++
				fmt.Fprintf(m.Out, "BROKEN %s: %v\n", x.ID, err)
				continue
			}
			good++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if bad > 0 {
		fmt.Fprintf(m.Out, "%d of %d recordings are not what was recorded\n", bad, bad+good)
		return errSaid
	}
	fmt.Fprintf(m.Out, "ok: %d recordings are what was recorded\n", good)
	return nil
}

type recordingRetentionCmd struct {
	Apply bool `help:"Remove them now."`
}

func (c *recordingRetentionCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	office, err := ticket.NewOffice(r.book)
	if err != nil {
		return err
	}
	rule := cfg.retention(r.db, r.calls, office)
	if rule.Keep <= 0 {
		fmt.Fprintln(m.Out, "--recording-days is 0: recordings are kept for ever")
		return nil
	}
	var list []ivr.Expired
	if c.Apply {
		list, err = rule.Run(ctx, cli)
	} else {
		list, err = rule.Preview(ctx)
	}
	var bytes int64
	for _, e := range list {
		bytes += e.Bytes
		fmt.Fprintf(m.Out, "%s  %s  %d bytes  %s\n", e.CallID, e.Started.In(workday.Zone).Format("2006-01-02"), e.Bytes, e.Why)
	}
	what := "would be removed"
	if c.Apply {
		what = "removed; their records stay"
	}
	fmt.Fprintf(m.Out, "%d recordings, %d MiB: %s\n", len(list), bytes>>20, what)
	return err
}

type recordingHoldCmd struct {
	ID      string `arg:"" help:"Id of the call."`
	Reason  string `help:"Why it is kept."`
	Release bool   `help:"Let it go again."`
}

func (c *recordingHoldCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	if c.Release == (strings.TrimSpace(c.Reason) != "") {
		return errors.New("give --reason, or --release")
	}
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	return r.db.Update(ctx, func(tx *storage.Tx) error { return r.calls.Hold(tx, c.ID, strings.TrimSpace(c.Reason), cli) })
}
