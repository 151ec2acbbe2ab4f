package reply

// Why a reply is left to a person although nobody tried to rate in it: it asks, wants something, or is not for us.
const (
	whyUnclear = "no clear rating"
	whyContact = "call-back request or wrong person"
	whyNumber  = "telephone or identity number"
	whyLong    = "too long to be read by the program"
)

// Attempt reports whether a reply that is left to a person looks like a rating that went wrong (a digit off the scale, two
// digits, a digit against its words), so that asking again makes sense. Who asks us something, or wants to be called, is
// not told that we did not understand.
func (v Verdict) Attempt() bool {
	if v.Label != Review || v.Danger {
		return false
	}
	switch v.Why {
	case whyUnclear, whyContact, whyNumber, whyLong:
		return false
	}
	return true
}
