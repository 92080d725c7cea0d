package shop.orders

import rego.v1

limit := 10

within(amount) if amount <= limit
