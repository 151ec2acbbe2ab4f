package flow

// kind is what may be written as a value.
type kind string

const (
	prompts kind = "a prompt or a list of prompts"
	word    kind = "a word"
	words   kind = "a list of words"
	number  kind = "a whole number"
	length  kind = "a time such as 6s or 3m"
	yesno   kind = "yes or no"
	keys    kind = "keys and the nodes they lead to"
	fields  kind = "fields and their values"
	rules   kind = "a list of rules"
	nothing kind = "a name or nothing"
	targets kind = "outcomes and the nodes they lead to"
	spoken  kind = "nodes and the words that lead to them"
	address kind = "an address such as https://host/path"
)

// Verb is one word of the vocabulary.
type Verb struct {
	Name  string
	Means string // for people who write flows
	value kind
	attrs map[string]kind
	must  []string // exits that have to be there
	may   []string // exits that may be there
}

// Verbs is the vocabulary, in the order in which one would learn it.
var Verbs = []Verb{
	{Name: "say", Means: "plays prompts; a key cuts it short", value: prompts, must: []string{"next"}},
	{Name: "menu", Means: "plays prompts and follows the key pressed; after tries wrong or missing keys, otherwise", value: prompts,
		attrs: map[string]kind{"keys": keys, "wait": length, "tries": number, "wrong": prompts, "silent": prompts}, must: []string{"otherwise"}},
	{Name: "collect", Means: "takes a number by keys, ended by #; the recording pauses meanwhile", value: prompts,
		attrs: map[string]kind{"into": word, "min": number, "max": number, "wait": length, "tries": number, "wrong": prompts, "silent": prompts, "read": prompts, "confirm": prompts},
		must:  []string{"next", "otherwise"}},
	{Name: "set", Means: "notes something about the matter (kind, title, body, place, confidential, urgent) or a value (var.NAME)", value: fields, must: []string{"next"}},
	{Name: "when", Means: "chooses by day, holiday, hour, staff, queue, caller, area and values; the first rule that holds counts", value: rules, must: []string{"otherwise"}},
	{Name: "goto", Means: "goes on elsewhere", value: word},
	{Name: "hear", Means: "plays prompts and follows the words that the caller says, where a recogniser listens, or the key pressed", value: prompts,
		attrs: map[string]kind{"words": spoken, "keys": keys, "into": word, "wait": length, "tries": number, "wrong": prompts, "silent": prompts}, must: []string{"otherwise"}},
	{Name: "record", Means: "records what the caller says, ended by #, as a part of the call's recording that has a name", value: prompts,
		attrs: map[string]kind{"into": word, "longest": length, "shortest": length}, must: []string{"next", "empty"}},
	{Name: "question", Means: "asks a question by key and keeps the answer with the call", value: prompts,
		attrs: map[string]kind{"into": word, "answers": word, "wait": length, "tries": number, "wrong": prompts, "silent": prompts}, must: []string{"next", "otherwise"}},
	{Name: "hook", Means: "asks a program of yours over HTTP and notes what it answers", value: address,
		attrs: map[string]kind{"send": words, "number": yesno, "timeout": length, "to": targets}, must: []string{"next", "failed"}},
	{Name: "call", Means: "goes through another flow file and comes back with its outcome", value: word,
		attrs: map[string]kind{"to": targets}, may: []string{"next"}},
	{Name: "return", Means: "goes back to the flow that called this one, with an outcome", value: word},
	{Name: "answer", Means: "offers the questions of one category of the knowledge base by key and plays the answer; asks whether it helped", value: word,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"solved", "person"}, may: []string{"back", "empty"}},
	{Name: "kb", Means: "asks for the matter in the caller's own words, where a recogniser listens, or by key, and plays the nearest answer of the knowledge base; asks whether it helped", value: prompts,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"solved", "person"}, may: []string{"back"}},
	{Name: "progress", Means: "takes a ticket number by keys and says its state to the number that opened it", value: prompts,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"next", "person"}, may: []string{"back"}},
	{Name: "queue", Means: "waits for an operator with music and position, and connects", value: prompts,
		attrs: map[string]kind{"name": word, "priority": number, "skills": words, "anybody": length, "patience": length, "every": length, "leave": prompts, "keys": keys},
		must:  []string{"next", "nobody", "late"}, may: []string{"full", "closed"}},
	{Name: "message", Means: "records a message, ended by #; opens the ticket and the call-back", value: prompts,
		attrs: map[string]kind{"longest": length, "shortest": length, "tries": number, "confirm": yesno}, must: []string{"next", "empty"}},
	{Name: "callback", Means: "promises a call-back to the caller's number; a caller who waits keeps the place", value: prompts, must: []string{"next"}, may: []string{"anonymous"}},
	{Name: "rate", Means: "asks for a rating from 1 to 5 by key", value: prompts,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"next"}, may: []string{"bad"}},
	{Name: "hangup", Means: "plays prompts and ends the call", value: prompts},
}

// labels are the verbs in the words of staff.
var labels = map[string]string{
	"say": "播放语音", "menu": "菜单选择", "collect": "按键输入", "set": "登记信息", "when": "按条件分流", "goto": "跳转",
	"answer": "政策解答", "kb": "知识库问答", "progress": "查询进度", "queue": "排队等候人工", "message": "留言", "callback": "约定回电", "rate": "服务评价", "hangup": "结束语并挂机",
	"hear": "听取来电人说话", "record": "录音", "question": "按键问答", "hook": "外部接口", "call": "进入子流程", "return": "返回主流程",
}

// Label is a verb as pages show it (zh-CN); empty for a word that is no verb.
func Label(verb string) string { return labels[verb] }

var verbByName = func() map[string]*Verb {
	m := map[string]*Verb{}
	for i := range Verbs {
		m[Verbs[i].Name] = &Verbs[i]
	}
	return m
}()

// walked are the verbs that Walk performs itself; at the others it stops and leaves the work to its caller.
var walked = map[string]bool{"say": true, "menu": true, "collect": true, "set": true, "when": true, "goto": true}

// ends are the verbs at which a flow ends.
var ends = map[string]bool{"hangup": true, "return": true, escape: true}

// escape is the verb of the nodes that a sub-flow is given for keys which work anywhere in the flow that calls it.
const escape = "escape"

// blocking are the verbs that wait for the caller or for people, so that a circle through one is not endless.
var blocking = map[string]bool{"menu": true, "collect": true, "answer": true, "kb": true, "progress": true, "queue": true, "message": true, "rate": true, "hear": true, "record": true, "question": true}

// Fields that set knows.
var setFields = map[string]string{
	"kind":         "诉求类型",
	"title":        "标题",
	"body":         "内容",
	"place":        "地点",
	"confidential": "是否保密 (yes, no)",
	"urgent":       "紧急 (yes, no)",
}
