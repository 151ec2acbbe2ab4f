package report

import (
	"archive/zip"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteDOCX writes an edition as a document of word processors (ECMA-376, WordprocessingML): words, figures, tables, and bar
// charts (DrawingML) of the tables that have bars. mark is printed at the head of every page.
func (e Edition) WriteDOCX(w io.Writer, mark string) error {
	d := &document{}
	d.paragraph("Title", e.Title)
	for _, a := range e.About() {
		d.paragraph("About", a[0]+"："+a[1])
	}
	for _, x := range e.Content.Words.parts() {
		d.paragraph("Heading1", x[0])
		for line := range strings.SplitSeq(x[1], "\n") {
			d.paragraph("", line)
		}
	}
	d.paragraph("Heading1", "主要指标")
	rows := make([][]string, len(e.Content.Lines))
	for i, l := range e.Content.Lines {
		rows[i] = l.cells()[:6]
	}
	d.table(headOfLines[:6], rows)
	for _, g := range e.Content.Tables {
		d.paragraph("Heading1", g.Title)
		if g.Bars > 0 && len(g.Rows) > 1 {
			d.chart(g)
		}
		d.table(g.Head, g.Rows)
		if g.Note != "" {
			d.paragraph("About", "注："+g.Note)
		}
	}
	d.paragraph("Heading1", "指标口径")
	for _, l := range e.Content.Lines {
		d.paragraph("About", l.Label+"："+l.Formula)
	}
	if err := d.write(w, e.Title, mark); err != nil {
		return fmt.Errorf("write %s: %w", e.Series, err)
	}
	return nil
}

// document gathers the body and the charts of a DOCX.
type document struct {
	body   strings.Builder
	charts []string
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // writes to memory: never fails
	return b.String()
}

func run(text string) string {
	return `<w:r><w:t xml:space="preserve">` + escape(text) + `</w:t></w:r>`
}

func (d *document) paragraph(style, text string) {
	d.body.WriteString(`<w:p>`)
	if style != "" {
		d.body.WriteString(`<w:pPr><w:pStyle w:val="` + style + `"/></w:pPr>`)
	}
	d.body.WriteString(run(text) + `</w:p>`)
}

// textWidth is what A4 leaves between margins of 1,134 twentieths of a point.
const textWidth = 11906 - 2*1134

func (d *document) table(head []string, rows [][]string) {
	width := textWidth / len(head)
	d.body.WriteString(`<w:tbl><w:tblPr><w:tblStyle w:val="Grid"/><w:tblW w:w="` + strconv.Itoa(textWidth) + `" w:type="dxa"/></w:tblPr><w:tblGrid>`)
	for range head {
		d.body.WriteString(`<w:gridCol w:w="` + strconv.Itoa(width) + `"/>`)
	}
	d.body.WriteString(`</w:tblGrid>`)
	line := func(cells []string, top bool) {
		d.body.WriteString(`<w:tr>`)
		if top { // again on the next page
			d.body.WriteString(`<w:trPr><w:tblHeader/></w:trPr>`)
		}
		for i := range head {
			text := ""
			if i < len(cells) {
				text = cells[i]
			}
			style := "Cell"
			if top {
				style = "CellHead"
			}
			d.body.WriteString(`<w:tc><w:tcPr><w:tcW w:w="` + strconv.Itoa(width) + `" w:type="dxa"/></w:tcPr><w:p><w:pPr><w:pStyle w:val="` + style + `"/></w:pPr>` + run(text) + `</w:p></w:tc>`)
		}
		d.body.WriteString(`</w:tr>`)
	}
	line(head, true)
	for _, r := range rows {
		line(r, false)
	}
	d.body.WriteString(`</w:tbl>`)
	d.paragraph("About", "")
}

// chart draws a table's column as bars.
func (d *document) chart(g Grid) {
	n := len(d.charts) + 1
	var cat, val strings.Builder
	count := 0
	for _, r := range g.Rows {
		v, err := strconv.ParseFloat(strings.TrimSuffix(r[g.Bars-1], "%"), 64)
		if err != nil {
			continue
		}
		fmt.Fprintf(&cat, `<c:pt idx="%d"><c:v>%s</c:v></c:pt>`, count, escape(r[0]))
		fmt.Fprintf(&val, `<c:pt idx="%d"><c:v>%g</c:v></c:pt>`, count, v)
		count++
	}
	dir := "bar"
	if g.Key == "per-day" {
		dir = "col"
	}
	order := map[string]string{"bar": "maxMin", "col": "minMax"}[dir] // the first row on top, as in the table
	where := map[string][2]string{"bar": {"l", "t"}, "col": {"b", "l"}}[dir]
	d.charts = append(d.charts, xml.Header+`<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><c:chart><c:autoTitleDeleted val="1"/><c:plotArea><c:layout/>`+
		`<c:barChart><c:barDir val="`+dir+`"/><c:grouping val="clustered"/><c:varyColors val="0"/><c:ser><c:idx val="0"/><c:order val="0"/><c:tx><c:strRef><c:f>A</c:f><c:strCache><c:ptCount val="1"/><c:pt idx="0"><c:v>`+escape(g.Head[g.Bars-1])+`</c:v></c:pt></c:strCache></c:strRef></c:tx>`+
		`<c:spPr><a:solidFill><a:srgbClr val="1F5FBF"/></a:solidFill></c:spPr><c:invertIfNegative val="0"/>`+
		`<c:dLbls><c:showLegendKey val="0"/><c:showVal val="1"/><c:showCatName val="0"/><c:showSerName val="0"/><c:showPercent val="0"/><c:showBubbleSize val="0"/></c:dLbls>`+
		`<c:cat><c:strRef><c:f>B</c:f><c:strCache><c:ptCount val="`+strconv.Itoa(count)+`"/>`+cat.String()+`</c:strCache></c:strRef></c:cat><c:val><c:numRef><c:f>C</c:f><c:numCache><c:formatCode>General</c:formatCode><c:ptCount val="`+strconv.Itoa(count)+`"/>`+val.String()+`</c:numCache></c:numRef></c:val></c:ser>`+
		`<c:gapWidth val="60"/><c:axId val="1001"/><c:axId val="1002"/></c:barChart>`+
		`<c:catAx><c:axId val="1001"/><c:scaling><c:orientation val="`+order+`"/></c:scaling><c:delete val="0"/><c:axPos val="`+where[0]+`"/><c:majorTickMark val="none"/><c:minorTickMark val="none"/><c:tickLblPos val="nextTo"/><c:crossAx val="1002"/><c:crosses val="autoZero"/></c:catAx>`+
		`<c:valAx><c:axId val="1002"/><c:scaling><c:orientation val="minMax"/><c:min val="0"/></c:scaling><c:delete val="0"/><c:axPos val="`+where[1]+`"/><c:majorGridlines><c:spPr><a:ln w="6350"><a:solidFill><a:srgbClr val="DDDDDD"/></a:solidFill></a:ln></c:spPr></c:majorGridlines><c:numFmt formatCode="General" sourceLinked="0"/><c:majorTickMark val="none"/><c:minorTickMark val="none"/><c:tickLblPos val="nextTo"/><c:crossAx val="1001"/><c:crosses val="autoZero"/></c:valAx>`+
		`</c:plotArea><c:plotVisOnly val="1"/></c:chart></c:chartSpace>`)
	const emu = 635 // of a twentieth of a point
	high := min(6000, 1100+count*340)
	if dir == "col" {
		high = 3600
	}
	fmt.Fprintf(&d.body, `<w:p><w:r><w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent cx="%d" cy="%d"/><wp:docPr id="%d" name="chart%d" descr="%s"/><wp:cNvGraphicFramePr/><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" r:id="chart%d"/></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`,
		textWidth*emu, high*emu, n, n, escape(g.Title), n)
}

const docxStyles = xml.Header + `<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:eastAsia="宋体"/><w:sz w:val="21"/><w:lang w:val="zh-CN" w:eastAsia="zh-CN"/></w:rPr></w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="80" w:line="300" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults>` +
	`<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>` +
	`<w:style w:type="paragraph" w:styleId="Title"><w:name w:val="Title"/><w:basedOn w:val="Normal"/><w:pPr><w:spacing w:after="240"/><w:jc w:val="center"/></w:pPr><w:rPr><w:rFonts w:eastAsia="黑体"/><w:b/><w:sz w:val="36"/></w:rPr></w:style>` +
	`<w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:spacing w:before="240" w:after="100"/><w:outlineLvl w:val="0"/></w:pPr><w:rPr><w:rFonts w:eastAsia="黑体"/><w:b/><w:sz w:val="26"/></w:rPr></w:style>` +
	`<w:style w:type="paragraph" w:styleId="About"><w:name w:val="About"/><w:basedOn w:val="Normal"/><w:pPr><w:spacing w:after="20"/></w:pPr><w:rPr><w:color w:val="555555"/><w:sz w:val="18"/></w:rPr></w:style>` +
	`<w:style w:type="paragraph" w:styleId="Cell"><w:name w:val="Cell"/><w:basedOn w:val="Normal"/><w:pPr><w:spacing w:after="0" w:line="240" w:lineRule="auto"/></w:pPr><w:rPr><w:sz w:val="18"/></w:rPr></w:style>` +
	`<w:style w:type="paragraph" w:styleId="CellHead"><w:name w:val="CellHead"/><w:basedOn w:val="Cell"/><w:rPr><w:b/></w:rPr></w:style>` +
	`<w:style w:type="table" w:styleId="Grid"><w:name w:val="Grid"/><w:tblPr><w:tblBorders><w:top w:val="single" w:sz="4" w:color="999999"/><w:left w:val="single" w:sz="4" w:color="999999"/><w:bottom w:val="single" w:sz="4" w:color="999999"/><w:right w:val="single" w:sz="4" w:color="999999"/><w:insideH w:val="single" w:sz="4" w:color="999999"/><w:insideV w:val="single" w:sz="4" w:color="999999"/></w:tblBorders><w:tblCellMar><w:left w:w="80" w:type="dxa"/><w:right w:w="80" w:type="dxa"/></w:tblCellMar></w:tblPr></w:style></w:styles>`

// write puts the parts of the package together (ECMA-376 part 2, Open Packaging Conventions).
func (d *document) write(w io.Writer, title, mark string) error {
	const ns = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"`
	const rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	var types, rels strings.Builder
	for i := range d.charts {
		fmt.Fprintf(&types, `<Override PartName="/word/charts/chart%d.xml" ContentType="application/vnd.openxmlformats-officedocument.drawingml.chart+xml"/>`, i+1)
		fmt.Fprintf(&rels, `<Relationship Id="chart%d" Type="%schart" Target="charts/chart%d.xml"/>`, i+1, rel, i+1)
	}
	parts := [][2]string{
		{"[Content_Types].xml", xml.Header + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
			`<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/>` +
			`<Override PartName="/word/header1.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.header+xml"/><Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>` + types.String() + `</Types>`},
		{"_rels/.rels", xml.Header + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="doc" Type="` + rel + `officeDocument" Target="word/document.xml"/><Relationship Id="core" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>`},
		{"docProps/core.xml", xml.Header + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>` + escape(title) + `</dc:title><dc:description>` + escape(mark) + `</dc:description></cp:coreProperties>`},
		{"word/_rels/document.xml.rels", xml.Header + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="styles" Type="` + rel + `styles" Target="styles.xml"/><Relationship Id="header" Type="` + rel + `header" Target="header1.xml"/>` + rels.String() + `</Relationships>`},
		{"word/styles.xml", docxStyles},
		{"word/header1.xml", xml.Header + `<w:hdr ` + ns + `><w:p><w:pPr><w:pStyle w:val="About"/><w:jc w:val="center"/></w:pPr>` + run(mark) + `</w:p></w:hdr>`},
		{"word/document.xml", xml.Header + `<w:document ` + ns + `><w:body>` + d.body.String() + `<w:sectPr><w:headerReference w:type="default" r:id="header"/><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1418" w:right="1134" w:bottom="1134" w:left="1134" w:header="600" w:footer="600" w:gutter="0"/></w:sectPr></w:body></w:document>`},
	}
	for i, c := range d.charts {
		parts = append(parts, [2]string{fmt.Sprintf("word/charts/chart%d.xml", i+1), c})
	}
	z := zip.NewWriter(w)
	for _, p := range parts {
		out, err := z.Create(p[0])
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, p[1]); err != nil {
			return err
		}
	}
	return z.Close()
}
