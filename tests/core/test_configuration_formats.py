"""The text formats: properties as Java reads them, nesting as Spring flattens it, errors that name the place."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capa_core.blocks.configuration import formats
from capa_core.errors import InvalidArgumentError, SettingsError, UnsupportedError


def properties(text):
    return formats.items(text, ".properties", "f.properties")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The examples of the documentation of java.util.Properties.load.
        ("Truth = Beauty", {"Truth": "Beauty"}),
        (" Truth:Beauty", {"Truth": "Beauty"}),
        ("Truth                    :Beauty", {"Truth": "Beauty"}),
        ("fruits    apple, banana, \\\n          cantaloupe", {"fruits": "apple, banana, cantaloupe"}),
        ("cheeses", {"cheeses": ""}),
        ("\\:\\= = v", {":=": "v"}),
        # And what it says in words.
        ("# c\n! d\n\n  \t\na=1", {"a": "1"}),
        ("a=1\ra=2\r\nb=3", {"a": "2", "b": "3"}),
        ("# a comment does not go on \\\na=1", {"a": "1"}),
        ("a=x\\\\\nb=1", {"a": "x\\", "b": "1"}),
        ("a=x\\", {"a": "x"}),
        ("a=\\u00e9\\t\\n\\z", {"a": "é\t\nz"}),
        ("a=\\ud83d\\ude00", {"a": "😀"}),
        ("a = = 1 ", {"a": "= 1 "}),
        ("with\\ space v", {"with space": "v"}),
        ("=v", {"": "v"}),
        ("", {}),
    ],
)
def test_properties_are_read_as_java_reads_them(text, expected):
    assert expected == properties(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(texts.filter(bool), texts, max_size=6))
def test_values_written_into_properties_are_read_back(values):
    assert values == properties(formats.edited("", ".properties", values, "f"))


LINES = [
    "# c",
    "a=1",
    "a : 2",
    "b 3",
    "  c",
    "d\\",
    "  more",
    "",
    "! x",
    "e\\ f = \\u00e9",
    "\\",
    "=v",
    "g=h\\\\",
]
files = st.builds(
    lambda lines, newline, at_end: newline.join(lines) + (newline if at_end else ""),
    st.lists(st.sampled_from(LINES), max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
keys = st.one_of(st.sampled_from(["a", "b", "c", "d", "e f", "g", ""]), texts)


@given(files, st.dictionaries(keys, texts, max_size=4))
def test_an_edit_of_properties_changes_only_the_given_keys(text, changes):
    before = properties(text)

    assert before | changes == properties(formats.edited(text, ".properties", changes, "f"))
    kept = {key: value for key, value in before.items() if key not in changes}
    assert kept == properties(formats.deleted(text, ".properties", list(changes), "f"))


def test_an_edit_of_properties_keeps_comments_order_and_spelling():
    text = "# head\r\na = 1\r\n\r\n! note\r\nb:2 \\\r\n   more\r\nc 3\r\n"
    edited = formats.edited(text, ".properties", {"b": "4", "c": ":5", "d": "6"}, "f")

    assert "# head\r\na = 1\r\n\r\n! note\r\nb:4\r\nc \\:5\r\nd=6\r\n" == edited


def test_deleting_from_properties_removes_lines_but_no_comment():
    text = "# of a\na=1\\\n  2\nb=2\na=3\n"

    assert "# of a\nb=2\n" == formats.deleted(text, ".properties", ["a", "missing"], "f")


@pytest.mark.parametrize(
    ("text", "suffix", "place"),
    [
        ("a=1\nb=\\u12", ".properties", "f:2:"),
        ('{"a":\n 1,}', ".json", "f:2:"),
        ("a = 1\nb = = 2\nc = 3", ".toml", "f:2:"),
        ("a: 1\nb: [1", ".yaml", "f:2:"),
        ("a: 1\n\tb: 2", ".yml", "f:2:"),
    ],
)
def test_malformed_text_is_an_error_with_its_line(text, suffix, place):
    with pytest.raises(SettingsError) as caught:
        formats.items(text, suffix, "f")

    assert str(caught.value).startswith(place)


TREE = {"a.b[0]": "1", "a.b[1].c": "x", "t": "true", "n": "", "e": "", "f": "1.5"}


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ('{"a": {"b": [1, {"c": "x"}]}, "t": true, "n": null, "e": {}, "f": 1.5}', ".json"),
        ("a:\n  b:\n  - 1\n  - c: x\nt: true\nn:\ne: []\nf: 1.5", ".yaml"),
        ('t = true\nn = ""\ne = []\nf = 1.5\n[a]\nb = [1, {c = "x"}]', ".toml"),
    ],
)
def test_nesting_becomes_dotted_keys(text, suffix):
    assert TREE == formats.items(text, suffix, "f")


def test_later_yaml_documents_win():
    assert {"a": "2", "b": "1"} == formats.items("a: 1\nb: 1\n---\na: 2\n", ".yaml", "f")


def test_yaml_aliases_are_limited():
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(SettingsError, match="more than 100000 values"):
        formats.items("l0: &l0 x\n" + levels, ".yaml", "f")


@pytest.mark.parametrize("text", ["[" * 100_000, "a: &a [*a]"])
def test_endless_nesting_is_an_error(text):
    with pytest.raises(SettingsError, match="nested too deeply"):
        formats.items(text, ".json" if text[0] == "[" else ".yaml", "f")


def test_flat_keys_become_a_tree():
    flat = {"a.b[1]": "y", "a.b[0]": "x", "a.b[10]": "z", "a": "lost to its branch", "q": "1"}

    assert {"a": {"b": ["x", "y", "z"]}, "q": "1"} == formats.unflatten(flat)


names = st.text("abcß-_ ", min_size=1, max_size=4)
trees = st.dictionaries(
    names,
    st.recursive(
        texts,
        lambda each: st.lists(each, min_size=1) | st.dictionaries(names, each, min_size=1),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=30)
@given(trees)
def test_flat_keys_round_trip(tree):
    assert tree == formats.unflatten(formats.flatten(tree, "f"))


@settings(max_examples=30)
@given(trees)
def test_each_leaf_of_json_can_be_set(tree):
    changes = {key: value + "!" for key, value in formats.flatten(tree, "f").items()}
    edited = formats.edited(json.dumps(tree), ".json", changes, "f")

    assert changes == formats.items(edited, ".json", "f")


def test_an_edit_of_json_keeps_order_and_types():
    text = '{"z": {"n": 3, "on": true}, "a": ["x"]}'
    edited = formats.edited(text, ".json", {"z.n": "4", "z.on": "off", "a[1]": "y", "new.k": "5"}, "f")

    assert {"z": {"n": 4, "on": "off"}, "a": ["x", "y"], "new": {"k": "5"}} == formats.tree(
        edited, ".json", "f"
    )
    assert edited.index('"z"') < edited.index('"a"')


@pytest.mark.parametrize("key", ["a.b", "l[5]", "o", "l.x"])
def test_a_key_that_does_not_fit_the_document_is_refused(key):
    with pytest.raises(InvalidArgumentError, match=r"fit|below"):
        formats.edited('{"a": 1, "l": [1], "o": {"x": 1}}', ".json", {key: "v"}, "f")


@pytest.mark.parametrize("suffix", [".yaml", ".toml", ".txt"])
def test_formats_whose_comments_would_be_lost_are_not_edited(suffix):
    with pytest.raises(UnsupportedError, match="comments"):
        formats.edited("", suffix, {"a": "1"}, "f")


@pytest.mark.parametrize(
    ("group", "suffix"),
    [("a.json", ".json"), ("A.YML", ".yml"), ("FX.apollo", ""), ("application", ""), ("n.txt", ".txt")],
)
def test_only_known_suffixes_make_a_document(group, suffix):
    assert suffix == formats.suffix_of(group)
