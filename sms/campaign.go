package sms

import (
	"fmt"
	"time"

	"lianxin/audit"
	"lianxin/storage"
)

// Everything is the name of the campaign that stands for all: pausing it is the kill switch of the house.
const Everything = "*"

// Campaign is what somebody has decided about a campaign.
type Campaign struct {
	Name   string
	State  string // "running", "paused" or "killed"
	Reason string
	By     string
	At     time.Time
}

// Pause holds back every text of a campaign that is not with a carrier yet. Texts on their way, receipts and questions
// to the carrier go on.
func (o *Outbox) Pause(tx *storage.Tx, campaign, by, reason string) error {
	return o.decide(tx, campaign, "paused", by, reason)
}

// Resume lets a paused campaign go on.
func (o *Outbox) Resume(tx *storage.Tx, campaign, by string) error {
	tx.After(o.Wake)
	return o.decide(tx, campaign, "running", by, "")
}

// Kill cancels every text of a campaign that is surely not with a carrier, for good, and returns how many.
func (o *Outbox) Kill(tx *storage.Tx, campaign, by, reason string) (int64, error) {
	if campaign == Everything {
		return 0, fmt.Errorf("kill campaign %q: pause everything, or kill campaigns by name", campaign)
	}
	if err := o.decide(tx, campaign, "killed", by, reason); err != nil {
		return 0, err
	}
	n, err := tx.Exec(`UPDATE sms SET state = 'cancelled', due = NULL, done_at = $2, reason = 'campaign killed' WHERE campaign = $1 AND state = 'queued'`,
		campaign, storage.At(o.now()))
	if err != nil {
		return 0, fmt.Errorf("kill campaign %s: %w", campaign, err)
	}
	return n, nil
}

// Cancel takes one text back for good, for a reason without personal data; taken is false when it is or may be with a
// carrier already.
func (o *Outbox) Cancel(tx *storage.Tx, id, reason string) (taken bool, err error) {
	n, err := tx.Exec(`UPDATE sms SET state = 'cancelled', due = NULL, done_at = $2, reason = $3 WHERE id = $1 AND state = 'queued'`, id, storage.At(o.now()), reason)
	if err != nil {
		return false, fmt.Errorf("cancel text %s: %w", id, err)
	}
	return n > 0, nil
}

func (o *Outbox) decide(tx *storage.Tx, campaign, state, by, reason string) error {
	o.init()
	was, err := CampaignOf(tx, campaign)
	if err != nil {
		return err
	}
	if was.State == "killed" {
		return fmt.Errorf("campaign %s: killed by %s: %w", campaign, was.By, storage.ErrConflict)
	}
	if _, err := tx.Exec(`INSERT INTO sms_campaign (name, state, reason, actor, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET state = excluded.state, reason = excluded.reason, actor = excluded.actor, at = excluded.at`,
		campaign, state, reason, by, storage.At(o.now())); err != nil {
		return fmt.Errorf("campaign %s: %w", campaign, err)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "sms/campaign/" + campaign, Type: "sms.campaign." + state, Actor: by, At: o.now(),
		Payload: map[string]string{"reason": reason, "was": was.State}})
	return err
}

// CampaignOf tells whether a campaign runs. One that nobody has stopped is running.
func CampaignOf(tx *storage.Tx, name string) (Campaign, error) {
	all, err := storage.All(tx, scanCampaign, `SELECT name, state, reason, actor, at FROM sms_campaign WHERE name = $1`, name)
	if err != nil {
		return Campaign{}, fmt.Errorf("campaign %s: %w", name, err)
	}
	if len(all) == 0 {
		return Campaign{Name: name, State: "running"}, nil
	}
	return all[0], nil
}

func scanCampaign(r storage.Row) (c Campaign, err error) {
	var at storage.Time
	err = r.Scan(&c.Name, &c.State, &c.Reason, &c.By, &at)
	c.At = at.Time
	return c, err
}

// CampaignSum is a campaign with how many of its texts are in each state.
type CampaignSum struct {
	Campaign
	States   map[State]int
	Total    int
	Segments int       // of all its texts
	First    time.Time // when the first of them was queued
}

// Campaigns lists the campaigns that have had a text queued since, the latest first, and Everything when somebody has
// stopped that.
func Campaigns(tx *storage.Tx, since time.Time) ([]CampaignSum, error) {
	type row struct {
		name  string
		state State
		n     int
		seg   int
		first storage.Time
	}
	rows, err := storage.All(tx, func(r storage.Row) (v row, err error) { return v, r.Scan(&v.name, &v.state, &v.n, &v.seg, &v.first) },
		// The expression keeps SQLite from going through every text there is in the order of their campaigns.
		`SELECT COALESCE(campaign, ''), state, COUNT(*), SUM(segments), MIN(created_at) FROM sms WHERE created_at >= $1 GROUP BY 1, 2 ORDER BY MIN(created_at) DESC, 1`, storage.At(since))
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	var out []CampaignSum
	at := map[string]int{}
	add := func(name string) (int, error) {
		c, err := CampaignOf(tx, name)
		at[name] = len(out)
		out = append(out, CampaignSum{Campaign: c, States: map[State]int{}})
		return at[name], err
	}
	if all, err := CampaignOf(tx, Everything); err != nil {
		return nil, err
	} else if all.State != "running" {
		if _, err := add(Everything); err != nil {
			return nil, err
		}
	}
	for _, r := range rows {
		i, known := at[r.name]
		if !known {
			if i, err = add(r.name); err != nil {
				return nil, err
			}
		}
		c := &out[i]
		c.States[r.state] += r.n
		c.Total += r.n
		c.Segments += r.seg
		if c.First.IsZero() || r.first.Before(c.First) {
			c.First = r.first.Time
		}
	}
	return out, nil
}
