package ticket

import (
	"fmt"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/workday"
)

// tell texts the citizen of a ticket that its handling goes on or takes longer. It reports whether the text is on its way;
// a citizen who cannot be texted, and one who is not known, is told by a person.
func (d *dossier) tell(key, text string) (bool, error) {
	t := d.ticket
	if d.o.SendNotice == nil || t.ContactID == "" {
		return false, nil
	}
	err := d.o.SendNotice(d.tx, *t, key, text)
	if _, refused := RefusedWith(err); refused {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("text the citizen of %s: %w", t.ID, err)
	}
	return true, nil
}

// promised is the day that the citizen is told of: when handling, or what another body asks for, is due.
func (d *dossier) promised() time.Time {
	due := d.ticket.Due
	if c := d.live(ClockHandle, nil); len(c) > 0 {
		due = c[0].DueAt
	}
	if c := d.live(ClockExternal, nil); len(c) > 0 && c[0].DueAt.Before(due) {
		due = c[0].DueAt
	}
	return due
}

// stillHandling tells the citizen at half of the time that the matter is being handled, and until when (LOOP-13). Where no
// text can go out the unit that handles it is reminded to call.
func (d *dossier) stillHandling() error {
	t := d.ticket
	if t.ContactID == "" {
		return nil
	}
	until := d.promised().In(workday.Zone).Format("1月2日15时")
	sent, err := d.tell(fmt.Sprintf("half:%s:%d", t.ID, t.Round), "您反映的诉求（"+t.Number+"）仍在办理中，预计"+until+"前答复您。")
	if err != nil {
		return err
	}
	if sent {
		t.ToldHalfAt = d.now
		return d.emit("ticket.still_handling", map[string]any{"via": BySMS, "due": d.promised()})
	}
	n := Notice{TicketID: t.ID, Subject: t.ID, Point: PointHalf, Kind: NoticeCitizen, Colour: t.Colour, Text: "请告知群众：诉求" + t.Number + "仍在办理，预计" + until + "前答复",
		PlannedAt: d.now, RaisedAt: d.now, ShowAt: d.reckoner().Next(d.now)}
	if h := d.host(); h != nil && t.Host != "" && !t.Confidential {
		n.Unit, n.Handler = h.Unit, h.Handler
	}
	d.notices = append(d.notices, n)
	return d.emit("ticket.still_handling", map[string]any{"via": "none", "due": d.promised()})
}

// NoticeCitizen is the Kind of a notice that asks to tell a citizen something.
const NoticeCitizen = "citizen"

// informed is how the citizen is told of a longer time: what the person who grants it wrote, or a text that the program
// sends (I11).
func (d *dossier) informed(words string, until time.Time) (string, error) {
	if words = strings.TrimSpace(words); words != "" {
		return words, nil
	}
	sent, err := d.tell(fmt.Sprintf("later:%s:%d", d.ticket.ID, d.ticket.Extensions), "您反映的诉求（"+d.ticket.Number+"）因情况复杂需延长办理，预计"+until.In(workday.Zone).Format("1月2日15时")+"前答复您，敬请谅解。")
	if err != nil {
		return "", err
	}
	if !sent {
		return "", refuse("informed", "同意延期须告知群众：该诉求人无法接收短信，请先告知并填写告知方式和时间")
	}
	return "短信告知（" + d.now.In(workday.Zone).Format("1月2日 15:04") + "）", nil
}

// staleBy refuses a command that was given on an old page, and says what changed meanwhile and by whom.
func (d *dossier) staleBy() error {
	last, err := audit.Last(d.tx, d.stream, "clock.", "ticket.graded", "ticket.sorted", "ticket.still_handling")
	if err != nil {
		return stale()
	}
	return refuse("stale", "该诉求已由%s“%s”（%s），请看清后再操作", d.o.nameOf(d.tx, last.Actor), EventLabel(last.Type), last.At.In(workday.Zone).Format("15:04"))
}

// nameOf is an actor for colleagues: the name of an officer, the kind of anybody else.
func (o *Office) nameOf(tx *storage.Tx, actor string) string {
	kind, id, _ := strings.Cut(actor, "/")
	switch ActorKind(kind) {
	case StaffActor:
		if s, err := org.GetStaff(tx, id); err == nil {
			return s.Name
		}
		return "同事"
	case CitizenActor:
		return "群众"
	case BotActor:
		return "智能客服"
	case TokenActor:
		return "外部系统"
	}
	return "系统"
}
