package sip

import (
	"net/netip"
	"net/url"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// identify tells who calls. An asserted identity (RFC 3325) is believed from trunks only; a user is named when the call comes the way
// of one of its proven registrations.
func (s *Server) identify(req *gosip.Request, way flow) Info {
	info := Info{Direction: Incoming, To: userOf(req.Recipient)}
	from := req.From()
	info.From = userOf(from.Address)
	info.Display = cleanDisplay(from.DisplayName)
	info.Anonymous = anonymous(req)
	if t := s.trunkOf(way.remoteAddr().Addr()); t != nil {
		info.Trunk = t.Name
		if number, display, ok := asserted(req); ok {
			info.From = number
			if display != "" {
				info.Display = display
			}
		}
		info.Diverted = diverted(req)
	} else if s.registrar.knows(info.From, way) {
		info.User = info.From
	}
	if info.Trunk == "" && info.Anonymous {
		info.From = ""
	}
	return info
}

func (s *Server) trunkOf(ip netip.Addr) *Trunk {
	trunks := s.lines.plan.Load().trunks
	for i := range trunks {
		for _, p := range trunks[i].Addrs {
			if p.Contains(ip.Unmap()) {
				return &trunks[i]
			}
		}
	}
	return nil
}

func (s *Server) trunkNamed(name string) *Trunk {
	trunks := s.lines.plan.Load().trunks
	for i := range trunks {
		if trunks[i].Name == name {
			return &trunks[i]
		}
	}
	return nil
}

// asserted is the first usable P-Asserted-Identity: a sip, sips or tel URI, with a number if there is one.
func asserted(req *gosip.Request) (number, display string, ok bool) {
	for _, h := range req.GetHeaders("p-asserted-identity") {
		for _, v := range splitOutsideQuotes(h.Value()) {
			var u gosip.Uri
			name, err := gosip.ParseAddressValue(v, &u, nil)
			if err != nil {
				continue
			}
			n := userOf(u)
			if n == "" {
				continue
			}
			if u.Scheme == "tel" || number == "" || isNumber(n) && !isNumber(number) {
				number = n
			}
			if display == "" {
				display = cleanDisplay(name)
			}
			ok = true
		}
	}
	return
}

// diverted is the number that first forwarded the call: the last Diversion (RFC 5806 5.1), or else the first entry of History-Info
// (RFC 7044), where the call has been somewhere before.
func diverted(req *gosip.Request) string {
	n := ""
	for _, h := range req.GetHeaders("diversion") {
		for _, v := range splitOutsideQuotes(h.Value()) {
			var u gosip.Uri
			if _, err := gosip.ParseAddressValue(v, &u, nil); err == nil {
				n = userOf(u)
			}
		}
	}
	if n != "" {
		return n
	}
	var been []string
	for _, h := range req.GetHeaders("history-info") {
		for _, v := range splitOutsideQuotes(h.Value()) {
			var u gosip.Uri
			if _, err := gosip.ParseAddressValue(v, &u, nil); err == nil && userOf(u) != "" && len(been) < 16 {
				been = append(been, userOf(u))
			}
		}
	}
	if len(been) > 1 && been[0] != userOf(req.Recipient) {
		return been[0]
	}
	return ""
}

// anonymous looks at Privacy and at the forms that an anonymous From takes (RFC 3323 4.1.1.3).
func anonymous(req *gosip.Request) bool {
	for _, h := range req.GetHeaders("privacy") {
		for p := range strings.FieldsFuncSeq(strings.ToLower(h.Value()), func(r rune) bool { return strings.ContainsRune(";, ", r) }) {
			if p == "id" || p == "user" || p == "header" {
				return true
			}
		}
	}
	u := req.From().Address
	name := strings.ToLower(u.User)
	return strings.EqualFold(u.Host, "anonymous.invalid") || name == "anonymous" || name == "unavailable" || name == "restricted" ||
		name == "unknown"
}

// userOf is the number or user of a URI: percent-escapes resolved, parameters of the user part and visual separators of a number
// dropped.
func userOf(u gosip.Uri) string {
	v := u.User
	if u.Scheme == "tel" {
		v = u.Raw()
	}
	v, _, _ = strings.Cut(v, ";")
	if p, err := url.PathUnescape(v); err == nil {
		v = p
	}
	v = clean(v, 64)
	n := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.() ", r) {
			return -1
		}
		return r
	}, v)
	if isNumber(n) {
		return n
	}
	return v
}

func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "+")
	if s == "" {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && r != '*' && r != '#' {
			return false
		}
	}
	return true
}

// splitOutsideQuotes splits a header at the commas that separate its values.
func splitOutsideQuotes(s string) []string {
	var out []string
	from, quoted, angle := 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	if from > len(s) {
		from = len(s)
	}
	if v := strings.TrimSpace(s[from:]); v != "" {
		out = append(out, v)
	}
	return out
}
