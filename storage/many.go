package storage

import (
	"strconv"
	"strings"
)

// sizes are how many rows or values a statement for many of them takes: few different texts, so that each is prepared once.
// 256 rows of 60 columns are less than what either engine takes as parameters.
var sizes = []int{256, 64, 16, 4, 1}

// Insert adds many rows by few statements: head is "INSERT INTO t (a, b)", tail what follows the values, such as "ON CONFLICT
// (a) DO NOTHING". It returns the number of rows added. For conflicts see Exec.
func (tx *Tx) Insert(head string, rows [][]any, tail string) (n int64, err error) {
	err = eachPart(rows, func(values string, args []any) error {
		k, err := tx.Exec(head+" VALUES "+values+" "+tail, args...)
		n += k
		return err
	})
	return n, err
}

// Inserted is Insert with a RETURNING clause in tail, whose rows are read by scan. They come in no order.
func Inserted[T any](tx *Tx, scan func(Row) (T, error), head string, rows [][]any, tail string) (out []T, err error) {
	err = eachPart(rows, func(values string, args []any) error {
		part, err := All(tx, scan, head+" VALUES "+values+" "+tail, args...)
		out = append(out, part...)
		return err
	})
	return out, err
}

func eachPart(rows [][]any, fn func(values string, args []any) error) error {
	for _, size := range sizes {
		for ; len(rows) >= size; rows = rows[size:] {
			var text strings.Builder
			args := make([]any, 0, size*len(rows[0]))
			for i, row := range rows[:size] {
				if i > 0 {
					text.WriteString(", ")
				}
				text.WriteByte('(')
				for j, v := range row {
					if j > 0 {
						text.WriteByte(',')
					}
					args = append(args, v)
					text.WriteByte('$')
					text.WriteString(strconv.Itoa(len(args)))
				}
				text.WriteByte(')')
			}
			if err := fn(text.String(), args); err != nil {
				return err
			}
		}
	}
	return nil
}

// In is the list of an IN condition over values, which must not be none, and args with the values behind those that are in it
// already: In([]any{x}, {"a", "b"}) is "$2, $3, …". The last value is repeated, so that there are few different texts.
func In[T any](args []any, values []T) (list string, all []any) {
	size := len(values)
	for _, s := range sizes {
		if len(values) <= s {
			size = s
		}
	}
	var text strings.Builder
	for i := range size {
		args = append(args, values[min(i, len(values)-1)])
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteByte('$')
		text.WriteString(strconv.Itoa(len(args)))
	}
	return text.String(), args
}

// ByIndex has PostgreSQL read by indexes for the rest of the transaction. It would rather read a whole table for as long as
// it has no statistics of it, and keep to that plan while the table grows: each step of a morning's first minutes would cost
// more than the one before. SQLite needs no telling.
func (tx *Tx) ByIndex() error { return tx.without("seqscan") }

// InOrder has PostgreSQL read in the order of an index, for the same reason. It is for queries whose order an index has.
func (tx *Tx) InOrder() error { return tx.without("sort") }

func (tx *Tx) without(plan string) error {
	if tx.db.engine != postgres {
		return nil
	}
	_, err := tx.Exec(`SET LOCAL enable_` + plan + ` = off`)
	return err
}
