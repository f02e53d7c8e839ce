# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In a file of nginx's configuration one word of one directive is written, and nothing else is another byte."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.steward.maintenance.plugins.module_utils._balancers.model import BalancerError
from ansible_collections.steward.maintenance.plugins.module_utils._balancers.nginx_file import (
    Server,
    endpoint_of,
    servers_of,
    statements_of,
)

FILE = b"""# upstream shop { server 10.0.0.9:80; }
upstream other { server 10.0.0.1:8080; }\r
upstream "shop" {
    least_conn;
    server 10.0.0.1:8080 weight=5;  # the big one; down on Mondays
\tserver 10.0.0.2:8080
        max_fails=3   # three
        ;server '10.0.0.3:8080' down  weight=2;
    server unix:/run/a\\ b.sock backup;
    server web5 down;
    keepalive 8;
}
map $host $name { default "down;}"; ~^(?<x>.+)\\.example$ ${x}; }
server { listen 80; location / { proxy_pass http://shop; } }"""


def one(data: bytes, address: str, pool: str = "shop") -> Server:
    return next(server for server in servers_of(data, pool) if server.address == address)


def test_all_servers_of_the_one_upstream_are_told() -> None:
    assert [(server.address, server.is_down, server.is_backup) for server in servers_of(FILE, "shop")] == [
        ("10.0.0.1:8080", False, False),
        ("10.0.0.2:8080", False, False),
        ("10.0.0.3:8080", True, False),
        ("unix:/run/a\\ b.sock", False, True),
        ("web5", True, False),
    ]


@pytest.mark.parametrize(
    ("address", "admitted", "drained"),
    [
        ("10.0.0.1:8080", b"weight=5;  # the big one", b"weight=5 down;  # the big one"),
        ("10.0.0.2:8080", b"max_fails=3   # three\n        ;", b"max_fails=3 down   # three\n        ;"),
    ],
)
def test_one_word_is_written_and_taken_away(address: str, admitted: bytes, drained: bytes) -> None:
    out = one(FILE, address).taken_out(FILE)
    assert out == FILE.replace(admitted, drained)
    assert one(out, address).is_down
    assert one(out, address).taken_out(out) == out
    assert one(out, address).let_in(out) == FILE


