package survey

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lianxin/storage"
	"lianxin/workday"
)

// Reason is what was decided about a record: Asked, or why not.
type Reason string

// Reasons, in the order in which they are looked at: the first that holds is the one.
const (
	Asked          Reason = "asked"
	ClassDisabled  Reason = "class_disabled"  // nobody of this class is asked
	TooOld         Reason = "too_old"         // the record came too late, or the day is too long ago
	NoUnit         Reason = "no_unit"         // nobody could be rated
	BadNumber      Reason = "bad_number"      // wrong, missing, foreign; the detail says which
	FixedLine      Reason = "fixed_line"      //
	ShortNumber    Reason = "short_number"    // short and service numbers
	StaffPhone     Reason = "staff_phone"     // the bureau's own: duty phones, staff
	Minor          Reason = "minor"           // under age on the day of the service
	NotSampled     Reason = "not_sampled"     // the class is asked by sample or quota, and this one was not drawn
	SensitiveCase  Reason = "sensitive"       // the detail names the group
	SensitiveOther Reason = "sensitive_other" // another record of the same number in this run is sensitive
	OptedOut       Reason = "opted_out"       //
	DoNotDisturb   Reason = "do_not_disturb"  // 免打扰
	NumberRests    Reason = "number_rests"    // texts to the number have failed for good too often; the detail says how
	OtherService   Reason = "other_service"   // another service of the same person that day is asked about
	OpenSurvey     Reason = "open_survey"     // a question to this number is still open
	AskedRecently  Reason = "asked_recently"  // within the last 30 days
)

// Reasons lists all reasons in that order.
var Reasons = []Reason{Asked, ClassDisabled, TooOld, NoUnit, BadNumber, FixedLine, ShortNumber, StaffPhone, Minor, NotSampled, SensitiveCase, SensitiveOther,
	OptedOut, DoNotDisturb, NumberRests, OtherService, OpenSurvey, AskedRecently}

var reasonLabels = map[Reason]string{
	Asked: "已询问", ClassDisabled: "该类业务未启用", TooOld: "超过询问时限", NoUnit: "办理单位不明", BadNumber: "号码无效", FixedLine: "固定电话",
	ShortNumber: "短号码或服务号码", StaffPhone: "本局工作人员或值班电话", Minor: "未成年人", NotSampled: "未抽中", SensitiveCase: "敏感案事件", SensitiveOther: "同一号码当日有敏感案事件",
	OptedOut: "本人已退订", DoNotDisturb: "免打扰名单", NumberRests: "号码停用待恢复", OtherService: "同一人当日另一业务已询问", OpenSurvey: "上一次询问尚未结束", AskedRecently: "30日内已询问",
	Reminded: "提醒",
}

// Label is the reason for staff (zh-CN).
func (r Reason) Label() string { return reasonLabels[r] }

var detailLabels = map[string]string{
	"dead": "空号或停机", "failing": "多次发送失败",
	"domestic_violence": "家庭暴力", "sexual_offence": "性侵害", "minor": "涉未成年人", "death": "命案或死亡", "secrecy": "涉密", "detained": "在押或涉案人员",
	"informant": "举报人或证人", "hoax": "骚扰或谎报", "other": "其他标记", "matter": "该类业务不询问的事项",
	"empty": "号码为空", "withheld": "未显示号码", "bad_character": "含无法识别的字符", "several": "一栏多个号码", "extension": "带分机号",
	"mangled": "被表格软件改成科学计数", "wrong_length": "位数不对", "not_mobile": "不是手机号码", "service_number": "服务号码", "foreign": "境外号码",
}

// Decision is what was decided about one record.
type Decision struct {
	RecordID string
	SourceID string
	Class    string
	Unit     string
	Masked   string // the number, masked
	Reason   Reason
	Detail   string        // code that says more: which number error, which sensitive group
	AskID    string        // of Asked
	Text     string        // of Asked: what is texted, with the signature
	Remind   time.Duration // of Asked: how long after it who has not answered may be reminded; 0 is never

	Probability float64 // of having been drawn, where it came to that; 1 where everybody is asked
}

// String is a line for the terminal.
func (d Decision) String() string {
	s := fmt.Sprintf("%s %s %s: %s", d.Class, d.SourceID, d.Masked, d.Reason.Label())
	if l := detailLabels[d.Detail]; l != "" {
		s += "（" + l + "）"
	}
	if d.Remind > 0 {
		s += fmt.Sprintf("；%g小时未回复的提醒一次", d.Remind.Hours())
	}
	return s
}

// DetailLabel is the detail for staff (zh-CN), "" when there is none.
func (d Decision) DetailLabel() string { return detailLabels[d.Detail] }

// saveDecisions writes decisions down, and tells of which records: the others were decided by another run.
func saveDecisions(tx *storage.Tx, day workday.Day, all []Decision, version, batch string, at storage.Time) (map[string]bool, error) {
	rows := make([][]any, len(all))
	for i, d := range all {
		rows[i] = []any{d.RecordID, day, string(d.Reason), d.Detail, d.AskID, version, at, cmp.Or(d.Probability, 1), batch}
	}
	ids, err := storage.Inserted(tx, storage.Value[string], `INSERT INTO survey_decision (record_id, day, reason, detail, ask_id, config, decided_at, probability, batch)`,
		rows, `ON CONFLICT (record_id) DO NOTHING RETURNING record_id`)
	if err != nil {
		return nil, err
	}
	fresh := make(map[string]bool, len(ids))
	for part := range slices.Chunk(ids, 256) {
		list, args := storage.In(nil, part)
		if _, err := tx.Exec(`UPDATE survey_record SET decided = TRUE WHERE id IN (`+list+`)`, args...); err != nil {
			return nil, err
		}
		for _, id := range part {
			fresh[id] = true
		}
	}
	return fresh, nil
}
