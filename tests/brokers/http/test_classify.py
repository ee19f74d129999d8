"""What a call is taken for, by method, path and the operations in its body: a wrong guess is a stricter one."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.contract import Effect
from brokers.http import catalogue, operations
from brokers.http.classify import classify
from brokers.http.pack import Pack, parse
from brokers.http.pattern import Pattern, fold

JSON = {"content-type": "application/json"}
TOY = parse(
    "toy",
    """
name = "toy"
title = "Toy"
origin = "https://api.toy.test"
docs = "https://toy.test/docs"
[auth]
scheme = "bearer"
[defaults]
PUT = "unknown"
[body]
kind = "graphql"
paths = ["/graphql"]
mint = ["*Token*", "webhookCreate"]
destroy = ["*Delete"]
[[endpoints]]
effect = "read"
methods = ["POST"]
paths = ["/v1/search", "/v1/keys/{rest...}"]
doc = "https://toy.test/docs"
[[endpoints]]
effect = "mint"
methods = ["POST", "GET"]
paths = ["/v1/keys", "/{scope...}/hooks", "/v1/Things/{id}/secret.json"]
doc = "https://toy.test/docs"
[[endpoints]]
effect = "destroy"
paths = ["/v1/wipe", "/v1/hooks"]
doc = "https://toy.test/docs"
[[endpoints]]
effect = "write"
methods = ["DELETE", "PUT"]
paths = ["/v1/stars/{id}"]
doc = "https://toy.test/docs"
""",
)
RPC = parse(
    "rpc",
    """
name = "rpc"
title = "Rpc"
origin = "https://api.rpc.test"
docs = "https://rpc.test/docs"
[auth]
scheme = "bearer"
[body]
kind = "jsonrpc"
paths = ["/"]
read = ["get_block", "get_*"]
write = ["set_*"]
mint = ["*key*"]
""",
)


def effect(  # noqa: PLR0913, PLR0917 - a request has these parts
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    query: tuple[tuple[str, str], ...] = (),
    pack: Pack | None = TOY,
) -> str:
    """The effect of a request, as text."""
    return classify(pack, method, tuple(path[1:].split("/")), query, headers or {}, body)[0].value


def graphql(document: str, **members: object) -> str:
    """The effect of a GraphQL request to the toy service."""
    return effect("POST", "/graphql", json.dumps({"query": document, **members}).encode(), JSON)


def rpc(payload: object) -> str:
    """The effect of a JSON-RPC request to the other one."""
    return effect("POST", "/", json.dumps(payload).encode(), JSON, pack=RPC)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", "read"),
        ("HEAD", "read"),
        ("OPTIONS", "read"),
        ("POST", "write"),
        ("PUT", "write"),
        ("PATCH", "write"),
        ("DELETE", "destroy"),
        ("BREW", "unknown"),
    ],
)
def test_without_a_provider_the_method_says_it(method: str, expected: str) -> None:
    """A connection of one's own is judged by what HTTP means by the method."""
    assert effect(method, "/anything", pack=None) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("pack", [None, TOY])
def test_a_read_with_a_body_is_unknown(method: str, pack: Pack | None) -> None:
    """Services exist that act on the body of a GET."""
    assert effect(method, "/v1/things", b"x", pack=pack) == "unknown"


