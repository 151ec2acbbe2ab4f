package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"lianxin/sip"
)

// bansFile keeps whom the guard of SIP has banned over a restart: addresses, reasons and ends.
const bansFile = "sip-bans.json"

// readBans reads what was kept. A file that cannot be read costs the bans, not the start.
func (c *centre) readBans() (list []sip.Ban) {
	b, err := os.ReadFile(filepath.Join(c.cfg.Data, bansFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		c.log.Error("sip: bans of before the restart", "file", bansFile, "err", err)
		return nil
	}
	return list
}

// writeBans replaces what is kept.
func (c *centre) writeBans(list []sip.Ban) {
	err := func() error {
		b, err := json.MarshalIndent(list, "", " ")
		if err != nil {
			return err
		}
		path := filepath.Join(c.cfg.Data, bansFile)
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			return fmt.Errorf("write bans: %w", err)
		}
		return os.Rename(path+".new", path)
	}()
	if err != nil {
		c.log.Error("sip: bans are not kept over a restart", "err", err)
	}
}

// wiring is what of the telephone's configuration can change while calls are up; check has read its addresses.
func (cfg *Config) wiring() sip.Wiring {
	prefixes := func(list []string) (out []netip.Prefix) {
		for _, text := range list {
			p, _ := prefix(text)
			out = append(out, p)
		}
		return out
	}
	w := sip.Wiring{Trusted: prefixes(cfg.SIPTrusted), Denied: prefixes(cfg.SIPDenied), Outbound: cfg.Telephony.outbound(cfg.Hotline)}
	if len(cfg.Trunks) > 0 {
		w.Trunks = []sip.Trunk{{Name: "trunk", Addrs: prefixes(cfg.Trunks)}}
	}
	w.Trunks = append(w.Trunks, cfg.Telephony.trunks()...)
	return w
}
