package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

// WriteCSV writes rows for spreadsheet programs: UTF-8 with a byte order mark, lines that end in CR LF. A text that one would
// run as a formula gets an apostrophe in front.
func WriteCSV(w io.Writer, rows [][]string) error {
	if _, err := io.WriteString(w, "\xEF\xBB\xBF"); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, v := range row {
			if cells[i] = v; v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
				cells[i] = "'" + v
			}
		}
		if err := c.Write(cells); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
	}
	c.Flush()
	return c.Error()
}

// Book is how a workbook is written besides its rows.
type Book struct {
	Sheet string // name of its sheet
	Title string // of the document; may be empty
	Mark  string // printed at the head and foot of every page, and kept in the document's properties; may be empty
}

// WriteXLSX writes rows as a workbook with one sheet; every cell is text.
func WriteXLSX(w io.Writer, rows [][]string, b Book) error {
	f := excelize.NewFile()
	defer f.Close()
	if err := b.fill(f, rows); err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	return f.Write(w)
}

func (b Book) fill(f *excelize.File, rows [][]string) error {
	if err := f.SetSheetName("Sheet1", b.Sheet); err != nil {
		return err
	}
	w, err := f.NewStreamWriter(b.Sheet)
	if err != nil {
		return err
	}
	for i, row := range rows {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			return err
		}
		cells := make([]any, len(row))
		for j, v := range row {
			cells[j] = v
		}
		if err := w.SetRow(cell, cells); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if b.Mark != "" {
		if err := f.SetHeaderFooter(b.Sheet, &excelize.HeaderFooterOptions{OddHeader: "&C" + b.Mark, OddFooter: "&C" + b.Mark + "　&P/&N"}); err != nil {
			return err
		}
	}
	if b.Title == "" && b.Mark == "" {
		return nil
	}
	return f.SetDocProps(&excelize.DocProperties{Title: b.Title, Description: b.Mark})
}
