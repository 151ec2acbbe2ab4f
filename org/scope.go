package org

import (
	"fmt"
	"slices"

	"lianxin/storage"
)

// A Scope is whose things somebody may see: all, or those of some units, or
// only those that are one's own or that one was invited to. Permission says
// what may be done, Scope with whose.
type Scope struct {
	Reach Reach
	Units []string // with ReachUnit: the own unit and all below it
	Actor string   // with ReachOwn and ReachInvited: whose
}

// ScopeOf returns what a person may see: everything in a role of the centre
// or in a unit that is the centre (ORG-1), else the own unit and those below it.
func ScopeOf(tx *storage.Tx, s Staff) (Scope, error) {
	scope := Scope{Reach: s.Role.Reach(), Actor: s.Actor()}
	if !s.Active {
		return Scope{Reach: ReachOwn, Actor: s.Actor()}, nil
	}
	if scope.Reach != ReachUnit {
		return scope, nil
	}
	return unitScope(tx, s.Unit, s.Actor())
}

// TokenScope returns what a token may see: as ScopeOf for its role and unit.
// A token without a unit that has a role of the units sees nothing of theirs.
func TokenScope(tx *storage.Tx, t Token) (Scope, error) {
	scope := Scope{Reach: t.Role.Reach(), Actor: t.Actor()}
	switch {
	case t.Unit != "" && scope.Reach != ReachOwn && scope.Reach != ReachInvited:
		return unitScope(tx, t.Unit, t.Actor())
	case scope.Reach == ReachUnit:
		return Scope{Reach: ReachOwn, Actor: t.Actor()}, nil
	}
	return scope, nil
}

func unitScope(tx *storage.Tx, unit, actor string) (Scope, error) {
	u, err := GetUnit(tx, unit)
	if err != nil {
		return Scope{}, fmt.Errorf("scope: %w", err)
	}
	if u.Kind == Centre {
		return Scope{Reach: ReachAll, Actor: actor}, nil
	}
	ids, err := Below(tx, unit)
	if err != nil {
		return Scope{}, fmt.Errorf("scope: %w", err)
	}
	return Scope{Reach: ReachUnit, Units: ids, Actor: actor}, nil
}

// All reports whether nothing is hidden by unit.
func (s Scope) All() bool { return s.Reach == ReachAll }

// Covers reports whether something that belongs to these units may be seen:
// one of them is enough, for a ticket has 主办 and 协办 units.
func (s Scope) Covers(units ...string) bool {
	if s.Reach == ReachAll {
		return true
	}
	return s.Reach == ReachUnit && slices.ContainsFunc(units, func(u string) bool { return slices.Contains(s.Units, u) })
}
