package contact

import (
	"errors"
	"strings"
	"unicode"
)

// A NumberError says why a text is not a number that we can use. The values
// below are the only ones; compare with errors.Is. Neither Code, Reason nor
// Error ever holds the text that was refused.
type NumberError struct {
	Code   string // stable, for reports and counters: "fixed_line"
	Reason string // zh-CN, for the person who reads the report
	text   string
}

func (e *NumberError) Error() string { return "phone number: " + e.text }

// Why a number is refused.
var (
	ErrNoNumber      = &NumberError{"empty", "号码为空", "empty"}
	ErrWithheld      = &NumberError{"withheld", "来电未显示号码", "withheld by the caller"}
	ErrBadCharacter  = &NumberError{"bad_character", "号码含有无法识别的字符", "holds a character that is no part of a number"}
	ErrSeveral       = &NumberError{"several", "一栏中填有多个号码", "several numbers in one field"}
	ErrExtension     = &NumberError{"extension", "号码带有分机号", "has an extension"}
	ErrMangled       = &NumberError{"mangled", "号码被表格软件转成了科学计数，末位已丢失", "turned into scientific notation by a spreadsheet"}
	ErrWrongLength   = &NumberError{"wrong_length", "号码位数不对", "wrong number of digits"}
	ErrNotMobile     = &NumberError{"not_mobile", "不是手机号码", "not a mobile number"}
	ErrFixedLine     = &NumberError{"fixed_line", "固定电话，不能收短信", "a fixed line"}
	ErrShortNumber   = &NumberError{"short_number", "短号码，不能收短信", "a short number"}
	ErrServiceNumber = &NumberError{"service_number", "服务号码（400、95等），不能收短信", "a service number"}
	ErrForeign       = &NumberError{"foreign", "境外号码，不能收短信", "a number outside the mainland"}
)

// Reason is the zh-CN reason of a refused number, or "" when err is of another kind.
func Reason(err error) string {
	var e *NumberError
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Code is the stable code of a refused number, or "" when err is of another kind.
func Code(err error) string {
	var e *NumberError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// withheld are the user parts that telephone networks put where a caller
// has hidden the number (RFC 3323 names "anonymous").
var withheld = map[string]bool{
	"anonymous": true, "unknown": true, "restricted": true, "private": true, "unavailable": true, "withheld": true,
}

// digits reduces what people, spreadsheets and telephone networks write to
// digits, with a leading "+" when the text had one ("+86…"; a leading "00"
// is left for the caller). It errs rather than guesses: a field with two
// numbers is refused, not cut.
func digits(s string) (string, error) {
	s = strings.TrimSpace(strings.Map(narrow, s))
	if s == "" {
		return "", ErrNoNumber
	}
	if withheld[strings.ToLower(s)] {
		return "", ErrWithheld
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "tel:"), "'")
	if mangled(s) {
		return "", ErrMangled
	}
	// A spreadsheet that took the number for a float writes 13900000000.0.
	if whole, frac, ok := strings.Cut(s, "."); ok && allDigits(whole) && frac != "" && strings.Trim(frac, "0") == "" && len(whole) >= 10 {
		s = whole
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '+' && strings.Trim(s[:i], " (") == "":
			b.WriteByte('+')
		case r == ' ', r == '-', r == '.', r == '(', r == ')', r == '[', r == ']':
		case r == '/', r == ',', r == ';', r == '、', r == '|', r == '\n':
			if strings.ContainsAny(s[i:], "0123456789") && b.Len() > 0 {
				return "", ErrSeveral
			}
			return "", ErrBadCharacter
		case r == '转', r == '轉', r == '#', r == 'x', r == 'X', r == '*':
			if b.Len() > 0 && r != '*' {
				return "", ErrExtension
			}
			return "", ErrBadCharacter
		default:
			return "", ErrBadCharacter
		}
	}
	switch b.String() {
	case "", "+":
		return "", ErrNoNumber
	}
	if b.Len() > 24 { // the longest port number (106…) has 21 digits
		return "", ErrWrongLength
	}
	return b.String(), nil
}

// narrow maps full-width forms to ASCII, every kind of dash to "-", every
// kind of blank to " ", and drops invisible marks that web pages leave.
func narrow(r rune) rune {
	switch {
	case r >= '！' && r <= '～':
		return narrow(r - 0xFEE0)
	case r == '\n' || r == '\r':
		return '\n'
	case unicode.IsSpace(r), r == '　', r == '·':
		return ' '
	case unicode.Is(unicode.Pd, r), r == '−', r == 'ー', r == '_':
		return '-'
	case unicode.Is(unicode.Cf, r), r == 0xFE0F:
		return -1
	case r == '【' || r == '〔':
		return '['
	case r == '】' || r == '〕':
		return ']'
	case r == '。' || r == '．':
		return '.'
	case r == '，':
		return ','
	}
	return r
}

// mangled finds 1.39E+10: the last digits are gone for good.
func mangled(s string) bool {
	m, e, ok := strings.Cut(strings.ToUpper(s), "E")
	if !ok {
		return false
	}
	whole, frac, _ := strings.Cut(m, ".")
	return whole != "" && allDigits(whole) && allDigits(frac) && allDigits(strings.TrimPrefix(e, "+")) && e != "" && e != "+"
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
