package shop_test
import rego.v1
import future.keywords.not
import data.shop

test_true if shop.allow with input as {"role": "lead", "tool": "orders.get"}

test_false := shop.allow

test_undefined if shop.allow with input as {"role": "intern", "tool": "orders.get"}

test_not if not shop.allow with input as {"role": "intern"}

test_number := 1

test_text := "true"

test_null := null

test_object := {"a": true}

test_set contains true

test_function(x) if x == 1

test_error if shop.allow with input as {"role": "lead", "tool": 1}

test_else if {
	shop.discount(100) == 11
} else := true

test_else_false if {
	shop.discount(100) == 11
} else := false

test_every if {
	every name in shop.tall {
		count(name) == 3
	}
}

test_prints if {
	print("tall are", shop.tall, input.nothing)
	count(shop.tall) == 2
}

test_prints_and_fails if {
	print("before")
	count(shop.tall) == 3
}

todo_test_later if false

not_a_test if false
