package workday

import "time"

// IsHoliday reports whether d is a statutory day off: one that the State Council's notice names as such, the weekend days inside a
// holiday included. An ordinary weekend is none, and neither is any day of a year without a notice.
func (c *Calendar) IsHoliday(d Day) bool {
	work, named := c.exceptions[d]
	return named && !work
}

// IsMakeUp reports whether d is a weekend day that the notice makes a working day (调休).
func (c *Calendar) IsMakeUp(d Day) bool {
	work, named := c.exceptions[d]
	w := d.Weekday()
	return named && work && (w == time.Saturday || w == time.Sunday)
}
