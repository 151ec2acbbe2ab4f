package org

// HoldHashing takes every slot for hashing and returns a function that frees them.
func HoldHashing() (free func()) {
	for range cap(atOnce) {
		atOnce <- struct{}{}
	}
	return func() {
		for range cap(atOnce) {
			<-atOnce
		}
	}
}
