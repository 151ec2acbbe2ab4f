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

// Paper is a version of the agreement of a mediation as it was handed in: a scan or a PDF. A version is never changed; whoever
// has another paper hands in the next one, and from the first signed one on says why. The paper itself is sealed in the
// database, its sum stands in the log.
type Paper struct {
	ID      string      `json:"id"`
	Version int         `json:"version"`
	Signed  bool        `json:"signed,omitzero"` // by the parties
	Media   string      `json:"media"`
	Size    int         `json:"size"`
	Sum     string      `json:"sum"` // SHA-256
	By      string      `json:"by"`
	At      time.Time   `json:"at"`
	Why     ticket.Text `json:"why,omitzero"` // another paper takes the place of a signed one
}

// MaxPaper is the size of a paper in bytes, at most.
const MaxPaper = 10 << 20

// paperMedia are the kinds of papers, with the endings of their files.
var paperMedia = map[string]string{"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}

const paperPurpose = "oversee.paper"

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
		media := http.DetectContentType(content)
		switch {
		case len(content) == 0:
			return "", nil, refuse("file", "请选择协议书文件")
		case len(content) > MaxPaper:
			return "", nil, refuse("file", "协议书文件不超过%dMB", MaxPaper>>20)
		case paperMedia[media] == "":
			return "", nil, refuse("file", "协议书应为PDF、JPG或PNG文件")
		}
		sum := sha256.Sum256(content)
		p := Paper{ID: newID(), Version: len(m.Papers) + 1, Signed: signed, Media: media, Size: len(content), Sum: hex.EncodeToString(sum[:]), By: by.String(), At: f.now}
		if slices.ContainsFunc(m.Papers, func(x Paper) bool { return x.Sum == p.Sum && x.Signed == p.Signed }) {
			return "", nil, refuse("same", "该文件与已上传的版本相同")
		}
		if m.Signed() != nil {
			if !signed {
				return "", nil, refuse("signed", "已有签字的协议书，只能以新的签字版本替换")
			}
			var err error
			if p.Why, err = f.must("why", "替换签字协议书的原因", why); err != nil {
				return "", nil, err
			}
		}
		if _, err := tx.Exec(`INSERT INTO oversee_paper (id, matter_id, version, media, sum, sealed, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			p.ID, m.ID, p.Version, p.Media, p.Sum, d.Office.Book.Vault.For(paperPurpose).Seal(string(content)), storage.At(f.now)); err != nil {
			return "", nil, fmt.Errorf("keep a paper: %w", err)
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

// ReadPaper gives a version of the agreement out, and notes who took it. A paper that is not what the log says is refused.
func (d *Desk) ReadPaper(tx *storage.Tx, id string, version int, by ticket.Actor) (m Mediation, p Paper, content []byte, err error) {
	x, err := d.Get(tx, KindMediation, id, by)
	if err != nil {
		return m, p, nil, err
	}
	m = *x.(*Mediation)
	if !m.MayReadPapers(by) {
		return m, p, nil, noRole()
	}
	i := slices.IndexFunc(m.Papers, func(x Paper) bool { return x.Version == version })
	if i < 0 {
		return m, p, nil, fmt.Errorf("paper %d of %s: %w", version, m.Number, storage.ErrNotFound)
	}
	p = m.Papers[i]
	sealed, err := storage.One(tx, func(r storage.Row) (b []byte, err error) { return b, r.Scan(&b) }, `SELECT sealed FROM oversee_paper WHERE id = $1`, p.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return m, p, nil, refuse("missing", "协议书第%d版不在库中，与日志不符，请联系管理员", version)
	case err != nil:
		return m, p, nil, fmt.Errorf("read a paper: %w", err)
	case sealed == nil:
		return m, p, nil, refuse("erased", "协议书已随诉求个人信息到期清除")
	}
	clear, err := d.Office.Book.Vault.For(paperPurpose).Open(sealed)
	if err != nil {
		return m, p, nil, fmt.Errorf("open paper %s: %w", p.ID, err)
	}
	if sum := sha256.Sum256([]byte(clear)); hex.EncodeToString(sum[:]) != p.Sum {
		return m, p, nil, refuse("changed", "协议书第%d版与登记时不一致（校验值不符），已停止下载，请联系管理员", version)
	}
	_, err = audit.Append(tx, audit.Entry{Stream: "mediation-paper/" + m.ID, Type: "paper.taken", Actor: by.String(), At: d.now(), Payload: map[string]any{"paper": p.ID, "version": p.Version, "sum": p.Sum}})
	return m, p, []byte(clear), err
}

// papersAsTold compares the rows of papers with what the log tells of them.
func papersAsTold(tx *storage.Tx, m *Mediation) (out []string, err error) {
	type row struct {
		version int
		sum     string
	}
	rows, err := storage.All(tx, func(r storage.Row) (x row, err error) { return x, r.Scan(&x.version, &x.sum) }, `SELECT version, sum FROM oversee_paper WHERE matter_id = $1 ORDER BY version`, m.ID)
	if err != nil {
		return nil, err
	}
	var have, told []string
	for _, r := range rows {
		have = append(have, fmt.Sprintf("%d %s", r.version, r.sum))
	}
	for _, p := range m.Papers {
		told = append(told, fmt.Sprintf("%d %s", p.Version, p.Sum))
	}
	if strings.Join(have, ",") != strings.Join(told, ",") {
		out = append(out, "papers differ from the events")
	}
	return out, nil
}
