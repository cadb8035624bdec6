"""How lists of ids and texts are told: by what separates the two in most of their lines."""

from pipeline.sources.speech.id_lists import _find_separator


def test_more_than_half_of_the_lines_have_the_id_of_a_recording_before_a_space():
    known = {f"rec{i}" for i in range(10)}
    for count, separator in ((6, " "), (5, None)):
        lines = [f"rec{i} 猫が鳴く。" for i in range(count)] + [f"w{i} 犬が走る。" for i in range(10 - count)]
        assert _find_separator(lines, known.__contains__) == separator
