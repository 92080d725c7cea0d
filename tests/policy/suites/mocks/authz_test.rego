package remit.authz_test

import data.remit.authz
import rego.v1

test_input_as_a_whole if authz.decision.allow with input as data.fixtures.asked

test_part_of_the_input if {
	authz.decision.allow with input as data.fixtures.asked with input.time.hour as 17
}

test_too_late if {
	not authz.decision.allow with input as data.fixtures.asked with input.time.hour as 18
}

test_data_as_it_is if data.remit_data.closing == 18

test_part_of_the_data if {
	not authz.decision.allow with input as data.fixtures.asked with data.remit_data.closing as 8
}

test_all_data if {
	authz.decision.allow with input as data.fixtures.asked
		with data.remit_data as {"roles": {"lead": ["refund"]}, "closing": 10}
}

test_a_rule_as_data if {
	not authz.decision.allow with input as data.fixtures.asked with data.remit.authz.late as true
}

test_mock_ends_with_its_expression if {
	authz.decision.allow with input as data.fixtures.asked
	not authz.decision.allow
}

test_wrong if authz.decision.allow with input as {}
