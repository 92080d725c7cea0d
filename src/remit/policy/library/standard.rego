# The standard policy: a call is allowed where the user may, every agent on the way may, and the tool's needs are met.
# Who may what is read from tables, data.remit_data. A company's own rules stand beside them: `deny` and `obligations`
# of `package remit.rules`, which can only take away.
#
# `not x.member != y` holds where the member is absent, too; a function of an absent member is not called at all.
package remit.standard

import future.keywords.not
import rego.v1

decision := {
	"allow": count(denials) == 0,
	"reasons": denials,
	"obligations": obligations,
	"policy": "standard/1",
}

tables := data.remit_data

# ── what the user may do ─────────────────────────────────────────────────────────────────

# Not asked where a token is exchanged: the token says no roles, and no tool is named.
denials contains reason("role_forbids", sprintf(
	"your role does not allow %s; ask somebody whose role does, or use a tool that only reads",
	[input.resource.id],
)) if {
	input.phase != "token_exchange"
	not granted
}

granted if {
	some permissions in concerning
	permit(permissions)
}

# What the tables say of this user and this API, whatever it permits.
concerning contains permissions if {
	some role in input.subject.properties.roles
	apis := tables.roles[role]
	some server in ["*", input.resource.properties.server]
	permissions := apis[server]
}

concerning contains permissions if {
	some group in input.subject.properties.groups
	apis := tables.groups[group]
	some server in ["*", input.resource.properties.server]
	permissions := apis[server]
}

concerning contains permissions if {
	user := tables.users[input.subject.id]
	not user.issuer != input.subject.issuer
	apis := user.may
	some server in ["*", input.resource.properties.server]
	permissions := apis[server]
}

# Permissions are effects, and descriptions of operations.
permit(permissions) if input.action.properties.effect in permissions

# Nothing is permitted by what is not understood.
else if {
	some described in permissions
	is_object(described)
	count(object.keys(described) - described_by) == 0
	every member, wanted in described {
		fits(member, wanted)
	}
}

described_by := {"server", "tool", "effects", "destructive", "data_classes", "tags"}

operation := {
	"server": input.resource.properties.server,
	"tool": input.resource.id,
	"effects": input.action.properties.effect,
	"destructive": input.action.properties.destructive,
	"data_classes": input.resource.properties.data_class,
}

# One value is wanted, or one of a list.
fits(member, wanted) if operation[member] == wanted

else if operation[member] in wanted

else if {
	member == "tool"
	is_string(wanted)
	glob.match(wanted, null, input.resource.id)
}

else if {
	member == "tags"
	some tag in input.resource.properties.tags
	tag in wanted
}

# A need must not get lost over what is not understood of it.
else if not member in described_by

# ── what agents may do ───────────────────────────────────────────────────────────────────

denials contains reason(
	"agent_unknown",
	"an agent or service on the way is not registered to act for anybody here; ask the operator to list it",
) if {
	input.phase != "tool_list"
	not all_known
}

all_known if {
	count(input.chain) > 0
	every hop in input.chain {
		is_known(hop)
	}
}

is_known(hop) if {
	entry := tables.agents[name_of(hop.id)]
	not entry.issuer != hop.issuer
}

else if {
	entry := tables.services[hop.id]
	not entry.issuer != hop.issuer
	may_be_service(hop)
}

# An agent without an entry of its own goes by that of `*`, where there is one. A service is not an agent.
name_of(id) := "*" if {
	not tables.agents[id]
	not tables.services[id]
} else := id

# Services pass calls on and ask for tokens; only agents call tools.
may_be_service(hop) if hop.depth > 0

may_be_service(_) if input.phase == "token_exchange"

denials contains reason("chain_too_deep", sprintf(
	"the request was passed on more than %v times; let the user's own agent call the tool",
	[deepest],
)) if {
	input.phase != "tool_list"
	deepest := object.get(tables, "max_chain_depth", 3)
	count(input.chain) > deepest
}

