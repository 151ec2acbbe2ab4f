package console

import (
	"context"
	"fmt"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/survey"
	"lianxin/ticket"
	"lianxin/ticket/channel"
	"lianxin/ticket/oversee"
)

// Comparison is rows of the database held against what the log says of them, once the chain of the log itself is known to
// hold.
type Comparison struct {
	What  string   // key of its words
	Args  []any    // what they count
	Wrong []string // what differs, in English with the ids of the rows; empty when all is as it should be
}

// Text is the finding in a language, without what differs.
func (c Comparison) Text(lang string) string {
	if len(c.Wrong) > 0 {
		return languages[lang][c.What+"-wrong"]
	}
	return fmt.Sprintf(languages[lang][c.What], c.Args...)
}

// Compare makes every comparison, whatever the ones before it have found: tickets, matters of oversight, raw replies, files,
// ratings and decisions. An error is one of the database.
func Compare(ctx context.Context, db *storage.DB, vault *contact.Vault) ([]Comparison, error) {
	var out []Comparison
	for _, rows := range []struct {
		what string
		look func() ([]ticket.Drift, error)
	}{
		{"proof-tickets", func() ([]ticket.Drift, error) { return ticket.VerifyProjection(ctx, db, vault) }},
		{"proof-matters", func() ([]ticket.Drift, error) { return oversee.Verify(ctx, db) }},
	} {
		drifts, err := rows.look()
		if err != nil {
			return out, fmt.Errorf("compare with the log: %w", err)
		}
		c := Comparison{What: rows.what}
		for _, d := range drifts {
			c.Wrong = append(c.Wrong, fmt.Sprint(d))
		}
		out = append(out, c)
	}
	add := func(what string, err error, args ...any) error {
		c := Comparison{What: what, Args: args}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.Wrong = []string{err.Error()}
		}
		out = append(out, c)
		return nil
	}
	n, err := (&sms.Inbox{DB: db, Vault: vault}).Verify(ctx)
	if err := add("proof-replies", err, n); err != nil {
		return out, err
	}
	n, err = channel.VerifyFiles(ctx, db, vault)
	if err := add("proof-files", err, n); err != nil {
		return out, err
	}
	p, err := survey.Verify(ctx, db)
	return out, add("proof-ratings", err, p.Answers, p.Decisions, p.Older)
}
