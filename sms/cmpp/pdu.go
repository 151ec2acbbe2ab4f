package cmpp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is a protocol version as it stands in CONNECT: major in the high half, minor in the low.
type Version uint8

// Versions that we speak. They differ in the length of numbers, results and the last field.
const (
	V20 Version = 0x20
	V30 Version = 0x30
)

// Command is the Command_Id of a header. An answer has the command of its question with the highest bit set.
type Command uint32

// Commands between a service provider and a gateway.
const (
	CmdConnect       Command = 0x00000001
	CmdConnectResp   Command = 0x80000001
	CmdTerminate     Command = 0x00000002
	CmdTerminateResp Command = 0x80000002
	CmdSubmit        Command = 0x00000004
	CmdSubmitResp    Command = 0x80000004
	CmdDeliver       Command = 0x00000005
	CmdDeliverResp   Command = 0x80000005
	CmdActiveTest    Command = 0x00000008
	CmdActiveResp    Command = 0x80000008
)

// PDU is a message of the protocol without its header.
type PDU interface {
	Command() Command
	walk(c *codec)
}

// Connect is the login of a service provider.
type Connect struct {
	SourceAddr    string   // SP id, 6
	Authenticator [16]byte // MD5 of id, secret and time
	Version       Version  // the highest we speak
	Timestamp     uint32   // MMDDHHMMSS
}

// ConnectResp answers a login.
type ConnectResp struct {
	Status        uint32 // 0 is success; 1 structure, 2 unknown id, 3 authentication, 4 version too high
	Authenticator [16]byte
	Version       Version // the highest that the gateway speaks
}

// Submit gives a text to the gateway.
type Submit struct {
	MsgID              uint64 // empty: the gateway gives one
	PkTotal, PkNumber  uint8  // segments of one text, from 1
	RegisteredDelivery uint8  // 1 asks for a status report
	MsgLevel           uint8
	ServiceID          string // 10
	FeeUserType        uint8  // who pays: 2 is the service provider
	FeeTerminalID      string // 21 or 32
	FeeTerminalType    uint8  // 3.0
	TPPID, TPUDHI      uint8
	MsgFmt             uint8
	MsgSrc             string // SP id, 6
	FeeType            string // 2: "01" is free of charge
	FeeCode            string // 6
	ValidTime          string // 17: YYMMDDhhmmsstnnp
	AtTime             string // 17
	SrcID              string // 21: our number with extension
	Dest               []string
	DestType           uint8 // 3.0
	Content            []byte
	LinkID             string // 20; the reserve of 8 in 2.0
}

// SubmitResp answers a SUBMIT.
type SubmitResp struct {
	MsgID  uint64
	Result uint32
}

// Deliver brings a reply, or a status report when RegisteredDelivery is 1.
type Deliver struct {
	MsgID              uint64
	DestID             string // our number with extension, 21
	ServiceID          string
	TPPID, TPUDHI      uint8
	MsgFmt             uint8
	SrcTerminalID      string // who wrote, 21 or 32
	SrcTerminalType    uint8  // 3.0: 1 is a pseudonym
	RegisteredDelivery uint8
	Content            []byte
	LinkID             string
}

// DeliverResp answers a DELIVER.
type DeliverResp struct {
	MsgID  uint64
	Result uint32
}

// Report is what stands in the content of a DELIVER with RegisteredDelivery 1.
type Report struct {
	MsgID          uint64 // of the SUBMIT_RESP
	Stat           string // DELIVRD, EXPIRED, UNDELIV, MA:0001 …
	SubmitTime     string // YYMMDDHHMM
	DoneTime       string
	DestTerminalID string // 21 or 32
	SMSCSequence   uint32
}

// The commands without a body.
type (
	Terminate      struct{}
	TerminateResp  struct{}
	ActiveTest     struct{}
	ActiveTestResp struct{}
)

// Other is a command that this package does not know.
type Other struct{ Cmd Command }

func (*Connect) Command() Command        { return CmdConnect }
func (*ConnectResp) Command() Command    { return CmdConnectResp }
func (*Submit) Command() Command         { return CmdSubmit }
func (*SubmitResp) Command() Command     { return CmdSubmitResp }
func (*Deliver) Command() Command        { return CmdDeliver }
func (*DeliverResp) Command() Command    { return CmdDeliverResp }
func (*Terminate) Command() Command      { return CmdTerminate }
func (*TerminateResp) Command() Command  { return CmdTerminateResp }
func (*ActiveTest) Command() Command     { return CmdActiveTest }
func (*ActiveTestResp) Command() Command { return CmdActiveResp }
func (o *Other) Command() Command        { return o.Cmd }

func (m *Connect) walk(c *codec) {
	c.str(&m.SourceAddr, 6)
	c.raw(m.Authenticator[:])
	c.u8((*uint8)(&m.Version))
	c.u32(&m.Timestamp)
}

