package remit.authz

import rego.v1

id := input.resource.id

parts := split(id, "_")

decision := {
	"allow": allow,
	"reasons": [
		{"code": "first", "message": trim_space(parts[0])},
		{"code": "trimmed", "message": trim_prefix(trim_suffix(trim(id, " ."), "_orders"), "get_")},
		{"code": "slice", "message": substring(id, 1, 3)},
		{"code": "swapped", "message": strings.replace_n({"_": "-", "orders": "ORDERS"}, id)},
		{"code": "back", "message": strings.reverse(id)},
		{"code": "where", "message": sprintf("%v", [indexof(id, "_")])},
	],
}

default allow := false

allow if strings.any_prefix_match(id, ["get_", "list_"])

allow if strings.any_suffix_match(input.token.scopes, [":write"])
