"""A decorated function is the tool that a tool file would say."""

from __future__ import annotations

from typing import Any

import pytest

from remit.catalog.compile import compile_text
from remit.catalog.tool import Tool
from support.code_tools import compiled, problems_of, tools_of

CRM = '''
from __future__ import annotations
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from remit.tools import (
    Approval, Arg, Cursor, Ctx, From, Limits, Path, Query, Retry, TokenExchange, ToolSet, env
)

class Customer(BaseModel):
    id: str
    name: str

class Page(BaseModel):
    customers: list[Customer]
    next_cursor: str | None = None

crm = ToolSet("crm", base_url=env("CRM_URL", "https://crm.example.com/api/v2"), timeout="10s", owner="team-crm",
              auth=TokenExchange(audience="https://crm.example.com", resource="https://crm.example.com/api/v2",
                                 scopes=["crm.read"], max_ttl="120s"),
              retry=Retry(attempts=3, when=[502, 503, 504, "connect"]), limits=Limits(rate="60/min per user", concurrency=20))

@crm.get("/customers/{customer_id}", title="Get a customer", scopes=["crm.customers.read"], facts={"dataClass": "pii"},
         select="{id: id, name: display_name, tier: account.tier}", redact=["tax_id"],
         errors={404: "No customer has that id."})
async def get_customer(customer_id: Annotated[str, Path(pattern=r"^C[0-9]{4,10}$", description="Customer id")],
                       include: Annotated[list[Literal["orders", "notes"]] | None, Query(style="comma")] = None) -> Customer:
    """Get one customer by its id. Use find_customers when you only know a name."""

@crm.post("/orders/{order_id}/refunds", scopes=["crm.refunds.write"], step_up="urn:example:acr:mfa", idempotency="auto",
          destructive=True, approval=Approval("user", "Refund {amount} for order {order_id}?"),
          limits=Limits(rate="5/h per user"), retry=Retry(attempts=2, when=[503, "connect"]),
          headers={"X-Requested-By": From("actor.sub")}, tags=["money"],
          body={"amount": {"value": Arg("amount"), "currency": "EUR"}, "reason": Arg("reason"),
                "requested_by": From("user.sub"), "price": "$5"})
async def create_refund(order_id: str, amount: Annotated[int, Field(ge=1, le=5_000_000)],
                        reason: Literal["damaged", "late", "goodwill"]) -> None:
    """Refund all or part of an order. Money moves; ask the user before calling."""

@crm.get("/customers", scopes=["crm.customers.read"], output=True, max_bytes="32KiB",
         query={"q": Arg("text"), "page_size": Arg("limit"), "page_token": Arg("cursor")},
         paging=Cursor(param="page_token", next="meta.next_page_token", items="data"),
         select="{customers: data[].{id: id, name: display_name}, next_cursor: meta.next_page_token}")
async def find_customers(text: str | None = None, limit: Annotated[int, Field(le=100)] = 20,
                         cursor: str | None = None) -> Page:
    """Search customers by name. Returns one page; pass the returned cursor to get the next page."""
'''
YAML = """
version: 1
name: crm
owner: team-crm
upstream:
  baseUrl: ${CRM_URL:-https://crm.example.com/api/v2}
  auth:
    audience: https://crm.example.com
    resource: https://crm.example.com/api/v2
    scopes: [crm.read]
    maxTtl: 120s
  timeout: 10s
  retry: {attempts: 3, when: [502, 503, 504, connect]}
  limits: {rate: 60/min per user, concurrency: 20}
tools:
  - name: get_customer
    title: Get a customer
    description: Get one customer by its id. Use find_customers when you only know a name.
    input:
      type: object
      required: [customer_id]
      properties:
        customer_id: {type: string, pattern: "^C[0-9]{4,10}$", description: Customer id}
        include: {type: array, items: {type: string, enum: [orders, notes]}}
    request: {method: GET, path: "/customers/{customer_id}", query: {include: $include}, style: {include: comma}}
    auth: {scopes: [crm.customers.read]}
    response:
      select: "{id: id, name: display_name, tier: account.tier}"
      redact: [tax_id]
      errors: {"404": No customer has that id.}
    policy: {dataClass: pii}
  - name: create_refund
    description: Refund all or part of an order. Money moves; ask the user before calling.
    input:
      type: object
      required: [order_id, amount, reason]
      properties:
        order_id: {type: string}
        amount: {type: integer, minimum: 1, maximum: 5000000}
        reason: {type: string, enum: [damaged, late, goodwill]}
    request:
      method: POST
      path: /orders/{order_id}/refunds
      headers: {X-Requested-By: {from: actor.sub}}
      body:
        amount: {value: $amount, currency: EUR}
        reason: $reason
        requested_by: {from: user.sub}
        price: $$5
      idempotencyKey: auto
    auth: {scopes: [crm.refunds.write], stepUp: "urn:example:acr:mfa"}
    annotations: {destructive: true}
    approval: {mode: user, message: "Refund {amount} for order {order_id}?"}
    limits: {rate: 5/h per user}
    retry: {attempts: 2, when: [503, connect]}
    tags: [money]
  - name: find_customers
    description: Search customers by name. Returns one page; pass the returned cursor to get the next page.
    input:
      type: object
      properties:
        text: {type: string}
        limit: {type: integer, maximum: 100, default: 20}
        cursor: {type: string}
    request: {method: GET, path: /customers, query: {q: $text, page_size: $limit, page_token: $cursor}}
    auth: {scopes: [crm.customers.read]}
    response:
      select: "{customers: data[].{id: id, name: display_name}, next_cursor: meta.next_page_token}"
      paging: {type: cursor, param: page_token, next: meta.next_page_token, items: data}
      maxBytes: 32KiB
      schema:
        type: object
        required: [customers]
        properties:
          customers:
            type: array
            items: {type: object, required: [id, name], properties: {id: {type: string}, name: {type: string}}}
          next_cursor: {anyOf: [{type: string}, {type: "null"}], default: null}
"""


