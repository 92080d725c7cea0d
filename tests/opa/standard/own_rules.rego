# A company's own rules beside the standard ones.
package remit.rules

import future.keywords.not
import rego.v1

deny contains {"code": "no_holidays", "message": "not on this day", "audience": "user"} if {
	input.time.weekday == data.remit_data.closed_on
}

deny contains {"code": "spelling", "message": "the id is odd"} if not regex.match(`^O\d+$`, input.arguments.id)

deny contains "a text" if input.arguments.break == 1

obligations contains {"id": "own", "type": "limit_lifetime", "properties": {"seconds": 30}} if {
	input.action.properties.effect == "write"
}
