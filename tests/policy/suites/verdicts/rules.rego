package shop
import rego.v1
import future.keywords.not

default allow := false

allow if {
	input.role == "lead"
	startswith(input.tool, "orders.")
}

discount(amount) := amount / 10

tall contains name if {
	some name, size in {"ann": 180, "bob": 150, "cem": 175}
	size > 170
}
