package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
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
			if cells[i] = v; v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) && !negative(v) {
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

// negative reports a number below zero, which is no formula.
func negative(v string) bool {
	_, err := strconv.ParseFloat(v, 64)
	return v[0] == '-' && err == nil
}

// Sheet is a table for a spreadsheet program: strings, ints and float64s.
type Sheet struct {
	Name string
	Rows [][]any
}

// CSV is the sheet as rows for WriteCSV.
func (s Sheet) CSV() [][]string {
	rows := make([][]string, len(s.Rows))
	for i, row := range s.Rows {
		rows[i] = make([]string, len(row))
		for j, v := range row {
			rows[i][j] = fmt.Sprint(v)
		}
	}
	return rows
}

// Book is how a workbook is written besides its rows.
type Book struct {
	Sheet string // name of its sheet
	Title string // of the document; may be empty
	Mark  string // printed at the head and foot of every page, and kept in the document's properties; may be empty
}

// WriteXLSX writes rows as a workbook with one sheet; every cell is text.
func WriteXLSX(w io.Writer, rows [][]string, b Book) error {
	s := Sheet{Name: b.Sheet, Rows: make([][]any, len(rows))}
	for i, row := range rows {
		s.Rows[i] = make([]any, len(row))
		for j, v := range row {
			s.Rows[i][j] = v
		}
	}
	return WriteSheets(w, b, s)
}

// WriteSheets writes tables as the sheets of one workbook; b.Sheet does not matter. Texts are stored as texts, so that none
// runs as a formula.
func WriteSheets(w io.Writer, b Book, sheets ...Sheet) error {
	f := excelize.NewFile()
	defer f.Close()
	for n, s := range sheets {
		if err := s.fill(f, n, b.Mark); err != nil {
			return fmt.Errorf("write sheet %s: %w", s.Name, err)
		}
	}
	if b.Title != "" || b.Mark != "" {
		if err := f.SetDocProps(&excelize.DocProperties{Title: b.Title, Description: b.Mark}); err != nil {
			return fmt.Errorf("write a workbook: %w", err)
		}
	}
	if err := f.Write(w); err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	return nil
}

func (s Sheet) fill(f *excelize.File, n int, mark string) error {
	var err error
	if n == 0 {
		err = f.SetSheetName("Sheet1", s.Name)
	} else {
		_, err = f.NewSheet(s.Name)
	}
	if err != nil {
		return err
	}
	w, err := f.NewStreamWriter(s.Name)
	if err != nil {
		return err
	}
	for i, row := range s.Rows {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			return err
		}
		if err := w.SetRow(cell, row); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil || mark == "" {
		return err
	}
	return f.SetHeaderFooter(s.Name, &excelize.HeaderFooterOptions{OddHeader: "&C" + mark, OddFooter: "&C" + mark + "　&P/&N"})
}
