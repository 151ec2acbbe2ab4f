package ticket

import "regexp"

// Numbers that belong to a person, in the order in which they are looked for: identity cards (GB 11643: 17 digits and a
// check character) and bank cards written without breaks, identity cards with breaks, mobile numbers, bank cards with
// breaks, the old identity cards of 15 digits, fixed lines with their area code.
var personal = []*regexp.Regexp{
	regexp.MustCompile(`\d{16,19}[Xx]?`),
	regexp.MustCompile(`\d{6}[- ]?(?:19|20)\d{2}[- ]?\d{4}[- ]?\d{3}[\dXx]`),
	regexp.MustCompile(`1[3-9]\d(?:[- ]?\d){8}`),
	regexp.MustCompile(`\d{4}(?:[- ]\d{4}){3}(?:[- ]?\d{1,3})?`),
	regexp.MustCompile(`\d{15}`),
	regexp.MustCompile(`0\d{2,3}[- ]?\d{7,8}`),
}

// maskNumbers hides personal numbers in free text but for their ends: 138****5678.
func maskNumbers(s string) string {
	for _, re := range personal {
		s = re.ReplaceAllStringFunc(s, func(n string) string {
			var digits []byte
			for i := 0; i < len(n); i++ {
				if n[i] != '-' && n[i] != ' ' {
					digits = append(digits, n[i])
				}
			}
			return string(digits[:3]) + "****" + string(digits[len(digits)-4:])
		})
	}
	return s
}
