import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.transcript.spoken import spoken

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("≫田中：今日は（笑）いい天気ですね。", "今日はいい天気ですね。"), ("[拍手]♪～", "～"),
     ("司会：始めます。", "始めます。"), ("時刻は10:30です", "時刻は10:30です"),
     ("〈これは話です〉", "これは話です"), ("《走れメロス》を読む", "走れメロスを読む"),
     ("＜昔々、あるところに。＞", "昔々、あるところに。"),
     ("〈笑〉そう《拍手》", "そう"), ("<noise>はい<unk>", "はい"), ("3<5と5>3", "3<5と5>3"), ("〈NHK〉です", "NHKです"),
     ("田中：10時です", "10時です"), ("林：はい", "はい"), ("夏目漱石：はい", "はい"), ("アリス：ここはどこ", "ここはどこ"),
     ("山田さん：はい", "はい"), ("母：起きて。", "起きて。"),
     ("こう（旧姓山田さんは、今日も元気に働いている。）", "こう（旧姓山田さんは、今日も元気に働いている。）"),
     ("はい。A:そう。B：はい", "はい。そう。はい"), ("", ""), ("三田：例：猫", "例：猫"), ("話者1：はい", "はい"),
     *((kept, kept) for kept in ("第1回：始まり", "第一話：旅立ち", "問1：次の文", "はい。例：猫", "2つ目:これ", "10:30開始", "10：三十分",
                                 "https://example.com", "参考:http://a.jp", "その2：続き",
                                 "本名：山田", "本名：山田太郎です。", "住所：東京都",
                                 "電話番号：03-1234-5678",
                                 "年齢：20歳", "出身：大阪", "天気：晴れ", "監督：宮崎駿", "神戸：晴れ", "Q：何ですか"))],
)  # fmt: skip
def test_what_is_not_said_goes(text, expected):
    assert spoken(pl.Series([text]))[0] == expected


def test_tags_and_fillers_may_be_kept_or_marked():
    text = pl.Series(["えー、（笑）あのー、まあ行きます。あのーらは残る"])
    assert spoken(text, tags="keep", fillers="keep")[0] == text[0]
    assert spoken(text, tags="mark", fillers="keep")[0] == "えー、[笑]あのー、まあ行きます。あのーらは残る"
    assert spoken(text, fillers="mark")[0] == "(F えー)(F あのー)まあ行きます。あのーらは残る"
    assert spoken(text, fillers="remove")[0] == "まあ行きます。あのーらは残る"
    assert spoken(pl.Series(["田中：はい"]), speakers="keep")[0] == "田中：はい"


@settings(deadline=None)
@given(st.lists(st.one_of(ANYTHING, st.text(alphabet="（笑）[]♪≫：:えーあの、。田 ", max_size=30)), min_size=1, max_size=5))
def test_spoken_is_stable_and_null_stays(texts):
    once = spoken(pl.Series([*texts, None], dtype=pl.String))
    assert once[-1] is None and once.name == ""
    assert len(once) == len(texts) + 1 and not once.str.contains(r"^\s|\s$|\s\s").any()
