package ticket

import (
	"lianxin/org"
)

// Actor is who gives a command, with the facts about them that rules need.
type Actor struct {
	Kind ActorKind
	ID   string   // staff, token or contact id; empty for system and bot
	Unit string   // unit id of staff and tokens
	Role org.Role // of staff and tokens

	// Seen is the Ticket.Revision the actor had before their eyes; a command on a ticket that somebody changed since is
	// refused with code "stale". 0 does not check.
	Seen int64
}

// ActorKind tells people from machines.
type ActorKind string

// Kinds of actors.
const (
	StaffActor   ActorKind = "staff"
	TokenActor   ActorKind = "token" // another program, through the API
	CitizenActor ActorKind = "citizen"
	SystemActor  ActorKind = "system"
	BotActor     ActorKind = "bot"
)

// System is the program itself: clocks, imports, rules.
var System = Actor{Kind: SystemActor}

// Bot is the voice or text robot.
var Bot = Actor{Kind: BotActor, Role: org.Bot}

// Citizen is the person with this contact id, acting through a phone key, a text or a page.
func Citizen(contactID string) Actor {
	return Actor{Kind: CitizenActor, ID: contactID, Role: org.Citizen}
}

// Staff is an officer.
func Staff(s org.Staff) Actor {
	return Actor{Kind: StaffActor, ID: s.ID, Unit: s.Unit, Role: s.Role}
}

// Token is a program with a token of the API.
func Token(t org.Token) Actor {
	return Actor{Kind: TokenActor, ID: t.ID, Unit: t.Unit, Role: t.Role}
}

// String is how the actor stands in the log: staff/01J…, citizen/01J…, system, bot.
func (a Actor) String() string {
	if a.ID == "" {
		return string(a.Kind)
	}
	return string(a.Kind) + "/" + a.ID
}

// officer reports whether the actor acts for the bureau under a role.
func (a Actor) officer() bool { return a.Kind == StaffActor || a.Kind == TokenActor }

// ofCentre reports whether the actor's role belongs to the centre, which sees every unit's tickets (ORG-1).
func (a Actor) ofCentre() bool { return a.officer() && a.Role.Reach() == org.ReachAll }

// sits reports whether the actor sits on the seat of restricted channels (督察12389).
func (a Actor) sits() bool { return a.officer() && org.Can(a.Role, org.ViewRestricted) }

func (a Actor) valid() bool {
	switch a.Kind {
	case StaffActor, TokenActor:
		return a.ID != "" && a.Role.Valid()
	case CitizenActor:
		return a.ID != ""
	case SystemActor, BotActor:
		return a.ID == ""
	}
	return false
}

// may reports whether the role of the actor allows the action. The program itself may do everything; the rules about
// states and units still hold for it.
func (a Actor) may(act org.Action) bool {
	return a.Kind == SystemActor || org.Can(a.Role, act)
}
