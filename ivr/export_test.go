package ivr

// BusyTone is what somebody hears whose call did not come about.
var BusyTone = busyTone
