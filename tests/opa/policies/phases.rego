package remit.authz

import rego.v1

default by_phase(_) := false

by_phase("tool_list") if count(input.subject.properties.roles) > 0

by_phase("tool_call") if input.resource.type == "tool"

by_phase("token_exchange") if input.resource.id in object.keys(data.remit_data.audiences)

by_phase("result") if input.result.status < 400

decision := {"allow": by_phase(input.phase), "policy": sprintf("phase/%s", [input.phase])}
