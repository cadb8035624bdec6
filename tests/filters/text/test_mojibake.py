import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters import measure_text
from filters.text.train_mojibake import garble, kinds, narrow_katakana

TEXT = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた事だけは記憶している。"
    "吾輩はここで始めて人間というものを見た。しかもあとで聞くとそれは書生という人間中で一番獰悪な種族であったそうだ。"
)


def share(text):
    return measure_text(text, "mojibake_share")


# What is left of CP932 where what cannot be decoded is dropped is ASCII: other rules see that it is no Japanese.
LEFT_OVER = [("cp932", read, "ignore") for read in ("euc_jp", "big5", "euc_kr", "utf-8")]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind not in LEFT_OVER and not kind[0].startswith("utf-16")])
def test_every_kind_is_found(kind):
    assert share(garble(TEXT, *kind)) > 0.5


@pytest.mark.parametrize("errors", ["replace", "ignore"])
def test_a_broken_half_is_half_of_the_text(errors):
    broken = garble(TEXT, "utf-8", "cp932", errors)
    assert share(TEXT + "\n" + broken) == pytest.approx(len(broken) / len(TEXT + broken), abs=0.05)


def test_one_broken_line_of_ten_is_above_the_bound_of_the_preset():
    lines = [sentence + "。" for sentence in (TEXT * 2).split("。")[:9]]
    assert share("\n".join([*lines, garble(TEXT[:60], "utf-8", "cp932", "ignore")])) > 0.07


@pytest.mark.parametrize(
    "text",
    [
        "",
        "縺れた糸を解くと、繧繝縁の畳に荳の字が浮かんだ。蜷局を巻いた蛇が譌を嫌う。",
        "縞緜縟縡縣縒縱縟縉縋縢繆繦縻縵縹繃縷縲縺繧繝繖繞繙繚繹繪繩繼繻纃緕繽辮繿纈纉續纒纐纓纔纖纎纛纜",
        "亜唖娃阿哀愛挨姶逢葵茜穐悪握渥旭葦芦鯵梓圧斡扱宛姐虻飴絢綾鮎或粟袷安庵按暗案闇鞍杏以伊位依偉囲夷委",
        "ｺﾝﾆﾁﾊ､ﾜﾀｼﾊ ﾈｺﾃﾞｱﾙ｡ ﾅﾏｴﾊ ﾏﾀﾞ ﾅｲ｡ ﾄﾞｺﾃﾞ ｳﾏﾚﾀｶ ﾄﾝﾄ ｹﾝﾄｳｶﾞ ﾂｶﾇ｡",
        "ﾊﾝｶｸｶﾀｶﾅ ﾃﾞ ｶｲﾀ ﾃﾝﾎﾟｳ: ﾁﾁｷﾄｸ ｽｸﾞｶｴﾚ",
        "然し彼は學校へ行かず、圖書館で讀書をしてゐた。戀愛の歡びを蟲の聲に聽き、鐵道の驛で會つた友と語らふ。",
        "彼女はCaféでcrème brûléeとthé à la mentheを頼み、«C’est très bon, n’est-ce pas ?»と言った。",
        "∀x∈ℝ ∃y (x≦y ∧ ∫₀^∞ e^{-x²}dx = √π/2) であるから、Σ_{i=1}^{n} i² = n(n+1)(2n+1)/6 が成り立つ。",
        "ヽ(´ー`)ノ　（＾Д＾）　┐(´∀｀)┌ ﾔﾚﾔﾚ　キタ━━━(ﾟ∀ﾟ)━━━!!",
        "2-メチル-1,3-ブタジエン、アセチルサリチル酸、鬱血性心不全、齲蝕、蕁麻疹、褥瘡、嚥下障碍、癲癇、疼痛",
        "print \"$B\" . $x; my %h = (B => 1); $B$3 = $a[0]; echo \"$B4(B\";",
        "我们不能因为他说错了一句话就否定他的全部工作，这样做是不公平的，也不利于团结。",
        "그는 단호하고, 완강했으며, 명백했습니다. 어제 회의에서 그렇게 말했습니다.",
        "Les élèves français étaient déjà arrivés à l’école où l’été avait été très chaud.",
    ],
)  # fmt: skip
def test_what_is_clean_stays_clean(text):
    assert share(text) == 0


def test_half_width_kana_are_clean():
    assert share(narrow_katakana(TEXT, hiragana=True)) == share(narrow_katakana(TEXT, hiragana=False)) == 0


@pytest.mark.parametrize("joint", ["", "、", "\n", "（もつれる）", "：ショク、つぐなう\n"])
def test_tables_of_kanji_are_below_the_bound(joint):
    rows = [bytes(x for cell in range(0xA1, 0xFF) for x in (row, cell)).decode("euc_jp", "ignore") for row in range(0xB0, 0xF4)]
    assert max(share(joint.join(row)) for row in rows) <= 0.07


@given(st.text(max_size=80))
def test_any_text_has_a_share(text):
    assert 0 <= share(text) <= 1


def test_iso_2022_jp_without_its_escapes():
    broken = "会議のお知らせ".encode("iso2022_jp").decode().replace("\x1b", "")
    assert broken.startswith("$B") and share(broken) == 1
