package sip

import (
	"net/netip"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// A phone may register through proxies, which name themselves in Path (RFC 3327); its calls are then sent the same way back, by Route. What
// is kept of it is bounded: whoever registers has proven a password, but every call is to carry it.
const (
	maxPath       = 8    // proxies
	maxPathLength = 1024 // bytes, of all of them
)

func isPath(option string) bool { return strings.EqualFold(option, "path") }

// pathOf reads the Path of a REGISTER, and how it is told to a phone that knows of it. A Path that cannot be kept is refused: without it
// the phone would not be reached.
func pathOf(req *gosip.Request) (path []gosip.Uri, named string, ok bool) {
	var all []string
	for _, h := range req.GetHeaders("Path") {
		for _, v := range splitOutsideQuotes(h.Value()) {
			_, rest, _ := strings.Cut(v, "<")
			uri, _, closed := strings.Cut(rest, ">")
			u, err := parseURI(uri)
			if !closed || err != nil || len(path) == maxPath {
				return nil, "", false
			}
			path = append(path, u)
			all = append(all, "<"+uri+">")
		}
	}
	if named = strings.Join(all, ", "); len(named) > maxPathLength || named != clean(named, maxPathLength) {
		return nil, "", false
	}
	return path, named, true
}

func pathNames(path []gosip.Uri) (out []string) {
	for i := range path {
		out = append(out, path[i].String())
	}
	return out
}

// reopened is where a connection to the proxy next to us is opened when the one of the registration is gone: only where the Path names the
// very host that the REGISTER came from, as nobody is to have us connect to others.
func (b *binding) reopened() (remote string, ok bool) {
	if len(b.path) == 0 || b.flow.transport == "UDP" {
		return "", false
	}
	hop := b.path[0]
	ip, err := netip.ParseAddr(strings.Trim(hop.Host, "[]"))
	if err != nil || ip.Unmap() != b.flow.remoteAddr().Addr() {
		return "", false
	}
	port := hop.Port
	if port == 0 {
		port = defaultPort(b.flow.transport)
	}
	return joinHostPort(ip.Unmap().String(), port), true
}

// reopen leads a call to a phone by a new connection when that of its registration is gone and another may be opened.
func (s *Server) reopen(to *destination, b binding) {
	remote, ok := b.reopened()
	if !ok {
		return
	}
	if c, err := s.tpl.GetConnection(b.flow.transport, b.flow.remote); err == nil {
		_, _ = c.TryClose()
		return
	}
	to.flow.remote, to.pinned = remote, false
}
