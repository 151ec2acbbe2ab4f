// Package grade gives a request its colour, 红橙黄蓝, and says why: text and facts in, factors with points and evidence out. It is pure: no
// database, no clock of its own but Grader.Now. All points, thresholds, plans and words are versioned data (rules.yaml, lexicon.yaml).
package grade

import (
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// Colour is the grade of a request (domain model §7). Its text is the Chinese character itself, the same as ticket.Colour.
type Colour string

// Colours, from the gravest.
const (
	Red    Colour = "红"
	Orange Colour = "橙"
	Yellow Colour = "黄"
	Blue   Colour = "蓝"
)

// Colours lists the colours from the gravest.
var Colours = []Colour{Red, Orange, Yellow, Blue}

// Rank is 4 for 红 down to 1 for 蓝, and 0 for anything else.
func (c Colour) Rank() int {
	if i := slices.Index(Colours, c); i >= 0 {
		return len(Colours) - i
	}
	return 0
}

// Case is what is known of a request when it is graded. Every field is optional.
type Case struct {
	Title   string
	Text    string
	History History

	// At is when the request was made: "去年到现在" and "2023年以来" count up to it. Zero means now.
	At time.Time
}

// History is what the records say of the matter (first block) and of the person who brings it (second block).
type History struct {
	Parties     int   // distinct people with the same matter, this one among them
	Repeats     int   // times the same person brought the same matter before
	AgeDays     int   // age of the conflict in days
	LossYuan    int64 // property loss in yuan
	Unsatisfied bool  // an earlier result was rated as unsatisfactory
	Rework      bool  // it is being, or was, handled again
	Overdue     bool  // it is, or was, overdue
	WatchPeriod bool  // the day or the place is on the calendar of nodes

	Contacts7d       int  // contacts of any kind in the last 7 days
	Contacts90d      int  // contacts of any kind in the last 90 days
	Channels         int  // channels used for this one matter
	EmotionConfirmed bool // an operator confirmed that the caller was beside themselves
	VerifiedThreat   bool // an authorised source confirmed an earlier threat or violent incident
	WatchFlag        bool // an active watch flag with authority and purpose
}

// Axis tells what a factor speaks of: the matter (事) or the person (人).
type Axis string

// Axes.
const (
	Event  Axis = "event"
	Person Axis = "person"
)

// Factor is one reason for the colour.
type Factor struct {
	Code     string // the rule's own name, such as "threat"
	Name     string // for staff (zh-CN)
	Axis     Axis
	Points   int
	Evidence string // the words of the text, exactly as they stand there, or the fact of the history
	Rule     string // which group of the lexicon, or which field of the history, gave it

	// Where the evidence stands: Field is "title", "text" or "history"; From and To are byte offsets into the title or text.
	Field    string
	From, To int
}

// Plan is what the colour and its factors start.
type Plan struct {
	Name  string   // 重点类, 关注类, 一般类, 隐患类
	Steps []string // for staff, in order: the colour's own, then what single factors ask for

	Follow []PlanStep // those of the colour that are followed until they are done
}

// Verdict is a colour that explains itself.
type Verdict struct {
	Colour  Colour
	Event   int      // E, 0–100
	Person  int      // P
	Factors []Factor // event factors first, by points
	Rule    string   // version and content of rules and lexicon, such as "2026.11-1/8f03a1c2"
	Plan    Plan

	Confirm      bool   // W1: words of danger or threat were read; a person confirms within five minutes whether this is 红
	Care         bool   // the person needs care (minor, disabled, elderly alone): help, never a burden
	Confidential string // the words that show fear of retaliation or ask for confidence; empty when there are none
}

// Grader grades by one set of rules. It is safe for concurrent use.
type Grader struct {
	Rules *Rules
	Now   func() time.Time // for cases without At; time.Now when nil
}

var defaults = sync.OnceValue(func() *Rules {
	r, err := LoadRules(embedded)
	if err != nil {
		panic("grade: embedded rules: " + err.Error()) // a test holds this
	}
	return r
})

// DefaultRules are the rules that come with the program.
func DefaultRules() *Rules { return defaults() }

// Grade grades by the rules that come with the program.
func Grade(c Case) Verdict { return Grader{}.Grade(c) }

// Grade reads the text, adds the history, takes the larger where both tell the same fact, and finds the colour (domain model §7).
// The same case at the same time gives the same verdict.
func (g Grader) Grade(c Case) Verdict {
	rules := g.Rules
	if rules == nil {
		rules = defaults()
	}
	at := c.At
	if at.IsZero() {
		if g.Now != nil {
			at = g.Now()
		} else {
			at = time.Now()
		}
	}
	s := rules.lex.read(c.Title, c.Text, at.In(zone))
	f := scoring{rules: rules, source: s, best: map[string]Factor{}}
	f.fromText()
	f.fromHistory(c.History)
	return f.verdict()
}

// evidence is the part of the source that the runes [from, to) of the normalised text came from.
func (s *source) evidence(from, to int) (text, field string, lo, hi int) {
	src, field := s.title, "title"
	if from >= s.body {
		src, field = s.text, "text"
	} else if to > s.body-1 {
		to = s.body - 1 // the break between title and text
	}
	if from >= to {
		return "", field, 0, 0
	}
	lo, hi = int(s.from[from]), int(s.from[to-1])
	_, n := utf8.DecodeRuneInString(src[hi:])
	hi += n
	return src[lo:hi], field, lo, hi
}
