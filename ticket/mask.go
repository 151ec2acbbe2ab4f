package ticket

import "lianxin/contact"

// maskNumbers hides what names a person in free text: numbers but for their ends, 138****5678, and names but for the first
// character.
func maskNumbers(s string) string { return contact.MaskText(s) }
