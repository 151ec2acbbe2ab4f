package ticket

import (
	"fmt"
	"strings"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
)

// Channel is a way by which requests come in. Channels are data: one is added without a restart (CH-5).
type Channel struct {
	Code       string
	Name       string // zh-CN
	Place      int    // order on pages
	External   bool   // another body's, with its own number and deadline
	Restricted bool   // seen by the seat of 督察 only
	Enabled    bool
}

func scanChannel(r storage.Row) (c Channel, err error) {
	return c, r.Scan(&c.Code, &c.Name, &c.Place, &c.External, &c.Restricted, &c.Enabled)
}

const selectChannel = `SELECT code, name, place, external, restricted, enabled FROM ticket_channel`

// Channel returns the channel with this code, or storage.ErrNotFound.
func (o *Office) Channel(tx *storage.Tx, code string) (Channel, error) {
	c, err := storage.One(tx, scanChannel, selectChannel+` WHERE code = $1`, code)
	if err != nil {
		return Channel{}, fmt.Errorf("channel %q: %w", code, err)
	}
	return c, nil
}

// Channels returns all channels in their order, disabled ones too.
func (o *Office) Channels(tx *storage.Tx) ([]Channel, error) {
	return storage.All(tx, scanChannel, selectChannel+` ORDER BY place, code`)
}

// PutChannel adds a channel or changes one. Whether a channel is restricted is fixed once it exists: the tickets it has
// brought keep it.
func (o *Office) PutChannel(tx *storage.Tx, c Channel, by Actor) error {
	if !by.may(org.ManageRules) {
		return noRole()
	}
	c.Code, c.Name = strings.TrimSpace(c.Code), strings.TrimSpace(c.Name)
	if c.Code == "" || c.Name == "" || strings.ContainsAny(c.Code, " /") {
		return refuse("channel", "渠道须有代码和名称,代码不含空格和斜杠")
	}
	_, err := tx.Exec(`INSERT INTO ticket_channel (code, name, place, external, restricted, enabled) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (code) DO UPDATE SET name = excluded.name, place = excluded.place, external = excluded.external, enabled = excluded.enabled`,
		c.Code, c.Name, c.Place, c.External, c.Restricted, c.Enabled)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "channel/" + c.Code, Type: "channel.put", Actor: by.String(), At: o.now(), Payload: map[string]any{
			"name": c.Name, "external": c.External, "restricted": c.Restricted, "enabled": c.Enabled}})
	}
	if err != nil {
		return fmt.Errorf("put channel %s: %w", c.Code, err)
	}
	return nil
}
