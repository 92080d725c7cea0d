package remit.authz

import rego.v1

decoded := base64url.decode(input.arguments.token) if {
	regex.match(`^([A-Za-z0-9_-]{4})+$`, input.arguments.token)
}

default claims := {}

claims := json.unmarshal(decoded)

decision := {"allow": object.get(claims, "admin", false) == false, "policy": hex.encode("p")}