denials contains reason("agent_forbids", sprintf(
	"the agent is not allowed %s, whoever it acts for; let the user do it another way",
	[input.resource.id],
)) if {
	input.phase != "token_exchange"
	some agent in agents
	apis := agent.may
	not is_granted(apis)
}

# The tables' entries of the agents on the way.
agents := [agent | some hop in input.chain; agent := tables.agents[name_of(hop.id)]]

is_granted(apis) if {
	some server in ["*", input.resource.properties.server]
	permissions := apis[server]
	permit(permissions)
}

denials contains reason(
	"agent_not_for_user",
	"the agent is not allowed to act for this user; use an agent that is",
) if {
	input.phase != "token_exchange"
	some agent in agents
	people := agent.for
	not is_among(people)
}

is_among(people) if {
	input.subject.id in people.users
	not contains(input.subject.id, "#")
}

# With several issuers a name alone is anybody's of that name.
is_among(people) if concat("#", [input.subject.issuer, input.subject.id]) in people.users

is_among(people) if {
	some role in input.subject.properties.roles
	role in people.roles
}

is_among(people) if {
	some group in input.subject.properties.groups
	group in people.groups
}

denials contains reason(
	"agent_unproven",
	"the agent has to prove more strongly who it is; ask the operator how it can",
) if {
	input.phase == "tool_call"
	agent := tables.agents[name_of(input.actor.id)]
	least := agent.assurance
	not is_proven(least)
}

is_proven(least) if rank[input.actor.properties.assurance] >= rank[least]

rank := {"self_asserted": 0, "registered": 1, "attested": 2, "authenticated": 3}

denials contains reason("audience_forbidden", sprintf(
	"the agent or service may not have a token for %s; ask the operator to list that audience",
	[input.resource.id],
)) if {
	input.phase == "token_exchange"
	some kind in ["agents", "services"]
	parties := tables[kind]
	party := parties[name_of(input.actor.id)]
	audiences := party.audiences
	not input.resource.id in audiences
}

# ── what the tool needs ──────────────────────────────────────────────────────────────────

# The needs that this operation calls up, by name.
needs[name] := need if {
	input.phase != "token_exchange"
	some name, need in tables.needs
	every member, wanted in object.get(need, "match", {}) {
		fits(member, wanted)
	}
	not is_among(need.unless)
	not is_no_first_time(need.first_time)
	not is_within(need.over, object.get(need, "argument", money))
}

# Lists are made without knowing the call.
is_no_first_time(_) if input.phase == "tool_list"

is_no_first_time(_) if not input.context.first_time

# Which argument is an amount; none where the tool moves no money.
money := object.get(input.resource.properties.facts, "moneyField", "")

# Only a number is an amount: what is missing, negative or a text is over every limit.
is_within(limit, argument) if argument == ""

else if input.phase == "tool_list"

else if {
	amount := input.arguments[argument]
	is_number(limit)
	is_number(amount)
	amount >= 0
	amount <= limit
}

denials contains reason(
	"needs_unreadable",
	"policy cannot be read where it is about this tool, so nobody may use it; tell the operator",
) if {
	some need in needs
	count(object.keys(need) - members) > 0
}

members := {
	"match", "unless", "first_time", "over", "argument",
	"deny", "only", "scopes", "hours", "assurance",
	"limit_lifetime", "narrow_scopes", "redact_result", "require_approval", "step_up",
}

denials contains reason("forbidden", need.deny) if {
	input.phase != "result"
	some need in needs
	need.deny != null
}

denials contains reason("not_entitled", sprintf(
	"%s is for other users; ask somebody whose role allows it",
	[input.resource.id],
)) if {
	input.phase != "result"
	some need in needs
	people := need.only
	not is_among(people)
}

denials contains reason("amount_needs_scope", sprintf(
	"an amount above %v (in minor units) needs the scope %s in the user's token; ask for less, or ask the user to sign in with it",
	[need.over, scope],
)) if {
	input.phase == "tool_call"
	some need in needs
	some scope in need.scopes
	not scope in input.token.scopes
	need.over != null
}

