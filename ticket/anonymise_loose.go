package ticket

import (
	"fmt"

	"lianxin/storage"
)

// AnonymiseCallback takes the words of a finished call-back that belongs to no ticket out for good; the facts stay. It is for
// the program alone, as Anonymise is.
func (o *Office) AnonymiseCallback(tx *storage.Tx, id, because string, by Actor) error {
	c, err := one[Callback](tx, ` WHERE id = $1 `+tx.ForUpdate(), id)
	switch {
	case err != nil:
		return fmt.Errorf("anonymise call-back %s: %w", id, err)
	case c.TicketID != "":
		return refuse("ticket", "该回访任务属于诉求，随诉求匿名化")
	case c.State == CallbackOpen:
		return refuse("open", "回访任务尚未完成，不能匿名化")
	}
	if err := o.eraseTexts(tx, CallbackStream(id), "callback.anonymised", because, nil, by); err != nil {
		return fmt.Errorf("anonymise call-back %s: %w", id, err)
	}
	return nil
}

// AnonymiseAlert does the same with an alert that belongs to no ticket and was disposed of.
func (o *Office) AnonymiseAlert(tx *storage.Tx, id, because string, by Actor) error {
	a, err := one[Alert](tx, ` WHERE id = $1 `+tx.ForUpdate(), id)
	switch {
	case err != nil:
		return fmt.Errorf("anonymise alert %s: %w", id, err)
	case a.TicketID != "":
		return refuse("ticket", "该预警属于诉求，随诉求匿名化")
	case a.State != AlertDisposed:
		return refuse("open", "预警尚未处置，不能匿名化")
	}
	if err := o.eraseTexts(tx, AlertStream(id), "alert.anonymised", because, nil, by); err != nil {
		return fmt.Errorf("anonymise alert %s: %w", id, err)
	}
	return nil
}
