package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// configFile is a configuration file with the places of what it sets, so that a complaint can say the line.
type configFile struct {
	path   string
	text   []byte
	values map[string]any
	lines  map[string]int // by path of keys and positions: "max-calls", "telephony.trunks.0.proxy"
}

// readConfig reads a configuration file; without one (path is empty) it is nil. Keys that are no settings are an error.
func readConfig(path string) (*configFile, error) {
	if path == "" {
		return nil, nil
	}
	f := &configFile{path: path, values: map[string]any{}, lines: map[string]int{}}
	var err error
	if f.text, err = os.ReadFile(path); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var whole yaml.Node
	if err := yaml.Unmarshal(f.text, &whole); err != nil {
		return nil, f.complaint(err)
	}
	if err := whole.Decode(&f.values); err != nil {
		return nil, f.complaint(err)
	}
	for _, doc := range whole.Content {
		f.place("", doc)
	}
	known := knownKeys()
	var strange []string
	for key := range f.values {
		if !slices.Contains(known, key) {
			strange = append(strange, key)
		}
	}
	if strange != nil {
		slices.SortFunc(strange, func(a, b string) int { return cmp.Compare(f.lines[a], f.lines[b]) })
		return nil, f.at(strange[0], fmt.Errorf("there is no setting %q", strange[0]))
	}
	return f, nil
}

// place notes the lines of a node and of all below it.
func (f *configFile) place(path string, n *yaml.Node) {
	join := func(key string) string { return strings.TrimPrefix(path+"."+key, ".") }
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := join(n.Content[i].Value)
			f.lines[key] = n.Content[i].Line
			f.place(key, n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			key := join(fmt.Sprint(i))
			f.lines[key] = c.Line
			f.place(key, c)
		}
	}
}

// at says where a complaint belongs: at the path, or at the nearest thing above it that the file has.
func (f *configFile) at(path string, err error) error {
	for path != "" {
		if line := f.lines[path]; line > 0 {
			return fmt.Errorf("configuration %s, line %d: %w", f.path, line, err)
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return fmt.Errorf("configuration %s: %w", f.path, err)
}

var (
	yamlLine  = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)
	yamlField = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// complaint is an error of the YAML reader in our form: the file and the line first, then what is wrong.
func (f *configFile) complaint(err error) error {
	texts := []string{err.Error()}
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		texts = wrong.Errors
	}
	var all []error
	for _, text := range texts {
		where := ""
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			where, text = ", line "+m[1], text[len(m[0]):]
		}
		text = yamlField.ReplaceAllString(text, `there is no setting "$1"`)
		all = append(all, fmt.Errorf("configuration %s%s: %s", f.path, where, text))
	}
	return errors.Join(all...)
}

// part reads what stands under a key of the file into out, a pointer; a key below that out does not know is an error. Without a file
// nothing is read.
func (f *configFile) part(key string, out any) error {
	if f == nil || f.lines[key] == 0 {
		return nil
	}
	// The whole file is decoded, so that complaints have its lines; what is under other keys goes into Rest unread.
	whole := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Part", Type: reflect.TypeOf(out).Elem(), Tag: reflect.StructTag(`yaml:"` + key + `"`)},
		{Name: "Rest", Type: reflect.TypeFor[map[string]yaml.Node](), Tag: `yaml:",inline"`},
	}))
	dec := yaml.NewDecoder(bytes.NewReader(f.text))
	dec.KnownFields(true)
	if err := dec.Decode(whole.Interface()); err != nil {
		return f.complaint(err)
	}
	reflect.ValueOf(out).Elem().Set(whole.Elem().Field(0))
	return nil
}

var flagNamed = regexp.MustCompile(`--([a-z][a-z0-9-]*)`)

// blame adds the line to a complaint about a flag whose value has come from the file.
func (f *configFile) blame(args []string, err error) error {
	if f == nil || err == nil {
		return err
	}
	for _, m := range flagNamed.FindAllStringSubmatch(err.Error(), -1) {
		given := slices.ContainsFunc(args, func(a string) bool { return a == "--"+m[1] || strings.HasPrefix(a, "--"+m[1]+"=") })
		if !given && f.lines[m[1]] > 0 && !environmentSets(m[1]) {
			return f.at(m[1], err)
		}
	}
	return err
}

// environmentSets reports whether a setting comes from the environment, which goes before the file.
func environmentSets(name string) bool {
	for field := range reflect.TypeFor[Config]().NumField() {
		tag := reflect.TypeFor[Config]().Field(field).Tag
		if tag.Get("name") == name || strings.EqualFold(reflect.TypeFor[Config]().Field(field).Name, name) {
			_, set := os.LookupEnv(tag.Get("env"))
			return set
		}
	}
	return false
}
