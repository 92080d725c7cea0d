package shop.orders

import rego.v1

test_own_package if within(10)

test_twice if within(5)

test_twice if within(50)

test_thrice if within(50)

test_thrice if within(5)

test_thrice if limit == 11

default test_default := true

default test_with_default := false

test_with_default if within(1)

todo_test_twice if within(1)

todo_test_twice if within(2)

nested.test_deep if within(1)

test_other := test_own_package
