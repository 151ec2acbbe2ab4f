// Package cmpptest is a CMPP gateway in memory for tests: it takes texts, reports on them and delivers replies, as late,
// as often and as wrong as it is told to.
//
// It shares the codec with the carrier that it tests; what proves the codec are Wireshark's dissector and bytes written
// out by hand.
package cmpptest

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"lianxin/sms/cmpp"
)

// Plan is what becomes of one SUBMIT.
type Plan struct {
	Result     uint32        // of SUBMIT_RESP; not 0: it is not taken
	Delay      time.Duration // before SUBMIT_RESP
	NoAnswer   bool          // SUBMIT_RESP never comes
	Drop       bool          // it is not taken either
	Twice      bool          // SUBMIT_RESP comes twice
	Hangup     bool          // the connection ends instead of the answer
	Stats      []string      // status reports: DELIVRD, UNDELIV …
	EarlyStats bool          // the reports come before SUBMIT_RESP
	StatTwice  bool          // each report comes twice
}

// Taken is a segment that the gateway has.
type Taken struct {
	ID     uint64
	Submit cmpp.Submit
}

// Gateway listens on a port of 127.0.0.1. Set fields before the first connection, or through Do.
type Gateway struct {
	ID, Secret string
	Version    cmpp.Version                          // the highest it speaks
	Plan       func(n int, s *cmpp.Submit) Plan      // for the nth SUBMIT, from 0; nil takes it and says DELIVRD
	Login      func(c *cmpp.Connect) (status uint32) // nil checks id and secret
	Dumb       bool                                  // does not answer ACTIVE_TEST
	ShortBooks bool                                  // reports have 60 bytes in 3.0 too

	t        testing.TB
	listener net.Listener

	mu     sync.Mutex
	conns  map[*conn]bool
	taken  []Taken
	seen   int // SUBMITs
	logins int
	beats  int
	byes   int
	open   int // SUBMITs without an answer, and the most there have been
	most   int
	next   uint64
	due    map[uint64]cmpp.Deliver // reports without an answer: they come again on the next connection
	acks   map[uint64]chan uint32
}

type conn struct {
	net.Conn
	g       *Gateway
	version cmpp.Version
	wmu     sync.Mutex
	seq     uint32
}

// Start makes a gateway that is stopped when the test ends.
func Start(t testing.TB, v cmpp.Version) *Gateway {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{ID: "901234", Secret: "secret", Version: v, t: t, listener: l, conns: map[*conn]bool{}, acks: map[uint64]chan uint32{}, due: map[uint64]cmpp.Deliver{}}
	// month 11, day 23, 08:00:00, gateway 4711
	g.next = 11<<60 | 23<<55 | 8<<50 | 4711<<16
	go g.accept()
	t.Cleanup(func() {
		l.Close()
		g.Hangup()
	})
	return g
}

// Addr is where it listens.
func (g *Gateway) Addr() string { return g.listener.Addr().String() }

// Do changes fields while it runs.
func (g *Gateway) Do(f func(g *Gateway)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

// Taken returns what it has taken so far.
func (g *Gateway) Taken() []Taken {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Taken(nil), g.taken...)
}

// Counts returns how many SUBMITs, logins, ACTIVE_TESTs and TERMINATEs it has seen.
func (g *Gateway) Counts() (submits, logins, beats, byes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen, g.logins, g.beats, g.byes
}

// MostOpen returns the largest number of SUBMITs that waited for their answers at the same time.
func (g *Gateway) MostOpen() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// Report sends a status report on a segment.
func (g *Gateway) Report(t Taken, stat string) {
	g.mu.Lock()
	var c *conn
	for c = range g.conns {
		break
	}
	g.mu.Unlock()
	if c != nil {
		c.report(t.ID, &t.Submit, stat)
	}
}

// Hangup ends all connections.
func (g *Gateway) Hangup() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.Close()
	}
}

func (g *Gateway) accept() {
	for {
		nc, err := g.listener.Accept()
		if err != nil {
			return
		}
		c := &conn{Conn: nc, g: g, version: g.Version}
		g.mu.Lock()
		g.conns[c] = true
		g.mu.Unlock()
		go func() {
			c.serve()
			nc.Close()
			g.mu.Lock()
			delete(g.conns, c)
			g.mu.Unlock()
		}()
	}
}

