package survey

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"

	"lianxin/sms"
	"lianxin/workday"
)

//go:embed classes.yaml
var standard []byte

// Config says what is asked, whom, and what counts. It is one versioned file.
type Config struct {
	Version           string              `yaml:"version"`
	ReplyWindow       time.Duration       `yaml:"reply_window"`
	CorrectionWindow  time.Duration       `yaml:"correction_window"`
	LateWindow        time.Duration       `yaml:"late_window"`
	Validity          time.Duration       `yaml:"validity"`
	FrequencyDays     int                 `yaml:"frequency_days"`
	LookbackDays      int                 `yaml:"lookback_days"`
	Adult             int                 `yaml:"adult"`
	HarmlessMarks     []string            `yaml:"harmless_marks"`
	Sensitive         map[string][]string `yaml:"sensitive"`
	SensitiveInMatter []string            `yaml:"sensitive_in_matter"`
	StaffShields      []string            `yaml:"staff_shields"`
	Metric            Metric              `yaml:"metric"`
	Reason            Question            `yaml:"reason"`  // asks the dissatisfied why
	Clarify           Question            `yaml:"clarify"` // asks what an unclear reply means
	Watch             Watching            `yaml:"watch"`
	Texts             TextLimits          `yaml:"texts"`
	Hygiene           Hygiene             `yaml:"hygiene"`
	Telephone         Telephoning         `yaml:"telephone"` // asks by telephone those whom no text reaches
	Templates         map[string]string   `yaml:"templates"`
	Scales            map[int]string      `yaml:"scales"`
	Classes           []Class             `yaml:"classes"`

	order []string // of Sensitive, as the file has it
}

// Class is a class of service (业务类别).
type Class struct {
	Code     string   `yaml:"code"` // stable, in the database
	Name     string   `yaml:"name"` // in texts and on pages
	Aliases  []string `yaml:"aliases"`
	Template string   `yaml:"template"` // key of Config.Templates
	Scale    int      `yaml:"scale"`    // levels; 5 when 0
	Priority int      `yaml:"priority"`
	Sample   float64  `yaml:"sample"`   // share of the records that is asked about, drawn at random; 0 and 1 are all
	Quota    int      `yaml:"quota"`    // at most so many records of each unit a day, drawn at random; 0 is all
	Disabled bool     `yaml:"disabled"` // imported, but nobody is asked
	Exclude  []string `yaml:"exclude"`  // words in the matter that keep a record of this class from being asked about

	Reminder  Reminder `yaml:"reminder"`  // of who has not answered; none when left out
	Telephone []string `yaml:"telephone"` // who is asked by telephone instead: ByFixedLine, ByUndelivered; empty is nobody
}

// Metric is how the satisfaction rate is made of ratings.
type Metric struct {
	Version string        `yaml:"version"`
	Weights []float64     `yaml:"weights"` // of rating 1 (best) to 5 (worst)
	Beside  []float64     `yaml:"beside"`  // other weights of 基本满意, by which the rate is printed as well
	Small   int           `yaml:"small"`   // with fewer ratings a rate is not shown
	Rank    int           `yaml:"rank"`    // with fewer ratings a row is not ranked
	Early   time.Duration `yaml:"early"`   // who has rated by then is compared with who took longer
}

// Formula prints the metric, as it must stand beside every rate.
func (m Metric) Formula() string {
	var parts []string
	for i, w := range m.Weights {
		if w != 0 {
			parts = append(parts, fmt.Sprintf("%g×n%d", w, i+1))
		}
	}
	return fmt.Sprintf("(%s)/n，公式版本 %s", strings.Join(parts, "+"), m.Version)
}

// Standard is the configuration that comes with the program.
var Standard = sync.OnceValue(func() *Config {
	c, err := ParseConfig(standard)
	if err != nil {
		panic(err) // a test loads it
	}
	return c
})

