package main

import (
	"strings"
	"testing"
)

func TestGradingVerbsThatCannotBeMeantAreRefused(t *testing.T) {
	for _, x := range []struct {
		c    ticketGradingCmd
		want string
	}{
		{ticketGradingCmd{}, ""},
		{ticketGradingCmd{Words: true}, ""},
		{ticketGradingCmd{Propose: "f", By: "a", Note: "n"}, ""},
		{ticketGradingCmd{Propose: "f", Try: true}, ""},
		{ticketGradingCmd{ProposeWords: "f", Version: "v", From: "2026-12-01", Try: true}, ""},
		{ticketGradingCmd{Consent: "a", Refuse: "b", By: "c"}, "one at a time"},
		{ticketGradingCmd{List: true, Show: "x"}, "one at a time"},
		{ticketGradingCmd{ProposeWords: "f", ProgramWords: true}, "not both"},
		{ticketGradingCmd{Try: true}, "--try needs"},
		{ticketGradingCmd{ProposeWords: "f", Try: true}, "--version"},
		{ticketGradingCmd{Propose: "f", Version: "v", Try: true}, "--propose"},
		{ticketGradingCmd{Propose: "f", Note: "n"}, "--by"},
		{ticketGradingCmd{Propose: "f", By: "a"}, "--note"},
		{ticketGradingCmd{Refuse: "x", By: "a"}, "--reason"},
	} {
		x.c.Days, x.c.Limit = 90, 2000
		err := x.c.check()
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%+v: %v, want %q", x.c, err, x.want)
		}
	}
}
