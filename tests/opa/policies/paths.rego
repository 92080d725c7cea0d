package remit.authz

import rego.v1

default allow := false

allow if glob.match("/things/*", ["/"], input.resource.properties.path)

allow if glob.match("/things/{id}/**", ["/"], input.resource.properties.path)

allow if glob.match("**.orders.*", ["."], input.resource.id)

decision := {"allow": allow}
