package city_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lianxin/audit"
	"lianxin/city"
	"lianxin/contact"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/storage/storagetest"
	"lianxin/workday"
)

var (
	ctx = context.Background()
	t0  = time.Date(2026, 11, 23, 9, 0, 0, 0, workday.Zone)
)

func load(t *testing.T, db *storage.DB, o city.Options) city.Loaded {
	t.Helper()
	o.Now = func() time.Time { return t0 }
	l, err := city.Load(ctx, db, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newBook(t *testing.T) *contact.Book {
	t.Helper()
	v, err := contact.OpenVault(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	return &contact.Book{Vault: v, Now: func() time.Time { return t0 }}
}

func view(t *testing.T, db *storage.DB, fn func(tx *storage.Tx) error) {
	t.Helper()
	if err := db.View(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func TestTheCityIsLoadedOnceAndWhole(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		l := load(t, db, city.Options{})
		if !l.Fresh || l.Password == "" || l.PhonePassword == "" || l.Password == l.PhonePassword {
			t.Fatalf("%+v", l)
		}
		if again := load(t, db, city.Options{}); again.Fresh || again.Password != "" || again.Units != 0 {
			t.Errorf("loaded again: %+v", again)
		}
		view(t, db, func(tx *storage.Tx) error {
			units, err := org.Units(tx)
			if err != nil {
				return err
			}
			if len(units) != l.Units {
				t.Errorf("%d units, %d loaded", len(units), l.Units)
			}
			byKind, stations, names := map[org.Kind]int{}, map[string]int{}, map[string]bool{}
			for _, u := range units {
				byKind[u.Kind]++
				if u.Kind == org.Station {
					stations[u.District]++
				}
				if names[u.Short] {
					t.Errorf("two units are called %s", u.Short)
				}
				names[u.Short] = true
				if up, err := org.Above(tx, u.ID); err != nil || up[len(up)-1].Kind != org.Bureau {
					t.Errorf("%s does not stand below the bureau: %v", u.ID, err)
				}
			}
			if byKind[org.Bureau] != 1 || byKind[org.Centre] != 1 || byKind[org.Branch] != 6 || byKind[org.Detachment] < 8 || byKind[org.Window] < 6 || byKind[org.Brigade] < 8 {
				t.Errorf("kinds: %v", byKind)
			}
			for _, d := range []string{"210502", "210503", "210504", "210505", "210521", "210522"} {
				if stations[d] < 3 {
					t.Errorf("district %s has %d stations", d, stations[d])
				}
			}
			staff, err := org.AllStaff(tx)
			if err != nil {
				return err
			}
			roles := map[org.Role]int{}
			for _, s := range staff {
				roles[s.Role]++
			}
			for _, r := range org.Roles() {
				if r.SignsIn() && roles[r] == 0 {
					t.Errorf("no sample account for %s", r.Label())
				}
			}
			for n := 8001; n <= 8006; n++ {
				ext := fmt.Sprint(n)
				p, err := org.SIPAccount(tx, ext)
				if err != nil {
					t.Errorf("phone %s: %v", ext, err)
					continue
				}
				if m, s := org.HA1(ext, l.PhonePassword); p.MD5 != m || p.SHA256 != s {
					t.Errorf("phone %s has another password", ext)
				}
				if s, err := org.StaffByExtension(tx, ext); err != nil || s.Role != org.Operator {
					t.Errorf("phone %s is at %+v, %v", ext, s, err)
				}
			}
			return nil
		})
		rep, err := audit.Verify(ctx, db, nil)
		if err != nil || rep.Broken != nil || rep.Events < int64(l.Units) {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

func TestEverySampleAccountSignsIn(t *testing.T) {
	db := storagetest.SQLite(t)
	l := load(t, db, city.Options{})
	seen := map[org.Role]bool{}
	for _, s := range l.SignIns {
		if seen[s.Role] {
			continue
		}
		seen[s.Role] = true
		got, err := org.SignIn(ctx, db, s.Login, l.Password)
		if err != nil || got.Role != s.Role || got.Name != s.Name {
			t.Errorf("%s: %+v, %v", s.Login, got, err)
		}
	}
	for _, r := range org.Roles() {
		if r.SignsIn() && !seen[r] {
			t.Errorf("nobody of the sample signs in as %s", r.Label())
		}
	}
	if _, err := org.SignIn(ctx, db, "admin1", l.PhonePassword); !errors.Is(err, org.ErrBadSignIn) {
		t.Errorf("the phones' password opens accounts: %v", err)
	}
}

func TestThePasswordsAreRandomOrGiven(t *testing.T) {
	a := load(t, storagetest.SQLite(t), city.Options{})
	b := load(t, storagetest.SQLite(t), city.Options{})
	if a.Password == b.Password || len(a.Password) < 14 || a.PhonePassword == b.PhonePassword {
		t.Errorf("%q %q", a.Password, b.Password)
	}
	c := load(t, storagetest.SQLite(t), city.Options{Password: "given by the environment", PhonePassword: "given to the phones"})
	if c.Password != "given by the environment" || c.PhonePassword != "given to the phones" {
		t.Errorf("%+v", c)
	}
}

func TestThePasswordFileIsItsOwnersAndThereBeforeTheAccounts(t *testing.T) {
	db, dir := storagetest.SQLite(t), t.TempDir()
	_, err := city.Load(ctx, db, city.Options{PasswordFile: filepath.Join(dir, "missing", "sample-signins.txt")})
	if err == nil {
		t.Fatal("a file that cannot be written")
	}
	view(t, db, func(tx *storage.Tx) error {
		if us, err := org.Units(tx); err != nil || len(us) != 0 {
			t.Errorf("accounts without their file: %d units, %v", len(us), err)
		}
		return nil
	})
	path := filepath.Join(dir, "sample-signins.txt")
	l := load(t, db, city.Options{PasswordFile: path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != l.Text() {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{l.Password, l.PhonePassword, "operator1", "话务员", "8001", "局领导", "站前派出所"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file does not tell %q", want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOfProgramsThatStartAtOnceOneLoads(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		var mu sync.Mutex
		fresh := 0
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				l, err := city.Load(ctx, db, city.Options{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if l.Fresh {
					fresh++
				}
			})
		}
		wg.Wait()
		if fresh != 1 {
			t.Errorf("%d loaded", fresh)
		}
	})
}

func TestSampleWishesAreInTheBook(t *testing.T) {
	db, book := storagetest.SQLite(t), newBook(t)
	load(t, db, city.Options{Book: book})
	view(t, db, func(tx *storage.Tx) error {
		phone := func(s string) contact.Phone {
			p, err := contact.ParseMobile(s)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		for s, want := range map[string]bool{city.OptedOutPhone: true, city.ShieldedPhone: false, city.RegularPhone: false} {
			if out, err := book.OptedOut(tx, phone(s), contact.ScopeSurvey); err != nil || out != want {
				t.Errorf("%s opted out: %v, %v", s, out, err)
			}
		}
		for s, want := range map[string]bool{city.OptedOutPhone: false, city.ShieldedPhone: true, city.StaffPhone: true} {
			if _, ok, err := book.Shielded(tx, phone(s), contact.ScopeSurvey); err != nil || ok != want {
				t.Errorf("%s shielded: %v, %v", s, ok, err)
			}
		}
		return nil
	})
}

// table reads what Records wrote, as a spreadsheet would.
func table(t *testing.T, day workday.Day) []map[string]string {
	t.Helper()
	b, err := city.Records(day)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(string(b), "\ufeff")
	if !ok {
		t.Error("no byte order mark")
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], ","); got != "业务类别,业务流水号,办理时间,姓名,电话,出生日期,单位编码,事项,敏感标记,备注" {
		t.Errorf("header %s", got)
	}
	var out []map[string]string
	for _, r := range rows[1:] {
		m := map[string]string{}
		for i, h := range rows[0] {
			m[h] = r[i]
		}
		out = append(out, m)
	}
	return out
}

func TestRecordsAreTheSameForTheSameDay(t *testing.T) {
	day := workday.DateOf(2026, 11, 22)
	a, err := city.Records(day)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := city.Records(day)
	c, _ := city.Records(day + 1)
	if !bytes.Equal(a, b) || bytes.Equal(a, c) {
		t.Error("records are not a function of the day")
	}
}

func TestOrdinaryRecordsAreRight(t *testing.T) {
	db := storagetest.SQLite(t)
	load(t, db, city.Options{})
	known := map[string]bool{}
	view(t, db, func(tx *storage.Tx) error {
		units, err := org.Units(tx)
		for _, u := range units {
			known[u.ID] = true
		}
		return err
	})
	for day := workday.DateOf(2026, 11, 20); day <= workday.DateOf(2026, 11, 26); day++ {
		rows := table(t, day)
		if len(rows) < 110 || len(rows) > 130 {
			t.Errorf("%s: %d rows", day, len(rows))
		}
		classes, serials, phones := map[string]int{}, map[string]bool{}, map[string]bool{}
		for _, r := range rows {
			if strings.HasPrefix(r["备注"], "样例：") {
				continue
			}
			classes[r["业务类别"]]++
			at, err := time.ParseInLocation("2006-01-02 15:04:05", r["办理时间"], workday.Zone)
			if err != nil || workday.DayOf(at) != day {
				t.Errorf("%s: time %q", day, r["办理时间"])
			}
			p, err := contact.ParseMobile(r["电话"])
			if err != nil || !strings.HasPrefix(p.Clear(), "1990000") {
				t.Errorf("%s: number %q: %v", day, r["电话"], err)
			}
			born, err := workday.ParseDay(r["出生日期"])
			if err != nil || int(day-born) < 18*366 {
				t.Errorf("%s: born %q", day, r["出生日期"])
			}
			if serials[r["业务流水号"]] || phones[r["电话"]] || !known[r["单位编码"]] || r["姓名"] == "" || r["事项"] == "" || r["敏感标记"] != "" {
				t.Errorf("%s: %v", day, r)
			}
			serials[r["业务流水号"]], phones[r["电话"]] = true, true
		}
		for _, c := range []string{"110接处警", "122事故", "户政", "车驾管", "出入境", "案件办理", "行政审批"} {
			if classes[c] == 0 {
				t.Errorf("%s: nothing of %s", day, c)
			}
			delete(classes, c)
		}
		if len(classes) > 0 {
			t.Errorf("%s: other classes: %v", day, classes)
		}
	}
}

func TestEachDayHoldsEveryCaseThatMustBeToldApart(t *testing.T) {
	day := workday.DateOf(2026, 11, 22)
	rows := map[string][]map[string]string{}
	for _, r := range table(t, day) {
		if remark, ok := strings.CutPrefix(r["备注"], "样例："); ok {
			rows[remark] = append(rows[remark], r)
		}
	}
	for remark, code := range map[string]string{
		"号码少一位": "wrong_length", "号码为空": "empty", "固定电话": "fixed_line", "短号码": "short_number",
		"号码被表格软件转成科学计数": "mangled", "一栏两个号码": "several", "境外号码": "foreign",
		"全角号码": "", "带国家码和分隔符的号码": "", "没有姓名和出生日期": "", "已退订": "", "未成年人": "",
	} {
		if len(rows[remark]) != 1 {
			t.Errorf("%s: %d rows", remark, len(rows[remark]))
			continue
		}
		if _, err := contact.ParseMobile(rows[remark][0]["电话"]); contact.Code(err) != code {
			t.Errorf("%s: number %q: %v", remark, rows[remark][0]["电话"], err)
		}
	}
	if r := rows["同一流水号重复出现"]; len(r) != 2 || r[0]["业务流水号"] != r[1]["业务流水号"] {
		t.Errorf("the same line twice: %v", r)
	}
	if r := rows["同一人当日办理两项业务"]; len(r) != 2 || r[0]["电话"] != r[1]["电话"] || r[0]["业务流水号"] == r[1]["业务流水号"] {
		t.Errorf("one person, two services: %v", r)
	}
	if r := rows["未成年人"]; len(r) == 1 {
		born, err := workday.ParseDay(r[0]["出生日期"])
		if err != nil || int(day-born) > 14*365 {
			t.Errorf("a child born %s, %v", born, err)
		}
	}
	var marks []string
	for _, rs := range rows {
		for _, r := range rs {
			if r["敏感标记"] != "" {
				marks = append(marks, r["敏感标记"])
			}
		}
	}
	slices.Sort(marks)
	if got := strings.Join(marks, " "); got != "举报人 在押 家庭暴力 性侵害 涉密" {
		t.Errorf("marks: %s", got)
	}
	for _, remark := range []string{"每天都办理业务的人", "本局工作人员号码", "免打扰", "没有此类业务", "没有此单位", "时间无法识别", "不是当日的业务"} {
		if len(rows[remark]) != 1 {
			t.Errorf("%s: %d rows", remark, len(rows[remark]))
		}
	}
	for _, r := range table(t, day+1) {
		if r["电话"] == city.RegularPhone {
			return
		}
	}
	t.Error("the regular does not come the next day")
}
