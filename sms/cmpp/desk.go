package cmpp

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"regexp"
	"sync"
	"time"

	"lianxin/contact"
	"lianxin/sms"
)

// desk works through what the gateway delivers: several workers, but always the same one for one number, so that the
// replies of a resident stay in order. A DELIVER is answered once it is stored, so that the gateway keeps it otherwise.
type desk struct {
	c      *Carrier
	ctx    context.Context
	cancel context.CancelFunc
	trays  []chan delivery
	wg     sync.WaitGroup
}

type delivery struct {
	link *link
	seq  uint32
	pdu  *Deliver
}

func (c *Carrier) startDesk(ctx context.Context) *desk {
	d := &desk{c: c, trays: make([]chan delivery, 4)}
	d.ctx, d.cancel = context.WithCancel(ctx)
	for i := range d.trays {
		d.trays[i] = make(chan delivery, 64)
		d.wg.Go(func() { d.work(d.trays[i]) })
	}
	d.wg.Go(d.sweep)
	return d
}

func (d *desk) stop() {
	d.cancel()
	d.wg.Wait()
}

// put hands a DELIVER to its worker; it blocks only when that one is 64 behind.
func (d *desk) put(l *link, seq uint32, p *Deliver) {
	number := p.SrcTerminalID
	if p.RegisteredDelivery == 1 {
		if r, err := ParseReport(p.Content); err == nil {
			number = r.DestTerminalID
		}
	}
	h := fnv.New32a()
	h.Write([]byte(number))
	select {
	case d.trays[h.Sum32()%uint32(len(d.trays))] <- delivery{l, seq, p}:
	case <-d.ctx.Done():
	case <-l.done:
	}
}

func (d *desk) work(tray chan delivery) {
	for {
		select {
		case <-d.ctx.Done():
			return
		case in := <-tray:
			d.take(in)
		}
	}
}

// take stores a delivery, trying for a while, and answers it. What could not be stored stays without an answer: the
// gateway delivers it again.
func (d *desk) take(in delivery) {
	var err error
	for try := range 4 {
		if try > 0 && !pause(d.ctx, time.Duration(try)*time.Second) {
			break
		}
		// Not with the desk's ctx: what has come in is stored even while we are shutting down.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), d.c.cfg.AnswerTimeout)
		var result uint32
		if in.pdu.RegisteredDelivery == 1 {
			result, err = d.report(ctx, in.pdu)
		} else {
			err = d.reply(ctx, in.pdu)
		}
		cancel()
		if err == nil {
			_ = in.link.write(in.seq, &DeliverResp{MsgID: in.pdu.MsgID, Result: result})
			return
		}
	}
	d.c.log().Error("store what the gateway delivers; it will come again", "carrier", "cmpp", "id", idOf(in.pdu.MsgID), "error", err)
}

var statPattern = regexp.MustCompile(`^[A-Z]{2}[A-Z0-9:]{1,5}$`)

// report takes a status report.
func (d *desk) report(ctx context.Context, p *Deliver) (result uint32, err error) {
	r, err := ParseReport(p.Content)
	if err != nil {
		d.c.log().Warn("status report cannot be read", "carrier", "cmpp", "error", err)
		return 1, nil
	}
	state := sms.Failed // whatever else it says; the code is kept
	switch r.Stat {
	case "DELIVRD":
		state = sms.Delivered
	case "ACCEPTD":
		state = sms.Accepted
	}
	code := r.Stat
	if !statPattern.MatchString(code) {
		code = hex.EncodeToString([]byte(code))
	}
	id := idOf(r.MsgID)
	rc, long, err := d.c.books.reported(ctx, id, state)
	// The report may have overtaken the answer that tells us the segment's name.
	for end := time.Now().Add(d.c.cfg.AnswerTimeout / 2); err == nil && !long && d.c.isUnderWay(bare(r.DestTerminalID)) && time.Now().Before(end); {
		if !pause(ctx, 20*time.Millisecond) {
			break
		}
		rc, long, err = d.c.books.reported(ctx, id, state)
	}
	if err != nil {
		return 0, err
	}
	if !long {
		rc = sms.Receipt{CarrierID: id, State: state, MessageID: d.c.orphan(r.MsgID, bare(r.DestTerminalID), minute(r.SubmitTime))}
	}
	rc.Carrier, rc.Code, rc.At = d.c.Name(), code, minute(r.DoneTime)
	return 0, d.c.Receipts(ctx, rc)
}

// bare is a number without its country code, as we hand it to the gateway.
func bare(number string) string {
	if p, err := contact.ParsePhone(number); err == nil {
		return p.Clear()
	}
	return number
}

// minute reads YYMMDDHHMM, Beijing time; zero when it is something else.
func minute(s string) time.Time {
	t, err := time.ParseInLocation("0601021504", s, zone)
	if err != nil {
		return time.Time{}
	}
	return t
}

// reply takes what a resident has written, or a segment of it.
func (d *desk) reply(ctx context.Context, p *Deliver) error {
	content := p.Content
	if p.TPUDHI&1 == 1 {
		c, rest, ok := SplitUDH(content)
		content = rest
		if ok {
			f := fragment{id: idOf(p.MsgID), from: p.SrcTerminalID, to: p.DestID, format: p.MsgFmt, concat: c, content: rest, at: d.c.now()}
			if p.MsgID == 0 {
				f.id = digest(p)
			}
			g, err := d.c.books.keep(ctx, f)
			if err != nil || len(g.fragments) == 0 {
				return err
			}
			return d.whole(ctx, g)
		}
	}
	in := d.inbound(p.SrcTerminalID, p.DestID)
	in.Body = Decode(p.MsgFmt, content)
	if p.MsgID != 0 {
		in.CarrierID = idOf(p.MsgID)
	}
	return d.c.Replies(ctx, in)
}

// whole passes a long reply on. Its id is that of its first segment, the same however often it is passed on.
func (d *desk) whole(ctx context.Context, g group) error {
	body := g.body() // sorts
	f := g.fragments[0]
	in := d.inbound(f.from, f.to)
	in.Body, in.CarrierID = body, f.id
	if err := d.c.Replies(ctx, in); err != nil {
		return err
	}
	return d.c.books.done(ctx, g)
}

func (d *desk) inbound(from, to string) sms.Inbound {
	in := sms.Inbound{Carrier: d.c.Name(), To: to}
	var err error
	if in.Phone, err = contact.ParsePhone(from); err != nil {
		in.From = from // a pseudonym, or nonsense: kept as well
	}
	return in
}

// digest names a segment for which the gateway has no name.
func digest(p *Deliver) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %d ", p.SrcTerminalID, p.DestID, p.MsgFmt)
	h.Write(p.Content)
	return fmt.Sprintf("x%015x", binary.BigEndian.Uint64(h.Sum(nil))>>4)
}

// sweep passes on long replies whose rest does not come, and forgets what is old.
func (d *desk) sweep() {
	tick := time.NewTicker(max(10*time.Millisecond, min(d.c.cfg.Reassemble/4, time.Minute)))
	defer tick.Stop()
	var tidied time.Time
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
		groups, err := d.c.books.overdue(d.ctx, d.c.now().Add(-d.c.cfg.Reassemble))
		for _, g := range groups {
			if err == nil {
				err = d.whole(d.ctx, g)
			}
		}
		if err == nil && time.Since(tidied) > time.Hour {
			tidied = time.Now()
			d.c.tidy()
			err = d.c.books.tidy(d.ctx, d.c.now())
		}
		if err != nil && d.ctx.Err() == nil {
			d.c.log().Error("put long replies together", "carrier", "cmpp", "error", err)
		}
	}
}
