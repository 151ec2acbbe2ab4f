package sip

import (
	"runtime"
	"testing"
)

// A table that has been large gives its memory back when it is not any more, and loses nothing by that.
func TestTablesGiveTheirMemoryBack(t *testing.T) {
	var s shrinker
	m := map[int][64]byte{}
	for i := range 100_000 {
		m[i] = [64]byte{byte(i)}
	}
	if m = shrunk(m, &s); len(m) != 100_000 {
		t.Fatal("a full table has lost something")
	}
	for i := range 99_900 {
		delete(m, i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m = shrunk(m, &s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if saved := int64(before.HeapAlloc) - int64(after.HeapAlloc); saved < 3<<20 {
		t.Errorf("%d bytes were given back", saved)
	}
	for i := 99_900; i < 100_000; i++ {
		if m[i][0] != byte(i) {
			t.Fatalf("entry %d is lost", i)
		}
	}
	if len(m) != 100 {
		t.Errorf("%d entries", len(m))
	}
	small := map[int][64]byte{1: {}}
	if again := shrunk(small, new(shrinker)); len(again) != 1 {
		t.Error("a small table has changed")
	}
}
