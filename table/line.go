package table

import "unicode/utf8"

// UTF8 returns a line of text or JSON in UTF-8: as it stands when it is that already or a damaged line of it (whoever reads it sees U+FFFD in
// the place of what is lost), out of GB18030 (GBK, GB 2312) when its bytes are Chinese in that, and ErrEncoding when they are neither.
func UTF8(line []byte) ([]byte, error) {
	if utf8.Valid(line) || isUTF8Mostly(line) {
		return line, nil
	}
	s, err := decodeGB(line)
	if err != nil {
		return nil, err
	}
	return []byte(s), nil
}
