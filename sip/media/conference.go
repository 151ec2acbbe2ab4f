package media

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// MaxMembers is how many legs a Conference takes. Every pair has its own pipe, so the work grows with the square: 32 members who
// all talk cost about 1 % of a core, and nobody can follow more.
const MaxMembers = 32

// Errors of a Conference.
var (
	ErrFull      = errors.New("conference is full")
	ErrMember    = errors.New("already a member")
	ErrNotMember = errors.New("not a member")
)

// A Role says whom a member of a Conference hears and who hears it. The zero value is a full party, which is also what a
// supervisor becomes who barges in.
type Role struct {
	Mute bool   // nobody hears it; with Deaf false that is a supervisor who listens
	Deaf bool   // it hears nobody and what its Loop plays instead, such as music on hold
	To   []*Leg // only these hear it: a supervisor who whispers to the operator; everybody when empty
}

// Roles by their names in the trade.
var (
	Party    = Role{}                       // talks with everybody
	Listener = Role{Mute: true}             // hears everybody, is heard by nobody
	Aside    = Role{Mute: true, Deaf: true} // stays a member, on hold
)

// Whisper is the role of one who hears everybody and is heard by these legs alone.
func Whisper(to ...*Leg) Role { return Role{To: slices.Clone(to)} }

// A Conference lets legs talk with each other: each hears the sum of those who may be heard by it, never itself. Members come, go
// and change their roles while it runs; what begins or ends is faded within 20 ms, so that nothing clicks, and nothing that is done
// here waits for the network or holds a pacer up. A leg that is closed leaves by itself. What is played to a leg with Play is heard by
// it alone, instead of the others.
//
// A recording of a member's leg has that member on the left and on the right what it hears: the others' sum. What others
// whisper is not in it, as the member does not hear it.
type Conference struct {
	mu      sync.Mutex
	members []*member
}

type member struct {
	leg   *Leg
	role  Role
	hears map[*Leg]func() // whom, and how to end it
	gone  chan struct{}
}

// NewConference makes an empty conference. It owns nothing: when its members have left, it is gone.
func NewConference() *Conference { return &Conference{} }

// Join makes a leg a member. It fails with ErrClosed, ErrFull or ErrMember.
func (c *Conference) Join(l *Leg, r Role) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.find(l) != nil:
		return fmt.Errorf("join conference: %w", ErrMember)
	case len(c.members) == MaxMembers:
		return fmt.Errorf("join conference: %w", ErrFull)
	case l.closing.Load():
		return fmt.Errorf("join conference: %w", ErrClosed)
	}
	m := &member{leg: l, role: r.clone(), hears: map[*Leg]func(){}, gone: make(chan struct{})}
	c.members = append(c.members, m)
	c.settle()
	go func() {
		select {
		case <-l.Done():
			c.Leave(l)
		case <-m.gone:
		}
	}()
	return nil
}

// Change gives a member another role. It fails with ErrNotMember.
func (c *Conference) Change(l *Leg, r Role) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.find(l)
	if m == nil {
		return fmt.Errorf("change a role in a conference: %w", ErrNotMember)
	}
	m.role = r.clone()
	c.settle()
	return nil
}

// Leave parts a leg from the others; one that is no member is left alone.
func (c *Conference) Leave(l *Leg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part(l)
	c.settle()
}

// Close parts everybody. The legs stay open, and the conference may be used again.
func (c *Conference) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.members) > 0 {
		c.part(c.members[0].leg)
	}
}

// Members lists the legs in the order in which they came.
func (c *Conference) Members() []*Leg {
	c.mu.Lock()
	defer c.mu.Unlock()
	legs := make([]*Leg, len(c.members))
	for i, m := range c.members {
		legs[i] = m.leg
	}
	return legs
}

// Role is a member's role; false when the leg is no member.
func (c *Conference) Role(l *Leg) (Role, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.find(l); m != nil {
		return m.role.clone(), true
	}
	return Role{}, false
}

func (r Role) clone() Role {
	r.To = slices.Clone(r.To)
	return r
}

func (c *Conference) find(l *Leg) *member {
	for _, m := range c.members {
		if m.leg == l {
			return m
		}
	}
	return nil
}

// part ends what a member hears and takes it off the list; settle does the rest. mu is held.
func (c *Conference) part(l *Leg) {
	m := c.find(l)
	if m == nil {
		return
	}
	c.members = slices.DeleteFunc(c.members, func(x *member) bool { return x == m })
	close(m.gone)
	for _, stop := range m.hears {
		stop()
	}
	for _, o := range c.members {
		o.mishear(l)
	}
}

// mishear ends what a member hears of a leg.
func (m *member) mishear(l *Leg) {
	if stop := m.hears[l]; stop != nil {
		stop()
		delete(m.hears, l)
	}
}

// settle makes the pipes what the roles say. mu is held.
func (c *Conference) settle() {
	for _, to := range c.members {
		for _, from := range c.members {
			if from == to {
				continue
			}
			if !from.heardBy(to) {
				to.mishear(from.leg)
			} else if to.hears[from.leg] == nil {
				// An error means that one of them has just been closed: it is about to leave.
				if stop, err := Listen(from.leg, to.leg); err == nil {
					to.hears[from.leg] = stop
				}
			}
		}
	}
}

// heardBy says whether the roles let another member hear this one.
func (m *member) heardBy(to *member) bool {
	return !m.role.Mute && !to.role.Deaf && (len(m.role.To) == 0 || slices.Contains(m.role.To, to.leg))
}