denials contains reason("scope_needed", sprintf(
	"%s needs the scope %s in the user's token; ask the user to sign in with it",
	[input.resource.id, scope],
)) if {
	input.phase == "tool_call"
	some need in needs
	some scope in need.scopes
	not scope in input.token.scopes
	not need.over != null
}

denials contains reason("outside_hours", sprintf(
	"%s is allowed from %v to %v only, %s; try again then",
	[input.resource.id, from, to, days],
)) if {
	input.phase == "tool_call"
	some need in needs
	hours := need.hours
	not is_open(hours)
	from := object.get(hours, "from", "?")
	to := object.get(hours, "to", "?")
	days := concat(", ", object.get(hours, "days", ["any day"]))
}

is_open(hours) if {
	local := (input.time.ns / 1000000000) + (object.get(hours, "utc_offset", 0) * 3600)
	weekdays[floor(local / 86400) % 7] in object.get(hours, "days", weekdays)
	second := local % 86400
	at := sprintf("%02d:%02d", [floor(second / 3600), floor((second % 3600) / 60)])
	is_between(at, hours.from, hours.to)
}

# The seventies began on a Thursday.
weekdays := ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"]

is_between(at, from, to) if {
	from <= at
	at < to
}

# Over midnight: late or early.
is_between(at, from, to) if {
	to < from
	from <= at
}

is_between(at, from, to) if {
	to < from
	at < to
}

denials contains reason("agent_unproven", sprintf(
	"for %s the agent has to prove more strongly who it is; ask the operator how it can",
	[input.resource.id],
)) if {
	input.phase == "tool_call"
	some need in needs
	least := need.assurance
	not is_proven(least)
}

# ── what a permit demands ────────────────────────────────────────────────────────────────

obligations contains demand(name, type, properties) if {
	some name, need in needs
	some type in due[input.phase]
	properties := need[type]
	not is_approved(type, properties)
}

due := {
	"tool_call": ["limit_lifetime", "narrow_scopes", "step_up", "require_approval"],
	"result": ["redact_result"],
}

# Nobody asks again when the result of a route is there, so it has to be said before.
obligations contains demand(name, "redact_result", properties) if {
	input.phase == "tool_call"
	input.resource.type == "route"
	some name, need in needs
	properties := need.redact_result
}

demand(name, type, properties) := {"id": name, "type": type, "properties": properties}

is_approved("require_approval", terms) if {
	input.context.approval.state == "approved"
	some approver in terms.approvers
	may_have_been(approver)
}

# Nobody but the user themself is `user`, and the user is nobody else. Roles and groups of approvers are not known here.
may_have_been("user") if input.context.approval.approver == input.subject.id

may_have_been(approver) if {
	approver != "user"
	input.context.approval.approver != input.subject.id
	not is_somebody_else(approver)
}

is_somebody_else(approver) if {
	startswith(approver, "user:")
	approver != concat(":", ["user", input.context.approval.approver])
}

denials contains reason(
	"not_possible_here",
	"what policy asks for before this (an approval, say) cannot be had this way; use a tool for it instead",
) if {
	some demanded in obligations
	not demanded.type in input.context.supported_obligations
}

# ── own rules ────────────────────────────────────────────────────────────────────────────

denials contains told(own) if some own in listed(data.remit.rules.deny)

obligations contains own if some own in listed(data.remit.rules.obligations)

# What is no set stands for itself: no decision can be read from it, which denies.
listed(own) := own if is_set(own)

listed(own) := [own] if not is_set(own)

# ── who is told why ──────────────────────────────────────────────────────────────────────

reason(code, message) := {"code": code, "message": message, "audience": audience}

told(own) := object.union(own, {"audience": "admin"}) if {
	is_object(own)
	audience == "admin"
} else := own

# Whose tables have nothing to do with an API are not even told that it is there: a denial without a reason for the
# user looks like an unknown tool.
default audience := "admin"

audience := "user" if count(concerning) > 0

audience := "user" if input.phase == "token_exchange"
