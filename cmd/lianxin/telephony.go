package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

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
func readTelephony(file string) (s telephonySettings, err error) {
	if file == "" {
		return s, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return s, fmt.Errorf("read configuration: %w", err)
	}
	var whole struct {
		Telephony yaml.Node `yaml:"telephony"`
	}
	if err := yaml.Unmarshal(data, &whole); err != nil {
		return s, fmt.Errorf("read configuration %s: %w", file, err)
	}
	if whole.Telephony.IsZero() {
		return s, nil
	}
	part, err := yaml.Marshal(&whole.Telephony)
	if err != nil {
		return s, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(part))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("read configuration %s: telephony: %w", file, err)
	}
	for i := range s.Trunks {
		t := &s.Trunks[i]
		if t.PasswordFile == "" {
			continue
		}
		b, err := os.ReadFile(t.PasswordFile)
		if err != nil {
			return s, fmt.Errorf("configuration %s: telephony: trunk %s: %w", file, t.Name, err)
		}
		t.Password = strings.TrimSpace(string(b))
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("configuration %s: telephony: %w", file, err)
	}
	return s, nil
}

// check finds what would keep the exchange from starting, and what would make a trunk of no use, and says what and where.
func (s *telephonySettings) check() error {
	names := map[string]bool{}
	for i, t := range s.Trunks {
		at := func(format string, args ...any) error {
			return fmt.Errorf("trunk %d (%s): %s", i+1, t.Name, fmt.Sprintf(format, args...))
		}
		switch {
		case t.Name == "":
			return at("a name is needed")
		case names[t.Name]:
			return at("the name is taken")
		case len(t.From) == 0 && t.Proxy == "":
			return at("it needs from (its calls), proxy (ours), or both")
		case t.Register && (t.Proxy == "" || t.User == ""):
			return at("to register it needs proxy and user")
		case t.Strip < 0 || t.Weight < 0 || t.MaxCalls < 0 || t.MaxPerHour < 0 || t.MaxPerNight < 0 || t.MaxCall < 0:
			return at("a limit cannot be below zero")
		}
		names[t.Name] = true
		for _, a := range t.From {
			if _, err := prefix(a); err != nil {
				return at("from %q is no IP address or network", a)
			}
		}
	}
	if _, _, err := s.night(); err != nil {
		return err
	}
	if s.Police != "" && strings.Trim(s.Police, "+0123456789") != "" {
		return fmt.Errorf("police %q is no number", s.Police)
	}
	if err := sip.CheckOutbound(s.outbound("1"), s.trunks()); err != nil {
		return err
	}
	if s.Police != "" && !sip.Allows(s.outbound("1"), s.Police) {
		return fmt.Errorf("police %s is not among outbound.allow", s.Police)
	}
	return nil
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
