package console

// eventWords are the events of a ticket's timeline in English.
var eventWords = map[string]string{
	"登记": "registered", "来源再次推送": "sent again by its source", "补充登记": "registration added to", "申诉": "appealed", "并入": "merged", "撤销并入": "merge undone",
	"随并入诉求答复": "replied with the ticket merged into", "审核通过并答复": "approved and replied", "开启评价": "rating opened", "不满意评价提请认定": "bad rating contested",
	"认定（第一人）": "determined (first person)", "认定（第二人）、办结": "determined (second person), closed", "认定不成立": "not determined", "重办": "to be done again", "重办待会商/督办": "rework waits for consultation or supervision",
	"会商/督办后恢复重办": "rework goes on after consultation or supervision", "未评价办结": "closed without a rating", "撤回": "withdrawn", "归档": "archived", "恢复办理": "resumed",
	"提升颜色等级": "colour raised", "重新计算时限": "limits reckoned anew", "关联重复诉求": "linked as a repeat", "按会商或督办结论转派": "sent on by a conclusion", "撤销重复关联": "repeat link undone",
	"颜色评定": "graded", "确认情绪激动": "emotion confirmed", "类别和单位建议": "class and unit suggested", "确定类别": "class settled", "认定成因": "cause settled", "告知仍在办理": "told that it is still in hand",
	"落实处置措施": "step done", "处置措施逾期": "step overdue", "批示": "instructed", "来源方催办": "urged by its source", "来源方补充": "added to by its source", "关联警情": "linked to an incident",
	"按期匿名化": "anonymised in due time", "原件更换密钥": "original sealed with a new key", "联系群众": "citizen contacted", "处置情况报告": "reported", "提交办理结果": "result submitted",
	"申请退回": "return asked for", "同意退回": "return granted", "不同意退回": "return denied", "申请延期": "extension asked for", "同意延期": "extension granted", "不同意延期": "extension denied",
	"申请挂起": "suspension asked for", "同意挂起": "suspension granted", "不同意挂起": "suspension denied", "申请稳控": "stabilisation asked for", "同意稳控": "stabilisation granted", "不同意稳控": "stabilisation denied",
	"结束稳控": "stabilisation ended", "申请改类": "change of kind asked for", "同意改类": "change of kind granted", "不同意改类": "change of kind denied",
	"申请降低颜色等级": "lower colour asked for", "同意降低颜色等级": "lower colour granted", "不同意降低颜色等级": "lower colour denied",
	"登记回访任务": "call-back opened", "分派回访": "call-back assigned", "回访结束": "call-back ended", "回访超时": "call-back late", "时限即将到期": "limit nearly due", "时限到期": "limit due",
	"预警": "alert", "确认预警": "alert acknowledged", "处置预警": "alert handled", "预警升级": "alert escalated", "预警情况再次发生": "alert again",
}
