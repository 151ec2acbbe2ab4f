package city

import (
	"fmt"

	"lianxin/storage"
	"lianxin/ticket"
)

// Areas are the districts, streets and communities of the sample city. Of how many people live there nothing is shipped:
// those numbers are the census's, and are entered when they are known.
func Areas() ([]ticket.Area, error) {
	var out []ticket.Area
	for _, f := range []struct {
		file, header string
		level        int
	}{
		{"benxi_areas.csv", "code,name,cityCode,provinceCode", ticket.District},
		{"benxi_streets.csv", "code,name,areaCode,provinceCode,cityCode", ticket.Street},
		{"benxi_villages.csv", "code,name,streetCode,provinceCode,cityCode,areaCode", ticket.Community},
	} {
		rows, err := readTable(f.file, f.header)
		if err != nil {
			return nil, fmt.Errorf("areas of the sample city: %w", err)
		}
		for _, r := range rows {
			a := ticket.Area{Code: r[0], Level: f.level, Name: r[1]}
			if f.level > ticket.District {
				a.Parent = r[2]
			}
			out = append(out, a)
		}
	}
	return out, nil
}

// LoadAreas enters the divisions of the sample city where there are none; an edited list is left as it is.
func LoadAreas(tx *storage.Tx, o *ticket.Office) error {
	n, err := storage.One(tx, storage.Value[int], `SELECT COUNT(*) FROM ticket_area`)
	if err != nil || n > 0 {
		return err
	}
	list, err := Areas()
	if err != nil {
		return err
	}
	return o.PutAreas(tx, list, ticket.System)
}
