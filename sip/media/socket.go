package media

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A link is where a leg's packets come from and go to. Its methods never block and are called by the leg's
// pacer alone. A UDP socket pair is one; a browser's DTLS transport will be another, and SRTP wraps either.
type link interface {
	// read takes one RTP datagram; errAgain when there is none.
	read(p []byte) (n int, from netip.AddrPort, err error)
	// readControl takes one RTCP datagram from the second socket; errAgain when there is none.
	readControl(p []byte) (n int, from netip.AddrPort, err error)
	write(p []byte, to netip.AddrPort) error
	writeControl(p []byte, to netip.AddrPort) error
	// pin asks the kernel to drop RTP that does not come from the address; the zero address lifts it.
	pin(from netip.AddrPort)
	// drain ends the traffic but keeps the ports taken.
	drain()
	// empty throws away what has arrived and says how many datagrams that were.
	empty() int
	close()
}

var errAgain = errors.New("nothing to read")

// udpLink is a pair of raw UDP sockets that Go's netpoller never sees: sockets made by package net stay in
// its epoll set, and every packet would wake it for nothing (measured: 18 % of the media CPU).
type udpLink struct {
	rtp, rtcp int
	v6        bool           // AF_INET6 sockets, IPv4 peers appear as mapped addresses
	pinnable  bool           // bound to one address: connect(2) cannot change the local side
	pinned    netip.AddrPort // that the RTP socket is connected to; the zero address: to nobody

	// Buffers of the system calls. They are fields because their addresses go to the kernel.
	name    unix.RawSockaddrInet6 // large enough for both families
	nameLen uint32
}

// receiveBuffer holds about 85 packets of 20 ms (the kernel doubles it and counts its own bookkeeping): more than a second and a half of
// sound. What waited longer would be thrown away in any case, and a flood that fills a larger one keeps the far end waiting behind it.
const receiveBuffer = 32 << 10

// openUDP binds a socket for RTP at port and one for RTCP at port+1.
func openUDP(ip netip.Addr, port int) (*udpLink, error) {
	rtp, err := bindUDP(ip, port)
	if err != nil {
		return nil, err
	}
	rtcp, err := bindUDP(ip, port+1)
	if err != nil {
		unix.Close(rtp)
		return nil, err
	}
	return &udpLink{rtp: rtp, rtcp: rtcp, v6: ip.Is6(), pinnable: !ip.IsUnspecified()}, nil
}

func bindUDP(ip netip.Addr, port int) (int, error) {
	family := unix.AF_INET
	if ip.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make UDP socket: %w", err)
	}
	if ip.Is6() && ip.IsUnspecified() {
		// One socket for both families; not fatal where the kernel refuses.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	// DSCP EF (RFC 4594): voice first, where the network honours it.
	if ip.Is6() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0xB8)
	} else {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, 0xB8)
	}
	var sa unix.Sockaddr
	if ip.Is6() {
		sa = &unix.SockaddrInet6{Port: port, Addr: ip.As16(), ZoneId: zoneID(ip)}
	} else {
		sa = &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind UDP port %d: %w", port, err)
	}
	return fd, nil
}

func (u *udpLink) read(p []byte) (int, netip.AddrPort, error)        { return u.recv(u.rtp, p) }
func (u *udpLink) readControl(p []byte) (int, netip.AddrPort, error) { return u.recv(u.rtcp, p) }
func (u *udpLink) writeControl(p []byte, to netip.AddrPort) error    { return u.send(u.rtcp, p, to) }

// write sends one RTP packet. A connected socket is not told the address: the kernel looks for the route of every address it is told
// (measured: an eighth of the send).
func (u *udpLink) write(p []byte, to netip.AddrPort) error {
	if to != u.pinned {
		return u.send(u.rtp, p, to)
	}
	err := sendTo(u.rtp, p, nil, 0)
	if err == unix.ECONNREFUSED { // what an earlier packet has met (ICMP), or a stranger has forged; this one was not sent
		err = sendTo(u.rtp, p, nil, 0)
	}
	return err
}

