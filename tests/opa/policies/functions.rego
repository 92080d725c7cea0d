package remit.authz

import future.keywords.not
import rego.v1

default level(_) := 1

level(class) := data.remit_data.classes[class]

is_lead(user) if "support-lead" in user.properties.roles

clearance(user) := 2 if is_lead(user)

clearance(user) := 0 if not is_lead(user)

decision := {"allow": level(input.resource.properties.data_class) <= clearance(input.subject)}
