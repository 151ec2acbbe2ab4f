package oversee

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"lianxin/audit"
	"lianxin/org"
	"lianxin/storage"
	"lianxin/ticket"
)

// Paper is a scan or a PDF as it was handed in: a version of the agreement of a mediation, or evidence of a measure. It is never
// changed; whoever has another paper hands in the next one, and from the first signed agreement on says why. The paper itself
// is sealed in the database, its sum stands in the log.
type Paper struct {
	ID      string      `json:"id"`
	Version int         `json:"version"`
	Signed  bool        `json:"signed,omitzero"` // by the parties
	Media   string      `json:"media"`
	Size    int         `json:"size"`
	Sum     string      `json:"sum"` // SHA-256
	By      string      `json:"by"`
	At      time.Time   `json:"at"`
	Why     ticket.Text `json:"why,omitzero"` // another paper takes the place of a signed one; of evidence: what it shows
}

// MaxPaper is the size of a paper in bytes, at most.
const MaxPaper = 10 << 20

// paperMedia are the kinds of papers, with the endings of their files.
var paperMedia = map[string]string{"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}

const paperPurpose = "oversee.paper"

// paper is the content as a paper, the next one after so many; what names it for staff.
func (f *file) paper(what string, content []byte, have int) (Paper, error) {
	media := http.DetectContentType(content)
	switch {
	case len(content) == 0:
		return Paper{}, refuse("file", "请选择%s文件", what)
	case len(content) > MaxPaper:
		return Paper{}, refuse("file", "%s文件不超过%dMB", what, MaxPaper>>20)
	case paperMedia[media] == "":
		return Paper{}, refuse("file", "%s应为PDF、JPG或PNG文件", what)
	}
	sum := sha256.Sum256(content)
	return Paper{ID: newID(), Version: have + 1, Media: media, Size: len(content), Sum: hex.EncodeToString(sum[:]), By: f.by.String(), At: f.now}, nil
}

// keepPaper seals a paper with its matter.
func (f *file) keepPaper(p Paper, content []byte) error {
	if _, err := f.tx.Exec(`INSERT INTO oversee_paper (id, matter_id, version, media, sum, sealed, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, f.m.head().ID, p.Version, p.Media, p.Sum, f.d.Office.Book.Vault.For(paperPurpose).Seal(string(content)), storage.At(f.now)); err != nil {
		return fmt.Errorf("keep a paper: %w", err)
	}
	return nil
}

// AddPaper hands in a version of the agreement.
func (d *Desk) AddPaper(tx *storage.Tx, id string, content []byte, signed bool, why string, by ticket.Actor) (Mediation, error) {
	return change(d, tx, id, KindMediation, by, func(f *file, m *Mediation) (string, map[string]any, error) {
		if err := f.in("上传协议书", Acting, Agreed, ClosedUp); err != nil {
			return "", nil, err
		}
		if err := m.mediates(f); err != nil {
			return "", nil, err
		}
		if m.State == ClosedUp {
			if err := may(by, org.Supervise); err != nil {
				return "", nil, refuse("role", "已化解的事项由督办员补正协议书")
			}
		}
		p, err := f.paper("协议书", content, len(m.Papers))
		if err != nil {
			return "", nil, err
		}
		p.Signed = signed
		if slices.ContainsFunc(m.Papers, func(x Paper) bool { return x.Sum == p.Sum && x.Signed == p.Signed }) {
			return "", nil, refuse("same", "该文件与已上传的版本相同")
		}
		if m.Signed() != nil {
			if !signed {
				return "", nil, refuse("signed", "已有签字的协议书，只能以新的签字版本替换")
			}
			if p.Why, err = f.must("why", "替换签字协议书的原因", why); err != nil {
				return "", nil, err
			}
		}
		if err := f.keepPaper(p, content); err != nil {
			return "", nil, err
		}
		m.Papers = append(slices.Clone(m.Papers), p)
		return "paper", map[string]any{"version": p.Version, "signed": p.Signed, "sum": p.Sum, "why": p.Why}, nil
	})
}

// Signed is the signed agreement that counts: the last one; nil where there is none.
func (m *Mediation) Signed() *Paper {
	for i := len(m.Papers) - 1; i >= 0; i-- {
		if m.Papers[i].Signed {
			return &m.Papers[i]
		}
	}
	return nil
}

// FileName is the name under which a version is taken.
func (m *Mediation) FileName(p Paper) string {
	return fmt.Sprintf("%s协议书第%d版%s", m.Number, p.Version, paperMedia[p.Media])
}

// MayReadPapers reports whether somebody may take the papers of a mediation: the unit that mediates, who watches over it, and leaders.
func (m *Mediation) MayReadPapers(by ticket.Actor) bool {
	return by.Unit == m.Unit && may(by, org.SubmitResult) == nil || may(by, org.Supervise, org.ApproveList) == nil
}

// AddEvidence attaches a file to a measure: the rule that was made, a photograph of what was built, a list of those it helped.
// note says what it shows.
func (d *Desk) AddEvidence(tx *storage.Tx, id string, content []byte, note string, by ticket.Actor) (Measure, error) {
	return change(d, tx, id, KindMeasure, by, func(f *file, m *Measure) (string, map[string]any, error) {
		if err := may(by, org.Supervise, org.DraftReport); err != nil {
			return "", nil, err
		}
		if err := f.in("上传佐证", Planned, Submitted, Adopted, Done); err != nil {
			return "", nil, err
		}
		if len(m.Papers) >= maxEvidence {
			return "", nil, refuse("many", "一项措施最多%d份佐证", maxEvidence)
		}
		p, err := f.paper("佐证", content, len(m.Papers))
		if err != nil {
			return "", nil, err
		}
		if slices.ContainsFunc(m.Papers, func(x Paper) bool { return x.Sum == p.Sum }) {
			return "", nil, refuse("same", "该文件已上传")
		}
		if p.Why, err = f.must("why", "佐证说明", note); err != nil {
			return "", nil, err
		}
		if err := f.keepPaper(p, content); err != nil {
			return "", nil, err
		}
		m.Papers = append(slices.Clone(m.Papers), p)
		return "paper", map[string]any{"version": p.Version, "sum": p.Sum, "text": p.Why}, nil
	})
}

const maxEvidence = 50

// FileName is the name under which a file of evidence is taken.
func (m *Measure) FileName(p Paper) string {
	return fmt.Sprintf("%s佐证%d%s", m.Number, p.Version, paperMedia[p.Media])
}

// MayReadPapers reports whether somebody may take the evidence of a measure: it may name those it helps, so whoever keeps the
// register, and leaders.
func (m *Measure) MayReadPapers(by ticket.Actor) bool {
	return may(by, org.Supervise, org.DraftReport, org.ApproveList) == nil
}

// HasPapers is a matter with papers.
type HasPapers interface {
	Matter
	FileName(Paper) string
	MayReadPapers(ticket.Actor) bool
	papers() []Paper
}

func (m *Mediation) papers() []Paper { return m.Papers }
func (m *Measure) papers() []Paper   { return m.Papers }

// ReadPaper gives a paper of a matter out, and notes who took it. A paper that is not what the log says is refused.
func (d *Desk) ReadPaper(tx *storage.Tx, k Kind, id string, version int, by ticket.Actor) (m HasPapers, p Paper, content []byte, err error) {
	x, err := d.Get(tx, k, id, by)
	if err != nil {
		return nil, p, nil, err
	}
	m, ok := x.(HasPapers)
	if !ok {
		return nil, p, nil, fmt.Errorf("papers of a %s: %w", k, storage.ErrNotFound)
	}
	if !m.MayReadPapers(by) {
		return m, p, nil, noRole()
	}
	what := map[Kind]string{KindMediation: "协议书", KindMeasure: "佐证"}[k]
	i := slices.IndexFunc(m.papers(), func(x Paper) bool { return x.Version == version })
	if i < 0 {
		return m, p, nil, fmt.Errorf("paper %d of %s: %w", version, Of(m).Number, storage.ErrNotFound)
	}
	p = m.papers()[i]
	sealed, err := storage.One(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT sealed FROM oversee_paper WHERE id = $1`, p.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return m, p, nil, refuse("missing", "%s第%d版不在库中，与日志不符，请联系管理员", what, version)
	case err != nil:
		return m, p, nil, fmt.Errorf("read a paper: %w", err)
	case sealed == nil:
		return m, p, nil, refuse("erased", "%s已随诉求个人信息到期清除", what)
	}
	clear, err := d.Office.Book.Vault.For(paperPurpose).Open(sealed)
	if err != nil {
		return m, p, nil, fmt.Errorf("open paper %s: %w", p.ID, err)
	}
	if sum := sha256.Sum256([]byte(clear)); hex.EncodeToString(sum[:]) != p.Sum {
		return m, p, nil, refuse("changed", "%s第%d版与登记时不一致（校验值不符），已停止下载，请联系管理员", what, version)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: string(k) + "-paper/" + Of(m).ID, Type: "paper.taken", Actor: by.String(), At: d.now(), Payload: map[string]any{"paper": p.ID, "version": p.Version, "sum": p.Sum}})
	return m, p, []byte(clear), err
}

// papersAsTold compares the rows of papers with what the log tells of them.
func papersAsTold(tx *storage.Tx, m HasPapers) (out []string, err error) {
	type row struct {
		version int
		sum     string
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.version, &x.sum) }, `SELECT version, sum FROM oversee_paper WHERE matter_id = $1 ORDER BY version`, Of(m).ID)
	if err != nil {
		return nil, err
	}
	var have, told []string
	for _, r := range rows {
		have = append(have, fmt.Sprintf("%d %s", r.version, r.sum))
	}
	for _, p := range m.papers() {
		told = append(told, fmt.Sprintf("%d %s", p.Version, p.Sum))
	}
	if strings.Join(have, ",") != strings.Join(told, ",") {
		out = append(out, "papers differ from the events")
	}
	return out, nil
}
