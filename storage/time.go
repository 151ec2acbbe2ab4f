package storage

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UnixMilli(), nil
}

// Scan implements sql.Scanner. The result is in UTC; rooms turn it to their zone where a person sees it.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case int64:
		t.Time = time.UnixMilli(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T, want BIGINT milliseconds", src)
	}
	return nil
}
