package poll

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lianxin/sms"
	"lianxin/storage"
)

// A poll under a name (记名) may be answered by the digit of an option, in reply to its text. The reply stays in the inbox with
// its number until its retention, so that what is promised of other polls cannot be promised here, and nobody is told so: the
// text and the page say 记名. Within the poll an answer is sealed, mixed and told of like any other.

// digitQuestion is the question that a digit answers: the only one with options, of which there are at most nine.
func digitQuestion(all []Question) (int, bool) {
	found := -1
	for i, q := range all {
		switch {
		case q.Kind == Text:
		case q.Kind == Some, found >= 0, len(q.Options) > 9:
			return 0, false
		default:
			found = i
		}
	}
	return found, found >= 0
}

// extensionOf is what is put behind our number in the texts of a poll, so that replies to it are told from those to others. Those
// of the survey have three digits.
func extensionOf(id string) string {
	n := 0
	for _, c := range []byte(id) {
		n = (n*31 + int(c)) % 1000
	}
	return fmt.Sprintf("9%03d", n)
}

// digitText is what is asked in the text of a poll under a name.
func (p Poll) digitText() string {
	i, _ := digitQuestion(p.Questions)
	var b strings.Builder
	b.WriteString(p.Questions[i].Text + " 请回复数字：")
	for j, o := range p.Questions[i].Options {
		fmt.Fprintf(&b, "%d%s ", j+1, o)
	}
	return strings.TrimSpace(b.String())
}

var wide = strings.NewReplacer("０", "0", "１", "1", "２", "2", "３", "3", "４", "4", "５", "5", "６", "6", "７", "7", "８", "8", "９", "9")

// Reply takes a reply to the text of a poll under a name, when it is one: a digit of its options from somebody who was asked.
// The first answer counts, by text or by link. It reports false for whatever is meant for somebody else: sentWith tells which
// of our numbers it came to (nil: there is only one), and with one number a digit belongs to the last question that the person
// was asked, by a poll or by the survey.
func (o *Office) Reply(tx *storage.Tx, in sms.Inbound, sentWith func(extension string) bool) (bool, error) {
	body := strings.Trim(wide.Replace(strings.TrimSpace(in.Body)), "。.，,！! 、")
	n, err := strconv.Atoi(body)
	if err != nil || n < 1 || n > 9 || len(body) != 1 || in.Phone.IsZero() {
		return false, nil
	}
	hash := o.Book.Vault.HashPhone(in.Phone)
	type row struct {
		poll, token string
		used        bool
		asked       storage.Time
	}
	all, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.poll, &x.token, &x.used, &x.asked) },
		`SELECT p.id, i.token_hash, i.used, s.created_at FROM poll_invitation i JOIN poll p ON p.id = i.poll_id JOIN sms s ON s.id = i.sms_id
		WHERE i.phone_hash = $1 AND p.named = TRUE AND p.state = 'OPEN' AND p.closes_at > $2 ORDER BY s.created_at DESC, p.id`, hash, storage.At(o.now()))
	if err != nil {
		return false, fmt.Errorf("match a reply to a poll: %w", err)
	}
	for _, x := range all {
		if sentWith != nil {
			if !sentWith(extensionOf(x.poll)) {
				continue
			}
		} else {
			later, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM survey_ask WHERE phone_hash = $1 AND state = 'open' AND closes_at > $2 AND asked_at > $3`, hash, storage.At(o.now()), x.asked)
			if err != nil {
				return false, fmt.Errorf("match a reply to a poll: %w", err)
			}
			if later > 0 {
				return false, nil
			}
		}
		if x.used {
			return true, nil // answered already, by text or by link
		}
		p, err := storage.One(tx, scanPoll, selectPoll+` WHERE p.id = $1`, x.poll)
		if err != nil {
			return false, err
		}
		i, ok := digitQuestion(p.Questions)
		if !ok || n > len(p.Questions[i].Options) {
			return false, nil // somebody reads it
		}
		a := Answer{Choices: make([][]int, len(p.Questions)), Words: make([]string, len(p.Questions))}
		a.Choices[i] = []int{n - 1}
		if err := o.take(tx, p, x.token, a); err != nil && !errors.Is(err, ErrNoLink) {
			return false, err
		}
		return true, nil
	}
	return false, nil
}