def in_yaml() -> dict[str, Tool]:
    result = compile_text(YAML, "crm.yaml", {})
    assert not result.problems, "\n".join(map(str, result.problems))
    return {tool.name: tool for tool in result.tools}


@pytest.mark.parametrize("name", ["get_customer", "create_refund", "find_customers"])
def test_a_function_is_the_same_tool_as_the_same_lines_of_yaml(name: str) -> None:
    python, yaml = tools_of(CRM, head="")[name], in_yaml()[name]
    assert python.input_schema == yaml.input_schema
    assert python.output_schema == yaml.output_schema
    assert python.digest == yaml.digest  # all that decides what it does
    assert python.written == yaml.written  # what a lock approves
    assert (python.plan, python.auth, python.limits) == (yaml.plan, yaml.auth, yaml.limits)


def test_a_tool_is_where_its_function_is() -> None:
    line = CRM[: CRM.index('@crm.get("/customers/')].count("\n") + 1
    assert tools_of(CRM, head="")["get_customer"].where == f"tools/desk.py:{line}"


# ── signatures ───────────────────────────────────────────────────────────────────────────


def properties(parameters: str, before: str = "") -> Any:
    text = f"""
{before}
@desk.post("/x")
async def do_it({parameters}) -> Any:
    'Does what the test says it does.'
"""
    return tools_of(text)["do_it"].input_schema["properties"]


