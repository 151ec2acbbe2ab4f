package survey

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lianxin/contact"
	"lianxin/sms"
	"lianxin/storage"
	"lianxin/workday"
)

// Telephone is the carrier under which answers by key stand in the inbox; the call is Inbound.CarrierID.
const Telephone = "telephone"

// Why somebody is asked by telephone.
const (
	ByFixedLine   = "fixed_line"  // the number cannot get texts
	ByUndelivered = "undelivered" // the text did not arrive, or texts to the number have kept failing
	ByWish        = "wish"        // they asked for it
)

// Telephoning says how those are asked by telephone whom no text reaches. Whom, each class says (Class.Telephone).
type Telephoning struct {
	Hours   string        `yaml:"hours"`    // of the day, Asia/Shanghai, in which people are rung
	Days    string        `yaml:"days"`     // on which they are: all, no_holidays or workdays, by the State Council's calendar
	PerHour int           `yaml:"per_hour"` // calls begun in any hour, at most
	AtOnce  int           `yaml:"at_once"`  // calls at a time, at most
	Tries   int           `yaml:"tries"`    // calls to one person, at most
	Apart   time.Duration `yaml:"apart"`    // at least between two calls to one person
	Within  time.Duration `yaml:"within"`   // how long after the morning's decision somebody may be rung
}

// fill puts the standard in place of what a file does not say.
func (t *Telephoning) fill() {
	if t.Hours == "" {
		t.Hours = "09:00-20:00"
	}
	if t.Days == "" {
		t.Days = EveryDay
	}
	for n, d := range map[*int]int{&t.PerHour: 60, &t.AtOnce: 2, &t.Tries: 3} {
		if *n == 0 {
			*n = d
		}
	}
	for n, d := range map[*time.Duration]time.Duration{&t.Apart: 4 * time.Hour, &t.Within: 72 * time.Hour} {
		if *n == 0 {
			*n = d
		}
	}
}

func (t Telephoning) check() error {
	w, err := sms.ParseWindow(t.Hours)
	if err != nil {
		return err
	}
	if w.From < 8*time.Hour || w.To > 21*time.Hour {
		return fmt.Errorf("hours %s: nobody is rung for a rating before 08:00 or after 21:00", t.Hours)
	}
	if t.Days != EveryDay && t.Days != NoHolidays && t.Days != Workdays {
		return fmt.Errorf("days %q is none of %s, %s and %s", t.Days, EveryDay, NoHolidays, Workdays)
	}
	if t.PerHour < 1 || t.AtOnce < 1 || t.Tries < 1 || t.Apart < 0 || t.Within <= 0 {
		return errors.New("per_hour, at_once, tries, apart and within must be more than nothing")
	}
	return nil
}

// window is Hours; check has read it.
func (t Telephoning) window() sms.Window {
	w, _ := sms.ParseWindow(t.Hours)
	return w
}

// Days on which people may be rung.
const (
	EveryDay   = "all"
	NoHolidays = "no_holidays" // not on statutory days off; on ordinary weekends they are
	Workdays   = "workdays"    // make-up days (调休) included
)

// MayRing is the first moment at or after t at which people may be rung by the hours and the calendar.
func (s *Survey) MayRing(t time.Time) time.Time {
	tel := s.config().Telephone
	w := tel.window()
	t = w.Next(t)
	for range 60 { // nothing is shut that long
		if s.ringsOn(workday.DayOf(t), tel.Days) {
			break
		}
		t = workday.DayOf(t).Add(1).At(w.From)
	}
	return t
}

func (s *Survey) ringsOn(d workday.Day, days string) bool {
	c := s.Office.Calendar
	switch {
	case c == nil || days == EveryDay:
		return true
	case days == Workdays:
		return c.IsWorkday(d)
	}
	return !c.IsHoliday(d)
}

// checkTelephone refuses words in Class.Telephone that mean nothing.
func (c Class) checkTelephone() error {
	for _, w := range c.Telephone {
		if w != ByFixedLine && w != ByUndelivered {
			return fmt.Errorf("telephone: %q is neither %s nor %s", w, ByFixedLine, ByUndelivered)
		}
	}
	return nil
}

// CalleeState is where the asking of a person by telephone stands.
type CalleeState string

// States of a Callee. The first two are open; each of the others is final.
const (
	CalleeWaiting   CalleeState = "waiting"
	CalleeCalling   CalleeState = "calling"
	CalleeRated     CalleeState = "rated"
	CalleeUnrated   CalleeState = "unrated"   // reached, and did not rate
	CalleeUnreached CalleeState = "unreached" // not reached by so many calls
	CalleeDropped   CalleeState = "dropped"   // not to be rung; the outcome says why
	CalleeExpired   CalleeState = "expired"   // the time for it was over
)