// LoadConfig reads a bureau's own file; an empty path gives Standard.
func LoadConfig(path string) (*Config, error) {
	if path == "" {
		return Standard(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("survey configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("survey configuration %s: %w", path, err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads and checks a configuration. Unknown keys are errors, which name their line.
func ParseConfig(b []byte) (*Config, error) {
	c := &Config{}
	if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("survey configuration: %w", err)
	}
	var order struct {
		Sensitive yaml.MapSlice `yaml:"sensitive"`
	}
	if err := yaml.Unmarshal(b, &order); err != nil {
		return nil, fmt.Errorf("survey configuration: %w", err)
	}
	for _, item := range order.Sensitive {
		c.order = append(c.order, fmt.Sprint(item.Key))
	}
	c.fill()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("survey configuration %s: %w", c.Version, err)
	}
	return c, nil
}

// fill gives a bureau's own file what it says nothing about.
func (c *Config) fill() {
	if c.Watch.Hours == "" {
		c.Watch = Watching{Hours: "09:00-21:00", Least: 30, Within: 2 * time.Hour, Baseline: 28, Deviations: 4, Canary: c.Watch.Canary, CanaryEvery: 26 * time.Hour}
	}
	if c.Texts == (TextLimits{}) {
		c.Texts = TextLimits{Unit: 14, Segments: 2, Price: 0.05}
	}
	if c.Hygiene.Failures == 0 {
		c.Hygiene = Hygiene{Failures: 2, Within: 180 * 24 * time.Hour, Rest: 90 * 24 * time.Hour}
	}
	c.Telephone.fill()
	if c.Metric.Rank == 0 {
		c.Metric.Rank = max(30, c.Metric.Small)
	}
	if c.Metric.Early == 0 {
		c.Metric.Early = 2 * time.Hour
	}
}

func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Version == "" {
		bad("no version")
	}
	for name, d := range map[string]time.Duration{"reply_window": c.ReplyWindow, "correction_window": c.CorrectionWindow, "late_window": c.LateWindow, "validity": c.Validity} {
		if d <= 0 {
			bad("%s must be longer than nothing", name)
		}
	}
	if c.FrequencyDays < 1 || c.LookbackDays < 1 || c.Adult < 1 {
		bad("frequency_days, lookback_days and adult must be 1 or more")
	}
	if c.Metric.Version == "" || len(c.Metric.Weights) != 5 || c.Metric.Small < 1 {
		bad("metric needs a version, five weights and small")
	}
	if c.Metric.Rank < c.Metric.Small || c.Metric.Early <= 0 {
		bad("metric: rank must be at least small, and early longer than nothing")
	}
	for _, w := range append(slices.Clone(c.Metric.Weights), c.Metric.Beside...) {
		if w < 0 || w > 1 {
			bad("metric: weight %g is not between 0 and 1", w)
		}
	}
	for _, group := range c.SensitiveInMatter {
		if c.Sensitive[group] == nil {
			bad("sensitive_in_matter: no group %q", group)
		}
	}
	if err := c.Hygiene.check(); err != nil {
		bad("hygiene: %w", err)
	}
	if err := c.Telephone.check(); err != nil {
		bad("telephone: %w", err)
	}
	seen := map[string]string{}
	for i := range c.Classes {
		cl := &c.Classes[i]
		if cl.Scale == 0 {
			cl.Scale = 5
		}
		if cl.Code == "" || cl.Name == "" {
			bad("class %d needs a code and a name", i+1)
		}
		for _, name := range append([]string{cl.Code, cl.Name}, cl.Aliases...) {
			key := fold(name)
			if was, ok := seen[key]; ok && was != cl.Code {
				bad("%q names both %s and %s", name, was, cl.Code)
			}
			seen[key] = cl.Code
		}
		if cl.Sample < 0 || cl.Sample > 1 || cl.Quota < 0 || cl.Sample > 0 && cl.Quota > 0 {
			bad("class %s: sample is a share from 0 to 1, quota a number, and only one of them may be given", cl.Code)
		}
		if err := cl.checkTelephone(); err != nil {
			bad("class %s: %w", cl.Code, err)
		}
		if err := cl.Reminder.check(c); err != nil {
			bad("class %s: %w", cl.Code, err)
		}
		if c.Templates[cl.Template] == "" {
			bad("class %s: no template %q", cl.Code, cl.Template)
		}
		if c.Scales[cl.Scale] == "" {
			bad("class %s: no scale of %d", cl.Code, cl.Scale)
		}
	}
	if err := c.checkScales(); err != nil {
		bad("%w", err)
	}
	if len(c.Classes) == 0 {
		bad("no classes")
	}
	for name, q := range map[string]Question{"reason": c.Reason, "clarify": c.Clarify} {
		if err := q.check(); err != nil {
			bad("%s: %w", name, err)
		}
	}
	if err := c.Watch.check(); err != nil {
		bad("watch: %w", err)
	}
	for name, text := range c.Templates {
		if err := c.Lint("本溪公安", text); err != nil { // with a signature of the usual length
			bad("template %s: %w", name, err)
		}
	}
	return errors.Join(errs...)
}

// lint refuses what carriers and discretion do not allow in a text.
func lint(text string) error {
	for _, must := range []string{"{scale}", "{unit}", "{date}"} {
		if !strings.Contains(text, must) {
			return fmt.Errorf("lacks %s", must)
		}
	}
	rest := text
	for _, v := range []string{"{unit}", "{date}", "{class}", "{scale}"} {
		rest = strings.ReplaceAll(rest, v, "")
	}
	return never(rest)
}

// never refuses what may stand in no text; text is without its placeholders.
func never(text string) error {
	for _, sign := range []string{"http", "www.", ".com", ".cn", "￥", "★", "※", "^_^", "{name}", "{matter}", "{phone}", "【", "】"} {
		if strings.Contains(strings.ToLower(text), sign) {
			return fmt.Errorf("must not hold %s", sign)
		}
	}
	rest := text
	if strings.ContainsAny(rest, "{}") {
		return errors.New("holds a placeholder that does not exist")
	}
	return nil
}

// Class finds a class by code, name or alias.
func (c *Config) Class(name string) (Class, bool) {
	key := fold(name)
	for _, cl := range c.Classes {
		if fold(cl.Code) == key || fold(cl.Name) == key || slices.ContainsFunc(cl.Aliases, func(a string) bool { return fold(a) == key }) {
			return cl, true
		}
	}
	return Class{}, false
}

// Text is what a client of a unit is texted, without the signature: no name, no matter, nothing of the case.
func (c *Config) Text(cl Class, unit string, day workday.Day) string {
	return c.text(cl.Template, unit, day, cl.Name, c.Scales[cl.Scale])
}

func (c *Config) text(template, unit string, day workday.Day, class, scale string) string {
	_, month, date := day.Date()
	return strings.NewReplacer("{unit}", cut(unit, c.Texts.Unit), "{date}", fmt.Sprintf("%d月%d日", month, date), "{class}", class, "{scale}", scale).Replace(c.Templates[template])
}

// Preview is a text as it would go out, with what it costs.
type Preview struct {
	Class string
	Text  string
	Size  sms.Size
	Cost  float64 // yuan
}

// Preview shows the text of every class for a unit.
func (c *Config) Preview(signature, unit string, day workday.Day) []Preview {
	var out []Preview
	for _, cl := range c.Classes {
		text := sms.Sign(signature, c.Text(cl, unit, day))
		size := sms.Measure(text)
		out = append(out, Preview{cl.Code, text, size, float64(size.Segments) * c.Texts.Price})
	}
	return out
}

// sensitive names the group of a mark, "" when it is none.
func (c *Config) sensitive(mark, matter string) string {
	if m := fold(mark); m != "" && !slices.ContainsFunc(c.HarmlessMarks, func(h string) bool { return fold(h) == m }) {
		for _, group := range c.order {
			for _, word := range c.Sensitive[group] {
				if strings.Contains(m, fold(word)) {
					return group
				}
			}
		}
		return "other"
	}
	for _, group := range c.SensitiveInMatter {
		for _, word := range c.Sensitive[group] {
			if strings.Contains(matter, word) {
				return group
			}
		}
	}
	return ""
}

// StandardText is the file of Standard, for a bureau to start its own from.
func StandardText() string { return string(standard) }
