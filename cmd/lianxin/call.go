package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"lianxin/audit"
	"lianxin/console"
	"lianxin/ivr"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

type callCmd struct {
	List    callListCmd    `cmd:"" help:"List the calls of a day."`
	Show    callShowCmd    `cmd:"" help:"Draw the ladder of a call, up or over: messages of every leg, what was decided, media figures."`
	Capture callCaptureCmd `cmd:"" help:"Keep the packets of a call that is up, or of the next one (--next); needs the running server."`
	Pcap    callPcapCmd    `cmd:"" help:"Write the packets of a captured call as a pcap file, for somebody who may; logged."`
	Export  callExportCmd  `cmd:"" help:"Write the records of calls (CDR) as CSV, for somebody who may; logged."`
}

// ofDay are the calls of a day, as both lists of calls and of recordings ask for them.
type ofDay struct {
	Day workday.Day `help:"Day of the calls, YYYY-MM-DD; today when left out."`
}

// each prints a line for every call of the day, in columns.
func (o ofDay) each(ctx context.Context, m *Main, cfg *Config, line func(ivr.Record) []any) error {
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	if o.Day.IsZero() {
		o.Day = workday.DayOf(time.Now())
	}
	w := tabwriter.NewWriter(m.Out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	return r.db.View(ctx, func(tx *storage.Tx) error {
		for offset := 0; ; offset += 500 {
			list, _, err := r.calls.List(tx, ivr.Filter{From: o.Day.Start(), To: o.Day.End(), Limit: 500, Offset: offset})
			if err != nil || len(list) == 0 {
				return err
			}
			for _, x := range list {
				fmt.Fprintf(w, "%s\t%s\t%s", x.ID, x.Started.In(workday.Zone).Format("15:04:05"), x.Label())
				for _, cell := range line(x) {
					fmt.Fprintf(w, "\t%v", cell)
				}
				fmt.Fprintln(w)
			}
		}
	})
}

type callListCmd struct{ ofDay }

func (c *callListCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	return c.each(ctx, m, cfg, func(x ivr.Record) []any {
		state := string(x.Disposition)
		if x.Ended.IsZero() {
			state = "up"
		}
		return []any{state, x.Operator, x.Wait.Round(time.Second), x.Talk.Round(time.Second)}
	})
}

type callShowCmd struct {
	ID   string `arg:"" help:"Id of the call."`
	JSON bool   `name:"json" help:"As JSON, as the API gives it."`
}

// Run reads the call from the database; the ladder of a call that is still up the running server has.
func (c *callShowCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	var call ivr.Record
	var trace ivr.Trace
	var parts ivr.Parts
	err = r.db.View(ctx, func(tx *storage.Tx) (err error) {
		if call, err = r.calls.Get(tx, c.ID); err != nil {
			return err
		}
		if parts, err = r.calls.Parts(tx, c.ID); err != nil {
			return err
		}
		if trace, err = r.calls.Trace(tx, c.ID); errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("there is no call %s", c.ID)
	}
	if err != nil {
		return err
	}
	if call.Ended.IsZero() {
		var live console.TraceOut
		if err := cfg.ask(ctx, http.MethodGet, "/api/v1/calls/"+c.ID+"/trace", nil, &live); err != nil {
			fmt.Fprintln(m.Err, "lianxin: the call is up, and its server cannot be asked:", err)
		} else {
			trace.Legs, call.Steps = live.Legs, live.Steps
			trace.CallID = call.ID
		}
	}
	if c.JSON {
		out := json.NewEncoder(m.Out)
		out.SetIndent("", "  ")
		return out.Encode(console.TraceOf(call, parts, trace))
	}
	call.Started = call.Started.In(workday.Zone)
	return trace.WriteText(m.Out, call, parts)
}

// ask asks the running server with the token of the data folder.
func (cfg *Config) ask(ctx context.Context, method, path string, in, out any) error {
	token := cfg.APIToken
	if token == "" {
		b, err := os.ReadFile(filepath.Join(cfg.Data, tokenFile))
		if err != nil {
			return err
		}
		token = strings.TrimSpace(string(b))
	}
	scheme := "http"
	if cfg.TLSCert != "" {
		scheme = "https"
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, scheme+"://"+hostPort(cfg.HTTP)+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		var problem struct {
			Detail string `json:"detail"`
		}
		if json.Unmarshal(b, &problem) == nil && problem.Detail != "" {
			return errors.New(problem.Detail)
		}
		return fmt.Errorf("the server answers %s", res.Status)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

type callCaptureCmd struct {
	ID     string        `arg:"" optional:"" help:"Id of a call that is up."`
	Next   bool          `help:"The next call that comes in."`
	From   string        `help:"With --next: only from a number that ends in these digits."`
	Within time.Duration `help:"With --next: how long the order holds." default:"1h"`
	Reason string        `required:"" help:"Why; kept in the audit log."`
}

func (c *callCaptureCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	if c.Next == (c.ID != "") {
		return errors.New("give the id of a call that is up, or --next")
	}
	in := map[string]any{"reason": c.Reason}
	if c.Next {
		in["from"], in["minutes"] = c.From, max(1, int(c.Within.Minutes()))
	} else {
		in["call_id"] = c.ID
	}
	if err := cfg.ask(ctx, http.MethodPost, "/api/v1/captures", in, nil); err != nil {
		return fmt.Errorf("order a capture: %w", err)
	}
	fmt.Fprintln(m.Out, "ordered: when the call is over, `lianxin call pcap ID FILE` writes its packets")
	return nil
}

type callPcapCmd struct {
	ID     string `arg:"" help:"Id of the call."`
	File   string `arg:"" help:"pcap file to write; must not exist." type:"path"`
	Reason string `required:"" help:"Why; kept in the audit log."`
	Login  string `required:"" help:"Who takes it; the password is read from the terminal or standard input. Who may not play recordings gets it without the sound."`
}

func (c *callPcapCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	who, err := m.signIn(ctx, r.db, c.Login, org.CaptureCalls)
	if err != nil {
		return err
	}
	p, err := cfg.packets(r.calls.Vault).Open(c.ID)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("call %s was not captured, or its packets have been removed", c.ID)
	}
	if err != nil {
		return err
	}
	voice := who.Can(org.PlayCalls) && r.mayHear(ctx, c.ID, who) == nil
	out, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = r.db.Update(ctx, func(tx *storage.Tx) error {
		_, err := audit.Append(tx, audit.Entry{Stream: "call/" + c.ID, Type: "call.packets_taken", Actor: who.Actor(), Payload: map[string]any{"reason": c.Reason, "voice": voice}})
		return err
	})
	if err == nil {
		err = p.WritePCAP(out, voice)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(c.File)
		return err
	}
	fmt.Fprintf(m.Out, "wrote %s: %d packets", c.File, len(p.List))
	if !voice {
		fmt.Fprint(m.Out, ", without the sound")
	}
	if p.Cut {
		fmt.Fprint(m.Out, "; the call had more than is kept")
	}
	fmt.Fprintln(m.Out)
	return nil
}

type callExportCmd struct {
	File  string      `arg:"" help:"CSV file to write; must not exist." type:"path"`
	From  workday.Day `required:"" help:"First day, YYYY-MM-DD."`
	To    workday.Day `required:"" help:"Last day."`
	Login string      `required:"" help:"Who takes it: an account that may export call records; the password is read from the terminal or standard input."`
}

func (c *callExportCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	r, err := openRecordings(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.close()
	who, err := m.signIn(ctx, r.db, c.Login, org.ExportCalls)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n := 0
	err = r.db.View(ctx, func(tx *storage.Tx) (err error) {
		n, err = r.calls.WriteCSV(tx, out, ivr.Filter{From: c.From.Start(), To: c.To.End()})
		return err
	})
	if err == nil {
		err = r.db.Update(ctx, func(tx *storage.Tx) error {
			_, err := audit.Append(tx, audit.Entry{Stream: "calls", Type: "call.records_exported", Actor: who.Actor(), Payload: map[string]any{"from": c.From.String(), "to": c.To.String(), "calls": n}})
			return err
		})
	}
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(c.File)
		return err
	}
	fmt.Fprintf(m.Out, "wrote %s: %d calls\n", c.File, n)
	return nil
}
