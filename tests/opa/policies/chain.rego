package remit.authz

import future.keywords.not
import rego.v1

denials contains {"code": "deep", "message": sprintf("%d", [count(input.chain)])} if count(input.chain) > 2

denials contains {"code": "stranger", "message": hop.id} if {
	some hop in input.chain
	not startswith(hop.id, "agent")
}

denials contains {"code": "order", "message": "depths do not ascend"} if {
	some i, hop in input.chain
	hop.depth != i
}

decision := {"allow": count(denials) == 0, "reasons": denials}
