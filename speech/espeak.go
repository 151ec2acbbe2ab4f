package speech

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"lianxin/speech/hanzi"
)

// Espeak speaks with the espeak-ng program: intelligible, not pretty. It is the last resort, and what
// makes the prompts that no studio has recorded yet. espeak-ng is GPL-3 and therefore run as a process.
type Espeak struct {
	Path  string // of the program; "espeak-ng" by default
	Voice string // "cmn-latn-pinyin" by default; "cmn" of Debian 12 spells pinyin as English letters
	Speed int    // words a minute; 180 by default, about four Hanzi a second
}

var _ Synthesizer = Espeak{}

// Name gives program, voice and speed.
func (e Espeak) Name() string {
	e = e.withDefaults()
	return fmt.Sprintf("espeak-ng/%s/%d", e.Voice, e.Speed)
}

func (e Espeak) withDefaults() Espeak {
	if e.Path == "" {
		e.Path = "espeak-ng"
	}
	if e.Voice == "" {
		e.Voice = "cmn-latn-pinyin"
	}
	if e.Speed == 0 {
		e.Speed = 180
	}
	return e
}

// Synthesize returns 16-bit WAV at the program's own rate (22 050 Hz).
func (e Espeak) Synthesize(ctx context.Context, text string) ([]byte, error) {
	return e.Speak(ctx, Spell(hanzi.Plain(text)))
}

// Speak speaks text as it stands, Hanzi and inline pinyin, without our reading rules.
func (e Espeak) Speak(ctx context.Context, text string) ([]byte, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("speak with espeak-ng: empty text")
	}
	e = e.withDefaults()
	cmd := exec.CommandContext(ctx, e.Path, "-v", e.Voice, "-s", strconv.Itoa(e.Speed), "-b", "1", "--stdin", "--stdout")
	cmd.Stdin = strings.NewReader(text)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("speak with espeak-ng: %w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	if out.Len() <= 44+1000 {
		return nil, fmt.Errorf("speak with espeak-ng: %w", ErrNoSpeech)
	}
	return out.Bytes(), nil
}
