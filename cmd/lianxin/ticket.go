package main

import (
	"lianxin/ticket/classify"
	"lianxin/ticket/grade"
	"lianxin/ticket/match"
)

type ticketCmd struct {
	Rules     ticketRulesCmd     `cmd:"" help:"Print the limits in force (JSON), or publish a file with others."`
	Recompute ticketRecomputeCmd `cmd:"" help:"Compute running clocks again by the calendar that is in force now."`
	Grading   ticketGradingCmd   `cmd:"" help:"Print the grading rules in force (YAML), or propose, consent to, refuse or list versions."`
	Grade     ticketGradeCmd     `cmd:"" help:"Give each request on standard input (JSON lines) its colour, with the reasons."`
	Classify  ticketClassifyCmd  `cmd:"" help:"Suggest the domain and the unit of each request on standard input (JSON lines)."`
	Backtest  ticketBacktestCmd  `cmd:"" help:"Tell which early-warning rules would have fired over the stored tickets."`
	Match     ticketMatchCmd     `cmd:"" help:"Find repeats and groups among requests on standard input (JSON lines, by time)."`
}

type ticketGradeCmd struct{}

// Run reads {"title","text","history":{…}} and writes {"colour","event","person","factors":[…]}, one object a line.
func (ticketGradeCmd) Run(m *Main) error { return grade.Filter(m.In, m.Out) }

type ticketClassifyCmd struct{}

// Run reads {"title","text"} and writes {"domain","suggestions":[…],"unit"}, one object a line.
func (ticketClassifyCmd) Run(m *Main) error { return classify.Filter(m.In, m.Out) }

type ticketMatchCmd struct{}

// Run reads {"id","party","at","title","text"} in the order of their times and writes each one's links and group, one object a line.
func (ticketMatchCmd) Run(m *Main) error { return match.Filter(m.In, m.Out) }