def test_a_body_makes_nothing_milder() -> None:
    """A GET that mints still mints when it has a body."""
    assert effect("GET", "/v1/keys", b"x") == "mint"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/search", "read"),
        ("POST", "/v1/other", "write"),
        ("PUT", "/v1/other", "unknown"),
        ("PUT", "/v1/stars/1", "write"),
        ("DELETE", "/v1/stars/1", "write"),
        ("DELETE", "/v1/stars", "destroy"),
        ("POST", "/v1/keys", "mint"),
        ("POST", "/v1/keys/mine", "read"),
        ("GET", "/v1/keys", "mint"),
        ("HEAD", "/v1/keys", "mint"),
        ("DELETE", "/v1/keys", "destroy"),
        ("OPTIONS", "/v1/keys", "read"),
        ("GET", "/v1/wipe", "destroy"),
        ("POST", "/v1/hooks", "mint"),
        ("PATCH", "/v1/hooks", "destroy"),
        ("POST", "/hooks", "mint"),
        ("POST", "/a/b/c/hooks", "mint"),
        ("POST", "/a/hooks/b", "write"),
    ],
)
def test_rows_overrule_the_method_and_the_most_severe_counts(method: str, path: str, expected: str) -> None:
    """A row of the documentation counts more than the method, a stricter row more than a milder one."""
    assert effect(method, path) == expected


@pytest.mark.parametrize("path", ["/v1/Search", "/v1/search/", "/v1/search.json", "/v1/ search", "//v1/search"])
def test_a_read_is_matched_to_the_letter(path: str) -> None:
    """What a server may route elsewhere is not the read that was documented."""
    assert effect("POST", path) == "write"


@pytest.mark.parametrize("path", ["/v1/stars/1/", "/V1/stars/1"])
def test_what_is_milder_than_the_method_is_matched_to_the_letter(path: str) -> None:
    """A row that lets a DELETE pass for a write is as exact as one that lets a POST pass for a read."""
    assert effect("DELETE", path) == "destroy"
    assert effect("PUT", path) == "unknown"


@pytest.mark.parametrize("path", ["/v1/keys/", "/V1/Keys", "/v1/keys.json", "/v1/KEYS.XML", "/v1/keys ", "/ v1/keys"])
def test_minting_is_met_however_it_is_spelt(path: str) -> None:
    """Case, a trailing slash, a format suffix and blanks hide no credential-minting endpoint."""
    assert effect("POST", path) == "mint"


@pytest.mark.parametrize("path", ["/v1/things/7/secret.json", "/v1/things/7/secret", "/V1/THINGS/x/SECRET/"])
def test_a_documented_suffix_may_be_left_out(path: str) -> None:
    """Services whose paths end in `.json` take them without it too."""
    assert effect("GET", path) == "mint"


def test_the_reason_is_ours_alone() -> None:
    """Nothing that the agent wrote stands in the line that a person reads."""
    evil = "\x1b[2Jallow\u202e"
    for pack in (None, TOY):
        for method in ("GET", "POST", "DELETE"):
            _, because = classify(pack, method, ("v1", "keys", evil), ((evil, evil),), {}, evil.encode())
            assert evil not in because
            assert because.isprintable()


STRICT = [
    (name, row.effect, method, row.pattern)
    for name in catalogue.names()
    for row in catalogue.load(name).endpoints
    if row.effect in {Effect.MINT, Effect.DESTROY}
    for method in sorted(row.methods or {"POST"})
]


def path_of(pattern: Pattern) -> tuple[str, ...]:
    """A path that the pattern matches."""
    text = pattern.text.replace("...}", "}").replace("{", "x").replace("}", "y")
    return tuple(text.strip("/").split("/"))


@given(st.sampled_from(STRICT), st.data())
def test_no_spelling_of_a_strict_row_is_milder(row: tuple[str, Effect, str, Pattern], data: st.DataObject) -> None:
    """For every pack: no case, trailing slash or suffix makes a mint or destroy row of the catalogue milder."""
    name, expected, method, pattern = row
    segments = [data.draw(st.sampled_from([one, one.upper(), one.title()])) for one in path_of(pattern)]
    segments[-1] = re.sub(r"(?i)\.json$", "", segments[-1]) + data.draw(st.sampled_from(["", ".json", " "]))
    segments += data.draw(st.sampled_from([[], [""], ["", ""]]))
    found, _ = classify(catalogue.load(name), method, segments, (), {}, b"")
    assert found.severity >= expected.severity


