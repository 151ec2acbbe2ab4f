package ivr

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lianxin/ivr/flow"
)

//go:embed flows/*.yaml
var flows embed.FS

// LoadFlow reads the flow of a name ("hotline"): from dir/NAME.yaml when that is there, else the one that ships with the
// program. dir may be empty. The error names the file, line and column of each mistake.
//
// Flows that it calls are found in the same way and linked with it.
func LoadFlow(dir, name string) (*flow.Flow, error) {
	f, err := readFlow(dir, name)
	if err != nil {
		return nil, err
	}
	return f.Link(func(name string) (*flow.Flow, error) { return readFlow(dir, name) })
}

// LinkFlow is the flow of a file, with those that it calls from the file's own folder or from those that ship with the program.
func LinkFlow(file string) (*flow.Flow, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := flow.Parse(file, b)
	if err != nil {
		return nil, err
	}
	return f.Link(func(name string) (*flow.Flow, error) { return readFlow(filepath.Dir(file), name) })
}

func readFlow(dir, name string) (*flow.Flow, error) {
	if name+".yaml" == queuesFile {
		return nil, fmt.Errorf("load flow %s: the file of this name holds the queues: %w", name, fs.ErrNotExist)
	}
	if dir != "" {
		file := filepath.Join(dir, name+".yaml")
		b, err := os.ReadFile(file)
		if err == nil {
			return flow.Parse(file, b)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("load flow %s: %w", name, err)
		}
	}
	b, err := flows.ReadFile("flows/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("load flow %s: %w", name, err)
	}
	return flow.Parse(name+".yaml", b)
}
