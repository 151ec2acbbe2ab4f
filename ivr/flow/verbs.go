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
	{Name: "set", Means: "notes something about the matter: kind, title, confidential, urgent", value: fields, must: []string{"next"}},
	{Name: "when", Means: "chooses by day, hour, staff and caller; the first rule that holds counts", value: rules, must: []string{"otherwise"}},
	{Name: "goto", Means: "goes on elsewhere", value: word},
	{Name: "answer", Means: "offers the questions of one category of the knowledge base by key and plays the answer; asks whether it helped", value: word,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"solved", "person"}, may: []string{"back", "empty"}},
	{Name: "progress", Means: "takes a ticket number by keys and says its state to the number that opened it", value: prompts,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"next", "person"}, may: []string{"back"}},
	{Name: "queue", Means: "waits for an operator with music and position, and connects", value: prompts,
		attrs: map[string]kind{"priority": number, "skills": words, "patience": length, "every": length, "leave": prompts, "keys": keys},
		must:  []string{"next", "nobody", "late"}, may: []string{"full"}},
	{Name: "message", Means: "records a message, ended by #; opens the ticket and the call-back", value: prompts,
		attrs: map[string]kind{"longest": length, "shortest": length, "tries": number, "confirm": yesno}, must: []string{"next", "empty"}},
	{Name: "callback", Means: "promises a call-back to the caller's number", value: prompts, must: []string{"next"}, may: []string{"anonymous"}},
	{Name: "rate", Means: "asks for a rating from 1 to 5 by key", value: prompts,
		attrs: map[string]kind{"wait": length, "tries": number}, must: []string{"next"}},
	{Name: "hangup", Means: "plays prompts and ends the call", value: prompts},
}

// labels are the verbs in the words of staff.
var labels = map[string]string{
	"say": "播放语音", "menu": "菜单选择", "collect": "按键输入", "set": "登记信息", "when": "按条件分流", "goto": "跳转",
	"answer": "政策解答", "progress": "查询进度", "queue": "排队等候人工", "message": "留言", "callback": "约定回电", "rate": "服务评价", "hangup": "结束语并挂机",
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

// blocking are the verbs that wait for the caller or for people, so that a circle through one is not endless.
var blocking = map[string]bool{"menu": true, "collect": true, "answer": true, "progress": true, "queue": true, "message": true, "rate": true}

// Fields that set knows.
var setFields = map[string]string{
	"kind":         "诉求类型",
	"title":        "标题",
	"confidential": "是否保密 (yes, no)",
	"urgent":       "紧急 (yes, no)",
}
