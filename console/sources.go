package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/danielgtaylor/huma/v2"

	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
	"lianxin/ticket/oversee"
)

func (s *Server) sourceRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /oversee/outreach/{id}/codes/{file}", s.signedIn(s.codeOf))
	mux.HandleFunc("GET /sources", s.may(org.ViewAlerts, s.sources))
}

func (s *Server) sourceAPI(api huma.API) {
	huma.Get(api, "/api/v1/sources", s.apiSources, named("list-sources", "What came by each QR code of each campaign, the code that brought most first"))
	huma.Get(api, "/api/v1/oversight/outreach/{id}/codes/{file}", s.apiCode, named("take-code", "The QR code of a place of a campaign: CODE.svg or CODE.png"))
}

// noPublicAddress is the refusal of a code that could lead nowhere.
func noPublicAddress() error {
	return &ticket.Refusal{Code: "public_url", Message: "没有配置公众访问地址（public-url），不能生成二维码"}
}

// publicLink is where a code leads: the public's form, which keeps the code with what is handed in.
func (s *Server) publicLink(code string) (string, error) {
	if s.Gateway == nil || s.Gateway.PublicURL == "" {
		return "", noPublicAddress()
	}
	return strings.TrimSuffix(s.Gateway.PublicURL, "/") + "/p?from=" + code, nil
}

// quietZone is the white around a QR code in modules, as ISO/IEC 18004 asks.
const quietZone = 4

// qrCode is the modules of a QR code (ISO/IEC 18004) that still reads with a quarter of it torn off or wet (level Q).
func qrCode(text string) (side int, dark func(x, y int) bool, err error) {
	c, err := qr.Encode(text, qr.Q, qr.Auto)
	if err != nil {
		return 0, nil, fmt.Errorf("QR code: %w", err)
	}
	return c.Bounds().Dx(), func(x, y int) bool { r, _, _, _ := c.At(x, y).RGBA(); return r == 0 }, nil
}