@given(st.lists(st.text(alphabet="abcxy.kjson", max_size=8), min_size=1, max_size=6))
def test_what_matches_exactly_matches_loosely(segments: list[str]) -> None:
    """The loose match only ever adds to the exact one."""
    for text in ("/{a...}", "/{a}/{b}", "/x{a}y", "/a/{b...}/c", "/k.json"):
        pattern = Pattern.parse(text)
        if pattern.exact(segments) and tuple(segments) == fold(segments):
            assert pattern.loose(fold(segments))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{ viewer { id } }", "read"),
        ("query { viewer { id } }", "read"),
        ("query Q($a: In = {b: [1, -2.5e3]}) @live(if: true) { viewer(a: $a) { id } }", "read"),
        ("fragment F on User { id } query { viewer { ...F } }", "read"),
        ("mutation { issueUpdate(id: 1) { ok } }", "write"),
        ("mutation { issueDelete(id: 1) { ok } }", "destroy"),
        ("mutation { createTokenFor(id: 1) { ok } }", "mint"),
        ("mutation { WEBHOOKCREATE { ok } }", "mint"),
        ("mutation { harmless: webhookCreate { ok } }", "mint"),
        ("mutation { webhookCreate: issueUpdate { ok } }", "write"),
        ("mutation { issueUpdate @webhookCreate { ok } }", "write"),
        ("mutation { issueUpdate { webhookCreate { id } } }", "write"),
        ("mutation { issueUpdate webhookCreate }", "mint"),
        ("mutation { ...F } fragment F on Mutation { webhookCreate { id } }", "mint"),
        ("mutation { ... on Mutation { webhookCreate { id } } }", "mint"),
        ("subscription { changes { id } }", "unknown"),
        ("query A { a } mutation B { b }", "write"),
        ("query A { a } mutation B { cDelete }", "destroy"),
        ("mutation{a}", "write"),
        ("\n,,# query { x }\nmutation # {\n { a }", "write"),
        ('{ a(text: "} mutation { b") }', "read"),
        ('{ a(text: "\\"} mutation { b") }', "read"),
        ('{ a(text: """ } mutation { " \\""" { """) }', "read"),
        ('query { a(text: "") } mutation { b }', "write"),
        ('query { a(text: """""") } mutation { b }', "write"),
    ],
)
def test_a_graphql_body_is_what_its_operations_are(document: str, expected: str) -> None:
    """Queries read, mutations write, and names the pack knows say more; strings and comments say nothing."""
    assert graphql(document) == expected


@pytest.mark.parametrize(
    "document",
    [
        "",
        "   # nothing",
        "query",
        "query {",
        "query { a",
        "query { a } }",
        "query ( { a } )",
        "query { a ] }",
        "type Query { a: Int }",
        "extend schema { query: Q }",
        "fragment F on Q { a }",
        'query { a(b: "x) }',
        'query { a(b: """x) }',
        "query { a(b: 01) }",
        "query { a ; b }",
        "query { a(b: 'x') }",
        "\ufeffquery { a }",
        "query\u2028{ a }",
        "query { \u0430 }",
        "QUERY { a }",
        "query { " + "a" * 200 + " }",
    ],
)
def test_a_graphql_document_that_is_none_is_unknown(document: str) -> None:
    """What two parsers might read in two ways is asked about."""
    assert graphql(document) == "unknown"


def test_the_named_operation_is_the_one_that_runs() -> None:
    """`operationName` picks one of several; a name that picks none or two picks nothing."""
    document = "query A { a } mutation B { b } mutation C { cDelete } query D { d } query D { d }"
    assert graphql(document, operationName="A") == "read"
    assert graphql(document, operationName="B") == "write"
    assert graphql(document, operationName="C") == "destroy"
    assert graphql(document, operationName="D") == "unknown"
    assert graphql(document, operationName="E") == "unknown"
    assert graphql(document, operationName=1) == "unknown"
    assert graphql(document, operationName=None) == "destroy"
    assert graphql(document, operationName="") == "destroy"


