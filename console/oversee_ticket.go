package console

import (
	"errors"
	"slices"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

// ticketOversight is what oversight says of a ticket, on the ticket's page: repeats and same matters with their evidence,
// what is being done about it, and who handled such matters before.
type ticketOversight struct {
	Links  []linkView
	Rows   []matterRow
	Duties []oversee.DutyHint
	May    bool // judge links
	Ticket ticket.Ticket
	Opens  []openLink
}

// openLink leads to a form that begins something about the ticket.
type openLink struct{ Path, Key string }

type linkView struct {
	*oversee.Link
	Other    ticket.Ticket
	Evidence string
	Common   string
	Later    bool // the other is the later one
	Look     string
}

func (s *Server) readOversight(tx *storage.Tx, u *user, lang string, t ticket.Ticket, n names) (*ticketOversight, error) {
	by := ticket.Staff(u.Staff)
	if u.Role.Reach() != org.ReachAll && u.Role.Reach() != org.ReachUnit && u.Role.Reach() != org.ReachInvited {
		return nil, nil
	}
	v := &ticketOversight{May: u.Can(org.MergeTicket), Ticket: t}
	if oversee.MaySee(oversee.KindLink, by) {
		links, err := s.Oversight.LinksOf(tx, t.ID, by)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			other, later := l.Earlier(), false
			if other == t.ID {
				other, later = l.Later(), true
			}
			o, err := s.Office.See(tx, other, by)
			if errors.Is(err, storage.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			words, err := s.Oversight.Words(tx, l)
			if err != nil {
				return nil, err
			}
			v.Links = append(v.Links, linkView{Link: l, Other: o, Evidence: l.Evidence(words), Common: words[l.Common.ID], Later: later, Look: lookOf(l.State)})
		}
		slices.SortStableFunc(v.Links, func(a, b linkView) int { return int(1000*b.Parts.Score) - int(1000*a.Parts.Score) })
	}
	for _, k := range []oversee.Kind{oversee.KindSupervision, oversee.KindTopic, oversee.KindConsult, oversee.KindOrder, oversee.KindBackcheck, oversee.KindClue, oversee.KindEscalation} {
		list, _, err := s.Oversight.List(tx, oversee.Filter{Viewer: by, Kind: k, Ticket: t.ID, Limit: 20})
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			words, err := s.Oversight.Words(tx, m)
			if err != nil {
				return nil, err
			}
			h := *oversee.Of(m)
			row := matterRow{Head: h, Look: lookOf(h.State)}
			row.Title, row.Note = describe(m, words, n)
			v.Rows = append(v.Rows, row)
		}
	}
	if o, p, err := s.Oversight.CameBy(tx, t.ID, by); err != nil {
		return nil, err
	} else if o != nil {
		v.Rows = append(v.Rows, matterRow{Head: o.Head, Look: lookOf(o.State), Title: o.WayLabel(), Note: translate(lang, "o-came-by", p.Place)})
	}
	if t.State.Open() && u.Can(org.DispatchTicket) {
		var err error
		if v.Duties, err = s.Oversight.Duties(tx, t, 3); err != nil {
			return nil, err
		}
	}
	if t.State.Open() {
		for _, o := range []struct {
			act  org.Action
			path string
			key  string
		}{{org.Supervise, "supervision", "o-act-propose"}, {org.OpenConsult, "consult", "o-act-open-consult"}, {org.IssueOrder, "order", "o-act-draft-order"}, {org.Backcheck, "backcheck", "o-act-open-backcheck"}} {
			if u.Can(o.act) {
				v.Opens = append(v.Opens, openLink{"/oversee/" + o.path + "?ticket=" + t.Number, o.key})
			}
		}
	}
	return v, nil
}