TYPES = [
    ("x: str", {"type": "string"}),
    ("x: int", {"type": "integer"}),
    ("x: bool = False", {"type": "boolean", "default": False}),
    ("x: float | None = None", {"type": "number"}),
    ("x: str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ("x: list[int]", {"type": "array", "items": {"type": "integer"}}),
    ("x: Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
    ("x: Annotated[str, Field(min_length=2, title='Word')]", {"type": "string", "minLength": 2, "title": "Word"}),
    ("x: Annotated[int | None, Field(ge=1)] = None", {"type": "integer", "minimum": 1}),
    ("x: Annotated[str, Body(name='y', max_length=3)]", {"type": "string", "maxLength": 3}),
]


@pytest.mark.parametrize(("parameter", "schema"), TYPES, ids=[parameter for parameter, _ in TYPES])
def test_a_type_becomes_its_schema(parameter: str, schema: Any) -> None:
    assert properties(parameter) == {"x": schema}


def test_models_and_enumerations_are_written_out() -> None:
    before = """
from enum import Enum
class Colour(Enum):
    RED = "red"
class Place(BaseModel):
    city: str
    colour: Colour = Colour.RED
"""
    place = {
        "type": "object",
        "required": ["city"],
        "properties": {
            "city": {"type": "string"},
            "colour": {"type": "string", "enum": ["red"], "default": "red"},
        },
    }
    assert properties("a: Place, b: Place | None = None", before) == {"a": place, "b": place}


def test_what_holds_itself_stays_a_reference() -> None:
    before = """
class Node(BaseModel):
    below: list["Node"] = []
"""
    text = f"""
{before}
@desk.post("/x")
async def do_it(node: Node) -> Any:
    'Does what the test says it does.'
"""
    schema = tools_of(text)["do_it"].input_schema
    assert schema["properties"] == {"node": {"$ref": "#/$defs/Node"}}
    assert list(schema["$defs"]) == ["Node"]


def test_arguments_go_where_their_method_puts_them_unless_something_is_said() -> None:
    tools = tools_of("""
    @desk.delete("/a/{id}")
    async def one(id: str, why: str, note: Annotated[str, Header(name="X-Note")]) -> Any:
        'Takes away one thing for the test.'

    @desk.patch("/a/{id}", query={"dry": True})
    async def two(id: str, name: str, lang: Annotated[str, Query(name="hl")], size: Annotated[int, Body(name="Size")]) -> Any:
        'Changes one thing for the test.'
    """)
    one, two = tools["one"].plan, tools["two"].plan
    assert [bound.field.name for bound in one.query] == ["why"]
    assert [bound.field.name for bound in one.headers] == ["X-Note"]
    assert one.body is None
    assert [bound.field.name for bound in two.query] == ["dry", "hl"]
    assert two.body is not None
    assert [name for name, _ in two.body.binding.members] == ["name", "Size"]  # type: ignore[union-attr]


# ── problems ─────────────────────────────────────────────────────────────────────────────

WRONG = [
    ("scpes=[]", "x: str", '1: unknown option "scpes" (did you mean scopes?)'),
    ("", "x", '1: "x" has no type (write x: str, or what it is)'),
    ("", "*x: str", "1: *x: str is no single named parameter (give each argument its own name)"),
    ("", "x: object()", "1: a type cannot be read: Unable to generate pydantic-core schema"),
    ("body=Arg('x')", "x: str, y: str", '1: "y" has no place: the body is written out (put Arg("y") there)'),
    ("output=True", "x: str", "1: output says that there is a schema, and nothing is returned (annotate it)"),
    ("timeout='soon'", "x: str", "1: timeout does not match"),
    ("scopes=['a b']", "x: str", '1: "a b" is not one scope (RFC 6749 §3.3) (write one scope an item)'),
    ("errors={404: object()}", "x: str", "1: a value is none that JSON has"),
]


@pytest.mark.parametrize(("options", "parameters", "said"), WRONG, ids=[f"{a} {b}" for a, b, _ in WRONG])
def test_what_is_wrong_is_told_with_its_line(options: str, parameters: str, said: str) -> None:
    text = f"""@desk.post("/x", {options})
async def do_it({parameters}) -> None:
    'Does what the test says it does.'
"""
    [problem, *_] = problems_of(text)
    assert problem.startswith(said)


def test_a_problem_with_an_argument_is_told_at_the_argument() -> None:
    text = """@desk.get("/x/{y}")
async def do_it(
    y: str,
    z: Annotated[str, Path()],
) -> None:
    'Does what the test says it does.'
"""
    assert problems_of(text) == [
        '4: the argument "z" goes nowhere (use $z in the request, or take it out of the schema)'
    ]


def test_a_tool_without_a_docstring_is_none() -> None:
    assert problems_of('@desk.get("/x")\nasync def do_it() -> None: ...\n') == [
        "1: description is too short, at least 20 ()"
    ]


def test_every_problem_of_a_file_is_told_at_once() -> None:
    text = """@desk.get("/x")
async def one(x) -> None: 'Does what the test says it does.'
@desk.tool(scopes=["orders:read"])
def two(ctx: Ctx) -> None: 'Does what the test says it does.'
@desk.tool(scopes=["orders:read"])
async def three(x: str) -> None: 'Does what the test says it does.'
@desk.tool(scopes=["orders:read"], max_calls=0)
async def four(ctx: Ctx) -> None: 'Does what the test says it does.'
"""
    assert [problem.partition(" (")[0] for problem in problems_of(text)] == [
        '1: "x" has no type',
        "3: a code tool is an `async def`",
        "5: the first parameter of a code tool is its Ctx",
        "7: max_calls is not between 1 and 1000",
    ]


def test_a_code_tool_names_scopes() -> None:
    text = """@desk.tool(scopes=[])
async def do_it(ctx: Ctx) -> None: 'Does what the test says it does.'
"""
    [problem] = problems_of(text)
    assert problem.startswith("1: a code tool has scopes (")


# ── imports ──────────────────────────────────────────────────────────────────────────────

BROKEN = [
    ("x = 1\nimport no_such_module_here\n", 2, "ModuleNotFoundError: No module named"),
    ("x = 1\n\ny = z\n", 3, "NameError: name 'z' is not defined"),
    ("def broken(:\n", 1, "SyntaxError: invalid syntax"),
    ("import sys\nsys.exit(3)\n", 2, "it cannot be imported, SystemExit"),
    ("raise ValueError('hunter2')\n", 1, "it cannot be imported, ValueError"),
    ("def inner():\n    return {}['secret']\ninner()\n", 2, "it cannot be imported, KeyError"),
    ("x = 1\n", 0, "there is no ToolSet in it"),
    ("\0", 0, "it cannot be imported"),
]


@pytest.mark.parametrize(("text", "line", "said"), BROKEN, ids=[said for _, _, said in BROKEN])
def test_a_file_that_cannot_be_imported_is_a_problem_with_its_line(text: str, line: int, said: str) -> None:
    [problem] = compiled(text, head="").problems
    assert said in problem.message
    assert problem.line == line
    assert "hunter2" not in str(problem)


def test_what_a_file_prints_stays_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    compiled("print('hello')")
    assert capsys.readouterr().out == ""
