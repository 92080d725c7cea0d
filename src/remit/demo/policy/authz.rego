# The sample company's policy. Its tables (who may what, which agents are known, the limits) are in data.json.
package remit.authz

import future.keywords.not
import rego.v1

# METADATA
# entrypoint: true
decision := {
	"allow": count(denials) == 0,
	"reasons": denials,
	"obligations": obligations,
	"policy": "sample-company/1",
}

tables := data.remit_data

# ── roles: asked for lists and for calls ─────────────────────────────────────────────────

granted if {
	some role in input.subject.properties.roles
	some grant in tables.roles[role]
	grant.server == input.resource.properties.server
	input.action.properties.effect in grant.effects
}

denials contains reason("role_forbids", sprintf(
	"your role does not allow %s; ask somebody whose role does, or use a tool that only reads",
	[input.resource.id],
)) if {
	not granted
}

# ── asked for calls only ─────────────────────────────────────────────────────────────────

denials contains reason("agent_unknown", "the agent runner is not registered to act for anybody here") if {
	input.phase == "tool_call"
	not actors_known
}

actors_known if {
	count(input.chain) > 0
	every hop in input.chain {
		hop.id in object.keys(tables.agents)
	}
}

denials contains reason("chain_too_deep", sprintf(
	"the request was passed on more than %d times; let the user's own agent call the tool",
	[tables.max_chain_depth],
)) if {
	input.phase == "tool_call"
	count(input.chain) > tables.max_chain_depth
}

denials contains reason("amount_needs_scope", sprintf(
	"an amount above %d (in minor units) needs the scope %s in the user's token; ask for less, or ask the user to sign in with it",
	[tables.amounts.limit, tables.amounts.scope],
)) if {
	input.phase == "tool_call"
	field := input.resource.properties.facts.moneyField
	not within_limit(object.get(input.arguments, field, 0))
	not tables.amounts.scope in input.token.scopes
}

within_limit(amount) if {
	is_number(amount)
	amount <= tables.amounts.limit
}

# ── what a permit demands ────────────────────────────────────────────────────────────────

obligations contains {
	"id": "short-lived",
	"type": "limit_lifetime",
	"properties": {"seconds": tables.destructive_lifetime},
} if {
	input.action.properties.destructive
}

# ── who is told why ──────────────────────────────────────────────────────────────────────

reason(code, message) := {"code": code, "message": message, "audience": audience}

# Whose role has nothing to do with an API is not even told that it is there: a denial without a reason for the user
# looks like an unknown tool.
default audience := "admin"

audience := "user" if {
	some role in input.subject.properties.roles
	some grant in tables.roles[role]
	grant.server == input.resource.properties.server
}
