// Package reply reads a resident's text reply to the satisfaction survey: text in, verdict out, no database.
//
// The rules are those of the survey (1 非常满意 … 5 非常不满意, T to stop) in a fixed order of precedence: the resident's own answer without
// quotation and signature; danger; machine and bulk messages; opt-out; replies that need a person (call me, wrong person, numbers);
// contradiction and irony; a clear rating; questions; acknowledgements. What is not clear is left to a person: a reply read wrongly costs
// more than a reply read by hand.
//
// All words live in the lexicon (lexicon/*.txt). To add words, see lexicon/README.md: a further file in the same syntax, passed to
// LoadLexicon after the embedded ones, extends the sections it names.
package reply

import "unicode/utf8"

// Label is what becomes of a reply.
type Label string

// The four labels. They are stored; do not rename them.
const (
	Rating Label = "rating" // a clear rating
	Review Label = "review" // a person reads it
	OptOut Label = "optout" // no more texts; may carry a rating
	Other  Label = "other"  // nothing to do
)

// Verdict is what a reply was read as.
type Verdict struct {
	Label  Label
	Rating int      // 1 (very satisfied) to 5 (very dissatisfied); 0 = none. Set only with Rating, and with OptOut when one stands beside it
	Why    string   // the deciding reason, in short
	Danger bool     // danger to the resident or to others: to a person at once
	Trace  []string // the steps of the reading, for the person who checks it; words of the lexicon only, no personal data
}

// Read reads text with the standard lexicon.
func Read(text string) Verdict { return Standard().Read(text) }

// Version names the standard lexicon, for storing beside verdicts so that old replies can be read again after a change.
func Version() string { return Standard().Version }

// Read reads one reply. It never fails: what cannot be read goes to a person.
func (l *Lexicon) Read(text string) Verdict { return l.ReadOn(text, Scale{}) }

func (l *Lexicon) readOn(text string, scale Scale) Verdict {
	own, quoted := l.ownAnswer(plain(text))
	own = l.normalise(own)
	if !utf8.ValidString(text) {
		own = append(own, utf8.RuneError)
	}
	r := pool.Get().(*reading)
	defer pool.Put(r)
	r.scan(l, own)
	r.scale = scale
	v := r.decide(quoted)
	if quoted {
		v.Trace = append([]string{"quoted original dropped"}, v.Trace...)
	}
	return v
}
