package storage

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// biggest is how many rows or values one statement takes; others take a power of two of them, so that there are few
// different texts and each is prepared once. 256 rows of 60 columns are fewer parameters than either engine takes.
const biggest = 256

// padded is the size of a statement that takes n values.
func padded(n int) int {
	if n > biggest {
		return (n + biggest - 1) / biggest * biggest
	}
	return 1 << bits.Len(uint(n-1))
}

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
	for size := biggest; size > 0; size /= 2 {
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

// Change runs an UPDATE … FROM over many rows of values: they are v in it, with the columns c1, c2 … of the SQL types given.
// It returns the number of rows changed. The last row may stand in v several times.
func (tx *Tx) Change(rows [][]any, types []string, statement string) (n int64, err error) {
	err = eachPadded(rows, types, func(with string, args []any) error {
		k, err := tx.Exec(with+statement, args...)
		n += k
		return err
	})
	return n, err
}

// Look runs a query over many rows of values, as Change does. A subquery in the list of what is selected is worked out for
// one row after another, by an index if there is one: PostgreSQL does not turn it into a join, for which it would read what
// it takes for a small table as a whole.
func Look[T any](tx *Tx, scan func(Row) (T, error), rows [][]any, types []string, query string) (out []T, err error) {
	err = eachPadded(rows, types, func(with string, args []any) error {
		part, err := All(tx, scan, with+query, args...)
		out = append(out, part...)
		return err
	})
	return out, err
}

func eachPadded(rows [][]any, types []string, fn func(with string, args []any) error) error {
	if len(rows) == 0 {
		return nil
	}
	names := make([]string, len(types))
	for i := range types {
		names[i] = "c" + strconv.Itoa(i+1)
	}
	rows = slices.Clone(rows)
	for len(rows) < padded(len(rows)) {
		rows = append(rows, rows[len(rows)-1])
	}
	return eachPart(rows, func(values string, args []any) error {
		// Nothing tells PostgreSQL the types of the parameters but a cast; one row is enough for all.
		first, rest, _ := strings.Cut(values[1:], ")")
		var cast strings.Builder
		for i, p := range strings.Split(first, ",") {
			if i > 0 {
				cast.WriteByte(',')
			}
			cast.WriteString("CAST(" + p + " AS " + types[i] + ")")
		}
		return fn("WITH v ("+strings.Join(names, ", ")+") AS (VALUES ("+cast.String()+")"+rest+") ", args)
	})
}

// In is the list of an IN condition over values, which must not be none, and args with the values behind those that are in it
// already: In([]any{x}, {"a", "b"}) is "$2, $3, …". The last value is repeated, so that there are few different texts.
func In[T any](args []any, values []T) (list string, all []any) {
	var text strings.Builder
	for i := range padded(len(values)) {
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
