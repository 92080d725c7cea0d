package remit.authz

import future.keywords.not
import rego.v1

amount := object.get(input.arguments, "amount", 0)

limits := [l | some role in input.subject.properties.roles; l := data.remit_data.limits[role]]

default limit := 100

limit := max(limits) if count(limits) > 0

denials contains {"code": "not_a_number", "message": type_name(amount)} if not is_number(amount)

denials contains {"code": "too_much", "message": sprintf("more than %d", [limit])} if amount > limit

denials contains {"code": "negative", "message": "less than nothing"} if amount < 0

decision := {"allow": count(denials) == 0, "reasons": denials}
