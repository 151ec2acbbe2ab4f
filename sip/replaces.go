package sip

import (
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// readReplaces reads a Replaces header (RFC 3891 6.1): the dialog as its other end names it, so that its to-tag is ours.
func readReplaces(v string) (id dialogID, earlyOnly, ok bool) {
	part := strings.Split(v, ";")
	id.callID = strings.TrimSpace(part[0])
	for _, p := range part[1:] {
		k, val, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(k)) {
		case "to-tag":
			id.local = strings.TrimSpace(val)
		case "from-tag":
			id.remote = strings.TrimSpace(val)
		case "early-only":
			earlyOnly = true
		}
	}
	return id, earlyOnly, id.callID != "" && id.local != "" && id.remote != ""
}

// replaced finds the leg that a Replaces names: in a dialog, or in one of the early dialogs of a call of ours.
func (s *Server) replaced(id dialogID) *leg {
	s.mu.Lock()
	l := s.dialogs[id]
	early := s.dialling[dialogID{callID: id.callID, local: id.local}]
	s.mu.Unlock()
	if l != nil || early == nil {
		return l
	}
	early.mu.Lock()
	defer early.mu.Unlock()
	if early.did.remote == "" && early.branches[id.remote] != nil {
		return early
	}
	return nil
}

// replacing tells which leg an INVITE wants to take the place of (RFC 3891 3); code refuses it.
func (s *Server) replacing(req *gosip.Request) (old *leg, code int) {
	hs := req.GetHeaders("Replaces")
	switch {
	case len(hs) == 0:
		return nil, 0
	case len(hs) > 1 || req.GetHeader("Join") != nil:
		return nil, 400
	}
	id, earlyOnly, ok := readReplaces(hs[0].Value())
	if !ok {
		return nil, 400
	}
	if old = s.replaced(id); old == nil {
		if s.isOver(id) {
			return nil, 603
		}
		return nil, 481
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	switch {
	case old.state == over:
		return nil, 603
	case old.inv != nil && old.state < answered: // an early dialog that we did not open
		return nil, 481
	case earlyOnly && old.state >= answered:
		return nil, 486
	case old.features.replaced == nil || old.info.Trunk != "":
		return nil, 403
	}
	return old, 0
}
