package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lianxin/console"
	"lianxin/contact"
	"lianxin/ivr"
	"lianxin/storage"
	"lianxin/workday"
)

type doctorCmd struct {
	JSON bool          `name:"json" help:"As JSON, for a watcher."`
	Wait time.Duration `help:"How long a peer may take to answer." default:"2s"`
}

// finding is what one check found.
type finding struct {
	Level string `json:"level"` // "ok", "warning", "problem"
	Check string `json:"check"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to do about it
}

// doctor looks at one thing after the other, beside a running server or without one, and changes nothing but the schema of the
// database, which it brings up to date as every command does.
type doctor struct {
	cfg     *Config
	wait    time.Duration
	running bool // a server holds the data folder
	found   []finding
}

// Run prints what it found, and what to do. It ends with status 1 when there is a problem; warnings alone do not.
func (c *doctorCmd) Run(ctx context.Context, m *Main, cfg *Config) error {
	d := &doctor{cfg: cfg, wait: c.Wait}
	d.data()
	d.database(ctx)
	d.flows()
	d.ports(ctx)
	d.server(ctx)
	d.rtp()
	d.nat()
	d.trunks(ctx)
	d.certificate("console's certificate", cfg.TLSCert, cfg.TLSKey)
	d.certificate("SIP certificate", cfg.SIPCert, cfg.SIPKey)
	d.clock()
	d.limits()
	d.carriers(ctx)

	problems := 0
	for _, f := range d.found {
		if f.Level == "problem" {
			problems++
		}
	}
	if c.JSON {
		out := json.NewEncoder(m.Out)
		out.SetIndent("", "  ")
		if err := out.Encode(map[string]any{"ok": problems == 0, "server_running": d.running, "findings": d.found}); err != nil {
			return err
		}
	} else {
		for _, f := range d.found {
			mark := map[string]string{"ok": "ok      ", "warning": "WARNING ", "problem": "PROBLEM "}[f.Level]
			fmt.Fprintf(m.Out, "%s %s: %s\n", mark, f.Check, f.Found)
			if f.Do != "" {
				fmt.Fprintf(m.Out, "          → %s\n", f.Do)
			}
		}
		fmt.Fprintf(m.Out, "\n%d checks, %d problems\n", len(d.found), problems)
	}
	if problems > 0 {
		return errSaid
	}
	return nil
}

func (d *doctor) ok(check, found string, args ...any) {
	d.found = append(d.found, finding{"ok", check, fmt.Sprintf(found, args...), ""})
}
func (d *doctor) warn(check, found, do string) {
	d.found = append(d.found, finding{"warning", check, found, do})
}
func (d *doctor) bad(check, found, do string) {
	d.found = append(d.found, finding{"problem", check, found, do})
}

// data looks at the data folder: whose it is, who may read it, how much room there is.
func (d *doctor) data() {
	const check = "data folder"
	dir := d.cfg.Data
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.warn(check, dir+" is not there yet", "`lianxin serve` makes it; check --data if there should be one")
		return
	case err != nil:
		d.bad(check, err.Error(), "let the server's user read "+dir)
		return
	case info.Mode().Perm()&0o077 != 0:
		d.bad(check, fmt.Sprintf("%s can be read by others (mode %04o): it holds recordings and keys", dir, info.Mode().Perm()), "chmod 700 "+dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() && os.Getuid() != 0 {
		d.warn(check, fmt.Sprintf("it belongs to user %d, this is user %d", st.Uid, os.Getuid()), "run the doctor as the server's user")
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		d.bad(check, "nothing can be written: "+err.Error(), "let the server's user write to "+dir)
	} else {
		probe.Close()
		os.Remove(probe.Name())
	}
	if f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0o600); err == nil {
		d.running = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
		f.Close() // gives the lock back
	}
	if _, err := os.Stat(filepath.Join(dir, keysFile)); err == nil {
		if _, err := contact.OpenVault(filepath.Join(dir, keysFile)); err != nil {
			d.bad("keys", err.Error(), "without the keys numbers, names and recordings cannot be read: bring keys.json back from the backup, chmod 600")
		} else {
			d.ok("keys", "%s can be opened, by its owner only", keysFile)
		}
	}
	free, err := freeBytes(dir)
	switch {
	case err != nil:
		d.bad("disk", err.Error(), "look at the file system of "+dir)
	case free < 256<<20:
		d.bad("disk", fmt.Sprintf("%d MiB free: calls are not recorded any more", free>>20), "make room; `lianxin recording retention` shows what may go")
	case free < leastFree:
		d.warn("disk", fmt.Sprintf("%d MiB free", free>>20), "make room; `lianxin recording retention` shows what may go")
	default:
		d.ok("disk", "%d MiB free, about %d hours of calls", free>>20, free/(32000*3600))
	}
	if d.running {
		d.ok(check, "%s, a server is running on it", dir)
	} else {
		d.ok(check, "%s, no server is running on it", dir)
	}
}

// database checks its integrity.
func (d *doctor) database(ctx context.Context) {
	const check = "database"
	db, err := openExisting(ctx, d.cfg)
	if err != nil {
		if d.cfg.Database == "" {
			if _, gone := os.Stat(d.cfg.dsn()); errors.Is(gone, fs.ErrNotExist) {
				d.warn(check, err.Error(), "")
				return
			}
		}
		d.bad(check, err.Error(), "bring the last backup back with `lianxin restore FILE`, or check LIANXIN_DATABASE")
		return
	}
	defer db.Close()
	if db.Postgres() {
		began := time.Now()
		if err := db.Ping(ctx); err != nil {
			d.bad(check, err.Error(), "check LIANXIN_DATABASE and that PostgreSQL runs")
			return
		}
		d.ok(check, "PostgreSQL answers in %v", time.Since(began).Round(time.Millisecond))
		return
	}
	var faults []string
	err = db.View(ctx, func(tx *storage.Tx) (err error) {
		faults, err = storage.All(tx, storage.Value[string], `PRAGMA quick_check(5)`)
		return err
	})
	switch {
	case err != nil:
		d.bad(check, err.Error(), "stop the server and bring the last backup back with `lianxin restore FILE`")
	case len(faults) != 1 || faults[0] != "ok":
		d.bad(check, "damaged: "+strings.Join(faults, "; "), "stop the server and bring the last backup back with `lianxin restore FILE`")
	default:
		d.ok(check, "whole (quick_check); `lianxin audit verify` proves the log")
	}
}

// flows reads the flow files as the server would.
func (d *doctor) flows() {
	if _, err := ivr.LoadFlow(d.cfg.Flows, "hotline"); err != nil {
		d.bad("flow files", err.Error(), "mend the file and try `lianxin flow check FILE`")
		return
	}
	d.ok("flow files", "can be read")
	if calendar, err := workday.Load(); err == nil {
		if w := calendar.Warn(time.Now()); w != "" {
			d.warn("calendar", w, "update the program when the State Council has published next year's calendar")
		}
	}
}

// ports tells which of the server's addresses somebody else has.
func (d *doctor) ports(context.Context) {
	if d.running {
		return // they are the server's; whether it answers there is asked for below
	}
	try := func(name, network, addr string) {
		var err error
		if network == "udp" {
			var c net.PacketConn
			if c, err = net.ListenPacket("udp", addr); err == nil {
				c.Close()
			}
		} else {
			var l net.Listener
			if l, err = net.Listen("tcp", addr); err == nil {
				l.Close()
			}
		}
		_, port, _ := net.SplitHostPort(addr)
		switch {
		case err == nil:
			d.ok(name, "%s %s is free", network, addr)
		case errors.Is(err, syscall.EADDRINUSE):
			d.bad(name, fmt.Sprintf("%s %s is taken by another program", network, addr), "`ss -lnp 'sport = :"+port+"'` as root names it; stop it, or choose another address")
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			d.bad(name, fmt.Sprintf("this machine has no address %s", addr), "choose one of `ip address`, or 0.0.0.0")
		case errors.Is(err, syscall.EACCES):
			d.bad(name, fmt.Sprintf("%s %s may not be opened by this user", network, addr), "ports below 1024 need CAP_NET_BIND_SERVICE")
		default:
			d.bad(name, err.Error(), "check the address")
		}
	}
	try("console's address", "tcp", d.cfg.HTTP)
	try("SIP address", "udp", d.cfg.SIP)
	try("SIP address", "tcp", d.cfg.SIP)
	if d.cfg.SIPTLS != "" {
		try("SIP over TLS address", "tcp", d.cfg.SIPTLS)
	}
}

// server asks a running server how it is.
func (d *doctor) server(ctx context.Context) {
	if !d.running {
		return
	}
	var health struct {
		OK    bool
		Parts []console.Part
	}
	scheme := "http"
	if d.cfg.TLSCert != "" {
		scheme = "https"
	}
	// The certificate is looked at by itself; here only the answer counts.
	client := &http.Client{Timeout: d.wait + 3*time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+hostPort(d.cfg.HTTP)+"/healthz", nil)
	if err == nil {
		var res *http.Response
		if res, err = client.Do(req); err == nil {
			err = json.NewDecoder(res.Body).Decode(&health)
			res.Body.Close()
		}
	}
	if err != nil {
		d.bad("server", "a server holds the data folder, but its console does not answer at "+d.cfg.HTTP+": "+err.Error(), "check --http, and the server's log")
		return
	}
	for _, p := range health.Parts {
		switch {
		case p.OK:
			d.ok("server: "+p.Name, "%s", p.Detail)
		case p.Needed:
			d.bad("server: "+p.Name, p.Detail, "see the server's log; GET /metrics has the figures")
		default:
			d.warn("server: "+p.Name, p.Detail, "calls and texts go on without it")
		}
	}
	d.options("server: SIP", hostPort(d.cfg.SIP), "the server runs, but SIP does not answer on this machine: check the firewall of the loopback interface and the log")
}

// options sends an OPTIONS over UDP and waits for any answer.
func (d *doctor) options(check, addr, do string) {
	c, err := net.Dial("udp", addr)
	if err != nil {
		d.bad(check, err.Error(), do)
		return
	}
	defer c.Close()
	id := storage.NewID()
	began := time.Now()
	fmt.Fprintf(c, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\nFrom: <sip:doctor@lianxin.invalid>;tag=%s\r\nTo: <sip:%s>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nContact: <sip:doctor@%s>\r\nContent-Length: 0\r\n\r\n",
		addr, c.LocalAddr(), id, id[len(id)-8:], addr, id, c.LocalAddr())
	_ = c.SetReadDeadline(time.Now().Add(d.wait))
	b := make([]byte, 65535)
	n, err := c.Read(b)
	if err != nil {
		d.bad(check, fmt.Sprintf("%s does not answer OPTIONS within %v", addr, d.wait), do)
		return
	}
	line, _, _ := strings.Cut(string(b[:n]), "\r\n")
	if len(line) > 60 {
		line = line[:60]
	}
	d.ok(check, "%s answers in %v: %q", addr, time.Since(began).Round(time.Millisecond), line)
}

// rtp compares the range of the voice with the kernel's and with the calls that are to be led.
func (d *doctor) rtp() {
	const check = "RTP ports"
	low, high := d.cfg.RTPPorts.Low, d.cfg.RTPPorts.High
	clash := ephemeralClash(low, high, readSysctl("net/ipv4/ip_local_port_range"), readSysctl("net/ipv4/ip_local_reserved_ports"))
	if clash > 0 {
		d.bad(check, fmt.Sprintf("%d of %d-%d lie in the range from which the kernel gives ports to other programs (%s)", clash, low, high, strings.Join(strings.Fields(readSysctl("net/ipv4/ip_local_port_range")), "-")),
			fmt.Sprintf("sysctl -w net.ipv4.ip_local_reserved_ports=%d-%d, or choose another --rtp-ports", low, high))
	} else {
		d.ok(check, "%d-%d, outside of the kernel's range", low, high)
	}
	// A call with an operator has two legs of two ports, and a port rests for a while after a call.
	if legs := (high - low + 1) / 2; d.cfg.MaxCalls > 0 && legs < 2*d.cfg.MaxCalls {
		d.warn(check, fmt.Sprintf("room for %d legs, but %d calls with operators need %d", legs, d.cfg.MaxCalls, 2*d.cfg.MaxCalls), "widen --rtp-ports, or lower --max-calls")
	}
}

func readSysctl(name string) string {
	b, _ := os.ReadFile("/proc/sys/" + name)
	return strings.TrimSpace(string(b))
}

// ephemeralClash counts the ports from low to high that lie in the kernel's range and are not reserved.
func ephemeralClash(low, high int, kernel, reserved string) int {
	bounds := strings.Fields(kernel)
	if len(bounds) != 2 {
		return 0
	}
	a, err1 := strconv.Atoi(bounds[0])
	b, err2 := strconv.Atoi(bounds[1])
	if err1 != nil || err2 != nil {
		return 0
	}
	kept := func(port int) bool {
		for part := range strings.SplitSeq(reserved, ",") {
			from, to, ranged := strings.Cut(part, "-")
			x, err := strconv.Atoi(from)
			if err != nil {
				continue
			}
			y := x
			if ranged {
				if y, err = strconv.Atoi(to); err != nil {
					continue
				}
			}
			if x <= port && port <= y {
				return true
			}
		}
		return false
	}
	n := 0
	for port := max(low, a); port <= min(high, b); port++ {
		if !kept(port) {
			n++
		}
	}
	return n
}

// nat compares the address that phones are told with those of this machine.
func (d *doctor) nat() {
	const check = "address for phones"
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		d.warn(check, err.Error(), "")
		return
	}
	var own []netip.Addr
	public := false
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		own = append(own, p.Addr())
		public = public || !p.Addr().IsPrivate()
	}
	outside := false // a trunk on the internet
	addrsOfTrunks := slices.Clone(d.cfg.Trunks)
	for _, t := range d.cfg.Telephony.Trunks {
		addrsOfTrunks = append(addrsOfTrunks, t.From...)
	}
	for _, t := range addrsOfTrunks {
		if p, err := prefix(t); err == nil && !p.Addr().IsPrivate() && !p.Addr().IsLoopback() {
			outside = true
		}
	}
	said, _ := netip.ParseAddr(d.cfg.PublicIP)
	switch {
	case d.cfg.PublicIP == "" && outside && !public:
		d.bad(check, "a trunk is on the internet, but this machine has private addresses only and --public-ip is not set: its voice would be sent to nowhere", "set --public-ip to the address that the NAT shows outside, and forward --rtp-ports and SIP to this machine")
	case d.cfg.PublicIP != "" && said.IsPrivate() && outside:
		d.bad(check, d.cfg.PublicIP+" is a private address, but a trunk is on the internet", "set --public-ip to the address that the NAT shows outside")
	case d.cfg.PublicIP != "" && !slices.Contains(own, said):
		d.warn(check, d.cfg.PublicIP+" is none of this machine's addresses: a NAT must forward SIP and --rtp-ports to it, port by port", "check with a call from outside: `lianxin call show ID` tells what is heard")
	case d.cfg.PublicIP != "":
		d.ok(check, "%s", d.cfg.PublicIP)
	default:
		d.ok(check, "the one by which each phone is reached")
	}
}

// trunks asks every trunk with one address whether it is there, and every one that calls go to.
func (d *doctor) trunks(ctx context.Context) {
	const do = "check the network and the firewall (UDP 5060 both ways); some carriers answer OPTIONS from agreed addresses only"
	for _, t := range d.cfg.Trunks {
		p, err := prefix(t)
		if err != nil || !p.IsSingleIP() {
			continue
		}
		d.options("trunk "+t, net.JoinHostPort(p.Addr().String(), "5060"), do)
	}
	for _, t := range d.cfg.Telephony.Trunks {
		if t.Proxy == "" {
			continue
		}
		check := "trunk " + t.Name
		network, addr, err := proxyAddress(ctx, t.Proxy, d.wait)
		switch {
		case err != nil:
			d.bad(check, "its proxy "+t.Proxy+" has no address: "+err.Error(), "check the name with the carrier, and the name server of this machine")
		case network == "udp":
			d.options(check, addr, do)
		default:
			c, err := net.DialTimeout("tcp", addr, d.wait)
			if err != nil {
				d.bad(check, err.Error(), "check the network and the firewall")
				continue
			}
			c.Close()
			d.ok(check, "%s takes connections", addr)
		}
	}
}

// proxyAddress is where the proxy of a trunk is reached: by its service records (RFC 3263) when it is a name without a port.
func proxyAddress(ctx context.Context, uri string, wait time.Duration) (network, addr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	scheme, rest, _ := strings.Cut(uri, ":")
	rest, params, _ := strings.Cut(rest, ";")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	network, port, service := "udp", "5060", "sip"
	transport := strings.ToLower(params)
	switch {
	case scheme == "sips", strings.Contains(transport, "transport=tls"):
		network, port, service = "tcp", "5061", "sips"
	case strings.Contains(transport, "transport=tcp"):
		network = "tcp"
	}
	host, given, err := net.SplitHostPort(rest)
	if err == nil {
		port = given
	} else {
		host = strings.Trim(rest, "[]")
		if _, ip := netip.ParseAddr(host); ip != nil {
			if _, list, err := net.DefaultResolver.LookupSRV(ctx, service, network, host); err == nil && len(list) > 0 {
				host, port = strings.TrimSuffix(list[0].Target, "."), fmt.Sprint(list[0].Port)
			}
		}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", "", err
	}
	return network, net.JoinHostPort(ips[0].Unmap().String(), port), nil
}

// certificate looks at a pair of files.
func (d *doctor) certificate(check, cert, key string) {
	if cert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		d.bad(check, err.Error(), "put a certificate and its key there, PEM, readable by the server's user")
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		d.bad(check, err.Error(), "renew it")
		return
	}
	if info, err := os.Stat(key); err == nil && info.Mode().Perm()&0o007 != 0 {
		d.bad(check, fmt.Sprintf("its key %s can be read by everybody (mode %04o)", key, info.Mode().Perm()), "chmod 600 "+key)
	}
	left := time.Until(leaf.NotAfter)
	switch when := leaf.NotAfter.In(workday.Zone).Format("2006-01-02"); {
	case left < 0:
		d.bad(check, "expired on "+when, "renew it; the server takes a new one up without a restart")
	case time.Now().Before(leaf.NotBefore):
		d.bad(check, "valid only from "+leaf.NotBefore.In(workday.Zone).Format("2006-01-02")+": or the clock is wrong", "check the clock")
	case left < 21*24*time.Hour:
		d.warn(check, fmt.Sprintf("expires in %d days, on %s", int(left.Hours()/24), when), "renew it; the server takes a new one up without a restart")
	default:
		d.ok(check, "valid until %s", when)
	}
}

// clock asks the kernel whether its clock follows another.
func (d *doctor) clock() {
	const check = "clock"
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	off := time.Duration(tx.Maxerror) * time.Microsecond
	switch {
	case err != nil:
		d.warn(check, "the kernel does not tell: "+err.Error(), "")
	case time.Now().Year() < 2025:
		d.bad(check, "it is "+time.Now().Format(time.RFC3339), "set the clock and keep it with chrony or systemd-timesyncd")
	case state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0:
		d.warn(check, "is not synchronised with others: deadlines, records and the police's evidence depend on it", "keep it with chrony or systemd-timesyncd (in a container, on its host)")
	default:
		d.ok(check, "synchronised, off by at most %v", off)
	}
}

// limits compares what the system allows with what the calls need.
func (d *doctor) limits() {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err == nil {
		need := uint64(8*d.cfg.MaxCalls + 1000) // two legs of two sockets, recording, connections
		// Go raises the soft limit to the hard one by itself.
		if r.Max < need {
			d.bad("file descriptors", fmt.Sprintf("%d allowed, %d calls need about %d", r.Max, d.cfg.MaxCalls, need), "LimitNOFILE= in the service's unit, or ulimit -n")
		} else {
			d.ok("file descriptors", "%d allowed, about %d needed", r.Max, need)
		}
	}
	if n, err := strconv.Atoi(readSysctl("net/core/rmem_max")); err == nil && n < 212992 {
		d.warn("socket buffers", fmt.Sprintf("net.core.rmem_max is %d", n), "sysctl -w net.core.rmem_max=1048576: bursts of SIP are lost otherwise")
	}
	have, err1 := strconv.Atoi(readSysctl("net/netfilter/nf_conntrack_count"))
	most, err2 := strconv.Atoi(readSysctl("net/netfilter/nf_conntrack_max"))
	if err1 == nil && err2 == nil && most > 0 && have*10 > most*8 {
		d.bad("connection tracking", fmt.Sprintf("%d of %d entries are in use: new calls will be lost", have, most), "sysctl -w net.netfilter.nf_conntrack_max=…, or do not track UDP of --rtp-ports")
	}
}

// carriers opens a connection to every carrier of texts.
func (d *doctor) carriers(ctx context.Context) {
	for _, name := range d.cfg.Carriers {
		target := d.cfg.carrierAddr(name)
		if target == "" {
			continue
		}
		dialer := net.Dialer{Timeout: d.wait}
		began := time.Now()
		c, err := dialer.DialContext(ctx, "tcp", target)
		if err != nil {
			d.bad("carrier "+name, target+" cannot be reached: "+err.Error(), "check the network, the firewall and the carrier's address")
			continue
		}
		c.Close()
		d.ok("carrier "+name, "%s is reached in %v", target, time.Since(began).Round(time.Millisecond))
	}
}

// hostOf is host:port of a URL.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// carrierAddr is where a carrier of texts is reached; "" when there is nothing to reach.
func (cfg *Config) carrierAddr(name string) string {
	s := cfg.CarrierSettings
	endpoint := func(set, usual string) string {
		if set == "" {
			set = usual
		}
		if !strings.Contains(set, "://") {
			set = "https://" + set
		}
		return hostOf(set)
	}
	switch name {
	case "twilio":
		return hostOf(cfg.TwilioURL)
	case "kannel":
		return hostOf(s.Kannel.URL)
	case "cmpp":
		return s.CMPP.Addr
	case "aliyun":
		return endpoint(s.Aliyun.Endpoint, "dysmsapi.aliyuncs.com")
	case "tencent":
		return endpoint(s.Tencent.Endpoint, "sms.tencentcloudapi.com")
	}
	return ""
}