// CalleeStates lists the states in the order of pages.
var CalleeStates = []CalleeState{CalleeWaiting, CalleeCalling, CalleeRated, CalleeUnrated, CalleeUnreached, CalleeDropped, CalleeExpired}

// Label is the state for staff (zh-CN).
func (s CalleeState) Label() string {
	return map[CalleeState]string{CalleeWaiting: "待拨打", CalleeCalling: "拨打中", CalleeRated: "已评价", CalleeUnrated: "接通未评价", CalleeUnreached: "未接通",
		CalleeDropped: "不拨打", CalleeExpired: "已过期"}[s]
}

// Outcomes of a call that are not reasons of the network (busy, noanswer, declined, notfound, notallowed, unreachable, limit).
const (
	RungRated       = "rated"
	RungOptOut      = "optout"      // wants no more surveys
	RungLater       = "later"       // not now
	RungSilent      = "silent"      // answered, and gave no rating
	RungInterrupted = "interrupted" // the program ended under the call
	RungDead        = "dead"        // the carrier of texts says that there is no such number
	RungRemoved     = "removed"     // somebody took the person off the list
	RungReplied     = "replied"     // has answered by text meanwhile
	RungErased      = "erased"      // the record's personal data is gone
)

var outcomeLabels = map[string]string{
	RungRated: "已评价", RungOptOut: "不愿再被访评", RungLater: "暂不方便", RungSilent: "未按键评价", RungInterrupted: "系统中断", RungDead: "空号或停机", RungRemoved: "人工移出",
	RungReplied: "已用短信回复", RungErased: "个人信息已删除", "busy": "占线", "noanswer": "无人接听", "declined": "拒接", "notfound": "空号或号码不存在", "notallowed": "不在允许呼叫的范围内",
	"unreachable": "无法接通", "limit": "外呼次数已达上限",
}

// Callee is a person who is asked by telephone about one service.
type Callee struct {
	ID       string
	RecordID string
	AskID    string
	Day      workday.Day
	Class    string
	Unit     string
	Why      string
	State    CalleeState
	Outcome  string
	Tries    int
	Due      time.Time // waiting: when they are rung at the earliest
	NotAfter time.Time
	CallID   string // of the last call
	AddedBy  string
	AddedAt  time.Time
	DoneAt   time.Time

	phoneHash string
}

// WhyLabel is why they are asked by telephone, for staff (zh-CN).
func (c Callee) WhyLabel() string {
	return map[string]string{ByFixedLine: "固定电话", ByUndelivered: "短信未送达", ByWish: "本人要求"}[c.Why]
}

// OutcomeLabel is Outcome for staff (zh-CN).
func (c Callee) OutcomeLabel() string { return CallOutcomeLabel(c.Outcome) }

// CallOutcomeLabel is the outcome of a call, or why none is made, for staff (zh-CN).
func CallOutcomeLabel(code string) string {
	if l := outcomeLabels[code]; l != "" {
		return l
	}
	if l := Reason(code).Label(); l != "" {
		return l
	}
	return code
}

const calleeColumns = `p.id, p.record_id, p.ask_id, p.day, p.class, p.unit, p.why, p.state, p.outcome, p.tries, p.due, p.not_after, p.call_id, p.added_by, p.added_at, p.done_at, p.phone_hash`

func scanCallee(r storage.Row) (c Callee, err error) {
	var due, until, added, done storage.Time
	err = r.Scan(&c.ID, &c.RecordID, &c.AskID, &c.Day, &c.Class, &c.Unit, &c.Why, &c.State, &c.Outcome, &c.Tries, &due, &until, &c.CallID, &c.AddedBy, &added, &done, &c.phoneHash)
	c.Due, c.NotAfter, c.AddedAt, c.DoneAt = due.Time, until.Time, added.Time, done.Time
	return c, err
}

// dialled is the number of a record as it can be rung, a fixed line too.
func (r Record) dialled() (contact.Phone, error) {
	if !r.Phone.IsZero() {
		return r.Phone, nil
	}
	return contact.ParsePhone(r.person.Phone)
}

// asksByTelephone lists the classes of which people are asked by telephone for a reason.
func (c *Config) asksByTelephone(why string) (codes []string) {
	for _, cl := range c.Classes {
		if !cl.Disabled && slices.Contains(cl.Telephone, why) {
			codes = append(codes, cl.Code)
		}
	}
	return codes
}

// TelephoneClasses names the classes of which anybody is asked by telephone.
func (c *Config) TelephoneClasses() (names []string) {
	for _, cl := range c.Classes {
		if !cl.Disabled && len(cl.Telephone) > 0 {
			names = append(names, cl.Name)
		}
	}
	return names
}
