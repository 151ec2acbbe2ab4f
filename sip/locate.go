package sip

import (
	"context"
	"net"
	"net/netip"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// locate lists the places that a URI may mean, in the order in which they are to be tried (RFC 3263 4): a host name without a port is
// looked up as SRV records first, whose priorities and weights the resolver has put in order.
func (s *Server) locate(ctx context.Context, u gosip.Uri) ([]destination, error) {
	host := strings.Trim(u.Host, "[]")
	if _, err := netip.ParseAddr(host); err != nil && u.Port == 0 {
		service, proto := "sip", "udp"
		switch t := strings.ToLower(u.UriParams.GetOr("transport", "udp")); {
		case u.Scheme == "sips" || t == "tls":
			service, proto = "sips", "tcp"
		case t == "tcp":
			proto = "tcp"
		}
		if records, err := s.srv(ctx, service, proto, host); err == nil {
			var out []destination
			for _, r := range records {
				at := *u.Clone()
				at.Host, at.Port = strings.TrimSuffix(r.Target, "."), int(r.Port)
				d, err := s.resolve(ctx, at)
				if err != nil {
					continue
				}
				d.uri = u // what is asked for stays what it was
				out = append(out, d)
			}
			if out != nil {
				return out, nil
			}
		}
	}
	d, err := s.resolve(ctx, u)
	if err != nil {
		return nil, err
	}
	return []destination{d}, nil
}

func (s *Server) srv(ctx context.Context, service, proto, host string) ([]*net.SRV, error) {
	if s.cfg.lookupSRV != nil {
		return s.cfg.lookupSRV(ctx, service, proto, host)
	}
	_, records, err := net.DefaultResolver.LookupSRV(ctx, service, proto, host)
	return records, err
}
