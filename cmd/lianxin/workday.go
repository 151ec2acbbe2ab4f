package main

import (
	"fmt"

	"lianxin/workday"
)

type workdayCmd struct {
	Import  workdayImportCmd  `cmd:"" help:"Take a year's notice of the State Council (JSON of holiday-cn) into the database; a running server uses it within a minute."`
	Add     workdayAddCmd     `cmd:"" help:"Print the date N working days after DATE (day 0), make-up days included."`
	Between workdayBetweenCmd `cmd:"" help:"Print how many working days there are after A up to and including B."`
}

type workdayAddCmd struct {
	Date workday.Day `arg:"" help:"YYYY-MM-DD."`
	N    int         `arg:"" help:"Working days; negative counts back."`
}

// Run prints the date. A calendar year that is not known yet is warned of on standard error.
func (c *workdayAddCmd) Run(m *Main) error {
	cal, err := workday.Load()
	if err != nil {
		return err
	}
	to := cal.Add(c.Date, c.N)
	m.warnGuessed(cal, c.Date, to)
	fmt.Fprintln(m.Out, to)
	return nil
}

type workdayBetweenCmd struct {
	A    workday.Day `arg:"" help:"YYYY-MM-DD, not counted itself."`
	B    workday.Day `arg:"" help:"YYYY-MM-DD, counted if it is a working day."`
	List bool        `help:"Print the days instead of their number."`
}

// Run prints the number of working days in (A, B], so that between A and add A N it is N.
func (c *workdayBetweenCmd) Run(m *Main) error {
	cal, err := workday.Load()
	if err != nil {
		return err
	}
	m.warnGuessed(cal, c.A, c.B)
	if !c.List {
		fmt.Fprintln(m.Out, cal.Between(c.A, c.B))
		return nil
	}
	for d := c.A.Add(1); d <= c.B; d = d.Add(1) {
		if cal.IsWorkday(d) {
			fmt.Fprintln(m.Out, d)
		}
	}
	return nil
}

func (m *Main) warnGuessed(cal *workday.Calendar, a, b workday.Day) {
	years := cal.Unknown(min(a, b), max(a, b))
	if len(years) == 0 {
		return
	}
	which := fmt.Sprint(years[0])
	if len(years) > 1 {
		which = fmt.Sprintf("%d years from %d to %d", len(years), years[0], years[len(years)-1])
	}
	fmt.Fprintf(m.Err, "lianxin: the State Council's calendar of %s is not known; Monday to Friday are taken as working days\n", which)
}