QUERY = b'{"query":"{a}"}'
BATCH_OF_READS = b"[" + b",".join([QUERY] * 10) + b"]"


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (QUERY, "application/json", "read"),
        (QUERY, "application/json; charset=utf-8", "read"),
        (b"{a}", "application/graphql", "read"),
        (b'[{"query":"{a}"},{"query":"mutation{b}"}]', "application/json", "write"),
        (BATCH_OF_READS, "application/json", "read"),
        (b'{"query":"{a}","variables":{"query":"mutation{b}"}}', "application/json", "read"),
        (b'{"query":"{a}","extensions":{}}', "application/json", "read"),
        (b"[]", "application/json", "unknown"),
        (BATCH_OF_READS[:-1] + b"," + QUERY + b"]", "application/json", "unknown"),
        (b'[[{"query":"{a}"}]]', "application/json", "unknown"),
        (b'{"query":"{a}","query":"mutation{b}"}', "application/json", "unknown"),
        (b'{"query":"{a}","Query":"mutation{b}"}', "application/json", "unknown"),
        (b'{"query":"{a}","id":"stored"}', "application/json", "unknown"),
        (b'{"query":"{a}","extensions":{"persistedQuery":{}}}', "application/json", "unknown"),
        (b'{"query":["{a}"]}', "application/json", "unknown"),
        (b"{}", "application/json", "unknown"),
        (b"", "application/json", "unknown"),
        (b"\xef\xbb\xbf" + QUERY, "application/json", "unknown"),
        (QUERY.decode().encode("utf-16"), "application/json", "unknown"),
        (QUERY + b"x", "application/json", "unknown"),
        (b"[" * 100_000, "application/json", "unknown"),
        (b'{"query":"' + b" " * (256 << 10) + b'{a}"}', "application/json", "unknown"),
        (QUERY, "application/json; charset=utf-16", "unknown"),
        (QUERY, "application/json;boundary=x", "unknown"),
        (QUERY, "text/plain", "unknown"),
        (QUERY, "", "unknown"),
        (b"query={a}", "application/x-www-form-urlencoded", "unknown"),
    ],
)
def test_a_graphql_request_is_read_in_one_way_or_not_at_all(body: bytes, content_type: str, expected: str) -> None:
    """Repeated members, other charsets, persisted queries and other encodings are where servers differ."""
    assert effect("POST", "/graphql", body, {"content-type": content_type}) == expected


def test_graphql_by_get_is_read_from_the_query() -> None:
    """A document in the address counts as one in the body; beside a body it makes the request ambiguous."""
    assert effect("GET", "/graphql") == "read"
    assert effect("GET", "/graphql", query=(("query", "{a}"),)) == "read"
    assert effect("GET", "/graphql", query=(("query", "mutation{a}"),)) == "write"
    assert effect("GET", "/graphql", query=(("query", "{a}"), ("query", "mutation{b}"))) == "unknown"
    assert effect("GET", "/graphql", query=(("id", "stored"),)) == "unknown"
    assert effect("POST", "/graphql", QUERY, JSON, (("query", "mutation{b}"),)) == "unknown"
    assert effect("GET", "/graphql", QUERY, JSON) == "unknown"


def test_another_spelling_of_the_path_adds_and_takes_nothing_away() -> None:
    """A mutation is seen on any path that a server may take for GraphQL's; a read is believed on the documented one."""
    for path in ("/graphql/", "/GraphQL", "/graphql.json"):
        assert effect("POST", path, QUERY, JSON) == "write"
        assert effect("POST", path, b'{"query":"mutation{aDelete}"}', JSON) == "destroy"
    assert effect("POST", "/v2/graphql", QUERY, JSON) == "write"


