package console

import (
	"fmt"
	"regexp"
)

// labelWords are the labels of states, kinds and outcomes in English; the rooms that own them speak Chinese. Where one
// label stands in several rooms it has one English word that fits all of them.
var labelWords = map[string]string{
	"红": "Red", "橙": "Amber", "黄": "Yellow", "蓝": "Blue",

	// Roles and units
	"群众": "citizen", "企业": "enterprise", "话务员": "operator", "智能客服": "bot", "派单员": "dispatcher", "承办民警": "handling officer", "单位领导": "unit head", "访评员": "survey caller",
	"督办员": "supervisor", "专家顾问": "expert", "研判员": "analyst", "局领导": "bureau leader", "值班领导": "duty chief", "窗口人员": "window clerk", "窗口主任": "window manager", "督察": "inspection",
	"系统管理员": "administrator", "审计员": "auditor",
	"市局": "bureau", "中心": "centre", "分局": "branch", "派出所": "station", "支队": "detachment", "大队": "brigade", "窗口": "window", "部门": "office",
	"综合": "general", "民意": "public opinion", "指挥": "command", "法制": "legal", "治安": "public order", "刑侦": "criminal", "交管": "traffic", "户政": "household", "出入境": "exit-entry", "行政审批": "licensing",

	// Operators and calls
	"离线": "offline", "就绪": "ready", "小休": "break", "离席": "away", "振铃": "ringing", "通话": "talking", "话后": "wrap-up",
	"呼入": "incoming", "呼出": "outgoing", "智能应答": "bot", "排队等候": "waiting", "人工通话": "with an operator", "留言": "message", "评价": "rating", "外呼": "dialling",
	"监听": "listens", "密语": "whispers", "强插": "barges in", "人工接听": "answered", "约定回电": "call-back wished", "等候放弃": "abandoned", "菜单挂机": "hung up in menu",
	"未接通挂机": "hung up early", "拥塞未接": "turned away", "限制接入": "blocked", "系统中断": "interrupted", "故障": "fault", "外呼接通": "reached", "外呼未接通": "not reached",
	"未显示号码": "number withheld", "无号码": "no number", "未批准": "refused", "限制中": "blocked", "已到期": "expired", "已解除": "lifted", "生效中": "in force", "优先接入": "first in line",
	"受保护人员": "protected person", "听说不便或年长": "hard of hearing or aged", "朝鲜语": "Korean", "英语": "English", "多次来电": "calls often",

	// Tickets
	"咨询": "inquiry", "求助": "help", "投诉": "complaint", "举报": "report", "意见建议": "suggestion", "表扬": "praise", "求决": "decision wanted", "未定": "not settled",
	"待受理": "new", "直接答复": "answered at once", "转110": "passed to 110", "不予受理": "refused", "已并入": "merged", "已受理": "accepted", "待签收": "to be signed for", "办理中": "in hand", "挂起": "suspended",
	"待审核": "to be reviewed", "已答复": "replied", "待评价": "to be rated", "重办待会商": "rework", "办结": "closed", "已撤回": "withdrawn", "已归档": "archived",
	"未判定": "not judged", "有效": "valid", "骚扰": "nuisance", "无实质内容": "no substance", "测试": "test", "误拨": "misdialled", "非管辖已转": "not ours, passed on",
	"主办": "host", "协办": "assisting", "已签收": "signed for", "申请退回中": "return asked for", "已退回": "returned", "申请延期中": "extension asked for", "已提交": "submitted",
	"审核通过": "approved", "审核退回": "sent back", "已取消": "cancelled", "属实": "true", "部分属实": "partly true", "不属实": "untrue", "不涉及": "does not apply",
	"已解决": "solved", "已解释接受": "explained and accepted", "部分解决": "partly solved", "列入计划": "planned", "未解决": "unsolved",
	"退回": "return", "延期": "extension", "改类": "change of kind", "降色": "lower colour", "认定": "determination", "稳控": "stabilisation", "待审批": "to be decided", "同意": "granted", "不同意": "denied", "失效": "lapsed",
	"计时中": "running", "暂停": "paused", "按时": "in time", "超时": "late", "取消": "cancelled", "受理": "accept", "派单": "dispatch", "签收": "sign for", "首次联系群众": "first contact", "初步处置报告": "first report",
	"审核": "review", "回访": "call-back", "申请审批": "decide requests", "会商/督办待决": "consultation or supervision", "稳控复核": "stability check", "外部时限": "outside limit",
	"时限过半": "half the time gone", "即将到期": "nearly due", "黄牌预警": "yellow card", "红牌警告": "red card", "待落实": "to be done", "已落实": "done", "不再需要": "no longer needed",
	"五级": "five grades", "按键（1最满意）": "key (1 is best)", "三级": "three grades", "十分制": "ten points", "口头表述": "in words",
	"非常满意": "very satisfied", "满意": "satisfied", "基本满意": "fairly satisfied", "不满意": "dissatisfied", "非常不满意": "very dissatisfied", "未评价": "not rated",
	"未接回拨": "missed call", "留言回拨": "message", "差评回访": "bad rating", "办结回访": "after closing", "待回访": "open", "已完成": "done", "已结束（未接通或不再需要）": "ended (not reached or not needed)",
	"已接通": "reached", "无人接听": "no answer", "占线": "busy", "关机或不在服务区": "switched off or out of reach", "空号或非本人": "wrong number", "挂断或拒绝": "hung up or refused", "约定再联系": "call again later",
	"待确认": "to be acknowledged", "已确认": "acknowledged", "已处置": "handled", "转为诉求": "made a ticket", "下达调度指令": "order issued", "已干预处置": "intervened", "误报": "false alarm",
	"外部": "outside", "内部": "inside", "公众": "public", "可不留联系方式": "contact optional", "须留联系方式": "contact required", "不收集身份": "no identity kept", "待同意": "to be consented to", "未同意": "not consented to",

	// Oversight
	"督办": "supervision", "专题": "topic", "会商": "consultation", "职责清单": "duty list", "调度指令": "order", "倒查": "back-check", "线索": "clue", "措施与建议": "measure", "重点关注": "watched person",
	"敏感时段": "sensitive period", "关联": "link", "升级投诉": "escalated complaint", "差评整改": "bad rating", "矛盾化解": "mediation", "主动问需": "outreach",
	"待签发": "to be issued", "已反馈": "reported back", "退回重办": "sent back", "已销号": "released", "已提级": "escalated", "不予督办": "dropped", "新发现": "newly found", "治理中": "being dealt with", "监测中": "watched",
	"非同一事项": "not one matter", "待邀请": "to be invited", "征求意见": "opinions asked", "意见汇总": "opinions gathered", "已形成结论": "concluded", "休会": "adjourned", "已废止": "no longer valid", "在库": "listed", "已出库": "left the list",
	"草稿": "draft", "执行中": "being carried out", "已报结果": "result reported", "已核验": "verified", "已办结": "closed", "已作废": "void", "待接收": "to be received", "评查中": "being checked", "整改中": "being put right",
	"待研判": "to be judged", "核查中": "being checked", "无价值": "of no value", "拟实施": "planned", "已上报": "submitted", "已采纳": "adopted", "未采纳": "not adopted", "待批准": "to be approved", "已撤销": "revoked",
	"已登记": "entered", "已关联": "linked", "不是同一事项": "not one matter", "已计入": "counted", "不是升级": "no escalation", "待联系": "to be contacted", "待核实": "to be verified", "待核定": "to be judged", "待复查": "to be rechecked",
	"申诉复核中": "appeal under review", "待调解": "to be mediated", "调解中": "being mediated", "协议履行中": "agreement being kept", "解释待确认": "explained, to be confirmed", "已化解": "resolved", "转其他途径": "other ways",
	"待开展": "planned", "开展中": "under way", "待验收": "to be accepted", "已整改": "put right", "催办": "urging", "督办单": "supervision notice", "挂牌督办": "listed supervision", "提级督办": "escalated supervision",
	"临近或到达时限": "near or at its limit", "长时间无进展": "no progress for long", "超期满1个工作日": "overdue by a working day", "重办后仍不满意": "still dissatisfied after rework", "反复退回": "returned again and again",
	"同一人反复反映同一事项": "one person, one matter, again and again", "久拖不决": "undecided for long", "矛盾长期未化解": "dispute of long standing", "群体性诉求": "request of a group", "红色诉求": "red ticket",
	"领导批示": "leader's instruction", "媒体关注": "in the media", "下级督办未落实": "lower supervision not carried out", "人工提请": "by hand",
	"法制·案件警情评查": "Legal: cases and incidents", "交管·事故认定复核": "Traffic: accident findings", "审批·窗口服务倒查": "Licensing: window service", "督察·执法行为倒查": "Inspection: conduct",

	// Figures of the closed loop
	"一次解决率": "solved the first time", "主动访评收集诉求占比": "share of requests we asked for", "主动访评诉求办结率": "closed, of requests we asked for", "办理时长": "time in hand", "办结率（按到期）": "closed, of those due",
	"办结率（按受理）": "closed, of those accepted", "升级投诉数": "escalated complaints", "参评率": "share rated", "受理诉求数": "tickets accepted", "响应诉求数": "tickets responded to", "回访率": "called back", "延期率": "extended",
	"按时办结率": "closed in time", "按时签收率": "signed for in time", "按时首联率": "first contact in time", "改类率": "kind changed", "有效回访率": "called back and reached", "有效诉求数": "valid tickets", "有效诉求重复投诉率": "repeats among valid tickets",
	"综合满意率（含未评价）": "satisfaction with those not rated", "群众满意率（原始）": "satisfaction (raw)", "群众满意率（核定）": "satisfaction (official)", "超期率": "overdue", "退单率": "returned by units", "重办率": "reworked",
	"重复投诉人数占比": "people who came again",

	// Reports, polls and the survey by telephone
	"日归纳": "daily digest", "周分析": "weekly analysis", "月通报": "monthly bulletin", "专报": "special report", "已审核": "reviewed", "已发布": "published", "已弃用": "discarded",
	"单选": "one choice", "多选": "several choices", "文字": "own words", "进行中": "under way", "已结束": "over",
	"待拨打": "to be rung", "拨打中": "being rung", "已评价": "rated", "接通未评价": "reached, no rating", "未接通": "not reached", "不拨打": "not rung", "已过期": "expired",
	"不愿再被访评": "wants no more surveys", "暂不方便": "not now", "未按键评价": "pressed no key", "空号或停机": "number out of service", "人工移出": "taken off by hand", "已用短信回复": "answered by text", "个人信息已删除": "personal data erased",
	"拒接": "declined", "空号或号码不存在": "no such number", "不在允许呼叫的范围内": "may not be called", "无法接通": "cannot be reached", "外呼次数已达上限": "called often enough",
}

// lengths are labels of lengths of time: 24小时, 4个工作小时.
var lengths = regexp.MustCompile(`^(\d+)(个工作日|个工作小时|工作分钟|小时|分钟)$`)

var spanWords = map[string]string{"个工作日": "working days", "个工作小时": "working hours", "工作分钟": "working minutes", "小时": "h", "分钟": "min"}

// english is a label in English, or nothing where nobody has translated it.
func english(what any) string {
	label := fmt.Sprint(what)
	if en := surveyWords[label]; en != "" {
		return en
	}
	if en := labelWords[label]; en != "" {
		return en
	}
	if en := eventWords[label]; en != "" {
		return en
	}
	if m := lengths.FindStringSubmatch(label); m != nil {
		return m[1] + " " + spanWords[m[2]]
	}
	return ""
}