// recv is recvfrom(2) without an allocation and without telling the scheduler: the socket does not block.
// MSG_TRUNC makes an oversized datagram show its true length.
func (u *udpLink) recv(fd int, p []byte) (int, netip.AddrPort, error) {
	for {
		u.nameLen = uint32(unsafe.Sizeof(u.name))
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_TRUNC,
			uintptr(unsafe.Pointer(&u.name)), uintptr(unsafe.Pointer(&u.nameLen)))
		switch errno {
		case 0:
			return int(n), u.peer(), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, netip.AddrPort{}, errAgain
		default:
			// ICMP errors of earlier sends show up here (ECONNREFUSED …): there may be a packet behind it.
			return 0, netip.AddrPort{}, errno
		}
	}
}

// peer reads the address that recvfrom left in name.
func (u *udpLink) peer() netip.AddrPort {
	port := *(*[2]byte)(unsafe.Pointer(&u.name.Port))
	p := uint16(port[0])<<8 | uint16(port[1])
	if u.name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&u.name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), p)
	}
	ip := netip.AddrFrom16(u.name.Addr).Unmap()
	if u.name.Scope_id != 0 && ip.Is6() { // link-local only
		ip = ip.WithZone(strconv.FormatUint(uint64(u.name.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, p)
}

// setPeer puts an address into name, in the family of the socket, and returns its length.
func (u *udpLink) setPeer(to netip.AddrPort) uintptr {
	port := (*[2]byte)(unsafe.Pointer(&u.name.Port))
	port[0], port[1] = byte(to.Port()>>8), byte(to.Port())
	if !u.v6 {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&u.name))
		v4.Family = unix.AF_INET
		v4.Addr = to.Addr().Unmap().As4()
		v4.Zero = [8]uint8{}
		return unix.SizeofSockaddrInet4
	}
	u.name.Family = unix.AF_INET6
	u.name.Addr = to.Addr().As16() // IPv4 becomes ::ffff:a.b.c.d
	u.name.Flowinfo = 0
	u.name.Scope_id = zoneID(to.Addr())
	return unix.SizeofSockaddrInet6
}

// send is sendto(2), likewise. A full socket buffer or an unreachable peer loses the packet: voice does not wait.
func (u *udpLink) send(fd int, p []byte, to netip.AddrPort) error {
	if !u.v6 && !to.Addr().Unmap().Is4() {
		return unix.EAFNOSUPPORT
	}
	return sendTo(fd, p, &u.name, u.setPeer(to))
}

func sendTo(fd int, p []byte, name *unix.RawSockaddrInet6, size uintptr) error {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
			uintptr(unsafe.Pointer(name)), size)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// pin connects the RTP socket, so that a flood from elsewhere never reaches its queue and what we send needs no route looked up. A socket
// bound to the wildcard address is left alone: connect would fix its local address too.
func (u *udpLink) pin(from netip.AddrPort) {
	if !u.pinnable || from == u.pinned {
		return
	}
	if u.pinned.IsValid() { // first, because a connect that fails leaves the old one as it was
		u.name = unix.RawSockaddrInet6{Family: unix.AF_UNSPEC}
		unix.RawSyscall(unix.SYS_CONNECT, uintptr(u.rtp), uintptr(unsafe.Pointer(&u.name)), unix.SizeofSockaddrInet6)
		u.pinned = netip.AddrPort{}
	}
	if !from.IsValid() || !u.v6 && !from.Addr().Is4() {
		return
	}
	size := u.setPeer(from)
	if _, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(u.rtp), uintptr(unsafe.Pointer(&u.name)), size); errno == 0 {
		u.pinned = from
	}
}

// drain does nothing: the buffers are small, so what a far end sends after the end costs the kernel little.
func (u *udpLink) drain() {}

func (u *udpLink) empty() (n int) {
	var one [1]byte
	for _, fd := range [2]int{u.rtp, u.rtcp} {
		for range receiveBuffer / 512 { // more cannot have been waiting
			if _, _, err := u.recv(fd, one[:]); err == errAgain {
				break
			} else if err == nil {
				n++
			}
		}
	}
	return n
}

// renew makes the sockets fit for another leg.
func (u *udpLink) renew() {
	u.pin(netip.AddrPort{})
	u.empty()
}

func (u *udpLink) close() {
	unix.Close(u.rtp)
	unix.Close(u.rtcp)
	u.rtp, u.rtcp = -1, -1
}
