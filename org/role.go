package org

// A Role is one of the seventeen actors of requirement ORG-5, or the duty chief whom the response to 红 asks for (domain model §7).
type Role string

// The roles.
const (
	Citizen       Role = "citizen"        // 群众
	Enterprise    Role = "enterprise"     // 企业
	Operator      Role = "operator"       // 话务员
	Bot           Role = "bot"            // 智能客服
	Dispatcher    Role = "dispatcher"     // 派单员
	Handler       Role = "handler"        // 承办民警
	Reviewer      Role = "reviewer"       // 单位领导（审核）
	Caller        Role = "caller"         // 访评员: calls back and records the rating
	Supervisor    Role = "supervisor"     // 督办员
	Expert        Role = "expert"         // 专家顾问
	Analyst       Role = "analyst"        // 研判员
	Leader        Role = "leader"         // 局领导
	DutyChief     Role = "duty-chief"     // 值班领导: stands in for the bureau's leaders at the centre, day and night
	Clerk         Role = "clerk"          // 窗口人员
	WindowManager Role = "window-manager" // 窗口主任
	Inspector     Role = "inspector"      // 督察
	Admin         Role = "admin"          // 系统管理员
	Auditor       Role = "auditor"        // 审计员
)

// roles holds what is fixed about each role, in the order of ORG-5.
var roles = []struct {
	role   Role
	label  string
	signIn bool // has an account
	reach  Reach
}{
	{Citizen, "群众", false, ReachOwn},
	{Enterprise, "企业", false, ReachOwn},
	{Operator, "话务员", true, ReachAll},
	{Bot, "智能客服", false, ReachOwn},
	{Dispatcher, "派单员", true, ReachAll},
	{Handler, "承办民警", true, ReachUnit},
	{Reviewer, "单位领导", true, ReachUnit},
	{Caller, "访评员", true, ReachAll},
	{Supervisor, "督办员", true, ReachAll},
	{Expert, "专家顾问", true, ReachInvited},
	{Analyst, "研判员", true, ReachAll},
	{Leader, "局领导", true, ReachAll},
	{DutyChief, "值班领导", true, ReachAll},
	{Clerk, "窗口人员", true, ReachUnit},
	{WindowManager, "窗口主任", true, ReachUnit},
	{Inspector, "督察", true, ReachAll},
	{Admin, "系统管理员", true, ReachAll},
	{Auditor, "审计员", true, ReachAll},
}

// Roles returns all roles in the order of ORG-5.
func Roles() []Role {
	out := make([]Role, len(roles))
	for i, r := range roles {
		out[i] = r.role
	}
	return out
}

// Label is the name of the role on pages, or the code itself for one that does not exist.
func (r Role) Label() string {
	for _, x := range roles {
		if x.role == r {
			return x.label
		}
	}
	return string(r)
}

// Valid reports whether the role exists.
func (r Role) Valid() bool {
	for _, x := range roles {
		if x.role == r {
			return true
		}
	}
	return false
}

// SignsIn reports whether people of this role have accounts; residents, firms and the bot have none.
func (r Role) SignsIn() bool {
	for _, x := range roles {
		if x.role == r {
			return x.signIn
		}
	}
	return false
}

// Reach is how far a role sees: the second half of every permission.
func (r Role) Reach() Reach {
	for _, x := range roles {
		if x.role == r {
			return x.reach
		}
	}
	return ReachOwn
}

// A Reach says whose tickets, calls and ratings a role may look at when its
// permissions let it look at any.
type Reach string

// Reaches.
const (
	ReachAll     Reach = "all"     // every unit's: the centre
	ReachUnit    Reach = "unit"    // those of the own unit and of the units below it
	ReachInvited Reach = "invited" // those it was invited to
	ReachOwn     Reach = "own"     // those that are its own
)