func (c *conn) write(seq uint32, p cmpp.PDU) {
	b, err := cmpp.Append(nil, c.version, seq, p)
	if err != nil {
		c.g.t.Errorf("gateway: %v", err)
		return
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, _ = c.Write(b)
}

func (c *conn) serve() {
	r := bufio.NewReader(c)
	for {
		f, err := cmpp.Read(r, c.version)
		if err != nil {
			return
		}
		if f.Err != nil {
			c.g.t.Errorf("gateway: %v", f.Err)
			return
		}
		switch p := f.PDU.(type) {
		case *cmpp.Connect:
			if !c.login(f.Seq, p) {
				return
			}
		case *cmpp.Submit:
			c.submit(f.Seq, p)
		case *cmpp.DeliverResp:
			c.g.mu.Lock()
			delete(c.g.due, p.MsgID)
			if ch := c.g.acks[p.MsgID]; ch != nil {
				ch <- p.Result
				delete(c.g.acks, p.MsgID)
			}
			c.g.mu.Unlock()
		case *cmpp.ActiveTest:
			c.g.mu.Lock()
			c.g.beats++
			dumb := c.g.Dumb
			c.g.mu.Unlock()
			if !dumb {
				c.write(f.Seq, &cmpp.ActiveTestResp{})
			}
		case *cmpp.Terminate:
			c.g.mu.Lock()
			c.g.byes++
			c.g.mu.Unlock()
			c.write(f.Seq, &cmpp.TerminateResp{})
			return
		}
	}
}

func (c *conn) login(seq uint32, p *cmpp.Connect) bool {
	g := c.g
	g.mu.Lock()
	g.logins++
	check := g.Login
	c.version = min(g.Version, p.Version)
	g.mu.Unlock()
	var status uint32
	switch {
	case check != nil:
		status = check(p)
	case p.SourceAddr != g.ID:
		status = 2
	case p.Authenticator != cmpp.Authenticator(g.ID, g.Secret, p.Timestamp):
		status = 3
	}
	c.write(seq, &cmpp.ConnectResp{Status: status, Version: g.Version, Authenticator: cmpp.GatewayAuthenticator(c.version, status, p.Authenticator, g.Secret)})
	if status == 0 {
		c.catchUp()
	}
	return status == 0
}

func (c *conn) submit(seq uint32, p *cmpp.Submit) {
	g := c.g
	g.mu.Lock()
	plan := Plan{Stats: []string{"DELIVRD"}}
	if g.Plan != nil {
		plan = g.Plan(g.seen, p)
	}
	g.seen++
	g.open++
	g.most = max(g.most, g.open)
	id := g.next
	if plan.Result == 0 && !plan.Drop {
		g.next++
		g.taken = append(g.taken, Taken{id, *p})
	} else {
		id = 0
	}
	g.mu.Unlock()
	if plan.Hangup {
		c.Close()
		plan.NoAnswer = true
	}
	answer := func() {
		g.mu.Lock()
		g.open--
		g.mu.Unlock()
		if plan.NoAnswer || plan.Drop {
			return
		}
		c.write(seq, &cmpp.SubmitResp{MsgID: id, Result: plan.Result})
		if plan.Twice {
			c.write(seq, &cmpp.SubmitResp{MsgID: id, Result: plan.Result})
		}
	}
	reports := func() {
		for _, stat := range plan.Stats {
			for range map[bool]int{false: 1, true: 2}[plan.StatTwice] {
				c.report(id, p, stat)
			}
		}
	}
	go func() {
		if plan.EarlyStats && id != 0 {
			reports()
		}
		time.Sleep(plan.Delay)
		answer()
		if !plan.EarlyStats && id != 0 {
			reports()
		}
	}()
}

// clock is Beijing time as reports have it.
func (g *Gateway) clock(later time.Duration) string {
	return time.Now().Add(later).In(time.FixedZone("CST", 8*3600)).Format("0601021504")
}

func (c *conn) report(id uint64, p *cmpp.Submit, stat string) {
	v := c.version
	if c.g.ShortBooks {
		v = cmpp.V20
	}
	content, err := cmpp.AppendReport(nil, v, cmpp.Report{MsgID: id, Stat: stat, SubmitTime: c.g.clock(0), DoneTime: c.g.clock(time.Minute), DestTerminalID: p.Dest[0]})
	if err != nil {
		c.g.t.Errorf("gateway: %v", err)
	}
	c.g.mu.Lock()
	d := cmpp.Deliver{MsgID: c.g.next, DestID: p.SrcID, SrcTerminalID: p.Dest[0], RegisteredDelivery: 1, Content: content}
	c.g.next++
	c.g.due[d.MsgID] = d
	c.seq++
	seq := 0x40000000 + c.seq
	c.g.mu.Unlock()
	c.write(seq, &d)
}

// catchUp sends the reports again that had no answer on an earlier connection.
func (c *conn) catchUp() {
	c.g.mu.Lock()
	due := slices.SortedFunc(maps.Values(c.g.due), func(a, b cmpp.Deliver) int { return cmp.Compare(a.MsgID, b.MsgID) })
	first := c.seq + 1
	c.seq += uint32(len(due))
	c.g.mu.Unlock()
	for i, d := range due {
		c.write(0x40000000+first+uint32(i), &d)
	}
}

// Deliver brings a DELIVER to the service provider and returns the result of its answer; an error when none came before
// ctx ended. A Msg_Id of 0 is filled in.
func (g *Gateway) Deliver(ctx context.Context, d cmpp.Deliver) (uint32, error) {
	g.mu.Lock()
	var c *conn
	for c = range g.conns {
		break
	}
	if c == nil {
		g.mu.Unlock()
		return 0, fmt.Errorf("nobody is connected")
	}
	if d.MsgID == 0 {
		d.MsgID = g.next
		g.next++
	}
	ack := make(chan uint32, 1)
	g.acks[d.MsgID] = ack
	c.seq++
	seq := 0x40000000 + c.seq
	g.mu.Unlock()
	c.write(seq, &d)
	select {
	case r := <-ack:
		return r, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Raw sends bytes as they are.
func (g *Gateway) Raw(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.wmu.Lock()
		if _, err := c.Write(b); err != nil {
			slog.Debug("raw", "error", err)
		}
		c.wmu.Unlock()
	}
}
