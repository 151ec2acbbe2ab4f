package ivr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/contact"
	"lianxin/ivr/flow"
	"lianxin/sip"
	"lianxin/storage"
	"lianxin/ticket"
)

// Blocks are the numbers whose calls are held off for a while because of nuisance (HL-7). One person proposes, another approves, and
// it ends by itself. It is never applied to whoever complains about the police: neither proposed, nor approved, nor in force while such
// a ticket is open, and a caller who is held off may still press 1 to complain.
type Blocks struct {
	Vault  *contact.Vault
	Office *ticket.Office
	Now    func() time.Time // time.Now when nil
}

// MostBlockDays is how long a number may be held off at most without being proposed anew.
const MostBlockDays = 30

// Block is one proposal and what became of it.
type Block struct {
	ID         string
	Number     contact.Phone // prints masked
	Reason     string
	CallID     string
	Days       int
	ProposedBy string
	ProposedAt time.Time
	DecidedBy  string
	DecidedAt  time.Time
	Approved   bool
	Expires    time.Time
	LiftedBy   string
	LiftedAt   time.Time
	LiftedWhy  string
	Hits       int
}

// BlockState is where a block stands.
type BlockState string

// States of a block.
const (
	BlockProposed BlockState = "proposed"
	BlockRefused  BlockState = "refused"
	BlockInForce  BlockState = "in_force"
	BlockExpired  BlockState = "expired"
	BlockLifted   BlockState = "lifted"
)

// Label is the state for staff (zh-CN).
func (s BlockState) Label() string {
	return map[BlockState]string{BlockProposed: "待批准", BlockRefused: "未批准", BlockInForce: "限制中", BlockExpired: "已到期", BlockLifted: "已解除"}[s]
}

// State is where the block stands at a time.
func (b Block) State(now time.Time) BlockState {
	switch {
	case !b.LiftedAt.IsZero():
		return BlockLifted
	case b.DecidedAt.IsZero():
		return BlockProposed
	case !b.Approved:
		return BlockRefused
	case !now.Before(b.Expires):
		return BlockExpired
	}
	return BlockInForce
}

const blockColumns = `id, number_sealed, reason, call_id, days, proposed_by, proposed_at, decided_by, decided_at, approved, expires, lifted_by, lifted_at, lifted_why, hits`

const blockPurpose = "call.block"

func (b Blocks) scan(row storage.Row) (Block, error) {
	var x Block
	var sealed []byte
	var proposed, decided, expires, lifted storage.Time
	err := row.Scan(&x.ID, &sealed, &x.Reason, &x.CallID, &x.Days, &x.ProposedBy, &proposed, &x.DecidedBy, &decided, &x.Approved, &expires, &x.LiftedBy, &lifted, &x.LiftedWhy, &x.Hits)
	if err != nil {
		return x, err
	}
	x.ProposedAt, x.DecidedAt, x.Expires, x.LiftedAt = proposed.Time, decided.Time, expires.Time, lifted.Time
	plain, err := b.Vault.For(blockPurpose).Open(sealed)
	if err == nil {
		x.Number, err = contact.ParsePhone(plain)
	}
	if err != nil {
		return x, fmt.Errorf("number of block %s: %w", x.ID, err)
	}
	return x, nil
}

func (b Blocks) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// BlockProposal asks for a number to be held off.
type BlockProposal struct {
	Call   Record // the call that was the last straw: its number is meant
	Reason string
	Days   int
	By     string // actor
}

