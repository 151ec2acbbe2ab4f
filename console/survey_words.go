package console

import "strings"

// surveyWords are the labels of figures, reasons and states of texts in English; the rooms that own them speak Chinese.
var surveyWords = map[string]string{
	"应询": "planned", "未询问": "not asked", "已发送": "sent", "待发送": "queued", "已送达": "delivered", "发送失败": "failed", "结果未知": "unknown", "待回执": "no receipt yet",
	"已回复": "replied", "有效评价": "rated", "基本满意及以上": "satisfied (1 to 3)", "不满意": "dissatisfied", "退订": "opted out", "待人工": "for a person", "逾期回复": "late", "转诉求": "to requests",
	"电话访评接通": "reached by telephone",

	"已询问": "asked", "该类业务未启用": "class is not asked", "超过询问时限": "too long ago", "办理单位不明": "unit unknown", "号码无效": "bad number", "固定电话": "fixed line",
	"短号码或服务号码": "short or service number", "本局工作人员或值班电话": "the bureau's own number", "未成年人": "under age", "未抽中": "not drawn", "敏感案事件": "sensitive",
	"同一号码当日有敏感案事件": "another record of the number is sensitive", "本人已退订": "opted out", "免打扰名单": "do not disturb", "号码停用待恢复": "texts do not reach the number",
	"同一人当日另一业务已询问": "asked about another service that day", "上一次询问尚未结束": "an earlier question is open", "30日内已询问": "asked within 30 days", "提醒": "reminded",
	"短信过期未发出": "the text expired unsent", "批次已终止": "the campaign was killed",

	"发送中": "sending", "已提交": "accepted", "失败": "failed", "已过期": "expired", "已取消": "cancelled",
}

// Of is the label of a state, kind, outcome or figure in the page's language; what nobody has translated stays as it is.
func (p page) Of(label string) string {
	if p.Lang == "en" {
		if en := english(label); en != "" {
			return en
		}
	}
	return label
}

// Formula is how a rate is made, in the page's language.
func (p page) Formula(formula string) string {
	if p.Lang != "en" {
		return formula
	}
	return strings.Replace(formula, "，公式版本 ", ", version ", 1)
}
