package console

import (
	"lianxin/ivr"
	"lianxin/storage"
	"lianxin/ticket"
)

// callFor is a call as an officer may see it: one from which a complaint about them came is not there (I6).
func (s *Server) callFor(tx *storage.Tx, id string, by ticket.Actor) (ivr.Record, error) {
	call, err := s.Calls.Get(tx, id)
	if err != nil || call.TicketID == "" {
		return call, err
	}
	accuses, err := s.Office.Accuses(tx, call.TicketID, by)
	if err == nil && accuses {
		return ivr.Record{}, storage.ErrNotFound
	}
	return call, err
}

// callsFor lists calls as an officer may see them.
func (s *Server) callsFor(tx *storage.Tx, f ivr.Filter, by ticket.Actor) (list []ivr.Record, total int, err error) {
	if f.Conflict, err = s.Office.ConflictOf(tx, by); err != nil {
		return nil, 0, err
	}
	return s.Calls.List(tx, f)
}