def test_operations_make_no_other_method_milder() -> None:
    """A query in the body of a DELETE is no read, and a GET of a JSON-RPC node asks it for nothing."""
    assert effect("DELETE", "/graphql", QUERY, JSON) == "destroy"
    assert effect("PUT", "/graphql", QUERY, JSON) == "unknown"
    assert effect("GET", "/", pack=RPC) == "read"
    assert effect("DELETE", "/", b'{"method":"get_block"}', JSON, pack=RPC) == "destroy"


NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
NOISE = st.sampled_from([" ", ",", "\n", "# } mutation {\n", "\t"])
VALUE = st.sampled_from(['"}"', '"""{ " }"""', "{a: [1, {b: $c}]}", "null", "-1.5e9", '""', '"\\"{"', '"#"'])


@given(st.lists(st.tuples(st.sampled_from(["query", "mutation"]), NAME, NAME, VALUE, NOISE), min_size=1, max_size=5))
def test_the_operations_found_are_those_written(written: list[tuple[str, str, str, str, str]]) -> None:
    """Whatever stands in arguments, strings and comments: kinds, names and first fields come out as they went in."""
    document = "".join(
        f"{noise}{kind}{noise} {name}{noise}($v:{noise}T = {value})"
        f"{{{noise}a: {field}(x: {value}) {{b{noise}c}}}}{noise}"
        for kind, name, field, value, noise in written
    )
    found = operations.parse_document(document)
    assert [(one.kind, one.name, one.fields) for one in found] == [(k, n, (f,)) for k, n, f, _, _ in written]


@given(st.text(alphabet='{}()[]"\\#,:@$!.| \nquermtaion_', max_size=60))
def test_any_text_is_read_or_refused(document: str) -> None:
    """No text makes the reader fail otherwise, and none that holds a mutation is a read."""
    try:
        found = operations.parse_document(document)
    except operations.Unreadable:
        return
    assert found
    assert all(one.kind in {"query", "mutation", "subscription"} for one in found)


def test_a_long_document_takes_no_long_time() -> None:
    """The reader is linear and counts: the largest body it is given is refused or done at once."""
    nested = "query{a(b:" + "[" * 4_900 + "]" * 4_900 + ")}"
    assert operations.parse_document(nested)
    assert operations.parse_document("{a" + " #" * 100_000 + "\n}")
    hidden = "{" + " a" * 9_999 + "} mutation { b }"  # a whole query up to the token that is one too many
    for document in ("{" * 250_000, '"' * 250_000, nested[:10] + nested, "-" * 250_000, hidden):
        with pytest.raises(operations.Unreadable):
            operations.parse_document(document)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"jsonrpc": "2.0", "method": "get_block", "params": [], "id": 1}, "read"),
        ({"jsonrpc": "2.0", "method": "get_*", "id": 1}, "read"),
        ({"jsonrpc": "2.0", "method": "get_other", "id": 1}, "unknown"),
        ({"jsonrpc": "2.0", "method": "Get_Block", "id": 1}, "unknown"),
        ({"jsonrpc": "2.0", "method": "set_block", "id": 1}, "write"),
        ({"jsonrpc": "2.0", "method": "SET_BLOCK", "id": 1}, "write"),
        ({"jsonrpc": "2.0", "method": "set_key", "id": 1}, "mint"),
        ([{"method": "get_block"}, {"method": "set_block"}], "write"),
        ([{"method": "get_block"}, {"method": "newKey"}, {"method": "other"}], "mint"),
        ([], "unknown"),
        ([{"method": "get_block"}] * 101, "unknown"),
        ({"method": ["get_block"]}, "unknown"),
        ({"method": ""}, "unknown"),
        ({"method": "get_block", "extra": 1}, "unknown"),
        ("get_block", "unknown"),
    ],
)
def test_a_json_rpc_body_is_what_its_methods_are(payload: object, expected: str) -> None:
    """Reads are listed by name, a batch is as severe as its worst call, and what is not listed is unknown."""
    assert rpc(payload) == expected