// Propose enters a proposal. A *Refusal says in zh-CN why it cannot be.
func (b Blocks) Propose(tx *storage.Tx, p BlockProposal) (Block, error) {
	reason := strings.TrimSpace(p.Reason)
	switch {
	case p.Call.Number.IsZero():
		return Block{}, refuse("no_number", "来电没有号码，无法限制")
	case len([]rune(reason)) < 4 || len([]rune(reason)) > 500:
		return Block{}, refuse("reason", "请写明骚扰的具体情况（4至500字）")
	case p.Days < 1 || p.Days > MostBlockDays:
		return Block{}, refuse("days", "限制期为1至%d天", MostBlockDays)
	case p.Call.Urgent:
		return Block{}, refuse("urgent", "紧急求助来电不得限制")
	}
	if err := b.spared(tx, p.Call.Number); err != nil {
		return Block{}, err
	}
	open, err := storage.All(tx, b.scan, `SELECT `+blockColumns+` FROM call_block WHERE number_hash = $1 ORDER BY proposed_at DESC LIMIT 1`, b.Vault.HashPhone(p.Call.Number))
	if err != nil {
		return Block{}, err
	}
	if len(open) > 0 {
		if s := open[0].State(b.now()); s == BlockProposed || s == BlockInForce {
			return Block{}, refuse("exists", "该号码%s", s.Label())
		}
	}
	x := Block{ID: storage.NewID(), Number: p.Call.Number, Reason: reason, CallID: p.Call.ID, Days: p.Days, ProposedBy: p.By, ProposedAt: b.now()}
	_, err = tx.Exec(`INSERT INTO call_block (id, number_hash, number_sealed, reason, call_id, days, proposed_by, proposed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		x.ID, b.Vault.HashPhone(x.Number), b.Vault.For(blockPurpose).Seal(x.Number.Clear()), x.Reason, x.CallID, x.Days, x.ProposedBy, storage.At(x.ProposedAt))
	if err != nil {
		return x, fmt.Errorf("propose a block: %w", err)
	}
	return x, b.log(tx, x.ID, "block.proposed", p.By, map[string]any{"call": x.CallID, "days": x.Days})
}

// Decide approves or refuses a proposal; never the person who made it.
func (b Blocks) Decide(tx *storage.Tx, id string, approve bool, by string) (Block, error) {
	x, err := b.Get(tx, id)
	if err != nil {
		return x, err
	}
	switch {
	case x.State(b.now()) != BlockProposed:
		return x, refuse("decided", "该提请已处理")
	case x.ProposedBy == by:
		return x, refuse("same_person", "提请人不能批准自己的提请")
	}
	if approve {
		if err := b.spared(tx, x.Number); err != nil {
			return x, err
		}
	}
	x.DecidedBy, x.DecidedAt, x.Approved = by, b.now(), approve
	if approve {
		x.Expires = x.DecidedAt.Add(time.Duration(x.Days) * 24 * time.Hour)
	}
	if _, err := tx.Exec(`UPDATE call_block SET decided_by = $2, decided_at = $3, approved = $4, expires = $5 WHERE id = $1`,
		id, by, storage.At(x.DecidedAt), approve, storage.At(x.Expires)); err != nil {
		return x, fmt.Errorf("decide on a block: %w", err)
	}
	return x, b.log(tx, id, "block.decided", by, map[string]any{"approved": approve})
}

// Lift ends a block before its time, or takes a proposal back.
func (b Blocks) Lift(tx *storage.Tx, id, why, by string) error {
	x, err := b.Get(tx, id)
	if err != nil {
		return err
	}
	if s := x.State(b.now()); s != BlockProposed && s != BlockInForce {
		return refuse("over", "该限制已结束")
	}
	if strings.TrimSpace(why) == "" {
		return refuse("reason", "请填写解除原因")
	}
	if _, err := tx.Exec(`UPDATE call_block SET lifted_by = $2, lifted_at = $3, lifted_why = $4 WHERE id = $1`, id, by, storage.At(b.now()), strings.TrimSpace(why)); err != nil {
		return fmt.Errorf("lift a block: %w", err)
	}
	return b.log(tx, id, "block.lifted", by, nil)
}

func (b Blocks) log(tx *storage.Tx, id, typ, by string, payload map[string]any) error {
	_, err := audit.Append(tx, audit.Entry{Stream: "block/" + id, Type: typ, Actor: by, At: b.now(), Payload: payload})
	return err
}

// Get returns one block, or storage.ErrNotFound.
func (b Blocks) Get(tx *storage.Tx, id string) (Block, error) {
	x, err := storage.One(tx, b.scan, `SELECT `+blockColumns+` FROM call_block WHERE id = $1`, id)
	if err != nil {
		return x, fmt.Errorf("block %s: %w", id, err)
	}
	return x, nil
}

// List returns the latest blocks and proposals.
func (b Blocks) List(tx *storage.Tx, limit int) ([]Block, error) {
	return storage.All(tx, b.scan, `SELECT `+blockColumns+` FROM call_block ORDER BY proposed_at DESC, id DESC LIMIT $1`, limit)
}

// InForce is the block that holds a number off now; false when there is none, or when it may not be applied.
func (b Blocks) InForce(tx *storage.Tx, number contact.Phone) (Block, bool, error) {
	if number.IsZero() {
		return Block{}, false, nil
	}
	list, err := storage.All(tx, b.scan, `SELECT `+blockColumns+` FROM call_block WHERE number_hash = $1 AND approved AND lifted_at IS NULL AND expires > $2`,
		b.Vault.HashPhone(number), storage.At(b.now()))
	if err != nil || len(list) == 0 {
		return Block{}, false, err
	}
	var no *Refusal
	if err := b.spared(tx, number); errors.As(err, &no) {
		return list[0], false, nil
	} else if err != nil {
		return list[0], false, err
	}
	return list[0], true, nil
}

// spared refuses to hold somebody off who has an open complaint about the police.
func (b Blocks) spared(tx *storage.Tx, number contact.Phone) error {
	book := contact.Book{Vault: b.Vault}
	p, err := book.Find(tx, number)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	list, _, err := b.Office.List(tx, ticket.Filter{Viewer: ticket.System, Contact: p.ID, Open: true, Limit: 1000})
	if err != nil {
		return err
	}
	for _, t := range list {
		if t.AccusedUnit != "" || t.AccusedStaff != "" || t.Restricted || t.Kind == ticket.Complaint || t.Kind == ticket.Report {
			return refuse("complains", "该号码有未办结的投诉举报，不得限制其来电")
		}
	}
	return nil
}

// blocked holds a nuisance caller off: one sentence, and the way to complain about the police stays open. It is true when the call is
// over.
func (v *visit) blocked(ctx context.Context) bool {
	number := v.record().Number
	if number.IsZero() {
		return false
	}
	b := Blocks{Vault: v.h.calls.Vault, Office: v.h.cfg.Office, Now: v.h.now}
	var held bool
	err := v.h.update(ctx, func(tx *storage.Tx) (err error) {
		var x Block
		if x, held, err = b.InForce(tx, number); err != nil || !held {
			return err
		}
		_, err = tx.Exec(`UPDATE call_block SET hits = hits + 1 WHERE id = $1`, x.ID)
		return err
	})
	if err != nil {
		if ctx.Err() == nil { // not just a caller who has hung up
			v.log.Error("ivr: is the caller held off", "err", err) // whoever cannot be looked up is served
		}
		return false
	}
	if !held {
		return false
	}
	key, err := v.ask(ctx, 6*time.Second, "blocked")
	switch {
	case err != nil:
		v.did("受限号码")
		v.note(func(r *Record) { r.Disposition = Blocked })
		return true
	case key == '1':
		v.did("受限号码，按1投诉民警执法，放行")
		return false
	case key == flow.Urgent:
		v.did("受限号码，紧急求助，放行")
		v.keys <- key // for the flow, which leads to a person
		return false
	}
	v.did("受限号码，未接入")
	v.note(func(r *Record) { r.Disposition, r.EndedBy = Blocked, string(sip.ByUs) })
	return true
}
