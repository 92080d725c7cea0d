# What the sample company wants of its policy, tried on its own tables: remit policy test
package sample_test

import future.keywords.not
import rego.v1

test_a_support_lead_may_refund_what_is_small if {
	answer := decision({"user": "alice", "tool": "refund_order", "amount": 1250})
	answer.allow
	not demanded(answer, "require_approval")
}

test_the_token_of_a_refund_lives_a_minute if {
	answer := decision({"user": "alice", "tool": "refund_order", "amount": 1250})
	demanded(answer, "limit_lifetime").seconds == 60
}

test_the_user_agrees_to_a_refund_over_a_hundred if {
	answer := decision({"user": "alice", "tool": "refund_order", "amount": 10001})
	answer.allow
	demanded(answer, "require_approval").approvers == ["user"]
}

test_a_refund_over_five_hundred_needs_a_scope if {
	codes(decision({"user": "alice", "tool": "refund_order", "amount": 60000})) == {"amount_needs_scope"}
}

test_an_intern_may_read_orders if {
	decision({"user": "bob", "tool": "get_order"}).allow
}

test_an_intern_may_not_refund if {
	codes(decision({"user": "bob", "tool": "refund_order", "amount": 1250})) == {"role_forbids"}
}

test_an_intern_does_not_see_customers_addresses if {
	seen := decision({"user": "bob", "tool": "get_order", "phase": "result"})
	demanded(seen, "redact_result").pointers == ["/customer/email"]
	not demanded(decision({"user": "alice", "tool": "get_order", "phase": "result"}), "redact_result")
}

test_a_client_nobody_listed_gets_no_further_than_orders if {
	decision({"user": "alice", "tool": "get_order", "agent": "stranger"}).allow
	elsewhere := {"user": "alice", "tool": "get_payment", "agent": "stranger", "server": "payments"}
	codes(decision(elsewhere)) == {"agent_forbids"}
}

test_the_orders_service_may_have_a_token_for_payments if {
	exchange := {"user": "alice", "agent": "orders-api", "phase": "token_exchange"}
	decision(object.union(exchange, {"tool": "payments-api"})).allow
	codes(decision(object.union(exchange, {"tool": "hr-api"}))) == {"audience_forbidden"}
}

# ── asking ───────────────────────────────────────────────────────────────────────────────

decision(call) := answer if {
	answer := data.remit.authz.decision with input as asked(call)
}

codes(answer) := {reason.code | some reason in answer.reasons}

demanded(answer, type) := obligation.properties if {
	some obligation in answer.obligations
	obligation.type == type
}

roles := {"alice": ["support-lead"], "bob": ["intern"]}

tools := {
	"get_order": {"effect": "read", "destructive": false, "facts": {"dataClass": "pii"}},
	"refund_order": {"effect": "write", "destructive": true, "facts": {"dataClass": "financial", "moneyField": "amount"}},
}

asked(call) := {
	"phase": object.get(call, "phase", "tool_call"),
	"subject": {"id": call.user, "issuer": "", "properties": {"roles": roles[call.user], "groups": []}},
	"actor": {"id": agent, "properties": {"assurance": "authenticated"}},
	"chain": [{"id": agent, "issuer": "", "depth": 0}],
	"action": {"properties": tool},
	"resource": {"type": "tool", "id": call.tool, "properties": {
		"server": object.get(call, "server", "orders"),
		"tags": [],
		"data_class": object.get(tool.facts, "dataClass", ""),
		"facts": tool.facts,
	}},
	"arguments": {"amount": object.get(call, "amount", 0)},
	"token": {"scopes": ["orders:read", "refunds:write"]},
	"context": {
		"first_time": false,
		"approval": {"state": "none", "approver": ""},
		"supported_obligations": ["limit_lifetime", "redact_result", "require_approval"],
	},
} if {
	agent := object.get(call, "agent", "agent-runner")
	tool := object.get(tools, call.tool, {"effect": "write", "destructive": false, "facts": {}})
}
