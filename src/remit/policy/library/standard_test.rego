# The standard policy, table by table: what each one allows, and what it takes away.
package remit.standard_test

import rego.v1

# ── users ────────────────────────────────────────────────────────────────────────────────

test_nobody_may_anything_by_themselves if {
	codes({}, {}) == {"agent_unknown", "role_forbids"}
}

test_a_role_allows_its_effects_on_its_api if {
	codes(tables, {}) == set()
	codes(tables, {"/action/properties/effect": "write"}) == {"role_forbids"}
	codes(tables, {"/resource/properties/server": "hr"}) == {"role_forbids"}
}

test_a_description_allows_what_fits_all_of_it if {
	described := object.union(tables, {"roles": {"clerk": {"orders": [{"tool": "get_*", "tags": ["a"]}]}}})
	codes(described, {"/resource/properties/tags": ["b", "a"]}) == set()
	codes(described, {}) == {"role_forbids"}
	codes(described, {"/resource/properties/tags": ["a"], "/resource/id": "list_orders"}) == {"role_forbids"}
}

test_a_user_of_another_issuer_is_somebody_else if {
	own := {"agents": {"runner": {}}, "users": {"ann": {"issuer": "https://a", "may": {"orders": ["read"]}}}}
	codes(own, {"/subject/issuer": "https://a"}) == set()
	codes(own, {"/subject/issuer": "https://b"}) == {"role_forbids"}
}

test_who_has_nothing_to_do_with_an_api_is_told_nothing if {
	audiences(tables, {"/action/properties/effect": "write"}) == {"user"}
	audiences(tables, {"/resource/properties/server": "hr"}) == {"admin"}
}

# ── agents ───────────────────────────────────────────────────────────────────────────────

test_an_agent_may_at_most_what_is_its_own if {
	modest := object.union(tables, {"agents": {"runner": {"may": {"hr": ["read"]}}}})
	codes(modest, {}) == {"agent_forbids"}
}

test_services_pass_on_and_agents_call if {
	hops := [{"id": "runner", "issuer": "", "depth": 0}, {"id": "shop", "issuer": "", "depth": 1}]
	listed := object.union(tables, {"services": {"shop": {}}})
	codes(tables, {"/chain": hops}) == {"agent_unknown"}
	codes(listed, {"/chain": hops}) == set()
	codes(listed, {"/chain": [{"id": "shop", "issuer": "", "depth": 0}]}) == {"agent_unknown"}
}

test_a_token_is_for_who_may_have_that_audience if {
	confined := {"services": {"shop": {"audiences": ["payments-api"]}}}
	asked := {
		"/phase": "token_exchange",
		"/resource/type": "target",
		"/resource/id": "payments-api",
		"/actor/id": "shop",
		"/chain": [{"id": "shop", "issuer": "", "depth": 0}],
	}
	codes(confined, asked) == set()
	codes(confined, object.union(asked, {"/resource/id": "hr-api"})) == {"audience_forbidden"}
}

# ── needs ────────────────────────────────────────────────────────────────────────────────

test_only_a_number_up_to_the_limit_is_within_it if {
	limited := needing({"over": 100, "argument": "amount", "deny": "too much"})
	every amount in [0, 99.5, 100] {
		codes(limited, {"/arguments": {"amount": amount}}) == set()
	}
	every amount in [101, -1, "5", null, true, []] {
		codes(limited, {"/arguments": {"amount": amount}}) == {"forbidden"}
	}
	codes(limited, {}) == {"forbidden"}
}

test_hours_are_those_of_the_place if {
	open := needing({"hours": {"days": ["Friday"], "from": "09:00", "to": "17:00", "utc_offset": 1}})
	codes(open, {}) == set() # Friday 08:00 in UTC
	codes(open, {"/time/ns": 1800000000000000000 - 1000000000}) == {"outside_hours"}
	codes(open, {"/time/ns": 1800000000000000000 + ((8 * 3600) * 1000000000)}) == {"outside_hours"}
	codes(open, {"/time/ns": 1800000000000000000 + (86400 * 1000000000)}) == {"outside_hours"}
}

test_the_user_does_not_approve_for_others if {
	watched := needing({"require_approval": {"approvers": ["role:lead"]}})
	count(obligations(watched, {})) == 1
	count(obligations(watched, {"/context/approval": {"state": "approved", "approver": "ann"}})) == 1
	count(obligations(watched, {"/context/approval": {"state": "approved", "approver": "bob"}})) == 0
}

test_a_result_is_redacted_and_nothing_else_is_asked_of_it if {
	hidden := needing({
		"redact_result": {"pointers": ["/a"], "mode": "remove"},
		"limit_lifetime": {"seconds": 5},
		"deny": "never",
	})
	codes(hidden, {"/phase": "result"}) == set()
	{obligation.type | some obligation in obligations(hidden, {"/phase": "result"})} == {"redact_result"}
}

test_a_route_whose_result_nobody_sees_is_not_opened if {
	hidden := needing({"redact_result": {"pointers": ["/a"], "mode": "remove"}})
	route := {"/resource/type": "route", "/context/supported_obligations": ["limit_lifetime"]}
	codes(hidden, route) == {"not_possible_here"}
}

# ── asking ───────────────────────────────────────────────────────────────────────────────

tables := {"roles": {"clerk": {"orders": ["read"]}}, "agents": {"runner": {}}}

needing(need) := object.union(tables, {"needs": {"it": need}})

decision(data_tables, changes) := answer if {
	question := json.patch(call, [{"op": "replace", "path": path, "value": value} | some path, value in changes])
	answer := data.remit.standard.decision with input as question with data.remit_data as data_tables
}

codes(data_tables, changes) := {reason.code | some reason in decision(data_tables, changes).reasons}

audiences(data_tables, changes) := {reason.audience | some reason in decision(data_tables, changes).reasons}

obligations(data_tables, changes) := decision(data_tables, changes).obligations

# Ann, a clerk, has her agent read an order, on a Friday at 08:00 in UTC.
call := {
	"phase": "tool_call",
	"subject": {"id": "ann", "issuer": "", "properties": {"roles": ["clerk"], "groups": []}},
	"actor": {"id": "runner", "properties": {"assurance": "authenticated"}},
	"chain": [{"id": "runner", "issuer": "", "depth": 0}],
	"action": {"properties": {"effect": "read", "destructive": false}},
	"resource": {"type": "tool", "id": "get_order", "properties": {
		"server": "orders",
		"tags": [],
		"data_class": "",
		"facts": {},
	}},
	"arguments": {},
	"token": {"scopes": []},
	"context": {
		"first_time": false,
		"approval": {"state": "none", "approver": ""},
		"supported_obligations": ["limit_lifetime", "redact_result", "require_approval"],
	},
	"time": {"ns": 1800000000000000000},
}
