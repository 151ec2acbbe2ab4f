package console

import (
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"lianxin/city"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket/oversee"
)

// A campaign's code is made on its page, reads as a QR code, leads to the public's form, and what is handed in there is counted
// at its place (RES-13).
func TestACampaignsCodeReadsLeadsToTheFormAndCountsWhatComes(t *testing.T) {
	t.Parallel()
	s := newHouse(t).fill()
	s.do(func(tx *storage.Tx) error { return city.LoadAreas(tx, s.office) })
	if p := s.as("supervisor1").post("/oversee/outreach/act/open-outreach", form("area", "210502", "way", "campaign", "plan", "早市宣传", "unit", "210502-zhanqian", "due", s.now().AddDate(0, 0, 9).Format("2006-01-02"))); p.status != http.StatusOK {
		t.Fatalf("open: %d %s", p.status, alertIn(p.body))
	}
	at := s.matter(t, "handler1", oversee.KindOutreach)
	if p := s.as("handler1").post(at+"/act/add-code", form("place", "站前广场")); p.status != http.StatusOK || !strings.Contains(p.body, "站前广场") {
		t.Fatalf("make a code: %d %s", p.status, alertIn(p.body))
	}
	code := regexp.MustCompile(at + `/codes/(\w{8})"`).FindStringSubmatch(s.as("handler1").get(at).body)
	if code == nil {
		t.Fatal("the page has no code")
	}
	file := at + "/codes/" + code[1]
	if p := s.as("handler1").get(file); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "public-url") {
		t.Errorf("without a public address: %d", p.status)
	}
	s.gateway.PublicURL = "https://minyi.example/"
	if p := s.as("handler1").get(file); p.status != http.StatusOK || !strings.Contains(p.body, "https://minyi.example/p?from="+code[1]) {
		t.Errorf("to print: %d", p.status)
	}
	if p := s.as("handler1").get(file + ".svg"); p.status != http.StatusOK || p.header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(p.body, "<svg") {
		t.Errorf("SVG: %d %s", p.status, p.header.Get("Content-Type"))
	}
	img, err := png.Decode(strings.NewReader(s.as("handler1").get(file + ".png").body))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bits, nil)
	if err != nil || read.GetText() != "https://minyi.example/p?from="+code[1] {
		t.Fatalf("the code reads %v, %v", read, err)
	}
	for who, path := range map[string]string{"handler2": file + ".png", "handler1": at + "/codes/ZZZZZZZZ.png", "supervisor1": file + ".exe"} {
		if p := s.as(who).get(path); p.status != http.StatusNotFound {
			t.Errorf("%s at %s: %d", who, path, p.status)
		}
	}

	link, _ := url.Parse(read.GetText())
	if p := s.stranger().get(link.RequestURI()); !strings.Contains(p.body, `name="from" value="`+code[1]+`"`) {
		t.Error("the form does not keep the code")
	}
	p := s.stranger().post("/p", s.solved("kind", "help", "body", "广场路灯不亮三周了", "from", code[1]))
	number := numberPattern.FindString(p.body)
	if p.status != http.StatusOK || number == "" {
		t.Fatalf("%d %s", p.status, alertIn(p.body))
	}
	if p := s.stranger().post("/p", s.solved("kind", "help", "body", "另一处路灯不亮三周了", "from", "'; DROP")); p.status != http.StatusOK {
		t.Errorf("a torn code refuses a citizen: %d %s", p.status, alertIn(p.body))
	}
	if p := s.as("supervisor1").get(at); !strings.Contains(p.body, number) || !strings.Contains(p.body, "1件") {
		t.Error("the campaign does not show what came")
	}
	if p := s.as("supervisor1").get("/sources"); p.status != http.StatusOK || !strings.Contains(p.body, "站前广场") || !strings.Contains(p.body, code[1]) {
		t.Errorf("sources: %d", p.status)
	}
	if p := s.as("handler1").get("/sources"); p.status != http.StatusForbidden {
		t.Errorf("a unit gets %d for sources", p.status)
	}
	if p := s.as("supervisor1").get("/tickets/" + number); !strings.Contains(p.body, "站前广场") {
		t.Error("the ticket does not tell where it came from")
	}
	id := at[strings.LastIndex(at, "/")+1:]
	if a := s.ask(s.tokenIn(org.Supervisor, ""), "GET", "/api/v1/sources?campaign="+id, ""); a.status != http.StatusOK || !strings.Contains(a.body, `"place":"站前广场","code":"`+code[1]+`","tickets":1`) {
		t.Errorf("API: %d %s", a.status, a.body)
	}
	if a := s.ask(s.tokenIn(org.Supervisor, ""), "GET", "/api/v1/oversight/outreach/"+id+"/codes/"+code[1]+".png", ""); a.status != http.StatusOK || !strings.HasPrefix(a.body, "\x89PNG") {
		t.Errorf("API: %d", a.status)
	}
	if a := s.ask(s.tokenIn(org.Handler, "210502-zhanqian"), "GET", "/api/v1/sources", ""); a.status != http.StatusForbidden {
		t.Error("a unit reads the sources")
	}
	w := s.window(t, "supervisor1", 390, 844)
	for name, path := range map[string]string{"code-390": file, "sources-390": "/sources", "campaign-390": at} {
		w.open(path)
		if wide := eval[int](w, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s is %d px wide on a phone of 390", path, wide)
		}
		w.shot(name)
	}
}
