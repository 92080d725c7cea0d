package remit.authz

import rego.v1

default allow := false

allow if input.resource.id in data.remit_data.allowed_tools

decision := {"allow": allow, "policy": "allow-list"}
