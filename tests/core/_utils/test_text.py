"""Text from outside is printed as text alone."""

import io

from hypothesis import given, strategies as st

from disentmetrics._utils.console import SafeConsole
from disentmetrics._utils.text import one_line, printable


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\n\r\x1b:[]\u202e\ud800")))
def test_no_line_is_a_command_and_no_character_controls_the_terminal(text: str) -> None:
    line = one_line(text)
    assert "\n" not in line
    for shown in (line, printable(text)):
        shown.encode()  # no half characters
        assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
        assert not any(row.lstrip().startswith("::") for row in shown.split("\n"))
    assert one_line(line) == line


def test_a_console_prints_neither_emoji_nor_commands_except_its_own() -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, width=80)
    console.print("a :x: b", "\x1b[31mred", markup=False)
    console.print("name\n::error::b", markup=False)
    console.print_workflow_command("::error::ours")
    assert file.getvalue() == "a :x: b  [31mred\nname\n\\::error::b\n::error::ours\n"