func (m *ConnectResp) walk(c *codec) {
	c.result(&m.Status)
	c.raw(m.Authenticator[:])
	c.u8((*uint8)(&m.Version))
}

func (m *Submit) walk(c *codec) {
	c.u64(&m.MsgID)
	c.u8(&m.PkTotal)
	c.u8(&m.PkNumber)
	c.u8(&m.RegisteredDelivery)
	c.u8(&m.MsgLevel)
	c.str(&m.ServiceID, 10)
	c.u8(&m.FeeUserType)
	c.str(&m.FeeTerminalID, c.number())
	c.u8of30(&m.FeeTerminalType)
	c.u8(&m.TPPID)
	c.u8(&m.TPUDHI)
	c.u8(&m.MsgFmt)
	c.str(&m.MsgSrc, 6)
	c.str(&m.FeeType, 2)
	c.str(&m.FeeCode, 6)
	c.str(&m.ValidTime, 17)
	c.str(&m.AtTime, 17)
	c.str(&m.SrcID, 21)
	c.strs(&m.Dest, c.number())
	c.u8of30(&m.DestType)
	c.content(&m.Content)
	c.str(&m.LinkID, c.last())
}

func (m *SubmitResp) walk(c *codec) {
	c.u64(&m.MsgID)
	c.result(&m.Result)
}

func (m *Deliver) walk(c *codec) {
	c.u64(&m.MsgID)
	c.str(&m.DestID, 21)
	c.str(&m.ServiceID, 10)
	c.u8(&m.TPPID)
	c.u8(&m.TPUDHI)
	c.u8(&m.MsgFmt)
	c.str(&m.SrcTerminalID, c.number())
	c.u8of30(&m.SrcTerminalType)
	c.u8(&m.RegisteredDelivery)
	c.content(&m.Content)
	c.str(&m.LinkID, c.last())
}

func (m *DeliverResp) walk(c *codec) {
	c.u64(&m.MsgID)
	c.result(&m.Result)
}

func (m *Report) walk(c *codec) {
	c.u64(&m.MsgID)
	c.str(&m.Stat, 7)
	c.str(&m.SubmitTime, 10)
	c.str(&m.DoneTime, 10)
	c.str(&m.DestTerminalID, c.number())
	c.u32(&m.SMSCSequence)
}

func (*Terminate) walk(*codec)     {}
func (*TerminateResp) walk(*codec) {}
func (*ActiveTest) walk(*codec)    {}
func (*Other) walk(c *codec)       { c.b = nil }

func (*ActiveTestResp) walk(c *codec) {
	var reserved uint8
	if c.writing || len(c.b) > 0 { // some gateways leave it out
		c.u8(&reserved)
	}
}

const (
	headerLen = 12
	maxLen    = 8 << 10 // a SUBMIT to 99 numbers has less than 4 KiB
)

// errFrame is an error after which the stream cannot be read on.
var errFrame = errors.New("not a CMPP frame")

// Append adds a PDU with its header to b. It fails when a field is too long for its place.
func Append(b []byte, v Version, seq uint32, p PDU) ([]byte, error) {
	c := codec{b: append(b, make([]byte, headerLen)...), writing: true, wide: v >= V30}
	p.walk(&c)
	if c.err != nil {
		return b, fmt.Errorf("cmpp: encode %T: %w", p, c.err)
	}
	h := c.b[len(b):]
	binary.BigEndian.PutUint32(h, uint32(len(h)))
	binary.BigEndian.PutUint32(h[4:], uint32(p.Command()))
	binary.BigEndian.PutUint32(h[8:], seq)
	return c.b, nil
}

// Frame is a message with the sequence number of its header.
type Frame struct {
	Seq uint32
	PDU PDU // nil when Err is set
	Cmd Command
	Err error // the body does not fit its command; the stream can be read on
}