// qrSVG draws the code at any size: one path, a module is a unit.
func qrSVG(text string) ([]byte, error) {
	side, dark, err := qrCode(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	full := side + 2*quietZone
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, full, full, full, full)
	for y := range side {
		for x := 0; x < side; x++ {
			run := 0
			for x+run < side && dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quietZone, y+quietZone, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes(), nil
}

// qrPNG draws the code for a printer: about a thousand pixels wide.
func qrPNG(text string) ([]byte, error) {
	side, dark, err := qrCode(text)
	if err != nil {
		return nil, err
	}
	full := side + 2*quietZone
	scale := max(1, (1000+full-1)/full)
	img := image.NewPaletted(image.Rect(0, 0, full*scale, full*scale), color.Palette{color.White, color.Black})
	for y := range full * scale {
		for x := range full * scale {
			mx, my := x/scale-quietZone, y/scale-quietZone
			if mx >= 0 && my >= 0 && mx < side && my < side && dark(mx, my) {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("QR code: %w", err)
	}
	return b.Bytes(), nil
}

// campaignOf reads a campaign of the viewer's and the place with a code.
func (s *Server) campaignOf(tx *storage.Tx, id, code string, by ticket.Actor) (*oversee.Outreach, oversee.Point, error) {
	m, err := s.Oversight.Get(tx, oversee.KindOutreach, id, by)
	if err != nil {
		return nil, oversee.Point{}, err
	}
	o := m.(*oversee.Outreach)
	p, ok := o.Point(code)
	if !ok {
		return nil, p, fmt.Errorf("code of %s: %w", o.Number, storage.ErrNotFound)
	}
	return o, p, nil
}

// drawn is the file of a code by its ending; storage.ErrNotFound for another.
func drawn(link, ending string) (body []byte, media string, err error) {
	switch ending {
	case "svg":
		body, err = qrSVG(link)
		return body, "image/svg+xml", err
	case "png":
		body, err = qrPNG(link)
		return body, "image/png", err
	}
	return nil, "", storage.ErrNotFound
}

type codeView struct {
	O    *oversee.Outreach
	P    oversee.Point
	Link string
	Unit string
}

// codeOf is a page to print with the code of a place, or the code alone: CODE, CODE.svg, CODE.png.
func (s *Server) codeOf(w http.ResponseWriter, r *http.Request, u *user) {
	code, ending, file := strings.Cut(r.PathValue("file"), ".")
	v := codeView{}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) (err error) {
		if v.O, v.P, err = s.campaignOf(tx, r.PathValue("id"), code, ticket.Staff(u.Staff)); err != nil {
			return err
		}
		n, err := readNames(tx, s.lang(r))
		v.Unit = n.Unit(v.O.Unit)
		return err
	})
	if err == nil {
		v.Link, err = s.publicLink(code)
	}
	var body []byte
	var media string
	if err == nil && file {
		body, media, err = drawn(v.Link, ending)
	}
	refusal, refused := ticket.RefusedWith(err)
	switch {
	case refused:
		s.problem(w, r, http.StatusUnprocessableEntity, refusal.Message)
	case errors.Is(err, storage.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "not-found")
	case err != nil:
		s.fail(w, r, err)
	case file:
		w.Header().Set("Content-Type", media)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "private, no-store")
		w.Write(body)
	default:
		s.render(w, r, http.StatusOK, "code", "", "code-title", v)
	}
}

func (s *Server) apiCode(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"id or number of the campaign"`
	File string `path:"file" doc:"CODE.svg or CODE.png"`
}) (*paperFile, error) {
	tok, err := overseer(ctx, oversee.KindOutreach)
	if err != nil {
		return nil, err
	}
	code, ending, _ := strings.Cut(in.File, ".")
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		_, _, err := s.campaignOf(tx, in.ID, code, ticket.Token(tok))
		return err
	})
	out := &paperFile{}
	if err == nil {
		var link string
		if link, err = s.publicLink(code); err == nil {
			out.Body, out.ContentType, err = drawn(link, ending)
		}
	}
	if err != nil {
		return nil, s.problemOf("draw a code", err)
	}
	return out, nil
}

// sourceRow is what came by one code, on pages.
type sourceRow struct {
	oversee.Source
	Area, Unit string
	Share      float64 // of all that the public handed in by itself in the time, in percent
	Width      int     // of the bar, in percent
}

type sourcesView struct {
	Days  int
	Spans []int
	Rows  []sourceRow
	Sum   int
	Plain int
}

// sources is the report which campaign and place brought what (RES-13).
func (s *Server) sources(w http.ResponseWriter, r *http.Request, u *user) {
	v := sourcesView{Days: 90, Spans: []int{7, 30, 90, 400}}
	for _, n := range v.Spans {
		if r.URL.Query().Get("days") == itoa(n) {
			v.Days = n
		}
	}
	err := s.DB.View(r.Context(), func(tx *storage.Tx) error {
		list, plain, err := s.Oversight.Sources(tx, s.Now().AddDate(0, 0, -v.Days), time.Time{}, "", ticket.Staff(u.Staff))
		if err != nil {
			return err
		}
		areas, err := s.Office.AreaNames(tx)
		if err != nil {
			return err
		}
		n, err := readNames(tx, s.lang(r))
		v.Plain = plain
		most := 1
		for _, x := range list {
			v.Sum += x.Came
			most = max(most, x.Came)
		}
		for _, x := range list {
			v.Rows = append(v.Rows, sourceRow{Source: x, Area: areas[x.Outreach.Area], Unit: n.Unit(x.Outreach.Unit), Share: 100 * float64(x.Came) / float64(max(1, v.Sum+plain)), Width: 100 * x.Came / most})
		}
		return err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "sources", "", "sources", v)
}

// SourceOut is what came by one code.
type SourceOut struct {
	Campaign string     `json:"campaign" doc:"number of the campaign"`
	Way      string     `json:"way"`
	Area     string     `json:"area"`
	Place    string     `json:"place"`
	Code     string     `json:"code"`
	Tickets  int        `json:"tickets"`
	Valid    int        `json:"valid" doc:"of them 有效"`
	Settled  int        `json:"settled" doc:"of them closed"`
	Last     *time.Time `json:"last,omitempty"`
}

// SourcesOut is the report which campaign and place brought what.
type SourcesOut struct {
	Items []SourceOut `json:"items"`
	Plain int         `json:"plain" doc:"tickets of the public's own in the time without a code"`
}

func (s *Server) apiSources(ctx context.Context, in *struct {
	Days     int    `query:"days" minimum:"1" maximum:"400" default:"90"`
	Campaign string `query:"campaign" doc:"one campaign: id or number"`
}) (*one[SourcesOut], error) {
	tok, err := caller(ctx, org.ViewAlerts)
	if err != nil {
		return nil, err
	}
	by := ticket.Token(tok)
	out := &one[SourcesOut]{}
	out.Body.Items = []SourceOut{}
	err = s.DB.View(ctx, func(tx *storage.Tx) error {
		only := ""
		if in.Campaign != "" {
			m, err := s.Oversight.Get(tx, oversee.KindOutreach, in.Campaign, by)
			if err != nil {
				return err
			}
			only = oversee.Of(m).ID
		}
		list, plain, err := s.Oversight.Sources(tx, s.Now().AddDate(0, 0, -in.Days), time.Time{}, only, by)
		for _, x := range list {
			out.Body.Items = append(out.Body.Items, SourceOut{x.Outreach.Number, x.Outreach.Way, x.Outreach.Area, x.Place, x.Code, x.Came, x.Valid, x.Settled, stampOrNil(x.Last)})
		}
		out.Body.Plain = plain
		return err
	})
	if err != nil {
		return nil, s.problemOf("list sources", err)
	}
	return out, nil
}

// pointView is a place of a campaign on its page.
type pointView struct {
	oversee.Source
	Who string
}

// fillPoints puts in the codes of a campaign and what came by them.
func (v *matterView) fillPoints(o *oversee.Outreach) error {
	by := ticket.Staff(v.me.Staff)
	list, _, err := v.s.Oversight.Sources(v.tx, time.Time{}, time.Time{}, o.ID, by)
	if err != nil {
		return err
	}
	var items []overItem
	for _, p := range o.Points {
		x := oversee.Source{Point: p}
		if i := slices.IndexFunc(list, func(s oversee.Source) bool { return s.Code == p.Code }); i >= 0 {
			x = list[i]
		}
		v.Points = append(v.Points, pointView{x, v.names.Who(p.By)})
		items = append(items, overItem{Head: p.Code, Text: p.Place, Note: itoa(x.Came)})
	}
	if v.forAPI {
		v.section("codes", items...) // the page has a card of its own
		return nil
	}
	ids, err := v.s.Oversight.Arrivals(v.tx, o.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		t, err := v.s.Office.See(v.tx, id, by)
		if err != nil {
			v.Hidden++
			continue
		}
		v.Tickets = append(v.Tickets, t)
	}
	return nil
}

// addPointAct gives a place of a campaign its code.
var addPointAct = overAct{code: "add-code", kind: oversee.KindOutreach, offer: if_(func(v *matterView) bool {
	return v.at(oversee.Planned, oversee.Acting) && (v.mediates() || v.can(org.DraftReport))
}), fields: fixed(line("place", "code-place", true, 40)), do: func(d *oversee.Desk, tx *storage.Tx, c overCommand) (oversee.Matter, error) {
	return m(d.AddPoint(tx, c.id, c.in.text("place"), c.by))
}}
