package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"lianxin/sip"
	"lianxin/workday"
)

// telephonySettings are the lines to the outside and what may be called through them. They hold passwords, so they stand in the
// configuration file only, under the key "telephony"; docs/telephony.md explains them.
type telephonySettings struct {
	Police   string           `yaml:"police"` // what 110 is dialled as; empty: nobody can be put through to it
	Trunks   []trunkSettings  `yaml:"trunks"`
	Outbound outboundSettings `yaml:"outbound"`
}

type trunkSettings struct {
	Name         string   `yaml:"name"`
	From         []string `yaml:"from"`  // addresses or networks that its calls come from
	Proxy        string   `yaml:"proxy"` // sip:host[:port][;transport=tcp]: where our calls go; empty: it only brings calls
	User         string   `yaml:"user"`
	Password     string   `yaml:"password"`
	PasswordFile string   `yaml:"password-file"`
	Register     bool     `yaml:"register"`
	Number       string   `yaml:"number"` // that it shows for our calls
	Priority     int      `yaml:"priority"`
	Weight       int      `yaml:"weight"`
	Numbers      []string `yaml:"numbers"` // patterns that it carries; all that are allowed when empty
	Strip        int      `yaml:"strip"`
	Prefix       string   `yaml:"prefix"`
	MaxCalls     int      `yaml:"max-calls"` // at once

	limitSettings `yaml:",inline"`
}

type outboundSettings struct {
	Allow  []string `yaml:"allow"`
	Number string   `yaml:"number"` // --hotline when empty
	Night  string   `yaml:"night"`  // "22:00-06:00"

	limitSettings `yaml:",inline"`
}

type limitSettings struct {
	MaxPerHour  int           `yaml:"max-per-hour"`
	MaxPerNight int           `yaml:"max-per-night"`
	MaxCall     time.Duration `yaml:"max-call"`
}

// readTelephony reads its part of the configuration file; a key that is not known is an error.
func readTelephony(f *configFile) (s telephonySettings, err error) {
	if err := f.part("telephony", &s); err != nil {
		return s, err
	}
	for i := range s.Trunks {
		t := &s.Trunks[i]
		if t.PasswordFile == "" {
			continue
		}
		b, err := os.ReadFile(t.PasswordFile)
		if err != nil {
			return s, f.at(fmt.Sprintf("telephony.trunks.%d.password-file", i), fmt.Errorf("telephony: trunk %d (%s): %w", i+1, t.Name, err))
		}
		t.Password = strings.TrimSpace(string(b))
	}
	if at, err := s.check(); err != nil {
		return s, f.at("telephony."+at, fmt.Errorf("telephony: %w", err))
	}
	return s, nil
}

// check finds what would keep the exchange from starting, and what would make a trunk of no use, and says what, and where in the settings
// (trunks.0.from).
func (s *telephonySettings) check() (where string, err error) {
	names := map[string]bool{}
	for i, t := range s.Trunks {
		at := func(key, format string, args ...any) (string, error) {
			return fmt.Sprintf("trunks.%d.%s", i, key), fmt.Errorf("trunk %d (%s): %s", i+1, t.Name, fmt.Sprintf(format, args...))
		}
		switch {
		case t.Name == "":
			return at("name", "a name is needed")
		case names[t.Name]:
			return at("name", "the name is taken")
		case len(t.From) == 0 && t.Proxy == "":
			return at("from", "it needs from (its calls), proxy (ours), or both")
		case t.Register && (t.Proxy == "" || t.User == ""):
			return at("register", "to register it needs proxy and user")
		}
		for key, n := range map[string]int{"strip": t.Strip, "weight": t.Weight, "max-calls": t.MaxCalls, "max-per-hour": t.MaxPerHour, "max-per-night": t.MaxPerNight, "max-call": int(t.MaxCall)} {
			if n < 0 {
				return at(key, "%s cannot be below zero", key)
			}
		}
		names[t.Name] = true
		for k, a := range t.From {
			if _, err := prefix(a); err != nil {
				return at(fmt.Sprint("from.", k), "from %q is no IP address or network", a)
			}
		}
		if err := sip.CheckOutbound(sip.Outbound{}, s.trunks()[i:i+1]); err != nil {
			key := "name"
			for k, word := range map[string]string{"proxy": "proxy", "numbers": "numbers", "prefix": "rewritten"} {
				if strings.Contains(err.Error(), word+" ") || strings.Contains(err.Error(), word+":") {
					key = k
				}
			}
			return fmt.Sprintf("trunks.%d.%s", i, key), err
		}
	}
	if _, _, err := s.night(); err != nil {
		return "outbound.night", err
	}
	if s.Police != "" && strings.Trim(s.Police, "+0123456789") != "" {
		return "police", fmt.Errorf("police %q is no number", s.Police)
	}
	for i := range s.Outbound.Allow {
		if err := sip.CheckOutbound(sip.Outbound{Allow: s.Outbound.Allow[i : i+1]}, nil); err != nil {
			return fmt.Sprint("outbound.allow.", i), err
		}
	}
	if err := sip.CheckOutbound(s.outbound("1"), s.trunks()); err != nil {
		return "outbound", err
	}
	if s.Police != "" && !sip.Allows(s.outbound("1"), s.Police) {
		return "police", fmt.Errorf("police %s is not among outbound.allow", s.Police)
	}
	return "", nil
}

// night reads outbound.night.
func (s *telephonySettings) night() (from, to time.Duration, err error) {
	if s.Outbound.Night == "" {
		return 0, 0, nil
	}
	var h1, m1, h2, m2 int
	_, err = fmt.Sscanf(s.Outbound.Night, "%d:%d-%d:%d", &h1, &m1, &h2, &m2)
	if err != nil || h1 < 0 || h1 > 23 || h2 < 0 || h2 > 23 || m1 < 0 || m1 > 59 || m2 < 0 || m2 > 59 {
		return 0, 0, errors.New(`outbound.night: want two times of day, such as "22:00-06:00"`)
	}
	clock := func(h, m int) time.Duration { return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute }
	return clock(h1, m1), clock(h2, m2), nil
}

func (s *telephonySettings) trunks() (out []sip.Trunk) {
	for _, t := range s.Trunks {
		x := sip.Trunk{Name: t.Name, Proxy: t.Proxy, User: t.User, Password: t.Password, Register: t.Register, Number: t.Number,
			Priority: t.Priority, Weight: t.Weight, Numbers: t.Numbers, Strip: t.Strip, Prefix: t.Prefix,
			MaxCalls: t.MaxCalls, MaxPerHour: t.MaxPerHour, MaxPerNight: t.MaxPerNight, MaxCall: t.MaxCall}
		for _, a := range t.From {
			p, _ := prefix(a) // check has read it
			x.Addrs = append(x.Addrs, p)
		}
		out = append(out, x)
	}
	return out
}

func (s *telephonySettings) outbound(hotline string) sip.Outbound {
	from, to, _ := s.night() // check has read it
	o := sip.Outbound{Allow: s.Outbound.Allow, Number: s.Outbound.Number, MaxPerHour: s.Outbound.MaxPerHour, MaxPerNight: s.Outbound.MaxPerNight,
		NightFrom: from, NightTo: to, Zone: workday.Zone, MaxCall: s.Outbound.MaxCall}
	if o.Number == "" {
		o.Number = hotline
	}
	return o
}
