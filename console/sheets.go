package console

import (
	"lianxin/table"
	"lianxin/workday"
)

// bookBy marks a workbook with who took it out of the house, and when: on every page, and in the document's properties.
func (s *Server) bookBy(u *user) table.Book {
	return table.Book{Mark: "导出人 " + u.Name + "　" + s.Now().In(workday.Zone).Format("2006-01-02 15:04:05")}
}
