package ticket

import (
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
)

// Channel is a way by which requests come in. Channels are data: one is added without a restart (CH-5).
type Channel struct {
	Code        string
	Name        string        // zh-CN
	Place       int           // order on pages
	External    bool          // another body's, with its own number and deadline
	Restricted  bool          // seen by the seat of 督察 only
	Enabled     bool          //
	Kind        ChannelKind   // whose it is; by External when empty
	Identity    Identity      // whether we must know who speaks; optional when empty
	Intake      time.Duration // how soon after it reached us a request must be visible (接入时限); 0: no limit
	PublicReply bool          // its answers are published: a text apart from the result, approved by a second person (CH-3)
	ByHand      bool          // staff register requests of it themselves
}

// ChannelKind says whose a channel is.
type ChannelKind string

// Kinds of channels.
const (
	ExternalChannel ChannelKind = "external" // 外部: another body hands requests over
	InternalChannel ChannelKind = "internal" // 内部: the bureau's own people and machines
	PublicChannel   ChannelKind = "public"   // 公众: open to everybody on the net
)

// ChannelKinds lists all kinds.
var ChannelKinds = []ChannelKind{ExternalChannel, InternalChannel, PublicChannel}

// Label is the kind for staff (zh-CN).
func (k ChannelKind) Label() string {
	return map[ChannelKind]string{ExternalChannel: "外部", InternalChannel: "内部", PublicChannel: "公众"}[k]
}

// Identity says whether a channel must tell who speaks.
type Identity string

// Rules of identity.
const (
	IdentityOptional Identity = "optional" // a number or an address if there is one
	IdentityRequired Identity = "required" // no request without a way to reach the citizen
	IdentityNone     Identity = "none"     // nobody is asked, and what is told all the same is not kept
)

// Identities lists all rules of identity.
var Identities = []Identity{IdentityOptional, IdentityRequired, IdentityNone}

// Label is the rule for staff (zh-CN).
func (i Identity) Label() string {
	return map[Identity]string{IdentityOptional: "可不留联系方式", IdentityRequired: "须留联系方式", IdentityNone: "不收集身份"}[i]
}

func scanChannel(r storage.Row) (c Channel, err error) {
	var intake int64
	err = r.Scan(&c.Code, &c.Name, &c.Place, &c.External, &c.Restricted, &c.Enabled, &c.Kind, &c.Identity, &intake, &c.PublicReply, &c.ByHand)
	c.Intake = time.Duration(intake) * time.Millisecond
	return c, err
}

const selectChannel = `SELECT code, name, place, external, restricted, enabled, kind, identity, intake_ms, public_reply, by_hand FROM ticket_channel`

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
	if c.Kind == "" {
		c.Kind = InternalChannel
		if c.External {
			c.Kind = ExternalChannel
		}
	}
	if c.Identity == "" {
		c.Identity = IdentityOptional
	}
	switch {
	case c.Code == "" || c.Name == "" || len(c.Code) > 40 || strings.ContainsAny(c.Code, " /?#%&"):
		return refuse("channel", "渠道须有代码和名称，代码不超过40个字符，不含空格和斜杠等符号")
	case c.Kind.Label() == "" || c.Identity.Label() == "" || c.Intake < 0:
		return refuse("channel", "渠道的类型、身份规则或接入时限不对")
	}
	_, err := tx.Exec(`INSERT INTO ticket_channel (code, name, place, external, restricted, enabled, kind, identity, intake_ms, public_reply, by_hand)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (code) DO UPDATE SET name = excluded.name, place = excluded.place, external = excluded.external, enabled = excluded.enabled,
			kind = excluded.kind, identity = excluded.identity, intake_ms = excluded.intake_ms, public_reply = excluded.public_reply, by_hand = excluded.by_hand`,
		c.Code, c.Name, c.Place, c.External, c.Restricted, c.Enabled, c.Kind, c.Identity, c.Intake.Milliseconds(), c.PublicReply, c.ByHand)
	if err == nil {
		_, err = audit.Append(tx, audit.Entry{Stream: "channel/" + c.Code, Type: "channel.put", Actor: by.String(), At: o.now(), Payload: map[string]any{
			"name": c.Name, "external": c.External, "restricted": c.Restricted, "enabled": c.Enabled, "kind": c.Kind, "identity": c.Identity,
			"intake_ms": c.Intake.Milliseconds(), "public_reply": c.PublicReply, "by_hand": c.ByHand}})
	}
	if err != nil {
		return fmt.Errorf("put channel %s: %w", c.Code, err)
	}
	return nil
}