@pytest.mark.parametrize(
    ("written", "left"),
    [
        (b"server a down;", b"server a;"),
        (b"server a down weight=2;", b"server a weight=2;"),
        (b"server a weight=2\t down ;", b"server a weight=2 ;"),
        (b'server a "down";', b"server a;"),
        (b"server a # down\n down;", b"server a # down\n;"),
        (b"server a down down;", b"server a;"),
        (b"server a fo\\  down;", b"server a fo\\ ;"),
    ],
)
def test_what_somebody_else_wrote_is_taken_away_with_its_blanks(written: bytes, left: bytes) -> None:
    data = b"upstream shop { " + written + b" server b; }"
    assert one(data, "a").is_down
    assert one(data, "a").let_in(data) == b"upstream shop { " + left + b" server b; }"
    assert one(data, "a").text_when(data, False) == left.decode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"upstream shops { server a; }", "it has no upstream 'shop'"),
        (b"# upstream shop { server a; }", "it has no upstream 'shop'"),
        (b"upstream shop { server a; } upstream shop { server b; }", "it has more than one upstream 'shop'"),
        (b"upstream shop { server a; server A:80 weight=2; }", "the upstream 'shop' has the server 'A:80' twice"),
        (b"upstream shop { server [::1]; server [0::1]:80; }", "has the server '[0::1]:80' twice"),
        (b"upstream shop { server unix:/a; server unix:/a; }", "has the server 'unix:/a' twice"),
        (b"upstream shop { include servers/*; }", "includes other files"),
        (b"upstream shop {\n server a;", "a closing brace too few"),
        (b"upstream shop { server a; } }", "a closing brace too many"),
        (b"upstream shop {\n server a }", "line 2 has a '}' that nobody expects"),
        (b"upstream shop {\n server a\n", "the statement of line 2 does not end"),
        (b"upstream shop {\n server a", "the word at the end of line 2 does not end"),
        (b'upstream shop { server a; }\nx "y', "the word at the end of line 2 does not end"),
        (b'upstream shop { server "a"b; }', "line 1 goes on behind a quotation mark"),
        (b"upstream shop { ; }", "line 1 has a ';' that nobody expects"),
        (b"content_by_lua_block { x = '}' }", "line 1 begins a block of Lua"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(BalancerError) as failed:
        servers_of(data, "shop")
    assert why in str(failed.value)


def test_where_a_server_is() -> None:
    assert endpoint_of("10.0.0.1:8080") == ("10.0.0.1", 8080)
    assert endpoint_of("Web1.example.org") == ("web1.example.org", 80)
    assert endpoint_of("[0:0::1]:8080") == ("::1", 8080)
    assert endpoint_of("unix:/run/a.sock") is None


# -- whatever else is in the file --------------------------------------------------------------------------------------

PLAIN = st.from_regex(r"[abcxyz019_=./:*~^-]([abcxyz019_=./:*~^#$}-]{0,6}[abcxyz019_=./:*~^#}-])?", fullmatch=True)
INNER = st.text("abc ;{}#'$\t\n", max_size=8)
QUOTED = INNER.map(lambda text: '"' + text.replace("$", "$ ") + '"')
ESCAPED = st.sampled_from(["a\\;b", "\\{", "x\\ y", "\\\\", "${name}", "a${b}c"])
WORD = st.one_of(PLAIN, QUOTED, ESCAPED).filter(lambda word: word not in ("server", "include", "upstream"))
COMMENT = st.text("abc down;{}server\"'", max_size=12).map(lambda text: f"#{text}\n")
GAP = st.lists(st.sampled_from([" ", "\t", "\n", "\r\n"]), min_size=1, max_size=3).map("".join)
#: Between two words: blanks, perhaps with a comment between them.
BETWEEN = st.one_of(GAP, st.tuples(GAP, COMMENT, st.sampled_from(["", " "])).map("".join))
END = st.one_of(st.just(""), BETWEEN)


@st.composite
def statements(draw: st.DrawFn, first: st.SearchStrategy[str] = WORD, sign: str = ";") -> str:
    words = [draw(first), *draw(st.lists(WORD.filter(lambda word: word not in ("down", '"down"')), max_size=3))]
    text = words[0] + "".join(draw(BETWEEN) + word for word in words[1:])
    return text + draw(END) + sign


@st.composite
def blocks(draw: st.DrawFn) -> str:
    inside = draw(st.lists(statements(), max_size=2))
    return draw(statements(sign="{")) + "".join(draw(END) + one for one in inside) + draw(END) + "}"


ANYTHING = st.one_of(statements(), blocks(), COMMENT)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Whatever there may be, and the upstream `shop` with the server `me:81` somewhere in it."""
    around = [draw(st.lists(ANYTHING, max_size=2)) for _number in range(4)]
    before, within, behind, after = ["".join(draw(END) + one for one in some) + draw(END) for some in around]
    mine = f"server{draw(BETWEEN)}me:81" + draw(st.one_of(END.map(lambda end: f"{end};"), st.builds("".join, MORE)))
    text = f"{before}upstream{draw(BETWEEN)}shop{draw(END)}{{{within}{mine}{behind}}}{after}"
    return text.encode()


MORE = st.tuples(BETWEEN, statements())


def meaning(data: bytes) -> list[tuple[list[str], str]]:
    return [([word.value for word in one.words], one.sign) for one in statements_of(data)]


@given(files())
def test_only_that_directive_is_another_one_and_it_is_the_same_again(data: bytes) -> None:
    before = one(data, "me:81")
    assert not before.is_down
    out = before.taken_out(data)
    mine = one(out, "me:81")
    assert mine.is_down
    # All bytes before and behind the word are the same.
    at = before.words[-1].end
    assert (out[:at], out[at : at + 5], out[at + 5 :]) == (data[:at], b" down", data[at:])
    # To nginx, one directive has one word more.
    changed = [pair for pair in zip(meaning(data), meaning(out)) if pair[0] != pair[1]]
    assert len(meaning(data)) == len(meaning(out))
    assert [(new[0][:-1], new[0][-1]) for _old, new in changed] == [(changed[0][0][0], "down")]
    assert mine.let_in(out) == data


def test_a_line_is_never_told_for_another_one() -> None:
    told: list[t.Any] = []
    for text in (b"secret 'x';\nupstream shop { server a }", b"upstream shop { server a; }\nsecret 'x'y;"):
        with pytest.raises(BalancerError) as failed:
            servers_of(text, "shop")
        told.append(str(failed.value))
    assert not [text for text in told if "secret" in text or "'x'" in text]