@pytest.mark.parametrize(
    ("name", "method", "path", "expected"),
    [
        ("anthropic", "POST", "/v1/messages", "read"),
        ("anthropic", "POST", "/v1/organizations/invites", "mint"),
        ("openai", "POST", "/v1/chat/completions", "read"),
        ("openai", "POST", "/v1/files", "write"),
        ("openai", "DELETE", "/v1/files/f", "destroy"),
        ("openai", "POST", "/v1/organization/projects/p/service_accounts/s/api_keys", "mint"),
        ("gemini", "POST", "/v1beta/models/gemini-x:generateContent", "read"),
        ("gemini", "POST", "/v1beta/models/gemini-x:somethingElse", "write"),
        ("gemini", "POST", "/v1beta/tunedModels/t:transferOwnership", "mint"),
        ("github", "POST", "/repos/o/r/issues", "write"),
        ("github", "POST", "/repos/o/r/keys", "mint"),
        ("github", "POST", "/repositories/1/hooks", "mint"),
        ("github", "PUT", "/repos/o/r/contents/README.md", "write"),
        ("github", "PUT", "/repos/o/r/contents/.github/workflows/ci.yml", "mint"),
        ("github", "PUT", "/repos/o/r/contents/.github/actions/a/action.yml", "mint"),
        ("github", "PUT", "/repositories/1/contents/.github/workflows/ci.yml", "mint"),
        ("github", "POST", "/repos/o/r/git/trees", "unknown"),
        ("github", "POST", "/repositories/1/git/trees", "unknown"),
        ("github", "POST", "/repos/o/r/git/blobs", "write"),
        ("github", "POST", "/repos/o/r/git/refs", "unknown"),
        ("github", "PATCH", "/repos/o/r/git/refs/heads/main", "unknown"),
        ("github", "PATCH", "/repositories/1/git/refs/heads/main", "unknown"),
        ("github", "DELETE", "/repos/o/r/git/refs/heads/main", "destroy"),
        ("github", "GET", "/repos/o/r/git/trees/main", "read"),
        ("github", "DELETE", "/repos/o/r", "destroy"),
        ("gitlab", "GET", "/projects/1/variables/KEY", "mint"),
        ("gitlab", "POST", "/projects/1/access_tokens", "mint"),
        ("gitlab", "POST", "/projects/1/issues", "write"),
        ("gitlab", "PUT", "/projects/1/repository/files/.gitlab-ci.yml", "mint"),
        ("gitlab", "POST", "/projects/1/repository/commits", "unknown"),
        ("stripe", "POST", "/v1/webhook_endpoints", "mint"),
        ("stripe", "POST", "/v1/refunds", "write"),
        ("stripe", "POST", "/v1/payouts", "destroy"),
        ("stripe", "GET", "/v1/customers", "read"),
        ("slack", "GET", "/chat.postMessage", "write"),
        ("slack", "GET", "/conversations.history", "read"),
        ("slack", "GET", "/somethingNew", "unknown"),
        ("slack", "GET", "/oauth.v2.exchange", "mint"),
        ("heroku", "GET", "/apps/a/config-vars", "mint"),
        ("slack", "POST", "/admin.users.invite", "mint"),
        ("telegram", "GET", "/getMe", "read"),
        ("telegram", "GET", "/getme", "unknown"),
        ("telegram", "GET", "/sendMessage", "write"),
        ("telegram", "GET", "/SETWEBHOOK", "mint"),
        ("telegram", "GET", "/deletewebhook", "destroy"),
        ("twilio", "GET", "/2010-04-01/Accounts/AC1", "mint"),
        ("twilio", "GET", "/2010-04-01/Accounts/AC1/Messages.json", "read"),
        ("supabase", "POST", "/v1/projects/ref/database/query", "unknown"),
        ("supabase", "GET", "/v1/projects/ref/api-keys", "mint"),
        ("vercel", "GET", "/v1/projects/p/env/e", "mint"),
        ("vercel", "POST", "/v99/user/tokens", "mint"),
        ("notion", "POST", "/v1/search", "read"),
        ("datadog", "POST", "/api/v2/logs/events/search", "read"),
        ("sendgrid", "POST", "/v3/mail/send", "write"),
        ("sendgrid", "POST", "/v3/api_keys", "mint"),
        ("sentry", "POST", "/projects/o/p/hooks/", "mint"),
        ("cloudflare", "PUT", "/user/tokens/t/value", "mint"),
    ],
)
def test_well_known_calls(name: str, method: str, path: str, expected: str) -> None:
    """A handful of calls that every user of the service knows, as its pack judges them."""
    assert effect(method, path, pack=catalogue.load(name)) == expected


