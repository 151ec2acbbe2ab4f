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
func LoadFlow(dir, name string) (*flow.Flow, error) {
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