// Read reads one message. Its error means that the stream is at its end or cannot be read on.
func Read(r io.Reader, v Version) (Frame, error) {
	var h [headerLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(h[:])
	if n < headerLen || n > maxLen {
		return Frame{}, fmt.Errorf("%w: length %d", errFrame, n)
	}
	body := make([]byte, n-headerLen)
	if _, err := io.ReadFull(r, body); err != nil {
		return Frame{}, err
	}
	f := Frame{Cmd: Command(binary.BigEndian.Uint32(h[4:])), Seq: binary.BigEndian.Uint32(h[8:])}
	f.PDU, f.Err = Parse(v, f.Cmd, body)
	return f, nil
}

// Parse reads the body of a message. The answers of a gateway tell by their length which version they are in, and some
// gateways keep to the old one whatever was agreed on.
func Parse(v Version, cmd Command, body []byte) (PDU, error) {
	wide := v >= V30
	var p PDU
	switch cmd {
	case CmdConnect:
		p = new(Connect)
	case CmdConnectResp:
		p, wide = new(ConnectResp), len(body) > 18
	case CmdSubmit:
		p = new(Submit)
	case CmdSubmitResp:
		p, wide = new(SubmitResp), len(body) > 9
	case CmdDeliver:
		p = new(Deliver)
	case CmdDeliverResp:
		p, wide = new(DeliverResp), len(body) > 9
	case CmdTerminate:
		p = new(Terminate)
	case CmdTerminateResp:
		p = new(TerminateResp)
	case CmdActiveTest:
		p = new(ActiveTest)
	case CmdActiveResp:
		p = new(ActiveTestResp)
	default:
		p = &Other{cmd}
	}
	if err := decode(p, wide, body); err != nil {
		return nil, err
	}
	return p, nil
}

// ParseReport reads the content of a status report: 60 bytes in 2.0, 71 in 3.0. The length decides, and not the version
// of the link, because libraries are known to use the short one in both.
func ParseReport(content []byte) (Report, error) {
	var r Report
	if len(content) != 60 && len(content) != 71 {
		return r, fmt.Errorf("cmpp: a status report of %d bytes", len(content))
	}
	return r, decode(&reportPDU{&r}, len(content) == 71, content)
}

// AppendReport adds the content of a status report to b.
func AppendReport(b []byte, v Version, r Report) ([]byte, error) {
	c := codec{b: b, writing: true, wide: v >= V30}
	r.walk(&c)
	return c.b, c.err
}

// reportPDU lets decode read a report, which is no PDU.
type reportPDU struct{ *Report }

func (reportPDU) Command() Command { return 0 }

func decode(p PDU, wide bool, body []byte) error {
	c := codec{b: body, wide: wide}
	p.walk(&c)
	if c.err == nil && len(c.b) > 0 {
		c.err = fmt.Errorf("%d bytes too many", len(c.b))
	}
	if c.err != nil {
		return fmt.Errorf("cmpp: %T: %w", p, c.err)
	}
	return nil
}

// codec walks over the fields of a message, in one order for both directions: writing appends to b, reading eats it.
type codec struct {
	b       []byte
	writing bool
	wide    bool // 3.0
	err     error
}

var errShort = errors.New("too short")

// take eats n bytes, or returns zeros after an error.
func (c *codec) take(n int) []byte {
	if c.err == nil && len(c.b) < n {
		c.err = errShort
	}
	if c.err != nil {
		return make([]byte, n)
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *codec) number() int { return map[bool]int{false: 21, true: 32}[c.wide] }
func (c *codec) last() int   { return map[bool]int{false: 8, true: 20}[c.wide] }

func (c *codec) u8(p *uint8) {
	if c.writing {
		c.b = append(c.b, *p)
		return
	}
	*p = c.take(1)[0]
}

func (c *codec) u8of30(p *uint8) {
	if c.wide {
		c.u8(p)
	}
}

func (c *codec) u32(p *uint32) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint32(c.b, *p)
		return
	}
	*p = binary.BigEndian.Uint32(c.take(4))
}

func (c *codec) u64(p *uint64) {
	if c.writing {
		c.b = binary.BigEndian.AppendUint64(c.b, *p)
		return
	}
	*p = binary.BigEndian.Uint64(c.take(8))
}

// result is one byte in 2.0 and four in 3.0.
func (c *codec) result(p *uint32) {
	if c.wide {
		c.u32(p)
		return
	}
	b := uint8(min(*p, 255))
	c.u8(&b)
	*p = uint32(b)
}

func (c *codec) raw(p []byte) {
	if c.writing {
		c.b = append(c.b, p...)
		return
	}
	copy(p, c.take(len(p)))
}

// str is text of fixed length, filled up with zero bytes.
func (c *codec) str(p *string, n int) {
	if c.writing {
		if len(*p) > n {
			c.err = fmt.Errorf("%d bytes in a field of %d", len(*p), n)
			return
		}
		c.b = append(c.b, *p...)
		c.b = append(c.b, make([]byte, n-len(*p))...)
		return
	}
	b := c.take(n)
	for i, x := range b {
		if x == 0 {
			b = b[:i]
			break
		}
	}
	*p = string(b)
}

func (c *codec) strs(p *[]string, n int) {
	count := uint8(len(*p))
	if c.writing && len(*p) > 99 {
		c.err = fmt.Errorf("%d destinations", len(*p))
		return
	}
	c.u8(&count)
	if !c.writing {
		*p = make([]string, count)
	}
	for i := range *p {
		c.str(&(*p)[i], n)
	}
}

func (c *codec) content(p *[]byte) {
	if c.writing && len(*p) > 255 {
		c.err = fmt.Errorf("%d bytes of content", len(*p))
		return
	}
	n := uint8(len(*p))
	c.u8(&n)
	if !c.writing {
		*p = append([]byte(nil), c.take(int(n))...)
		return
	}
	c.b = append(c.b, *p...)
}