@pytest.mark.parametrize(
    ("method", "segments", "expected"),
    [
        ("POST", ("projects", "shop/api", "hooks"), "mint"),
        ("GET", ("projects", "shop/api", "variables"), "mint"),
        ("GET", ("projects", "1/variables"), "mint"),
        ("POST", ("projects", "1/hooks"), "mint"),
        ("POST", ("projects/1", "hooks.json"), "mint"),
        ("GET", ("projects", "shop/api", "issues"), "read"),
        ("POST", ("projects", "shop/api", "issues"), "write"),
    ],
)
def test_a_segment_with_a_slash_is_classed_whole_and_split(
    method: str, segments: tuple[str, ...], expected: str
) -> None:
    """The worse counts of what a service does that keeps an encoded slash apart and of one that does not."""
    assert classify(catalogue.load("gitlab"), method, segments, (), {}, b"")[0].value == expected


def test_a_mild_row_is_not_reached_by_an_encoded_slash() -> None:
    """What is milder than its method by a row is so in both readings or not at all."""
    pack = catalogue.load("github")
    assert classify(pack, "POST", ("markdown", "raw"), (), {}, b"")[0] is Effect.READ
    assert classify(pack, "POST", ("markdown/raw",), (), {}, b"")[0] is Effect.WRITE


@pytest.mark.parametrize(
    ("name", "path", "document", "expected"),
    [
        ("linear", "/graphql", "{ issues { nodes { id } } }", "read"),
        ("linear", "/graphql", "mutation { issueCreate(input: {}) { success } }", "write"),
        ("linear", "/graphql", "mutation { issueDelete(id: 1) { success } }", "destroy"),
        ("linear", "/graphql", "mutation { webhookCreate(input: {}) { success } }", "mint"),
        ("linear", "/graphql", "mutation { oauthApplicationRotateSecret(id: 1) { success } }", "mint"),
        ("github", "/graphql", "{ viewer { login } }", "read"),
        ("github", "/graphql", "mutation { addComment(input: {}) { clientMutationId } }", "write"),
        ("github", "/graphql", "mutation { deleteIssue(input: {}) { clientMutationId } }", "destroy"),
        ("github", "/graphql", "mutation { inviteEnterpriseAdmin(input: {}) { clientMutationId } }", "mint"),
        ("github", "/graphql", "mutation { createCommitOnBranch(input: {}) { clientMutationId } }", "unknown"),
        ("github", "/graphql", "mutation { updateRef(input: {}) { clientMutationId } }", "unknown"),
        ("github", "/graphql", "mutation { addComment(input: {}) { a } updateRefs(input: {}) { a } }", "unknown"),
        ("github", "/graphql", "mutation { deleteRef(input: {}) { clientMutationId } }", "destroy"),
        ("shopify", "/2026-07/graphql.json", "{ shop { name } }", "read"),
        ("shopify", "/2026-07/graphql.json", "mutation { productDelete { userErrors { field } } }", "destroy"),
    ],
)
def test_well_known_graphql_calls(name: str, path: str, document: str, expected: str) -> None:
    """Services that speak GraphQL are judged by what is asked of them."""
    body = json.dumps({"query": document}).encode()
    assert effect("POST", path, body, JSON, pack=catalogue.load(name)) == expected
