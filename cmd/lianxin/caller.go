package main

import (
	"context"
	"fmt"
	"time"

	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/storage"
)

// callerCmd marks numbers, for the rules of flow files.
type callerCmd struct {
	Flag   callerFlagCmd   `cmd:"" help:"Mark a number: vip, or any word that a flow file asks for (when: flag)."`
	Unflag callerUnflagCmd `cmd:"" help:"Take a mark off a number."`
	Show   callerShowCmd   `cmd:"" help:"Show the marks of a number."`
}

type callerFlagCmd struct {
	Number string        `arg:"" help:"Telephone number."`
	Flag   string        `arg:"" help:"The mark: lower-case letters, digits and hyphens."`
	Reason string        `name:"reason" required:"" help:"Why; goes into the audit log, so no names."`
	For    time.Duration `name:"for" help:"How long it holds, such as 720h; until it is taken off when left out."`
}

// commandLine is how the audit log names whoever sits at the machine.
const commandLine = "system/command-line"

func (f *callerFlagCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	phone, err := contact.ParsePhone(f.Number)
	if err != nil {
		return err
	}
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.close()
	mark := contact.Flag{Flag: f.Flag, Reason: f.Reason, By: commandLine}
	if f.For > 0 {
		mark.Until = time.Now().Add(f.For)
	}
	err = c.db.Update(ctx, func(tx *storage.Tx) error { _, err := c.book.Flag(tx, phone, mark); return err })
	if err == nil {
		fmt.Fprintf(m.Out, "%s is marked %s\n", phone, f.Flag)
	}
	return err
}

type callerUnflagCmd struct {
	Number string `arg:"" help:"Telephone number."`
	Flag   string `arg:"" help:"The mark."`
	Reason string `name:"reason" required:"" help:"Why; goes into the audit log, so no names."`
}

func (f *callerUnflagCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	phone, err := contact.ParsePhone(f.Number)
	if err != nil {
		return err
	}
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.close()
	err = c.db.Update(ctx, func(tx *storage.Tx) error { return c.book.Unflag(tx, phone, f.Flag, commandLine, f.Reason) })
	if err == nil {
		fmt.Fprintf(m.Out, "%s is no longer marked %s\n", phone, f.Flag)
	}
	return err
}

type callerShowCmd struct {
	Number string `arg:"" help:"Telephone number."`
}

func (f *callerShowCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	phone, err := contact.ParsePhone(f.Number)
	if err != nil {
		return err
	}
	c, err := openRooms(ctx, cfg, newLogger(m.Err, cfg))
	if err != nil {
		return err
	}
	defer c.close()
	var list []contact.Flag
	if err := c.db.View(ctx, func(tx *storage.Tx) (err error) { list, err = c.book.Flags(tx, phone); return err }); err != nil {
		return err
	}
	for _, x := range list {
		until := "until it is taken off"
		if !x.Until.IsZero() {
			until = "until " + x.Until.Format("2006-01-02 15:04")
		}
		fmt.Fprintf(m.Out, "%s  %s  since %s, %s  (%s)\n", phone, x.Flag, x.At.Format("2006-01-02 15:04"), until, x.Reason)
	}
	if len(list) == 0 {
		fmt.Fprintf(m.Out, "%s has no marks\n", phone)
	}
	return nil
}

// flags are the marks of a number for the rules of flows. Whoever is held off for nuisance, and was let through all the same because they
// complain, is marked so too.
func (c *centre) flags(ctx context.Context, phone contact.Phone) (words []string, err error) {
	err = c.db.View(ctx, func(tx *storage.Tx) error {
		list, err := c.book.Flags(tx, phone)
		for _, f := range list {
			words = append(words, f.Flag)
		}
		if err != nil {
			return err
		}
		_, held, err := ivr.Blocks{Vault: c.book.Vault, Office: c.office}.InForce(tx, phone)
		if held {
			words = append(words, contact.Nuisance)
		}
		return err
	})
	return words, err
}
