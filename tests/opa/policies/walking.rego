package remit.authz

import future.keywords.not
import rego.v1

paths contains concat("/", steps) if {
	walk(input.arguments, [path, value])
	value == null
	steps := [sprintf("%v", [step]) | some step in path]
}

deep if {
	walk(input.arguments, [path, _])
	count(path) > 6
}

decision := {"allow": allow, "reasons": [{"code": "null", "message": substring(path, 0, 200)} | some path in paths]}

default allow := false

allow if {
	count(paths) == 0
	not deep
}
