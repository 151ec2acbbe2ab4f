package sms_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"lianxin/sms"
)

// Twilio's own calculator (npm sms-segments-calculator) is an independent oracle for Measure.
func TestMeasureAgreesWithTwiliosCalculator(t *testing.T) {
	dir, err := exec.Command("../scripts/npm-tools.sh").Output()
	if err != nil {
		t.Fatalf("install the npm tools: %v", err)
	}
	random := rand.New(rand.NewPCG(46110110, 1))
	alphabets := []string{"abc 123.,!?", "abc€[]{}~^\\|", "满意不好，。一二三123", "满意😊👍", "aé满", "äöüßàñ¿¡ΔΦΓ£¥"}
	var letters [][]string
	for _, a := range alphabets {
		letters = append(letters, strings.Split(a, ""))
	}
	letters = append(letters, []string{"e\u0301", "a", "满"}, []string{"👍🏻", "👨‍👩‍👧", "🇨🇳", "1️⃣", "满", "😊"})
	var texts []string
	for range 400 {
		set := letters[random.IntN(len(letters))]
		var b strings.Builder
		for range random.IntN(330) {
			b.WriteString(set[random.IntN(len(set))])
		}
		texts = append(texts, b.String())
	}
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "-e", `
		const {SegmentedMessage} = require(process.argv[1] + '/node_modules/sms-segments-calculator');
		let s = '';
		process.stdin.on('data', d => s += d).on('end', () => console.log(JSON.stringify(JSON.parse(s).map(t => {
			const m = new SegmentedMessage(t, 'auto', false);
			return {Encoding: m.encodingName, Segments: m.segmentsCount};
		}))));`, strings.TrimSpace(string(dir)))
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run the calculator: %v", err)
	}
	var want []struct {
		Encoding string
		Segments int
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		got := sms.Measure(text)
		if text != "" && (got.Encoding != want[i].Encoding || got.Segments != want[i].Segments) {
			t.Errorf("%q: %s, %d segments; the calculator says %s, %d", text, got.Encoding, got.Segments, want[i].Encoding, want[i].Segments)
		}
	}
}
